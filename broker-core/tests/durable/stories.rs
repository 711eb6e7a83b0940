//! What a seed may take long to come upon, told one by one.

use crate::disk::Disk;
use crate::link::Link;
use crate::wire::{Ask, Given, Payload, Reply, Said, Tongue};
use broker_core::journal::{Journal, Recovery};
use broker_core::{Broker, Identity, Limits, Now, SessionKey, Settings, Wakes};
use protocol::{
    AckMode, Code, Delivery, Durability, LagPolicy, Lifetime, PublishAck, PublishTerms, Push,
    Request, Retention, Start, TopicOptions,
};
use std::sync::Arc;

const SEGMENT_BYTES: u64 = 4096;

/// Of messages in these stories.
const MESSAGE_BYTES_MAX: usize = 100_000;

/// One broker, and one client that gets all its answers.
struct Bench {
    disk: Arc<Disk>,
    broker: Arc<Broker>,
    link: Link,
    now: Now,
}

impl Bench {
    fn new() -> Self {
        Self::over(Disk::new(SEGMENT_BYTES, 1 << 30))
    }

    /// The broker that `disk` makes.
    fn over(disk: Disk) -> Self {
        let disk = Arc::new(disk);
        let limits = Limits {
            message_bytes_max: MESSAGE_BYTES_MAX,
            topic_cache_bytes_max: 0,
            ..Limits::default()
        };
        let mut recovery = Recovery::new(limits);
        disk.recover(&mut recovery);
        let identity = Identity { backend: "stories", version: "0" };
        let journal = Arc::clone(&disk) as Arc<dyn Journal>;
        let now = Now::default();
        let (broker, report) = recovery.finish(identity, Settings::default(), journal, now);
        assert_eq!((report.missing.len(), report.nameless.len()), (0, 0), "{report:?}");
        let broker = Arc::new(broker);
        let mut link = Link::new(&broker, SessionKey(1), Tongue::Native, now);
        link.write(usize::MAX);
        Self { disk, broker, link, now }
    }

    /// The power is cut when the journal ends at `cut`, and the broker begins again.
    fn cut(&self, cut: u64) -> Self {
        Self::over(self.disk.crashed(cut))
    }

    /// Asks, without the journal making progress.
    fn ask_only(&mut self, ask: &Ask) -> Option<Reply> {
        let bytes = ask.encode(Tongue::Native, 7);
        let (taken, called) = self.link.feed_bytes(&bytes, self.now);
        assert_eq!(taken, bytes.len(), "{ask:?} is taken");
        reply(called.said)
    }

    /// Asks, and lets the journal come so far that it is answered.
    fn ask(&mut self, ask: &Ask) -> Reply {
        let told = self.ask_only(ask);
        self.progress();
        let woken = self.link.call(self.now, |session, turn| {
            session.handle_wake(broker_core::Cause::Stored, turn);
        });
        self.link.write(usize::MAX);
        told.or(reply(woken.said)).expect("an answer")
    }

    fn progress(&mut self) {
        self.disk.sync_all();
        self.broker.handle_progress(&mut Wakes::new());
    }

    fn request(&mut self, request: Request<'static>) -> Reply {
        self.ask(&Ask::Request(request))
    }

    fn create(&mut self, options: TopicOptions) {
        assert_eq!(self.request(Request::Create { topic: "t".into(), options }), Reply::Done);
    }

    fn publish(&mut self, payloads: &[Payload]) -> Reply {
        self.ask(&publication(payloads))
    }

    fn subscribe(&mut self, subscriber: &'static str, start: Start) -> u64 {
        let request = Request::Subscribe {
            topic: "t".into(),
            subscriber: subscriber.into(),
            delivery: Delivery::Pull,
            start,
            acks: None,
        };
        match self.request(request) {
            Reply::Subscribed { next_offset } => next_offset,
            other => panic!("expected a subscription, found {other:?}"),
        }
    }

    fn seek(&mut self, subscriber: &'static str, to: Start) -> u64 {
        let (topic, subscriber) = ("t".into(), subscriber.into());
        match self.request(Request::Seek { topic, subscriber, to }) {
            Reply::Subscribed { next_offset } => next_offset,
            other => panic!("expected a place, found {other:?}"),
        }
    }

    fn pull(&mut self, subscriber: &'static str) -> Given {
        let (topic, subscriber) = ("t".into(), subscriber.into());
        match self.request(Request::Pull { topic, subscriber, count_max: None }) {
            Reply::Pulled { given, .. } => given,
            other => panic!("expected messages, found {other:?}"),
        }
    }

    /// The first offset that the topic holds, and all messages from there on.
    fn all(&mut self) -> (u64, Vec<Payload>) {
        self.subscribe("reader", Start::Earliest);
        let first = self.seek("reader", Start::Earliest);
        let mut all = Vec::new();
        loop {
            let given = self.pull("reader");
            if given.payloads.is_empty() {
                return (first, all);
            }
            all.extend(given.payloads);
        }
    }

