//! How fast backlogs are written and read back.

use measure::Standing;

use super::{Better, Subjects, in_words, lay_out, leaders, listed_words};
use crate::bar_chart::{Bar, BarChart, Names};
use crate::figure::{Chart, Figure};
use crate::piles::{BacklogKey, backlog_keys};
use crate::quantity::Quantity;

pub(super) fn figure(subjects: &Subjects<'_>) -> Figure {
    let backlogs = backlog_keys(&subjects.record.brokers);
    let mut charts: Vec<BarChart> = backlogs.iter().map(|key| chart(subjects, key)).collect();
    let columns = lay_out(&mut charts);
    Figure {
        name: "backlogs",
        title: "Backlogs, written and read back".to_owned(),
        subtitle: "Payload bytes per second: published with nobody reading, then read by a new \
                   subscriber from the first message to the last. Longer is better."
            .to_owned(),
        description: format!(
            "Bars of payload bytes per second. {}",
            listed_words(charts.iter().map(in_words))
        ),
        finding: leaders(&charts, Better::Longer),
        legend: vec![],
        columns,
        charts: charts.into_iter().map(Chart::Bars).collect(),
        without_charts: "This run measured no backlogs.",
    }
}

fn chart(subjects: &Subjects<'_>, backlog: &BacklogKey) -> BarChart {
    let bars = subjects.brokers().filter_map(|(broker, style)| {
        let (figures, faults) = backlog.result_in(broker)?;
        let bytes_per_s = Quantity::Bytes.figure(figures.bytes_per_s);
        let memory = figures.resident_bytes_max.map_or(String::new(), |resident_bytes| {
            format!(", {} resident", Quantity::Bytes.figure(resident_bytes as f64))
        });
        Some(Bar {
            series: style.clone(),
            length: if figures.bytes_per_s.is_finite() { figures.bytes_per_s } else { 0.0 },
            length_label: format!("{bytes_per_s}/s{memory}"),
            ratio_label: Quantity::Ratio.figure_or_dash(figures.ratio_to_disk),
            note: faults,
            standing: Standing::Valid,
        })
    });
    BarChart {
        title: backlog.to_string(),
        length_name: "payload, and the most resident memory",
        ratio_name: "of the disk",
        bars: bars.collect(),
        names: Names::Beside,
    }
}
