//! Records in words, for people who look into a journal.

use super::{Part, Publication, Record, RecordError};
use std::fmt::Write;

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The topic that it concerns, by number; none of the broker's own state.
    pub topic: Option<u64>,
    /// The topic's name, where the record tells it.
    pub topic_name: Option<String>,
    /// Whether it deletes the topic.
    pub deletes: bool,
    /// The first message in it and how many there are, of a record with new messages.
    pub messages: Option<(u64, u32)>,
    /// All of it in a line.
    pub line: String,
}

/// Describes a record of the journal or of a snapshot.
///
/// # Errors
/// Where the record is none that a broker writes.
pub fn describe(kind: u8, body: &[u8]) -> Result<Description, RecordError> {
    let record = Record::decode(kind, body)?;
    let topic = record.topic().map(|topic| topic.0);
    let topic_name = match &record {
        Record::TopicCreated { name, .. } => Some((*name).to_owned()),
        _ => None,
    };
    let messages = match &record {
        Record::Messages(found) => Some((found.base_offset, found.count)),
        _ => None,
    };
    let deletes = matches!(record, Record::TopicDeleted { .. });
    let mut line = String::new();
    if let Some(topic) = topic {
        write!(line, "topic {topic}: ").expect("a string takes all");
    }
    write_line(&record, &mut line).expect("a string takes all");
    Ok(Description { topic, topic_name, deletes, messages, line })
}

fn write_line(record: &Record<'_>, line: &mut String) -> std::fmt::Result {
    match record {
        Record::TopicCreated { terms, name, .. } => {
            write!(line, "created as {name:?}, durability {}", terms.durability.name())?;
            let limits = [
                ("bytes", terms.bytes_max),
                ("messages", terms.messages_max),
                ("ms", terms.age_ms_max),
            ];
            for (unit, limit) in limits.into_iter().filter(|(_, limit)| *limit < u64::MAX) {
                write!(line, ", at most {limit} {unit}")?;
            }
            Ok(())
        }
        Record::TopicDeleted { .. } => write!(line, "deleted"),
        Record::Messages(publication) => write_publication("", publication, line),
        Record::Moved(publication) => write_publication("moved here: ", publication, line),
        Record::Subscribed { subscription, next_offset, leases, name, .. } => {
            let acks = if leases.is_some() { ", acknowledged one by one" } else { "" };
            write!(line, "subscription {subscription} is {name:?}, at offset {next_offset}{acks}")
        }
        Record::Unsubscribed { subscription, .. } => {
            write!(line, "subscription {subscription} removed")
        }
        Record::Cursor { subscription, next_offset, .. } => {
            write!(line, "subscription {subscription} at offset {next_offset}")
        }
        Record::Settled { subscription, ranges, .. } => {
            write!(line, "subscription {subscription} settled")?;
            ranges.iter().try_for_each(|(first, count)| write!(line, " {count} from {first}"))
        }
        Record::Delivered { subscription, first, count, deliveries, .. } => write!(
            line,
            "subscription {subscription} was given {count} from {first} {deliveries} times"
        ),
        Record::TopicState { as_of, first_offset, next_offset, .. } => {
            write!(line, "offsets {first_offset} to {next_offset} at position {as_of}")
        }
        Record::Runs { runs, .. } => write!(line, "{} runs of messages", runs.len()),
        Record::Publisher { publisher, publications, .. } => {
            write!(line, "publisher {:032x}: {} publications", publisher.0, publications.len())
        }
        Record::BrokerState { next_topic } => write!(line, "the next topic is {next_topic}"),
        Record::Retained { record: [], .. } => write!(line, "no retained message"),
        Record::Retained { record, .. } => {
            write!(line, "a retained message, {} bytes", record.len())
        }
        Record::Client(record) => write!(line, "client {}: {record}", record.client().0),
    }
}

fn write_publication(how: &str, found: &Publication<'_>, line: &mut String) -> std::fmt::Result {
    let Publication { base_offset, count, unix_ms, part, sequence, records, .. } = found;
    write!(line, "{how}{count} messages from offset {base_offset}, ")?;
    write!(line, "{} bytes, at {unix_ms} ms", records.len())?;
    if let Some(sequence) = sequence {
        write!(line, ", publisher {:032x}", sequence.publisher.0)?;
        write!(line, " sequence {}", sequence.sequence)?;
    }
    match part {
        Part::Last => Ok(()),
        Part::More => write!(line, ", to be continued"),
    }
}
