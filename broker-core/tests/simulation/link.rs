//! One connection as its backend sees it: a session, what is read for it and written for it, and
//! the wakes on their way to it.

use crate::ask::{Ask, Sent};
use crate::client::Client;
use crate::model::Patience;
use crate::said::{self, Said};
use broker_core::{Broker, Cause, Input, Now, Output, Session, SessionKey, Turn, Wakes};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::IoSlice;
use std::sync::Arc;

/// Pieces that an output may be in.
const SLICES_MAX: usize = 256;

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) key: SessionKey,
    pub(crate) session: Session,
    pub(crate) client: Client,
    input: Input,
    pub(crate) output: Output,
    /// On its way from the client.
    outbound: VecDeque<u8>,
    sent_bytes: u64,
    /// Asks that the session did not take yet.
    pub(crate) sent: VecDeque<Sent>,
    /// Bytes of the client's that the session took.
    pub(crate) taken_bytes: u64,
    greeted: bool,
    /// What the session wrote and the client did not receive yet: the bytes, and each thing said
    /// with the number of bytes it takes.
    written: VecDeque<u8>,
    unheard: VecDeque<(usize, Said)>,
    /// Bytes received of what comes first in `unheard`.
    half_heard_bytes: usize,
    /// Causes on their way, with what tells an attachment that was ended.
    pub(crate) wakes: VecDeque<(Cause, Option<u64>)>,
    /// Whether deliveries are to be polled: something came in, or there was more.
    pub(crate) owes_poll: bool,
    /// The client does not read.
    pub(crate) is_stalled: bool,
    /// How the publication that is held waits, once its deadline has passed.
    pub(crate) patience: Option<Patience>,
}

/// What came of a call into a session.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) bytes: Vec<u8>,
    pub(crate) said: VecDeque<Said>,
    pub(crate) wakes: Wakes,
    /// Bytes of output before and after.
    pub(crate) output_bytes: (usize, usize),
}

impl Link {
    pub(crate) fn new(broker: &Arc<Broker>, key: SessionKey, client: Client, now: Now) -> Self {
        Self {
            key,
            session: Session::new(Arc::clone(broker), key, now),
            client,
            input: Input::new(),
            output: Output::new(),
            outbound: VecDeque::new(),
            sent_bytes: 0,
            sent: VecDeque::new(),
            taken_bytes: 0,
            greeted: false,
            written: VecDeque::new(),
            unheard: VecDeque::new(),
            half_heard_bytes: 0,
            wakes: VecDeque::new(),
            owes_poll: false,
            is_stalled: false,
            patience: None,
        }
    }

    pub(crate) fn send(&mut self, ask: Ask, correlation: u32) {
        let bytes = ask.encode(self.client.tongue, correlation);
        let start = self.sent_bytes;
        self.sent_bytes += bytes.len() as u64;
        self.sent.push_back(Sent { ask, correlation, start, end: self.sent_bytes });
        self.outbound.extend(bytes);
    }

    /// Bytes on their way to the session.
    pub(crate) fn outbound_bytes(&self) -> usize {
        self.outbound.len()
    }

    pub(crate) fn wants_input(&self) -> bool {
        self.session.wants_input(&self.output)
    }

    pub(crate) fn has_kept_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// Whether a publication of its waits for room.
    pub(crate) fn is_held(&self) -> bool {
        !self.session.is_closing() && !self.session.wants_input(&Output::new())
    }

