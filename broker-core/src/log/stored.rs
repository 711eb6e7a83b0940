//! The stored part of a log: where its messages lie in the journal, and how far they are durable.

use super::{Cursor, FetchLimit, Fetched, Incoming};
use crate::Now;
use crate::journal::{
    Journal, JournalFailed, PUBLICATION_HEAD_BYTES_MAX, Part, Place, Publication, Reached,
    ReadFailed, Record, Run, Stored, TopicId, TopicTerms,
};
use bytes::{Bytes, BytesMut};
use protocol::{Durability, Refusal, batch};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// A publication larger than this is stored in several records, so that reading a part of it
/// does not read it all.
const RECORD_BYTES_MAX: usize = 64 * 1024;

/// A run takes up to so much of the journal, unless it is one record.
const RUN_BYTES_MAX: u64 = 64 * 1024;

/// A topic that may hold little has runs of at least so much.
const RUN_BYTES_MIN: u64 = 512;

/// A log at its bounds is made of about so many runs, since retention takes whole ones.
const RUNS_MIN: u64 = 8;

/// A run goes on only where so few bytes of others lie between.
const RUN_GAP_BYTES_MAX: u64 = 4096;

/// Longer records are given to readers by reference.
const COPY_BYTES_MAX: usize = 4096;

/// What a stored log needs to know.
#[derive(Clone, Debug)]
pub(crate) struct StoredTerms {
    pub(crate) topic: TopicId,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) durability: Durability,
    pub(crate) runs: RunBounds,
    /// The newest messages are kept in memory, up to so many bytes.
    pub(crate) cache_bytes_max: usize,
    /// Unix time at [`Now`] 0.
    pub(crate) started_unix_ms: u64,
}

/// How much one run may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunBounds {
    bytes_max: u64,
    /// From its first message to its last.
    ms_max: u64,
}

impl RunBounds {
    /// Each record is a run.
    const NONE: Self = Self { bytes_max: 0, ms_max: 0 };

    /// A part of what the topic may hold.
    pub(crate) fn of(terms: &TopicTerms) -> Self {
        Self {
            bytes_max: (terms.bytes_max / RUNS_MIN).clamp(RUN_BYTES_MIN, RUN_BYTES_MAX),
            ms_max: terms.age_ms_max / RUNS_MIN,
        }
    }
}

/// A log as it was found in the journal; all of it is durable.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecoveredLog {
    pub(crate) runs: VecDeque<Run>,
    pub(crate) first_offset: u64,
    pub(crate) next_offset: u64,
    /// When the newest message came.
    pub(crate) newest_unix_ms: u64,
    /// The last run is not to grow: behind it, there may be a part of a publication that was cut
    /// off by the end of a broker, and whose offsets other messages have.
    pub(crate) is_closed: bool,
}

impl RecoveredLog {
    /// Adds a record that lies at `place`.
    pub(crate) fn add(
        &mut self,
        publication: &Publication<'_>,
        records_bytes: usize,
        place: Place,
        bounds: RunBounds,
    ) {
        let bounds = if std::mem::take(&mut self.is_closed) { RunBounds::NONE } else { bounds };
        add_to_runs(&mut self.runs, publication, records_bytes, place, bounds);
    }

    /// The messages of `run` lie there from now on, where the log still has them.
    pub(crate) fn replace(&mut self, run: Run) {
        replace_run(&mut self.runs, run);
    }
}

/// Puts `run` in the place of the runs that hold the same messages, or where there are none of
/// them. Where it has no place of its own, its messages were given up before.
fn replace_run(runs: &mut VecDeque<Run>, run: Run) {
    let first = runs.partition_point(|found| found.end_offset() <= run.base_offset);
    let end = runs.partition_point(|found| found.base_offset < run.end_offset());
    let fits = first == end
        || (runs[first].base_offset == run.base_offset
            && runs[end - 1].end_offset() == run.end_offset());
    if fits {
        runs.drain(first..end);
        runs.insert(first, run);
    }
}

/// Messages that the journal has not reached yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    position: u64,
    end_offset: u64,
}

/// A run on its way to the end of the journal. It is read from its old place until the new one is
/// written.
#[derive(Clone, Copy, Debug)]
struct Move {
    from: Run,
    to: Run,
}

#[derive(Debug)]
pub(crate) struct StoredLog {
    terms: StoredTerms,
    runs: VecDeque<Run>,
    first_offset: u64,
    /// Bytes of the runs' records.
    bytes: usize,
    visible_offset: u64,
    pending: VecDeque<Pending>,
    moves: VecDeque<Move>,
    /// The last run is not to grow.
    is_closed: bool,
    /// When the newest message came.
    newest_unix_ms: u64,
}

