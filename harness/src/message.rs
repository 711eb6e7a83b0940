//! The messages of a stream: who sent them, which one each is, when it was due and when it was
//! sent, and filler.
//!
//! ```text
//! full, where payloads have 32 bytes or more
//! 0               8           16                                  24       28      29        32
//! +---------------+-----------+-----------------------------------+--------+-------+---------+--------+
//! | intended, ns  | sent, ns  | sequence (40 bits), producer (24) | run id | phase | length  | filler |
//! +---------------+-----------+-----------------------------------+--------+-------+---------+--------+
//!
//! short, where they have 16 to 31 bytes: for loads in which a message is due when it is sent
//! 0               8                                   16
//! +---------------+-----------------------------------+--------+
//! | sent, ns      | sequence (40 bits), producer (24) | filler |
//! +---------------+-----------------------------------+--------+
//! ```
//!
//! Integers are little-endian; times are those of the run's one monotonic clock. The length is the
//! whole payload's. The filler of a sequence is the same printable text each time, so that
//! text-only dialects can carry it and a changed byte shows.

/// The smallest payload: a short stamp and no filler.
pub const MESSAGE_BYTES_MIN: usize = 16;

/// The smallest payload that tells apart when a message was due and when it was sent.
pub const FULL_STAMP_BYTES: usize = 32;

/// The largest payload that a stamp can tell the length of.
pub const MESSAGE_BYTES_MAX: usize = (1 << 24) - 1;

/// Producers that the layout tells apart.
pub const PRODUCERS_MAX: usize = 1 << PRODUCER_BITS;

/// Messages of one producer that the layout tells apart.
pub const SEQUENCE_MAX: u64 = (1 << SEQUENCE_BITS) - 1;

const PRODUCER_BITS: u32 = 24;
const SEQUENCE_BITS: u32 = 40;

/// How a payload begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StampLayout {
    /// One time, and who and which.
    Short,
    /// Everything.
    Full,
}

impl StampLayout {
    /// The layout of payloads of at least so many bytes.
    #[must_use]
    pub fn of(payload_bytes_min: usize) -> Self {
        if payload_bytes_min >= FULL_STAMP_BYTES { Self::Full } else { Self::Short }
    }

    /// How long a stamp is.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Short => MESSAGE_BYTES_MIN,
            Self::Full => FULL_STAMP_BYTES,
        }
    }
}

/// What a message says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When it was due.
    pub intended_ns: u64,
    /// When it was sent.
    pub sent_ns: u64,
    /// Which producer sent it: a publisher, on one of its topics.
    pub producer: u32,
    /// Which of that producer's messages it is, from 0.
    pub sequence: u64,
    /// Which run it belongs to; 0 in a short stamp.
    pub run_id: u32,
    /// Which phase of the run; 0 in a short stamp.
    pub phase: u8,
    /// How long the payload is; 0 in a short stamp.
    pub payload_bytes: u32,
}

impl Stamp {
    /// Reads the stamp of a payload; `None` if it is too short to have one.
    #[inline]
    #[must_use]
    pub fn read(layout: StampLayout, payload: &[u8]) -> Option<Self> {
        let (words, _) = payload.as_chunks::<8>();
        match layout {
            StampLayout::Short => {
                let &[sent, identity, ..] = words else { return None };
                let (producer, sequence) = split(u64::from_le_bytes(identity));
                let sent_ns = u64::from_le_bytes(sent);
                let intended_ns = sent_ns;
                let (run_id, phase, payload_bytes) = (0, 0, 0);
                Some(Self {
                    intended_ns,
                    sent_ns,
                    producer,
                    sequence,
                    run_id,
                    phase,
                    payload_bytes,
                })
            }
            StampLayout::Full => {
                let &[intended, sent, identity, rest, ..] = words else { return None };
                let (producer, sequence) = split(u64::from_le_bytes(identity));
                let rest = u64::from_le_bytes(rest);
                Some(Self {
                    intended_ns: u64::from_le_bytes(intended),
                    sent_ns: u64::from_le_bytes(sent),
                    producer,
                    sequence,
                    run_id: rest as u32,
                    phase: (rest >> 32) as u8,
                    payload_bytes: (rest >> 40) as u32,
                })
            }
        }
    }

    /// Writes it to where a payload begins.
    #[inline]
    pub fn write(self, layout: StampLayout, payload: &mut [u8]) {
        let identity = u64::from(self.producer) << SEQUENCE_BITS | self.sequence & SEQUENCE_MAX;
        match layout {
            StampLayout::Short => {
                payload[..8].copy_from_slice(&self.sent_ns.to_le_bytes());
                payload[8..16].copy_from_slice(&identity.to_le_bytes());
            }
            StampLayout::Full => {
                let rest = u64::from(self.run_id)
                    | u64::from(self.phase) << 32
                    | u64::from(self.payload_bytes) << 40;
                let stamp = &mut payload[..FULL_STAMP_BYTES];
                stamp[..8].copy_from_slice(&self.intended_ns.to_le_bytes());
                stamp[8..16].copy_from_slice(&self.sent_ns.to_le_bytes());
                stamp[16..24].copy_from_slice(&identity.to_le_bytes());
                stamp[24..].copy_from_slice(&rest.to_le_bytes());
            }
        }
    }
}

