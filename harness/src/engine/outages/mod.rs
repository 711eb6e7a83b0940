//! An outage: a stream under which the broker is stopped and started again.
//!
//! Each client is a thread over a blocking socket, since there are few, and since what is measured
//! is how they get over the loss of a connection and not how much they carry. Publishers want
//! acknowledgements and keep what has none; subscribers have subscriptions that the broker or they
//! themselves keep the place of, where there are such. The clients are told where the broker is as
//! soon as it says that it is ready, so that no back-off of theirs is measured with it.
//!
//! ```text
//! conductor:   connect -> send ------- stop, down, start -> announce ------ drain -> over
//! publishers:             publish, acknowledged | lost | connect, send again, publish
//! subscribers:            receive               | lost | connect, take up, receive ---->
//! ```

mod publisher;
mod scene;
mod subscriber;

use super::streams::join;
use super::{LoadError, Surroundings};
use crate::intake::{Interval, Recorder};
use crate::ledger::{Faults, Ledger};
use crate::live::LiveWriter;
use crate::wire::{Driver, StreamTerms, hold_conversation};
use measure::{LatencyHistogram, TimelinePoint};
use publisher::{Published, PublisherClient};
use scene::{Scene, Stage};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use subscriber::SubscriberClient;

/// What its messages carry; there is no warm-up.
const PHASE: u8 = 1;

/// How long what is under way is waited for in all, after the last message was due.
const DRAIN_MS_MAX: u64 = 60_000;

const NS_PER_MS: u64 = 1_000_000;

/// Intervals that the duration is parted into, and the shortest of them.
const INTERVALS: u64 = 60;
const INTERVAL_NS_MIN: u64 = 50 * NS_PER_MS;

/// From the word that all begins to the first message.
const LEAD_NS: u64 = 5 * NS_PER_MS;

/// One outage to bring about.
#[derive(Clone, Debug)]
pub struct OutageRun {
    /// Its only topic, its payloads, and messages in one publication at most.
    pub terms: StreamTerms,
    /// Connections that publish.
    pub publishers: u32,
    /// Connections that each receive everything.
    pub subscribers: u32,
    /// Messages per second over all publishers, at equal distances.
    pub rate_per_s: f64,
    /// Publications of each publisher under way at once.
    pub acks: u32,
    /// From the first message's time to the stop.
    pub kill_after_ns: u64,
    /// How long messages are due.
    pub duration_ns: u64,
    /// How long nothing may come while what is under way is waited for.
    pub drain_idle_ns: u64,
    /// How long connecting may take at first.
    pub connect_ms_max: u64,
    /// What its messages carry.
    pub run_id: u32,
}

/// What was done to the broker meanwhile; times on the run's clock.
pub struct Restored {
    /// Speaks to the process that is there now.
    pub driver: Arc<dyn Driver>,
    /// When the signal was sent.
    pub signal_ns: u64,
    /// When the process had ended.
    pub ended_ns: u64,
    /// When the next one was started.
    pub started_ns: u64,
    /// When it said that it was ready.
    pub ready_ns: u64,
}

/// What came of an outage.
#[derive(Clone, Debug)]
pub struct OutageOutcome {
    /// From the signal to the end of the process.
    pub stop_ns: u64,
    /// From the signal to the start of the next process.
    pub down_ns: u64,
    /// From its start to when it was ready.
    pub ready_ns: u64,
    /// From the signal to the first delivery over a later connection.
    pub recovered_ns: Option<u64>,
    /// From the signal to the first acknowledgement over a later connection.
    pub acknowledged_again_ns: Option<u64>,
    /// The longest that a publisher went without an acknowledgement because of it.
    pub unavailable_ns: Option<u64>,
    /// Messages sent.
    pub sent: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// Messages sent again.
    pub resent: u64,
    /// What was wrong with the deliveries; of those lost, the acknowledged.
    pub faults: Faults,
    /// From when messages were due to their delivery.
    pub response: LatencyHistogram,
    /// Progress.
    pub timeline: Vec<TimelinePoint>,
    /// Why a client did not come back at first, or at all, last.
    pub complaint: Option<String>,
}

impl OutageRun {
    fn interval_ns(&self) -> u64 {
        (self.duration_ns / INTERVALS).max(INTERVAL_NS_MIN)
    }
}