    /// What is pushed to a new subscriber, without the journal making progress.
    fn pushed(&mut self) -> Vec<Payload> {
        let push = Push {
            credit_bytes: 1 << 20,
            ack_mode: AckMode::OnSend,
            lag_policy: LagPolicy::Skip,
            lifetime: Lifetime::Connection,
        };
        let subscribe = Request::Subscribe {
            topic: "t".into(),
            subscriber: "pushed".into(),
            delivery: Delivery::Push(push),
            start: Start::Earliest,
            acks: None,
        };
        self.ask_only(&Ask::Request(subscribe)).expect("it is answered at once");
        let mut all = Vec::new();
        self.link.owes_poll = true;
        while self.link.owes_poll {
            let said = self.link.poll(self.now).said;
            self.link.write(usize::MAX);
            all.extend(said.into_iter().flat_map(|said| match said {
                Said::Deliver { given, .. } => given.payloads,
                other => panic!("expected messages, found {other:?}"),
            }));
        }
        all
    }

    /// Takes a snapshot; `between` happens before any topic is told of in it.
    fn snapshot(&mut self, between: impl FnOnce(&mut Self)) {
        let dead = self.disk.dead_segments();
        let mut between = Some(between);
        let mut records = Vec::new();
        let broker = Arc::clone(&self.broker);
        let position = broker.snapshot(&mut |kind, body| {
            records.push((kind, body.to_vec()));
            if let Some(between) = between.take() {
                between(self);
            }
        });
        self.disk.keep_snapshot(position.expect("the journal is well"), records, dead);
        self.progress();
    }
}

fn reply(said: Vec<Said>) -> Option<Reply> {
    let mut replies = said.into_iter().map(|said| match said {
        Said::Reply { reply, .. } => reply,
        other => panic!("expected an answer, found {other:?}"),
    });
    let first = replies.next();
    assert_eq!(replies.next(), None, "one answer");
    first
}

fn publication(payloads: &[Payload]) -> Ask {
    Ask::Publish {
        topic: "t".into(),
        payloads: payloads.to_vec(),
        ack: PublishAck::Wanted,
        terms: PublishTerms::default(),
    }
}

/// Messages that differ, each of so many bytes.
fn payloads(count: u8, bytes: usize) -> Vec<Payload> {
    (0..count).map(|number| Payload::from(&vec![b'a' + number; bytes][..])).collect()
}

#[test]
fn a_batch_that_is_cut_between_its_records_is_not_there_at_all() {
    let mut bench = Bench::new();
    bench.create(TopicOptions::default());
    let before = payloads(2, 10);
    bench.publish(&before);
    let synced = bench.disk.end();
    let large = payloads(20, 10_000);
    assert_eq!(bench.ask_only(&publication(&large)), None, "nothing is stored yet");
    let cuts = bench.disk.cuts(synced);
    assert!(cuts.len() > 3, "the batch is in several records: {cuts:?}");
    for cut in &cuts[..cuts.len() - 1] {
        let mut next = bench.cut(*cut);
        assert_eq!(next.all(), (0, before.clone()), "cut at {cut} of {cuts:?}");
        // What comes next takes the place of what was cut.
        let after = payloads(3, 20);
        assert_eq!(next.publish(&after), Reply::Published { base_offset: 2 });
        let mut last = next.cut(next.disk.end());
        assert_eq!(last.all().1[2..], after, "cut at {cut}");
    }
    let mut whole = bench.cut(bench.disk.end());
    assert_eq!(whole.all(), (0, [before, large].concat()));
}

/// What is left of the batch lies between the messages before and those after it.
#[test]
fn a_part_of_a_batch_that_a_crash_left_is_not_read_in_the_place_of_others() {
    let mut bench = Bench::over(Disk::new(1 << 20, 1 << 30));
    bench.create(TopicOptions::default());
    let before = payloads(2, 10);
    bench.publish(&before);
    let synced = bench.disk.end();
    let batch = [payloads(1, 20), payloads(1, MESSAGE_BYTES_MAX)].concat();
    assert_eq!(bench.ask_only(&publication(&batch)), None, "nothing is stored yet");
    let cuts = bench.disk.cuts(synced);
    assert_eq!(cuts.len(), 3, "the batch is in two records: {cuts:?}");
    let mut next = bench.cut(cuts[1]);
    let after = payloads(1, 30);
    assert_eq!(next.publish(&after), Reply::Published { base_offset: 2 });
    let expected = (0, [before, after].concat());
    assert_eq!(next.all(), expected);
    assert_eq!(next.cut(next.disk.end()).all(), expected);
    let mut with_snapshot = bench.cut(cuts[1]);
    with_snapshot.snapshot(|_| ());
    let mut last = with_snapshot.cut(with_snapshot.disk.end());
    last.publish(&expected.1[2..]);
    assert_eq!(last.all(), expected);
}

