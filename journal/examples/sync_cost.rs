//! Prints what making records durable costs: through a journal, and by the plainest means.
//!
//! ```sh
//! cargo run --release -p journal --example sync_cost -- DIRECTORY
//! ```
//!
//! The directory should be on the disk that the journal will be on. For each size, one appender
//! waits for each record to be synced before it appends the next.

#![expect(clippy::print_stdout, reason = "it is what this program is for")]

use journal::storage::Directory;
use journal::{Journal, JournalId, Level, Options, Reached, RecoverMode};
use rustix::fs::{FallocateFlags, fallocate, fdatasync, ftruncate};
use rustix::io::pwrite;
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Body sizes, and how many of each make one measurement at most.
const CASES: [(usize, usize); 4] = [(160, 2000), (4096, 2000), (65_536, 1000), (16 << 20, 20)];

/// How long one measurement takes at most.
const TIME_MAX: Duration = Duration::from_millis(1500);

/// The means are measured in turn, so often, so that the disk's moods meet all of them.
const ROUNDS: usize = 3;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let directory = std::env::args_os().nth(1).ok_or("expected a directory as the argument")?;
    let directory = PathBuf::from(directory).join("sync_cost");
    std::fs::create_dir_all(&directory)?;
    println!("one appender that waits for each sync; microseconds for one, median (p99)");
    println!(
        "{:>10} {:>20} {:>20} {:>20} {:>20}",
        "bytes", "growing", "allocated", "overwriting", "journal"
    );
    for (bytes, count) in CASES {
        let mut times: [Vec<Duration>; 4] = Default::default();
        for _ in 0..ROUNDS {
            times[0].extend(plain(&directory, bytes, count, Room::Growing)?);
            times[1].extend(plain(&directory, bytes, count, Room::Allocated)?);
            times[2].extend(plain(&directory, bytes, count, Room::Overwriting)?);
            times[3].extend(through_journal(&directory, bytes, count)?);
        }
        let [growing, allocated, overwriting, journal] = times.map(summary);
        println!("{bytes:>10} {growing:>20} {allocated:>20} {overwriting:>20} {journal:>20}");
    }
    streaming(&directory)?;
    appending()?;
    reading(&directory)?;
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}

fn summary(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_micros();
    format!("{} ({})", at(50), at(99))
}

#[derive(Clone, Copy)]
enum Room {
    Growing,
    Allocated,
    Overwriting,
}

fn plain(directory: &Path, bytes: usize, count: usize, room: Room) -> Outcome<Vec<Duration>> {
    let path = directory.join("plain");
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    let whole = (bytes * count) as u64;
    match room {
        Room::Growing => {}
        Room::Allocated => fallocate(&file, FallocateFlags::empty(), 0, whole)?,
        Room::Overwriting => {
            let zeros = vec![0; 1 << 20];
            for offset in (0..whole).step_by(zeros.len()) {
                write_all(&file, &zeros, offset)?;
            }
            ftruncate(&file, whole)?;
        }
    }
    file.sync_all()?;
    let body = vec![0x5A; bytes];
    let mut times = Vec::with_capacity(count);
    let began = Instant::now();
    for number in 0..count {
        if began.elapsed() > TIME_MAX {
            break;
        }
        let start = Instant::now();
        write_all(&file, &body, (number * bytes) as u64)?;
        fdatasync(&file)?;
        times.push(start.elapsed());
    }
    drop(file);
    std::fs::remove_file(path)?;
    Ok(times)
}

