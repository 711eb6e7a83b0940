//! What figures of bars have in common: how they are laid out, cut and told.

use measure::BrokerRun;

use super::{Subjects, listed};
use crate::bar_chart::{Bar, BarChart, Names};
use crate::figure::column_width_px;
use crate::series::distinct;

/// Bars shorter than this cannot be compared by eye.
const BAR_WIDTH_MIN_PX: f64 = 120.0;

/// Bars longer than the longest of a process by this are cut there.
const CUT_RATIO: f64 = 1.25;

/// Lays charts out in columns, and says how many: two charts stand beside each other, if need be
/// with names above the bars; long lists of faults need the whole width, and one alone has it.
pub(super) fn lay_out(charts: &mut [BarChart]) -> usize {
    let width_px = column_width_px(2);
    if charts.len() < 2 {
        return 1;
    }
    for names in [Names::Beside, Names::Above] {
        charts.iter_mut().for_each(|chart| chart.names = names);
        if charts.iter().all(|chart| chart.bar_width_max(width_px) >= BAR_WIDTH_MIN_PX) {
            return 2;
        }
    }
    charts.iter_mut().for_each(|chart| chart.names = Names::Beside);
    1
}

/// The longest bar of those who run as a process; see [`longest_of_processes`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Longest(f64);

/// The highest rate of those who run as a process. What the load generator does alone, with no
/// socket in between, may be many times that, and would leave no room to compare the others.
pub(super) fn longest_of_processes(
    subjects: &Subjects<'_>,
    per_s_in: impl Fn(&BrokerRun) -> Option<f64>,
) -> Longest {
    let longest = subjects
        .brokers()
        .filter(|(broker, _)| !broker.command_line.is_empty())
        .filter_map(|(broker, _)| per_s_in(broker))
        .filter(|per_s| per_s.is_finite())
        .fold(0.0, f64::max);
    Longest(longest)
}

impl Longest {
    /// How long a bar is drawn, and what is said if that is less than it is.
    pub(super) fn cut(self, per_s: f64) -> (f64, &'static str) {
        let length_max = self.0 * CUT_RATIO;
        match per_s {
            per_s if self.0 > 0.0 && per_s > length_max => (length_max, " (cut)"),
            per_s if per_s.is_finite() => (per_s, ""),
            _ => (0.0, ""),
        }
    }
}

/// A chart for those who cannot see it.
pub(super) fn in_words(chart: &BarChart) -> String {
    let bars = chart.bars.iter().map(|bar| {
        let Bar { series, length_label, ratio_label, .. } = bar;
        format!("{} {length_label} ({ratio_label})", series.name)
    });
    format!("{}: {}.", chart.title, listed(bars))
}

/// Which end of a bar chart is the good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    Longer,
    Shorter,
}

/// Charts whose leaders are told; more would not be read.
const FINDINGS_MAX: usize = 3;

/// Who leads, of those that may be ranked with each other, in the first charts.
pub(super) fn leaders(charts: &[BarChart], better: Better) -> String {
    let sentences = charts.iter().filter_map(|chart| leader(chart, better));
    listed_words(sentences.take(FINDINGS_MAX))
}

fn leader(chart: &BarChart, better: Better) -> Option<String> {
    let competing = |bar: &&Bar| bar.standing.may_be_ranked() && bar.note.is_none();
    let classes = distinct(chart.bars.iter().filter_map(|bar| bar.series.class));
    let class = classes.into_iter().max_by_key(|class| {
        chart.bars.iter().filter(competing).filter(|bar| bar.series.class == Some(*class)).count()
    })?;
    let bars = chart.bars.iter().filter(competing);
    let mut bars: Vec<&Bar> = bars.filter(|bar| bar.series.class == Some(class)).collect();
    bars.sort_by(|a, b| match better {
        Better::Longer => b.length.total_cmp(&a.length),
        Better::Shorter => a.length.total_cmp(&b.length),
    });
    let [first, second, ..] = bars[..] else { return None };
    Some(format!(
        "{}: {} leads with {}, before {} with {}.",
        chart.title, first.series.name, first.length_label, second.series.name, second.length_label
    ))
}

/// Sentences, one after the other.
pub(super) fn listed_words(sentences: impl Iterator<Item = String>) -> String {
    sentences.collect::<Vec<_>>().join(" ")
}
