//! Axes: where a value goes, which values get a label, and how the label reads.

use std::ops::Range;

use plotters::coord::ranged1d::{
    KeyPointHint, NoDefaultFormatting, Ranged, ReversibleRanged, ValueFormatter,
};

use crate::quantity::Quantity;

/// A linear axis aims at this many labelled ticks above zero.
const LINEAR_TICKS: f64 = 4.0;

/// A logarithmic axis with fewer decades than this is labelled within them too.
const DECADES_LABELLED_WITHIN: usize = 3;

/// Neighbouring labels of counted values stay at least this fraction of the axis apart.
const COUNT_LABEL_GAP_MIN: f64 = 0.125;

/// From so many nines on, labels of neighbours would touch.
const NINES_CROWDED: i32 = 6;

/// The room left beyond the outermost points, as a fraction of the axis.
const MARGIN: f64 = 0.04;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Linear,
    Logarithmic,
    /// Equal room for each nine of a quantile: 90 %, 99 %, 99.9 %, …
    Nines,
}

impl Scale {
    fn stretch(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Logarithmic => value.max(f64::MIN_POSITIVE).log10(),
            Self::Nines => -(1.0 - value).max(f64::EPSILON).log10(),
        }
    }
}

/// One axis of a chart, over values in the unit they were measured in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    scale: Scale,
    /// In stretched values.
    limits: Range<f64>,
    ticks: Vec<f64>,
    minor_ticks: Vec<f64>,
    quantity: Quantity,
}

impl Axis {
    /// From zero to a little above `max`.
    pub(crate) fn from_zero(max: f64, quantity: Quantity) -> Self {
        Self::until(max * (1.0 + MARGIN), quantity)
    }

    /// From zero to exactly `max`.
    pub(crate) fn until(max: f64, quantity: Quantity) -> Self {
        let max = if max > 0.0 { max } else { 1.0 };
        let step = round_step(max / LINEAR_TICKS);
        let steps = (max / step + 1e-9).floor() as u32;
        Self {
            scale: Scale::Linear,
            limits: 0.0..max,
            ticks: (0..=steps).map(|tick| f64::from(tick) * step).collect(),
            minor_ticks: vec![],
            quantity,
        }
    }

    /// Logarithmic, around all of `values`; non-positive values are left out.
    pub(crate) fn logarithmic(values: impl IntoIterator<Item = f64>, quantity: Quantity) -> Self {
        let (min, max) = positive_bounds(values).unwrap_or((1.0, 10.0));
        let (lower, upper) = (min.log10(), max.log10());
        // Less than a third of a decade would blow noise up to the size of the picture.
        let spare = ((0.33 - (upper - lower)) / 2.0).max(0.0);
        let margin = (upper - lower + 2.0 * spare) * MARGIN * 2.0;
        let limits = lower - spare - margin..upper + spare + margin;
        let (ticks, minor_ticks) = logarithmic_ticks(&limits);
        Self { scale: Scale::Logarithmic, limits, ticks, minor_ticks, quantity }
    }

    /// Logarithmic, labelled at the measured counts and nowhere else.
    pub(crate) fn counts(counts: &[u32]) -> Self {
        let positions: Vec<f64> = counts.iter().map(|count| f64::from(*count)).collect();
        let (min, max) = positive_bounds(positions.iter().copied()).unwrap_or((1.0, 1.0));
        let span = (max / min).log10();
        let margin = if span > 0.0 { span * MARGIN } else { 0.5 };
        let mut axis = Self {
            scale: Scale::Logarithmic,
            limits: min.log10() - margin..max.log10() + margin,
            ticks: vec![],
            minor_ticks: positions.clone(),
            quantity: Quantity::Count,
        };
        axis.ticks = axis.spread_out(positions);
        axis
    }

    /// Quantiles from 0 to `max`, with equal room for every nine. Zero itself gets no label: there
    /// is no room for it beside the median's.
    pub(crate) fn nines(max: f64) -> Self {
        let stretched_max = Scale::Nines.stretch(max.max(0.99)) * (1.0 + MARGIN);
        let nines = stretched_max.floor() as i32;
        // The labels of the last nines are too long to stand side by side.
        let has_room = |nine: &i32| *nine < NINES_CROWDED - 1 || *nine == nines;
        let ticks = (1..=nines).filter(has_room).map(|nine| 1.0 - 0.1_f64.powi(nine));
        let ticks = std::iter::once(0.5).chain(ticks);
        Self {
            scale: Scale::Nines,
            limits: 0.0..stretched_max,
            ticks: ticks.collect(),
            minor_ticks: vec![],
            quantity: Quantity::Quantile,
        }
    }

    /// Where the value lies, from 0 at the lower end to 1 at the upper.
    pub(crate) fn position(&self, value: f64) -> f64 {
        let stretched = self.scale.stretch(value);
        (stretched - self.limits.start) / (self.limits.end - self.limits.start)
    }

