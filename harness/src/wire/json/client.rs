//! Clients that wait, or that ask and wait.

use super::answer::{Answers, Line, Message};
use crate::drivers::DriverError;
use crate::wire::pieces::take_pieces;
use crate::wire::{Conversation, Heard, Operator, Request};

const PING: &[u8] = b"{\"command\":\"PING\"}\n";

/// Asks whether the broker is there, and is at rest.
pub(super) struct JsonClient {
    answers: Answers,
}

impl JsonClient {
    pub(super) fn new() -> Self {
        Self { answers: Answers::new() }
    }
}

impl Conversation for JsonClient {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(PING);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        take_pieces(input, |rest| {
            let Some((line, bytes)) = self.answers.next_line(rest)? else { return Ok(0) };
            self.answers.check(line)?;
            heard.ready();
            Ok(bytes)
        })
    }
}

/// Asks one line after the other.
pub(super) struct JsonOperator {
    answers: Answers,
    is_open: bool,
}

impl JsonOperator {
    pub(super) fn new() -> Self {
        Self { answers: Answers::new(), is_open: false }
    }
}

impl Conversation for JsonOperator {
    fn poll_opening(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(PING);
    }

    fn handle_input(
        &mut self,
        input: &[u8],
        heard: &mut Heard<'_, '_>,
    ) -> Result<usize, DriverError> {
        take_pieces(input, |rest| {
            let Some((line, bytes)) = self.answers.next_line(rest)? else { return Ok(0) };
            let answer = self.answers.take(line, |_| {});
            match answer {
                Err(error) if !error.is_refusal() || !self.is_open => return Err(error),
                answer if self.is_open => heard.answer(answer),
                _ => {
                    self.is_open = true;
                    heard.ready();
                }
            }
            Ok(bytes)
        })
    }
}

impl Operator for JsonOperator {
    fn request(&mut self, request: &Request<'_>, output: &mut Vec<u8>) -> Result<(), DriverError> {
        let line = match *request {
            Request::Create { topic } => {
                Line { command: "CREATE", topic: Some(topic), ..Line::default() }
            }
            Request::Publish { topic, payload } => {
                let message = Some(Message::new(payload));
                Line { command: "PUBLISH", topic: Some(topic), message, ..Line::default() }
            }
            Request::Subscribe { topic, subscriber } => {
                let (topic, sid) = (Some(topic), Some(subscriber));
                Line { command: "SUBSCRIBE", topic, sid, ..Line::default() }
            }
            Request::Pull { topic, subscriber } => {
                let (topic, sid, max) = (Some(topic), Some(subscriber), Some(1));
                Line { command: "PULL", topic, sid, max, ..Line::default() }
            }
            Request::Delete { topic } => {
                Line { command: "DELETE", topic: Some(topic), ..Line::default() }
            }
        };
        line.append(output);
        Ok(())
    }
}
