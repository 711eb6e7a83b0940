//! A run as Markdown, for the summary of a job or a comment on a change.

use crate::exit::{Exit, Findings, operation_label};
use crate::table::{percentiles, rate_and_ratio};
use measure::{
    BrokerRun, GuaranteeClass, ObjectiveOutcome, ObjectiveStanding, RunRecord, Standing, Verdict,
};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What stands where nothing was measured.
const NOT_MEASURED: &str = "–";

/// What a run found, in Markdown with tables as GitHub has them.
#[must_use]
pub fn markdown(findings: &Findings<'_>) -> String {
    let record = findings.record;
    let exit = Exit::of(findings);
    let sign = if exit == Exit::Good { "✅" } else { "❌" };
    let mut text = format!("## {sign} {}: {}\n", escaped(&record.config_name), exit.words());
    let machine = &record.machine;
    let _ = writeln!(
        text,
        "\n`{}` on {}, {} cores, {}",
        record.run_id,
        escaped(&machine.cpu_model),
        machine.logical_cores,
        escaped(&machine.os)
    );
    list(&mut text, "Delivery breaches", findings.breaches);
    list(&mut text, "Failures", findings.failures);
    list(&mut text, "Regressions", findings.regressions);
    objectives(&mut text, &record.objectives);
    // Brokers that promise different things are not in one table.
    let classes: BTreeSet<GuaranteeClass> =
        record.brokers.iter().map(|broker| broker.guarantee).collect();
    for class in classes {
        let brokers: Vec<_> =
            record.brokers.iter().filter(|broker| broker.guarantee == class).collect();
        let _ = writeln!(text, "\n### Guarantee: {class}");
        streams(&mut text, &brokers);
        operations(&mut text, &brokers);
        knees(&mut text, &brokers);
    }
    let reasons: Vec<_> = findings.verdicts().filter(|it| !it.verdict.reasons.is_empty()).collect();
    let reasons = reasons.iter().map(|it| {
        let (standing, reasons) = (it.verdict.standing, it.verdict.reasons.join("; "));
        format!("{}: {}: {standing}: {reasons}", it.broker, it.label)
    });
    list(&mut text, "Verdicts", &reasons.collect::<Vec<_>>());
    list(&mut text, "Not run", &skipped(record));
    list(&mut text, "Warnings", &record.warnings);
    text
}

fn skipped(record: &RunRecord) -> Vec<String> {
    let skipped = record.skipped.iter();
    skipped.map(|skipped| format!("{}: {}", skipped.name, skipped.reason)).collect()
}

fn list(text: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n### {title}\n");
    for line in lines {
        let _ = writeln!(text, "- {}", escaped(line));
    }
}

