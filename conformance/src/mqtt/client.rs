//! One connection that speaks MQTT: opening it, sending, receiving, and how it ends.

use super::web_socket::{BINARY, CLOSE, FIN, Unframed, frame, request, request_headers};
use super::{Connack, Connect, Packet, Property, Publish, Received, Version, disconnect, pingreq};
use crate::{BrokerProcess, Connection, WAIT_MAX};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};

/// A client that speaks MQTT.
#[derive(Debug)]
pub struct MqttClient {
    /// The connection, for what no client would send.
    pub connection: Connection,
    /// What it was told when it connected.
    pub connack: Connack,
    /// The WebSocket that it speaks within.
    web: Option<Unframed>,
    pub(crate) version: Version,
    pub(crate) id_next: u16,
    /// PUBLISH packets that came while something else was awaited.
    pub(crate) set_aside: VecDeque<Received>,
}

impl MqttClient {
    /// A connection on which nothing was said yet, to speak a version of MQTT.
    #[track_caller]
    #[must_use]
    pub fn open(broker: &BrokerProcess, version: Version) -> Self {
        Self::on(Connection::open(broker.address()), None, version)
    }

    /// A WebSocket on which nothing was said yet, to speak a version of MQTT.
    #[track_caller]
    #[must_use]
    pub fn open_web(broker: &BrokerProcess, version: Version) -> Self {
        let mut connection = Connection::open(broker.address());
        connection.send(request("GET /mqtt HTTP/1.1", &request_headers()).as_bytes());
        Self::open_web_on(connection, version)
    }

    /// A WebSocket that was asked for on a connection, to be accepted.
    #[track_caller]
    #[must_use]
    pub fn open_web_on(mut connection: Connection, version: Version) -> Self {
        let web = Unframed::accepted(&mut connection);
        Self::on(connection, Some(web), version)
    }

    fn on(connection: Connection, web: Option<Unframed>, version: Version) -> Self {
        Self {
            connection,
            connack: Connack::default(),
            web,
            version,
            id_next: 1,
            set_aside: VecDeque::new(),
        }
    }

    /// Connects with a clean start, under a client identifier.
    #[track_caller]
    #[must_use]
    pub fn connect(broker: &BrokerProcess, version: Version, client_id: &str) -> Self {
        Self::connect_as(broker, &Connect::new(version, client_id))
    }

    /// Connects as told; the broker must accept it.
    #[track_caller]
    #[must_use]
    pub fn connect_as(broker: &BrokerProcess, connect: &Connect) -> Self {
        Self::open(broker, connect.version()).accepted(connect)
    }

    /// Connects as told within a WebSocket; the broker must accept it.
    #[track_caller]
    #[must_use]
    pub fn connect_web(broker: &BrokerProcess, connect: &Connect) -> Self {
        Self::open_web(broker, connect.version()).accepted(connect)
    }

    #[track_caller]
    fn accepted(mut self, connect: &Connect) -> Self {
        self.send(&connect.packet());
        self.connack = self.read().connack(self.version);
        assert_eq!(self.connack.code, 0, "expected to be accepted: {:?}", self.connack);
        self
    }

    /// Connects as told; the broker must refuse it with a CONNACK and close the connection. Gives
    /// the code.
    #[track_caller]
    pub fn refused(broker: &BrokerProcess, connect: &Connect) -> u8 {
        let mut client = Self::open(broker, connect.version());
        client.send(&connect.packet());
        let connack = client.read().connack(client.version);
        client.expect_closed();
        connack.code
    }

    /// The identifier that the broker gave it.
    #[track_caller]
    #[must_use]
    pub fn assigned_client_id(&self) -> &str {
        let ids = self.connack.properties.iter().find_map(|property| match property {
            Property::AssignedClientId(id) => Some(id),
            _ => None,
        });
        ids.unwrap_or_else(|| panic!("expected an assigned identifier: {:?}", self.connack))
    }

    /// The version that it speaks.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Sends a packet.
    #[track_caller]
    pub fn send(&mut self, packet: &Packet) {
        let bytes = self.framed(packet.bytes());
        self.connection.send(&bytes);
    }

    /// Sends a packet to a broker that may close the connection before it was read whole.
    pub fn try_send(&mut self, packet: &Packet) {
        // What the broker said before it closed is still to be read.
        let bytes = self.framed(packet.bytes());
        let _ = self.connection.try_send(&bytes);
    }

    /// `bytes` in a frame, where it speaks within a WebSocket.
    fn framed(&self, bytes: Vec<u8>) -> Vec<u8> {
        if self.web.is_some() { frame(FIN | BINARY, &bytes) } else { bytes }
    }

    /// Sends a PUBLISH and waits for nothing.
    #[track_caller]
    pub fn send_publish(&mut self, publish: &Publish) {
        self.send(&publish.packet(self.version));
    }

    /// The next packet, whatever it is; `None` where the connection ended.
    #[track_caller]
    pub fn read_or_end(&mut self) -> Option<Received> {
        match self.set_aside.pop_front() {
            Some(received) => Some(received),
            None => self.receive_packet(),
        }
    }

    /// The next packet, whatever it is.
    #[track_caller]
    pub fn read(&mut self) -> Received {
        self.read_or_end().expect("a packet, not the end of the connection")
    }

