//! Crowds that connect, crowds that wait, and outages.

use super::{
    ACKS_DEFAULT, ACKS_RANGE, CONNECTIONS_RANGE, Check, DURATION_MS_RANGE, PAYLOAD_BYTES_DEFAULT,
};
use crate::config::keys::{IdleKeys, OneOrMany, OutageKeys, Placed, StormKeys};
use crate::config::{ConfigError, IdleConfig, OutageConfig, StormConfig};
use measure::StopKind;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// More than the ports that one address has for connections to one other.
const CROWD_RANGE: RangeInclusive<u32> = 1..=100_000;

const OUTAGE_CONNECTIONS_DEFAULT: u32 = 1;

impl Check<'_> {
    pub(super) fn storms(
        &self,
        tables: &[Placed<StormKeys>],
    ) -> Result<Vec<StormConfig>, ConfigError> {
        let mut storms = Vec::new();
        let mut labels = BTreeSet::new();
        for table in tables {
            let keys = table.as_ref();
            let rates = self.storm_rates(keys.rate_per_s.as_ref())?;
            for connections in self.list_within("connections", &keys.connections, &CROWD_RANGE)? {
                for &rate_per_s in &rates {
                    let storm = StormConfig { connections, rate_per_s };
                    self.is_new("storms", table, storm.label(), &mut labels)?;
                    storms.push(storm);
                }
            }
        }
        Ok(storms)
    }

    fn storm_rates(
        &self,
        rates: Option<&Placed<OneOrMany<f64>>>,
    ) -> Result<Vec<Option<f64>>, ConfigError> {
        let Some(place) = rates else { return Ok(vec![None]) };
        let rates = &place.as_ref().0;
        if rates.is_empty() {
            return Err(self.impossible("rate_per_s", place, "at least one", "an empty list"));
        }
        rates.iter().map(|&rate| self.rate("rate_per_s", place, "rate", rate).map(Some)).collect()
    }

    pub(super) fn idles(
        &self,
        tables: &[Placed<IdleKeys>],
    ) -> Result<Vec<IdleConfig>, ConfigError> {
        let mut idles = Vec::new();
        let mut labels = BTreeSet::new();
        for table in tables {
            let keys = table.as_ref();
            let hold_ms = *keys.hold_ms.as_ref();
            self.value_within("hold_ms", &keys.hold_ms, hold_ms, &DURATION_MS_RANGE)?;
            for connections in self.list_within("connections", &keys.connections, &CROWD_RANGE)? {
                let idle = IdleConfig { connections, hold_ms };
                self.is_new("idles", table, idle.label(), &mut labels)?;
                idles.push(idle);
            }
        }
        Ok(idles)
    }

    pub(super) fn outages(
        &self,
        tables: &[Placed<OutageKeys>],
    ) -> Result<Vec<OutageConfig>, ConfigError> {
        let mut labels = BTreeSet::new();
        let outages = tables.iter().map(|table| {
            let outage = self.outage(table.as_ref())?;
            self.is_new("outages", table, outage.label(), &mut labels)?;
            Ok(outage)
        });
        outages.collect()
    }

    fn outage(&self, keys: &OutageKeys) -> Result<OutageConfig, ConfigError> {
        let ms = |key, value: &Placed<u64>| {
            self.value_within(key, value, *value.as_ref(), &DURATION_MS_RANGE)
        };
        let connections = |key, value: &Option<Placed<u32>>| {
            self.within(key, value.as_ref(), &CONNECTIONS_RANGE, OUTAGE_CONNECTIONS_DEFAULT)
        };
        let kill_after_ms = ms("kill_after_ms", &keys.kill_after_ms)?;
        let down_ms = ms("down_ms", &keys.down_ms)?;
        let duration_ms = ms("duration_ms", &keys.duration_ms)?;
        if kill_after_ms + down_ms >= duration_ms {
            let expected =
                format!("more than kill_after_ms + down_ms, {}", kill_after_ms + down_ms);
            let found = duration_ms.to_string();
            return Err(self.impossible("duration_ms", &keys.duration_ms, expected, found));
        }
        let payload_bytes = match &keys.payload_bytes {
            None => PAYLOAD_BYTES_DEFAULT as usize,
            Some(bytes) => self.payload_bytes("payload_bytes", bytes, *bytes.as_ref(), 1)?,
        };
        Ok(OutageConfig {
            publishers: connections("publishers", &keys.publishers)?,
            subscribers: connections("subscribers", &keys.subscribers)?,
            rate_per_s: self.rate(
                "rate_per_s",
                &keys.rate_per_s,
                "rate",
                *keys.rate_per_s.as_ref(),
            )?,
            payload_bytes,
            acks: self.within("acks", keys.acks.as_ref(), &ACKS_RANGE, ACKS_DEFAULT)?,
            kill_after_ms,
            down_ms,
            stop: keys.stop.unwrap_or(StopKind::Crash),
            duration_ms,
        })
    }

    /// Results are told apart by their labels.
    fn is_new<T>(
        &self,
        key: &'static str,
        table: &Placed<T>,
        label: String,
        labels: &mut BTreeSet<String>,
    ) -> Result<(), ConfigError> {
        let found = format!("{label} again");
        match labels.insert(label) {
            true => Ok(()),
            false => Err(self.impossible(key, table, "one that differs from all others", found)),
        }
    }
}
