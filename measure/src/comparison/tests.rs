//! Whole comparisons of made-up runs: what is found, what is not, and what cannot be told.

use fastrand::Rng;

use super::cell::{Cell, KIND, Repeat, Run, SHAPE, Validity};
use super::compare::compare_runs;
use super::*;
use crate::statistics::{Bootstrap, Drift};
use crate::{BrokerKind, MachineFacts};

/// Fewer resamples than usual: verdicts do not depend on intervals.
fn options() -> CompareOptions<'static> {
    let bootstrap = Bootstrap { resamples: 200, ..Bootstrap::default() };
    CompareOptions { bootstrap, ..CompareOptions::default() }
}

fn machine() -> MachineFacts {
    MachineFacts {
        cpu_model: "Example CPU".to_owned(),
        architecture: "x86_64".to_owned(),
        logical_cores: 2,
        memory_bytes: 8_000_000_000,
        kernel: "Linux 6.1.0".to_owned(),
        os: "Example OS".to_owned(),
    }
}

fn run(run_id: &str, cells: Vec<Cell>) -> Run {
    Run {
        facts: ComparedRun {
            run_id: run_id.to_owned(),
            started_at_unix_ms: 0,
            tandem_version: "0.1.0".to_owned(),
            config_name: "synthetic".to_owned(),
            machine: machine(),
        },
        machine: vec![Fact::new("kernel", "Linux 6.1.0"), Fact::new("logical cores", &2)],
        config_toml: String::new(),
        cells,
    }
}

/// A stream of which only the deliveries were measured, once for each value.
fn cell(broker: &str, values: &[f64]) -> Cell {
    let repeats =
        values.iter().map(|value| repeat(Validity::Valid, &[(Metric::DeliveredPerS, *value)]));
    Cell {
        broker: broker.to_owned(),
        kind: BrokerKind::Broker,
        guarantee: "in memory".to_owned(),
        label: "1→50, 100 B".to_owned(),
        facts: vec![
            Fact::new(KIND, "stream"),
            Fact::new(SHAPE, "1→50"),
            Fact::new("payload", "100 B"),
            Fact::new("load", "saturating"),
        ],
        validity: Validity::Valid,
        reasons: vec![],
        repeats: repeats.collect(),
    }
}

fn repeat(validity: Validity, values: &[(Metric, f64)]) -> Repeat {
    Repeat::new(validity, values.iter().map(|(metric, value)| (*metric, Some(*value))))
}

fn with_fact(mut cell: Cell, name: &str, value: &str) -> Cell {
    let fact = cell.facts.iter_mut().find(|fact| fact.name == name).unwrap();
    fact.value = value.to_owned();
    cell
}

fn of_cells(a: Cell, b: Cell) -> Comparison {
    compare_runs(&run("a", vec![a]), &run("b", vec![b]), &options())
}

/// The reason why the only cell, or its only metric, cannot be compared.
fn reason(comparison: &Comparison) -> &Incomparable {
    let [cell] = &comparison.cells[..] else { panic!("{comparison:?}") };
    match (&cell.incomparable, &cell.metrics[..]) {
        (Some(reason), []) => reason,
        (None, [ComparedMetric { verdict: Change::Incomparable(reason), .. }]) => reason,
        _ => panic!("{cell:?}"),
    }
}

fn only_verdict(comparison: &Comparison) -> &Change {
    &comparison.cells[0].metrics[0].verdict
}

