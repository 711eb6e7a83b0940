//! From the keys that were written to the configuration that is meant.

mod brokers;
mod piles;

use super::keys::{ConfigKeys, OperationsKeys, StreamKeys};
use super::{Config, ConfigError, OperationsConfig, OperationsExtent, StreamConfig, StreamExtent};
use crate::drivers::Operation;
use crate::message::MESSAGE_BYTES_MIN;
use crate::schedule::RATE_PER_S_MIN;
use measure::StreamLoad;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use toml::Spanned;

const REPEAT_RANGE: RangeInclusive<u32> = 1..=100;
const CONNECTIONS_RANGE: RangeInclusive<u32> = 1..=1_000;
const DURATION_MS_RANGE: RangeInclusive<u64> = 1..=600_000;
const WARMUP_MS_RANGE: RangeInclusive<u64> = 0..=60_000;
const COUNT_RANGE: RangeInclusive<u64> = 1..=10_000_000;
const MESSAGES_RANGE: RangeInclusive<u64> = 1..=10_000_000_000;
const BATCH_RANGE: RangeInclusive<u32> = 1..=65_536;
const PAYLOAD_BYTES_RANGE: RangeInclusive<u64> = MESSAGE_BYTES_MIN as u64..=4 * 1024 * 1024;

/// Payload bytes of one write. Brokers refuse frames of more than 16 MiB by default.
const BATCH_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Publications of one publisher under way at once.
const ACKS_RANGE: RangeInclusive<u32> = 1..=65_536;

const RATE_PER_S_MAX: f64 = 1e8;

const REPEAT_DEFAULT: u32 = 1;
const WARMUP_MS_DEFAULT: u64 = 100;
const PAYLOAD_BYTES_DEFAULT: u64 = 100;
const BATCH_DEFAULT: u32 = 64;

/// Checks every value.
pub(super) fn check(text: &str, keys: ConfigKeys) -> Result<Config, ConfigError> {
    let check = Check { text };
    check.name("name", &keys.name)?;
    let brokers = check.brokers(keys.brokers)?;
    let operations = keys.operations.map(|keys| check.operations(&keys)).transpose()?;
    let streams =
        keys.streams.iter().map(|keys| check.stream(keys)).collect::<Result<Vec<_>, _>>()?;
    check.streams_differ(&keys.streams)?;
    let backlogs = check.backlogs(&keys.backlogs)?;
    let restarts = check.restarts(&keys.restarts)?;
    let is_idle = streams.is_empty() && backlogs.is_empty() && restarts.is_empty();
    if operations.is_none() && is_idle {
        let expected = "an [operations] table, or at least one of [[streams]], [[backlogs]] \
                        and [[restarts]]";
        return Err(check.nowhere("operations", expected));
    }
    Ok(Config {
        name: keys.name.into_inner(),
        description: keys.description,
        repeat: check.within("repeat", keys.repeat.as_ref(), &REPEAT_RANGE, REPEAT_DEFAULT)?,
        data_root: keys.data_root.map(|root| check.data_root(root)).transpose()?,
        memory_at_hand_bytes: keys.memory_at_hand_bytes,
        brokers,
        operations,
        streams,
        backlogs,
        restarts,
    })
}

struct Check<'a> {
    text: &'a str,
}

