//! A subscriber: the consumer of a queue of its own.

use super::methods::Method;
use super::session::{Event, Session, Setup};
use super::{Conversation, Heard};
use crate::drivers::DriverError;

/// The largest message that is put together.
const MESSAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

pub(super) struct AmqpSubscriber {
    session: Session,
    content: Content,
}

/// The message that is coming.
#[derive(Debug, Default)]
struct Content {
    /// How long its body is, if its header came.
    expected_bytes: usize,
    /// What came of a body in several frames.
    parts: Vec<u8>,
}

impl AmqpSubscriber {
    pub(super) fn new(setup: Setup) -> Self {
        Self { session: Session::new(setup), content: Content::default() }
    }
}

impl Content {
    #[inline]
    fn take(&mut self, event: Event<'_>, heard: &mut Heard<'_, '_>) -> Result<(), DriverError> {
        match event {
            Event::Method(Method::Deliver) => {}
            Event::Header(bytes @ 1..=MESSAGE_BYTES_MAX) => self.expected_bytes = bytes as usize,
            Event::Header(0) => heard.deliver(&[]),
            // Where it lies.
            Event::Body(body) if body.len() == self.expected_bytes && self.parts.is_empty() => {
                heard.deliver(body);
                self.expected_bytes = 0;
            }
            Event::Body(body) => return self.take_part(body, heard),
            other => return Err(DriverError::unexpected("a delivery", &other)),
        }
        Ok(())
    }

    fn take_part(&mut self, body: &[u8], heard: &mut Heard<'_, '_>) -> Result<(), DriverError> {
        self.parts.extend_from_slice(body);
        if self.parts.len() > self.expected_bytes {
            let found = self.parts.len();
            return Err(DriverError::unexpected("a body as long as its header says", &found));
        }
        if self.parts.len() == self.expected_bytes {
            heard.deliver(&self.parts);
            self.parts.clear();
            self.expected_bytes = 0;
        }
        Ok(())
    }
}

impl Conversation for AmqpSubscriber {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        self.session.poll_opening(output);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        let content = &mut self.content;
        self.session.handle_input(input, heard, |heard, event| content.take(event, heard))
    }

    fn input_bytes_wanted(&self) -> usize {
        self.session.input_bytes_wanted()
    }
}
