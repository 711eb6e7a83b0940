//! How far a run is, as whoever shows it needs to know it. No terminal, no clock.

use super::figures::{LiveFigures, LiveSnapshot};
use measure::{Standing, Verdict};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// Rates that are remembered, one for each look.
const RATES_MAX: usize = 240;

/// What a run will be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LivePlan {
    /// The configuration's name.
    pub title: String,
    /// Measurements in all rounds.
    pub cells: u64,
    /// About how long they take, in milliseconds.
    pub estimated_ms: u64,
}

/// A measurement that begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveCell {
    /// Of which broker.
    pub broker: String,
    /// Which.
    pub label: String,
    /// About how long it takes, in milliseconds; 0: unknown.
    pub estimated_ms: u64,
}

/// What a measurement is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LivePhase {
    /// The broker is started.
    Starting,
    /// Connections are made.
    Connecting,
    /// Load is applied, and not measured.
    WarmUp,
    /// Load is applied, and measured.
    Measured,
    /// What is still under way is waited for.
    Draining,
}

impl fmt::Display for LivePhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Starting => "starting",
            Self::Connecting => "connecting",
            Self::WarmUp => "warm-up",
            Self::Measured => "measured",
            Self::Draining => "draining",
        })
    }
}

/// How a measurement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellStanding {
    /// Nothing speaks against it.
    Valid,
    /// Something may have distorted it.
    Suspect,
    /// It says something about the measurement and not about the broker.
    Invalid,
    /// The broker did not keep up with the offered rate.
    Unsustainable,
    /// It came to no end.
    Failed,
}

impl CellStanding {
    /// One character for it.
    pub(super) fn sign(self) -> char {
        match self {
            Self::Valid => '✓',
            Self::Suspect => '?',
            Self::Invalid => '✗',
            Self::Unsustainable => '↓',
            Self::Failed => '!',
        }
    }
}

impl fmt::Display for CellStanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Valid => "valid",
            Self::Suspect => "suspect",
            Self::Invalid => "invalid",
            Self::Unsustainable => "unsustainable",
            Self::Failed => "failed",
        })
    }
}

/// The end of a measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellEnd {
    /// How.
    pub standing: CellStanding,
    /// Why not better, in a sentence; empty of a valid one.
    pub reason: String,
}

impl From<&Verdict> for CellEnd {
    fn from(verdict: &Verdict) -> Self {
        let standing = match verdict.standing {
            Standing::Valid => CellStanding::Valid,
            Standing::Suspect => CellStanding::Suspect,
            Standing::Unsustainable => CellStanding::Unsustainable,
            Standing::Invalid => CellStanding::Invalid,
        };
        Self { standing, reason: verdict.reasons.join("; ") }
    }
}

/// A measurement that was begun.
#[derive(Clone, Debug)]
pub(super) struct ShownCell {
    pub(super) cell: LiveCell,
    pub(super) end: Option<CellEnd>,
    /// What it came to, as far as it was seen.
    pub(super) delivered_per_s: u64,
    pub(super) p99_ns: Option<u64>,
}

/// Rates between the last two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) sent_per_s: u64,
    pub(super) delivered_per_s: u64,
    pub(super) acknowledged_per_s: u64,
    /// Processors that the broker kept busy, e.g. 1.5.
    pub(super) broker_cores: f64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) plan: LivePlan,
    pub(super) cells: Vec<ShownCell>,
    /// Measurements that were passed over.
    passed_over: u64,
    /// What the measurements that were begun were estimated to take.
    begun_ms: u64,
    pub(super) phase: Option<LivePhase>,
    phase_begin_ns: u64,
    phase_expected_ms: u64,
    cell_begin_ns: u64,
    figures: Option<Arc<LiveFigures>>,
    pub(super) snapshot: LiveSnapshot,
    looked_ns: u64,
    pub(super) rates: Rates,
    /// Deliveries per second at each look, the latest last.
    pub(super) delivered_per_s: VecDeque<u64>,
}

impl State {
    pub(super) fn new(plan: LivePlan) -> Self {
        Self { plan, ..Self::default() }
    }

    pub(super) fn begin(&mut self, now_ns: u64, cell: LiveCell) {
        self.begun_ms += cell.estimated_ms;
        self.cell_begin_ns = now_ns;
        self.cells.push(ShownCell { cell, end: None, delivered_per_s: 0, p99_ns: None });
        self.figures = None;
        self.snapshot = LiveSnapshot::default();
        self.rates = Rates::default();
        self.delivered_per_s.clear();
        self.enter(now_ns, LivePhase::Starting, 0);
    }

    pub(super) fn enter(&mut self, now_ns: u64, phase: LivePhase, expected_ms: u64) {
        self.phase = Some(phase);
        self.phase_begin_ns = now_ns;
        self.phase_expected_ms = expected_ms;
    }

    /// From now on these are the measurement's figures.
    pub(super) fn follow(&mut self, now_ns: u64, figures: Arc<LiveFigures>) {
        self.snapshot = figures.snapshot();
        self.looked_ns = now_ns;
        self.figures = Some(figures);
    }

    pub(super) fn end(&mut self, now_ns: u64, end: CellEnd) {
        self.look(now_ns);
        self.phase = None;
        if let Some(cell) = self.cells.last_mut() {
            cell.end = Some(end);
        }
    }

    pub(super) fn pass_over(&mut self, cells: u64, estimated_ms: u64) {
        self.passed_over += cells;
        self.begun_ms += estimated_ms;
    }

