//! Who works with a broker until it is gone, and with the next one.

use crate::pace::{Came, Pace, Witness};
use crate::wire::Gone;
use conformance::BrokerProcess;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::thread;

/// Works with one broker after the other, and remembers what each of them promised.
pub(crate) trait Worker: Send {
    /// Works until the broker is gone. A broken promise panics.
    fn work(&mut self, address: SocketAddr, pace: &Pace) -> Result<Infallible, Gone>;
}

/// Has all of `workers` work until they had `confirmations`; then `end` ends the broker, and they
/// notice.
#[track_caller]
pub(crate) fn work_together(
    workers: Vec<&mut dyn Worker>,
    broker: &mut BrokerProcess,
    confirmations: u64,
    end: impl FnOnce(&mut BrokerProcess),
) {
    let (address, pace) = (broker.address(), Pace::default());
    let (came, threads) = thread::scope(|scope| {
        for worker in workers {
            let pace = &pace;
            scope.spawn(move || {
                let _witness = Witness(pace);
                let Err(_gone) = worker.work(address, pace);
            });
        }
        let came = pace.wait_for(confirmations);
        let threads = if came == Came::Stuck { broker.threads() } else { String::new() };
        // Whatever came, the workers end only when the broker does.
        end(broker);
        pace.end();
        (came, threads)
    });
    let confirmed = pace.confirmed();
    assert_eq!(came, Came::SoFar, "{confirmed} of {confirmations}; the broker:\n{threads}");
}