    /// Calls into the session, and reads what it wrote.
    pub(crate) fn call(
        &mut self,
        now: Now,
        act: impl FnOnce(&mut Session, &mut Turn<'_>),
    ) -> Called {
        self.call_with_input(now, |_, session, turn| act(session, turn))
    }

    fn call_with_input(
        &mut self,
        now: Now,
        act: impl FnOnce(&mut Input, &mut Session, &mut Turn<'_>),
    ) -> Called {
        let before = self.output.len();
        let mut wakes = Wakes::new();
        let mut turn = Turn { out: &mut self.output, wakes: &mut wakes, now };
        act(&mut self.input, &mut self.session, &mut turn);
        self.owes_poll = true;
        let bytes = bytes_after(&self.output, before);
        let read = said::read(self.client.tongue, &bytes, self.greeted);
        self.greeted |= !read.is_empty();
        self.written.extend(&bytes);
        let said = read.iter().map(|(_, said)| said.clone()).collect();
        self.unheard.extend(read);
        Called { bytes, said, wakes, output_bytes: (before, self.output.len()) }
    }

    /// Bytes on their way up to the end of the first publication.
    pub(crate) fn bytes_to_publication(&self) -> usize {
        let read_bytes = self.sent_bytes - self.outbound.len() as u64;
        let is_next =
            |sent: &&Sent| matches!(sent.ask, Ask::Publish { .. }) && sent.end > read_bytes;
        let end = self.sent.iter().find(is_next).map_or(self.sent_bytes, |sent| sent.end);
        (end - read_bytes) as usize
    }

    /// Reads at most `bytes_max` bytes into a buffer of `scratch_bytes`.
    pub(crate) fn receive(&mut self, bytes_max: usize, scratch_bytes: usize, now: Now) -> Called {
        let mut outbound = std::mem::take(&mut self.outbound);
        let mut taken = 0;
        let called = self.call_with_input(now, |input, session, turn| {
            let read = |room: &mut [u8]| {
                let bytes = room.len().min(bytes_max).min(outbound.len());
                for (place, byte) in room.iter_mut().zip(outbound.drain(..bytes)) {
                    *place = byte;
                }
                Ok::<_, Infallible>(bytes)
            };
            let mut scratch = vec![0; scratch_bytes];
            let received = input.receive(&mut scratch, read, |bytes| {
                taken = session.handle_input(bytes, turn);
                taken
            });
            received.expect("infallible");
        });
        self.outbound = outbound;
        self.taken_bytes += taken as u64;
        called
    }

    /// Offers what was not taken before.
    pub(crate) fn offer(&mut self, now: Now) -> Called {
        let mut taken = 0;
        let called = self.call_with_input(now, |input, session, turn| {
            input.offer(|bytes| {
                taken = session.handle_input(bytes, turn);
                taken
            });
        });
        self.taken_bytes += taken as u64;
        called
    }

    /// Writes deliveries; gives what came of it, and remembers whether there is more.
    pub(crate) fn poll(&mut self, now: Now) -> Called {
        let mut more = false;
        let called = self.call(now, |session, turn| more = session.poll_deliveries(turn));
        self.owes_poll = more;
        called
    }

    /// Brings up to `bytes_max` bytes of output to the client, and gives what it heard of it.
    pub(crate) fn write(&mut self, bytes_max: usize) -> Vec<Said> {
        let mut slices = [IoSlice::new(&[]); 4];
        let taken = self.output.slices(&mut slices);
        let mut left = bytes_max;
        let mut received = Vec::new();
        for slice in &slices[..taken] {
            let part = &slice[..slice.len().min(left)];
            left -= part.len();
            received.extend_from_slice(part);
        }
        self.output.advance(received.len());
        self.output.rest();
        assert!(
            self.written.drain(..received.len()).eq(received.iter().copied()),
            "what leaves is what was written, in order"
        );
        self.half_heard_bytes += received.len();
        let mut heard = Vec::new();
        while let Some((bytes, _)) = self.unheard.front()
            && *bytes <= self.half_heard_bytes
        {
            self.half_heard_bytes -= bytes;
            heard.extend(self.unheard.pop_front().map(|(_, said)| said));
        }
        heard
    }
}

/// What `output` holds behind its first `skipped` bytes.
fn bytes_after(output: &Output, mut skipped: usize) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let taken = output.slices(&mut slices);
    assert!(taken < SLICES_MAX, "an output is in fewer than {SLICES_MAX} pieces");
    let mut bytes = Vec::with_capacity(output.len() - skipped);
    for slice in &slices[..taken] {
        let before = slice.len().min(skipped);
        skipped -= before;
        bytes.extend_from_slice(&slice[before..]);
    }
    bytes
}
