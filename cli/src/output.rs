//! What is printed: lines for people, or one JSON object a line for programs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use client_api::Headers;
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

/// A message, and what of it is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) offset: u64,
    pub(crate) payload: &'a [u8],
    /// How often it was delivered, where that is counted.
    pub(crate) deliveries: Option<u32>,
    /// Its headers, where they were asked for.
    pub(crate) headers: Option<Headers<'a>>,
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

    /// Prints a message: its bytes as they are, after its headers where they are to be shown, or
    /// an object with its offset.
    pub(crate) fn message(&mut self, message: &Shown<'_>) -> io::Result<()> {
        let headers = message.headers.map(headers_object);
        match self.format {
            Format::Plain => {
                if let Some(headers) = headers {
                    write!(self.writer, "{headers}\t")?;
                }
                self.writer.write_all(message.payload)?;
                self.writer.write_all(b"\n")
            }
            Format::Json => {
                let payload = text_or_base64(message.payload);
                let mut object = json!({ "offset": message.offset, "message": payload });
                if let Some(headers) = headers {
                    object["headers"] = headers;
                }
                if let Some(deliveries) = message.deliveries {
                    object["deliveries"] = deliveries.into();
                }
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

/// Of headers with the same key, the last.
fn headers_object(headers: Headers<'_>) -> Value {
    headers.map(|(key, value)| (key.to_owned(), text_or_base64(value))).collect()
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
