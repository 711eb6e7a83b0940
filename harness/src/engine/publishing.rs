//! What the publishers of one generator thread do: who sends next, how much, and what came of it.

use super::Extent;
use super::board::{Board, Stage};
use super::due::{Pushing, ThreadSchedule};
use crate::message::{BatchStamp, Intended};
use crate::topic_choice::TopicChoice;
use crate::wire::Publisher;
use measure::LatencyHistogram;
use std::collections::VecDeque;

/// Publications of one publisher in a row, before others have their turn.
const TURN_PUBLICATIONS_MAX: u32 = 16;

/// A message that is sent so much later than it was due is late.
pub(super) const LATE_NS_MIN: u64 = 1_000_000;

/// A publisher of a stream.
pub(super) struct PublisherRole {
    pub(super) publisher: u32,
    pub(super) conversation: Box<dyn Publisher>,
    /// Messages sent so far to each topic.
    sequences: Vec<u64>,
    /// Publications that are not acknowledged, oldest first: messages, and when they were sent.
    in_flight: VecDeque<(u32, u64)>,
    /// Messages that it has yet to send in this phase.
    left: u64,
    finish: Finish,
    /// It is in the queue of those that can publish.
    is_queued: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finish {
    NotYet,
    Asked,
    Done,
}

impl PublisherRole {
    pub(super) fn new(publisher: u32, conversation: Box<dyn Publisher>, topics: u32) -> Self {
        Self {
            publisher,
            conversation,
            sequences: vec![0; topics as usize],
            in_flight: VecDeque::new(),
            left: 0,
            finish: Finish::Done,
            is_queued: false,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.finish == Finish::Done
    }

    /// Whether anything keeps it from publishing, its socket aside.
    fn can_publish(&self, in_flight_max: usize) -> bool {
        self.finish == Finish::NotYet
            && self.left > 0
            && self.in_flight.len() < in_flight_max
            && self.conversation.room() > 0
    }
}

/// How a thread's publishers go about it.
pub(super) struct PublishingTerms {
    /// When messages are due; `None`: as soon as they can be sent.
    pub(super) schedule: Option<ThreadSchedule>,
    pub(super) batch_max: u32,
    /// Publications of each publisher under way at once.
    pub(super) in_flight_max: Option<u32>,
    pub(super) confirmed: bool,
    pub(super) extent: Extent,
    pub(super) warmup_ns: u64,
    pub(super) topics: u32,
    /// Which topic each publication goes to; `None`: to the only one.
    pub(super) topic_choice: Option<TopicChoice>,
    pub(super) run_id: u32,
    /// Publishers on all threads.
    pub(super) publishers: u32,
    pub(super) interval_ns: u64,
}

/// What the publishers of one thread did in the measured phase.
#[derive(Clone, Debug, Default)]
pub(super) struct Published {
    pub(super) sent: u64,
    pub(super) late: u64,
    /// From when they were due to sending.
    pub(super) lateness: LatencyHistogram,
    pub(super) acknowledged: u64,
    pub(super) last_acknowledged_ns: u64,
    /// From sending to the acknowledgement.
    pub(super) acknowledgement: LatencyHistogram,
    /// Sent in each interval of the phase.
    pub(super) sent_by_interval: Vec<u64>,
}

/// When a thread's publishers want their next turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextTurn {
    /// At once.
    Now,
    /// At this time.
    AtNs(u64),
    /// When a socket or an acknowledgement says so.
    WhenWoken,
}

pub(super) struct Publishing {
    terms: PublishingTerms,
    /// Connections that can publish, in turn.
    queue: VecDeque<usize>,
    due: Vec<u64>,
    end_ns: u64,
    phase: u8,
    start_ns: u64,
    recorded: bool,
    pub(super) published: Published,
}

impl Publishing {
    pub(super) fn new(terms: PublishingTerms) -> Self {
        Self {
            terms,
            queue: VecDeque::new(),
            due: Vec::new(),
            end_ns: 0,
            phase: 0,
            start_ns: 0,
            recorded: false,
            published: Published::default(),
        }
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.terms.confirmed
    }

