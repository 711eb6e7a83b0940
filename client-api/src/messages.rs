//! Messages as they come: runs of consecutive messages that share the bytes they came in.

use bytes::{Buf, Bytes};
use protocol::batch::Payloads;
use protocol::{Batch, batch};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its place in the topic.
    pub offset: u64,
    /// What was published: a slice of the bytes that it came in, not a copy.
    pub payload: Bytes,
}

/// A run of consecutive messages, borrowed from the client's read buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessagesRef<'a> {
    base_offset: u64,
    batch: Batch<'a>,
}

impl<'a> MessagesRef<'a> {
    pub(crate) fn new(base_offset: u64, batch: Batch<'a>) -> Self {
        Self { base_offset, batch }
    }

    /// Offset of the first message.
    #[must_use]
    pub fn base_offset(&self) -> u64 {
        self.base_offset
    }

    /// Offset of the message after the last.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.base_offset.wrapping_add(u64::from(self.batch.count()))
    }

    /// How many messages there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.batch.count()
    }

    /// Their records as they came, headers included.
    #[must_use]
    pub fn batch(&self) -> Batch<'a> {
        self.batch
    }

    /// The payloads, oldest first, borrowed.
    #[must_use]
    pub fn payloads(&self) -> Payloads<'a> {
        self.batch.payloads()
    }
}

/// A run of consecutive messages that owns its bytes, or shares them with its clones.
/// Turned into an iterator it gives its messages, oldest first, without copying them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    base_offset: u64,
    count: u32,
    records: Bytes,
}

impl Messages {
    /// `records` must be `count` whole records, checked when they were decoded.
    pub(crate) fn new(base_offset: u64, count: u32, records: Bytes) -> Self {
        Self { base_offset, count, records }
    }

    /// The same messages, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> MessagesRef<'_> {
        MessagesRef::new(self.base_offset, Batch::trusted(&self.records, self.count))
    }

    /// Offset of the first message.
    #[must_use]
    pub fn base_offset(&self) -> u64 {
        self.base_offset
    }

    /// How many messages there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The payloads, oldest first, borrowed.
    #[must_use]
    pub fn payloads(&self) -> Payloads<'_> {
        self.borrowed().payloads()
    }

    /// Bytes of the records, headers included: what they cost in credit.
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
        let payload = left.records.slice_ref(records.next()?.payload);
        let rest_bytes = records.rest().len();
        left.records.advance(left.records.len() - rest_bytes);
        let offset = left.base_offset;
        left.base_offset = offset.wrapping_add(1);
        left.count -= 1;
        Some(Message { offset, payload })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left.count as usize, Some(self.left.count as usize))
    }
}

impl ExactSizeIterator for MessageIter {}

/// What a pull took. Each message is returned to its subscriber once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// The messages, oldest first.
    pub messages: Messages,
    /// How many messages retention took before they were read, since the last pull.
    pub lost: u64,
    /// How many are still unread.
    pub remaining: u64,
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
        for payload in ["one", "", "three"] {
            builder.push(payload.as_bytes()).expect("small");
        }
        let records = Bytes::copy_from_slice(builder.batch().bytes());
        let range = records.as_ptr_range();
        let messages = Messages::new(7, 3, records);
        assert_eq!(messages.borrowed().next_offset(), 10);
        let found: Vec<_> = messages.into_iter().collect();
        let words: Vec<_> = found.iter().map(|m| (m.offset, &m.payload[..])).collect();
        assert_eq!(words, [(7, &b"one"[..]), (8, b""), (9, b"three")]);
        assert!(range.contains(&found[2].payload.as_ptr()), "a slice, not a copy");
    }
}
