//! Publishers that write to one file, a thread each.

use super::file::TopicFile;
use crate::clock::Clock;
use crate::drivers::DriverError;
use crate::engine::{Extent, LoadError, Phase, StreamRun, Surroundings};
use crate::gate::Gate;
use crate::interrupt::Interrupt;
use crate::message::{BatchStamp, Intended};
use crate::wire::{EncodedBatch, Encoder, Publications};
use measure::LatencyHistogram;
use std::collections::VecDeque;

/// What was written and synced in the measured phase.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) acknowledged: u64,
    /// From the first message to the last that was synced.
    pub(super) acknowledged_ns: u64,
    /// From writing to being synced.
    pub(super) latencies: LatencyHistogram,
}

/// Payloads end to end.
struct EndToEnd;

impl Encoder for EndToEnd {
    fn encode(&mut self, _topic: u32, payloads: &[&[u8]], batch: &mut EncodedBatch) {
        payloads.iter().for_each(|payload| batch.payload(payload));
    }
}

/// Publishes a stream to a file.
pub(super) fn publish(
    file: &TopicFile,
    stream: &StreamRun,
    surroundings: Surroundings<'_>,
) -> Result<Written, LoadError> {
    let Surroundings { clock, interrupt, on_phase, .. } = surroundings;
    let gate = Gate::new(stream.publishers as usize + 1);
    let found = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..stream.publishers)
            .map(|publisher| {
                let gate = &gate;
                scope.spawn(move || {
                    let written =
                        DiskPublisher::new(file, stream, publisher, clock, interrupt).run(gate);
                    if written.is_err() {
                        gate.call_off();
                    }
                    written
                })
            })
            .collect();
        for phase in [Phase::WarmUp, Phase::Measured, Phase::Over] {
            // Whoever called it off says why.
            let _called_off = gate.wait();
            on_phase(phase);
        }
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect::<Result<Vec<_>, DriverError>>()
    });
    if interrupt.is_raised() {
        return Err(LoadError::Interrupted);
    }
    let mut sum = Written::default();
    let (mut first_ns, mut last_ns) = (u64::MAX, 0);
    for own in found.map_err(LoadError::client("writing to a file"))? {
        first_ns = first_ns.min(own.first_ns);
        last_ns = last_ns.max(own.last_ns);
        sum.acknowledged += own.latencies.count();
        sum.latencies.merge(&own.latencies);
    }
    sum.acknowledged_ns = last_ns.saturating_sub(first_ns);
    Ok(sum)
}

/// What one publisher wrote in one phase.
#[derive(Debug, Default)]
struct Own {
    first_ns: u64,
    last_ns: u64,
    latencies: LatencyHistogram,
}

struct DiskPublisher<'a> {
    file: &'a TopicFile,
    stream: &'a StreamRun,
    publisher: u32,
    clock: Clock,
    interrupt: &'a Interrupt,
    publications: Publications<EndToEnd>,
    sequence: u64,
    /// Messages of each publication that is not synced, and when it was written.
    in_flight: VecDeque<(u32, u64)>,
    /// Where its last publication ends.
    end: u64,
}

impl<'a> DiskPublisher<'a> {
    fn new(
        file: &'a TopicFile,
        stream: &'a StreamRun,
        publisher: u32,
        clock: Clock,
        interrupt: &'a Interrupt,
    ) -> Self {
        let publications = Publications::new(EndToEnd, stream.terms.payloads.clone());
        let (in_flight, sequence, end) = (VecDeque::new(), 0, 0);
        Self { file, stream, publisher, clock, interrupt, publications, sequence, in_flight, end }
    }

    fn run(mut self, gate: &Gate) -> Result<Own, DriverError> {
        let mut own = Own::default();
        for (phase, extent) in
            [(0, Extent::DurationNs(self.stream.warmup_ns)), (1, self.own_extent())]
        {
            if gate.wait().is_err() {
                return Ok(own);
            }
            own = self.write_phase(phase, extent)?;
        }
        // Nothing is left to wait for if it is called off.
        let _called_off = gate.wait();
        Ok(own)
    }

    fn own_extent(&self) -> Extent {
        match self.stream.extent {
            Extent::Count(_) => Extent::Count(self.stream.sent()[self.publisher as usize]),
            duration => duration,
        }
    }

    fn write_phase(&mut self, phase: u8, extent: Extent) -> Result<Own, DriverError> {
        let in_flight_max = self.stream.in_flight_max.unwrap_or(1) as usize;
        let mut own = Own { first_ns: self.clock.now_ns(), ..Own::default() };
        let mut sent = 0;
        while !self.interrupt.is_raised() {
            let now_ns = self.clock.now_ns();
            let batch = u64::from(self.stream.terms.batch_max);
            let count = match extent {
                Extent::Count(messages) => (messages - sent).min(batch),
                Extent::DurationNs(duration_ns) if now_ns - own.first_ns >= duration_ns => 0,
                Extent::DurationNs(_) => batch,
            };
            if count == 0 {
                break;
            }
            self.write(phase, count as u32, now_ns)?;
            sent += count;
            if self.in_flight.len() >= in_flight_max {
                self.sync(&mut own)?;
            }
        }
        self.sync(&mut own)?;
        Ok(own)
    }

    fn write(&mut self, phase: u8, count: u32, now_ns: u64) -> Result<(), DriverError> {
        let stamp = BatchStamp {
            count,
            topic: 0,
            producer: self.publisher,
            first_sequence: self.sequence,
            intended: Intended::Together(now_ns),
            sent_ns: now_ns,
            run_id: self.stream.run_id,
            phase,
        };
        self.end = self.file.append(self.publications.stamped(&stamp).bytes())?;
        self.sequence += u64::from(count);
        self.in_flight.push_back((count, now_ns));
        Ok(())
    }

    fn sync(&mut self, own: &mut Own) -> Result<(), DriverError> {
        if self.in_flight.is_empty() {
            return Ok(());
        }
        self.file.wait_synced(self.end)?;
        own.last_ns = self.clock.now_ns();
        for (count, written_ns) in self.in_flight.drain(..) {
            let latency_ns = own.last_ns.saturating_sub(written_ns);
            own.latencies.record_ns_n(latency_ns, u64::from(count));
        }
        Ok(())
    }
}
