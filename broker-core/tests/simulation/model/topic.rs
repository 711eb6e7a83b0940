//! A topic as the model sees it: all messages that it ever had, and a cursor for each subscriber.

use super::PIECE_OVERHEAD_BYTES;
use crate::payload::Payload;
use broker_core::{Limits, Now, SessionKey};
use protocol::batch::RECORD_HEADER_BYTES;
use protocol::{AckMode, Push, Retention};
use std::collections::{BTreeMap, BTreeSet};

/// A piece of a log is as large as this or an eighth of the log, or a batch.
const PIECE_BYTES_MIN: u64 = 512;
const PIECE_BYTES_MAX: u64 = 256 * 1024;
const PIECES_MIN: u64 = 8;

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) bytes_max: u64,
    messages_max: u64,
    pub(super) age_ms_max: Option<u64>,
    memory_is_tight: bool,
    messages: Vec<Message>,
    /// All messages before this one are known to be gone.
    gone_before: u64,
    /// All messages from this one on are known to be held.
    pub(super) held_from: u64,
    largest_batch_bytes: u64,
    largest_batch_count: u64,
    /// Whether a batch was taken that holds more than the topic may.
    pub(super) was_overfilled: bool,
    /// When a publication was held first, and when one was last.
    pub(super) held_first: Option<Now>,
    pub(super) held_last: Option<Now>,
    /// Whose publications are held.
    pub(super) held: BTreeSet<SessionKey>,
    pub(super) subscribers: BTreeMap<String, Subscriber>,
}

struct Message {
    payload: Payload,
    at: Now,
    /// Bytes of all records up to and with this one.
    end_bytes: u64,
}

/// A named cursor.
#[derive(Debug)]
pub(super) struct Subscriber {
    /// What it reads next, and what comes after the last message done with. `None`: it began at
    /// the oldest message held, and did not tell yet which that is.
    pub(super) position: Option<Position>,
    began_after: u64,
    began_before: u64,
    pub(super) attachment: Option<Attachment>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) cursor: u64,
    pub(super) committed: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Attachment {
    pub(super) serial: u64,
    pub(super) session: SessionKey,
    pub(super) number: u32,
    pub(super) push: Push,
    /// Messages from here on were held when it attached.
    pub(super) attached_from: u64,
    /// Messages from here on were held when it attached or when it last read.
    pub(super) safe_from: u64,
    /// When it had last read all there is, or attached.
    pub(super) caught_up_at: Now,
}

/// What a read gave.
pub(super) struct Taken<'a> {
    /// `None`: it does not tell.
    pub(super) base_offset: Option<u64>,
    pub(super) lost: u64,
    pub(super) payloads: &'a [Payload],
}

impl Topic {
    pub(super) fn new(retention: Retention, limits: &Limits, memory_is_tight: bool) -> Self {
        let some = |value: u64| Some(value).filter(|value| *value > 0);
        Self {
            bytes_max: retention.bytes_max.unwrap_or(limits.topic_bytes_max as u64),
            messages_max: retention
                .messages_max
                .or(some(limits.topic_messages_max))
                .unwrap_or(u64::MAX),
            age_ms_max: retention.age_ms_max.or(some(limits.topic_age_ms_max)),
            memory_is_tight,
            messages: Vec::new(),
            gone_before: 0,
            held_from: 0,
            largest_batch_bytes: 0,
            largest_batch_count: 0,
            was_overfilled: false,
            held_first: None,
            held_last: None,
            held: BTreeSet::new(),
            subscribers: BTreeMap::new(),
        }
    }

    pub(super) fn next_offset(&self) -> u64 {
        self.messages.len() as u64
    }

    fn bytes_before(&self, offset: u64) -> u64 {
        let before = offset.checked_sub(1).map(|index| &self.messages[index as usize]);
        before.map_or(0, |message| message.end_bytes)
    }

    /// Bytes of records from `offset` on.
    pub(super) fn bytes_from(&self, offset: u64) -> u64 {
        self.bytes_before(self.next_offset()) - self.bytes_before(offset)
    }

