//! Messages acknowledged per second in streams, beside the disk alone.

use super::{Better, Subjects, in_words, lay_out, leaders, listed_words, longest_of_processes};
use crate::bar_chart::{Bar, BarChart, Names};
use crate::figure::{Chart, Figure};
use crate::quantity::Quantity;
use crate::series::{StreamKey, acknowledged_stream_keys, stream_faults};

pub(super) fn figure(subjects: &Subjects<'_>) -> Figure {
    let streams = acknowledged_stream_keys(&subjects.record.brokers);
    let mut charts: Vec<BarChart> = streams.iter().map(|stream| chart(subjects, stream)).collect();
    let columns = lay_out(&mut charts);
    Figure {
        name: "acknowledged",
        title: "Acknowledged streams".to_owned(),
        subtitle: "Messages acknowledged per second with so many publications of each publisher \
                   under way. Longer is better; what is (cut) goes on."
            .to_owned(),
        description: format!(
            "Bars of messages acknowledged per second. {}",
            listed_words(charts.iter().map(in_words))
        ),
        finding: leaders(&charts, Better::Longer),
        legend: vec![],
        columns,
        charts: charts.into_iter().map(Chart::Bars).collect(),
        without_charts: "This run measured no acknowledged streams.",
    }
}

fn chart(subjects: &Subjects<'_>, stream: &StreamKey) -> BarChart {
    let longest = longest_of_processes(subjects, |broker| {
        Some(stream.result_in(broker)?.acknowledged.as_ref()?.per_s)
    });
    let bars = subjects.brokers().filter_map(|(broker, style)| {
        let result = stream.result_in(broker)?;
        let acknowledged = result.acknowledged.as_ref()?;
        let (length, cut) = longest.cut(acknowledged.per_s);
        let per_s = Quantity::Rate.figure(acknowledged.per_s);
        let bytes_per_s = Quantity::Bytes.figure(acknowledged.bytes_per_s);
        Some(Bar {
            series: style.clone(),
            length,
            length_label: format!("{per_s}/s, {bytes_per_s}/s{cut}"),
            ratio_label: Quantity::Ratio.figure_or_dash(acknowledged.ratio_to_disk),
            note: stream_faults(result),
            standing: result.verdict.standing,
        })
    });
    BarChart {
        title: stream.to_string(),
        length_name: "acknowledged",
        ratio_name: "of the disk",
        bars: bars.collect(),
        names: Names::Beside,
    }
}
