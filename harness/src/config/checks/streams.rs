//! Streams: from lists to every combination of what is in them.

use super::{ACKS_RANGE, BATCH_RANGE, CONNECTIONS_RANGE, Check, DURATION_MS_RANGE, MESSAGES_RANGE};
use crate::config::keys::{ChurnKeys, OneOrMany, Placed, StreamKeys};
use crate::config::streams::BATCH_DEFAULT;
use crate::config::{
    BrokerConfig, Churn, ConfigError, Drive, Payload, SlowSubscribers, StreamConfig, StreamExtent,
    StreamLoad, TopicChoice,
};
use crate::objectives::Objective;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// Streams of one configuration.
const STREAMS_MAX: usize = 10_000;

const SUBSCRIBERS_RANGE: RangeInclusive<u32> = 0..=*CONNECTIONS_RANGE.end();
const TOPICS_RANGE: RangeInclusive<u32> = 1..=1_000_000;
const ZIPF_EXPONENT_MAX: f64 = 10.0;
const SLOW_BYTES_PER_S_RANGE: RangeInclusive<u64> = 1..=1_000_000_000;
const CHURN_MS_RANGE: RangeInclusive<u64> = 1..=60_000;

const TOPICS_DEFAULT: u32 = 1;
const SLOW_BYTES_PER_S_DEFAULT: u64 = 100_000;

/// What a table's streams are all the combinations of.
struct Lists {
    publishers: Vec<u32>,
    subscribers: Vec<u32>,
    payloads: Vec<Payload>,
    batches: Vec<u32>,
    acks: Vec<Option<u32>>,
    drives: Vec<Drive>,
}

impl Lists {
    fn combinations(&self) -> usize {
        let lengths = [
            self.publishers.len(),
            self.subscribers.len(),
            self.payloads.len(),
            self.batches.len(),
            self.acks.len(),
            self.drives.len(),
        ];
        lengths.into_iter().fold(1, usize::saturating_mul)
    }
}

