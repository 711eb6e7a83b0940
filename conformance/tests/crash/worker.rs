//! Who works with a broker until it is gone, and with the next one.

use crate::pace::Pace;
use crate::wire::Gone;
use std::convert::Infallible;
use std::net::SocketAddr;

/// Works with one broker after the other, and remembers what each of them promised.
pub(crate) trait Worker: Send {
    /// Works until the broker is gone. A broken promise panics.
    fn work(&mut self, address: SocketAddr, pace: &Pace) -> Result<Infallible, Gone>;
}
