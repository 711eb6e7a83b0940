//! How hard a stream's publishers push, in words.

use measure::{Arrivals, StreamLoad};

/// The load in a sentence's part, e.g. `publishers send at 10000 messages/s in all, …`.
#[must_use]
pub fn sentence(load: &StreamLoad) -> String {
    match load {
        StreamLoad::Saturating => {
            "publishers send as fast as the broker takes it (saturating), which measures \
             throughput and not latency"
                .to_owned()
        }
        StreamLoad::Closed { in_flight } => format!(
            "each publisher keeps {in_flight} publications under way and sends the next when \
             one is acknowledged (closed loop)"
        ),
        StreamLoad::Open { rate_per_s, arrivals: Arrivals::Constant } => format!(
            "{rate_per_s} messages/s over all publishers at equal distances, whatever the \
             broker does (open loop), timed from when each was due"
        ),
        StreamLoad::Open { rate_per_s, arrivals: Arrivals::Poisson } => format!(
            "{rate_per_s} messages/s over all publishers at random distances (open loop, \
             Poisson arrivals), timed from when each was due"
        ),
        StreamLoad::Steps { rates_per_s, step_ms } => format!(
            "{} messages/s over all publishers, each rate for {step_ms} ms (open loop)",
            joined(rates_per_s, ", then ")
        ),
        StreamLoad::Ramp { from_per_s, to_per_s } => format!(
            "from {from_per_s} to {to_per_s} messages/s over all publishers, changing evenly \
             over the measured phase (open loop)"
        ),
        StreamLoad::Burst { rate_per_s, burst_messages, every_ms } => format!(
            "{rate_per_s} messages/s over all publishers, and {burst_messages} more at once \
             every {every_ms} ms (open loop)"
        ),
    }
}

fn joined(rates_per_s: &[f64], between: &str) -> String {
    rates_per_s.iter().map(f64::to_string).collect::<Vec<_>>().join(between)
}
