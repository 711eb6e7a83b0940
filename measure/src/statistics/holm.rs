//! Many tests at once: what each p value comes to.

/// The p values adjusted so that, if nothing differs, any of them is at most α in only a fraction
/// α of all comparisons; in their own order.
///
/// Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
/// Statistics 6, 1979: the smallest is multiplied by the number of tests, the next by one less, and
/// so on, none falling below the one before. It asks nothing of how the tests depend on each other,
/// as metrics of one cell do.
#[must_use]
pub fn holm_adjusted(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|left, right| p_values[*left].total_cmp(&p_values[*right]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, index) in order.into_iter().enumerate() {
        let left = (p_values.len() - rank) as f64;
        largest = largest.max((p_values[index] * left).min(1.0));
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `statsmodels.stats.multitest.multipletests(p, method="holm")` gives the same.
    #[test]
    fn the_usual_example() {
        let adjusted = holm_adjusted(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - expected).abs() < 1e-12, "{adjusted:?}");
        }
    }

    #[test]
    fn one_test_needs_no_adjusting_and_none_gives_none() {
        assert_eq!(holm_adjusted(&[0.04]), [0.04]);
        assert!(holm_adjusted(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn adjusting_keeps_the_order_and_never_helps(p in prop::collection::vec(0.0..=1.0, 1..40)) {
            let adjusted = holm_adjusted(&p);
            for i in 0..p.len() {
                prop_assert!(p[i] <= adjusted[i] && adjusted[i] <= 1.0);
                for j in 0..p.len() {
                    prop_assert!(p[i] > p[j] || adjusted[i] <= adjusted[j]);
                }
            }
        }
    }
}
