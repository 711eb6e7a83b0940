//! A broker for tests, which does what it is told to do wrong.
//!
//! It speaks the [native wire](protocol::native) over real sockets, on threads of this process or as
//! the program `stub-broker`, so that the load generator can be held to what a broker did: a stall
//! of a second must show in the response times and not in the service times, a dropped message as
//! lost, and a broker that is 10 % slower as 10 % slower.
//!
//! ```no_run
//! use harness::stub_broker::{Behaviour, Fault, Stall, StubBroker};
//! use std::time::Duration;
//!
//! let stall = Stall { after_messages: 10_000, lasts: Duration::from_secs(1) };
//! let faults = vec![Fault::Drop.at(7), Fault::Corrupt.of(2, 9).toward("subscriber-1")];
//! let broker = StubBroker::start(Behaviour { faults, stall: Some(stall), ..Behaviour::default() })?;
//! println!("listening at {}", broker.address());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What it does
//! Messages are numbered from 0 in the order in which it reads them, over all topics and
//! connections; with one publisher that is the order of publishing, and all that follows from
//! numbers is the same each time. With several, what follows from the stamps is. Each message goes
//! to whoever subscribes to its topic at that moment, by push. It keeps nothing: what is pulled is
//! empty, and topics need not be created. Credit is not counted; a subscriber that does not read is
//! waited for, and with it everyone.
//!
//! ```text
//! connection's reader                      shared                     subscriber's writer
//!   read, wait while stalled        ->     number, faults      ->     wait until due
//!   wait for the server's turn             who subscribes             wait while stalled, write
//!   answer by its own writer
//! ```

mod behaviour;
mod connection;
mod server;

pub use behaviour::{Behaviour, Fault, PlannedFault, Stall};

use server::Server;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// A running broker. Dropping it closes its connections and waits for its threads.
#[derive(Debug)]
pub struct StubBroker {
    address: SocketAddr,
    server: Arc<Server>,
    acceptor: Option<JoinHandle<()>>,
}

impl StubBroker {
    /// Starts one on a free port of the loopback interface.
    ///
    /// # Errors
    /// Whatever the operating system says to listening.
    pub fn start(behaviour: Behaviour) -> io::Result<Self> {
        Self::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), behaviour)
    }

    /// Starts one at this address; port 0 is any free one.
    ///
    /// # Errors
    /// Whatever the operating system says to listening.
    pub fn listen(address: SocketAddr, behaviour: Behaviour) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let server = Arc::new(Server::new(behaviour));
        let accepting = Arc::clone(&server);
        let acceptor = std::thread::spawn(move || accept(&listener, &accepting));
        Ok(Self { address, server, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Messages that were published to it so far, refused ones included.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.server.published()
    }

    /// Stops all reading and writing from now on, for so long.
    pub fn stall(&self, lasts: Duration) {
        self.server.stall(lasts);
    }

    /// Serves for as long as the process lives.
    pub fn serve(mut self) {
        if let Some(acceptor) = self.acceptor.take() {
            // A panic of it is told by itself.
            let _ = acceptor.join();
        }
    }
}

impl Drop for StubBroker {
    fn drop(&mut self) {
        self.server.end();
        // So that it sees that it ends. If nobody accepts, it has ended already.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, server: &Arc<Server>) {
    let mut connections = Vec::new();
    for socket in listener.incoming() {
        if server.has_ended() {
            break;
        }
        let opened = socket.and_then(|socket| Ok((socket.try_clone()?, socket)));
        let Ok((closing, socket)) = opened else { continue };
        let server = Arc::clone(server);
        let thread = std::thread::spawn(move || connection::serve(socket, &server));
        connections.push((closing, thread));
    }
    for (socket, thread) in connections {
        let _ = socket.shutdown(Shutdown::Both);
        let _ = thread.join();
    }
}

#[cfg(test)]
mod tests;
