//! Lines in a stream of bytes, however the stream is cut.

use crate::{Code, Refusal};

/// What a decoder found at the start of its input.
#[derive(Debug, PartialEq, Eq)]
pub enum LineStep<'a> {
    /// No newline yet.
    NeedMore,
    /// A line, its end taken off, and how much of the input it took.
    Line {
        /// Bytes to take off the input.
        consumed: usize,
        /// The line.
        line: &'a [u8],
    },
    /// A line over the limit. What is left of it is passed over; the stream stays in step.
    TooLong {
        /// Bytes to take off the input.
        consumed: usize,
        /// Why it is refused.
        refusal: Refusal,
    },
    /// Part of a line that is passed over.
    Discarded {
        /// Bytes to take off the input.
        consumed: usize,
    },
}

/// Finds the lines in a stream of bytes.
#[derive(Clone, Debug)]
pub struct LineDecoder {
    line_bytes_max: usize,
    /// How much of the input is known to hold no newline, so that a line that comes a byte at a
    /// time is not searched from its start each time.
    searched_bytes: usize,
    discarding: bool,
}

impl LineDecoder {
    /// A decoder that refuses lines longer than `line_bytes_max`, their newline not counted.
    #[must_use]
    pub fn new(line_bytes_max: usize) -> Self {
        Self { line_bytes_max, searched_bytes: 0, discarding: false }
    }

    /// What `input`, all bytes received and not yet consumed, starts with.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> LineStep<'a> {
        let newline = memchr::memchr(b'\n', &input[self.searched_bytes..])
            .map(|found| self.searched_bytes + found);
        self.searched_bytes = 0;
        match newline {
            Some(end) if self.discarding => {
                self.discarding = false;
                LineStep::Discarded { consumed: end + 1 }
            }
            Some(end) if end > self.line_bytes_max => self.too_long(end + 1),
            Some(end) => {
                let line = &input[..end];
                LineStep::Line { consumed: end + 1, line: line.strip_suffix(b"\r").unwrap_or(line) }
            }
            None if self.discarding && !input.is_empty() => {
                LineStep::Discarded { consumed: input.len() }
            }
            None if input.len() > self.line_bytes_max => {
                self.discarding = true;
                self.too_long(input.len())
            }
            None => {
                self.searched_bytes = input.len();
                LineStep::NeedMore
            }
        }
    }

    fn too_long<'a>(&self, consumed: usize) -> LineStep<'a> {
        let refusal = Refusal::new(
            Code::LineTooLong,
            format!(
                "expected a line of at most {} bytes, found a longer one; split the message, or raise line_bytes_max",
                self.line_bytes_max
            ),
        );
        LineStep::TooLong { consumed, refusal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Seen {
        Line(Vec<u8>),
        TooLong,
    }

    /// Feeds `stream` cut at `cuts` and says what was found.
    fn feed(stream: &[u8], cuts: &[usize], line_bytes_max: usize) -> Vec<Seen> {
        let mut decoder = LineDecoder::new(line_bytes_max);
        let mut seen = Vec::new();
        let (mut held, mut fed) = (Vec::new(), 0);
        for end in cuts.iter().copied().chain([stream.len()]) {
            let end = end.clamp(fed, stream.len());
            held.extend_from_slice(&stream[fed..end]);
            fed = end;
            loop {
                let consumed = match decoder.next(&held) {
                    LineStep::NeedMore => break,
                    LineStep::Line { consumed, line } => {
                        seen.push(Seen::Line(line.to_vec()));
                        consumed
                    }
                    LineStep::TooLong { consumed, .. } => {
                        seen.push(Seen::TooLong);
                        consumed
                    }
                    LineStep::Discarded { consumed } => consumed,
                };
                held.drain(..consumed);
            }
        }
        seen
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(
            stream in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a')], 0..200),
            mut cuts in proptest::collection::vec(0usize..200, 0..20),
        ) {
            cuts.sort_unstable();
            let whole: Vec<_> = feed(&stream, &[], 8);
            // Where the last, unfinished line is over the limit, both have said so.
            prop_assert_eq!(feed(&stream, &cuts, 8), whole);
        }
    }

    #[test]
    fn a_line_over_the_limit_is_refused_once_and_the_next_is_read() {
        let seen = feed(b"123456789\nok\r\n", &[3, 9], 8);
        assert_eq!(seen, [Seen::TooLong, Seen::Line(b"ok".to_vec())]);
    }
}
