//! Pulling with individual acknowledgements: what a pull takes is leased, and comes again unless it
//! is acknowledged in time.

use conformance::{BrokerProcess, Host, Leased, Speaks, for_all_hosts_and_dialects, wait_until};
use protocol::{AckTerms, Code, Retention};

for_all_hosts_and_dialects! {
    a_pull_leases_messages_and_tells_their_offsets,
    a_pull_takes_no_more_than_asked_for,
    each_message_is_leased_to_one_of_all_that_pull,
    what_was_acknowledged_is_done_with,
    messages_are_acknowledged_in_any_order_and_in_runs,
    acknowledging_twice_is_the_same_as_once,
    what_was_never_delivered_cannot_be_acknowledged,
    no_more_is_in_flight_than_the_window_takes,
    what_came_back_still_fills_the_window,
    what_is_not_acknowledged_in_time_comes_again,
    an_acknowledgement_after_the_timeout_counts,
    whoever_has_finished_may_say_so_though_another_has_the_message_now,
    a_lease_outlives_the_connection_that_pulled,
    what_is_given_back_without_delay_comes_at_once,
    what_is_given_back_with_a_delay_comes_later,
    the_backoff_grows_with_every_delivery,
    the_backoff_grows_to_its_end_only,
    one_pull_gives_messages_that_were_delivered_equally_often,
    what_came_back_comes_before_what_is_new,
    a_group_that_retention_overtakes_is_told_what_it_lost,
    what_waits_to_come_again_may_be_lost_as_well,
}

/// As many milliseconds as no test waits.
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

/// Whose messages come back as soon as the broker looks.
const HASTY: AckTerms<'static> =
    AckTerms { ack_timeout_ms: 50, backoff_ms_min: 1, backoff_ms_max: 1, ..PATIENT };

/// A broker with a topic `t` that holds `messages` and has a group `g`, and a client.
fn with_group<C: Speaks>(host: Host, acks: &AckTerms<'_>, messages: &[&str]) -> (BrokerProcess, C) {
    let broker = host.start();
    let mut client = C::connect(&broker);
    client.create("t").expect("created");
    assert_eq!(client.join("t", "g", acks), Ok(0));
    for message in messages {
        client.publish("t", message).expect("published");
    }
    (broker, client)
}

fn lease<C: Speaks>(client: &mut C) -> Leased {
    client.lease("t", "g", None).expect("a lease")
}

/// The next pull that is not empty.
#[track_caller]
fn lease_in_time<C: Speaks>(client: &mut C) -> Leased {
    let mut leased = Leased::default();
    wait_until("messages", || {
        leased = lease(client);
        !leased.offsets.is_empty()
    });
    leased
}

/// What there is of a lease: its offsets, deliveries and how many remain.
fn shape(leased: &Leased) -> (&[u64], u32, u64) {
    (&leased.offsets, leased.deliveries, leased.pulled.remaining)
}

#[track_caller]
fn check_empty<C: Speaks>(client: &mut C, remaining: u64) {
    let leased = lease(client);
    assert_eq!((&leased.offsets[..], leased.pulled.remaining), (&[][..], remaining));
}

fn a_pull_leases_messages_and_tells_their_offsets<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_group::<C>(host, &PATIENT, &["a", "b", "c"]);
    let leased = lease(&mut client);
    assert_eq!(leased.texts(), ["a", "b", "c"]);
    assert_eq!((shape(&leased), leased.pulled.lost), ((&[0, 1, 2][..], 1, 0), 0));
    check_empty(&mut client, 0);
    client.publish("t", "d").expect("published");
    assert_eq!(shape(&lease(&mut client)), (&[3][..], 1, 0));
}

fn a_pull_takes_no_more_than_asked_for<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_group::<C>(host, &PATIENT, &["a", "b", "c"]);
    let leased = client.lease("t", "g", Some(2)).expect("a lease");
    assert_eq!(shape(&leased), (&[0, 1][..], 1, 1));
    let leased = client.lease("t", "g", Some(2)).expect("a lease");
    assert_eq!(shape(&leased), (&[2][..], 1, 0));
}

