//! When the medium fails, the journal stops: it takes no more, claims no more, and tries no sync
//! again. What it had claimed is there when it is opened anew.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests to clippy only inside them")]

use journal::storage::{Fault, FaultyStorage, Operation, SimulatedDisk};
use journal::{
    AppendError, Journal, Level, Options, Reached, ReadError, RecoverMode, Recovered, SnapshotError,
};
use std::io::ErrorKind;
use std::sync::Arc;

const DISK_BYTES: u64 = 8 << 20;

fn options() -> Options {
    Options { segment_bytes_first: 4096, segment_bytes_max: 8192, ..Options::default() }
}

fn open(storage: &FaultyStorage) -> (Journal, Vec<Vec<u8>>) {
    let mut records = Vec::new();
    let opened = Journal::open(
        Arc::new(storage.clone()),
        options(),
        RecoverMode::Refuse,
        &mut |recovered| {
            if let Recovered::Record { body, .. } = recovered {
                records.push(body.to_vec());
            }
            Ok(())
        },
    );
    (opened.expect("the journal is sound").0, records)
}

fn body(number: u32) -> Vec<u8> {
    vec![number as u8; 100 + number as usize * 37 % 900]
}

/// Appends and commits until the journal fails. Gives how many records were synced by then, and
/// how many were appended.
fn use_until_it_fails(journal: &Journal) -> (usize, usize, Reached) {
    let mut ends = Vec::new();
    for number in 0..400 {
        let level = if number % 5 == 0 { Level::Written } else { Level::Synced };
        let place = match journal.append(1, &[&body(number)], level) {
            Ok(place) => place,
            Err(AppendError::Failed(_)) => break,
            Err(error) => panic!("expected the failure, found {error}"),
        };
        ends.push(place.end());
        if number % 4 == 3 && journal.commit().is_err() {
            break;
        }
    }
    let reached = journal.reached();
    (ends.iter().filter(|end| **end <= reached.synced).count(), ends.len(), reached)
}

fn check(operation: Operation, after: u64, fault: Fault) {
    let disk = SimulatedDisk::new(DISK_BYTES);
    let storage = FaultyStorage::new(Arc::new(disk.clone()));
    let (journal, _) = open(&storage);
    storage.inject(operation, after, fault);
    let (synced, appended, reached) = use_until_it_fails(&journal);
    let failure = journal.failure().expect("it has failed");
    assert!(failure.to_string().contains("open it again"), "{failure}");
    let syncs = storage.count(Operation::Sync);
    let writes = storage.count(Operation::Write);
    assert!(matches!(journal.append(1, &[b"more"], Level::Written), Err(AppendError::Failed(_))));
    assert!(journal.commit().is_err() && journal.sync().is_err() && journal.close().is_err());
    assert!(journal.remove_dead().is_err() && journal.prepare_segment().is_err());
    let snapshot = journal.write_snapshot(journal.end(), &mut |_| Ok(()));
    assert!(matches!(snapshot, Err(SnapshotError::Failed(_))));
    let mut told = Vec::new();
    journal.run(|reached, failed| told.push((reached, failed.is_some())));
    assert_eq!(told.last(), Some(&(reached, true)), "the committer tells, and ends");
    assert_eq!(journal.reached(), reached, "what is reached stands still");
    assert_eq!(storage.count(Operation::Sync), syncs, "no sync is tried again");
    assert_eq!(storage.count(Operation::Write), writes, "nothing is written any more");
    drop(journal);

    // Whether the power fails as well or not, what was claimed is there.
    let mut random = fastrand::Rng::with_seed(after);
    let crashed = disk.crash(&mut |below| random.u64(..below));
    for disk in [crashed, disk] {
        let (journal, records) = open(&FaultyStorage::new(Arc::new(disk)));
        assert!((synced..=appended).contains(&records.len()), "{} of {synced}", records.len());
        for (number, record) in records.iter().enumerate() {
            assert_eq!(*record, body(number as u32));
        }
        journal.append(1, &[b"more"], Level::Synced).unwrap();
        journal.commit().unwrap();
    }
}

#[test]
fn a_write_that_fails_ends_the_journal() {
    for after in 0..12 {
        check(Operation::Write, after, Fault::Error(ErrorKind::StorageFull));
        check(Operation::Write, after, Fault::ErrorOnce(ErrorKind::Other));
    }
}

#[test]
fn a_sync_that_fails_ends_the_journal_even_if_the_next_would_succeed() {
    for after in 0..12 {
        check(Operation::Sync, after, Fault::ErrorOnce(ErrorKind::Other));
        check(Operation::SyncDir, after / 2, Fault::ErrorOnce(ErrorKind::Other));
    }
}

