//! What must hold of results.

use super::Check;
use crate::config::keys::{ObjectiveKeys, Placed};
use crate::config::suggest::did_you_mean;
use crate::config::{BrokerConfig, ConfigError, ObjectiveConfig};
use crate::objectives::Objective;
use std::path::PathBuf;
use wildmatch::WildMatch;

const ANY: &str = "*";

impl Check<'_> {
    pub(super) fn objectives(
        &self,
        tables: &[Placed<ObjectiveKeys>],
        brokers: &[BrokerConfig],
    ) -> Result<Vec<ObjectiveConfig>, ConfigError> {
        let objectives = tables.iter().map(|table| {
            let keys = table.as_ref();
            let pattern = |key: &Option<Placed<String>>| {
                key.as_ref().map_or_else(|| ANY.to_owned(), |key| key.as_ref().clone())
            };
            let broker = pattern(&keys.broker);
            if let Some(named) = &keys.broker {
                self.names_a_broker("broker", named, brokers)?;
            }
            let assert = self.objective("assert", &keys.assert, keys.assert.as_ref())?;
            Ok(ObjectiveConfig { broker, cell: pattern(&keys.cell), assert })
        });
        objectives.collect()
    }

    /// Whether there is a broker of this name, or that this pattern fits.
    pub(super) fn names_a_broker(
        &self,
        key: &'static str,
        pattern: &Placed<String>,
        brokers: &[BrokerConfig],
    ) -> Result<(), ConfigError> {
        let (text, matcher) = (pattern.as_ref(), WildMatch::new(pattern.as_ref()));
        if brokers.iter().any(|broker| matcher.matches(&broker.name)) {
            return Ok(());
        }
        let names = brokers.iter().map(|broker| broker.name.as_str());
        let found = format!("{text:?}, which is none{}", did_you_mean(text, names));
        let expected = "the name of a broker above, or a pattern that one has";
        Err(self.impossible(key, pattern, expected, found))
    }

    /// What an objective's text says.
    pub(super) fn objective<T>(
        &self,
        key: &'static str,
        place: &Placed<T>,
        text: &str,
    ) -> Result<Objective, ConfigError> {
        text.parse().map_err(|error| {
            let expected = "an objective such as \"p99 < 5ms\"";
            self.impossible(key, place, expected, format!("{text:?} ({error})"))
        })
    }

    /// A results directory of an earlier run.
    pub(super) fn results(&self, results: Placed<PathBuf>) -> Result<PathBuf, ConfigError> {
        if results.as_ref().join("run.json").is_file() {
            return Ok(results.into_inner());
        }
        let found = format!("{:?}", results.as_ref());
        let expected = "a results directory, with a run.json in it";
        Err(self.impossible("results", &results, expected, found))
    }
}