fn each_message_is_leased_to_one_of_all_that_pull<C: Speaks>(host: Host) {
    let messages: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    let (broker, client) = with_group::<C>(host, &PATIENT, &messages);
    let mut clients = [client, C::connect(&broker), C::connect(&broker)];
    let mut offsets = Vec::new();
    while offsets.len() < messages.len() {
        for client in &mut clients {
            offsets.extend(client.lease("t", "g", Some(7)).expect("a lease").offsets);
        }
    }
    assert_eq!(offsets, (0..100).collect::<Vec<_>>());
}

fn what_was_acknowledged_is_done_with<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_group::<C>(host, &HASTY, &["a", "b", "c"]);
    lease(&mut client);
    assert_eq!(client.ack_offsets("t", "g", &[1]), Ok(()));
    let mut seen = Vec::new();
    while seen.len() < 20 {
        seen.extend(lease_in_time(&mut client).offsets);
    }
    assert!(!seen.contains(&1), "it was acknowledged: {seen:?}");
}

fn messages_are_acknowledged_in_any_order_and_in_runs<C: Speaks>(host: Host) {
    let messages = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let (_broker, mut client) = with_group::<C>(host, &PATIENT, &messages);
    lease(&mut client);
    for offsets in [&[9, 4][..], &[0, 1, 2], &[6]] {
        assert_eq!(client.ack_offsets("t", "g", offsets), Ok(()));
    }
    let all: Vec<u64> = (0..10).collect();
    assert_eq!(client.nack_offsets("t", "g", &all, Some(0)), Ok(()));
    for (offsets, remaining) in [(&[3][..], 3), (&[5], 2), (&[7, 8], 0)] {
        assert_eq!(shape(&lease(&mut client)), (offsets, 2, remaining), "what was left out");
    }
}

fn acknowledging_twice_is_the_same_as_once<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_group::<C>(host, &PATIENT, &["a", "b"]);
    lease(&mut client);
    for _ in 0..3 {
        assert_eq!(client.ack_offsets("t", "g", &[0]), Ok(()));
    }
    assert_eq!(client.ack_offsets("t", "g", &[1, 1, 0]), Ok(()), "named twice in one");
    assert_eq!(client.nack_offsets("t", "g", &[0, 1], Some(0)), Ok(()));
    check_empty(&mut client, 0);
}

fn what_was_never_delivered_cannot_be_acknowledged<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_group::<C>(host, &PATIENT, &["a", "b", "c"]);
    assert_eq!(client.ack_offsets("t", "g", &[0]), Err(Code::InvalidValue));
    client.lease("t", "g", Some(2)).expect("a lease");
    for offsets in [&[2][..], &[0, 1, 2], &[0, 2], &[u64::MAX - 1]] {
        assert_eq!(client.ack_offsets("t", "g", offsets), Err(Code::InvalidValue));
        assert_eq!(client.nack_offsets("t", "g", offsets, Some(0)), Err(Code::InvalidValue));
    }
    // Nothing was done of what was refused in part.
    assert_eq!(client.nack_offsets("t", "g", &[0, 1], Some(0)), Ok(()));
    assert_eq!(shape(&lease(&mut client)), (&[0, 1][..], 2, 1));
    assert_eq!(shape(&lease(&mut client)), (&[2][..], 1, 0));
}

fn no_more_is_in_flight_than_the_window_takes<C: Speaks>(host: Host) {
    let acks = AckTerms { in_flight_max: 3, ..PATIENT };
    let (_broker, mut client) = with_group::<C>(host, &acks, &["a", "b", "c", "d", "e", "f"]);
    assert_eq!(shape(&lease(&mut client)), (&[0, 1, 2][..], 1, 3));
    check_empty(&mut client, 3);
    assert_eq!(client.ack_offsets("t", "g", &[1, 2]), Ok(()));
    assert_eq!(shape(&lease(&mut client)), (&[3, 4][..], 1, 1));
    assert_eq!(client.ack_offsets("t", "g", &[0]), Ok(()));
    assert_eq!(shape(&lease(&mut client)), (&[5][..], 1, 0));
}

