//! A journal in use, on a disk whose power may fail, against a plain list of what was appended.

use crate::story::Story;
use crate::watched::Watched;
use journal::storage::SimulatedDisk;
use journal::{
    Journal, JournalId, Level, OpenReport, Options, Place, Position, RecoverMode, Recovered,
    SnapshotSource,
};
use std::sync::Arc;

const DISK_BYTES: u64 = 64 << 20;
const STEPS_MAX: usize = 60;

/// How often a picture of a recovery is recovered itself.
const GENERATIONS_MAX: u32 = 3;

/// A record that was appended.
#[derive(Clone, Debug)]
struct Appended {
    place: Place,
    kind: u8,
    body: Vec<u8>,
    is_retained: bool,
}

/// What has to be there after a crash.
#[derive(Clone, Copy, Debug, Default)]
struct AtLeast {
    synced: Position,
    snapshot: Position,
}

/// A journal in use.
pub(crate) struct World {
    random: fastrand::Rng,
    story: Story,
    options: Options,
    storage: Watched,
    journal: Option<Journal>,
    appended: Vec<Appended>,
    at_least: AtLeast,
    generation: u32,
    /// Bytes of the first record that the last crash has taken.
    taken_bytes: Option<usize>,
}

/// What a recovery gave.
struct Found {
    journal: Journal,
    report: OpenReport,
    /// How many records the snapshot stood for.
    before_snapshot: usize,
    records: Vec<(Place, u8, Vec<u8>)>,
}