#[test]
fn a_message_larger_than_a_record_is_stored_and_read_whole() {
    let mut bench = Bench::new();
    bench.create(TopicOptions::default());
    let messages = payloads(3, MESSAGE_BYTES_MAX);
    bench.publish(&messages);
    assert_eq!(bench.all(), (0, messages.clone()));
    let mut next = bench.cut(bench.disk.end());
    assert_eq!(next.all(), (0, messages));
}

#[test]
fn a_topic_made_anew_while_a_snapshot_is_taken_is_the_new_one() {
    let mut bench = Bench::new();
    bench.create(TopicOptions::default());
    bench.publish(&payloads(3, 10));
    let new = payloads(1, 30);
    bench.snapshot(|bench| {
        let topic = "t".into();
        assert_eq!(bench.request(Request::Delete { topic }), Reply::Done);
        bench.create(TopicOptions::default());
        bench.publish(&new);
    });
    let mut next = bench.cut(bench.disk.end());
    assert_eq!(next.all(), (0, new));
}

#[test]
fn moved_messages_are_read_all_the_time_and_their_segment_goes() {
    let mut bench = Bench::new();
    bench.create(TopicOptions::default());
    let messages = payloads(10, 500);
    for message in &messages {
        bench.publish(std::slice::from_ref(message));
    }
    let live_bytes = bench.disk.live_bytes();
    let segment = bench.disk.full_segments()[0];
    assert!(bench.broker.move_stored(segment).expect("it is well") > 0);
    assert_eq!(bench.broker.move_stored(segment), Ok(0), "they are on their way");
    assert!(bench.disk.live_bytes() > live_bytes, "both places are needed");
    // The journal has not written them at their new place.
    assert_eq!(bench.pushed(), messages);
    assert_eq!(bench.cut(bench.disk.reached().synced).all(), (0, messages.clone()));
    bench.progress();
    bench.snapshot(|_| ());
    assert!(!bench.disk.full_segments().contains(&segment), "nothing needs it any more");
    assert_eq!(bench.all(), (0, messages.clone()));
    let mut next = bench.cut(bench.disk.end());
    assert_eq!(next.all(), (0, messages));
}

#[test]
fn a_seek_by_time_finds_messages_that_were_moved() {
    let mut bench = Bench::new();
    bench.create(TopicOptions::default());
    let messages = payloads(20, 400);
    for (ms, message) in (0..).step_by(10).zip(&messages) {
        bench.now = Now::default().plus_ms(ms);
        bench.publish(std::slice::from_ref(message));
    }
    bench.subscribe("s", Start::Earliest);
    let seek = |bench: &mut Bench, unix_ms| bench.seek("s", Start::Time { unix_ms });
    assert_eq!([0, 35, 70, 190, 191].map(|ms| seek(&mut bench, ms)), [0, 4, 7, 19, 20]);
    let segment = bench.disk.full_segments()[0];
    bench.broker.move_stored(segment).expect("it is well");
    bench.progress();
    for (ms, exact) in [(0, 0), (35, 4), (70, 7), (190, 19)] {
        let found = seek(&mut bench, ms);
        assert!(found <= exact, "the message of {ms} ms is {exact}, found {found}");
    }
}

#[test]
fn what_retention_took_stays_away_after_a_restart() {
    let mut bench = Bench::new();
    let retention = Retention { messages_max: Some(5), ..Retention::default() };
    bench.create(TopicOptions { retention, ..TopicOptions::default() });
    let messages = payloads(12, 10);
    bench.publish(&messages[..7]);
    bench.publish(&messages[7..]);
    assert_eq!(bench.all(), (7, messages[7..].to_vec()));
    let mut next = bench.cut(bench.disk.end());
    assert_eq!(next.all(), (7, messages[7..].to_vec()));
    next.snapshot(|_| ());
    let mut last = next.cut(next.disk.end());
    assert_eq!(last.all(), (7, messages[7..].to_vec()));
}

#[test]
fn a_journal_that_failed_refuses_and_shows_nothing_new() {
    let mut bench = Bench::new();
    bench.create(TopicOptions::default());
    let kept = payloads(2, 10);
    bench.publish(&kept);
    bench.subscribe("s", Start::Earliest);
    assert_eq!(bench.ask_only(&publication(&payloads(1, 50))), None);
    bench.disk.fail();
    bench.progress();
    let told = bench.link.call(bench.now, |session, turn| {
        session.handle_wake(broker_core::Cause::Stored, turn);
    });
    assert_eq!(reply(told.said), Some(Reply::Refused(Code::StorageFailed)));
    assert_eq!(bench.publish(&kept), Reply::Refused(Code::StorageFailed));
    let pull = Request::Pull { topic: "t".into(), subscriber: "s".into(), count_max: None };
    assert_eq!(bench.request(pull), Reply::Refused(Code::StorageFailed));
    let options = TopicOptions { durability: Some(Durability::Os), ..TopicOptions::default() };
    let create = Request::Create { topic: "u".into(), options };
    assert_eq!(bench.request(create), Reply::Refused(Code::StorageFailed));
    let mut next = bench.cut(bench.disk.reached().synced);
    assert_eq!(next.all(), (0, kept));
}
