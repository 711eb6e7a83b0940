//! A broker that stops for a second in the middle of an open load: coordinated omission, and that
//! there is none.
//!
//! Publishers that wait for acknowledgements cannot send meanwhile. What was due in the stall is
//! sent after it, and each message takes no longer from then on than any other: by the service time
//! nothing happened. By the response time, from when it was due, everyone waited (Gil Tene, "How NOT
//! to Measure Latency", Strange Loop 2015).
//!
//! Without acknowledgements messages are sent in the stall too, into sockets that hold megabytes.
//! Then the service time has it as well, and the response time, which is the same in both cases, is
//! what can be relied on.

use super::{outcome, stream};
use harness::engine::{Extent, StreamOutcome, StreamRun};
use harness::schedule::{Arrivals, LoadModel};
use harness::stub_broker::{Behaviour, Stall, StubBroker};
use harness::wire::{Confirmation, StreamTerms};
use std::time::Duration;

const STALL: Duration = Duration::from_secs(1);

const RATE_PER_S: f64 = 2000.0;

const MESSAGES: u64 = 5000;

/// A fifth of the load before the stall, two fifths after it.
const STALL_AFTER_MESSAGES: u64 = 1000;

fn stalled(confirmation: Confirmation) -> StreamOutcome {
    let terms = StreamTerms { confirmation, ..stream(1, 1, MESSAGES).terms };
    let open = LoadModel::Open { rate_per_s: RATE_PER_S, arrivals: Arrivals::Constant };
    let load = StreamRun {
        terms,
        in_flight_max: (confirmation == Confirmation::Wanted).then_some(16),
        model: Some(open),
        extent: Extent::Count(MESSAGES),
        ..stream(1, 1, MESSAGES)
    };
    let stall = Some(Stall { after_messages: STALL_AFTER_MESSAGES, lasts: STALL });
    let broker = StubBroker::start(Behaviour { stall, ..Behaviour::default() }).unwrap();
    outcome(&broker, &load)
}

/// The 99th percentiles of response and service, of a stalled load of which nothing is left out.
fn p99s(outcome: &StreamOutcome) -> [Duration; 2] {
    assert!(outcome.faults.is_none(), "{:?}", outcome.faults);
    assert_eq!((outcome.sent, outcome.received, outcome.late), (MESSAGES, MESSAGES, 0));
    for latencies in [&outcome.response, &outcome.service, &outcome.lateness] {
        assert_eq!(latencies.count(), MESSAGES);
    }
    // It did happen, to what was sent just before.
    let slowest = Duration::from_nanos(outcome.service.max_ns().unwrap());
    assert!(slowest >= STALL.mul_f64(0.9), "{slowest:?}");
    [&outcome.response, &outcome.service]
        .map(|latencies| Duration::from_nanos(latencies.quantile_ns(0.99).unwrap()))
}

#[test]
fn a_stall_in_which_nothing_can_be_sent_is_in_the_response_and_not_in_the_service_times() {
    let outcome = stalled(Confirmation::Wanted);
    let [response, service] = p99s(&outcome);
    assert!(response >= STALL.mul_f64(0.5), "response {response:?}, service {service:?}");
    assert!(service < STALL.mul_f64(0.1), "response {response:?}, service {service:?}");
    // All that was due in the stall, but for what was under way and what was due at its very end.
    let due_in_stall = RATE_PER_S * STALL.as_secs_f64();
    assert!(outcome.late_sends as f64 > 0.9 * due_in_stall, "{} late", outcome.late_sends);
}

#[test]
fn a_stall_in_which_sockets_take_what_is_sent_is_in_the_response_times_all_the_same() {
    let [response, _] = p99s(&stalled(Confirmation::Unwanted));
    assert!(response >= STALL.mul_f64(0.5), "response {response:?}");
}
