//! The thread that blocks on a socket which does not take all that is for it.

use crate::connection::{CONNECTION_LOCK, Connection, SLICES_PER_WRITE_MAX, Write, Writer};
use crate::server::{STACK_BYTES, Server};
use broker_core::{Output, Wakes};
use std::io::{self, IoSlice, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;

/// Starts the writer of a connection.
pub(crate) fn spawn(server: &Arc<Server>, connection: &Arc<Connection>) -> io::Result<()> {
    let (server, connection) = (Arc::clone(server), Arc::clone(connection));
    thread::Builder::new()
        .name("write".into())
        .stack_size(STACK_BYTES)
        .spawn(move || run(&server, &connection))
        .map(drop)
}

fn run(server: &Arc<Server>, connection: &Arc<Connection>) {
    let mut wakes = Wakes::new();
    while let Some(mut output) = next_output(connection) {
        let result = write_all(&connection.socket, &mut output);
        let mut inner = connection.lock();
        inner.writer = Writer::Idle;
        if let Err(error) = result {
            connection.broke(&mut inner, &error);
        }
        connection.pump(&mut inner, Write::Blocking, server, &mut wakes);
        drop(inner);
        connection.drive(server, &mut wakes);
        server.carry(&mut wakes);
    }
}

/// Waits for output that blocks, and takes it. `None`: the connection is gone.
fn next_output(connection: &Connection) -> Option<Output> {
    let mut inner = connection.lock();
    while inner.writer != Writer::Wanted && !inner.gone {
        inner = connection.work.wait(inner).expect(CONNECTION_LOCK);
    }
    if inner.gone {
        return None;
    }
    inner.writer = Writer::Writing;
    Some(std::mem::take(&mut inner.output))
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
