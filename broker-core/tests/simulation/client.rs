//! A client: what it asks, and how it takes what it is told.

use crate::ask::Ask;
use crate::said::{Reply, Said, Tongue};
use crate::scenario::Scenario;
use broker_core::Limits;
use fastrand::Rng;
use protocol::{
    AckMode, Code, Delivery, LagPolicy, Lifetime, PublishAck, Push, Request, SettleAnswer, Start,
};
use std::collections::BTreeMap;

/// Push subscriptions have numbers from 1 on, which are used again; other requests count on
/// from here.
const CORRELATION_MIN: u32 = 1000;
const NUMBERS: u32 = 5;

/// Credit that lets everything through.
const CREDIT_BYTES_PLENTY: u32 = 1 << 24;

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything, but no subscription that holds publishers for ever: its own publication would
    /// wait for what it sends behind it.
    Anyone,
    /// Everything but publishing.
    Reader,
    /// Nothing.
    Silent,
    /// It speaks some other protocol.
    Stranger,
}

/// How a client takes deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zeal {
    /// It gives credit and acknowledges when it feels like it.
    Moody,
    /// It always does at once.
    Eager,
}

#[derive(Debug)]
pub(crate) struct Client {
    id: u64,
    pub(crate) tongue: Tongue,
    pub(crate) role: Role,
    has_begun: bool,
    correlation: u32,
    published: u64,
    /// The push subscriptions that it thinks it has, and the last offset that each delivered.
    pushed: BTreeMap<u32, Option<u64>>,
}

impl Client {
    pub(crate) fn new(id: u64, tongue: Tongue, role: Role) -> Self {
        Self {
            id,
            tongue,
            role,
            has_begun: false,
            correlation: CORRELATION_MIN,
            published: 0,
            pushed: BTreeMap::new(),
        }
    }

    /// What it asks next, under which correlation id.
    pub(crate) fn ask(&mut self, scenario: &Scenario, rng: &mut Rng) -> Option<(Ask, u32)> {
        let has_begun = std::mem::replace(&mut self.has_begun, true);
        let ask = match (self.role, self.tongue) {
            (Role::Silent, _) => return None,
            (Role::Stranger, _) if has_begun => return None,
            (Role::Stranger, _) => stranger(rng),
            (_, Tongue::Native) if !has_begun => Ask::Greet,
            _ if rng.u32(0..scenario.asks_per_chore) == 0 => self.chore(scenario, rng),
            (_, Tongue::Json) => self.messages_json(scenario, rng),
            (_, Tongue::Native) => self.messages_native(scenario, rng),
        };
        let correlation = self.correlate(&ask, rng);
        Some((ask, correlation))
    }

