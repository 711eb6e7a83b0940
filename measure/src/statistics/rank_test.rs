//! Whether two samples differ by more than chance, by ranks.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF as _, Normal};

use super::autocorrelation::Autocorrelation;
use super::sample::is_usable;

/// Up to so many values on each side the distribution of U is counted out and not approximated.
pub const EXACT_SAMPLES_MAX: usize = 30;

/// How a p value was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PMethod {
    /// All orders of the values were counted.
    Exact,
    /// By the normal distribution, corrected for ties and for continuity.
    Normal,
}

/// The Mann-Whitney U test, two-sided.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MannWhitney {
    /// Pairs of a value of the first sample and one of the second in which the first is larger; of
    /// equal pairs, half.
    pub u: f64,
    /// How likely samples at least so different are if both come from one distribution.
    pub p: f64,
    /// How `p` was found.
    pub method: PMethod,
    /// The smallest `p` that samples of these sizes, with these ties, could have.
    pub p_min: f64,
}

/// Tests whether values of `a` tend to be larger or smaller than those of `b`. `None` if either
/// sample is empty or holds a value that is not finite.
///
/// Without ties and up to [`EXACT_SAMPLES_MAX`] values a side, the distribution is exact (Mann,
/// Whitney, "On a test of whether one of two random variables is stochastically larger than the
/// other", Annals of Mathematical Statistics 18, 1947); otherwise it is the normal approximation
/// with the variance corrected for ties (Lehmann, "Nonparametrics", 1975, chapter 1) and half a step of
/// correction for continuity.
#[must_use]
pub fn mann_whitney(a: &[f64], b: &[f64]) -> Option<MannWhitney> {
    if !is_usable(a) || !is_usable(b) {
        return None;
    }
    let u = pairs_larger(a, b);
    let tied = tie_term(a, b);
    let is_exact = tied == 0.0 && a.len().max(b.len()) <= EXACT_SAMPLES_MAX;
    let pairs = (a.len() * b.len()) as f64;
    let u_smaller = u.min(pairs - u);
    Some(if is_exact {
        let p = |u| p_exact(a.len(), b.len(), u);
        // Without ties U is a whole number.
        MannWhitney { u, p: p(u_smaller as usize), method: PMethod::Exact, p_min: p(0) }
    } else {
        let p = |u| p_normal(a.len(), b.len(), tied, u);
        MannWhitney { u, p: p(u_smaller), method: PMethod::Normal, p_min: p(0.0) }
    })
}

impl MannWhitney {
    /// The same test of repeats that are like their neighbours: they tell as much as fewer
    /// independent ones. The normal quantile of `p`, and of `p_min`, is divided by the square root of
    /// the [variance inflation](Autocorrelation::variance_inflation), and `p` is taken back from it
    /// (Yue, Wang, "The influence of serial correlation on the Mann-Whitney test for detecting a
    /// shift in median", Advances in Water Resources 25, 2002, show what happens otherwise).
    #[must_use]
    pub fn of_alike(self, alike: Autocorrelation) -> Self {
        let inflation = alike.variance_inflation();
        Self { p: inflated(self.p, inflation), p_min: inflated(self.p_min, inflation), ..self }
    }
}

/// The smallest exact p that `repeats` values a side, all different, can have.
#[must_use]
pub fn p_min_apart(repeats: usize, alike: Autocorrelation) -> f64 {
    // 2 over the number of ways to choose one side's values.
    let n = repeats as f64;
    let ways = (1..=repeats).fold(1.0, |ways, i| ways * (n + i as f64) / i as f64);
    inflated(f64::min(2.0 / ways, 1.0), alike.variance_inflation())
}

/// A two-sided p value, once the variance behind it is so many times as large.
fn inflated(p: f64, inflation: f64) -> f64 {
    if inflation <= 1.0 || p >= 1.0 {
        return p;
    }
    let normal = Normal::standard();
    let z = -normal.inverse_cdf(p / 2.0);
    (2.0 * normal.sf(z / inflation.sqrt())).min(1.0)
}

/// Pairs in which the value of `a` is the larger; of equal pairs, half.
pub(super) fn pairs_larger(a: &[f64], b: &[f64]) -> f64 {
    let pairs = a.iter().flat_map(|in_a| b.iter().map(move |in_b| in_a.total_cmp(in_b)));
    pairs.map(|order| f64::from(1 + order as i8) / 2.0).sum()
}

