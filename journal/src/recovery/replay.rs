//! Reading the records after the snapshot, and judging how they end.
//!
//! A bad place is either the torn end of what was never synced, which is cut, or damage to what
//! was. It is damage if something behind it proves that it was synced:
//!
//! - a sound frame that says so by its lag;
//! - anything in a later segment, since nothing is written there before this one is synced.

use super::failed;
use super::report::{Cut, OpenReport, Recovered};
use crate::frame::{
    FRAME_ALIGNMENT, FRAME_HEADER_BYTES, KIND_GAP, KIND_SEAL, KIND_SEGMENT_END, Seed,
};
use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use crate::storage::{Access, Storage};
use crate::walk::{Frame, Walk};
use crate::{Damage, OpenError, Place, Position, VisitError};

/// Frames of one segment that nothing proves to be synced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unproven {
    /// Which segment.
    pub(crate) segment: usize,
    pub(crate) from: Position,
    pub(crate) until: Position,
}

/// How the records end.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    /// Which segment they end in.
    pub(crate) segment: usize,
    /// Where the next one goes.
    pub(crate) end: Position,
    /// What may never have reached the medium, in order: in the last segment, and in the one before
    /// if the last one holds nothing.
    pub(crate) unproven: Vec<Unproven>,
    pub(crate) cut: Option<Cut>,
    /// Whether there is something in the segment behind, which holds no records.
    pub(crate) is_next_littered: bool,
}

/// Reads the records after the snapshot.
pub(crate) struct Replay<'a> {
    storage: &'a dyn Storage,
    seed: Seed,
    headers: &'a [SegmentHeader],
    report: &'a mut OpenReport,
    /// All before this was synced.
    proven: Position,
    /// The segment before the one that is read, and where its frames ended.
    before: Option<(usize, Position)>,
}

