//! One nonblocking connection of the load generator, and the bytes that are under way on it.

use mio::net::TcpStream;
use socket2::{Domain, Protocol, SockAddr, Socket as RawSocket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Room that a read finds at least.
pub(super) const READ_BYTES_MIN: usize = 256 * 1024;

/// Connections that one source address may make to one port: the ephemeral ports that Linux has by
/// default, with some to spare.
const CONNECTIONS_PER_SOURCE: u32 = 25_000;

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    Bytes,
    Nothing,
    Closed,
}

/// Whether a connection keeps its buffer when everything in it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Buffers {
    /// There are few connections.
    Keep,
    /// There are many.
    Release,
}

pub(super) struct Socket {
    stream: TcpStream,
    /// What was read and not used is `input[..input_end]`.
    input: Vec<u8>,
    input_end: usize,
    /// What is to be written is `output[written..]`.
    output: Vec<u8>,
    written: usize,
}

impl Socket {
    /// Begins to connect. `number` spreads many connections over the addresses of the loopback
    /// network, since one has ports for some 28 000.
    pub(super) fn connect(address: SocketAddr, number: u32) -> io::Result<Self> {
        let socket = RawSocket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )?;
        socket.set_tcp_nodelay(true)?;
        if let Some(source) = source_address(address, number) {
            socket.bind(&SockAddr::from(SocketAddr::new(source, 0)))?;
        }
        match socket.connect(&SockAddr::from(address)) {
            Err(error) if !is_under_way(&error) => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let stream = TcpStream::from_std(socket.into());
        let (input, output) = (Vec::new(), Vec::new());
        Ok(Self { stream, input, input_end: 0, output, written: 0 })
    }

    pub(super) fn stream_mut(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Whether it is connected; `None`: not yet.
    pub(super) fn connected(&self) -> io::Result<Option<()>> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => Ok(Some(())),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether everything that was to be written is.
    #[inline]
    pub(super) fn is_clear(&self) -> bool {
        self.written == self.output.len()
    }

    /// Writes what can be written now; the rest waits for [`flush`](Self::flush).
    #[inline]
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.is_clear() {
            self.output.extend_from_slice(bytes);
            return Ok(());
        }
        let written = write_some(&mut self.stream, bytes)?;
        if written < bytes.len() {
            self.output.clear();
            self.written = 0;
            self.output.extend_from_slice(&bytes[written..]);
        }
        Ok(())
    }

    /// Writes what waits, as far as it can be written now.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.is_clear() {
            return Ok(());
        }
        self.written += write_some(&mut self.stream, &self.output[self.written..])?;
        if self.is_clear() {
            self.output.clear();
            self.written = 0;
        }
        Ok(())
    }

    /// Reads once, at most `bytes_max`, and hands all that was read and not used to `take`, which
    /// returns how much of it it used. `wanted`: how long the input must become to be of use.
    #[inline]
    pub(super) fn receive<E>(
        &mut self,
        shared: &mut [u8],
        bytes_max: usize,
        wanted: usize,
        buffers: Buffers,
        take: impl FnOnce(&[u8]) -> Result<usize, E>,
    ) -> io::Result<Result<(Filled, usize), E>> {
        if self.input_end == 0 && wanted <= shared.len() {
            let room = shared.len().min(bytes_max);
            let (filled, bytes) = read_some(&mut self.stream, &mut shared[..room])?;
            if filled != Filled::Bytes {
                return Ok(Ok((filled, 0)));
            }
            let input = &shared[..bytes];
            return Ok(take(input).map(|used| {
                self.keep(&input[used..], buffers);
                (filled, bytes)
            }));
        }
        self.make_room(wanted);
        let room = (self.input.len() - self.input_end).min(bytes_max);
        let place = &mut self.input[self.input_end..][..room];
        let (filled, bytes) = read_some(&mut self.stream, place)?;
        if filled != Filled::Bytes {
            return Ok(Ok((filled, 0)));
        }
        self.input_end += bytes;
        Ok(take(&self.input[..self.input_end]).map(|used| {
            self.input.copy_within(used..self.input_end, 0);
            self.input_end -= used;
            if self.input_end == 0 && buffers == Buffers::Release {
                self.input = Vec::new();
            }
            (filled, bytes)
        }))
    }

    fn keep(&mut self, rest: &[u8], buffers: Buffers) {
        if rest.is_empty() {
            return;
        }
        if self.input.len() < rest.len() {
            let room = match buffers {
                Buffers::Keep => rest.len().max(READ_BYTES_MIN),
                Buffers::Release => rest.len(),
            };
            self.input.resize(room, 0);
        }
        self.input[..rest.len()].copy_from_slice(rest);
        self.input_end = rest.len();
    }

    fn make_room(&mut self, wanted: usize) {
        let room = READ_BYTES_MIN.max(wanted.saturating_sub(self.input_end));
        if self.input.len() - self.input_end < room {
            self.input.resize(self.input_end + room, 0);
        }
    }
}

fn is_under_way(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
        || error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error())
}

/// Another address of the loopback network for each so many connections; elsewhere the routing
/// table's choice.
fn source_address(target: SocketAddr, number: u32) -> Option<IpAddr> {
    let block = number / CONNECTIONS_PER_SOURCE;
    match target.ip() {
        IpAddr::V4(ip) if ip.is_loopback() && block > 0 => {
            let block = u8::try_from(block).ok()?;
            Some(IpAddr::V4(Ipv4Addr::new(127, 0, block, 1)))
        }
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(some) => written += some,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

fn read_some(stream: &mut TcpStream, room: &mut [u8]) -> io::Result<(Filled, usize)> {
    loop {
        return match stream.read(room) {
            Ok(0) => Ok((Filled::Closed, 0)),
            Ok(bytes) => Ok((Filled::Bytes, bytes)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok((Filled::Nothing, 0)),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
    }
}