/// Runs a stream, and has the broker stopped and started under it by `stop_and_start`.
///
/// # Errors
/// What `stop_and_start` says, or [`LoadError`] if a client fails before that, or on an interrupt.
/// One that fails afterwards tries again, and is counted.
pub fn run_outage<E: From<LoadError>>(
    driver: Arc<dyn Driver>,
    run: &OutageRun,
    surroundings: &Surroundings<'_>,
    stop_and_start: impl FnOnce() -> Result<Restored, E>,
) -> Result<OutageOutcome, E> {
    let &Surroundings { clock, interrupt, generator, live, .. } = surroundings;
    prepare(driver.as_ref(), run).map_err(LoadError::client("preparing an outage"))?;
    let interval_ns = run.interval_ns();
    let scene = Scene::new(clock, interrupt.clone(), driver, run.publishers, interval_ns);
    let recorder = Mutex::new(Recorder::new(clock, Arc::clone(&run.terms.payloads), run.run_id, 1));
    let mut conductor =
        Conductor { run, scene: &scene, recorder: &recorder, live: live.writers().pop() };
    std::thread::scope(|scope| {
        let mut publishing = Vec::new();
        let subscribing: Vec<_> = (0..run.subscribers)
            .map(|subscriber| {
                let client = SubscriberClient::new(run, &scene, subscriber, &recorder);
                scope.spawn(move || {
                    let _entered = generator.enter(format!("subscriber {subscriber}"));
                    client.run()
                })
            })
            .collect();
        let conducted = (|| {
            conductor.await_ready(run.subscribers, "every subscriber to be ready")?;
            publishing.extend((0..run.publishers).map(|publisher| {
                let client = PublisherClient::new(run, &scene, publisher);
                scope.spawn(move || {
                    let _entered = generator.enter(format!("publisher {publisher}"));
                    client.run()
                })
            }));
            let all = run.subscribers + run.publishers;
            conductor.await_ready(all, "every publisher to be ready")?;
            conductor.conduct(stop_and_start)
        })();
        scene.enter(Stage::Over);
        let published: Vec<Published> = publishing.into_iter().map(join).collect();
        let ledgers: Vec<Ledger> = subscribing.into_iter().map(join).collect();
        let (times, start_ns) = conducted?;
        let recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(outcome(run, &scene, start_ns, &times, &published, &ledgers, &recorder))
    })
}

/// Makes the topic, or, after the outage, makes it again where it is gone: that it is there is
/// refused, and as it should be.
fn prepare(driver: &dyn Driver, run: &OutageRun) -> Result<(), crate::drivers::DriverError> {
    match driver.preparation(&run.terms) {
        None => Ok(()),
        Some(mut preparation) => hold_conversation(driver.address(), preparation.as_mut()),
    }
}

/// Leads the clients through.
struct Conductor<'a> {
    run: &'a OutageRun,
    scene: &'a Scene,
    recorder: &'a Mutex<Recorder>,
    live: Option<LiveWriter>,
}

