//! What whoever started a run sees while it goes on: a line, plain lines, or a whole screen.
//!
//! The run calls [`Live`]; generator threads write into [`LiveFigures`]; a thread of its own looks
//! at both four times a second and shows them on standard error. Nothing that is measured waits for
//! it.
//!
//! ```text
//! run:                begin -> phase -> follow(figures) -> phase ... -> end
//! generator threads:  LiveWriter::is_due -> write
//! shown by:           a line on a terminal, lines elsewhere, a screen if it is asked for
//! ```

mod figures;
mod line;
mod screen;
mod shown;
mod state;

pub use figures::{LiveCounts, LiveFigures, LiveSnapshot, LiveWriter, WRITE_INTERVAL_NS};
pub use state::{CellEnd, CellStanding, LiveCell, LivePhase, LivePlan};

use crate::clock::Clock;
use crate::interrupt::Interrupt;
use shown::{Lines, RenewedLine, Screen, Shown};
use state::State;
use std::io::{self, IsTerminal};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Shows a run. Dropping it gives the terminal back.
#[derive(Debug)]
pub struct Live {
    shared: Arc<Shared>,
    /// What is to be said; its end ends the thread that shows.
    sayings: Option<Sender<Saying>>,
    shower: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    clock: Clock,
}

/// What is shown once, beside what is renewed.
#[derive(Debug)]
enum Saying {
    /// A measurement begins, in a line.
    Begun(String),
    /// A measurement ended.
    Ended(CellEnd),
    /// Something worth a line of its own.
    Line(String),
}

impl Live {
    /// Shows nothing.
    #[must_use]
    pub fn silent() -> Self {
        let shared = Shared::new(LivePlan::default());
        Self { shared, sayings: None, shower: None }
    }

    /// On standard error: a line that is renewed if that is a terminal, else lines.
    #[must_use]
    pub fn on_stderr(plan: LivePlan) -> Self {
        match io::stderr().is_terminal() {
            true => Self::shown_by(plan, RenewedLine::new()),
            false => Self::shown_by(plan, Lines::new(io::stderr())),
        }
    }

    /// On the whole screen of standard error; its keys can raise `interrupt`.
    ///
    /// # Errors
    /// The terminal's, or that there is none.
    pub fn on_screen(plan: LivePlan, interrupt: Interrupt) -> io::Result<Self> {
        if !io::stderr().is_terminal() {
            return Err(io::Error::other(
                "expected standard error to be a terminal for --tui, found a file or a pipe; leave \
                 --tui out",
            ));
        }
        Ok(Self::shown_by(plan, Screen::open(interrupt)?))
    }

    fn shown_by(plan: LivePlan, shown: impl Shown + 'static) -> Self {
        let shared = Shared::new(plan);
        let (sayings, said) = channel();
        let seen = Arc::clone(&shared);
        let shower = std::thread::Builder::new()
            .name("live".to_owned())
            .spawn(move || show(&seen, &said, shown))
            // Without the thread nothing is shown, and the run is as good.
            .ok();
        Self { shared, sayings: Some(sayings), shower }
    }

    /// A measurement begins.
    pub fn begin(&mut self, cell: LiveCell) {
        let mut state = self.shared.state();
        state.begin(self.shared.clock.now_ns(), cell);
        let line = line::begun(&state);
        drop(state);
        self.say_it(Saying::Begun(line));
    }

    /// It enters a phase, which takes about so long; 0: unknown.
    pub fn phase(&mut self, phase: LivePhase, expected_ms: u64) {
        self.shared.state().enter(self.shared.clock.now_ns(), phase, expected_ms);
    }

    /// Its figures, from now on.
    pub fn figures(&mut self, figures: Arc<LiveFigures>) {
        self.shared.state().follow(self.shared.clock.now_ns(), figures);
    }

    /// It ended.
    pub fn end(&mut self, end: CellEnd) {
        self.shared.state().end(self.shared.clock.now_ns(), end.clone());
        self.say_it(Saying::Ended(end));
    }

    /// Measurements that are passed over, and about how long they would have taken.
    pub fn pass_over(&mut self, cells: u64, estimated_ms: u64) {
        self.shared.state().pass_over(cells, estimated_ms);
    }

    /// Something worth a line of its own.
    pub fn say(&mut self, line: impl Into<String>) {
        self.say_it(Saying::Line(line.into()));
    }

    /// Gives the terminal back.
    pub fn finish(&mut self) {
        self.sayings = None;
        if let Some(shower) = self.shower.take() {
            // If it panicked, its words are on standard error already.
            let _ended = shower.join();
        }
    }

    fn say_it(&self, saying: Saying) {
        if let Some(sayings) = &self.sayings {
            // If the thread is gone, nobody listens.
            let _unheard = sayings.send(saying);
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Shared {
    fn new(plan: LivePlan) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::new(plan)), clock: Clock::start() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, so a panic elsewhere cannot have torn it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows what there is to show, until there will be no more.
fn show(shared: &Shared, said: &Receiver<Saying>, mut shown: impl Shown) {
    while let Some(sayings) = shown.wait(said) {
        let now_ns = shared.clock.now_ns();
        for saying in sayings {
            match saying {
                Saying::Begun(line) => shown.begun(&line),
                Saying::Ended(end) => {
                    if let Some(line) = line::ended(&end) {
                        shown.say(&line);
                    }
                }
                Saying::Line(line) => shown.say(&line),
            }
        }
        let mut state = shared.state();
        state.look(now_ns);
        shown.renew(&state, now_ns);
    }
    shown.close();
}
