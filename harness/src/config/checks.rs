//! From the keys that were written to the configuration that is meant.

mod brokers;
mod events;
mod loads;
mod objectives;
mod payloads;
mod piles;
mod streams;

use super::keys::{ConfigKeys, GeneratorKeys, OneOrMany, OperationsKeys, PhasesKeys, Placed};
use super::{
    BaselineConfig, Config, ConfigError, GeneratorConfig, OperationsConfig, OperationsExtent,
    PhasesConfig,
};
use crate::drivers::Operation;
use crate::message::MESSAGE_BYTES_MIN;
use crate::schedule::RATE_PER_S_MIN;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

const REPEAT_RANGE: RangeInclusive<u32> = 1..=100;
/// TOML's numbers have a sign.
const SEED_RANGE: RangeInclusive<u64> = 0..=i64::MAX as u64;
const THREADS_RANGE: RangeInclusive<u32> = 1..=256;
const SPIN_US_RANGE: RangeInclusive<u32> = 0..=1_000;
const CONNECTIONS_RANGE: RangeInclusive<u32> = 1..=10_000;
const DURATION_MS_RANGE: RangeInclusive<u64> = 1..=600_000;
const WARMUP_MS_RANGE: RangeInclusive<u64> = 0..=60_000;
const PATIENCE_MS_RANGE: RangeInclusive<u64> = 1..=600_000;
const COUNT_RANGE: RangeInclusive<u64> = 1..=10_000_000;
const MESSAGES_RANGE: RangeInclusive<u64> = 1..=10_000_000_000;
const BATCH_RANGE: RangeInclusive<u32> = 1..=65_536;
const PAYLOAD_BYTES_RANGE: RangeInclusive<u64> = MESSAGE_BYTES_MIN as u64..=4 * 1024 * 1024;

/// Payload bytes of one write. Brokers refuse frames of more than 16 MiB by default.
const BATCH_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Publications of one publisher under way at once.
const ACKS_RANGE: RangeInclusive<u32> = 1..=65_536;
const ACKS_DEFAULT: u32 = 64;

const RATE_PER_S_MAX: f64 = 1e8;

const REPEAT_DEFAULT: u32 = 1;
const SEED_DEFAULT: u64 = 1;
const SPIN_US_DEFAULT: u32 = 0;
const WARMUP_MS_DEFAULT: u64 = 100;
const DRAIN_MS_MAX_DEFAULT: u64 = 3_000;
const CONNECT_MS_MAX_DEFAULT: u64 = 10_000;
const PAYLOAD_BYTES_DEFAULT: u64 = 100;

/// Checks every value.
pub(super) fn check(text: &str, keys: ConfigKeys) -> Result<Config, ConfigError> {
    let mut check = Check { text, phases: PhasesConfig::DEFAULT };
    check.name("name", &keys.name)?;
    check.phases = check.phases(&keys.phases)?;
    let brokers = check.brokers(keys.brokers)?;
    let config = Config {
        name: keys.name.into_inner(),
        description: keys.description,
        repeat: check.within("repeat", keys.repeat.as_ref(), &REPEAT_RANGE, REPEAT_DEFAULT)?,
        seed: check.within("seed", keys.seed.as_ref(), &SEED_RANGE, SEED_DEFAULT)?,
        data_root: keys.data_root.map(|root| check.data_root(root)).transpose()?,
        memory_at_hand_bytes: keys.memory_at_hand_bytes,
        generator: check.generator(&keys.generator)?,
        phases: check.phases,
        baseline: match keys.baseline {
            None => None,
            Some(keys) => Some(BaselineConfig { results: check.results(keys.results)? }),
        },
        objectives: check.objectives(&keys.objectives, &brokers)?,
        streams: check.streams(&keys.streams, &brokers)?,
        brokers,
        operations: keys.operations.map(|keys| check.operations(&keys)).transpose()?,

        backlogs: check.backlogs(&keys.backlogs)?,
        restarts: check.restarts(&keys.restarts)?,
        storms: check.storms(&keys.storms)?,
        idles: check.idles(&keys.idles)?,
        outages: check.outages(&keys.outages)?,
    };
    if config.asks_for_nothing() {
        let expected = "an [operations] table, or at least one of [[streams]], [[backlogs]], \
                        [[restarts]], [[storms]], [[idles]] and [[outages]]";
        return Err(check.nowhere("operations", expected));
    }
    Ok(config)
}

impl PhasesConfig {
    const DEFAULT: Self = Self {
        warmup_ms: WARMUP_MS_DEFAULT,
        drain_ms_max: DRAIN_MS_MAX_DEFAULT,
        connect_ms_max: CONNECT_MS_MAX_DEFAULT,
    };
}

impl Config {
    fn asks_for_nothing(&self) -> bool {
        self.operations.is_none()
            && self.streams.is_empty()
            && self.backlogs.is_empty()
            && self.restarts.is_empty()
            && self.storms.is_empty()
            && self.idles.is_empty()
            && self.outages.is_empty()
    }
}

struct Check<'a> {
    text: &'a str,
    /// What holds where load does not say it itself.
    phases: PhasesConfig,
}

