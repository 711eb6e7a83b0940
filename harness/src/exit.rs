//! What a run found, and what the program says of it by its exit code.

use measure::{ObjectiveStanding, RunRecord, Standing, Verdict};
use std::process::ExitCode;

/// How the program ends.
///
/// Where several things are true of a run, the code is that of the first in this order, which is
/// that of what must be mended first: a [breach](Self::Breach) is about the messages and outweighs
/// all; what [failed](Self::Failed) or is [invalid](Self::Invalid) was not measured, so nothing that
/// is compared with it means much; a [regression](Self::Regression) is seen beside an earlier run,
/// a [missed objective](Self::ObjectiveMissed) was perhaps never met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything ran, and nothing is wrong.
    Good = 0,
    /// A broker failed, or the run did.
    Failed = 1,
    /// The configuration or the command line is wrong.
    Usage = 2,
    /// What must lose nothing lost, duplicated, reordered or corrupted something.
    Breach = 3,
    /// An objective of the configuration is not met, or could not be told.
    ObjectiveMissed = 4,
    /// Something is worse than in the run that it is compared with.
    Regression = 5,
    /// A measurement says something about itself and not about the broker.
    Invalid = 6,
    /// Someone ended the run.
    Interrupted = 130,
}

/// The exit codes as the program's help has them.
pub const EXIT_CODES: &str = "Exit codes; of several the first of 3, 1, 6, 5, 4:
  0    everything ran, and nothing is wrong
  1    a broker failed, or the run did
  2    the configuration or the command line is wrong
  3    delivery breach: a stream, backlog, restart or outage that must lose nothing
       lost, duplicated, reordered or corrupted something
  4    an objective of the configuration is not met, or could not be told
  5    regression: something is worse than in the baseline
  6    a measurement is invalid: it says nothing about the broker; or nothing could be
       compared with the baseline
  130  interrupted; nothing was written";

/// What a run found.
#[derive(Clone, Copy, Debug)]
pub struct Findings<'a> {
    /// What was measured, with its objectives and verdicts.
    pub record: &'a RunRecord,
    /// Brokers that could not be measured to the end: `BROKER: WHY`.
    pub failures: &'a [String],
    /// Promises of delivery that were broken: `BROKER: MEASUREMENT: WHAT`.
    pub breaches: &'a [String],
    /// What is worse than in the baseline, in a sentence each.
    pub regressions: &'a [String],
    /// There is a baseline, and not one figure could be compared with it.
    pub uncompared: bool,
}

impl Exit {
    /// How the program ends after a run that found this.
    #[must_use]
    pub fn of(findings: &Findings<'_>) -> Self {
        let objectives = &findings.record.objectives;
        let order = [
            (Self::Breach, !findings.breaches.is_empty()),
            (Self::Failed, !findings.failures.is_empty()),
            (
                Self::Invalid,
                findings.uncompared || findings.verdicts().any(|judged| judged.is_invalid()),
            ),
            (Self::Regression, !findings.regressions.is_empty()),
            (
                Self::ObjectiveMissed,
                objectives.iter().any(|objective| objective.standing != ObjectiveStanding::Met),
            ),
        ];
        order.into_iter().find(|(_, is_so)| *is_so).map_or(Self::Good, |(exit, _)| exit)
    }

    /// The code.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What it says, in a few words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Good => "everything ran, and nothing is wrong",
            Self::Failed => "a broker failed",
            Self::Usage => "the configuration or the command line is wrong",
            Self::Breach => "a promise of delivery was broken",
            Self::ObjectiveMissed => "an objective is not met",
            Self::Regression => "something is worse than in the baseline",
            Self::Invalid => "a measurement is invalid",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A measurement and its verdict.
#[derive(Clone, Debug)]
pub(crate) struct Judged<'a> {
    pub(crate) broker: &'a str,
    pub(crate) label: String,
    pub(crate) duration_ns: u64,
    pub(crate) verdict: &'a Verdict,
}

impl Judged<'_> {
    pub(crate) fn is_invalid(&self) -> bool {
        self.verdict.standing == Standing::Invalid
    }
}

