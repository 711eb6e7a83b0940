//! RESP 2, as far as Redis's channels and streams need it.
//!
//! Protocol: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use crate::drivers::DriverError;
use crate::wire::pieces::{LINE_END, first_line, parse_decimal};

/// Appends a command as an array of bulk strings.
pub(super) fn append_command(words: &[&[u8]], output: &mut Vec<u8>) {
    append_array(words.len(), output);
    words.iter().for_each(|word| append_bulk(word, output));
}

/// What a command begins with: all its words but the last, and that one's sign.
pub(super) fn command_head(words: &[&[u8]]) -> Vec<u8> {
    let mut head = Vec::new();
    append_array(words.len() + 1, &mut head);
    words.iter().for_each(|word| append_bulk(word, &mut head));
    head.push(b'$');
    head
}

pub(super) fn append_array(length: usize, output: &mut Vec<u8>) {
    output.extend_from_slice(format!("*{length}\r\n").as_bytes());
}

pub(super) fn append_bulk(word: &[u8], output: &mut Vec<u8>) {
    output.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
    output.extend_from_slice(word);
    output.extend_from_slice(LINE_END);
}

/// A reply to a command.
#[derive(Debug)]
pub(super) enum Reply {
    /// `+PONG`
    Status,
    /// `:1`
    Integer,
    /// `$3`, and so many bytes on a line of their own.
    Bulk,
    /// `-ERR` and why
    Refusal(DriverError),
}

/// Why reading stopped.
#[derive(Debug)]
pub(super) enum Cut {
    /// What was begun is not all there; the input must have at least so many bytes for that.
    Short { input_bytes: usize },
    /// It is not what it should be.
    Wrong(DriverError),
}

/// What was read, or `None` if it is not all there yet; then `wanted` is how long the input must
/// become.
#[inline]
pub(super) fn whole<T>(read: Result<T, Cut>, wanted: &mut usize) -> Result<Option<T>, DriverError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(Cut::Short { input_bytes }) => {
            *wanted = input_bytes;
            Ok(None)
        }
        Err(Cut::Wrong(error)) => Err(error),
    }
}

/// Reads values one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0 }
    }

    /// How many bytes were read.
    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// A reply to a command that brings no messages.
    #[inline]
    pub(super) fn reply(&mut self) -> Result<Reply, Cut> {
        let mut ahead = *self;
        let line = ahead.line()?;
        match line.split_first() {
            Some((b'+', _)) => {
                *self = ahead;
                Ok(Reply::Status)
            }
            Some((b':', _)) => {
                *self = ahead;
                Ok(Reply::Integer)
            }
            Some((b'$', _)) => self.bulk().map(|_| Reply::Bulk),
            Some((b'-', message)) => {
                *self = ahead;
                Ok(Reply::Refusal(refusal(message)))
            }
            _ => Err(wrong("a reply", line)),
        }
    }

    /// An array's length; `None` for the array that stands for nothing.
    #[inline]
    pub(super) fn array(&mut self) -> Result<Option<usize>, Cut> {
        let line = self.line()?;
        match line {
            b"*-1" => Ok(None),
            _ => number(line, b'*', "an array").map(Some),
        }
    }

    /// An array of exactly this length.
    #[inline]
    pub(super) fn array_of(&mut self, length: usize) -> Result<(), Cut> {
        let start = self.at;
        match self.array()? {
            Some(found) if found == length => Ok(()),
            _ => Err(wrong("an array of another length", &self.input[start..self.at])),
        }
    }

    pub(super) fn integer(&mut self) -> Result<usize, Cut> {
        number(self.line()?, b':', "an integer")
    }

    #[inline]
    pub(super) fn bulk(&mut self) -> Result<&'a [u8], Cut> {
        let bytes = number(self.line()?, b'$', "a bulk string")?;
        let end = self.at.saturating_add(bytes);
        let input_bytes = end.saturating_add(LINE_END.len());
        let Some(content) = self.input.get(self.at..end) else {
            return Err(Cut::Short { input_bytes });
        };
        match self.input.get(end..input_bytes) {
            None => Err(Cut::Short { input_bytes }),
            Some(LINE_END) => {
                self.at = input_bytes;
                Ok(content)
            }
            Some(_) => Err(wrong("a bulk string as long as it says", content)),
        }
    }

    #[inline]
    fn line(&mut self) -> Result<&'a [u8], Cut> {
        let (line, bytes) =
            first_line(&self.input[self.at..]).ok_or(Cut::Short { input_bytes: 0 })?;
        self.at += bytes;
        Ok(line)
    }
}

/// The number behind a sign, which says how long or how many.
#[inline]
fn number(line: &[u8], sign: u8, expected: &'static str) -> Result<usize, Cut> {
    let digits = line.split_first().and_then(|(first, rest)| (*first == sign).then_some(rest));
    digits.and_then(parse_decimal).ok_or_else(|| wrong(expected, line))
}

/// An error is told as what it is, wherever it comes.
#[cold]
fn wrong(expected: &'static str, line: &[u8]) -> Cut {
    Cut::Wrong(match line.strip_prefix(b"-") {
        Some(message) => refusal(message),
        None => DriverError::unexpected(expected, &String::from_utf8_lossy(line)),
    })
}

fn refusal(message: &[u8]) -> DriverError {
    let text = String::from_utf8_lossy(message);
    let (code, message) = text.split_once(' ').unwrap_or((&text, "nothing more was said"));
    DriverError::Refused { code: code.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        let mut command = Vec::new();
        append_command(&[b"PUBLISH", b"t"], &mut command);
        assert_eq!(command, b"*2\r\n$7\r\nPUBLISH\r\n$1\r\nt\r\n");
        assert_eq!(command_head(&[b"PUBLISH"]), b"*2\r\n$7\r\nPUBLISH\r\n$");
    }

    #[test]
    fn an_error_reply_keeps_its_code_and_its_words() {
        let Ok(Reply::Refusal(error)) = Cursor::new(b"-OOM command not allowed\r\n").reply() else {
            panic!("expected a refusal");
        };
        assert_eq!(error.code(), "OOM");
        assert!(error.to_string().contains("command not allowed"), "{error}");
        let Err(Cut::Wrong(error)) = Cursor::new(b"-NOAUTH Authentication required.\r\n").array()
        else {
            panic!("expected a refusal");
        };
        assert_eq!(error.code(), "NOAUTH");
    }

    #[test]
    fn a_bulk_string_is_there_when_its_last_byte_is() {
        let reply = b"$3\r\n1-0\r\n$3";
        for cut in 0..9 {
            let read = Cursor::new(&reply[..cut]).bulk();
            assert!(matches!(read, Err(Cut::Short { .. })), "{cut} bytes: {read:?}");
        }
        let mut cursor = Cursor::new(reply);
        assert_eq!((cursor.bulk().unwrap(), cursor.at()), (&b"1-0"[..], 9));
        assert!(matches!(Cursor::new(b"$x\r\n").bulk(), Err(Cut::Wrong(_))));
        assert!(matches!(Cursor::new(b"$1\r\nabc").bulk(), Err(Cut::Wrong(_))));
    }
}
