//! Which drivers there are, and what each can measure.

use super::{DriverError, MqttTerms};
use crate::config::BrokerConfig;
use crate::wire::{
    Amqp, BytePipe, Driver, JetStream, Mqtt, Native, Nats, Null, Redis, RedisStreams, Selection,
    Stomp, TandemClient, TandemJson,
};
use measure::{BrokerKind, OperationName};
use protocol::mqtt::QoS;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// An operation that a client asks of a broker and waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Create a topic.
    Create,
    /// Publish a message, acknowledged.
    Publish,
    /// Subscribe to a topic.
    Subscribe,
    /// Pull one message.
    Pull,
    /// Delete a topic.
    Delete,
}

impl Operation {
    /// Every operation, in the order they are run in.
    pub const ALL: [Self; 5] =
        [Self::Create, Self::Publish, Self::Subscribe, Self::Pull, Self::Delete];

    /// Its name in a run record.
    #[must_use]
    pub fn name(self) -> OperationName {
        match self {
            Self::Create => OperationName::CREATE,
            Self::Publish => OperationName::PUBLISH,
            Self::Subscribe => OperationName::SUBSCRIBE,
            Self::Pull => OperationName::PULL,
            Self::Delete => OperationName::DELETE,
        }
    }

    /// What one of it does, for people.
    #[must_use]
    pub fn summary(self) -> &'static str {
        match self {
            Self::Create => "create a topic",
            Self::Publish => "publish one message to a shared topic and wait for its answer",
            Self::Subscribe => "subscribe to a shared topic under a new id",
            Self::Pull => "pull one waiting message",
            Self::Delete => "delete a topic",
        }
    }
}

/// Whether a driver can measure something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It can.
    Measured,
    /// It cannot, and why.
    Meaningless(&'static str),
}

/// What a stream asks of a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamDemand {
    /// Publishers push, subscribers receive.
    Delivered,
    /// The same, and publishers are told of each publication.
    DeliveredAndAcknowledged,
    /// Publishers are told of each publication, and there are no subscribers.
    Acknowledged,
}

/// A driver, by the name that configurations give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriverKind {
    /// Tandem's brokers over the native wire.
    TandemNative,
    /// Tandem's brokers over the native wire, through the client library.
    TandemClient,
    /// Tandem's brokers over JSON lines.
    TandemJson,
    /// The byte pipe: the ceiling of any broker.
    BytePipe,
    /// The byte pipe spoken to by MQTT: the ceiling of the load generator where it speaks MQTT.
    BytePipeMqtt,
    /// No broker: the ceiling of the load generator.
    Null,
    /// Redis over RESP: its channels, which keep nothing.
    Redis,
    /// Redis over RESP: its streams, which it keeps.
    RedisStreams,
    /// Any MQTT broker: Tandem's, or another's.
    Mqtt,
    /// NATS over its text protocol, without its store.
    Nats,
    /// NATS over its text protocol: its streams, which it keeps.
    #[serde(rename = "jetstream")]
    JetStream,
    /// A broker that speaks AMQP 0-9-1, such as RabbitMQ.
    Amqp,
    /// A broker that speaks STOMP 1.2, such as RabbitMQ with its plugin.
    Stomp,
    /// No broker: a file that is written and synced.
    Disk,
}

impl DriverKind {
    /// Every driver.
    pub const ALL: [Self; 14] = [
        Self::TandemNative,
        Self::TandemClient,
        Self::TandemJson,
        Self::BytePipe,
        Self::BytePipeMqtt,
        Self::Null,
        Self::Redis,
        Self::RedisStreams,
        Self::Mqtt,
        Self::Nats,
        Self::JetStream,
        Self::Amqp,
        Self::Stomp,
        Self::Disk,
    ];

