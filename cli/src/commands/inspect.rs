//! Topics, subscribers, and the broker itself.

use super::connect_once;
use crate::arguments::{Arguments, TopicCommand};
use crate::failure::Failure;
use crate::output::Output;
use serde_json::json;

pub(crate) fn topic(
    arguments: &Arguments,
    command: &TopicCommand,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut client = connect_once(arguments)?;
    match command {
        TopicCommand::Create(creation) => {
            let topic = &creation.topic;
            client.create_topic_with(topic, creation.options())?;
            output.line(&format!("created {topic}"), &json!({ "created": topic }))?;
        }
        TopicCommand::Delete { topic } => {
            client.delete_topic(topic)?;
            output.line(&format!("deleted {topic}"), &json!({ "deleted": topic }))?;
        }
        TopicCommand::List => {
            for topic in client.list_topics()? {
                output.line(&topic, &json!({ "topic": topic }))?;
            }
        }
    }
    Ok(())
}

pub(crate) fn subscribers(
    arguments: &Arguments,
    topic: &str,
    output: &mut Output,
) -> Result<(), Failure> {
    for subscriber in connect_once(arguments)?.subscribers(topic)? {
        let id = subscriber.as_str();
        output.line(id, &json!({ "subscriber": id }))?;
    }
    Ok(())
}

pub(crate) fn info(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let info = connect_once(arguments)?.info()?;
    let rows = [
        ("version", info.version.clone()),
        ("backend", info.backend.clone()),
        ("uptime", format!("{:.1} s", info.uptime_ms as f64 / 1000.0)),
        ("connections", info.connections.to_string()),
        ("topics", info.topics.to_string()),
        ("subscriptions", info.subscriptions.to_string()),
        ("messages in", info.messages_in.to_string()),
        ("messages out", info.messages_out.to_string()),
        ("bytes in logs", info.log_bytes.to_string()),
    ];
    let table: Vec<_> = rows.iter().map(|(name, value)| format!("{name:<15}{value}")).collect();
    Ok(output.line(&table.join("\n"), &json!(info))?)
}

pub(crate) fn ping(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let round_trip_us = connect_once(arguments)?.ping()?.as_micros() as u64;
    let plain = format!("{} answered in {round_trip_us} µs", arguments.broker);
    Ok(output.line(&plain, &json!({ "round_trip_us": round_trip_us }))?)
}