impl World {
    pub(crate) fn new(seed: u64, story: Story) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let segment_bytes_first = 4096 << random.u32(..2);
        let options = Options {
            new_journal_id: JournalId(std::array::from_fn(|_| random.u8(..))),
            segment_bytes_first,
            segment_bytes_max: segment_bytes_first << random.u32(..3),
            buffer_bytes_max: 4096,
            ..Options::default()
        };
        let one_in = [1, 3, 10][random.usize(..3)];
        let storage = Watched::new(SimulatedDisk::new(DISK_BYTES), random.fork(), one_in);
        let mut world = Self {
            random,
            story,
            options,
            storage,
            journal: None,
            appended: Vec::new(),
            at_least: AtLeast::default(),
            generation: 0,
            taken_bytes: None,
        };
        world.open();
        world
    }

    pub(crate) fn live(&mut self) {
        for _ in 0..self.random.usize(1..=STEPS_MAX) {
            let before = self.at_least;
            self.step();
            self.note_reached();
            let pictures = self.storage.pictures();
            // What was taken during the step may be of its beginning.
            for picture in pictures {
                self.check(picture, before);
            }
            self.check(self.storage.picture(), self.at_least);
        }
    }

    fn step(&mut self) {
        match self.random.u32(..100) {
            0..50 => self.append(),
            50..70 => self.commit(),
            70..75 => {
                self.story.tell(|| "prepare a segment".to_owned());
                self.journal().prepare_segment().unwrap();
            }
            75..80 => self.write_snapshot(),
            80..84 => self.remove_dead(),
            84..88 => self.release(),
            88..92 => self.read(),
            92..95 => self.reopen_after_close(),
            95..97 => self.reopen_after_kill(),
            _ => self.reopen_after_power_cut(),
        }
    }

    fn append(&mut self) {
        for _ in 0..self.random.usize(1..6) {
            let bytes = match self.random.u32(..20) {
                0..3 => 0,
                3..10 => self.random.usize(..100),
                10..17 => self.random.usize(..1500),
                17..19 => self.random.usize(..5000),
                _ => self.random.usize(..40_000),
            };
            self.append_one(bytes);
        }
    }

    fn append_one(&mut self, bytes: usize) {
        let kind = self.random.u8(1..=127);
        let body: Vec<u8> = match self.random.u32(..4) {
            // Zeros look like what was never written.
            0 => vec![0; bytes],
            _ => (0..bytes).map(|_| self.random.u8(..)).collect(),
        };
        let level = if self.random.bool() { Level::Written } else { Level::Synced };
        let cut = self.random.usize(..=bytes);
        let pieces = [&body[..cut], &body[cut..]];
        let place = self.journal().append(kind, &pieces, level).unwrap();
        let is_retained = self.random.u32(..20) == 0;
        if is_retained {
            self.journal().retain(place).unwrap();
        }
        self.story.tell(|| format!("append {bytes} bytes at {}, {level:?}", place.position));
        self.appended.push(Appended { place, kind, body, is_retained });
    }

    fn commit(&mut self) {
        let reached = match self.random.u32(..5) {
            0 => self.journal().sync().unwrap(),
            _ => self.journal().commit().unwrap(),
        };
        self.story.tell(|| format!("commit: {reached:?}"));
        assert_eq!(reached.written, self.journal().end(), "a commit writes all");
    }

    fn write_snapshot(&mut self) {
        let (position, count) = (self.journal().end(), self.appended.len());
        let filler: Vec<_> =
            (0..self.random.usize(..4)).map(|_| self.random.usize(..2000)).collect();
        self.story.tell(|| format!("write a snapshot of {count} records at {position}"));
        self.journal()
            .write_snapshot(position, &mut |sink| {
                sink.put(1, &[&(count as u64).to_le_bytes()])?;
                filler.iter().try_for_each(|bytes| sink.put(2, &[&vec![7; *bytes]]))
            })
            .unwrap();
    }

    fn remove_dead(&mut self) {
        let removed = self.journal().remove_dead().unwrap();
        self.story.tell(|| format!("remove dead segments: {removed:?}"));
        let position = self.journal().snapshot_position();
        assert!(removed.iter().all(|segment| segment.end <= position));
        self.read_retained();
    }

    fn release(&mut self) {
        for index in 0..self.appended.len() {
            if self.appended[index].is_retained && self.random.bool() {
                let place = self.appended[index].place;
                self.appended[index].is_retained = false;
                self.journal().release(place.segment, u64::from(place.bytes)).unwrap();
            }
        }
    }

    fn read(&mut self) {
        self.read_retained();
        let written = self.journal().reached().written;
        let first = self.journal().snapshot_position();
        let readable: Vec<_> = self
            .appended
            .iter()
            .filter(|appended| appended.place.position >= first && appended.place.end() <= written)
            .collect();
        if readable.is_empty() {
            return;
        }
        let from = self.random.usize(..readable.len());
        let until = self.random.usize(from..readable.len());
        let range = (readable[until].place.end() - readable[from].place.position) as usize;
        let mut read = Vec::new();
        self.journal()
            .read(readable[from].place.position, range, &mut |position, kind, body| {
                read.push((position, kind, body.to_vec()));
            })
            .unwrap();
        let expected: Vec<_> = readable[from..=until]
            .iter()
            .map(|appended| (appended.place.position, appended.kind, appended.body.clone()))
            .collect();
        assert_eq!(read, expected, "records are read as they were appended");
    }

    fn read_retained(&self) {
        let written = self.journal().reached().written;
        for appended in &self.appended {
            if appended.is_retained && appended.place.end() <= written {
                let Place { position, bytes, .. } = appended.place;
                let mut count = 0;
                let read = self.journal().read(position, bytes as usize, &mut |_, kind, body| {
                    assert_eq!((kind, &body[..]), (appended.kind, &appended.body[..]));
                    count += 1;
                });
                read.unwrap();
                assert_eq!(count, 1, "a place holds one record");
            }
        }
    }

    fn reopen_after_close(&mut self) {
        self.story.tell(|| "close, and open again".to_owned());
        self.journal().close().unwrap();
        self.at_least.synced = self.journal().end();
        self.journal = None;
        let report = self.open();
        assert!(report.was_sealed, "a closed journal ends with a seal: {report:?}");
    }

    fn reopen_after_kill(&mut self) {
        self.story.tell(|| "kill, and open again".to_owned());
        let written = self.journal().reached().written;
        self.journal = None;
        let synced = std::mem::replace(&mut self.at_least.synced, written);
        self.open();
        self.at_least.synced = self.at_least.synced.max(synced);
    }

    fn reopen_after_power_cut(&mut self) {
        self.story.tell(|| "cut the power, and open again".to_owned());
        let picture = self.storage.picture();
        self.journal = None;
        self.storage = Watched::new(picture, self.random.fork(), 3);
        self.open();
    }

    /// Opens the journal, and forgets what a crash has rightly taken.
    fn open(&mut self) -> OpenReport {
        let found = self.recover(&self.storage);
        let count = self.hold_against(&found, self.at_least);
        self.story.tell(|| format!("opened with {count} records: {:?}", found.report));
        self.taken_bytes = self.appended.get(count).map(|taken| taken.body.len());
        self.appended.truncate(count);
        for appended in self.appended.iter().filter(|appended| appended.is_retained) {
            found.journal.retain(appended.place).expect("what is retained is not removed");
        }
        self.at_least.synced = found.report.end;
        self.journal = Some(found.journal);
        found.report
    }

    fn recover(&self, storage: &Watched) -> Found {
        let mut before_snapshot = 0;
        let mut records = Vec::new();
        let opened = Journal::open(
            Arc::new(storage.clone()),
            self.options.clone(),
            RecoverMode::Refuse,
            &mut |recovered| {
                match recovered {
                    Recovered::Snapshot { kind: 1, body } => {
                        before_snapshot = u64::from_le_bytes(body.try_into().unwrap()) as usize;
                    }
                    Recovered::Snapshot { .. } => {}
                    Recovered::Record { place, kind, body } => {
                        records.push((place, kind, body.to_vec()));
                    }
                    Recovered::Gap { .. } => panic!("a crash leaves no gap"),
                }
                Ok(())
            },
        );
        let (journal, report) =
            opened.unwrap_or_else(|error| panic!("a crash damages nothing: {error}"));
        Found { journal, report, before_snapshot, records }
    }

    /// Checks that a recovery gave a prefix of what was appended, with all that has to be there.
    /// Gives how long that prefix is.
    fn hold_against(&self, found: &Found, at_least: AtLeast) -> usize {
        assert!(found.report.damaged_snapshots.is_empty(), "a crash damages no snapshot");
        assert!(found.report.snapshot_position >= at_least.snapshot, "the snapshot is kept");
        if at_least.snapshot > Position::ZERO {
            assert_ne!(found.report.snapshot_source, SnapshotSource::None);
        }
        let count = found.before_snapshot + found.records.len();
        assert!(count <= self.appended.len(), "no record is made up");
        let expected = &self.appended[found.before_snapshot..count];
        for (expected, (place, kind, body)) in expected.iter().zip(&found.records) {
            assert_eq!((expected.place, expected.kind), (*place, *kind));
            assert!(expected.body == *body, "the body of {place:?} is as it was");
        }
        let lost = self.appended[count..].iter().find(|lost| lost.place.end() <= at_least.synced);
        assert!(lost.is_none(), "what was synced is there: {:?}", lost.map(|lost| lost.place));
        count
    }

    /// Recovers a picture, goes on with it, and cuts the power again.
    fn check(&self, picture: SimulatedDisk, at_least: AtLeast) {
        if self.generation == GENERATIONS_MAX {
            return;
        }
        let mut random = fastrand::Rng::with_seed(self.random.clone().u64(..));
        let one_in = if random.u32(..8) == 0 { 2 } else { 0 };
        let storage = Watched::new(picture, random.fork(), one_in);
        let mut next = Self {
            random,
            story: self.story.clone(),
            options: self.options.clone(),
            storage,
            journal: None,
            appended: self.appended.clone(),
            at_least,
            generation: self.generation + 1,
            taken_bytes: None,
        };
        self.story.tell(|| format!("generation {}: look at a picture", next.generation));
        next.open();
        for picture in next.storage.pictures() {
            next.check(picture, at_least);
        }
        if one_in == 0 {
            return;
        }
        next.read_retained();
        // One that takes the place of what was lost, and ends where that ended: what had followed
        // must not follow this.
        if let Some(bytes) = next.taken_bytes {
            next.append_one(bytes);
            next.commit();
            next.reopen_after_kill();
        }
        next.append();
        next.commit();
        next.note_reached();
        let picture = next.storage.picture();
        next.check(picture, next.at_least);
    }

    fn note_reached(&mut self) {
        let synced = self.journal().reached().synced;
        assert!(synced >= self.at_least.synced, "what is reached never goes back");
        self.at_least.synced = synced;
        self.at_least.snapshot = match self.journal().snapshot_position() {
            // There was none yet.
            position if position <= self.at_least.snapshot || position.value() <= 64 => {
                self.at_least.snapshot
            }
            position => position,
        };
    }

    fn journal(&self) -> &Journal {
        self.journal.as_ref().expect("it is open between steps")
    }
}
