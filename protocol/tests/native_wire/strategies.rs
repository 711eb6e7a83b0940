//! Requests as anyone may make them.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use protocol::{
    AckMode, AckTerms, Delivery, Durability, LagPolicy, Lifetime, OffsetRange, PublishTerms,
    PublisherId, PublisherSequence, Push, Request, Retention, SettleAnswer, SettleTarget, Start,
    StorageClass, TopicOptions, Verdict,
};
use std::borrow::Cow;

pub(crate) fn name() -> impl Strategy<Value = Cow<'static, str>> {
    "\\PC{0,20}".prop_map(Cow::Owned)
}

/// Every request but PUBLISH, which borrows its batch.
pub(crate) fn plain_request() -> impl Strategy<Value = Request<'static>> {
    prop_oneof![
        (name(), options()).prop_map(|(topic, options)| Request::Create { topic, options }),
        name().prop_map(|topic| Request::Delete { topic }),
        subscribe(),
        (name(), name()).prop_map(|(topic, subscriber)| Request::Unsubscribe { topic, subscriber }),
        any::<u32>().prop_map(|subscription| Request::Detach { subscription }),
        any::<(u32, u32)>()
            .prop_map(|(subscription, bytes)| Request::Credit { subscription, bytes }),
        (any::<u32>(), any::<u64>(), answer()).prop_map(|(subscription, offset, answer)| {
            Request::Ack { subscription, offset, answer }
        }),
        settle(),
        (name(), name(), start()).prop_map(|(topic, subscriber, to)| Request::Seek {
            topic,
            subscriber,
            to
        }),
        (name(), name(), option::of(1u32..)).prop_map(|(topic, subscriber, count_max)| {
            Request::Pull { topic, subscriber, count_max }
        }),
        Just(Request::ListTopics),
        name().prop_map(|topic| Request::Subscribers { topic }),
        Just(Request::Ping),
        Just(Request::Info),
    ]
}

pub(crate) fn terms() -> impl Strategy<Value = PublishTerms> {
    let sequence = any::<(u128, u64)>().prop_map(|(publisher, sequence)| PublisherSequence {
        publisher: PublisherId(publisher),
        sequence,
    });
    (durability(), option::of(sequence))
        .prop_map(|(durability, sequence)| PublishTerms { durability, sequence })
}

fn options() -> impl Strategy<Value = TopicOptions> {
    let limit = || option::of(1u64..);
    let retention =
        (limit(), limit(), limit()).prop_map(|(bytes_max, messages_max, age_ms_max)| Retention {
            bytes_max,
            messages_max,
            age_ms_max,
        });
    let storage = option::of(prop_oneof![Just(StorageClass::Memory), Just(StorageClass::Disk)]);
    (retention, storage, durability()).prop_map(|(retention, storage, durability)| TopicOptions {
        retention,
        storage,
        durability,
    })
}

fn durability() -> impl Strategy<Value = Option<Durability>> {
    option::of(prop_oneof![Just(Durability::Os), Just(Durability::Sync)])
}

fn subscribe() -> impl Strategy<Value = Request<'static>> {
    (name(), name(), delivery(), start(), option::of(acks())).prop_map(
        |(topic, subscriber, mut delivery, start, acks)| {
            // The mode says nothing where messages are acknowledged individually.
            if let (Delivery::Push(push), Some(_)) = (&mut delivery, &acks) {
                push.ack_mode = AckMode::OnSend;
            }
            Request::Subscribe { topic, subscriber, delivery, start, acks }
        },
    )
}

fn delivery() -> impl Strategy<Value = Delivery> {
    let ack_mode = prop_oneof![Just(AckMode::OnSend), Just(AckMode::Cumulative)];
    let lag_policy =
        prop_oneof![Just(LagPolicy::Skip), Just(LagPolicy::Disconnect), Just(LagPolicy::Hold)];
    let lifetime = prop_oneof![Just(Lifetime::Named), Just(Lifetime::Connection)];
    let push = (any::<u32>(), ack_mode, lag_policy, lifetime).prop_map(
        |(credit_bytes, ack_mode, lag_policy, lifetime)| {
            Delivery::Push(Push { credit_bytes, ack_mode, lag_policy, lifetime })
        },
    );
    prop_oneof![Just(Delivery::Pull), push]
}

fn start() -> impl Strategy<Value = Start> {
    prop_oneof![
        Just(Start::Earliest),
        Just(Start::Latest),
        any::<u64>().prop_map(Start::Offset),
        any::<u64>().prop_map(|unix_ms| Start::Time { unix_ms }),
    ]
}

fn acks() -> impl Strategy<Value = AckTerms<'static>> {
    let dead_letter = option::of("\\PC{1,20}".prop_map(Cow::Owned));
    (any::<[u32; 5]>(), dead_letter).prop_map(|(numbers, dead_letter)| {
        let [ack_timeout_ms, in_flight_max, deliveries_max, backoff_ms_min, backoff_ms_max] =
            numbers;
        AckTerms {
            ack_timeout_ms,
            in_flight_max,
            deliveries_max,
            backoff_ms_min,
            backoff_ms_max,
            dead_letter,
        }
    })
}

fn answer() -> impl Strategy<Value = SettleAnswer> {
    prop_oneof![Just(SettleAnswer::Wanted), Just(SettleAnswer::Unwanted)]
}

fn settle() -> impl Strategy<Value = Request<'static>> {
    let attached = any::<u32>().prop_map(|subscription| SettleTarget::Attached { subscription });
    let named =
        (name(), name()).prop_map(|(topic, subscriber)| SettleTarget::Named { topic, subscriber });
    let range = (0..u64::MAX / 2, 1u32..).prop_map(|(first, count)| OffsetRange { first, count });
    let verdict = prop_oneof![
        Just(Verdict::Ack),
        option::of(0..u32::MAX).prop_map(|delay_ms| Verdict::Nack { delay_ms }),
    ];
    (prop_oneof![attached, named], vec(range, 1..6), verdict, answer()).prop_map(
        |(target, ranges, verdict, mut answer)| {
            if matches!(target, SettleTarget::Named { .. }) {
                answer = SettleAnswer::Wanted;
            }
            Request::Settle { target, ranges, verdict, answer }
        },
    )
}
