//! Frames of AMQP 0-9-1, and messages as three kinds of them.
//!
//! ```text
//! 0      1         3         7                7 + size
//! +------+---------+---------+----------------+------+
//! | kind | channel | size    | body           | 0xCE |
//! +------+---------+---------+----------------+------+
//!
//! kinds: 1 a method, 2 a content header, 3 a content body, 8 a heartbeat
//!
//! method           0       2        4                  a message is a method, a content header,
//!                  +-------+--------+--------          and as many bodies as its size needs,
//!                  | class | method | fields           none if it is 0
//!                  +-------+--------+--------
//!
//! content header   0       2        4           12               14
//!                  +-------+--------+-----------+----------------+------------
//!                  | class | 0      | body size | property flags | properties
//!                  +-------+--------+-----------+----------------+------------
//! ```
//!
//! Integers are big-endian. Flag 0x1000 says that the property delivery mode is there, one byte: 1
//! for transient, 2 for persistent. AMQP 0-9-1 §2.3.5, §4.2.6.

use super::methods::CLASS_BASIC;
use crate::config::AmqpQueue;
use crate::drivers::DriverError;
use crate::wire::{EncodedBatch, Encoder};

/// What a client says first: AMQP, 0-9-1.
pub(super) const PROTOCOL_HEADER: &[u8] = b"AMQP\0\0\x09\x01";

/// The largest frame that is taken, and proposed: RabbitMQ's own default.
pub(super) const FRAME_BYTES_MAX: usize = 128 * 1024;

/// The smallest that a broker may ask for.
pub(super) const FRAME_BYTES_MIN: usize = 4096;

const FRAME_HEADER_BYTES: usize = 7;
const FRAME_END: u8 = 0xCE;

/// Bytes of a frame that are not its body.
pub(super) const FRAME_OVERHEAD_BYTES: usize = FRAME_HEADER_BYTES + 1;

const FLAG_DELIVERY_MODE: u16 = 0x1000;

pub(super) const KIND_METHOD: u8 = 1;
pub(super) const KIND_HEADER: u8 = 2;
pub(super) const KIND_BODY: u8 = 3;
pub(super) const KIND_HEARTBEAT: u8 = 8;

/// The only channel in use.
pub(super) const CHANNEL: u16 = 1;

/// One frame as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: u8,
    pub(super) channel: u16,
    pub(super) body: &'a [u8],
}

/// What an input begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameStep<'a> {
    Frame { used: usize, frame: Frame<'a> },
    NeedMore { input_bytes: usize },
}

/// What the input begins with.
///
/// # Errors
/// [`DriverError::Unexpected`] if that is no frame.
#[inline]
pub(super) fn next_frame(input: &[u8]) -> Result<FrameStep<'_>, DriverError> {
    let Some((header, after)) = input.split_first_chunk::<FRAME_HEADER_BYTES>() else {
        return Ok(FrameStep::NeedMore { input_bytes: FRAME_HEADER_BYTES });
    };
    let [kind, c0, c1, s0, s1, s2, s3] = *header;
    let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
    if !matches!(kind, KIND_METHOD | KIND_HEADER | KIND_BODY | KIND_HEARTBEAT)
        || size > FRAME_BYTES_MAX - FRAME_OVERHEAD_BYTES
    {
        return Err(no_frame(header));
    }
    let used = size + FRAME_OVERHEAD_BYTES;
    match after.get(..=size) {
        None => Ok(FrameStep::NeedMore { input_bytes: used }),
        Some([body @ .., FRAME_END]) => {
            let channel = u16::from_be_bytes([c0, c1]);
            Ok(FrameStep::Frame { used, frame: Frame { kind, channel, body } })
        }
        Some(_) => Err(DriverError::unexpected("0xCE at the end of a frame", &header)),
    }
}

#[cold]
fn no_frame(found: &[u8]) -> DriverError {
    const EXPECTED: &str = "a frame of AMQP 0-9-1 of at most 128 KiB";
    match found.starts_with(b"AMQP") {
        true => DriverError::unexpected(EXPECTED, &"the header of another version"),
        false => DriverError::unexpected(EXPECTED, &found),
    }
}

