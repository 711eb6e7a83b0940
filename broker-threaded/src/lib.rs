//! The broker on blocking threads.
//!
//! Each connection has a thread that reads. What a publication wakes is written by the
//! publisher's own thread as long as that does not block, so that a lone message costs no change
//! of threads; a subscriber whose socket is full gets a thread that writes, which blocks in its
//! place.

mod connection;
mod post;
mod reader;
mod server;
mod threads;
mod writer;

use broker_core::Wakes;
use broker_host::Host;
use server::Server;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use thiserror::Error;

/// Why the broker could not serve.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The operating system gave no thread.
    #[error(
        "expected a thread for each listener and for storage, found: {0}; allow the process more threads"
    )]
    Thread(#[source] io::Error),
    /// A listening socket could not be shared with the thread that stops it.
    #[error("expected a second handle of a listener, found: {0}; allow more open files")]
    Listener(#[source] io::Error),
}

/// Serves until a stop is requested and connections had their time to end.
///
/// # Errors
/// Where the operating system gives no thread or no handle.
pub fn serve(host: Host) -> Result<(), ServeError> {
    let server = Arc::new(Server::new(host.broker, host.clock));
    {
        let server = Arc::clone(&server);
        let carry = Arc::new(move |wakes: &mut Wakes| server.carry(wakes));
        host.store.start(carry).map_err(ServeError::Thread)?;
    }

    let mut acceptors = Vec::with_capacity(host.listeners.len());
    for listener in host.listeners {
        stop_with(&host.stop, &listener)?;
        let server = Arc::clone(&server);
        let stop = host.stop.clone();
        let acceptor = thread::Builder::new()
            .name("accept".into())
            .spawn(move || server.accept_until(&stop, &listener))
            .map_err(ServeError::Thread)?;
        acceptors.push(acceptor);
    }
    let housekeeper = {
        let (server, stop) = (Arc::clone(&server), host.stop.clone());
        thread::Builder::new()
            .name("housekeeping".into())
            .spawn(move || server.keep_house(&stop))
            .map_err(ServeError::Thread)?
    };
    for thread in acceptors.into_iter().chain([housekeeper]) {
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
    server.shut_down();
    Ok(())
}

/// Has a stop end the blocking accept of `listener`.
fn stop_with(stop: &broker_host::Stop, listener: &TcpListener) -> Result<(), ServeError> {
    let handle = listener.try_clone().map_err(ServeError::Listener)?;
    stop.on_request(move || {
        if let Err(error) = rustix::net::shutdown(&handle, rustix::net::Shutdown::Both) {
            tracing::warn!(%error, "a listener could not be stopped");
        }
    });
    Ok(())
}
