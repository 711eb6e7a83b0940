//! One connection: a session, and the bytes on their way to and from it.

use broker_core::{Broker, Cause, Now, Output, Session, SessionKey, Turn, Wakes};
use bytes::BytesMut;
use protocol::mqtt::{Packet, PacketDecoder, PacketStep, Version, encode_packet};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

/// The largest packet that is read.
const PACKET_BYTES_MAX: usize = 1 << 20;

/// Pieces of an output that are looked at.
const SLICES_MAX: usize = 256;

pub(super) struct Link {
    pub(super) key: SessionKey,
    session: Session,
    output: Output,
    decoder: PacketDecoder,
    /// Bytes that the client sent.
    sent: BytesMut,
    /// Bytes that the client received.
    received: BytesMut,
    pub(super) wakes: VecDeque<Cause>,
}

impl Link {
    pub(super) fn new(broker: &Arc<Broker>, key: SessionKey, now: Now) -> Self {
        let mut decoder = PacketDecoder::new(PACKET_BYTES_MAX);
        decoder.set_version(Version::V5);
        Self {
            key,
            session: Session::new(Arc::clone(broker), key, now),
            output: Output::new(),
            decoder,
            sent: BytesMut::new(),
            received: BytesMut::new(),
            wakes: VecDeque::new(),
        }
    }

    /// The client sends a packet.
    pub(super) fn send(&mut self, packet: &Packet<'_>) {
        encode_packet(packet, Version::V5, &mut self.sent);
    }

    /// How many bytes of the client's have not arrived.
    pub(super) fn sent_bytes(&self) -> usize {
        self.sent.len()
    }

    /// So many bytes of the client's arrive.
    pub(super) fn feed(&mut self, bytes: usize, now: Now) -> Wakes {
        let input = self.sent.clone().split_to(bytes);
        let mut taken = 0;
        let wakes = self.call(now, |session, turn| taken = session.handle_input(&input, turn));
        let _ = self.sent.split_to(taken);
        wakes
    }

    pub(super) fn wake(&mut self, now: Now) -> Wakes {
        let Some(cause) = self.wakes.pop_front() else { return Wakes::new() };
        self.call(now, |session, turn| session.handle_wake(cause, turn))
    }

    pub(super) fn poll(&mut self, now: Now) -> Wakes {
        self.call(now, |session, turn| {
            session.poll_deliveries(turn);
        })
    }

    /// What is due at `now` is done.
    pub(super) fn time_out(&mut self, now: Now) -> Wakes {
        match self.session.poll_timeout() {
            Some(due) if due <= now => self.call(now, Session::handle_timeout),
            _ => Wakes::new(),
        }
    }

    pub(super) fn close(&mut self, now: Now) -> Wakes {
        let mut wakes = Wakes::new();
        self.session.handle_close(&mut wakes, now);
        wakes
    }

    /// How many bytes of the broker's have not arrived.
    pub(super) fn output_bytes(&self) -> usize {
        self.output.len()
    }

    /// So many bytes of the broker's arrive.
    pub(super) fn receive(&mut self, mut bytes: usize) {
        while bytes > 0 {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            self.output.slices(&mut slices);
            let piece = &slices[0][..slices[0].len().min(bytes)];
            self.received.extend_from_slice(piece);
            let length = piece.len();
            self.output.advance(length);
            bytes -= length;
        }
    }

    /// Gives the next packet that arrived whole to `act`.
    pub(super) fn read(&mut self, act: impl FnOnce(Packet<'_>)) -> bool {
        let received = self.received.clone();
        match self.decoder.next(&received).expect("a packet of the standard") {
            PacketStep::NeedMore => false,
            PacketStep::Packet { consumed, packet } => {
                let _ = self.received.split_to(consumed);
                act(packet);
                true
            }
        }
    }

    fn call(&mut self, now: Now, act: impl FnOnce(&mut Session, &mut Turn<'_>)) -> Wakes {
        let mut wakes = Wakes::new();
        let mut turn = Turn { out: &mut self.output, wakes: &mut wakes, now };
        act(&mut self.session, &mut turn);
        wakes
    }
}
