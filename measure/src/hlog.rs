//! Sets of tagged histograms, and the HdrHistogram interval log that stores them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogHistogram, IntervalLogIterator, IntervalLogWriterBuilder, LogEntry,
    LogIteratorError, Tag,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{LatencyHistogram, MeasureError, OperationName, StreamLoad, StreamShape};

/// The column names that HdrHistogram's own writer puts above the lines.
const LEGEND: &str = "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\
                      \"Interval_Compressed_Histogram\"\n";

/// The log shows each line's maximum in milliseconds, as HdrHistogram's own writer does.
const INTERVAL_MAX_UNIT_NS: f64 = 1e6;

/// The address of one histogram in the interval log.
///
/// Holds no comma, space or control character: the log could not store those.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct HistogramTag(String);

impl HistogramTag {
    /// A tag from any text; characters that a tag cannot hold become `-`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let fits = |c: char| !(c == ',' || c.is_whitespace() || c.is_control());
        Self(text.chars().map(|c| if fits(c) { c } else { '-' }).collect())
    }

    /// The tag of an operation's histogram, e.g. `tandem-mio/publish/50-clients`.
    #[must_use]
    pub fn for_operation(broker: &str, operation: &OperationName, clients: u32) -> Self {
        Self::new(&format!("{broker}/{operation}/{clients}-clients"))
    }

    /// The tag of a stream's histogram, e.g. `tandem-mio/stream/1-to-50/100B/saturating`.
    #[must_use]
    pub fn for_stream(
        broker: &str,
        shape: StreamShape,
        payload_bytes: u64,
        load: &StreamLoad,
    ) -> Self {
        let StreamShape { publishers, subscribers, .. } = shape;
        let load = load.tag_part();
        Self::new(&format!("{broker}/stream/{publishers}-to-{subscribers}/{payload_bytes}B/{load}"))
    }

    /// The tag of a part of what this one names, e.g. `…/saturating/16-in-flight`.
    #[must_use]
    pub fn part(&self, name: &str) -> Self {
        Self::new(&format!("{}/{name}", self.0))
    }

    /// The tag's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HistogramTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A histogram and when it was recorded. The log keeps both times to the millisecond.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedHistogram {
    /// From the start of the run to the first sample.
    pub start: Duration,
    /// How long recording lasted.
    pub interval: Duration,
    /// The samples.
    pub histogram: LatencyHistogram,
}

/// Every histogram of a run, by tag.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HistogramSet {
    by_tag: BTreeMap<HistogramTag, LoggedHistogram>,
}

impl HistogramSet {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a histogram. If the tag is there already, the samples are merged and the interval
    /// grows to cover both: a tag names a series, which may be recorded in pieces.
    pub fn add(&mut self, tag: HistogramTag, added: LoggedHistogram) {
        let Some(known) = self.by_tag.get_mut(&tag) else {
            self.by_tag.insert(tag, added);
            return;
        };
        let end = (known.start + known.interval).max(added.start + added.interval);
        known.start = known.start.min(added.start);
        known.interval = end - known.start;
        known.histogram.merge(&added.histogram);
    }

    /// The histogram with this tag.
    #[must_use]
    pub fn histogram(&self, tag: &HistogramTag) -> Option<&LatencyHistogram> {
        self.by_tag.get(tag).map(|logged| &logged.histogram)
    }

    /// All histograms, ordered by tag.
    pub fn iter(&self) -> impl Iterator<Item = (&HistogramTag, &LoggedHistogram)> {
        self.by_tag.iter()
    }

    /// How many histograms there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_tag.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_tag.is_empty()
    }

    /// The set as an interval log (format 1.3), one tagged line each, ordered by start.
    ///
    /// # Errors
    /// [`MeasureError::Encode`] if a histogram cannot be encoded.
    pub fn to_hlog(&self, run_started_at: SystemTime) -> Result<Vec<u8>, MeasureError> {
        let failed = |error: &dyn fmt::Display| MeasureError::encode("the interval log", &error);
        let mut log = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment("[Values are nanoseconds]")
            .with_start_time(run_started_at)
            .with_base_time(run_started_at)
            .begin_log_with(&mut log, &mut serializer)
            .map_err(|error| failed(&error))?;
        log.extend_from_slice(LEGEND.as_bytes());

        // The library cannot write the legend, so a second writer goes on below it.
        let mut writer = IntervalLogWriterBuilder::new()
            .with_max_value_divisor(INTERVAL_MAX_UNIT_NS)
            .begin_log_with(&mut log, &mut serializer)
            .map_err(|error| failed(&error))?;
        let mut by_start: Vec<_> = self.by_tag.iter().collect();
        by_start.sort_by_key(|(_, logged)| logged.start);
        for (tag, logged) in by_start {
            writer
                .write_histogram(
                    logged.histogram.as_hdr(),
                    logged.start,
                    logged.interval,
                    Tag::new(tag.as_str()),
                )
                .map_err(|error| failed(&error))?;
        }
        Ok(log)
    }

    /// Reads an interval log. Lines with the same tag are merged; a line without a tag is filed
    /// under `untagged`.
    ///
    /// # Errors
    /// [`MeasureError::Malformed`] with the line that could not be read.
    pub fn from_hlog(log: &[u8]) -> Result<Self, MeasureError> {
        let mut set = Self::new();
        for entry in IntervalLogIterator::new(log) {
            match entry {
                Ok(LogEntry::Interval(interval)) => set.add_interval(&interval)?,
                Ok(LogEntry::StartTime(_) | LogEntry::BaseTime(_)) => {}
                Err(LogIteratorError::ParseError { offset }) => {
                    return Err(malformed_line(log, offset));
                }
            }
        }
        Ok(set)
    }

    fn add_interval(&mut self, interval: &IntervalLogHistogram<'_>) -> Result<(), MeasureError> {
        let tag = interval.tag().map_or("untagged", |tag| tag.as_str());
        let logged = LoggedHistogram {
            start: interval.start_timestamp(),
            interval: interval.duration(),
            histogram: LatencyHistogram::from_base64(interval.encoded_histogram())?,
        };
        self.add(HistogramTag::new(tag), logged);
        Ok(())
    }
}

