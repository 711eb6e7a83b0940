//! A journal in memory whose progress, failures and loss of power are the world's to decide.

use broker_core::journal::{Journal, JournalFailed, Place, Reached, ReadFailed, Recovery, Stored};
use bytes::Bytes;
use protocol::Durability;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

/// Bytes that stand before the first record of a segment, and before each record.
const SEGMENT_HEADER_BYTES: u64 = 64;
const FRAME_HEADER_BYTES: u64 = 16;
const FRAME_ALIGNMENT: u64 = 8;

/// A journal that a test drives.
#[derive(Debug)]
pub(crate) struct Disk {
    state: Mutex<State>,
    segment_bytes_max: u64,
    buffer_bytes_max: u64,
}

#[derive(Debug)]
struct State {
    records: BTreeMap<u64, Kept>,
    segments: BTreeMap<u64, Segment>,
    end: u64,
    reached: Reached,
    failure: Option<JournalFailed>,
    snapshot: Option<Snapshot>,
    /// One that waits until it may be used.
    pending: Option<Snapshot>,
}

#[derive(Clone, Debug)]
struct Kept {
    place: Place,
    kind: u8,
    body: Bytes,
}

#[derive(Clone, Debug, Default)]
struct Segment {
    end: u64,
    live_bytes: u64,
}

/// A snapshot, on its way or in use.
#[derive(Clone, Debug)]
struct Snapshot {
    position: u64,
    records: Vec<(u8, Vec<u8>)>,
    /// The journal has to be synced up to here before it is used.
    usable_from: u64,
    /// Segments that nothing needed when it was begun.
    dead: Vec<u64>,
}

/// What of the journal a crash leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The process is gone; what it wrote is there.
    Kill,
    /// The machine is gone; what was synced is there.
    PowerCut,
}

impl Disk {
    pub(crate) fn new(segment_bytes_max: u64, buffer_bytes_max: u64) -> Self {
        let begin = SEGMENT_HEADER_BYTES;
        let state = State {
            records: BTreeMap::new(),
            segments: BTreeMap::from([(0, Segment { end: begin, live_bytes: 0 })]),
            end: begin,
            reached: Reached { written: begin, synced: begin },
            failure: None,
            snapshot: None,
            pending: None,
        };
        Self { state: Mutex::new(state), segment_bytes_max, buffer_bytes_max }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the disk")
    }

    /// Ends of the records from `from` on, and `from`: where a crash may cut.
    pub(crate) fn cuts(&self, from: u64) -> Vec<u64> {
        let state = self.lock();
        let ends = state.records.range(from..).map(|(_, kept)| kept.place.end());
        std::iter::once(from).chain(ends).collect()
    }

    /// Writes records up to `position`.
    pub(crate) fn write_to(&self, position: u64) {
        let mut state = self.lock();
        if state.failure.is_none() {
            state.reached.written = state.reached.written.max(position);
        }
    }

    /// Syncs all that is written.
    pub(crate) fn sync(&self) {
        let mut state = self.lock();
        if state.failure.is_none() {
            state.reached.synced = state.reached.written;
            state.use_snapshot();
        }
    }

    /// Writes and syncs all.
    pub(crate) fn sync_all(&self) {
        self.write_to(self.end());
        self.sync();
    }

    pub(crate) fn fail(&self) {
        self.lock().failure = Some(JournalFailed { reason: "the disk is gone".into() });
    }

    /// Segments that nothing needs: to be asked before a snapshot is taken.
    pub(crate) fn dead_segments(&self) -> Vec<u64> {
        let state = self.lock();
        let dead = state.segments.iter().filter(|(_, segment)| segment.live_bytes == 0);
        dead.map(|(base, _)| *base).collect()
    }

    /// A snapshot was taken; it is used as soon as all that was appended is synced.
    pub(crate) fn keep_snapshot(&self, position: u64, records: Vec<(u8, Vec<u8>)>, dead: Vec<u64>) {
        let mut state = self.lock();
        let usable_from = state.end;
        // A later one is as good as one that still waits.
        state.pending = Some(Snapshot { position, records, usable_from, dead });
        if state.failure.is_none() {
            state.use_snapshot();
        }
    }

    /// All segments but the last, oldest first.
    pub(crate) fn full_segments(&self) -> Vec<u64> {
        let state = self.lock();
        let last = state.segments.keys().next_back().copied();
        state.segments.keys().copied().filter(|base| Some(*base) != last).collect()
    }

