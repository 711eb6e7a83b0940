//! A client that asks and waits. A topic is a queue, published to by its name.

use super::confirms::Confirms;
use super::frames::{CHANNEL, FRAME_OVERHEAD_BYTES, KIND_BODY, put_content_header, put_frame};
use super::methods::{Call, Mandatory, Method, QueueKind, publication, refused};
use super::session::{Event, Session, Setup};
use super::{Conversation, Heard, Operator};
use crate::config::AmqpQueue;
use crate::drivers::DriverError;
use crate::wire::Request;

pub(super) struct AmqpOperator {
    session: Session,
    queues: AmqpQueue,
    confirms: Confirms,
}

impl AmqpOperator {
    pub(super) fn new(queues: AmqpQueue) -> Self {
        let mut setup = Setup::with_channel();
        setup.ask(&Call::SelectConfirms);
        Self { session: Session::new(setup), queues, confirms: Confirms::new() }
    }

    fn publish(&mut self, queue: &str, payload: &[u8], output: &mut Vec<u8>) {
        self.confirms.publish(1);
        output.extend_from_slice(&publication("", queue, Mandatory::Yes));
        put_content_header(payload.len(), self.queues, output);
        for part in payload.chunks(self.session.frame_bytes_max() - FRAME_OVERHEAD_BYTES) {
            put_frame(KIND_BODY, CHANNEL, output, |output| output.extend_from_slice(part));
        }
    }
}

impl Conversation for AmqpOperator {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.session.poll_opening(output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        let confirms = &mut self.confirms;
        self.session.handle_input(input, heard, |heard, event| {
            match event {
                Event::Method(Method::Granted) => heard.answer(Ok(0)),
                Event::Method(Method::Ack { tag, multiple }) => {
                    let confirmed = confirms.handle_ack(tag, multiple)?;
                    (0..confirmed).for_each(|_| heard.answer(Ok(0)));
                }
                // What it brings back, and the confirm that follows, are of no use any more.
                Event::Method(Method::Return { code, reason }) => {
                    return Err(refused(code, reason));
                }
                other => return Err(DriverError::unexpected("an answer", &other)),
            }
            Ok(())
        })
    }
}

impl Operator for AmqpOperator {
    fn request(&mut self, request: &Request<'_>, output: &mut Vec<u8>) -> Result<(), DriverError> {
        match *request {
            Request::Create { topic } => {
                let kind = QueueKind::shared(self.queues);
                Call::DeclareQueue { queue: topic, kind }.encode(output);
            }
            Request::Publish { topic, payload } => self.publish(topic, payload, output),
            Request::Delete { topic } => Call::DeleteQueue { queue: topic }.encode(output),
            Request::Subscribe { .. } | Request::Pull { .. } => {
                return Err(DriverError::unexpected("an operation that AMQP has", request));
            }
        }
        Ok(())
    }
}