    /// Keeps the largest of `values`, and below it those whose labels have room.
    fn spread_out(&self, mut values: Vec<f64>) -> Vec<f64> {
        values.sort_by(f64::total_cmp);
        values.dedup();
        let mut kept: Vec<f64> = Vec::new();
        for value in values.into_iter().rev() {
            let has_room = kept.last().is_none_or(|above| {
                self.position(*above) - self.position(value) >= COUNT_LABEL_GAP_MIN
            });
            if has_room {
                kept.push(value);
            }
        }
        kept
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let (start, end) = (f64::from(limit.0), f64::from(limit.1));
        (start + (end - start) * self.position(*value)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            self.minor_ticks.clone()
        } else {
            self.ticks.clone()
        }
    }

    fn range(&self) -> Range<f64> {
        self.limits.clone()
    }
}

impl ReversibleRanged for Axis {
    fn unmap(&self, _input: i32, _limit: (i32, i32)) -> Option<f64> {
        None
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        self.quantity.tick(*value)
    }
}

fn positive_bounds(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|value| value.is_finite() && *value > 0.0).fold(
        None,
        |bounds, value| match bounds {
            None => Some((value, value)),
            Some((min, max)) => Some((f64::min(min, value), f64::max(max, value))),
        },
    )
}

/// The smallest of 1, 2, 2.5, 5, 10 × 10ⁿ that is at least `step`.
fn round_step(step: f64) -> f64 {
    let magnitude = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 2.5, 5.0]
        .into_iter()
        .map(|digit| digit * magnitude)
        .find(|round| *round >= step * (1.0 - 1e-9))
        .unwrap_or(10.0 * magnitude)
}

/// Ticks at powers of ten; at 1, 2 and 5 times them too if few decades are in sight.
fn logarithmic_ticks(limits: &Range<f64>) -> (Vec<f64>, Vec<f64>) {
    let decades = limits.start.floor() as i32..=limits.end.ceil() as i32;
    let in_sight = |value: &f64| limits.contains(&value.log10());
    let at = |digits: &[f64]| -> Vec<f64> {
        decades
            .clone()
            .flat_map(|decade| digits.iter().map(move |digit| digit * 10_f64.powi(decade)))
            .filter(in_sight)
            .collect()
    };
    let mut ticks = at(&[1.0]);
    if ticks.len() < DECADES_LABELLED_WITHIN {
        ticks = at(&[1.0, 2.0, 5.0]);
    }
    (ticks, at(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().map(|tick| axis.format_ext(tick)).collect()
    }

    #[test]
    fn a_linear_axis_starts_at_zero_and_has_round_ticks() {
        let axis = Axis::from_zero(85_700.0, Quantity::Rate);
        assert_eq!(labels(&axis), ["0", "25 k", "50 k", "75 k"]);
        assert_eq!(axis.position(0.0), 0.0);
        assert!((0.9..1.0).contains(&axis.position(85_700.0)));
    }

    #[test]
    fn a_time_axis_ends_with_the_data() {
        let axis = Axis::until(37.0, Quantity::Seconds);
        assert_eq!(labels(&axis), ["0 s", "10 s", "20 s", "30 s"]);
        assert_eq!(axis.position(37.0), 1.0);
    }

    #[test]
    fn a_wide_logarithmic_axis_is_labelled_at_decades() {
        let axis = Axis::logarithmic([20e3, 30e6], Quantity::LatencyNs);
        assert_eq!(labels(&axis), ["100 µs", "1 ms", "10 ms"]);
    }

    #[test]
    fn a_narrow_logarithmic_axis_is_labelled_within_decades() {
        let axis = Axis::logarithmic([30e3, 70e3], Quantity::LatencyNs);
        assert_eq!(labels(&axis), ["50 µs"]);
        let axis = Axis::logarithmic([18e3, 400e3], Quantity::LatencyNs);
        assert_eq!(labels(&axis), ["20 µs", "50 µs", "100 µs", "200 µs", "500 µs"]);
    }

    #[test]
    fn counts_are_labelled_where_there_is_room_the_largest_always() {
        let axis = Axis::counts(&[1, 2, 4, 50, 51]);
        assert_eq!(labels(&axis), ["51", "4", "2", "1"]);
        let single = Axis::counts(&[7]);
        assert_eq!(single.position(7.0), 0.5);
    }

    #[test]
    fn nines_are_evenly_spaced() {
        let axis = Axis::nines(0.9999);
        assert_eq!(labels(&axis), ["50%", "90%", "99%", "99.9%", "99.99%"]);
        let crowded = Axis::nines(0.999_999_5);
        assert_eq!(labels(&crowded)[4..], ["99.99%", "99.9999%"]);
        let (ninety, two_nines) = (axis.position(0.9), axis.position(0.99));
        assert!((two_nines - 2.0 * ninety).abs() < 1e-9);
    }

    #[test]
    fn nothing_to_show_still_makes_an_axis() {
        for axis in [
            Axis::from_zero(0.0, Quantity::Rate),
            Axis::until(0.0, Quantity::Seconds),
            Axis::logarithmic([], Quantity::Bytes),
            Axis::logarithmic([f64::NAN, -1.0, 0.0], Quantity::Bytes),
            Axis::counts(&[]),
            Axis::counts(&[0]),
            Axis::nines(0.0),
        ] {
            assert!(axis.limits.start < axis.limits.end, "{axis:?}");
            assert!(axis.position(0.0).is_finite(), "{axis:?}");
        }
    }
}
