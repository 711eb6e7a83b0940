//! The percentile spectrum of a histogram: as points to draw, and as HdrHistogram's text.

use std::io::{self, Write};

use crate::LatencyHistogram;

/// Points per halving of the distance to 100 %: HdrHistogram's own default.
const TICKS_PER_HALF_DISTANCE: u32 = 5;

/// Buckets of equal width within one power of two, at three significant digits.
const SUB_BUCKETS: u32 = 2048;

/// One point of a percentile spectrum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpectrumPoint {
    /// The fraction of samples, 0 to 1, that are no longer than the latency.
    pub quantile: f64,
    /// The latency at that quantile.
    pub latency_ns: u64,
    /// How many samples are no longer than the latency.
    pub count: u64,
}

/// The unit in which a spectrum's values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpectrumUnit {
    /// Nanoseconds.
    Nanoseconds,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
}

impl SpectrumUnit {
    fn nanoseconds(self) -> f64 {
        match self {
            Self::Nanoseconds => 1.0,
            Self::Microseconds => 1e3,
            Self::Milliseconds => 1e6,
        }
    }
}

impl LatencyHistogram {
    /// The spectrum from the shortest to the longest sample, denser towards 100 %.
    ///
    /// Empty if nothing was recorded.
    #[must_use]
    pub fn spectrum(&self) -> Vec<SpectrumPoint> {
        let mut count = 0;
        self.as_hdr()
            .iter_quantiles(TICKS_PER_HALF_DISTANCE)
            .map(|step| {
                count += step.count_since_last_iteration();
                SpectrumPoint {
                    quantile: step.quantile_iterated_to(),
                    latency_ns: self.as_hdr().highest_equivalent(step.value_iterated_to()),
                    count,
                }
            })
            .collect()
    }

    /// Writes the spectrum as HdrHistogram prints it (an `.hgrm` file), values in `unit`.
    ///
    /// # Errors
    /// Whatever the writer reports.
    pub fn write_spectrum(&self, out: &mut impl Write, unit: SpectrumUnit) -> io::Result<()> {
        let scale = unit.nanoseconds();
        writeln!(
            out,
            "{:>12} {:>14} {:>10} {:>14}\n",
            "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
        )?;
        for point in self.spectrum() {
            let value = point.latency_ns as f64 / scale;
            write!(out, "{value:12.3} {:14.12} {:10}", point.quantile, point.count)?;
            if point.quantile < 1.0 {
                write!(out, " {:14.2}", 1.0 / (1.0 - point.quantile))?;
            }
            writeln!(out)?;
        }
        let histogram = self.as_hdr();
        writeln!(
            out,
            "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]",
            self.mean_ns().unwrap_or(0.0) / scale,
            histogram.stdev() / scale
        )?;
        writeln!(
            out,
            "#[Max     = {:12.3}, Total count    = {:12}]",
            self.max_ns().unwrap_or(0) as f64 / scale,
            self.count()
        )?;
        writeln!(out, "#[Buckets = {:12}, SubBuckets     = {SUB_BUCKETS:12}]", histogram.buckets())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three_samples() -> LatencyHistogram {
        let mut histogram = LatencyHistogram::new();
        for latency_ns in [1000, 1000, 2_000_000] {
            histogram.record_ns(latency_ns);
        }
        histogram
    }

    #[test]
    fn a_spectrum_rises_to_every_sample() {
        let spectrum = three_samples().spectrum();
        assert!(spectrum.is_sorted_by_key(|point| point.latency_ns));
        assert!(spectrum.is_sorted_by(|a, b| a.quantile <= b.quantile));
        let last = spectrum.last().unwrap();
        assert_eq!((last.quantile, last.count), (1.0, 3));
        assert_eq!(LatencyHistogram::new().spectrum(), vec![]);
    }

    #[test]
    fn the_text_is_laid_out_as_hdrhistogram_prints_it() {
        let mut text = Vec::new();
        three_samples().write_spectrum(&mut text, SpectrumUnit::Microseconds).unwrap();
        let text = String::from_utf8(text).unwrap();
        let mut lines = text.lines();
        assert_eq!(
            lines.next().unwrap(),
            "       Value     Percentile TotalCount 1/(1-Percentile)"
        );
        assert_eq!(lines.next().unwrap(), "");
        assert_eq!(lines.next().unwrap(), "       1.000 0.000000000000          2           1.00");
        assert!(text.contains("1.000000000000          3\n#[Mean"));
        assert!(text.contains("Total count    =            3]"));
    }

    #[test]
    fn an_empty_spectrum_is_still_a_whole_file() {
        let mut text = Vec::new();
        LatencyHistogram::new().write_spectrum(&mut text, SpectrumUnit::Nanoseconds).unwrap();
        assert!(String::from_utf8(text).unwrap().ends_with("SubBuckets     =         2048]\n"));
    }
}
