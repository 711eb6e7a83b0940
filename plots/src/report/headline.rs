//! The measurements that stand for a run: few, of different kinds.

use measure::{BrokerRun, OperationName, RunRecord, Standing, Verdict};

use super::tables::latency;
use crate::judged::clients_label;
use crate::quantity::Quantity;
use crate::series::{StreamKey, distinct, operation_in, stream_faults, stream_keys};

/// More of a kind would bury the others; the tables have all.
const EACH_KIND_MAX: usize = 2;

/// One measurement that every broker may have taken part in.
pub(super) enum Headline {
    /// The highest rate that met an objective.
    Knee { label: String, objective: String },
    /// Deliveries at full load.
    FullLoad(StreamKey),
    /// Acknowledgements at full load.
    Acknowledged(StreamKey),
    /// Latency at a rate.
    Paced(StreamKey),
    /// Requests answered.
    Operation { operation: OperationName, clients: u32 },
}

/// What one broker reached.
pub(super) struct Score {
    /// Greater is better.
    pub(super) rank: f64,
    /// In words, with its unit.
    pub(super) figure: String,
    /// What more there is to say.
    pub(super) note: String,
    pub(super) standing: Standing,
    /// What keeps it out of the ranking, or makes it worth less than it looks.
    pub(super) fault: Option<String>,
}

impl Headline {
    /// Those of a run, the most telling first.
    pub(super) fn all(record: &RunRecord) -> Vec<Self> {
        let knees = record.brokers.iter().flat_map(|broker| &broker.knees);
        let knees = distinct(knees.map(|knee| (knee.label.clone(), knee.objective.clone())));
        let streams = stream_keys(&record.brokers);
        let of_kind = |is_kind: fn(&StreamKey) -> bool| {
            let streams: Vec<StreamKey> =
                streams.iter().filter(|it| is_kind(it)).cloned().collect();
            streams.into_iter().take(EACH_KIND_MAX)
        };
        let mut all = Vec::new();
        let knees = knees.into_iter().take(EACH_KIND_MAX);
        all.extend(knees.map(|(label, objective)| Self::Knee { label, objective }));
        all.extend(of_kind(StreamKey::is_at_full_load).map(Self::FullLoad));
        all.extend(of_kind(StreamKey::is_paced).map(Self::Paced));
        all.extend(of_kind(StreamKey::is_acknowledged).map(Self::Acknowledged));
        all.extend(headline_operation(record));
        all
    }

    /// What is ranked, and by what.
    pub(super) fn caption(&self) -> String {
        match self {
            Self::Knee { label, objective } => {
                format!("{label}: highest rate with {objective}, messages per second")
            }
            Self::FullLoad(stream) => format!("{stream}: deliveries per second at full load"),
            Self::Acknowledged(stream) => format!("{stream}: acknowledgements per second"),
            Self::Paced(stream) => format!(
                "{stream} at {}: 99th percentile of response time, lower is better",
                stream.load_label()
            ),
            Self::Operation { operation, clients } => {
                format!("{operation}, {}: requests per second", clients_label(*clients))
            }
        }
    }

    /// What the broker reached; `None` where it was not measured.
    pub(super) fn score(&self, broker: &BrokerRun) -> Option<Score> {
        match self {
            Self::Knee { label, objective } => knee_score(broker, label, objective),
            Self::FullLoad(stream) => {
                let result = stream.result_in(broker)?;
                let fault = stream_faults(result);
                Some(rate_score(result.delivered_per_s, &result.verdict, fault))
            }
            Self::Acknowledged(stream) => {
                let result = stream.result_in(broker)?;
                let per_s = result.acknowledged.as_ref()?.per_s;
                Some(rate_score(per_s, &result.verdict, stream_faults(result)))
            }
            Self::Paced(stream) => paced_score(broker, stream),
            Self::Operation { operation, clients } => {
                let result = operation_in(broker, operation, *clients)?;
                let errors = result.errors;
                let fault = (errors > 0).then(|| format!("{errors} errors"));
                Some(rate_score(result.throughput_per_s, &result.verdict, fault))
            }
        }
    }
}

/// Publishing, or else the first operation, at the most clients.
fn headline_operation(record: &RunRecord) -> Option<Headline> {
    let results = || record.brokers.iter().flat_map(|broker| &broker.operations);
    let publish = results().find(|result| result.operation == OperationName::PUBLISH);
    let operation = publish.or(results().next())?.operation.clone();
    let same_operation = results().filter(|result| result.operation == operation);
    let clients = same_operation.map(|result| result.clients).max()?;
    Some(Headline::Operation { operation, clients })
}

fn rate_score(per_s: f64, verdict: &Verdict, fault: Option<String>) -> Score {
    Score {
        rank: per_s,
        figure: format!("{}/s", Quantity::Rate.figure(per_s)),
        note: String::new(),
        standing: verdict.standing,
        fault,
    }
}

fn paced_score(broker: &BrokerRun, stream: &StreamKey) -> Option<Score> {
    let result = stream.result_in(broker)?;
    let latency_of = &result.latencies.delivery()?.summary;
    // Without enough samples there is no percentile, and nothing to rank by.
    let rank = latency_of.p99_ns.map_or(f64::NAN, |p99_ns| -(p99_ns as f64));
    Some(Score {
        rank,
        figure: latency(latency_of.p99_ns),
        note: format!("p50 {}", latency(latency_of.p50_ns)),
        standing: result.verdict.standing,
        fault: stream_faults(result),
    })
}

fn knee_score(broker: &BrokerRun, label: &str, objective: &str) -> Option<Score> {
    let mut knees = broker.knees.iter();
    let knee = knees.find(|knee| knee.label == label && knee.objective == objective)?;
    let confirmed = knee.confirmed.map(|[met, missed]| {
        let [met, missed] = [met, missed].map(|per_s| Quantity::Rate.figure(per_s));
        format!("confirmed: {met} to {missed}")
    });
    Some(Score {
        rank: knee.rate_per_s.unwrap_or(f64::NAN),
        figure: knee.rate_per_s.map_or_else(
            || "none".to_owned(),
            |per_s| format!("{}/s", Quantity::Rate.figure(per_s)),
        ),
        note: confirmed.unwrap_or_default(),
        standing: Standing::Valid,
        fault: knee.rate_per_s.is_none().then(|| "no rate met the objective".to_owned()),
    })
}
