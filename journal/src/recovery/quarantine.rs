//! Setting aside what is damaged, so that the rest can be opened.
//!
//! Each damaged segment is copied to the folder `quarantine` before anything in it is changed. Then
//! a gap frame is put where frames are missing, which says where they go on:
//!
//! ```text
//!  | header, kind 0xFE | position where records go on, u64 | zeros up to there, or the segment's end |
//! ```
//!
//! Where the segment is missing that holds the first record after the snapshot, the snapshot is
//! written anew with the position where records go on. What an interrupted run of this leaves, the
//! next one finds as damaged as before, or mended.

use super::files::{SegmentFile, list_segments, read_header};
use super::report::{Lost, OpenReport};
use super::survey::{SegmentEnd, Survey, survey};
use super::{CHUNK_BYTES, failed, put_zeros};
use crate::frame::{
    BodySum, FRAME_HEADER_BYTES, FrameHeader, KIND_GAP, LAG_UNKNOWN, SEGMENT_END_BYTES, Seed,
    put_frame,
};
use crate::options::SEGMENT_BYTES_LIMIT;
use crate::preparation::create_segment;
use crate::segment::{
    FORMAT_VERSION, HeaderFault, SEGMENT_ALIGNMENT, SEGMENT_HEADER_BYTES, SegmentHeader,
    segment_name,
};
use crate::segments::Span;
use crate::snapshot::{self, COPY_NAMES, Copy, Snapshot, SnapshotHeader};
use crate::storage::{Access, Storage, StorageFile, read_up_to, write_all_at};
use crate::walk::Walk;
use crate::{Damage, JournalId, OpenError, Options, Position};
use std::io;
use std::sync::Arc;

/// The folder that damaged files are copied to.
const FOLDER: &str = "quarantine";

/// Copies of one file that are kept apart, from runs that were interrupted or followed each other.
const COPIES_MAX: usize = 10_000;

/// Where a segment says which journal it is of.
const ID_AT: usize = 32;

/// Sets aside what is damaged. What is left can be opened, and lacks nothing that is sound.
pub(crate) fn set_aside(
    storage: &Arc<dyn Storage>,
    options: &Options,
    report: &mut OpenReport,
) -> Result<(), OpenError> {
    let snapshot = load_snapshots(storage)?;
    let Some(mut mending) = Mending::new(storage, options, snapshot, report)? else {
        return Ok(());
    };
    mending.mend_headers()?;
    mending.find_last_proof()?;
    mending.mend_frames()?;
    mending.mend_start()?;
    mending.mend_end()
}

/// The newest whole snapshot. A copy that is damaged is set aside.
fn load_snapshots(storage: &Arc<dyn Storage>) -> Result<Option<Snapshot>, OpenError> {
    let mut newest: Option<Snapshot> = None;
    for name in COPY_NAMES {
        match snapshot::load(&**storage, name)? {
            Copy::Missing => {}
            Copy::Damaged(_) => copy_aside(storage, name)?,
            Copy::Whole(copy) => {
                let is_newer = newest
                    .as_ref()
                    .is_none_or(|newest| newest.header.position < copy.header.position);
                if is_newer {
                    newest = Some(copy);
                }
            }
        }
    }
    Ok(newest)
}

/// A segment that is being looked at.
#[derive(Debug)]
struct Patient {
    span: Span,
    file: Arc<dyn StorageFile>,
    /// Why it is damaged whatever its frames say: the file was too short.
    is_short: bool,
    survey: Option<Survey>,
    is_copied: bool,
}

struct Mending<'a> {
    storage: &'a Arc<dyn Storage>,
    options: &'a Options,
    report: &'a mut OpenReport,
    snapshot: Option<Snapshot>,
    id: JournalId,
    found: Vec<(Position, SegmentFile)>,
    segments: Vec<Patient>,
    /// All before this was synced.
    proven: Position,
}

impl<'a> Mending<'a> {
    /// `None` if there is no journal.
    fn new(
        storage: &'a Arc<dyn Storage>,
        options: &'a Options,
        snapshot: Option<Snapshot>,
        report: &'a mut OpenReport,
    ) -> Result<Option<Self>, OpenError> {
        let mut found = Vec::new();
        for base in list_segments(&**storage)? {
            found.push((base, read_header(&**storage, base, Access::Write)?));
        }
        if found.is_empty() && snapshot.is_none() {
            return Ok(None);
        }
        let id = journal_id(snapshot.as_ref(), &found)?;
        let (segments, proven) = (Vec::new(), Position::ZERO);
        let mending = Self { storage, options, report, snapshot, id, found, segments, proven };
        Ok(Some(mending))
    }

