//! The invented run with everything in it that a report must show: every guarantee, long names,
//! and results that may not be believed.

use measure::{
    BrokerKind, BrokerRun, CellResources, DataPlace, GuaranteeClass, HistogramSet,
    ObjectiveOutcome, ObjectiveStanding, OperationResult, RunRecord, SkippedBroker, Standing,
    StreamShape,
};

use super::{Invented, SECOND_NS, STREAMS, broker_run, kept, stream_result, synthetic_run};

const BROKERS: [(Invented, GuaranteeClass); 4] = [
    (
        Invented {
            name: "rabbitmq-quorum-queue-publisher-confirms",
            kind: BrokerKind::Broker,
            version: "4.1.4 on Erlang/OTP 27.3",
            streams_per_s: 0.041e6,
            operations_per_s: 3.1e3,
            memory_bytes: 160e6,
        },
        GuaranteeClass::Synced,
    ),
    (
        Invented {
            name: "redpanda-three-brokers-acks-all",
            kind: BrokerKind::Broker,
            version: "25.2.1",
            streams_per_s: 0.31e6,
            operations_per_s: 1.2e3,
            memory_bytes: 1_100e6,
        },
        GuaranteeClass::Replicated,
    ),
    (
        Invented {
            name: "vernemq-shared-subscription-qos-0",
            kind: BrokerKind::Broker,
            version: "2.1.1",
            streams_per_s: 0.12e6,
            operations_per_s: 9e3,
            memory_bytes: 85e6,
        },
        GuaranteeClass::AtMostOnce,
    ),
    (
        Invented {
            name: "tandem-threaded-disk-lazily-written",
            kind: BrokerKind::Broker,
            version: "0.1.0",
            streams_per_s: 5.6e6,
            operations_per_s: 19e3,
            memory_bytes: 9e6,
        },
        GuaranteeClass::OperatingSystem,
    ),
];

const DISK: Invented = Invented {
    name: "disk",
    kind: BrokerKind::Ceiling,
    version: "0.1.0",
    streams_per_s: 2e6,
    operations_per_s: 0.0,
    memory_bytes: 1e6,
};

/// The synthetic run with four more brokers and the disk, where much goes wrong.
#[allow(dead_code, reason = "not every test is about all that can go wrong")]
pub(crate) fn varied_run() -> (RunRecord, HistogramSet) {
    let (mut record, mut histograms) = synthetic_run();
    for (invented, guarantee) in BROKERS {
        let mut broker = broker_run(&invented, &mut histograms);
        broker.guarantee = guarantee;
        record.brokers.push(broker);
    }
    record.brokers.push(disk(&mut histograms));
    record.skipped.push(SkippedBroker {
        name: "emqx-open-source-single-node".to_owned(),
        reason: "expected `emqx` in the search path, found none; install it and run again"
            .to_owned(),
    });
    record.warnings.push(
        "others used 25 % of the machine during the run; compare figures of this run with each \
         other only, or run it again at rest"
            .to_owned(),
    );
    for broker in &mut record.brokers {
        configure(broker);
        broker.operations.iter_mut().for_each(|result| result.resources = Some(resources(result)));
    }
    degrade(&mut record);
    record.objectives.extend(more_objectives());
    (record, histograms)
}

/// The disk alone: nobody reads.
fn disk(histograms: &mut HistogramSet) -> BrokerRun {
    let mut disk = broker_run(&DISK, histograms);
    let (_, _, payload_bytes, load) = &STREAMS[0];
    let shape = StreamShape::new(1, 1);
    let stream = stream_result(&DISK, shape, *payload_bytes, load, histograms);
    disk.streams = vec![kept::unread(&stream, DISK.streams_per_s)];
    disk.command_line.clear();
    disk.resources.clear();
    disk
}

fn configure(broker: &mut BrokerRun) {
    if broker.guarantee == GuaranteeClass::Synced {
        broker.data_place = Some(DataPlace {
            root: "/var/tmp/synthetic".to_owned(),
            file_system: "ext4".to_owned(),
            device: "/dev/vda".to_owned(),
        });
    }
    if broker.name.starts_with("rabbitmq") {
        broker.config_text = Some(
            "# rabbitmq.conf\nlisteners.tcp.default = 127.0.0.1:5672\n\
             quorum_queue.property_equivalence.relaxed_checks_on_redeclaration = true\n\
             vm_memory_high_watermark.relative = 0.6\n"
                .to_owned(),
        );
    }
}

fn resources(result: &OperationResult) -> CellResources {
    CellResources {
        cpu_user_ns: SECOND_NS / 2,
        cpu_system_ns: SECOND_NS,
        cpu_us_per_delivery: Some(1.5e6 / result.throughput_per_s.max(1.0)),
        resident_bytes_max: 24_000_000,
        threads_max: 4 + result.clients,
        file_descriptors_max: (result.clients > 1).then_some(20 + result.clients),
        context_switches_voluntary: result.count / 2,
        context_switches_involuntary: 311,
        disk_written_bytes: Some(result.count * 180),
        disk_flushes: None,
    }
}

/// Takes away from some results what they look worth.
fn degrade(record: &mut RunRecord) {
    for broker in &mut record.brokers {
        let name = broker.name.clone();
        for result in &mut broker.operations {
            match (name.as_str(), result.operation.as_str(), result.clients) {
                ("nats-server", "publish", 200) => result.verdict.degrade(
                    Standing::Invalid,
                    "expected the broker to live, found that it ended by itself after 1.2 s",
                ),
                ("mosquitto", "publish", 200) => result.verdict.degrade(
                    Standing::Unsustainable,
                    "expected answers as fast as requests, found a queue that only grew",
                ),
                ("tandem-mio", "pull", 10) => result.errors = 12,
                _ => {}
            }
        }
        for result in broker.streams.iter_mut().filter(|result| result.acknowledged.is_some()) {
            match name.as_str() {
                "tandem-threaded" => result.verdict.degrade(
                    Standing::Suspect,
                    "expected rounds within 10 % of each other, found 14 %",
                ),
                "tandem-mio" => result.verdict.degrade(
                    Standing::Invalid,
                    "expected every thread of the load generator below 90 % of a core, found \
                     publisher-0 at 99 %",
                ),
                _ => {}
            }
        }
        if let Some(storm) = broker.storms.last_mut().filter(|_| name.starts_with("rabbitmq")) {
            let reason = "expected 2000 connections opened each second, found 312";
            storm.verdict.degrade(Standing::Unsustainable, reason);
        }
        if let Some(knee) = broker.knees.first_mut().filter(|_| name.starts_with("vernemq")) {
            (knee.rate_per_s, knee.confirmed) = (None, None);
            knee.attempts.iter_mut().for_each(|attempt| attempt.met = false);
        }
    }
}

fn more_objectives() -> Vec<ObjectiveOutcome> {
    vec![ObjectiveOutcome {
        broker: "rabbitmq-quorum-queue-publisher-confirms".to_owned(),
        cell: "stream 1→50, 100 B, saturating".to_owned(),
        assertion: "delivered_per_s >= 100000".to_owned(),
        observed: Some(108_941.5),
        found: "108900/s".to_owned(),
        standing: ObjectiveStanding::Met,
    }]
}
