//! One append-only sequence of records in segment files: group commit, recovery, snapshots. It
//! knows bytes, and nothing of what they mean.
//!
//! ```no_run
//! use journal::storage::Directory;
//! use journal::{Journal, JournalId, Level, Options, RecoverMode};
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = Options { new_journal_id: JournalId(rand_bytes()), ..Options::default() };
//! let storage = Arc::new(Directory::create("data")?);
//! let (journal, report) = Journal::open(storage, options, RecoverMode::Refuse, &mut |recovered| {
//!     // What was appended before, in order.
//!     Ok(())
//! })?;
//! std::thread::scope(|scope| {
//!     scope.spawn(|| journal.run(|reached, failed| { /* whoever waits for `reached` is done */ }));
//!     let place = journal.append(1, &[b"head", b"body"], Level::Synced)?;
//!     // It is durable once `journal.reached().synced >= place.end()`.
//!     journal.close()?;
//!     Ok(())
//! })
//! # }
//! # fn rand_bytes() -> [u8; 16] { [0; 16] }
//! ```
//!
//! # Promises
//!
//! - **What was reached stays.** All before [`Reached::synced`] is given by the next opening, in
//!   order and byte for byte, whatever happens to the process and to the power. All before
//!   [`Reached::written`] is, if only the process ends.
//! - **Recovery gives a prefix.** A record is never given unless all that were appended before it
//!   are, but for those that a quarantine has set aside and reported.
//! - **Appending never waits for the medium.** It copies into a buffer. Whoever appends has to look
//!   at [`Journal::is_congested`].
//! - **One sync for all that wait.** How often the medium is synced depends on the commits, not on
//!   those who append.
//! - **A failure is final.** After a write, a sync or an allocation has failed, nothing is appended
//!   and nothing reached any more, and no sync is tried again: the operating system may have
//!   dropped what it could not write, and say that the next sync succeeded.
//! - **Damage is told from a torn end.** What was never synced may be torn, and is cut. What was,
//!   must not be: opening refuses and names the file and the offset.
//!
//! # What is taken for granted of the medium
//!
//! - A sync that succeeds tells the truth: what it covers stays, and stays as it is.
//! - What was not synced may be there or not, in any order, sector by sector; and a sector may
//!   itself be torn. The same goes for names that were made, changed or removed.
//! - Writing one part of a file leaves its other parts as they are, even those in the same sector.
//! - Bits may rot. Each frame's CRC-32C finds that; nothing repairs it.
//!
//! # Files
//!
//! | name | what it is |
//! |---|---|
//! | `00000000000000004096.segment` | records; the name is the position of the first byte |
//! | `snapshot.a`, `snapshot.b` | two copies of the last snapshot |
//! | `lock` | locked while the journal is open; the process's id |
//! | `*.new` | was being made when the process ended; removed at the next opening |
//! | `quarantine/` | copies of damaged files, as they were found |
//!
//! A [`Position`] is a byte's address in the sequence of all segments. Segments follow each other
//! without a space, so that byte `n` of a file has the position `base + n`:
//!
//! ```text
//!  position 0                        4 MiB                                     12 MiB
//!  | header | frames | end | zeros   | header | frames | end | zeros           | header | frames ...
//!  '---- 0000…0000.segment ----------'---- 0000…4194304.segment ---------------'
//! ```
//!
//! ```text
//! segment  0          8        12       16        24        32               48             60     64
//!          | TANDEMJL | version | zeros  | base    | bytes   | journal id     | zeros        | crc  |
//!          | frame | frame | ...                                    | zeros to the file's end |
//!
//! frame    0        4       8       12      14     15   16          16+length
//!          | length | crc   | lag   | check | kind | 0  | body      | zeros to a multiple of 8 |
//!
//! snapshot 0          8        12       16         24       32               48             60     64
//!          | TANDEMSN | version | zeros  | position | zeros  | journal id     | zeros        | crc  |
//!          | frame | frame | ... | end |
//! ```
//!
//! All numbers are little-endian. `crc` and `check` of a frame cover its position and the journal's
//! id too, which stand in neither: a frame is only one in its own place and journal. `lag` is the
//! frame's position less the position that was known to be synced when it was made.
//!
//! The kinds 1 to [`KIND_MAX`] are the caller's. These are the journal's own:
//!
//! | kind | name | body |
//! |---|---|---|
//! | 0xFF | end of segment | the next segment's base, u64; in a snapshot, the number of its records, u64 |
//! | 0xFE | gap | the position where records go on, u64, or nothing if that is the frame's end |
//! | 0xFD | seal | nothing: its lag says that all before it is synced |
//!
//! # Invariants
//!
//! 1. A segment has its whole length and a sound header, durably, before it has its name. So one
//!    that is shorter than its header says, or has no sound header, is damaged.
//! 2. The segment that follows exists, durably, before an end of segment is written.
//! 3. A segment is synced before anything is written to the one that follows. So whatever is found
//!    in a segment proves that all before the segment was synced.
//! 4. A frame's lag never tells of more than was synced. So a sound frame proves what it says.
//! 5. What follows the last frame of a segment is zeros, durably, before anything is appended after
//!    a recovery. So what was cut never comes back.
//! 6. A journal that rests or is closed ends with a seal. So damage to any record of it is proven.
//! 7. All that a snapshot may tell of is synced before the snapshot has its name; a segment is
//!    removed only after both copies have.
//! 8. What a recovery has read is synced before anything is appended, and written once more before
//!    that unless something proves that it had been synced.
//!
//! # Recovery
//!
//! The newest sound copy of the snapshot is taken, and the other made the same. From its position
//! on, frames are read until there is no sound one. If nothing but zeros follows, that is the end.
//! Otherwise the rest of the segment is searched for sound frames: one whose lag, by invariant 4,
//! proves that the bad place was synced, makes it damage. So does anything in a later segment, by
//! invariant 3. If there is neither, the end was torn, and is cut: it is overwritten with zeros and
//! synced. A segment that is missing at or behind the snapshot's position is damage in any case.
//!
//! What lies before the snapshot's position is not read at opening: [`Journal::read`] checks it when
//! it is asked for, and [`inspect`] checks everything.
//!
//! With [`RecoverMode::Quarantine`], every segment is searched. Damaged ones are copied to the
//! folder `quarantine`, and gap frames are put where frames are missing, from the last sound one to
//! the next. Then the journal is opened as any other.
//!
//! # Why so
//!
//! Writing behind the end of a file makes each sync write the file's length as well; into space
//! that was allocated it does not, and into blocks that were written before, if only with zeros, it
//! writes nothing but the data. So segments are allocated whole, and small batches write zeros ahead.
//! `cargo run --release -p journal --example sync_cost -- DIRECTORY` tells what that is worth where
//! the journal will be.

mod committer;
mod error;
mod frame;
mod grouping;
pub mod inspect;
mod journal;
mod options;
mod position;
mod preparation;
mod reading;
mod recovery;
mod segment;
mod segments;
mod snapshot;
pub mod storage;
mod tail;
mod walk;

pub use error::{
    AppendError, Damage, JournalFailed, OpenError, ReadError, SegmentMissing, SnapshotError,
    VisitError,
};
pub use frame::{FRAME_ALIGNMENT, FRAME_HEADER_BYTES, KIND_MAX};
pub use journal::Journal;
pub use options::{JournalId, Options};
pub use position::{Level, Place, Position, Reached};
pub use recovery::{Cut, Lost, OpenReport, RecoverMode, Recovered, SnapshotSource};
pub use segment::{FORMAT_VERSION, SEGMENT_HEADER_BYTES};
pub use segments::SegmentState;
pub use snapshot::SnapshotSink;
