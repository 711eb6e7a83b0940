//! Subscriptions: made, moved, removed, pulled from and followed.

use super::connect_once;
use crate::arguments::{
    Ack, Arguments, Following, Making, Pull, Seek, Showing, Subscription, Terms,
};
use crate::failure::Failure;
use crate::output::{Output, Shown};
use client_api::blocking::Client;
use client_api::{
    Lifetime, MessagesRef, OffsetRange, PullTerms, PushTerms, Pushed, SubscriberId, Verdict,
};
use serde_json::json;

pub(crate) fn subscribe(
    arguments: &Arguments,
    making: &Making,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut client = connect_once(arguments)?;
    let next_offset = make(&mut client, &making.of, &making.terms)?;
    tell_place("is subscribed to", &making.of, next_offset, output)
}

pub(crate) fn seek(arguments: &Arguments, seek: &Seek, output: &mut Output) -> Result<(), Failure> {
    let subscriber = SubscriberId::from(seek.of.name());
    let next_offset = connect_once(arguments)?.seek(&seek.of.topic, &subscriber, seek.to)?;
    tell_place("was moved in", &seek.of, next_offset, output)
}

fn make(client: &mut Client, of: &Subscription, terms: &Terms) -> Result<u64, Failure> {
    let mut pull_terms = PullTerms::new().start(terms.start);
    if of.is_group() {
        pull_terms = pull_terms.acks(terms.acks());
    }
    Ok(client.subscribe_with(&of.topic, &SubscriberId::from(of.name()), &pull_terms)?)
}

fn tell_place(
    what: &str,
    of: &Subscription,
    next_offset: u64,
    output: &mut Output,
) -> Result<(), Failure> {
    let (name, topic) = (of.name(), &of.topic);
    let plain = format!("{name} {what} {topic} and reads offset {next_offset} next");
    let object = json!({ "topic": topic, "subscriber": name, "next_offset": next_offset });
    Ok(output.line(&plain, &object)?)
}

pub(crate) fn unsubscribe(
    arguments: &Arguments,
    subscription: &Subscription,
    output: &mut Output,
) -> Result<(), Failure> {
    let (topic, name) = (&subscription.topic, subscription.name());
    connect_once(arguments)?.unsubscribe(topic, &SubscriberId::from(name))?;
    let plain = format!("{name} is no longer subscribed to {topic}");
    Ok(output.line(&plain, &json!({ "topic": topic, "unsubscribed": name }))?)
}

pub(crate) fn pull(arguments: &Arguments, pull: &Pull, output: &mut Output) -> Result<(), Failure> {
    let topic = &pull.of.topic;
    let subscriber = SubscriberId::from(pull.of.name());
    let mut client = connect_once(arguments)?;
    if pull.subscribe {
        make(&mut client, &pull.of, &pull.terms)?;
    }
    let pulled = match pull.max {
        Some(count_max) => client.pull_max(topic, &subscriber, count_max)?,
        None => client.pull(topic, &subscriber)?,
    };
    if pulled.lost > 0 {
        let plain = format!("{} messages were lost before these", pulled.lost);
        output.remark(&plain, &json!({ "lost": pulled.lost }))?;
    }
    let kind = if pulled.is_leased { Kind::Group } else { Kind::Cursor };
    let printed = print(pulled.messages.borrowed(), u64::MAX, kind, pull.showing, output)?;
    if let (Some(printed), Kind::Group) = (printed, kind) {
        // What was printed must be out before it counts as done.
        output.flush()?;
        client.settle_pulled(topic, &subscriber, &[printed], Verdict::Ack)?;
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
    let kind = if following.group.is_some() { Kind::Group } else { Kind::Cursor };
    let (subscriber, lifetime) = match following.id.as_deref().or(following.group.as_deref()) {
        Some(name) => (SubscriberId::from(name), Lifetime::Named),
        None => (client.register_subscriber(), Lifetime::Connection),
    };
    let mut terms = PushTerms::new()
        .ack_mode(following.ack.into())
        .lag_policy(following.lag_policy.into())
        .lifetime(lifetime)
        .start(following.terms.start);
    if kind == Kind::Group {
        terms = terms.acks(following.terms.acks());
    }
    let mut left = following.count.unwrap_or(u64::MAX);
    let mut subscription = client.subscribe_push(&following.topic, &subscriber, terms)?;
    while left > 0 {
        let printed = match subscription.next_batch()? {
            Pushed::Delivered(messages) => print(messages, left, kind, following.showing, output)?,
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
        let Some(printed) = printed else { continue };
        left -= u64::from(printed.count);
        match (kind, following.ack) {
            (Kind::Group, _) => subscription.settle(printed, Verdict::Ack),
            (Kind::Cursor, Ack::Explicit) => subscription.ack(printed.end() - 1),
            (Kind::Cursor, Ack::OnSend) => {}
        }
    }
    // Another run that follows at once must find all that was not printed.
    Ok(subscription.detach()?)
}

/// What kind of subscription messages come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It reads each message once.
    Cursor,
    /// Its messages are delivered until each is acknowledged.
    Group,
}

/// Prints at most `count_max` messages, and gives their offsets.
fn print(
    messages: MessagesRef<'_>,
    count_max: u64,
    kind: Kind,
    showing: Showing,
    output: &mut Output,
) -> Result<Option<OffsetRange>, Failure> {
    let mut printed = None;
    for (count, record) in (1..=count_max).zip(messages.records()) {
        output.message(&Shown {
            offset: messages.base_offset() + count - 1,
            payload: record.payload,
            deliveries: (kind == Kind::Group).then_some(messages.deliveries()),
            headers: showing.headers.then_some(record.headers),
        })?;
        printed = Some(OffsetRange { count: count as u32, ..messages.offsets() });
    }
    Ok(printed)
}