/// A table, or nothing where it has no rows.
fn table(text: &mut String, heads: &[&str], rows: &[Vec<String>]) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n| {} |", heads.join(" | "));
    // What follows the names is figures.
    let rules = heads.iter().enumerate().map(|(column, _)| if column < 2 { "---" } else { "---:" });
    let _ = writeln!(text, "| {} |", rules.collect::<Vec<_>>().join(" | "));
    for row in rows {
        let cells: Vec<_> = row.iter().map(|cell| escaped(cell)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
}

fn objectives(text: &mut String, objectives: &[ObjectiveOutcome]) {
    if objectives.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n### Objectives");
    let rows = objectives.iter().map(|objective| {
        let sign = match objective.standing {
            ObjectiveStanding::Met => "✅",
            ObjectiveStanding::Missed | ObjectiveStanding::NotMeasured => "❌",
        };
        vec![
            objective.broker.clone(),
            objective.cell.clone(),
            objective.assertion.clone(),
            objective.found.clone(),
            format!("{sign} {}", objective.standing),
        ]
    });
    let heads = ["broker", "measurement", "objective", "observed", ""];
    table(text, &heads, &rows.collect::<Vec<_>>());
}

fn streams(text: &mut String, brokers: &[&BrokerRun]) {
    // Side by side is what is to be compared: the same stream of all brokers.
    let mut labels: Vec<&str> = Vec::new();
    for stream in brokers.iter().flat_map(|broker| &broker.streams) {
        if !labels.contains(&stream.label.as_str()) {
            labels.push(&stream.label);
        }
    }
    let rows = labels.into_iter().flat_map(|label| {
        let of_all = brokers
            .iter()
            .flat_map(|broker| broker.streams.iter().map(move |stream| (broker, stream)));
        of_all.filter(move |(_, stream)| stream.label == label).map(|(broker, stream)| {
            let rate = match &stream.acknowledged {
                Some(acknowledged) if stream.shape.subscribers == 0 => {
                    rate_and_ratio(acknowledged.per_s, acknowledged.ratio_to_disk)
                }
                _ => rate_and_ratio(stream.delivered_per_s, stream.ratio_to_ceiling),
            };
            vec![
                stream.label.clone(),
                broker.name.clone(),
                rate,
                percentiles(stream.headline().map(|latency| &latency.summary)),
                faults(&[
                    (stream.lost, "lost"),
                    (stream.duplicated, "duplicated"),
                    (stream.reordered, "reordered"),
                    (stream.corrupted, "corrupted"),
                    (stream.late, "late"),
                ]),
                standing(&stream.verdict),
            ]
        })
    });
    let heads = ["stream", "broker", "messages", "p50 / p99", "faults", "verdict"];
    table(text, &heads, &rows.collect::<Vec<_>>());
}

fn operations(text: &mut String, brokers: &[&BrokerRun]) {
    let mut labels: Vec<String> = Vec::new();
    let all =
        || brokers.iter().flat_map(|broker| broker.operations.iter().map(move |it| (broker, it)));
    for (_, result) in all() {
        let label = operation_label(result.operation.as_str(), result.clients);
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    let mut rows = Vec::new();
    for label in labels {
        for (broker, result) in all() {
            if operation_label(result.operation.as_str(), result.clients) == label {
                rows.push(vec![
                    label.clone(),
                    broker.name.clone(),
                    rate_and_ratio(result.throughput_per_s, None),
                    percentiles(Some(&result.latency)),
                    faults(&[(result.errors, "errors")]),
                    standing(&result.verdict),
                ]);
            }
        }
    }
    let heads = ["operation", "broker", "requests", "p50 / p99", "errors", "verdict"];
    table(text, &heads, &rows);
}

fn knees(text: &mut String, brokers: &[&BrokerRun]) {
    let knees = brokers.iter().flat_map(|broker| broker.knees.iter().map(move |it| (broker, it)));
    let rows = knees.map(|(broker, knee)| {
        let found = |rate: Option<f64>| {
            rate.map_or_else(|| NOT_MEASURED.to_owned(), |rate| rate_and_ratio(rate, None))
        };
        let confirmed = knee.confirmed.map(|[met, missed]| {
            format!("{} to {}", rate_and_ratio(met, None), rate_and_ratio(missed, None))
        });
        vec![
            knee.label.clone(),
            broker.name.clone(),
            knee.objective.clone(),
            found(knee.rate_per_s),
            confirmed.unwrap_or_else(|| NOT_MEASURED.to_owned()),
        ]
    });
    let heads = ["stream", "broker", "objective", "highest rate", "confirmed between"];
    table(text, &heads, &rows.collect::<Vec<_>>());
}

fn faults(counts: &[(u64, &str)]) -> String {
    let some = counts.iter().filter(|(count, _)| *count > 0);
    let named: Vec<_> = some.map(|(count, name)| format!("{count} {name}")).collect();
    match named.is_empty() {
        true => "0".to_owned(),
        false => named.join(", "),
    }
}

fn standing(verdict: &Verdict) -> String {
    let sign = match verdict.standing {
        Standing::Valid => "",
        Standing::Suspect | Standing::Unsustainable => "⚠️ ",
        Standing::Invalid => "❌ ",
    };
    format!("{sign}{}", verdict.standing)
}

/// Text as it is, within a cell as well: bars would end it, and markup would be taken for such.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => escaped.push(' '),
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::tests::{bad, good};

    #[test]
    fn everything_that_is_wrong_is_said_first() {
        let (record, [failures, breaches, regressions]) = bad();
        let findings = Findings {
            record: &record,
            failures: &failures,
            breaches: &breaches,
            regressions: &regressions,
            uncompared: false,
        };
        insta::assert_snapshot!(markdown(&findings));
    }

    #[test]
    fn of_a_good_run_there_are_only_figures() {
        let record = good();
        let findings = Findings {
            record: &record,
            failures: &[],
            breaches: &[],
            regressions: &[],
            uncompared: false,
        };
        insta::assert_snapshot!(markdown(&findings));
    }

    #[test]
    fn text_is_no_markup() {
        assert_eq!(escaped("a|b\n<c> & *d*"), "a\\|b &lt;c> &amp; \\*d\\*");
    }
}
