//! One publisher of a stream: as fast as it may, or at a pace, and with or without acknowledgements.

use super::streams::{Sending, StreamRun};
use super::{Extent, LoadError, Together};
use crate::clock::Clock;
use crate::config::LoadChoice;
use crate::drivers::{DriverError, StreamPublisher};
use crate::message::BatchStamp;
use crate::pace::Pace;
use measure::LatencyHistogram;
use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Longest sleep of a paced publisher before it looks whether to stop.
const PACE_SLEEP_MS_MAX: u64 = 50;

/// How exactly a paced publisher asks to be woken; the kernel's default is 50 µs late.
const TIMER_SLACK_NS: u64 = 1_000;

const NS_PER_MS: u64 = 1_000_000;

/// What one publisher did in the measured phase.
pub(super) struct Published {
    pub(super) sent: u64,
    pub(super) first_sent_ns: u64,
    pub(super) acked: Option<Acked>,
}

/// What one publisher was told in the measured phase.
#[derive(Debug, Default)]
pub(super) struct Acked {
    pub(super) messages: u64,
    pub(super) last_ns: u64,
    /// From sending to the acknowledgement.
    pub(super) latencies: LatencyHistogram,
}

pub(super) struct Publisher<'a> {
    pub(super) stream: &'a StreamRun,
    pub(super) producer: u16,
    pub(super) clock: Clock,
    pub(super) together: &'a Together<'a>,
    pub(super) sending: &'a Sending,
}

impl Publisher<'_> {
    pub(super) fn run(self, mut client: Box<dyn StreamPublisher>) -> Option<Published> {
        if self.stream.load != LoadChoice::Saturating {
            // Where the kernel refuses, messages are later, which the latencies show.
            let _refused = rustix::thread::set_current_timer_slack(NonZeroU64::new(TIMER_SLACK_NS));
        }
        let warmed_up =
            self.run_phase(client.as_mut(), Extent::DurationNs(self.stream.warmup_ns), 0)?;
        let measured = self.run_phase(client.as_mut(), self.own_extent(), warmed_up.sent)?;
        Some(measured)
    }

    fn own_extent(&self) -> Extent {
        match self.stream.extent {
            Extent::Count(messages) => {
                Extent::Count(share(messages, self.producer, self.stream.publishers))
            }
            duration => duration,
        }
    }

    fn run_phase(
        &self,
        client: &mut dyn StreamPublisher,
        extent: Extent,
        first_sequence: u64,
    ) -> Option<Published> {
        self.together.wait()?;
        let start_ns = self.clock.now_ns();
        let mut acks = self.stream.acks.map(|max| Acks::new(max, self.clock));
        let published = match self.stream.load {
            LoadChoice::Saturating => {
                self.saturate(client, extent, first_sequence, start_ns, acks.as_mut())
            }
            LoadChoice::RatePerS(rate_per_s) => {
                let publishers = self.stream.publishers;
                let pace = Pace::new(rate_per_s, self.producer, publishers, start_ns);
                self.keep_pace(client, extent, first_sequence, pace)
            }
        };
        let finished = published.and_then(|sent| match self.together.must_stop() {
            // Nobody may be there any more to make room for what is on its way.
            true => Ok(sent),
            false => client.finish().map(|()| sent),
        });
        if let Ok(sent) = finished {
            let sequence = first_sequence + sent;
            self.sending.sent[usize::from(self.producer)].store(sequence, Ordering::Release);
        }
        self.sending.unfinished.fetch_sub(1, Ordering::AcqRel);
        match finished {
            Ok(sent) => {
                self.together.wait()?;
                Some(Published {
                    sent,
                    first_sent_ns: start_ns,
                    acked: acks.map(|acks| acks.acked),
                })
            }
            Err(source) => {
                let doing = format!("publishing to the stream {}", self.stream.spec.topic);
                self.together.fail(LoadError::Client { doing, source });
                None
            }
        }
    }

    fn saturate(
        &self,
        client: &mut dyn StreamPublisher,
        extent: Extent,
        first_sequence: u64,
        start_ns: u64,
        mut acks: Option<&mut Acks>,
    ) -> Result<u64, DriverError> {
        let batch = self.stream.spec.batch;
        let mut sent = 0;
        while !self.together.must_stop() {
            let now_ns = self.clock.now_ns();
            let count = match extent {
                Extent::Count(messages) => (messages - sent).min(u64::from(batch)) as u32,
                Extent::DurationNs(duration_ns) if now_ns - start_ns >= duration_ns => 0,
                Extent::DurationNs(_) => batch,
            };
            if count == 0 {
                break;
            }
            let first_sequence = first_sequence + sent;
            client.publish(BatchStamp { count, first_sequence, sent_ns: now_ns, spacing_ns: 0 })?;
            sent += u64::from(count);
            if let Some(acks) = &mut acks {
                acks.add(count, now_ns);
                acks.receive_below(acks.in_flight_max, client)?;
            }
        }
        if let (Some(acks), false) = (acks, self.together.must_stop()) {
            acks.receive_below(1, client)?;
        }
        Ok(sent)
    }

    /// Each message carries the time when it was due, so that lateness of any cause counts.
    fn keep_pace(
        &self,
        client: &mut dyn StreamPublisher,
        extent: Extent,
        first_sequence: u64,
        pace: Pace,
    ) -> Result<u64, DriverError> {
        let messages = pace.messages_in(extent);
        let mut sent = 0;
        while sent < messages && !self.together.must_stop() {
            let now_ns = self.clock.now_ns();
            let left = u32::try_from(messages - sent).unwrap_or(u32::MAX);
            let count = pace.due_count(sent, now_ns, self.stream.spec.batch.min(left));
            let sent_ns = pace.due_ns(sent);
            if count == 0 {
                let sleep_ns = sent_ns.saturating_sub(now_ns).min(PACE_SLEEP_MS_MAX * NS_PER_MS);
                std::thread::sleep(Duration::from_nanos(sleep_ns));
                continue;
            }
            let (first_sequence, spacing_ns) = (first_sequence + sent, pace.spacing_ns());
            client.publish(BatchStamp { count, first_sequence, sent_ns, spacing_ns })?;
            sent += u64::from(count);
        }
        Ok(sent)
    }
}

