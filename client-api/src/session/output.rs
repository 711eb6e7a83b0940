//! What waits to be written: whole frames, kept until they were handed over whole.

use super::text::check_payload;
use crate::Error;
use protocol::batch::{RECORD_HEADER_BYTES, record_header};
use protocol::native::{CLIENT_GREETING_BYTES, client_greeting, encode_request};
use protocol::{Batch, Messages, PublishAck, PublishTerms, Request};
use std::borrow::Cow;
use std::ops::Range;

/// Written bytes past which whole frames are dropped from the front of a buffer that never empties.
const COMPACT_BYTES: usize = 256 * 1024;

/// The size limits of the broker, as it greeted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SizeLimits {
    pub(super) frame_bytes_max: usize,
    pub(super) message_bytes_max: usize,
}

/// What a PUBLISH frame says besides its messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct PublishHead<'a> {
    pub(super) topic: &'a str,
    pub(super) ack: PublishAck,
    pub(super) terms: PublishTerms,
}

/// A PUBLISH frame without acknowledgement that further messages may still join.
#[derive(Debug)]
struct OpenPublish {
    frame_start: usize,
    topic: Range<usize>,
    count: u32,
}

/// Frames in the order they are sent in.
#[derive(Debug, Default)]
pub(super) struct Output {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that were handed over.
    written: usize,
    /// Start of a frame in `buffer`, with none before it that was not handed over whole. On a
    /// new connection the greeting is before it.
    boundary: usize,
    /// Bytes that were on this connection before `buffer`.
    base: u64,
    open: Option<OpenPublish>,
}

impl Output {
    /// What is to be written.
    pub(super) fn unwritten(&self) -> &[u8] {
        &self.buffer[self.written..]
    }

    /// What of the greeting is to be written.
    pub(super) fn unwritten_greeting(&self) -> &[u8] {
        self.buffer[..self.boundary].get(self.written..).unwrap_or(&[])
    }

    /// Takes note that the first `bytes` of the unwritten were handed over.
    pub(super) fn handle_written(&mut self, bytes: usize) {
        self.written += bytes;
        debug_assert!(self.written <= self.buffer.len());
        if self.written == self.buffer.len() {
            self.drop_front(self.written);
        } else if self.written > COMPACT_BYTES {
            self.boundary = self.unsent_start();
            self.drop_front(self.boundary);
        }
    }

    fn drop_front(&mut self, bytes: usize) {
        if bytes == self.buffer.len() {
            self.buffer.clear();
        } else {
            self.buffer.drain(..bytes);
        }
        self.written -= bytes;
        self.boundary = 0;
        self.base += bytes as u64;
        self.open = None;
    }

    /// Where on this connection the next frame begins.
    pub(super) fn end(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    /// How much of this connection was handed over.
    pub(super) fn written_end(&self) -> u64 {
        self.base + self.written as u64
    }

    /// Adds a frame.
    pub(super) fn put(&mut self, request: &Request<'_>, correlation: u32) {
        self.open = None;
        encode_request(request, correlation, &mut self.buffer);
    }

    /// Adds whole frames.
    pub(super) fn put_frames(&mut self, frames: &[u8]) {
        self.open = None;
        self.buffer.extend_from_slice(frames);
    }

    /// Adds a PUBLISH frame of records that were checked before.
    pub(super) fn put_records(
        &mut self,
        head: PublishHead<'_>,
        batch: Batch<'_>,
        correlation: u32,
        limits: SizeLimits,
    ) -> Result<(), Error> {
        let frame_start = self.buffer.len();
        let PublishHead { topic, ack, terms } = head;
        let (topic, messages) = (Cow::Borrowed(topic), Messages::Batch(batch));
        self.put(&Request::Publish { topic, messages, ack, terms }, correlation);
        self.check_frame(frame_start, limits)
    }

    /// Adds a PUBLISH frame, copying each payload once. Returns how many messages it holds; on an
    /// error there is no frame.
    pub(super) fn put_publish<I>(
        &mut self,
        head: PublishHead<'_>,
        payloads: I,
        correlation: u32,
        limits: SizeLimits,
    ) -> Result<u32, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        let frame_start = self.buffer.len();
        self.put_records(head, Batch::trusted(&[], 0), correlation, limits)?;
        let count_start = self.buffer.len() - COUNT_FIELD_BYTES;
        let mut count = 0;
        for payload in payloads {
            if let Err(error) = self.put_payload(frame_start, payload.as_ref(), limits) {
                self.buffer.truncate(frame_start);
                return Err(error);
            }
            count += 1;
        }
        if count == 0 {
            self.buffer.truncate(frame_start);
            return Err(Error::InvalidRequest {
                expected: "at least one message to publish".into(),
                found: "none".into(),
                advice: "leave empty batches out",
            });
        }
        self.patch(frame_start, count_start, count);
        if head.ack == PublishAck::Unwanted && head.terms == PublishTerms::default() {
            let topic = count_start - head.topic.len()..count_start;
            self.open = Some(OpenPublish { frame_start, topic, count });
        }
        Ok(count)
    }

