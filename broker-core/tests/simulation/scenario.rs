//! What one seed's world is like: its limits, its names, and what is asked in it.

use crate::payload::{FILLER, Payload};
use broker_core::Limits;
use broker_core::limits::ENVELOPE_BYTES;
use fastrand::Rng;
use protocol::{Retention, TopicOptions};

const STEPS_MIN: usize = 600;
const STEPS_MAX: usize = 1800;

#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) limits: Limits,
    /// Whether all topics together are given less memory than they may hold one by one.
    pub(crate) memory_is_tight: bool,
    /// Whether some are to be disconnected when they lag. Then a session is given one publication
    /// at a time, so that it is plain which of them a subscriber could not keep up with.
    pub(crate) disconnects_laggards: bool,
    /// The topics that there are, as far as clients know.
    pub(crate) topics: Vec<String>,
    pub(crate) steps: usize,
    /// Time that one step of the clock takes at most.
    pub(crate) pause_us_max: u64,
    /// One in so many steps someone comes or goes.
    pub(crate) steps_per_arrival: u32,
    /// One in so many asks is for something else than messages.
    pub(crate) asks_per_chore: u32,
}

impl Scenario {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let message_bytes_max = rng.usize(400..6000);
        let room_bytes = message_bytes_max + ENVELOPE_BYTES;
        let topic_bytes_max = room_bytes + rng.usize(0..10_000);
        let memory_is_tight = rng.u8(0..5) == 0;
        let memory_bytes_max = match memory_is_tight {
            true => topic_bytes_max + rng.usize(0..8000),
            false => 64 << 20,
        };
        let limits = Limits {
            connections_max: rng.usize(3..12),
            topics_max: rng.usize(1..5),
            subscriptions_per_topic_max: rng.usize(1..7),
            attachments_per_connection_max: rng.usize(1..6),
            topic_name_bytes_max: 8,
            subscriber_id_bytes_max: 6,
            message_bytes_max,
            line_bytes_max: room_bytes + rng.usize(0..100),
            frame_bytes_max: room_bytes + rng.usize(0..100),
            topic_bytes_max,
            topic_messages_max: if rng.bool() { 0 } else { rng.u64(1..60) },
            topic_age_ms_max: if rng.u8(0..4) > 0 { 0 } else { rng.u64(20..600) },
            memory_bytes_max,
            pull_bytes_max: message_bytes_max * rng.usize(1..5),
            output_bytes_max: [1, 100, 600, 5000, 100_000][rng.usize(0..5)],
            publisher_hold_ms_max: [0, 5, 40, 200, 2000][rng.usize(0..5)],
            request_ms_max: [0, 300, 60_000][rng.usize(0..3)],
            linger_ms_max: rng.u64(1..100),
            ..Limits::default()
        };
        assert_eq!(limits.check(), Ok(()));
        Self {
            limits,
            memory_is_tight,
            disconnects_laggards: rng.bool(),
            topics: Vec::new(),
            steps: rng.usize(STEPS_MIN..STEPS_MAX),
            pause_us_max: [500, 20_000, 100_000][rng.usize(0..3)],
            steps_per_arrival: rng.u32(20..150),
            asks_per_chore: rng.u32(3..30),
        }
    }

    pub(crate) fn topic(&self, rng: &mut Rng) -> String {
        match rng.u8(0..100) {
            0 => String::new(),
            1 => "too long a name".to_owned(),
            2 => "a\tb".to_owned(),
            3..6 => self.new_topic(rng),
            _ => rng.choice(&self.topics).cloned().unwrap_or_else(|| "a".to_owned()),
        }
    }

    pub(crate) fn new_topic(&self, rng: &mut Rng) -> String {
        ["a", "b", "c", "größe"][rng.usize(0..4)].to_owned()
    }

    pub(crate) fn subscriber(&self, rng: &mut Rng) -> String {
        match rng.u8(0..60) {
            0 => String::new(),
            1 => "too long".to_owned(),
            2 => "a\nb".to_owned(),
            _ => format!("s{}", rng.u8(0..4)),
        }
    }

    pub(crate) fn options(&self, rng: &mut Rng) -> TopicOptions {
        TopicOptions { retention: self.retention(rng), ..TopicOptions::default() }
    }

    fn retention(&self, rng: &mut Rng) -> Retention {
        let one_in = |rng: &mut Rng, times: u8| rng.u8(0..times) == 0;
        Retention {
            bytes_max: (!one_in(rng, 3)).then(|| rng.u64(1..9000)),
            messages_max: one_in(rng, 3).then(|| rng.u64(1..50)),
            age_ms_max: one_in(rng, 8).then(|| rng.u64(1..500)),
        }
    }

    /// The payload that a client sends as its message `count`; no other is like it.
    pub(crate) fn payload(&self, client: u64, count: u64, rng: &mut Rng) -> Payload {
        let max = self.limits.message_bytes_max;
        let length = match rng.u8(0..100) {
            0 => max + rng.usize(1..50),
            1 => max,
            2..12 => rng.usize(0..max),
            12..40 => rng.usize(0..600),
            _ => rng.usize(0..60),
        };
        let mut payload = format!("{client}:{count}:").into_bytes();
        if rng.u8(0..20) == 0 {
            payload.push(0xFF);
        }
        payload.resize(length.max(payload.len()), FILLER);
        Payload::from(payload)
    }
}
