//! What the leases do, told case by case; `model` compares them with a naive model.

mod model;

use super::*;

const REDELIVERY: Redelivery =
    Redelivery { deliveries_max: 3, backoff: Backoff { ms_min: 100, ms_max: 1000 } };
const A: Holder = Holder::Attachment(AttachmentId(1));
const B: Holder = Holder::Puller(SessionKey(1));

fn at(ms: u64) -> Now {
    Now::default().plus_ms(ms)
}

fn counted(first: u64, count: u64) -> Offsets {
    Offsets::counted(first, count)
}

fn run(first: u64, count: u64, deliveries: u32) -> Run {
    Run { offsets: counted(first, count), deliveries }
}

/// Ten messages from offset 0 on, in flight with `A` until 1000 ms.
fn ten_in_flight() -> Leases {
    let mut leases = Leases::new(0);
    assert_eq!(leases.lease_new(10, A, at(1000)), counted(0, 10));
    leases
}

#[track_caller]
fn check_spans(leases: &Leases, count: usize) {
    leases.spans.assert_tidy();
    assert_eq!(leases.spans.iter().count(), count, "spans of {leases:?}");
}

#[test]
fn ten_thousand_messages_leased_and_settled_together_are_one_span_and_then_none() {
    let mut leases = Leases::new(7);
    leases.lease_new(10_000, A, at(1));
    check_spans(&leases, 1);
    let settled = leases.settle(counted(7, 10_000));
    assert_eq!(settled, Settled { settled: 10_000, ..Settled::default() });
    check_spans(&leases, 0);
    assert_eq!((leases.floor(), leases.next()), (10_007, 10_007));
}

#[test]
fn messages_leased_one_by_one_until_the_same_deadline_are_one_span() {
    let mut leases = Leases::new(0);
    for _ in 0..100 {
        leases.lease_new(1, A, at(5));
    }
    check_spans(&leases, 1);
    leases.lease_new(1, B, at(5));
    check_spans(&leases, 2);
}

#[test]
fn the_floor_waits_for_the_oldest_unsettled_message() {
    let mut leases = ten_in_flight();
    leases.settle(counted(5, 5));
    assert_eq!(leases.floor(), 0);
    leases.settle(counted(0, 3));
    assert_eq!(leases.floor(), 3);
    leases.settle(counted(3, 2));
    assert_eq!(leases.floor(), 10, "it goes on over what was settled before");
}

#[test]
fn an_acknowledgement_says_what_of_it_was_settled_before_or_never_leased() {
    let mut leases = ten_in_flight();
    leases.settle(counted(2, 3));
    let settled = leases.settle(counted(0, 15));
    assert_eq!(settled, Settled { settled: 7, already: 3, never_leased: 5 });
    assert_eq!(leases.next(), 10, "what was never leased is leased in its turn");
    assert_eq!(leases.settle(counted(u64::MAX, 9)).settled, 0);
}

#[test]
fn the_window_has_room_for_as_many_as_were_settled() {
    let mut leases = ten_in_flight();
    assert_eq!(leases.room(10), 0);
    assert_eq!(leases.room(5), 0, "a window made smaller does not underflow");
    leases.settle(counted(4, 2));
    assert_eq!((leases.room(10), leases.unsettled()), (2, 8));
    leases.nack(counted(0, 4), at(0), Delay::Backoff, REDELIVERY);
    assert_eq!((leases.room(10), leases.in_flight()), (2, 4), "what came back is not settled");
}

#[test]
fn a_message_given_back_is_due_after_its_delay_and_not_before() {
    let mut leases = ten_in_flight();
    let given_back = leases.nack(counted(3, 2), at(50), Delay::Ms(200), REDELIVERY);
    assert_eq!(given_back, GivenBack { again: 2, dead: 0 });
    assert_eq!(leases.next_due(), Some(at(250)));
    assert_eq!(leases.due(at(249)), None);
    assert_eq!(leases.due(at(250)), Some(run(3, 2, 1)));
    assert_eq!(leases.next_due(), Some(at(1000)), "what is due waits for no moment");
    assert_eq!(leases.lease_again(counted(3, 2), B, at(2000)), 2);
    assert_eq!(leases.due(at(250)), None);
}