fn write_all(file: &File, mut bytes: &[u8], mut offset: u64) -> Outcome<()> {
    while !bytes.is_empty() {
        let written = pwrite(file, bytes, offset)?;
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
}

fn open(directory: &Path) -> Outcome<(PathBuf, Journal)> {
    let path = directory.join("journal");
    let options = Options { new_journal_id: JournalId([1; 16]), ..Options::default() };
    let storage = Arc::new(Directory::create(&path)?);
    let (journal, _) = Journal::open(storage, options, RecoverMode::Refuse, &mut |_| Ok(()))?;
    Ok((path, journal))
}

/// Runs `work` beside a committer that tells it how far the journal has come.
fn beside_committer<T>(
    journal: &Journal,
    work: impl FnOnce(&mpsc::Receiver<Reached>) -> Outcome<T>,
) -> Outcome<T> {
    std::thread::scope(|scope| {
        let (told, progress) = mpsc::channel();
        scope.spawn(move || {
            journal.run(|reached, _| {
                // Whoever waited may be gone.
                let _ = told.send(reached);
            });
        });
        let worked = work(&progress);
        journal.close()?;
        worked
    })
}

fn through_journal(directory: &Path, bytes: usize, count: usize) -> Outcome<Vec<Duration>> {
    let (path, journal) = open(directory)?;
    let body = vec![0x5A; bytes];
    let times = beside_committer(&journal, |progress| {
        let mut times = Vec::with_capacity(count);
        let began = Instant::now();
        while times.len() < count && began.elapsed() < TIME_MAX {
            let start = Instant::now();
            let place = journal.append(1, &[&body], Level::Synced)?;
            while progress.recv()?.synced < place.end() {}
            times.push(start.elapsed());
        }
        Ok(times)
    })?;
    drop(journal);
    std::fs::remove_dir_all(path)?;
    Ok(times)
}

/// Appends as fast as the disk takes it, and compares that with plain writes of 16 MiB.
fn streaming(directory: &Path) -> Outcome<()> {
    const BODY_BYTES: usize = 64 << 10;
    const WHOLE_BYTES: usize = 512 << 20;
    let plainly = plain(directory, 16 << 20, WHOLE_BYTES >> 24, Room::Allocated)?;
    let plainly = plainly.into_iter().sum::<Duration>();
    let (path, journal) = open(directory)?;
    let body = vec![0x5A; BODY_BYTES];
    let start = Instant::now();
    beside_committer(&journal, |progress| {
        for _ in 0..WHOLE_BYTES / BODY_BYTES {
            while journal.is_congested() {
                progress.recv()?;
            }
            journal.append(1, &[&body], Level::Synced)?;
        }
        Ok(())
    })?;
    let took = start.elapsed();
    drop(journal);
    std::fs::remove_dir_all(path)?;
    let rate = |took: Duration| (WHOLE_BYTES >> 20) as f64 / took.as_secs_f64();
    println!("streaming 512 MiB in records of 64 KiB, MiB/s: {:.0}", rate(took));
    println!("plain 16 MiB writes, each synced, MiB/s: {:.0}", rate(plainly));
    Ok(())
}

/// Appends to the buffer alone, on a disk in memory that is written to in between.
fn appending() -> Outcome<()> {
    const BODY_BYTES: usize = 64 << 10;
    let disk = Arc::new(journal::storage::SimulatedDisk::new(4 << 30));
    let options = Options::default();
    let (journal, _) = Journal::open(disk, options, RecoverMode::Refuse, &mut |_| Ok(()))?;
    let body = vec![0x5A; BODY_BYTES];
    let mut best = f64::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        for _ in 0..200 {
            journal.append(1, &[&body], Level::Synced)?;
        }
        best = best.min(start.elapsed().as_secs_f64());
        journal.commit()?;
    }
    println!(
        "appending 64 KiB records to the buffer, GB/s: {:.1}",
        (200 * BODY_BYTES) as f64 / best / 1e9
    );
    Ok(())
}

/// Reads records of 64 KiB that follow each other, from the page cache.
fn reading(directory: &Path) -> Outcome<()> {
    const BODY_BYTES: usize = 64 << 10;
    let (path, journal) = open(directory)?;
    let body = vec![0x5A; BODY_BYTES];
    let first = journal.append(1, &[&body], Level::Synced)?;
    let mut last = first;
    // Within one segment, the first.
    for _ in 0..50 {
        last = journal.append(1, &[&body], Level::Synced)?;
    }
    journal.commit()?;
    for records in [1, 4, 16, 50] {
        let bytes = first.bytes as usize * records;
        assert!(first.position + bytes as u64 <= last.end());
        let mut best = f64::MAX;
        for _ in 0..400 {
            let start = Instant::now();
            journal.read(first.position, bytes, &mut |_, _, body| {
                black_box(body);
            })?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!(
            "reading {records} records of 64 KiB at once, GB/s: {:.1}",
            bytes as f64 / best / 1e9
        );
    }
    drop(journal);
    std::fs::remove_dir_all(path)?;
    Ok(())
}
