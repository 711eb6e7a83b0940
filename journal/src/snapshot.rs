//! Snapshots: the state at a position, so that recovery need not begin at the journal's start.
//!
//! Two files hold the same, `snapshot.a` and `snapshot.b`; one is enough.
//!
//! ```text
//!  0          8        12       16        24       32               48             60     64
//!  | TANDEMSN | version | zeros  | position | zeros  | journal id     | zeros        | crc  |
//!  | frame | frame | ... | end: number of frames, u64 |
//! ```
//!
//! The frames are those of segments, but a frame's position is its offset in the file, its lag
//! says nothing, and the snapshot's position is part of its sums. The last is of kind 0xFF.

use crate::frame::{
    BodySum, FRAME_HEADER_BYTES, FrameHeader, KIND_MAX, KIND_SEGMENT_END, LAG_UNKNOWN, Seed,
    put_frame,
};
use crate::journal::Journal;
use crate::preparation::UNFINISHED_ENDING;
use crate::segment::{FORMAT_VERSION, POSITION_LIMIT, segment_name};
use crate::segments::Span;
use crate::storage::{Access, Storage, StorageFile, read_up_to, write_all_at};
use crate::walk::Walk;
use crate::{AppendError, Damage, JournalId, OpenError, Position, SnapshotError, VisitError};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The two copies, in the order in which they are written.
pub(crate) const COPY_NAMES: [&str; 2] = ["snapshot.a", "snapshot.b"];

const MAGIC: [u8; 8] = *b"TANDEMSN";
const HEADER_BYTES: usize = 64;
const CRC_AT: usize = HEADER_BYTES - 4;

/// Written, or copied, at once.
const CHUNK_BYTES: usize = 1 << 20;

impl Journal {
    /// Writes a snapshot: the state that all records before `position` make, as records of the
    /// caller's, which `records` puts into the sink. Recovery begins with them from now on.
    ///
    /// `position` is what [`end`](Self::end) gave before the state was taken. The records may tell
    /// of what was appended while they were given: all of it is synced before the snapshot counts.
    /// They name nothing that was released before this call.
    ///
    /// # Errors
    /// When the medium fails or `records` does; the snapshot before this one still holds then. If
    /// it is the directory that fails, the journal has failed for good.
    pub fn write_snapshot(
        &self,
        position: Position,
        records: &mut dyn FnMut(&mut SnapshotSink) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        let _upkeep = self.upkeep.lock().expect("nothing panics during upkeep");
        let (earliest, end) = (self.snapshot_position(), self.end());
        if position < earliest || position > end {
            return Err(SnapshotError::Position { position, earliest, end });
        }
        if let Some(failed) = self.failure() {
            return Err(failed.into());
        }
        if position < self.reached().written && !self.has_frame(position)? {
            return Err(SnapshotError::Position { position, earliest, end });
        }
        let header = SnapshotHeader { position, id: self.id() };
        let number = self.segments_table().begin_snapshot();
        let mut sink =
            SnapshotSink::create(self.storage(), header, self.options().record_bytes_max)?;
        records(&mut sink)?;
        sink.finish()?;
        // What the records tell may be newer than the position: nothing of it may be lost later.
        if self.reached().synced < self.end() {
            self.sync()?;
        }
        for name in COPY_NAMES {
            let unfinished = format!("{name}{UNFINISHED_ENDING}");
            self.storage()
                .rename(&unfinished, name)
                .map_err(|error| self.fail("rename", unfinished, error))?;
            self.sync_dir()?;
        }
        self.snapshot_position.store(position.value(), Ordering::Release);
        self.segments_table().end_snapshot(number);
        tracing::debug!(%position, "wrote a snapshot");
        Ok(())
    }
}

impl Journal {
    /// Whether a frame begins at this position, which is written.
    fn has_frame(&self, position: Position) -> Result<bool, SnapshotError> {
        let failed = |span: Span, source| SnapshotError::Io {
            action: "read",
            file: segment_name(span.base),
            source,
        };
        let opened = self.segments_table().open(self.storage(), position);
        let opened = opened.map_err(|(span, source)| failed(span, source))?;
        let Some((span, file)) = opened else { return Ok(false) };
        let mut walk = Walk::new(file, self.seed(), span.base, span.bytes);
        let found = walk.frame_at(position).map_err(|source| failed(span, source))?;
        Ok(found.is_some())
    }
}

/// Takes the records of a snapshot.
#[derive(Debug)]
pub struct SnapshotSink {
    files: Vec<(String, Arc<dyn StorageFile>)>,
    seed: Seed,
    record_bytes_max: u32,
    /// What is not written yet, and where it goes.
    buffer: Vec<u8>,
    buffer_at: u64,
    frames: u64,
}