impl Check<'_> {
    fn impossible<T>(
        &self,
        key: &'static str,
        value: &Spanned<T>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> ConfigError {
        ConfigError::impossible(self.text, &value.span(), key, expected, found.into())
    }

    /// Something that stands nowhere is missed at the file's end.
    fn nowhere(&self, key: &'static str, expected: &str) -> ConfigError {
        let end = self.text.trim_end().len();
        ConfigError::impossible(self.text, &(end..end), key, expected, "none".to_owned())
    }

    fn within<T: Copy + PartialOrd + Display>(
        &self,
        key: &'static str,
        value: Option<&Spanned<T>>,
        range: &RangeInclusive<T>,
        default: T,
    ) -> Result<T, ConfigError> {
        match value {
            None => Ok(default),
            Some(value) => self.value_within(key, value, *value.as_ref(), range),
        }
    }

    fn value_within<S, T: PartialOrd + Display>(
        &self,
        key: &'static str,
        place: &Spanned<S>,
        value: T,
        range: &RangeInclusive<T>,
    ) -> Result<T, ConfigError> {
        if range.contains(&value) {
            return Ok(value);
        }
        let expected = format!("{} to {}", range.start(), range.end());
        Err(self.impossible(key, place, expected, value.to_string()))
    }

    /// Names become parts of file names and histogram tags.
    fn name(&self, key: &'static str, name: &Spanned<String>) -> Result<(), ConfigError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let text = name.as_ref();
        if !text.is_empty() && text.chars().all(fits) && !text.starts_with('.') {
            return Ok(());
        }
        let expected = "letters, digits, \"-\", \"_\" and \".\", no \".\" first";
        Err(self.impossible(key, name, expected, format!("{text:?}")))
    }

    fn operations(&self, table: &Spanned<OperationsKeys>) -> Result<OperationsConfig, ConfigError> {
        let keys = table.as_ref();
        let list = match &keys.list {
            None => Operation::ALL.to_vec(),
            Some(list) => self.distinct("list", list)?,
        };
        let clients = self.distinct("clients", &keys.clients)?;
        for &number in &clients {
            self.value_within("clients", &keys.clients, number, &CONNECTIONS_RANGE)?;
        }
        let extent = match (&keys.duration_ms, &keys.count) {
            (Some(value), None) => OperationsExtent::DurationMs(self.value_within(
                "duration_ms",
                value,
                *value.as_ref(),
                &DURATION_MS_RANGE,
            )?),
            (None, Some(value)) => OperationsExtent::Count(self.value_within(
                "count",
                value,
                *value.as_ref(),
                &COUNT_RANGE,
            )?),
            (Some(_), Some(count)) => {
                let expected = "either `duration_ms` or `count`";
                return Err(self.impossible("count", count, expected, "both"));
            }
            (None, None) => {
                let expected = "`duration_ms`, or `count` of each client";
                return Err(self.impossible("operations", table, expected, "neither"));
            }
        };
        let payload_bytes = self.within(
            "payload_bytes",
            keys.payload_bytes.as_ref(),
            &PAYLOAD_BYTES_RANGE,
            PAYLOAD_BYTES_DEFAULT,
        )?;
        Ok(OperationsConfig {
            list,
            clients,
            extent,
            warmup_ms: self.warmup_ms(keys.warmup_ms.as_ref())?,
            payload_bytes: payload_bytes as usize,
        })
    }

    fn stream(&self, table: &Spanned<StreamKeys>) -> Result<StreamConfig, ConfigError> {
        let keys = table.as_ref();
        let (publishers, subscribers) = (*keys.publishers.as_ref(), *keys.subscribers.as_ref());
        self.value_within("publishers", &keys.publishers, publishers, &CONNECTIONS_RANGE)?;
        if subscribers > 0 || keys.acks.is_none() {
            self.value_within("subscribers", &keys.subscribers, subscribers, &CONNECTIONS_RANGE)?;
        }
        let batch = self.within("batch", keys.batch.as_ref(), &BATCH_RANGE, BATCH_DEFAULT)?;
        let load = self.load(keys.load.as_ref())?;
        if let (Some(acks), StreamLoad::RatePerS(_)) = (&keys.acks, load) {
            let expected = "none at a fixed rate: who waits for acknowledgements keeps no pace";
            return Err(self.impossible("acks", acks, expected, acks.as_ref().to_string()));
        }
        Ok(StreamConfig {
            publishers,
            subscribers,
            payload_bytes: self.payloads(&keys.payload_bytes, batch)?,
            batch,
            acks: keys.acks.as_ref().map(|acks| self.acks(acks)).transpose()?,
            extent: self.stream_extent(table)?,
            warmup_ms: self.warmup_ms(keys.warmup_ms.as_ref())?,
            lag_policy: keys.lag_policy.unwrap_or_default(),
            load,
        })
    }

    fn acks(&self, acks: &Spanned<u32>) -> Result<u32, ConfigError> {
        self.value_within("acks", acks, *acks.as_ref(), &ACKS_RANGE)?;
        Ok(*acks.as_ref())
    }

    /// Sizes of payload, `batch` of which fit one write.
    fn payloads(&self, list: &Spanned<Vec<u64>>, batch: u32) -> Result<Vec<usize>, ConfigError> {
        let payload_bytes = self.distinct("payload_bytes", list)?;
        for &bytes in &payload_bytes {
            self.value_within("payload_bytes", list, bytes, &PAYLOAD_BYTES_RANGE)?;
            if bytes * u64::from(batch) > BATCH_BYTES_MAX {
                let expected = format!("batch × payload_bytes of at most {BATCH_BYTES_MAX}");
                let found = format!("{batch} × {bytes}");
                return Err(self.impossible("payload_bytes", list, expected, found));
            }
        }
        Ok(payload_bytes.iter().map(|&bytes| bytes as usize).collect())
    }

    fn stream_extent(&self, table: &Spanned<StreamKeys>) -> Result<StreamExtent, ConfigError> {
        let keys = table.as_ref();
        match (&keys.duration_ms, &keys.messages) {
            (Some(value), None) => self
                .value_within("duration_ms", value, *value.as_ref(), &DURATION_MS_RANGE)
                .map(StreamExtent::DurationMs),
            (None, Some(value)) => self
                .value_within("messages", value, *value.as_ref(), &MESSAGES_RANGE)
                .map(StreamExtent::Messages),
            (Some(_), Some(messages)) => {
                let expected = "either `duration_ms` or `messages`";
                Err(self.impossible("messages", messages, expected, "both"))
            }
            (None, None) => {
                let expected = "`duration_ms` or `messages`";
                Err(self.impossible("streams", table, expected, "neither"))
            }
        }
    }

    fn load(&self, load: Option<&Spanned<StreamLoad>>) -> Result<StreamLoad, ConfigError> {
        let Some(load) = load else { return Ok(StreamLoad::Saturating) };
        match *load.as_ref() {
            StreamLoad::RatePerS(rate) if !(RATE_PER_S_MIN..=RATE_PER_S_MAX).contains(&rate) => {
                let expected = format!("a rate_per_s of {RATE_PER_S_MIN} to {RATE_PER_S_MAX}");
                Err(self.impossible("load", load, expected, rate.to_string()))
            }
            possible => Ok(possible),
        }
    }

    /// Results are told apart by shape, payload, load and acknowledgements, so no two streams may
    /// share them all.
    fn streams_differ(&self, streams: &[Spanned<StreamKeys>]) -> Result<(), ConfigError> {
        let mut seen = BTreeSet::new();
        for table in streams {
            let keys = table.as_ref();
            let load = self.load(keys.load.as_ref())?;
            for bytes in keys.payload_bytes.as_ref() {
                let shape = (*keys.publishers.as_ref(), *keys.subscribers.as_ref());
                let acks = keys.acks.as_ref().map(|acks| *acks.as_ref());
                if !seen.insert((shape, *bytes, load.to_string(), acks)) {
                    let expected = "a shape, payload_bytes, load and acks that no other stream has";
                    let found = format!("{}→{}, {bytes} B, {load} again", shape.0, shape.1);
                    return Err(self.impossible("streams", table, expected, found));
                }
            }
        }
        Ok(())
    }

    fn warmup_ms(&self, value: Option<&Spanned<u64>>) -> Result<u64, ConfigError> {
        self.within("warmup_ms", value, &WARMUP_MS_RANGE, WARMUP_MS_DEFAULT)
    }

    /// A list with something in it, and nothing twice.
    fn distinct<T: Clone + Ord>(
        &self,
        key: &'static str,
        list: &Spanned<Vec<T>>,
    ) -> Result<Vec<T>, ConfigError> {
        let values = list.as_ref();
        if values.is_empty() {
            return Err(self.impossible(key, list, "at least one entry", "an empty list"));
        }
        if values.iter().collect::<BTreeSet<_>>().len() < values.len() {
            return Err(self.impossible(key, list, "each entry once", "one twice"));
        }
        Ok(values.clone())
    }
}
