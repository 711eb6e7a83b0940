//! Which of a load's publishers belong to a generator thread.

use super::ScheduleError;

/// A thread's publishers among all of a load's, each `stride` after the one before.
///
/// The load's messages fall to its publishers in turn, so a share of the publishers is that share
/// of the messages: rates are divided by it, never multiplied.
///
/// ```
/// use harness::schedule::Share;
///
/// let second = Share::interleaved(1, 4, 10)?;
/// assert_eq!(second.publishers().collect::<Vec<_>>(), [1, 5, 9]);
/// // Of 25 messages, numbers 1, 5, 9, 11, 15, 19 and 21 are its own.
/// assert_eq!(second.messages_of(25), 7);
/// # Ok::<(), harness::schedule::ScheduleError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    first: u32,
    stride: u32,
    count: u32,
    publishers: u32,
}

impl Share {
    /// Everything: one thread with all publishers.
    ///
    /// # Errors
    /// [`ScheduleError::Impossible`] if there are no publishers.
    pub fn whole(publishers: u32) -> Result<Self, ScheduleError> {
        Self::block(0, publishers, publishers)
    }

    /// Thread `thread` of `threads` has every `threads`th of the publishers: the most even split,
    /// in which the threads take turns as the publishers do.
    ///
    /// # Errors
    /// [`ScheduleError::Impossible`] if there is no such thread, or if it would have no publisher.
    pub fn interleaved(thread: u32, threads: u32, publishers: u32) -> Result<Self, ScheduleError> {
        if thread >= threads.min(publishers) {
            return Err(ScheduleError::Impossible {
                what: "a generator thread's number",
                expected: format!(
                    "less than the {threads} threads and the {publishers} publishers"
                ),
                found: thread.to_string(),
            });
        }
        let count = (publishers - thread).div_ceil(threads);
        Ok(Self { first: thread, stride: threads, count, publishers })
    }

    /// So many publishers in a row, from `first` on.
    ///
    /// # Errors
    /// [`ScheduleError::Impossible`] if there are none, or fewer.
    pub fn block(first: u32, count: u32, publishers: u32) -> Result<Self, ScheduleError> {
        if count == 0 || first.checked_add(count).is_none_or(|end| end > publishers) {
            return Err(ScheduleError::Impossible {
                what: "a generator thread's publishers",
                expected: format!("some of the {publishers} there are"),
                found: format!("{count} from number {first} on"),
            });
        }
        Ok(Self { first, stride: 1, count, publishers })
    }

    /// The numbers of its publishers among all, from 0.
    pub fn publishers(&self) -> impl Iterator<Item = u32> + use<> {
        let Self { first, stride, count, .. } = *self;
        (0..count).map(move |place| first + place * stride)
    }

    /// How many publishers it has.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Its part of the load.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        f64::from(self.count) / f64::from(self.publishers)
    }

    /// How many of the load's first `messages` are its own; over all threads, all of them.
    #[must_use]
    pub fn messages_of(&self, messages: u64) -> u64 {
        let (rounds, rest) =
            (messages / u64::from(self.publishers), messages % u64::from(self.publishers));
        let of_rest = rest.saturating_sub(u64::from(self.first)).div_ceil(u64::from(self.stride));
        rounds * u64::from(self.count) + of_rest.min(u64::from(self.count))
    }

    /// The number of its publisher in this place.
    #[inline]
    pub(super) fn publisher(&self, place: u32) -> u32 {
        self.first + place * self.stride
    }

    /// From one of its messages to the next, within a turn of all publishers and across two.
    pub(super) fn steps(&self) -> [u32; 2] {
        [self.stride, self.publishers - (self.count - 1) * self.stride]
    }
}

/// A thread's messages among all of a load's, by number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turns {
    index: u64,
    place: u32,
    count: u32,
    steps: [u32; 2],
}

/// What lies between a message and the next of the same thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Between {
    Publishers = 0,
    Turns = 1,
}

impl Turns {
    pub(super) fn new(share: &Share) -> Self {
        let index = u64::from(share.first);
        Self { index, place: 0, count: share.count, steps: share.steps() }
    }

    /// The message's number among all of the load's.
    #[inline]
    pub(super) fn index(&self) -> u64 {
        self.index
    }

    /// How many messages of the load each kind of step goes on by.
    pub(super) fn steps(&self) -> [u32; 2] {
        self.steps
    }

    #[inline]
    pub(super) fn advance(&mut self) -> Between {
        self.place += 1;
        let between = if self.place < self.count {
            Between::Publishers
        } else {
            self.place = 0;
            Between::Turns
        };
        self.index += u64::from(self.steps[between as usize]);
        between
    }

    #[cfg(test)]
    pub(super) fn skip_turns(&mut self, turns: u64, publishers: u32) {
        self.index += turns * u64::from(publishers);
    }
}
