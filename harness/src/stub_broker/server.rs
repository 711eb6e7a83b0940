//! What all connections share: who subscribes, which message comes next, and when.

use super::{Behaviour, Fault, PlannedFault, Stall};
use crate::clock::duration_ns;
use crate::message::{Stamp, StampLayout};
use protocol::native::encode_response;
use protocol::{BatchBuilder, Code, Messages, Refusal, Response};
use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Frames that wait to be written to one connection, at most; whoever has one more waits.
pub(super) const OUTPUT_FRAMES_MAX: usize = 65_536;

/// How far the server's schedule may be behind the clock: what a thread that woke late makes up.
const CATCH_UP_MAX: Duration = Duration::from_millis(5);

/// Bytes for one connection, and when they may be written.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) due: Instant,
    pub(super) bytes: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Server {
    faults: Vec<PlannedFault>,
    latency: Duration,
    service_time: Duration,
    topics: Mutex<Topics>,
    /// Until when nothing moves.
    stalled_until: Mutex<Option<Instant>>,
    stall_ended: Condvar,
    has_ended: AtomicBool,
}

#[derive(Debug)]
struct Topics {
    published: u64,
    by_name: HashMap<String, Topic>,
    stall: Option<Stall>,
    /// When the server is done with all that it has taken in.
    free_at: Instant,
}

#[derive(Debug, Default)]
struct Topic {
    offset: u64,
    subscribers: Vec<Subscriber>,
}

/// A message on its way, and what is to happen to it.
struct Message<'a> {
    payload: &'a [u8],
    faults: Vec<&'a PlannedFault>,
}

impl Message<'_> {
    fn fault_toward(&self, subscriber: &str) -> Option<Fault> {
        let mut faults = self.faults.iter();
        faults.find(|planned| planned.is_seen_by(subscriber)).map(|planned| planned.fault)
    }
}

#[derive(Debug)]
pub(super) struct Subscriber {
    /// What it subscribes under.
    pub(super) name: String,
    /// The client's own address.
    pub(super) connection: SocketAddr,
    pub(super) correlation: u32,
    pub(super) output: SyncSender<Output>,
    pub(super) socket: TcpStream,
    /// A message that comes after the next.
    pub(super) held: Option<Vec<u8>>,
}

impl Subscriber {
    /// Has messages written to it when they are due; whether the connection still stands.
    fn deliver(&mut self, base_offset: u64, messages: &[Message<'_>], mut due: Instant) -> bool {
        let (mut batch, mut batch_offset) = (BatchBuilder::new(), base_offset);
        for (offset, message) in (base_offset..).zip(messages) {
            let payload = message.payload;
            match message.fault_toward(&self.name) {
                Some(Fault::SwapWithNext) => {
                    push(&mut batch, self.held.replace(payload.to_vec()).as_deref());
                    continue;
                }
                Some(Fault::CloseSubscribers) => {
                    // One that is closed already is no loss.
                    let _ = self.socket.shutdown(Shutdown::Both);
                    return false;
                }
                Some(Fault::Drop) => {}
                Some(Fault::Duplicate) => {
                    push(&mut batch, Some(payload));
                    push(&mut batch, Some(payload));
                }
                Some(Fault::Corrupt) => push(&mut batch, Some(&corrupted(payload))),
                Some(Fault::Postdate(by)) => push(&mut batch, Some(&postdated(payload, by))),
                Some(Fault::Delay(by)) => {
                    if !self.write_batch(batch_offset, &mut batch, due) {
                        return false;
                    }
                    batch_offset = offset;
                    due += by;
                    push(&mut batch, Some(payload));
                }
                Some(Fault::Refuse | Fault::ClosePublisher) | None => {
                    push(&mut batch, Some(payload));
                }
            }
            push(&mut batch, self.held.take().as_deref());
        }
        self.write_batch(batch_offset, &mut batch, due)
    }

    /// The same, of a batch, which is empty afterwards.
    fn write_batch(&self, base_offset: u64, batch: &mut BatchBuilder, due: Instant) -> bool {
        let batch = std::mem::take(batch);
        let response = Response::Deliver { base_offset, batch: batch.batch() };
        batch.batch().count() == 0 || self.write(&response, due)
    }

    /// Has a response written when it is due; whether the connection still stands.
    fn write(&self, response: &Response<'_>, due: Instant) -> bool {
        let mut bytes = Vec::new();
        encode_response(response, self.correlation, &mut bytes);
        self.output.send(Output { due, bytes }).is_ok()
    }
}

/// What became of a publication.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is delivered: offset of its first message, and how many it has.
    Taken {
        base_offset: u64,
        count: u32,
    },
    Refused(Refusal),
    /// The connection that it came by is to be closed.
    Close,
}

impl Server {
    pub(super) fn new(behaviour: Behaviour) -> Self {
        let Behaviour { faults, latency, service_time, stall } = behaviour;
        let free_at = Instant::now();
        let topics = Topics { published: 0, by_name: HashMap::new(), stall, free_at };
        Self {
            faults,
            latency,
            service_time,
            topics: Mutex::new(topics),
            stalled_until: Mutex::new(None),
            stall_ended: Condvar::new(),
            has_ended: AtomicBool::new(false),
        }
    }

