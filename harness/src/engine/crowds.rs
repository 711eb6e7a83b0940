//! Crowds of connections: how long it takes them to be let in, and what they cost at rest.

use super::board::{Board, Ended, Patience, Stage};
use super::due::ThreadSchedule;
use super::operations::no_publishing;
use super::publishing::Publishing;
use super::role::Role;
use super::streams::join;
use super::worker::{Crew, Findings, Worker};
use super::{LoadError, Phase, Surroundings};
use crate::intake::Recorder;
use crate::message::{MESSAGE_BYTES_MIN, Payloads};
use crate::schedule::{Arrivals, LoadModel, Share};
use crate::wire::Driver;
use measure::LatencyHistogram;
use std::sync::Arc;

const NS_PER_MS: u64 = 1_000_000;

/// A crowd to make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrowdRun {
    /// Connections.
    pub connections: u32,
    /// Connections begun each second, over all threads; `None`: as fast as they are let in.
    pub rate_per_s: Option<f64>,
    /// How long they are held at rest.
    pub hold_ns: u64,
    /// How long nobody may be let in while some still wait.
    pub connect_ms_max: u64,
}

/// What came of a crowd.
#[derive(Clone, Debug)]
pub struct CrowdOutcome {
    /// Connections that were let in.
    pub accepted: u64,
    /// Connections that were not.
    pub refused: u64,
    /// Connections that were closed while they were at rest.
    pub dropped: u64,
    /// From the first that was begun to the last that was let in.
    pub duration_ns: u64,
    /// From when each was begun, or was to be, to when it was let in.
    pub handshake: LatencyHistogram,
    /// Processor time of each generator thread.
    pub threads_cpu_ns: Vec<u64>,
}

/// Makes a crowd, holds it, and lets it go. Of one that is held, [`Phase::WarmUp`] is before it is
/// there and [`Phase::Measured`] when it is whole and at rest; of one that is not,
/// [`Phase::Measured`] is while it connects. [`Phase::Over`] is before it goes.
///
/// # Errors
/// [`LoadError::Generator`] where files or ports run out, [`LoadError::TimedOut`], or on an
/// interrupt. Connections that are refused or closed are counted.
pub fn run_crowd(
    driver: &dyn Driver,
    crowd: &CrowdRun,
    surroundings: Surroundings<'_>,
) -> Result<CrowdOutcome, LoadError> {
    let Surroundings { clock, interrupt, threads, generator, live, on_phase } = surroundings;
    let mut writers = live.writers().into_iter();
    let threads = threads.min(crowd.connections as usize).max(1);
    let board = Board::new(clock, interrupt.clone(), threads, 0);
    let (found, start_ns) = std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for thread in 0..threads {
            let crew = crew(driver, crowd, thread, threads, clock);
            workers.push(Worker::new(crew, &board)?);
        }
        let spawned: Vec<_> = workers
            .into_iter()
            .map(|worker| {
                let writer = writers.next();
                scope.spawn(move || worker.run(generator, writer))
            })
            .collect();
        let conducted = conduct(&board, crowd, on_phase);
        board.end();
        let found: Vec<Findings> = spawned.into_iter().map(join).collect();
        conducted.map(|start_ns| (found, start_ns))
    })?;
    let mut outcome = CrowdOutcome {
        accepted: 0,
        refused: 0,
        dropped: 0,
        duration_ns: 0,
        handshake: LatencyHistogram::new(),
        threads_cpu_ns: Vec::new(),
    };
    for findings in found {
        outcome.handshake.merge(&findings.handshake);
        outcome.refused += findings.refused;
        outcome.dropped += findings.dropped;
        let own_ns = findings.last_ready_ns.saturating_sub(start_ns);
        outcome.duration_ns = outcome.duration_ns.max(own_ns);
        outcome.threads_cpu_ns.push(findings.cpu_ns);
    }
    outcome.accepted = outcome.handshake.count();
    Ok(outcome)
}

fn crew(
    driver: &dyn Driver,
    crowd: &CrowdRun,
    thread: usize,
    threads: usize,
    clock: crate::clock::Clock,
) -> Crew {
    let own = (0..crowd.connections).filter(|client| *client as usize % threads == thread);
    let share = Share::interleaved(thread as u32, threads as u32, crowd.connections).ok();
    let model = crowd
        .rate_per_s
        .map(|rate_per_s| LoadModel::Open { rate_per_s, arrivals: Arrivals::Constant });
    let payloads = Arc::new(Payloads::fixed(MESSAGE_BYTES_MIN));
    Crew {
        thread,
        address: driver.address(),
        // Each thread spreads its own connections over source addresses.
        first_number: thread as u32 * crowd.connections.div_ceil(threads as u32),
        first: Vec::new(),
        others: own.map(|client| Role::Idler(driver.idler(client))).collect(),
        dialling: model.zip(share).map(|(model, share)| ThreadSchedule::new(model, share, 0)),
        publishing: Publishing::new(no_publishing()),
        recorder: Recorder::new(clock, payloads, 0, 1),
        interval_ns: u64::MAX,
        spin_ns: 0,
    }
}

/// Leads everyone through the stages; when connecting began.
fn conduct(
    board: &Board,
    crowd: &CrowdRun,
    on_phase: &mut dyn FnMut(Phase),
) -> Result<u64, LoadError> {
    let connecting = Patience { total_ns: u64::MAX, idle_ns: crowd.connect_ms_max * NS_PER_MS };
    // Of those at rest, rest is what is measured; of all others, that they are let in.
    let is_held = crowd.hold_ns > 0;
    on_phase(if is_held { Phase::WarmUp } else { Phase::Measured });
    let start_ns = board.clock.now_ns();
    if board.conduct(Stage::ConnectOthers, connecting)? == Ended::TimedOut {
        let expected = "a connection to be let in";
        return Err(LoadError::TimedOut { expected, waited_ms: crowd.connect_ms_max });
    }
    if is_held {
        on_phase(Phase::Measured);
        board.conduct(Stage::Hold, Patience { total_ns: crowd.hold_ns, idle_ns: u64::MAX })?;
    }
    on_phase(Phase::Over);
    Ok(start_ns)
}
