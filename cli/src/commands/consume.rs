//! Subscriptions: made, removed, pulled from and followed.

use super::connect_once;
use crate::arguments::{Ack, Arguments, Following, Pull, Subscription};
use crate::failure::Failure;
use crate::output::Output;
use client_api::blocking::Client;
use client_api::{Lifetime, MessagesRef, PushTerms, Pushed, SubscriberId};
use serde_json::json;

pub(crate) fn subscribe(
    arguments: &Arguments,
    subscription: &Subscription,
    output: &mut Output,
) -> Result<(), Failure> {
    let Subscription { topic, id } = subscription;
    let subscriber = SubscriberId::from(id.as_str());
    let next_offset = connect_once(arguments)?.subscribe(topic, &subscriber)?;
    let plain = format!("{id} is subscribed to {topic} and reads offset {next_offset} next");
    let object = json!({ "topic": topic, "subscriber": id, "next_offset": next_offset });
    Ok(output.line(&plain, &object)?)
}

pub(crate) fn unsubscribe(
    arguments: &Arguments,
    subscription: &Subscription,
    output: &mut Output,
) -> Result<(), Failure> {
    let Subscription { topic, id } = subscription;
    connect_once(arguments)?.unsubscribe(topic, &SubscriberId::from(id.as_str()))?;
    let plain = format!("{id} is no longer subscribed to {topic}");
    Ok(output.line(&plain, &json!({ "topic": topic, "unsubscribed": id }))?)
}

pub(crate) fn pull(arguments: &Arguments, pull: &Pull, output: &mut Output) -> Result<(), Failure> {
    let topic = &pull.of.topic;
    let subscriber = SubscriberId::from(pull.of.id.as_str());
    let mut client = connect_once(arguments)?;
    if pull.subscribe {
        client.subscribe(topic, &subscriber)?;
    }
    let pulled = match pull.max {
        Some(count_max) => client.pull_max(topic, &subscriber, count_max)?,
        None => client.pull(topic, &subscriber)?,
    };
    if pulled.lost > 0 {
        let plain = format!("{} messages were lost before these", pulled.lost);
        output.remark(&plain, &json!({ "lost": pulled.lost }))?;
    }
    for message in pulled.messages.clone() {
        output.message(message.offset, &message.payload)?;
    }
    let plain = match (pulled.messages.is_empty(), pulled.remaining) {
        (true, 0) => "No new messages".to_owned(),
        (false, 0) => return Ok(()),
        (_, remaining) => format!("{remaining} more are unread"),
    };
    Ok(output.remark(&plain, &json!({ "remaining": pulled.remaining }))?)
}

pub(crate) fn follow(
    arguments: &Arguments,
    following: &Following,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut client = Client::connect_with(&arguments.broker, arguments.options())?;
    let (subscriber, lifetime) = match &following.id {
        Some(id) => (SubscriberId::from(id.as_str()), Lifetime::Named),
        None => (client.register_subscriber(), Lifetime::Connection),
    };
    let terms = PushTerms::new()
        .ack_mode(following.ack.into())
        .lag_policy(following.lag_policy.into())
        .lifetime(lifetime);
    let mut left = following.count.unwrap_or(u64::MAX);
    let mut subscription = client.subscribe_push(&following.topic, &subscriber, terms)?;
    while left > 0 {
        let printed = match subscription.next_batch()? {
            Pushed::Delivered(messages) => print(messages, left, output)?,
            Pushed::Lost(lost) => {
                let plain =
                    format!("{} messages were lost before offset {}", lost.count, lost.next_offset);
                let object = json!({ "lost": lost.count, "next_offset": lost.next_offset });
                output.remark(&plain, &object)?;
                None
            }
        };
        // What was printed must be out before it counts as read.
        output.flush()?;
        if let Some(printed) = printed {
            left -= printed.count;
            if following.ack == Ack::Explicit {
                subscription.ack(printed.last_offset);
            }
        }
    }
    // Another run that follows at once must find all that was not printed.
    Ok(subscription.detach()?)
}

/// What was printed of a batch.
struct Printed {
    count: u64,
    last_offset: u64,
}

/// Prints at most `count_max` messages.
fn print(
    messages: MessagesRef<'_>,
    count_max: u64,
    output: &mut Output,
) -> Result<Option<Printed>, Failure> {
    let mut printed = None;
    for (count, payload) in (1..=count_max).zip(messages.payloads()) {
        let last_offset = messages.base_offset() + count - 1;
        output.message(last_offset, payload)?;
        printed = Some(Printed { count, last_offset });
    }
    Ok(printed)
}
