//! The load engine: any number of connections on a few threads, the same for every driver.
//!
//! Each generator thread holds its share of the connections in one poll. It connects them, hands
//! what it reads to their conversations, publishes when messages are due, and takes part in the
//! stages that a conductor leads everyone through:
//!
//! ```text
//! connect subscribers -> connect publishers -> prepare -> warm-up -> drain -> measure -> drain -> late -> clean up
//! ```
//!
//! Encoding, pacing, reading and timing are the engine's or a driver's few lines of protocol, so
//! no broker is favoured by how it is loaded.

mod backlogs;
mod board;
mod churn;
mod crowds;
mod due;
mod in_process;
mod line;
mod operating;
mod operations;
mod outages;
mod outcome;
mod publishing;
mod role;
mod socket;
mod streams;
mod timer;
mod worker;

pub use backlogs::{BacklogRun, Built, Drained, build_backlog, drain_backlog, end_backlog};
pub use churn::ChurnRun;
pub use crowds::{CrowdOutcome, CrowdRun, run_crowd};
pub use in_process::{Ceiling, measure_ceiling};
pub use operations::{ITEMS_PER_CELL_MAX, OperationLoad, OperationOutcome, run_operation};
pub use outages::{OutageOutcome, OutageRun, Restored, run_outage};
pub use outcome::{PairFaults, StreamOutcome, ThreadShare, TimelineSum};
use streams::join;
pub use streams::{SlowConsumers, StreamRun, run_stream};

use crate::clock::Clock;
use crate::drivers::DriverError;
use crate::generator_watch::GeneratorThreads;
use crate::interrupt::Interrupt;
use crate::live::LiveFigures;
use std::sync::Arc;

/// Where the clients stand, as whoever watches is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// They are at work, and nothing is recorded.
    WarmUp,
    /// They are at work, and recorded.
    Measured,
    /// They have finished what is recorded.
    Over,
}

/// How long clients go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Until so much is done.
    Count(u64),
    /// Until so much time has passed.
    DurationNs(u64),
}

/// What load needs of its surroundings.
pub struct Surroundings<'a> {
    /// The run's clock.
    pub clock: Clock,
    /// Whether to stop early.
    pub interrupt: &'a Interrupt,
    /// Generator threads; at least one.
    pub threads: usize,
    /// Who is told of each of them.
    pub generator: &'a GeneratorThreads,
    /// Where they tell how it goes, for whoever watches; one writer for each thread.
    pub live: &'a Arc<LiveFigures>,
    /// Told of each phase as it begins.
    pub on_phase: &'a mut dyn FnMut(Phase),
}

/// Why load could not be applied to its end.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A client failed where nothing may.
    #[error("{doing}: {source}")]
    Client {
        /// What was being done.
        doing: String,
        /// What went wrong.
        source: DriverError,
    },
    /// The generator itself failed.
    #[error("the load generator cannot {doing}: {source}; see its limits with `ulimit -a`")]
    Generator {
        /// What it was doing.
        doing: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Not everyone got there in time.
    #[error(
        "expected {expected} within {waited_ms} ms, found some still waiting; see the broker's log"
    )]
    TimedOut {
        /// What should have come.
        expected: &'static str,
        /// How long it was waited for.
        waited_ms: u64,
    },
    /// Someone wants the run to end.
    #[error("interrupted")]
    Interrupted,
}

impl LoadError {
    pub(crate) fn client(doing: impl Into<String>) -> impl FnOnce(DriverError) -> Self {
        move |source| Self::Client { doing: doing.into(), source }
    }

    fn generator(doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Generator { doing, source }
    }
}