    pub(super) fn log_bytes_max(&self) -> u64 {
        let count = self.next_offset() - self.gone_before;
        let all = self.bytes_from(self.gone_before) + count * PIECE_OVERHEAD_BYTES;
        all.min(self.bytes_max + PIECE_OVERHEAD_BYTES)
    }

    pub(super) fn log_bytes_min(&self) -> u64 {
        let is_empty = self.held_from == self.next_offset();
        self.bytes_from(self.held_from) + if is_empty { 0 } else { PIECE_OVERHEAD_BYTES }
    }

    /// Whether the message at `offset` is known to be gone.
    pub(super) fn is_gone(&self, offset: u64) -> bool {
        offset < self.gone_before
    }

    /// A publication of so much is about to be appended, or waits; the oldest messages may go.
    pub(super) fn make_room(&mut self, payloads: &[Payload]) {
        self.held_from = self.next_offset();
        self.largest_batch_bytes = self.largest_batch_bytes.max(batch_bytes(payloads));
        self.largest_batch_count = self.largest_batch_count.max(payloads.len() as u64);
    }

    pub(super) fn append(&mut self, payloads: &[Payload], now: Now) {
        self.make_room(payloads);
        let count = payloads.len() as u64;
        self.was_overfilled |= count > self.messages_max;
        self.held_from += count.saturating_sub(self.messages_max);
        for payload in payloads {
            let record_bytes = (RECORD_HEADER_BYTES + payload.len()) as u64;
            let end_bytes = self.bytes_before(self.next_offset()) + record_bytes;
            self.messages.push(Message { payload: payload.clone(), at: now, end_bytes });
        }
    }

    pub(super) fn handle_age(&mut self) {
        if self.age_ms_max.is_some() {
            self.held_from = self.next_offset();
        }
    }

    /// The oldest message held is found to be `offset`.
    pub(super) fn observe_first(&mut self, offset: u64, now: Now) {
        let next_offset = self.next_offset();
        assert!(offset >= self.gone_before, "{offset} came back after {}", self.gone_before);
        assert!(offset <= self.held_from, "{} to {offset} are gone for nothing", self.held_from);
        assert!(next_offset - offset <= self.messages_max, "{offset} to {next_offset} are held");
        if self.gone_before < offset {
            self.check_gone(offset - 1, now);
        }
        self.gone_before = offset;
        self.held_from = offset;
    }

    /// So many messages from `offset` on are found to be held.
    fn observe_held(&mut self, offset: u64, count: usize) {
        assert!(offset >= self.gone_before, "{offset} came back after {}", self.gone_before);
        if count > 0 {
            self.held_from = self.held_from.min(offset);
        }
    }

    /// The message at `offset` is gone: it was too old, or there was no room for it.
    fn check_gone(&self, offset: u64, now: Now) {
        let message = &self.messages[offset as usize];
        let count = self.next_offset() - offset;
        let piece_bytes = (self.bytes_max / PIECES_MIN).clamp(PIECE_BYTES_MIN, PIECE_BYTES_MAX);
        let at_once_bytes = 2 * piece_bytes.max(self.largest_batch_bytes) + PIECE_OVERHEAD_BYTES;
        let bytes = self.bytes_from(offset) + count * PIECE_OVERHEAD_BYTES;
        let too_old = self.age_ms_max.is_some_and(|max| now.ms_since(message.at) >= max);
        let too_many = count + self.largest_batch_count > self.messages_max;
        let too_large = bytes + at_once_bytes > self.bytes_max;
        assert!(
            too_old || too_many || too_large || self.memory_is_tight,
            "message {offset} was taken away with {bytes} bytes and {count} messages from it on"
        );
    }

    /// A subscriber begins with the oldest message held.
    pub(super) fn subscribe(&mut self, id: &str) -> &mut Subscriber {
        let began_after = self.gone_before;
        let began_before = self.next_offset();
        self.subscribers.entry(id.to_owned()).or_insert_with(|| Subscriber {
            position: None,
            began_after,
            began_before,
            attachment: None,
        })
    }

