//! One connection: a session, what it was asked and is about to be, and what it has yet to answer.

use crate::model::Expected;
use crate::wire::{Ask, Said, Tongue, read};
use broker_core::{AttachmentId, Broker, Cause, Now, Output, Session, SessionKey, Turn, Wakes};
use protocol::{Code, OffsetRange};
use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;
use std::sync::Arc;

/// Pieces that an output is in, most of the time.
const SLICES_MIN: usize = 8;

/// Push subscriptions have numbers below; other requests count on from here.
pub(crate) const CORRELATION_MIN: u32 = 1000;

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) key: SessionKey,
    pub(crate) session: Session,
    pub(crate) tongue: Tongue,
    pub(crate) output: Output,
    greeted: bool,
    correlation: u32,
    /// Asked, and not yet taken by the session.
    pub(crate) asked: VecDeque<(Ask, u32)>,
    /// Taken, and not yet answered.
    pub(crate) expected: VecDeque<Expected>,
    pub(crate) wakes: VecDeque<Cause>,
    pub(crate) owes_poll: bool,
    /// The push subscriptions that the session has, by number.
    pub(crate) numbers: BTreeMap<u32, Pushing>,
    /// Messages that it was given, and may settle or acknowledge.
    pub(crate) held: Vec<Held>,
    pub(crate) is_stalled: bool,
}

/// Whether the broker still pushes under a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushing {
    On,
    /// It ended, and the wake that tells so is on its way.
    Ended {
        attachment: AttachmentId,
        code: Code,
    },
}

/// Messages that a consumer was given.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) topic: String,
    pub(crate) subscriber: String,
    /// Pushed under this number.
    pub(crate) number: Option<u32>,
    pub(crate) range: OffsetRange,
    pub(crate) is_group: bool,
}

/// What came of a call into a session.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) said: Vec<Said>,
    pub(crate) wakes: Wakes,
}

impl Link {
    pub(crate) fn new(broker: &Arc<Broker>, key: SessionKey, tongue: Tongue, now: Now) -> Self {
        let mut link = Self {
            key,
            session: Session::new(Arc::clone(broker), key, now),
            tongue,
            output: Output::new(),
            greeted: false,
            correlation: CORRELATION_MIN,
            asked: VecDeque::new(),
            expected: VecDeque::new(),
            wakes: VecDeque::new(),
            owes_poll: false,
            numbers: BTreeMap::new(),
            held: Vec::new(),
            is_stalled: false,
        };
        if tongue == Tongue::Native {
            let greeting = Ask::Greet.encode(tongue, 0);
            let (_, called) = link.feed_bytes(&greeting, now);
            assert_eq!(called.said, [Said::Greeting]);
        }
        link
    }

    /// Asks under the next correlation id.
    pub(crate) fn ask(&mut self, ask: Ask) {
        self.correlation += 1;
        let correlation = if self.tongue == Tongue::Json { 0 } else { self.correlation };
        self.asked.push_back((ask, correlation));
    }

    /// Calls into the session, and reads what it wrote.
    pub(crate) fn call(
        &mut self,
        now: Now,
        act: impl FnOnce(&mut Session, &mut Turn<'_>),
    ) -> Called {
        let before = self.output.len();
        let mut wakes = Wakes::new();
        let mut turn = Turn { out: &mut self.output, wakes: &mut wakes, now };
        act(&mut self.session, &mut turn);
        self.owes_poll = true;
        let said = read(self.tongue, &bytes_after(&self.output, before), self.greeted);
        self.greeted |= !said.is_empty();
        Called { said, wakes }
    }

    /// Offers bytes to the session; gives how many it took.
    pub(crate) fn feed_bytes(&mut self, bytes: &[u8], now: Now) -> (usize, Called) {
        let mut taken = 0;
        let called = self.call(now, |session, turn| taken = session.handle_input(bytes, turn));
        (taken, called)
    }

    pub(crate) fn wants_input(&self) -> bool {
        self.session.wants_input(&self.output)
    }

    /// Lets deliveries be written, and remembers whether there are more.
    pub(crate) fn poll(&mut self, now: Now) -> Called {
        let mut more = false;
        let called = self.call(now, |session, turn| more = session.poll_deliveries(turn));
        self.owes_poll = more;
        called
    }

    /// The client reads up to `bytes_max` bytes.
    pub(crate) fn write(&mut self, bytes_max: usize) {
        self.output.advance(bytes_max.min(self.output.len()));
        self.output.rest();
    }
}

/// What `output` holds behind its first `skipped` bytes.
fn bytes_after(output: &Output, mut skipped: usize) -> Vec<u8> {
    if output.len() == skipped {
        return Vec::new();
    }
    let mut slices = vec![IoSlice::new(&[]); SLICES_MIN];
    let mut taken = output.slices(&mut slices);
    while taken == slices.len() {
        slices = vec![IoSlice::new(&[]); 2 * taken];
        taken = output.slices(&mut slices);
    }
    let mut bytes = Vec::with_capacity(output.len() - skipped);
    for slice in &slices[..taken] {
        let before = slice.len().min(skipped);
        skipped -= before;
        bytes.extend_from_slice(&slice[before..]);
    }
    bytes
}