/// A standard normal variate (Box and Muller, 1958).
fn normal(random: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

/// An autoregressive drift of order one, in logarithms.
struct Ar1 {
    value: f64,
    alike: f64,
    spread: f64,
}

impl Ar1 {
    fn new(alike: f64, spread: f64, random: &mut Rng) -> Self {
        Self { value: spread * normal(random), alike, spread }
    }

    fn next(&mut self, random: &mut Rng) -> f64 {
        let fresh = (1.0 - self.alike * self.alike).sqrt() * self.spread;
        self.value = self.alike * self.value + fresh * normal(random);
        self.value
    }
}

/// The metrics of synthetic repeats, and their true medians.
const MEDIANS: [(Metric, f64); 6] = [
    (Metric::DeliveredPerS, 400e3),
    (Metric::ServiceP50, 180e3),
    (Metric::ServiceP99, 900e3),
    (Metric::ResponseP99, 1.2e6),
    (Metric::CpuUsPerDelivery, 1.4),
    (Metric::ResidentBytes, 20e6),
];

/// What a side's repeats are made of.
#[derive(Clone, Copy)]
struct Synthetic {
    repeats: usize,
    /// Independent noise, in logarithms.
    noise: f64,
    /// Autocorrelation and spread of the drift, which all metrics of a repeat share.
    drift: (f64, f64),
}

/// A repeat's figures: `speed` is how fast everything is.
fn synthetic_repeat(speed: f64, noise: f64, random: &mut Rng) -> Repeat {
    let values = MEDIANS.map(|(metric, median)| {
        let factor = match metric.direction() {
            Direction::HigherIsBetter => speed,
            Direction::LowerIsBetter => 1.0 / speed,
        };
        (metric, median * factor * (noise * normal(random)).exp())
    });
    repeat(Validity::Valid, &values)
}

/// Two runs, one after the other, each with a drift of its own.
fn apart(made: Synthetic, speed_b: f64, random: &mut Rng) -> Comparison {
    apart_with(made, speed_b, random, None)
}

/// The same, with the noise of another two such runs.
fn apart_with(
    made: Synthetic,
    speed_b: f64,
    random: &mut Rng,
    noise: Option<&Comparison>,
) -> Comparison {
    let [a, b] = [1.0, speed_b].map(|speed| {
        let mut drift = Ar1::new(made.drift.0, made.drift.1, random);
        let repeats = (0..made.repeats).map(|_| {
            let speed = speed * drift.next(random).exp();
            synthetic_repeat(speed, made.noise, random)
        });
        Cell { repeats: repeats.collect(), ..cell("tandem", &[]) }
    });
    let options = CompareOptions { noise, ..options() };
    compare_runs(&run("a", vec![a]), &run("b", vec![b]), &options)
}

/// Two brokers that take turns in one run, by ABBA, under one drift.
fn taking_turns(made: Synthetic, speed_b: f64, random: &mut Rng) -> Comparison {
    let mut drift = Ar1::new(made.drift.0, made.drift.1, random);
    let (mut a, mut b) = (cell("old", &[]), cell("new", &[]));
    for round in 0..made.repeats {
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for side in order {
            let at = drift.next(random).exp();
            let (cell, speed) = if side == 0 { (&mut a, at) } else { (&mut b, at * speed_b) };
            cell.repeats.push(synthetic_repeat(speed, made.noise, random));
        }
    }
    let one = run("one", vec![a, b]);
    let pairs = vec![("old".to_owned(), "new".to_owned())];
    compare_runs(&one, &one, &CompareOptions { pairs, ..options() })
}

/// In how many of 100 seeds the comparison is as wanted.
fn seeds(compared: impl Fn(&mut Rng) -> Comparison, wanted: impl Fn(&Comparison) -> bool) -> usize {
    (0..100).filter(|seed| wanted(&compared(&mut Rng::with_seed(*seed)))).count()
}

fn nothing_differs(comparison: &Comparison) -> bool {
    let tally = comparison.tally();
    tally.better + tally.worse == 0 && tally.within_noise == MEDIANS.len() as u32
}

fn all_worse(comparison: &Comparison) -> bool {
    comparison.tally().worse == MEDIANS.len() as u32
}

const STEADY: Synthetic = Synthetic { repeats: 10, noise: 0.03, drift: (0.0, 0.0) };

#[test]
fn like_and_like_under_lognormal_noise_do_not_differ() {
    for repeats in [5, 7, 10, 20] {
        let made = Synthetic { repeats, noise: 0.08, ..STEADY };
        let good = seeds(
            |random| apart(made, 1.0, random),
            |compared| {
                let tally = compared.tally();
                tally.better + tally.worse == 0
            },
        );
        assert!(good >= 95, "{repeats} repeats: {good} of 100");
    }
    let good = seeds(|random| apart(STEADY, 1.0, random), nothing_differs);
    assert!(good >= 95, "{good} of 100");
}

#[test]
fn like_and_like_in_runs_that_drift_apart_a_little_do_not_differ() {
    let made = Synthetic { drift: (0.3, 0.02), ..STEADY };
    let good = seeds(|random| apart(made, 1.0, random), nothing_differs);
    assert!(good >= 95, "{good} of 100");
}

/// From within two runs such a drift cannot be told from a difference; a third run can tell.
#[test]
fn like_and_like_in_runs_that_drift_apart_do_not_differ_by_more_than_stored_noise() {
    let made = Synthetic { drift: (0.5, 0.02), ..STEADY };
    let compared = |random: &mut Rng| {
        let noise = apart(made, 1.0, random);
        apart_with(made, 1.0, random, Some(&noise))
    };
    let good = seeds(compared, nothing_differs);
    assert!(good >= 95, "{good} of 100");
}

#[test]
fn like_and_like_that_take_turns_do_not_differ_however_much_they_drift() {
    for alike in [0.5, 0.8, 0.95] {
        let made = Synthetic { noise: 0.02, drift: (alike, 0.06), ..STEADY };
        let good = seeds(|random| taking_turns(made, 1.0, random), nothing_differs);
        assert!(good >= 95, "autocorrelation {alike}: {good} of 100");
    }
}

#[test]
fn a_slowdown_by_a_tenth_is_found_under_3_percent_of_noise() {
    let good = seeds(
        |random| apart(STEADY, 0.9, random),
        |compared| {
            let delivered = &compared.cells[0].metrics[0];
            delivered.metric == Metric::DeliveredPerS && delivered.verdict == Change::Worse
        },
    );
    assert!(good >= 95, "{good} of 100");
    let good = seeds(|random| taking_turns(STEADY, 0.9, random), all_worse);
    assert!(good >= 95, "taking turns: {good} of 100");
}

#[test]
fn a_speedup_is_better_in_both_directions() {
    let compared = apart(STEADY, 1.25, &mut Rng::with_seed(1));
    assert_eq!(compared.tally().better, MEDIANS.len() as u32, "{compared:?}");
    assert_eq!(compared.regressions(0.0).count(), 0);
}

#[test]
fn regressions_are_those_past_the_threshold() {
    let compared = apart(STEADY, 0.8, &mut Rng::with_seed(1));
    assert!(all_worse(&compared));
    assert_eq!(compared.regressions(5.0).count(), MEDIANS.len());
    assert_eq!(compared.regressions(60.0).count(), 0);
    let delivered = compared.regressions(5.0).next().unwrap();
    assert!((delivered.difference.change_percent() - -20.0).abs() < 5.0);
}

#[test]
fn other_machines_are_not_compared() {
    let a = run("a", vec![cell("tandem", &[1.0; 6])]);
    let mut b = run("b", vec![cell("tandem", &[1.0; 6])]);
    b.machine[0].value = "Linux 6.2.0".to_owned();
    let compared = compare_runs(&a, &b, &options());
    let words = reason(&compared).to_string();
    assert!(words.contains("kernel is Linux 6.1.0 in A and Linux 6.2.0 in B"), "{words}");
}

#[test]
fn other_guarantees_are_not_compared() {
    let synced = Cell { guarantee: "synced".to_owned(), ..cell("tandem", &[1.0; 6]) };
    let compared = of_cells(cell("tandem", &[1.0; 6]), synced);
    let expected = Incomparable::Guarantee { a: "in memory".to_owned(), b: "synced".to_owned() };
    assert_eq!(*reason(&compared), expected);
}

#[test]
fn other_configurations_are_not_compared_and_the_nearest_is_told() {
    for (name, value) in [("payload", "1000 B"), ("load", "1000 msgs/s")] {
        let other = with_fact(cell("tandem", &[1.0; 6]), name, value);
        let compared = of_cells(cell("tandem", &[1.0; 6]), other);
        let words = reason(&compared).to_string();
        assert!(words.contains(&format!("{name} is")) && words.contains(value), "{words}");
    }
}

#[test]
fn other_shapes_and_brokers_are_left_out() {
    let other = with_fact(cell("tandem", &[1.0; 6]), SHAPE, "8→8");
    let compared = of_cells(cell("tandem", &[1.0; 6]), other);
    assert!(compared.cells.is_empty());
    let whys: Vec<_> = compared.left_out.iter().map(|left| left.why.as_str()).collect();
    assert_eq!(whys, ["only A has it", "only B has it"]);
    assert_eq!(of_cells(cell("x", &[1.0]), cell("y", &[1.0])).left_out.len(), 2);
}

#[test]
fn brokers_of_other_names_can_be_paired() {
    let pairs = vec![("x".to_owned(), "y".to_owned())];
    let (a, b) = (run("a", vec![cell("x", &[1.0; 6])]), run("b", vec![cell("y", &[1.0; 6])]));
    let compared = compare_runs(&a, &b, &CompareOptions { pairs, ..options() });
    assert_eq!(compared.cells[0].broker(), "x → y");
    assert_eq!(*only_verdict(&compared), Change::WithinNoise);
}

#[test]
fn within_one_run_only_paired_brokers_are_compared() {
    let cells = ["old", "new", "other"].map(|broker| cell(broker, &[1.0; 6])).to_vec();
    let one = run("one", cells);
    let paired = |in_b: &str| {
        let pairs = vec![("old".to_owned(), in_b.to_owned())];
        compare_runs(&one, &one, &CompareOptions { pairs, ..options() })
    };
    let compared = paired("new");
    assert_eq!((compared.cells.len(), compared.left_out.len()), (1, 0), "{compared:?}");
    assert_eq!(compared.method.drift, Drift::Shared);
    assert_eq!(paired("mew").notes, ["old was paired with mew, and B has no such broker"]);
    let itself = compare_runs(&one, &one, &options());
    assert!(itself.notes[0].starts_with("A and B are the same run"));
}

#[test]
fn a_side_without_a_valid_repeat_is_not_compared() {
    let mut invalid = cell("tandem", &[1.0; 6]);
    invalid.reasons = vec!["the generator was the bottleneck".to_owned()];
    for repeat in &mut invalid.repeats {
        repeat.validity = Validity::Invalid;
    }
    let compared = of_cells(cell("tandem", &[1.0; 6]), invalid);
    let words = reason(&compared).to_string();
    assert!(words.contains("B is invalid: the generator was the bottleneck"), "{words}");
}

#[test]
fn invalid_repeats_are_left_out_and_counted() {
    let mut a = cell("tandem", &[100.0, 101.0, 99.0, 100.5, 99.5, 100.2]);
    a.repeats.push(repeat(Validity::Invalid, &[(Metric::DeliveredPerS, 1.0)]));
    a.repeats[0].validity = Validity::Suspect;
    let compared = of_cells(a.clone(), a);
    let repeats = compared.cells[0].repeats_a;
    assert_eq!(repeats, Repeats { valid: 6, invalid: 1, suspect: 1, unsustainable: 0 });
    let median = compared.cells[0].metrics[0].a.unwrap();
    assert!(median.interval.low > 98.0, "{median:?}");
}

#[test]
fn latencies_of_a_broker_that_did_not_keep_up_are_not_compared_and_its_rate_is() {
    let cell = |validity, rate: f64| {
        let repeats = [1.0, 1.01, 0.99, 1.005, 0.995, 1.002].map(|noise| {
            let values =
                [(Metric::DeliveredPerS, rate * noise), (Metric::ResponseP99, 1e6 * noise)];
            repeat(validity, &values)
        });
        Cell { repeats: repeats.to_vec(), ..cell("tandem", &[]) }
    };
    let compared = of_cells(cell(Validity::Valid, 100.0), cell(Validity::Unsustainable, 80.0));
    let [rate, latency] = &compared.cells[0].metrics[..] else { panic!("{compared:?}") };
    assert_eq!(rate.verdict, Change::Worse);
    let reason = Incomparable::Unsustainable { side: Side::B };
    assert_eq!(latency.verdict, Change::Incomparable(reason));
    assert_eq!(compared.cells[0].repeats_b.unsustainable, 6);
}

#[test]
fn four_valid_repeats_are_too_few_to_claim_anything() {
    let mut few = cell("tandem", &[1.0; 6]);
    few.repeats[0].validity = Validity::Invalid;
    few.repeats[1].validity = Validity::Invalid;
    let compared = of_cells(cell("tandem", &[1.0; 6]), few);
    assert_eq!(*reason(&compared), Incomparable::TooFewRepeats { a: 6, b: 4, needed: 5 });
    let words = reason(&compared).to_string();
    assert!(words.starts_with("too few repeats to tell: 4 of 5"), "{words}");
}

#[test]
fn what_one_side_did_not_measure_is_told() {
    let mut without = cell("tandem", &[1.0; 6]);
    for repeat in &mut without.repeats {
        repeat.values = vec![];
    }
    let compared = of_cells(cell("tandem", &[1.0; 6]), without);
    assert_eq!(*reason(&compared), Incomparable::NotMeasured { side: Side::B });
}

#[test]
fn zeros_have_no_ratio() {
    let compared = of_cells(cell("tandem", &[0.0; 6]), cell("tandem", &[1.0; 6]));
    assert_eq!(*reason(&compared), Incomparable::NoRatio { side: Side::A });
}

/// Ten brokers, five repeats each, far apart: p cannot fall below 0.0079, or 0.079 over ten tests.
#[test]
fn a_test_that_could_not_have_told_says_so() {
    let cells = |value: f64| {
        let values = [1.0, 1.01, 0.99, 1.005, 0.995].map(|noise| noise * value);
        (0..10).map(|broker| cell(&format!("broker-{broker}"), &values)).collect()
    };
    let compared = compare_runs(&run("a", cells(100.0)), &run("b", cells(50.0)), &options());
    let Change::Incomparable(reason) = only_verdict(&compared) else { panic!("{compared:?}") };
    assert_eq!(
        reason.to_string(),
        "too few repeats to tell: p could not fall below 0.0079, which over 10 tests is 0.079; \
         set repeat to 6 or more, or name fewer metrics"
    );
    let compared = of_cells(cell("x", &[1.0, 1.01, 0.99, 1.005, 0.995]), {
        cell("x", &[0.5, 0.51, 0.49, 0.505, 0.495])
    });
    assert_eq!(*only_verdict(&compared), Change::Worse, "one test needs no more than five");
}

#[test]
fn a_significant_difference_within_the_noise_floor_is_noise() {
    let wide = |centre: f64| {
        let mut values: Vec<f64> = (0..12).map(|i| centre * (1.0 + 0.02 * f64::from(i))).collect();
        Rng::with_seed(3).shuffle(&mut values);
        cell("tandem", &values)
    };
    let compared = of_cells(wide(100.0), wide(110.0));
    let difference = compared.cells[0].metrics[0].difference.unwrap();
    assert!(difference.p_adjusted < 0.05 && difference.noise_floor_ratio > 1.1, "{difference:?}");
    assert_eq!(*only_verdict(&compared), Change::WithinNoise);
}

#[test]
fn a_comparison_of_like_with_like_sets_the_floor_where_it_is_higher() {
    let at = |centre: f64| {
        let values = [1.0, 1.01, 0.99, 1.005, 0.995, 1.002].map(|noise| noise * centre);
        cell("tandem", &values)
    };
    let noise = of_cells(at(100.0), at(92.0));
    let (a, b) = (run("a", vec![at(100.0)]), run("b", vec![at(94.0)]));
    assert_eq!(*only_verdict(&compare_runs(&a, &b, &options())), Change::Worse);
    let with_noise = CompareOptions { noise: Some(&noise), ..options() };
    let compared = compare_runs(&a, &b, &with_noise);
    assert_eq!(*only_verdict(&compared), Change::WithinNoise);
    let difference = compared.cells[0].metrics[0].difference.unwrap();
    assert_eq!(difference.noise_source, NoiseSource::StoredComparison);
    assert_eq!(compared.method.noise_of.as_deref(), Some("a against b"));
}

#[test]
fn a_ceiling_that_changed_is_noted_and_is_no_regression() {
    let pipe = |centre: f64| {
        let values = [1.0, 1.01, 0.99, 1.005, 0.995, 1.002].map(|noise| noise * centre);
        Cell { kind: BrokerKind::Ceiling, ..cell("byte-pipe", &values) }
    };
    let compared = of_cells(pipe(100.0), pipe(80.0));
    assert_eq!(*only_verdict(&compared), Change::Worse);
    assert_eq!(compared.regressions(0.0).count(), 0);
    assert!(compared.notes[0].starts_with("byte-pipe, which is no broker, changed too"));
}

#[test]
fn only_the_named_metrics_are_compared_and_their_figures_stay() {
    let random = &mut Rng::with_seed(5);
    let [a, b] = [1.0, 0.8].map(|speed| {
        let repeats = (0..8).map(|_| synthetic_repeat(speed, 0.03, random)).collect();
        run(&speed.to_string(), vec![Cell { repeats, ..cell("tandem", &[]) }])
    });
    let all = compare_runs(&a, &b, &options());
    let metrics = vec![Metric::ServiceP99];
    let one = compare_runs(&a, &b, &CompareOptions { metrics, ..options() });
    assert_eq!((all.method.tests, one.method.tests), (6, 1));
    let [found] = &one.cells[0].metrics[..] else { panic!("{one:?}") };
    let in_all = all.cells[0].metrics.iter().find(|m| m.metric == Metric::ServiceP99).unwrap();
    assert_eq!(found.difference.unwrap().ratio, in_all.difference.unwrap().ratio);
}

#[test]
fn a_comparison_comes_back_from_json_as_it_was() {
    let compared = apart(STEADY, 0.9, &mut Rng::with_seed(1));
    let json = serde_json::to_string(&compared).unwrap();
    assert_eq!(serde_json::from_str::<Comparison>(&json).unwrap(), compared);
    assert!(matches!(compared.method.drift, Drift::Separate(_)));
}

/// Something of everything that a comparison can say, for the tests of those who show it.
fn sample() -> Comparison {
    let random = &mut Rng::with_seed(11);
    let mut side = |run_id: &str, started_at_unix_ms, speed: f64| {
        let mut made = |speed: f64, noise, broker| {
            let repeats = (0..10).map(|_| synthetic_repeat(speed, noise, random)).collect();
            Cell { repeats, ..cell(broker, &[]) }
        };
        let mut threaded = made(1.0, 0.01, "tandem-threaded");
        for (index, repeat) in threaded.repeats.iter_mut().enumerate() {
            // The first is invalid; of acknowledgements there are too few.
            repeat.validity = if index == 0 { Validity::Invalid } else { Validity::Valid };
            if index < 4 {
                repeat.values.push((Metric::AcknowledgementP99, 2e6 + index as f64));
            }
        }
        let mut mosquitto = made(0.2, 0.01, "mosquitto");
        if speed < 1.0 {
            mosquitto.guarantee = "acknowledged after sync".to_owned();
        }
        let brokers = vec![
            made(speed, 0.01, "tandem-mio"),
            threaded,
            made(1.0 / speed, 0.02, "nats|server"),
            mosquitto,
            with_fact(
                made(1.0, 0.01, "redis"),
                "payload",
                if speed < 1.0 { "1000 B" } else { "100 B" },
            ),
            cell(&format!("only-{run_id}"), &[1.0; 6]),
        ];
        let mut run = run(run_id, brokers);
        run.facts.started_at_unix_ms = started_at_unix_ms;
        run
    };
    let a = side("before", 1_700_000_000_000, 1.0);
    let b = side("after", 1_700_003_600_000, 0.9);
    compare_runs(&a, &b, &CompareOptions::default())
}

/// To write it anew: `cargo test -p measure sample -- --ignored`.
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/comparison.json");

#[test]
fn the_sample_is_such_a_comparison() {
    let stored: Comparison =
        serde_json::from_str(&std::fs::read_to_string(SAMPLE).unwrap()).unwrap();
    let made = sample();
    assert_eq!((stored.tally(), &stored.left_out), (made.tally(), &made.left_out));
    let Tally { better, worse, within_noise, incomparable } = made.tally();
    assert!(better > 0 && worse > 0 && within_noise > 0 && incomparable > 2, "{:?}", made.tally());
}

#[test]
#[ignore = "it writes a file of the sources"]
fn write_the_sample() {
    let json = serde_json::to_string_pretty(&sample()).unwrap();
    std::fs::write(SAMPLE, json + "\n").unwrap();
}

#[test]
fn one_seed_gives_one_comparison() {
    let compared = |seed| apart(STEADY, 0.97, &mut Rng::with_seed(seed));
    assert_eq!(compared(3), compared(3));
}
