//! A comparison as Markdown, for a review or a page.

use measure::comparison::{Change, ComparedCell, Comparison};
use std::fmt::Write as _;

/// The comparison: what it comes to, one table of everything compared, and what was left out.
pub(super) fn markdown(comparison: &Comparison, threshold_percent: f64) -> String {
    let mut text = format!(
        "## Benchmark: {} against {}\n\n{}.\n",
        escaped(&comparison.b.run_id),
        escaped(&comparison.a.run_id),
        comparison.tally_in_words()
    );
    match comparison.regressions(threshold_percent).count() {
        0 => text.push('\n'),
        count => {
            let _ = writeln!(text, "**Regressions of {threshold_percent} % or more: {count}.**\n");
        }
    }
    text.push_str("| broker | cell | metric | A | B | change | noise | p | verdict |\n");
    text.push_str("|---|---|---|--:|--:|--:|--:|--:|---|\n");
    for cell in comparison.cells.iter().filter(|cell| cell.incomparable.is_none()) {
        rows(&mut text, cell);
    }
    let left_out = left_out(comparison);
    if !left_out.is_empty() {
        text.push_str("\n### Left out\n\n");
        for what in left_out {
            let _ = writeln!(text, "- {}", escaped(&what));
        }
    }
    text.push_str("\n### Method\n\n");
    for sentence in comparison.method_in_words().iter().chain(&comparison.notes) {
        let _ = writeln!(text, "- {}", escaped(sentence));
    }
    text
}

fn rows(text: &mut String, cell: &ComparedCell) {
    for metric in &cell.metrics {
        let verdict = match &metric.verdict {
            Change::WithinNoise | Change::Incomparable(_) => metric.verdict.label().to_owned(),
            Change::Better | Change::Worse => format!("**{}**", metric.verdict.label()),
        };
        let columns = [
            cell.broker(),
            cell.label.clone(),
            metric.metric.label().to_owned(),
            metric.a.map_or_else(|| "–".to_owned(), |a| metric.metric.show(a.value)),
            metric.b.map_or_else(|| "–".to_owned(), |b| metric.metric.show(b.value)),
            metric.change_in_words(),
            metric.noise_in_words(),
            metric.p_in_words(),
        ];
        let columns: Vec<String> = columns.iter().map(|column| escaped(column)).collect();
        let _ = writeln!(text, "| {} | {verdict} |", columns.join(" | "));
    }
}

fn left_out(comparison: &Comparison) -> Vec<String> {
    let mut left_out = Vec::new();
    for cell in &comparison.cells {
        let place = format!("{}: {}", cell.broker(), cell.label);
        if let Some(reason) = &cell.incomparable {
            left_out.push(format!("{place}: {reason}"));
        }
        for metric in &cell.metrics {
            if let Change::Incomparable(reason) = &metric.verdict {
                left_out.push(format!("{place}: {}: {reason}", metric.metric.label()));
            }
        }
    }
    left_out.extend(comparison.left_out.iter().map(|left| format!("{}: {}", left.what, left.why)));
    left_out
}

/// Names come from configurations and may hold what Markdown takes for its own.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' => escaped.push(' '),
            '<' => escaped.push_str("&lt;"),
            '\\' | '`' | '*' | '_' | '|' | '[' | ']' => escaped.extend(['\\', character]),
            other => escaped.push(other),
        }
    }
    escaped
}
