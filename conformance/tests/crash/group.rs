//! A group: what its consumers settled, and what must therefore never come again, or must come
//! yet.

use crate::topic_log::{Shown, TopicLog};
use conformance::{Leased, NativeClient, Speaks, wait_until};
use protocol::AckTerms;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

/// The group's name.
pub(crate) const GROUP: &str = "group";

/// Deliveries of one message, after which it is a dead letter.
pub(crate) const DELIVERIES_MAX: u32 = 4;

/// The header of a dead letter that tells its offset in the topic that it comes from.
const ORIGIN_OFFSET: &str = "tandem.origin.offset";

/// How messages are acknowledged.
pub(crate) const TERMS: AckTerms<'static> = AckTerms {
    ack_timeout_ms: 300,
    in_flight_max: 500,
    deliveries_max: DELIVERIES_MAX,
    backoff_ms_min: 10,
    backoff_ms_max: 50,
    dead_letter: None,
};

/// A group on one topic.
#[derive(Debug)]
pub(crate) struct Group {
    /// The topic.
    pub(crate) topic: Arc<str>,
    /// What was shown of it.
    pub(crate) shown: Arc<Shown>,
    settled: Mutex<Settled>,
}

#[derive(Debug, Default)]
struct Settled {
    /// Offsets whose acknowledgement was confirmed, and when that was.
    confirmed: HashMap<u64, Instant>,
    /// Offsets that were acknowledged, perhaps in vain.
    acknowledged: HashSet<u64>,
}

impl Group {
    /// One that was given nothing yet.
    pub(crate) fn new(topic: &Arc<str>, shown: &Arc<Shown>) -> Self {
        let (topic, shown) = (Arc::clone(topic), Arc::clone(shown));
        Self { topic, shown, settled: Mutex::default() }
    }

    /// Messages that no consumer ever acknowledges.
    pub(crate) fn is_poison(offset: u64) -> bool {
        offset % 97 == 7
    }

    /// A consumer was given messages that it asked for at `asked`.
    #[track_caller]
    pub(crate) fn note_given(
        &self,
        base_offset: u64,
        messages: &[Vec<u8>],
        deliveries: u32,
        asked: Instant,
    ) {
        self.shown.note(base_offset, messages);
        let topic = &self.topic;
        assert!(
            (1..=DELIVERIES_MAX).contains(&deliveries),
            "{deliveries} deliveries of {topic} at {base_offset}, of at most {DELIVERIES_MAX}"
        );
        let settled = self.lock();
        let offsets = base_offset..base_offset + messages.len() as u64;
        let again = offsets.into_iter().find(|offset| {
            settled.confirmed.get(offset).is_some_and(|confirmed| *confirmed < asked)
        });
        drop(settled);
        assert_eq!(again, None, "an offset of {topic} given again that was settled before");
    }

    /// A consumer is about to acknowledge.
    pub(crate) fn note_acknowledged(&self, offsets: &[u64]) {
        self.lock().acknowledged.extend(offsets);
    }

    /// The broker confirmed an acknowledgement.
    pub(crate) fn note_confirmed(&self, offsets: &[u64]) {
        let now = Instant::now();
        let confirmed = offsets.iter().map(|offset| (*offset, now));
        self.lock().confirmed.extend(confirmed);
    }

    /// How many messages are settled for certain.
    pub(crate) fn confirmed_count(&self) -> u64 {
        self.lock().confirmed.len() as u64
    }

    /// Takes and settles all that the group still has, and checks that each message of the topic
    /// was settled, comes now, or is a dead letter.
    #[track_caller]
    pub(crate) fn drain(&self, client: &mut NativeClient, log: &TopicLog) {
        let topic = &*self.topic;
        client.join(topic, GROUP, &TERMS).expect("joined");
        let mut in_doubt: HashSet<u64> = {
            let settled = self.lock();
            let offsets = log.iter().map(|(offset, _)| offset);
            offsets.filter(|offset| !settled.acknowledged.contains(offset)).collect()
        };
        let expected = format!("each message of {topic} is settled, delivered or a dead letter");
        wait_until(&expected, || {
            loop {
                let asked = Instant::now();
                let Leased { pulled, offsets, deliveries } =
                    client.lease(topic, GROUP, None).expect("leased");
                let Some(base_offset) = offsets.first() else { break };
                self.note_given(*base_offset, &pulled.messages, deliveries, asked);
                self.note_acknowledged(&offsets);
                client.ack_offsets(topic, GROUP, &offsets).expect("acknowledged");
                self.note_confirmed(&offsets);
                offsets.iter().for_each(|offset| _ = in_doubt.remove(offset));
            }
            if !in_doubt.is_empty() {
                for (offset, _) in dead_letters(client, topic) {
                    in_doubt.remove(&offset);
                }
            }
            in_doubt.is_empty()
        });
    }

    /// Checks the dead letters of a topic that holds `log`, after `crashes` of the broker: each is
    /// a message of it. A crash between the two steps of burying one may have it buried twice.
    #[track_caller]
    pub(crate) fn check_dead_letters(
        &self,
        client: &mut NativeClient,
        log: &TopicLog,
        crashes: u64,
    ) {
        let letters = dead_letters(client, &self.topic);
        let mut seen = HashSet::new();
        let mut repeats = 0;
        for (offset, payload) in &letters {
            assert_eq!(log.at(*offset), Some(payload.as_slice()), "the dead letter of {offset}");
            repeats += u64::from(!seen.insert(*offset));
        }
        assert!(repeats <= crashes, "{repeats} dead letters came twice, in {crashes} crashes");
    }

    fn lock(&self) -> MutexGuard<'_, Settled> {
        self.settled.lock().expect("no thread panics while it notes what was settled")
    }
}

/// The dead letters of a topic, with their offsets there.
#[track_caller]
fn dead_letters(client: &mut NativeClient, topic: &str) -> Vec<(u64, Vec<u8>)> {
    let name = format!("{topic}.dead-letter");
    if !client.topics().expect("topics").contains(&name) {
        return Vec::new();
    }
    let mut letters = Vec::new();
    client.subscribe(&name, "auditor").expect("subscribed");
    loop {
        let pulled = client.pull_max(&name, "auditor", Some(1000)).expect("pulled");
        if pulled.messages.is_empty() {
            break;
        }
        for (payload, headers) in pulled.messages.into_iter().zip(pulled.headers) {
            let origin = headers.iter().find(|(key, _)| key == ORIGIN_OFFSET);
            let digits = String::from_utf8_lossy(&origin.expect("an origin").1).into_owned();
            letters.push((digits.parse().expect("an offset"), payload));
        }
    }
    client.unsubscribe(&name, "auditor").expect("unsubscribed");
    letters
}
