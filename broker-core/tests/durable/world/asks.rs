//! What clients ask.

use super::World;
use crate::link::Held;
use crate::wire::{Ask, Payload};
use broker_core::SessionKey;
use protocol::{
    AckMode, Delivery, Durability, LagPolicy, Lifetime, PublishAck, PublishTerms, PublisherId,
    PublisherSequence, Push, Request, SettleAnswer, SettleTarget, Start, Verdict,
};

/// Topics that clients make and publish to.
const TOPICS: [&str; 3] = ["a", "b", "c"];

/// Push subscriptions of one connection have numbers up to this.
const NUMBERS: u32 = 4;

/// Idempotent publishers of each topic.
const PUBLISHERS: u128 = 3;

/// Asks that wait to be sent.
const ASKED_MAX: usize = 8;

impl World {
    /// A client asks for something, and perhaps for more without waiting.
    pub(super) fn ask(&mut self, key: SessionKey) {
        for _ in 0..self.rng.usize(1..4) {
            if self.link(key).asked.len() < ASKED_MAX {
                self.ask_once(key);
            }
        }
    }

    fn ask_once(&mut self, key: SessionKey) {
        let is_json = self.is_json(key);
        let has_held = !self.links[&key].held.is_empty();
        let ask = match self.rng.u8(0..100) {
            0..45 => self.publication(is_json),
            45..60 => self.pull(),
            60..75 if has_held => return self.say_of_held(key),
            60..67 if !is_json => return self.attach(key),
            67..72 if !is_json => self.credit(key),
            72..80 => self.subscribe(),
            _ => self.chore(key),
        };
        self.link(key).ask(ask);
    }

    fn topic(&mut self) -> String {
        let known = self.rng.choice(&self.model.names()).cloned();
        known.filter(|_| self.rng.u8(0..20) > 0).unwrap_or_else(|| self.clients_topic())
    }

    fn clients_topic(&mut self) -> String {
        TOPICS[self.rng.usize(0..TOPICS.len())].to_owned()
    }

    /// Cursors and groups have names of their own, most of the time.
    fn subscriber(&mut self, is_group: bool) -> String {
        let letter = if is_group ^ self.one_in(60) { 'g' } else { 's' };
        format!("{letter}{}", self.rng.u8(0..3))
    }

    fn payloads(&mut self, count: u64) -> Vec<Payload> {
        let first = self.messages_made;
        self.messages_made += count;
        let Self { scenario, rng, .. } = self;
        (first..first + count).map(|message| scenario.payload(message, rng)).collect()
    }

    fn publication(&mut self, is_json: bool) -> Ask {
        let topic = self.clients_topic();
        if !is_json && self.one_in(3) {
            return self.numbered(topic);
        }
        let durability = match self.rng.u8(0..10) {
            0 => Some(Durability::Os),
            1 => Some(Durability::Sync),
            _ => None,
        };
        let count = match self.rng.u8(0..20) {
            _ if is_json => 1,
            0 => self.rng.u64(1..40),
            1..10 => self.rng.u64(1..6),
            _ => 1,
        };
        let ack = match !is_json && self.one_in(4) {
            true => PublishAck::Unwanted,
            false => PublishAck::Wanted,
        };
        let terms = PublishTerms { durability, sequence: None };
        Ask::Publish { topic, payloads: self.payloads(count), ack, terms }
    }

    /// What an idempotent publisher publishes, or publishes again until it is answered.
    fn numbered(&mut self, topic: String) -> Ask {
        // Each topic has its own, so that their numbers grow in it.
        let index = TOPICS.iter().position(|name| *name == topic).expect("a topic of clients");
        let publisher = PUBLISHERS * index as u128 + self.rng.u128(0..PUBLISHERS);
        if let Some(again) = self.unanswered.get(&publisher) {
            return again.clone();
        }
        let ahead = self.rng.u64(1..3);
        let sequence = self.sequences.entry(publisher).or_insert(0);
        *sequence += ahead;
        let sequence = PublisherSequence { publisher: PublisherId(publisher), sequence: *sequence };
        let count = self.rng.u64(1..5);
        let ask = Ask::Publish {
            topic,
            payloads: self.payloads(count),
            ack: PublishAck::Wanted,
            terms: PublishTerms { durability: None, sequence: Some(sequence) },
        };
        self.unanswered.insert(publisher, ask.clone());
        ask
    }

    fn pull(&mut self) -> Ask {
        let topic = self.topic().into();
        let is_group = self.rng.bool();
        let subscriber = self.subscriber(is_group).into();
        let count_max = self.rng.bool().then(|| self.rng.u32(1..10));
        Ask::Request(Request::Pull { topic, subscriber, count_max })
    }

