//! The fields of AMQP 0-9-1 methods: big-endian integers, and texts and tables behind their lengths.
//!
//! ```text
//! short text   0        1                     long text, table   0            4
//!              +--------+----------           +------------+------------------
//!              | length | text                | length     | text, or pairs
//!              +--------+----------           +------------+------------------
//!
//! pair of a table
//! +------------+------+---------
//! | short text | type | value         types: t a bit as u8, l i64, S long text, F table
//! +------------+------+---------
//! ```
//!
//! AMQP 0-9-1 §4.2.5, and RabbitMQ's errata on the types of values
//! (<https://www.rabbitmq.com/amqp-0-9-1-errata>).

use crate::drivers::DriverError;

/// The longest short text.
const SHORT_TEXT_BYTES_MAX: usize = 255;

/// Appends a short text. What is longer than one may be is cut.
pub(super) fn put_short_text(text: &str, output: &mut Vec<u8>) {
    let bytes = &text.as_bytes()[..text.len().min(SHORT_TEXT_BYTES_MAX)];
    output.push(bytes.len() as u8);
    output.extend_from_slice(bytes);
}

/// Appends a long text.
pub(super) fn put_long_text(text: &[u8], output: &mut Vec<u8>) {
    output.extend_from_slice(&(text.len() as u32).to_be_bytes());
    output.extend_from_slice(text);
}

/// A value in a table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Bit(bool),
    Integer(i64),
    Text(&'a str),
    Table(&'a [(&'a str, Value<'a>)]),
}

/// Appends a table.
pub(super) fn put_table(pairs: &[(&str, Value<'_>)], output: &mut Vec<u8>) {
    let length_at = output.len();
    output.extend_from_slice(&[0; 4]);
    for (name, value) in pairs {
        put_short_text(name, output);
        match value {
            Value::Bit(bit) => output.extend_from_slice(&[b't', u8::from(*bit)]),
            Value::Integer(integer) => {
                output.push(b'l');
                output.extend_from_slice(&integer.to_be_bytes());
            }
            Value::Text(text) => {
                output.push(b'S');
                put_long_text(text.as_bytes(), output);
            }
            Value::Table(pairs) => {
                output.push(b'F');
                put_table(pairs, output);
            }
        }
    }
    let length = (output.len() - length_at - 4) as u32;
    output[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
}

/// Reads fields one after the other.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DriverError> {
        let Some((array, rest)) = self.rest.split_first_chunk() else { return Err(cut()) };
        self.rest = rest;
        Ok(*array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DriverError> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, DriverError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, DriverError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, DriverError> {
        self.array().map(u64::from_be_bytes)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], DriverError> {
        let Some((bytes, rest)) = self.rest.split_at_checked(length) else { return Err(cut()) };
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn short_text(&mut self) -> Result<&'a [u8], DriverError> {
        let length = self.u8()?;
        self.bytes(usize::from(length))
    }

    /// A long text, or a table as it came.
    pub(super) fn long_text(&mut self) -> Result<&'a [u8], DriverError> {
        let length = self.u32()?;
        self.bytes(length as usize)
    }
}

#[cold]
fn cut() -> DriverError {
    DriverError::unexpected("a method with all its fields", &"one that is cut short")
}
