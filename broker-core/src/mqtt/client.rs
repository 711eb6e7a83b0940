//! A client: the session that goes by its identifier, connected or not (MQTT 5.0 §4.1).

use super::filters::{Filters, Reading};
use super::wills::Will;
use super::window::{InFlight, Stage, Window};
use crate::journal::ClientNumber;
use crate::topic::{Grip, Retained, Topic};
use crate::{Cause, Now, SessionKey, Wake, Wakes};
use protocol::mqtt::{PacketId, QoS};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

/// A session that never expires (MQTT 5.0 §3.1.2.11.2).
pub(crate) const EXPIRY_NEVER_S: u32 = u32::MAX;

/// What topics call the subscriptions of clients begins so.
pub(crate) const CLIENT_PREFIX: &str = "mqtt:";
pub(crate) const SHARE_PREFIX: &str = "mqtt-share:";

/// What no other subscription's name begins with.
pub(crate) const OWN_PREFIXES: [&str; 2] = [CLIENT_PREFIX, SHARE_PREFIX];

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) number: ClientNumber,
    pub(crate) id: Arc<str>,
    /// What topics call its subscriptions.
    pub(crate) subscription: Arc<str>,
    /// Whether its session goes on when its connection ends.
    persistent: AtomicBool,
    state: Mutex<State>,
    inbox: Mutex<Inbox>,
}

/// What others have for it, behind a lock that nobody holds for long.
#[derive(Debug, Default)]
struct Inbox {
    /// The connection that takes it out.
    session: Option<SessionKey>,
    matched: Vec<NewTopic>,
    /// The session is over: nobody looks into it any more.
    is_closed: bool,
}

/// A topic that was made and that a filter of the client matches. It has the cursor already.
#[derive(Clone, Debug)]
pub(crate) struct NewTopic {
    /// It may be deleted before anyone looks.
    pub(crate) topic: Weak<Topic>,
    /// The filter, where it is shared.
    pub(crate) share: Option<Arc<str>>,
}

/// A session. Whoever holds its lock may take topics' locks, and never another session's.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The connection that it belongs to.
    pub(crate) owner: Option<SessionKey>,
    /// There is one to go on with.
    pub(crate) exists: bool,
    /// It ended, and its client is no longer known by its identifier.
    pub(crate) is_over: bool,
    pub(crate) expiry_s: u32,
    /// The journal knows of it.
    pub(crate) is_stored: bool,
    pub(crate) filters: Filters,
    pub(crate) readers: Readers,
    pub(crate) window: Window,
    /// Packet identifiers of publications of quality of service 2 that were received and not yet
    /// released.
    pub(crate) received: BTreeSet<u16>,
    /// What is to be sent again.
    pub(crate) resend: VecDeque<PacketId>,
    /// Retained messages that are to be sent.
    pub(crate) retained: VecDeque<RetainedReading>,
    pub(crate) will: Option<Box<Will>>,
    pub(crate) will_at: Option<Now>,
    pub(crate) expires_at: Option<Now>,
    /// When it is to be looked at whether either is due.
    pub(crate) looked_at: Option<Now>,
}

/// A retained message that a new subscription is given.
#[derive(Debug)]
pub(crate) struct RetainedReading {
    pub(crate) topic: Arc<Topic>,
    pub(crate) message: Retained,
    pub(crate) reading: Reading,
}

/// The topics that a session reads.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    /// By their numbers, of which none is given twice: what was sent is known by them.
    readers: BTreeMap<u32, Reader>,
    next_number: u32,
    by_topic: HashMap<ReaderName, u32>,
    /// Those that may have something to send, in turn.
    pub(crate) ready: VecDeque<u32>,
    /// Those that wait for room in the window.
    blocked: Vec<u32>,
}

/// A topic, and the filter through which it is read where that is shared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReaderName {
    pub(crate) topic: Arc<str>,
    pub(crate) share: Option<Arc<str>>,
}

