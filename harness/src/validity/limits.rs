//! Where a figure ceases to be trusted, each limit with its reason.

/// From here on a thread that must keep a schedule does not: a server that is busy for the part ρ
/// of its time has work waiting ρ/(1 − ρ) service times on average (M/M/1), nine at 0.9. Where its
/// lateness is known and small it did all the same, and is only suspect.
pub const THREAD_BUSY_INVALID: f64 = 0.9;

/// Here what waits is three service times long, which shows in high percentiles.
pub const THREAD_BUSY_SUSPECT: f64 = 0.75;

/// Response times count from when a message was due, so they hold the lateness of its sending. As
/// much as this is as long as a broker's whole answer on one machine.
pub const LATENESS_P99_NS_MAX: u64 = 1_000_000;

/// A thread that sleeps is woken this much late on a quiet machine, whatever its rate.
pub const LATENESS_P99_NS_FREE: u64 = 100_000;

/// Less of the offered rate than this is another, lower rate. Counting alone is off by one message
/// of a publisher at each end.
pub const ACHIEVED_FRACTION_MIN: f64 = 0.99;

/// Random arrivals of `n` expected messages are fewer than `n` by this many √n once in a thousand
/// runs (Poisson: the variance is the mean).
pub const ARRIVALS_DEVIATIONS: f64 = 3.0;

/// Drivers come to within some per cent of their ceiling by chance; from here on the ceiling is
/// what was measured.
pub const CEILING_FRACTION_MAX: f64 = 0.9;

/// So much stolen time alone can be the whole of what is above the 99th percentile.
pub const STEAL_SUSPECT: f64 = 0.01;

/// So much reaches the 95th percentile, and is as much as brokers differ by.
pub const STEAL_INVALID: f64 = 0.05;

/// What other processes may use of the machine; beyond it they are a load of their own.
pub const OTHERS_SUSPECT: f64 = 0.1;

/// Times of what failed are not in the percentiles: of so many, what they would have been matters
/// to the 99th.
pub const ERRORS_INVALID: f64 = 0.01;

/// Latencies below 0 are counted as clock errors. So many of them are no accident, and the others
/// are off as well.
pub const CLOCK_ERRORS_INVALID: f64 = 0.001;

/// With fewer latencies fewer lie beyond the 99th percentile than it takes to state one.
pub const SAMPLES_SUSPECT: u64 = 100 * measure::SAMPLES_BEYOND_MIN;

/// Halves of a phase at rest differ by some per cent; beyond this something still changed.
pub const DRIFT_SUSPECT: f64 = 0.1;

/// A processor's clock wanders by less under a constant load.
pub const CLOCK_CHANGE_SUSPECT: f64 = 0.1;

/// Moments below which a trend may be chance: ten that only grow are so once in 3.6 million.
pub const BACKLOG_POINTS_MIN: usize = 10;
