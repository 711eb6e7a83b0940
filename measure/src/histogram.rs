//! A latency histogram in nanoseconds, and the summary that a run record keeps of it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::MeasureError;

/// The shortest latency that is told apart from zero.
pub const LATENCY_NS_MIN: u64 = 1;

/// The longest latency that is recorded as it is: one hour. Longer ones saturate.
pub const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// A percentile is reported only if at least this many samples lie beyond it.
pub const SAMPLES_BEYOND_MIN: u64 = 10;

/// Every recorded value is kept to this many significant decimal digits.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Latencies from 1 ns to 1 h, kept to three significant digits.
///
/// Recording never fails: a latency above [`LATENCY_NS_MAX`] is recorded as that maximum and
/// counted in [`saturated`](Self::saturated). Takes about 270 kB of memory, whatever it holds.
#[derive(Clone, PartialEq)]
pub struct LatencyHistogram {
    histogram: Histogram<u64>,
    saturated: u64,
}

impl fmt::Debug for LatencyHistogram {
    /// Shows the summary: the buckets would fill screens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LatencyHistogram").field(&self.summary()).finish()
    }
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self::new()
    }
}

impl LatencyHistogram {
    /// An empty histogram.
    #[must_use]
    pub fn new() -> Self {
        let histogram =
            Histogram::new_with_bounds(LATENCY_NS_MIN, LATENCY_NS_MAX, SIGNIFICANT_DIGITS)
                .expect("1 ns to 1 h at three digits are bounds that HdrHistogram accepts");
        Self { histogram, saturated: 0 }
    }

    /// Records one latency.
    pub fn record_ns(&mut self, latency_ns: u64) {
        self.record_ns_n(latency_ns, 1);
    }

    /// Records the same latency `samples` times.
    pub fn record_ns_n(&mut self, latency_ns: u64, samples: u64) {
        if latency_ns > LATENCY_NS_MAX {
            self.saturated = self.saturated.saturating_add(samples);
        }
        self.histogram.saturating_record_n(latency_ns.min(LATENCY_NS_MAX), samples);
    }