impl SnapshotSink {
    fn create(
        storage: &dyn Storage,
        header: SnapshotHeader,
        record_bytes_max: u32,
    ) -> Result<Self, SnapshotError> {
        let mut files = Vec::new();
        for name in COPY_NAMES {
            let name = format!("{name}{UNFINISHED_ENDING}");
            match storage.create(&name) {
                Ok(file) => files.push((name, file)),
                Err(source) => {
                    return Err(SnapshotError::Io { action: "create", file: name, source });
                }
            }
        }
        Ok(Self {
            files,
            seed: header.seed(),
            record_bytes_max,
            buffer: header.encode().to_vec(),
            buffer_at: 0,
            frames: 0,
        })
    }

    /// Appends a record whose body is these pieces, one after the other.
    ///
    /// # Errors
    /// When the medium fails, or when the record is none that a journal takes.
    pub fn put(&mut self, kind: u8, body: &[&[u8]]) -> Result<(), SnapshotError> {
        if !(1..=KIND_MAX).contains(&kind) {
            return Err(AppendError::Kind(kind).into());
        }
        let limit = self.record_bytes_max;
        let sum = BodySum::of(body).filter(|sum| sum.length <= limit).ok_or_else(|| {
            AppendError::TooLarge {
                bytes: body.iter().map(|piece| piece.len() as u64).sum(),
                limit,
            }
        })?;
        self.frames += 1;
        self.put_frame(kind, sum, body)
    }

    fn put_frame(&mut self, kind: u8, sum: BodySum, body: &[&[u8]]) -> Result<(), SnapshotError> {
        let position = Position::new(self.buffer_at + self.buffer.len() as u64);
        let header = FrameHeader::new(self.seed, position, kind, LAG_UNKNOWN, sum);
        put_frame(&mut self.buffer, self.seed, position, &header, body);
        if self.buffer.len() >= CHUNK_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), SnapshotError> {
        for (name, file) in &self.files {
            write_all_at(&**file, self.buffer_at, &self.buffer).map_err(|source| {
                SnapshotError::Io { action: "write", file: name.clone(), source }
            })?;
        }
        self.buffer_at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<(), SnapshotError> {
        let frames = self.frames.to_le_bytes();
        let sum = BodySum::of(&[&frames]).expect("a number is short");
        self.put_frame(KIND_SEGMENT_END, sum, &[&frames])?;
        self.flush()?;
        for (name, file) in &self.files {
            file.sync_all().map_err(|source| SnapshotError::Io {
                action: "sync",
                file: name.clone(),
                source,
            })?;
        }
        Ok(())
    }
}

/// Takes a record of a snapshot.
pub(crate) type VisitRecord<'a> = &'a mut dyn FnMut(u8, &[u8]) -> Result<(), VisitError>;

/// What a snapshot says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotHeader {
    pub(crate) position: Position,
    pub(crate) id: JournalId,
}

impl SnapshotHeader {
    fn seed(&self) -> Seed {
        Seed::of_snapshot(&self.id.0, self.position)
    }

    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.position.value().to_le_bytes());
        bytes[32..48].copy_from_slice(&self.id.0);
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header, or the version that is not ours, or nothing.
    fn decode(bytes: &[u8]) -> Option<Result<Self, u32>> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        let crc = u32::from_le_bytes(std::array::from_fn(|n| bytes[CRC_AT + n]));
        if bytes[0..8] != MAGIC || crc != crc32c::crc32c(&bytes[..CRC_AT]) {
            return None;
        }
        let version = number(8) as u32;
        if version != FORMAT_VERSION {
            return Some(Err(version));
        }
        if number(16) >= POSITION_LIMIT {
            return None;
        }
        let id = JournalId(std::array::from_fn(|n| bytes[32 + n]));
        Some(Ok(Self { position: Position::new(number(16)), id }))
    }
}

/// What became of one copy of the snapshot.
#[derive(Debug)]
pub(crate) enum Copy {
    Missing,
    Damaged(Damage),
    Whole(Snapshot),
}

/// A copy whose every byte was checked.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) name: &'static str,
    pub(crate) header: SnapshotHeader,
    pub(crate) bytes: u64,
    file: Arc<dyn StorageFile>,
}

/// Checks one copy.
pub(crate) fn load(storage: &dyn Storage, name: &'static str) -> Result<Copy, OpenError> {
    let failed = |source| OpenError::Io { action: "read", file: name.to_owned(), source };
    let file = match storage.open(name, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Copy::Missing),
        Err(error) => return Err(failed(error)),
    };
    let mut head = Vec::new();
    read_up_to(&*file, 0, HEADER_BYTES, &mut head).map_err(failed)?;
    let header = match SnapshotHeader::decode(&head) {
        None => return Ok(Copy::Damaged(damage(name, 0, "expected a snapshot's header"))),
        Some(Err(found)) => {
            let file = name.to_owned();
            return Err(OpenError::Version { file, expected: FORMAT_VERSION, found });
        }
        Some(Ok(header)) => header,
    };
    let bytes = file.bytes().map_err(failed)?;
    let snapshot = Snapshot { name, header, bytes, file };
    Ok(match snapshot.check().map_err(failed)? {
        Ok(()) => Copy::Whole(snapshot),
        Err((offset, reason)) => Copy::Damaged(damage(name, offset, reason)),
    })
}