    /// Gives each segment a sound header and its whole length, and sets aside those that are not
    /// of this journal.
    fn mend_headers(&mut self) -> Result<(), OpenError> {
        let found = std::mem::take(&mut self.found);
        let bases: Vec<_> = found.iter().map(|(base, _)| *base).collect();
        for (index, (base, segment)) in found.into_iter().enumerate() {
            let name = segment_name(base);
            let overlaps = self.segments.last().is_some_and(|last| last.span.end() > base);
            let span = match segment.header {
                Err(HeaderFault::Version(found)) => {
                    return Err(OpenError::Version { file: name, expected: FORMAT_VERSION, found });
                }
                Ok(header) if header.id == self.id && !overlaps => {
                    Some(Span { base, bytes: header.bytes })
                }
                Err(HeaderFault::Damaged) if !overlaps => {
                    self.mend_header(base, &segment, bases.get(index + 1).copied())?
                }
                _ => None,
            };
            let Some(span) = span else {
                copy_aside(self.storage, &name)?;
                let until = base + segment.bytes;
                self.lose(base, base, until, "expected a segment of this journal");
                self.remove(&name)?;
                continue;
            };
            let is_short = segment.bytes < span.bytes;
            let mut patient =
                Patient { span, file: segment.file, is_short, survey: None, is_copied: false };
            if is_short {
                self.copy_once(&mut patient)?;
                let mended =
                    patient.file.allocate(span.bytes).and_then(|()| patient.file.sync_all());
                mended.map_err(|source| failed("write", name, source))?;
            }
            self.segments.push(patient);
        }
        Ok(())
    }

    /// Writes a header anew from what its name and its neighbour say; `None` if they say nothing
    /// that can be.
    fn mend_header(
        &mut self,
        base: Position,
        segment: &SegmentFile,
        next: Option<Position>,
    ) -> Result<Option<Span>, OpenError> {
        let by_file = segment.bytes.next_multiple_of(SEGMENT_ALIGNMENT).max(SEGMENT_ALIGNMENT);
        // A file that was cut may end with a frame, and a gap has to follow that.
        let by_file = if next.is_none() { by_file + SEGMENT_ALIGNMENT } else { by_file };
        let by_next = next.map(|next| next - base).filter(|bytes| *bytes <= SEGMENT_BYTES_LIMIT);
        let bytes = match by_next {
            // A segment in between may be missing: then the file is the shorter one.
            Some(bytes) => bytes.min(by_file),
            None => by_file,
        };
        if bytes > SEGMENT_BYTES_LIMIT || base.value().checked_add(bytes).is_none() {
            return Ok(None);
        }
        let name = segment_name(base);
        copy_aside(self.storage, &name)?;
        let header = SegmentHeader { base, bytes, id: self.id };
        let mended = write_all_at(&*segment.file, 0, &header.encode())
            .and_then(|()| segment.file.sync_all());
        mended.map_err(|source| failed("write", name, source))?;
        let first = base + SEGMENT_HEADER_BYTES as u64;
        self.lose(base, base, first, "expected the header that goes with its name");
        Ok(Some(Span { base, bytes }))
    }

    /// Surveys all segments, and finds up to where they prove that all was synced.
    fn find_last_proof(&mut self) -> Result<(), OpenError> {
        let seed = Seed::of_journal(&self.id.0);
        if let Some(snapshot) = &self.snapshot {
            self.proven = snapshot.header.position;
        }
        let last = self.segments.len().saturating_sub(1);
        let mut ends_torn = false;
        for (index, segment) in self.segments.iter_mut().enumerate() {
            let span = segment.span;
            let mut walk = Walk::new(Arc::clone(&segment.file), seed, span.base, span.bytes);
            let survey = survey(&mut walk, span, &mut |_| {})
                .map_err(|source| failed("read", segment_name(span.base), source))?;
            self.proven = self.proven.max(survey.proven);
            let is_torn = matches!(survey.end, SegmentEnd::Torn(_));
            // Only the last segment may have been made before all before it was synced; and one
            // that is written to proves as much.
            if survey.frames > 0 || index < last || (is_torn && ends_torn) {
                self.proven = self.proven.max(span.base);
            }
            ends_torn = is_torn;
            segment.survey = Some(survey);
        }
        Ok(())
    }

    /// Puts a gap in the place of all that is missing from what was synced.
    fn mend_frames(&mut self) -> Result<(), OpenError> {
        let mut segments = std::mem::take(&mut self.segments);
        let firsts: Vec<_> =
            segments.iter().map(|s| s.span.base + SEGMENT_HEADER_BYTES as u64).collect();
        for (index, patient) in segments.iter_mut().enumerate() {
            let survey = patient.survey.clone().expect("all were surveyed");
            let proven = self.proven;
            for hole in survey.holes.iter().filter(|hole| hole.from < proven) {
                self.mend_hole(patient, hole.from, hole.until)?;
            }
            let next = firsts.get(index + 1).copied();
            self.mend_segment_end(patient, survey.end, next)?;
        }
        self.segments = segments;
        Ok(())
    }

