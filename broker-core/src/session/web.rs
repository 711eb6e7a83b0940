//! A connection that began as HTTP: MQTT within a WebSocket (MQTT 5.0 §6). What is received is
//! unframed before the session sees it, and what the session writes is framed behind its back.

use super::dialect::Speech;
use super::mqtt::Mqtt;
use super::{Session, Turn};
use crate::Output;
use crate::web_socket::{Received, WebSocket, WebSocketLimits};

/// What the request that opens a WebSocket begins with (RFC 6455 §4.1).
pub(super) const REQUEST: &[u8] = b"GET ";

/// The longest request that may open a WebSocket.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Memory that an empty buffer may keep.
const REST_BYTES_MAX: usize = 1024;

/// The WebSocket around a session.
#[derive(Debug)]
pub(super) struct Web {
    socket: WebSocket,
    /// What was unframed and the session did not take yet.
    data: Vec<u8>,
    /// The close frame was written.
    has_ended: bool,
}

impl Session {
    /// Puts a WebSocket around a connection that begins as HTTP does.
    pub(super) fn begin_web(&mut self, input: &[u8]) {
        if matches!(self.speech, Speech::Unheard) && input.starts_with(REQUEST) {
            let limits = self.broker.limits();
            let frame_bytes_max = limits.mqtt_packet_bytes_max;
            let limits_of_frames =
                WebSocketLimits { frame_bytes_max, head_bytes_max: HEAD_BYTES_MAX };
            let socket = WebSocket::new(limits_of_frames);
            self.web = Some(Box::new(Web { socket, data: Vec::new(), has_ended: false }));
            self.speech = Speech::Mqtt(Box::new(Mqtt::new(limits)));
        }
    }

    /// Takes bytes of a WebSocket from the start of `input`.
    pub(super) fn handle_web_input(&mut self, input: &[u8], turn: &mut Turn<'_>) -> usize {
        let Some(web) = &mut self.web else { return 0 };
        let Web { socket, data, has_ended } = &mut **web;
        let (taken, received) = turn.out.put(|out| socket.handle_input(input, data, out));
        *has_ended |= received == Received::Closed;
        self.take_unframed(turn);
        if received == Received::Closed {
            self.closing = true;
        }
        let is_whole = taken == input.len();
        self.incomplete_since =
            if is_whole { None } else { self.incomplete_since.or(Some(turn.now)) };
        taken
    }

    /// Has the session take what was unframed, as far as it does now.
    pub(super) fn take_unframed(&mut self, turn: &mut Turn<'_>) {
        let Some(web) = &mut self.web else { return };
        if web.data.is_empty() {
            return;
        }
        let mut data = std::mem::take(&mut web.data);
        let taken = self.framed(turn, |session, turn| session.handle_bytes(&data, turn));
        data.drain(..taken);
        if let Some(web) = &mut self.web {
            let is_at_rest = data.is_empty() && data.capacity() > REST_BYTES_MAX;
            web.data = if is_at_rest { Vec::new() } else { data };
        }
    }

    /// Runs `act`, and puts what it writes into a frame where the connection is a WebSocket.
    pub(super) fn framed<T>(
        &mut self,
        turn: &mut Turn<'_>,
        act: impl FnOnce(&mut Self, &mut Turn<'_>) -> T,
    ) -> T {
        let Some(mut web) = self.web.take() else { return act(self, turn) };
        let mut packets = Output::new();
        let result = act(self, &mut Turn { out: &mut packets, wakes: turn.wakes, now: turn.now });
        if !packets.is_empty() {
            turn.out.put(|out| WebSocket::encode_frame_head(packets.len(), out));
            turn.out.append(packets);
        }
        if self.closing && !std::mem::replace(&mut web.has_ended, true) {
            turn.out.put(|out| web.socket.encode_close(out));
        }
        self.web = Some(web);
        result
    }
}
