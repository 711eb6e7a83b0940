//! The thread that blocks on a socket which does not take all that is for it.

use crate::connection::{Connection, SLICES_PER_WRITE_MAX};
use crate::server::Server;
use broker_core::{Output, Wakes};
use std::io::{self, IoSlice, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// Starts the writer of a connection.
pub(crate) fn spawn(server: &Arc<Server>, connection: &Arc<Connection>) -> io::Result<()> {
    let (own, connection) = (Arc::clone(server), Arc::clone(connection));
    server.threads.spawn("write", move || run(&own, &connection))
}

fn run(server: &Arc<Server>, connection: &Arc<Connection>) {
    let mut wakes = Wakes::new();
    while connection.post.wait_for_call() {
        let mut output = connection.take_output(server, &mut wakes);
        server.carry(&mut wakes);
        let result = write_all(&connection.socket, &mut output);
        connection.wrote(result, server, &mut wakes);
        server.carry(&mut wakes);
    }
}

fn write_all(mut socket: &TcpStream, output: &mut Output) -> io::Result<()> {
    while !output.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE_MAX];
        let taken = output.slices(&mut slices);
        match socket.write_vectored(&slices[..taken]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => output.advance(written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
