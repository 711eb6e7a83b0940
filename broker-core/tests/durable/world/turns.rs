//! What a backend does for a connection, and what the model makes of it.

use super::World;
use crate::link::{Called, Held, Pushing};
use crate::model::{Context, number_of};
use crate::wire::{Ask, Given, Reply, Said, Tongue, offsets};
use broker_core::journal::Journal;
use broker_core::{Cause, SessionKey, Wakes};
use protocol::{Code, Delivery, OffsetRange, Request, SettleAnswer, SettleTarget, Start};

/// Messages that a client may hold on to; it forgets others.
const HELD_MAX: usize = 60;

impl World {
    /// Offers the next request to the session.
    pub(super) fn feed(&mut self, key: SessionKey) {
        if !self.link(key).wants_input() || self.drops_next(key) {
            return;
        }
        let now = self.now();
        let (before, out_before) = (self.disk.end(), self.messages_out());
        let link = self.link(key);
        let Some((ask, correlation)) = link.asked.front().cloned() else { return };
        let bytes = ask.encode(link.tongue, correlation);
        let (taken, mut called) = link.feed_bytes(&bytes, now);
        let wakes = std::mem::take(&mut called.wakes);
        // Of these the model cannot tell the records apart.
        if !wakes.is_empty() || !matches!(ask, Ask::Publish { .. }) {
            self.whole.push((before, self.disk.end()));
        }
        self.handle_endings(&wakes);
        if taken == 0 {
            self.handle_held(key, &ask);
        } else {
            assert_eq!(taken, bytes.len(), "a request is taken whole");
            let messages_out = self.messages_out() - out_before;
            self.handle_taken(key, &ask, correlation, before, messages_out);
        }
        self.judge(key, called);
        self.carry(wakes);
    }

    /// A publication waits for room.
    fn handle_held(&mut self, key: SessionKey, ask: &Ask) {
        let Ask::Publish { topic, payloads, .. } = ask else { panic!("{ask:?} is held") };
        let index = self.model.find(topic).expect("a topic that holds");
        self.model.topics[index].make_room(payloads);
        self.observe(topic, false);
        let may_wait = self.scenario.limits.publisher_hold_ms_max > 0;
        assert!(may_wait || !self.has_failed(), "nobody waits for a journal that failed");
        self.story.tell(|| format!("{} is held with {ask:?}", key.0));
    }

    fn handle_taken(
        &mut self,
        key: SessionKey,
        ask: &Ask,
        correlation: u32,
        before: u64,
        messages_out: u64,
    ) {
        let at = self.context(key, correlation, before, messages_out, ask);
        self.story.tell(|| {
            let after = at.after;
            format!("{} asks {correlation}: {ask:?}, journal {before} to {after}", key.0)
        });
        if let Ask::Request(Request::Pull { topic, .. }) = ask {
            self.observe(topic, false);
        }
        let mut expected = self.model.handle(ask, &at);
        if let (Ask::Publish { terms, .. }, Some(expected)) = (ask, &mut expected) {
            expected.publisher = terms.sequence.map(|sequence| sequence.publisher.0);
        }
        let is_refused = expected.as_ref().is_some_and(|expected| expected.is_refused());
        let link = self.link(key);
        link.asked.pop_front();
        link.expected.extend(expected);
        match ask {
            Ask::Request(Request::Subscribe { delivery: Delivery::Push(_), .. }) if !is_refused => {
                link.numbers.insert(correlation, Pushing::On);
            }
            Ask::Request(Request::Detach { subscription }) => {
                link.numbers.remove(subscription);
            }
            Ask::Request(Request::Delete { .. }) => self.deletions += 1,
            Ask::Publish { topic, .. } => self.observe(topic, false),
            _ => {}
        }
    }

    /// Whether what is asked next says nothing, since it is about messages that were given before
    /// their subscription was moved or the broker began.
    fn drops_next(&mut self, key: SessionKey) -> bool {
        let has_failed = self.has_failed();
        let link = self.links.get_mut(&key).expect("a connection that is there");
        let Some((Ask::Request(Request::Settle { target, ranges, answer, .. }), _)) =
            link.asked.front()
        else {
            return false;
        };
        if let SettleTarget::Attached { subscription } = target
            && matches!(link.numbers.get(subscription), Some(Pushing::Ended { .. }))
            && *answer == SettleAnswer::Unwanted
        {
            link.asked.pop_front();
            return true;
        }
        let found = match target {
            SettleTarget::Attached { subscription } => self.model.attached(key, *subscription),
            SettleTarget::Named { topic, subscriber } => {
                let topic = self.model.find(topic).map(|index| &mut self.model.topics[index]);
                topic.and_then(|topic| topic.find(subscriber).map(|index| (topic, index)))
            }
        };
        let Some((topic, index)) = found else { return false };
        let subscription = &topic.subscriptions[index];
        let offsets: Vec<u64> = offsets(ranges).collect();
        let is_certain = subscription.group.as_ref().is_none_or(|group| group.knows(&offsets));
        let is_attached = matches!(target, SettleTarget::Attached { .. });
        let drops = !is_certain && (has_failed || is_attached || subscription.created.is_none());
        if drops {
            link.asked.pop_front();
        }
        drops
    }