/// Appends a frame whose body `put` appends.
pub(super) fn put_frame(
    kind: u8,
    channel: u16,
    output: &mut Vec<u8>,
    put: impl FnOnce(&mut Vec<u8>),
) {
    let start = output.len();
    output.extend_from_slice(&frame_header(kind, channel, 0));
    put(output);
    let size = (output.len() - start - FRAME_HEADER_BYTES) as u32;
    output[start + 3..start + FRAME_HEADER_BYTES].copy_from_slice(&size.to_be_bytes());
    output.push(FRAME_END);
}

fn frame_header(kind: u8, channel: u16, size: usize) -> [u8; FRAME_HEADER_BYTES] {
    let ([c0, c1], [s0, s1, s2, s3]) = (channel.to_be_bytes(), (size as u32).to_be_bytes());
    [kind, c0, c1, s0, s1, s2, s3]
}

/// How long the body is that a content header announces.
///
/// # Errors
/// [`DriverError::Unexpected`] if it is cut short.
#[inline]
pub(super) fn content_bytes(header: &[u8]) -> Result<u64, DriverError> {
    let bytes = header.get(4..).and_then(|rest| rest.first_chunk::<8>());
    let bytes =
        bytes.ok_or_else(|| DriverError::unexpected("a content header of 14 bytes", &header))?;
    Ok(u64::from_be_bytes(*bytes))
}

/// Messages, each behind the same method to its topic.
pub(super) struct ContentEncoder {
    /// Whole frames, by topic.
    methods: Vec<Vec<u8>>,
    queues: AmqpQueue,
    body_bytes_max: usize,
}

impl ContentEncoder {
    /// With these method frames, by topic, and frames of at most so many bytes.
    pub(super) fn new(methods: Vec<Vec<u8>>, queues: AmqpQueue, frame_bytes_max: usize) -> Self {
        Self { methods, queues, body_bytes_max: frame_bytes_max - FRAME_OVERHEAD_BYTES }
    }
}

impl Encoder for ContentEncoder {
    fn encode(&mut self, topic: u32, payloads: &[&[u8]], batch: &mut EncodedBatch) {
        let method = &self.methods[topic as usize];
        let mut header = Vec::new();
        for payload in payloads {
            header.clear();
            header.extend_from_slice(method);
            put_content_header(payload.len(), self.queues, &mut header);
            batch.raw(&header);
            for (index, part) in payload.chunks(self.body_bytes_max).enumerate() {
                batch.raw(&frame_header(KIND_BODY, CHANNEL, part.len()));
                match index {
                    0 => batch.payload(part),
                    _ => batch.raw(part),
                }
                batch.raw(&[FRAME_END]);
            }
        }
    }
}

/// Appends the content header of a message.
pub(super) fn put_content_header(body_bytes: usize, queues: AmqpQueue, output: &mut Vec<u8>) {
    let delivery_mode = match queues {
        AmqpQueue::Classic => 1,
        AmqpQueue::Quorum => 2,
    };
    put_frame(KIND_HEADER, CHANNEL, output, |output| {
        output.extend_from_slice(&CLASS_BASIC.to_be_bytes());
        output.extend_from_slice(&[0; 2]);
        output.extend_from_slice(&(body_bytes as u64).to_be_bytes());
        output.extend_from_slice(&FLAG_DELIVERY_MODE.to_be_bytes());
        output.push(delivery_mode);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_whole_with_its_end() {
        let mut bytes = Vec::new();
        put_frame(KIND_BODY, CHANNEL, &mut bytes, |output| output.extend_from_slice(b"body"));
        let frame = Frame { kind: KIND_BODY, channel: CHANNEL, body: b"body" };
        let used = bytes.len();
        assert_eq!(next_frame(&bytes).unwrap(), FrameStep::Frame { used, frame });
        for end in 0..bytes.len() {
            let step = next_frame(&bytes[..end]).unwrap();
            let FrameStep::NeedMore { input_bytes } = step else { panic!("{step:?}") };
            assert!((end + 1..=used).contains(&input_bytes));
        }
        *bytes.last_mut().unwrap() = 0;
        assert!(next_frame(&bytes).unwrap_err().to_string().contains("0xCE"));
    }

    #[test]
    fn what_is_no_frame_is_told_by_what_came() {
        let error = next_frame(PROTOCOL_HEADER).unwrap_err().to_string();
        assert!(error.contains("another version"), "{error}");
        assert!(next_frame(b"HTTP/1.1 400").is_err());
        assert!(next_frame(&[KIND_BODY, 0, 1, 0xff, 0, 0, 0]).is_err());
    }
}
