//! What the broker says first: that it accepts, or why it does not.

use super::answer::violation;
use super::output::SizeLimits;
use super::{Event, Phase, Session};
use crate::Error;
use protocol::native::{
    BROKER_GREETING_BYTES, BrokerGreeting, FrameStep, VERSION, decode_response,
};
use protocol::{Code, Refusal, Response};

/// The longest line taken for the reason of a refusal.
const REASON_BYTES_MAX: usize = 64 * 1024;

impl Session {
    #[cold]
    pub(super) fn poll_greeting(&mut self) -> Result<Option<Event>, Error> {
        if self.phase == Phase::Refused {
            return self.poll_reason();
        }
        // A broker that has not yet heard what its client speaks refuses it in a line of JSON.
        if self.input.received().first() == Some(&b'{') {
            return refusal_in_json(self.input.received());
        }
        let greeting = BrokerGreeting::decode(self.input.received());
        let Some(greeting) = greeting.map_err(Error::ProtocolViolation)? else {
            self.input.want(BROKER_GREETING_BYTES);
            return Ok(None);
        };
        self.input.consume(BROKER_GREETING_BYTES, 0);
        if !greeting.accepted {
            self.phase = Phase::Refused;
            return self.poll_reason();
        }
        if greeting.version != VERSION {
            return Err(violation(format!(
                "expected version {VERSION} of the native wire, found {}",
                greeting.version
            )));
        }
        self.phase = Phase::Open;
        self.limits = SizeLimits {
            frame_bytes_max: greeting.frame_bytes_max as usize,
            message_bytes_max: greeting.message_bytes_max as usize,
        };
        Ok(Some(Event::Greeted))
    }

    fn poll_reason(&mut self) -> Result<Option<Event>, Error> {
        match self.decoder.next(self.input.received()) {
            FrameStep::NeedMore { .. } => Ok(None),
            FrameStep::Frame { frame, .. } => match decode_response(frame) {
                Ok(Response::Refused(refusal)) => Err(Error::Refused(refusal)),
                _ => Err(refused_without_reason()),
            },
            _ => Err(refused_without_reason()),
        }
    }
}

fn refusal_in_json(received: &[u8]) -> Result<Option<Event>, Error> {
    let Some(line_bytes) = received.iter().position(|byte| *byte == b'\n') else {
        let too_long = received.len() > REASON_BYTES_MAX;
        return if too_long { Err(refused_without_reason()) } else { Ok(None) };
    };
    let value: serde_json::Value =
        serde_json::from_slice(&received[..line_bytes]).map_err(|_| refused_without_reason())?;
    let text = |key| value["error"][key].as_str();
    let code = Code::ALL.iter().find(|code| Some(code.name()) == text("code"));
    let (Some(code), Some(message)) = (code, text("message")) else {
        return Err(refused_without_reason());
    };
    Err(Error::Refused(Refusal::new(*code, message.to_owned())))
}

fn refused_without_reason() -> Error {
    violation("expected a greeting, or the reason for a refusal, found neither".to_owned())
}
