//! Answers: what each request is to be answered with.

use super::topic::{Taken, Topic};
use super::{Model, Moment};
use crate::ask::{Ask, Sent};
use crate::said::{Pulled, Reply, Said, Tongue};
use broker_core::Now;
use protocol::batch::RECORD_HEADER_BYTES;
use protocol::{Code, Delivery, Push, Request, Retention, check_subscriber_id, check_topic_name};

impl Model {
    /// A session took a request: holds what it said against what it has to be.
    pub(crate) fn handle_taken(&mut self, sent: &Sent, at: &mut Moment<'_>) {
        let is_stranger = matches!(sent.ask, Ask::Wrong { is_fatal: true, .. });
        if !self.is_admitted(at.key) && !is_stranger {
            self.expect_farewell(Code::LimitReached, at);
            return;
        }
        match &sent.ask {
            Ask::Blank => {}
            Ask::Greet => {
                assert_eq!(at.said.pop_front(), Some(Said::Greeting { accepted: true }));
            }
            Ask::Wrong { code, is_fatal, .. } => {
                let correlation = if *is_fatal { 0 } else { sent.correlation };
                at.expect(correlation, &Reply::Refused(*code));
            }
            Ask::Publish { topic, payloads, ack } => {
                self.publish(topic, payloads, *ack, sent.correlation, at);
            }
            Ask::Request(request) => self.request(request, sent.correlation, at),
        }
    }

    /// A session says why it ends the connection.
    pub(crate) fn expect_farewell(&self, code: Code, at: &mut Moment<'_>) {
        if let Some(Said::Greeting { accepted }) = at.said.front() {
            assert!(!accepted, "a refused connection is not greeted");
            at.said.pop_front();
        }
        at.expect(0, &Reply::Refused(code));
    }

