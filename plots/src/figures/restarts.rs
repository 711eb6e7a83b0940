//! How long a broker with a backlog takes until it is there again.

use measure::Standing;

use super::{Better, Subjects, in_words, lay_out, leaders, listed_words};
use crate::bar_chart::{Bar, BarChart, Names};
use crate::figure::{Chart, Figure};
use crate::piles::{RestartKey, delivery_faults, restart_keys};
use crate::quantity::Quantity;

pub(super) fn figure(subjects: &Subjects<'_>) -> Figure {
    let restarts = restart_keys(&subjects.record.brokers);
    let mut charts: Vec<BarChart> = restarts.iter().map(|key| chart(subjects, key)).collect();
    let columns = lay_out(&mut charts);
    Figure {
        name: "restarts",
        title: "Restarts with a backlog".to_owned(),
        subtitle: "Median time from the start of the process until it is ready, after it was told \
                   to end (clean) or killed (crash). Shorter is better."
            .to_owned(),
        description: format!(
            "Bars of the time until ready. {}",
            listed_words(charts.iter().map(in_words))
        ),
        finding: leaders(&charts, Better::Shorter),
        legend: vec![],
        columns,
        charts: charts.into_iter().map(Chart::Bars).collect(),
        without_charts: "This run measured no restarts.",
    }
}

fn chart(subjects: &Subjects<'_>, restart: &RestartKey) -> BarChart {
    let bars = subjects.brokers().filter_map(|(broker, style)| {
        let result = restart.result_in(broker)?;
        let ready_ns = result.ready_ns_median() as f64;
        let resident = Quantity::Bytes.figure(result.resident_bytes_max as f64);
        Some(Bar {
            series: style.clone(),
            length: ready_ns,
            length_label: format!("{}, {resident} resident", Quantity::LatencyNs.figure(ready_ns)),
            ratio_label: Quantity::LatencyNs.figure(result.ready_ns_per_gib()),
            note: delivery_faults(result.faults, result.messages),
            standing: Standing::Valid,
        })
    });
    BarChart {
        title: restart.to_string(),
        length_name: "until ready, and resident memory then",
        ratio_name: "each GiB",
        bars: bars.collect(),
        names: Names::Beside,
    }
}