    fn correlate(&mut self, ask: &Ask, rng: &mut Rng) -> u32 {
        if self.tongue == Tongue::Json {
            return 0;
        }
        match ask {
            Ask::Request(Request::Subscribe { delivery: Delivery::Push(_), .. }) => {
                rng.u32(1..=NUMBERS)
            }
            Ask::Wrong { bytes, is_fatal: false, .. } => {
                u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]])
            }
            _ => {
                self.correlation += 1;
                self.correlation
            }
        }
    }

    fn publish(&mut self, scenario: &Scenario, rng: &mut Rng) -> Ask {
        let count = match (self.tongue, rng.u8(0..40)) {
            (Tongue::Native, 0) => 0,
            (Tongue::Native, 1) => rng.u64(1..60),
            (Tongue::Native, 2..20) => rng.u64(1..6),
            _ => 1,
        };
        let first = self.published;
        self.published += count;
        Ask::Publish {
            topic: scenario.topic(rng),
            payloads: (first..first + count)
                .map(|message| scenario.payload(self.id, message, rng))
                .collect(),
            ack: match self.tongue == Tongue::Native && rng.u8(0..3) == 0 {
                true => PublishAck::Unwanted,
                false => PublishAck::Wanted,
            },
        }
    }

    fn messages_json(&mut self, scenario: &Scenario, rng: &mut Rng) -> Ask {
        match self.role == Role::Anyone && rng.u8(0..3) > 0 {
            true => self.publish(scenario, rng),
            false => pull(scenario, rng),
        }
    }

    fn messages_native(&mut self, scenario: &Scenario, rng: &mut Rng) -> Ask {
        let has_pushes = !self.pushed.is_empty() || rng.u8(0..10) == 0;
        match rng.u8(0..10) {
            0..6 if self.role == Role::Anyone => self.publish(scenario, rng),
            6 => pull(scenario, rng),
            7 if has_pushes => self.ack_anything(rng),
            0..4 | 8 if has_pushes => Ask::Request(Request::Credit {
                subscription: self.number(rng),
                bytes: if rng.bool() { rng.u32(0..2000) } else { rng.u32(0..30_000) },
            }),
            _ => self.attach(scenario, rng),
        }
    }

    /// A number that it most likely has.
    fn number(&self, rng: &mut Rng) -> u32 {
        let chosen = rng.usize(0..self.pushed.len() + 1);
        let known = self.pushed.keys().nth(chosen).copied();
        known.unwrap_or_else(|| if rng.u8(0..8) == 0 { rng.u32(0..=NUMBERS) } else { 1 })
    }

    fn ack_anything(&self, rng: &mut Rng) -> Ask {
        let number = self.number(rng);
        let last = self.pushed.get(&number).copied().flatten().unwrap_or(0);
        let offset = match rng.u8(0..10) {
            0 => last + rng.u64(0..20),
            1 => rng.u64(0..last + 1),
            _ => last,
        };
        Ask::Request(Request::Ack { subscription: number, offset, answer: SettleAnswer::Unwanted })
    }

    fn attach(&mut self, scenario: &Scenario, rng: &mut Rng) -> Ask {
        let policies = match self.role {
            Role::Reader => [LagPolicy::Hold, LagPolicy::Skip, LagPolicy::Hold],
            _ if scenario.disconnects_laggards => {
                [LagPolicy::Skip, LagPolicy::Disconnect, LagPolicy::Disconnect]
            }
            _ => [LagPolicy::Skip; 3],
        };
        let push = Push {
            credit_bytes: [0, 1, 500, 5000, 100_000][rng.usize(0..5)],
            ack_mode: if rng.bool() { AckMode::OnSend } else { AckMode::Cumulative },
            lag_policy: policies[rng.usize(0..3)],
            lifetime: if rng.u8(0..4) == 0 { Lifetime::Connection } else { Lifetime::Named },
        };
        Ask::Request(Request::Subscribe {
            topic: scenario.topic(rng).into(),
            subscriber: scenario.subscriber(rng).into(),
            delivery: Delivery::Push(push),
            start: Start::Earliest,
            acks: None,
        })
    }

    fn chore(&mut self, scenario: &Scenario, rng: &mut Rng) -> Ask {
        let topic = scenario.topic(rng).into();
        let request = match rng.u8(0..30) {
            0..7 => Request::Create {
                topic: scenario.new_topic(rng).into(),
                options: scenario.options(rng),
            },
            7 => Request::Create { topic, options: scenario.options(rng) },
            8 => Request::Delete { topic },
            9..11 => Request::Unsubscribe { topic, subscriber: scenario.subscriber(rng).into() },
            11..16 if self.tongue == Tongue::Native => {
                let number = self.number(rng);
                self.pushed.remove(&number);
                Request::Detach { subscription: number }
            }
            16..21 => Request::ListTopics,
            21..23 => Request::Subscribers { topic },
            23..25 => Request::Info,
            25..28 if self.tongue == Tongue::Json => return wrong_line(&scenario.limits, rng),
            25..28 => {
                self.correlation += 1;
                return wrong_frame(self.correlation, &scenario.limits, rng);
            }
            _ => Request::Ping,
        };
        Ask::Request(request)
    }

    /// Takes in what it is told, and gives what it asks in return.
    pub(crate) fn hear(&mut self, said: &Said, zeal: Zeal, rng: &mut Rng) -> Vec<(Ask, u32)> {
        match said {
            Said::Reply { correlation, reply: Reply::Subscribed { .. } }
                if self.tongue == Tongue::Native && *correlation < CORRELATION_MIN =>
            {
                self.pushed.insert(*correlation, None);
                if zeal == Zeal::Eager {
                    return self.release(*correlation);
                }
            }
            Said::Ended { number, .. } => {
                self.pushed.remove(number);
            }
            Said::Deliver { number, base_offset, payloads } => {
                let Some(last_offset) = self.pushed.get_mut(number) else { return Vec::new() };
                *last_offset = Some(base_offset + payloads.len() as u64 - 1);
                if zeal == Zeal::Eager || rng.u8(0..4) == 0 {
                    return self.release(*number);
                }
            }
            _ => {}
        }
        Vec::new()
    }

    /// Lets everything through.
    pub(crate) fn release_all(&mut self) -> Vec<(Ask, u32)> {
        let numbers: Vec<u32> = self.pushed.keys().copied().collect();
        numbers.into_iter().flat_map(|number| self.release(number)).collect()
    }

    fn release(&mut self, subscription: u32) -> Vec<(Ask, u32)> {
        let last_offset = self.pushed[&subscription];
        let ack = last_offset.map(|offset| Request::Ack {
            subscription,
            offset,
            answer: SettleAnswer::Unwanted,
        });
        let credit = Request::Credit { subscription, bytes: CREDIT_BYTES_PLENTY };
        let correlate = |request| {
            self.correlation += 1;
            (Ask::Request(request), self.correlation)
        };
        ack.into_iter().chain([credit]).map(correlate).collect()
    }
}

