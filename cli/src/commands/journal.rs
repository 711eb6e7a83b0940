//! A journal's files, read where no broker runs: verify, stat, dump.

use crate::arguments::JournalCommand;
use crate::failure::Failure;
use crate::output::Output;
use broker_core::journal::describe;
use journal::inspect::{Inspection, Item, inspect};
use journal::storage::{Directory, LockHolder};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) fn journal(command: &JournalCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        JournalCommand::Verify { dir } => verify(dir, output),
        JournalCommand::Stat { dir } => stat(dir, output),
        JournalCommand::Dump { dir } => dump(dir, output),
    }
}

/// Reads all, and says what is damaged.
fn verify(dir: &Path, output: &mut Output) -> Result<(), Failure> {
    let mut contents = Contents::default();
    let inspection = look(dir, &mut |item| contents.take(item))?;
    warn_of_lock(&inspection, output)?;
    for damage in &inspection.damage {
        output.line(
            &damage.to_string(),
            &json!({ "damaged": damage.to_string(), "file": damage.file, "offset": damage.offset }),
        )?;
    }
    for wrong in &contents.wrong {
        output.line(&format!("damaged: {wrong}"), &json!({ "damaged": wrong }))?;
    }
    if !inspection.damage.is_empty() {
        for topic in contents.topics.values() {
            for (first, end) in &topic.missing {
                let name = topic.name();
                output.line(
                    &format!("missing: {} messages of {name} from offset {first}", end - first),
                    &json!({ "topic": name, "first_offset": first, "end_offset": end }),
                )?;
            }
        }
    }
    if let Some(position) = inspection.torn_at {
        output.line(
            &format!("torn: what was written last ends at position {position}; the next start cuts it there"),
            &json!({ "torn_at": position.value() }),
        )?;
    }
    let places = inspection.damage.len() + contents.wrong.len();
    if places > 0 {
        return Err(Failure::JournalDamaged { dir: dir.to_owned(), places });
    }
    let records: u64 = inspection.segments.iter().map(|segment| segment.records).sum();
    let segments = inspection.segments.len();
    output.line(
        &format!("sound: {records} records in {segments} segments"),
        &json!({ "sound": true, "records": records, "segments": segments }),
    )?;
    Ok(())
}

/// Says what is in it.
fn stat(dir: &Path, output: &mut Output) -> Result<(), Failure> {
    let mut contents = Contents::default();
    let inspection = look(dir, &mut |item| contents.take(item))?;
    warn_of_lock(&inspection, output)?;
    for snapshot in &inspection.snapshots {
        if let Some((position, bytes)) = snapshot.state {
            let name = snapshot.name;
            output.line(
                &format!("{name}: {bytes} bytes, state at position {position}"),
                &json!({ "snapshot": name, "bytes": bytes, "position": position.value() }),
            )?;
        }
    }
    for segment in &inspection.segments {
        let (name, records) = (&segment.name, segment.records);
        output.line(
            &format!("{name}: {} bytes, {records} records", segment.bytes),
            &json!({ "segment": name, "bytes": segment.bytes, "records": records,
                     "body_bytes": segment.body_bytes, "end": segment.end.value() }),
        )?;
    }
    for (number, topic) in &contents.topics {
        let (name, messages) = (topic.name(), topic.messages);
        let deleted = if topic.is_deleted { ", deleted" } else { "" };
        output.line(
            &format!("topic {number}, {name}: {messages} messages in the segments, next offset {}{deleted}", topic.next_offset),
            &json!({ "topic": name, "number": number, "messages": messages,
                     "next_offset": topic.next_offset, "deleted": topic.is_deleted }),
        )?;
    }
    Ok(())
}

/// Prints every record.
fn dump(dir: &Path, output: &mut Output) -> Result<(), Failure> {
    let mut printed = Ok(());
    let inspection = look(dir, &mut |item| {
        if printed.is_ok() {
            printed = dump_item(item, output);
        }
    })?;
    printed?;
    warn_of_lock(&inspection, output)
}

fn dump_item(item: Item<'_>, output: &mut Output) -> Result<(), Failure> {
    let said = |kind, body| match describe(kind, body) {
        Ok(description) => description.line,
        Err(error) => error.to_string(),
    };
    let (place, line, position) = match item {
        Item::Snapshot { kind, body } => ("snapshot".to_owned(), said(kind, body), None),
        Item::Record { position, kind, body } => {
            (position.to_string(), said(kind, body), Some(position.value()))
        }
        Item::Own { position, name } => {
            (position.to_string(), name.to_owned(), Some(position.value()))
        }
    };
    output
        .line(&format!("{place:>12}  {line}"), &json!({ "position": position, "record": line }))?;
    Ok(())
}

fn look(dir: &Path, visit: &mut dyn FnMut(Item<'_>)) -> Result<Inspection, Failure> {
    let cannot = |reason: String| Failure::Journal { dir: dir.to_owned(), reason };
    let storage = Directory::open(dir).map_err(|error| cannot(error.to_string()))?;
    let inspection = inspect(&storage, visit).map_err(|error| cannot(error.to_string()))?;
    if inspection.segments.is_empty() && inspection.damage.is_empty() {
        return Err(cannot("it holds no journal".to_owned()));
    }
    Ok(inspection)
}

fn warn_of_lock(inspection: &Inspection, output: &mut Output) -> Result<(), Failure> {
    let holder = match inspection.lock_holder {
        LockHolder::Nobody => return Ok(()),
        LockHolder::Process(Some(id)) => format!("process {id}"),
        LockHolder::Process(None) => "a process".to_owned(),
    };
    let remark = format!("{holder} has this journal open; what it writes meanwhile may look torn");
    Ok(output.remark(&remark, &json!({ "remark": remark }))?)
}

/// What the records of a journal say of each topic.
#[derive(Default)]
struct Contents {
    topics: BTreeMap<u64, Topic>,
    wrong: Vec<String>,
}

#[derive(Default)]
struct Topic {
    name: Option<String>,
    messages: u64,
    next_offset: u64,
    missing: Vec<(u64, u64)>,
    /// Its creation is among the records, and so everything since is.
    is_told_from_the_start: bool,
    is_deleted: bool,
}

impl Topic {
    fn name(&self) -> String {
        self.name.as_ref().map_or_else(|| "(name unknown)".to_owned(), |name| format!("{name:?}"))
    }
}

impl Contents {
    fn take(&mut self, item: Item<'_>) {
        let (kind, body, is_record) = match item {
            Item::Snapshot { kind, body } => (kind, body, false),
            Item::Record { kind, body, .. } => (kind, body, true),
            Item::Own { .. } => return,
        };
        let description = match describe(kind, body) {
            Ok(description) => description,
            Err(error) => return self.wrong.push(error.to_string()),
        };
        let Some(number) = description.topic else { return };
        let topic = self.topics.entry(number).or_default();
        topic.is_told_from_the_start |= is_record && description.topic_name.is_some();
        topic.name = description.topic_name.or(topic.name.take());
        topic.is_deleted |= description.deletes;
        if let Some((base_offset, count)) = description.messages.filter(|_| is_record) {
            let is_known = topic.is_told_from_the_start || topic.messages > 0;
            if is_known && base_offset > topic.next_offset {
                topic.missing.push((topic.next_offset, base_offset));
            }
            topic.messages += u64::from(count);
            topic.next_offset = topic.next_offset.max(base_offset + u64::from(count));
        }
    }
}
