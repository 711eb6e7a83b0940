//! What is printed: lines for people, or one JSON object a line for programs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use std::io::{self, BufWriter, StdoutLock, Write};

/// Who reads the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// People, and programs that take lines.
    Plain,
    /// Programs.
    Json,
}

/// Standard output.
#[derive(Debug)]
pub(crate) struct Output {
    writer: BufWriter<StdoutLock<'static>>,
    format: Format,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { writer: BufWriter::new(io::stdout().lock()), format }
    }

    /// Prints a line for people, or an object for programs.
    pub(crate) fn line(&mut self, plain: &str, object: &Value) -> io::Result<()> {
        match self.format {
            Format::Plain => writeln!(self.writer, "{plain}"),
            Format::Json => writeln!(self.writer, "{object}"),
        }
    }

    /// Prints a message: its bytes as they are, or an object with its offset.
    pub(crate) fn message(&mut self, offset: u64, payload: &[u8]) -> io::Result<()> {
        match self.format {
            Format::Plain => {
                self.writer.write_all(payload)?;
                self.writer.write_all(b"\n")
            }
            Format::Json => {
                let object = json!({ "offset": offset, "message": text_or_base64(payload) });
                writeln!(self.writer, "{object}")
            }
        }
    }

    /// Prints a remark about messages: on standard error for people, where it is in no one's way.
    pub(crate) fn remark(&mut self, plain: &str, object: &Value) -> io::Result<()> {
        match self.format {
            Format::Plain => {
                self.writer.flush()?;
                // Messages go on where no one listens to remarks.
                let _unheard = writeln!(io::stderr(), "{plain}");
                Ok(())
            }
            Format::Json => writeln!(self.writer, "{object}"),
        }
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Text as it is, other bytes in base64: never lossily.
fn text_or_base64(payload: &[u8]) -> Value {
    match std::str::from_utf8(payload) {
        Ok(text) => Value::from(text),
        Err(_) => json!({ "base64": BASE64.encode(payload) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_given_in_base64() {
        assert_eq!(text_or_base64("Größe".as_bytes()), json!("Größe"));
        assert_eq!(text_or_base64(&[0xff, 0]), json!({ "base64": "/wA=" }));
    }
}
