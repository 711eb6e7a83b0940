//! One subscriber of a stream: it receives until everything that was sent is there.

use super::streams::Sending;
use super::{LoadError, Phase, Together};
use crate::clock::Clock;
use crate::drivers::{DriverError, Received, StreamSubscriber};
use crate::intake::{Intake, Span};
use crate::ledger::Faults;
use std::sync::atomic::Ordering;

/// How long a subscriber waits for the next message after everything was sent.
const DRAIN_IDLE_MS_MAX: u64 = 3_000;

/// How long a subscriber goes on receiving after everything was sent.
const DRAIN_MS_MAX: u64 = 60_000;

const NS_PER_MS: u64 = 1_000_000;

pub(super) struct Subscriber<'a> {
    pub(super) clock: Clock,
    pub(super) together: &'a Together<'a>,
    pub(super) sending: &'a Sending,
    pub(super) intake: Intake,
}

impl Subscriber<'_> {
    pub(super) fn run(mut self, mut client: Box<dyn StreamSubscriber>) -> Option<(Faults, Span)> {
        let mut received_before = 0;
        for _ in [Phase::WarmUp, Phase::Measured] {
            received_before += self.intake.take_span().received;
            self.together.wait()?;
            if let Err(source) = self.receive_phase(client.as_mut(), received_before) {
                let doing = "receiving a stream".to_owned();
                self.together.fail(LoadError::Client { doing, source });
                return None;
            }
            self.together.wait()?;
        }
        let faults = self.intake.ledger().faults(&self.sending.sent());
        Some((faults, self.intake.take_span()))
    }

    /// Receives until everything sent is there, or nothing comes any more.
    fn receive_phase(
        &mut self,
        client: &mut dyn StreamSubscriber,
        received_before: u64,
    ) -> Result<(), DriverError> {
        let mut drain = None;
        loop {
            let received = client.receive(&mut self.intake)?;
            // Even if all is to stop, publishers must not be left blocked.
            if self.sending.unfinished.load(Ordering::Acquire) > 0 {
                continue;
            }
            if self.together.must_stop() {
                return Ok(());
            }
            let now_ns = self.clock.now_ns();
            let drain = drain.get_or_insert_with(|| Drain::begin(now_ns));
            if received == Received::Messages {
                drain.idle_since_ns = now_ns;
            }
            let all = self.has_all(received_before);
            if all && received == Received::Nothing || drain.is_over(now_ns) {
                return Ok(());
            }
        }
    }

    /// The count is cheap to compare; only when it is reached is the ledger asked.
    fn has_all(&self, received_before: u64) -> bool {
        let sent = self.sending.sent();
        received_before + self.intake.received() >= sent.iter().sum()
            && self.intake.ledger().lost(&sent) == 0
    }
}

/// How long a subscriber has been waiting for what was sent.
struct Drain {
    since_ns: u64,
    idle_since_ns: u64,
}

impl Drain {
    fn begin(now_ns: u64) -> Self {
        Self { since_ns: now_ns, idle_since_ns: now_ns }
    }

    fn is_over(&self, now_ns: u64) -> bool {
        now_ns - self.idle_since_ns > DRAIN_IDLE_MS_MAX * NS_PER_MS
            || now_ns - self.since_ns > DRAIN_MS_MAX * NS_PER_MS
    }
}