/// The publications of one publisher that are not acknowledged yet, and what was of those that are.
struct Acks {
    in_flight_max: usize,
    clock: Clock,
    /// Messages, and when they were sent.
    in_flight: VecDeque<(u32, u64)>,
    acked: Acked,
}

impl Acks {
    fn new(in_flight_max: u32, clock: Clock) -> Self {
        let (in_flight, acked) = (VecDeque::new(), Acked::default());
        Self { in_flight_max: in_flight_max as usize, clock, in_flight, acked }
    }

    fn add(&mut self, count: u32, sent_ns: u64) {
        self.in_flight.push_back((count, sent_ns));
    }

    /// Receives until fewer than so many are under way.
    fn receive_below(
        &mut self,
        in_flight_max: usize,
        client: &mut dyn StreamPublisher,
    ) -> Result<(), DriverError> {
        while self.in_flight.len() >= in_flight_max {
            let received = client.receive_acks()?;
            let received_ns = self.clock.now_ns();
            for _ in 0..received {
                let Some((count, sent_ns)) = self.in_flight.pop_front() else {
                    return Err(DriverError::Unexpected {
                        expected: "one acknowledgement for each publication",
                        found: "one more".to_owned(),
                    });
                };
                let latency_ns = received_ns.saturating_sub(sent_ns);
                self.acked.latencies.record_ns_n(latency_ns, u64::from(count));
                self.acked.messages += u64::from(count);
                self.acked.last_ns = received_ns;
            }
        }
        Ok(())
    }
}

/// A publisher's share of the messages; the first publishers take what does not divide.
pub(super) fn share(messages: u64, producer: u16, publishers: u32) -> u64 {
    let publishers = u64::from(publishers);
    messages / publishers + u64::from(u64::from(producer) < messages % publishers)
}