    fn context(
        &mut self,
        session: SessionKey,
        correlation: u32,
        before: u64,
        messages_out: u64,
        ask: &Ask,
    ) -> Context {
        let begins_at = match ask {
            Ask::Request(
                Request::Subscribe { topic, start, .. } | Request::Seek { topic, to: start, .. },
            ) => self.begin_of(topic, *start),
            _ => None,
        };
        let number = match ask {
            Ask::Request(Request::Subscribe { .. }) => correlation,
            Ask::Request(request) => number_of(request),
            _ => 0,
        };
        Context {
            session,
            correlation,
            before,
            after: self.disk.end(),
            messages_out,
            reached: self.disk.reached(),
            has_failed: self.has_failed(),
            unix_ms: self.unix_ms(),
            begins_at,
            pushing: self.links[&session].numbers.get(&number).copied(),
        }
    }

    /// Where a subscription begins that is to begin so.
    fn begin_of(&mut self, topic: &str, start: Start) -> Option<u64> {
        let found = self.probe(topic, start)?;
        let (first, next) = self.probe_held(topic)?;
        let topic = &self.model.topics[self.model.find(topic)?];
        match start {
            Start::Earliest => assert_eq!(found, first),
            Start::Latest => assert_eq!(found, next),
            Start::Offset(offset) => assert_eq!(found, offset.clamp(first, next)),
            Start::Time { unix_ms } => {
                let messages = topic.messages.iter().enumerate().skip(first as usize);
                let mut since = messages.filter(|(_, message)| message.unix_ms >= unix_ms);
                let expected = since.next().map_or(next, |(offset, _)| offset as u64);
                let name = &topic.name;
                assert!(
                    (first..=expected).contains(&found),
                    "{name} was sought at {unix_ms} ms: expected {expected}, found {found}"
                );
            }
        }
        Some(found)
    }

    fn messages_out(&self) -> u64 {
        self.broker.info(self.now()).messages_out
    }

    /// Push subscriptions ended, as wakes tell.
    pub(super) fn handle_endings(&mut self, wakes: &Wakes) {
        let end = self.mark();
        for wake in wakes {
            let Cause::Ended { subscription, attachment, code } = wake.cause else { continue };
            assert_ne!(code, Code::StorageDamaged, "all that is stored can be read back");
            match code {
                Code::Lagging => self.model.detach(wake.session, subscription, end),
                _ => self.model.end_push(wake.session, subscription),
            }
            if let Some(link) = self.links.get_mut(&wake.session) {
                let before = link.numbers.insert(subscription, Pushing::Ended { attachment, code });
                assert_eq!(before, Some(Pushing::On), "what ended was on");
            }
        }
    }

    /// Puts wakes on their way.
    pub(super) fn carry(&mut self, wakes: Wakes) {
        for wake in wakes {
            if let Some(link) = self.links.get_mut(&wake.session) {
                link.wakes.push_back(wake.cause);
            }
        }
    }

    /// Holds all that a session said against the model.
    fn judge(&mut self, key: SessionKey, called: Called) {
        for said in called.said {
            self.story.tell(|| format!("{} says {said:?}", key.0));
            self.note((key, format!("{said:?}")));
            match said {
                Said::Reply { correlation, reply } => self.handle_answer(key, correlation, &reply),
                Said::Deliver { number, given } => self.handle_delivery(key, number, &given),
                Said::Lost { number, count, next_offset } => {
                    let (topic, index) = self.model.attached(key, number).expect("it is attached");
                    let first = topic.first;
                    let subscription = &mut topic.subscriptions[index];
                    if subscription.group.is_none() {
                        assert_eq!(subscription.cursor + count, next_offset, "what was lost");
                        assert_eq!(next_offset, first, "no more is lost than is gone");
                        subscription.advance(next_offset);
                    }
                }
                // It ended when the wake was sent that tells so.
                Said::Ended { .. } => {}
                Said::Greeting => panic!("one greeting is enough"),
            }
        }
    }

    fn handle_answer(&mut self, key: SessionKey, correlation: u32, reply: &Reply) {
        let (reached, has_failed) = (self.disk.reached(), self.has_failed());
        let expected = self.link(key).expected.pop_front();
        let expected = expected.unwrap_or_else(|| panic!("nobody asked for {reply:?}"));
        assert_eq!(correlation, expected.correlation, "answers come in order");
        if let (Some(publisher), Reply::Published { .. }) = (expected.publisher, reply) {
            self.unanswered.remove(&publisher);
        }
        let taken = self.model.check_answer(&expected, reply, reached, has_failed);
        if let Some(taken) = taken {
            self.hold(key, &taken.topic, &taken.subscriber, None, &taken.given, true);
        }
        if expected.was_attached_in_vain(reply) {
            let end = self.mark();
            self.link(key).numbers.remove(&correlation);
            self.model.detach(key, correlation, end);
        }
    }

