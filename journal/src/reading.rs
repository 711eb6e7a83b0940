//! Reading records back while others are being written.

use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, KIND_MAX, KIND_SEGMENT_END};
use crate::journal::Journal;
use crate::segment::{SEGMENT_HEADER_BYTES, segment_name};
use crate::segments::Span;
use crate::storage::read_up_to;
use crate::{Damage, Position, ReadError, SegmentMissing};
use bytes::Bytes;

impl Journal {
    /// Reads the records in a range that begins and ends where frames do, such as that from a
    /// [`Place`](crate::Place)'s position over its bytes, or over those of several that follow each
    /// other. Each frame's sum is checked. The bodies are slices of one buffer for each segment.
    ///
    /// # Errors
    /// When the range is not written yet, was removed, or is not as it was written; and when the
    /// medium fails. What was visited before was sound.
    pub fn read(
        &self,
        position: Position,
        bytes: usize,
        visit: &mut dyn FnMut(Position, u8, Bytes),
    ) -> Result<(), ReadError> {
        let end = position + bytes as u64;
        let written = self.reached().written;
        if end > written {
            return Err(ReadError::NotWritten { end, written });
        }
        let mut at = position;
        while at < end {
            let opened = self.segments_table().open(self.storage(), at);
            let opened = opened.map_err(|(span, source)| read_failed(span, at, source))?;
            let (span, file) = opened.ok_or(SegmentMissing(at))?;
            let wanted = (end.min(span.end()) - at) as usize;
            let mut buffer = Vec::with_capacity(wanted);
            read_up_to(&*file, at - span.base, wanted, &mut buffer)
                .map_err(|source| read_failed(span, at, source))?;
            match self.visit_frames(span, at, &Bytes::from(buffer), visit)? {
                Stopped::AtEndOfSegment => at = span.end() + SEGMENT_HEADER_BYTES as u64,
                Stopped::AtEndOfRange(reached) if reached >= end => break,
                // The file, or the frames in it, end before the segment does.
                Stopped::AtEndOfRange(reached) => return Err(damaged(span, reached)),
            }
        }
        Ok(())
    }

    fn visit_frames(
        &self,
        span: Span,
        start: Position,
        bytes: &Bytes,
        visit: &mut dyn FnMut(Position, u8, Bytes),
    ) -> Result<Stopped, ReadError> {
        let mut offset = 0;
        while offset < bytes.len() {
            let position = start + offset as u64;
            let (header, body) =
                self.frame_in(&bytes[offset..], position).ok_or_else(|| damaged(span, position))?;
            if header.kind == KIND_SEGMENT_END {
                return Ok(Stopped::AtEndOfSegment);
            }
            if header.kind <= KIND_MAX {
                visit(position, header.kind, bytes.slice_ref(body));
            }
            offset += header.frame_bytes();
        }
        Ok(Stopped::AtEndOfRange(start + offset as u64))
    }

    fn frame_in<'a>(&self, bytes: &'a [u8], position: Position) -> Option<(FrameHeader, &'a [u8])> {
        let (header, after) = bytes.split_first_chunk::<FRAME_HEADER_BYTES>()?;
        let header = FrameHeader::decode(header, self.seed(), position)?;
        let after = after.get(..header.frame_bytes() - FRAME_HEADER_BYTES)?;
        Some((header, header.body(self.seed(), position, after)?))
    }
}

enum Stopped {
    AtEndOfSegment,
    AtEndOfRange(Position),
}

fn read_failed(span: Span, position: Position, source: std::io::Error) -> ReadError {
    ReadError::Io { file: segment_name(span.base), offset: position - span.base, source }
}

fn damaged(span: Span, position: Position) -> ReadError {
    ReadError::Damaged(Damage {
        file: segment_name(span.base),
        offset: position - span.base,
        position,
        reason: "expected a frame that ends within the range, and found none; if the range is \
                 not one that append gave, ask for one that is"
            .to_owned(),
    })
}
