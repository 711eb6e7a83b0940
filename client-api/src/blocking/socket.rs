//! One TCP connection with blocking calls, each bounded in time.

use crate::Error;
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a write may wait for room before what the broker sent is read: it may be waiting
/// for that.
const WRITE_STALL: Duration = Duration::from_millis(20);

/// How long a connection is silent before the operating system asks whether the peer is there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// The operating system takes a timeout of zero for none.
const READ_LIMIT_MIN: Duration = Duration::from_millis(1);

/// A connected socket.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    read_limit: Option<Duration>,
}

/// What came of a read.
pub(super) enum ReadStep {
    /// So many bytes, at least one.
    Bytes(usize),
    /// Nothing in time.
    TimedOut,
}

impl Socket {
    /// Connects to the first of `addresses` that answers, in `limit` all together.
    pub(super) fn connect(addresses: &[SocketAddr], limit: Duration) -> Result<Self, Error> {
        let deadline = Instant::now() + limit;
        let mut failure = Error::Connect {
            address: "no address".to_owned(),
            source: io::Error::new(ErrorKind::InvalidInput, "the name has no address"),
        };
        for address in addresses {
            let left = deadline.saturating_duration_since(Instant::now()).max(READ_LIMIT_MIN);
            match TcpStream::connect_timeout(address, left) {
                Ok(stream) => return Self::set_up(stream),
                Err(source) => {
                    failure = Error::Connect { address: address.to_string(), source };
                }
            }
        }
        Err(failure)
    }

    fn set_up(stream: TcpStream) -> Result<Self, Error> {
        let io_error = |action| move |source| Error::Io { action, source };
        stream.set_nodelay(true).map_err(io_error("set TCP_NODELAY"))?;
        stream.set_write_timeout(Some(WRITE_STALL)).map_err(io_error("set a write timeout"))?;
        SockRef::from(&stream)
            .set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_IDLE))
            .map_err(io_error("set TCP keep-alive"))?;
        Ok(Self { stream, read_limit: None })
    }

    /// Reads once, waiting at most about `limit`; without one, for as long as it takes.
    /// The end of the stream is an error.
    #[inline]
    pub(super) fn read(
        &mut self,
        space: &mut [u8],
        limit: Option<Duration>,
    ) -> io::Result<ReadStep> {
        self.set_read_limit(limit)?;
        loop {
            return match self.stream.read(space) {
                Ok(0) => Err(closed_by_broker()),
                Ok(bytes) => Ok(ReadStep::Bytes(bytes)),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(ReadStep::TimedOut),
                    ErrorKind::Interrupted => continue,
                    _ => Err(error),
                },
            };
        }
    }

    /// Setting a timeout is a system call, so one that is about right is kept.
    #[inline]
    fn set_read_limit(&mut self, limit: Option<Duration>) -> io::Result<()> {
        if self.read_limit == limit {
            return Ok(());
        }
        if let (Some(set), Some(wanted)) = (self.read_limit, limit)
            && set >= wanted
            && set - wanted <= set / 8
        {
            return Ok(());
        }
        self.stream.set_read_timeout(limit.map(|limit| limit.max(READ_LIMIT_MIN)))?;
        self.read_limit = limit;
        Ok(())
    }

    /// Reads what is there already, without waiting.
    pub(super) fn read_now(&mut self, space: &mut [u8]) -> io::Result<Option<usize>> {
        self.stream.set_nonblocking(true)?;
        let step = self.stream.read(space);
        self.stream.set_nonblocking(false)?;
        match step {
            Ok(0) => Err(closed_by_broker()),
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes what there is room for. `None`: there was none for a while.
    #[inline]
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        loop {
            return match self.stream.write(bytes) {
                Ok(written) => Ok(Some(written)),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(None),
                    ErrorKind::Interrupted => continue,
                    _ => Err(error),
                },
            };
        }
    }
}

fn closed_by_broker() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "the broker closed the connection")
}
