//! A journal from outside.

use journal::storage::{Directory, Fault, FaultyStorage, Operation, SimulatedDisk};
use journal::{
    Journal, Level, OpenReport, Options, Position, RecoverMode, Recovered, SnapshotError,
};
use std::io::ErrorKind;
use std::sync::Arc;

fn open(disk: &SimulatedDisk, options: &Options) -> (Journal, OpenReport, Vec<(u8, Vec<u8>)>) {
    let mut records = Vec::new();
    let (journal, report) = Journal::open(
        Arc::new(disk.clone()),
        options.clone(),
        RecoverMode::Refuse,
        &mut |recovered| {
            match recovered {
                Recovered::Snapshot { kind, body } | Recovered::Record { kind, body, .. } => {
                    records.push((kind, body.to_vec()));
                }
                Recovered::Gap { .. } => {}
            }
            Ok(())
        },
    )
    .expect("the journal is sound");
    (journal, report, records)
}

fn small() -> Options {
    Options { segment_bytes_first: 4096, segment_bytes_max: 8192, ..Options::default() }
}

#[test]
fn what_was_committed_is_there_again() {
    let disk = SimulatedDisk::new(1 << 20);
    let (journal, report, _) = open(&disk, &small());
    assert!(report.is_new);
    let mut appended = Vec::new();
    for number in 0..100_u8 {
        let body = vec![number; usize::from(number) * 3];
        journal.append(1 + number % 7, &[&body], Level::Synced).unwrap();
        appended.push((1 + number % 7, body));
        if number % 9 == 0 {
            journal.commit().unwrap();
        }
    }
    journal.close().unwrap();
    drop(journal);
    let (journal, report, records) = open(&disk, &small());
    assert!(report.was_sealed, "{report:?}");
    assert_eq!(records, appended);
    assert!(journal.segments().len() > 2);
}

#[test]
fn a_directory_does_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some/where");
    let open = || {
        let mut count = 0;
        let storage = Arc::new(Directory::create(&path).unwrap());
        let opened = Journal::open(storage, small(), RecoverMode::Refuse, &mut |_| {
            count += 1;
            Ok(())
        });
        opened.map(|(journal, report)| (journal, report, count))
    };
    let (journal, _, count) = open().unwrap();
    assert_eq!(count, 0);
    let refused = open().unwrap_err().to_string();
    assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
    std::thread::scope(|scope| {
        let journal = &journal;
        scope.spawn(|| journal.run(|_, _| {}));
        for number in 0..50_u32 {
            journal.append(1, &[&number.to_le_bytes()], Level::Synced).unwrap();
        }
        journal.close().unwrap();
    });
    assert_eq!(journal.reached().synced, journal.end());
    drop(journal);
    assert_eq!(open().unwrap().2, 50);
}

#[test]
fn a_snapshot_stands_for_what_precedes_it() {
    let disk = SimulatedDisk::new(1 << 20);
    let (journal, ..) = open(&disk, &small());
    for number in 0..60_u8 {
        journal.append(1, &[&[number; 300]], Level::Synced).unwrap();
    }
    let position = journal.end();
    journal.write_snapshot(position, &mut |sink| sink.put(9, &[b"sum"])).unwrap();
    journal.append(2, &[b"after"], Level::Synced).unwrap();
    journal.commit().unwrap();
    let removed = journal.remove_dead().unwrap();
    assert!(!removed.is_empty() && removed[0].base == Position::ZERO);
    drop(journal);
    let (_journal, _, records) = open(&disk, &small());
    assert_eq!(records, [(9, b"sum".to_vec()), (2, b"after".to_vec())]);
}

#[test]
fn what_is_released_before_a_snapshot_goes_with_it() {
    // It stayed until a later snapshot, unless something was appended in between.
    let disk = SimulatedDisk::new(1 << 20);
    let (journal, ..) = open(&disk, &small());
    let places = [(); 60].map(|()| journal.append(1, &[&[7; 300]], Level::Synced).unwrap());
    journal.retain(places[0]).unwrap();
    journal.release(places[0].segment, u64::from(places[0].bytes)).unwrap();
    journal.write_snapshot(journal.end(), &mut |sink| sink.put(9, &[b"none"])).unwrap();
    let removed = journal.remove_dead().unwrap();
    assert_eq!(removed.first().map(|segment| segment.base), Some(Position::ZERO));
}