#[test]
fn a_part_of_what_is_due_may_be_leased_and_the_rest_stays_due() {
    let mut leases = ten_in_flight();
    leases.release(A, 3);
    leases.lease_again(counted(0, 4), B, at(2000));
    assert_eq!(leases.due(at(0)), Some(run(4, 6, 1)));
}

#[test]
#[should_panic(expected = "not due")]
fn leasing_again_what_is_in_flight_is_a_mistake_of_the_caller() {
    ten_in_flight().lease_again(counted(0, 1), B, at(2000));
}

#[test]
fn the_oldest_due_messages_come_first_whichever_were_due_first() {
    let mut leases = ten_in_flight();
    leases.nack(counted(8, 1), at(0), Delay::Ms(10), REDELIVERY);
    leases.nack(counted(1, 1), at(0), Delay::Ms(20), REDELIVERY);
    assert_eq!(leases.due(at(10)), Some(run(8, 1, 1)));
    assert_eq!(leases.due(at(20)), Some(run(1, 1, 1)));
}

#[test]
fn giving_back_what_is_not_in_flight_changes_nothing() {
    let mut leases = ten_in_flight();
    leases.settle(counted(0, 2));
    leases.nack(counted(2, 2), at(0), Delay::Ms(500), REDELIVERY);
    let given_back = leases.nack(counted(0, 20), at(0), Delay::Ms(1), REDELIVERY);
    assert_eq!(given_back, GivenBack { again: 6, dead: 0 });
    assert_eq!(leases.due(at(1)), Some(run(4, 6, 1)));
    assert_eq!(leases.due(at(500)), Some(run(2, 8, 1)), "equals merge once both are due");
}

#[test]
fn the_messages_of_a_consumer_that_died_are_due_at_once_and_those_of_others_are_not() {
    let mut leases = ten_in_flight();
    leases.lease_new(5, B, at(1000));
    leases.lease_new(5, A, at(3000));
    assert_eq!(leases.release(A, 3), GivenBack { again: 15, dead: 0 });
    assert_eq!(leases.due(at(0)), Some(run(0, 10, 1)));
    assert_eq!(leases.in_flight(), 5);
    assert_eq!(leases.release(A, 3), GivenBack::default());
}

#[test]
fn a_message_not_acknowledged_in_time_returns_after_its_backoff() {
    let mut leases = ten_in_flight();
    assert_eq!(leases.next_due(), Some(at(1000)));
    assert_eq!(leases.expire(at(999), REDELIVERY), GivenBack::default());
    assert_eq!(leases.expire(at(1000), REDELIVERY), GivenBack { again: 10, dead: 0 });
    assert_eq!(leases.next_due(), Some(at(1100)));
    assert_eq!(leases.due(at(1100)), Some(run(0, 10, 1)));
    leases.lease_again(counted(0, 10), B, at(1500));
    leases.expire(at(1500), REDELIVERY);
    assert_eq!(leases.next_due(), Some(at(1700)), "the second time the backoff is twice as long");
}

#[test]
fn a_late_acknowledgement_settles_what_another_consumer_was_given_since() {
    let mut leases = ten_in_flight();
    leases.release(A, 3);
    leases.lease_again(counted(0, 10), B, at(2000));
    assert_eq!(leases.settle(counted(0, 10)).settled, 10);
    assert_eq!(leases.release(B, 3), GivenBack::default());
}

#[test]
fn a_message_that_came_back_from_its_last_delivery_is_dead_until_it_is_settled() {
    let mut leases = ten_in_flight();
    let once = Redelivery { deliveries_max: 1, ..REDELIVERY };
    let given_back = leases.nack(counted(2, 2), at(0), Delay::Ms(0), once);
    assert_eq!(given_back, GivenBack { again: 0, dead: 2 });
    assert_eq!(leases.release(A, 2), GivenBack { again: 8, dead: 0 });
    leases.lease_again(counted(0, 2), B, at(10));
    assert_eq!(leases.expire(at(10), Redelivery { deliveries_max: 2, ..REDELIVERY }).dead, 2);
    assert_eq!(leases.poll_dead(), Some(run(0, 2, 2)));
    leases.settle(counted(0, 2));
    assert_eq!(leases.poll_dead(), Some(run(2, 2, 1)));
    assert_eq!(leases.poll_dead(), Some(run(2, 2, 1)), "it is given until it is settled");
    assert_eq!(leases.unsettled(), 8, "the dead take room until then");
    leases.settle(counted(2, 2));
    assert_eq!(leases.poll_dead(), None);
    assert_eq!(leases.due(at(0)), Some(run(4, 6, 1)));
}

