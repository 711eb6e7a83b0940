//! The load generator held to what a broker did to it, over real sockets: a [stall], each
//! [fault](faults), and both as a [process](program).

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests to clippy only inside them")]

mod faults;
mod program;
mod stall;

use harness::clock::Clock;
use harness::engine::{Extent, StreamOutcome, StreamRun, Surroundings, run_stream};
use harness::generator_watch::GeneratorThreads;
use harness::interrupt::Interrupt;
use harness::live::LiveFigures;
use harness::message::Payloads;
use harness::stub_broker::StubBroker;
use harness::wire::{Confirmation, Native, Selection, StreamTerms};
use protocol::LagPolicy;
use std::sync::Arc;

const STUB_BROKER: &str = env!("CARGO_BIN_EXE_stub-broker");

const THREADS: usize = 2;

const NS_PER_MS: u64 = 1_000_000;

/// A stream of so many messages, over all publishers, as fast as the broker takes them.
fn stream(publishers: u32, subscribers: u32, messages: u64) -> StreamRun {
    StreamRun {
        terms: StreamTerms {
            root: "stream".to_owned(),
            topics: 1,
            selection: Selection::Names,
            payloads: Arc::new(Payloads::fixed(100)),
            batch_max: 64,
            confirmation: Confirmation::Wanted,
            held: None,
            lag_policy: LagPolicy::Hold,
        },
        publishers,
        subscribers,
        slow: None,
        churn: None,
        in_flight_max: Some(16),
        model: None,
        seed: 1,
        topic_choice: None,
        extent: Extent::Count(messages),
        warmup_ns: 0,
        drain_idle_ns: 5000 * NS_PER_MS,
        connect_ms_max: 10_000,
        spin_ns: 0,
        run_id: 7,
    }
}

/// What comes of a stream through this broker.
fn outcome(broker: &StubBroker, stream: &StreamRun) -> StreamOutcome {
    let clock = Clock::start();
    let surroundings = Surroundings {
        clock,
        interrupt: &Interrupt::default(),
        threads: THREADS,
        generator: &GeneratorThreads::new(clock),
        live: &LiveFigures::new(THREADS),
        on_phase: &mut |_| {},
    };
    run_stream(&Native::new(broker.address()), stream, surroundings, |_| Ok(())).unwrap()
}
