//! The fields of records' bodies, read in order. All integers are little-endian; text is a `u16`
//! length and UTF-8.

use super::record::{
    FLAG_MORE, FLAG_RECEIPT, FLAG_SEQUENCE, LeaseTerms, Part, Publication, Receipt, Run, TopicId,
    TopicTerms,
};
use super::{ClientNumber, RecordError};
use crate::publishers;
use bytes::BufMut;
use protocol::{Durability, PublisherId, PublisherSequence};

/// Writes text.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).expect("names are at most 65535 bytes long");
    out.put_u16_le(length);
    out.put_slice(text.as_bytes());
}

/// Reads a body's fields in order.
pub(super) struct Fields<'a> {
    pub(super) kind: u8,
    pub(super) rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn wrong(&self, found: &'static str) -> RecordError {
        RecordError { kind: self.kind, found }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (head, tail) =
            self.rest.split_first_chunk::<N>().ok_or(self.wrong("its end too early"))?;
        self.rest = tail;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, RecordError> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, RecordError> {
        self.take().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, RecordError> {
        self.take().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, RecordError> {
        self.take().map(u64::from_le_bytes)
    }

    pub(super) fn u128(&mut self) -> Result<u128, RecordError> {
        self.take().map(u128::from_le_bytes)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, RecordError> {
        let length = usize::from(self.take().map(u16::from_le_bytes)?);
        let (head, tail) =
            self.rest.split_at_checked(length).ok_or(self.wrong("its end too early"))?;
        self.rest = tail;
        std::str::from_utf8(head).map_err(|_| self.wrong("text that is not UTF-8"))
    }

    /// As many as there are.
    pub(super) fn all<T>(
        &mut self,
        mut next: impl FnMut(&mut Self) -> Result<T, RecordError>,
    ) -> Result<Vec<T>, RecordError> {
        let mut all = Vec::new();
        while !self.rest.is_empty() {
            all.push(next(self)?);
        }
        Ok(all)
    }

    pub(super) fn topic_terms(&mut self) -> Result<TopicTerms, RecordError> {
        let durability = match self.u8()? {
            1 => Durability::Os,
            2 => Durability::Sync,
            _ => return Err(self.wrong("a durability that is none")),
        };
        Ok(TopicTerms {
            durability,
            bytes_max: self.u64()?,
            messages_max: self.u64()?,
            age_ms_max: self.u64()?,
        })
    }

    pub(super) fn lease_terms(&mut self) -> Result<Option<LeaseTerms>, RecordError> {
        match self.u8()? {
            0 => return Ok(None),
            1 => {}
            _ => return Err(self.wrong("acknowledgements of no kind")),
        }
        Ok(Some(LeaseTerms {
            ack_timeout_ms: self.u32()?,
            in_flight_max: self.u32()?,
            deliveries_max: self.u32()?,
            backoff_ms_min: self.u32()?,
            backoff_ms_max: self.u32()?,
            dead_letter: self.text()?.to_owned(),
        }))
    }

    pub(super) fn publication(&mut self, topic: TopicId) -> Result<Publication<'a>, RecordError> {
        let (base_offset, unix_ms) = (self.u64()?, self.u64()?);
        let (count, flags) = (self.u32()?, self.u32()?);
        if flags & !(FLAG_MORE | FLAG_SEQUENCE | FLAG_RECEIPT) != 0 {
            return Err(self.wrong("flags that are none"));
        }
        let sequence = match flags & FLAG_SEQUENCE {
            0 => None,
            _ => Some(PublisherSequence {
                publisher: PublisherId(self.u128()?),
                sequence: self.u64()?,
            }),
        };
        let receipt = match flags & FLAG_RECEIPT {
            0 => None,
            _ => Some(Receipt { client: ClientNumber(self.u64()?), packet_id: self.u16()? }),
        };
        let part = if flags & FLAG_MORE == 0 { Part::Last } else { Part::More };
        let records = std::mem::take(&mut self.rest);
        Ok(Publication { topic, base_offset, unix_ms, count, part, sequence, receipt, records })
    }

    pub(super) fn run(&mut self) -> Result<Run, RecordError> {
        Ok(Run {
            base_offset: self.u64()?,
            segment: self.u64()?,
            position: self.u64()?,
            unix_ms: self.u64()?,
            count: self.u32()?,
            bytes: self.u32()?,
            live_bytes: self.u32()?,
            records_bytes: self.u32()?,
        })
    }

    pub(super) fn remembered(&mut self) -> Result<publishers::Publication, RecordError> {
        Ok(publishers::Publication {
            sequence: self.u64()?,
            base_offset: self.u64()?,
            count: self.u32()?,
        })
    }
}
