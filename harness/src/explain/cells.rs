//! Each measurement in a sentence.

use super::counted;
use crate::config::{
    Config, Drive, FindMax, IdleConfig, LagPolicyChoice, OperationsExtent, OutageConfig, Payload,
    PileConfig, StormConfig, StreamConfig, StreamExtent, TopicChoice, Variation, sentence,
};
use crate::plan::BrokerPlan;
use std::fmt::Write as _;

/// The names of all that is measured of a broker.
pub(super) fn labels(config: &Config, broker: &BrokerPlan<'_>) -> Vec<String> {
    let operations = broker.operations.iter().map(|cell| cell.label());
    let own = |stream: &&StreamConfig| stream.is_for(&broker.broker.name);
    let streams = config.streams.iter().filter(own).map(StreamConfig::label);
    let backlogs = broker.backlogs.iter().map(|cell| cell.label());
    let restarts = broker.restarts.iter().map(|cell| cell.label());
    let storms = config.storms.iter().map(StormConfig::label);
    let idles = config.idles.iter().map(IdleConfig::label);
    let outages = config.outages.iter().map(OutageConfig::label);
    let piles = backlogs.chain(restarts);
    operations.chain(streams).chain(piles).chain(storms).chain(idles).chain(outages).collect()
}

pub(super) fn operations(config: &Config) -> Vec<String> {
    let Some(operations) = &config.operations else { return Vec::new() };
    let extent = match operations.extent {
        OperationsExtent::DurationMs(duration_ms) => format!("{duration_ms} ms"),
        OperationsExtent::Count(count) => format!("{count} requests of each"),
    };
    let clients: Vec<_> = operations.clients.iter().map(u32::to_string).collect();
    let clients = clients.join(", ");
    let each = operations.list.iter().map(|operation| {
        format!(
            "{}, by {clients} clients: {}; each sends the next request when the last is answered \
             (closed loop); {extent} after {} ms of warm-up",
            operation.name(),
            operation.summary(),
            operations.warmup_ms
        )
    });
    each.collect()
}

pub(super) fn stream(config: &Config, stream: &StreamConfig) -> String {
    let mut text = format!("{}: ", stream.label());
    match &stream.drive {
        Drive::Load(load) => text += &sentence(load),
        Drive::FindMax(search) => text += &find_max(search),
    }
    let _ = write!(text, "; {}", payload(&stream.payload));
    let _ = write!(text, " in writes of up to {}", counted(stream.batch.into(), "message"));
    match (stream.acks, stream.subscribers) {
        (None, _) => {}
        (Some(acks), 0) => {
            let _ = write!(text, "; {acks} under way per publisher, acknowledged; nobody reads");
        }
        (Some(acks), _) => {
            let _ = write!(text, "; {acks} under way per publisher, acknowledged");
        }
    }
    match (stream.topics, stream.topic_choice) {
        (1, _) => {}
        (topics, TopicChoice::Uniform) => {
            let _ = write!(text, "; over {topics} topics, each as likely");
        }
        (topics, TopicChoice::Zipf(exponent)) => {
            let _ = write!(text, "; over {topics} topics by Zipf's law, exponent {exponent}");
        }
    }
    if stream.wildcard {
        text += ", which subscribers name by one pattern";
    }
    if let Some(slow) = stream.slow {
        let each = if slow.subscribers == 1 { "reads" } else { "each read" };
        let _ = write!(
            text,
            "; {} of the subscribers {each} {} B/s at most",
            slow.subscribers, slow.bytes_per_s
        );
    }
    if let Some(churn) = stream.churn {
        let _ = write!(
            text,
            "; {} more subscribers leave and come every {} ms",
            churn.subscribers, churn.every_ms
        );
    }
    if stream.lag_policy == LagPolicyChoice::Skip {
        text += "; what a subscriber is too slow for may be lost";
    }
    let _ = match stream.extent {
        StreamExtent::DurationMs(duration_ms) => write!(text, "; {duration_ms} ms"),
        StreamExtent::Messages(messages) => write!(text, "; {messages} messages"),
    };
    let _ = write!(
        text,
        " after {} ms of warm-up, and up to {} ms for what is still under way",
        stream.warmup_ms, config.phases.drain_ms_max
    );
    text
}

fn find_max(search: &FindMax) -> String {
    let FindMax { from_per_s, to_per_s, tolerance_percent, confirm, .. } = search;
    format!(
        "the highest rate at which {} is searched for: from {from_per_s}/s it is doubled while \
         that is met, to {to_per_s}/s at most, then halved in to {tolerance_percent} %, and \
         confirmed {confirm} times (open loop, each attempt as long as the stream)",
        search.objectives_in_words()
    )
}

fn payload(payload: &Payload) -> String {
    match payload {
        Payload::Fixed(bytes) => format!("{bytes} B each"),
        Payload::Varied(Variation::File(path)) => format!("the lines of {}", path.display()),
        varied @ Payload::Varied(_) => match varied.bytes_mean() {
            Some(mean) => format!("{}, {mean:.0} B on average,", varied.label()),
            None => varied.label(),
        },
    }
}

pub(super) fn backlogs(config: &Config) -> Vec<String> {
    let backlogs = config.backlogs.iter().flat_map(|backlog| {
        let drains: Vec<_> = backlog.drains.iter().map(ToString::to_string).collect();
        piles(&backlog.pile).map(move |pile| {
            format!("{pile} published with nobody reading, then read {}", drains.join(" and "))
        })
    });
    backlogs.collect()
}

pub(super) fn restarts(config: &Config) -> Vec<String> {
    let restarts = config.restarts.iter().flat_map(|restart| {
        let stops: Vec<_> = restart.stops.iter().map(ToString::to_string).collect();
        piles(&restart.pile).map(move |pile| {
            format!(
                "{pile} published, then the broker is stopped and started: {}",
                stops.join(", ")
            )
        })
    });
    restarts.collect()
}

fn piles(pile: &PileConfig) -> impl Iterator<Item = String> {
    pile.payload_bytes.iter().map(|&bytes| {
        let by = counted(pile.publishers.into(), "publisher");
        format!("{} × {bytes} B by {by}, {} under way each,", pile.messages(bytes), pile.acks)
    })
}

pub(super) fn storm(storm: &StormConfig) -> String {
    let label = storm.label();
    match storm.rate_per_s {
        None => format!("{label}: all are begun at once, and timed until each is greeted"),
        Some(_) => format!("{label}: begun at that rate, and timed until each is greeted"),
    }
}

pub(super) fn idle(idle: &IdleConfig) -> String {
    format!("{}: the broker's memory for each, and how many it drops", idle.label())
}

pub(super) fn outage(outage: &OutageConfig) -> String {
    format!(
        "{}: stopped after {} ms, of {} ms in all; acknowledged messages must be \
         delivered where the guarantee outlives the process, {} under way per publisher",
        outage.label(),
        outage.kill_after_ms,
        outage.duration_ms,
        outage.acks
    )
}
