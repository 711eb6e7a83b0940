use super::*;
use crate::drivers::DriverError;
use crate::ledger::Faults;
use crate::message::Payloads;
use crate::wire::testing::{Connected, check_stream, terms};
use crate::wire::{Confirmation, Conversation, Driver, Native, Publisher, StreamTerms};
use std::time::Instant;

const MESSAGES: u64 = 100;

fn stream() -> StreamTerms {
    terms("stream", 1, Payloads::fixed(100))
}

struct Both {
    broker: StubBroker,
    publisher: Connected<dyn Publisher>,
    subscriber: Connected<dyn Conversation>,
    terms: StreamTerms,
}

fn open(behaviour: Behaviour, terms: StreamTerms) -> Both {
    let broker = StubBroker::start(behaviour).unwrap();
    let driver = Native::new(broker.address());
    let subscriber =
        Connected::open(broker.address(), driver.subscriber(&terms, 0), &terms, 1).unwrap();
    let publisher =
        Connected::open(broker.address(), driver.publisher(&terms, 0), &terms, 0).unwrap();
    Both { broker, publisher, subscriber, terms }
}

impl Both {
    fn publish(&mut self, messages: u64) -> Result<(), DriverError> {
        self.publisher.publish_all(&self.terms, 0, messages)
    }
}

/// With this fault of message 5, so many messages come, with these faults.
fn check(fault: Fault, received: u64, expected: Faults) {
    let faults = vec![fault.at(5)];
    let mut both = open(Behaviour { faults, ..Behaviour::default() }, stream());
    both.publish(MESSAGES).unwrap();
    both.subscriber.read_until(|heard| heard.received() == received).unwrap();
    assert_eq!(both.subscriber.listener.ledger.faults(&[MESSAGES]), expected, "{fault:?}");
}

#[test]
fn without_being_told_otherwise_it_delivers_everything() {
    let broker = StubBroker::start(Behaviour::default()).unwrap();
    let driver = Native::new(broker.address());
    for confirmation in [Confirmation::Wanted, Confirmation::Unwanted] {
        let root = format!("{confirmation:?}");
        let terms = StreamTerms { confirmation, ..terms(&root, 3, Payloads::fixed(100)) };
        check_stream(&driver, &terms, 1000);
    }
    // Two publishers to three topics, twice.
    assert_eq!(broker.published(), 2 * 2 * 3 * 1000);
}

#[test]
fn each_fault_is_the_one_that_the_ledger_finds() {
    let none = Faults::default();
    check(Fault::Drop, MESSAGES - 1, Faults { lost: 1, ..none });
    check(Fault::Duplicate, MESSAGES + 1, Faults { duplicated: 1, ..none });
    check(Fault::SwapWithNext, MESSAGES, Faults { reordered: 1, ..none });
    check(Fault::Corrupt, MESSAGES, Faults { lost: 1, corrupted: 1, ..none });
}

#[test]
fn a_publication_is_refused_and_a_connection_closed_when_it_is_told() {
    let told = |fault: Fault| Behaviour { faults: vec![fault.at(5)], ..Behaviour::default() };
    let error = open(told(Fault::Refuse), stream()).publish(MESSAGES).unwrap_err();
    assert_eq!((error.code(), error.is_refusal()), ("invalid_value", true));
    let error = open(told(Fault::ClosePublisher), stream()).publish(MESSAGES).unwrap_err();
    assert!(matches!(error.code(), "connection_closed" | "connection_failed"), "{error}");
    let mut both = open(told(Fault::CloseSubscribers), stream());
    both.publish(MESSAGES).unwrap();
    let error = both.subscriber.read_until(|heard| heard.received() == MESSAGES).unwrap_err();
    assert!(matches!(error.code(), "connection_closed" | "connection_failed"), "{error}");
}

#[test]
fn in_a_stall_nothing_moves() {
    let lasts = Duration::from_millis(300);
    let stall = Some(Stall { after_messages: 50, lasts });
    let mut both = open(Behaviour { stall, ..Behaviour::default() }, stream());
    let started_at = Instant::now();
    both.publish(MESSAGES).unwrap();
    assert!(started_at.elapsed() >= lasts);
    both.subscriber.read_until(|heard| heard.received() == MESSAGES).unwrap();
    let mut both = open(Behaviour::default(), stream());
    both.broker.stall(lasts);
    let started_at = Instant::now();
    both.publish(MESSAGES).unwrap();
    assert!(started_at.elapsed() >= lasts);
}

#[test]
fn deliveries_are_late_by_the_latency() {
    let latency = Duration::from_millis(100);
    let mut both = open(Behaviour { latency, ..Behaviour::default() }, stream());
    let started_at = Instant::now();
    both.publish(MESSAGES).unwrap();
    both.subscriber.read_until(|heard| heard.received() == MESSAGES).unwrap();
    assert!(started_at.elapsed() >= latency);
}

/// How long a broker of this service time takes for so many messages.
fn taken(service_time: Duration, messages: u64) -> Duration {
    let mut both = open(Behaviour { service_time, ..Behaviour::default() }, stream());
    let started_at = Instant::now();
    both.publish(messages).unwrap();
    started_at.elapsed()
}

#[test]
fn a_service_time_bounds_the_throughput_to_its_inverse() {
    let (messages, service_time) = (2000, Duration::from_micros(100));
    let least = service_time * messages as u32 - Duration::from_millis(5);
    let (first, slower) = (taken(service_time, messages), taken(service_time * 2, messages));
    assert!(first >= least && slower >= 2 * least, "{first:?} {slower:?} {least:?}");
}

#[test]
fn a_broker_that_is_dropped_in_a_stall_ends() {
    let mut both = open(Behaviour::default(), stream());
    let mut question = Vec::new();
    both.publisher.conversation.finish(&mut question);
    both.publisher.write(&question).unwrap();
    both.broker.stall(Duration::from_secs(3600));
    drop(both.broker);
}
