use harness::clock::Clock;
use harness::drivers::Operation;
use harness::engine::*;
use harness::interrupt::Interrupt;
use harness::message::Payloads;
use harness::topic_choice::TopicChoice;
use harness::wire::*;
use std::sync::Arc;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let driver = Native::new(a[1].parse().unwrap());
    let clock = Clock::start();
    let interrupt = Interrupt::default();
    let n: u32 = a[3].parse().unwrap();
    let m: u32 = a[4].parse().unwrap();
    let rate: f64 = a[5].parse().unwrap();
    let threads = a[6].parse().unwrap();
    let spin: u64 = a[7].parse().unwrap();
    let mut on = |_p| {};
    let s = Surroundings { clock, interrupt: &interrupt, threads, on_phase: &mut on };
    if a[2] == "crowd" {
        let o = run_crowd(
            &driver,
            &CrowdRun {
                connections: n,
                rate_per_s: (rate > 0.0).then_some(rate),
                hold_ns: 500_000_000,
                connect_ms_max: 5000,
            },
            s,
        )
        .unwrap();
        println!(
            "{} refused {} dropped {} in {} ms p50 {:?} p99 {:?}",
            o.accepted,
            o.refused,
            o.dropped,
            o.duration_ns / 1_000_000,
            o.handshake.quantile_ns(0.5),
            o.handshake.quantile_ns(0.99)
        );
    } else if a[2] == "op" {
        let load = OperationLoad {
            operation: Operation::Publish,
            clients: n,
            extent: Extent::DurationNs(2_000_000_000),
            warmup_ns: 200_000_000,
            payload_bytes: 100,
            name: format!("t{}", std::process::id()),
        };
        let o = run_operation(&driver, &load, s).unwrap();
        println!(
            "{} ops/s p50 {:?} p99 {:?} errors {:?} cpu/op {}",
            o.count as f64 * 1e9 / o.duration_ns as f64,
            o.latencies.quantile_ns(0.5),
            o.latencies.quantile_ns(0.99),
            o.errors,
            o.threads_cpu_ns.iter().sum::<u64>() / o.count.max(1)
        );
    } else {
        let terms = StreamTerms {
            root: format!("s{}", std::process::id()),
            topics: 1,
            selection: Selection::Names,
            payloads: Arc::new(Payloads::fixed(100)),
            batch_max: 64,
            confirmation: if a.len() > 8 { Confirmation::Wanted } else { Confirmation::Unwanted },
            held: None,
            lag_policy: protocol::LagPolicy::Hold,
        };
        let run = StreamRun {
            terms,
            publishers: n,
            subscribers: m,
            slow: None,
            in_flight_max: a.get(8).map(|x| x.parse().unwrap()),
            model: (rate > 0.0).then_some(harness::schedule::LoadModel::Open {
                rate_per_s: rate,
                arrivals: harness::schedule::Arrivals::Constant,
            }),
            seed: 1,
            topic_choice: TopicChoice::Single,
            extent: Extent::DurationNs(2_000_000_000),
            warmup_ns: 200_000_000,
            drain_idle_ns: 3_000_000_000,
            connect_ms_max: 10_000,
            spin_ns: spin * 1000,
            run_id: 77,
        };
        let o = run_stream(&driver, &run, s).unwrap();
        println!(
            "sent {} ({}/s) received {} ({}/s) faults {:?} late {} service p50 {:?} p99 {:?} response p50 {:?} p99 {:?} lateness p50 {:?} p99 {:?} max {:?} acked {} threads {:?}",
            o.sent,
            o.sent as f64 * 1e9 / o.sending_ns as f64,
            o.received,
            o.received as f64 * 1e9 / o.duration_ns as f64,
            o.faults,
            o.late,
            o.service.quantile_ns(0.5),
            o.service.quantile_ns(0.99),
            o.response.quantile_ns(0.5),
            o.response.quantile_ns(0.99),
            o.lateness.quantile_ns(0.5),
            o.lateness.quantile_ns(0.99),
            o.lateness.max_ns(),
            o.acknowledged,
            o.threads.iter().map(|t| t.cpu_ns as f64 / t.wall_ns as f64).collect::<Vec<_>>()
        );
    }
}
