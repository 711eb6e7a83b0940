//! Latency over time: for each series, one histogram for each interval of a measured phase.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;

use crate::hlog::{LogLine, read_log, write_log};
use crate::{HistogramTag, LATENCY_NS_MAX, LATENCY_NS_MIN, LatencyHistogram, MeasureError};

/// Intervals are many and are drawn as colours: two significant digits are enough.
const SIGNIFICANT_DIGITS: u8 = 2;

/// Series of interval histograms, by tag.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Timeline {
    by_tag: BTreeMap<HistogramTag, Vec<TimelineInterval>>,
}

/// The samples of one interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineInterval {
    /// From the start of the run to the interval's; the log keeps it to the millisecond.
    pub start: Duration,
    /// How long the interval was; the log keeps it to the millisecond.
    pub interval: Duration,
    /// Latencies in nanoseconds, to two significant digits and ascending, and how many samples each
    /// has. Only the latencies that occurred: a whole histogram would take 40 kB.
    counts: Vec<(u64, u64)>,
}

impl TimelineInterval {
    /// The samples of `histogram`, as of an interval.
    #[must_use]
    pub fn of(start: Duration, interval: Duration, histogram: &LatencyHistogram) -> Self {
        let mut coarse = empty();
        for bucket in histogram.as_hdr().iter_recorded() {
            coarse.saturating_record_n(bucket.value_iterated_to(), bucket.count_at_value());
        }
        Self { start, interval, counts: counts(&coarse) }
    }

    /// Latencies in nanoseconds, ascending, and how many samples each has.
    #[must_use]
    pub fn counts(&self) -> &[(u64, u64)] {
        &self.counts
    }

    /// How many samples there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|(_, samples)| samples).sum()
    }

    fn histogram(&self) -> Histogram<u64> {
        let mut histogram = empty();
        for (latency_ns, samples) in &self.counts {
            histogram.saturating_record_n(*latency_ns, *samples);
        }
        histogram
    }
}

impl Timeline {
    /// Adds an interval to the series with this tag.
    pub fn add(&mut self, tag: HistogramTag, interval: TimelineInterval) {
        self.by_tag.entry(tag).or_default().push(interval);
    }

    /// The intervals of a series, in the order they were added; none if there is no such series.
    #[must_use]
    pub fn intervals(&self, tag: &HistogramTag) -> &[TimelineInterval] {
        self.by_tag.get(tag).map_or(&[], Vec::as_slice)
    }

    /// Every series, ordered by tag.
    pub fn iter(&self) -> impl Iterator<Item = (&HistogramTag, &[TimelineInterval])> {
        self.by_tag.iter().map(|(tag, intervals)| (tag, intervals.as_slice()))
    }

    /// Whether there are no series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_tag.is_empty()
    }

    /// The series as an interval log (format 1.3), one tagged line for each interval, ordered by
    /// start.
    ///
    /// # Errors
    /// [`MeasureError::Encode`] if a histogram cannot be encoded.
    pub fn to_hlog(&self, run_started_at: SystemTime) -> Result<Vec<u8>, MeasureError> {
        let mut intervals: Vec<_> = self
            .by_tag
            .iter()
            .flat_map(|(tag, intervals)| intervals.iter().map(move |interval| (tag, interval)))
            .collect();
        intervals.sort_by_key(|(_, interval)| interval.start);
        write_log(
            run_started_at,
            intervals.into_iter().map(|(tag, interval)| LogLine {
                tag,
                start: interval.start,
                interval: interval.interval,
                histogram: Cow::Owned(interval.histogram()),
            }),
        )
    }

    /// Reads an interval log. A line without a tag is filed under `untagged`.
    ///
    /// # Errors
    /// [`MeasureError::Malformed`] with the line that could not be read.
    pub fn from_hlog(log: &[u8]) -> Result<Self, MeasureError> {
        let mut timeline = Self::default();
        read_log(log, |tag, start, interval, histogram| {
            timeline.add(tag, TimelineInterval::of(start, interval, &histogram));
        })?;
        Ok(timeline)
    }
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(LATENCY_NS_MIN, LATENCY_NS_MAX, SIGNIFICANT_DIGITS)
        .expect("1 ns to 1 h at two digits are bounds that HdrHistogram accepts")
}

fn counts(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    histogram
        .iter_recorded()
        .map(|bucket| {
            let latency_ns = histogram.lowest_equivalent(bucket.value_iterated_to());
            (latency_ns, bucket.count_at_value())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn interval(start_ms: u64, latencies_ns: &[u64]) -> TimelineInterval {
        let mut histogram = LatencyHistogram::new();
        latencies_ns.iter().for_each(|latency_ns| histogram.record_ns(*latency_ns));
        TimelineInterval::of(
            Duration::from_millis(start_ms),
            Duration::from_millis(100),
            &histogram,
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_log_gives_back_every_interval(
            series in vec(vec(0..=LATENCY_NS_MAX, 0..20), 0..12)
        ) {
            let mut timeline = Timeline::default();
            for (index, latencies_ns) in (0_u64..).zip(&series) {
                let tag = HistogramTag::new(if index % 2 == 0 { "even" } else { "odd" });
                timeline.add(tag, interval(index * 100, latencies_ns));
            }
            let log = timeline.to_hlog(UNIX_EPOCH + Duration::from_secs(1)).unwrap();
            prop_assert_eq!(Timeline::from_hlog(&log).unwrap(), timeline);
        }
    }

    #[test]
    fn latencies_are_kept_to_two_digits() {
        let found = interval(0, &[1_000_000, 1_001_000, 1_500_000]);
        assert_eq!(found.count(), 3);
        let [(low, 2), (high, 1)] = found.counts() else {
            panic!("expected two latencies, found {found:?}");
        };
        for (kept, recorded) in [(low, 1e6), (high, 1.5e6)] {
            assert!((*kept as f64 / recorded - 1.0).abs() < 0.01, "{kept}");
        }
    }

    #[test]
    fn a_series_that_is_not_there_has_no_intervals() {
        assert_eq!(Timeline::default().intervals(&HistogramTag::new("a")), []);
    }
}