    fn handle_delivery(&mut self, key: SessionKey, number: u32, given: &Given) {
        self.model.steps += 1;
        let step = self.model.steps;
        let (topic, index) = self.model.attached(key, number).expect("it is attached");
        let base_offset = given.base_offset.expect("deliveries tell it");
        let end = base_offset + given.payloads.len() as u64;
        topic.check_read(base_offset, &given.payloads);
        let (name, first) = (topic.name.clone(), topic.gone_once);
        let subscription = &mut topic.subscriptions[index];
        let attachment = subscription.attachment_mut(key, number).expect("it is attached");
        assert!(attachment.has_begun, "nothing is pushed before SUBSCRIBE is answered");
        assert!(attachment.credit_bytes > 0, "nothing is pushed without credit");
        let bytes: usize = given.payloads.iter().map(|payload| 4 + payload.len()).sum();
        attachment.credit_bytes -= bytes as i64;
        let subscriber = subscription.name.clone();
        let is_group = subscription.group.is_some();
        match &mut subscription.group {
            Some(group) => {
                let deliveries = given.deliveries.unwrap_or(1);
                for offset in base_offset..end {
                    group.deliver(offset, deliveries, step, first);
                }
            }
            None => {
                assert_eq!(base_offset, subscription.cursor, "{subscriber} is pushed in order");
                subscription.advance(end);
            }
        }
        self.hold(key, &name, &subscriber, Some(number), given, is_group);
    }

    /// A client has messages that it may settle or acknowledge.
    fn hold(
        &mut self,
        key: SessionKey,
        topic: &str,
        subscriber: &str,
        number: Option<u32>,
        given: &Given,
        is_group: bool,
    ) {
        let first = given.base_offset.expect("a group's messages tell it");
        let range = OffsetRange { first, count: given.payloads.len() as u32 };
        let (topic, subscriber) = (topic.to_owned(), subscriber.to_owned());
        let link = self.link(key);
        link.held.push(Held { topic, subscriber, number, range, is_group });
        if link.held.len() > HELD_MAX {
            link.held.remove(0);
        }
    }

    /// A wake arrives.
    pub(super) fn wake(&mut self, key: SessionKey) {
        let now = self.now();
        let link = self.link(key);
        let Some(cause) = link.wakes.pop_front() else { return };
        let mut called = link.call(now, |session, turn| session.handle_wake(cause, turn));
        if let Cause::Ended { subscription, attachment, code } = cause
            && link.numbers.get(&subscription) == Some(&Pushing::Ended { attachment, code })
        {
            link.numbers.remove(&subscription);
        }
        let wakes = std::mem::take(&mut called.wakes);
        self.story.tell(|| format!("{} was woken: {cause:?}", key.0));
        self.handle_endings(&wakes);
        self.judge(key, called);
        self.carry(wakes);
    }

    pub(super) fn poll(&mut self, key: SessionKey) {
        let now = self.now();
        let mut called = self.link(key).poll(now);
        let wakes = std::mem::take(&mut called.wakes);
        self.judge(key, called);
        self.handle_endings(&wakes);
        self.carry(wakes);
    }

    pub(super) fn write(&mut self, key: SessionKey) {
        let bytes_max = [60, 6000, 1 << 17][self.rng.usize(0..3)];
        let bytes_max = self.rng.usize(1..bytes_max);
        let link = self.link(key);
        if !link.is_stalled {
            link.write(bytes_max);
        }
        if link.session.is_closing() && link.output.is_empty() {
            self.close(key);
        }
    }

    pub(super) fn fire_timer(&mut self, key: SessionKey) {
        let now = self.now();
        let link = self.link(key);
        if link.session.poll_timeout().is_some_and(|due| due <= now) {
            let called = link.call(now, |session, turn| session.handle_timeout(turn));
            assert!(called.said.is_empty() && called.wakes.is_empty(), "{called:?}");
        }
    }

    /// A connection is gone, whatever it was at.
    pub(super) fn close(&mut self, key: SessionKey) {
        self.story.tell(|| format!("{} is gone", key.0));
        let mut link = self.links.remove(&key).expect("a connection that is there");
        let mut wakes = Wakes::new();
        let before = self.disk.end();
        link.session.handle_close(&mut wakes, self.now());
        self.whole.push((before, self.disk.end()));
        let end = self.mark();
        self.model.detach_all(key, end);
        self.handle_endings(&wakes);
        self.carry(wakes);
    }

    pub(super) fn is_json(&self, key: SessionKey) -> bool {
        self.links[&key].tongue == Tongue::Json
    }
}
