//! Backlogs and restarts of one broker.

use super::up::{Target, Up};
use super::{BrokerError, Run};
use crate::engine::{
    BacklogRun, Built, Drained, LoadError, Surroundings, build_backlog, drain_backlog, end_backlog,
};
use crate::plan::{BacklogCell, BrokerPlan, PileCell, RestartCell};
use crate::record::{BacklogRound, PassRound, RestartRound};
use measure::PageCache;
use measure::Verdict;

impl Run<'_> {
    /// Builds a backlog, and reads it as often as asked.
    pub(super) fn backlog(
        &mut self,
        plan: &BrokerPlan<'_>,
        up: &mut Up,
        index: usize,
        cell: &BacklogCell,
    ) -> Result<(), BrokerError> {
        let (label, run) = (cell.label(), self.backlog_run(index, &cell.pile));
        self.begin(plan, &label, cell.estimated_ms());
        let before = up.memory_mark();
        let building = format!("{label}, build");
        let built =
            self.pass(up, &building, |target, surroundings| build(target, &run, surroundings))?;
        let built = built.outcome;
        let build = PassRound {
            messages: built.messages,
            duration_ns: built.duration_ns,
            resident_bytes_max: up.resident_bytes_max(before),
        };
        let mut drains = Vec::with_capacity(cell.drains.len());
        for (reader, &cache) in (0..).zip(&cell.drains) {
            if cache == PageCache::Cold {
                up.evict_page_cache()?;
            }
            let mark = up.memory_mark();
            let draining = format!("{label}, {cache} drain");
            let drained = self.pass(up, &draining, |target, surroundings| {
                drain(target, &run, reader, surroundings)
            })?;
            let drained = drained.outcome;
            let pass = PassRound {
                messages: drained.messages,
                duration_ns: drained.duration_ns,
                resident_bytes_max: up.resident_bytes_max(mark),
            };
            drains.push((pass, drained.faults));
        }
        self.end(up, &label, &run)?;
        let round = BacklogRound { resident_bytes_before: before.resident_bytes, build, drains };
        self.end_cell(&Verdict::default());
        self.subjects[plan.index].measured.add_backlog(index, round);
        Ok(())
    }

    /// Builds a backlog, restarts the broker, and reads what is left.
    pub(super) fn restart(
        &mut self,
        plan: &BrokerPlan<'_>,
        up: &mut Up,
        index: usize,
        cell: &RestartCell,
    ) -> Result<(), BrokerError> {
        let (label, run) = (cell.label(), self.backlog_run(index, &cell.pile));
        self.begin(plan, &label, cell.estimated_ms());
        let building = format!("{label}, build");
        self.pass(up, &building, |target, surroundings| build(target, &run, surroundings))?;
        let times = self.start_again(plan, up, cell.stop)?;
        let draining = format!("{label}, drain");
        let drained =
            self.pass(up, &draining, |target, surroundings| drain(target, &run, 0, surroundings))?;
        let drained = drained.outcome;
        self.end(up, &label, &run)?;
        let round = RestartRound {
            stop_ns: times.stop_ns,
            ready_ns: times.ready_ns,
            stored_bytes: times.stored_bytes,
            resident_bytes: times.resident_bytes,
            faults: drained.faults,
        };
        self.end_cell(&Verdict::default());
        self.subjects[plan.index].measured.add_restart(index, &round);
        Ok(())
    }

    fn end(&mut self, up: &mut Up, label: &str, run: &BacklogRun) -> Result<(), BrokerError> {
        let ended = match &mut up.target {
            Target::Wire(driver) => end_backlog(driver.as_ref(), run),
            Target::Disk(disk) => disk.end_backlog(run),
        };
        ended.map_err(|source| BrokerError::Load { label: label.to_owned(), source })
    }

    fn backlog_run(&self, index: usize, pile: &PileCell) -> BacklogRun {
        BacklogRun {
            topic: format!("backlog-{index}"),
            messages: pile.messages,
            payload_bytes: pile.payload_bytes,
            publishers: pile.publishers,
            batch: pile.batch,
            acks: pile.acks,
            run_id: self.run_id,
        }
    }
}

fn build(
    target: &mut Target,
    run: &BacklogRun,
    surroundings: Surroundings<'_>,
) -> Result<Built, LoadError> {
    match target {
        Target::Wire(driver) => build_backlog(driver.as_ref(), run, surroundings),
        Target::Disk(disk) => disk.build_backlog(run, surroundings),
    }
}

fn drain(
    target: &mut Target,
    run: &BacklogRun,
    reader: u32,
    surroundings: Surroundings<'_>,
) -> Result<Drained, LoadError> {
    match target {
        Target::Wire(driver) => drain_backlog(driver.as_ref(), run, reader, surroundings),
        Target::Disk(disk) => disk.drain_backlog(run, surroundings),
    }
}