fn damage(name: &str, offset: u64, reason: &str) -> Damage {
    let position = Position::new(offset);
    Damage { file: name.to_owned(), offset, position, reason: reason.to_owned() }
}

impl Snapshot {
    /// Gives each record to `visit`. The file was checked; that it has changed since is an error.
    pub(crate) fn visit(&self, visit: VisitRecord<'_>) -> Result<u64, OpenError> {
        let failed = |source| OpenError::Io { action: "read", file: self.name.to_owned(), source };
        let (mut walk, mut at, mut count) = (self.walk(), FIRST_FRAME, 0);
        loop {
            let frame = walk.frame_at(at).map_err(failed)?;
            let frame = frame.ok_or_else(|| {
                OpenError::Damaged(damage(
                    self.name,
                    at.value(),
                    "expected the frame that was there",
                ))
            })?;
            if frame.kind == KIND_SEGMENT_END {
                return Ok(count);
            }
            visit(frame.kind, frame.body)
                .map_err(|source| OpenError::Visit { position: self.header.position, source })?;
            count += 1;
            at = frame.end;
        }
    }

    /// Makes the copy of this name the same as this one.
    pub(crate) fn copy_to(&self, storage: &dyn Storage, name: &str) -> io::Result<()> {
        let unfinished = format!("{name}{UNFINISHED_ENDING}");
        let copy = storage.create(&unfinished)?;
        let (mut offset, mut chunk) = (0, Vec::new());
        while offset < self.bytes {
            chunk.clear();
            read_up_to(&*self.file, offset, CHUNK_BYTES, &mut chunk)?;
            if chunk.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            write_all_at(&*copy, offset, &chunk)?;
            offset += chunk.len() as u64;
        }
        copy.sync_all()?;
        storage.rename(&unfinished, name)?;
        storage.sync_dir()
    }

    fn walk(&self) -> Walk {
        Walk::new(Arc::clone(&self.file), self.header.seed(), Position::ZERO, self.bytes)
    }

    /// Whether every byte is as it was written; if not, from where on, and what is wrong.
    fn check(&self) -> io::Result<Result<(), (u64, &'static str)>> {
        let (mut walk, mut at, mut count) = (self.walk(), FIRST_FRAME, 0_u64);
        loop {
            let Some(frame) = walk.frame_at(at)? else {
                return Ok(Err((at.value(), "expected a frame")));
            };
            match frame.kind {
                1..=KIND_MAX => {}
                KIND_SEGMENT_END if frame.body != count.to_le_bytes() => {
                    return Ok(Err((at.value(), "expected as many frames as the last one says")));
                }
                KIND_SEGMENT_END if frame.end.value() != self.bytes => {
                    return Ok(Err((frame.end.value(), "expected the file to end")));
                }
                KIND_SEGMENT_END => return Ok(Ok(())),
                _ => return Ok(Err((at.value(), "expected a frame of a snapshot"))),
            }
            count += 1;
            at = frame.end;
        }
    }
}

const FIRST_FRAME: Position = Position::new(HEADER_BYTES as u64);

/// Writes a snapshot of these records, and both its copies, outside a running journal.
pub(crate) fn write_anew(
    storage: &dyn Storage,
    header: SnapshotHeader,
    records: Option<&Snapshot>,
) -> Result<(), SnapshotError> {
    let mut sink = SnapshotSink::create(storage, header, u32::MAX)?;
    if let Some(snapshot) = records {
        let (mut walk, mut at) = (snapshot.walk(), FIRST_FRAME);
        let failed =
            |source| SnapshotError::Io { action: "read", file: snapshot.name.to_owned(), source };
        while let Some(frame) = walk.frame_at(at).map_err(failed)? {
            if frame.kind == KIND_SEGMENT_END {
                break;
            }
            sink.put(frame.kind, &[frame.body])?;
            at = frame.end;
        }
    }
    sink.finish()?;
    for name in COPY_NAMES {
        let failed = |source| SnapshotError::Io { action: "rename", file: name.to_owned(), source };
        storage.rename(&format!("{name}{UNFINISHED_ENDING}"), name).map_err(failed)?;
        storage.sync_dir().map_err(failed)?;
    }
    Ok(())
}

const _: () = assert!(HEADER_BYTES.is_multiple_of(crate::frame::FRAME_ALIGNMENT));
const _: () = assert!(FRAME_HEADER_BYTES < HEADER_BYTES);