    fn start(&mut self) -> Start {
        match self.rng.u8(0..5) {
            0 => Start::Latest,
            1 => Start::Offset(self.rng.u64(0..100)),
            2 => Start::Time { unix_ms: self.unix_ms().saturating_sub(self.rng.u64(0..300)) },
            _ => Start::Earliest,
        }
    }

    fn subscription(&mut self, delivery: Delivery) -> Request<'static> {
        let is_group = self.rng.bool();
        Request::Subscribe {
            topic: self.topic().into(),
            subscriber: self.subscriber(is_group).into(),
            delivery,
            start: self.start(),
            acks: is_group.then(|| self.scenario.acks(&mut self.rng)),
        }
    }

    fn subscribe(&mut self) -> Ask {
        Ask::Request(self.subscription(Delivery::Pull))
    }

    fn attach(&mut self, key: SessionKey) {
        let policies = [LagPolicy::Skip, LagPolicy::Skip, LagPolicy::Disconnect];
        let push = Push {
            credit_bytes: [1, 500, 5000, 100_000][self.rng.usize(0..4)],
            ack_mode: if self.rng.bool() { AckMode::OnSend } else { AckMode::Cumulative },
            lag_policy: policies[self.rng.usize(0..3)],
            lifetime: if self.one_in(4) { Lifetime::Connection } else { Lifetime::Named },
        };
        let request = self.subscription(Delivery::Push(push));
        let number = self.rng.u32(1..=NUMBERS);
        self.link(key).asked.push_back((Ask::Request(request), number));
    }

    fn some_number(&mut self, key: SessionKey) -> u32 {
        let numbers: Vec<u32> = self.links[&key].numbers.keys().copied().collect();
        self.rng.choice(&numbers).copied().unwrap_or(1)
    }

    fn credit(&mut self, key: SessionKey) -> Ask {
        let subscription = self.some_number(key);
        Ask::Request(Request::Credit { subscription, bytes: self.rng.u32(1..20_000) })
    }

    /// A client settles, gives back or acknowledges what it was given.
    fn say_of_held(&mut self, key: SessionKey) {
        let index = self.rng.usize(0..self.links[&key].held.len());
        let held = match self.one_in(4) {
            true => self.links[&key].held[index].clone(),
            false => self.link(key).held.remove(index),
        };
        let answer = if self.rng.bool() { SettleAnswer::Wanted } else { SettleAnswer::Unwanted };
        let verdict = match self.rng.u8(0..4) {
            0 => Verdict::Nack { delay_ms: self.rng.bool().then(|| self.rng.u32(0..50)) },
            _ => Verdict::Ack,
        };
        let request = self.word_on(held, verdict, answer);
        self.link(key).ask(Ask::Request(request));
    }

    pub(super) fn word_on(
        &mut self,
        held: Held,
        verdict: Verdict,
        answer: SettleAnswer,
    ) -> Request<'static> {
        let Held { topic, subscriber, number, range, is_group } = held;
        match number {
            Some(number) if !is_group => {
                Request::Ack { subscription: number, offset: range.end() - 1, answer }
            }
            Some(number) if self.rng.bool() => Request::Settle {
                target: SettleTarget::Attached { subscription: number },
                ranges: vec![range],
                verdict,
                answer,
            },
            _ => Request::Settle {
                target: SettleTarget::Named { topic: topic.into(), subscriber: subscriber.into() },
                ranges: vec![range],
                verdict,
                answer: SettleAnswer::Wanted,
            },
        }
    }

    fn chore(&mut self, key: SessionKey) -> Ask {
        let is_group = self.rng.bool();
        let is_json = self.is_json(key);
        let request = match self.rng.u8(0..30) {
            0..9 => Request::Create {
                topic: self.clients_topic().into(),
                options: self.scenario.options(&mut self.rng),
            },
            9 => Request::Delete { topic: self.clients_topic().into() },
            10..13 => Request::Unsubscribe {
                topic: self.topic().into(),
                subscriber: self.subscriber(is_group).into(),
            },
            13..18 => Request::Seek {
                topic: self.topic().into(),
                subscriber: self.subscriber(is_group).into(),
                to: self.start(),
            },
            18..20 => Request::ListTopics,
            20..22 => Request::Subscribers { topic: self.topic().into() },
            22..25 if !is_json => Request::Detach { subscription: self.some_number(key) },
            _ => return self.pull(),
        };
        Ask::Request(request)
    }
}
