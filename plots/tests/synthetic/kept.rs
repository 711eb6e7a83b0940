//! Invented figures of what a broker keeps.

use measure::{
    Acknowledged, BacklogDrain, BacklogPass, BacklogResult, DeliveryFaults, PageCache,
    RestartResult, StopKind, StreamResult,
};

const SECOND_NS: u64 = 1_000_000_000;
const IN_FLIGHT: u32 = 64;
const MESSAGES: u64 = 1_000_000;
const PAYLOAD_BYTES: u64 = 1000;

/// What the acknowledgements of a stream that goes so fast would be.
pub(crate) fn acknowledged(per_s: f64, payload_bytes: u64) -> Acknowledged {
    Acknowledged {
        in_flight: IN_FLIGHT,
        messages: MESSAGES,
        duration_ns: SECOND_NS,
        per_s,
        bytes_per_s: per_s * payload_bytes as f64,
        ratio_to_disk: Some(0.62),
    }
}

/// The stream, without subscribers and with acknowledgements.
pub(crate) fn unread(stream: &StreamResult, per_s: f64) -> StreamResult {
    let mut unread = stream.clone();
    unread.shape.subscribers = 0;
    unread.acknowledged = Some(acknowledged(per_s, stream.payload_bytes));
    unread.latencies.acknowledgement = unread.latencies.service.take();
    unread
}

pub(crate) fn backlog(per_s: f64, resident_bytes: u64) -> BacklogResult {
    let pass = |factor: f64| BacklogPass {
        messages: MESSAGES,
        duration_ns: SECOND_NS,
        per_s: per_s * factor,
        bytes_per_s: per_s * factor * PAYLOAD_BYTES as f64,
        resident_bytes_max: Some(resident_bytes),
        ratio_to_disk: Some(0.62 * factor),
    };
    let drain = |cache, factor| {
        let faults = DeliveryFaults::default();
        BacklogDrain { cache, pass: pass(factor), faults }
    };
    BacklogResult {
        publishers: 1,
        payload_bytes: PAYLOAD_BYTES,
        messages: MESSAGES,
        resident_bytes_before: Some(resident_bytes / 2),
        build: pass(1.0),
        drains: vec![drain(PageCache::Cold, 1.7), drain(PageCache::Warm, 6.4)],
    }
}

pub(crate) fn restarts(ready_ns: u64) -> Vec<RestartResult> {
    [(StopKind::Clean, 1), (StopKind::Crash, 2)]
        .map(|(stop, factor)| RestartResult {
            stop,
            payload_bytes: PAYLOAD_BYTES,
            messages: MESSAGES,
            stop_ns: vec![3_000_000, 2_000_000],
            ready_ns: vec![ready_ns * factor, ready_ns * factor + 5_000_000],
            stored_bytes: MESSAGES * PAYLOAD_BYTES * 11 / 10,
            resident_bytes_max: 12_000_000,
            faults: DeliveryFaults::default(),
        })
        .to_vec()
}
