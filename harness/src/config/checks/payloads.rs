//! What is published.

use super::{Check, PAYLOAD_BYTES_RANGE};
use crate::config::keys::{BellKeys, OneOrMany, PayloadKeys, Placed, StreamKeys};
use crate::config::{Bell, ConfigError, Payload, Variation};
use std::collections::BTreeMap;

const KEY: &str = "payload";

type Payloads = Placed<OneOrMany<PayloadKeys>>;

impl Check<'_> {
    /// All the payloads of a table's streams, `batch_max` of which fit one write.
    pub(super) fn stream_payloads(
        &self,
        table: &Placed<StreamKeys>,
        batch_max: u32,
    ) -> Result<Vec<Payload>, ConfigError> {
        let keys = table.as_ref();
        let mut payloads = Vec::new();
        if let Some(sizes) = &keys.payload_bytes {
            for bytes in self.distinct_values("payload_bytes", sizes, &sizes.as_ref().0)? {
                let bytes = self.payload_bytes("payload_bytes", sizes, bytes, batch_max)?;
                payloads.push(Payload::Fixed(bytes));
            }
        }
        if let Some(varied) = &keys.payload {
            for keys in &varied.as_ref().0 {
                let payload = Payload::Varied(self.variation(varied, keys)?);
                if let Some(bytes) = payload.bytes_max() {
                    self.payload_bytes(KEY, varied, bytes as u64, batch_max)?;
                }
                payloads.push(payload);
            }
        }
        if payloads.is_empty() {
            let expected = "`payload_bytes` or `payload`";
            return Err(self.impossible("streams", table, expected, "neither"));
        }
        Ok(payloads)
    }

    fn variation(&self, place: &Payloads, keys: &PayloadKeys) -> Result<Variation, ConfigError> {
        Ok(match keys {
            PayloadKeys::Uniform([min, max]) => {
                let (min, max) = self.ends(place, *min, *max)?;
                Variation::Uniform(min, max)
            }
            PayloadKeys::Normal(bell) => Variation::Normal(self.bell(place, bell)?),
            PayloadKeys::Lognormal(bell) => Variation::Lognormal(self.bell(place, bell)?),
            PayloadKeys::Weights(weights) => Variation::Weights(self.weights(place, weights)?),
            PayloadKeys::File(path) if path.is_file() => Variation::File(path.clone()),
            PayloadKeys::File(path) => {
                return Err(self.impossible(
                    KEY,
                    place,
                    "a file that is there",
                    format!("{path:?}"),
                ));
            }
        })
    }

    fn bell(&self, place: &Payloads, keys: &BellKeys) -> Result<Bell, ConfigError> {
        let BellKeys { mean, sd, min, max } = *keys;
        let (min, max) = self.ends(place, min, max)?;
        // Not a number is none of these.
        if !(mean > 0.0 && mean.is_finite() && sd >= 0.0 && sd.is_finite()) {
            let found = format!("mean {mean}, sd {sd}");
            return Err(self.impossible(
                KEY,
                place,
                "a mean over 0, and an sd of 0 or more",
                found,
            ));
        }
        Ok(Bell { mean, sd, min, max })
    }

    fn ends(&self, place: &Payloads, min: u64, max: u64) -> Result<(usize, usize), ConfigError> {
        self.value_within(KEY, place, min, &PAYLOAD_BYTES_RANGE)?;
        self.value_within(KEY, place, max, &PAYLOAD_BYTES_RANGE)?;
        if min > max {
            let expected = "a smallest size that is no larger than the largest";
            return Err(self.impossible(KEY, place, expected, format!("{min} and {max}")));
        }
        Ok((min as usize, max as usize))
    }

    fn weights(
        &self,
        place: &Payloads,
        keys: &BTreeMap<String, f64>,
    ) -> Result<BTreeMap<usize, f64>, ConfigError> {
        let mut weights = BTreeMap::new();
        for (text, &weight) in keys {
            let Ok(bytes) = text.parse::<u64>() else {
                let expected = "sizes in bytes, such as \"1024\"";
                return Err(self.impossible(KEY, place, expected, format!("{text:?}")));
            };
            self.value_within(KEY, place, bytes, &PAYLOAD_BYTES_RANGE)?;
            if !(weight > 0.0 && weight.is_finite()) {
                let found = format!("{weight} for {bytes}");
                return Err(self.impossible(KEY, place, "a weight over 0", found));
            }
            weights.insert(bytes as usize, weight);
        }
        if weights.is_empty() {
            return Err(self.impossible(KEY, place, "at least one size with its weight", "none"));
        }
        Ok(weights)
    }
}
