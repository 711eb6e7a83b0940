//! WebSockets that carry MQTT: what the peer frames is unframed, and its pings and closes answered
//! (RFC 6455; MQTT 5.0 §6).
//!
//! ```text
//! byte 0: FIN, three reserved bits, four bits of opcode
//! byte 1: MASK, seven bits of length; 126: two bytes of length follow, 127: eight
//! then:   four bytes of mask, always from a client and never from a server; then the payload
//! ```

mod handshake;

use bytes::{BufMut, BytesMut};
use handshake::{Handshake, answer_request};
use std::io::Cursor;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// What a peer may send at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WebSocketLimits {
    /// Payload of one frame. A message of many frames may be of any size, as nothing of it is kept.
    pub(crate) frame_bytes_max: usize,
    /// The request that opens the connection, up to and with its empty line.
    pub(crate) head_bytes_max: usize,
}

/// The WebSocket side of one connection.
///
/// It holds no bytes: what it cannot take yet stays with the caller, which is a head of a request
/// or frame that is not whole, or a frame of up to 125 bytes that is not data.
#[derive(Debug)]
pub(crate) struct WebSocket {
    limits: WebSocketLimits,
    state: State,
}

/// What came of received bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// No payload; nothing more can be taken until more was received.
    NeedMore,
    /// Payload was appended; nothing more can be taken until more was received.
    Data,
    /// The peer closed the WebSocket or broke its rules. There may be payload from before that;
    /// when that is answered, the close frame is to be written, and the connection closed.
    Closed,
}

impl WebSocket {
    /// A connection whose first bytes are an HTTP request.
    #[must_use]
    pub(crate) fn new(limits: WebSocketLimits) -> Self {
        Self { limits, state: State::Handshake }
    }

    /// Takes all it can of `input`, appends the payload in it to `data` and what is to be answered
    /// to `out`, and gives how many bytes it took. The rest is to be offered again, with more.
    ///
    /// Payload is handed on as it comes, whole packets or not: they may span frames
    /// [MQTT-6.0.0-2].
    pub(crate) fn handle_input(
        &mut self,
        input: &[u8],
        data: &mut Vec<u8>,
        out: &mut BytesMut,
    ) -> (usize, Received) {
        let data_bytes_before = data.len();
        let mut rest = input;
        while let Some(taken) = self.take_first(rest, data, out) {
            rest = &rest[taken..];
        }
        if matches!(self.state, State::Ending(_) | State::Closed) {
            return (input.len(), Received::Closed);
        }
        let is_data = data.len() > data_bytes_before;
        (input.len() - rest.len(), if is_data { Received::Data } else { Received::NeedMore })
    }

    /// The head of one binary frame, which `payload_bytes` of payload are to follow.
    pub(crate) fn encode_frame_head(payload_bytes: usize, out: &mut BytesMut) {
        encode_head(OpCode::Data(Data::Binary), payload_bytes, out);
    }

    /// The close frame, where frames may be sent and none of this kind was: the answer to what the
    /// peer did, or else one that says that all is well. Nothing may follow it (RFC 6455 §5.5.1).
    pub(crate) fn encode_close(&mut self, out: &mut BytesMut) {
        match &self.state {
            State::Open { .. } => encode_close(Some(CloseCode::Normal), "", out),
            State::Ending(End { code, reason }) => encode_close(*code, reason, out),
            State::Handshake | State::Closed => {}
        }
        self.state = State::Closed;
    }

    /// Takes what `input` begins with, or gives `None` where that is not enough to be taken.
    fn take_first(
        &mut self,
        input: &[u8],
        data: &mut Vec<u8>,
        out: &mut BytesMut,
    ) -> Option<usize> {
        match &mut self.state {
            State::Handshake => match answer_request(input, self.limits.head_bytes_max, out) {
                Handshake::NeedMore => None,
                Handshake::Accepted { head_bytes } => {
                    self.state = State::Open { message: Message::None, payload: Payload::NONE };
                    Some(head_bytes)
                }
                Handshake::Refused => {
                    self.state = State::Closed;
                    None
                }
            },
            State::Open { message, payload } => {
                if payload.bytes > 0 {
                    return payload.take(input, data);
                }
                match take_frame(input, self.limits.frame_bytes_max, message, payload, out) {
                    Ok(taken) => taken,
                    Err(end) => {
                        self.state = State::Ending(end);
                        None
                    }
                }
            }
            State::Ending(_) | State::Closed => None,
        }
    }
}

#[derive(Debug)]
enum State {
    /// The request is awaited.
    Handshake,
    /// Frames are.
    Open { message: Message, payload: Payload },
    /// Nothing is; the close frame is not written yet.
    Ending(End),
    /// Nothing is, and nothing may be sent.
    Closed,
}

/// Whether the next data frame goes on with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    None,
    Begun,
}

/// What is to come of a data frame's payload.
#[derive(Clone, Copy, Debug)]
struct Payload {
    bytes: u64,
    /// Begins with the byte that masks the next one.
    mask: [u8; 4],
}

impl Payload {
    const NONE: Self = Self { bytes: 0, mask: [0; 4] };

    fn take(&mut self, input: &[u8], data: &mut Vec<u8>) -> Option<usize> {
        let taken = usize::try_from(self.bytes).map_or(input.len(), |left| left.min(input.len()));
        if taken == 0 {
            return None;
        }
        let start = data.len();
        data.extend_from_slice(&input[..taken]);
        unmask(&mut data[start..], self.mask);
        self.bytes -= taken as u64;
        self.mask.rotate_left(taken % 4);
        Some(taken)
    }
}

