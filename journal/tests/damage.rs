//! Flips every byte of a small journal and cuts its files at every length: what is damaged is
//! either not needed, or named, or set aside; nothing wrong is ever given as a record.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests to clippy only inside them")]

use journal::storage::{Fault, FaultyStorage, Operation, SimulatedDisk};
use journal::{
    Damage, Journal, Level, OpenError, OpenReport, Options, Place, Position, ReadError,
    RecoverMode, Recovered, inspect,
};
use std::io::ErrorKind;
use std::sync::Arc;

const DISK_BYTES: u64 = 1 << 20;
const QUARANTINE: &str = "quarantine/";

/// A record of the caller's.
type Record = (Place, u8, Vec<u8>);

/// A journal as it was left, and what is in it.
struct Left {
    disk: SimulatedDisk,
    /// All records, those that the snapshot stands for first.
    records: Vec<Record>,
    /// How many the snapshot stands for.
    before_snapshot: usize,
    /// How many are certain to have been synced, as far as the journal itself can tell.
    proven: usize,
    end: Position,
}

#[derive(Debug)]
struct Opened {
    journal: Journal,
    report: OpenReport,
    snapshot: Option<u64>,
    records: Vec<Record>,
}

fn options() -> Options {
    Options {
        segment_bytes_first: 4096,
        segment_bytes_max: 4096,
        buffer_bytes_max: 4096,
        ..Options::default()
    }
}

fn open(disk: &SimulatedDisk, mode: RecoverMode) -> Result<Opened, OpenError> {
    let (mut snapshot, mut records) = (None, Vec::new());
    let (journal, report) =
        Journal::open(Arc::new(disk.clone()), options(), mode, &mut |recovered| {
            match recovered {
                Recovered::Snapshot { body, .. } => {
                    snapshot = Some(u64::from_le_bytes(body.try_into()?));
                }
                Recovered::Record { place, kind, body } => {
                    records.push((place, kind, body.to_vec()));
                }
                Recovered::Gap { .. } => {}
            }
            Ok(())
        })?;
    Ok(Opened { journal, report, snapshot, records })
}

enum End {
    Closed,
    Killed,
}

/// A journal of three segments, with a snapshot after `before_snapshot` records if that is any.
fn leave(before_snapshot: usize, end: &End) -> Left {
    let disk = SimulatedDisk::new(DISK_BYTES);
    let Opened { journal, .. } = open(&disk, RecoverMode::Refuse).unwrap();
    let mut records: Vec<Record> = Vec::new();
    let mut proven = 0;
    for number in 0..34_u8 {
        let body = vec![number + 1; usize::from(number) * 17 % 600];
        let place = journal.append(1 + number, &[&body], Level::Synced).unwrap();
        records.push((place, 1 + number, body));
        if number % 3 == 2 {
            // The frames of this batch tell that those of the ones before it are synced.
            proven = records.len() - 3;
            journal.commit().unwrap();
        }
        if records.len() == before_snapshot {
            let position = journal.end();
            let count = (before_snapshot as u64).to_le_bytes();
            journal.write_snapshot(position, &mut |sink| sink.put(1, &[&count])).unwrap();
        }
    }
    match end {
        End::Closed => {
            journal.close().unwrap();
            proven = records.len();
        }
        End::Killed => drop(journal.commit().unwrap()),
    }
    let end = journal.end();
    assert_eq!(journal.segments().len(), 3);
    Left { disk: disk.copied(), records, before_snapshot, proven, end }
}

/// One thing that is done to one file.
#[derive(Clone, Copy, Debug)]
enum Blow {
    Flip { at: usize, bits: u8 },
    Cut { bytes: usize },
    Loss,
}

impl Blow {
    fn strike(self, disk: &SimulatedDisk, name: &str) -> SimulatedDisk {
        let struck = disk.copied();
        let mut content = struck.content(name).unwrap();
        match self {
            Self::Flip { at, bits } => content[at] ^= bits,
            Self::Cut { bytes } => content.truncate(bytes),
            Self::Loss => {
                struck.take(name);
                return struck;
            }
        }
        struck.put(name, content);
        struck
    }

    /// Whether a frame at this offset is hit.
    fn hits(self, offset: u64, frame_bytes: u64) -> bool {
        match self {
            Self::Flip { at, .. } => (offset..offset + frame_bytes).contains(&(at as u64)),
            Self::Cut { bytes } => offset + frame_bytes > bytes as u64,
            Self::Loss => true,
        }
    }
}

