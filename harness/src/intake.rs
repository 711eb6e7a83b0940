//! Where a subscriber's messages go: checked, entered in the ledger, their latency recorded.

use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::message::{MESSAGE_BYTES_MIN, Stamp, filler};
use measure::LatencyHistogram;

/// Takes in what one subscriber reads.
///
/// A driver calls [`begin`](Self::begin) when a read returned, [`take`](Self::take) for each
/// payload that the read completed, and [`end`](Self::end). So the clock is read once for each
/// read, and messages that were sent together are recorded together.
#[derive(Debug)]
pub struct Intake {
    clock: Clock,
    filler: Vec<u8>,
    ledger: Ledger,
    span: Span,
    received_ns: u64,
    /// Messages with the same sending time, not in the histogram yet.
    run: Run,
}

#[derive(Clone, Copy, Debug, Default)]
struct Run {
    sent_ns: u64,
    count: u64,
}

/// What came between two calls of [`Intake::take_span`].
#[derive(Clone, Debug, Default)]
pub struct Span {
    /// Messages, faulty ones included.
    pub received: u64,
    /// When the last came; 0 if none did.
    pub last_received_ns: u64,
    /// From sending to receiving.
    pub latencies: LatencyHistogram,
}

impl Intake {
    /// For a subscriber that receives messages of `payload_bytes` from `producers` producers.
    #[must_use]
    pub fn new(clock: Clock, producers: usize, payload_bytes: usize) -> Self {
        Self {
            clock,
            filler: filler(payload_bytes),
            ledger: Ledger::new(producers),
            span: Span::default(),
            received_ns: 0,
            run: Run::default(),
        }
    }

    /// A read has returned: everything taken until [`end`](Self::end) was received now.
    #[inline]
    pub fn begin(&mut self) {
        self.received_ns = self.clock.now_ns();
    }

    /// Takes one payload.
    #[inline]
    pub fn take(&mut self, payload: &[u8]) {
        self.span.received += 1;
        let Some(stamp) = Stamp::read(payload) else {
            return self.ledger.enter_corrupted();
        };
        if payload[MESSAGE_BYTES_MIN..] != self.filler[..] {
            return self.ledger.enter_corrupted();
        }
        if !self.ledger.enter(stamp.producer, stamp.sequence) {
            return;
        }
        if stamp.sent_ns != self.run.sent_ns {
            self.record_run();
            self.run.sent_ns = stamp.sent_ns;
        }
        self.run.count += 1;
    }

    /// Everything that the read completed was taken.
    #[inline]
    pub fn end(&mut self) {
        self.record_run();
        self.span.last_received_ns = self.received_ns;
    }

    /// The account so far.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How many came since the last [`take_span`](Self::take_span).
    #[must_use]
    pub fn received(&self) -> u64 {
        self.span.received
    }

    /// What came since the last call; counting begins anew, the ledger goes on.
    pub fn take_span(&mut self) -> Span {
        std::mem::take(&mut self.span)
    }

    #[inline]
    fn record_run(&mut self) {
        if self.run.count > 0 {
            let latency_ns = self.received_ns.saturating_sub(self.run.sent_ns);
            self.span.latencies.record_ns_n(latency_ns, self.run.count);
            self.run.count = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Faults;
    use crate::message::{BatchStamp, StampedBatch, blank_payload};

    fn payloads(count: u32, payload_bytes: usize) -> Vec<Vec<u8>> {
        let bytes = blank_payload(payload_bytes).repeat(count as usize);
        let mut batch = StampedBatch::new(bytes, count, payload_bytes, 0);
        batch.renew(0, BatchStamp { count, first_sequence: 0, sent_ns: 0, spacing_ns: 0 });
        batch.bytes().chunks(payload_bytes).map(<[u8]>::to_vec).collect()
    }

    fn taken(payloads: &[Vec<u8>], payload_bytes: usize) -> Intake {
        let mut intake = Intake::new(Clock::start(), 1, payload_bytes);
        intake.begin();
        for payload in payloads {
            intake.take(payload);
        }
        intake.end();
        intake
    }

    #[test]
    fn whole_messages_are_counted_and_timed() {
        let mut intake = taken(&payloads(10, 100), 100);
        assert!(intake.ledger().faults(&[10]).is_none());
        let span = intake.take_span();
        assert_eq!((span.received, span.latencies.count()), (10, 10));
        assert_eq!(intake.received(), 0);
    }

    #[test]
    fn a_changed_cut_or_lengthened_payload_is_corrupted() {
        let mut damaged = payloads(4, 100);
        damaged[0][99] ^= 1;
        damaged[1].truncate(15);
        damaged[2].push(b'x');
        let intake = taken(&damaged, 100);
        let expected = Faults { lost: 3, corrupted: 3, ..Faults::default() };
        assert_eq!(intake.ledger().faults(&[4]), expected);
    }
}
