//! Brokers: how each is reached, started and spoken to.

use super::Check;
use crate::config::keys::BrokerKeys;
use crate::config::{BrokerConfig, ConfigError};
use crate::drivers::{DriverKind, MqttTerms, MqttVersion, Operation, Support};
use crate::process::CONFIG_FILE_PLACEHOLDER;
use protocol::mqtt::QoS;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use toml::Spanned;

const IDLE_RANGE: RangeInclusive<u32> = 0..=1_000_000;

/// Streams have no use for the second round trip of QoS 2.
const QOS_RANGE: RangeInclusive<u8> = 0..=1;

impl Check<'_> {
    pub(super) fn brokers(
        &self,
        keys: Vec<Spanned<BrokerKeys>>,
    ) -> Result<Vec<BrokerConfig>, ConfigError> {
        if keys.is_empty() {
            return Err(self.nowhere("brokers", "at least one [[brokers]] table"));
        }
        let mut names = BTreeSet::new();
        keys.into_iter()
            .map(|keys| {
                let keys = keys.into_inner();
                if !names.insert(keys.name.as_ref().clone()) {
                    let found = format!("{:?} for the second time", keys.name.as_ref());
                    return Err(self.impossible("name", &keys.name, "a name of its own", found));
                }
                self.broker(keys)
            })
            .collect()
    }

    fn broker(&self, keys: BrokerKeys) -> Result<BrokerConfig, ConfigError> {
        let BrokerKeys {
            name,
            driver,
            command,
            address,
            config_file,
            guarantee,
            mqtt_version,
            qos,
            idle_topics,
            idle_subscriptions,
        } = keys;
        self.name("name", &name)?;
        self.reached(driver, &name, command.as_ref(), address.as_ref())?;
        self.config_file(config_file.as_ref(), command.as_ref())?;
        let mqtt = self.mqtt(driver, mqtt_version.as_ref(), qos.as_ref())?;
        let address = address
            .map(|address| {
                address.as_ref().parse().map_err(|_| {
                    let expected = "an address such as \"127.0.0.1:8080\"";
                    self.impossible(
                        "address",
                        &address,
                        expected,
                        format!("{:?}", address.as_ref()),
                    )
                })
            })
            .transpose()?;
        Ok(BrokerConfig {
            name: name.into_inner(),
            driver,
            command: command.map(Spanned::into_inner),
            config_file: config_file.map(Spanned::into_inner),
            address,
            guarantee: guarantee.unwrap_or_else(|| driver.default_guarantee().to_owned()),
            mqtt,
            idle_topics: self.idle(driver, Operation::Create, "idle_topics", idle_topics)?,
            idle_subscriptions: self.idle(
                driver,
                Operation::Subscribe,
                "idle_subscriptions",
                idle_subscriptions,
            )?,
        })
    }

    /// Whether there is a way to reach the broker, and one only.
    fn reached(
        &self,
        driver: DriverKind,
        name: &Spanned<String>,
        command: Option<&Spanned<Vec<String>>>,
        address: Option<&Spanned<String>>,
    ) -> Result<(), ConfigError> {
        match (driver, command, address) {
            (driver, None, None) if !driver.needs_process() => {}
            (driver, Some(found), _) if !driver.needs_process() => {
                return Err(self.impossible("command", found, no_process(driver), "one"));
            }
            (driver, None, Some(found)) if !driver.needs_process() => {
                return Err(self.impossible("address", found, no_process(driver), "one"));
            }
            (_, None, None) => {
                let expected = "a `command` to start it, or the `address` of one that runs";
                return Err(self.impossible("name", name, expected, "neither"));
            }
            (_, Some(_), Some(found)) => {
                let expected = "either a `command` or an `address`";
                return Err(self.impossible("address", found, expected, "both"));
            }
            (_, Some(command), None) if command.as_ref().is_empty() => {
                return Err(self.impossible("command", command, "a program to start", "nothing"));
            }
            (_, Some(_), None) | (_, None, Some(_)) => {}
        }
        Ok(())
    }

    /// Whether a configuration file and a command that names it come together.
    fn config_file(
        &self,
        config_file: Option<&Spanned<String>>,
        command: Option<&Spanned<Vec<String>>>,
    ) -> Result<(), ConfigError> {
        let names_it = |command: &&Spanned<Vec<String>>| {
            command.as_ref().iter().any(|word| word.contains(CONFIG_FILE_PLACEHOLDER))
        };
        match (config_file, command.filter(names_it)) {
            (None, None) | (Some(_), Some(_)) => Ok(()),
            (Some(found), None) => {
                let expected = format!("a `command` with {CONFIG_FILE_PLACEHOLDER} in it");
                Err(self.impossible("config_file", found, expected, "none"))
            }
            (None, Some(found)) => {
                let expected = format!("a `config_file` for {CONFIG_FILE_PLACEHOLDER}");
                Err(self.impossible("command", found, expected, "none"))
            }
        }
    }

    fn mqtt(
        &self,
        driver: DriverKind,
        version: Option<&Spanned<MqttVersion>>,
        qos: Option<&Spanned<u8>>,
    ) -> Result<Option<MqttTerms>, ConfigError> {
        if driver == DriverKind::Mqtt {
            let number = self.within("qos", qos, &QOS_RANGE, QoS::AtMostOnce.number())?;
            let qos = if number == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
            let version = version.map(|version| *version.as_ref()).unwrap_or_default();
            return Ok(Some(MqttTerms { version, qos }));
        }
        let expected = || format!("none: {} does not speak MQTT", driver.name());
        match (version, qos) {
            (Some(found), _) => Err(self.impossible("mqtt_version", found, expected(), "one")),
            (None, Some(found)) => Err(self.impossible("qos", found, expected(), "one")),
            (None, None) => Ok(None),
        }
    }

    /// How much idle company a broker has, made by `operation`.
    fn idle(
        &self,
        driver: DriverKind,
        operation: Operation,
        key: &'static str,
        value: Option<Spanned<u32>>,
    ) -> Result<u32, ConfigError> {
        let Some(value) = value else { return Ok(0) };
        if let (Support::Meaningless(_), 1..) = (driver.operation(operation), *value.as_ref()) {
            let expected = format!("none: {} cannot {}", driver.name(), operation.name());
            return Err(self.impossible(key, &value, expected, value.as_ref().to_string()));
        }
        self.within(key, Some(&value), &IDLE_RANGE, 0)
    }
}

fn no_process(driver: DriverKind) -> String {
    format!("none: {} is no process", driver.name())
}