    pub(super) fn published(&self) -> u64 {
        self.topics().published
    }

    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
        *self.stalled_until() = None;
        self.stall_ended.notify_all();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    pub(super) fn stall(&self, lasts: Duration) {
        let mut until = self.stalled_until();
        if !self.has_ended() {
            *until = Some(Instant::now() + lasts);
        }
    }

    /// Waits until then, or until everything ends.
    pub(super) fn wait_until(&self, due: Instant) {
        let mut until = self.stalled_until();
        while let Some(left) = due.checked_duration_since(Instant::now()) {
            if self.has_ended() {
                return;
            }
            let waited = self.stall_ended.wait_timeout(until, left);
            until = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits while nothing is to move.
    pub(super) fn wait_while_stalled(&self) {
        let mut until = self.stalled_until();
        while let Some(left) = until.and_then(|until| until.checked_duration_since(Instant::now()))
        {
            let waited = self.stall_ended.wait_timeout(until, left);
            until = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Has a subscriber told that it is one, and delivers to it from then on.
    pub(super) fn subscribe(&self, topic: &str, subscriber: Subscriber) {
        let mut topics = self.topics();
        let topic = topics.by_name.entry(topic.to_owned()).or_default();
        let response = Response::Subscribed { next_offset: topic.offset };
        if subscriber.write(&response, Instant::now()) {
            topic.subscribers.push(subscriber);
        }
    }

    /// Delivers nothing more to a connection.
    pub(super) fn forget(&self, connection: SocketAddr) {
        let mut topics = self.topics();
        for topic in topics.by_name.values_mut() {
            topic.subscribers.retain(|subscriber| subscriber.connection != connection);
        }
    }

    /// Takes a publication in, in its turn, and delivers it.
    pub(super) fn publish(&self, topic: &str, messages: &Messages<'_>) -> Verdict {
        let payloads: Vec<&[u8]> = match messages {
            Messages::One(payload) => vec![payload],
            Messages::Batch(batch) => batch.payloads().collect(),
        };
        let count = payloads.len() as u32;
        let (first, served_at) = self.take_turn(count);
        self.wait_until(served_at);
        self.wait_while_stalled();
        let coming: Vec<Message<'_>> = (first..)
            .zip(payloads)
            .map(|(number, payload)| {
                let planned = self.faults.iter();
                let faults = planned.filter(|planned| planned.is_of(number, payload)).collect();
                Message { payload, faults }
            })
            .collect();
        let is_planned = |fault: Fault| {
            coming.iter().any(|it| it.faults.iter().any(|planned| planned.fault == fault))
        };
        if is_planned(Fault::ClosePublisher) {
            return Verdict::Close;
        }
        if is_planned(Fault::Refuse) {
            let last = first + u64::from(count) - 1;
            let sentence = format!("told to refuse what has message {first} to {last}");
            return Verdict::Refused(Refusal::new(Code::InvalidValue, sentence));
        }
        let mut topics = self.topics();
        let topic = topics.by_name.entry(topic.to_owned()).or_default();
        let base_offset = topic.offset;
        topic.offset += u64::from(count);
        let due = Instant::now() + self.latency;
        topic.subscribers.retain_mut(|subscriber| subscriber.deliver(base_offset, &coming, due));
        Verdict::Taken { base_offset, count }
    }

    /// Numbers messages: the first of them, and when the server is done with them.
    fn take_turn(&self, count: u32) -> (u64, Instant) {
        let mut topics = self.topics();
        let first = topics.published;
        topics.published += u64::from(count);
        let published = topics.published;
        if let Some(stall) = topics.stall.take_if(|stall| stall.after_messages < published) {
            self.stall(stall.lasts);
        }
        let now = Instant::now();
        let earliest = now.checked_sub(CATCH_UP_MAX).unwrap_or(now);
        topics.free_at = topics.free_at.max(earliest) + self.service_time * count;
        (first, topics.free_at)
    }

    fn topics(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stalled_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.stalled_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came in a frame is small enough to go out in one.
fn push(batch: &mut BatchBuilder, payload: Option<&[u8]>) {
    if let Some(payload) = payload {
        batch.push(payload).expect("a payload that came in a batch fits one");
    }
}

fn corrupted(payload: &[u8]) -> Vec<u8> {
    let mut payload = payload.to_vec();
    if let Some(last) = payload.last_mut() {
        *last ^= 1;
    }
    payload
}

/// With both times so much later; as it is where it has no full stamp.
fn postdated(payload: &[u8], by: Duration) -> Vec<u8> {
    let mut payload = payload.to_vec();
    if let Some(mut stamp) = Stamp::read(StampLayout::Full, &payload) {
        let by_ns = duration_ns(by);
        stamp.intended_ns = stamp.intended_ns.saturating_add(by_ns);
        stamp.sent_ns = stamp.sent_ns.saturating_add(by_ns);
        stamp.write(StampLayout::Full, &mut payload);
    }
    payload
}