    /// Adds every sample of `other` to this histogram.
    pub fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("all latency histograms have the same bounds");
        self.saturated = self.saturated.saturating_add(other.saturated);
    }

    /// How many samples were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// How many of the samples were longer than [`LATENCY_NS_MAX`].
    ///
    /// The interval log has no place for this count, so a histogram read back from one reports 0;
    /// the run record keeps it in [`LatencySummary::saturated`].
    #[must_use]
    pub fn saturated(&self) -> u64 {
        self.saturated
    }

    /// The latency that the fraction `quantile` (0 to 1) of all samples does not exceed; `None`
    /// if nothing was recorded.
    #[must_use]
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        self.when_recorded(|histogram| histogram.value_at_quantile(quantile))
    }

    /// The percentile (above 0, below 100) as far as the samples tell it: `None` unless at least
    /// [`SAMPLES_BEYOND_MIN`] of them lie beyond it.
    #[must_use]
    pub fn percentile_ns(&self, percent: f64) -> Option<u64> {
        let beyond = self.count() as f64 * (100.0 - percent) / 100.0;
        // A hair less than whole samples is what binary fractions make of whole ones.
        (beyond + 1e-6 >= SAMPLES_BEYOND_MIN as f64)
            .then(|| self.histogram.value_at_percentile(percent))
    }

    /// The mean latency; `None` if nothing was recorded.
    #[must_use]
    pub fn mean_ns(&self) -> Option<f64> {
        self.when_recorded(Histogram::mean)
    }

    /// The shortest latency; `None` if nothing was recorded.
    #[must_use]
    pub fn min_ns(&self) -> Option<u64> {
        self.when_recorded(Histogram::min)
    }

    /// The longest latency; `None` if nothing was recorded.
    #[must_use]
    pub fn max_ns(&self) -> Option<u64> {
        self.when_recorded(Histogram::max)
    }

    /// The figures that a run record keeps.
    #[must_use]
    pub fn summary(&self) -> LatencySummary {
        LatencySummary {
            count: self.count(),
            saturated: self.saturated,
            mean_ns: self.mean_ns(),
            min_ns: self.min_ns(),
            p50_ns: self.supported_percentile_ns(50_000),
            p90_ns: self.supported_percentile_ns(90_000),
            p99_ns: self.supported_percentile_ns(99_000),
            p99_9_ns: self.supported_percentile_ns(99_900),
            p99_99_ns: self.supported_percentile_ns(99_990),
            max_ns: self.max_ns(),
        }
    }

    /// The histogram as base64 of HdrHistogram's compressed V2 format.
    ///
    /// # Errors
    /// [`MeasureError::Encode`] if a single count exceeds what the format can hold (2⁶³ − 1).
    pub fn to_base64(&self) -> Result<String, MeasureError> {
        let mut compressed = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.histogram, &mut compressed)
            .map_err(|error| MeasureError::encode("a histogram", &error))?;
        Ok(BASE64.encode(compressed))
    }

    /// Reads a histogram from base64 of any of HdrHistogram's V2 formats.
    ///
    /// Values outside this type's range, as another program may have written, saturate.
    ///
    /// # Errors
    /// [`MeasureError::Malformed`] if the text is not such a histogram.
    pub fn from_base64(encoded: &str) -> Result<Self, MeasureError> {
        let malformed = |found: String| MeasureError::Malformed {
            place: "histogram".to_owned(),
            expected: "base64 of HdrHistogram's V2 format",
            found,
            advice: "the file is damaged or was cut off: run the benchmark again",
        };
        let compressed =
            BASE64.decode(encoded.trim()).map_err(|error| malformed(error.to_string()))?;
        let decoded: Histogram<u64> = Deserializer::new()
            .deserialize(&mut compressed.as_slice())
            .map_err(|error| malformed(error.to_string()))?;
        Ok(Self::from_decoded(&decoded))
    }

    pub(crate) fn as_hdr(&self) -> &Histogram<u64> {
        &self.histogram
    }

    fn from_decoded(decoded: &Histogram<u64>) -> Self {
        let mut latencies = Self::new();
        for bucket in decoded.iter_recorded() {
            // A bucket is iterated to by its upper edge, which in the last one lies past an hour.
            let latency_ns = decoded.lowest_equivalent(bucket.value_iterated_to());
            latencies.record_ns_n(latency_ns, bucket.count_at_value());
        }
        latencies
    }

    fn when_recorded<T>(&self, figure: impl FnOnce(&Histogram<u64>) -> T) -> Option<T> {
        (!self.histogram.is_empty()).then(|| figure(&self.histogram))
    }

    /// The percentile, in thousandths of a percent, if enough samples lie beyond it.
    fn supported_percentile_ns(&self, percentile_milli: u32) -> Option<u64> {
        (samples_beyond(self.count(), percentile_milli) >= SAMPLES_BEYOND_MIN)
            .then(|| self.histogram.value_at_percentile(f64::from(percentile_milli) / 1000.0))
    }
}

/// How many of `count` samples lie beyond the percentile, given in thousandths of a percent.
fn samples_beyond(count: u64, percentile_milli: u32) -> u64 {
    let within = (u128::from(count) * u128::from(percentile_milli)).div_ceil(100_000);
    count - u64::try_from(within).expect("a fraction of a u64 is a u64")
}

