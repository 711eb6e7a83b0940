//! A batch of messages: the bytes that a publication, the log and a delivery share.
//!
//! ```text
//! batch   := record*
//! record  := length (u32, little-endian) | [headers_bytes (u32) | headers] | payload
//! headers := (key_bytes (u16) | key (UTF-8) | value_bytes (u16) | value)+
//!
//!   0        4                4+length
//!   +--------+----------------+--------+-----
//!   | length | payload        | length | ...       the highest bit of length is 0
//!   +--------+----------------+--------+-----
//!
//!   0        4               8         8+headers_bytes    4+length
//!   +--------+---------------+---------+------------------+--------+-----
//!   | length | headers_bytes | headers | payload          | length | ...    the highest bit is 1
//!   +--------+---------------+---------+------------------+--------+-----
//! ```
//!
//! The low 30 bits of `length` count all of the record after itself; the second highest bit is
//! reserved and zero. So a message, its headers included, is shorter than 1 GiB. A record without
//! headers has no `headers_bytes`.
//! Offsets are not written: the record at index `i` of a batch that begins at offset `b` has
//! the offset `b + i`.

mod headers;

pub use headers::{Headers, Record};

use crate::{Code, Refusal};

/// Bytes of a record's length, before its headers and payload.
pub const RECORD_HEADER_BYTES: usize = 4;

/// The longest message, headers and payload, that a record's length can say.
pub const PAYLOAD_BYTES_MAX: usize = (1 << 30) - 1;

/// The bit of a record's length that says that it begins with headers.
const HAS_HEADERS: u32 = 1 << 31;

/// A run of whole records, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    bytes: &'a [u8],
    count: u32,
}

impl<'a> Batch<'a> {
    /// Checks that `bytes` are exactly `count` records, each message, its headers included, at
    /// most `message_bytes_max`.
    ///
    /// # Errors
    /// [`Code::MalformedFrame`] where a record runs past the end, its headers are not what they
    /// say, or the count is another; [`Code::InvalidUtf8`] where a header's key is not text;
    /// [`Code::MessageTooLarge`] where a message is over the limit.
    pub fn check(bytes: &'a [u8], count: u32, message_bytes_max: usize) -> Result<Self, Refusal> {
        let message_bytes_max = message_bytes_max.min(PAYLOAD_BYTES_MAX);
        let mut rest = bytes;
        let mut found = 0u32;
        while let Some((header, tail)) = rest.split_first_chunk::<RECORD_HEADER_BYTES>() {
            let mut length = u32::from_le_bytes(*header) as usize;
            // The bit for headers makes any length larger than the limit, so that a record
            // without them is not asked for it.
            if length > message_bytes_max {
                length = check_over_limit(found, length, tail, message_bytes_max)?;
            }
            let Some(next) = tail.get(length..) else {
                return Err(cut_short(found, length, tail.len()));
            };
            rest = next;
            found += 1;
        }
        if !rest.is_empty() {
            return Err(cut_short(found, RECORD_HEADER_BYTES, rest.len()));
        }
        if found != count {
            return Err(Refusal::new(
                Code::MalformedFrame,
                format!("expected {count} records as the frame says, found {found}"),
            ));
        }
        Ok(Self { bytes, count })
    }

    /// Takes bytes that were checked before, such as a piece of the log.
    #[must_use]
    pub fn trusted(bytes: &'a [u8], count: u32) -> Self {
        debug_assert_eq!(Self::check(bytes, count, PAYLOAD_BYTES_MAX).map(|b| b.count), Ok(count));
        Self { bytes, count }
    }

    /// How many messages it holds.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Its bytes as they travel.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The payloads, oldest first.
    #[must_use]
    pub fn payloads(&self) -> Payloads<'a> {
        payloads(self.bytes)
    }

    /// The messages with their headers, oldest first.
    #[must_use]
    pub fn records(&self) -> Records<'a> {
        records(self.bytes)
    }
}