/// A topic that a session reads.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) topic: Arc<Topic>,
    pub(crate) share: Option<Arc<str>>,
    pub(crate) reading: Reading,
    /// Its messages are acknowledged one by one. It stays so where that is no longer asked for: what
    /// is under way would else be forgotten, and what came after it be read again.
    pub(crate) is_leased: bool,
    /// The terms that held before, and for messages up to which offset.
    before: Option<Box<(Reading, u64)>>,
    /// `None`: the session is not connected.
    pub(crate) grip: Option<Grip>,
    is_ready: bool,
    /// Its subscription was answered. Before that, nothing of it is sent.
    pub(crate) has_begun: bool,
    /// The alias that the topic goes by, and whether the client was told.
    pub(crate) alias: Option<u16>,
}

impl Client {
    pub(crate) fn new(number: ClientNumber, id: &str) -> Self {
        Self {
            number,
            id: Arc::from(id),
            subscription: format!("{CLIENT_PREFIX}{id}").into(),
            persistent: AtomicBool::new(false),
            state: Mutex::default(),
            inbox: Mutex::default(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds an MQTT session")
    }

    /// Whether its session goes on when its connection ends.
    pub(crate) fn is_persistent(&self) -> bool {
        self.persistent.load(Ordering::Relaxed)
    }

    pub(crate) fn set_persistent(&self, persistent: bool) {
        self.persistent.store(persistent, Ordering::Relaxed);
    }

    /// A topic was made that it reads; its connection is woken. Gives whether it is told: else its
    /// session is over.
    pub(crate) fn tell_new_topic(&self, new: NewTopic, wakes: &mut Wakes) -> bool {
        let mut inbox = self.inbox();
        if inbox.is_closed {
            return false;
        }
        let matched = &mut inbox.matched;
        if matched.len() == matched.capacity() {
            // A session may be away for long, while topics come and go.
            matched.retain(|new| new.topic.strong_count() > 0);
            matched.reserve(matched.len());
        }
        matched.push(new);
        let cause = Cause::Matched;
        wakes.extend(inbox.session.map(|session| Wake { session, cause }));
        true
    }

    /// The session is over. Gives the topics that were made and that it has not looked at.
    pub(crate) fn close_inbox(&self) -> Vec<NewTopic> {
        let mut inbox = self.inbox();
        inbox.is_closed = true;
        std::mem::take(&mut inbox.matched)
    }

    /// From now on this connection, or none, is woken.
    pub(crate) fn set_session(&self, session: Option<SessionKey>) {
        self.inbox().session = session;
    }

    /// The topics that were made and that it has not looked at.
    pub(crate) fn take_new_topics(&self) -> Vec<NewTopic> {
        std::mem::take(&mut self.inbox().matched)
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().expect("no thread panics while it holds a client's inbox")
    }
}

/// What topics call a shared subscription.
pub(crate) fn share_subscription(filter: &str) -> String {
    format!("{SHARE_PREFIX}{filter}")
}

impl Reader {
    pub(crate) fn new(topic: Arc<Topic>, share: Option<Arc<str>>, reading: Reading) -> Self {
        let is_leased = share.is_some() || reading.qos > QoS::AtMostOnce;
        Self {
            topic,
            share,
            reading,
            is_leased,
            before: None,
            grip: None,
            is_ready: false,
            has_begun: false,
            alias: None,
        }
    }

    /// Changes the terms for messages that are published from now on.
    pub(crate) fn change(&mut self, reading: Reading) {
        self.is_leased |= reading.qos > QoS::AtMostOnce;
        let before = std::mem::replace(&mut self.reading, reading);
        if before != self.reading && self.before.is_none() {
            self.before = Some(Box::new((before, self.topic.next_offset())));
        }
    }

    /// The terms that held when messages were published, and for those before which offset, if
    /// any is still to come.
    pub(crate) fn reading_before(&mut self, offset: u64) -> Option<(Reading, u64)> {
        self.before.take_if(|before| before.1 <= offset);
        self.before.as_deref().cloned()
    }

    /// Whether what it reads may have to be acknowledged by the client.
    pub(crate) fn needs_window(&self) -> bool {
        self.share.is_some() || self.reading.qos > QoS::AtMostOnce || self.before.is_some()
    }

    fn name(&self) -> ReaderName {
        ReaderName { topic: Arc::clone(self.topic.name()), share: self.share.clone() }
    }
}

impl State {
    /// What is to be sent again next, if the client, which takes so many messages at once, takes
    /// it now (MQTT 5.0 §4.9).
    pub(crate) fn next_resend(&mut self, receive_max: usize) -> Option<PacketId> {
        let packet_id = *self.resend.front()?;
        // What is still to be sent again is not under way on this connection.
        let under_way = self.window.len().saturating_sub(self.resend.len());
        let is_publication =
            self.window.get(packet_id).is_some_and(|found| found.stage != Stage::Released);
        if is_publication && under_way >= receive_max { None } else { self.resend.pop_front() }
    }

    /// The retained message to be sent next, if there is room in the window for it.
    pub(crate) fn next_retained(&mut self, has_room: bool) -> Option<RetainedReading> {
        let needs_room = self.retained.front()?.reading.qos > QoS::AtMostOnce;
        if needs_room && !has_room { None } else { self.retained.pop_front() }
    }

    /// A message is no longer under way, so that there is room for others.
    pub(crate) fn close(&mut self, packet_id: PacketId) -> Option<InFlight> {
        self.readers.unblock();
        self.window.close(packet_id)
    }
}

impl Readers {
    pub(crate) fn insert(&mut self, reader: Reader) -> u32 {
        let name = reader.name();
        let number = self.next_number;
        self.next_number += 1;
        self.readers.insert(number, reader);
        self.by_topic.insert(name, number);
        number
    }

    pub(crate) fn find(&self, name: &ReaderName) -> Option<u32> {
        self.by_topic.get(name).copied()
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Reader> {
        self.readers.get(&number)
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Reader> {
        self.readers.get_mut(&number)
    }

    /// The filter through which a reader reads its topic; empty where that is not shared.
    pub(crate) fn share(&self, number: u32) -> &str {
        self.get(number).and_then(|reader| reader.share.as_deref()).unwrap_or("")
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<Reader> {
        let reader = self.readers.remove(&number)?;
        self.by_topic.remove(&reader.name());
        // What is in the lists of those that are gone is passed over, unless it comes to be much.
        let (readers, max) = (&self.readers, 2 * self.readers.len());
        if self.ready.len() > max {
            self.ready.retain(|number| readers.contains_key(number));
        }
        if self.blocked.len() > max {
            self.blocked.retain(|number| readers.contains_key(number));
        }
        Some(reader)
    }

    pub(crate) fn numbers(&self) -> Vec<u32> {
        self.readers.keys().copied().collect()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Reader)> {
        self.readers.iter_mut().map(|(number, reader)| (*number, reader))
    }

    /// There may be something to send.
    pub(crate) fn handle_readable(&mut self, number: u32) {
        if let Some(reader) = self.readers.get_mut(&number)
            && reader.grip.is_some()
            && reader.has_begun
            && !std::mem::replace(&mut reader.is_ready, true)
        {
            self.ready.push_back(number);
        }
    }

    /// The next reader that may have something to send.
    pub(crate) fn next_ready(&mut self) -> Option<u32> {
        loop {
            let number = self.ready.pop_front()?;
            if let Some(reader) = self.readers.get_mut(&number) {
                reader.is_ready = false;
                return Some(number);
            }
        }
    }

    /// A reader waits until there is room in the window.
    pub(crate) fn block(&mut self, number: u32) {
        if let Some(reader) = self.readers.get_mut(&number)
            && !std::mem::replace(&mut reader.is_ready, true)
        {
            self.blocked.push(number);
        }
    }

    /// There is room in the window.
    pub(crate) fn unblock(&mut self) {
        self.ready.extend(self.blocked.drain(..));
    }

    /// Nobody is connected: nothing is sent.
    pub(crate) fn rest(&mut self) {
        self.ready.clear();
        self.blocked.clear();
        for (_, reader) in self.iter_mut() {
            reader.is_ready = false;
            reader.has_begun = false;
            reader.alias = None;
        }
    }
}