/// The sum of t³ − t over each group of t equal values.
fn tie_term(a: &[f64], b: &[f64]) -> f64 {
    let mut values: Vec<f64> = a.iter().chain(b).copied().collect();
    values.sort_by(f64::total_cmp);
    let groups = values.chunk_by(|left, right| left == right).map(|group| group.len() as f64);
    groups.map(|ties| ties.powi(3) - ties).sum()
}

/// Twice the part of all orders in which U is at most `u`.
fn p_exact(a_len: usize, b_len: usize, u: usize) -> f64 {
    let ways = ways_of_u(a_len, b_len);
    let total: i128 = ways.iter().sum();
    let at_most: i128 = ways.iter().take(u + 1).sum();
    (2.0 * at_most as f64 / total as f64).min(1.0)
}

/// In how many orders U is 0, 1, 2, …: the coefficients of the Gaussian binomial
/// ∏ᵢ (1 − q^(b+i)) / (1 − qⁱ), i = 1 … a. Those of 30 and 30 values sum to 1.2 × 10¹⁷.
fn ways_of_u(a_len: usize, b_len: usize) -> Vec<i128> {
    let mut ways = vec![0_i128; a_len * b_len + 1];
    ways[0] = 1;
    for factor in 1..=a_len {
        for u in (b_len + factor..ways.len()).rev() {
            ways[u] -= ways[u - b_len - factor];
        }
        for u in factor..ways.len() {
            ways[u] += ways[u - factor];
        }
    }
    ways
}

