//! How much two samples differ, whatever their unit.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::rank_test::pairs_larger;
use super::sample::is_usable;

/// Cliff's delta: how much more often a value of `b` is larger than one of `a` than the other way
/// round, from −1 (always smaller) over 0 to 1 (always larger). `None` if either sample is empty or
/// holds a value that is not finite.
///
/// Cliff, "Dominance statistics: ordinal analyses to answer ordinal questions", Psychological
/// Bulletin 114, 1993. Vargha and Delaney's A is (delta + 1) / 2.
#[must_use]
pub fn cliffs_delta(a: &[f64], b: &[f64]) -> Option<f64> {
    (is_usable(a) && is_usable(b)).then(|| {
        let pairs = (a.len() * b.len()) as f64;
        2.0 * pairs_larger(b, a) / pairs - 1.0
    })
}

/// What Cliff's delta is called (Romano and others, "Appropriate statistics for ordinal level
/// data", Florida Association of Institutional Research, 2006).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectMagnitude {
    /// Below 0.147.
    Negligible,
    /// Below 0.33.
    Small,
    /// Below 0.474.
    Medium,
    /// From 0.474.
    Large,
}

impl EffectMagnitude {
    /// The name of a delta's size, whatever its sign.
    #[must_use]
    pub fn of(delta: f64) -> Self {
        match delta.abs() {
            size if size < 0.147 => Self::Negligible,
            size if size < 0.33 => Self::Small,
            size if size < 0.474 => Self::Medium,
            _ => Self::Large,
        }
    }
}

impl fmt::Display for EffectMagnitude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Negligible => "negligible",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn samples_apart_are_at_one_and_alike_at_zero() {
        let delta = |a: &[f64], b: &[f64]| cliffs_delta(a, b).unwrap();
        assert_eq!(delta(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
        assert_eq!(delta(&[3.0, 4.0], &[1.0, 2.0]), -1.0);
        assert_eq!(delta(&[1.0, 1.0], &[1.0]), 0.0);
        assert_eq!(delta(&[1.0, 2.0, 3.0, 4.0], &[2.5]), 0.0);
        assert_eq!(cliffs_delta(&[], &[1.0]), None);
    }

    /// U = 23 of 25 pairs, by scipy, is A = 0.92 of `a` over `b`.
    #[test]
    fn delta_is_that_of_scipy_s_u() {
        let a = [9.98, 10.12, 9.87, 10.31, 10.05];
        let b = [9.41, 9.55, 9.62, 9.99, 9.30];
        assert!((cliffs_delta(&a, &b).unwrap() - -0.84).abs() < 1e-12);
    }

    #[test]
    fn sizes_have_names() {
        assert_eq!(EffectMagnitude::of(-0.1), EffectMagnitude::Negligible);
        assert_eq!(EffectMagnitude::of(0.147), EffectMagnitude::Small);
        assert_eq!(EffectMagnitude::of(-0.4), EffectMagnitude::Medium);
        assert_eq!(EffectMagnitude::of(1.0), EffectMagnitude::Large);
    }

    proptest! {
        #[test]
        fn swapping_sides_turns_the_sign(
            a in prop::collection::vec(0_i32..20, 1..20),
            b in prop::collection::vec(0_i32..20, 1..20),
        ) {
            let a: Vec<f64> = a.into_iter().map(f64::from).collect();
            let b: Vec<f64> = b.into_iter().map(f64::from).collect();
            let delta = cliffs_delta(&a, &b).unwrap();
            prop_assert!((-1.0..=1.0).contains(&delta));
            prop_assert!((delta + cliffs_delta(&b, &a).unwrap()).abs() < 1e-12);
        }
    }
}
