//! The figures that an objective can be about, by name.

use super::quantity::Kind;
use std::fmt;

/// A figure of a measurement.
///
/// ```
/// use harness::objectives::{Figure, LatencyKind, Percentile};
///
/// let p999 = Percentile::new(99.9).ok_or("from above 0 to 100")?;
/// let figure = Figure::Latency(LatencyKind::Response, p999);
/// assert_eq!(figure.to_string(), "response.p99.9");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Figure {
    /// A percentile of a latency, in nanoseconds.
    Latency(LatencyKind, Percentile),
    /// Anything else.
    Metric(Metric),
}

/// From when to when a latency is measured.
///
/// ```
/// use harness::objectives::LatencyKind;
///
/// assert_eq!(LatencyKind::HealthyResponse.name(), "healthy_response");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LatencyKind {
    /// From when a message was due to when it was received.
    Response,
    /// From when a message was sent to when it was received.
    Service,
    /// From when a message was sent to when it was acknowledged.
    Acknowledgement,
    /// From when a message was due to when it was sent.
    Lateness,
    /// As the response, of subscribers that are not made slow.
    HealthyResponse,
    /// From when a connection was begun to when it could be used.
    Handshake,
}

impl LatencyKind {
    pub(super) const ALL: [Self; 6] = [
        Self::Response,
        Self::Service,
        Self::Acknowledgement,
        Self::Lateness,
        Self::HealthyResponse,
        Self::Handshake,
    ];

    /// What objectives call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Service => "service",
            Self::Acknowledgement => "acknowledgement",
            Self::Lateness => "lateness",
            Self::HealthyResponse => "healthy_response",
            Self::Handshake => "handshake",
        }
    }
}

/// A percentile, exact to the millionth of a per cent; the hundredth is the maximum.
///
/// ```
/// use harness::objectives::Percentile;
///
/// let median = Percentile::new(50.0).ok_or("from above 0 to 100")?;
/// assert_eq!((median.percent(), median.to_string().as_str()), (50.0, "p50"));
/// assert_eq!(Percentile::MAX.to_string(), "max");
/// assert_eq!(Percentile::new(0.0), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percentile {
    millionths: u32,
}

impl Percentile {
    /// The largest value of all.
    pub const MAX: Self = Self { millionths: 100 * Self::MILLION };

    const MILLION: u32 = 1_000_000;

    /// The nearest percentile to a number above 0 and up to 100; `None` for others.
    #[must_use]
    pub fn new(percent: f64) -> Option<Self> {
        let millionths = (percent * f64::from(Self::MILLION)).round();
        Self::of_millionths(if millionths > 0.0 { millionths as u64 } else { 0 })
    }

    /// The percentage.
    #[must_use]
    pub fn percent(self) -> f64 {
        f64::from(self.millionths) / f64::from(Self::MILLION)
    }

    /// Reads `p99.9` or `max`.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text == "max" {
            return Some(Self::MAX);
        }
        let (whole, fraction) = match text.strip_prefix('p')?.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (text.strip_prefix('p')?, ""),
        };
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !(1..=3).contains(&whole.len()) || !is_number(whole) {
            return None;
        }
        if fraction.len() > 6 || !is_number(fraction) {
            return None;
        }
        Self::of_millionths(format!("{whole}{fraction:0<6}").parse().ok()?)
    }

    fn of_millionths(millionths: u64) -> Option<Self> {
        let millionths = u32::try_from(millionths).ok()?;
        (1..=Self::MAX.millionths).contains(&millionths).then_some(Self { millionths })
    }
}

impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::MAX {
            return f.pad("max");
        }
        let (whole, rest) = (self.millionths / Self::MILLION, self.millionths % Self::MILLION);
        let decimal = format!("p{whole}.{rest:06}");
        f.pad(decimal.trim_end_matches('0').trim_end_matches('.'))
    }
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $kind:ident;)*) => {
        /// A figure that is no latency.
        ///
        /// ```
        /// use harness::objectives::Metric;
        ///
        /// assert_eq!(Metric::DeliveredPerS.name(), "delivered_per_s");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Metric {
            $($(#[$doc])* $variant,)*
        }

        impl Metric {
            pub(super) const ALL: &[Self] = &[$(Self::$variant),*];

            /// What objectives call it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }
        }
    };
}

metrics! {
    /// Deliveries that should have been, and never were.
    Lost = "lost", Count;
    /// Deliveries beyond the first of the same message to the same subscriber.
    Duplicated = "duplicated", Count;
    /// Deliveries after a later message of the same publisher.
    Reordered = "reordered", Count;
    /// Deliveries whose payload was not what was sent.
    Corrupted = "corrupted", Count;
    /// Deliveries after the measurement's end.
    Late = "late", Count;
    /// Messages sent too long after they were due.
    LateSends = "late_sends", Count;
    /// Connections that were refused.
    Refused = "refused", Count;
    /// Connections that were lost while they were held.
    Dropped = "dropped", Count;
    /// Messages delivered per second, over all subscribers.
    DeliveredPerS = "delivered_per_s", Rate;
    /// Messages sent per second, over all publishers.
    SentPerS = "sent_per_s", Rate;
    /// Messages acknowledged per second, over all publishers.
    AcknowledgedPerS = "acknowledged_per_s", Rate;
    /// Requests per second, over all clients.
    ThroughputPerS = "throughput_per_s", Rate;
    /// The broker's processor time for each delivery, in microseconds.
    CpuUsPerDelivery = "cpu_us_per_delivery", Number;
    /// The broker's processor time for each request, in microseconds.
    CpuUsPerOperation = "cpu_us_per_operation", Number;
    /// The broker's resident memory at its largest.
    ResidentBytes = "resident_bytes", Bytes;
    /// The broker's memory for each connection at rest.
    BytesPerConnection = "bytes_per_connection", Bytes;
    /// From the start of the broker's process until it is ready, in milliseconds.
    ReadyMs = "ready_ms", Number;
    /// From the signal that ends the broker until the first delivery after it, in milliseconds.
    RecoveredMs = "recovered_ms", Number;
    /// What was delivered, of what the byte pipe delivered in the same stream.
    RatioToCeiling = "ratio_to_ceiling", Number;
}

impl Figure {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Latency(..) => Kind::Duration,
            Self::Metric(metric) => metric.kind(),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(kind, percentile) => write!(f, "{}.{percentile}", kind.name()),
            Self::Metric(metric) => f.write_str(metric.name()),
        }
    }
}
