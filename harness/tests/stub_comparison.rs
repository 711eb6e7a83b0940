//! A broker that is 10 % slower is found worse, and one that is not is not.
//!
//! It is a file of its own so that no other tests run beside it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests to clippy only inside them")]

use harness::config::Config;
use harness::interrupt::Interrupt;
use harness::live::Live;
use harness::run::{Finished, run};
use measure::comparison::{Change, CompareOptions, Comparison, Metric, compare};

const STUB_BROKER: &str = env!("CARGO_BIN_EXE_stub-broker");

/// Repeats of each broker, which take turns.
const REPEATS: u32 = 10;

/// What follows from the service time alone, by which the broker sleeps: this machine's own noise
/// is small beside it.
const METRICS: [Metric; 4] = [
    Metric::DeliveredPerS,
    Metric::AcknowledgedPerS,
    Metric::ServiceP50,
    Metric::AcknowledgementP50,
];

/// Batches of 50 messages take 10 ms, and 11 ms with the slower one.
fn finished() -> Finished {
    let broker = |name: &str, service_us: u32| {
        format!(
            "[[brokers]]\nname = \"{name}\"\ndriver = \"tandem-native\"\n\
             command = [\"{STUB_BROKER}\", \"--service-us\", \"{service_us}\"]\n"
        )
    };
    let config = format!(
        "name = \"a-b\"\nrepeat = {REPEATS}\n{}{}{}\
         [[streams]]\npublishers = 1\nsubscribers = 1\npayload_bytes = [100]\nbatch = 50\n\
         acks = 2\nmessages = 2000\nwarmup_ms = 20\n",
        broker("a", 200),
        broker("again-a", 200),
        broker("b", 220),
    );
    let config = Config::parse(&config).unwrap();
    run(&config, &Interrupt::default(), &mut Live::silent()).unwrap()
}

/// Another broker beside `a`, in the run in which they took turns.
fn compared(finished: &Finished, broker: &str) -> Comparison {
    let options = CompareOptions {
        // With ten a side that do not overlap p is 1e-5: there is room to be strict, so that like
        // and like are told apart once in a thousand times and not once in twenty.
        significance: 0.001,
        metrics: METRICS.to_vec(),
        pairs: vec![("a".to_owned(), broker.to_owned())],
        ..CompareOptions::default()
    };
    compare(&finished.record, &finished.record, &options)
}

#[test]
fn a_broker_that_is_a_tenth_slower_is_worse_and_the_same_one_is_not() {
    let finished = finished();
    assert_eq!((&finished.failures[..], &finished.breaches[..]), (&[][..], &[][..]));
    let slower = compared(&finished, "b");
    let [cell] = &slower.cells[..] else { panic!("one cell, found {:?}", slower.cells) };
    assert_eq!((cell.repeats_a.valid, cell.repeats_b.valid), (REPEATS, REPEATS), "{slower:?}");
    assert_eq!(cell.metrics.len(), METRICS.len());
    for found in &cell.metrics {
        assert_eq!(found.verdict, Change::Worse, "{found:?}");
        let ratio = found.difference.as_ref().unwrap().ratio.value;
        let slowness = if ratio < 1.0 { 1.0 / ratio } else { ratio };
        assert!((1.05..1.15).contains(&slowness), "{:?}: {ratio}", found.metric);
    }
    let tally = compared(&finished, "again-a").tally();
    let found = (tally.worse, tally.better, tally.within_noise);
    assert_eq!(found, (0, 0, METRICS.len() as u32), "{tally:?}");
}
