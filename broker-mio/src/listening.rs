//! Accepting connections, and handing them round to the loops.

use mio::net::TcpListener;
use mio::{Interest, Registry, Token};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;

/// Listeners' tokens count down from below the mailbox's.
const FIRST_LISTENER_TOKEN: usize = usize::MAX - 1;

/// Connections accepted before the loop turns to others.
const ACCEPTS_PER_TURN_MAX: usize = 256;

/// The listening sockets; the first loop has them.
#[derive(Debug)]
pub(crate) struct Listening {
    listeners: Vec<TcpListener>,
    loops: usize,
    next_loop: usize,
}

/// What accepting gave.
pub(crate) enum Accepted {
    /// A connection for the loop of this index.
    For(usize, TcpStream, SocketAddr),
    /// None is waiting.
    None,
    /// None can be had now.
    Failed(io::Error),
}

impl Listening {
    pub(crate) fn new(listeners: Vec<std::net::TcpListener>, loops: usize) -> io::Result<Self> {
        let listeners = listeners
            .into_iter()
            .map(|listener| {
                listener.set_nonblocking(true)?;
                Ok(TcpListener::from_std(listener))
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { listeners, loops, next_loop: 0 })
    }

    pub(crate) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            let token = Token(FIRST_LISTENER_TOKEN - index);
            registry.register(listener, token, Interest::READABLE)?;
        }
        Ok(())
    }

    pub(crate) fn is_listener(&self, token: Token) -> bool {
        token.0 <= FIRST_LISTENER_TOKEN && FIRST_LISTENER_TOKEN - token.0 < self.listeners.len()
    }

    /// Accepts what is waiting, up to a bound; gives whether more may be waiting.
    pub(crate) fn accept(&mut self, mut handle: impl FnMut(Accepted)) -> bool {
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            match self.accept_one() {
                Accepted::None => return false,
                accepted @ Accepted::For(..) => handle(accepted),
                failed @ Accepted::Failed(_) => {
                    handle(failed);
                    return true;
                }
            }
        }
        true
    }

    fn accept_one(&mut self) -> Accepted {
        for listener in &self.listeners {
            match listener.accept() {
                Ok((stream, peer)) => {
                    let index = self.next_loop;
                    self.next_loop = (index + 1) % self.loops;
                    return Accepted::For(index, TcpStream::from(OwnedFd::from(stream)), peer);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The peer gave up before it was accepted.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Accepted::Failed(error),
            }
        }
        Accepted::None
    }
}
