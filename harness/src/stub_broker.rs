//! A broker for tests, which does what it is told to do wrong.
//!
//! It speaks the [native wire](protocol::native) over real sockets, on threads of this process, so
//! that the load generator can be held to what a broker did: a stall of a second must show in the
//! response times and not in the service times, a dropped message as lost, and a broker that is 10 %
//! slower as 10 % slower.
//!
//! ```no_run
//! use harness::stub_broker::{Behaviour, Fault, Stall, StubBroker};
//! use std::time::Duration;
//!
//! let stall = Stall { after_messages: 10_000, lasts: Duration::from_secs(1) };
//! let faults = vec![(7, Fault::Drop), (9, Fault::Corrupt)];
//! let broker = StubBroker::start(Behaviour { faults, stall: Some(stall), ..Behaviour::default() })?;
//! println!("listening at {}", broker.address());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What it does
//! Messages are numbered from 0 in the order in which it reads them, over all topics and
//! connections; with one publisher that is the order of publishing, and all that follows from
//! numbers is the same each time. Each message goes to whoever subscribes to its topic at that
//! moment, by push. It keeps nothing: what is pulled is empty, and topics need not be created.
//! Credit is not counted; a subscriber that does not read is waited for, and with it everyone.
//!
//! ```text
//! connection's reader                      shared                     subscriber's writer
//!   read, wait while stalled        ->     number, faults      ->     wait until due
//!   wait for the server's turn             who subscribes             wait while stalled, write
//!   answer by its own writer
//! ```

mod connection;
mod server;

use server::Server;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// What a broker does besides delivering everything. By default nothing.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// What happens to messages of these numbers, one thing to each.
    pub faults: Vec<(u64, Fault)>,
    /// Each delivery is written so much later than its message came. It takes nothing from the
    /// throughput.
    pub latency: Duration,
    /// Each message takes so long to be taken in, one after the other over all connections, as by
    /// one server: what bounds the throughput to its inverse.
    pub service_time: Duration,
    /// When everything stops for once.
    pub stall: Option<Stall>,
}

/// What happens to one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is acknowledged, and not delivered.
    Drop,
    /// It is delivered twice.
    Duplicate,
    /// It is delivered after the next message to its topic; if none follows, not at all.
    SwapWithNext,
    /// It is delivered with its last byte changed.
    Corrupt,
    /// The publication that it is part of is refused, and none of it delivered.
    Refuse,
    /// The connection that it came by is closed, and nothing of its publication is delivered.
    ClosePublisher,
    /// All connections of its topic's subscribers are closed, and it is not delivered.
    CloseSubscribers,
}

/// A time in which nothing is read or written. What others write waits in their sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// It begins before the message of this number is delivered or acknowledged.
    pub after_messages: u64,
    /// How long it lasts.
    pub lasts: Duration,
}

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
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
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