    /// A phase of publishing begins for all publishers of the thread.
    pub(super) fn begin(&mut self, stage: Stage, start_ns: u64) {
        self.recorded = stage == Stage::Measure;
        self.phase = stage.phase();
        self.start_ns = start_ns;
        self.queue.clear();
        self.published = Published::default();
        let extent = self.extent();
        self.end_ns = match extent {
            Extent::DurationNs(duration_ns) => start_ns + duration_ns,
            Extent::Count(_) => u64::MAX,
        };
        if let Some(schedule) = &mut self.terms.schedule {
            let pushing = match self.recorded {
                true => Pushing::Measured,
                false => Pushing::WarmUp,
            };
            schedule.begin(pushing, start_ns, extent);
        }
    }

    /// A publisher takes part in the phase.
    pub(super) fn enlist(&mut self, connection: usize, role: &mut PublisherRole) {
        role.left = match self.extent() {
            // The schedule ends by itself.
            _ if self.terms.schedule.is_some() => u64::MAX,
            Extent::Count(messages) => share(messages, role.publisher, self.terms.publishers),
            Extent::DurationNs(0) => 0,
            Extent::DurationNs(_) => u64::MAX,
        };
        role.finish = Finish::NotYet;
        role.is_queued = false;
        self.queue_if_willing(connection, role);
    }

    fn extent(&self) -> Extent {
        match self.recorded {
            true => self.terms.extent,
            false => Extent::DurationNs(self.terms.warmup_ns),
        }
    }

    /// A publisher whose socket is clear: it may have become able to publish.
    pub(super) fn queue_if_willing(&mut self, connection: usize, role: &mut PublisherRole) {
        if !role.is_queued && role.can_publish(self.in_flight_max()) {
            role.is_queued = true;
            self.queue.push_back(connection);
        }
    }

    fn in_flight_max(&self) -> usize {
        self.terms.in_flight_max.map_or(usize::MAX, |max| max as usize)
    }

    /// The next connection that is to publish.
    pub(super) fn next_in_queue(&mut self) -> Option<usize> {
        self.queue.pop_front()
    }

    /// How many of the queue have a turn before other work is looked at.
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Whether the phase's time is up, or all that was due is sent.
    pub(super) fn is_over(&self, now_ns: u64) -> bool {
        match &self.terms.schedule {
            Some(schedule) => schedule.is_exhausted(),
            None => now_ns >= self.end_ns,
        }
    }

    /// Has one publisher publish what is due, by `write`, which tells whether its socket is still
    /// clear. Returns whether anything was published.
    pub(super) fn publish<E>(
        &mut self,
        connection: usize,
        role: &mut PublisherRole,
        board: &Board,
        mut write: impl FnMut(&[u8]) -> Result<bool, E>,
    ) -> Result<bool, E> {
        role.is_queued = false;
        let mut published = false;
        let mut turns = TURN_PUBLICATIONS_MAX;
        let mut is_clear = true;
        while turns > 0 && is_clear && role.can_publish(self.in_flight_max()) {
            let now_ns = board.clock.now_ns();
            let count = self.take_due(role, now_ns);
            if count == 0 {
                break;
            }
            is_clear = write(self.encode(role, count, now_ns))?;
            self.count(role, count, now_ns);
            published = true;
            turns -= 1;
            if self.terms.schedule.is_some() {
                // The others of the thread share the schedule: each in turn.
                turns = 0;
            }
        }
        if is_clear {
            self.queue_if_willing(connection, role);
        }
        Ok(published)
    }

    /// How many messages it may publish now; their times are in `due` where there is a schedule.
    fn take_due(&mut self, role: &PublisherRole, now_ns: u64) -> u32 {
        let left = u32::try_from(role.left).unwrap_or(u32::MAX);
        let count_max = self.terms.batch_max.min(left).min(role.conversation.room());
        match &mut self.terms.schedule {
            None if now_ns >= self.end_ns => 0,
            None => count_max,
            Some(schedule) => {
                self.due.clear();
                schedule.take_due(now_ns, count_max, &mut self.due);
                self.due.len() as u32
            }
        }
    }

