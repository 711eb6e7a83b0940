//! What is read, piece by piece: the walk that all drivers' conversations share.

use super::EncodedBatch;
use crate::drivers::DriverError;

/// Hands over what is left of the input until nothing whole is left of it. `take` says how many
/// bytes it used of what it was handed, and 0 if what that begins with is not all there yet.
#[inline]
pub(super) fn take_pieces<'a>(
    input: &'a [u8],
    mut take: impl FnMut(&'a [u8]) -> Result<usize, DriverError>,
) -> Result<usize, DriverError> {
    let mut used = 0;
    loop {
        match take(&input[used..])? {
            0 => return Ok(used),
            bytes => used += bytes,
        }
    }
}

/// All that the delivery before had in front of its payload, and how long that was.
///
/// A subscriber is sent the same head over and over, so what begins with it is a delivery with a
/// payload as long as the one before, and need not be parsed again. It holds for any protocol
/// whose head says the payload's length and nothing of the message itself.
#[derive(Debug)]
pub(super) struct RepeatedHead {
    head: Vec<u8>,
    payload_bytes: usize,
    /// What follows each payload, and has always the same length.
    tail_bytes: usize,
}

impl RepeatedHead {
    /// None was seen yet.
    pub(super) fn new(tail_bytes: usize) -> Self {
        Self { head: Vec::new(), payload_bytes: 0, tail_bytes }
    }

    /// The payload of the delivery that the input begins with, and how many bytes it takes;
    /// `None` if it has another head, or is not all there.
    #[inline]
    pub(super) fn next<'a>(&self, input: &'a [u8]) -> Option<(&'a [u8], usize)> {
        if self.head.is_empty() {
            return None;
        }
        let message_bytes = self.head.len() + self.payload_bytes + self.tail_bytes;
        let message = input.get(..message_bytes)?;
        let rest = message.strip_prefix(self.head.as_slice())?;
        Some((&rest[..self.payload_bytes], message_bytes))
    }

    /// A delivery with another head was parsed.
    #[inline]
    pub(super) fn remember(&mut self, head: &[u8], payload_bytes: usize) {
        self.head.clear();
        self.head.extend_from_slice(head);
        self.payload_bytes = payload_bytes;
    }
}

/// A number as decimal digits, made without formatting.
pub(super) struct Decimal {
    digits: [u8; Self::DIGITS_MAX],
    start: usize,
}

impl Decimal {
    const DIGITS_MAX: usize = 20;

    #[inline]
    pub(super) fn new(mut number: usize) -> Self {
        let (mut digits, mut start) = ([b'0'; Self::DIGITS_MAX], Self::DIGITS_MAX);
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Self { digits, start };
            }
        }
    }

    #[inline]
    pub(super) fn digits(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

/// The number that decimal digits, and nothing else, say.
#[inline]
pub(super) fn parse_decimal(digits: &[u8]) -> Option<usize> {
    let add = |number: usize, digit: &u8| match digit {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(usize::from(digit - b'0')),
        _ => None,
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, add) }
}

/// The first line without its end, and how many bytes it takes with it.
#[inline]
pub(super) fn first_line(input: &[u8]) -> Option<(&[u8], usize)> {
    let end = input.iter().position(|&byte| byte == b'\n')?;
    Some((input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]), end + 1))
}

pub(super) const LINE_END: &[u8] = b"\r\n";

/// Messages of the text protocols: what names the topic, the payload's length in digits, and the
/// payload, each on a line.
pub(super) struct TextEncoder {
    /// By topic: what comes before the length.
    heads: Vec<Vec<u8>>,
    /// What ends a publication.
    end: &'static [u8],
}

impl TextEncoder {
    pub(super) fn new(heads: Vec<Vec<u8>>) -> Self {
        Self { heads, end: b"" }
    }

    pub(super) fn ending_in(self, end: &'static [u8]) -> Self {
        Self { end, ..self }
    }
}

impl super::Encoder for TextEncoder {
    fn encode(&mut self, topic: u32, payloads: &[&[u8]], batch: &mut EncodedBatch) {
        let head = &self.heads[topic as usize];
        for payload in payloads {
            batch.raw(head);
            batch.raw(Decimal::new(payload.len()).digits());
            batch.raw(LINE_END);
            batch.payload(payload);
            batch.raw(LINE_END);
        }
        batch.raw(self.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_and_read_as_digits() {
        for number in [0, 9, 10, 1_048_576, usize::MAX] {
            let decimal = Decimal::new(number);
            assert_eq!(decimal.digits(), number.to_string().as_bytes());
            assert_eq!(parse_decimal(decimal.digits()), Some(number));
        }
        for wrong in [&b""[..], b"-1", b"1x", b"99999999999999999999"] {
            assert_eq!(parse_decimal(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_head_that_comes_again_need_not_be_parsed() {
        let mut repeated = RepeatedHead::new(2);
        assert_eq!(repeated.next(b"head 3 abc\r\n"), None);
        repeated.remember(b"head 3 ", 3);
        assert_eq!(repeated.next(b"head 3 abc\r\nhead"), Some((&b"abc"[..], 12)));
        assert_eq!(repeated.next(b"head 3 abc\r"), None);
        assert_eq!(repeated.next(b"head 4 abcd\r\n"), None);
    }
}
