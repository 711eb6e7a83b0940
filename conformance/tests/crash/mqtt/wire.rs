//! MQTT, said to a broker that may be gone at any moment.

use crate::wire::{Gone, receive};
use conformance::Connection;
use conformance::mqtt::{Connack, Connect, Packet, Received, Version, pingreq};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

/// The broker stops (MQTT 5.0 §2.4).
const SERVER_SHUTTING_DOWN: u8 = 0x8B;

/// What a broker of 3.1.1 that stops refuses connections with: server unavailable.
const UNAVAILABLE_V311: u8 = 3;

/// A connection that speaks MQTT.
#[derive(Debug)]
pub(crate) struct MqttWire {
    connection: Connection,
    version: Version,
}

impl MqttWire {
    /// Connects.
    pub(crate) fn open(address: SocketAddr, connect: &Connect) -> Result<(Self, Connack), Gone> {
        let (connection, version) = (Connection::try_open(address)?, connect.version());
        let mut wire = Self { connection, version };
        wire.send(&connect.packet())?;
        let connack = wire.read()?.connack(version);
        match connack.code {
            0 => Ok((wire, connack)),
            SERVER_SHUTTING_DOWN | UNAVAILABLE_V311 => Err(Gone),
            _ => panic!("expected to be accepted, found {connack:?}"),
        }
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn send(&mut self, packet: &Packet) -> Result<(), Gone> {
        Ok(self.connection.try_send(&packet.bytes())?)
    }

    /// The next packet.
    pub(crate) fn read(&mut self) -> Result<Received, Gone> {
        loop {
            match self.take()? {
                Some(received) => return Ok(received),
                None => receive(&mut self.connection)?,
            }
        }
    }

    /// The next packet, if one comes within `patience`.
    pub(crate) fn read_within(&mut self, patience: Duration) -> Result<Option<Received>, Gone> {
        loop {
            if let Some(received) = self.take()? {
                return Ok(Some(received));
            }
            match self.connection.try_receive_within(patience) {
                Ok(0) => return Err(Gone),
                Ok(_) => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Ok(None);
                }
                Err(_) => return Err(Gone),
            }
        }
    }

    /// Sends PINGREQ, and gives what comes up to its answer.
    pub(crate) fn ping(&mut self) -> Result<Vec<Received>, Gone> {
        self.send(&pingreq())?;
        let mut before = Vec::new();
        loop {
            match self.read()? {
                received if received.name() == "PINGRESP" => return Ok(before),
                received => before.push(received),
            }
        }
    }

    /// A packet that is there already, unless it says that the broker stops.
    fn take(&mut self) -> Result<Option<Received>, Gone> {
        let Some((received, length)) = Received::decode(self.connection.held()) else {
            return Ok(None);
        };
        self.connection.consume(length);
        if received.name() == "DISCONNECT" {
            let said = received.disconnect();
            assert_eq!(said.code, SERVER_SHUTTING_DOWN, "why the broker ends it: {said:?}");
            return Err(Gone);
        }
        Ok(Some(received))
    }
}
