//! Where frames and packets end, so that only whole ones are passed on.

use super::{FRAME_BYTES_MAX, invalid, mqtt};
use protocol::native::FRAME_HEADER_BYTES;
use std::io;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Native,
    Mqtt,
}

/// What can be done with the start of what was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    /// To be passed on.
    pub(super) whole_bytes: usize,
    /// Of a question behind that; 0 if there is none.
    pub(super) ping_bytes: usize,
}

/// PING as publishers send it, whose correlation id is always 0, and its answer.
pub(super) const PING: [u8; FRAME_HEADER_BYTES] = [8, 0, 0, 0, 0x0C, 0, 0, 0, 0, 0, 0, 0];
const PONG: [u8; FRAME_HEADER_BYTES] = [8, 0, 0, 0, 0x86, 0, 0, 0, 0, 0, 0, 0];

impl Framing {
    pub(super) fn first_piece(self, input: &[u8]) -> io::Result<Piece> {
        match self {
            Self::Native => first_frames(input),
            Self::Mqtt => first_packets(input),
        }
    }

    /// What a question is answered with.
    pub(super) fn pong(self) -> &'static [u8] {
        match self {
            Self::Native => &PONG,
            Self::Mqtt => &mqtt::PINGRESP,
        }
    }
}

/// The whole frames at the start of `input` up to a PING.
fn first_frames(input: &[u8]) -> io::Result<Piece> {
    const LENGTH_BYTES: usize = 4;
    let mut whole_bytes = 0;
    while let Some((length, _)) = input[whole_bytes..].split_first_chunk::<LENGTH_BYTES>() {
        if input[whole_bytes..].starts_with(&PING) {
            return Ok(Piece { whole_bytes, ping_bytes: PING.len() });
        }
        let length = u32::from_le_bytes(*length);
        if length > FRAME_BYTES_MAX {
            return Err(invalid(format!(
                "expected frames of at most {FRAME_BYTES_MAX} bytes, found {length}"
            )));
        }
        let end = whole_bytes + LENGTH_BYTES + length as usize;
        if end > input.len() {
            break;
        }
        whole_bytes = end;
    }
    Ok(Piece { whole_bytes, ping_bytes: 0 })
}

/// The whole packets at the start of `input` up to a PINGREQ.
fn first_packets(input: &[u8]) -> io::Result<Piece> {
    let mut whole_bytes = 0;
    loop {
        let rest = &input[whole_bytes..];
        if rest.starts_with(&mqtt::PINGREQ) {
            return Ok(Piece { whole_bytes, ping_bytes: mqtt::PINGREQ.len() });
        }
        match packet_bytes(rest)? {
            Some(bytes) if bytes <= rest.len() => whole_bytes += bytes,
            _ => return Ok(Piece { whole_bytes, ping_bytes: 0 }),
        }
    }
}

/// Length of the packet that `input` begins with (MQTT 5.0 §2.1.4); `None` while it cannot be told.
fn packet_bytes(input: &[u8]) -> io::Result<Option<usize>> {
    const LENGTH_BYTES_MAX: usize = 4;
    let mut remaining_bytes = 0;
    for (index, byte) in input.iter().skip(1).take(LENGTH_BYTES_MAX).enumerate() {
        remaining_bytes |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some(2 + index + remaining_bytes));
        }
    }
    if input.len() > LENGTH_BYTES_MAX {
        return Err(invalid("expected a remaining length of at most 4 bytes, found more"));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::native::{encode_request, encode_response};
    use protocol::{Request, Response};

    #[test]
    fn only_whole_frames_are_passed_on() {
        let frame = [8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        let stream = [frame, frame].concat();
        let whole = |bytes: usize| first_frames(&stream[..bytes]).unwrap().whole_bytes;
        assert_eq!([whole(0), whole(3), whole(11), whole(12), whole(23)], [0, 0, 0, 12, 12]);
        assert_eq!(whole(24), 24);
    }

    #[test]
    fn a_length_that_no_frame_has_ends_the_connection() {
        assert!(first_frames(&[0xFF; 12]).is_err());
        assert!(packet_bytes(&[0xFF; 5]).is_err());
    }

    #[test]
    fn frames_are_passed_on_up_to_a_ping() {
        let frame = [8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        let stream = [frame, PING, frame].concat();
        let piece = |input: &[u8]| first_frames(input).unwrap();
        assert_eq!(piece(&stream), Piece { whole_bytes: 12, ping_bytes: 12 });
        assert_eq!(piece(&stream[..23]), Piece { whole_bytes: 12, ping_bytes: 0 });
        assert_eq!(piece(&stream[24..]), Piece { whole_bytes: 12, ping_bytes: 0 });
    }

    #[test]
    fn a_question_and_its_answer_are_those_of_the_native_wire() {
        let mut encoded = Vec::new();
        encode_request(&Request::Ping, 0, &mut encoded);
        assert_eq!(encoded, PING);
        encoded.clear();
        encode_response(&Response::Pong, 0, &mut encoded);
        assert_eq!(encoded, Framing::Native.pong());
    }

    #[test]
    fn packets_are_passed_on_up_to_a_ping() {
        let long = [&[0x30, 0x80, 0x01][..], &[7; 128]].concat();
        let stream = [&[0x30, 1, 9][..], &long, &[0xC0, 0, 0x30, 0]].concat();
        let check = |bytes: usize, whole_bytes, ping_bytes| {
            let found = first_packets(&stream[..bytes]).unwrap();
            assert_eq!(found, Piece { whole_bytes, ping_bytes }, "of {bytes} bytes");
        };
        check(0, 0, 0);
        check(2, 0, 0);
        check(5, 3, 0);
        check(133, 3, 0);
        check(135, 134, 0);
        check(138, 134, 2);
    }
}
