//! A run as JUnit XML, which systems for continuous integration show as tests.
//!
//! Each broker is a suite; its test cases are the verdict and the ledger of each measurement, and
//! each objective. What fails here is what the exit code speaks of, and nothing else: a measurement
//! that is suspect, or a rate that a broker did not keep up with, passes, with its reasons as
//! output.

use crate::exit::{Findings, Judged};
use measure::{BrokerRun, ObjectiveOutcome, ObjectiveStanding, StreamResult};
use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

/// The suite of what is true of the run and of no broker in its record.
const RUN_SUITE: &str = "run";

/// What a run found, as JUnit XML.
///
/// # Errors
/// The XML writer's.
pub fn junit(findings: &Findings<'_>) -> Result<String, SerializeError> {
    let record = findings.record;
    let mut report = Report::new(record.run_id.as_str());
    for broker in &record.brokers {
        report.add_test_suite(suite(findings, broker));
    }
    let mut run = TestSuite::new(RUN_SUITE);
    run.add_test_cases(findings.failures.iter().map(|failure| {
        let (broker, why) = failure.split_once(": ").unwrap_or((RUN_SUITE, failure));
        case(&format!("{broker} runs to its end"), RUN_SUITE, failed("failed", why))
    }));
    run.add_test_cases(findings.other_breaches().map(|breach| {
        let name = breach.split(": expected").next().unwrap_or(breach);
        case(&format!("{name}: ledger"), "ledger", failed("delivery-breach", breach))
    }));
    run.add_test_cases(
        findings
            .regressions
            .iter()
            .map(|regression| case(regression, "baseline", failed("regression", regression))),
    );
    run.add_test_cases(record.skipped.iter().map(|skipped| {
        let mut status = TestCaseStatus::skipped();
        status.set_message(skipped.reason.as_str());
        case(&skipped.name, "skipped", status)
    }));
    let elsewhere = record
        .objectives
        .iter()
        .filter(|objective| !record.brokers.iter().any(|broker| broker.name == objective.broker));
    run.add_test_cases(elsewhere.map(objective));
    if !run.test_cases.is_empty() {
        report.add_test_suite(run);
    }
    report.to_string()
}

fn suite(findings: &Findings<'_>, broker: &BrokerRun) -> TestSuite {
    let mut suite = TestSuite::new(broker.name.as_str());
    suite.add_property(("guarantee", broker.guarantee.name()));
    suite.add_property(("driver", broker.driver.as_str()));
    suite.add_property(("version", broker.version.as_str()));
    let verdicts = findings.verdicts().filter(|judged| judged.broker == broker.name);
    suite.add_test_cases(verdicts.map(|judged| verdict(&judged)));
    suite.add_test_cases(broker.streams.iter().map(|stream| ledger(findings, broker, stream)));
    let objectives = &findings.record.objectives;
    let own = objectives.iter().filter(|objective| objective.broker == broker.name);
    suite.add_test_cases(own.map(objective));
    suite
}

fn verdict(judged: &Judged<'_>) -> TestCase {
    let reasons = judged.verdict.reasons.join("\n");
    let status = match judged.is_invalid() {
        true => failed("invalid", &reasons),
        false => TestCaseStatus::success(),
    };
    let mut case = case(&format!("{}: verdict", judged.label), "verdict", status);
    case.set_time(Duration::from_nanos(judged.duration_ns));
    if !judged.is_invalid() && !reasons.is_empty() {
        case.set_system_out(format!("{}: {reasons}", judged.verdict.standing));
    }
    case
}

fn ledger(findings: &Findings<'_>, broker: &BrokerRun, stream: &StreamResult) -> TestCase {
    let status = match findings.breach_of(&broker.name, &stream.label) {
        Some(breach) => failed("delivery-breach", breach),
        None => TestCaseStatus::success(),
    };
    case(&format!("{}: ledger", stream.label), "ledger", status)
}

fn objective(objective: &ObjectiveOutcome) -> TestCase {
    let ObjectiveOutcome { cell, assertion, found, standing, .. } = objective;
    let status = match standing {
        ObjectiveStanding::Met => TestCaseStatus::success(),
        ObjectiveStanding::Missed => {
            failed("objective", &format!("expected {assertion}, found {found}"))
        }
        ObjectiveStanding::NotMeasured => {
            failed("objective", &format!("expected {assertion}, found nothing: {found}"))
        }
    };
    case(&format!("{cell}: {assertion}"), "objective", status)
}

fn case(name: &str, class: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    case
}

/// What the exit code speaks of: a broker that failed is an error, anything else a failure.
fn failed(kind: &str, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(match kind {
        "failed" | "invalid" => NonSuccessKind::Error,
        _ => NonSuccessKind::Failure,
    });
    status.set_type(kind).set_message(message);
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::tests::{bad, good};

    #[test]
    fn everything_that_can_be_wrong_is_a_test_that_fails() {
        let (record, [failures, breaches, regressions]) = bad();
        let findings = Findings {
            record: &record,
            failures: &failures,
            breaches: &breaches,
            regressions: &regressions,
            uncompared: false,
        };
        insta::assert_snapshot!(junit(&findings).unwrap());
    }

    #[test]
    fn of_a_good_run_every_test_passes() {
        let record = good();
        let findings = Findings {
            record: &record,
            failures: &[],
            breaches: &[],
            regressions: &[],
            uncompared: false,
        };
        let xml = junit(&findings).unwrap();
        assert!(xml.contains("tests=\"6\" skipped=\"0\" failures=\"0\" errors=\"0\""), "{xml}");
        let parsed = Report::deserialize_from_str(&xml).unwrap();
        assert_eq!(parsed.test_suites.len(), 2);
    }
}