#[test]
fn retention_that_overtakes_says_what_consumers_had_and_what_nobody_had() {
    let mut leases = ten_in_flight();
    leases.settle(counted(0, 2));
    leases.nack(counted(5, 1), at(0), Delay::Ms(5), REDELIVERY);
    let overtaken = leases.drop_before(7);
    assert_eq!(overtaken, Overtaken { in_flight: 4, waiting: 1, never_leased: 0 });
    assert_eq!((leases.floor(), leases.next(), leases.next_due()), (7, 10, Some(at(1000))));
    let overtaken = leases.drop_before(25);
    assert_eq!(overtaken, Overtaken { in_flight: 3, waiting: 0, never_leased: 15 });
    assert_eq!((leases.floor(), leases.next(), leases.next_due()), (25, 25, None));
    assert_eq!(leases.drop_before(3), Overtaken::default());
    assert_eq!(leases.floor(), 25);
}

#[test]
fn seeking_forgets_everything_and_old_acknowledgements_do_no_harm() {
    let mut leases = ten_in_flight();
    leases.seek(4);
    assert_eq!((leases.floor(), leases.next(), leases.unsettled()), (4, 4, 0));
    assert_eq!(leases.settle(counted(0, 10)), Settled { settled: 0, already: 4, never_leased: 6 });
    assert_eq!(leases.lease_new(2, B, at(1)), counted(4, 2));
}

#[test]
fn after_a_restart_all_that_was_leased_and_not_settled_is_due_with_its_count() {
    let mut leases = ten_in_flight();
    leases.nack(counted(6, 2), at(0), Delay::Ms(0), REDELIVERY);
    leases.due(at(0));
    leases.lease_again(counted(6, 2), B, at(1000));
    leases.settle(counted(2, 2));
    leases.settle(counted(9, 1));
    let settled: Vec<_> = leases.settled().collect();
    assert_eq!(settled, [counted(2, 2), counted(9, 1)]);
    let delivered: Vec<_> = leases.delivered().collect();
    assert_eq!(delivered, [run(0, 2, 1), run(4, 2, 1), run(6, 2, 2), run(8, 1, 1)]);

    let mut restored = Leases::new(leases.floor());
    delivered.iter().for_each(|run| restored.restore_delivered(*run, 2));
    settled.iter().for_each(|offsets| restored.restore_settled(*offsets, 2));
    assert_eq!(restored.next(), 10);
    assert_eq!(restored.poll_dead(), Some(run(6, 2, 2)), "its last delivery ended in the restart");
    restored.settle(counted(6, 2));
    assert_eq!(restored.due(at(0)), Some(run(0, 2, 1)));
    restored.settle(counted(0, 2));
    assert_eq!(restored.due(at(0)), Some(run(4, 2, 1)));
    assert_eq!(restored.next_due(), None);
}

#[test]
fn a_settled_message_tells_a_restarted_broker_that_those_before_it_were_delivered() {
    let mut restored = Leases::new(3);
    restored.restore_settled(counted(8, 2), 5);
    assert_eq!((restored.floor(), restored.next()), (3, 10));
    assert_eq!(restored.due(at(0)), Some(run(3, 5, 1)));
    restored.restore_settled(counted(0, 8), 5);
    assert_eq!((restored.floor(), restored.unsettled()), (10, 0));
}

#[test]
fn a_delivered_message_tells_a_restarted_broker_that_those_before_it_were_delivered() {
    let mut restored = Leases::new(3);
    restored.restore_delivered(run(5, 2, 4), 5);
    assert_eq!((restored.floor(), restored.next()), (3, 7));
    assert_eq!(restored.due(at(0)), Some(run(3, 2, 1)));
    restored.settle(counted(3, 2));
    assert_eq!(restored.due(at(0)), Some(run(5, 2, 4)));
}
