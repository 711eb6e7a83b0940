//! What a NATS server says, line by line.
//!
//! ```text
//! INFO {json}\r\n          PING\r\n          PONG\r\n          +OK\r\n          -ERR 'sentence'\r\n
//! MSG subject subscription [reply] bytes\r\n payload \r\n
//! HMSG subject subscription [reply] head_bytes bytes\r\n head payload \r\n
//! ```
//!
//! `bytes` counts the head too. Where there is no reply subject, two spaces may stand.
//! Protocol: <https://docs.nats.io/reference/reference-protocols/nats-protocol>.

use crate::drivers::DriverError;
use memchr::memchr;

pub(in crate::wire) const LINE_END: &[u8] = b"\r\n";
pub(in crate::wire) const PING: &[u8] = b"PING\r\n";
pub(in crate::wire) const PONG: &[u8] = b"PONG\r\n";

/// Who connects: nothing but PING is to be answered, headers are understood, and a request that
/// nobody hears is answered with 503.
pub(in crate::wire) const CONNECT: &[u8] = b"CONNECT {\"verbose\":false,\"pedantic\":false,\
    \"tls_required\":false,\"lang\":\"rust\",\"version\":\"0\",\"name\":\"harness\",\
    \"protocol\":1,\"headers\":true,\"no_responders\":true}\r\n";

/// The longest line that is waited for; INFO of a large cluster is the longest there is.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// The largest message that is read; a server's own limit is 64 MiB at most.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One thing that a server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum Said<'a> {
    /// A message of a subscription.
    Message(NatsMessage<'a>),
    /// It wants PONG.
    Ping,
    /// What was sent before PING is taken in.
    Pong,
    /// What it says of itself, as JSON.
    Info(&'a [u8]),
    /// Nothing that anyone here needs.
    News,
}

/// A message of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) struct NatsMessage<'a> {
    /// The number that SUB gave.
    pub(in crate::wire) subscription: u32,
    /// The status line and the headers; empty where there are none.
    pub(in crate::wire) head: &'a [u8],
    pub(in crate::wire) payload: &'a [u8],
}

impl<'a> NatsMessage<'a> {
    /// Its status where it is the server's own word, e.g. `404 No Messages`.
    pub(in crate::wire) fn status(&self) -> Option<&'a str> {
        let line = self.head.strip_prefix(b"NATS/1.0")?;
        let line = &line[..memchr(b'\r', line)?];
        let status = std::str::from_utf8(line).ok()?.trim();
        (!status.is_empty()).then_some(status)
    }
}

/// What an input begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum LineStep<'a> {
    /// Something whole, and how many bytes it took.
    Said { used: usize, said: Said<'a> },
    /// Nothing whole before the input is this long, as far as that is known.
    NeedMore { input_bytes: usize },
}

/// What the input begins with.
///
/// # Errors
/// [`DriverError::Refused`] for `-ERR`, [`DriverError::Unexpected`] for what is not NATS.
#[inline]
pub(in crate::wire) fn next_said(input: &[u8]) -> Result<LineStep<'_>, DriverError> {
    let Some(end) = memchr(b'\n', input) else {
        return match input.len() > LINE_BYTES_MAX {
            true => Err(not_nats(&input[..LINE_END.len()])),
            false => Ok(LineStep::NeedMore { input_bytes: input.len() + 1 }),
        };
    };
    let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
    let used = end + 1;
    if let Some(arguments) = line.strip_prefix(b"MSG ") {
        let head = parse_message_line(arguments, 1).ok_or_else(|| not_nats(line))?;
        return message(input, used, head);
    }
    other_said(input, line, used)
}

#[cold]
fn other_said<'a>(
    input: &'a [u8],
    line: &'a [u8],
    used: usize,
) -> Result<LineStep<'a>, DriverError> {
    let said = match line {
        b"PING" => Said::Ping,
        b"PONG" => Said::Pong,
        b"+OK" => Said::News,
        _ if line.starts_with(b"HMSG ") => {
            let head = parse_message_line(&line[5..], 2).ok_or_else(|| not_nats(line))?;
            return message(input, used, head);
        }
        _ if line.starts_with(b"INFO ") => Said::Info(&line[5..]),
        _ if line.starts_with(b"-ERR") => {
            let message = String::from_utf8_lossy(&line[4..]).trim().to_owned();
            return Err(DriverError::Refused { code: "nats_error".to_owned(), message });
        }
        _ => return Err(not_nats(line)),
    };
    Ok(LineStep::Said { used, said })
}

/// Subscription, bytes of head, and bytes of head and payload together.
type MessageLine = (u32, usize, usize);

