use super::quantity::{Kind, QUANTITY_MAX};
use super::*;
use proptest::prelude::*;

fn objective(text: &str) -> Objective {
    text.parse().unwrap()
}

fn refused(text: &str) -> String {
    text.parse::<Objective>().unwrap_err().to_string()
}

#[track_caller]
fn check_canonical(text: &str, canonical: &str) {
    assert_eq!(objective(text).to_string(), canonical);
    assert_eq!(objective(canonical), objective(text));
}

#[test]
fn what_is_written_is_written_back_in_one_way() {
    for (text, canonical) in [
        ("p99 < 5ms", "response.p99 < 5ms"),
        ("response.p99.9 <= 20ms", "response.p99.9 <= 20ms"),
        ("service.p50<200us", "service.p50 < 200us"),
        ("service.p50 < 0.2ms", "service.p50 < 200us"),
        ("service.p50 < 200µs", "service.p50 < 200us"),
        ("acknowledgement.p99 < 1500us", "acknowledgement.p99 < 1.5ms"),
        ("lateness.p100 < 1s", "lateness.max < 1s"),
        ("  max  <  90 s  ", "response.max < 90s"),
        ("healthy_response.p99.990 < 1.234567ms", "healthy_response.p99.99 < 1.234567ms"),
        ("handshake.p99 < 50ms", "handshake.p99 < 50ms"),
        ("lost == 0", "lost == 0"),
        ("duplicated == 0", "duplicated == 0"),
        ("delivered_per_s >= 100_000", "delivered_per_s >= 100k"),
        ("delivered_per_s >= 1500k", "delivered_per_s >= 1.5M"),
        ("throughput_per_s >= 50123", "throughput_per_s >= 50123"),
        ("throughput_per_s >= 0.5", "throughput_per_s >= 0.5"),
        ("cpu_us_per_delivery < 2", "cpu_us_per_delivery < 2"),
        ("cpu_us_per_delivery < 12345.678901", "cpu_us_per_delivery < 12345.678901"),
        ("resident_bytes < 200MB", "resident_bytes < 200MB"),
        ("resident_bytes < 200MiB", "resident_bytes < 200MiB"),
        ("resident_bytes < 1.5KiB", "resident_bytes < 1536B"),
        ("resident_bytes < 1.5GB", "resident_bytes < 1.5GB"),
        ("bytes_per_connection <= 4096", "bytes_per_connection <= 4KiB"),
        ("ready_ms < 1000", "ready_ms < 1000"),
        ("ratio_to_ceiling >= 0.80", "ratio_to_ceiling >= 0.8"),
        ("sent_per_s > 2G", "sent_per_s > 2G"),
    ] {
        check_canonical(text, canonical);
    }
}

#[test]
fn errors_say_where_and_what_was_expected() {
    for (text, error) in [
        ("p99 < 5", "column 8: expected a unit (ns, us, ms or s), found the end"),
        (
            "p99 < 5 MS",
            "column 9: expected a unit (ns, us, ms or s), found `MS`; did you mean `ms`?",
        ),
        ("ready_ms < 1s", "column 13: expected no unit: the figure's name says it, found `s`"),
        (
            "delivered_per_s >= 5K",
            "column 21: expected no unit, or k, M or G, found `K`; did you mean `k`?",
        ),
        (
            "resident_bytes < 5 mib",
            "column 20: expected no unit, or B, kB, KiB, MB, MiB, GB or GiB, found `mib`; \
             did you mean `MiB`?",
        ),
        (
            "lost = 0",
            "column 6: expected one of <, <=, ==, >= and >, found `=`; did you mean `==`?",
        ),
        ("lost", "column 5: expected one of <, <=, ==, >= and >, found the end"),
        ("lost < -1", "column 8: expected a number from 0 on, such as 100 or 2.5, found `-1`"),
        ("lost < 1.", "column 8: expected a number from 0 on, such as 100 or 2.5, found `1.`"),
        ("lost < 0.5", "column 8: expected a whole number, found `0.5`"),
        ("p99 < 0.5ns", "column 7: expected a whole number of ns, found `0.5ns`"),
        (
            "cpu_us_per_delivery < 0.1234567",
            "column 23: expected at most six decimals, found `0.1234567`",
        ),
        ("lost < 9999999999G", "column 8: expected at most 1000000000G, found `9999999999G`"),
        (
            "p99 < 5ms and lost == 0",
            "column 11: expected the end: one objective, and no more, found `and`",
        ),
        (
            "response < 5ms",
            "column 9: expected a percentile, such as `response.p99`, or `response.max`, found `<`",
        ),
        (
            "response.99 < 5ms",
            "column 9: expected a percentile, such as `response.p99`, or `response.max`, \
             found `.99`",
        ),
        ("é.p1 ≤ 1s", "column 1: expected the name of a figure, found `é.p1`"),
    ] {
        let found = refused(text);
        assert!(found.starts_with(error), "{text}\nexpected: {error}\nfound:    {found}");
    }
}