/// The figures of one latency histogram.
///
/// A percentile is `None` unless at least [`SAMPLES_BEYOND_MIN`] samples lie beyond it: with
/// fewer, it would be a statement about single messages. Mean, minimum and maximum are `None`
/// only if nothing was recorded.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct LatencySummary {
    /// How many samples were recorded.
    pub count: u64,
    /// How many of them exceeded the histogram's range and are counted at its maximum.
    #[serde(default)]
    pub saturated: u64,
    /// The mean.
    pub mean_ns: Option<f64>,
    /// The shortest sample.
    pub min_ns: Option<u64>,
    /// Half of all samples were no longer than this.
    pub p50_ns: Option<u64>,
    /// 90 % of all samples were no longer than this.
    pub p90_ns: Option<u64>,
    /// 99 % of all samples were no longer than this.
    pub p99_ns: Option<u64>,
    /// 99.9 % of all samples were no longer than this.
    pub p99_9_ns: Option<u64>,
    /// 99.99 % of all samples were no longer than this.
    pub p99_99_ns: Option<u64>,
    /// The longest sample.
    pub max_ns: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(samples: u64) -> LatencyHistogram {
        let mut histogram = LatencyHistogram::new();
        for latency_us in 1..=samples {
            histogram.record_ns(latency_us * 1000);
        }
        histogram
    }

    fn check_close(found_ns: Option<u64>, expected_ns: u64) {
        let found_ns = found_ns.expect("a figure");
        let error = found_ns.abs_diff(expected_ns) as f64 / expected_ns as f64;
        assert!(error < 0.002, "found {found_ns} ns, expected {expected_ns} ns");
    }

    #[test]
    fn figures_are_right_to_three_digits() {
        let histogram = ramp(10_000);
        assert_eq!(histogram.count(), 10_000);
        check_close(histogram.quantile_ns(0.5), 5_000_000);
        check_close(histogram.quantile_ns(0.99), 9_900_000);
        check_close(histogram.min_ns(), 1000);
        check_close(histogram.max_ns(), 10_000_000);
        assert!((histogram.mean_ns().unwrap() / 5_000_500.0 - 1.0).abs() < 0.002);
    }

    #[test]
    fn an_empty_histogram_has_no_figures_but_a_count() {
        let summary = LatencyHistogram::new().summary();
        assert_eq!(summary, LatencySummary::default());
    }

    #[test]
    fn a_percentile_with_fewer_than_ten_samples_beyond_it_is_withheld() {
        let summary = ramp(1000).summary();
        check_close(summary.p99_ns, 990_000);
        assert_eq!(summary.p99_9_ns, None);

        let summary = ramp(999).summary();
        assert!(summary.p90_ns.is_some());
        assert_eq!(summary.p99_ns, None, "9 samples lie beyond p99 of 999");
        assert!(summary.max_ns.is_some());

        assert!(ramp(20).summary().p50_ns.is_some());
        assert_eq!(ramp(19).summary().p50_ns, None);
    }

    #[test]
    fn samples_past_an_hour_saturate_and_are_counted() {
        let mut histogram = LatencyHistogram::new();
        histogram.record_ns(LATENCY_NS_MAX);
        histogram.record_ns_n(u64::MAX, 3);
        assert_eq!(histogram.count(), 4);
        assert_eq!(histogram.saturated(), 3);
        check_close(histogram.max_ns(), LATENCY_NS_MAX);
    }

    #[test]
    fn merging_adds_samples_and_saturation() {
        let mut left = ramp(100);
        let mut right = ramp(50);
        right.record_ns(u64::MAX);
        left.merge(&right);
        assert_eq!(left.count(), 151);
        assert_eq!(left.saturated(), 1);
    }

    #[test]
    fn base64_round_trips() {
        let histogram = ramp(5000);
        let decoded = LatencyHistogram::from_base64(&histogram.to_base64().unwrap()).unwrap();
        assert_eq!(decoded, histogram);
    }

    #[test]
    fn the_longest_latency_does_not_saturate_on_its_way_through_base64() {
        let mut histogram = LatencyHistogram::new();
        histogram.record_ns(LATENCY_NS_MAX);
        let decoded = LatencyHistogram::from_base64(&histogram.to_base64().unwrap()).unwrap();
        assert_eq!(decoded, histogram);
    }

    #[test]
    fn damaged_base64_is_refused_with_advice() {
        let error = LatencyHistogram::from_base64("HISTFAAA!").unwrap_err();
        assert!(error.to_string().contains("run the benchmark again"));
        let cut = ramp(5000).to_base64().unwrap();
        assert!(LatencyHistogram::from_base64(&cut[..cut.len() / 8 * 4]).is_err());
    }
}