impl Check<'_> {
    fn impossible<T>(
        &self,
        key: &'static str,
        value: &Placed<T>,
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
        value: Option<&Placed<T>>,
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
        place: &Placed<S>,
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
    fn name(&self, key: &'static str, name: &Placed<String>) -> Result<(), ConfigError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let text = name.as_ref();
        if !text.is_empty() && text.chars().all(fits) && !text.starts_with('.') {
            return Ok(());
        }
        let expected = "letters, digits, \"-\", \"_\" and \".\", no \".\" first";
        Err(self.impossible(key, name, expected, format!("{text:?}")))
    }

    fn operations(&self, table: &Placed<OperationsKeys>) -> Result<OperationsConfig, ConfigError> {
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

    /// Sizes of payload, `batch` of which fit one write.
    fn payloads(&self, list: &Placed<Vec<u64>>, batch: u32) -> Result<Vec<usize>, ConfigError> {
        let payload_bytes = self.distinct("payload_bytes", list)?;
        payload_bytes
            .iter()
            .map(|&bytes| self.payload_bytes("payload_bytes", list, bytes, batch))
            .collect()
    }

    /// A size of payload, `batch` of which fit one write.
    fn payload_bytes<T>(
        &self,
        key: &'static str,
        place: &Placed<T>,
        bytes: u64,
        batch: u32,
    ) -> Result<usize, ConfigError> {
        self.value_within(key, place, bytes, &PAYLOAD_BYTES_RANGE)?;
        if bytes * u64::from(batch) > BATCH_BYTES_MAX {
            let expected = format!("batch × {key} of at most {BATCH_BYTES_MAX}");
            return Err(self.impossible(key, place, expected, format!("{batch} × {bytes}")));
        }
        Ok(bytes as usize)
    }

    /// A rate that a schedule can hold, which a number need not be.
    fn rate<T>(
        &self,
        key: &'static str,
        place: &Placed<T>,
        name: &str,
        rate: f64,
    ) -> Result<f64, ConfigError> {
        if (RATE_PER_S_MIN..=RATE_PER_S_MAX).contains(&rate) {
            return Ok(rate);
        }
        let expected = format!("a {name} of {RATE_PER_S_MIN} to {RATE_PER_S_MAX}");
        Err(self.impossible(key, place, expected, rate.to_string()))
    }

    /// One value or several, each within a range and there once.
    fn list_within<T: Copy + Ord + Display>(
        &self,
        key: &'static str,
        list: &Placed<OneOrMany<T>>,
        range: &RangeInclusive<T>,
    ) -> Result<Vec<T>, ConfigError> {
        let values = self.distinct_values(key, list, &list.as_ref().0)?;
        for &value in &values {
            self.value_within(key, list, value, range)?;
        }
        Ok(values)
    }

    fn warmup_ms(&self, value: Option<&Placed<u64>>) -> Result<u64, ConfigError> {
        self.within("warmup_ms", value, &WARMUP_MS_RANGE, self.phases.warmup_ms)
    }

    /// A list with something in it, and nothing twice.
    fn distinct<T: Clone + Ord>(
        &self,
        key: &'static str,
        list: &Placed<Vec<T>>,
    ) -> Result<Vec<T>, ConfigError> {
        self.distinct_values(key, list, list.as_ref())
    }

    fn distinct_values<S, T: Clone + Ord>(
        &self,
        key: &'static str,
        place: &Placed<S>,
        values: &[T],
    ) -> Result<Vec<T>, ConfigError> {
        if values.is_empty() {
            return Err(self.impossible(key, place, "at least one entry", "an empty list"));
        }
        if values.iter().collect::<BTreeSet<_>>().len() < values.len() {
            return Err(self.impossible(key, place, "each entry once", "one twice"));
        }
        Ok(values.to_vec())
    }

    fn generator(&self, keys: &GeneratorKeys) -> Result<GeneratorConfig, ConfigError> {
        let threads = self.within("threads", keys.threads.as_ref(), &THREADS_RANGE, 1)?;
        let spin_us =
            self.within("spin_us", keys.spin_us.as_ref(), &SPIN_US_RANGE, SPIN_US_DEFAULT)?;
        let threads = keys.threads.as_ref().and_then(|_| NonZeroU32::new(threads));
        Ok(GeneratorConfig { threads, spin_us })
    }

    fn phases(&self, keys: &PhasesKeys) -> Result<PhasesConfig, ConfigError> {
        let within = |key, value: &Option<Placed<u64>>, range, default| {
            self.within(key, value.as_ref(), range, default)
        };
        let PhasesConfig { warmup_ms, drain_ms_max, connect_ms_max } = PhasesConfig::DEFAULT;
        let patience = &PATIENCE_MS_RANGE;
        Ok(PhasesConfig {
            warmup_ms: within("warmup_ms", &keys.warmup_ms, &WARMUP_MS_RANGE, warmup_ms)?,
            drain_ms_max: within("drain_ms_max", &keys.drain_ms_max, patience, drain_ms_max)?,
            connect_ms_max: within(
                "connect_ms_max",
                &keys.connect_ms_max,
                patience,
                connect_ms_max,
            )?,
        })
    }
}