/// Checks a record that has headers or is too large, or both; gives its length.
#[inline(never)]
fn check_over_limit(
    index: u32,
    length: usize,
    tail: &[u8],
    message_bytes_max: usize,
) -> Result<usize, Refusal> {
    let has_headers = length as u32 & HAS_HEADERS != 0;
    let length = (length as u32 & !HAS_HEADERS) as usize;
    if length > message_bytes_max {
        return Err(too_large(length, message_bytes_max));
    }
    debug_assert!(has_headers, "only a length with this bit is over the limit without it");
    let body = tail.get(..length).ok_or_else(|| cut_short(index, length, tail.len()))?;
    headers::check_headers(index, body)?;
    Ok(length)
}

/// The first record of `bytes`, whole records that were checked before, and what follows it.
#[inline]
fn split_record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (header, tail) = bytes.split_first_chunk::<RECORD_HEADER_BYTES>()?;
    let length = u32::from_le_bytes(*header);
    let (body, rest) = tail.split_at_checked((length & !HAS_HEADERS) as usize)?;
    let record = match length & HAS_HEADERS {
        0 => Record { headers: Headers::default(), payload: body },
        _ => Record::with_headers(body)?,
    };
    Some((record, rest))
}

/// The messages in `bytes`, whole records that were checked before, with their headers.
#[must_use]
pub fn records(bytes: &[u8]) -> Records<'_> {
    Records { rest: bytes }
}

/// Iterates over the messages of a [`Batch`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// The records that were not given yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let (record, rest) = split_record(self.rest)?;
        self.rest = rest;
        Some(record)
    }
}

/// The payloads in `bytes`, whole records that were checked before.
#[must_use]
pub fn payloads(bytes: &[u8]) -> Payloads<'_> {
    Payloads { records: records(bytes) }
}

/// Iterates over the payloads of a [`Batch`].
#[derive(Clone, Debug)]
pub struct Payloads<'a> {
    records: Records<'a>,
}

impl<'a> Iterator for Payloads<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.records.next().map(|record| record.payload)
    }
}

/// How far into `bytes`, whole records, one may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Bytes of the whole records taken.
    pub bytes: usize,
    /// How many records these are.
    pub count: u32,
}

/// The longest run of whole records at the start of `bytes` that is at most `bytes_max` bytes
/// and `count_max` records.
#[must_use]
pub fn prefix(bytes: &[u8], bytes_max: usize, count_max: u32) -> Prefix {
    let mut taken = Prefix { bytes: 0, count: 0 };
    while taken.count < count_max {
        let Some((header, _)) = bytes[taken.bytes..].split_first_chunk::<RECORD_HEADER_BYTES>()
        else {
            break;
        };
        let length = (u32::from_le_bytes(*header) & !HAS_HEADERS) as usize;
        let end = taken.bytes + RECORD_HEADER_BYTES + length;
        if end > bytes_max || end > bytes.len() {
            break;
        }
        taken = Prefix { bytes: end, count: taken.count + 1 };
    }
    taken
}

/// Builds a batch, message by message.
#[derive(Clone, Debug, Default)]
pub struct BatchBuilder {
    bytes: Vec<u8>,
    count: u32,
}

