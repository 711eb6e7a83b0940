//! What a request may hold, checked before it is encoded.

use crate::Error;
use protocol::batch::PAYLOAD_BYTES_MAX;
use protocol::{Request, SettleTarget, batch};

/// The longest text that a field of the native wire can say.
const TEXT_BYTES_MAX: usize = u16::MAX as usize;

/// Checks that the names of a request fit into the wire's fields: encoding would cut them.
pub(super) fn check_request(request: &Request<'_>) -> Result<(), Error> {
    match request {
        Request::Create { topic, .. }
        | Request::Delete { topic }
        | Request::Publish { topic, .. }
        | Request::Subscribers { topic } => check_text("a topic name", topic),
        Request::Subscribe { topic, subscriber, acks, .. } => {
            check_text("a topic name", topic)?;
            let dead_letter = acks.as_ref().and_then(|acks| acks.dead_letter.as_deref());
            check_text("the name of a dead-letter topic", dead_letter.unwrap_or(""))?;
            check_text("a subscriber id", subscriber)
        }
        Request::Settle { target: SettleTarget::Named { topic, subscriber }, .. }
        | Request::Unsubscribe { topic, subscriber }
        | Request::Pull { topic, subscriber, .. }
        | Request::Seek { topic, subscriber, .. } => {
            check_text("a topic name", topic)?;
            check_text("a subscriber id", subscriber)
        }
        Request::Detach { .. }
        | Request::Credit { .. }
        | Request::Ack { .. }
        | Request::Settle { .. }
        | Request::ListTopics
        | Request::Ping
        | Request::Info => Ok(()),
    }
}

/// Checks one name; all else about names is the broker's to say.
#[inline]
pub(super) fn check_text(what: &str, text: &str) -> Result<(), Error> {
    if text.len() <= TEXT_BYTES_MAX {
        return Ok(());
    }
    Err(Error::InvalidRequest {
        expected: format!("{what} of at most {TEXT_BYTES_MAX} bytes"),
        found: text.len().to_string(),
        advice: "shorten it",
    })
}

/// Checks the length of one message.
#[inline]
pub(super) fn check_payload(payload_bytes: usize, message_bytes_max: usize) -> Result<(), Error> {
    let payload_bytes_max = message_bytes_max.min(PAYLOAD_BYTES_MAX);
    if payload_bytes <= payload_bytes_max {
        return Ok(());
    }
    Err(Error::Refused(batch::too_large(payload_bytes, payload_bytes_max)))
}