    fn encode<'a>(&mut self, role: &'a mut PublisherRole, count: u32, now_ns: u64) -> &'a [u8] {
        let topic = self.terms.topic_choice.as_mut().map_or(0, TopicChoice::draw);
        let sequence = &mut role.sequences[topic as usize];
        let intended = match self.terms.schedule {
            None => Intended::Together(now_ns),
            Some(_) => Intended::Each(&self.due),
        };
        let stamp = BatchStamp {
            count,
            topic,
            producer: role.publisher * self.terms.topics + topic,
            first_sequence: *sequence,
            intended,
            sent_ns: now_ns,
            run_id: self.terms.run_id,
            phase: self.phase,
        };
        *sequence += u64::from(count);
        role.conversation.publish(&stamp)
    }

    #[inline]
    fn count(&mut self, role: &mut PublisherRole, count: u32, now_ns: u64) {
        if self.terms.confirmed {
            role.in_flight.push_back((count, now_ns));
        }
        if role.left != u64::MAX {
            role.left -= u64::from(count);
        }
        let published = &mut self.published;
        published.sent += u64::from(count);
        if !self.recorded {
            return;
        }
        for &due_ns in self.due.iter().take(count as usize) {
            let lateness_ns = now_ns.saturating_sub(due_ns);
            published.lateness.record_ns(lateness_ns);
            published.late += u64::from(lateness_ns >= LATE_NS_MIN);
        }
        let interval = now_ns.saturating_sub(self.start_ns) / self.terms.interval_ns.max(1);
        let interval = usize::try_from(interval).unwrap_or(usize::MAX).min(INTERVALS_MAX - 1);
        if published.sent_by_interval.len() <= interval {
            published.sent_by_interval.resize(interval + 1, 0);
        }
        published.sent_by_interval[interval] += u64::from(count);
    }

    /// Publications were acknowledged. `false`: more than there were.
    pub(super) fn handle_acknowledged(
        &mut self,
        role: &mut PublisherRole,
        publications: u32,
        now_ns: u64,
    ) -> bool {
        for _ in 0..publications {
            let Some((count, sent_ns)) = role.in_flight.pop_front() else { return false };
            if self.recorded {
                let published = &mut self.published;
                let latency_ns = now_ns.saturating_sub(sent_ns);
                published.acknowledgement.record_ns_n(latency_ns, u64::from(count));
                published.acknowledged += u64::from(count);
                published.last_acknowledged_ns = now_ns;
            }
        }
        true
    }

    /// Looks whether a publisher has nothing left to send, and has it ask whether all is taken in.
    /// Returns what it asks, if so.
    pub(super) fn finish(&mut self, role: &mut PublisherRole, now_ns: u64) -> Option<Vec<u8>> {
        let nothing_left = role.left == 0 || self.is_over(now_ns);
        if role.finish != Finish::NotYet || !nothing_left || !role.in_flight.is_empty() {
            return None;
        }
        role.finish = Finish::Asked;
        let mut question = Vec::new();
        role.conversation.finish(&mut question);
        Some(question)
    }

    /// The broker has taken all in.
    pub(super) fn handle_finished(&mut self, role: &mut PublisherRole, board: &Board) {
        role.finish = Finish::Done;
        for (topic, &sent) in (0u32..).zip(&role.sequences) {
            board.set_sent(role.publisher * self.terms.topics + topic, sent);
        }
    }

    /// When there is something to publish next.
    pub(super) fn next_turn(&self, now_ns: u64) -> NextTurn {
        if self.is_over(now_ns) || self.queue.is_empty() {
            return match &self.terms.schedule {
                None if self.end_ns > now_ns && self.end_ns != u64::MAX => {
                    NextTurn::AtNs(self.end_ns)
                }
                _ => NextTurn::WhenWoken,
            };
        }
        match &self.terms.schedule {
            None => NextTurn::Now,
            Some(schedule) => match schedule.next_due_ns() {
                Some(due_ns) if due_ns > now_ns => NextTurn::AtNs(due_ns),
                Some(_) => NextTurn::Now,
                None => NextTurn::WhenWoken,
            },
        }
    }
}

const INTERVALS_MAX: usize = 600;

/// A publisher's share of the messages; the first publishers take what does not divide.
pub(super) fn share(messages: u64, publisher: u32, publishers: u32) -> u64 {
    let publishers = u64::from(publishers);
    messages / publishers + u64::from(u64::from(publisher) < messages % publishers)
}
