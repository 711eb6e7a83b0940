//! All that a topic holds, and what its subscribers were shown of it.

use conformance::{NativeClient, Reply, Speaks};
use protocol::{Request, Start};
use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Mutex;

/// Messages that are read at once.
const PULL_COUNT: u32 = 1000;

/// Who reads a whole topic.
const AUDITOR: &str = "auditor";

/// All messages of a topic, as they are at rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicLog {
    /// Offset of the oldest.
    pub(crate) first_offset: u64,
    /// The payloads, oldest first.
    pub(crate) messages: Vec<Vec<u8>>,
}

impl TopicLog {
    /// Reads a topic that nobody publishes to.
    #[track_caller]
    pub(crate) fn read(client: &mut NativeClient, topic: &str) -> Self {
        let first_offset =
            client.subscribe_at(topic, AUDITOR, Start::Earliest).expect("subscribed");
        let mut log = Self { first_offset, messages: Vec::new() };
        loop {
            let (topic, subscriber) = (topic.into(), AUDITOR.into());
            let pull = Request::Pull { topic, subscriber, count_max: Some(PULL_COUNT) };
            let Reply::Messages { base_offset, pulled } = client.ask(&pull) else {
                panic!("expected MESSAGES");
            };
            assert_eq!(pulled.lost, 0, "nothing goes from a topic at rest");
            if pulled.messages.is_empty() {
                assert_eq!(pulled.remaining, 0, "there is nothing more");
                break;
            }
            assert_eq!(base_offset, log.next_offset(), "no gap, no repeat");
            log.messages.extend(pulled.messages);
        }
        client.unsubscribe(topic, AUDITOR).expect("unsubscribed");
        log
    }

    /// Offset after the newest message.
    #[must_use]
    pub(crate) fn next_offset(&self) -> u64 {
        self.first_offset + self.messages.len() as u64
    }

    /// The message at an offset; `None`: retention took it, or it is not there yet.
    #[must_use]
    pub(crate) fn at(&self, offset: u64) -> Option<&[u8]> {
        let index = usize::try_from(offset.checked_sub(self.first_offset)?).ok()?;
        self.messages.get(index).map(Vec::as_slice)
    }

    /// The messages with their offsets.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        (self.first_offset..).zip(self.messages.iter().map(Vec::as_slice))
    }
}

/// What subscribers were shown of a topic.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// A hash of the payload at each offset.
    hashes: Mutex<BTreeMap<u64, u64>>,
}

impl Shown {
    /// A subscriber was given messages, the first of them at `base_offset`.
    #[track_caller]
    pub(crate) fn note(&self, base_offset: u64, messages: &[Vec<u8>]) {
        let mut hashes = self.hashes.lock().expect(LOCK);
        for (offset, message) in (base_offset..).zip(messages) {
            let hash = hash(message);
            let before = *hashes.entry(offset).or_insert(hash);
            if before != hash {
                drop(hashes);
                let shown = String::from_utf8_lossy(message);
                panic!("another message was shown at {offset} before {shown:?}");
            }
        }
    }

    /// Checks that all that was shown is there, but for what retention took.
    #[track_caller]
    pub(crate) fn check(&self, log: &TopicLog) {
        let hashes = self.hashes.lock().expect(LOCK).clone();
        for (offset, hash_shown) in hashes.range(log.first_offset..) {
            let message = log.at(*offset).unwrap_or_else(|| {
                panic!("shown at {offset} and missing: the topic ends at {}", log.next_offset())
            });
            assert_eq!(hash(message), *hash_shown, "shown otherwise at {offset}");
        }
    }

    /// How many different messages were shown.
    pub(crate) fn count(&self) -> u64 {
        self.hashes.lock().expect(LOCK).len() as u64
    }
}

fn hash(message: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.hash(&mut hasher);
    hasher.finish()
}

const LOCK: &str = "no thread panics while it notes what was shown";
