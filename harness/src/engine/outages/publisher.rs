//! A publisher that outlives its connection: what was not acknowledged is sent again over the next.

use super::scene::{BackOff, INTERVALS_MAX, Life, SLICE_NS, Scene, Stage};
use super::{OutageRun, PHASE};
use crate::drivers::DriverError;
use crate::engine::line::Line;
use crate::intake::Recorder;
use crate::ledger::Ledger;
use crate::message::{BatchStamp, Intended};
use crate::schedule::{Arrivals, Extent, LoadModel, Schedule, Share, Terms};
use crate::wire::Publisher;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

/// What a publisher found.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// Messages sent.
    pub(super) sent: u64,
    /// Messages sent for the first time, in each interval.
    pub(super) sent_per_interval: Vec<u64>,
    /// Its last acknowledgement over the first connection.
    pub(super) last_before_ns: Option<u64>,
    /// Its first acknowledgement over a connection made after the stop.
    pub(super) first_after_ns: Option<u64>,
}

/// A publisher and, while it has one, its connection.
pub(super) struct PublisherClient<'a> {
    run: &'a OutageRun,
    scene: &'a Scene,
    publisher: u32,
    connection: Option<Connection>,
    back_off: BackOff,
    schedule: Option<Schedule>,
    start_ns: u64,
    next_sequence: u64,
    /// Taken from the schedule and not acknowledged, oldest first.
    unacknowledged: VecDeque<Publication>,
    /// Nothing is delivered to a publisher; its conversation wants them all the same.
    recorder: Recorder,
    ledger: Ledger,
    found: Published,
    was_ready: bool,
}

struct Connection {
    line: Line,
    conversation: Box<dyn Publisher>,
    life: Life,
    /// How many of the oldest unacknowledged publications went over it.
    under_way: usize,
}

/// Consecutive messages that are published together, as often as it takes.
struct Publication {
    first_sequence: u64,
    due_ns: Vec<u64>,
    was_sent: bool,
}

impl<'a> PublisherClient<'a> {
    pub(super) fn new(run: &'a OutageRun, scene: &'a Scene, publisher: u32) -> Self {
        let recorder = Recorder::new(scene.clock, run.terms.payloads.clone(), run.run_id, 1);
        Self {
            run,
            scene,
            publisher,
            connection: None,
            back_off: BackOff::new(),
            schedule: None,
            start_ns: 0,
            next_sequence: 0,
            unacknowledged: VecDeque::new(),
            recorder,
            ledger: Ledger::new(0),
            found: Published::default(),
            was_ready: false,
        }
    }

    /// Publishes what is due until all is acknowledged, or all is over.
    pub(super) fn run(mut self) -> Published {
        loop {
            match self.scene.stage() {
                Stage::Draining | Stage::Over => break,
                Stage::Sending { start_ns } => self.begin(start_ns),
                Stage::Connecting => {}
            }
            if self.is_done() {
                self.scene.count_done();
                break;
            }
            if let Err(error) = self.turn() {
                self.connection = None;
                let doing = format!("publisher {}", self.publisher);
                if !self.scene.handle_lost(doing, error) {
                    break;
                }
                self.back_off.wait(self.scene);
            }
        }
        self.found
    }

    fn begin(&mut self, start_ns: u64) {
        if self.schedule.is_some() {
            return;
        }
        let terms = Terms {
            model: LoadModel::Open {
                rate_per_s: self.run.rate_per_s,
                arrivals: Arrivals::Constant,
            },
            warmup_ns: 0,
            extent: Extent::DurationNs(self.run.duration_ns),
        };
        let share = Share::interleaved(self.publisher, self.run.publishers, self.run.publishers)
            .expect("a publisher is among the publishers");
        let schedule = Schedule::new(&terms, share, start_ns, 0)
            .expect("the configuration's rate was checked");
        (self.schedule, self.start_ns) = (Some(schedule), start_ns);
    }

    fn is_done(&self) -> bool {
        let is_sent = self.schedule.as_ref().is_some_and(|it| it.next_due_ns().is_none());
        is_sent && self.unacknowledged.is_empty()
    }

    /// Connects, or publishes and listens for a moment.
    fn turn(&mut self) -> Result<(), DriverError> {
        if self.connection.is_none() {
            let Some(broker) = self.scene.broker() else { return Ok(()) };
            let mut conversation = broker.driver.publisher(&self.run.terms, self.publisher);
            let line = Line::connect(broker.driver.address(), conversation.as_mut())?;
            let life = broker.life;
            self.connection = Some(Connection { line, conversation, life, under_way: 0 });
        }
        let wait_ns = self.publish()?;
        self.listen(wait_ns)
    }

