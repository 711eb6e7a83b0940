//! A topic's log: messages in the order of their offsets, in memory alone or in the journal.
//!
//! A log in memory is a row of pieces. A stored log has an index of where its messages lie in
//! the journal, and the newest of them in memory besides; it shows no message before the journal
//! has made it as durable as the topic promises.

mod pieces;
mod stored;
mod times;

pub(crate) use stored::{RecoveredLog, RunBounds, StoredLog, StoredTerms, run_at};

use crate::Now;
use crate::journal::{JournalFailed, Reached, ReadFailed, Receipt};
use bytes::Bytes;
use pieces::Pieces;
use protocol::{Messages, PublisherSequence, batch};

/// Where a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Offset of the message that comes next.
    offset: u64,
    /// Which piece that message is in, counted from the log's beginning.
    piece: u64,
    /// How many bytes of that piece, as it was when it began, come before the message.
    byte: usize,
}

/// The piece of a cursor that has yet to be found among the pieces.
const PIECE_UNKNOWN: u64 = u64::MAX;

impl Cursor {
    /// Offset of the message that it reads next.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn at(offset: u64) -> Self {
        Self { offset, piece: PIECE_UNKNOWN, byte: 0 }
    }
}

/// What a read took.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Offset of the first message.
    pub base_offset: u64,
    /// How many messages.
    pub count: u32,
    /// How many bytes of records.
    pub bytes: usize,
    /// The records.
    pub spans: Vec<Bytes>,
    /// How many messages were taken away before the cursor came to them.
    pub lost: u64,
}

/// How much one read may take.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimit {
    /// Bytes of records, at least 1; one message is taken even if it is larger.
    pub bytes_max: usize,
    /// Messages.
    pub count_max: u32,
}

impl FetchLimit {
    /// All that there is.
    pub(crate) const ALL: Self = Self { bytes_max: usize::MAX, count_max: u32::MAX };
}

/// Messages on their way into a log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) messages: &'a Messages<'a>,
    pub(crate) sequence: Option<PublisherSequence>,
    /// The publication of an MQTT client that is so received.
    pub(crate) receipt: Option<Receipt>,
    pub(crate) retain: Retain,
}

/// Whether a message becomes its topic's retained message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retain {
    Yes,
    No,
}

impl<'a> Incoming<'a> {
    /// How many messages these are, and of how many bytes of records.
    pub(crate) fn size(&self) -> (u32, usize) {
        match self.messages {
            Messages::One(payload) => (1, batch::RECORD_HEADER_BYTES + payload.len()),
            Messages::Batch(batch) => (batch.count(), batch.bytes().len()),
        }
    }

    /// Gives their records, in up to two spans, to `take`.
    fn with_spans<T>(&self, take: impl FnOnce(&[&[u8]]) -> T) -> T {
        match self.messages {
            Messages::One(payload) => take(&[&batch::record_header(payload.len()), payload]),
            Messages::Batch(batch) => take(&[batch.bytes()]),
        }
    }
}

/// The log.
#[derive(Debug)]
pub struct Log {
    /// All messages, or the newest of a stored log.
    pieces: Pieces,
    stored: Option<StoredLog>,
}

impl Log {
    /// An empty log in memory that is meant to hold `bytes_max`.
    #[must_use]
    pub fn in_memory(bytes_max: usize) -> Self {
        Self { pieces: Pieces::new(bytes_max, 0), stored: None }
    }

    /// A log in the journal, as it was found there.
    pub(crate) fn in_journal(terms: StoredTerms, found: RecoveredLog) -> Self {
        let pieces = Pieces::new(terms.cache_bytes_max, found.next_offset);
        Self { pieces, stored: Some(StoredLog::new(terms, found)) }
    }

