//! Memory for each connection that is open and does nothing.

use measure::{IdleResult, Standing};

use super::{Better, Subjects, in_words, lay_out, leaders, listed_words};
use crate::bar_chart::{Bar, BarChart, Names};
use crate::figure::{Chart, Figure};
use crate::quantity::{Quantity, grouped};
use crate::series::distinct;

pub(super) fn figure(subjects: &Subjects<'_>) -> Figure {
    let idles = subjects.record.brokers.iter().flat_map(|broker| &broker.idles);
    let counts = distinct(idles.map(|idle| idle.connections));
    let mut charts: Vec<BarChart> =
        counts.into_iter().map(|count| chart(subjects, count)).collect();
    let columns = lay_out(&mut charts);
    Figure {
        name: "idle-connections",
        title: "Memory of idle connections".to_owned(),
        subtitle: "What the broker's resident memory grew by, for each connection that was held \
                   open and did nothing. Shorter is better."
            .to_owned(),
        description: format!(
            "Bars of bytes for each idle connection. {}",
            listed_words(charts.iter().map(in_words))
        ),
        finding: leaders(&charts, Better::Shorter),
        legend: vec![],
        columns,
        charts: charts.into_iter().map(Chart::Bars).collect(),
        without_charts: "This run held no idle connections.",
    }
}

fn chart(subjects: &Subjects<'_>, connections: u32) -> BarChart {
    let bars = subjects.brokers().filter_map(|(broker, style)| {
        let idle = broker.idles.iter().find(|idle| idle.connections == connections)?;
        let bytes = idle.bytes_per_connection;
        Some(Bar {
            series: style.clone(),
            length: if bytes.is_finite() { bytes.max(0.0) } else { 0.0 },
            length_label: Quantity::Bytes.figure(bytes),
            ratio_label: Quantity::Bytes.figure(idle.resident_after_bytes as f64),
            note: dropped(idle),
            standing: Standing::Valid,
        })
    });
    BarChart {
        title: format!("{} connections", grouped(u64::from(connections))),
        length_name: "for each connection",
        ratio_name: "resident then",
        bars: bars.collect(),
        names: Names::Beside,
    }
}

/// How many connections the broker did not keep.
pub(crate) fn dropped(idle: &IdleResult) -> Option<String> {
    (idle.dropped > 0).then(|| format!("{} dropped", grouped(u64::from(idle.dropped))))
}
