//! The headers of a message: keys and values beside its payload.

use super::{PAYLOAD_BYTES_MAX, cut_short};
use crate::{Code, Refusal};

/// Bytes of the field that says how long a record's headers are.
pub(super) const BLOCK_LENGTH_BYTES: usize = 4;

/// Bytes of the field that says how long a key or a value is.
const FIELD_LENGTH_BYTES: usize = 2;

/// The headers of one message, in the order in which they were written. A key may occur more
/// than once. Iterates over keys and values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a> {
    rest: &'a [u8],
}

impl<'a> Headers<'a> {
    /// Takes bytes that were checked before: those of [`bytes`](Self::bytes).
    #[must_use]
    pub fn trusted(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The value of the first header with this key.
    #[must_use]
    pub fn value_of(&self, key: &str) -> Option<&'a [u8]> {
        let mut headers = *self;
        headers.find(|(found, _)| *found == key).map(|(_, value)| value)
    }

    /// Their bytes as they travel.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, rest) = split_field(self.rest)?;
        let (value, rest) = split_field(rest)?;
        self.rest = rest;
        Some((std::str::from_utf8(key).ok()?, value))
    }
}

/// One message of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What goes with the payload.
    pub headers: Headers<'a>,
    /// What was published.
    pub payload: &'a [u8],
}

impl<'a> Record<'a> {
    /// Takes apart what follows the length of a record that begins with headers.
    pub(super) fn with_headers(body: &'a [u8]) -> Option<Self> {
        let (length, rest) = body.split_first_chunk::<BLOCK_LENGTH_BYTES>()?;
        let (headers, payload) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        Some(Self { headers: Headers { rest: headers }, payload })
    }
}

/// Checks what follows the length of record `index`, which begins with headers.
pub(super) fn check_headers(index: u32, body: &[u8]) -> Result<(), Refusal> {
    let Some((length, rest)) = body.split_first_chunk::<BLOCK_LENGTH_BYTES>() else {
        return Err(cut_short(index, BLOCK_LENGTH_BYTES, body.len()));
    };
    let length = u32::from_le_bytes(*length) as usize;
    let Some(mut block) = rest.get(..length) else {
        return Err(cut_short(index, length, rest.len()));
    };
    if block.is_empty() {
        return Err(Refusal::new(
            Code::MalformedFrame,
            format!("record {index} of the batch says that it has headers, and has none"),
        ));
    }
    while !block.is_empty() {
        let Some((key, value)) = split_field(block).and_then(|(key, rest)| {
            let (_, after) = split_field(rest)?;
            Some((key, after))
        }) else {
            return Err(Refusal::new(
                Code::MalformedFrame,
                format!("the headers of record {index} of the batch are cut short"),
            ));
        };
        if std::str::from_utf8(key).is_err() {
            return Err(Refusal::new(
                Code::InvalidUtf8,
                format!("record {index} of the batch has a header whose key is not UTF-8"),
            ));
        }
        block = value;
    }
    Ok(())
}

/// Writes what follows the length of a record with headers.
///
/// # Errors
/// [`Code::InvalidValue`] where a key or a value is longer than its length field can say;
/// [`Code::MessageTooLarge`] past [`PAYLOAD_BYTES_MAX`].
pub(super) fn put_headers<'h>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let start = out.len();
    out.extend_from_slice(&[0; BLOCK_LENGTH_BYTES]);
    for (key, value) in headers {
        for field in [key.as_bytes(), value] {
            let length = u16::try_from(field.len()).map_err(|_| field_too_long(field.len()))?;
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(field);
        }
    }
    let length = out.len() - start - BLOCK_LENGTH_BYTES;
    let body_bytes = BLOCK_LENGTH_BYTES.saturating_add(length).saturating_add(payload.len());
    if body_bytes > PAYLOAD_BYTES_MAX {
        return Err(super::too_large(body_bytes, PAYLOAD_BYTES_MAX));
    }
    out[start..start + BLOCK_LENGTH_BYTES].copy_from_slice(&(length as u32).to_le_bytes());
    out.extend_from_slice(payload);
    Ok(())
}

fn split_field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<FIELD_LENGTH_BYTES>()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))
}

fn field_too_long(length: usize) -> Refusal {
    Refusal::new(
        Code::InvalidValue,
        format!("expected a header's key and value of at most 65535 bytes, found {length}"),
    )
}
