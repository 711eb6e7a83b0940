//! The terms of subscriptions: how their messages come, and how they are acknowledged.

use protocol::{AckMode, LagPolicy, Lifetime, Start, Verdict};
use std::borrow::Cow;
use std::time::Duration;

/// The terms of a push subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushTerms {
    /// Bytes of records that may be on their way or waiting to be consumed. Credit is given back
    /// when half of it was consumed.
    pub window_bytes: u32,
    /// When a message counts as read; says nothing where messages are acknowledged individually.
    pub ack_mode: AckMode,
    /// What happens when the subscriber falls behind what the topic holds.
    pub lag_policy: LagPolicy,
    /// What becomes of the subscription when the connection ends. Only a named one is attached
    /// again after a reconnect.
    pub lifetime: Lifetime,
    /// Where the subscription begins if it is made.
    pub start: Start,
    /// How messages are acknowledged individually, where they are. Then any number of consumers
    /// may attach to the subscription, and each message goes to one of them.
    pub acks: Option<AckTerms>,
}

impl Default for PushTerms {
    /// A named subscription, read when sent, that skips what it is too slow for.
    fn default() -> Self {
        Self {
            window_bytes: 4 * 1024 * 1024,
            ack_mode: AckMode::OnSend,
            lag_policy: LagPolicy::Skip,
            lifetime: Lifetime::Named,
            start: Start::Earliest,
            acks: None,
        }
    }
}

impl PushTerms {
    /// The same as [`PushTerms::default`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`window_bytes`](Self::window_bytes), at least 1.
    #[must_use]
    pub fn window_bytes(mut self, bytes: u32) -> Self {
        self.window_bytes = bytes.max(1);
        self
    }

    /// Sets [`ack_mode`](Self::ack_mode).
    #[must_use]
    pub fn ack_mode(mut self, mode: AckMode) -> Self {
        self.ack_mode = mode;
        self
    }

    /// Sets [`lag_policy`](Self::lag_policy).
    #[must_use]
    pub fn lag_policy(mut self, policy: LagPolicy) -> Self {
        self.lag_policy = policy;
        self
    }

    /// Sets [`lifetime`](Self::lifetime).
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets [`start`](Self::start).
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Has messages acknowledged individually.
    #[must_use]
    pub fn acks(mut self, acks: AckTerms) -> Self {
        self.acks = Some(acks);
        self
    }
}

/// The terms of a subscription that is pulled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullTerms {
    /// Where the subscription begins if it is made.
    pub start: Start,
    /// How messages are acknowledged individually, where they are. Then any number of consumers
    /// may pull from the subscription, and each message goes to one of them.
    pub acks: Option<AckTerms>,
}

impl PullTerms {
    /// The same as [`PullTerms::default`]: a cursor that begins with the oldest message held.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`start`](Self::start).
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Has messages acknowledged individually.
    #[must_use]
    pub fn acks(mut self, acks: AckTerms) -> Self {
        self.acks = Some(acks);
        self
    }
}

/// How messages are acknowledged individually. What is `None` is the broker's default. They are
/// the terms of the subscription: who joins one that exists takes them as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AckTerms {
    /// How long a delivered message may stay unacknowledged before it is delivered again.
    pub ack_timeout: Option<Duration>,
    /// Messages that may be delivered and unacknowledged at once, to all consumers together.
    pub in_flight_max: Option<u32>,
    /// Deliveries of one message, after which it goes to the dead-letter topic.
    pub deliveries_max: Option<u32>,
    /// Wait before the second delivery of a message; each further one waits longer.
    pub backoff_min: Option<Duration>,
    /// The longest such wait.
    pub backoff_max: Option<Duration>,
    /// Topic that takes what was delivered in vain; `None` is `<topic>.dead-letter`.
    pub dead_letter: Option<Box<str>>,
}

impl AckTerms {
    /// The broker's defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`ack_timeout`](Self::ack_timeout).
    #[must_use]
    pub fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.ack_timeout = Some(timeout);
        self
    }

    /// Sets [`in_flight_max`](Self::in_flight_max), at least 1.
    #[must_use]
    pub fn in_flight_max(mut self, messages: u32) -> Self {
        self.in_flight_max = Some(messages.max(1));
        self
    }

    /// Sets [`deliveries_max`](Self::deliveries_max), at least 1.
    #[must_use]
    pub fn deliveries_max(mut self, deliveries: u32) -> Self {
        self.deliveries_max = Some(deliveries.max(1));
        self
    }

    /// Sets [`backoff_min`](Self::backoff_min) and [`backoff_max`](Self::backoff_max).
    #[must_use]
    pub fn backoff(mut self, min: Duration, max: Duration) -> Self {
        (self.backoff_min, self.backoff_max) = (Some(min), Some(max));
        self
    }

    /// Sets [`dead_letter`](Self::dead_letter).
    #[must_use]
    pub fn dead_letter(mut self, topic: &str) -> Self {
        self.dead_letter = Some(topic.into());
        self
    }

    /// The terms as the wire says them.
    pub(crate) fn borrowed(&self) -> protocol::AckTerms<'_> {
        let ms = |wait: Option<Duration>| wait.map_or(0, |wait| whole_ms(wait).max(1));
        protocol::AckTerms {
            ack_timeout_ms: ms(self.ack_timeout),
            in_flight_max: self.in_flight_max.unwrap_or(0),
            deliveries_max: self.deliveries_max.unwrap_or(0),
            backoff_ms_min: ms(self.backoff_min),
            backoff_ms_max: ms(self.backoff_max),
            dead_letter: self.dead_letter.as_deref().map(Cow::Borrowed),
        }
    }
}

/// What became of messages that are to be delivered again, after `delay`, or after the
/// subscription's backoff where there is none.
pub(crate) fn nack(delay: Option<Duration>) -> Verdict {
    Verdict::Nack { delay_ms: delay.map(whole_ms) }
}

/// Whole milliseconds, not so many that the wire takes them for none.
fn whole_ms(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).min(u32::MAX - 1)
}
