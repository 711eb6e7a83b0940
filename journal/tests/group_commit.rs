//! The committer's loop: many appenders share a sync, and one alone does not wait for others.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests to clippy only inside them")]

use journal::storage::{FaultyStorage, Operation, SimulatedDisk};
use journal::{AppendError, Journal, Level, Options, Position, Reached, RecoverMode, Recovered};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Longer than anything here takes, however slow the machine is.
const WAIT_MAX: Duration = Duration::from_secs(60);

fn open(storage: &FaultyStorage, options: &Options) -> (Journal, usize) {
    let mut records = 0;
    let opened = Journal::open(
        Arc::new(storage.clone()),
        options.clone(),
        RecoverMode::Refuse,
        &mut |recovered| {
            records += usize::from(matches!(recovered, Recovered::Record { .. }));
            Ok(())
        },
    );
    (opened.expect("the journal is sound").0, records)
}

fn faulty(bytes: u64) -> FaultyStorage {
    FaultyStorage::new(Arc::new(SimulatedDisk::new(bytes)))
}

/// What the committer told last, for threads that wait for it.
#[derive(Default)]
struct Progress {
    reached: Mutex<Reached>,
    changed: Condvar,
}

impl Progress {
    fn tell(&self, reached: Reached) {
        let mut last = self.reached.lock().unwrap();
        assert!(last.synced <= reached.synced && last.written <= reached.written);
        assert!(reached.synced <= reached.written);
        *last = reached;
        self.changed.notify_all();
    }

    fn wait(&self, end: Position, level: Level) {
        let reached = self.reached.lock().unwrap();
        let waited =
            self.changed.wait_timeout_while(reached, WAIT_MAX, |reached| !reached.has(end, level));
        assert!(!waited.unwrap().1.timed_out(), "what was appended is reached");
    }
}

/// Runs `work` beside the committer, then closes the journal.
fn beside_committer(journal: &Journal, work: impl FnOnce(&Progress)) {
    let progress = Progress::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            journal.run(|reached, failed| {
                assert!(failed.is_none());
                progress.tell(reached);
            });
        });
        work(&progress);
        journal.close().unwrap();
    });
    assert_eq!(progress.reached.lock().unwrap().synced, journal.end(), "all is told");
}

#[test]
fn one_commit_syncs_what_many_threads_appended() {
    let storage = faulty(1 << 20);
    let (journal, _) =
        open(&storage, &Options { segment_bytes_first: 65_536, ..Options::default() });
    let before = storage.count(Operation::Sync);
    std::thread::scope(|scope| {
        for thread in 0..8_u8 {
            let journal = &journal;
            scope.spawn(move || {
                for _ in 0..50 {
                    journal.append(1, &[&[thread; 64]], Level::Synced).unwrap();
                }
            });
        }
    });
    assert_eq!(journal.reached().written.value(), 64, "appending writes nothing");
    assert_eq!(journal.commit().unwrap().synced, journal.end());
    assert_eq!(storage.count(Operation::Sync) - before, 1);
    assert_eq!(journal.commit().unwrap().synced, journal.end());
    assert_eq!(storage.count(Operation::Sync) - before, 1, "nothing new needs no sync");
}

#[test]
fn many_appenders_each_see_their_records_reached() {
    let storage = faulty(64 << 20);
    let options = Options {
        segment_bytes_first: 8192,
        segment_bytes_max: 65_536,
        sync_ms_max: 1,
        seal_idle_ms: 1,
        ..Options::default()
    };
    let (journal, _) = open(&storage, &options);
    beside_committer(&journal, |progress| {
        std::thread::scope(|scope| {
            for thread in 0..6_u8 {
                let journal = &journal;
                scope.spawn(move || {
                    for number in 0..200_usize {
                        let level = if number % 3 == 0 { Level::Written } else { Level::Synced };
                        let body = vec![thread; number * 7 % 3000];
                        let place = journal.append(1, &[&body], level).unwrap();
                        progress.wait(place.end(), level);
                        journal.retain(place).unwrap();
                    }
                });
            }
        });
    });
    drop(journal);
    assert_eq!(open(&storage, &options).1, 6 * 200);
}

