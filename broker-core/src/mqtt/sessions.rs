//! Sessions: begun, taken over, left, and over (MQTT 5.0 §4.1).

use super::client::{Client, EXPIRY_NEVER_S, NewTopic, Reader, State};
use super::wills::{Published, Will};
use super::window::{Source, Stage};
use crate::journal::{ClientRecord, Record, Waits};
use crate::topic::{Attached, LeaseTerms, Wanted};
use crate::{Broker, Cause, Now, SessionKey, Wake, Wakes};
use protocol::{AckMode, Code, Durability, LagPolicy, Lifetime, Push, Refusal, Start};
use std::collections::HashMap;
use std::sync::{Arc, MutexGuard};

/// Memory that wills which wait for room in their topics may take.
const LATE_WILLS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a connection asks of a session.
#[derive(Debug)]
pub(crate) struct Begin {
    pub(crate) session: SessionKey,
    pub(crate) start: CleanStart,
    pub(crate) expiry_s: u32,
    pub(crate) will: Option<Will>,
}

/// Whether a session goes on that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CleanStart {
    Yes,
    No,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Begun {
    /// Whether there was one that goes on.
    pub(crate) present: bool,
    /// Publications of quality of service 2 that were received and not released.
    pub(crate) received: usize,
    pub(crate) waits: Option<Waits>,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// With a word: no will is published.
    Properly,
    WithWill,
}

impl Broker {
    /// The client of this identifier.
    pub(crate) fn mqtt_client(&self, id: &str) -> Option<Arc<Client>> {
        self.mqtt().clients.find_or_insert(id, self.limits().mqtt_sessions_max)
    }

    /// An identifier for a client that has none (MQTT 5.0 §3.1.3.1).
    pub(crate) fn mqtt_new_identifier(&self) -> String {
        let number = self.mqtt().clients.next_number().0;
        format!("tandem-{:x}-{number:x}", self.settings().started_unix_ms)
    }

    /// Gives the session of `client` to a connection. One that had it before is told.
    pub(crate) fn begin_session(
        &self,
        client: &Arc<Client>,
        state: &mut State,
        begin: Begin,
        now: Now,
        wakes: &mut Wakes,
    ) -> Result<Begun, Refusal> {
        if let Some(at) = state.looked_at.take() {
            self.mqtt().clients.look_not(client, at);
        }
        let displaced = state.owner;
        if let Some(before) = state.owner {
            wakes.push(Wake { session: before, cause: Cause::Displaced });
            self.part(client, state, wakes);
        }
        let is_clean = begin.start == CleanStart::Yes;
        if let Some(will) = state.will.take() {
            // A connection within the delay keeps it from being published.
            let is_due = is_clean || (will.delay_s == 0 && state.will_at.is_none());
            match displaced {
                // Its client may have said farewell, and nobody has read that yet.
                Some(before) if is_due => {
                    self.displaced_wills().insert(before, (*will, client.number.0));
                }
                None if is_due => self.execute(*will, client.number.0, now, wakes),
                _ => {}
            }
        }
        // One that ends with its connection ended with the one before.
        let present = state.exists && !is_clean && (displaced.is_none() || state.expiry_s > 0);
        let mut waits = None;
        if state.exists && !present {
            waits = self.clear_session(client, state, wakes);
        }
        (state.will_at, state.expires_at) = (None, None);
        let expiry_s = match self.limits().mqtt_session_expiry_s_max {
            0 => begin.expiry_s,
            max => begin.expiry_s.min(max),
        };
        let waits = self.record_begun(client, state, expiry_s)?.or(waits);
        state.exists = true;
        state.owner = Some(begin.session);
        state.expiry_s = expiry_s;
        state.will = begin.will.map(Box::new);
        client.set_persistent(expiry_s > 0);
        client.set_session(Some(begin.session));
        Ok(Begun { present, received: state.received.len(), waits })
    }

    fn record_begun(
        &self,
        client: &Client,
        state: &mut State,
        expiry_s: u32,
    ) -> Result<Option<Waits>, Refusal> {
        if self.journal().is_none() || (expiry_s == 0 && !state.is_stored) {
            return Ok(None);
        }
        let record = ClientRecord::Begun { client: client.number, expiry_s, id: &client.id };
        let waits = self.mqtt_record(record, Durability::Sync)?;
        state.is_stored = true;
        Ok(waits)
    }

    /// Has the session's topics pushed to its connection again, and what was under way sent again.
    pub(crate) fn resume_session(
        self: &Arc<Self>,
        client: &Arc<Client>,
        state: &mut State,
        wakes: &mut Wakes,
    ) {
        self.take_new_topics(client, state, wakes);
        for number in state.readers.numbers() {
            if let Err(refusal) = self.attach_reader(client, state, number, wakes) {
                tracing::debug!(client = &*client.id, %refusal, "a topic is no longer read");
                state.readers.remove(number);
            }
        }
        state.resend = state.window.in_order().into();
    }