#[test]
fn what_is_released_while_a_snapshot_is_taken_stays_until_the_next() {
    let disk = SimulatedDisk::new(1 << 20);
    let (journal, ..) = open(&disk, &small());
    let places = [(); 60].map(|()| journal.append(1, &[&[7; 300]], Level::Synced).unwrap());
    journal.retain(places[0]).unwrap();
    let name_and_release = |sink: &mut journal::SnapshotSink| {
        sink.put(9, &[b"one"])?;
        journal.release(places[0].segment, u64::from(places[0].bytes)).unwrap();
        Ok(())
    };
    journal.write_snapshot(journal.end(), &mut { name_and_release }).unwrap();
    let bases = || journal.segments().first().map(|segment| segment.base);
    journal.remove_dead().unwrap();
    assert_eq!(bases(), Some(Position::ZERO), "the snapshot names it");
    journal.write_snapshot(journal.end(), &mut |sink| sink.put(9, &[b"none"])).unwrap();
    journal.remove_dead().unwrap();
    assert_ne!(bases(), Some(Position::ZERO));
}

#[test]
fn a_snapshot_is_refused_where_no_record_ends() {
    let disk = SimulatedDisk::new(1 << 20);
    let (journal, ..) = open(&disk, &small());
    let place = journal.append(1, &[&[1; 300]], Level::Synced).unwrap();
    journal.append(1, &[&[1; 300]], Level::Synced).unwrap();
    journal.commit().unwrap();
    for position in [place.position + 8, journal.end() + 8] {
        let refused = journal.write_snapshot(position, &mut |_| Ok(()));
        assert!(matches!(refused, Err(SnapshotError::Position { .. })), "{refused:?}");
    }
    journal.write_snapshot(place.end(), &mut |_| Ok(())).unwrap();
    drop(journal);
    assert_eq!(open(&disk, &small()).2.len(), 1);
}

#[test]
fn a_segment_whose_name_was_not_synced_is_not_built_on() {
    // It was made, but the process ended before its directory was synced.
    let disk = SimulatedDisk::new(1 << 20);
    let storage = FaultyStorage::new(Arc::new(disk.clone()));
    let opened =
        Journal::open(Arc::new(storage.clone()), small(), RecoverMode::Refuse, &mut |_| Ok(()));
    let (journal, _) = opened.unwrap();
    storage.inject(Operation::SyncDir, 0, Fault::ErrorOnce(ErrorKind::Other));
    assert!(journal.prepare_segment().is_err());
    drop(journal);
    let (journal, ..) = open(&disk, &small());
    for number in 0..20_u8 {
        journal.append(1, &[&[number; 300]], Level::Synced).unwrap();
    }
    journal.commit().unwrap();
    drop(journal);
    let all_lost_that_may_be = disk.crash(&mut |below| below - 1);
    assert_eq!(open(&all_lost_that_may_be, &small()).2.len(), 20);
}

#[test]
fn what_is_cut_is_gone_for_good() {
    let disk = SimulatedDisk::new(1 << 20);
    let (journal, ..) = open(&disk, &small());
    let places =
        [1_u8, 2, 3, 4].map(|number| journal.append(1, &[&[number; 300]], Level::Written).unwrap());
    journal.commit().unwrap();
    drop(journal);
    // Of what was not synced, the second record is lost, and those after it are not.
    let name = disk.names().into_iter().find(|name| name.ends_with(".segment")).unwrap();
    let mut content = disk.content(&name).unwrap();
    let start = places[1].position.value() as usize;
    content[start + 20..start + 40].fill(0);
    disk.put(&name, content);
    let (journal, report, records) = open(&disk, &small());
    assert_eq!(records.len(), 1);
    assert_eq!(report.cut.map(|cut| cut.from), Some(places[1].position));
    drop(journal);
    let all_lost_that_may_be = disk.crash(&mut |below| below - 1);
    let content = all_lost_that_may_be.content(&name).unwrap();
    assert!(content[start..].iter().all(|byte| *byte == 0), "nothing may follow a new record");
}

#[test]
fn records_are_read_back_by_their_places() {
    let disk = SimulatedDisk::new(1 << 20);
    let (journal, ..) = open(&disk, &small());
    let places: Vec<_> = (0..40_u8)
        .map(|number| journal.append(3, &[&[number; 500]], Level::Written).unwrap())
        .collect();
    assert!(journal.read(places[0].position, places[0].bytes as usize, &mut |_, _, _| {}).is_err());
    journal.commit().unwrap();
    let whole = (places[39].end() - places[0].position) as usize;
    let mut read = Vec::new();
    journal
        .read(places[0].position, whole, &mut |position, kind, body| {
            read.push((position, kind, body));
        })
        .unwrap();
    assert_eq!(read.len(), 40);
    for (number, (position, kind, body)) in read.into_iter().enumerate() {
        assert_eq!((position, kind), (places[number].position, 3));
        assert_eq!(body, [number as u8; 500][..]);
    }
}