fn pull(scenario: &Scenario, rng: &mut Rng) -> Ask {
    let (topic, subscriber) = (scenario.topic(rng).into(), scenario.subscriber(rng).into());
    Ask::Request(match rng.u8(0..4) {
        0 => Request::Subscribe {
            topic,
            subscriber,
            delivery: Delivery::Pull,
            start: Start::Earliest,
            acks: None,
        },
        _ => Request::Pull { topic, subscriber, count_max: rng.bool().then(|| rng.u32(1..10)) },
    })
}

fn stranger(rng: &mut Rng) -> Ask {
    let (first, code) =
        [(0x16, Code::UnsupportedProtocol), (0x00, Code::WrongMagic), (0xFF, Code::WrongMagic)]
            [rng.usize(0..3)];
    Ask::Wrong { bytes: vec![first, 1, 2, 3].into(), code, is_fatal: true }
}

fn wrong_line(limits: &Limits, rng: &mut Rng) -> Ask {
    let lines: [(&[u8], Code); 6] = [
        (b"nonsense\n", Code::InvalidJson),
        (b"{\"command\":\"STOP\"}\r\n", Code::UnknownCommand),
        (b"{\"command\":\"PULL\",\"topic\":\"a\"}\n", Code::MissingKey),
        (b"{\"command\":\"CREATE\",\"topic\":1}\n", Code::MistypedKey),
        (b"{\"command\":\"PULL\",\"topic\":\"a\",\"sid\":\"s\",\"max\":0}\n", Code::InvalidValue),
        (b"\"\xFF\"\n", Code::InvalidUtf8),
    ];
    let chosen = rng.usize(0..lines.len() + 2);
    match lines.get(chosen) {
        Some((line, code)) => {
            Ask::Wrong { bytes: line.to_vec().into(), code: *code, is_fatal: false }
        }
        None if chosen == lines.len() => Ask::Blank,
        None => {
            let mut bytes = vec![b'x'; limits.line_bytes_max + rng.usize(1..100)];
            bytes.push(b'\n');
            Ask::Wrong { bytes: bytes.into(), code: Code::LineTooLong, is_fatal: false }
        }
    }
}

fn wrong_frame(correlation: u32, limits: &Limits, rng: &mut Rng) -> Ask {
    let frame = |kind: u8, flags: u8, body: &[u8]| {
        let mut bytes = (8 + body.len() as u32).to_le_bytes().to_vec();
        bytes.extend_from_slice(&[kind, flags, 0, 0]);
        bytes.extend_from_slice(&correlation.to_le_bytes());
        bytes.extend_from_slice(body);
        bytes
    };
    let wrong = |bytes: Vec<u8>, code| Ask::Wrong { bytes: bytes.into(), code, is_fatal: false };
    match rng.u8(0..13) {
        0..2 => wrong(frame(0x7E, 0, b""), Code::UnknownCommand),
        2..4 => wrong(frame(0x0C, 0, b"x"), Code::MalformedFrame),
        4..6 => wrong(frame(0x0C, 1, b""), Code::MalformedFrame),
        6..8 => wrong(frame(0x01, 1, b"\x01\0a\x02\0\0\0\0\0\0\0"), Code::MalformedFrame),
        8..10 => wrong(frame(0x04, 1, b"\x01\0a\x01\0s\0\0\0\0\x09"), Code::InvalidValue),
        10 => wrong(frame(0x0B, 0, b"\x01\0\xFF"), Code::InvalidUtf8),
        11 => {
            let body = vec![0; limits.frame_bytes_max - rng.usize(0..7)];
            wrong(frame(0x01, 1, &body), Code::FrameTooLarge)
        }
        _ => {
            let bytes = [&[7, 0, 0, 0][..], &[0; 8]].concat();
            Ask::Wrong { bytes: bytes.into(), code: Code::MalformedFrame, is_fatal: true }
        }
    }
}