    /// Has a reader's topic pushed to the session's connection.
    pub(crate) fn attach_reader(
        &self,
        client: &Client,
        state: &mut State,
        number: u32,
        wakes: &mut Wakes,
    ) -> Result<Option<Waits>, Refusal> {
        let (Some(session), Some(reader)) = (state.owner, state.readers.get_mut(number)) else {
            return Ok(None);
        };
        if reader.grip.is_some() {
            return Ok(None);
        }
        let lifetime = reader.lifetime(client);
        let wanted = reader.wanted(lifetime, Start::Latest);
        let push = Push {
            credit_bytes: 0,
            ack_mode: AckMode::OnSend,
            lag_policy: LagPolicy::Skip,
            lifetime,
        };
        let id = reader.subscription(client);
        let attach = |wakes: &mut Wakes| {
            reader.topic.attach(&id, &wanted, session, number, push, self, wakes)
        };
        let attached = match attach(wakes) {
            Err(refusal) if refusal.code == Code::SubscriptionMismatch => {
                reader.topic.reshape(&id, wanted.leases.clone(), self)?;
                attach(wakes)
            }
            other => other,
        };
        let Attached { grip, waits, .. } = attached?;
        reader.grip = Some(grip);
        Ok(waits)
    }

    /// The session's connection is no longer its own.
    fn part(&self, client: &Client, state: &mut State, wakes: &mut Wakes) {
        client.set_session(None);
        state.owner = None;
        for (_, reader) in state.readers.iter_mut() {
            if let Some(grip) = reader.grip.take() {
                reader.topic.detach(grip, self, wakes);
            }
        }
        state.readers.rest();
        state.resend.clear();
        // What a shared subscription gave it goes to others now.
        let State { window, readers, .. } = state;
        window.retain(|in_flight| match in_flight.source {
            Source::Log { reader, .. } => {
                let is_shared = readers.get(reader).is_some_and(|reader| reader.share.is_some());
                !is_shared || in_flight.stage != Stage::Published
            }
            Source::Retained { .. } | Source::Gone => true,
        });
    }

    /// The session's connection ends.
    pub(crate) fn leave_session(
        &self,
        client: &Arc<Client>,
        state: &mut State,
        leaving: Leaving,
        now: Now,
        wakes: &mut Wakes,
    ) {
        self.part(client, state, wakes);
        let will = state.will.take().filter(|_| leaving == Leaving::WithWill);
        let expiry_s = state.expiry_s;
        match will {
            Some(will) if will.delay_s == 0 || expiry_s == 0 => {
                self.execute(*will, client.number.0, now, wakes);
            }
            Some(will) => {
                let delay_s = will.delay_s.min(expiry_s);
                state.will = Some(will);
                state.will_at = Some(now.plus_ms(u64::from(delay_s) * 1000));
            }
            None => {}
        }
        if expiry_s == 0 {
            self.end_session(client, state, wakes);
            return;
        }
        if expiry_s != EXPIRY_NEVER_S {
            state.expires_at = Some(now.plus_ms(u64::from(expiry_s) * 1000));
        }
        if state.is_stored {
            let left = ClientRecord::Left { client: client.number, unix_ms: self.unix_ms(now) };
            // Where the journal has failed, all who wait for it are told.
            let _ = self.mqtt_record(left, Durability::Os);
        }
        self.look_later(client, state);
    }

    fn look_later(&self, client: &Arc<Client>, state: &mut State) {
        state.looked_at = state.will_at.into_iter().chain(state.expires_at).min();
        if let Some(at) = state.looked_at {
            self.mqtt().clients.look_at(client, at);
        }
    }

    /// The session is over, and its identifier free.
    pub(crate) fn end_session(&self, client: &Client, state: &mut State, wakes: &mut Wakes) {
        self.clear_session(client, state, wakes);
        for new in client.close_inbox() {
            self.abandon_new_topic(client, &new, wakes);
        }
        self.mqtt().clients.remove(client);
        state.is_over = true;
    }

    /// Forgets all that the session has. Gives what an answer waits for that says so.
    fn clear_session(
        &self,
        client: &Client,
        state: &mut State,
        wakes: &mut Wakes,
    ) -> Option<Waits> {
        let filters: Vec<_> = state.filters.iter().map(|(filter, _)| Arc::clone(filter)).collect();
        for filter in &filters {
            self.forget_filter(client, state, filter, wakes);
        }
        for new in client.take_new_topics() {
            self.abandon_new_topic(client, &new, wakes);
        }
        for number in state.readers.numbers() {
            self.remove_reader(client, state, number, wakes);
        }
        let ended = match state.is_stored {
            true => {
                let ended = ClientRecord::Ended { client: client.number };
                // Where the journal has failed, all who wait for it are told.
                self.mqtt_record(ended, Durability::Sync).unwrap_or_default()
            }
            false => None,
        };
        *state = State { owner: state.owner, ..State::default() };
        ended
    }