fn p_normal(a_len: usize, b_len: usize, tied: f64, u: f64) -> f64 {
    let (a, b) = (a_len as f64, b_len as f64);
    let both = a + b;
    let variance = a * b / 12.0 * (both + 1.0 - tied / (both * (both - 1.0)));
    let distance = (a * b / 2.0 - u).abs() - 0.5;
    // All values equal: nothing differs.
    if variance <= 0.0 || distance <= 0.0 {
        return 1.0;
    }
    (2.0 * Normal::standard().sf(distance / variance.sqrt())).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(a: &[f64], b: &[f64], u: f64, p: f64, method: PMethod) {
        let test = mann_whitney(a, b).unwrap();
        assert_eq!((test.u, test.method), (u, method));
        assert!((test.p / p - 1.0).abs() < 1e-9, "{test:?}, not {p}");
    }

    /// `scipy.stats.mannwhitneyu(a, b, method="exact")`, scipy 1.17.1.
    #[test]
    fn exact_p_values_are_those_of_scipy() {
        let a = [9.98, 10.12, 9.87, 10.31, 10.05];
        let b = [9.41, 9.55, 9.62, 9.99, 9.30];
        check(&a, &b, 23.0, 0.031_746_031_746_031_744, PMethod::Exact);
        let a = [1.1, 2.3, 3.7, 4.2, 5.9, 6.4, 7.8, 8.1];
        let b = [2.0, 3.1, 4.9, 5.2, 6.6, 9.3, 10.4];
        check(&a, &b, 23.0, 0.612_587_412_587_412_7, PMethod::Exact);
    }

    /// `scipy.stats.mannwhitneyu(a, b, method="asymptotic")`, scipy 1.17.1.
    #[test]
    fn p_values_of_ties_and_of_large_samples_are_those_of_scipy() {
        let a = [1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 5.0, 5.0, 6.0];
        let b = [3.0, 4.0, 4.0, 5.0, 5.0, 6.0, 6.0, 7.0, 7.0, 8.0];
        check(&a, &b, 17.5, 0.014_416_092_375_982_995, PMethod::Normal);
        let a: Vec<f64> = (0..40).map(|i| f64::from((i * 37) % 101) + 0.5).collect();
        let b: Vec<f64> = (0..45).map(|i| f64::from((i * 53) % 103) + 6.25).collect();
        check(&a, &b, 862.0, 0.741_272_201_147_689_5, PMethod::Normal);
    }

    #[test]
    fn the_smallest_p_is_that_of_samples_that_do_not_overlap() {
        let p_min = |a: &[f64], b: &[f64]| mann_whitney(a, b).unwrap().p_min;
        let steps = |from: u32, to: u32| (from..to).map(f64::from).collect::<Vec<_>>();
        let five = p_min(&steps(0, 5), &steps(5, 10));
        assert!((five - 2.0 / 252.0).abs() < 1e-12, "{five}");
        let ten = p_min(&steps(0, 10), &steps(3, 23).split_off(10));
        assert!((ten / 1.082_508_822_446_903e-5 - 1.0).abs() < 1e-9, "{ten}");
        let tied = p_min(&[1.0, 1.0, 2.0, 2.0, 3.0], &[4.0, 4.0, 5.0, 5.0, 6.0]);
        assert!((tied - 0.011_159_425_282_914_755).abs() < 1e-12, "{tied}");
    }

    /// `2 * norm.sf(norm.isf(p / 2) / sqrt(3))`, scipy 1.17.1.
    #[test]
    fn alike_repeats_tell_less() {
        let slope: Vec<f64> = (0..40).map(f64::from).collect();
        let alike = Autocorrelation::of_all([&slope[..]]);
        let test = mann_whitney(&[1.0, 2.0, 3.0, 4.0, 5.0], &[6.0, 7.0, 8.0, 9.0, 10.0]).unwrap();
        assert_eq!(test.of_alike(Autocorrelation::NONE), test);
        assert!(test.of_alike(alike).p > 0.3, "{:?}", test.of_alike(alike));
        assert!((inflated(2.0 / 252.0, 3.0) / 0.12534341901993243 - 1.0).abs() < 1e-9);
        assert!(
            (inflated(1.082_508_822_446_903e-5, 3.0) / 0.011074437826081883 - 1.0).abs() < 1e-9
        );
    }

    #[test]
    fn the_smallest_p_of_a_number_of_repeats_is_that_of_a_test_of_so_many() {
        for repeats in 2..=12_u32 {
            let (a, b): (Vec<f64>, Vec<f64>) = (
                (0..repeats).map(f64::from).collect(),
                (50..50 + repeats).map(f64::from).collect(),
            );
            let test = mann_whitney(&a, &b).unwrap();
            let p_min = p_min_apart(repeats as usize, Autocorrelation::NONE);
            assert!((p_min / test.p_min - 1.0).abs() < 1e-9 && test.p == test.p_min);
        }
    }

    #[test]
    fn equal_values_do_not_differ() {
        let test = mann_whitney(&[5.0; 6], &[5.0; 7]).unwrap();
        assert_eq!((test.u, test.p, test.p_min), (21.0, 1.0, 1.0));
    }

    #[test]
    fn what_is_no_sample_is_not_tested() {
        assert_eq!(mann_whitney(&[], &[1.0]), None);
        assert_eq!(mann_whitney(&[1.0], &[f64::NAN]), None);
    }

    #[test]
    fn orders_are_counted_as_a_table_does() {
        // Mann and Whitney (1947), table I: 3 and 3 values, P(U ≤ 0 … 4).
        let ways = ways_of_u(3, 3);
        assert_eq!(ways, [1, 1, 2, 3, 3, 3, 3, 2, 1, 1]);
        assert_eq!(ways_of_u(30, 30).iter().sum::<i128>(), 118_264_581_564_861_424);
    }

    proptest! {
        #[test]
        fn sides_may_be_swapped(
            a in prop::collection::vec(0_i32..50, 1..20),
            b in prop::collection::vec(0_i32..50, 1..20),
        ) {
            let a: Vec<f64> = a.into_iter().map(f64::from).collect();
            let b: Vec<f64> = b.into_iter().map(f64::from).collect();
            let (test, swapped) = (mann_whitney(&a, &b).unwrap(), mann_whitney(&b, &a).unwrap());
            prop_assert!((test.p - swapped.p).abs() < 1e-12);
            prop_assert_eq!(test.u + swapped.u, (a.len() * b.len()) as f64);
            prop_assert!(test.p_min <= test.p && test.p <= 1.0 && test.p > 0.0);
        }

        #[test]
        fn only_the_order_matters(
            a in prop::collection::vec(0.1..1e3, 1..20),
            b in prop::collection::vec(0.1..1e3, 1..20),
        ) {
            let stretched = |sample: &[f64]| sample.iter().map(|v| v.powi(3)).collect::<Vec<_>>();
            let test = mann_whitney(&a, &b).unwrap();
            prop_assert_eq!(test, mann_whitney(&stretched(&a), &stretched(&b)).unwrap());
        }
    }
}