fn each_blow(left: &Left, mut check: impl FnMut(&str, Blow, SimulatedDisk)) {
    for name in left.disk.names() {
        let bytes = left.disk.content(&name).unwrap().len();
        for at in 0..bytes {
            for blow in [Blow::Flip { at, bits: 1 << (at % 8) }, Blow::Cut { bytes: at }] {
                check(&name, blow, blow.strike(&left.disk, &name));
            }
        }
        check(&name, Blow::Loss, Blow::Loss.strike(&left.disk, &name));
    }
}

impl Left {
    fn segment_of(name: &str) -> Option<Position> {
        let digits = name.strip_suffix(".segment")?;
        digits.parse().ok().map(Position::new)
    }

    /// The records that a blow to a file leaves whole.
    fn spared(&self, name: &str, blow: Blow) -> Vec<usize> {
        let base = Self::segment_of(name);
        let is_spared = |place: &Place| {
            Some(place.segment) != base
                || !blow.hits(place.position - place.segment, u64::from(place.bytes))
        };
        (0..self.records.len()).filter(|index| is_spared(&self.records[*index].0)).collect()
    }

    /// Whether what was given is a part of what was appended, in order.
    fn check_given(&self, opened: &Opened) -> Vec<usize> {
        let mut given = Vec::new();
        let mut expected = self.records.iter().enumerate();
        if let Some(count) = opened.snapshot {
            assert_eq!(count as usize, self.before_snapshot);
            given.extend(0..self.before_snapshot);
        }
        for record in &opened.records {
            let found = expected.by_ref().find(|(_, expected)| *expected == record);
            given.push(found.expect("each record is one that was appended, and in order").0);
        }
        given
    }

    fn check_damage(&self, name: &str, blow: Blow, damage: &Damage) {
        let next_is_lost = matches!(blow, Blow::Loss);
        assert!(damage.file == *name || next_is_lost, "{name} {blow:?}: {damage}");
        if let Blow::Flip { at, .. } = blow {
            assert!(damage.offset <= at as u64, "{damage}");
        }
    }
}

fn check_refuse(left: &Left, name: &str, blow: Blow, disk: &SimulatedDisk) {
    let opened = match open(disk, RecoverMode::Refuse) {
        Ok(opened) => opened,
        Err(OpenError::Damaged(damage)) => return left.check_damage(name, blow, &damage),
        Err(error) => panic!("{name} {blow:?}: expected damage, found {error}"),
    };
    let given = left.check_given(&opened);
    assert_eq!(given, (0..given.len()).collect::<Vec<_>>(), "a prefix");
    assert!(given.len() >= left.proven, "{name} {blow:?}: {} of {}", given.len(), left.proven);
    if given.len() < left.records.len() {
        assert!(opened.report.cut.is_some(), "{name} {blow:?}: what is cut is told");
    }
    if name.starts_with("snapshot") && left.before_snapshot > 0 {
        assert_ne!(opened.report.snapshot_source, journal::SnapshotSource::BothCopies);
        let copies = ["snapshot.a", "snapshot.b"].map(|copy| disk.content(copy).unwrap());
        assert_eq!(copies[0], copies[1], "there are two sound copies again");
    }
    // What the snapshot stands for is only looked at when it is read.
    for index in 0..given.len() {
        let (place, kind, body) = &left.records[index];
        let read = opened.journal.read(place.position, place.bytes as usize, &mut |_, k, b| {
            assert_eq!((k, &b[..]), (*kind, &body[..]));
        });
        match read {
            Ok(()) => {}
            Err(ReadError::Damaged(damage)) => {
                assert!(index < left.before_snapshot && damage.file == name, "{damage}");
            }
            Err(error) => panic!("{name} {blow:?}: {error}"),
        }
    }
}

fn check_quarantine(left: &Left, name: &str, blow: Blow, disk: &SimulatedDisk) {
    let opened = open(disk, RecoverMode::Quarantine)
        .unwrap_or_else(|error| panic!("{name} {blow:?}: {error}"));
    let given = left.check_given(&opened);
    let is_id_lost = opened.records.is_empty() && left.before_snapshot == 0;
    for index in left.spared(name, blow) {
        let is_expected = index >= left.before_snapshot && index < left.proven && !is_id_lost;
        assert!(!is_expected || given.contains(&index), "{name} {blow:?}: record {index} is given");
    }
    for (index, (place, ..)) in left.records.iter().enumerate().take(left.proven) {
        let told = opened
            .report
            .quarantined
            .iter()
            .any(|lost| lost.from <= place.position && place.position < lost.until);
        assert!(given.contains(&index) || told, "{name} {blow:?}: the loss of {index} is told");
    }
    if !opened.report.quarantined.is_empty() && !matches!(blow, Blow::Loss) {
        let copies = disk.names().iter().filter(|name| name.starts_with(QUARANTINE)).count();
        assert!(copies > 0, "{name} {blow:?}: the damaged file is kept");
    }
    let place = opened.journal.append(77, &[b"onward"], Level::Synced).unwrap();
    assert!(place.position >= opened.report.end);
    opened.journal.close().unwrap();
    let before = opened.records.len();
    drop(opened);
    let again = open(disk, RecoverMode::Refuse)
        .unwrap_or_else(|error| panic!("{name} {blow:?}: mended, then {error}"));
    assert_eq!(again.records.len(), before + 1, "{name} {blow:?}");
    assert_eq!(again.records.last().unwrap().2, b"onward");
}