type Visit<'a> = &'a mut dyn FnMut(Recovered<'_>) -> Result<(), VisitError>;

/// Where the frames of a segment lead.
enum Leads {
    /// On, to this position, from the end of the last frame.
    To { next: Position, from: Position },
    /// No further: there is no sound frame at this position.
    Nowhere(Position),
}

impl<'a> Replay<'a> {
    pub(crate) fn new(
        storage: &'a dyn Storage,
        seed: Seed,
        headers: &'a [SegmentHeader],
        report: &'a mut OpenReport,
    ) -> Self {
        Self { storage, seed, headers, report, proven: Position::ZERO, before: None }
    }

    /// Gives all records from `start` on to `visit`.
    pub(crate) fn run(&mut self, start: Position, visit: Visit<'_>) -> Result<Ending, OpenError> {
        self.proven = start;
        let mut at = start;
        loop {
            let index = self.segment_of(at)?;
            let mut walk = self.walk(index)?;
            match self.replay_segment(index, &mut walk, at, visit)? {
                Leads::To { next, from } => {
                    self.before = Some((index, from));
                    at = next;
                }
                Leads::Nowhere(end) => return self.judge(index, &mut walk, end),
            }
        }
    }

    fn segment_of(&self, position: Position) -> Result<usize, OpenError> {
        let holds = |header: &SegmentHeader| {
            let first = header.base + SEGMENT_HEADER_BYTES as u64;
            (first..header.end()).contains(&position)
        };
        self.headers.iter().position(holds).ok_or_else(|| {
            let after = self.headers.iter().rfind(|header| header.base <= position);
            let base = after.map_or(Position::ZERO, SegmentHeader::end).min(position);
            self.damage(base, position, "expected the segment that holds this position")
        })
    }

    fn walk(&self, index: usize) -> Result<Walk, OpenError> {
        let header = &self.headers[index];
        let name = segment_name(header.base);
        let file = self.storage.open(&name, Access::Read);
        let file = file.map_err(|source| failed("open", name, source))?;
        Ok(Walk::new(file, self.seed, header.base, header.bytes))
    }

    fn replay_segment(
        &mut self,
        index: usize,
        walk: &mut Walk,
        start: Position,
        visit: Visit<'_>,
    ) -> Result<Leads, OpenError> {
        let header = self.headers[index];
        let mut at = start;
        loop {
            let found = walk.frame_at(at);
            let found =
                found.map_err(|source| failed("read", segment_name(header.base), source))?;
            let Some(frame) = found else {
                return Ok(if has_room(header.end(), at) {
                    Leads::Nowhere(at)
                } else {
                    let next = header.end() + SEGMENT_HEADER_BYTES as u64;
                    Leads::To { next, from: at }
                });
            };
            self.proven = self.proven.max(frame.synced_before).max(header.base);
            self.report.was_sealed = frame.kind == KIND_SEAL;
            match frame.kind {
                KIND_SEGMENT_END => {
                    let next = header.end() + SEGMENT_HEADER_BYTES as u64;
                    return Ok(Leads::To { next, from: frame.end });
                }
                KIND_GAP => {
                    let until = gap_end(&frame);
                    self.report.gaps.push((at, until));
                    self.give(at, Recovered::Gap { from: at, until }, visit)?;
                    if until != frame.end {
                        return Ok(Leads::To { next: until, from: frame.end });
                    }
                }
                KIND_SEAL => {}
                kind => {
                    let bytes = (frame.end - at) as u32;
                    let place = Place { segment: header.base, position: at, bytes };
                    self.report.records += 1;
                    self.give(at, Recovered::Record { place, kind, body: frame.body }, visit)?;
                }
            }
            at = frame.end;
        }
    }

    fn give(
        &self,
        position: Position,
        recovered: Recovered<'_>,
        visit: Visit<'_>,
    ) -> Result<(), OpenError> {
        visit(recovered).map_err(|source| OpenError::Visit { position, source })
    }

    /// Judges the place where the frames end: is it the end, a torn one, or damage?
    fn judge(&mut self, index: usize, walk: &mut Walk, end: Position) -> Result<Ending, OpenError> {
        let base = self.headers[index].base;
        let read = |source| failed("read", segment_name(base), source);
        let litter = walk.litter(end).map_err(read)?;
        if let Some(litter) = litter {
            let from = first_frame_before(litter.from).max(end + 8);
            if let Some(proof) = find_proof(walk, from, end).map_err(read)? {
                return Err(self.damage(base, end, &proven_by_frame(proof)));
            }
        }
        let is_next_littered = self.judge_later(index, end, litter.is_some())?;
        self.report.cleared_next_segment = is_next_littered;
        // A snapshot seals what it stands for.
        self.report.was_sealed |= self.proven >= end;
        self.report.was_sealed &= litter.is_none();
        let cut = litter.map(|litter| Cut { segment: base, from: end, until: litter.until });
        let unproven = self.unproven(index, end);
        Ok(Ending { segment: index, end, unproven, cut, is_next_littered })
    }

    /// A segment that holds a frame proves those before it; so there are two at most.
    fn unproven(&self, index: usize, end: Position) -> Vec<Unproven> {
        let before = self.before.filter(|(before, _)| *before != index);
        let ends = before.into_iter().chain([(index, end)]);
        let unproven = ends.map(|(segment, until)| {
            let first = self.headers[segment].base + SEGMENT_HEADER_BYTES as u64;
            Unproven { segment, from: self.proven.max(first).min(until), until }
        });
        unproven.collect()
    }

    /// Looks for what must not be in the segments behind the end, if it is the end.
    fn judge_later(&self, index: usize, end: Position, is_torn: bool) -> Result<bool, OpenError> {
        let base = self.headers[index].base;
        let mut is_littered = false;
        for later in index + 1..self.headers.len() {
            let header = self.headers[later];
            let first = header.base + SEGMENT_HEADER_BYTES as u64;
            let read = |source| failed("read", segment_name(header.base), source);
            let mut walk = self.walk(later)?;
            let Some(litter) = walk.litter(first).map_err(read)? else {
                if later > index + 1 {
                    let reason =
                        format!("expected more records, since {header} was made after them");
                    return Err(self.damage(base, end, &reason));
                }
                continue;
            };
            let from = first_frame_before(litter.from).max(first);
            let has_frame = walk.next_frame(from).map_err(read)?.is_some();
            // Where this segment's end is clean, a byte in a segment that was never used is more
            // likely to be that one's damage, which loses nothing.
            if has_frame || is_torn || later > index + 1 {
                let reason = format!(
                    "expected a frame, since {header} is only written to once all before it is synced"
                );
                return Err(self.damage(base, end, &reason));
            }
            is_littered = true;
        }
        Ok(is_littered)
    }

    fn damage(&self, base: Position, position: Position, reason: &str) -> OpenError {
        OpenError::Damaged(Damage {
            file: segment_name(base),
            offset: position - base,
            position,
            reason: reason.to_owned(),
        })
    }
}

/// No frame begins before this one, if `nonzero` is the first byte that is not zero: a header has
/// its kind in its second half.
pub(crate) fn first_frame_before(nonzero: Position) -> Position {
    let alignment = FRAME_ALIGNMENT as u64;
    Position::new((nonzero.value() - nonzero.value() % alignment).saturating_sub(alignment))
}

/// Whether a frame can be here. Only what is left of a damaged segment ends where none can, and
/// the next segment follows.
pub(crate) fn has_room(segment_end: Position, position: Position) -> bool {
    segment_end - position >= FRAME_HEADER_BYTES as u64
}

fn proven_by_frame(proof: Position) -> String {
    format!("expected a frame, since the one at position {proof} was written after it was synced")
}

/// Where the records go on after a gap.
pub(crate) fn gap_end(frame: &Frame<'_>) -> Position {
    match frame.body.first_chunk() {
        Some(bytes) => Position::new(u64::from_le_bytes(*bytes)).max(frame.end),
        None => frame.end,
    }
}

/// A sound frame at or after `from` that shows that what is at `bad` had been synced.
fn find_proof(
    walk: &mut Walk,
    mut from: Position,
    bad: Position,
) -> std::io::Result<Option<Position>> {
    while let Some(position) = walk.next_frame(from)? {
        let frame = walk.frame_at(position)?.expect("it was found there just now");
        if frame.synced_before > bad {
            return Ok(Some(position));
        }
        from = frame.end;
    }
    Ok(None)
}