    /// A topic was made when nobody was to read it any more: only the cursor has to go.
    fn abandon_new_topic(&self, client: &Client, new: &NewTopic, wakes: &mut Wakes) {
        if let Some(topic) = new.topic.upgrade().filter(|_| new.share.is_none()) {
            let _ = topic.unsubscribe(&client.subscription, self, wakes);
        }
    }

    /// A client chooses anew how long its session is kept (MQTT 5.0 §3.14.2.2.2).
    pub(crate) fn change_expiry(&self, client: &Client, state: &mut State, expiry_s: u32) {
        state.expiry_s = expiry_s;
        if state.is_stored {
            let record = ClientRecord::Begun { client: client.number, expiry_s, id: &client.id };
            // Where the journal has failed, all who wait for it are told.
            let _ = self.mqtt_record(record, Durability::Os);
        }
    }

    /// Takes the will of a connection that lost its session.
    pub(crate) fn take_displaced_will(&self, session: SessionKey) -> Option<(Will, u64)> {
        self.displaced_wills().remove(&session)
    }

    fn displaced_wills(&self) -> MutexGuard<'_, HashMap<SessionKey, (Will, u64)>> {
        let wills = self.mqtt().displaced_wills.lock();
        wills.expect("no thread panics while it holds wills of displaced connections")
    }

    /// Publishes a will, now or when its topic has room.
    pub(crate) fn execute(&self, will: Will, client: u64, now: Now, wakes: &mut Wakes) {
        match self.publish_will(&will, client, now, wakes) {
            Ok(Published::Yes) => {}
            Ok(Published::NotYet) => self.keep_late(will, client),
            Err(refusal) => {
                tracing::warn!(client, %refusal, "a will is not published");
            }
        }
    }

    /// A will waits for room in its topic, unless too many do.
    fn keep_late(&self, will: Will, client: u64) {
        let mut late = self.late_wills();
        let waiting_bytes: usize = late.iter().map(|(will, _)| will.bytes()).sum();
        if waiting_bytes + will.bytes() > LATE_WILLS_BYTES_MAX {
            tracing::warn!(
                client,
                waiting_bytes,
                "a will is not published: too many wait for room"
            );
            return;
        }
        late.push((will, client));
    }

    fn late_wills(&self) -> MutexGuard<'_, Vec<(Will, u64)>> {
        self.mqtt().late_wills.lock().expect("no thread panics while it holds late wills")
    }

    /// Does what time asks for: publishes wills, and ends sessions.
    pub(crate) fn handle_mqtt_tick(&self, now: Now, wakes: &mut Wakes) {
        for (will, client) in std::mem::take(&mut *self.late_wills()) {
            if let Ok(Published::NotYet) = self.publish_will(&will, client, now, wakes) {
                self.late_wills().push((will, client));
            }
        }
        while let Some(client) = self.mqtt().clients.pop_due(now) {
            let mut state = client.lock();
            if state.owner.is_some() || state.is_over {
                continue;
            }
            let is_due = |at: Option<Now>| at.is_some_and(|at| at <= now);
            if is_due(state.will_at) {
                state.will_at = None;
                if let Some(will) = state.will.take() {
                    self.execute(*will, client.number.0, now, wakes);
                }
            }
            if is_due(state.expires_at) {
                tracing::info!(client = &*client.id, "session expired");
                self.end_session(&client, &mut state, wakes);
                continue;
            }
            self.look_later(&client, &mut state);
        }
        self.tell_sys(now, wakes);
    }

    /// Writes a record of a client to the journal.
    pub(crate) fn mqtt_record(
        &self,
        record: ClientRecord<'_>,
        durability: Durability,
    ) -> Result<Option<Waits>, Refusal> {
        let Some(journal) = self.journal() else { return Ok(None) };
        let mut body = Vec::new();
        let kind = Record::Client(record).encode(&mut body);
        let place = journal.append(kind, &[&body], durability)?;
        Ok(Some(Waits { position: place.end(), durability }))
    }
}

impl Reader {
    /// What its topic calls its subscription.
    pub(crate) fn subscription(&self, client: &Client) -> Arc<str> {
        match &self.share {
            None => Arc::clone(&client.subscription),
            Some(filter) => super::share_subscription(filter).into(),
        }
    }

    fn lifetime(&self, client: &Client) -> Lifetime {
        if self.share.is_some() || client.is_persistent() {
            Lifetime::Named
        } else {
            Lifetime::Connection
        }
    }

    fn wanted(&self, lifetime: Lifetime, start: Start) -> Wanted {
        let leases = self.is_leased.then(LeaseTerms::until_acknowledged);
        Wanted { start, leases, lifetime }
    }

    /// What its topic is asked for when it is not pushed to a connection.
    pub(crate) fn wanted_unattached(&self, client: &Client, start: Start) -> Wanted {
        self.wanted(self.lifetime(client), start)
    }
}
