//! Order statistics of one sample.

/// The median: the middle value, or the mean of the two in the middle. `None` of an empty sample,
/// and of one that holds a value that is not finite.
#[must_use]
pub fn median(sample: &[f64]) -> Option<f64> {
    is_usable(sample).then(|| median_of(&mut sample.to_vec()))
}

/// The value that the fraction `quantile` (0 to 1) of the sample does not exceed, interpolated
/// between neighbours (type 7 of Hyndman and Fan, "Sample quantiles in statistical packages", The
/// American Statistician 50, 1996). `None` as for [`median`].
#[must_use]
pub fn quantile(sample: &[f64], quantile: f64) -> Option<f64> {
    is_usable(sample).then(|| {
        let mut sorted = sample.to_vec();
        sorted.sort_by(f64::total_cmp);
        quantile_of_sorted(&sorted, quantile)
    })
}

/// Whether it has values, all of them finite.
pub(super) fn is_usable(sample: &[f64]) -> bool {
    !sample.is_empty() && sample.iter().all(|value| value.is_finite())
}

/// The median of a sample that has values; they are put into another order.
pub(super) fn median_of(sample: &mut [f64]) -> f64 {
    let middle = sample.len() / 2;
    let is_odd = sample.len() % 2 == 1;
    let (below, upper, _) = sample.select_nth_unstable_by(middle, f64::total_cmp);
    if is_odd {
        return *upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    f64::midpoint(lower, *upper)
}

/// The quantile of a sorted sample that has values.
pub(super) fn quantile_of_sorted(sorted: &[f64], quantile: f64) -> f64 {
    let place = quantile.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let fraction = place - place.floor();
    sorted[below] + (sorted[above] - sorted[below]) * fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_middle_of_an_odd_sample_and_between_the_two_of_an_even_one() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[7.0]), Some(7.0));
    }

    #[test]
    fn what_is_no_sample_has_no_median() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[1.0, f64::NAN]), None);
        assert_eq!(quantile(&[f64::INFINITY], 0.5), None);
    }

    #[test]
    fn quantiles_are_those_of_numpy() {
        let sample = [15.0, 20.0, 35.0, 40.0, 50.0];
        let check = |fraction, expected: f64| {
            let found = quantile(&sample, fraction).unwrap();
            assert!((found - expected).abs() < 1e-12, "{fraction}: {found}, not {expected}");
        };
        check(0.0, 15.0);
        check(0.05, 16.0);
        check(0.4, 29.0);
        check(0.975, 49.0);
        check(1.0, 50.0);
    }

    proptest! {
        #[test]
        fn the_median_is_the_quantile_of_a_half(sample in prop::collection::vec(-1e9..1e9, 1..40)) {
            let (median, half) = (median(&sample).unwrap(), quantile(&sample, 0.5).unwrap());
            prop_assert!((median - half).abs() <= 1e-6 * median.abs().max(1.0));
        }

        #[test]
        fn as_many_lie_above_the_median_as_below(sample in prop::collection::vec(-1e9..1e9, 1..40)) {
            let median = median(&sample).unwrap();
            let above = sample.iter().filter(|value| **value > median).count();
            let below = sample.iter().filter(|value| **value < median).count();
            prop_assert!(above <= sample.len() / 2 && below <= sample.len() / 2);
        }
    }
}
