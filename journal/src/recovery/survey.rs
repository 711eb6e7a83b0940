//! Going through a whole segment, damaged or not: where its sound frames are, and where not.

use super::replay::{first_frame_before, gap_end, has_room};
use crate::Position;
use crate::frame::{KIND_GAP, KIND_SEGMENT_END};
use crate::segment::SEGMENT_HEADER_BYTES;
use crate::segments::Span;
use crate::walk::{Frame, Walk};
use std::io;

/// Bytes where a frame should be and no sound one is, with sound ones behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) from: Position,
    /// Where the next sound frame is.
    pub(crate) until: Position,
}

/// How a segment's frames end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentEnd {
    /// By a frame that says that this position follows, or a gap that does.
    Linked { frame: Position, to: Position },
    /// By zeros up to the segment's end.
    Clean(Position),
    /// By something that is no frame, with no sound one behind it.
    Torn(Position),
}

impl SegmentEnd {
    pub(crate) fn position(self) -> Position {
        match self {
            Self::Linked { frame, .. } => frame,
            Self::Clean(at) | Self::Torn(at) => at,
        }
    }
}

/// What a segment holds.
#[derive(Clone, Debug)]
pub(crate) struct Survey {
    pub(crate) frames: u64,
    pub(crate) holes: Vec<Hole>,
    pub(crate) end: SegmentEnd,
    /// The highest position before which its frames say that all was synced.
    pub(crate) proven: Position,
}

/// Goes through a segment, and gives each sound frame to `visit`.
pub(crate) fn survey(
    walk: &mut Walk,
    span: Span,
    visit: &mut dyn FnMut(&Frame<'_>),
) -> io::Result<Survey> {
    let mut at = span.base + SEGMENT_HEADER_BYTES as u64;
    let end = SegmentEnd::Clean(at);
    let mut survey = Survey { frames: 0, holes: Vec::new(), end, proven: Position::ZERO };
    loop {
        if let Some(frame) = walk.frame_at(at)? {
            visit(&frame);
            survey.frames += 1;
            survey.proven = survey.proven.max(frame.synced_before);
            let to = match frame.kind {
                KIND_SEGMENT_END => Some(span.end() + SEGMENT_HEADER_BYTES as u64),
                KIND_GAP => Some(gap_end(&frame)).filter(|to| *to != frame.end),
                _ => None,
            };
            match to {
                Some(to) if !span.holds(to) => {
                    survey.end = SegmentEnd::Linked { frame: at, to };
                    return Ok(survey);
                }
                Some(to) => at = to,
                None => at = frame.end,
            }
            continue;
        }
        if !has_room(span.end(), at) {
            let to = span.end() + SEGMENT_HEADER_BYTES as u64;
            survey.end = SegmentEnd::Linked { frame: at, to };
            return Ok(survey);
        }
        let Some(litter) = walk.litter(at)? else {
            survey.end = SegmentEnd::Clean(at);
            return Ok(survey);
        };
        let from = first_frame_before(litter.from).max(at + 8);
        let Some(until) = walk.next_frame(from)? else {
            survey.end = SegmentEnd::Torn(at);
            return Ok(survey);
        };
        survey.holes.push(Hole { from: at, until });
        at = until;
    }
}
