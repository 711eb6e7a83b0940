//! What a recovery gives and what it says of itself.

use crate::{Damage, Place, Position};

/// What is given to the caller of [`Journal::open`](crate::Journal::open), in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovered<'a> {
    /// A record of the snapshot.
    Snapshot {
        /// What kind it was put as.
        kind: u8,
        /// Its body.
        body: &'a [u8],
    },
    /// A record that was appended after the snapshot's position.
    Record {
        /// Where it is.
        place: Place,
        /// What kind it was appended as.
        kind: u8,
        /// Its body.
        body: &'a [u8],
    },
    /// Records were lost here, and set aside by an earlier recovery or by this one.
    Gap {
        /// Where they began.
        from: Position,
        /// Where records go on.
        until: Position,
    },
}

/// Where the snapshot came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SnapshotSource {
    /// There is none; all records ever appended were read.
    #[default]
    None,
    /// Both copies were whole, and the same.
    BothCopies,
    /// This one; the other was missing, older or damaged, and is the same again.
    OneCopy(&'static str),
}

/// The end that was cut, since a loss of power had torn it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The first address of the segment.
    pub segment: Position,
    /// Where the sound records end.
    pub from: Position,
    /// What followed reached to here; it is zeros now.
    pub until: Position,
}

/// A range that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The file, by its name in the journal's directory; its copy is in the folder `quarantine`.
    pub file: String,
    /// Where in the file.
    pub offset: u64,
    /// Where the lost records began.
    pub from: Position,
    /// Where records go on.
    pub until: Position,
    /// What was wrong.
    pub reason: String,
}

/// What a recovery found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Whether there was no journal, and one was made.
    pub is_new: bool,
    /// Where the snapshot came from.
    pub snapshot_source: SnapshotSource,
    /// The position whose state the snapshot is; that of the first record if there is none.
    pub snapshot_position: Position,
    /// How many records the snapshot held.
    pub snapshot_records: u64,
    /// The snapshot's copies that were damaged.
    pub damaged_snapshots: Vec<Damage>,
    /// How many records were given that are not the snapshot's.
    pub records: u64,
    /// Where the next record goes.
    pub end: Position,
    /// Whether the last thing in the journal is a seal, or a snapshot stands for all of it: it was
    /// closed, or at rest when it ended, and nothing is missing.
    pub was_sealed: bool,
    /// The torn end, if it had one.
    pub cut: Option<Cut>,
    /// Whether bytes were cleared from a segment that held no records yet.
    pub cleared_next_segment: bool,
    /// What was set aside now.
    pub quarantined: Vec<Lost>,
    /// Where records are missing, from earlier quarantines and from this one.
    pub gaps: Vec<(Position, Position)>,
}