    /// The bytes that were added since the connection had `end`.
    pub(super) fn added_since(&self, end: u64) -> &[u8] {
        &self.buffer[(end - self.base) as usize..]
    }

    /// Adds a message to the last frame, if that publishes to the same topic without
    /// acknowledgement and has room. Says whether it did.
    #[inline]
    pub(super) fn join_publish(
        &mut self,
        topic: &str,
        payload: &[u8],
        frame_bytes_max: usize,
    ) -> bool {
        let Some(open) = &mut self.open else { return false };
        let frame_bytes =
            self.buffer.len() - open.frame_start + RECORD_HEADER_BYTES + payload.len();
        let joins = open.frame_start >= self.written
            && self.buffer[open.topic.clone()] == *topic.as_bytes()
            && frame_bytes <= frame_bytes_max;
        if joins {
            open.count += 1;
            let (frame_start, topic_end, count) = (open.frame_start, open.topic.end, open.count);
            self.buffer.extend_from_slice(&record_header(payload.len()));
            self.buffer.extend_from_slice(payload);
            self.patch(frame_start, topic_end, count);
        }
        joins
    }

    #[inline]
    fn put_payload(
        &mut self,
        frame_start: usize,
        payload: &[u8],
        limits: SizeLimits,
    ) -> Result<(), Error> {
        check_payload(payload.len(), limits.message_bytes_max)?;
        self.buffer.extend_from_slice(&record_header(payload.len()));
        self.buffer.extend_from_slice(payload);
        self.check_frame(frame_start, limits)
    }

    #[inline]
    fn check_frame(&mut self, frame_start: usize, limits: SizeLimits) -> Result<(), Error> {
        let length = self.buffer.len() - frame_start - LENGTH_FIELD_BYTES;
        if length <= limits.frame_bytes_max {
            return Ok(());
        }
        self.buffer.truncate(frame_start);
        Err(Error::InvalidRequest {
            expected: format!("a frame of at most {} bytes", limits.frame_bytes_max),
            found: format!("at least {length}"),
            advice: "publish smaller batches, or raise the broker's frame_bytes_max",
        })
    }

    /// Writes the length and the count of a PUBLISH frame that was made before its records; see
    /// the diagram of [`protocol::native`].
    fn patch(&mut self, frame_start: usize, count_start: usize, count: u32) {
        let length = (self.buffer.len() - frame_start - LENGTH_FIELD_BYTES) as u32;
        self.buffer[frame_start..frame_start + LENGTH_FIELD_BYTES]
            .copy_from_slice(&length.to_le_bytes());
        self.buffer[count_start..count_start + COUNT_FIELD_BYTES]
            .copy_from_slice(&count.to_le_bytes());
    }

    /// Starts over on a new connection with the greeting. Returns the frames that the last
    /// connection did not get whole.
    pub(super) fn restart(&mut self) -> Vec<u8> {
        let unsent = self.buffer.split_off(self.unsent_start());
        *self = Self { boundary: CLIENT_GREETING_BYTES, ..Self::default() };
        self.buffer.extend_from_slice(&client_greeting());
        unsent
    }

    /// Drops all that was not handed over.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Start of the first frame that was not handed over whole.
    fn unsent_start(&self) -> usize {
        let mut start = self.boundary;
        while start < self.buffer.len() {
            let end = start + frame_bytes(&self.buffer[start..]);
            if end > self.written {
                break;
            }
            start = end;
        }
        start
    }
}

/// Bytes of the count before a PUBLISH frame's records.
const COUNT_FIELD_BYTES: usize = 4;

/// Bytes of a frame's `length`, which it does not count.
const LENGTH_FIELD_BYTES: usize = 4;

/// The frames in `bytes`, which must be whole.
pub(super) fn frames(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let (frame, rest) = bytes.split_at(frame_bytes(bytes));
        bytes = rest;
        Some(frame)
    })
}

/// Bytes of the frame that `bytes` begins with.
fn frame_bytes(bytes: &[u8]) -> usize {
    let (length, _) =
        bytes.split_first_chunk::<LENGTH_FIELD_BYTES>().expect("the output holds whole frames");
    LENGTH_FIELD_BYTES + u32::from_le_bytes(*length) as usize
}