    /// Bytes that are needed, of all segments.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.lock().segments.values().map(|segment| segment.live_bytes).sum()
    }

    /// What a crash leaves when the journal is cut at `end`.
    pub(crate) fn crashed(&self, end: u64) -> Self {
        let state = self.lock();
        let kept = state.records.range(..end);
        let segments = state
            .segments
            .range(..end)
            .map(|(base, segment)| (*base, Segment { end: segment.end.min(end), live_bytes: 0 }));
        let state = State {
            records: kept.map(|(position, kept)| (*position, kept.clone())).collect(),
            segments: segments.collect(),
            end,
            reached: Reached { written: end, synced: end },
            failure: None,
            snapshot: state.snapshot.clone(),
            pending: None,
        };
        let Self { segment_bytes_max, buffer_bytes_max, .. } = *self;
        Self { state: Mutex::new(state), segment_bytes_max, buffer_bytes_max }
    }

    /// Has all records applied, those of the snapshot first.
    pub(crate) fn recover(&self, recovery: &mut Recovery) {
        let state = self.lock();
        let known = "a record that the broker wrote";
        let mut from = 0;
        if let Some(snapshot) = &state.snapshot {
            from = snapshot.position;
            for (kind, body) in &snapshot.records {
                recovery.apply_snapshot(*kind, body).expect(known);
            }
        }
        for kept in state.records.range(from..).map(|(_, kept)| kept) {
            recovery.apply(kept.place, kept.kind, &kept.body).expect(known);
        }
    }
}

impl State {
    fn use_snapshot(&mut self) {
        let synced = self.reached.synced;
        if let Some(snapshot) = self.pending.take_if(|pending| pending.usable_from <= synced) {
            self.drop_dead(&snapshot);
            self.snapshot = Some(snapshot);
        }
    }

    /// Drops segments that lie before the snapshot and that nothing needed when it was begun.
    fn drop_dead(&mut self, snapshot: &Snapshot) {
        for base in &snapshot.dead {
            let Some(segment) = self.segments.get(base) else { continue };
            let end = segment.end;
            if end > snapshot.position || segment.live_bytes > 0 || end == self.end {
                continue;
            }
            self.segments.remove(base);
            self.records.retain(|position, _| position < base || *position >= end);
        }
    }

    fn place(&mut self, body_bytes: usize, segment_bytes_max: u64) -> Place {
        let bytes = (FRAME_HEADER_BYTES + body_bytes as u64).next_multiple_of(FRAME_ALIGNMENT);
        let (&base, last) = self.segments.iter().next_back().expect("the last one stays");
        let is_empty = last.end == base + SEGMENT_HEADER_BYTES;
        let is_full = last.end + bytes > base + segment_bytes_max && !is_empty;
        let (segment, position) = match is_full {
            true => (self.end, self.end + SEGMENT_HEADER_BYTES),
            false => (base, self.end),
        };
        let place = Place { segment, position, bytes: bytes as u32 };
        self.segments.entry(segment).or_default().end = place.end();
        self.end = place.end();
        place
    }

    /// Records that lie exactly there.
    fn read(&self, position: u64, end: u64) -> Result<Vec<&Kept>, String> {
        let found: Vec<&Kept> = self.records.range(position..end).map(|(_, kept)| kept).collect();
        let (Some(first), Some(last)) = (found.first(), found.last()) else {
            return Err(format!("no record is at {position} to {end}"));
        };
        let is_exact = first.place.position == position && last.place.end() == end;
        match is_exact && first.place.segment == last.place.segment {
            _ if end > self.reached.written => {
                Err(format!("{end} is not written, {} is", self.reached.written))
            }
            true => Ok(found),
            false => Err(format!("{position} to {end} are not whole records of one segment")),
        }
    }
}

impl Journal for Disk {
    fn append(
        &self,
        kind: u8,
        body: &[&[u8]],
        _durability: Durability,
    ) -> Result<Place, JournalFailed> {
        let mut state = self.lock();
        if let Some(failed) = &state.failure {
            return Err(failed.clone());
        }
        let body = Bytes::from(body.concat());
        let place = state.place(body.len(), self.segment_bytes_max);
        state.records.insert(place.position, Kept { place, kind, body });
        Ok(place)
    }

    fn reached(&self) -> Reached {
        self.lock().reached
    }

    fn failure(&self) -> Option<JournalFailed> {
        self.lock().failure.clone()
    }

    fn is_congested(&self) -> bool {
        let state = self.lock();
        state.end - state.reached.written > self.buffer_bytes_max
    }

    fn read(
        &self,
        position: u64,
        bytes: usize,
        visit: &mut dyn FnMut(Stored),
    ) -> Result<(), ReadFailed> {
        let state = self.lock();
        let found = state.read(position, position + bytes as u64);
        for Kept { place, kind, body } in found.map_err(|reason| ReadFailed { reason })? {
            visit(Stored { position: place.position, kind: *kind, body: body.clone() });
        }
        Ok(())
    }

    fn end(&self) -> u64 {
        self.lock().end
    }

    fn retain(&self, segment: u64, bytes: u64) {
        let mut state = self.lock();
        let segment = state.segments.get_mut(&segment).expect("a segment that is there is needed");
        segment.live_bytes += bytes;
    }

    fn release(&self, segment: u64, bytes: u64) {
        let mut state = self.lock();
        let segment = state.segments.get_mut(&segment).expect("a segment that was needed");
        let left = segment.live_bytes.checked_sub(bytes);
        segment.live_bytes = left.expect("no more is released than was needed");
    }
}
