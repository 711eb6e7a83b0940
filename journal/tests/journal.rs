//! A journal from outside.

use journal::storage::{Directory, SimulatedDisk};
use journal::{Journal, Level, OpenReport, Options, Position, RecoverMode, Recovered};
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