    /// A subscriber is found to read the message at `offset` next.
    pub(super) fn observe_cursor(&mut self, id: &str, offset: u64) {
        let subscriber = self.subscribers.get_mut(id).expect("a subscriber");
        let began = subscriber.began_after..=subscriber.began_before;
        match subscriber.position {
            Some(Position { cursor, .. }) => assert_eq!(cursor, offset, "the cursor of {id}"),
            None => assert!(began.contains(&offset), "{id} began at {offset}, not in {began:?}"),
        }
        subscriber.position.get_or_insert(Position { cursor: offset, committed: offset });
    }

    /// A subscriber read what `taken` says. Gives the offset of the first message.
    pub(super) fn read(&mut self, id: &str, taken: &Taken<'_>, now: Now) -> u64 {
        let position = self.subscribers[id].position;
        let base_offset = taken.base_offset.unwrap_or_else(|| match position {
            Some(position) => position.cursor + taken.lost,
            None => self.find(taken.payloads.first()),
        });
        let cursor =
            base_offset.checked_sub(taken.lost).expect("no more were lost than there were");
        self.observe_cursor(id, cursor);
        match taken.lost {
            0 => self.observe_held(base_offset, taken.payloads.len()),
            _ => self.observe_first(base_offset, now),
        }
        let end = base_offset + taken.payloads.len() as u64;
        assert!(end <= self.next_offset(), "{end} of {} messages", self.next_offset());
        let expected = &self.messages[base_offset as usize..end as usize];
        for (offset, (found, expected)) in (base_offset..).zip(taken.payloads.iter().zip(expected))
        {
            assert!(*found == expected.payload, "{id} read another message at {offset}");
        }
        let subscriber = self.subscribers.get_mut(id).expect("it was found above");
        let position = subscriber.position.as_mut().expect("it was observed above");
        position.cursor = end;
        base_offset
    }

    /// The offset of a message; the next one for none.
    fn find(&self, payload: Option<&Payload>) -> u64 {
        let Some(payload) = payload else { return self.next_offset() };
        let found = self.messages.iter().position(|message| message.payload == *payload);
        found.expect("a message that was published") as u64
    }

    /// Messages of a pull are not too old.
    pub(super) fn check_fresh(&self, base_offset: u64, count: u64, now: Now) {
        let Some(age_ms_max) = self.age_ms_max.filter(|_| count > 0) else { return };
        let age_ms = now.ms_since(self.messages[base_offset as usize].at);
        // Messages go in runs that were appended within an eighth of the age.
        let age_ms_max = age_ms_max + age_ms_max / 8 + 2;
        assert!(age_ms <= age_ms_max, "message {base_offset} is {age_ms} ms old of {age_ms_max}");
    }
}

impl Subscriber {
    /// Offset of the oldest message that it may still ask for.
    pub(super) fn needed_offset(&self) -> u64 {
        let Some(position) = self.position else { return self.began_after };
        match &self.attachment {
            Some(Attachment { push: Push { ack_mode: AckMode::Cumulative, .. }, .. }) => {
                position.committed
            }
            _ => position.cursor,
        }
    }

    /// It read or acknowledged, and perhaps all there is.
    pub(super) fn note_caught_up(&mut self, next_offset: u64, now: Now) {
        let is_caught_up = self.needed_offset() == next_offset;
        if let Some(attachment) = self.attachment.as_mut().filter(|_| is_caught_up) {
            attachment.caught_up_at = now;
        }
    }

    /// Nobody is attached any more; what was sent and not acknowledged is unread again.
    pub(super) fn detach(&mut self) -> Option<Attachment> {
        if let Some(Position { cursor, committed }) = &mut self.position {
            *cursor = *committed;
        }
        self.attachment.take()
    }

    /// Its attachment, if that is the one of `serial`.
    pub(super) fn attached_as(&self, serial: u64) -> Option<&Attachment> {
        self.attachment.as_ref().filter(|attachment| attachment.serial == serial)
    }
}

pub(super) fn batch_bytes(payloads: &[Payload]) -> u64 {
    payloads.iter().map(|payload| (RECORD_HEADER_BYTES + payload.len()) as u64).sum()
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} at {} ms", self.payload, self.at.millis())
    }
}
