//! Objectives of the configuration, held against what was measured.

use super::figures::{IdleFigures, OperationFigures, OutageFigures, StormFigures, StreamFigures};
use crate::config::Config;
use crate::exit::operation_label;
use crate::objectives::{Figures, Objective, Outcome};
use measure::{BrokerRun, HistogramSet, ObjectiveOutcome, ObjectiveStanding};

/// What became of every objective, in the order of brokers and their measurements.
///
/// An objective that is about nothing that was measured is there all the same, as not measured:
/// what could not be told must not pass.
#[must_use]
pub fn evaluate(
    config: &Config,
    brokers: &[BrokerRun],
    histograms: &HistogramSet,
) -> Vec<ObjectiveOutcome> {
    let mut outcomes = Vec::new();
    for broker in brokers {
        for_each_cell(config, broker, histograms, |cell, figures| {
            let own = config.streams.iter().filter(|stream| stream.label() == cell);
            let own = own.flat_map(|stream| stream.objectives.iter().copied());
            let named = config.objectives.iter().filter(|it| it.is_about(&broker.name, cell));
            for objective in own.chain(named.map(|named| named.assert)) {
                outcomes.push(outcome(&broker.name, cell, objective, figures));
            }
        });
    }
    outcomes.extend(not_measured(config, &outcomes));
    outcomes
}

fn for_each_cell(
    config: &Config,
    broker: &BrokerRun,
    histograms: &HistogramSet,
    mut look: impl FnMut(&str, &dyn Figures),
) {
    for result in &broker.operations {
        look(
            &operation_label(result.operation.as_str(), result.clients),
            &OperationFigures { result, histograms },
        );
    }
    for result in &broker.streams {
        look(&result.label, &StreamFigures { result, histograms });
    }
    for result in &broker.storms {
        look(&storm_label(config, result), &StormFigures { result, histograms });
    }
    for result in &broker.idles {
        let cell = config
            .idles
            .iter()
            .find(|cell| cell.connections == result.connections && cell.hold_ms == result.held_ms);
        look(&cell.map(|cell| cell.label()).unwrap_or_default(), &IdleFigures(result));
    }
    for (result, cell) in broker.outages.iter().zip(&config.outages) {
        look(&cell.label(), &OutageFigures(result));
    }
}

fn storm_label(config: &Config, result: &measure::StormResult) -> String {
    let cell = config.storms.iter().find(|cell| {
        cell.connections == result.connections && cell.rate_per_s == result.offered_per_s
    });
    cell.map(|cell| cell.label()).unwrap_or_default()
}

fn outcome(
    broker: &str,
    cell: &str,
    objective: Objective,
    figures: &dyn Figures,
) -> ObjectiveOutcome {
    let outcome = objective.evaluate(figures);
    let standing = match outcome {
        Outcome::Met { .. } => ObjectiveStanding::Met,
        Outcome::Missed { .. } => ObjectiveStanding::Missed,
        Outcome::NotMeasured { .. } => ObjectiveStanding::NotMeasured,
    };
    ObjectiveOutcome {
        broker: broker.to_owned(),
        cell: cell.to_owned(),
        assertion: objective.to_string(),
        observed: outcome.observed(),
        found: match outcome {
            Outcome::Met { observed } | Outcome::Missed { observed } => objective.written(observed),
            Outcome::NotMeasured { reason } => reason,
        },
        standing,
    }
}

/// Objectives of the configuration that nothing was found for.
fn not_measured(config: &Config, found: &[ObjectiveOutcome]) -> Vec<ObjectiveOutcome> {
    let unmet = |broker: &str, cell: &str, objective: Objective| ObjectiveOutcome {
        broker: broker.to_owned(),
        cell: cell.to_owned(),
        assertion: objective.to_string(),
        observed: None,
        found: "nothing of that name was measured".to_owned(),
        standing: ObjectiveStanding::NotMeasured,
    };
    let streams = config.streams.iter().filter(|stream| {
        let label = stream.label();
        !found.iter().any(|outcome| outcome.cell == label)
    });
    let streams = streams.flat_map(|stream| {
        stream.objectives.iter().map(move |&objective| unmet("*", &stream.label(), objective))
    });
    let named = config.objectives.iter().filter(|named| {
        !found.iter().any(|outcome| named.is_about(&outcome.broker, &outcome.cell))
    });
    let named = named.map(|named| unmet(&named.broker, &named.cell, named.assert));
    streams.chain(named).collect()
}
