//! How hard publishers push.

use super::{ACKS_RANGE, Check, DURATION_MS_RANGE, RATE_PER_S_MAX, RATE_PER_S_MIN};
use crate::config::keys::{
    BurstKeys, FindMaxKeys, LoadKeys, OneOrMany, Placed, RampKeys, StepsKeys, StreamKeys,
};
use crate::config::{Arrivals, ConfigError, Drive, FindMax, StreamLoad};
use std::ops::RangeInclusive;

const STEPS_MAX: usize = 1_000;
const BURST_MESSAGES_RANGE: RangeInclusive<u64> = 1..=10_000_000;
const CONFIRM_RANGE: RangeInclusive<u32> = 1..=19;
const TOLERANCE_PERCENT_RANGE: RangeInclusive<f64> = 0.5..=50.0;

const TOLERANCE_PERCENT_DEFAULT: f64 = 5.0;
const CONFIRM_DEFAULT: u32 = 3;

type Loads = Placed<OneOrMany<LoadKeys>>;

impl Check<'_> {
    /// All the ways that a table's streams are driven.
    pub(super) fn drives(&self, keys: &StreamKeys) -> Result<Vec<Drive>, ConfigError> {
        match (&keys.load, &keys.find_max) {
            (None, None) => Ok(vec![Drive::Load(StreamLoad::Saturating)]),
            (Some(loads), None) => {
                let drives = self.loads(loads)?.into_iter().map(Drive::Load);
                Ok(drives.collect())
            }
            (None, Some(search)) => Ok(vec![Drive::FindMax(self.find_max(search)?)]),
            (Some(_), Some(search)) => {
                let expected = "either `load` or `find_max`, which tries loads of its own";
                Err(self.impossible("find_max", search, expected, "both"))
            }
        }
    }

    fn loads(&self, place: &Loads) -> Result<Vec<StreamLoad>, ConfigError> {
        let mut loads = Vec::new();
        for keys in &place.as_ref().0 {
            match keys {
                LoadKeys::Saturating => loads.push(StreamLoad::Saturating),
                LoadKeys::RatePerS(rates) => {
                    self.add_open(place, rates, Arrivals::Constant, &mut loads)?;
                }
                LoadKeys::Open(keys) => {
                    self.add_open(place, &keys.rate_per_s, keys.arrivals, &mut loads)?;
                }
                LoadKeys::Closed(keys) => {
                    for &in_flight in &keys.in_flight.0 {
                        self.value_within("load", place, in_flight, &ACKS_RANGE)?;
                        loads.push(StreamLoad::Closed { in_flight });
                    }
                }
                LoadKeys::Steps(keys) => loads.push(self.steps(place, keys)?),
                LoadKeys::Ramp(keys) => loads.push(self.ramp(place, keys)?),
                LoadKeys::Burst(keys) => loads.push(self.burst(place, keys)?),
            }
        }
        if loads.is_empty() {
            return Err(self.impossible("load", place, "at least one entry", "an empty list"));
        }
        Ok(loads)
    }

    fn add_open(
        &self,
        place: &Loads,
        rates: &OneOrMany<f64>,
        arrivals: Arrivals,
        loads: &mut Vec<StreamLoad>,
    ) -> Result<(), ConfigError> {
        for &rate in &rates.0 {
            let rate_per_s = self.rate("load", place, "rate_per_s", rate)?;
            loads.push(StreamLoad::Open { rate_per_s, arrivals });
        }
        Ok(())
    }

    fn steps(&self, place: &Loads, keys: &StepsKeys) -> Result<StreamLoad, ConfigError> {
        let StepsKeys { rates_per_s, step_ms } = keys;
        if !(1..=STEPS_MAX).contains(&rates_per_s.len()) {
            let expected = format!("1 to {STEPS_MAX} rates_per_s");
            return Err(self.impossible("load", place, expected, rates_per_s.len().to_string()));
        }
        for &rate in rates_per_s {
            self.rate("load", place, "rate in rates_per_s", rate)?;
        }
        self.value_within("load", place, *step_ms, &DURATION_MS_RANGE)?;
        let total_ms = step_ms * rates_per_s.len() as u64;
        if !DURATION_MS_RANGE.contains(&total_ms) {
            let expected = format!("steps of {} ms in all at most", DURATION_MS_RANGE.end());
            return Err(self.impossible("load", place, expected, total_ms.to_string()));
        }
        Ok(StreamLoad::Steps { rates_per_s: rates_per_s.clone(), step_ms: *step_ms })
    }

    fn ramp(&self, place: &Loads, keys: &RampKeys) -> Result<StreamLoad, ConfigError> {
        Ok(StreamLoad::Ramp {
            from_per_s: self.rate("load", place, "from_per_s", keys.from_per_s)?,
            to_per_s: self.rate("load", place, "to_per_s", keys.to_per_s)?,
        })
    }

    fn burst(&self, place: &Loads, keys: &BurstKeys) -> Result<StreamLoad, ConfigError> {
        let BurstKeys { rate_per_s, burst_messages, every_ms } = *keys;
        if rate_per_s != 0.0 && !(RATE_PER_S_MIN..=RATE_PER_S_MAX).contains(&rate_per_s) {
            let expected = format!("a rate_per_s of {RATE_PER_S_MIN} to {RATE_PER_S_MAX}, or 0");
            return Err(self.impossible("load", place, expected, rate_per_s.to_string()));
        }
        self.value_within("load", place, burst_messages, &BURST_MESSAGES_RANGE)?;
        self.value_within("load", place, every_ms, &DURATION_MS_RANGE)?;
        Ok(StreamLoad::Burst { rate_per_s, burst_messages, every_ms })
    }

    fn find_max(&self, table: &Placed<FindMaxKeys>) -> Result<FindMax, ConfigError> {
        let keys = table.as_ref();
        let texts = &keys.objective.as_ref().0;
        if texts.is_empty() {
            let expected = "at least one objective";
            return Err(self.impossible("objective", &keys.objective, expected, "an empty list"));
        }
        let objective = texts.iter().map(|text| self.objective("objective", &keys.objective, text));
        let objective = objective.collect::<Result<_, _>>()?;
        let from_per_s =
            self.rate("from_per_s", &keys.from_per_s, "rate", *keys.from_per_s.as_ref())?;
        let to_per_s = self.rate("to_per_s", &keys.to_per_s, "rate", *keys.to_per_s.as_ref())?;
        if to_per_s <= from_per_s {
            let expected = format!("a rate over from_per_s, {from_per_s}");
            return Err(self.impossible(
                "to_per_s",
                &keys.to_per_s,
                expected,
                to_per_s.to_string(),
            ));
        }
        let tolerance_percent = match &keys.tolerance_percent {
            None => TOLERANCE_PERCENT_DEFAULT,
            Some(percent) if TOLERANCE_PERCENT_RANGE.contains(percent.as_ref()) => {
                *percent.as_ref()
            }
            Some(percent) => {
                let (min, max) = TOLERANCE_PERCENT_RANGE.into_inner();
                let expected = format!("{min} to {max} percent");
                let found = percent.as_ref().to_string();
                return Err(self.impossible("tolerance_percent", percent, expected, found));
            }
        };
        Ok(FindMax {
            objective,
            from_per_s,
            to_per_s,
            tolerance_percent,
            confirm: self.confirm(keys.confirm.as_ref())?,
            arrivals: keys.arrivals.unwrap_or_default(),
        })
    }

    /// Of so many repeats the majority decides.
    fn confirm(&self, confirm: Option<&Placed<u32>>) -> Result<u32, ConfigError> {
        let count = self.within("confirm", confirm, &CONFIRM_RANGE, CONFIRM_DEFAULT)?;
        match confirm {
            Some(place) if count % 2 == 0 => {
                let expected = "an odd number, since the majority of the repeats decides";
                Err(self.impossible("confirm", place, expected, count.to_string()))
            }
            _ => Ok(count),
        }
    }
}