    /// Looks at the figures, and works out rates since the last look.
    pub(super) fn look(&mut self, now_ns: u64) {
        let Some(figures) = &self.figures else { return };
        let snapshot = figures.snapshot();
        let elapsed_ns = now_ns.saturating_sub(self.looked_ns);
        if elapsed_ns == 0 {
            return;
        }
        let per_s = |now: u64, before: u64| {
            (now.saturating_sub(before) as f64 * 1e9 / elapsed_ns as f64) as u64
        };
        let (now, before) = (snapshot.counts, self.snapshot.counts);
        let cpu_ns = snapshot.broker_cpu_ns.saturating_sub(self.snapshot.broker_cpu_ns);
        self.rates = Rates {
            sent_per_s: per_s(now.sent, before.sent),
            delivered_per_s: per_s(now.delivered, before.delivered),
            acknowledged_per_s: per_s(now.acknowledged, before.acknowledged),
            broker_cores: cpu_ns as f64 / elapsed_ns as f64,
        };
        if self.phase == Some(LivePhase::Measured) {
            self.delivered_per_s.push_back(self.rates.delivered_per_s);
            if self.delivered_per_s.len() > RATES_MAX {
                self.delivered_per_s.pop_front();
            }
        }
        if let Some(cell) = self.cells.last_mut() {
            let looks = self.delivered_per_s.len().max(1) as u64;
            cell.delivered_per_s = self.delivered_per_s.iter().sum::<u64>() / looks;
            cell.p99_ns = snapshot.p99_ns;
        }
        self.looked_ns = now_ns;
        self.snapshot = snapshot;
    }

    pub(super) fn current(&self) -> Option<&ShownCell> {
        self.cells.last()
    }

    /// The current measurement's place among all.
    pub(super) fn step(&self) -> u64 {
        self.cells.len() as u64 + self.passed_over
    }

    /// How much of the phase is over, from 0 to 1, where it is known how long it takes.
    pub(super) fn phase_part(&self, now_ns: u64) -> Option<f64> {
        let expected_ns = self.phase_expected_ms.checked_mul(1_000_000).filter(|ns| *ns > 0)?;
        let elapsed_ns = now_ns.saturating_sub(self.phase_begin_ns);
        Some((elapsed_ns as f64 / expected_ns as f64).min(1.0))
    }

    /// About how long the run goes on, in milliseconds.
    pub(super) fn left_ms(&self, now_ns: u64) -> u64 {
        let later_ms = self.plan.estimated_ms.saturating_sub(self.begun_ms);
        let current_ms = match self.current() {
            Some(ShownCell { cell, end: None, .. }) => {
                let elapsed_ms = now_ns.saturating_sub(self.cell_begin_ns) / 1_000_000;
                cell.estimated_ms.saturating_sub(elapsed_ms)
            }
            _ => 0,
        };
        later_ms + current_ms
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::live::figures::LiveCounts;

    pub(in crate::live) const S: u64 = 1_000_000_000;

    /// A run of two measurements, the first over, the second half through.
    pub(in crate::live) fn half_through() -> State {
        let plan = LivePlan { title: "demo".to_owned(), cells: 4, estimated_ms: 40_000 };
        let mut state = State::new(plan);
        let cell = |label: &str| LiveCell {
            broker: "tandem-mio".to_owned(),
            label: label.to_owned(),
            estimated_ms: 10_000,
        };
        state.begin(0, cell("stream 1→1, 100 B, saturating"));
        let reason = "the generator was the bottleneck".to_owned();
        state.end(10 * S, CellEnd { standing: CellStanding::Suspect, reason });
        state.begin(10 * S, cell("stream 1→50, 100 B, 10000 msgs/s"));
        let figures = LiveFigures::new(1);
        let mut writer = figures.writers().remove(0);
        state.follow(11 * S, Arc::clone(&figures));
        state.enter(11 * S, LivePhase::Measured, 8_000);
        for second in 1..=4 {
            let sent = 10_000 * second;
            let counts =
                LiveCounts { sent, delivered: 50 * sent, acknowledged: 0, errors: second / 4 };
            writer.write(0, counts, |latencies| {
                latencies.record_ns_n(80_000, 98_000);
                latencies.record_ns_n(2_000_000, 2_000);
            });
            figures.set_broker(second * S / 2 * 3, 84 << 20);
            state.look((11 + second) * S);
        }
        state
    }

    #[test]
    fn rates_are_those_since_the_last_look() {
        let state = half_through();
        assert_eq!((state.rates.sent_per_s, state.rates.delivered_per_s), (10_000, 500_000));
        assert!((state.rates.broker_cores - 1.5).abs() < 1e-9);
        assert_eq!(state.delivered_per_s, [500_000; 4]);
        assert_eq!(state.cells[1].delivered_per_s, 500_000);
        assert_eq!(state.phase_part(15 * S), Some(0.5));
    }

    #[test]
    fn what_is_left_counts_down_and_leaves_out_what_is_passed_over() {
        let mut state = half_through();
        assert_eq!((state.step(), state.left_ms(15 * S)), (2, 25_000));
        // Whatever takes longer than it was thought to is not less than nothing.
        assert_eq!(state.left_ms(99 * S), 20_000);
        state.pass_over(1, 10_000);
        assert_eq!((state.step(), state.left_ms(15 * S)), (3, 15_000));
    }
}