impl BatchBuilder {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message.
    ///
    /// # Errors
    /// [`Code::MessageTooLarge`] past [`PAYLOAD_BYTES_MAX`].
    pub fn push(&mut self, payload: &[u8]) -> Result<(), Refusal> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(too_large(payload.len(), PAYLOAD_BYTES_MAX));
        }
        self.bytes.extend_from_slice(&record_header(payload.len()));
        self.bytes.extend_from_slice(payload);
        self.count += 1;
        Ok(())
    }

    /// Adds a message with headers, in their order.
    ///
    /// # Errors
    /// [`Code::InvalidValue`] where a key or a value is longer than 65 535 bytes;
    /// [`Code::MessageTooLarge`] past [`PAYLOAD_BYTES_MAX`], headers included.
    pub fn push_with_headers<'h>(
        &mut self,
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        payload: &[u8],
    ) -> Result<(), Refusal> {
        let mut headers = headers.into_iter().peekable();
        if headers.peek().is_none() {
            return self.push(payload);
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; RECORD_HEADER_BYTES]);
        let put = headers::put_headers(headers, payload, &mut self.bytes);
        if let Err(refusal) = put {
            self.bytes.truncate(start);
            return Err(refusal);
        }
        let body = start + RECORD_HEADER_BYTES;
        let length = (self.bytes.len() - body) as u32 | HAS_HEADERS;
        self.bytes[start..body].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
        Ok(())
    }

    /// Adds a message whose headers are written already, as [`Headers::bytes`] gives them; at
    /// least one. Together they are at most [`PAYLOAD_BYTES_MAX`].
    ///
    /// # Errors
    /// [`Code::MessageTooLarge`] past [`PAYLOAD_BYTES_MAX`].
    #[inline]
    pub fn push_written(&mut self, headers: &[u8], payload: &[u8]) -> Result<(), Refusal> {
        debug_assert!(!headers.is_empty(), "a record that says it has headers has some");
        let body_bytes = headers::BLOCK_LENGTH_BYTES + headers.len() + payload.len();
        if body_bytes > PAYLOAD_BYTES_MAX {
            return Err(too_large(body_bytes, PAYLOAD_BYTES_MAX));
        }
        let length = body_bytes as u32 | HAS_HEADERS;
        self.bytes.reserve(RECORD_HEADER_BYTES + body_bytes);
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&(headers.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(headers);
        self.bytes.extend_from_slice(payload);
        self.count += 1;
        Ok(())
    }

    /// The batch so far.
    #[must_use]
    pub fn batch(&self) -> Batch<'_> {
        Batch { bytes: &self.bytes, count: self.count }
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }
}

/// The length field of a record without headers whose payload is `length` bytes, at most [`PAYLOAD_BYTES_MAX`].
#[must_use]
pub fn record_header(length: usize) -> [u8; RECORD_HEADER_BYTES] {
    debug_assert!(length <= PAYLOAD_BYTES_MAX);
    (length as u32).to_le_bytes()
}

/// The refusal of a message over a limit.
#[must_use]
pub fn too_large(length: usize, payload_bytes_max: usize) -> Refusal {
    Refusal::new(
        Code::MessageTooLarge,
        format!(
            "expected a message of at most {payload_bytes_max} bytes, found {length}; split it, or raise message_bytes_max"
        ),
    )
}

