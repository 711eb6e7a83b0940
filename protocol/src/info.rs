//! What a broker says of itself.

use serde::{Deserialize, Serialize};

/// The answer to INFO: an object in JSON lines, the same object as JSON text on the native wire.
/// Later versions may add keys.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Info {
    /// The broker's version.
    pub version: String,
    /// Which I/O backend it runs on: `threaded` or `mio`.
    pub backend: String,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// Connections open now.
    pub connections: u64,
    /// Topics that exist now.
    pub topics: u64,
    /// Named subscriptions that exist now, on all topics.
    pub subscriptions: u64,
    /// Messages published since it started.
    pub messages_in: u64,
    /// Messages pulled and pushed since it started.
    pub messages_out: u64,
    /// Bytes that the logs of all topics hold in memory now.
    pub log_bytes: u64,
}
