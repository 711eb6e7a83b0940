//! From a run record to what is compared of it.

use super::cell::{Cell, KIND, LABEL, OPERATION, Repeat, Run, SHAPE, Validity};
use super::metric::Metric;
use super::outcome::{ComparedRun, Fact, differences};
use super::reason::FactDifference;
use crate::{
    BrokerRun, MachineFacts, OperationResult, OperationRound, Round, RunRecord, Standing,
    StreamResult, Verdict,
};

const BYTES_PER_GIB: f64 = (1_u64 << 30) as f64;

impl Run {
    /// Streams and operations, which have repeats; backlogs and what is stopped have none.
    pub(super) fn of(record: &RunRecord) -> Self {
        let cells = record.brokers.iter().flat_map(|broker| {
            let operations = broker.operations.iter().map(|result| operation_cell(broker, result));
            let streams = broker.streams.iter().map(|result| stream_cell(broker, result));
            operations.chain(streams)
        });
        Self {
            facts: ComparedRun {
                run_id: record.run_id.clone(),
                started_at_unix_ms: record.started_at_unix_ms,
                tandem_version: record.tandem_version.clone(),
                config_name: record.config_name.clone(),
                machine: record.machine.clone(),
            },
            machine: machine_facts(&record.machine),
            config_toml: record.config_toml.clone(),
            cells: cells.collect(),
        }
    }
}

/// How two machines differ, as far as figures depend on it; nothing if they are alike.
#[must_use]
pub fn machine_differences(a: &MachineFacts, b: &MachineFacts) -> Vec<FactDifference> {
    differences(&machine_facts(a), &machine_facts(b))
}

fn machine_facts(machine: &MachineFacts) -> Vec<Fact> {
    // What the kernel keeps for itself changes from one start to the next by less than this.
    let memory = format!("{:.1} GiB", machine.memory_bytes as f64 / BYTES_PER_GIB);
    vec![
        Fact::new("processor", &machine.cpu_model),
        Fact::new("architecture", &machine.architecture),
        Fact::new("logical cores", &machine.logical_cores),
        Fact::new("memory", &memory),
        Fact::new("kernel", &machine.kernel),
        Fact::new("operating system", &machine.os),
    ]
}

fn stream_cell(broker: &BrokerRun, result: &StreamResult) -> Cell {
    let in_flight = match &result.acknowledged {
        Some(acknowledged) => acknowledged.in_flight.to_string(),
        None => "none".to_owned(),
    };
    let facts = vec![
        Fact::new(KIND, "stream"),
        Fact::new("driver", &broker.driver),
        Fact::new(SHAPE, &result.shape),
        Fact::new("payload", &format!("{} B", result.payload_bytes)),
        Fact::new("load", &result.load),
        Fact::new("acknowledgements in flight", &in_flight),
        Fact::new("topics", &result.topics),
        Fact::new("wildcard", &result.wildcard),
        Fact::new("slow subscribers", &result.slow_subscribers),
        Fact::new(LABEL, &result.label),
    ];
    let repeats = result.rounds.iter().map(stream_repeat).collect();
    cell(broker, result.label.clone(), facts, &result.verdict, repeats)
}

fn operation_cell(broker: &BrokerRun, result: &OperationResult) -> Cell {
    let plural = if result.clients == 1 { "client" } else { "clients" };
    let label = format!("{}, {} {plural}", result.operation, result.clients);
    let facts = vec![
        Fact::new(KIND, "operation"),
        Fact::new("driver", &broker.driver),
        Fact::new(OPERATION, &result.operation),
        Fact::new("clients", &result.clients),
    ];
    let repeats = result.rounds.iter().map(operation_repeat).collect();
    cell(broker, label, facts, &result.verdict, repeats)
}

fn cell(
    broker: &BrokerRun,
    label: String,
    facts: Vec<Fact>,
    verdict: &Verdict,
    repeats: Vec<Repeat>,
) -> Cell {
    Cell {
        broker: broker.name.clone(),
        kind: broker.kind,
        guarantee: broker.guarantee.label().to_owned(),
        label,
        facts,
        validity: Validity::of(verdict.standing),
        reasons: verdict.reasons.clone(),
        repeats,
    }
}

fn stream_repeat(round: &Round) -> Repeat {
    let values = [
        (Metric::DeliveredPerS, round.delivered_per_s),
        (Metric::AcknowledgedPerS, round.acknowledged_per_s),
        (Metric::ServiceP50, round.service_p50_ns),
        (Metric::ServiceP99, round.service_p99_ns),
        (Metric::ResponseP50, round.response_p50_ns),
        (Metric::ResponseP99, round.response_p99_ns),
        (Metric::AcknowledgementP50, round.acknowledgement_p50_ns),
        (Metric::AcknowledgementP99, round.acknowledgement_p99_ns),
        (Metric::CpuUsPerDelivery, round.cpu_us_per_delivery),
        (Metric::ResidentBytes, round.resident_bytes_max),
    ];
    Repeat::new(Validity::of(round.verdict), values)
}

fn operation_repeat(round: &OperationRound) -> Repeat {
    let values = [
        (Metric::ThroughputPerS, round.throughput_per_s),
        (Metric::LatencyP50, round.p50_ns),
        (Metric::LatencyP99, round.p99_ns),
        (Metric::CpuUsPerOperation, round.cpu_us_per_operation),
    ];
    Repeat::new(Validity::of(round.verdict), values)
}

impl Validity {
    fn of(standing: Standing) -> Self {
        match standing {
            Standing::Valid => Self::Valid,
            Standing::Suspect => Self::Suspect,
            Standing::Unsustainable => Self::Unsustainable,
            Standing::Invalid => Self::Invalid,
        }
    }
}