/// What follows MSG or HMSG, with this many numbers of bytes at its end.
#[inline]
fn parse_message_line(arguments: &[u8], sizes: usize) -> Option<MessageLine> {
    let after_subject = &arguments[memchr(b' ', arguments)? + 1..];
    let subscription = number(&after_subject[..memchr(b' ', after_subject)?])?;
    let (rest, bytes) = last_word(after_subject)?;
    let bytes = number(bytes)?;
    let head_bytes = match sizes {
        1 => 0,
        _ => number(last_word(rest)?.1)?,
    };
    if head_bytes > bytes || bytes > MESSAGE_BYTES_MAX {
        return None;
    }
    Some((u32::try_from(subscription).ok()?, head_bytes, bytes))
}

#[inline]
fn last_word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = text.iter().rposition(|&byte| byte == b' ')?;
    Some((&text[..space], &text[space + 1..]))
}

#[inline]
fn number(digits: &[u8]) -> Option<usize> {
    const DIGITS_MAX: usize = 9;
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    digits.iter().try_fold(0, |value, digit| {
        digit.is_ascii_digit().then(|| value * 10 + usize::from(digit - b'0'))
    })
}

/// The message whose line ends at `line_bytes`.
#[inline]
fn message(
    input: &[u8],
    line_bytes: usize,
    line: MessageLine,
) -> Result<LineStep<'_>, DriverError> {
    let (subscription, head_bytes, bytes) = line;
    let used = line_bytes + bytes + LINE_END.len();
    let Some(message) = input.get(line_bytes..used) else {
        return Ok(LineStep::NeedMore { input_bytes: used });
    };
    let Some(message) = message.strip_suffix(LINE_END) else {
        const EXPECTED: &str = "the end of a message as long as it says";
        return Err(DriverError::unexpected(EXPECTED, &String::from_utf8_lossy(&input[..used])));
    };
    let (head, payload) = message.split_at(head_bytes);
    let said = Said::Message(NatsMessage { subscription, head, payload });
    Ok(LineStep::Said { used, said })
}

#[cold]
fn not_nats(line: &[u8]) -> DriverError {
    DriverError::unexpected("a line as NATS has them", &String::from_utf8_lossy(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], expected: Said<'_>) {
        let found = next_said(input).unwrap();
        assert_eq!(found, LineStep::Said { used: input.len(), said: expected });
        for end in 0..input.len() {
            let found = next_said(&input[..end]).unwrap();
            let LineStep::NeedMore { input_bytes } = found else { panic!("{found:?}") };
            assert!((end + 1..=input.len()).contains(&input_bytes), "{input_bytes}");
        }
    }

    fn message_of<'a>(subscription: u32, head: &'a [u8], payload: &'a [u8]) -> Said<'a> {
        Said::Message(NatsMessage { subscription, head, payload })
    }

    #[test]
    fn what_a_server_says_is_told_line_by_line() {
        check(b"PONG\r\n", Said::Pong);
        check(b"PING\r\n", Said::Ping);
        check(b"INFO {\"version\":\"2.9.10\"} \r\n", Said::Info(b"{\"version\":\"2.9.10\"} "));
        check(b"+OK\r\n", Said::News);
        check(b"MSG a.b 12 3\r\nx\ny\r\n", message_of(12, b"", b"x\ny"));
        check(b"MSG a 1  0\r\n\r\n", message_of(1, b"", b""));
        check(b"MSG a 2 $JS.ACK.S.c.1.1.1.1.0 1\r\nx\r\n", message_of(2, b"", b"x"));
    }

    #[test]
    fn a_head_is_told_from_the_payload_and_has_a_status_where_the_server_speaks() {
        let head = b"NATS/1.0 404 No Messages\r\n\r\n";
        check(b"HMSG a 2  28 28\r\nNATS/1.0 404 No Messages\r\n\r\n\r\n", message_of(2, head, b""));
        let message = NatsMessage { subscription: 2, head, payload: b"" };
        assert_eq!(message.status(), Some("404 No Messages"));
        let head = b"NATS/1.0\r\nA: b\r\n\r\n";
        check(b"HMSG a 2 r 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nxy\r\n", message_of(2, head, b"xy"));
        assert_eq!(NatsMessage { subscription: 2, head, payload: b"xy" }.status(), None);
    }

    #[test]
    fn what_is_not_nats_is_an_error_that_shows_it() {
        let error = next_said(b"-ERR 'Slow Consumer'\r\n").unwrap_err();
        assert!(error.to_string().contains("'Slow Consumer'"), "{error}");
        for line in ["HTTP/1.1 400\r\n", "MSG a 1 x\r\n", "MSG a 1 99999999999\r\n", "MSG a\r\n"] {
            let error = next_said(line.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(line.trim()), "{error}");
        }
        assert!(next_said(b"HMSG a 1 9 3\r\n").is_err());
        assert!(next_said(b"MSG a 1 1\r\nabc\r\n").is_err());
        assert!(next_said(&vec![b'x'; LINE_BYTES_MAX + 1]).is_err());
    }
}
