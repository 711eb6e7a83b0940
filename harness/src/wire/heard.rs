//! What a conversation heard, on its way to the engine.

use crate::drivers::DriverError;
use crate::intake::Intake;

/// Where a conversation tells what it heard, and says what it has to reply.
pub struct Heard<'a, 'b> {
    intake: &'a mut Intake<'b>,
    output: &'a mut Vec<u8>,
    tidings: &'a mut Tidings,
}

/// What was heard since it was last looked at.
#[derive(Debug, Default)]
pub struct Tidings {
    /// The conversation is open: greeted, let in, subscribed where it is to be.
    pub ready: bool,
    /// Publications that were acknowledged.
    pub acknowledged: u32,
    /// Answers to requests, in order: how many messages each brought, or why it was refused.
    pub answers: Vec<Result<u32, DriverError>>,
    /// The broker has taken in all that was published before it was asked.
    pub finished: bool,
}

impl<'a, 'b> Heard<'a, 'b> {
    /// Around an intake, with room for replies and tidings.
    pub fn new(
        intake: &'a mut Intake<'b>,
        output: &'a mut Vec<u8>,
        tidings: &'a mut Tidings,
    ) -> Self {
        Self { intake, output, tidings }
    }

    /// A message of the stream came: its payload.
    #[inline]
    pub fn deliver(&mut self, payload: &[u8]) {
        self.intake.take(payload);
    }

    /// The conversation is open.
    pub fn ready(&mut self) {
        self.tidings.ready = true;
    }

    /// So many publications more were acknowledged, in the order of publishing.
    #[inline]
    pub fn acknowledge(&mut self, publications: u32) {
        self.tidings.acknowledged += publications;
    }

    /// The oldest request was answered: so many messages came with it, or a refusal.
    #[inline]
    pub fn answer(&mut self, answer: Result<u32, DriverError>) {
        self.tidings.answers.push(answer);
    }

    /// All that was published before [`finish`](super::Publisher::finish) is taken in.
    pub fn finished(&mut self) {
        self.tidings.finished = true;
    }

    /// Where replies are appended, such as acknowledgements and credit.
    #[inline]
    pub fn reply(&mut self) -> &mut Vec<u8> {
        self.output
    }
}
