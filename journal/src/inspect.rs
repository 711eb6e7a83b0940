//! Looking at a journal without opening it: what is in it, and whether it is sound. Nothing is
//! changed, and no lock is needed.
//!
//! A journal that is in use changes while it is looked at: what is being written then may be found
//! torn. [`Inspection::lock_holder`] says whether it is.

use crate::frame::{KIND_GAP, KIND_MAX, KIND_SEAL, KIND_SEGMENT_END, Seed};
use crate::recovery::{SegmentEnd, list_segments, read_header, survey};
use crate::segment::{SEGMENT_HEADER_BYTES, segment_name};
use crate::segments::Span;
use crate::snapshot::{self, COPY_NAMES, Copy, Snapshot};
use crate::storage::{Access, LockHolder, Storage};
use crate::walk::{Frame, Walk};
use crate::{Damage, JournalId, OpenError, Position};

/// What a journal's directory holds.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Who has the journal open.
    pub lock_holder: LockHolder,
    /// The journal's id, where anything says it.
    pub id: Option<JournalId>,
    /// The two copies of the snapshot.
    pub snapshots: Vec<SnapshotFile>,
    /// All segments, in order.
    pub segments: Vec<SegmentFile>,
    /// What is not as it was written. A torn end is none of these.
    pub damage: Vec<Damage>,
    /// Where the records end in something that is no record, if they do: the torn end that the
    /// next opening cuts.
    pub torn_at: Option<Position>,
}

/// A copy of the snapshot.
#[derive(Clone, Debug)]
pub struct SnapshotFile {
    /// The file.
    pub name: &'static str,
    /// The position whose state it is, and its length, if it is there and sound.
    pub state: Option<(Position, u64)>,
}

/// A segment's file.
#[derive(Clone, Debug)]
pub struct SegmentFile {
    /// The file.
    pub name: String,
    /// The position of its first byte.
    pub base: Position,
    /// Its length.
    pub bytes: u64,
    /// The caller's records in it that are sound.
    pub records: u64,
    /// Bytes of their bodies.
    pub body_bytes: u64,
    /// Where its frames end.
    pub end: Position,
}

/// A sound frame, or a record of the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A record of the snapshot.
    Snapshot {
        /// Its kind.
        kind: u8,
        /// Its body.
        body: &'a [u8],
    },
    /// A record.
    Record {
        /// Where it is.
        position: Position,
        /// Its kind.
        kind: u8,
        /// Its body.
        body: &'a [u8],
    },
    /// A gap, a seal or the end of a segment.
    Own {
        /// Where it is.
        position: Position,
        /// What it is called.
        name: &'static str,
    },
}

