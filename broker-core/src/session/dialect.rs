//! What a connection speaks, and how its next request is found in its input.

use super::answer::Answer;
use super::mqtt::Mqtt;
use super::requests::Outcome;
use super::web::REQUEST;
use super::{Held, Session, Turn};
use crate::{Limits, Now, Output};
use protocol::json::{LineDecoder, LineStep};
use protocol::native::{
    BrokerGreeting, CLIENT_GREETING_BYTES, Frame, FrameDecoder, FrameStep, VERSION,
    check_client_greeting, encode_broker_greeting, encode_response,
};
use protocol::{Code, Dialect, Refusal, Response, json, native};

/// What a connection speaks.
#[derive(Debug)]
pub(super) enum Speech {
    /// No byte came yet.
    Unheard,
    Json(LineDecoder),
    /// The native magic began; the greeting is not whole yet.
    NativeGreeting,
    Native(FrameDecoder),
    Mqtt(Box<Mqtt>),
    /// It is lent to whoever handles what came.
    Lent,
}

impl Speech {
    pub(super) fn is_mqtt(&self) -> bool {
        matches!(self, Self::Mqtt(_))
    }

    /// When a client of MQTT has been silent for too long.
    pub(super) fn silent_until(&self) -> Option<Now> {
        match self {
            Self::Mqtt(mqtt) => mqtt.silent_until(),
            _ => None,
        }
    }

    /// Writes an answer.
    pub(super) fn tell(&self, answer: Answer, correlation: u32, out: &mut Output) {
        match self {
            Self::Native(_) => answer.write_native(correlation, out),
            Self::Json(_) | Self::Unheard | Self::NativeGreeting | Self::Mqtt(_) | Self::Lent => {
                answer.write_json(out);
            }
        }
    }

    /// Tells that a push subscription is over.
    pub(super) fn tell_ended(&self, subscription: u32, refusal: &Refusal, out: &mut Output) {
        if matches!(self, Self::Native(_)) {
            let ended = Response::Ended(refusal.clone());
            out.put(|out| encode_response(&ended, subscription, out));
        }
    }

    /// Tells why the connection is about to be closed.
    pub(super) fn tell_last(&self, refusal: &Refusal, out: &mut Output, limits: &Limits) {
        match self {
            Self::Unheard | Self::Json(_) => out.put(|out| json::encode_refusal(refusal, out)),
            Self::NativeGreeting => {
                out.put(|out| encode_broker_greeting(greeting(limits, false), out));
                out.put(|out| encode_response(&Response::Refused(refusal.clone()), 0, out));
            }
            Self::Native(_) => {
                out.put(|out| encode_response(&Response::Refused(refusal.clone()), 0, out));
            }
            // It has packets of its own for that.
            Self::Mqtt(_) | Self::Lent => {}
        }
    }
}

fn greeting(limits: &Limits, accepted: bool) -> BrokerGreeting {
    BrokerGreeting {
        version: VERSION,
        accepted,
        frame_bytes_max: u32::try_from(limits.frame_bytes_max).unwrap_or(u32::MAX),
        message_bytes_max: u32::try_from(limits.message_bytes_max).unwrap_or(u32::MAX),
    }
}

impl Session {
    /// Takes the next thing off `input`; 0 where it is not whole yet.
    pub(super) fn handle_next(&mut self, input: &[u8], turn: &mut Turn<'_>) -> usize {
        match &mut self.speech {
            Speech::Native(decoder) => match decoder.next(input) {
                FrameStep::Frame { consumed, frame } => self.handle_frame(consumed, frame, turn),
                step => self.handle_frame_step(step, turn),
            },
            Speech::Json(decoder) => {
                let step = decoder.next(input);
                self.handle_line_step(step, turn)
            }
            Speech::Unheard => self.handle_first_byte(input, turn),
            Speech::NativeGreeting => self.handle_greeting(input, turn),
            Speech::Mqtt(_) => self.handle_packets(input, turn),
            Speech::Lent => unreachable!("it is given back before more is taken"),
        }
    }