    /// Publishes all that may be published, what went over another connection first; how long
    /// there is nothing more to publish, as far as it is known.
    fn publish(&mut self) -> Result<u64, DriverError> {
        loop {
            let Some(connection) = &mut self.connection else { return Ok(0) };
            if !connection.line.tidings.ready || connection.under_way >= self.run.acks as usize {
                return Ok(SLICE_NS);
            }
            let (now_ns, room) = (self.scene.clock.now_ns(), connection.conversation.room());
            if connection.under_way == self.unacknowledged.len() {
                let Some(schedule) = &mut self.schedule else { return Ok(SLICE_NS) };
                let Some(due_ns) = schedule.next_due_ns() else { return Ok(SLICE_NS) };
                if due_ns > now_ns {
                    return Ok((due_ns - now_ns).min(SLICE_NS));
                }
                let max = self.run.terms.batch_max.min(room);
                let Some(due) = schedule.take_due(now_ns, max) else { return Ok(SLICE_NS) };
                let (first_sequence, due_ns) = (self.next_sequence, due.times_ns.to_vec());
                self.next_sequence += due_ns.len() as u64;
                let was_sent = false;
                self.unacknowledged.push_back(Publication { first_sequence, due_ns, was_sent });
            }
            let publication = &mut self.unacknowledged[connection.under_way];
            if publication.messages() > u64::from(room) {
                return Ok(SLICE_NS);
            }
            let stamp = BatchStamp {
                count: publication.due_ns.len() as u32,
                topic: 0,
                producer: self.publisher,
                first_sequence: publication.first_sequence,
                intended: Intended::Each(&publication.due_ns),
                sent_ns: now_ns,
                run_id: self.run.run_id,
                phase: PHASE,
            };
            let bytes = connection.conversation.publish(&stamp);
            // It may be with the broker from here on, whatever comes of writing it.
            connection.under_way += 1;
            let (messages, is_again) = (publication.messages(), publication.was_sent);
            publication.was_sent = true;
            match is_again {
                true => drop(self.scene.counts.resent.fetch_add(messages, Ordering::Relaxed)),
                false => {
                    self.scene.counts.sent.fetch_add(messages, Ordering::Relaxed);
                    self.found.sent += messages;
                    let index = self.scene.interval(self.start_ns, now_ns).min(INTERVALS_MAX - 1);
                    let intervals = &mut self.found.sent_per_interval;
                    intervals.resize(intervals.len().max(index + 1), 0);
                    intervals[index] += messages;
                }
            }
            connection.line.write(bytes)?;
        }
    }

    fn listen(&mut self, wait_ns: u64) -> Result<(), DriverError> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let Connection { line, conversation, .. } = connection;
        if !line.read_within(wait_ns)? {
            return Ok(());
        }
        let heard = line.hear(conversation.as_mut(), &mut self.recorder, &mut self.ledger);
        // What was acknowledged before something else went wrong is acknowledged.
        let publications = std::mem::take(&mut line.tidings.acknowledged) as usize;
        let (is_ready, life) = (line.tidings.ready, connection.life);
        if publications > connection.under_way {
            let found = format!("{publications} of {}", connection.under_way);
            return Err(DriverError::unexpected("acknowledgements of what was published", &found));
        }
        connection.under_way -= publications;
        if publications > 0 {
            self.acknowledge(publications, life);
        }
        if is_ready {
            self.back_off.reset();
            if !self.was_ready {
                self.was_ready = true;
                self.scene.count_ready();
            }
        }
        heard
    }

    fn acknowledge(&mut self, publications: usize, life: Life) {
        let now_ns = self.scene.clock.now_ns();
        let messages = self.unacknowledged.drain(..publications).map(|it| it.messages()).sum();
        self.scene.counts.acknowledged[self.publisher as usize]
            .fetch_add(messages, Ordering::Relaxed);
        match life {
            Life::Before => self.found.last_before_ns = Some(now_ns),
            Life::After => drop(self.found.first_after_ns.get_or_insert(now_ns)),
        }
    }
}

impl Publication {
    fn messages(&self) -> u64 {
        self.due_ns.len() as u64
    }
}