    fn mend_hole(
        &mut self,
        patient: &mut Patient,
        from: Position,
        until: Position,
    ) -> Result<(), OpenError> {
        let start = self.snapshot.as_ref().map(|snapshot| snapshot.header.position);
        match start {
            // Recovery begins in the middle of it, and has to find a frame there.
            Some(start) if from < start && start < until => {
                self.put_gap(patient, from, start)?;
                self.put_gap(patient, start, until)
            }
            _ => self.put_gap(patient, from, until),
        }
    }

    fn mend_segment_end(
        &mut self,
        patient: &mut Patient,
        end: SegmentEnd,
        next: Option<Position>,
    ) -> Result<(), OpenError> {
        let after = patient.span.end() + SEGMENT_HEADER_BYTES as u64;
        match (end, next) {
            (SegmentEnd::Linked { to, .. }, Some(next)) if to == next => Ok(()),
            // What was removed as dead is not missing.
            (SegmentEnd::Linked { .. }, Some(next)) if next <= self.start() => Ok(()),
            (SegmentEnd::Linked { frame, .. }, Some(next)) => self.put_gap(patient, frame, next),
            (SegmentEnd::Linked { .. }, None) => Ok(()),
            (SegmentEnd::Clean(at) | SegmentEnd::Torn(at), next) => {
                if at >= self.proven && !patient.is_short {
                    return Ok(());
                }
                let next = next.filter(|next| *next > self.start() || *next == after);
                self.mend_hole(patient, at, next.unwrap_or(after))
            }
        }
    }

    /// Where recovery begins.
    fn start(&self) -> Position {
        let first = Position::ZERO + SEGMENT_HEADER_BYTES as u64;
        self.snapshot.as_ref().map_or(first, |snapshot| snapshot.header.position)
    }

    /// Lets recovery begin at the first segment there is, if the one is missing that it would have
    /// begun with.
    fn mend_start(&mut self) -> Result<(), OpenError> {
        let start = self.start();
        let first_of = |span: Span| span.base + SEGMENT_HEADER_BYTES as u64;
        let holds = |span: Span| first_of(span) <= start && start < span.end();
        if self.segments.iter().any(|segment| holds(segment.span)) {
            return Ok(());
        }
        let later = self.segments.iter().find(|segment| first_of(segment.span) > start);
        let position = match later {
            Some(segment) => first_of(segment.span),
            None => {
                let end = self.segments.last().map_or(start, |last| last.span.end().max(start));
                let base = behind_lost_segment(end);
                self.add_segment(base)?;
                base + SEGMENT_HEADER_BYTES as u64
            }
        };
        let header = SnapshotHeader { position, id: self.id };
        snapshot::write_anew(&**self.storage, header, self.snapshot.as_ref())
            .map_err(|error| failed("write", COPY_NAMES[0].to_owned(), io::Error::other(error)))?;
        let base = Position::new(start.value() - start.value() % SEGMENT_ALIGNMENT);
        self.lose(base, start, position, "expected the segment that holds this position");
        Ok(())
    }

    /// Makes a segment where the last one says that one follows.
    fn mend_end(&mut self) -> Result<(), OpenError> {
        let Some(mut last) = self.segments.pop() else { return Ok(()) };
        let (after, survey) = (last.span.end(), last.survey.clone());
        let base = match survey.map(|survey| survey.end) {
            Some(SegmentEnd::Linked { frame, .. }) => {
                let base = behind_lost_segment(after);
                let first = base + SEGMENT_HEADER_BYTES as u64;
                self.put_gap(&mut last, frame, first)?;
                self.lose(after, after, first, "expected the segment that follows the last one");
                Some(base)
            }
            Some(SegmentEnd::Clean(at) | SegmentEnd::Torn(at)) => {
                (last.is_short || at < self.proven).then_some(after)
            }
            None => None,
        };
        self.segments.push(last);
        base.map_or(Ok(()), |base| self.add_segment(base))
    }

    fn add_segment(&mut self, base: Position) -> Result<(), OpenError> {
        let span = Span { base, bytes: self.options.segment_bytes_first };
        let file = create_segment(&**self.storage, self.id, span)
            .map_err(|source| failed("create", segment_name(base), source))?;
        let patient = Patient { span, file, is_short: false, survey: None, is_copied: true };
        self.segments.push(patient);
        Ok(())
    }

