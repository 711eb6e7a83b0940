//! The files of a journal, as they lie in its directory.

use super::failed;
use crate::preparation::UNFINISHED_ENDING;
use crate::segment::{
    FORMAT_VERSION, HeaderFault, SEGMENT_HEADER_BYTES, SegmentHeader, parse_segment_name,
    segment_name,
};
use crate::snapshot::{COPY_NAMES, Snapshot};
use crate::storage::{Access, Storage, StorageFile, read_up_to};
use crate::{Damage, OpenError, Position};
use std::sync::Arc;

/// Removes what was being made when the process ended.
pub(crate) fn remove_unfinished(storage: &dyn Storage) -> Result<(), OpenError> {
    let names = list(storage)?;
    let mut has_removed = false;
    for name in names {
        let Some(finished) = name.strip_suffix(UNFINISHED_ENDING) else { continue };
        if parse_segment_name(finished).is_some() || COPY_NAMES.contains(&finished) {
            storage.remove(&name).map_err(|source| failed("remove", name.clone(), source))?;
            has_removed = true;
        }
    }
    if has_removed {
        storage.sync_dir().map_err(|source| failed("sync", storage.describe(), source))?;
    }
    Ok(())
}

/// Where the segments begin that have a file, in order.
pub(crate) fn list_segments(storage: &dyn Storage) -> Result<Vec<Position>, OpenError> {
    let names = list(storage)?;
    let mut bases: Vec<_> = names.iter().filter_map(|name| parse_segment_name(name)).collect();
    bases.sort_unstable();
    Ok(bases)
}

fn list(storage: &dyn Storage) -> Result<Vec<String>, OpenError> {
    storage.list().map_err(|source| failed("list", storage.describe(), source))
}

/// A segment's file, its length and its header, or what is wrong with that.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    pub(crate) file: Arc<dyn StorageFile>,
    pub(crate) bytes: u64,
    pub(crate) header: Result<SegmentHeader, HeaderFault>,
}

/// Opens a segment and reads its header.
pub(crate) fn read_header(
    storage: &dyn Storage,
    base: Position,
    access: Access,
) -> Result<SegmentFile, OpenError> {
    let name = segment_name(base);
    let file =
        storage.open(&name, access).map_err(|source| failed("open", name.clone(), source))?;
    let mut head = Vec::new();
    read_up_to(&*file, 0, SEGMENT_HEADER_BYTES, &mut head)
        .map_err(|source| failed("read", name.clone(), source))?;
    let bytes = file.bytes().map_err(|source| failed("read", name, source))?;
    let header = SegmentHeader::decode(&head).and_then(|header| {
        if header.base == base { Ok(header) } else { Err(HeaderFault::Damaged) }
    });
    Ok(SegmentFile { file, bytes, header })
}

/// The headers of all segments, each of which is whole and of this journal, and has its file's
/// whole length.
pub(crate) fn check_segments(
    storage: &dyn Storage,
    snapshot: Option<&Snapshot>,
) -> Result<Vec<SegmentHeader>, OpenError> {
    let mut headers: Vec<SegmentHeader> = Vec::new();
    for base in list_segments(storage)? {
        let segment = read_header(storage, base, Access::Read)?;
        let damaged = |offset: u64, reason: String| {
            let (file, position) = (segment_name(base), base + offset);
            Err(OpenError::Damaged(Damage { file, offset, position, reason }))
        };
        let header = match segment.header {
            Ok(header) => header,
            Err(HeaderFault::Version(found)) => {
                let file = segment_name(base);
                return Err(OpenError::Version { file, expected: FORMAT_VERSION, found });
            }
            Err(HeaderFault::Damaged) => {
                return damaged(0, "expected the header that goes with its name".to_owned());
            }
        };
        let id = snapshot.map(|snapshot| snapshot.header.id);
        let id = id.or_else(|| headers.first().map(|first| first.id)).unwrap_or(header.id);
        if header.id != id {
            return damaged(0, "expected a segment of this journal, found another's".to_owned());
        }
        if segment.bytes < header.bytes {
            let reason = format!("expected {} bytes, and the file ends here", header.bytes);
            return damaged(segment.bytes, reason);
        }
        if headers.last().is_some_and(|previous| previous.end() > base) {
            return damaged(0, "expected no segment to begin within another".to_owned());
        }
        headers.push(header);
    }
    Ok(headers)
}
