//! Opening a journal: the snapshot, the records after it, and the judgement of how it ends.

mod files;
mod quarantine;
mod replay;
mod report;
mod survey;

pub use report::{Cut, Lost, OpenReport, Recovered, SnapshotSource};

pub(crate) use files::{list_segments, read_header};
pub(crate) use survey::{SegmentEnd, Survey, survey};

use self::replay::{Ending, Replay, Unproven};
use crate::frame::Seed;
use crate::preparation::create_first_segment;
use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use crate::segments::{OpenSegment, Span};
use crate::snapshot::{self, COPY_NAMES, Copy, Snapshot};
use crate::storage::{Access, Lock, LockError, Storage, StorageFile, read_up_to, write_all_at};
use crate::{Damage, JournalId, OpenError, Options, Position, VisitError};
use std::io;
use std::sync::Arc;

/// What to do when something that was durable is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoverMode {
    /// Not open, and change nothing.
    Refuse,
    /// Copy damaged segments to the folder `quarantine`, put gaps in the place of what is damaged,
    /// and open with all that is sound. Every segment is read for it.
    Quarantine,
}

/// Written, or copied, at once.
const CHUNK_BYTES: usize = 1 << 20;

/// What a journal starts from.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) id: JournalId,
    /// All segments that hold records, or may.
    pub(crate) segments: Vec<Span>,
    /// The one that the next record goes to, and its file.
    pub(crate) current: Span,
    pub(crate) file: Arc<dyn StorageFile>,
    /// The one after it, if it is there already.
    pub(crate) next: Option<OpenSegment>,
    pub(crate) report: OpenReport,
}

/// Takes the lock.
pub(crate) fn lock(storage: &dyn Storage) -> Result<Box<dyn Lock>, OpenError> {
    storage.lock().map_err(|error| match error {
        LockError::Held(process_id) => {
            OpenError::Locked { directory: storage.describe(), process_id }
        }
        LockError::Io(source) => OpenError::Io { action: "lock", file: "lock".to_owned(), source },
    })
}

/// Restores the journal that is in `storage`, or makes one.
pub(crate) fn restore(
    storage: &Arc<dyn Storage>,
    options: &Options,
    mode: RecoverMode,
    visit: &mut dyn FnMut(Recovered<'_>) -> Result<(), VisitError>,
) -> Result<Restored, OpenError> {
    files::remove_unfinished(&**storage)?;
    let mut report = OpenReport::default();
    if mode == RecoverMode::Quarantine {
        quarantine::set_aside(storage, options, &mut report)?;
    }
    let snapshot = choose_snapshot(&**storage, &mut report)?;
    let headers = files::check_segments(&**storage, snapshot.as_ref())?;
    if headers.is_empty() && snapshot.is_none() && report.damaged_snapshots.is_empty() {
        return begin_new(&**storage, options, report);
    }
    let start = start_position(&headers, snapshot.as_ref(), &report)?;
    report.snapshot_position = start;
    if let Some(snapshot) = &snapshot {
        report.snapshot_records =
            snapshot.visit(&mut |kind, body| visit(Recovered::Snapshot { kind, body }))?;
    }
    let id = headers.first().map_or(JournalId([0; 16]), |header| header.id);
    let seed = Seed::of_journal(&id.0);
    let mut replay = Replay::new(&**storage, seed, &headers, &mut report);
    let ending = replay.run(start, visit)?;
    settle(storage, options, &headers, &ending, report)
}

/// The newest whole copy. The other one is made the same, so that there are two again.
fn choose_snapshot(
    storage: &dyn Storage,
    report: &mut OpenReport,
) -> Result<Option<Snapshot>, OpenError> {
    let mut whole: Vec<Snapshot> = Vec::new();
    for name in COPY_NAMES {
        match snapshot::load(storage, name)? {
            Copy::Missing => {}
            Copy::Damaged(damage) => report.damaged_snapshots.push(damage),
            Copy::Whole(snapshot) => whole.push(snapshot),
        }
    }
    // Of two that are alike, the first.
    whole.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.header.position));
    let are_alike = whole.len() == 2 && whole[0].header == whole[1].header;
    let Some(chosen) = whole.into_iter().next() else { return Ok(None) };
    let other = COPY_NAMES.into_iter().find(|name| *name != chosen.name);
    let other = other.expect("there are two names");
    if are_alike {
        report.snapshot_source = SnapshotSource::BothCopies;
    } else {
        report.snapshot_source = SnapshotSource::OneCopy(chosen.name);
        chosen.copy_to(storage, other).map_err(|source| OpenError::Io {
            action: "write",
            file: other.to_owned(),
            source,
        })?;
    }
    Ok(Some(chosen))
}

