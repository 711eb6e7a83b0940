//! Deliveries per second at full load, beside the ceiling.

use super::{Better, Subjects, in_words, lay_out, leaders, listed_words, longest_of_processes};
use crate::bar_chart::{Bar, BarChart, Names};
use crate::figure::{Chart, Figure};
use crate::quantity::Quantity;
use crate::series::{StreamKey, stream_faults, stream_keys};

pub(super) fn figure(subjects: &Subjects<'_>) -> Figure {
    let mut streams = stream_keys(&subjects.record.brokers);
    // At a fixed rate every broker that keeps up has the same bar.
    streams.retain(StreamKey::is_at_full_load);
    let mut charts: Vec<BarChart> = streams.iter().map(|stream| chart(subjects, stream)).collect();
    let columns = lay_out(&mut charts);
    Figure {
        name: "streams",
        title: "Streams at full load".to_owned(),
        subtitle: "Deliveries per second, and their ratio to a pipe that only copies bytes. \
                   Longer is better; what is (cut) goes on."
            .to_owned(),
        description: format!(
            "Bars of deliveries per second. {}",
            listed_words(charts.iter().map(in_words))
        ),
        finding: leaders(&charts, Better::Longer),
        legend: vec![],
        columns,
        charts: charts.into_iter().map(Chart::Bars).collect(),
        without_charts: "This run measured no streams at full load.",
    }
}

fn chart(subjects: &Subjects<'_>, stream: &StreamKey) -> BarChart {
    let longest = longest_of_processes(subjects, |broker| {
        stream.result_in(broker).map(|result| result.delivered_per_s)
    });
    let bars = subjects.brokers().filter_map(|(broker, style)| {
        let result = stream.result_in(broker)?;
        let per_s = result.delivered_per_s;
        let (length, cut) = longest.cut(per_s);
        Some(Bar {
            series: style.clone(),
            length,
            length_label: format!("{}/s{cut}", Quantity::Rate.figure(per_s)),
            ratio_label: Quantity::Ratio.figure_or_dash(result.ratio_to_ceiling),
            note: stream_faults(result),
            standing: result.verdict.standing,
        })
    });
    BarChart {
        title: stream.to_string(),
        length_name: "deliveries per second",
        ratio_name: "of ceiling",
        bars: bars.collect(),
        names: Names::Beside,
    }
}
