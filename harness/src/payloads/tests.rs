use super::*;
use proptest::prelude::*;
use statrs::distribution::{ChiSquared, ContinuousCDF as _};

const DRAWS: u64 = 100_000;

/// How probable it is that draws differ so much from what they should be (Pearson's test).
fn likelihood(observed: &[u64], expected: &[f64]) -> f64 {
    assert!(expected.iter().all(|&count| count >= 5.0), "too few to test by: {expected:?}");
    let term = |(&observed, expected): (&u64, f64)| (observed as f64 - expected).powi(2) / expected;
    let sum: f64 = observed.iter().zip(expected.iter().copied()).map(term).sum();
    ChiSquared::new((observed.len() - 1) as f64).unwrap().sf(sum)
}

fn sizes(model: PayloadModel, seed: u64) -> impl Iterator<Item = usize> {
    let payloads = PayloadDraw::new(model, seed).unwrap();
    (0..DRAWS).map(move |sequence| payloads.bytes_of(sequence))
}

fn quantile(model: PayloadModel, quantile: f64) -> usize {
    let mut sizes: Vec<usize> = sizes(model, 3).collect();
    sizes.sort_unstable();
    sizes[(quantile * DRAWS as f64) as usize]
}

#[test]
fn a_list_is_drawn_by_its_weights() {
    let list = [(64, 1.0), (100, 3.0), (1000, 0.0), (4000, 6.0)];
    let model = list.map(|(bytes, weight)| WeightedSize { bytes, weight });
    for seed in 0..20 {
        let mut observed = [0; 3];
        for size in sizes(PayloadModel::List(model.to_vec()), seed) {
            observed[[64, 100, 4000].iter().position(|&bytes| bytes == size).unwrap()] += 1;
        }
        let expected = [0.1, 0.3, 0.6].map(|share| share * DRAWS as f64);
        assert!(likelihood(&observed, &expected) > 1e-4, "seed {seed}: {observed:?}");
    }
}

#[test]
fn a_range_is_drawn_evenly_its_ends_included() {
    for seed in 0..20 {
        let mut observed = [0; 69];
        for size in sizes(PayloadModel::Uniform { min_bytes: 32, max_bytes: 100 }, seed) {
            observed[size - 32] += 1;
        }
        let expected = [DRAWS as f64 / 69.0; 69];
        assert!(likelihood(&observed, &expected) > 1e-4, "seed {seed}: {observed:?}");
    }
}

#[test]
fn distributions_have_their_quantiles_and_bounds() {
    let normal = || PayloadModel::Normal {
        mean_bytes: 1000.0,
        std_dev_bytes: 200.0,
        min_bytes: 700,
        max_bytes: 1300,
    };
    // 0.841 of a normal distribution are below one standard deviation.
    assert!(quantile(normal(), 0.5).abs_diff(1000) < 5);
    assert!(quantile(normal(), 0.841_3).abs_diff(1200) < 5);
    assert_eq!([quantile(normal(), 0.01), quantile(normal(), 0.99)], [700, 1300]);
    let log_normal = || PayloadModel::LogNormal {
        median_bytes: 1000.0,
        sigma: 1.0,
        min_bytes: 50,
        max_bytes: 20_000,
    };
    assert!(quantile(log_normal(), 0.5).abs_diff(1000) < 20);
    assert!(quantile(log_normal(), 0.841_3).abs_diff(2718) < 60);
    assert!(sizes(log_normal(), 1).all(|size| (50..=20_000).contains(&size)));
}

#[test]
fn a_file_of_sizes_is_drawn_as_often_as_it_has_them() {
    let mut observed = [0; 2];
    for size in sizes(PayloadModel::Sizes(vec![100, 100, 100, 200]), 5) {
        observed[usize::from(size == 200)] += 1;
    }
    let expected = [0.75, 0.25].map(|share| share * DRAWS as f64);
    assert!(likelihood(&observed, &expected) > 1e-4, "{observed:?}");
}

#[test]
fn lines_stand_behind_stamps() {
    let lines = parse_lines(b"first\nsecond one\n").unwrap();
    let payloads = PayloadDraw::new(PayloadModel::Lines(lines), 1).unwrap();
    let mut seen = [false; 2];
    for sequence in 0..100 {
        let line = payloads.line_of(sequence).unwrap();
        assert_eq!(payloads.bytes_of(sequence), PAYLOAD_BYTES_MIN + line.len());
        seen[usize::from(line == b"second one")] = true;
    }
    assert_eq!((seen, payloads.bytes_max()), ([true; 2], 42));
}

#[test]
fn one_size_is_known_to_be_one() {
    let fixed = |model| PayloadDraw::new(model, 0).unwrap().fixed_bytes();
    assert_eq!(fixed(PayloadModel::Fixed { bytes: 100 }), Some(100));
    assert_eq!(fixed(PayloadModel::Sizes(vec![64, 65])), None);
}

#[test]
fn what_cannot_be_is_refused_with_what_was_expected() {
    let refused = |model| PayloadDraw::new(model, 0).unwrap_err().to_string();
    assert_eq!(
        refused(PayloadModel::Fixed { bytes: 31 }),
        "the size of a payload: expected 32 to 16777215 bytes, found 31"
    );
    assert!(refused(PayloadModel::Uniform { min_bytes: 99, max_bytes: 98 }).contains("99"));
    assert!(refused(PayloadModel::List(vec![])).contains("expected 1 to"));
    let weightless = WeightedSize { bytes: 99, weight: -1.0 };
    assert!(refused(PayloadModel::List(vec![weightless])).contains("[-1.0]"));
    let (min_bytes, max_bytes) = (32, 99);
    let (mean_bytes, std_dev_bytes) = (50.0, f64::NAN);
    let normal = PayloadModel::Normal { mean_bytes, std_dev_bytes, min_bytes, max_bytes };
    assert!(refused(normal).ends_with("found NaN"));
    let (median_bytes, sigma) = (50.0, -1.0);
    let log_normal = PayloadModel::LogNormal { median_bytes, sigma, min_bytes, max_bytes };
    assert!(refused(log_normal).ends_with("from 0 on, found -1"));
    assert!(parse_sizes("# nothing\n").is_err());
    assert!(parse_lines(b"").is_err());
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(text in "[0-9# a\n\r]{0,60}", seed: u64, sequence: u64) {
        if let Ok(sizes) = parse_sizes(&text) {
            let drawn = PayloadDraw::new(PayloadModel::Sizes(sizes.clone()), seed)
                .unwrap()
                .bytes_of(sequence);
            prop_assert!(sizes.contains(&drawn));
        }
        if let Ok(lines) = parse_lines(text.as_bytes()) {
            let payloads = PayloadDraw::new(PayloadModel::Lines(lines), seed).unwrap();
            prop_assert!(payloads.line_of(sequence).is_some());
        }
    }
}
