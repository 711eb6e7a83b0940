//! Latency against load, and the highest load that still meets the objective.

use measure::{BrokerRun, KneeAttempt, KneePhase, KneeResult, Standing};

use super::{Better, Subjects, listed, listed_series};
use crate::axis::Axis;
use crate::figure::{Chart, Figure};
use crate::line_chart::{Foot, Line, LineChart, Upright};
use crate::palette::{INK, Marker, SeriesStyle, Stroke};
use crate::quantity::Quantity;
use crate::series::distinct;

const PLOT_HEIGHT_PX: f64 = 240.0;

pub(super) fn figure(subjects: &Subjects<'_>) -> Figure {
    let knees = subjects.record.brokers.iter().flat_map(|broker| &broker.knees);
    let keys = distinct(knees.map(|knee| (knee.label.clone(), knee.objective.clone())));
    let shown = subjects.legend(|broker| !broker.knees.is_empty());
    let description = format!(
        "Lines of the 99th percentile of response time against the offered rate, with the highest \
         rate that met the objective marked, for {}, of {}.",
        listed(keys.iter().map(|(label, _)| label.clone())),
        listed_series(&shown)
    );
    let mut legend = shown;
    if !legend.is_empty() {
        let missed = "objective missed";
        legend.push(SeriesStyle::explaining(missed, INK, Marker::Cross, Stroke::Solid));
        let knee = "highest rate that met it";
        legend.push(SeriesStyle::explaining(knee, INK, Marker::None, Stroke::Dashed));
    }
    Figure {
        name: "knees",
        title: "Latency against load".to_owned(),
        subtitle: "Each point is one offered rate, held for a while. Further right before the \
                   line turns up is better."
            .to_owned(),
        description,
        finding: finding(subjects, &keys),
        legend,
        columns: if keys.len() > 1 { 2 } else { 1 },
        charts: keys.iter().map(|key| Chart::lines(PLOT_HEIGHT_PX, chart(subjects, key))).collect(),
        without_charts: "This run searched for no highest sustainable rate.",
    }
}

type KneeKey = (String, String);

fn knee_in<'a>(broker: &'a BrokerRun, key: &KneeKey) -> Option<&'a KneeResult> {
    broker.knees.iter().find(|knee| knee.label == key.0 && knee.objective == key.1)
}

/// The stream and the objective, which the stream's own label mostly says.
fn title((label, objective): &KneeKey, between: &str) -> String {
    match label.contains(objective.as_str()) {
        true => label.clone(),
        false => format!("{label}{between}{objective}"),
    }
}

fn finding(subjects: &Subjects<'_>, keys: &[KneeKey]) -> String {
    let Some(key) = keys.first() else { return String::new() };
    subjects.leading(
        &title(key, ", "),
        Better::Longer,
        |broker| Some((knee_in(broker, key)?.rate_per_s?, Standing::Valid)),
        |per_s| format!("{} messages/s sustained", Quantity::Rate.figure(per_s)),
    )
}

fn chart(subjects: &Subjects<'_>, key: &KneeKey) -> LineChart {
    let mut lines = Vec::new();
    let mut uprights = Vec::new();
    for (broker, style) in subjects.brokers() {
        let Some(knee) = knee_in(broker, key) else { continue };
        lines.extend(lines_of(knee, style));
        if let Some(rate_per_s) = knee.rate_per_s.filter(|rate| *rate > 0.0) {
            let label = format!("{}/s", Quantity::Rate.figure(rate_per_s));
            uprights.push(Upright { across: rate_per_s, label, color: style.color });
        }
    }
    let points = || lines.iter().flat_map(|line| line.points.iter().chain(&line.marked));
    LineChart {
        title: title(key, " · "),
        across: Axis::logarithmic(points().map(|point| point.0), Quantity::Rate),
        across_name: "messages offered per second",
        up: Axis::logarithmic(points().map(|point| point.1), Quantity::LatencyNs),
        up_name: "99th percentile of response time".to_owned(),
        bands: vec![],
        areas: vec![],
        cells: vec![],
        uprights,
        foot: Foot::Labelled,
        lines,
        without_lines: "no rate had samples enough",
    }
}

/// A line through what was tried, marked where the objective was met; and crosses where it was not.
fn lines_of(knee: &KneeResult, style: &SeriesStyle) -> [Line; 2] {
    let mut attempts: Vec<&KneeAttempt> =
        knee.attempts.iter().filter(|attempt| attempt.standing != Standing::Invalid).collect();
    attempts.sort_by(|a, b| a.rate_per_s.total_cmp(&b.rate_per_s));
    let point = |attempt: &&KneeAttempt| {
        let point = (attempt.rate_per_s, attempt.response_p99_ns? as f64);
        (point.0.is_finite() && point.0 > 0.0 && point.1 > 0.0).then_some(point)
    };
    // A rate is tried again to confirm it; the line would go up and down there.
    let once = attempts.iter().filter(|attempt| attempt.phase != KneePhase::Confirm);
    let points = once.filter_map(point).collect();
    let marked_if = |met: bool| {
        attempts.iter().filter(|attempt| attempt.met == met).filter_map(point).collect()
    };
    let crossed = SeriesStyle { marker: Marker::Cross, ..style.clone() };
    [
        Line { points, marked: marked_if(true), series: style.clone() },
        Line { points: vec![], marked: marked_if(false), series: crossed },
    ]
}