/// Why a WebSocket ends: what its close frame says.
#[derive(Clone, Copy, Debug)]
struct End {
    code: Option<CloseCode>,
    reason: &'static str,
}

impl End {
    fn broken(reason: &'static str) -> Self {
        Self { code: Some(CloseCode::Protocol), reason }
    }
}

/// Takes the head of a data frame, or another frame as a whole.
fn take_frame(
    input: &[u8],
    frame_bytes_max: usize,
    message: &mut Message,
    payload: &mut Payload,
    out: &mut BytesMut,
) -> Result<Option<usize>, End> {
    let mut cursor = Cursor::new(input);
    let Ok(parsed) = FrameHeader::parse(&mut cursor) else {
        return Err(End::broken("Reserved opcodes are not used here."));
    };
    let Some((head, bytes)) = parsed else {
        return Ok(None);
    };
    let head_bytes = head.len(bytes);
    if cursor.position() != head_bytes as u64 {
        return Err(End::broken("A length is to be written in as few bytes as it needs."));
    }
    let mask = check_head(&head)?;
    match head.opcode {
        OpCode::Data(opcode) => {
            check_data(opcode, bytes, frame_bytes_max, *message)?;
            *message = if head.is_final { Message::None } else { Message::Begun };
            *payload = Payload { bytes, mask };
            Ok(Some(head_bytes))
        }
        OpCode::Control(opcode) => {
            let bytes = check_control(&head, bytes)?;
            let Some(payload) = input[head_bytes..].get(..bytes) else {
                return Ok(None);
            };
            let mut unmasked = [0; CONTROL_BYTES_MAX];
            let unmasked = &mut unmasked[..bytes];
            unmasked.copy_from_slice(payload);
            unmask(unmasked, mask);
            answer_control(opcode, unmasked, out)?;
            Ok(Some(head_bytes + bytes))
        }
    }
}

/// What the payload of a control frame may have (RFC 6455 §5.5).
const CONTROL_BYTES_MAX: usize = 125;

/// What holds for all frames; gives the mask.
fn check_head(head: &FrameHeader) -> Result<[u8; 4], End> {
    if head.rsv1 || head.rsv2 || head.rsv3 {
        return Err(End::broken("Reserved bits are for extensions, and none was agreed on."));
    }
    head.mask.ok_or(End::broken("A client masks every frame."))
}

fn check_data(
    opcode: Data,
    bytes: u64,
    frame_bytes_max: usize,
    message: Message,
) -> Result<(), End> {
    match (opcode, message) {
        (Data::Text, _) => {
            let reason = "Expected a binary frame, found a text frame: MQTT is binary.";
            return Err(End { code: Some(CloseCode::Unsupported), reason });
        }
        (Data::Binary, Message::Begun) => {
            return Err(End::broken("A message begins before the one in progress ended."));
        }
        (Data::Continue, Message::None) => {
            return Err(End::broken("A frame goes on with a message, and none is in progress."));
        }
        _ => {}
    }
    if bytes > frame_bytes_max as u64 {
        let reason = "A frame is larger than allowed; send its payload in several.";
        return Err(End { code: Some(CloseCode::Size), reason });
    }
    Ok(())
}

fn check_control(head: &FrameHeader, bytes: u64) -> Result<usize, End> {
    if !head.is_final {
        return Err(End::broken("A control frame is not fragmented."));
    }
    match usize::try_from(bytes) {
        Ok(bytes) if bytes <= CONTROL_BYTES_MAX => Ok(bytes),
        _ => Err(End::broken("A control frame has 125 bytes at most.")),
    }
}

fn answer_control(opcode: Control, payload: &[u8], out: &mut BytesMut) -> Result<(), End> {
    match opcode {
        Control::Ping => {
            encode_head(OpCode::Control(Control::Pong), payload.len(), out);
            out.put_slice(payload);
            Ok(())
        }
        Control::Pong => Ok(()),
        Control::Close => Err(answer_to_close(payload)),
        Control::Reserved(_) => Err(End::broken("Reserved opcodes are not used here.")),
    }
}

/// A close is answered with its own code, or with what is wrong with it (RFC 6455 §5.5.1, §7.4).
fn answer_to_close(payload: &[u8]) -> End {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return match payload {
            [] => End { code: None, reason: "" },
            _ => End::broken("A close code has two bytes."),
        };
    };
    let code = CloseCode::from(u16::from_be_bytes(*code));
    if !code.is_allowed() {
        return End::broken("This close code is not one to be sent.");
    }
    if std::str::from_utf8(reason).is_err() {
        return End { code: Some(CloseCode::Invalid), reason: "A reason is to be UTF-8." };
    }
    End { code: Some(code), reason: "" }
}

fn encode_close(code: Option<CloseCode>, reason: &str, out: &mut BytesMut) {
    let code = code.map(|code| u16::from(code).to_be_bytes());
    let code = code.as_ref().map_or(&[][..], |code| &code[..]);
    let bytes = code.len() + reason.len();
    assert!(bytes <= CONTROL_BYTES_MAX, "a reason is too long for a close frame: {reason}");
    encode_head(OpCode::Control(Control::Close), bytes, out);
    out.put_slice(code);
    out.put_slice(reason.as_bytes());
}

fn encode_head(opcode: OpCode, payload_bytes: usize, out: &mut BytesMut) {
    FrameHeader { opcode, ..FrameHeader::default() }
        .format(payload_bytes as u64, &mut out.writer())
        .expect("memory can always be written to");
}

fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    // Whole words first: the compiler makes them wider still.
    let (words, rest) = bytes.as_chunks_mut();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests;