fn what_came_back_still_fills_the_window<C: Speaks>(host: Host) {
    let acks = AckTerms { in_flight_max: 2, ..PATIENT };
    let (_broker, mut client) = with_group::<C>(host, &acks, &["a", "b", "c"]);
    lease(&mut client);
    assert_eq!(client.nack_offsets("t", "g", &[0], Some(NEVER_MS)), Ok(()));
    check_empty(&mut client, 2);
    assert_eq!(client.ack_offsets("t", "g", &[0]), Ok(()), "done with after all");
    assert_eq!(shape(&lease(&mut client)), (&[2][..], 1, 0));
}

fn what_is_not_acknowledged_in_time_comes_again<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_group::<C>(host, &HASTY, &["a"]);
    for deliveries in 1..4 {
        let leased = lease_in_time(&mut client);
        assert_eq!((leased.texts(), leased.deliveries), (vec!["a"], deliveries));
    }
}

fn an_acknowledgement_after_the_timeout_counts<C: Speaks>(host: Host) {
    let acks = AckTerms { ack_timeout_ms: 50, ..PATIENT };
    let (_broker, mut client) = with_group::<C>(host, &acks, &["a", "b"]);
    lease(&mut client);
    wait_until("both to be waiting for their next delivery", || {
        lease(&mut client).pulled.remaining == 2
    });
    assert_eq!(client.ack_offsets("t", "g", &[0]), Ok(()));
    check_empty(&mut client, 1);
}

fn whoever_has_finished_may_say_so_though_another_has_the_message_now<C: Speaks>(host: Host) {
    let (broker, mut stale) = with_group::<C>(host, &PATIENT, &["a"]);
    let mut next = C::connect(&broker);
    assert_eq!(lease(&mut stale).deliveries, 1);
    assert_eq!(stale.nack_offsets("t", "g", &[0], Some(0)), Ok(()));
    assert_eq!(lease(&mut next).deliveries, 2);
    assert_eq!(stale.ack_offsets("t", "g", &[0]), Ok(()), "it had finished as well");
    assert_eq!(next.nack_offsets("t", "g", &[0], Some(0)), Ok(()), "too late");
    check_empty(&mut next, 0);
}

fn a_lease_outlives_the_connection_that_pulled<C: Speaks>(host: Host) {
    let (broker, mut first) = with_group::<C>(host, &PATIENT, &["a", "b"]);
    lease(&mut first);
    drop(first);
    let mut second = C::connect(&broker);
    wait_until("the first to be gone", || second.info().expect("info").connections == 1);
    check_empty(&mut second, 0);
    assert_eq!(second.ack_offsets("t", "g", &[0]), Ok(()));
    assert_eq!(second.nack_offsets("t", "g", &[0, 1], Some(0)), Ok(()));
    assert_eq!(shape(&lease(&mut second)), (&[1][..], 2, 0));
}

fn what_is_given_back_without_delay_comes_at_once<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_group::<C>(host, &PATIENT, &["a", "b", "c"]);
    lease(&mut client);
    for deliveries in 2..30 {
        assert_eq!(client.nack_offsets("t", "g", &[0, 1], Some(0)), Ok(()));
        assert_eq!(shape(&lease(&mut client)), (&[0, 1][..], deliveries, 0));
    }
}

fn what_is_given_back_with_a_delay_comes_later<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_group::<C>(host, &PATIENT, &["a", "b", "c"]);
    lease(&mut client);
    assert_eq!(client.nack_offsets("t", "g", &[0], Some(NEVER_MS)), Ok(()));
    assert_eq!(client.nack_offsets("t", "g", &[2], Some(50)), Ok(()));
    assert_eq!(shape(&lease_in_time(&mut client)), (&[2][..], 2, 1), "the shorter delay");
}

/// Of two messages given back to wait for the backoff, one was delivered often and the other
/// once; gives the group's first message that comes again.
fn first_after_backoff<C: Speaks>(host: Host, acks: &AckTerms<'_>) -> Vec<u64> {
    let (_broker, mut client) = with_group::<C>(host, acks, &["often", "once"]);
    client.lease("t", "g", Some(1)).expect("a lease");
    for deliveries in 2..25 {
        assert_eq!(client.nack_offsets("t", "g", &[0], Some(0)), Ok(()));
        assert_eq!(client.lease("t", "g", Some(1)).expect("a lease").deliveries, deliveries);
    }
    assert_eq!(lease(&mut client).offsets, [1]);
    assert_eq!(client.nack_offsets("t", "g", &[0], None), Ok(()));
    if acks.backoff_ms_max > acks.backoff_ms_min {
        assert_eq!(client.nack_offsets("t", "g", &[1], None), Ok(()));
    }
    lease_in_time(&mut client).offsets
}