    fn handle_first_byte(&mut self, input: &[u8], turn: &mut Turn<'_>) -> usize {
        let Some(first) = input.first() else { return 0 };
        let limits = self.broker.limits();
        let refusal = match Dialect::detect(*first) {
            Dialect::Json if is_no_text(input) => Some(Refusal::new(
                Code::WrongMagic,
                "expected MQTT to begin with CONNECT, a JSON line, or the native magic f7 54 4e 44; found other bytes",
            )),
            Dialect::Json => {
                self.speech = Speech::Json(LineDecoder::new(limits.line_bytes_max));
                self.refused.clone()
            }
            Dialect::Native => {
                self.speech = Speech::NativeGreeting;
                self.refused.clone()
            }
            Dialect::Mqtt => {
                self.speech = Speech::Mqtt(Box::new(Mqtt::new(limits)));
                // It is told when CONNECT says how.
                None
            }
            Dialect::Http if REQUEST.starts_with(input) => return 0,
            // A person typed it: a request would have been taken before.
            Dialect::Http => {
                self.speech = Speech::Json(LineDecoder::new(limits.line_bytes_max));
                self.refused.clone()
            }
            Dialect::Tls => Some(unsupported("TLS")),
            Dialect::Unknown => Some(Refusal::new(
                Code::WrongMagic,
                format!("expected a JSON line or the native magic f7 54 4e 44, found {first:02x}"),
            )),
        };
        match refusal {
            Some(refusal) => {
                self.refuse_and_close(refusal, turn.out);
                input.len()
            }
            None => self.handle_next(input, turn),
        }
    }

    fn handle_greeting(&mut self, input: &[u8], turn: &mut Turn<'_>) -> usize {
        match check_client_greeting(input) {
            Ok(None) => 0,
            Ok(Some(())) => {
                let limits = self.broker.limits();
                self.speech = Speech::Native(FrameDecoder::new(limits.frame_bytes_max));
                turn.out.put(|out| encode_broker_greeting(greeting(limits, true), out));
                CLIENT_GREETING_BYTES
            }
            Err(refusal) => {
                self.refuse_and_close(refusal, turn.out);
                input.len()
            }
        }
    }

    fn handle_frame(&mut self, consumed: usize, frame: Frame<'_>, turn: &mut Turn<'_>) -> usize {
        let correlation = frame.correlation;
        let request = native::decode_request(frame, self.broker.limits().message_bytes_max);
        let outcome = match request {
            Ok(request) => self.handle_request(request, correlation, turn),
            Err(refusal) => Outcome::refused(refusal),
        };
        match outcome {
            Outcome::Answered(answer, waits) => self.answer(answer, waits, correlation, turn),
            Outcome::Silent => {}
            Outcome::Held { until } => {
                self.held = Some(Held { until });
                return 0;
            }
        }
        consumed
    }

    #[cold]
    fn handle_frame_step(&mut self, step: FrameStep<'_>, turn: &mut Turn<'_>) -> usize {
        match step {
            FrameStep::NeedMore { .. } | FrameStep::Frame { .. } => 0,
            FrameStep::Discarded { consumed } => consumed,
            FrameStep::TooLarge { consumed, correlation, refusal } => {
                self.answer(Answer::Refused(refusal), None, correlation, turn);
                consumed
            }
            FrameStep::OutOfStep { refusal } => {
                self.refuse_and_close(refusal, turn.out);
                0
            }
        }
    }

    fn handle_line_step(&mut self, step: LineStep<'_>, turn: &mut Turn<'_>) -> usize {
        let (consumed, line) = match step {
            LineStep::NeedMore => return 0,
            LineStep::Discarded { consumed } => return consumed,
            LineStep::TooLong { consumed, refusal } => {
                self.answer(Answer::Refused(refusal), None, 0, turn);
                return consumed;
            }
            LineStep::Line { consumed, line } => (consumed, line),
        };
        let outcome = match json::decode_request(line) {
            Ok(None) => return consumed,
            Ok(Some(request)) => self.handle_request(request, 0, turn),
            Err(refusal) => Outcome::refused(refusal),
        };
        match outcome {
            Outcome::Answered(answer, waits) => self.answer(answer, waits, 0, turn),
            Outcome::Silent => {}
            Outcome::Held { until } => {
                self.held = Some(Held { until });
                return 0;
            }
        }
        consumed
    }
}

/// Whether what begins like text is some other packet of MQTT than the first one must be: their
/// first bytes are digits and letters, and a length follows.
fn is_no_text(input: &[u8]) -> bool {
    !matches!(input[0], b'{' | b' ' | b'\t' | b'\r' | b'\n')
        && input.iter().take(4).any(|byte| *byte < b'\t')
}

fn unsupported(protocol: &str) -> Refusal {
    Refusal::new(
        Code::UnsupportedProtocol,
        format!(
            "expected JSON lines or the native wire, found {protocol}, which this version does not speak"
        ),
    )
}