impl Conductor<'_> {
    fn await_ready(&mut self, clients: u32, expected: &'static str) -> Result<(), LoadError> {
        let waited_ms = self.run.connect_ms_max;
        let until_ns = self.scene.clock.now_ns() + waited_ms * NS_PER_MS;
        loop {
            let [ready, _] = self.scene.progress()?;
            if ready >= clients {
                return Ok(());
            }
            if self.scene.clock.now_ns() > until_ns {
                return Err(LoadError::TimedOut { expected, waited_ms });
            }
        }
    }

    /// From the first message to the end of the drain: what was done to the broker, and when the
    /// first message was due.
    fn conduct<E: From<LoadError>>(
        &mut self,
        stop_and_start: impl FnOnce() -> Result<Restored, E>,
    ) -> Result<(Restored, u64), E> {
        let (run, scene) = (self.run, self.scene);
        let start_ns = scene.clock.now_ns() + LEAD_NS;
        self.lock_recorder().begin_phase(PHASE, start_ns, run.interval_ns());
        scene.enter(Stage::Sending { start_ns });
        while scene.clock.now_ns() < start_ns + run.kill_after_ns {
            scene.progress()?;
            self.show();
        }
        scene.take_down();
        let restored = stop_and_start()?;
        match prepare(restored.driver.as_ref(), run) {
            Err(error) if !error.is_refusal() => {
                return Err(LoadError::client("preparing the topic again")(error).into());
            }
            Ok(()) | Err(_) => {}
        }
        scene.bring_up(Arc::clone(&restored.driver));
        self.await_done(run.publishers, start_ns + run.duration_ns)?;
        scene.enter(Stage::Draining);
        self.await_done(run.publishers + run.subscribers, scene.clock.now_ns())?;
        Ok((restored, start_ns))
    }

    /// Waits until so many clients have done all they had to, or no more comes of waiting.
    fn await_done(&mut self, clients: u32, due_ns: u64) -> Result<(), LoadError> {
        let scene = self.scene;
        let now_ns = scene.clock.now_ns();
        let until_ns = now_ns.max(due_ns) + DRAIN_MS_MAX * NS_PER_MS;
        let (mut moved_ns, mut moved) = (now_ns.max(due_ns), None);
        loop {
            let [_, done] = scene.progress()?;
            self.show();
            let (now_ns, counts) = (scene.clock.now_ns(), scene.counts.live());
            let counts = Some((counts.delivered, counts.acknowledged));
            if counts != moved {
                (moved, moved_ns) = (counts, now_ns.max(due_ns));
            }
            let is_idle = now_ns.saturating_sub(moved_ns) > self.run.drain_idle_ns;
            if done >= clients || is_idle || now_ns > until_ns {
                return Ok(());
            }
        }
    }

    fn show(&mut self) {
        let (scene, recorder) = (self.scene, self.recorder);
        let now_ns = scene.clock.now_ns();
        if let Some(live) = self.live.as_mut().filter(|live| live.is_due(now_ns)) {
            live.write(now_ns, scene.counts.live(), |latencies| {
                let recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
                recorder.groups().iter().for_each(|group| latencies.merge(&group.response));
            });
        }
    }

    fn lock_recorder(&self) -> std::sync::MutexGuard<'_, Recorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn outcome(
    run: &OutageRun,
    scene: &Scene,
    start_ns: u64,
    times: &Restored,
    published: &[Published],
    ledgers: &[Ledger],
    recorder: &Recorder,
) -> OutageOutcome {
    let since_signal = |t_ns: u64| t_ns.saturating_sub(times.signal_ns);
    let sent: Vec<u64> = published.iter().map(|publisher| publisher.sent).collect();
    let acknowledged = scene.counts.acknowledged();
    let mut faults = Faults::default();
    for ledger in ledgers {
        // What was not acknowledged is promised to nobody.
        faults += Faults { lost: ledger.lost(&acknowledged), ..ledger.faults(&sent) };
    }
    let first_delivery_ns = scene.counts.first_delivery_ns.load(Ordering::Relaxed);
    let first_acknowledged_ns = published.iter().filter_map(|it| it.first_after_ns).min();
    // None if it is None of any.
    let unavailable_ns: Option<Vec<u64>> = published
        .iter()
        .map(|it| Some(it.first_after_ns?.saturating_sub(it.last_before_ns.unwrap_or(start_ns))))
        .collect();
    OutageOutcome {
        stop_ns: since_signal(times.ended_ns),
        down_ns: since_signal(times.started_ns),
        ready_ns: times.ready_ns.saturating_sub(times.started_ns),
        recovered_ns: (first_delivery_ns < u64::MAX).then(|| since_signal(first_delivery_ns)),
        acknowledged_again_ns: first_acknowledged_ns.map(since_signal),
        unavailable_ns: unavailable_ns.and_then(|all| all.into_iter().max()),
        sent: sent.iter().sum(),
        acknowledged: acknowledged.iter().sum(),
        resent: scene.counts.resent.load(Ordering::Relaxed),
        faults,
        response: recorder.groups()[0].response.clone(),
        timeline: timeline(run, scene, published, recorder.timeline().intervals()),
        complaint: scene.complaint(),
    }
}

fn timeline(
    run: &OutageRun,
    scene: &Scene,
    published: &[Published],
    received: &[Interval],
) -> Vec<TimelinePoint> {
    let interval_ns = run.interval_ns();
    let errors = scene.errors();
    let sent_in = |index: usize| {
        published.iter().filter_map(|it| it.sent_per_interval.get(index)).sum::<u64>()
    };
    let of_duration = run.duration_ns.div_ceil(interval_ns) as usize;
    let longest = published.iter().map(|it| it.sent_per_interval.len()).max().unwrap_or(0);
    let count = of_duration.max(longest).max(received.len()).max(errors.len());
    (0..count)
        .map(|index| {
            let received = received.get(index);
            let quantile = |quantile| received.and_then(|it| it.response.quantile_ns(quantile));
            TimelinePoint {
                t_ns: index as u64 * interval_ns,
                interval_ns,
                sent: sent_in(index),
                delivered: received.map_or(0, |interval| interval.received),
                errors: errors.get(index).copied().unwrap_or(0),
                response_p50_ns: quantile(0.5),
                response_p99_ns: quantile(0.99),
            }
        })
        .collect()
}
