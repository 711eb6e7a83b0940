//! How a connection ends on which something was sent that must end it, and tables of such cases.

use super::{Connect, MqttClient, Packet, Version, pingreq};
use crate::BrokerProcess;

/// What a broker did with a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It closed the connection without a word.
    Closed,
    /// It sent a CONNACK with this code, which is a refusal, and closed the connection.
    Refused(u8),
    /// It sent a DISCONNECT with this reason and closed the connection.
    Disconnected(u8),
    /// It went on: this is what it sent.
    WentOn(String),
}

impl Ending {
    /// What becomes of an accepted connection on which `bytes` are sent.
    #[track_caller]
    #[must_use]
    pub fn of(broker: &BrokerProcess, version: Version, bytes: &[u8]) -> Self {
        let mut client = MqttClient::connect_as(broker, &Connect::new(version, "a"));
        client.connection.send(bytes);
        // A broker that went on would have nothing to say otherwise.
        client.try_send(&pingreq());
        Self::read(&mut client)
    }

    /// What becomes of a connection on which `connect` is the first packet.
    #[track_caller]
    #[must_use]
    pub fn of_connect(broker: &BrokerProcess, version: Version, connect: &Packet) -> Self {
        let mut client = MqttClient::open(broker, version);
        client.send(connect);
        Self::read(&mut client)
    }

    #[track_caller]
    fn read(client: &mut MqttClient) -> Self {
        let version = client.version;
        let Some(received) = client.read_or_end() else { return Self::Closed };
        let ending = match received.name() {
            "DISCONNECT" if version == Version::V5 => {
                Self::Disconnected(received.disconnect().code)
            }
            "CONNACK" if received.connack(version).code > 0 => {
                Self::Refused(received.connack(version).code)
            }
            _ => return Self::WentOn(format!("{received:?}")),
        };
        client.expect_closed();
        ending
    }
}

/// A table of cases that are tried one after the other, and told of together.
#[derive(Debug)]
pub struct MustEnd<'a> {
    broker: &'a BrokerProcess,
    version: Version,
    wrong: Vec<String>,
}

impl<'a> MustEnd<'a> {
    /// An empty table.
    #[must_use]
    pub fn new(broker: &'a BrokerProcess, version: Version) -> Self {
        Self { broker, version, wrong: Vec::new() }
    }

    /// These bytes must end an accepted connection: in MQTT 5.0 with a DISCONNECT that has one of
    /// `reasons`, before without a word.
    #[track_caller]
    pub fn bytes(&mut self, what: &str, bytes: &[u8], reasons: &[u8]) {
        let ending = Ending::of(self.broker, self.version, bytes);
        let right = match ending {
            Ending::Closed => self.version < Version::V5,
            Ending::Disconnected(reason) => reasons.contains(&reason),
            _ => false,
        };
        self.note(right, what, bytes, reasons, &ending);
    }

    /// This packet must end an accepted connection, as above.
    #[track_caller]
    pub fn packet(&mut self, what: &str, packet: &Packet, reasons: &[u8]) {
        self.bytes(what, &packet.bytes(), reasons);
    }

    /// This DISCONNECT, which is wrong, must end an accepted connection; whether the broker has a
    /// word to say to who is leaving is its own choice.
    #[track_caller]
    pub fn farewell(&mut self, what: &str, packet: &Packet, reasons: &[u8]) {
        let ending = Ending::of(self.broker, self.version, &packet.bytes());
        let right = match ending {
            Ending::Closed => true,
            Ending::Disconnected(reason) => reasons.contains(&reason),
            _ => false,
        };
        self.note(right, what, &packet.bytes(), reasons, &ending);
    }

    /// This malformed CONNECT must end its connection: in MQTT 5.0 perhaps after a refusal, before
    /// without a word.
    #[track_caller]
    pub fn connect(&mut self, what: &str, connect: &Packet) {
        let ending = Ending::of_connect(self.broker, self.version, connect);
        let right = match ending {
            Ending::Closed => true,
            Ending::Refused(code) => self.version == Version::V5 && code >= 0x80,
            _ => false,
        };
        self.note(right, what, &connect.bytes(), &[], &ending);
    }

    fn note(&mut self, right: bool, what: &str, bytes: &[u8], reasons: &[u8], ending: &Ending) {
        if !right {
            let bytes = super::shown(bytes);
            self.wrong.push(format!("{what}: {bytes} ended as {ending:02x?}, not {reasons:02x?}"));
        }
    }

    /// Fails with all cases that went wrong, or if the broker serves nobody now.
    #[track_caller]
    pub fn check(self) {
        let wrong = self.wrong;
        assert!(wrong.is_empty(), "{} cases went wrong:\n{}", wrong.len(), wrong.join("\n"));
        MqttClient::connect(self.broker, self.version, "other").expect_nothing();
    }
}
