//! The terms of individual acknowledgement: whose defaults hold, and which kinds of subscription
//! take which requests.

use conformance::{BrokerProcess, Host, Leased, Speaks, for_all_hosts_and_dialects, wait_until};
use protocol::{AckTerms, Code, Verdict};

for_all_hosts_and_dialects! {
    the_brokers_limits_hold_where_a_group_chose_nothing,
    what_a_group_chose_wins_over_the_brokers_limits,
    a_backoff_is_never_longer_than_its_end,
    joining_again_keeps_the_terms_and_the_place,
    a_group_is_one_subscription_of_its_topic,
    groups_of_a_topic_do_not_see_each_other,
    a_group_is_no_subscription_of_the_other_kind,
    a_subscription_of_the_other_kind_is_no_group,
    a_group_that_was_removed_begins_anew,
    whatever_needs_a_topic_or_a_group_is_refused_without_one,
}

const NEVER_MS: u32 = 3_600_000;

/// Whose messages come back only when a consumer gives them back.
const PATIENT: AckTerms<'static> = AckTerms {
    ack_timeout_ms: NEVER_MS,
    in_flight_max: 1000,
    deliveries_max: 1000,
    backoff_ms_min: NEVER_MS,
    backoff_ms_max: NEVER_MS,
    dead_letter: None,
};

/// Flags of a broker that is in a hurry.
const HASTY: [&str; 10] = [
    "--ack-timeout-ms",
    "50",
    "--in-flight-max",
    "2",
    "--deliveries-max",
    "3",
    "--redelivery-backoff-ms-min",
    "1",
    "--redelivery-backoff-ms-max",
    "1",
];

/// A broker with a topic `t` that holds three messages, and a client.
fn with_topic<C: Speaks>(host: Host, flags: &[&str]) -> (BrokerProcess, C) {
    let broker = host.start_with(flags);
    let mut client = C::connect(&broker);
    client.create("t").expect("created");
    for message in ["a", "b", "c"] {
        client.publish("t", message).expect("published");
    }
    (broker, client)
}

fn lease<C: Speaks>(client: &mut C, group: &str) -> Leased {
    client.lease("t", group, None).expect("a lease")
}

fn the_brokers_limits_hold_where_a_group_chose_nothing<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_topic::<C>(host, &HASTY);
    assert_eq!(client.join("t", "g", &AckTerms::default()), Ok(0));
    assert_eq!(lease(&mut client, "g").offsets, [0, 1], "in_flight_max");
    let mut deliveries = 1;
    wait_until("a last delivery, and then dead letters", || {
        let leased = lease(&mut client, "g");
        deliveries = deliveries.max(leased.deliveries);
        client.topics().expect("topics") == ["t", "t.dead-letter"]
    });
    assert_eq!(deliveries, 3, "deliveries_max");
}

fn what_a_group_chose_wins_over_the_brokers_limits<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_topic::<C>(host, &HASTY);
    assert_eq!(client.join("t", "hasty", &AckTerms::default()), Ok(0));
    assert_eq!(client.join("t", "patient", &PATIENT), Ok(0));
    assert_eq!(lease(&mut client, "patient").offsets, [0, 1, 2], "its window is larger");
    assert_eq!(lease(&mut client, "hasty").offsets, [0, 1]);
    assert_eq!(client.nack_offsets("t", "patient", &[2], Some(0)), Ok(()));
    wait_until("the other's messages to come again", || {
        !lease(&mut client, "hasty").offsets.is_empty()
    });
    let leased = lease(&mut client, "patient");
    assert_eq!((&leased.offsets[..], leased.pulled.remaining), (&[2][..], 0), "but not its own");
}

fn a_backoff_is_never_longer_than_its_end<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_topic::<C>(host, &HASTY);
    // The longer of the two wins where a group's beginning is beyond the broker's end.
    let acks = AckTerms { backoff_ms_min: NEVER_MS, backoff_ms_max: 0, ..PATIENT };
    assert_eq!(client.join("t", "long", &acks), Ok(0));
    let acks = AckTerms { backoff_ms_min: 0, backoff_ms_max: 5, ..PATIENT };
    assert_eq!(client.join("t", "short", &acks), Ok(0));
    for group in ["long", "short"] {
        assert_eq!(lease(&mut client, group).offsets, [0, 1, 2]);
        let backoff = Verdict::Nack { delay_ms: None };
        assert_eq!(client.settle("t", group, &[0, 1, 2], backoff), Ok(()));
    }
    wait_until("the short backoff", || lease(&mut client, "short").offsets == [0, 1, 2]);
    assert_eq!(lease(&mut client, "long").pulled.remaining, 3);
}