fn check_inspect(left: &Left, name: &str, blow: Blow, disk: &SimulatedDisk) {
    let before = disk.names();
    let mut records = Vec::new();
    let inspected = inspect::inspect(disk, &mut |item| {
        if let inspect::Item::Record { position, kind, body } = item {
            records.push((position, kind, body.to_vec()));
        }
    });
    let inspection = inspected.unwrap_or_else(|error| panic!("{name} {blow:?}: {error}"));
    for (position, kind, body) in &records {
        let known = left.records.iter().find(|(place, ..)| place.position == *position);
        let (_, known_kind, known_body) = known.expect("no record is made up");
        assert_eq!((kind, body), (known_kind, known_body));
    }
    let missing = left.records.len() - records.len();
    if missing > 0 {
        let is_told = !inspection.damage.is_empty() || inspection.torn_at.is_some();
        assert!(is_told, "{name} {blow:?}: what is missing is told");
    }
    assert_eq!(disk.names(), before);
}

fn check_all(before_snapshot: usize, end: &End, check: fn(&Left, &str, Blow, &SimulatedDisk)) {
    let left = leave(before_snapshot, end);
    assert!(left.end > Position::ZERO);
    each_blow(&left, |name, blow, disk| check(&left, name, blow, &disk));
}

#[test]
fn a_closed_journal_is_restored_or_refused() {
    check_all(0, &End::Closed, check_refuse);
    check_all(15, &End::Closed, check_refuse);
}

#[test]
fn a_journal_that_was_killed_is_restored_or_refused_or_its_end_is_cut() {
    check_all(0, &End::Killed, check_refuse);
    check_all(15, &End::Killed, check_refuse);
}

#[test]
fn what_is_sound_of_a_damaged_journal_is_given_in_quarantine_mode() {
    check_all(0, &End::Closed, check_quarantine);
    check_all(15, &End::Closed, check_quarantine);
    check_all(15, &End::Killed, check_quarantine);
}

/// One byte in so many is flipped where each is tried with every place to be interrupted at.
const INTERRUPTED_ONE_IN: usize = 61;

#[test]
fn a_quarantine_that_was_interrupted_is_made_again() {
    let left = leave(15, &End::Closed);
    for name in left.disk.names() {
        for at in (0..left.disk.content(&name).unwrap().len()).step_by(INTERRUPTED_ONE_IN) {
            let blow = Blow::Flip { at, bits: 1 << (at % 8) };
            for operation in [Operation::Write, Operation::Sync, Operation::SyncDir] {
                for after in 0..4 {
                    let disk = blow.strike(&left.disk, &name);
                    interrupt(&disk, operation, after);
                    let mut random = fastrand::Rng::with_seed(at as u64);
                    let crashed = disk.crash(&mut |below| random.u64(..below));
                    check_mended_again(&left, &name, blow, &crashed);
                }
            }
        }
    }
}

fn interrupt(disk: &SimulatedDisk, operation: Operation, after: u64) {
    let storage = FaultyStorage::new(Arc::new(disk.clone()));
    storage.inject(operation, after, Fault::Error(ErrorKind::Other));
    // It may have less to do than that.
    Journal::open(Arc::new(storage), options(), RecoverMode::Quarantine, &mut |_| Ok(())).ok();
}

/// What is spared is given, whoever tells of the loss.
fn check_mended_again(left: &Left, name: &str, blow: Blow, disk: &SimulatedDisk) {
    let opened = open(disk, RecoverMode::Quarantine)
        .unwrap_or_else(|error| panic!("{name} {blow:?}: {error}"));
    let given = left.check_given(&opened);
    for index in left.spared(name, blow) {
        let is_expected = index >= left.before_snapshot && index < left.proven;
        assert!(!is_expected || given.contains(&index), "{name} {blow:?}: record {index} is given");
    }
}

#[test]
fn inspecting_a_damaged_journal_tells_what_is_missing() {
    check_all(0, &End::Closed, check_inspect);
    check_all(15, &End::Killed, check_inspect);
}