/// Where the records begin that the snapshot does not hold.
fn start_position(
    headers: &[SegmentHeader],
    snapshot: Option<&Snapshot>,
    report: &OpenReport,
) -> Result<Position, OpenError> {
    if let Some(snapshot) = snapshot {
        return Ok(snapshot.header.position);
    }
    // Without a snapshot, all records ever appended have to be there.
    match headers.first() {
        Some(first) if first.base == Position::ZERO => Ok(first.base + SEGMENT_HEADER_BYTES as u64),
        _ => Err(OpenError::Damaged(report.damaged_snapshots.first().cloned().unwrap_or_else(
            || Damage {
                file: segment_name(Position::ZERO),
                offset: 0,
                position: Position::ZERO,
                reason: "expected the first segment, or a snapshot, and found neither".to_owned(),
            },
        ))),
    }
}

fn begin_new(
    storage: &dyn Storage,
    options: &Options,
    mut report: OpenReport,
) -> Result<Restored, OpenError> {
    let (span, file) = create_first_segment(storage, options)
        .map_err(|source| failed("create", segment_name(Position::ZERO), source))?;
    report.is_new = true;
    report.end = span.base + SEGMENT_HEADER_BYTES as u64;
    report.snapshot_position = report.end;
    Ok(Restored {
        id: options.new_journal_id,
        segments: vec![span],
        current: span,
        file,
        next: None,
        report,
    })
}

/// Makes what was found the durable truth: the torn end is cut, the sound end is synced, and what
/// lies behind it is as a journal that runs would have it.
fn settle(
    storage: &Arc<dyn Storage>,
    options: &Options,
    headers: &[SegmentHeader],
    ending: &Ending,
    mut report: OpenReport,
) -> Result<Restored, OpenError> {
    let header = headers[ending.segment];
    let current = Span { base: header.base, bytes: header.bytes };
    let name = segment_name(current.base);
    let file = storage
        .open(&name, Access::Write)
        .map_err(|source| failed("open", name.clone(), source))?;
    for unproven in &ending.unproven {
        // In order: nothing is written to a segment before the one it follows is synced.
        write_again(&**storage, headers[unproven.segment].base, unproven)?;
    }
    if let Some(cut) = ending.cut {
        let cleared = put_zeros(&*file, cut.from - current.base, cut.until - cut.from)
            .and_then(|()| file.sync_data());
        cleared.map_err(|source| failed("write", name, source))?;
    }
    report.cut = ending.cut;
    report.end = ending.end;
    let next = settle_next(storage, options, current, &headers[ending.segment + 1..], ending)?;
    storage.sync_dir().map_err(|source| failed("sync", storage.describe(), source))?;
    let span = |header: &SegmentHeader| Span { base: header.base, bytes: header.bytes };
    let segments = headers[..=ending.segment].iter().map(span).collect();
    Ok(Restored { id: header.id, segments, current, file, next, report })
}

/// Makes frames durable that were read, but may never have reached the medium, whatever a sync
/// says that follows one that failed. What is written again does.
fn write_again(
    storage: &dyn Storage,
    base: Position,
    unproven: &Unproven,
) -> Result<(), OpenError> {
    let failed = |source| failed("write", segment_name(base), source);
    let file = storage.open(&segment_name(base), Access::Write).map_err(failed)?;
    let (mut at, mut chunk) = (unproven.from, Vec::new());
    while at < unproven.until {
        chunk.clear();
        let bytes = ((unproven.until - at) as usize).min(CHUNK_BYTES);
        read_up_to(&*file, at - base, bytes, &mut chunk).map_err(failed)?;
        if chunk.len() < bytes {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        write_all_at(&*file, at - base, &chunk).map_err(failed)?;
        at = at + bytes as u64;
    }
    file.sync_data().map_err(failed)
}

/// Clears the segments behind the end; the first is kept if it is one that would be made now.
fn settle_next(
    storage: &Arc<dyn Storage>,
    options: &Options,
    current: Span,
    behind: &[SegmentHeader],
    ending: &Ending,
) -> Result<Option<OpenSegment>, OpenError> {
    let usual =
        Span { base: current.end(), bytes: options.usual_segment_bytes_after(current.bytes) };
    let mut next = None;
    for header in behind {
        let span = Span { base: header.base, bytes: header.bytes };
        let name = segment_name(span.base);
        if span == usual && !ending.is_next_littered {
            let file = storage.open(&name, Access::Write);
            next = Some((span, file.map_err(|source| failed("open", name, source))?));
        } else {
            storage.remove(&name).map_err(|source| failed("remove", name, source))?;
        }
    }
    Ok(next)
}

/// Puts zeros there, durably once the file is synced.
pub(crate) fn put_zeros(file: &dyn StorageFile, mut offset: u64, mut bytes: u64) -> io::Result<()> {
    let zeros = vec![0; CHUNK_BYTES.min(bytes as usize)];
    while bytes > 0 {
        let chunk = &zeros[..zeros.len().min(bytes as usize)];
        write_all_at(file, offset, chunk)?;
        offset += chunk.len() as u64;
        bytes -= chunk.len() as u64;
    }
    Ok(())
}

pub(crate) fn failed(action: &'static str, file: String, source: io::Error) -> OpenError {
    OpenError::Io { action, file, source }
}
