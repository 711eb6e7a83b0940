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
    /// The session stopped taking what was unframed, and is to be offered the rest.
    is_stalled: bool,
    /// Nothing more comes: the session ends when it took what came before.
    is_over: bool,
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
            let (data, is_stalled, is_over) = (Vec::new(), false, false);
            self.web = Some(Box::new(Web { socket, data, is_stalled, is_over }));
            self.speech = Speech::Mqtt(Box::new(Mqtt::new(limits)));
        }
    }

    /// Takes bytes of a WebSocket from the start of `input`.
    pub(super) fn handle_web_input(&mut self, input: &[u8], turn: &mut Turn<'_>) -> usize {
        let Some(web) = &mut self.web else { return 0 };
        let Web { socket, data, is_over, .. } = &mut **web;
        let (taken, received) = turn.out.put(|out| socket.handle_input(input, data, out));
        *is_over |= received == Received::Closed;
        self.take_unframed(turn);
        let has_data = self.web.as_ref().is_some_and(|web| !web.data.is_empty());
        if taken < input.len() {
            self.incomplete_since = self.incomplete_since.or(Some(turn.now));
        } else if !has_data && self.refused.is_none() {
            self.incomplete_since = None;
        }
        taken
    }

    /// Whether what was unframed is to be offered again, with more input or without.
    pub(super) fn owes_unframed(&self) -> bool {
        self.web.as_ref().is_some_and(|web| web.is_stalled)
    }

    /// Has the session take what was unframed, as far as it does now.
    fn take_unframed(&mut self, turn: &mut Turn<'_>) {
        let wants_input = self.wants_input(turn.out);
        let Some(web) = &mut self.web else { return };
        web.is_stalled = !web.data.is_empty() || web.is_over;
        if !web.is_stalled || !wants_input {
            return;
        }
        let (mut data, is_over) = (std::mem::take(&mut web.data), web.is_over);
        let (taken, wants_more) = self.framed(turn, |session, turn| {
            let taken = session.handle_bytes(&data, turn);
            let wants_more = session.wants_input(turn.out);
            // What is left is no whole packet, and the rest of it will not come.
            session.closing |= is_over && wants_more;
            (taken, wants_more)
        });
        data.drain(..taken);
        if let Some(web) = &mut self.web {
            web.is_stalled = !wants_more && (!data.is_empty() || is_over);
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
        let (was_closing, mut packets) = (self.closing, Output::new());
        let result = act(self, &mut Turn { out: &mut packets, wakes: turn.wakes, now: turn.now });
        // Nothing follows a close frame, though there may be more to tell.
        if !packets.is_empty() && !was_closing {
            turn.out.put(|out| WebSocket::encode_frame_head(packets.len(), out));
            turn.out.append(packets);
        }
        if self.closing {
            turn.out.put(|out| web.socket.encode_close(out));
        }
        self.web = Some(web);
        result
    }
}