fn malformed_line(log: &[u8], offset: usize) -> MeasureError {
    const SHOWN_CHARS_MAX: usize = 60;
    let line_number = log[..offset].iter().filter(|byte| **byte == b'\n').count() + 1;
    let rest = String::from_utf8_lossy(&log[offset..]);
    let line: String =
        rest.lines().next().unwrap_or_default().chars().take(SHOWN_CHARS_MAX).collect();
    MeasureError::Malformed {
        place: "histogram log".to_owned(),
        expected: "a line `Tag=…,start,length,max,base64` ended by a newline",
        found: format!("{line:?} in line {line_number}"),
        advice: "the file is damaged or was cut off: run the benchmark again",
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    fn logged(start_ms: u64, latencies_ns: &[u64]) -> LoggedHistogram {
        let mut histogram = LatencyHistogram::new();
        for latency_ns in latencies_ns {
            histogram.record_ns(*latency_ns);
        }
        LoggedHistogram {
            start: Duration::from_millis(start_ms),
            interval: Duration::from_millis(1500),
            histogram,
        }
    }

    fn started_at() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }

    proptest! {
        #[test]
        fn a_log_gives_back_what_was_written(
            series in btree_map(
                "[a-z0-9/→.-]{1,20}",
                (0..100_000_000u64, vec(0..=crate::LATENCY_NS_MAX, 0..50)),
                0..6,
            )
        ) {
            let mut set = HistogramSet::new();
            for (tag, (start_ms, latencies_ns)) in &series {
                set.add(HistogramTag::new(tag), logged(*start_ms, latencies_ns));
            }
            let log = set.to_hlog(started_at()).unwrap();
            prop_assert_eq!(HistogramSet::from_hlog(&log).unwrap(), set);
        }

        #[test]
        fn a_damaged_log_never_panics(
            cut in any::<prop::sample::Index>(),
            flipped in any::<prop::sample::Index>(),
            with in any::<u8>(),
        ) {
            let mut set = HistogramSet::new();
            set.add(HistogramTag::new("publish"), logged(1, &[5, 50, 500]));
            let mut log = set.to_hlog(started_at()).unwrap();
            let at = flipped.index(log.len());
            log[at] = with;
            log.truncate(cut.index(log.len()) + 1);
            let _ = HistogramSet::from_hlog(&log);
        }
    }

    #[test]
    fn the_log_reads_as_hdrhistogram_writes_it() {
        let mut set = HistogramSet::new();
        set.add(HistogramTag::new("late"), logged(2000, &[4_000_000]));
        set.add(HistogramTag::new("soon"), logged(500, &[1_000_000]));
        let log = String::from_utf8(set.to_hlog(started_at()).unwrap()).unwrap();
        let lines: Vec<_> = log.lines().collect();
        assert_eq!(lines[0], "#[Histogram log format version 1.3]");
        assert_eq!(lines[2], "#[StartTime: 1700000000.000 (seconds since epoch)]");
        assert!(lines[4].starts_with("\"StartTimestamp\",\"Interval_Length\""));
        assert!(lines[6].starts_with("Tag=soon,0.500,1.500,1.000,HISTFAAA"));
        assert!(lines[7].starts_with("Tag=late,2.000,1.500,4.002,HISTFAAA"));
    }

    #[test]
    fn pieces_of_one_series_become_one_histogram() {
        let tag = HistogramTag::new("publish");
        let mut set = HistogramSet::new();
        set.add(tag.clone(), logged(1000, &[10, 20]));
        set.add(tag.clone(), logged(4000, &[30]));
        assert_eq!(set.len(), 1);
        assert_eq!(set.histogram(&tag).unwrap().count(), 3);
        let (_, whole) = set.iter().next().unwrap();
        assert_eq!(whole.start, Duration::from_millis(1000));
        assert_eq!(whole.interval, Duration::from_millis(4500));
    }

    #[test]
    fn tags_hold_nothing_that_the_log_cannot() {
        assert_eq!(HistogramTag::new("a b,c\nd").as_str(), "a-b-c-d");
        let tag = HistogramTag::for_stream(
            "tandem mio",
            StreamShape::new(1, 50),
            100,
            &StreamLoad::at_rate(10_000.0),
        );
        assert_eq!(tag.as_str(), "tandem-mio/stream/1-to-50/100B/10000-per-s");
    }

    #[test]
    fn a_damaged_line_is_named() {
        let error = HistogramSet::from_hlog(b"#comment\nTag=a,1.0,nonsense\n").unwrap_err();
        let message = error.to_string();
        assert!(message.contains("in line 2"), "{message}");
        assert!(message.contains("Tag=a,1.0,nonsense"), "{message}");
    }
}