    fn request(&mut self, request: &Request<'_>, correlation: u32, at: &mut Moment<'_>) {
        let outcome = match request {
            Request::Create { topic, options } => {
                self.create(topic, options.retention).map(|()| Some(Reply::Done))
            }
            Request::Delete { topic } => self.delete(topic, at).map(|()| Some(Reply::Done)),
            Request::Unsubscribe { topic, subscriber } => {
                self.unsubscribe(topic, subscriber, at).map(|()| Some(Reply::Done))
            }
            Request::Detach { subscription } => {
                self.detach(at.key, *subscription).map(|()| Some(Reply::Done))
            }
            Request::Credit { subscription, bytes } => {
                self.credit(at.key, *subscription, *bytes).map(|()| None)
            }
            Request::Ack { subscription, offset, .. } => {
                self.ack(at.key, *subscription, *offset, at.now).map(|()| None)
            }
            Request::Subscribe { topic, subscriber, delivery, .. } => {
                self.subscribe(topic, subscriber, *delivery, correlation, at).map(|()| None)
            }
            Request::Pull { topic, subscriber, count_max } => {
                self.pull(topic, subscriber, *count_max, correlation, at).map(|()| None)
            }
            Request::ListTopics => Ok(Some(Reply::Topics(self.topics().cloned().collect()))),
            Request::Subscribers { topic } => self
                .topic(topic)
                .map(|topic| Some(Reply::Subscribers(topic.subscribers.keys().cloned().collect()))),
            Request::Ping if at.tongue == Tongue::Json => Ok(Some(Reply::Done)),
            Request::Ping => Ok(Some(Reply::Pong)),
            Request::Info => {
                let Reply::Info(info) = at.reply(correlation) else { panic!("expected INFO") };
                self.check_info(&info, at.now);
                Ok(None)
            }
            Request::Settle { .. } | Request::Seek { .. } => unreachable!("no one asks these"),
            Request::Publish { .. } => unreachable!("publications are asks of their own"),
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(reply)) => at.expect(correlation, &reply),
            Err(code) => at.expect(correlation, &Reply::Refused(code)),
        }
    }

    fn create(&mut self, name: &str, retention: Retention) -> Result<(), Code> {
        check_topic_name(name, self.name_limits()).map_err(|refusal| refusal.code)?;
        if self.topics.contains_key(name) {
            return Err(Code::TopicExists);
        }
        if self.topics.len() >= self.limits.topics_max {
            return Err(Code::LimitReached);
        }
        let topic = Topic::new(retention, &self.limits, self.memory_is_tight);
        self.topics.insert(name.to_owned(), topic);
        Ok(())
    }

    fn subscribe(
        &mut self,
        name: &str,
        id: &str,
        delivery: Delivery,
        correlation: u32,
        at: &mut Moment<'_>,
    ) -> Result<(), Code> {
        let push = match delivery {
            Delivery::Pull => None,
            Delivery::Push(push) => Some(push),
        };
        let is_new = self.check_subscribe(name, id, push, correlation, at)?;
        let topic = self.topics.get_mut(name).expect("it was checked");
        topic.subscribe(id);
        if let Some(push) = push {
            self.attach(name, id, correlation, push, at);
        }
        let topic = self.topics.get_mut(name).expect("it was checked");
        match at.reply(correlation) {
            Reply::Subscribed { next_offset } => {
                topic.observe_cursor(id, next_offset);
                if is_new {
                    topic.observe_first(next_offset, at.now);
                }
            }
            other => panic!("expected to be subscribed, found {other:?}"),
        }
        Ok(())
    }

    /// Whether a subscription may be made, or is there; gives whether it is to be made.
    fn check_subscribe(
        &mut self,
        name: &str,
        id: &str,
        push: Option<Push>,
        number: u32,
        at: &Moment<'_>,
    ) -> Result<bool, Code> {
        check_subscriber_id(id, self.name_limits()).map_err(|refusal| refusal.code)?;
        if push.is_some() {
            self.check_free(at.key, number)?;
        }
        let subscriptions_max = self.limits.subscriptions_per_topic_max;
        let subscribers = &self.topic(name)?.subscribers;
        let is_new = !subscribers.contains_key(id);
        match is_new && subscribers.len() >= subscriptions_max {
            true => Err(Code::LimitReached),
            false => Ok(is_new),
        }
    }

    fn pull(
        &mut self,
        name: &str,
        id: &str,
        count_max: Option<u32>,
        correlation: u32,
        at: &mut Moment<'_>,
    ) -> Result<(), Code> {
        let topic = self.topic(name)?;
        if !topic.subscribers.contains_key(id) {
            return Err(Code::NotSubscribed);
        }
        topic.handle_age();
        let pulled = match at.reply(correlation) {
            Reply::Messages(pulled) => pulled,
            other => panic!("expected messages, found {other:?}"),
        };
        let unread = topic.pull(id, &pulled, at.now);
        self.check_pulled(&pulled, count_max, unread);
        self.messages_out += pulled.payloads.len() as u64;
        Ok(())
    }

    /// Whether a subscriber has not read all there is.
    pub(crate) fn has_unread(&self, name: &str, id: &str) -> bool {
        let Some(topic) = self.topics.get(name) else { return false };
        let cursor = topic.subscribers.get(id).and_then(|subscriber| subscriber.position);
        cursor.is_some_and(|position| position.cursor < topic.next_offset())
    }

    /// A pull takes no more than it may, and all there is where that is not more.
    fn check_pulled(&self, pulled: &Pulled, count_max: Option<u32>, unread: (u64, u64)) {
        let count = pulled.payloads.len() as u64;
        let count_max = count_max.map_or(u64::MAX, u64::from);
        let bytes: usize = pulled.payloads.iter().map(|one| RECORD_HEADER_BYTES + one.len()).sum();
        let bytes_max = self.limits.pull_bytes_max;
        assert!(count <= count_max, "{count} messages of {count_max}");
        assert!(bytes <= bytes_max || count == 1, "{count} messages are {bytes} bytes");
        let (unread_count, unread_bytes) = unread;
        let wanted = unread_count.min(count_max);
        assert!(
            count == wanted || (count > 0 && unread_bytes > bytes_max as u64),
            "{count} messages of {wanted} unread, which are {unread_bytes} bytes"
        );
    }
}

impl Topic {
    /// A subscriber pulled; gives how many messages there were to read, and of how many bytes.
    fn pull(&mut self, id: &str, pulled: &Pulled, now: Now) -> (u64, u64) {
        let Pulled { base_offset, lost, remaining, payloads } = pulled;
        let taken = Taken { base_offset: *base_offset, lost: *lost, payloads };
        let base_offset = self.read(id, &taken, now);
        self.check_fresh(base_offset, payloads.len() as u64, now);
        let next_offset = self.next_offset();
        let subscriber = self.subscribers.get_mut(id).expect("it has just read");
        let position = subscriber.position.as_mut().expect("it has just read");
        if !payloads.is_empty() || *lost > 0 {
            position.committed = position.cursor;
        }
        let position = *position;
        subscriber.note_caught_up(next_offset, now);
        assert_eq!(*remaining, next_offset - position.cursor, "unread messages of {id}");
        (next_offset - base_offset, self.bytes_from(base_offset))
    }
}
