//! How a client connects, waits and comes back, and the limits of what it holds.

use crate::backoff::Reconnect;
use std::time::Duration;

/// The choices of one client. [`Options::default`] suits most programs; change what does not fit
/// and pass it to a driver's `connect_with`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// How long one attempt to connect may take, the exchange of greetings included.
    pub connect_timeout: Duration,
    /// How long the answer to one request is waited for.
    pub request_timeout: Duration,
    /// Whether and how a lost connection is made again.
    pub reconnect: Reconnect,
    /// Requests that may wait for their answers at once; as many answers may wait to be claimed.
    pub in_flight_max: usize,
    /// Buffered bytes at which unacknowledged publications are written without a `flush`.
    pub flush_bytes: usize,
    /// The largest frame taken from the broker: it bounds the read buffer.
    pub response_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            reconnect: Reconnect::default(),
            in_flight_max: 1024,
            flush_bytes: 64 * 1024,
            response_bytes_max: 256 * 1024 * 1024,
        }
    }
}

impl Options {
    /// The same as [`Options::default`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`connect_timeout`](Self::connect_timeout); zero is taken for a millisecond.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit.max(TIMEOUT_MIN);
        self
    }

    /// Sets [`request_timeout`](Self::request_timeout); zero is taken for a millisecond.
    #[must_use]
    pub fn request_timeout(mut self, limit: Duration) -> Self {
        self.request_timeout = limit.max(TIMEOUT_MIN);
        self
    }

    /// Sets [`reconnect`](Self::reconnect).
    #[must_use]
    pub fn reconnect(mut self, policy: Reconnect) -> Self {
        self.reconnect = policy;
        self
    }

    /// Sets [`in_flight_max`](Self::in_flight_max), at least 1.
    #[must_use]
    pub fn in_flight_max(mut self, requests: usize) -> Self {
        self.in_flight_max = requests.max(1);
        self
    }

    /// Sets [`flush_bytes`](Self::flush_bytes).
    #[must_use]
    pub fn flush_bytes(mut self, bytes: usize) -> Self {
        self.flush_bytes = bytes;
        self
    }

    /// Sets [`response_bytes_max`](Self::response_bytes_max).
    #[must_use]
    pub fn response_bytes_max(mut self, bytes: usize) -> Self {
        self.response_bytes_max = bytes;
        self
    }
}

/// The operating system takes a timeout of zero for none.
const TIMEOUT_MIN: Duration = Duration::from_millis(1);