impl<'a> Findings<'a> {
    /// Every verdict of the record.
    pub(crate) fn verdicts(&self) -> impl Iterator<Item = Judged<'a>> {
        self.record.brokers.iter().flat_map(|run| {
            let broker = run.name.as_str();
            let operations = run.operations.iter().map(move |result| Judged {
                broker,
                label: operation_label(result.operation.as_str(), result.clients),
                duration_ns: result.duration_ns,
                verdict: &result.verdict,
            });
            let streams = run.streams.iter().map(move |result| Judged {
                broker,
                label: result.label.clone(),
                duration_ns: result.duration_ns,
                verdict: &result.verdict,
            });
            let storms = run.storms.iter().map(move |result| Judged {
                broker,
                label: format!("storm, {} connections", result.connections),
                duration_ns: result.duration_ns,
                verdict: &result.verdict,
            });
            operations.chain(streams).chain(storms)
        })
    }

    /// The breach of one measurement: what follows its name.
    pub(crate) fn breach_of(&self, broker: &str, label: &str) -> Option<&'a str> {
        let name = format!("{broker}: {label}: ");
        self.breaches.iter().find_map(|breach| breach.strip_prefix(&name))
    }

    /// Breaches that are of no stream in the record: backlogs, restarts, outages.
    pub(crate) fn other_breaches(&self) -> impl Iterator<Item = &'a str> {
        self.breaches.iter().map(String::as_str).filter(|breach| {
            !self.record.brokers.iter().any(|run| {
                let is_its = |label: &str| breach.starts_with(&format!("{}: {label}: ", run.name));
                run.streams.iter().any(|stream| is_its(&stream.label))
            })
        })
    }
}

