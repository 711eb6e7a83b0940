//! What one publisher sent to one topic, what of it was acknowledged, and what of it the topic
//! must therefore hold.

use crate::message::Message;
use crate::topic_log::TopicLog;
use std::collections::HashMap;

/// One publication, as it was sent on one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// The connection, counted by the publisher; 0 for all of an idempotent one.
    pub(crate) run: u32,
    /// The number of its first message.
    pub(crate) first: u64,
    /// How many messages it holds.
    pub(crate) count: u32,
    /// Letters that make each of its messages larger.
    pub(crate) padding_bytes: u32,
    /// The offset that it was acknowledged with.
    pub(crate) acknowledged: Option<u64>,
}

/// All publications of one publisher, in the order in which they were first sent.
#[derive(Debug)]
pub(crate) struct Publications {
    /// Whose they are.
    pub(crate) publisher: u32,
    /// The publications.
    pub(crate) sent: Vec<Sent>,
}

impl Sent {
    /// Its messages, in order.
    pub(crate) fn messages(&self, publisher: u32) -> impl Iterator<Item = Message> {
        let Self { run, first, count, padding_bytes, .. } = *self;
        let numbers = first..first + u64::from(count);
        numbers.map(move |number| Message { publisher, run, number, first, count, padding_bytes })
    }
}

impl Publications {
    /// The publisher heard that the publication at `index` was taken.
    #[track_caller]
    pub(crate) fn acknowledge(&mut self, index: usize, base_offset: u64) {
        let publisher = self.publisher;
        let sent = &mut self.sent[index];
        match sent.acknowledged.replace(base_offset) {
            None => {}
            Some(before) => assert_eq!(
                before, base_offset,
                "the offset of {sent:?} of publisher {publisher}, acknowledged once more"
            ),
        }
    }

    /// Messages that were acknowledged.
    pub(crate) fn acknowledged_count(&self) -> u64 {
        let acknowledged = self.sent.iter().filter(|sent| sent.acknowledged.is_some());
        acknowledged.map(|sent| u64::from(sent.count)).sum()
    }

    /// Checks what `log` holds of this publisher, where `found` is the offsets of each of its
    /// messages there.
    ///
    /// What was acknowledged is there, at the offset that was told, unless retention took it.
    /// Each publication is there whole, its messages next to each other, and once. Publications
    /// lie in the order they were sent in, and of each connection those that are there are the
    /// first that were sent on it: what a crash takes, it takes from the end.
    #[track_caller]
    pub(crate) fn check(&self, log: &TopicLog, found: &Found) {
        let mut expected_from = log.first_offset;
        let mut run_ended = None;
        let mut count = 0;
        for sent in &self.sent {
            let Some(base_offset) = self.place_of(sent, log, found) else {
                let trimmed = |offset: u64| offset + u64::from(sent.count) <= log.first_offset;
                assert!(
                    sent.acknowledged.is_none_or(trimmed),
                    "acknowledged and missing: {sent:?} of publisher {}, of a topic that begins \
                     at {}",
                    self.publisher,
                    log.first_offset
                );
                let is_trimmed = log.first_offset > 0 && expected_from == log.first_offset;
                if sent.acknowledged.is_none() && !is_trimmed {
                    run_ended = Some(sent.run);
                }
                continue;
            };
            assert!(
                base_offset >= expected_from || base_offset < log.first_offset,
                "out of order: {sent:?} of publisher {} at {base_offset}, behind one that ends \
                 at {expected_from}",
                self.publisher
            );
            assert_ne!(
                run_ended,
                Some(sent.run),
                "{sent:?} of publisher {} is there, and one sent before it is not",
                self.publisher
            );
            assert!(
                sent.acknowledged.is_none_or(|offset| offset == base_offset),
                "{sent:?} of publisher {} is at another offset: {base_offset}",
                self.publisher
            );
            expected_from = base_offset + u64::from(sent.count);
            count += expected_from - base_offset.max(log.first_offset);
        }
        let found = found.count_of(self.publisher);
        assert_eq!(found, count, "messages of publisher {} in the topic", self.publisher);
    }

    /// The offset of a publication's first message, of which those that retention left are there,
    /// next to each other; `None`: it is not there at all.
    #[track_caller]
    fn place_of(&self, sent: &Sent, log: &TopicLog, found: &Found) -> Option<u64> {
        let offsets = |message: &Message| found.offsets(message);
        let (index, last) = sent
            .messages(self.publisher)
            .enumerate()
            .filter_map(|(index, message)| offsets(&message).first().map(|offset| (index, *offset)))
            .last()?;
        let base_offset = last - index as u64;
        assert_eq!(index + 1, sent.count as usize, "in part: {sent:?} of {}", self.publisher);
        for (offset, message) in (base_offset..).zip(sent.messages(self.publisher)) {
            let expected: &[u64] = if offset < log.first_offset { &[] } else { &[offset] };
            assert_eq!(offsets(&message), expected, "offsets of {message:?}");
        }
        Some(base_offset)
    }
}

/// Where the messages of a topic are.
#[derive(Debug, Default)]
pub(crate) struct Found {
    offsets: HashMap<Message, Vec<u64>>,
    counts: HashMap<u32, u64>,
}

impl Found {
    /// Reads what each message of `log` is.
    #[track_caller]
    pub(crate) fn new(log: &TopicLog) -> Self {
        let mut found = Self::default();
        for (offset, payload) in log.iter() {
            let message = Message::of(payload).unwrap_or_else(|| {
                let shown = String::from_utf8_lossy(payload);
                panic!("expected a message of the test at {offset}, found {shown:?}")
            });
            found.offsets.entry(message).or_default().push(offset);
            *found.counts.entry(message.publisher).or_default() += 1;
        }
        found
    }

    fn offsets(&self, message: &Message) -> &[u64] {
        self.offsets.get(message).map_or(&[], Vec::as_slice)
    }

    fn count_of(&self, publisher: u32) -> u64 {
        self.counts.get(&publisher).copied().unwrap_or(0)
    }

    /// The publishers that there are messages of.
    pub(crate) fn publishers(&self) -> impl Iterator<Item = u32> {
        self.counts.keys().copied()
    }
}