    /// Puts a gap frame there, and zeros behind it for as long as the gap is in the segment.
    fn put_gap(
        &mut self,
        patient: &mut Patient,
        from: Position,
        until: Position,
    ) -> Result<(), OpenError> {
        self.copy_once(patient)?;
        let seed = Seed::of_journal(&self.id.0);
        let resume = until.value().to_le_bytes();
        let room = until.min(patient.span.end()) - from;
        if room < FRAME_HEADER_BYTES as u64 {
            let (file, offset) = (segment_name(patient.span.base), from - patient.span.base);
            let reason = "expected room to say where records go on; remove the file".to_owned();
            return Err(OpenError::Damaged(Damage { file, offset, position: from, reason }));
        }
        let body: &[&[u8]] = if room >= SEGMENT_END_BYTES as u64 { &[&resume] } else { &[] };
        let sum = BodySum::of(body).expect("a position is short");
        let header = FrameHeader::new(seed, from, KIND_GAP, LAG_UNKNOWN, sum);
        let mut frame = Vec::new();
        put_frame(&mut frame, seed, from, &header, body);
        let offset = from - patient.span.base;
        let rest = room - frame.len() as u64;
        // First the zeros: whatever is read until the frame is there is as damaged as before.
        let mended = put_zeros(&*patient.file, offset + frame.len() as u64, rest)
            .and_then(|()| patient.file.sync_data())
            .and_then(|()| write_all_at(&*patient.file, offset, &frame))
            .and_then(|()| patient.file.sync_data());
        let name = segment_name(patient.span.base);
        mended.map_err(|source| failed("write", name, source))?;
        self.lose(patient.span.base, from, until, "expected frames that were synced");
        Ok(())
    }

    fn copy_once(&self, patient: &mut Patient) -> Result<(), OpenError> {
        if !patient.is_copied {
            copy_aside(self.storage, &segment_name(patient.span.base))?;
            patient.is_copied = true;
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), OpenError> {
        let removed = self.storage.remove(name).and_then(|()| self.storage.sync_dir());
        removed.map_err(|source| failed("remove", name.to_owned(), source))
    }

    fn lose(&mut self, base: Position, from: Position, until: Position, reason: &str) {
        let lost = Lost {
            file: segment_name(base),
            offset: from - base,
            from,
            until,
            reason: reason.to_owned(),
        };
        tracing::warn!(file = lost.file, %from, %until, reason, "set aside damaged records");
        self.report.quarantined.push(lost);
    }
}

/// Where records go on if a segment at `base` is lost whose length nobody knows. No position is
/// used twice.
fn behind_lost_segment(base: Position) -> Position {
    let behind = base + SEGMENT_BYTES_LIMIT;
    Position::new(behind.value().next_multiple_of(SEGMENT_ALIGNMENT))
}

/// Which journal this is: what the snapshot says, or a sound header, or at last a damaged one.
fn journal_id(
    snapshot: Option<&Snapshot>,
    found: &[(Position, SegmentFile)],
) -> Result<JournalId, OpenError> {
    if let Some(snapshot) = snapshot {
        return Ok(snapshot.header.id);
    }
    let sound = found.iter().find_map(|(_, segment)| segment.header.ok());
    if let Some(header) = sound {
        return Ok(header.id);
    }
    let mut id = [0; 16];
    if let Some((base, segment)) = found.first() {
        let mut bytes = Vec::new();
        read_up_to(&*segment.file, ID_AT as u64, id.len(), &mut bytes)
            .map_err(|source| failed("read", segment_name(*base), source))?;
        id[..bytes.len()].copy_from_slice(&bytes);
    }
    Ok(JournalId(id))
}

/// Copies a file to the folder, durably.
fn copy_aside(storage: &Arc<dyn Storage>, name: &str) -> Result<(), OpenError> {
    copy_to_folder(storage, name)
        .map_err(|source| failed("copy", format!("{name} to {FOLDER}/"), source))
}

fn copy_to_folder(storage: &Arc<dyn Storage>, name: &str) -> io::Result<()> {
    let folder = storage.folder(FOLDER)?;
    let names = folder.list()?;
    let copy_name = (0..COPIES_MAX)
        .map(|number| if number == 0 { name.to_owned() } else { format!("{name}.{number}") })
        .find(|copy_name| !names.contains(copy_name))
        .ok_or(io::ErrorKind::AlreadyExists)?;
    let (original, copy) = (storage.open(name, Access::Read)?, folder.create(&copy_name)?);
    let (mut offset, mut chunk) = (0, Vec::new());
    loop {
        chunk.clear();
        read_up_to(&*original, offset, CHUNK_BYTES, &mut chunk)?;
        if chunk.is_empty() {
            break;
        }
        write_all_at(&*copy, offset, &chunk)?;
        offset += chunk.len() as u64;
    }
    copy.sync_all()?;
    folder.sync_dir()
}