impl StoredLog {
    pub(super) fn new(terms: StoredTerms, found: RecoveredLog) -> Self {
        let RecoveredLog { runs, first_offset, next_offset, newest_unix_ms, is_closed } = found;
        for run in &runs {
            terms.journal.retain(run.segment, u64::from(run.live_bytes));
        }
        Self {
            bytes: runs.iter().map(|run| run.records_bytes as usize).sum(),
            newest_unix_ms,
            terms,
            runs,
            first_offset,
            visible_offset: next_offset,
            pending: VecDeque::new(),
            moves: VecDeque::new(),
            is_closed,
        }
    }

    pub(crate) fn terms(&self) -> &StoredTerms {
        &self.terms
    }

    pub(crate) fn runs(&self) -> &VecDeque<Run> {
        &self.runs
    }

    pub(super) fn first_offset(&self) -> u64 {
        self.first_offset
    }

    pub(super) fn visible_offset(&self) -> u64 {
        self.visible_offset
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn cache_bytes_max(&self) -> usize {
        self.terms.cache_bytes_max
    }

    pub(super) fn first_run_end(&self) -> Option<u64> {
        self.runs.front().map(Run::end_offset)
    }

    pub(super) fn middle_offset(&self) -> Option<u64> {
        self.runs.get(self.runs.len() / 2 + 1).map(|run| run.base_offset)
    }

    pub(crate) fn newest_unix_ms(&self) -> u64 {
        self.newest_unix_ms
    }

    /// Position that the journal has to reach for all messages to be shown.
    pub(crate) fn pending_position(&self) -> Option<u64> {
        self.pending.back().map(|pending| pending.position)
    }

    /// Whether it is to be told of the journal's next progress.
    pub(crate) fn waits_for_progress(&self) -> bool {
        !self.pending.is_empty() || !self.moves.is_empty()
    }

    /// Appends messages to the journal, in as many records as it takes.
    pub(super) fn append(
        &mut self,
        base_offset: u64,
        incoming: Incoming<'_>,
        now: Now,
    ) -> Result<(), JournalFailed> {
        let (count, bytes) = incoming.size();
        let publication = Publication {
            topic: self.terms.topic,
            base_offset,
            unix_ms: self.terms.unix_ms(now),
            count,
            part: Part::Last,
            sequence: incoming.sequence,
            receipt: incoming.receipt,
            records: &[],
        };
        if bytes <= RECORD_BYTES_MAX || count == 1 {
            return incoming.with_spans(|spans| self.append_record(publication, spans));
        }
        incoming.with_spans(|spans| self.append_parts(publication, spans[0]))
    }

    fn append_parts(&mut self, all: Publication<'_>, mut rest: &[u8]) -> Result<(), JournalFailed> {
        let mut left = Publication { ..all };
        while left.count > 0 {
            let mut taken = batch::prefix(rest, RECORD_BYTES_MAX, left.count);
            if taken.count == 0 {
                taken = batch::prefix(rest, usize::MAX, 1);
            }
            let (records, tail) = rest.split_at(taken.bytes);
            let part = if taken.count < left.count { Part::More } else { Part::Last };
            let record = Publication { count: taken.count, part, ..left };
            self.append_record(record, &[records])?;
            left.base_offset += u64::from(taken.count);
            left.count -= taken.count;
            rest = tail;
        }
        Ok(())
    }

    fn append_record(
        &mut self,
        publication: Publication<'_>,
        spans: &[&[u8]],
    ) -> Result<(), JournalFailed> {
        let mut head = [0; PUBLICATION_HEAD_BYTES_MAX];
        let (kind, head) = publication.encode_head_in(&mut head);
        let durability = self.terms.durability;
        let place = match spans {
            [one] => self.terms.journal.append(kind, &[head, one], durability)?,
            [first, second] => {
                self.terms.journal.append(kind, &[head, first, second], durability)?
            }
            _ => unreachable!("records come in one span or two"),
        };
        self.terms.journal.retain(place.segment, u64::from(place.bytes));
        let records_bytes = spans.iter().map(|span| span.len()).sum::<usize>();
        let is_closed = std::mem::take(&mut self.is_closed);
        let bounds = if is_closed { RunBounds::NONE } else { self.terms.runs };
        add_to_runs(&mut self.runs, &publication, records_bytes, place, bounds);
        self.bytes += records_bytes;
        self.newest_unix_ms = publication.unix_ms;
        let end_offset = publication.end_offset();
        match self.pending.back_mut() {
            // A publication is shown whole.
            Some(last)
                if last.end_offset == publication.base_offset && last.position == u64::MAX =>
            {
                *last = Pending { position: place.end(), end_offset };
            }
            _ => self.pending.push_back(Pending { position: place.end(), end_offset }),
        }
        if publication.part == Part::More
            && let Some(last) = self.pending.back_mut()
        {
            last.position = u64::MAX;
        }
        Ok(())
    }

    /// Shows what the journal has reached. Gives whether there is more to see.
    pub(super) fn commit(&mut self, reached: Reached) -> bool {
        let position = reached.by(self.terms.durability);
        let before = self.visible_offset;
        while self.pending.front().is_some_and(|pending| pending.position <= position) {
            let pending = self.pending.pop_front().expect("it was just looked at");
            self.visible_offset = pending.end_offset;
        }
        self.finish_moves(reached);
        self.visible_offset > before
    }

    /// Lets the old places go of runs whose new ones are written.
    fn finish_moves(&mut self, reached: Reached) {
        let is_written = |run: Run| run.position + u64::from(run.bytes) <= reached.written;
        while let Some(Move { from, to }) = self.moves.pop_front_if(|next| is_written(next.to)) {
            let index = self.runs.partition_point(|run| run.base_offset < from.base_offset);
            // It may have been taken away, or have grown, in the meantime.
            let left = match self.runs.get_mut(index).filter(|run| **run == from) {
                Some(run) => std::mem::replace(run, to),
                None => to,
            };
            self.terms.journal.release(left.segment, u64::from(left.live_bytes));
        }
    }

    /// Whether any of its messages lie in the segment.
    pub(crate) fn is_in(&self, segment: u64) -> bool {
        self.runs.iter().any(|run| run.segment == segment)
    }

    /// Reads messages at `cursor` back and moves it on. Only the first run is cut.
    pub(super) fn read(
        &self,
        cursor: &mut Cursor,
        limit: FetchLimit,
    ) -> Result<Fetched, ReadFailed> {
        let first = self.runs.partition_point(|run| run.end_offset() <= cursor.offset);
        // Where a damaged part was taken out, messages are missing between two runs.
        let begin = self.runs.get(first).map_or(cursor.offset, |run| run.base_offset);
        let begin = begin.max(cursor.offset);
        let mut gathered = Gathered::new(begin, limit);
        for run in self.runs.range(first..) {
            if run.base_offset > gathered.next_offset {
                break;
            }
            let whole = run.end_offset() - gathered.next_offset;
            let fits = run.records_bytes as usize <= gathered.bytes_left()
                && whole <= u64::from(gathered.count_left());
            if gathered.is_full() || (!fits && gathered.fetched.count > 0) {
                break;
            }
            let before = gathered.next_offset;
            self.read_run(run, &mut gathered)?;
            if gathered.next_offset == before {
                return Err(ReadFailed {
                    reason: format!(
                        "message {before} of topic number {} is not at position {} of the journal",
                        self.terms.topic.0, run.position
                    ),
                });
            }
        }
        let lost = begin - cursor.offset;
        *cursor = Cursor::at(gathered.next_offset);
        Ok(Fetched { lost, ..gathered.finish() })
    }

    fn read_run(&self, run: &Run, gathered: &mut Gathered) -> Result<(), ReadFailed> {
        let journal = &self.terms.journal;
        // The run may still grow; what is shown of it is written.
        let written = journal.reached().written.saturating_sub(run.position);
        let bytes = u64::from(run.bytes).min(written) as usize;
        let mut wrong = None;
        journal.read(run.position, bytes, &mut |stored| {
            if let Err(error) = self.gather(&stored, gathered) {
                wrong.get_or_insert(error);
            }
        })?;
        match wrong {
            None => Ok(()),
            Some(error) => Err(ReadFailed {
                reason: format!("a record near position {} of the journal: {error}", run.position),
            }),
        }
    }

    fn gather(
        &self,
        stored: &Stored,
        gathered: &mut Gathered,
    ) -> Result<(), crate::journal::RecordError> {
        if !Record::is_publication(stored.kind) {
            return Ok(());
        }
        let (Record::Messages(publication) | Record::Moved(publication)) =
            Record::decode(stored.kind, &stored.body)?
        else {
            return Ok(());
        };
        if publication.topic == self.terms.topic {
            gathered.add(&publication, &stored.body);
        }
        Ok(())
    }

    /// Takes away all messages before `offset`.
    pub(super) fn trim_before(&mut self, offset: u64) {
        self.first_offset = self.first_offset.max(offset);
        while self.runs.front().is_some_and(|run| run.end_offset() <= offset) {
            let run = self.runs.pop_front().expect("it was just looked at");
            self.bytes -= run.records_bytes as usize;
            self.terms.journal.release(run.segment, u64::from(run.live_bytes));
        }
    }

    /// Offset of the first message behind all that lie before `position` in the journal.
    pub(crate) fn first_from(&self, position: u64) -> u64 {
        let before = self.runs.iter().rev().find(|run| run.position < position);
        before.map_or(self.first_offset, Run::end_offset)
    }

    /// Moves the runs that lie in a segment to the end of the journal, as far as that has room.
    /// Gives how many bytes these took. The caller sees that it is told of the journal's progress.
    pub(crate) fn move_runs(&mut self, segment: u64) -> Result<u64, Refusal> {
        let journal = Arc::clone(&self.terms.journal);
        let synced = journal.reached().synced;
        let moving: HashSet<u64> = self.moves.iter().map(|found| found.from.base_offset).collect();
        let mut moved_bytes = 0;
        for &run in &self.runs {
            let is_synced = run.position + u64::from(run.bytes) <= synced;
            if run.segment != segment || !is_synced || moving.contains(&run.base_offset) {
                continue;
            }
            if journal.is_congested() {
                break;
            }
            let records = self.whole_run(&run)?;
            let publication = Publication {
                topic: self.terms.topic,
                base_offset: run.base_offset,
                unix_ms: run.unix_ms,
                count: run.count,
                part: Part::Last,
                sequence: None,
                receipt: None,
                records: &records,
            };
            let mut body = Vec::new();
            let kind = Record::Moved(publication).encode(&mut body);
            let place = journal.append(kind, &[&body], self.terms.durability)?;
            journal.retain(place.segment, u64::from(place.bytes));
            let to = run_at(&publication, run.records_bytes, place);
            self.moves.push_back(Move { from: run, to });
            moved_bytes += u64::from(run.live_bytes);
        }
        Ok(moved_bytes)
    }

    /// Reads all messages of a run.
    fn whole_run(&self, run: &Run) -> Result<Vec<u8>, ReadFailed> {
        let mut gathered = Gathered::new(run.base_offset, FetchLimit::ALL);
        self.read_run(run, &mut gathered)?;
        let fetched = gathered.finish();
        if fetched.count != run.count {
            return Err(ReadFailed {
                reason: format!(
                    "expected {} messages from {} on at position {} of the journal, found {}",
                    run.count, run.base_offset, run.position, fetched.count
                ),
            });
        }
        Ok(fetched.spans.concat())
    }

    /// Nothing is shown or waited for any more.
    pub(super) fn clear(&mut self) {
        self.pending.clear();
        for Move { to, .. } in self.moves.drain(..) {
            self.terms.journal.release(to.segment, u64::from(to.live_bytes));
        }
        while let Some(run) = self.runs.pop_front() {
            self.terms.journal.release(run.segment, u64::from(run.live_bytes));
        }
        self.bytes = 0;
    }

    /// Offset of the first message that is not certainly older than `age_ms_max`.
    pub(super) fn first_younger(&self, age_ms_max: u64, now: Now) -> u64 {
        let oldest = self.terms.unix_ms(now).saturating_sub(age_ms_max);
        let ends = self.runs.iter().skip(1).map(|next| next.unix_ms);
        let ends = ends.chain([self.newest_unix_ms]);
        let old = self.runs.iter().zip(ends).take_while(|(run, next)| {
            let latest = run.unix_ms.saturating_add(self.terms.runs.ms_max);
            latest.min(*next) < oldest
        });
        old.last().map_or(self.first_offset, |(run, _)| run.end_offset())
    }

    /// Offset of the first message that came at `unix_ms` or later, or of one of the same run.
    pub(super) fn offset_at(&self, unix_ms: u64) -> u64 {
        if self.newest_unix_ms < unix_ms {
            return u64::MAX;
        }
        let later = self.runs.partition_point(|run| run.unix_ms < unix_ms);
        let Some(before) = later.checked_sub(1) else { return self.first_offset };
        let run = &self.runs[before];
        let mut found = run.end_offset();
        let written = self.terms.journal.reached().written.saturating_sub(run.position);
        let bytes = u64::from(run.bytes).min(written) as usize;
        let read = self.terms.journal.read(run.position, bytes, &mut |stored| {
            let (publication, may_be_later) = match Record::decode(stored.kind, &stored.body) {
                Ok(Record::Messages(publication)) => (publication, false),
                // It tells when its first message came, and others may have come later.
                Ok(Record::Moved(publication)) => (publication, true),
                _ => return,
            };
            let is_late = publication.unix_ms >= unix_ms || may_be_later;
            if publication.topic == self.terms.topic && is_late {
                found = found.min(publication.base_offset);
            }
        });
        let offset =
            if read.is_ok() && bytes == run.bytes as usize { found } else { run.base_offset };
        offset.max(self.first_offset)
    }
}

impl StoredTerms {
    /// Unix time at `now`, in milliseconds.
    pub(crate) fn unix_ms(&self, now: Now) -> u64 {
        self.started_unix_ms + now.millis()
    }
}

/// Adds a record that lies at `place` to the last of `runs`, or begins another.
fn add_to_runs(
    runs: &mut VecDeque<Run>,
    publication: &Publication<'_>,
    records_bytes: usize,
    place: Place,
    bounds: RunBounds,
) {
    let records_bytes = u32::try_from(records_bytes).expect("a record is at most 1 GiB long");
    if let Some(last) = runs.back_mut()
        && last.segment == place.segment
        && last.end_offset() == publication.base_offset
    {
        let end = last.position + u64::from(last.bytes);
        let bytes = place.end() - last.position;
        let ms = publication.unix_ms.saturating_sub(last.unix_ms);
        let is_near = place.position - end <= RUN_GAP_BYTES_MAX;
        if bytes <= bounds.bytes_max && ms <= bounds.ms_max && is_near {
            last.count += publication.count;
            last.bytes = bytes as u32;
            last.live_bytes += place.bytes;
            last.records_bytes += records_bytes;
            return;
        }
    }
    runs.push_back(run_at(publication, records_bytes, place));
}

/// The run of one record.
pub(crate) fn run_at(publication: &Publication<'_>, records_bytes: u32, place: Place) -> Run {
    Run {
        base_offset: publication.base_offset,
        segment: place.segment,
        position: place.position,
        unix_ms: publication.unix_ms,
        count: publication.count,
        bytes: place.bytes,
        live_bytes: place.bytes,
        records_bytes,
    }
}

/// What a read of runs has put together so far.
struct Gathered {
    fetched: Fetched,
    next_offset: u64,
    limit: FetchLimit,
    /// Small records, copied together.
    copied: BytesMut,
}

impl Gathered {
    fn new(offset: u64, limit: FetchLimit) -> Self {
        let fetched = Fetched { base_offset: offset, ..Fetched::default() };
        Self { fetched, next_offset: offset, limit, copied: BytesMut::new() }
    }

