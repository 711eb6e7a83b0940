//! Two runs compared: each metric's ratio with its interval, over the range that is only noise.

use measure::comparison::{Change, ComparedCell, ComparedMetric, Comparison};

use super::listed;
use crate::figure::{Chart, Figure};
use crate::forest_chart::{ForestChart, ForestMark, ForestRow, ForestScale};
use crate::palette::{BETTER, Color, FAULT, MUTED, Marker, SeriesStyle, Stroke};

/// A picture of more rows than this can no longer be read; the tables have all.
const ROWS_MAX: usize = 160;

pub(crate) fn figure(comparison: &Comparison) -> Figure {
    let (cells, left_off) = shown(comparison);
    let rows: Vec<(&ComparedCell, Vec<ForestRow>)> =
        cells.iter().map(|cell| (*cell, cell.metrics.iter().map(row).collect())).collect();
    let marks = rows.iter().flat_map(|(_, rows)| rows).filter_map(|row| row.mark.as_ref());
    let scale = ForestScale::of(marks);
    let charts: Vec<Chart> = rows
        .into_iter()
        .map(|(cell, rows)| Chart::Forest(ForestChart { title: cell.heading(), scale, rows }))
        .collect();
    let cut = match left_off {
        0 => String::new(),
        count => format!(" {count} more cells are in the tables only."),
    };
    Figure {
        name: "comparison",
        title: format!("{} against {}", comparison.b.run_id, comparison.a.run_id),
        subtitle: format!(
            "Change of the median with its {} % interval; shaded: noise floor. {}.{cut}",
            comparison.method.bootstrap.confidence * 100.0,
            comparison.tally_in_words()
        ),
        description: description(&cells),
        finding: format!("{}.", comparison.tally_in_words()),
        legend: vec![style(&Change::Better), style(&Change::Worse), style(&Change::WithinNoise)],
        columns: 1,
        charts,
        without_charts: "No cell of both runs could be compared; the tables say why.",
    }
}

/// The cells that can be compared, as many as have room: those with differences first to be kept,
/// all in their own order. And how many are left off.
fn shown(comparison: &Comparison) -> (Vec<&ComparedCell>, usize) {
    let comparable = comparison.cells.iter().filter(|cell| !cell.metrics.is_empty());
    let all: Vec<&ComparedCell> = comparable.collect();
    let differs = |cell: &ComparedCell| {
        cell.metrics.iter().any(|it| matches!(it.verdict, Change::Better | Change::Worse))
    };
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by_key(|index| !differs(all[*index]));
    let mut rows = 0;
    let mut kept: Vec<usize> = order
        .into_iter()
        .take_while(|index| {
            rows += all[*index].metrics.len();
            rows <= ROWS_MAX
        })
        .collect();
    kept.sort_unstable();
    let left_off = all.len() - kept.len();
    (kept.into_iter().map(|index| all[index]).collect(), left_off)
}

fn row(metric: &ComparedMetric) -> ForestRow {
    let verdict = metric.verdict.label();
    let name = metric.metric.label().to_owned();
    let difference = metric.difference.filter(|it| it.ratio.value.is_finite());
    match (difference, &metric.verdict) {
        (Some(difference), _) => ForestRow {
            name,
            mark: Some(ForestMark {
                ratio: difference.ratio.value,
                low: difference.ratio.interval.low,
                high: difference.ratio.interval.high,
                noise_ratio: difference.noise_floor_ratio,
                series: style(&metric.verdict),
            }),
            figure: format!("{}, {verdict}", metric.change_in_words()),
        },
        (None, _) => ForestRow { name, mark: None, figure: format!("{verdict}: see the table") },
    }
}

/// Shape and colour both tell the verdict.
fn style(verdict: &Change) -> SeriesStyle {
    let (color, marker): (Color, Marker) = match verdict {
        Change::Better => (BETTER, Marker::Triangle),
        Change::Worse => (FAULT, Marker::TriangleDown),
        Change::WithinNoise => (MUTED, Marker::Circle),
        Change::Incomparable(_) => (MUTED, Marker::Cross),
    };
    SeriesStyle::explaining(verdict.label(), color, marker, Stroke::Solid)
}

fn description(cells: &[&ComparedCell]) -> String {
    let sentences = cells.iter().map(|cell| {
        let metrics = cell.metrics.iter().map(|metric| {
            let verdict = metric.verdict.label();
            format!("{} {} ({verdict})", metric.metric.label(), metric.change_in_words())
        });
        format!("{}: {}.", cell.heading(), listed(metrics))
    });
    let sentences: Vec<String> = sentences.collect();
    format!("A forest plot of changes. {}", sentences.join(" "))
}
