//! Subscribers that come and go beside a stream's own while it is measured.
//!
//! They have a thread of their own, which listens to all of them, so that what they take of the
//! generator is on its account and not on those of the threads that are measured. What is delivered
//! to them is read, and is in no ledger and no figure.

use super::line::Line;
use super::{StreamRun, join};
use crate::clock::Clock;
use crate::drivers::DriverError;
use crate::generator_watch::GeneratorThreads;
use crate::intake::Recorder;
use crate::ledger::Ledger;
use crate::wire::{Conversation, Driver};
use measure::Churned;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

/// Their numbers begin here, beyond those of all others.
const FIRST_NUMBER: u32 = 1 << 24;

/// How long the thread listens before it looks whether the stream has ended.
const SLICE_NS: u64 = 20_000_000;

/// Who comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChurnRun {
    /// From one change to the next: then all of them leave, and as many come.
    pub every_ns: u64,
    /// How many.
    pub subscribers: u32,
}

/// Tells the thread when they are to begin and to end.
#[derive(Debug, Default)]
pub(super) struct ChurnSwitch {
    span: Mutex<Span>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Span {
    #[default]
    Before,
    Within,
    After,
}

impl ChurnSwitch {
    pub(super) fn begin(&self) {
        self.enter(Span::Within);
    }

    pub(super) fn end(&self) {
        self.enter(Span::After);
    }

    fn enter(&self, span: Span) {
        *self.span() = span;
        self.changed.notify_all();
    }

    fn wait_for_begin(&self) {
        let is_before = |span: &mut Span| *span == Span::Before;
        let _span = self.changed.wait_while(self.span(), is_before);
    }

    fn is_within(&self) -> bool {
        *self.span() == Span::Within
    }

    fn span(&self) -> MutexGuard<'_, Span> {
        // It is one word, so a panic elsewhere cannot have torn it.
        self.span.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread, if anyone is to come and go.
pub(super) struct Churn<'scope>(Option<ScopedJoinHandle<'scope, Churned>>);

impl<'scope> Churn<'scope> {
    pub(super) fn spawn<'env>(
        scope: &'scope Scope<'scope, 'env>,
        driver: &'env dyn Driver,
        stream: &'env StreamRun,
        switch: &'env ChurnSwitch,
        clock: Clock,
        generator: &'env GeneratorThreads,
    ) -> Self {
        let thread = stream.churn.map(|run| {
            scope.spawn(move || {
                let _entered = generator.enter("churn");
                switch.wait_for_begin();
                Churners::new(driver, stream, run, clock).run(switch)
            })
        });
        Self(thread)
    }

    /// Waits for it, which the switch has told to end.
    pub(super) fn join(self) -> Option<Churned> {
        self.0.map(join)
    }
}

struct Churners<'a> {
    driver: &'a dyn Driver,
    stream: &'a StreamRun,
    run: ChurnRun,
    clock: Clock,
    present: Vec<Churner>,
    next_number: u32,
    churned: Churned,
    /// What is delivered is looked at by nobody.
    recorder: Recorder,
    ledger: Ledger,
}

struct Churner {
    line: Line,
    conversation: Box<dyn Conversation>,
    was_let_in: bool,
}

impl<'a> Churners<'a> {
    fn new(driver: &'a dyn Driver, stream: &'a StreamRun, run: ChurnRun, clock: Clock) -> Self {
        let payloads = stream.terms.payloads.clone();
        Self {
            driver,
            stream,
            run,
            clock,
            present: Vec::new(),
            next_number: FIRST_NUMBER,
            churned: Churned::default(),
            recorder: Recorder::new(clock, payloads, stream.run_id, 1),
            ledger: Ledger::new(0),
        }
    }

    fn run(mut self, switch: &ChurnSwitch) -> Churned {
        let mut next_ns = self.clock.now_ns();
        while switch.is_within() {
            let now_ns = self.clock.now_ns();
            if now_ns < next_ns {
                self.listen((next_ns - now_ns).min(SLICE_NS));
                continue;
            }
            self.leave();
            for _ in 0..self.run.subscribers {
                self.come();
            }
            // Changes that could not be in time are left out, and not made up for.
            next_ns = (next_ns + self.run.every_ns).max(self.clock.now_ns());
        }
        self.churned
    }

    fn leave(&mut self) {
        // This thread may be late itself: what was answered meanwhile is heard.
        self.listen(0);
        for churner in self.present.drain(..) {
            self.churned.failures += u64::from(!churner.was_let_in);
        }
    }

    fn come(&mut self) {
        let number = self.next_number;
        self.next_number += 1;
        let mut conversation = self.driver.passing_subscriber(&self.stream.terms, number);
        match Line::connect(self.driver.address(), conversation.as_mut()) {
            Ok(line) => self.present.push(Churner { line, conversation, was_let_in: false }),
            Err(_) => self.churned.failures += 1,
        }
    }

    /// Reads what comes to any of them within so long.
    fn listen(&mut self, wait_ns: u64) {
        let timeout = Timespec { tv_sec: 0, tv_nsec: wait_ns as i64 };
        let lines = self.present.iter().map(|churner| &churner.line);
        let mut sockets: Vec<_> =
            lines.map(|line| PollFd::new(line.socket(), PollFlags::IN)).collect();
        // If it fails, each is asked in vain.
        let _polled = poll(&mut sockets, Some(&timeout));
        let has_news: Vec<bool> =
            sockets.iter().map(|socket| !socket.revents().is_empty()).collect();
        let Self { present, recorder, ledger, churned, .. } = self;
        let mut has_news = has_news.into_iter();
        present.retain_mut(|churner| {
            if has_news.next() != Some(true) {
                return true;
            }
            let heard = churner.hear(recorder, ledger);
            if !churner.was_let_in && churner.line.tidings.ready {
                churner.was_let_in = true;
                churned.comings += 1;
            }
            churned.failures += u64::from(heard.is_err());
            heard.is_ok()
        });
    }
}

impl Churner {
    fn hear(&mut self, recorder: &mut Recorder, ledger: &mut Ledger) -> Result<(), DriverError> {
        match self.line.read_within(0)? {
            true => self.line.hear(self.conversation.as_mut(), recorder, ledger),
            false => Ok(()),
        }
    }
}