    /// Whether it is in the journal.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.stored.is_some()
    }

    pub(crate) fn stored(&self) -> Option<&StoredLog> {
        self.stored.as_ref()
    }

    pub(crate) fn stored_mut(&mut self) -> Option<&mut StoredLog> {
        self.stored.as_mut()
    }

    /// Offset of the oldest message held, or of the next one where none is.
    #[must_use]
    pub fn first_offset(&self) -> u64 {
        self.stored.as_ref().map_or_else(|| self.pieces.first_offset(), StoredLog::first_offset)
    }

    /// Offset that the next message gets.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.pieces.next_offset()
    }

    /// Offset of the first message that may not be shown yet.
    #[must_use]
    pub fn visible_offset(&self) -> u64 {
        self.stored.as_ref().map_or_else(|| self.next_offset(), StoredLog::visible_offset)
    }

    /// Messages held.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.next_offset() - self.first_offset()
    }

    /// Bytes held, with what keeping them costs.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.stored.as_ref().map_or_else(|| self.pieces.bytes(), StoredLog::bytes)
    }

    /// Bytes held in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.pieces.bytes()
    }

    /// A cursor at the oldest message held.
    #[must_use]
    pub fn earliest(&self) -> Cursor {
        self.seek(self.first_offset())
    }

    /// A cursor at the message of `offset`, at most the next one. Where that message is gone, the
    /// next read tells how many were lost.
    #[must_use]
    pub fn seek(&self, offset: u64) -> Cursor {
        if offset < self.pieces.first_offset() && self.stored.is_some() {
            return Cursor::at(offset);
        }
        self.pieces.seek(offset)
    }

    /// Offset of the first message that came at `since` or later, or of one a little before it.
    pub(crate) fn offset_at(&self, since: Since) -> u64 {
        match &self.stored {
            None => self.pieces.offset_at(since.now),
            Some(stored) => stored.offset_at(since.unix_ms).min(self.next_offset()),
        }
    }

    /// Appends messages and gives the first one's offset.
    ///
    /// # Errors
    /// Where the journal failed; nothing was appended then.
    pub(crate) fn append(
        &mut self,
        incoming: Incoming<'_>,
        now: Now,
    ) -> Result<u64, JournalFailed> {
        let (count, _) = incoming.size();
        if count > 0
            && let Some(stored) = &mut self.stored
        {
            stored.append(self.pieces.next_offset(), incoming, now)?;
        }
        Ok(incoming.with_spans(|spans| self.pieces.append(spans, count, now)))
    }

    /// Shows what the journal has made durable. Gives whether there is more to see.
    pub(crate) fn commit(&mut self, reached: Reached) -> bool {
        self.stored.as_mut().is_some_and(|stored| stored.commit(reached))
    }

    /// Lets memory go that stored messages do not need, down to `bytes_max`.
    pub(crate) fn shrink(&mut self, bytes_max: usize) {
        let Some(stored) = &self.stored else { return };
        let bytes_max = bytes_max.min(stored.cache_bytes_max());
        while self.pieces.bytes() > bytes_max
            && self.pieces.first_piece_end() <= stored.visible_offset()
        {
            self.pieces.drop_first_piece();
        }
    }

    /// Reads at `cursor` and moves it on.
    ///
    /// # Errors
    /// Where stored messages cannot be read back; the cursor stays.
    pub fn fetch(&mut self, cursor: &mut Cursor, limit: FetchLimit) -> Result<Fetched, ReadFailed> {
        let Some(stored) = &self.stored else { return Ok(self.pieces.fetch(cursor, limit)) };
        let first_offset = stored.first_offset();
        let lost = first_offset.saturating_sub(cursor.offset);
        let mut at = if lost > 0 { Cursor::at(first_offset) } else { *cursor };
        let visible = stored.visible_offset().saturating_sub(at.offset);
        let count_max = limit.count_max.min(u32::try_from(visible).unwrap_or(u32::MAX));
        let limit = FetchLimit { count_max, ..limit };
        let mut fetched = if at.offset < self.pieces.first_offset() {
            stored.read(&mut at, limit)?
        } else {
            if at.piece == PIECE_UNKNOWN {
                at = self.pieces.seek(at.offset);
            }
            self.pieces.fetch(&mut at, limit)
        };
        fetched.lost += lost;
        *cursor = at;
        Ok(fetched)
    }

    /// The offset up to which messages would be gone if the oldest piece were.
    #[must_use]
    pub fn first_piece_end(&self) -> u64 {
        match self.stored.as_ref() {
            None => self.pieces.first_piece_end(),
            Some(stored) => stored.first_run_end().unwrap_or(self.next_offset()),
        }
    }

    /// The offset at which the second half of the pieces begins.
    #[must_use]
    pub fn middle_offset(&self) -> u64 {
        match self.stored.as_ref() {
            None => self.pieces.middle_offset(),
            Some(stored) => stored.middle_offset().unwrap_or(self.next_offset()),
        }
    }

    /// Takes away all messages before `offset`.
    pub fn trim_before(&mut self, offset: u64) {
        if let Some(stored) = &mut self.stored {
            let offset = offset.min(self.pieces.next_offset());
            stored.trim_before(offset);
            while self.pieces.first_offset() < offset && self.pieces.first_piece_end() <= offset {
                self.pieces.drop_first_piece();
            }
            return;
        }
        self.pieces.trim_before(offset);
    }

    /// Takes away messages older than `age_ms_max`, in runs that were appended within an eighth
    /// of it of each other.
    pub fn trim_older(&mut self, age_ms_max: u64, now: Now) {
        match &self.stored {
            None => self.pieces.trim_older(age_ms_max, now),
            Some(stored) => self.trim_before(stored.first_younger(age_ms_max, now)),
        }
    }

    /// Gives up all messages for good.
    pub(crate) fn clear(&mut self) {
        self.trim_before(u64::MAX);
        if let Some(stored) = &mut self.stored {
            stored.clear();
        }
    }
}

/// A moment, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Since {
    pub(crate) now: Now,
    pub(crate) unix_ms: u64,
}

impl Fetched {
    /// How much of `unread`, `whole` messages, may still be taken. Only the first piece is cut,
    /// since finding where to cut takes a look at each record.
    fn room(&self, unread: &[u8], whole: u32, limit: FetchLimit) -> batch::Prefix {
        let bytes_left = limit.bytes_max - self.bytes;
        let count_left = limit.count_max - self.count;
        if unread.len() <= bytes_left && whole <= count_left {
            return batch::Prefix { bytes: unread.len(), count: whole };
        }
        if self.count > 0 && count_left >= whole {
            return batch::Prefix { bytes: 0, count: 0 };
        }
        let taken = batch::prefix(unread, bytes_left, count_left);
        if taken.count == 0 && self.count == 0 {
            return batch::prefix(unread, usize::MAX, 1);
        }
        taken
    }
}