    fn bytes_left(&self) -> usize {
        self.limit.bytes_max.saturating_sub(self.fetched.bytes)
    }

    fn count_left(&self) -> u32 {
        self.limit.count_max - self.fetched.count
    }

    fn is_full(&self) -> bool {
        self.bytes_left() == 0 || self.count_left() == 0
    }

    /// Takes what is next, and fits, of a publication that lies at the end of `body`.
    fn add(&mut self, publication: &Publication<'_>, body: &Bytes) {
        let end_offset = publication.end_offset();
        if self.is_full()
            || publication.base_offset > self.next_offset
            || end_offset <= self.next_offset
        {
            return;
        }
        let before = (self.next_offset - publication.base_offset) as u32;
        let passed = batch::prefix(publication.records, usize::MAX, before).bytes;
        let unread = &publication.records[passed..];
        let whole = publication.count - before;
        let taken = if unread.len() <= self.bytes_left() && whole <= self.count_left() {
            batch::Prefix { bytes: unread.len(), count: whole }
        } else {
            match batch::prefix(unread, self.bytes_left(), self.count_left()) {
                none if none.count == 0 && self.fetched.count == 0 => {
                    batch::prefix(unread, usize::MAX, 1)
                }
                some => some,
            }
        };
        if taken.count < whole {
            // Nothing more fits behind a part.
            self.limit.count_max = self.fetched.count + taken.count;
        }
        self.fetched.count += taken.count;
        self.fetched.bytes += taken.bytes;
        self.next_offset += u64::from(taken.count);
        let unread = &unread[..taken.bytes];
        if unread.len() > COPY_BYTES_MAX {
            self.flush();
            self.fetched.spans.push(body.slice_ref(unread));
        } else {
            self.copied.extend_from_slice(unread);
        }
    }

    fn flush(&mut self) {
        if !self.copied.is_empty() {
            self.fetched.spans.push(self.copied.split().freeze());
        }
    }

    fn finish(mut self) -> Fetched {
        self.flush();
        self.fetched
    }
}
