//! Every format, of a comparison in which there is something of everything.

use super::*;
use measure::comparison::Change;

fn sample() -> Comparison {
    serde_json::from_str(include_str!("../../../measure/tests/data/comparison.json"))
        .expect("the sample is kept in the current format")
}

fn shown(format: Format) -> String {
    format.show(&sample(), THRESHOLD_PERCENT).unwrap()
}

#[test]
fn the_table_says_first_what_the_comparison_comes_to_and_last_how_it_was_made() {
    insta::assert_snapshot!(shown(Format::Table));
}

#[test]
fn markdown_holds_one_table_and_what_was_left_out() {
    insta::assert_snapshot!(shown(Format::Markdown));
}

#[test]
fn junit_fails_what_is_worse_and_skips_what_cannot_be_told() {
    insta::assert_snapshot!(shown(Format::Junit));
}

#[test]
fn json_holds_everything() {
    insta::assert_snapshot!(shown(Format::Json));
    assert_eq!(serde_json::from_str::<Comparison>(&shown(Format::Json)).unwrap(), sample());
}

#[test]
fn the_exit_code_tells_regressions_past_the_threshold_and_nothing_compared() {
    let mut comparison = sample();
    assert_eq!(exit_code(&comparison, THRESHOLD_PERCENT), EXIT_REGRESSION);
    assert_eq!(exit_code(&comparison, 1000.0), 0);
    for metric in comparison.cells.iter_mut().flat_map(|cell| &mut cell.metrics) {
        metric.verdict = Change::WithinNoise;
    }
    assert_eq!(exit_code(&comparison, 0.0), 0);
    comparison.cells.clear();
    assert_eq!(exit_code(&comparison, 0.0), EXIT_NOTHING_COMPARED);
}
