//! From the response of the wire to the answer that a request expects.

use super::event::Answer;
use crate::{Error, Messages, Operation, Published, Pulled, Run, SubscriberId};
use bytes::Bytes;
use protocol::{Batch, Code, Refusal, Response};

/// The answer, if `response` is of the kind that `operation` is answered with. The records of
/// a pull are left out: they are still in the read buffer.
#[inline]
pub(super) fn expected_answer(
    operation: Operation,
    response: Response<'_>,
) -> Result<Answer, Error> {
    Ok(match (operation, response) {
        (Operation::Publish, Response::Published { base_offset, count }) => {
            Answer::Published(Published { base_offset, count })
        }
        (
            Operation::CreateTopic
            | Operation::DeleteTopic
            | Operation::Unsubscribe
            | Operation::Settle
            | Operation::Detach,
            Response::Done,
        ) => Answer::Done,
        (Operation::Subscribe | Operation::Seek, Response::Subscribed { next_offset }) => {
            Answer::Subscribed { next_offset }
        }
        (Operation::Pull, Response::Messages { base_offset, lost, remaining, batch }) => {
            let messages = unfilled(base_offset, 1, batch);
            Answer::Pulled(Pulled { messages, lost, remaining, is_leased: false })
        }
        (Operation::Pull, Response::Leased { base_offset, lost, remaining, deliveries, batch }) => {
            let messages = unfilled(base_offset, deliveries, batch);
            Answer::Pulled(Pulled { messages, lost, remaining, is_leased: true })
        }
        (Operation::ListTopics, Response::Topics(names)) => {
            Answer::Topics(names.into_iter().map(str::to_owned).collect())
        }
        (Operation::Subscribers, Response::Subscribers(ids)) => {
            Answer::Subscribers(ids.into_iter().map(SubscriberId::from).collect())
        }
        (Operation::Ping, Response::Pong) => Answer::Pong,
        (Operation::Info, Response::Info(json)) => Answer::Info(
            serde_json::from_str(json)
                .map_err(|error| violation(format!("expected an info object, found {error}")))?,
        ),
        (operation, other) => {
            return Err(violation(format!(
                "expected the answer to {operation}, found {}",
                response_name(&other)
            )));
        }
    })
}

/// Messages whose records are still in the read buffer.
fn unfilled(base_offset: u64, deliveries: u32, batch: Batch<'_>) -> Messages {
    Messages::new(Run { base_offset, count: batch.count(), deliveries }, Bytes::new())
}

pub(super) fn response_name(response: &Response<'_>) -> &'static str {
    match response {
        Response::Done => "OK",
        Response::Published { .. } => "PUBLISHED",
        Response::Subscribed { .. } => "SUBSCRIBED",
        Response::Messages { .. } => "MESSAGES",
        Response::Leased { .. } => "LEASED",
        Response::Topics(_) => "TOPICS",
        Response::Subscribers(_) => "SUBSCRIBERS",
        Response::Pong => "PONG",
        Response::Info(_) => "INFO",
        Response::Refused(_) => "ERROR",
        Response::Deliver { .. } => "DELIVER",
        Response::Redeliver { .. } => "REDELIVER",
        Response::Lost { .. } => "LOST",
        Response::Ended(_) => "ENDED",
    }
}

/// The peer said what a broker does not say here.
pub(super) fn violation(sentence: String) -> Error {
    Error::ProtocolViolation(Refusal::new(Code::MalformedFrame, sentence))
}
