//! Making segments: whole and durable before anything is written to them, and ahead of their time
//! where there is a thread to do it.

use crate::journal::Journal;
use crate::options::Options;
use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use crate::segments::{OpenSegment, Span};
use crate::storage::{Storage, StorageFile, write_all_at};
use crate::{JournalFailed, JournalId, Position};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// What follows the name of a file that is not whole yet.
pub(crate) const UNFINISHED_ENDING: &str = ".new";

/// The segment after the one that is written to.
#[derive(Debug)]
pub(crate) struct Preparation {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    /// The segment that the committer writes to; the one after it can be prepared.
    current: Span,
    /// Whether a thread waits to make segments.
    is_attended: bool,
    is_over: bool,
}

#[derive(Debug)]
enum Stage {
    Idle,
    Wanted(Span),
    Making,
    /// It could not be made ahead of its time, and is tried again when its time comes.
    PutOff,
    Ready(Span, Arc<dyn StorageFile>),
}

impl Preparation {
    /// For the segment after `current`, which may be there already.
    pub(crate) fn new(current: Span, ready: Option<OpenSegment>) -> Self {
        let stage = ready.map_or(Stage::Idle, |(span, file)| Stage::Ready(span, file));
        let state = State { stage, current, is_attended: false, is_over: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Asks for a segment ahead of its time, if somebody makes them.
    pub(crate) fn want(&self, span: Span) {
        let mut state = self.state();
        if state.is_attended && matches!(state.stage, Stage::Idle) {
            state.stage = Stage::Wanted(span);
            self.changed.notify_all();
        }
    }

    /// Lets the thread that makes segments end.
    pub(crate) fn end(&self) {
        self.state().is_over = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it prepares a segment")
    }

    fn set(&self, stage: Stage) {
        self.state().stage = stage;
        self.changed.notify_all();
    }
}

impl Journal {
    /// The segment of this span: the one that was prepared, or one that is made now.
    pub(crate) fn next_segment(&self, span: Span) -> Result<Arc<dyn StorageFile>, JournalFailed> {
        let preparation = self.preparation();
        let mut state = preparation.state();
        while matches!(state.stage, Stage::Making) {
            state = preparation.changed.wait(state).expect("nothing panics while it prepares");
        }
        let stage = std::mem::replace(&mut state.stage, Stage::Idle);
        state.current = span;
        drop(state);
        match stage {
            Stage::Ready(ready, file) if ready == span => Ok(file),
            // One that is too small for what comes is replaced.
            _ => self.make_segment(span),
        }
    }

    /// Makes the segment after the one that is written to, if it is not there yet.
    ///
    /// [`run`](Self::run) has this done by a thread of its own when a segment is half full. Whoever
    /// commits by himself may call it, and need not.
    pub fn prepare_segment(&self) -> Result<(), JournalFailed> {
        let mut state = self.preparation().state();
        if !matches!(state.stage, Stage::Idle | Stage::Wanted(_)) {
            return Ok(());
        }
        let bytes = self.options().usual_segment_bytes_after(state.current.bytes);
        let span = Span { base: state.current.end(), bytes };
        state.stage = Stage::Making;
        drop(state);
        self.make_ready(span)
    }

    /// Makes segments as they are wanted, until the journal's committer ends.
    pub(crate) fn attend_preparation(&self) {
        let preparation = self.preparation();
        let mut state = preparation.state();
        state.is_attended = true;
        loop {
            if state.is_over {
                state.is_attended = false;
                state.is_over = false;
                return;
            }
            if let Stage::Wanted(span) = state.stage {
                state.stage = Stage::Making;
                drop(state);
                self.make_ahead(span);
                state = preparation.state();
                continue;
            }
            state = preparation.changed.wait(state).expect("nothing panics while it prepares");
        }
    }

    /// Makes a segment ahead of its time. There may be room for what comes before it, and for
    /// the segment itself by then, so that a lack of room is not the journal's failure yet.
    fn make_ahead(&self, span: Span) {
        let made = create_segment(self.storage(), self.id(), span);
        let segment = segment_name(span.base);
        self.preparation().set(match made {
            Ok(file) => Stage::Ready(span, file),
            Err(error) if is_want_of_room(&error) => {
                tracing::warn!(segment, %error, "the next segment could not be made yet; make room");
                Stage::PutOff
            }
            // Above all, a sync that has failed is not tried again.
            Err(error) => {
                self.fail("create", segment, error);
                Stage::Idle
            }
        });
    }

    fn make_ready(&self, span: Span) -> Result<(), JournalFailed> {
        match self.make_segment(span) {
            Ok(file) => {
                self.preparation().set(Stage::Ready(span, file));
                Ok(())
            }
            Err(failed) => {
                self.preparation().set(Stage::Idle);
                Err(failed)
            }
        }
    }

    fn make_segment(&self, span: Span) -> Result<Arc<dyn StorageFile>, JournalFailed> {
        if let Some(failed) = self.failure() {
            return Err(failed);
        }
        create_segment(self.storage(), self.id(), span)
            .map_err(|error| self.fail("create", segment_name(span.base), error))
    }
}

fn is_want_of_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Makes the first segment of a new journal.
pub(crate) fn create_first_segment(
    storage: &dyn Storage,
    options: &Options,
) -> io::Result<OpenSegment> {
    let span = Span { base: Position::ZERO, bytes: options.segment_bytes_first };
    create_segment(storage, options.new_journal_id, span).map(|file| (span, file))
}

/// Makes a segment that holds nothing: under its name, it is whole and durable.
pub(crate) fn create_segment(
    storage: &dyn Storage,
    id: JournalId,
    span: Span,
) -> io::Result<Arc<dyn StorageFile>> {
    let name = segment_name(span.base);
    let unfinished = format!("{name}{UNFINISHED_ENDING}");
    let file = storage.create(&unfinished)?;
    file.allocate(span.bytes)?;
    let header = SegmentHeader { base: span.base, bytes: span.bytes, id };
    let bytes: [u8; SEGMENT_HEADER_BYTES] = header.encode();
    write_all_at(&*file, 0, &bytes)?;
    file.sync_all()?;
    storage.rename(&unfinished, &name)?;
    storage.sync_dir()?;
    tracing::debug!(segment = name, bytes = span.bytes, "made a segment");
    Ok(file)
}
