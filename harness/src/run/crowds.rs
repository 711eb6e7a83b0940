//! Crowds of connections to one broker: how long they take to be let in, and what they cost at rest.

use super::pass::Passed;
use super::up::{Target, Up};
use super::{BrokerError, NS_PER_MS, Run};
use crate::config::{IdleConfig, StormConfig};
use crate::engine::{CrowdOutcome, CrowdRun, LoadError, run_crowd};
use crate::plan::BrokerPlan;
use crate::record::{IdleRound, StormRound};
use measure::Verdict;

impl Run<'_> {
    /// A crowd that connects.
    pub(super) fn storm(
        &mut self,
        plan: &BrokerPlan<'_>,
        up: &mut Up,
        index: usize,
        cell: &StormConfig,
    ) -> Result<(), BrokerError> {
        let label = cell.label();
        self.begin(plan, &label, 0);
        let crowd = CrowdRun {
            connections: cell.connections,
            rate_per_s: cell.rate_per_s,
            hold_ns: 0,
            connect_ms_max: self.config.phases.connect_ms_max,
        };
        let Passed { outcome, times, resources, .. } = self.crowd(up, &label, &crowd)?;
        let round = StormRound { outcome, times, resources };
        self.end_cell(&Verdict::default());
        self.subjects[plan.index].measured.add_storm(index, round);
        Ok(())
    }

    /// A crowd at rest.
    pub(super) fn idle(
        &mut self,
        plan: &BrokerPlan<'_>,
        up: &mut Up,
        index: usize,
        cell: &IdleConfig,
    ) -> Result<(), BrokerError> {
        let label = cell.label();
        self.begin(plan, &label, 0);
        let crowd = CrowdRun {
            connections: cell.connections,
            rate_per_s: None,
            hold_ns: cell.hold_ms * NS_PER_MS,
            connect_ms_max: self.config.phases.connect_ms_max,
        };
        let before = up.memory_mark().resident_bytes;
        let passed = self.crowd(up, &label, &crowd)?;
        // The last sample of the phase in which they were all at rest.
        let held = passed.resources.map(|used| used.resident_bytes_max);
        let round = IdleRound {
            accepted: passed.outcome.accepted,
            dropped: passed.outcome.refused + passed.outcome.dropped,
            resident_bytes_before: before.unwrap_or(0),
            resident_bytes_held: held.unwrap_or(0),
        };
        self.end_cell(&Verdict::default());
        self.subjects[plan.index].measured.add_idle(index, round);
        Ok(())
    }

    fn crowd(
        &mut self,
        up: &mut Up,
        label: &str,
        crowd: &CrowdRun,
    ) -> Result<Passed<CrowdOutcome>, BrokerError> {
        self.pass(up, label, |target, surroundings| match target {
            Target::Wire(driver) => run_crowd(driver.as_ref(), crowd, surroundings),
            Target::Disk(_) => Err(LoadError::Interrupted),
        })
    }
}