/// Goes through a whole journal, and gives all that is sound to `visit`: the snapshot's records
/// first, then all segments, even what the snapshot stands for.
///
/// # Errors
/// When the medium fails, or a file is of another version. Damage is no error: it is told.
pub fn inspect(
    storage: &dyn Storage,
    visit: &mut dyn FnMut(Item<'_>),
) -> Result<Inspection, OpenError> {
    let lock_holder = storage.lock_holder().map_err(|source| OpenError::Io {
        action: "look at",
        file: "lock".to_owned(),
        source,
    })?;
    let mut inspection = Inspection {
        lock_holder,
        id: None,
        snapshots: Vec::new(),
        segments: Vec::new(),
        damage: Vec::new(),
        torn_at: None,
    };
    let snapshot = inspection.look_at_snapshots(storage)?;
    if let Some(snapshot) = &snapshot {
        inspection.id = Some(snapshot.header.id);
        snapshot.visit(&mut |kind, body| {
            visit(Item::Snapshot { kind, body });
            Ok(())
        })?;
    }
    inspection.look_at_segments(storage, snapshot.as_ref(), visit)?;
    Ok(inspection)
}

impl Inspection {
    fn look_at_snapshots(&mut self, storage: &dyn Storage) -> Result<Option<Snapshot>, OpenError> {
        let mut newest: Option<Snapshot> = None;
        for name in COPY_NAMES {
            let state = match snapshot::load(storage, name)? {
                Copy::Missing => None,
                Copy::Damaged(damage) => {
                    self.damage.push(damage);
                    None
                }
                Copy::Whole(copy) => {
                    let state = Some((copy.header.position, copy.bytes));
                    let position = copy.header.position;
                    if newest.as_ref().is_none_or(|newest| newest.header.position < position) {
                        newest = Some(copy);
                    }
                    state
                }
            };
            self.snapshots.push(SnapshotFile { name, state });
        }
        Ok(newest)
    }

    fn look_at_segments(
        &mut self,
        storage: &dyn Storage,
        snapshot: Option<&Snapshot>,
        visit: &mut dyn FnMut(Item<'_>),
    ) -> Result<(), OpenError> {
        let first = Position::ZERO + SEGMENT_HEADER_BYTES as u64;
        let mut due = snapshot.map_or(first, |snapshot| snapshot.header.position);
        let mut proven = due;
        let (mut open_ends, mut clean_ends) = (Vec::new(), Vec::new());
        let mut is_linked = false;
        for base in list_segments(storage)? {
            let first = base + SEGMENT_HEADER_BYTES as u64;
            let Some(span) = self.look_at_header(storage, base)? else { continue };
            // Segments before the snapshot's position may have been removed.
            if span.end() > due && due < base {
                self.find(due, base, "expected the segment before this one");
            }
            let survey = self.look_into(storage, span, visit)?;
            proven = proven.max(survey.proven);
            if survey.frames > 0 {
                proven = proven.max(base);
            }
            is_linked = matches!(survey.end, SegmentEnd::Linked { .. });
            open_ends.extend(survey.holes.iter().map(|hole| (base, hole.from)));
            match survey.end {
                SegmentEnd::Linked { to, .. } => due = due.max(to),
                SegmentEnd::Clean(_) if span.end() <= due => {}
                SegmentEnd::Clean(at) => {
                    due = span.end() + SEGMENT_HEADER_BYTES as u64;
                    if at > first {
                        clean_ends.push((base, at));
                    }
                }
                SegmentEnd::Torn(at) => {
                    due = due.max(span.end() + SEGMENT_HEADER_BYTES as u64);
                    self.torn_at = Some(at);
                    open_ends.push((base, at));
                }
            }
        }
        let is_due_there = self
            .segments
            .iter()
            .any(|segment| (segment.base..segment.base + segment.bytes).contains(&due));
        if is_linked && !is_due_there {
            self.find(due, due, "expected the segment that follows the last one");
        }
        for (base, at) in open_ends.iter().chain(&clean_ends).copied() {
            if at < proven {
                self.torn_at = self.torn_at.filter(|torn| *torn != at);
                self.find_in(base, at, "expected a frame, since what follows was written later");
            }
        }
        let torn = open_ends.iter().map(|(_, at)| *at).find(|at| *at >= proven);
        self.torn_at = self.torn_at.or(torn);
        Ok(())
    }

    fn look_at_header(
        &mut self,
        storage: &dyn Storage,
        base: Position,
    ) -> Result<Option<Span>, OpenError> {
        let segment = read_header(storage, base, Access::Read)?;
        let Ok(header) = segment.header else {
            self.find_in(base, base, "expected the header that goes with its name");
            return Ok(None);
        };
        if *self.id.get_or_insert(header.id) != header.id {
            self.find_in(base, base, "expected a segment of this journal, found another's");
            return Ok(None);
        }
        let bytes = header.bytes.min(segment.bytes);
        if segment.bytes < header.bytes {
            self.find_in(base, base + bytes, "expected more bytes, and the file ends here");
        }
        Ok(Some(Span { base, bytes }))
    }

    fn look_into(
        &mut self,
        storage: &dyn Storage,
        span: Span,
        visit: &mut dyn FnMut(Item<'_>),
    ) -> Result<crate::recovery::Survey, OpenError> {
        let name = segment_name(span.base);
        let failed = |source| OpenError::Io { action: "read", file: name.clone(), source };
        let file = storage.open(&name, Access::Read).map_err(failed)?;
        let seed = Seed::of_journal(&self.id.map_or([0; 16], |id| id.0));
        let mut walk = Walk::new(file, seed, span.base, span.bytes);
        let (mut records, mut body_bytes) = (0, 0);
        let survey = survey(&mut walk, span, &mut |frame| {
            if frame.kind <= KIND_MAX {
                records += 1;
                body_bytes += frame.body.len() as u64;
            }
            visit(item(frame));
        });
        let survey = survey.map_err(failed)?;
        let (base, bytes, end) = (span.base, span.bytes, survey.end.position());
        self.segments.push(SegmentFile { name, base, bytes, records, body_bytes, end });
        Ok(survey)
    }

    fn find(&mut self, position: Position, base: Position, reason: &str) {
        let damage =
            Damage { file: segment_name(base), offset: 0, position, reason: reason.to_owned() };
        self.damage.push(damage);
    }

    fn find_in(&mut self, base: Position, position: Position, reason: &str) {
        let damage = Damage {
            file: segment_name(base),
            offset: position - base,
            position,
            reason: reason.to_owned(),
        };
        self.damage.push(damage);
    }
}

fn item<'a>(frame: &Frame<'a>) -> Item<'a> {
    let position = frame.position;
    match frame.kind {
        KIND_SEGMENT_END => Item::Own { position, name: "segment end" },
        KIND_GAP => Item::Own { position, name: "gap" },
        KIND_SEAL => Item::Own { position, name: "seal" },
        kind => Item::Record { position, kind, body: frame.body },
    }
}