/// `publish, 50 clients`.
pub(crate) fn operation_label(operation: &str, clients: u32) -> String {
    let plural = if clients == 1 { "client" } else { "clients" };
    format!("{operation}, {clients} {plural}")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use measure::{
        BrokerKind, BrokerRun, FORMAT_VERSION, GeneratorFigures, GuaranteeClass, HistogramTag,
        KneeResult, Latency, LatencyHistogram, MachineFacts, ObjectiveOutcome, OperationName,
        OperationResult, SkippedBroker, StreamLatencies, StreamLoad, StreamResult, StreamShape,
    };

    fn latency() -> Latency {
        let mut histogram = LatencyHistogram::new();
        histogram.record_ns_n(80_000, 98_000);
        histogram.record_ns_n(2_000_000, 2_000);
        Latency { summary: histogram.summary(), histogram: HistogramTag::new("t") }
    }

    fn operation() -> OperationResult {
        OperationResult {
            operation: OperationName::PUBLISH,
            clients: 1,
            count: 10_000,
            errors: 0,
            duration_ns: 1_000_000_000,
            throughput_per_s: 10_000.0,
            latency: latency().summary,
            histogram: HistogramTag::new("t"),
            verdict: Verdict::default(),
            resources: None,
            rounds: vec![],
        }
    }

    fn stream(label: &str) -> StreamResult {
        StreamResult {
            label: label.to_owned(),
            shape: StreamShape::new(1, 50),
            topics: 1,
            wildcard: false,
            slow_subscribers: 0,
            churn: None,
            payload_bytes: 100,
            load: StreamLoad::Saturating,
            offered_per_s: None,
            late_sends: 0,
            messages_sent: 20_000,
            messages_expected: 1_000_000,
            messages_received: 1_000_000,
            lost: 0,
            duplicated: 0,
            reordered: 0,
            corrupted: 0,
            late: 0,
            pairs: vec![],
            pairs_left_off: 0,
            duration_ns: 1_500_000_000,
            sent_per_s: 20_000.0,
            delivered_per_s: 1_000_000.0,
            delivered_bytes_per_s: 1e8,
            latencies: StreamLatencies { response: Some(latency()), ..StreamLatencies::default() },
            ratio_to_ceiling: None,
            acknowledged: None,
            verdict: Verdict::default(),
            resources: None,
            generator: GeneratorFigures::default(),
            timeline: vec![],
            rounds: vec![],
        }
    }

    fn broker(name: &str) -> BrokerRun {
        BrokerRun {
            name: name.to_owned(),
            kind: BrokerKind::Broker,
            version: "0.1.0".to_owned(),
            command_line: vec![],
            driver: "tandem-native".to_owned(),
            guarantee: GuaranteeClass::InMemory,
            config_text: None,
            data_place: None,
            operations: vec![operation()],
            streams: vec![stream("stream 1→50, 100 B, saturating")],
            backlogs: vec![],
            restarts: vec![],
            storms: vec![],
            idles: vec![],
            outages: vec![],
            knees: vec![],
            resources: vec![],
            marks: vec![],
        }
    }

    /// A run of two brokers in which nothing is wrong.
    pub(crate) fn good() -> RunRecord {
        RunRecord {
            format_version: FORMAT_VERSION,
            run_id: "demo-20260101T000000Z".to_owned(),
            started_at_unix_ms: 0,
            tandem_version: "0.1.0".to_owned(),
            config_name: "demo".to_owned(),
            config_toml: String::new(),
            machine: MachineFacts {
                cpu_model: "a processor".to_owned(),
                architecture: "x86_64".to_owned(),
                logical_cores: 2,
                memory_bytes: 8 << 30,
                kernel: "Linux".to_owned(),
                os: "an OS".to_owned(),
            },
            brokers: vec![broker("mio"), broker("threaded")],
            skipped: vec![],
            warnings: vec![],
            objectives: vec![],
            ceilings: vec![],
        }
    }

    fn objective(assertion: &str, standing: ObjectiveStanding) -> ObjectiveOutcome {
        ObjectiveOutcome {
            broker: "mio".to_owned(),
            cell: "stream 1→50, 100 B, saturating".to_owned(),
            assertion: assertion.to_owned(),
            observed: (standing != ObjectiveStanding::NotMeasured).then_some(2_000_012.3),
            found: match standing {
                ObjectiveStanding::NotMeasured => "too few samples".to_owned(),
                ObjectiveStanding::Met | ObjectiveStanding::Missed => "2ms".to_owned(),
            },
            standing,
        }
    }

    /// The same run with all that can be wrong, and its failures, breaches and regressions.
    pub(crate) fn bad() -> (RunRecord, [Vec<String>; 3]) {
        let mut record = good();
        record.objectives = vec![
            objective("p99 < 5ms", ObjectiveStanding::Met),
            objective("p99 < 1ms", ObjectiveStanding::Missed),
            objective("p99.999 < 9ms", ObjectiveStanding::NotMeasured),
        ];
        let mio = &mut record.brokers[0];
        mio.streams[0].lost = 3;
        mio.operations[0].verdict.degrade(Standing::Suspect, "the machine was busy | a little");
        mio.knees.push(KneeResult {
            label: "stream 1→1, 100 B, most with p99 < 5ms".to_owned(),
            objective: "p99 < 5ms".to_owned(),
            attempts: vec![],
            rate_per_s: Some(125_000.0),
            confirmed: Some([125_000.0, 131_000.0]),
            answer: "125000 per second; 131000 is missed".to_owned(),
        });
        let threaded = &mut record.brokers[1];
        let reason = "expected a generator thread below 90 % busy, found 99 %";
        threaded.streams[0].verdict.degrade(Standing::Invalid, reason);
        threaded.guarantee = GuaranteeClass::Synced;
        record.warnings.push("the machine was busy".to_owned());
        let reason = "redis-server is not installed".to_owned();
        record.skipped.push(SkippedBroker { name: "redis".to_owned(), reason });
        let failures = vec!["nats: it ended by itself".to_owned()];
        let breaches = vec![
            "mio: stream 1→50, 100 B, saturating: expected all, found 3 lost".to_owned(),
            "mio: crash restart, 9 × 100 B: expected all, found 1 lost".to_owned(),
        ];
        let regressions = vec!["mio: publish, 1 client: p99 12 % slower".to_owned()];
        (record, [failures, breaches, regressions])
    }

    /// The exit of a run with these things wrong.
    fn check(wrong: &[Exit], expected: Exit) {
        let mut record = good();
        let one_if = |exit: Exit| match wrong.contains(&exit) {
            true => vec!["it is so".to_owned()],
            false => Vec::new(),
        };
        if wrong.contains(&Exit::Invalid) {
            record.brokers[0].operations[0].verdict.degrade(Standing::Invalid, "because");
        }
        if wrong.contains(&Exit::ObjectiveMissed) {
            record.objectives.push(objective("p99 < 1ms", ObjectiveStanding::NotMeasured));
        }
        let findings = Findings {
            record: &record,
            failures: &one_if(Exit::Failed),
            breaches: &one_if(Exit::Breach),
            regressions: &one_if(Exit::Regression),
            uncompared: false,
        };
        assert_eq!(Exit::of(&findings), expected, "{wrong:?}");
    }

    #[test]
    fn of_several_codes_the_one_to_mend_first_counts() {
        let order =
            [Exit::Breach, Exit::Failed, Exit::Invalid, Exit::Regression, Exit::ObjectiveMissed];
        check(&[], Exit::Good);
        for (place, &exit) in order.iter().enumerate() {
            check(&[exit], exit);
            check(&order[place..], exit);
        }
    }

    #[test]
    fn what_is_not_met_is_missed_and_what_is_only_suspect_is_not_wrong() {
        let (mut record, _) = bad();
        record.objectives.truncate(1);
        record.brokers.truncate(1);
        let findings = Findings {
            record: &record,
            failures: &[],
            breaches: &[],
            regressions: &[],
            uncompared: false,
        };
        assert_eq!(Exit::of(&findings), Exit::Good);
    }

    #[test]
    fn the_help_has_every_code() {
        let exits = [
            Exit::Good,
            Exit::Failed,
            Exit::Usage,
            Exit::Breach,
            Exit::ObjectiveMissed,
            Exit::Regression,
            Exit::Invalid,
            Exit::Interrupted,
        ];
        for exit in exits {
            assert!(EXIT_CODES.contains(&format!("\n  {:<5}", exit.code())), "{exit:?}");
            assert!(!exit.words().is_empty());
        }
    }
}