#[test]
fn a_segment_that_cannot_be_made_ends_the_journal() {
    for after in 0..4 {
        check(Operation::Allocate, after, Fault::ErrorOnce(ErrorKind::StorageFull));
        check(Operation::Create, after, Fault::Error(ErrorKind::StorageFull));
        check(Operation::Rename, after, Fault::ErrorOnce(ErrorKind::Other));
    }
}

#[test]
fn a_short_write_is_gone_on_with() {
    let disk = SimulatedDisk::new(DISK_BYTES);
    let storage = FaultyStorage::new(Arc::new(disk));
    let (journal, _) = open(&storage);
    for after in [0, 1, 2, 5, 9] {
        storage.inject(Operation::Write, after, Fault::ShortWrite);
    }
    let (synced, appended, _) = use_until_it_fails(&journal);
    assert_eq!((journal.failure().is_none(), synced, appended), (true, 400, 400));
    drop(journal);
    assert_eq!(open(&storage).1.len(), 400);
}

#[test]
fn a_full_disk_ends_the_journal_and_room_lets_it_go_on() {
    let disk = SimulatedDisk::new(40 << 10);
    let (journal, _) = open(&FaultyStorage::new(Arc::new(disk.clone())));
    let (synced, ..) = use_until_it_fails(&journal);
    let failure = journal.failure().expect("the disk is full").to_string();
    assert!(failure.contains("cannot create"), "{failure}");
    drop(journal);
    let (_, records) = open(&FaultyStorage::new(Arc::new(disk)));
    assert!(records.len() >= synced);
}

#[test]
fn a_snapshot_that_cannot_be_written_leaves_the_one_before() {
    let disk = SimulatedDisk::new(DISK_BYTES);
    let storage = FaultyStorage::new(Arc::new(disk));
    let (journal, _) = open(&storage);
    journal.append(1, &[b"one"], Level::Synced).unwrap();
    let first = journal.end();
    journal.write_snapshot(first, &mut |sink| sink.put(1, &[b"state"])).unwrap();
    journal.append(1, &[b"two"], Level::Synced).unwrap();
    journal.commit().unwrap();
    storage.inject(Operation::Write, 1, Fault::ErrorOnce(ErrorKind::StorageFull));
    let failed = journal.write_snapshot(journal.end(), &mut |sink| sink.put(1, &[b"more"]));
    assert!(matches!(failed, Err(SnapshotError::Io { .. })), "{failed:?}");
    assert_eq!(journal.snapshot_position(), first);
    journal.append(1, &[b"three"], Level::Synced).unwrap();
    journal.commit().unwrap();
    drop(journal);
    let (journal, records) = open(&storage);
    assert_eq!(journal.snapshot_position(), first);
    assert_eq!(records, [b"two".to_vec(), b"three".to_vec()]);
}

#[test]
fn a_byte_that_flips_under_a_running_journal_is_named() {
    let disk = SimulatedDisk::new(DISK_BYTES);
    let (journal, _) = open(&FaultyStorage::new(Arc::new(disk.clone())));
    let places: Vec<_> =
        (0..10).map(|number| journal.append(1, &[&body(number)], Level::Synced).unwrap()).collect();
    journal.commit().unwrap();
    let name = disk.names().into_iter().find(|name| name.ends_with(".segment")).unwrap();
    let mut content = disk.content(&name).unwrap();
    content[places[3].position.value() as usize + 50] ^= 4;
    disk.put(&name, content);
    for (number, place) in places.iter().enumerate().take(6) {
        let read = journal.read(place.position, place.bytes as usize, &mut |_, _, read| {
            assert_eq!(read, body(number as u32));
        });
        match read {
            Ok(()) => assert_ne!(number, 3),
            Err(ReadError::Damaged(damage)) => {
                assert_eq!(
                    (number, damage.file, damage.position),
                    (3, name.clone(), place.position)
                );
                assert_eq!(damage.offset, place.position - place.segment);
            }
            Err(error) => panic!("expected damage, found {error}"),
        }
    }
}

#[test]
fn a_journal_that_fails_to_open_says_what_it_could_not_do() {
    let disk = SimulatedDisk::new(DISK_BYTES);
    let storage = FaultyStorage::new(Arc::new(disk));
    storage.inject(Operation::Allocate, 0, Fault::ErrorOnce(ErrorKind::StorageFull));
    let opened =
        Journal::open(Arc::new(storage.clone()), options(), RecoverMode::Refuse, &mut |_| Ok(()));
    let error = opened.expect_err("there is no room").to_string();
    assert!(error.contains("cannot create 00000000000000000000.segment"), "{error}");
    open(&storage);
}