#[test]
fn records_are_read_back_while_others_are_written() {
    let storage = faulty(64 << 20);
    let options =
        Options { segment_bytes_first: 8192, segment_bytes_max: 65_536, ..Options::default() };
    let (journal, _) = open(&storage, &options);
    let is_over = AtomicBool::new(false);
    beside_committer(&journal, |progress| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    journal.append(2, &[&[9; 700]], Level::Written).unwrap();
                    progress.wait(journal.end(), Level::Written);
                }
            });
            for number in 0..300_u16 {
                let body = number.to_le_bytes().repeat(200);
                let place = journal.append(1, &[&body], Level::Written).unwrap();
                progress.wait(place.end(), Level::Written);
                let mut found = Vec::new();
                journal
                    .read(place.position, place.bytes as usize, &mut |_, _, read| found.push(read))
                    .unwrap();
                assert_eq!(found, [body]);
            }
            is_over.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn a_written_record_is_synced_without_being_asked_for() {
    let storage = faulty(1 << 20);
    let options = Options { segment_bytes_first: 65_536, sync_ms_max: 1, ..Options::default() };
    let (journal, _) = open(&storage, &options);
    beside_committer(&journal, |progress| {
        let place = journal.append(1, &[b"in no haste"], Level::Written).unwrap();
        progress.wait(place.end(), Level::Synced);
    });
}

#[test]
fn a_journal_at_rest_is_sealed_once() {
    let storage = faulty(1 << 20);
    let options = Options { segment_bytes_first: 65_536, seal_idle_ms: 1, ..Options::default() };
    let (journal, _) = open(&storage, &options);
    beside_committer(&journal, |progress| {
        let place = journal.append(1, &[b"the only one"], Level::Synced).unwrap();
        // A seal is a frame without a body.
        progress.wait(place.end() + 16, Level::Synced);
        assert_eq!(journal.end(), place.end() + 16);
        let place = journal.append(1, &[b"another"], Level::Synced).unwrap();
        progress.wait(place.end() + 16, Level::Synced);
        assert_eq!(journal.end(), place.end() + 16);
    });
    let end = journal.end();
    journal.close().unwrap();
    assert_eq!(journal.end(), end, "a closed journal stays as it is");
    assert!(matches!(journal.append(1, &[], Level::Synced), Err(AppendError::Closed)));
}

#[test]
fn what_another_thread_commits_is_told_by_the_committer() {
    let storage = faulty(1 << 20);
    let (journal, _) =
        open(&storage, &Options { segment_bytes_first: 65_536, ..Options::default() });
    beside_committer(&journal, |progress| {
        for number in 0..100_u32 {
            journal.append(1, &[&number.to_le_bytes()], Level::Written).unwrap();
            let reached = journal.sync().unwrap();
            progress.wait(reached.synced, Level::Synced);
        }
    });
}

#[test]
fn congestion_is_told_and_ends_with_a_commit() {
    let storage = faulty(1 << 20);
    let options =
        Options { segment_bytes_first: 65_536, buffer_bytes_max: 4096, ..Options::default() };
    let (journal, _) = open(&storage, &options);
    while !journal.is_congested() {
        journal.append(1, &[&[1; 500]], Level::Synced).unwrap();
    }
    assert!(journal.end() - journal.reached().written > 4096);
    journal.commit().unwrap();
    assert!(!journal.is_congested());
}

#[test]
fn a_record_over_the_limit_is_refused_and_leaves_nothing() {
    let storage = faulty(1 << 20);
    let options = Options {
        segment_bytes_first: 4096,
        segment_bytes_max: 4096,
        record_bytes_max: 10_000,
        ..Options::default()
    };
    let (journal, _) = open(&storage, &options);
    let end = journal.end();
    let refused = journal.append(1, &[&[0; 6000], &[0; 4001]], Level::Synced).unwrap_err();
    assert!(refused.to_string().contains("at most 10000 bytes, found 10001"), "{refused}");
    assert!(matches!(journal.append(0, &[], Level::Synced), Err(AppendError::Kind(0))));
    assert!(matches!(journal.append(128, &[], Level::Synced), Err(AppendError::Kind(128))));
    assert_eq!(journal.end(), end);
    journal.append(1, &[&[0; 6000], &[0; 4000]], Level::Synced).unwrap();
    journal.commit().unwrap();
    assert!(journal.segments()[1].file_bytes > 8192, "it has a segment of its own size");
}
