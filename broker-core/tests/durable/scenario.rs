//! What one seed's world is like: its limits, and how often things happen in it.

use crate::wire::Payload;
use broker_core::Limits;
use broker_core::limits::ENVELOPE_BYTES;
use fastrand::Rng;
use protocol::{AckTerms, Durability, Retention, StorageClass, TopicOptions};

const STEPS_MIN: usize = 300;
const STEPS_MAX: usize = 900;

#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) limits: Limits,
    pub(crate) segment_bytes_max: u64,
    pub(crate) buffer_bytes_max: u64,
    pub(crate) steps: usize,
    pub(crate) pause_us_max: u64,
    /// One in so many steps the journal makes progress.
    pub(crate) steps_per_commit: u32,
    /// One in so many steps the broker crashes or is stopped.
    pub(crate) steps_per_crash: u32,
    /// One in so many commits fails.
    pub(crate) commits_per_failure: u32,
    /// One in so many steps the journal is kept short.
    pub(crate) steps_per_upkeep: u32,
    /// Whether retention is at work.
    has_bounds: bool,
    /// Whether messages are given up to keep the journal short.
    pub(crate) gives_up: bool,
}

impl Scenario {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let message_bytes_max = [300, 2000, 2000, 2000, 2000, 90_000][rng.usize(0..6)];
        let room_bytes = message_bytes_max + ENVELOPE_BYTES;
        let limits = Limits {
            message_bytes_max,
            topic_name_bytes_max: 40,
            line_bytes_max: 8 * room_bytes,
            frame_bytes_max: 8 * room_bytes,
            pull_bytes_max: message_bytes_max * rng.usize(1..5),
            output_bytes_max: [1, 600, 5000, 100_000][rng.usize(0..4)],
            publisher_hold_ms_max: [0, 5, 40, 500][rng.usize(0..4)],
            topic_cache_bytes_max: [0, 1, 2000, 8000][rng.usize(0..4)],
            answers_waiting_max: [1, 3, 1000][rng.usize(0..3)],
            ..Limits::default()
        };
        assert_eq!(limits.check(), Ok(()));
        Self {
            limits,
            segment_bytes_max: [4096, 16_384, 131_072][rng.usize(0..3)],
            buffer_bytes_max: [500, 10_000, 1 << 20][rng.usize(0..3)],
            steps: rng.usize(STEPS_MIN..STEPS_MAX),
            pause_us_max: [500, 20_000, 100_000][rng.usize(0..3)],
            steps_per_commit: rng.u32(3..40),
            steps_per_crash: rng.u32(60..400),
            commits_per_failure: [30, 200, u32::MAX][rng.usize(0..3)],
            steps_per_upkeep: rng.u32(10..60),
            has_bounds: rng.bool(),
            gives_up: rng.u8(0..4) == 0,
        }
    }

    pub(crate) fn options(&self, rng: &mut Rng) -> TopicOptions {
        if rng.u8(0..8) == 0 {
            let storage = Some(StorageClass::Memory);
            return TopicOptions { storage, ..TopicOptions::default() };
        }
        let durability = [None, None, Some(Durability::Sync), Some(Durability::Os)];
        TopicOptions {
            retention: if self.has_bounds { retention(rng) } else { Retention::default() },
            storage: rng.bool().then_some(StorageClass::Disk),
            durability: durability[rng.usize(0..4)],
        }
    }

    pub(crate) fn acks(&self, rng: &mut Rng) -> AckTerms<'static> {
        let backoff_ms_min = rng.u32(1..30);
        AckTerms {
            ack_timeout_ms: rng.u32(5..300),
            in_flight_max: rng.u32(1..20),
            deliveries_max: rng.u32(1..5),
            backoff_ms_min,
            backoff_ms_max: backoff_ms_min + rng.u32(0..100),
            dead_letter: None,
        }
    }

    /// The payload of message `count`; no other is like it.
    pub(crate) fn payload(&self, count: u64, rng: &mut Rng) -> Payload {
        let max = self.limits.message_bytes_max;
        let length = match rng.u8(0..100) {
            0..3 => max,
            3..10 => rng.usize(0..max),
            10..40 => rng.usize(0..300),
            _ => rng.usize(0..40),
        };
        let mut payload = format!("{count}:").into_bytes();
        payload.resize(length.max(payload.len()), b'.');
        Payload::from(&payload[..])
    }
}

fn retention(rng: &mut Rng) -> Retention {
    let one_in = |rng: &mut Rng, times: u8| rng.u8(0..times) == 0;
    Retention {
        bytes_max: one_in(rng, 2).then(|| rng.u64(100..20_000)),
        messages_max: one_in(rng, 3).then(|| rng.u64(1..50)),
        age_ms_max: one_in(rng, 4).then(|| rng.u64(8..500)),
    }
}