    /// The next packet that is not a PUBLISH; those that come before it are kept for later.
    #[track_caller]
    pub(crate) fn read_answer(&mut self) -> Received {
        loop {
            let received = self.receive_packet().expect("an answer, not the connection's end");
            if !received.is_publish() {
                return received;
            }
            self.set_aside.push_back(received);
        }
    }

    /// Fails unless nothing was sent to it that it has not read, as told by a PINGREQ whose answer
    /// comes behind it.
    #[track_caller]
    pub fn expect_nothing(&mut self) {
        self.send(&pingreq());
        let received = self.read();
        let answer = Received { first: 0xD0, body: Vec::new() };
        assert_eq!(received, answer, "expected nothing but the answer to PINGREQ");
    }

    /// All that the broker still has to say, MQTT or not, until it closes the connection.
    #[track_caller]
    pub fn read_to_end(&mut self) -> Vec<u8> {
        loop {
            match self.connection.try_receive() {
                Ok(0) => return self.connection.held().to_vec(),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Vec::new(),
                Err(error) => panic!("expected the end within {WAIT_MAX:?}, found {error}"),
            }
        }
    }

    /// Fails unless the broker closes the connection with nothing more to say.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        if let Some(received) = self.read_or_end() {
            panic!("expected the end of the connection, found {received:?}");
        }
    }

    /// The next frame of its WebSocket that carries no data: its first byte, and its payload. What
    /// comes before it is kept.
    #[track_caller]
    pub fn read_control(&mut self) -> (u8, Vec<u8>) {
        loop {
            let web = self.web.as_mut().expect("a WebSocket");
            web.take_frames(&mut self.connection);
            if let Some(control) = web.controls.pop_front() {
                return control;
            }
            assert!(self.connection.receive("a control frame"), "the connection ended before it");
        }
    }

    /// Fails unless the broker closes the WebSocket with this code, and then the connection. Gives
    /// the reason.
    #[track_caller]
    pub fn expect_close_frame(&mut self, code: u16) -> String {
        let (first, payload) = self.read_control();
        assert_eq!(first, FIN | CLOSE, "expected a close frame, found {payload:02x?}");
        let (found, reason) = payload.split_at(2);
        let reason = String::from_utf8(reason.to_vec()).expect("a reason is text");
        assert_eq!(found, code.to_be_bytes(), "expected the code {code}: {reason}");
        self.expect_closed();
        reason
    }

    /// Fails unless the broker closes the connection: in MQTT 5.0 after a DISCONNECT with one of
    /// these reasons, and before without a word.
    #[track_caller]
    pub fn expect_disconnect(&mut self, reasons: &[u8]) {
        if self.version == Version::V5 {
            let expected = format!("DISCONNECT with one of {reasons:02x?}");
            let received = self.read_or_end();
            let received = received.unwrap_or_else(|| panic!("expected {expected}, found the end"));
            let code = received.disconnect().code;
            assert!(reasons.contains(&code), "expected {expected}, found {received:?}");
        }
        self.expect_closed();
    }

    /// Sends DISCONNECT, and waits for the broker to close the connection.
    #[track_caller]
    pub fn disconnect(mut self) {
        self.send(&disconnect());
        self.expect_closed_after_messages();
    }

    /// Sends a DISCONNECT as told, and waits for the broker to close the connection.
    #[track_caller]
    pub fn disconnect_as(mut self, packet: &Packet) {
        self.send(packet);
        self.expect_closed_after_messages();
    }

    /// Ends the connection without DISCONNECT, as a crash would.
    pub fn vanish(self) {
        drop(self);
    }

    /// Messages may have been under way when the client left.
    #[track_caller]
    fn expect_closed_after_messages(&mut self) {
        while let Some(received) = self.read_or_end() {
            assert!(received.is_publish(), "expected the end, found {received:?}");
        }
    }

    #[track_caller]
    fn receive_packet(&mut self) -> Option<Received> {
        loop {
            if let Some((received, length)) = Received::decode(self.held()) {
                self.consume(length);
                return Some(received);
            }
            match self.try_receive() {
                Ok(0) => break,
                Ok(_) => {}
                // A broker that closes with bytes unread resets the connection.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => panic!("expected a packet within {WAIT_MAX:?}, found {error}"),
            }
        }
        assert_eq!(self.held(), b"", "the connection ended within a packet");
        assert_eq!(self.connection.held(), b"", "the connection ended within a frame");
        None
    }

    /// What was received of MQTT and not yet taken.
    fn held(&self) -> &[u8] {
        self.web.as_ref().map_or(self.connection.held(), |web| &web.data)
    }

    fn consume(&mut self, count: usize) {
        match &mut self.web {
            Some(web) => drop(web.data.drain(..count)),
            None => self.connection.consume(count),
        }
    }

    #[track_caller]
    fn try_receive(&mut self) -> io::Result<usize> {
        if let Some(web) = &mut self.web {
            let before = web.data.len();
            web.take_frames(&mut self.connection);
            if web.data.len() > before {
                return Ok(web.data.len() - before);
            }
        }
        let received = self.connection.try_receive()?;
        if let Some(web) = &mut self.web {
            web.take_frames(&mut self.connection);
        }
        Ok(received)
    }
}
