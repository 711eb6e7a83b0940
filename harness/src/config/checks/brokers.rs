//! Brokers: how each is reached, started and spoken to.

use super::Check;
use crate::config::brokers::{AmqpQueue, JetStreamStorage};
use crate::config::guarantee::class_of;
use crate::config::keys::{BrokerKeys, Placed};
use crate::config::suggest::did_you_mean;
use crate::config::{BrokerConfig, ConfigError, GuaranteeClass};
use crate::drivers::{DriverKind, MqttTerms, MqttVersion, Operation, Support};
use crate::process::CONFIG_FILE_PLACEHOLDER;
use protocol::mqtt::QoS;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::RangeInclusive;

/// The drivers that have keys of their own, by name.
const JETSTREAM_DRIVER: &str = "jetstream";
const AMQP_DRIVER: &str = "amqp";

const IDLE_RANGE: RangeInclusive<u32> = 0..=1_000_000;

/// As MQTT has them.
const QOS_RANGE: RangeInclusive<u8> = 0..=2;

impl Check<'_> {
    pub(super) fn brokers(
        &self,
        keys: Vec<Placed<BrokerKeys>>,
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
            environment,
            fresh_each_round,
            mqtt_version,
            qos,
            jetstream_storage,
            amqp_queue,
            idle_topics,
            idle_subscriptions,
        } = keys;
        self.name("name", &name)?;
        self.reached(driver, &name, command.as_ref(), address.as_ref())?;
        let environment = self.environment(environment, command.as_ref())?;
        self.config_file(config_file.as_ref(), command.as_ref(), &environment)?;
        let mqtt = self.mqtt(driver, mqtt_version.as_ref(), qos.as_ref())?;
        let jetstream_storage = self.jetstream_storage(driver, jetstream_storage.as_ref())?;
        let amqp_queue = self.amqp_queue(driver, amqp_queue.as_ref())?;
        let guarantee = match guarantee {
            Some(text) => self.guarantee(&text)?,
            None => default_guarantee(driver, jetstream_storage, amqp_queue),
        };
        Ok(BrokerConfig {
            name: name.into_inner(),
            driver,
            command: command.map(Placed::into_inner),
            config_file: config_file.map(Placed::into_inner),
            address: address.map(|address| self.address(&address)).transpose()?,
            guarantee,
            fresh_each_round: fresh_each_round.unwrap_or(true),
            mqtt,
            jetstream_storage,
            amqp_queue,
            idle_topics: self.idle(driver, Operation::Create, "idle_topics", idle_topics)?,
            idle_subscriptions: self.idle(
                driver,
                Operation::Subscribe,
                "idle_subscriptions",
                idle_subscriptions,
            )?,
            environment,
        })
    }

    /// Whether there is a way to reach the broker, and one only.
    fn reached(
        &self,
        driver: DriverKind,
        name: &Placed<String>,
        command: Option<&Placed<Vec<String>>>,
        address: Option<&Placed<String>>,
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

    /// Whether a configuration file and what names it, a command or a variable, come together.
    fn config_file(
        &self,
        config_file: Option<&Placed<String>>,
        command: Option<&Placed<Vec<String>>>,
        environment: &BTreeMap<String, String>,
    ) -> Result<(), ConfigError> {
        let names_it = |text: &String| text.contains(CONFIG_FILE_PLACEHOLDER);
        let in_command = command.filter(|command| command.as_ref().iter().any(names_it));
        let in_environment = environment.values().any(names_it);
        match (config_file, in_command) {
            (Some(found), None) if !in_environment => {
                let expected = format!("a `command` with {CONFIG_FILE_PLACEHOLDER} in it");
                Err(self.impossible("config_file", found, expected, "none"))
            }
            (None, Some(found)) => {
                let expected = format!("a `config_file` for {CONFIG_FILE_PLACEHOLDER}");
                Err(self.impossible("command", found, expected, "none"))
            }
            _ => Ok(()),
        }
    }

    fn address(&self, address: &Placed<String>) -> Result<SocketAddr, ConfigError> {
        address.as_ref().parse().map_err(|_| {
            let expected = "an address such as \"127.0.0.1:8080\"";
            self.impossible("address", address, expected, format!("{:?}", address.as_ref()))
        })
    }

    fn guarantee(&self, text: &Placed<String>) -> Result<GuaranteeClass, ConfigError> {
        class_of(text.as_ref()).ok_or_else(|| {
            let names = GuaranteeClass::ALL.map(GuaranteeClass::name);
            let found = text.as_ref();
            let found = format!("{found:?}{}", did_you_mean(found, names));
            let expected = format!("one of {}", names.map(|name| format!("{name:?}")).join(", "));
            self.impossible("guarantee", text, expected, found)
        })
    }

    /// Variables of a process that the harness starts.
    fn environment(
        &self,
        variables: Option<Placed<BTreeMap<String, String>>>,
        command: Option<&Placed<Vec<String>>>,
    ) -> Result<BTreeMap<String, String>, ConfigError> {
        let Some(variables) = variables else { return Ok(BTreeMap::new()) };
        if command.is_none() {
            let expected = "none without a `command`: only what is started is given one";
            return Err(self.impossible("environment", &variables, expected, "one"));
        }
        let is_name = |name: &String| !name.is_empty() && !name.contains(['=', '\0']);
        let holds = |(name, value): (&String, &String)| is_name(name) && !value.contains('\0');
        if !variables.as_ref().iter().all(holds) {
            let expected = "names without \"=\", and no NUL anywhere";
            return Err(self.impossible("environment", &variables, expected, "others"));
        }
        Ok(variables.into_inner())
    }

    fn jetstream_storage(
        &self,
        driver: DriverKind,
        storage: Option<&Placed<JetStreamStorage>>,
    ) -> Result<Option<JetStreamStorage>, ConfigError> {
        self.of_driver(driver, JETSTREAM_DRIVER, "jetstream_storage", storage)
    }

    fn amqp_queue(
        &self,
        driver: DriverKind,
        queue: Option<&Placed<AmqpQueue>>,
    ) -> Result<Option<AmqpQueue>, ConfigError> {
        self.of_driver(driver, AMQP_DRIVER, "amqp_queue", queue)
    }

    /// A key that only one driver knows, with its default where that driver is used.
    fn of_driver<T: Copy + Default>(
        &self,
        driver: DriverKind,
        of: &str,
        key: &'static str,
        value: Option<&Placed<T>>,
    ) -> Result<Option<T>, ConfigError> {
        match value {
            _ if driver.name() == of => {
                Ok(Some(value.map(|value| *value.as_ref()).unwrap_or_default()))
            }
            None => Ok(None),
            Some(found) => {
                let expected = format!("none: {} has no such choice, only {of}", driver.name());
                Err(self.impossible(key, found, expected, "one"))
            }
        }
    }

    fn mqtt(
        &self,
        driver: DriverKind,
        version: Option<&Placed<MqttVersion>>,
        qos: Option<&Placed<u8>>,
    ) -> Result<Option<MqttTerms>, ConfigError> {
        if driver == DriverKind::Mqtt {
            let number = self.within("qos", qos, &QOS_RANGE, QoS::AtMostOnce.number())?;
            let qos = QoS::from_number(number).unwrap_or_default();
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
        value: Option<Placed<u32>>,
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

/// What an acknowledgement promises, unless the configuration says it.
fn default_guarantee(
    driver: DriverKind,
    storage: Option<JetStreamStorage>,
    queue: Option<AmqpQueue>,
) -> GuaranteeClass {
    match (storage, queue) {
        (Some(JetStreamStorage::Memory), _) => return GuaranteeClass::InMemory,
        // Raft's log is synced before a message is confirmed.
        (_, Some(AmqpQueue::Quorum)) => return GuaranteeClass::Synced,
        _ => {}
    }
    class_of(driver.default_guarantee()).unwrap_or(GuaranteeClass::InMemory)
}
