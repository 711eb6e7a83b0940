//! Each fault of a broker is found: exactly so many, and between whom.

use super::{NS_PER_MS, outcome, stream};
use harness::engine::{PairFaults, StreamOutcome, StreamRun};
use harness::ledger::Faults;
use harness::stub_broker::{Behaviour, Fault, PlannedFault, StubBroker};
use std::time::Duration;

const PUBLISHERS: u32 = 2;
const SUBSCRIBERS: u32 = 2;

/// Of each publisher.
const MESSAGES: u64 = 1000;

const NONE: Faults = Faults { lost: 0, duplicated: 0, reordered: 0, corrupted: 0 };

/// What comes of a stream whose broker does this, beside everything that it should.
fn outcome_with(faults: Vec<PlannedFault>, stream: &StreamRun) -> StreamOutcome {
    outcome(&StubBroker::start(Behaviour { faults, ..Behaviour::default() }).unwrap(), stream)
}

fn crowd() -> StreamRun {
    // What is lost is awaited for as long, twice.
    let drain_idle_ns = 1000 * NS_PER_MS;
    let messages = u64::from(PUBLISHERS) * MESSAGES;
    StreamRun { drain_idle_ns, ..stream(PUBLISHERS, SUBSCRIBERS, messages) }
}

/// Three messages of one publisher, on their way to one subscriber: that pair has these faults, and
/// no other has any.
fn check(fault: Fault, expected: Faults) {
    const PUBLISHER: u32 = 1;
    const SUBSCRIBER: u32 = 0;
    let planned =
        |sequence| fault.of(PUBLISHER, sequence).toward(format!("subscriber-{SUBSCRIBER}"));
    let found = outcome_with([100, 200, 201].map(planned).into(), &crowd());
    assert_eq!(found.faults, expected, "{fault:?}");
    // What is corrupted does not name its producer.
    let faults = Faults { corrupted: 0, ..expected };
    let pair = PairFaults { producer: PUBLISHER, subscriber: SUBSCRIBER, faults };
    assert_eq!((&found.pairs[..], found.pairs_left_off), (&[pair][..], 0), "{fault:?}");
    let expected = u64::from(PUBLISHERS * SUBSCRIBERS) * MESSAGES;
    let received = expected + faults.duplicated - faults.lost;
    let damaged = found.faults.corrupted;
    assert_eq!((found.expected, found.received), (expected, received + damaged), "{fault:?}");
    assert_eq!(found.response.count(), received, "{fault:?}");
    assert_eq!((found.late, found.clock_errors), (0, 0), "{fault:?}");
}

#[test]
fn without_faults_none_are_found() {
    let found = outcome_with(Vec::new(), &crowd());
    assert_eq!((found.faults, &found.pairs[..], found.late), (NONE, &[][..], 0));
    assert_eq!(found.response.count(), u64::from(PUBLISHERS * SUBSCRIBERS) * MESSAGES);
}

#[test]
fn each_fault_is_found_as_often_as_it_was_and_between_whom() {
    check(Fault::Duplicate, Faults { duplicated: 3, ..NONE });
    // Message 200 goes out when 201 is held back in its place, so it is where it belongs.
    check(Fault::SwapWithNext, Faults { reordered: 2, ..NONE });
}

#[test]
fn what_is_lost_or_damaged_is_found_as_often_as_it_was_and_between_whom() {
    check(Fault::Drop, Faults { lost: 3, ..NONE });
    check(Fault::Corrupt, Faults { lost: 3, corrupted: 3, ..NONE });
}

const DRAIN_MS: u64 = 600;

/// The last message comes so much later.
fn delayed(by_ms: u64) -> StreamOutcome {
    let last = Fault::Delay(Duration::from_millis(by_ms)).of(0, MESSAGES - 1);
    let drain_idle_ns = DRAIN_MS * NS_PER_MS;
    outcome_with(
        vec![last.toward("subscriber-1")],
        &StreamRun { drain_idle_ns, ..stream(1, SUBSCRIBERS, MESSAGES) },
    )
}

/// After the drain, what comes is awaited for as long again: until then it is late, and not lost.
#[test]
fn a_message_that_comes_after_the_drain_is_late_and_after_that_lost() {
    let expected = u64::from(SUBSCRIBERS) * MESSAGES;
    let in_time = delayed(DRAIN_MS / 4);
    assert_eq!((in_time.late, in_time.faults, in_time.received), (0, NONE, expected));
    let late = delayed(DRAIN_MS + DRAIN_MS / 2);
    assert_eq!((late.late, late.faults, late.received), (1, NONE, expected));
    let never = delayed(4 * DRAIN_MS);
    let lost = Faults { lost: 1, ..NONE };
    assert_eq!((never.late, never.faults, never.received), (0, lost, expected - 1));
    let pair = PairFaults { producer: 0, subscriber: 1, faults: lost };
    assert_eq!(never.pairs, [pair]);
}

#[test]
fn a_message_that_comes_before_it_was_sent_is_a_clock_error_and_no_latency() {
    let ahead = Fault::Postdate(Duration::from_secs(3600)).of(1, 500).toward("subscriber-0");
    let found = outcome_with(vec![ahead], &crowd());
    assert_eq!((found.clock_errors, found.faults), (1, NONE));
    let received = u64::from(PUBLISHERS * SUBSCRIBERS) * MESSAGES;
    let timed = [found.service.count(), found.response.count()];
    assert_eq!((found.received, timed), (received, [received - 1; 2]));
}
