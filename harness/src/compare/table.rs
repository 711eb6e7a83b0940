//! A comparison as tables for a terminal.

use comfy_table::{CellAlignment, Table, presets};
use measure::comparison::{Change, ComparedCell, ComparedMetric, Comparison, NoiseSource};
use std::fmt::Write as _;

/// The columns that hold figures.
const FIGURES: std::ops::Range<usize> = 1..7;

/// The comparison: what it comes to first, then each cell, then what was left out and why.
pub(super) fn table(comparison: &Comparison, threshold_percent: f64) -> String {
    let mut text = format!(
        "B {} against A {}: {}\n\n",
        comparison.b.run_id,
        comparison.a.run_id,
        comparison.tally_in_words()
    );
    for cell in &comparison.cells {
        let _ = writeln!(text, "{}", cell.heading());
        match &cell.incomparable {
            Some(reason) => {
                let _ = writeln!(text, "  incomparable: {reason}\n");
            }
            None => {
                let _ = writeln!(text, "{}", metrics_table(cell));
                for sentence in reasons(cell) {
                    let _ = writeln!(text, "  {sentence}");
                }
                text.push('\n');
            }
        }
    }
    for left_out in &comparison.left_out {
        let _ = writeln!(text, "left out: {}: {}", left_out.what, left_out.why);
    }
    for note in &comparison.notes {
        let _ = writeln!(text, "note: {note}");
    }
    for regression in comparison.regressions(threshold_percent) {
        let _ = writeln!(text, "regression: {regression}");
    }
    for sentence in comparison.method_in_words() {
        let _ = writeln!(text, "{sentence}");
    }
    text
}

fn metrics_table(cell: &ComparedCell) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["metric", "A", "B", "change", "noise", "p", "Cliff's δ", "verdict"]);
    for metric in &cell.metrics {
        table.add_row(row(metric));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        if FIGURES.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The figure above, its interval below.
fn row(metric: &ComparedMetric) -> [String; 8] {
    let in_lines = |words: String| words.replacen(" [", "\n[", 1);
    let verdict = match &metric.verdict {
        Change::Worse => "WORSE".to_owned(),
        other => other.label().to_owned(),
    };
    [
        metric.metric.label().to_owned(),
        in_lines(metric.estimate_in_words(metric.a)),
        in_lines(metric.estimate_in_words(metric.b)),
        in_lines(metric.change_in_words()),
        metric.noise_in_words(),
        metric.p_in_words(),
        metric.effect_in_words(),
        verdict,
    ]
}

/// Why metrics are incomparable, and whose noise comes from elsewhere.
fn reasons(cell: &ComparedCell) -> Vec<String> {
    let mut sentences = Vec::new();
    for metric in &cell.metrics {
        let label = metric.metric.label();
        if let Change::Incomparable(reason) = &metric.verdict {
            sentences.push(format!("{label}: {reason}"));
        }
        let source = metric.difference.map(|difference| difference.noise_source);
        if source == Some(NoiseSource::StoredComparison) {
            sentences.push(format!("{label}: the noise is that of the comparison given for it"));
        }
    }
    sentences
}