#[inline]
fn split(identity: u64) -> (u32, u64) {
    ((identity >> SEQUENCE_BITS) as u32, identity & SEQUENCE_MAX)
}

/// Consecutive messages of one producer that are published together.
#[derive(Clone, Copy, Debug)]
pub struct BatchStamp<'a> {
    /// How many messages.
    pub count: u32,
    /// Which of the stream's topics they go to.
    pub topic: u32,
    /// Who sends them.
    pub producer: u32,
    /// The sequence of the first.
    pub first_sequence: u64,
    /// When they were due.
    pub intended: Intended<'a>,
    /// When they are sent.
    pub sent_ns: u64,
    /// Which run they belong to.
    pub run_id: u32,
    /// Which phase of it.
    pub phase: u8,
}

/// When the messages of a batch were due.
#[derive(Clone, Copy, Debug)]
pub enum Intended<'a> {
    /// All at once.
    Together(u64),
    /// Each at its own time, one for each message.
    Each(&'a [u64]),
}

impl Intended<'_> {
    /// When the message at this place was due.
    #[inline]
    #[must_use]
    pub fn ns(&self, index: u64) -> u64 {
        match self {
            Self::Together(intended_ns) => *intended_ns,
            Self::Each(times) => times[index as usize],
        }
    }
}

/// What is published: how long each payload is, and what is in it behind its stamp. It follows
/// from a message's sequence alone, so that whoever receives it can check it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payloads {
    sizes: Sizes,
    /// The text that all filler is the beginning of.
    filler: Vec<u8>,
    layout: StampLayout,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Sizes {
    Fixed(usize),
    /// In turn, and from the first again.
    Cycle(Vec<usize>),
    /// Texts behind the stamps, in turn.
    Texts(Vec<Vec<u8>>),
}

impl Payloads {
    /// All of one size, at least [`MESSAGE_BYTES_MIN`].
    #[must_use]
    pub fn fixed(payload_bytes: usize) -> Self {
        Self::of_sizes(Sizes::Fixed(payload_bytes), payload_bytes, payload_bytes)
    }

    /// Of these sizes in turn, each at least [`FULL_STAMP_BYTES`].
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn cycle(sizes: Vec<usize>) -> Self {
        let min = sizes.iter().copied().min().expect("sizes to take turns");
        let max = sizes.iter().copied().max().unwrap_or(min);
        Self::of_sizes(Sizes::Cycle(sizes), min, max)
    }

    /// These texts in turn, each behind a stamp.
    #[must_use]
    pub fn texts(texts: Vec<Vec<u8>>) -> Self {
        Self::of_sizes(Sizes::Texts(texts), FULL_STAMP_BYTES, FULL_STAMP_BYTES)
    }

    fn of_sizes(sizes: Sizes, bytes_min: usize, bytes_max: usize) -> Self {
        const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let layout = StampLayout::of(bytes_min);
        let filler_bytes = bytes_max.saturating_sub(layout.bytes());
        let filler = ALPHABET.iter().copied().cycle().take(filler_bytes).collect();
        Self { sizes, filler, layout }
    }

    /// How payloads begin.
    #[inline]
    #[must_use]
    pub fn layout(&self) -> StampLayout {
        self.layout
    }

    /// The size of all payloads; `None` if they differ.
    #[inline]
    #[must_use]
    pub fn fixed_bytes(&self) -> Option<usize> {
        match self.sizes {
            Sizes::Fixed(payload_bytes) => Some(payload_bytes),
            Sizes::Cycle(_) | Sizes::Texts(_) => None,
        }
    }

    /// The mean size.
    #[must_use]
    pub fn mean_bytes(&self) -> f64 {
        match &self.sizes {
            Sizes::Fixed(payload_bytes) => *payload_bytes as f64,
            Sizes::Cycle(sizes) => sizes.iter().sum::<usize>() as f64 / sizes.len() as f64,
            Sizes::Texts(texts) => {
                let bytes: usize = texts.iter().map(Vec::len).sum();
                bytes as f64 / texts.len() as f64 + FULL_STAMP_BYTES as f64
            }
        }
    }