fn the_backoff_grows_with_every_delivery<C: Speaks>(host: Host) {
    // Doubled so often, it is more than an hour.
    let acks = AckTerms { backoff_ms_min: 1, ..PATIENT };
    assert_eq!(first_after_backoff::<C>(host, &acks), [1]);
}

fn the_backoff_grows_to_its_end_only<C: Speaks>(host: Host) {
    let acks = AckTerms { backoff_ms_min: 1, backoff_ms_max: 1, ..PATIENT };
    assert_eq!(first_after_backoff::<C>(host, &acks), [0]);
}

fn one_pull_gives_messages_that_were_delivered_equally_often<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_group::<C>(host, &PATIENT, &["a", "b", "c", "d"]);
    lease(&mut client);
    assert_eq!(client.nack_offsets("t", "g", &[1], Some(0)), Ok(()));
    assert_eq!(lease(&mut client).offsets, [1]);
    assert_eq!(client.nack_offsets("t", "g", &[0, 1, 2, 3], Some(0)), Ok(()));
    for (offsets, deliveries, remaining) in [(&[0][..], 2, 3), (&[1], 3, 2), (&[2, 3], 2, 0)] {
        assert_eq!(shape(&lease(&mut client)), (offsets, deliveries, remaining));
    }
}

fn what_came_back_comes_before_what_is_new<C: Speaks>(host: Host) {
    let (_broker, mut client) = with_group::<C>(host, &PATIENT, &["a", "b", "c", "d"]);
    client.lease("t", "g", Some(3)).expect("a lease");
    assert_eq!(client.nack_offsets("t", "g", &[1, 2], Some(0)), Ok(()));
    assert_eq!(shape(&client.lease("t", "g", Some(1)).expect("a lease")), (&[1][..], 2, 2));
    assert_eq!(shape(&lease(&mut client)), (&[2][..], 2, 1));
    assert_eq!(shape(&lease(&mut client)), (&[3][..], 1, 0));
}

/// A group of a topic that keeps three messages, one of which it has in flight.
fn of_small_topic<C: Speaks>(host: Host) -> (BrokerProcess, C) {
    let broker = host.start();
    let mut client = C::connect(&broker);
    let retention = Retention { messages_max: Some(3), ..Retention::default() };
    client.create_with("t", retention).expect("created");
    assert_eq!(client.join("t", "g", &PATIENT), Ok(0));
    client.publish("t", "0").expect("published");
    assert_eq!(lease(&mut client).offsets, [0]);
    (broker, client)
}

fn publish_until<C: Speaks>(client: &mut C, end: u64) {
    for number in 1..end {
        assert_eq!(client.publish("t", number.to_string()), Ok(number));
    }
}

fn a_group_that_retention_overtakes_is_told_what_it_lost<C: Speaks>(host: Host) {
    let (_broker, mut client) = of_small_topic::<C>(host);
    publish_until(&mut client, 10);
    let leased = client.lease("t", "g", Some(1)).expect("a lease");
    assert_eq!(shape(&leased), (&[7][..], 1, 2));
    assert_eq!(leased.pulled.lost, 6, "a consumer has the first, and may be done with it");
    assert_eq!(client.ack_offsets("t", "g", &[0, 7]), Ok(()));
    let leased = lease(&mut client);
    assert_eq!((shape(&leased), leased.pulled.lost), ((&[8, 9][..], 1, 0), 0), "told once");
}

fn what_waits_to_come_again_may_be_lost_as_well<C: Speaks>(host: Host) {
    let (_broker, mut client) = of_small_topic::<C>(host);
    assert_eq!(client.nack_offsets("t", "g", &[0], Some(0)), Ok(()));
    publish_until(&mut client, 10);
    let leased = lease(&mut client);
    assert_eq!((shape(&leased), leased.pulled.lost), ((&[7, 8, 9][..], 1, 0), 7));
}
