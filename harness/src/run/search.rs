//! The search for the highest rate at which a stream of one broker meets its objectives.

use super::pass::Passed;
use super::up::Up;
use super::{BrokerError, Run};
use crate::config::FindMax;
use crate::engine::{StreamOutcome, StreamRun};
use crate::find_max::{self, Answer, Attempt, Phase, Step, Terms};
use crate::live::{CellEnd, CellStanding};
use crate::plan::{BrokerPlan, StreamCell, load_model};
use crate::record::{Knee, StreamRound, stream_meets};
use crate::schedule::LoadModel;
use measure::{KneeAttempt, KneePhase, Verdict};

impl Run<'_> {
    /// In a broker's first round the rate is searched for, and what was measured at it is the
    /// stream's first figures; in later rounds the stream runs at that rate again.
    pub(super) fn search(
        &mut self,
        plan: &BrokerPlan<'_>,
        up: &mut Up,
        index: usize,
        cell: &StreamCell,
        search: &FindMax,
    ) -> Result<(), BrokerError> {
        self.begin(plan, &cell.label(), cell.estimated_ms());
        let found = self.subjects[plan.index].measured.knee(index).map(Knee::rate_per_s);
        match found {
            None => self.first_search(plan, up, index, cell, search),
            Some(Some(rate_per_s)) => {
                let round = self.attempt(plan, up, cell, search, rate_per_s, 0)?;
                self.end_cell(&round.verdict);
                self.subjects[plan.index].measured.add_stream(index, round);
                Ok(())
            }
            Some(None) => {
                self.end_cell(&Verdict::default());
                Ok(())
            }
        }
    }

    fn first_search(
        &mut self,
        plan: &BrokerPlan<'_>,
        up: &mut Up,
        index: usize,
        cell: &StreamCell,
        search: &FindMax,
    ) -> Result<(), BrokerError> {
        let ceiling_per_s = self.ceiling_rate(up, cell, search)?;
        let terms = terms(search, ceiling_per_s);
        let mut machine = find_max::FindMax::new(terms).map_err(BrokerError::Search)?;
        let (mut attempts, mut rounds) = (Vec::new(), Vec::new());
        let answer = loop {
            let (rate_per_s, phase) = match machine.next() {
                Step::Measure { rate_per_s, phase } => (rate_per_s, phase),
                Step::Done(answer) => break answer,
            };
            let number = machine.attempts() + 1;
            let round = self.attempt(plan, up, cell, search, rate_per_s, number)?;
            let met = stream_meets(&round, cell, &plan.broker.name, &search.objective);
            machine.handle_result(Attempt { met, standing: round.verdict.standing });
            self.say_attempt(rate_per_s, met, &round);
            attempts.push(attempt_record(rate_per_s, phase, met, &round.outcome, &round.verdict));
            rounds.push(round);
        };
        self.keep(plan, index, search, &answer, attempts, rounds);
        Ok(())
    }

    /// What the generator can offer this stream at most, over all publishers.
    fn ceiling_rate(
        &mut self,
        up: &Up,
        cell: &StreamCell,
        search: &FindMax,
    ) -> Result<f64, BrokerError> {
        let run = self.stream_run(cell, None)?;
        let ceiling = self.ceiling(up, &run, cell)?;
        let subscribers = f64::from(run.subscribers.max(1));
        let ceiling = ceiling.map_or(f64::INFINITY, |ceiling| {
            ceiling.deliveries_per_s(run.publishers, run.subscribers, self.threads) / subscribers
        });
        Ok(search.to_per_s.min(ceiling).max(search.from_per_s))
    }

    /// One measurement at a rate, over topics of its own.
    fn attempt(
        &mut self,
        plan: &BrokerPlan<'_>,
        up: &mut Up,
        cell: &StreamCell,
        search: &FindMax,
        rate_per_s: f64,
        number: u32,
    ) -> Result<StreamRound, BrokerError> {
        let load = search.load_at(rate_per_s);
        let model: Option<LoadModel> = load_model(&load, 0);
        let mut run: StreamRun = self.stream_run(cell, model)?;
        run.terms.root = format!("{}-{number}", run.terms.root);
        let label = format!("{}, {rate_per_s:.0}/s", cell.label());
        let passed: Passed<StreamOutcome> = self.measure_stream(plan, up, &label, &run)?;
        let round = super::cells::stream_round(plan.broker, cell, passed, None, run.model.as_ref());
        Ok(StreamRound { rate_per_s: Some(rate_per_s), ..round })
    }

    fn say_attempt(&mut self, rate_per_s: f64, met: bool, round: &StreamRound) {
        let verdict = &round.verdict.standing;
        let outcome = if met { "met" } else { "missed" };
        self.live.say(format!("  {rate_per_s:.0}/s: {outcome}, {verdict}"));
    }

    /// Keeps the answer, and as the stream's figures all measurements at its rate.
    fn keep(
        &mut self,
        plan: &BrokerPlan<'_>,
        index: usize,
        search: &FindMax,
        answer: &Answer,
        attempts: Vec<KneeAttempt>,
        rounds: Vec<StreamRound>,
    ) {
        let (standing, reason) = match answer.rate_per_s() {
            Some(_) => (CellStanding::Valid, String::new()),
            None => (CellStanding::Suspect, answer.to_string()),
        };
        self.live.say(format!("  {answer}"));
        self.live.end(CellEnd { standing, reason });
        let measured = &mut self.subjects[plan.index].measured;
        let rate_per_s = answer.rate_per_s();
        for round in rounds.into_iter().filter(|round| round.rate_per_s == rate_per_s) {
            measured.add_stream(index, round);
        }
        measured.set_knee(
            index,
            Knee {
                objective: search.objectives_in_words(),
                attempts,
                rate_per_s,
                confirmed: answer.interval_per_s(),
                answer: answer.to_string(),
            },
        );
    }
}

fn terms(search: &FindMax, ceiling_per_s: f64) -> Terms {
    Terms {
        tolerance: search.tolerance_percent / 100.0,
        confirmations: search.confirm,
        ..Terms::new(search.from_per_s, ceiling_per_s)
    }
}

fn attempt_record(
    rate_per_s: f64,
    phase: Phase,
    met: bool,
    outcome: &StreamOutcome,
    verdict: &Verdict,
) -> KneeAttempt {
    KneeAttempt {
        rate_per_s,
        met,
        response_p99_ns: outcome.response.percentile_ns(99.0),
        delivered_per_s: measure::rate_per_s(outcome.received, outcome.duration_ns),
        standing: verdict.standing,
        phase: match phase {
            Phase::Climb => KneePhase::Climb,
            Phase::Bisect => KneePhase::Bisect,
            Phase::Confirm => KneePhase::Confirm,
        },
    }
}
