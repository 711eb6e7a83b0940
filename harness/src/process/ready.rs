//! How a broker says that it is ready.

use crate::drivers::DriverKind;
use std::net::SocketAddr;

/// What a broker has said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReadySign {
    pub(super) address: SocketAddr,
    /// Empty where it does not say it.
    pub(super) version: String,
}

/// What is waited for, for people.
pub(super) fn expected_sign(driver: DriverKind) -> &'static str {
    match driver {
        DriverKind::Redis | DriverKind::RedisStreams => "\"Ready to accept connections\"",
        DriverKind::Nats | DriverKind::JetStream => "\"Server is ready\"",
        DriverKind::Mqtt => "\"mosquitto version VERSION running\", or \"ready listen=ADDRESS\"",
        DriverKind::Amqp | DriverKind::Stomp => "\"Server startup complete\"",
        _ => "a line with \"ready\" and \"listen=ADDRESS\"",
    }
}

/// Whether it may be said on standard error: NATS logs there, and mosquitto's standard output is not
/// flushed where it is no terminal.
pub(super) fn says_it_on_stderr(driver: DriverKind) -> bool {
    matches!(driver, DriverKind::Nats | DriverKind::JetStream | DriverKind::Mqtt)
}

impl ReadySign {
    /// Nothing was said yet; `address` is what may be left unsaid.
    pub(super) fn presumed(address: SocketAddr) -> Self {
        Self { address, version: String::new() }
    }

    /// Takes in a line, and says whether the broker is ready with it.
    pub(super) fn hear(&mut self, driver: DriverKind, line: &str) -> bool {
        match driver {
            DriverKind::Redis | DriverKind::RedisStreams => {
                line.contains("Ready to accept connections")
            }
            DriverKind::Nats | DriverKind::JetStream => {
                if let Some((_, version)) = line.split_once("Version: ") {
                    self.version = version.trim().to_owned();
                }
                line.ends_with("Server is ready")
            }
            DriverKind::Mqtt => self.hear_mosquitto(line) || self.hear_tandem(line),
            DriverKind::Amqp | DriverKind::Stomp => self.hear_rabbitmq(line),
            _ => self.hear_tandem(line),
        }
    }

    /// `Starting RabbitMQ 3.10.8 on Erlang 25.2.3`, then `Server startup complete; ...`
    fn hear_rabbitmq(&mut self, line: &str) -> bool {
        let rest = line.split_once("Starting RabbitMQ ").map(|(_, rest)| rest);
        if let Some(version) = rest.and_then(|rest| rest.split_whitespace().next()) {
            self.version = version.to_owned();
        }
        line.contains("Server startup complete")
    }

    /// `1700000000: mosquitto version 2.0.11 running`
    fn hear_mosquitto(&mut self, line: &str) -> bool {
        let version = line
            .split_once("mosquitto version ")
            .and_then(|(_, rest)| rest.strip_suffix(" running"));
        if let Some(version) = version {
            self.version = version.to_owned();
        }
        version.is_some()
    }

    /// `tandem ready backend=mio version=0.1.0 listen=127.0.0.1:8080`
    fn hear_tandem(&mut self, line: &str) -> bool {
        if !line.split_whitespace().any(|word| word == "ready") {
            return false;
        }
        let value = |key: &str| {
            let mut fields = line.split_whitespace().filter_map(|word| word.split_once('='));
            fields.find(|(name, _)| *name == key).map(|(_, value)| value)
        };
        // A broker may listen in several places; any of them will do.
        let listen = value("listen").and_then(|listen| listen.split(',').next()?.parse().ok());
        let Some(address) = listen else { return false };
        let version = value("version").unwrap_or_default().to_owned();
        *self = Self { address, version };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After the last of these lines the broker is ready, with this address and version.
    fn check(driver: DriverKind, lines: &[&str], address: &str, version: &str) {
        let mut sign = ReadySign::presumed("127.0.0.1:9".parse().unwrap());
        let (last, before) = lines.split_last().unwrap();
        for line in before {
            assert!(!sign.hear(driver, line), "{line}");
        }
        assert!(sign.hear(driver, last), "{last}");
        let expected = ReadySign { address: address.parse().unwrap(), version: version.to_owned() };
        assert_eq!(sign, expected);
    }

    #[test]
    fn a_brokers_ready_line_gives_its_address_and_version() {
        let line = "tandem ready backend=mio version=0.1.0 listen=127.0.0.1:41235,[::1]:9";
        for driver in [DriverKind::TandemNative, DriverKind::Mqtt] {
            check(driver, &["tandem starts", line], "127.0.0.1:41235", "0.1.0");
        }
    }

    #[test]
    fn others_are_ready_when_they_say_so_in_their_own_words() {
        let redis = "1:M 01 Jan 2026 00:00:00.000 * Ready to accept connections tcp";
        check(DriverKind::Redis, &[redis], "127.0.0.1:9", "");
        let mosquitto =
            ["1: mosquitto version 2.0.11 starting", "1: mosquitto version 2.0.11 running"];
        check(DriverKind::Mqtt, &mosquitto, "127.0.0.1:9", "2.0.11");
        let nats = ["[1] x [INF]   Version:  2.9.10", "[1] x [INF] Server is ready"];
        check(DriverKind::Nats, &nats, "127.0.0.1:9", "2.9.10");
        check(DriverKind::JetStream, &nats, "127.0.0.1:9", "2.9.10");
        let rabbitmq = [
            "[info] <0.2.0>  Starting RabbitMQ 3.10.8 on Erlang 25.2.3 [jit]",
            "[info] <0.6.0> Server startup complete; 0 plugins started.",
        ];
        check(DriverKind::Amqp, &rabbitmq, "127.0.0.1:9", "3.10.8");
    }
}