impl Check<'_> {
    pub(super) fn streams(
        &self,
        tables: &[Placed<StreamKeys>],
        brokers: &[BrokerConfig],
    ) -> Result<Vec<StreamConfig>, ConfigError> {
        let mut streams: Vec<StreamConfig> = Vec::new();
        let mut labels = BTreeSet::new();
        for table in tables {
            let lists = self.lists(table)?;
            for pattern in table.as_ref().brokers.iter().flatten() {
                self.names_a_broker("brokers", pattern, brokers)?;
            }
            let count = streams.len().saturating_add(lists.combinations());
            if count > STREAMS_MAX {
                let expected = format!("lists that come to {STREAMS_MAX} streams at most");
                return Err(self.impossible("streams", table, expected, count.to_string()));
            }
            for stream in self.combined(table, &lists)? {
                // Results are told apart by it.
                if !labels.insert(stream.label()) {
                    let expected =
                        "a shape, payload, load, acks and topics that no other stream has";
                    let found = format!("{} again", stream.label());
                    return Err(self.impossible("streams", table, expected, found));
                }
                streams.push(stream);
            }
        }
        Ok(streams)
    }

    fn lists(&self, table: &Placed<StreamKeys>) -> Result<Lists, ConfigError> {
        let keys = table.as_ref();
        let batches = match &keys.batch {
            None => vec![BATCH_DEFAULT],
            Some(batches) => self.list_within("batch", batches, &BATCH_RANGE)?,
        };
        let batch_max = batches.iter().copied().max().unwrap_or(BATCH_DEFAULT);
        let acks = match &keys.acks {
            None => vec![None],
            Some(acks) => {
                self.list_within("acks", acks, &ACKS_RANGE)?.into_iter().map(Some).collect()
            }
        };
        let drives = self.drives(keys)?;
        if let (Some(acks), true) = (&keys.acks, drives.iter().any(is_closed)) {
            let expected = "none in a closed loop, whose in_flight says it";
            return Err(self.impossible("acks", acks, expected, "some"));
        }
        Ok(Lists {
            publishers: self.list_within("publishers", &keys.publishers, &CONNECTIONS_RANGE)?,
            subscribers: self.subscribers(&keys.subscribers, keys.acks.is_some(), &drives)?,
            payloads: self.stream_payloads(table, batch_max)?,
            batches,
            acks,
            drives,
        })
    }

    /// There may be none only where every publication is acknowledged.
    fn subscribers(
        &self,
        subscribers: &Placed<OneOrMany<u32>>,
        has_acks: bool,
        drives: &[Drive],
    ) -> Result<Vec<u32>, ConfigError> {
        let range = match has_acks || drives.iter().all(is_closed) {
            true => SUBSCRIBERS_RANGE,
            false => CONNECTIONS_RANGE,
        };
        self.list_within("subscribers", subscribers, &range)
    }

    /// Every combination, the first list's entries changing last.
    fn combined(
        &self,
        table: &Placed<StreamKeys>,
        lists: &Lists,
    ) -> Result<Vec<StreamConfig>, ConfigError> {
        let keys = table.as_ref();
        let topics = self.within("topics", keys.topics.as_ref(), &TOPICS_RANGE, TOPICS_DEFAULT)?;
        let like = StreamConfig {
            publishers: 0,
            subscribers: 0,
            batch: 0,
            acks: None,
            extent: StreamExtent::DurationMs(0),
            warmup_ms: self.warmup_ms(keys.warmup_ms.as_ref())?,
            lag_policy: keys.lag_policy.unwrap_or_default(),
            topics,
            topic_choice: self.topic_choice(keys.topic_choice.as_ref(), topics)?,
            wildcard: keys.wildcard.as_ref().is_some_and(|wildcard| *wildcard.as_ref()),
            objectives: self.stream_objectives(keys)?,
            brokers: keys.brokers.iter().flatten().map(|name| name.as_ref().clone()).collect(),
            payload: Payload::Fixed(0),
            slow: self.slow(keys, &lists.subscribers)?,
            churn: keys.churn.as_ref().map(|churn| self.churn(churn)).transpose()?,
            drive: Drive::Load(StreamLoad::Saturating),
        };
        let mut streams = vec![like];
        streams = each(&streams, &lists.publishers, |stream, &it| stream.publishers = it);
        streams = each(&streams, &lists.subscribers, |stream, &it| stream.subscribers = it);
        streams = each(&streams, &lists.payloads, |stream, it| stream.payload = it.clone());
        streams = each(&streams, &lists.batches, |stream, &it| stream.batch = it);
        streams = each(&streams, &lists.acks, |stream, &it| stream.acks = it);
        streams = each(&streams, &lists.drives, |stream, it| stream.drive = it.clone());
        for stream in &mut streams {
            stream.extent = self.stream_extent(table, &stream.drive)?;
        }
        Ok(streams)
    }

    fn stream_extent(
        &self,
        table: &Placed<StreamKeys>,
        drive: &Drive,
    ) -> Result<StreamExtent, ConfigError> {
        let keys = table.as_ref();
        let duration_ms = keys.duration_ms.as_ref().map(|value| *value.as_ref());
        match (drive, &keys.duration_ms, &keys.messages) {
            (_, Some(_), Some(messages)) => {
                let expected = "either `duration_ms` or `messages`";
                Err(self.impossible("messages", messages, expected, "both"))
            }
            (Drive::Load(StreamLoad::Steps { rates_per_s, step_ms }), duration, messages) => {
                let total_ms = step_ms * rates_per_s.len() as u64;
                let expected = format!("none, or the {total_ms} ms that all steps take");
                match (duration, messages) {
                    (Some(found), _) if duration_ms != Some(total_ms) => {
                        let text = found.as_ref().to_string();
                        Err(self.impossible("duration_ms", found, expected, text))
                    }
                    (_, Some(found)) => {
                        Err(self.impossible("messages", found, expected, "messages"))
                    }
                    _ => Ok(StreamExtent::DurationMs(total_ms)),
                }
            }
            (_, Some(value), None) => self
                .value_within("duration_ms", value, *value.as_ref(), &DURATION_MS_RANGE)
                .map(StreamExtent::DurationMs),
            (Drive::FindMax(_) | Drive::Load(StreamLoad::Ramp { .. }), None, Some(found)) => {
                let expected = "`duration_ms` in its place, for a load that changes";
                Err(self.impossible("messages", found, expected, "messages"))
            }
            (_, None, Some(value)) => self
                .value_within("messages", value, *value.as_ref(), &MESSAGES_RANGE)
                .map(StreamExtent::Messages),
            (_, None, None) => {
                let expected = "`duration_ms` or `messages`";
                Err(self.impossible("streams", table, expected, "neither"))
            }
        }
    }

    fn topic_choice(
        &self,
        choice: Option<&Placed<TopicChoice>>,
        topics: u32,
    ) -> Result<TopicChoice, ConfigError> {
        let Some(choice) = choice else { return Ok(TopicChoice::default()) };
        match *choice.as_ref() {
            TopicChoice::Zipf(_) if topics == 1 => {
                let expected = "none: of one topic there is no choice";
                Err(self.impossible("topic_choice", choice, expected, "zipf"))
            }
            TopicChoice::Zipf(exponent) if !(exponent > 0.0 && exponent <= ZIPF_EXPONENT_MAX) => {
                let expected = format!("an exponent over 0, at most {ZIPF_EXPONENT_MAX}");
                Err(self.impossible("topic_choice", choice, expected, exponent.to_string()))
            }
            possible => Ok(possible),
        }
    }

    fn stream_objectives(&self, keys: &StreamKeys) -> Result<Vec<Objective>, ConfigError> {
        let objectives = keys
            .objectives
            .iter()
            .flatten()
            .map(|objective| self.objective("objectives", objective, objective.as_ref()));
        objectives.collect()
    }

    fn slow(
        &self,
        keys: &StreamKeys,
        subscribers: &[u32],
    ) -> Result<Option<SlowSubscribers>, ConfigError> {
        let fewest = subscribers.iter().copied().min().unwrap_or_default();
        let slow =
            self.within("slow_subscribers", keys.slow_subscribers.as_ref(), &(0..=fewest), 0)?;
        let bytes_per_s = self.within(
            "slow_bytes_per_s",
            keys.slow_bytes_per_s.as_ref(),
            &SLOW_BYTES_PER_S_RANGE,
            SLOW_BYTES_PER_S_DEFAULT,
        )?;
        match (slow, &keys.slow_bytes_per_s) {
            (0, None) => Ok(None),
            (0, Some(found)) => {
                let expected = "none without `slow_subscribers`";
                Err(self.impossible("slow_bytes_per_s", found, expected, bytes_per_s.to_string()))
            }
            (subscribers, _) => Ok(Some(SlowSubscribers { subscribers, bytes_per_s })),
        }
    }

    fn churn(&self, table: &Placed<ChurnKeys>) -> Result<Churn, ConfigError> {
        let ChurnKeys { every_ms, subscribers } = table.as_ref();
        let number = *subscribers.as_ref();
        Ok(Churn {
            every_ms: self.value_within(
                "every_ms",
                every_ms,
                *every_ms.as_ref(),
                &CHURN_MS_RANGE,
            )?,
            subscribers: self.value_within(
                "subscribers",
                subscribers,
                number,
                &CONNECTIONS_RANGE,
            )?,
        })
    }
}

/// Every stream with every entry of a list.
fn each<T>(
    streams: &[StreamConfig],
    list: &[T],
    set: impl Fn(&mut StreamConfig, &T),
) -> Vec<StreamConfig> {
    let set = &set;
    let with = |stream: &StreamConfig, entry| {
        let mut stream = stream.clone();
        set(&mut stream, entry);
        stream
    };
    streams.iter().flat_map(|stream| list.iter().map(move |entry| with(stream, entry))).collect()
}

fn is_closed(drive: &Drive) -> bool {
    matches!(drive, Drive::Load(StreamLoad::Closed { .. }))
}