    /// The largest size.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        match &self.sizes {
            Sizes::Fixed(payload_bytes) => *payload_bytes,
            Sizes::Cycle(sizes) => sizes.iter().copied().max().unwrap_or(0),
            Sizes::Texts(texts) => texts.iter().map(Vec::len).max().unwrap_or(0) + FULL_STAMP_BYTES,
        }
    }

    /// The size of the payload with this sequence.
    #[inline]
    #[must_use]
    pub fn bytes_of(&self, sequence: u64) -> usize {
        match &self.sizes {
            Sizes::Fixed(payload_bytes) => *payload_bytes,
            Sizes::Cycle(sizes) => sizes[(sequence % sizes.len() as u64) as usize],
            Sizes::Texts(_) => self.text(sequence).len() + FULL_STAMP_BYTES,
        }
    }

    /// What stands behind the stamp of the payload with this sequence.
    #[inline]
    #[must_use]
    pub fn text(&self, sequence: u64) -> &[u8] {
        match &self.sizes {
            Sizes::Fixed(_) => &self.filler,
            Sizes::Cycle(sizes) => {
                let bytes = sizes[(sequence % sizes.len() as u64) as usize];
                &self.filler[..bytes - self.layout.bytes()]
            }
            Sizes::Texts(texts) => &texts[(sequence % texts.len() as u64) as usize],
        }
    }

    /// Appends the payload with this sequence, its stamp empty.
    pub fn append_blank(&self, sequence: u64, output: &mut Vec<u8>) {
        output.resize(output.len() + self.layout.bytes(), 0);
        output.extend_from_slice(self.text(sequence));
    }

    /// The payload with this sequence, its stamp empty.
    #[must_use]
    pub fn blank(&self, sequence: u64) -> Vec<u8> {
        let mut payload = Vec::new();
        self.append_blank(sequence, &mut payload);
        payload
    }

    /// The stamp of a payload that is what was sent; `None` if it is not.
    #[inline]
    #[must_use]
    pub fn check(&self, payload: &[u8]) -> Option<Stamp> {
        let stamp = Stamp::read(self.layout, payload)?;
        let whole = match self.layout {
            StampLayout::Short => true,
            StampLayout::Full => stamp.payload_bytes as usize == payload.len(),
        };
        let text = &payload[self.layout.bytes()..];
        (whole && text == self.text(stamp.sequence)).then_some(stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        intended_ns: 5,
        sent_ns: u64::MAX,
        producer: (1 << PRODUCER_BITS) - 1,
        sequence: SEQUENCE_MAX,
        run_id: u32::MAX,
        phase: 2,
        payload_bytes: MESSAGE_BYTES_MAX as u32,
    };

    #[test]
    fn a_full_stamp_reads_back_whole() {
        let mut payload = [0; FULL_STAMP_BYTES];
        STAMP.write(StampLayout::Full, &mut payload);
        assert_eq!(Stamp::read(StampLayout::Full, &payload), Some(STAMP));
        assert_eq!(Stamp::read(StampLayout::Full, &payload[1..]), None);
    }

    #[test]
    fn a_short_stamp_has_one_time_for_both() {
        let mut payload = [0; MESSAGE_BYTES_MIN];
        STAMP.write(StampLayout::Short, &mut payload);
        let found = Stamp::read(StampLayout::Short, &payload).unwrap();
        assert_eq!((found.intended_ns, found.sent_ns), (u64::MAX, u64::MAX));
        assert_eq!((found.producer, found.sequence), (STAMP.producer, STAMP.sequence));
        assert_eq!(Stamp::read(StampLayout::Short, &payload[1..]), None);
    }

    fn stamped(payloads: &Payloads, sequence: u64) -> Vec<u8> {
        let mut payload = payloads.blank(sequence);
        let payload_bytes = payload.len() as u32;
        Stamp { sequence, payload_bytes, ..STAMP }.write(payloads.layout(), &mut payload);
        payload
    }

    #[test]
    fn every_kind_of_payload_is_checked_against_its_sequence() {
        for payloads in [
            Payloads::fixed(16),
            Payloads::fixed(100),
            Payloads::cycle(vec![32, 100, 50]),
            Payloads::texts(vec![b"one".to_vec(), b"three".to_vec()]),
        ] {
            for sequence in 0..7 {
                let payload = stamped(&payloads, sequence);
                assert_eq!(payload.len(), payloads.bytes_of(sequence));
                assert_eq!(payloads.check(&payload).unwrap().sequence, sequence, "{payloads:?}");
                let longer = [payload.as_slice(), b"x"].concat();
                assert_eq!(payloads.check(&longer), None, "{payloads:?}");
                assert_eq!(payloads.check(&payload[..payload.len() - 1]), None, "{payloads:?}");
            }
        }
    }

    #[test]
    fn a_changed_byte_of_filler_is_found() {
        let payloads = Payloads::fixed(100);
        let mut payload = stamped(&payloads, 3);
        payload[99] ^= 1;
        assert_eq!(payloads.check(&payload), None);
    }
}
