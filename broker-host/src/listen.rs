//! The listening sockets, and the line that says they are there.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use crate::Backend;

/// Connections that may wait for the broker to accept them, on each address.
/// The system may hold fewer (Linux: `net.core.somaxconn`).
pub const LISTEN_BACKLOG: i32 = 4096;

/// An address that cannot be listened on.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: {source}; {}", advice(source))]
pub struct BindError {
    /// The address asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "expected a free port: stop the process that holds it, or give another with --listen"
        }
        io::ErrorKind::AddrNotAvailable => {
            "expected an address of this machine: give one with --listen, \
             or 0.0.0.0 for all of IPv4"
        }
        io::ErrorKind::PermissionDenied => {
            "expected a port open to this user: give one from 1024 up with --listen, \
             or allow the process to bind low ports (CAP_NET_BIND_SERVICE)"
        }
        _ => "expected an address that this machine can serve: give another with --listen",
    }
}

/// Listens on every address, in order. Port 0 takes any free port. An IPv6
/// address takes IPv6 connections only, so that `0.0.0.0` and `[::]` may share
/// a port. The sockets are blocking.
///
/// # Errors
/// The first address that cannot be listened on; those before it are closed again.
pub fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, BindError> {
    addresses
        .iter()
        .map(|&address| bind_one(address).map_err(|source| BindError { address, source }))
        .collect()
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted broker takes its port back while old connections are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

/// The line that tells a waiting parent process that connections are taken,
/// with the addresses as they came to be:
/// `tandem ready backend=mio version=0.1.0 listen=127.0.0.1:41235,127.0.0.1:41236`.
///
/// # Errors
/// When the system cannot tell a listener's address.
pub(crate) fn ready_line(backend: &Backend, listeners: &[TcpListener]) -> io::Result<String> {
    let addresses = listeners.iter().map(TcpListener::local_addr);
    let addresses: Vec<String> =
        addresses.map(|address| Ok(address?.to_string())).collect::<io::Result<_>>()?;
    let Backend { name, version, .. } = backend;
    let addresses = addresses.join(",");
    Ok(format!("tandem ready backend={name} version={version} listen={addresses}"))
}

/// Prints the ready line on standard output, at once.
///
/// # Errors
/// When standard output takes nothing, for example because its reader has gone.
pub(crate) fn print_ready_line(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn every_address_is_listened_on_and_port_0_takes_a_free_port() {
        let listeners = bind(&[address("127.0.0.1:0"), address("127.0.0.1:0")]).expect("bound");
        assert_eq!(listeners.len(), 2);
        for listener in &listeners {
            let taken = listener.local_addr().expect("an address");
            assert_ne!(taken.port(), 0);
            TcpStream::connect(taken).expect("a connection waits in the backlog");
        }
    }

    #[test]
    fn a_port_in_use_is_named_with_what_to_do() {
        let held = TcpListener::bind("127.0.0.1:0").expect("bound");
        let taken = held.local_addr().expect("an address");
        let error = bind(&[address("127.0.0.1:0"), taken]).expect_err("in use").to_string();
        assert!(error.starts_with(&format!("cannot listen on {taken}: ")), "{error}");
        assert!(error.contains("stop the process that holds it"), "{error}");
    }

    #[test]
    fn an_address_of_another_machine_is_named_with_what_to_do() {
        // RFC 5737: 192.0.2.0/24 belongs to no machine.
        let error = bind(&[address("192.0.2.1:0")]).expect_err("not ours").to_string();
        assert!(error.contains("expected an address of this machine"), "{error}");
    }

    #[test]
    fn ipv4_and_ipv6_may_share_a_port() {
        let Ok(v6) = bind(&[address("[::]:0")]) else {
            return; // This machine has no IPv6.
        };
        let port = v6[0].local_addr().expect("an address").port();
        let v4 = bind(&[SocketAddr::from(([0, 0, 0, 0], port))]);
        assert!(v4.is_ok(), "{v4:?}");
    }

    #[test]
    fn the_ready_line_names_the_addresses_as_they_came_to_be() {
        let backend = Backend { name: "mio", summary: "", version: "0.1.0", takes_loops: true };
        let listeners = bind(&[address("127.0.0.1:0"), address("127.0.0.1:0")]).expect("bound");
        let taken: Vec<_> =
            listeners.iter().map(|one| one.local_addr().expect("an address")).collect();
        let line = ready_line(&backend, &listeners).expect("a line");
        let (first, second) = (taken[0], taken[1]);
        let expected = format!("tandem ready backend=mio version=0.1.0 listen={first},{second}");
        assert_eq!(line, expected);
    }
}
