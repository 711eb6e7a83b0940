//! From a data directory to the broker that it holds.

use std::path::Path;
use std::sync::Arc;

use broker_core::journal::{Recovery, RecoveryReport};
use broker_core::{Broker, Identity, Limits, Now, Settings as CoreSettings};
use journal::storage::Directory;
use journal::{Journal, JournalId, OpenError, OpenReport, Options, RecoverMode, Recovered};

use super::StorageError;
use super::adapter::{FileJournal, place_in_core};
use super::damage::topics_concerned;
use crate::{Clock, DiskSettings, Recover};

/// What a broker is made of besides the journal.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) identity: Identity,
    pub(super) limits: Limits,
    pub(super) settings: CoreSettings,
    pub(super) clock: Clock,
}

/// The largest record that a journal takes.
const RECORD_BYTES_MAX: u32 = 1 << 30;

/// The first segment of a new journal; each one after it is twice as large.
const SEGMENT_BYTES_FIRST: u64 = 4 << 20;

/// Segments are whole pages.
const PAGE_BYTES: u64 = 4096;

/// How often recovery tells how far it is.
const PROGRESS_MS: u64 = 1000;

/// Opens the journal in the data directory, made if it is not there, and restores the broker.
///
/// # Errors
/// When the directory cannot be used, is in use, or is damaged and shall not be started on.
pub(super) fn open(
    disk: &DiskSettings,
    parts: Parts,
) -> Result<(Arc<Broker>, Arc<FileJournal>), StorageError> {
    let dir = disk.dir.as_path();
    let Parts { identity, limits, settings, clock } = parts;
    let directory = Directory::create(dir)
        .map_err(|source| StorageError::Directory { dir: dir.to_owned(), source })?;
    let directory = Arc::new(directory);
    let mode = match disk.recover {
        Recover::Refuse => RecoverMode::Refuse,
        Recover::Quarantine => RecoverMode::Quarantine,
    };
    let mut recovery = Recovery::new(limits.clone());
    let mut progress = Progress::new(clock);
    let opened = Journal::open(directory.clone(), options(&limits)?, mode, &mut |recovered| {
        progress.note();
        Ok(apply(&mut recovery, recovered)?)
    });
    let (journal, report) = match opened {
        Ok(opened) => opened,
        Err(OpenError::Damaged(damage)) => {
            let topics = topics_concerned(&*directory, &limits);
            return Err(StorageError::Damaged { dir: dir.to_owned(), damage, topics });
        }
        Err(source) => return Err(StorageError::Open { dir: dir.to_owned(), source }),
    };
    let store = Arc::new(FileJournal::new(Arc::new(journal), &limits));
    let (broker, found) = recovery.finish(identity, settings, store.clone(), clock.now());
    tell(dir, &report, &found, clock.now().ms_since(progress.started));
    Ok((Arc::new(broker), store))
}

/// Applies what the journal gives to the state that grows.
fn apply(
    recovery: &mut Recovery,
    recovered: Recovered<'_>,
) -> Result<(), broker_core::journal::RecordError> {
    match recovered {
        Recovered::Snapshot { kind, body } => recovery.apply_snapshot(kind, body),
        Recovered::Record { place, kind, body } => recovery.apply(place_in_core(place), kind, body),
        // Which messages are missing there, their offsets tell.
        Recovered::Gap { .. } => Ok(()),
    }
}

fn options(limits: &Limits) -> Result<Options, StorageError> {
    let segment_bytes_max = limits.journal_segment_bytes_max / PAGE_BYTES * PAGE_BYTES;
    let mut id = [0; 16];
    rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| StorageError::Random(error.into()))?;
    Ok(Options {
        new_journal_id: JournalId(id),
        segment_bytes_first: SEGMENT_BYTES_FIRST.min(segment_bytes_max),
        segment_bytes_max,
        record_bytes_max: RECORD_BYTES_MAX,
        buffer_bytes_max: limits.journal_buffer_bytes_max,
        sync_ms_max: limits.journal_sync_ms_max,
        ..Options::default()
    })
}

/// Tells in the log how far a long recovery is.
struct Progress {
    clock: Clock,
    started: Now,
    told: Now,
    records: u64,
}

impl Progress {
    /// The clock is looked at once for so many records.
    const STRIDE: u64 = 1024;

    fn new(clock: Clock) -> Self {
        let now = clock.now();
        Self { clock, started: now, told: now, records: 0 }
    }

    fn note(&mut self) {
        self.records += 1;
        if !self.records.is_multiple_of(Self::STRIDE) {
            return;
        }
        let now = self.clock.now();
        if now.ms_since(self.told) >= PROGRESS_MS {
            self.told = now;
            tracing::info!(records = self.records, "recovering");
        }
    }
}

/// Tells in the log what was found.
fn tell(dir: &Path, report: &OpenReport, found: &RecoveryReport, took_ms: u64) {
    let dir = dir.display();
    if report.is_new {
        tracing::info!(%dir, "made a new data directory");
        return;
    }
    let RecoveryReport { topics, messages, .. } = found;
    let (snapshot_records, records) = (report.snapshot_records, report.records);
    tracing::info!(%dir, topics, messages, snapshot_records, records, took_ms, "recovered");
    if let Some(cut) = report.cut {
        tracing::info!(segment = %cut.segment, from = %cut.from, "cut off the incomplete end that a crash left, which was never acknowledged");
    }
    for damage in &report.damaged_snapshots {
        tracing::warn!(%damage, "a copy of the snapshot was damaged, and was made anew from the other");
    }
    for missing in &found.missing {
        let broker_core::journal::Missing { topic, first_offset, end_offset } = missing;
        tracing::warn!(topic, first_offset, end_offset, "messages are missing");
    }
    for topic in &found.nameless {
        tracing::warn!(topic, "a topic whose creation was lost has this name now");
    }
}