    /// The name in configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TandemNative => "tandem-native",
            Self::TandemClient => "tandem-client",
            Self::TandemJson => "tandem-json",
            Self::BytePipe => "byte-pipe",
            Self::BytePipeMqtt => "byte-pipe-mqtt",
            Self::Null => "null",
            Self::Redis => "redis",
            Self::RedisStreams => "redis-streams",
            Self::Mqtt => "mqtt",
            Self::Nats => "nats",
            Self::JetStream => "jetstream",
            Self::Amqp => "amqp",
            Self::Stomp => "stomp",
            Self::Disk => "disk",
        }
    }

    /// What it speaks to, for people.
    #[must_use]
    pub fn summary(self) -> &'static str {
        match self {
            Self::TandemNative => "a Tandem broker over the native wire",
            Self::TandemClient => "a Tandem broker through the client library",
            Self::TandemJson => "a Tandem broker over JSON lines: subscribers pull again and again",
            Self::BytePipe => {
                "a process that copies bytes and looks into no message: any broker's ceiling"
            }
            Self::BytePipeMqtt => "the byte pipe by MQTT: the ceiling of streams of QoS 0",
            Self::Null => "no broker at all: the load generator's own ceiling",
            Self::Redis => "redis-server: PUBLISH and SUBSCRIBE, on channels that keep nothing",
            Self::RedisStreams => {
                "redis-server: XADD, and XREAD again and again, on streams that it keeps"
            }
            Self::Mqtt => "any MQTT broker: QoS 0, 1 or 2; acknowledged with 1 at least",
            Self::Nats => "nats-server: PUB streamed, PUB with PING acknowledged",
            Self::JetStream => "nats-server with JetStream: streams that it keeps, with PubAck",
            Self::Amqp => "RabbitMQ by AMQP 0-9-1: exchanges and queues, with confirms",
            Self::Stomp => "any broker by STOMP 1.2: SEND, with receipts where acknowledged",
            Self::Disk => "a file, written and synced: the ceiling of any broker on that disk",
        }
    }

    /// Whether its figures are a broker's or a bound to compare brokers with.
    #[must_use]
    pub fn broker_kind(self) -> BrokerKind {
        match self {
            Self::TandemNative
            | Self::TandemClient
            | Self::TandemJson
            | Self::Redis
            | Self::RedisStreams
            | Self::Mqtt
            | Self::Nats
            | Self::JetStream
            | Self::Amqp
            | Self::Stomp => BrokerKind::Broker,
            Self::BytePipe | Self::BytePipeMqtt | Self::Null | Self::Disk => BrokerKind::Ceiling,
        }
    }

    /// Whether what it speaks to is a process.
    #[must_use]
    pub fn needs_process(self) -> bool {
        !matches!(self, Self::Null | Self::Disk)
    }

    /// Whether it is given a directory even if no command asks for one.
    #[must_use]
    pub fn needs_data_dir(self) -> bool {
        self == Self::Disk
    }

    /// What an acknowledgement promises, unless the configuration says it.
    #[must_use]
    pub fn default_guarantee(self) -> &'static str {
        match self {
            Self::TandemNative
            | Self::TandemClient
            | Self::TandemJson
            | Self::Redis
            | Self::RedisStreams
            | Self::Mqtt
            | Self::Nats
            | Self::Amqp
            | Self::Stomp => "in memory",
            Self::BytePipe | Self::BytePipeMqtt | Self::Null => "none",
            // It writes to files, and syncs on a timer unless its configuration says otherwise.
            Self::JetStream => "operating-system",
            Self::Disk => "after fdatasync",
        }
    }

    /// Whether it can measure an operation.
    #[must_use]
    pub fn operation(self, operation: Operation) -> Support {
        match self {
            Self::TandemNative
            | Self::TandemClient
            | Self::TandemJson
            | Self::JetStream
            | Self::Null => Support::Measured,
            Self::BytePipeMqtt => Support::Meaningless("a byte pipe has no PUBACK to give"),
            _ if operation == Operation::Publish => Support::Measured,
            Self::BytePipe => Support::Meaningless("a byte pipe has no topics; it only echoes"),
            Self::Disk => Support::Meaningless("a file has no topics; it is only written"),
            Self::Redis => Support::Meaningless(
                "Redis channels are not created or deleted, and a subscriber cannot pull",
            ),
            Self::RedisStreams => Support::Meaningless(
                "Redis streams are not created, and who reads them is not known to the server",
            ),
            Self::Mqtt => Support::Meaningless(
                "MQTT topics are not created or deleted, and a subscriber cannot pull",
            ),
            Self::Amqp => Support::Meaningless(
                "an AMQP exchange holds nothing, and a queue is read by whoever comes first",
            ),
            Self::Stomp => Support::Meaningless(
                "STOMP destinations are not created or deleted, and a subscriber cannot pull",
            ),
            Self::Nats => Support::Meaningless(
                "NATS subjects are not created or deleted, and a subscriber cannot pull",
            ),
        }
    }

    /// Whether it can measure streams. Where publications are always answered, streams that want no
    /// acknowledgements have the answers read and not counted.
    #[must_use]
    pub fn stream(self, demand: StreamDemand) -> Support {
        match (self, demand) {
            (Self::BytePipe | Self::BytePipeMqtt, StreamDemand::Delivered)
            | (Self::Disk, StreamDemand::Acknowledged) => Support::Measured,
            (Self::Amqp | Self::Stomp, StreamDemand::Acknowledged) => Support::Meaningless(
                "what no subscriber's queue takes is acknowledged and dropped; add subscribers",
            ),
            (Self::BytePipe | Self::BytePipeMqtt, _) => {
                Support::Meaningless("a byte pipe acknowledges nothing")
            }
            (Self::Disk, _) => Support::Meaningless("nobody subscribes to a file"),
            (
                Self::TandemNative
                | Self::TandemClient
                | Self::TandemJson
                | Self::Null
                | Self::Redis
                | Self::RedisStreams
                | Self::Mqtt
                | Self::Nats
                | Self::JetStream
                | Self::Amqp
                | Self::Stomp,
                _,
            ) => Support::Measured,
        }
    }

    /// Whether it can measure streams of so many topics, of which subscribers name each or all by
    /// one pattern.
    #[must_use]
    pub fn topics(self, topics: u32, selection: Selection) -> Support {
        match (self, selection) {
            (Self::Null, _) if topics > 1 => {
                Support::Meaningless("the load generator by itself has one topic")
            }
            (Self::Disk, _) if topics > 1 => Support::Meaningless("a file is one topic"),
            (_, Selection::Names)
            | (Self::Redis | Self::Mqtt | Self::Nats | Self::JetStream | Self::Amqp, _) => {
                Support::Measured
            }
            (Self::Stomp, Selection::Wildcard) => {
                Support::Meaningless("patterns of destinations are no part of STOMP")
            }
            (Self::TandemNative | Self::TandemClient | Self::TandemJson, Selection::Wildcard) => {
                Support::Meaningless("patterns of topics are MQTT's; use the driver mqtt")
            }
            (Self::RedisStreams, Selection::Wildcard) => {
                Support::Meaningless("Redis has patterns of channels, not of streams; use redis")
            }
            (
                Self::BytePipe | Self::BytePipeMqtt | Self::Null | Self::Disk,
                Selection::Wildcard,
            ) => Support::Meaningless("nothing looks at names there, so none matches a pattern"),
        }
    }

    /// Whether it can measure backlogs.
    #[must_use]
    pub fn backlogs(self) -> Support {
        match self {
            Self::TandemNative
            | Self::TandemClient
            | Self::TandemJson
            | Self::RedisStreams
            | Self::JetStream
            | Self::Disk => Support::Measured,
            Self::Mqtt => {
                Support::Meaningless("sessions that are away are not driven; use tandem-native")
            }
            Self::Amqp | Self::Stomp => {
                Support::Meaningless("a queue is its subscriber's own; use tandem-native")
            }
            Self::BytePipe | Self::BytePipeMqtt | Self::Null | Self::Redis | Self::Nats => {
                Support::Meaningless("what nobody reads is not kept")
            }
        }
    }

    /// The driver for a broker at this address, spoken to as its configuration says.
    ///
    /// # Errors
    /// [`DriverError::Unexpected`] for a driver that needs an address and has none, and for
    /// [`Self::Disk`], which is no wire.
    pub fn open(
        self,
        address: Option<SocketAddr>,
        broker: &BrokerConfig,
    ) -> Result<Box<dyn Driver>, DriverError> {
        let mqtt = broker.mqtt.unwrap_or_default();
        Ok(match (self, address) {
            (Self::Null, _) => Box::new(Null),
            (Self::Disk, _) => return Err(DriverError::unexpected("a driver of a wire", &self)),
            (_, None) => return Err(DriverError::unexpected("an address", &"none")),
            (Self::TandemNative, Some(address)) => Box::new(Native::new(address)),
            (Self::TandemClient, Some(address)) => Box::new(TandemClient::new(address)),
            (Self::TandemJson, Some(address)) => Box::new(TandemJson::new(address)),
            (Self::BytePipe, Some(address)) => Box::new(BytePipe::new(address)),
            (Self::Redis, Some(address)) => Box::new(Redis::new(address)),
            (Self::RedisStreams, Some(address)) => Box::new(RedisStreams::new(address)),
            (Self::Mqtt, Some(address)) => Box::new(Mqtt::new(address, mqtt)),
            // The pipe acknowledges nothing.
            (Self::BytePipeMqtt, Some(address)) => {
                Box::new(Mqtt::new(address, MqttTerms { qos: QoS::AtMostOnce, ..mqtt }))
            }
            (Self::Nats, Some(address)) => Box::new(Nats::new(address)),
            (Self::JetStream, Some(address)) => {
                Box::new(JetStream::new(address, broker.jetstream_storage.unwrap_or_default()))
            }
            (Self::Amqp, Some(address)) => {
                Box::new(Amqp::new(address, broker.amqp_queue.unwrap_or_default()))
            }
            (Self::Stomp, Some(address)) => Box::new(Stomp(address)),
        })
    }
}
