//! A comparison as a JUnit report: what is worse has failed, what cannot be told was skipped.

use super::CompareError;
use measure::comparison::{Change, ComparedCell, ComparedMetric, Comparison};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// A suite for each cell, a test case for each of its metrics.
pub(super) fn junit(
    comparison: &Comparison,
    threshold_percent: f64,
) -> Result<String, CompareError> {
    let title = format!("{} against {}", comparison.b.run_id, comparison.a.run_id);
    let mut report = Report::new(title);
    for cell in &comparison.cells {
        let mut suite = TestSuite::new(format!("{}: {}", cell.broker(), cell.label));
        if let Some(reason) = &cell.incomparable {
            suite.add_test_case(case(cell, "comparison", skipped(&reason.to_string())));
        }
        for metric in &cell.metrics {
            let status = status(metric, threshold_percent);
            suite.add_test_case(case(cell, metric.metric.name(), status));
        }
        report.add_test_suite(suite);
    }
    if !comparison.left_out.is_empty() {
        let mut suite = TestSuite::new("left out");
        for left_out in &comparison.left_out {
            suite.add_test_case(TestCase::new(&*left_out.what, skipped(&left_out.why)));
        }
        report.add_test_suite(suite);
    }
    report
        .to_string()
        .map_err(|error| CompareError::Encode { format: "JUnit", reason: error.to_string() })
}

fn case(cell: &ComparedCell, name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(cell.broker());
    case
}

fn status(metric: &ComparedMetric, threshold_percent: f64) -> TestCaseStatus {
    let change = metric.difference.map_or(0.0, |difference| difference.change_percent());
    match &metric.verdict {
        Change::Incomparable(reason) => skipped(&reason.to_string()),
        Change::Worse if change.abs() >= threshold_percent => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type("regression").set_message(format!(
                "{} went from {} to {}: {}, p {}, noise {}",
                metric.metric.label(),
                metric.estimate_in_words(metric.a),
                metric.estimate_in_words(metric.b),
                metric.change_in_words(),
                metric.p_in_words(),
                metric.noise_in_words()
            ));
            status
        }
        Change::Worse | Change::Better | Change::WithinNoise => TestCaseStatus::success(),
    }
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(why);
    status
}
