//! Messages as they come: runs of consecutive messages that share the bytes they came in.

use bytes::{Buf, Bytes};
use protocol::batch::{Payloads, Records};
use protocol::{Batch, Headers, OffsetRange, batch};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Its place in the topic.
    pub offset: u64,
    /// How often it was delivered, this time included: 1 at first, and always 1 where messages
    /// are not acknowledged individually.
    pub deliveries: u32,
    /// What was published: a slice of the bytes that it came in, not a copy.
    pub payload: Bytes,
    headers: Bytes,
}

impl Message {
    /// What was published with the payload: an iterator over keys and values.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        Headers::trusted(&self.headers)
    }
}

/// Where a run of consecutive messages is in its topic, and how often it was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Offset of the first message.
    pub base_offset: u64,
    /// How many there are.
    pub count: u32,
    /// How often each was delivered, this time included.
    pub deliveries: u32,
}

impl Run {
    /// Offset of the message after the last.
    #[must_use]
    pub fn next_offset(self) -> u64 {
        self.base_offset.wrapping_add(u64::from(self.count))
    }

    fn offsets(self) -> OffsetRange {
        OffsetRange { first: self.base_offset, count: self.count }
    }
}

/// A run of consecutive messages, borrowed from the client's read buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessagesRef<'a> {
    run: Run,
    records: &'a [u8],
}

impl<'a> MessagesRef<'a> {
    /// `records` must be those of the run, checked when they were decoded.
    pub(crate) fn new(run: Run, records: &'a [u8]) -> Self {
        Self { run, records }
    }

    /// Offset of the first message.
    #[must_use]
    pub fn base_offset(&self) -> u64 {
        self.run.base_offset
    }

    /// Offset of the message after the last.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.run.next_offset()
    }

    /// How many messages there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.run.count
    }

    /// How often each was delivered, this time included; see [`Message::deliveries`].
    #[must_use]
    pub fn deliveries(&self) -> u32 {
        self.run.deliveries
    }

    /// Their offsets, to settle them all.
    #[must_use]
    pub fn offsets(&self) -> OffsetRange {
        self.run.offsets()
    }

    /// Their records as they came, lengths and headers included.
    #[must_use]
    pub fn batch(&self) -> Batch<'a> {
        Batch::trusted(self.records, self.run.count)
    }

    /// The payloads, oldest first, borrowed.
    #[must_use]
    pub fn payloads(&self) -> Payloads<'a> {
        batch::payloads(self.records)
    }

    /// The messages with their headers, oldest first, borrowed.
    #[must_use]
    pub fn records(&self) -> Records<'a> {
        batch::records(self.records)
    }
}

/// A run of consecutive messages that owns its bytes, or shares them with its clones.
/// Turned into an iterator it gives its messages, oldest first, without copying them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    run: Run,
    records: Bytes,
}

impl Messages {
    /// `records` must be those of the run, checked when they were decoded.
    pub(crate) fn new(run: Run, records: Bytes) -> Self {
        Self { run, records }
    }

    pub(crate) fn run(&self) -> Run {
        self.run
    }

    /// The same messages, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> MessagesRef<'_> {
        MessagesRef::new(self.run, &self.records)
    }

    /// Offset of the first message.
    #[must_use]
    pub fn base_offset(&self) -> u64 {
        self.run.base_offset
    }

    /// How many messages there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.run.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.run.count == 0
    }

    /// How often each was delivered, this time included; see [`Message::deliveries`].
    #[must_use]
    pub fn deliveries(&self) -> u32 {
        self.run.deliveries
    }

    /// Their offsets, to settle them all. There must be a message.
    #[must_use]
    pub fn offsets(&self) -> OffsetRange {
        self.run.offsets()
    }

    /// The payloads, oldest first, borrowed.
    #[must_use]
    pub fn payloads(&self) -> Payloads<'_> {
        self.borrowed().payloads()
    }

    /// The messages with their headers, oldest first, borrowed.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        self.borrowed().records()
    }

    /// Bytes of the records, lengths and headers included: what they cost in credit.
    #[must_use]
    pub fn records_bytes(&self) -> usize {
        self.records.len()
    }
}

impl IntoIterator for Messages {
    type Item = Message;
    type IntoIter = MessageIter;

    fn into_iter(self) -> MessageIter {
        MessageIter { left: self }
    }
}

/// Gives the messages of a [`Messages`] one by one, oldest first.
#[derive(Clone, Debug, Default)]
pub struct MessageIter {
    left: Messages,
}

impl MessageIter {
    /// The messages that were not given yet.
    #[must_use]
    pub fn into_messages(self) -> Messages {
        self.left
    }
}

impl Iterator for MessageIter {
    type Item = Message;

    #[inline]
    fn next(&mut self) -> Option<Message> {
        let left = &mut self.left;
        let mut records = batch::records(&left.records);
        let record = records.next()?;
        let payload = left.records.slice_ref(record.payload);
        let headers = left.records.slice_ref(record.headers.bytes());
        let rest_bytes = records.rest().len();
        left.records.advance(left.records.len() - rest_bytes);
        let Run { base_offset: offset, deliveries, .. } = left.run;
        left.run.base_offset = offset.wrapping_add(1);
        left.run.count -= 1;
        Some(Message { offset, deliveries, payload, headers })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left.run.count as usize, Some(self.left.run.count as usize))
    }
}

impl ExactSizeIterator for MessageIter {}

/// What a pull took. Each message is returned to its subscriber once, or, where messages are
/// acknowledged individually, until it is acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// The messages, oldest first.
    pub messages: Messages,
    /// How many messages retention took before they were read, since the last pull.
    pub lost: u64,
    /// How many are still unread.
    pub remaining: u64,
    /// Whether the messages are acknowledged individually, and come again unless they are
    /// settled; otherwise they count as read.
    pub is_leased: bool,
}

/// Messages that retention took before they could be pushed, or that the broker counted as sent
/// when a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// How many.
    pub count: u64,
    /// Offset of the message that comes next.
    pub next_offset: u64,
}

/// What a push subscription gives: a [`Message`], [`Messages`] or [`MessagesRef`], or the notice
/// that some are missing before the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed<M> {
    /// What was published.
    Delivered(M),
    /// Messages were lost here.
    Lost(Lost),
}

/// Where a publication is in its topic's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Offset of its first message.
    pub base_offset: u64,
    /// How many messages it held.
    pub count: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::BatchBuilder;

    #[test]
    fn messages_come_out_in_order_and_share_their_bytes() {
        let mut builder = BatchBuilder::new();
        for (payload, headers) in [("one", &[][..]), ("", &[("k", &b"v"[..])]), ("three", &[])] {
            builder.push_with_headers(headers.iter().copied(), payload.as_bytes()).expect("small");
        }
        let records = Bytes::copy_from_slice(builder.batch().bytes());
        let range = records.as_ptr_range();
        let run = Run { base_offset: 7, count: 3, deliveries: 2 };
        let messages = Messages::new(run, records);
        assert_eq!(messages.borrowed().next_offset(), 10);
        let found: Vec<_> = messages.into_iter().collect();
        let words: Vec<_> = found.iter().map(|m| (m.offset, &m.payload[..])).collect();
        assert_eq!(words, [(7, &b"one"[..]), (8, b""), (9, b"three")]);
        let headers: Vec<_> = found.iter().map(|m| m.headers().value_of("k")).collect();
        assert_eq!(headers, [None, Some(&b"v"[..]), None]);
        assert!(found.iter().all(|message| message.deliveries == 2));
        assert!(range.contains(&found[2].payload.as_ptr()), "a slice, not a copy");
    }
}