fn cut_short(index: u32, expected: usize, found: usize) -> Refusal {
    Refusal::new(
        Code::MalformedFrame,
        format!(
            "record {index} of the batch is cut short: expected {expected} bytes, found {found}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    type Message = (Vec<(String, Vec<u8>)>, Vec<u8>);

    /// Messages most of which have no headers.
    fn messages() -> impl Strategy<Value = Vec<Message>> {
        let header = ("\\PC{0,6}", vec(any::<u8>(), 0..6));
        let headers = prop_oneof![2 => Just(Vec::new()), 1 => vec(header, 0..4)];
        vec((headers, vec(any::<u8>(), 0..40)), 0..24)
    }

    fn built(messages: &[Message]) -> BatchBuilder {
        let mut builder = BatchBuilder::new();
        for (headers, payload) in messages {
            let headers = headers.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
            builder.push_with_headers(headers, payload).expect("small");
        }
        builder
    }

    fn read(batch: Batch<'_>) -> Vec<Message> {
        let owned = |(key, value): (&str, &[u8])| (key.to_owned(), value.to_vec());
        let message = |it: Record<'_>| (it.headers.map(owned).collect(), it.payload.to_vec());
        batch.records().map(message).collect()
    }

    proptest! {
        #[test]
        fn what_was_pushed_comes_out(messages in messages()) {
            let builder = built(&messages);
            let batch = builder.batch();
            prop_assert_eq!(Batch::check(batch.bytes(), batch.count(), 1 << 20), Ok(batch));
            prop_assert_eq!(read(batch), messages.clone());
            let payloads: Vec<_> = batch.payloads().map(<[u8]>::to_vec).collect();
            let pushed: Vec<_> = messages.into_iter().map(|(_, payload)| payload).collect();
            prop_assert_eq!(payloads, pushed);
        }

        #[test]
        fn a_prefix_is_whole_records_within_both_limits(
            messages in messages(), bytes_max in 0usize..4096, count_max in 0u32..64,
        ) {
            let builder = built(&messages);
            let all = builder.batch();
            let taken = prefix(all.bytes(), bytes_max, count_max);
            prop_assert!(taken.bytes <= bytes_max && taken.count <= count_max);
            let head = Batch::check(&all.bytes()[..taken.bytes], taken.count, 1 << 20);
            prop_assert!(head.is_ok());
            let next = prefix(all.bytes(), usize::MAX, taken.count + 1);
            let could_take_more = next.count > taken.count
                && next.bytes <= bytes_max && next.count <= count_max;
            prop_assert!(!could_take_more);
        }

        #[test]
        fn no_bytes_make_the_check_panic(
            bytes in vec(prop_oneof![3 => 0u8..8, 1 => any::<u8>(), 1 => Just(0x80)], 0..60),
            count: u32,
        ) {
            let counted = prefix(&bytes, usize::MAX, u32::MAX).count;
            for count in [count, counted] {
                if let Ok(batch) = Batch::check(&bytes, count, 1 << 20) {
                    prop_assert_eq!(batch.payloads().count(), count as usize);
                    let again = built(&read(batch));
                    prop_assert_eq!(again.batch(), batch, "there is one way to write it");
                }
            }
        }
    }

    #[test]
    fn a_wrong_batch_is_named() {
        let builder = built(&[(vec![], vec![1, 2, 3]), (vec![], vec![])]);
        let bytes = builder.batch().bytes();
        let code = |bytes, count, max| Batch::check(bytes, count, max).expect_err("wrong").code;
        assert_eq!(code(bytes, 3, 100), Code::MalformedFrame);
        assert_eq!(code(&bytes[..bytes.len() - 1], 2, 100), Code::MalformedFrame);
        assert_eq!(code(bytes, 2, 2), Code::MessageTooLarge);
        assert_eq!(code(&[0, 0, 0, 0x40], 1, usize::MAX), Code::MessageTooLarge);
    }

    #[test]
    fn wrong_headers_are_named() {
        let headers = vec![("key".to_owned(), b"value".to_vec())];
        let good = built(&[(headers, b"payload".to_vec())]);
        let good = good.batch().bytes();
        let body_bytes = good.len() - RECORD_HEADER_BYTES;
        assert!(Batch::check(good, 1, body_bytes).is_ok(), "headers count to the message");
        let code = |bytes: &[u8], max| Batch::check(bytes, 1, max).expect_err("wrong").code;
        assert_eq!(code(good, body_bytes - 1), Code::MessageTooLarge);
        let wrong = |at: usize, byte: u8| {
            let mut bytes = good.to_vec();
            bytes[at] = byte;
            code(&bytes, 1 << 20)
        };
        let (headers_bytes_at, key_bytes_at, key_at) = (4, 8, 10);
        assert_eq!(wrong(headers_bytes_at, 0), Code::MalformedFrame);
        assert_eq!(wrong(headers_bytes_at, 200), Code::MalformedFrame);
        assert_eq!(wrong(headers_bytes_at, 11), Code::MalformedFrame);
        assert_eq!(wrong(key_bytes_at, 4), Code::MalformedFrame);
        assert_eq!(wrong(key_at, 0xFF), Code::InvalidUtf8);
    }

    #[test]
    fn a_header_too_long_for_its_field_leaves_the_batch_as_it_was() {
        let mut builder = built(&[(vec![], vec![1])]);
        let long = vec![0; 1 << 16];
        let refusal = builder.push_with_headers([("key", &long[..])], b"payload");
        assert_eq!(refusal.expect_err("too long").code, Code::InvalidValue);
        assert_eq!(builder.batch(), built(&[(vec![], vec![1])]).batch());
    }

    #[test]
    fn a_header_is_found_by_its_key() {
        let headers = [("a", "1"), ("b", "2"), ("a", "3")].map(|(k, v)| (k.to_owned(), v.into()));
        let builder = built(&[(headers.to_vec(), vec![])]);
        let record = builder.batch().records().next().expect("a record");
        assert_eq!(record.headers.value_of("a"), Some(&b"1"[..]));
        assert_eq!(record.headers.value_of("c"), None);
    }
}