#[test]
fn unknown_names_are_met_with_the_nearest_and_all_others() {
    let suggestion = |text: &str| text.parse::<Objective>().unwrap_err().suggestion;
    for (text, nearest) in [
        ("lots == 0", Some("lost")),
        ("deliverd_per_s > 1", Some("delivered_per_s")),
        ("resident_byte < 1", Some("resident_bytes")),
        ("reponse.p99.9 < 1s", Some("response.p99.9")),
        ("acknowledgment.p99 < 1s", Some("acknowledgement.p99")),
        ("servce < 1s", Some("service.p99")),
        ("p999999 < 1s", None),
        ("xyzzy < 1", None),
    ] {
        assert_eq!(suggestion(text).as_deref(), nearest, "{text}");
    }
    let all = refused("xyzzy < 1");
    assert!(all.contains("; known are p50, p99, p99.9, max, response.p99, service.p99,"), "{all}");
    assert!(all.ends_with("recovered_ms, ratio_to_ceiling"), "{all}");
}

struct Everything(f64);

impl Figures for Everything {
    fn figure(&self, _: Figure) -> Result<f64, String> {
        Ok(self.0)
    }
}

#[test]
fn bounds_are_exact() {
    let met = |text: &str, observed| objective(text).evaluate(&Everything(observed)).is_met();
    assert!(met("ratio_to_ceiling >= 0.8", 0.8) && !met("ratio_to_ceiling > 0.8", 0.8));
    assert!(!met("p99 < 5ms", 5e6) && met("p99 <= 5ms", 5e6) && met("p99 < 5ms", 4_999_999.0));
    assert!(met("lost == 0", 0.0) && !met("lost == 0", 1.0));
    assert!(met("p99 > 1s", f64::INFINITY));
    let nan = objective("p99 < 5ms").evaluate(&Everything(f64::NAN));
    let reason = "response.p99 is not a number".to_owned();
    assert_eq!(nan, Outcome::NotMeasured { reason });
}

#[test]
fn what_was_observed_is_written_short() {
    let written = |text: &str, observed| objective(text).written(observed);
    assert_eq!(written("p99 < 5ms", 7_312_345.0), "7.312ms");
    assert_eq!(written("p99 < 5ms", 12.0), "12ns");
    assert_eq!(written("delivered_per_s > 1", 123_456.0), "123.5k");
    assert_eq!(written("cpu_us_per_delivery < 2", 2.345_678), "2.346");
    assert_eq!(written("cpu_us_per_delivery < 2", 0.0), "0");
    assert_eq!(written("resident_bytes < 2MB", 123_456_789.0), "123.5MB");
    assert_eq!(written("p99 < 5ms", f64::INFINITY), "inf");
}

#[test]
fn configurations_hold_them_as_text() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Table {
        objectives: Vec<Objective>,
    }
    let table: Table = toml::from_str("objectives = ['p99<5ms', 'lost == 0']").unwrap();
    let text = toml::to_string(&table).unwrap();
    assert!(text.contains("response.p99 < 5ms"), "{text}");
    assert_eq!(toml::from_str::<Table>(&text), Ok(table));
    let error = toml::from_str::<Table>("objectives = ['p99 < 5']").unwrap_err().to_string();
    assert!(error.contains("column 8: expected a unit"), "{error}");
}

fn objectives() -> impl Strategy<Value = Objective> {
    let percentile = prop_oneof![
        (1..=100_000_000u32).prop_map(|millionths| f64::from(millionths) / 1e6),
        prop::sample::select(vec![50.0, 99.0, 99.9, 99.99, 100.0]),
    ]
    .prop_map(|percent| Percentile::new(percent).unwrap());
    let figure = prop_oneof![
        (prop::sample::select(LatencyKind::ALL.to_vec()), percentile)
            .prop_map(|(kind, percentile)| Figure::Latency(kind, percentile)),
        prop::sample::select(Metric::ALL.to_vec()).prop_map(Figure::Metric),
    ];
    let number = (0..=QUANTITY_MAX, 0..1_000_000u32, 0..18u32).prop_map(|(whole, parts, zeros)| {
        let round = 10u128.pow(zeros);
        (whole / round * round, parts)
    });
    let comparison = prop::sample::select(Comparison::ALL.to_vec());
    (figure, comparison, number).prop_map(|(figure, comparison, (whole, parts))| {
        let kind = figure.kind();
        let digits = match kind {
            Kind::Rate | Kind::Number => format!("{whole}.{parts:06}"),
            Kind::Duration | Kind::Bytes | Kind::Count => whole.to_string(),
        };
        // The largest number has no parts beyond it.
        let bound = Quantity::read(&digits, 1, kind).unwrap();
        Objective { figure, comparison, bound }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_objective_is_read_back_from_what_it_is_written_as(objective in objectives()) {
        let text = objective.to_string();
        prop_assert_eq!(text.parse::<Objective>(), Ok(objective), "{}", text);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,80}") {
        let _outcome = text.parse::<Objective>();
    }

    #[test]
    fn no_text_that_is_almost_one_makes_the_parser_panic(
        parts in prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec![
                    "p99", "p", ".", "response", "lost", "resident_bytes", "ratio_to_ceiling", "<",
                    "<=", "==", ">", "=", " ", "5", "0.5", "_", "99999999999999999999999999", "ms",
                    "µs", "MiB", "k", "é", "\u{0}", "max",
                ]).prop_map(str::to_owned),
                "[0-9._a-zA-Z<>= ]{0,6}",
            ],
            0..12,
        ),
    ) {
        let text = parts.concat();
        if let Ok(objective) = text.parse::<Objective>() {
            prop_assert_eq!(objective.to_string().parse::<Objective>(), Ok(objective));
        }
    }

    #[test]
    fn no_figure_makes_the_writer_panic(objective in objectives(), observed: f64) {
        prop_assert!(!objective.written(observed).is_empty());
    }
}
