//! What the messages of this test say: whose they are, and which.

use std::fmt::Write;

/// One message. Its payload tells all of it, and nothing but it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Message {
    /// Who published it.
    pub(crate) publisher: u32,
    /// The connection that it was sent on, counted by its publisher. An idempotent publisher
    /// says 0 of all, since it sends the same again.
    pub(crate) run: u32,
    /// Its number among its publisher's messages.
    pub(crate) number: u64,
    /// The number of the first message in its publication.
    pub(crate) first: u64,
    /// How many messages its publication holds.
    pub(crate) count: u32,
    /// Letters after all this, to make it larger.
    pub(crate) padding_bytes: u32,
}

impl Message {
    /// The payload.
    #[must_use]
    pub(crate) fn payload(&self) -> String {
        let Self { publisher, run, number, first, count, padding_bytes } = self;
        let mut text = format!("{publisher} {run} {number} {first} {count} {padding_bytes} ");
        let letters = ('a'..='z').cycle().skip((number % 26) as usize);
        text.extend(letters.take(*padding_bytes as usize));
        text.write_char('.').expect("a string takes all");
        text
    }

    /// The message that a payload is of; `None` where it is of none, not even by a letter.
    #[must_use]
    pub(crate) fn of(payload: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(payload).ok()?;
        let mut words = text.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let message = Self {
            publisher: u32::try_from(number()?).ok()?,
            run: u32::try_from(number()?).ok()?,
            number: number()?,
            first: number()?,
            count: u32::try_from(number()?).ok()?,
            padding_bytes: u32::try_from(number()?).ok()?,
        };
        (message.payload() == text).then_some(message)
    }
}