fn joining_again_keeps_the_terms_and_the_place<C: Speaks>(host: Host) {
    let (broker, mut client) = with_topic::<C>(host, &[]);
    let acks = AckTerms { in_flight_max: 1, ..PATIENT };
    assert_eq!(client.join("t", "g", &acks), Ok(0));
    assert_eq!(lease(&mut client, "g").offsets, [0]);
    assert_eq!(client.ack_offsets("t", "g", &[0]), Ok(()));
    let mut other = C::connect(&broker);
    assert_eq!(other.join("t", "g", &PATIENT), Ok(1));
    assert_eq!(lease(&mut other, "g").offsets, [1], "one at a time still");
    assert_eq!(client.join("t", "g", &AckTerms::default()), Ok(2), "what is in flight stays");
    assert_eq!(lease(&mut client, "g").offsets.len(), 0);
}

fn a_group_is_one_subscription_of_its_topic<C: Speaks>(host: Host) {
    let (broker, mut client) = with_topic::<C>(host, &[]);
    for _ in 0..3 {
        assert_eq!(C::connect(&broker).join("t", "g", &PATIENT), Ok(0));
    }
    assert_eq!(client.subscribe("t", "s"), Ok(()));
    assert_eq!(client.subscribers("t").expect("subscribers"), ["g", "s"]);
    assert_eq!(client.info().expect("info").subscriptions, 2);
}

fn groups_of_a_topic_do_not_see_each_other<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_topic::<C>(host, &[]);
    for group in ["one", "two"] {
        assert_eq!(client.join("t", group, &PATIENT), Ok(0));
        assert_eq!(lease(&mut client, group).offsets, [0, 1, 2]);
    }
    assert_eq!(client.ack_offsets("t", "one", &[0, 1, 2]), Ok(()));
    for (group, left) in [("one", &[][..]), ("two", &[0, 1, 2])] {
        assert_eq!(client.nack_offsets("t", group, &[0, 1, 2], Some(0)), Ok(()));
        assert_eq!(lease(&mut client, group).offsets, left);
    }
}

fn a_group_is_no_subscription_of_the_other_kind<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_topic::<C>(host, &[]);
    assert_eq!(client.join("t", "g", &PATIENT), Ok(0));
    assert_eq!(client.subscribe("t", "g"), Err(Code::SubscriptionMismatch));
    assert_eq!(lease(&mut client, "g").offsets, [0, 1, 2], "it is what it was");
}

fn a_subscription_of_the_other_kind_is_no_group<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_topic::<C>(host, &[]);
    assert_eq!(client.subscribe("t", "s"), Ok(()));
    assert_eq!(client.join("t", "s", &PATIENT), Err(Code::SubscriptionMismatch));
    assert_eq!(client.pull_max("t", "s", Some(1)).expect("messages").texts(), ["a"]);
    assert_eq!(client.ack_offsets("t", "s", &[0]), Err(Code::SubscriptionMismatch));
    let nacked = client.nack_offsets("t", "s", &[0], None);
    assert_eq!(nacked, Err(Code::SubscriptionMismatch));
    assert_eq!(client.pull("t", "s").expect("messages").texts(), ["b", "c"], "it is what it was");
}

fn a_group_that_was_removed_begins_anew<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_topic::<C>(host, &[]);
    assert_eq!(client.join("t", "g", &PATIENT), Ok(0));
    assert_eq!(lease(&mut client, "g").offsets, [0, 1, 2]);
    assert_eq!(client.ack_offsets("t", "g", &[1]), Ok(()));
    assert_eq!(client.unsubscribe("t", "g"), Ok(()));
    assert_eq!(client.ack_offsets("t", "g", &[0]), Err(Code::NotSubscribed));
    assert_eq!(client.lease("t", "g", None), Err(Code::NotSubscribed));
    assert_eq!(client.join("t", "g", &PATIENT), Ok(0));
    assert_eq!(client.ack_offsets("t", "g", &[0]), Err(Code::InvalidValue), "not delivered yet");
    let leased = lease(&mut client, "g");
    assert_eq!((&leased.offsets[..], leased.deliveries), (&[0, 1, 2][..], 1));
    assert_eq!(client.unsubscribe("t", "g"), Ok(()));
    assert_eq!(client.subscribe("t", "g"), Ok(()), "as the other kind too");
}

fn whatever_needs_a_topic_or_a_group_is_refused_without_one<C: Speaks>(host: Host) {
    let broker = host.start();
    let mut client = C::connect(&broker);
    assert_eq!(client.join("t", "g", &PATIENT), Err(Code::UnknownTopic));
    assert_eq!(client.lease("t", "g", None), Err(Code::UnknownTopic));
    assert_eq!(client.ack_offsets("t", "g", &[0]), Err(Code::UnknownTopic));
    client.create("t").expect("created");
    assert_eq!(client.lease("t", "g", None), Err(Code::NotSubscribed));
    assert_eq!(client.ack_offsets("t", "g", &[0]), Err(Code::NotSubscribed));
    assert_eq!(client.nack_offsets("t", "g", &[0], Some(0)), Err(Code::NotSubscribed));
    assert_eq!(client.join("t", "", &PATIENT), Err(Code::InvalidSubscriber));
    assert_eq!(client.subscribers("t"), Ok(vec![]));
}
