//! Which brokers can be stopped under load, and be asked afterwards for what they promised.

use super::BrokerPlan;
use crate::config::BrokerConfig;
use crate::drivers::{DriverKind, StreamDemand, Support};
use protocol::mqtt::QoS;

impl BrokerPlan<'_> {
    /// Whether outages of this broker can be measured. One that promises nothing beyond its
    /// process may lose everything with it, and needs no directory and no way to resume.
    pub(super) fn outages_support(&self) -> Support {
        let broker = self.broker;
        if !broker.driver.needs_process() {
            return Support::Meaningless("there is no process to stop");
        }
        if let not @ Support::Meaningless(_) =
            broker.driver.stream(StreamDemand::DeliveredAndAcknowledged)
        {
            return not;
        }
        if broker.command.is_none() {
            return Support::Meaningless("the harness restarts only what it has started");
        }
        if let not @ Support::Meaningless(_) = resumption(broker)
            && broker.guarantee.outlives_process()
        {
            return not;
        }
        if broker.guarantee.outlives_process() && !self.has_data_dir() {
            return Support::Meaningless(
                "its promise outlives its process, but it is started without {data_dir}",
            );
        }
        match broker.driver {
            DriverKind::Amqp | DriverKind::Stomp => Support::Meaningless(
                "a queue is its subscriber's own, and what is published without one is dropped",
            ),
            _ => Support::Measured,
        }
    }
}

/// Whether a driver's subscribers take up where they were: otherwise what they miss would be called
/// a loss of the broker's.
fn resumption(broker: &BrokerConfig) -> Support {
    match broker.driver {
        DriverKind::TandemNative | DriverKind::TandemClient | DriverKind::RedisStreams => {
            Support::Measured
        }
        DriverKind::TandemJson => Support::Meaningless(
            "PULL returns a message once, so an answer under way is lost; use tandem-native",
        ),
        DriverKind::JetStream => Support::Meaningless(
            "its consumers are made anew and begin with the first message again",
        ),
        DriverKind::Mqtt => match broker.mqtt.unwrap_or_default().qos {
            QoS::AtLeastOnce => Support::Measured,
            QoS::AtMostOnce => Support::Meaningless("QoS 0 keeps nothing; use qos = 1"),
            QoS::ExactlyOnce => Support::Meaningless(
                "the driver's receiver forgets packet ids with its connection; use qos = 1",
            ),
        },
        _ => Support::Meaningless("what is published while nobody is subscribed is not kept"),
    }
}
