//! Frames: a header, and a body that its kind explains.

use super::fields::malformed;
use crate::{Code, Refusal};
use bytes::BufMut;

/// Bytes of a frame before its body.
pub const FRAME_HEADER_BYTES: usize = 12;

/// What `length` counts of the header: all but itself.
const HEADER_AFTER_LENGTH_BYTES: usize = 8;

/// One frame as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it asks or answers; see the tables of [`native`](super).
    pub kind: u8,
    /// Flags of its kind.
    pub flags: u8,
    /// Which request it is, or answers.
    pub correlation: u32,
    /// The fields of its kind.
    pub body: &'a [u8],
}

/// What a decoder found at the start of its input.
#[derive(Debug, PartialEq, Eq)]
pub enum FrameStep<'a> {
    /// Not a whole frame yet; the next one is whole when the input is this long.
    NeedMore {
        /// Length of input that makes progress certain, where it is known yet.
        input_bytes: usize,
    },
    /// A frame, and how much of the input it took.
    Frame {
        /// Bytes to take off the input.
        consumed: usize,
        /// The frame.
        frame: Frame<'a>,
    },
    /// A frame over the limit. Its body is passed over; the stream stays in step.
    TooLarge {
        /// Bytes to take off the input.
        consumed: usize,
        /// Which request it was.
        correlation: u32,
        /// Why it is refused.
        refusal: Refusal,
    },
    /// Part of a body that is passed over.
    Discarded {
        /// Bytes to take off the input.
        consumed: usize,
    },
    /// No frame starts so; where the next begins is unknown, and the connection must close.
    OutOfStep {
        /// Why.
        refusal: Refusal,
    },
}

/// Finds the frames in a stream of bytes.
#[derive(Clone, Debug)]
pub struct FrameDecoder {
    frame_bytes_max: usize,
    discard_bytes: usize,
}

impl FrameDecoder {
    /// A decoder that refuses frames whose `length` is over `frame_bytes_max`.
    #[must_use]
    pub fn new(frame_bytes_max: usize) -> Self {
        Self { frame_bytes_max, discard_bytes: 0 }
    }

    /// What `input`, all bytes received and not yet consumed, starts with.
    #[inline]
    pub fn next<'a>(&mut self, input: &'a [u8]) -> FrameStep<'a> {
        if self.discard_bytes > 0 {
            return self.discard(input);
        }
        let Some((header, after)) = input.split_first_chunk::<FRAME_HEADER_BYTES>() else {
            return FrameStep::NeedMore { input_bytes: FRAME_HEADER_BYTES };
        };
        let [l0, l1, l2, l3, kind, flags, zero0, zero1, c0, c1, c2, c3] = *header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let correlation = u32::from_le_bytes([c0, c1, c2, c3]);
        if length < HEADER_AFTER_LENGTH_BYTES || [zero0, zero1] != [0, 0] {
            return out_of_step(length, [zero0, zero1]);
        }
        let body_bytes = length - HEADER_AFTER_LENGTH_BYTES;
        if length > self.frame_bytes_max {
            return self.too_large(length, correlation, body_bytes);
        }
        match after.get(..body_bytes) {
            None => FrameStep::NeedMore { input_bytes: FRAME_HEADER_BYTES + body_bytes },
            Some(body) => FrameStep::Frame {
                consumed: FRAME_HEADER_BYTES + body_bytes,
                frame: Frame { kind, flags, correlation, body },
            },
        }
    }

    #[cold]
    fn discard<'a>(&mut self, input: &[u8]) -> FrameStep<'a> {
        if input.is_empty() {
            return FrameStep::NeedMore { input_bytes: 1 };
        }
        let consumed = self.discard_bytes.min(input.len());
        self.discard_bytes -= consumed;
        FrameStep::Discarded { consumed }
    }

    #[cold]
    fn too_large<'a>(
        &mut self,
        length: usize,
        correlation: u32,
        body_bytes: usize,
    ) -> FrameStep<'a> {
        self.discard_bytes = body_bytes;
        let refusal = Refusal::new(
            Code::FrameTooLarge,
            format!(
                "expected a frame of at most {} bytes, found {length}; send smaller batches, or raise frame_bytes_max",
                self.frame_bytes_max
            ),
        );
        FrameStep::TooLarge { consumed: FRAME_HEADER_BYTES, correlation, refusal }
    }
}

#[cold]
fn out_of_step<'a>(length: usize, zero: [u8; 2]) -> FrameStep<'a> {
    let message = if length < HEADER_AFTER_LENGTH_BYTES {
        format!("expected a frame length of at least {HEADER_AFTER_LENGTH_BYTES}, found {length}")
    } else {
        format!("expected zero in bytes 6 and 7 of a frame, found {zero:02x?}")
    };
    FrameStep::OutOfStep { refusal: malformed(message) }
}

/// Writes a frame's header.
pub(super) fn put_header(
    out: &mut impl BufMut,
    kind: u8,
    flags: u8,
    correlation: u32,
    body_bytes: usize,
) {
    let [l0, l1, l2, l3] = ((HEADER_AFTER_LENGTH_BYTES + body_bytes) as u32).to_le_bytes();
    let [c0, c1, c2, c3] = correlation.to_le_bytes();
    out.put_slice(&[l0, l1, l2, l3, kind, flags, 0, 0, c0, c1, c2, c3]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(length: u32, kind: u8, correlation: u32) -> Vec<u8> {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend_from_slice(&[kind, 0, 0, 0]);
        bytes.extend_from_slice(&correlation.to_le_bytes());
        bytes
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_and_passed_over() {
        let mut decoder = FrameDecoder::new(16);
        let mut input = header(8 + 20, 1, 7);
        let FrameStep::TooLarge { consumed, correlation, refusal } = decoder.next(&input) else {
            panic!("expected a refusal");
        };
        assert_eq!((consumed, correlation, refusal.code), (12, 7, Code::FrameTooLarge));
        input = vec![0; 5];
        assert_eq!(decoder.next(&input), FrameStep::Discarded { consumed: 5 });
        input = vec![0; 15];
        input.extend_from_slice(&header(8, 0x0C, 9));
        assert_eq!(decoder.next(&input), FrameStep::Discarded { consumed: 15 });
        let FrameStep::Frame { frame, .. } = decoder.next(&input[15..]) else {
            panic!("expected the next frame");
        };
        assert_eq!((frame.kind, frame.correlation), (0x0C, 9));
    }

    #[test]
    fn a_length_that_no_frame_has_is_out_of_step() {
        let mut decoder = FrameDecoder::new(1024);
        let step = decoder.next(&header(7, 1, 0)).to_owned_refusal();
        assert_eq!(step.map(|refusal| refusal.code), Some(Code::MalformedFrame));
    }

    impl FrameStep<'_> {
        fn to_owned_refusal(&self) -> Option<Refusal> {
            match self {
                FrameStep::OutOfStep { refusal } => Some(refusal.clone()),
                _ => None,
            }
        }
    }
}
