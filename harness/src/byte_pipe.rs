//! The byte pipe: a process that does less than any broker must.
//!
//! It answers the native wire's greeting and the first request, and from then on copies. The first
//! request tells what a connection becomes:
//!
//! | first request | answer | becomes |
//! |---|---|---|
//! | SUBSCRIBE | SUBSCRIBED | a subscriber: everything that publishers send comes here |
//! | PING | PONG | a publisher: what it sends goes to every subscriber |
//! | INFO | the request itself | an echo: what it sends comes back |
//!
//! A connection may speak MQTT instead, whose first byte is another: CONNECT is answered with CONNACK,
//! and what comes next is SUBSCRIBE, or makes a publisher.
//!
//! A publisher's PING or PINGREQ is answered in its place in the stream. Nothing else of a frame is
//! looked at but its length, so that the frames of two publishers do not run into each other, and
//! of a packet no more than its first byte besides. A publisher's thread
//! reads as much as there is and writes it to every subscriber itself, blocking where one is slow.

mod framing;
mod mqtt;

use framing::{Framing, Piece};
use protocol::Response;
use protocol::native::{
    BROKER_GREETING_BYTES, BrokerGreeting, CLIENT_GREETING_BYTES, FRAME_HEADER_BYTES, FrameDecoder,
    FrameStep, VERSION, check_client_greeting, decode_request, encode_broker_greeting,
    encode_response,
};
use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that one read takes at most.
const READ_BYTES: usize = 256 * 1024;

/// The largest frame that is passed on.
const FRAME_BYTES_MAX: u32 = 64 * 1024 * 1024;

type Subscribers = Arc<Mutex<Vec<Arc<Subscriber>>>>;

struct Subscriber {
    socket: TcpStream,
    /// Held while one publisher's whole frames are written.
    writing: Mutex<()>,
}

/// Serves connections until accepting fails, each on a thread of its own.
///
/// # Errors
/// The operating system's, from accepting.
pub fn serve(listener: &TcpListener) -> io::Result<()> {
    let subscribers = Subscribers::default();
    for socket in listener.incoming() {
        let socket = match socket {
            Ok(socket) => socket,
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(error),
        };
        let subscribers = Arc::clone(&subscribers);
        std::thread::Builder::new()
            .name("connection".to_owned())
            // A connection that fails is over; there is nobody but its client to tell.
            .spawn(move || drop(serve_connection(socket, &subscribers)))?;
    }
    Ok(())
}

fn serve_connection(mut socket: TcpStream, subscribers: &Subscribers) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut greeting = [0; CLIENT_GREETING_BYTES];
    let (first, rest) = greeting.split_at_mut(1);
    socket.read_exact(first)?;
    if first[0] == mqtt::CONNECT_FIRST_BYTE {
        return mqtt::serve_connection(socket, subscribers);
    }
    socket.read_exact(rest)?;
    check_client_greeting(&greeting).map_err(invalid)?;
    socket.write_all(&broker_greeting())?;

    let request = read_first_frame(&mut socket)?;
    let FrameStep::Frame { frame, .. } = FrameDecoder::new(FRAME_BYTES_MAX as usize).next(&request)
    else {
        return Err(invalid("expected one whole frame"));
    };
    let mut answer = Vec::new();
    match decode_request(frame, FRAME_BYTES_MAX as usize).map_err(invalid)? {
        protocol::Request::Subscribe { .. } => {
            let response = Response::Subscribed { next_offset: 0 };
            encode_response(&response, frame.correlation, &mut answer);
            serve_subscriber(socket, &answer, subscribers)
        }
        protocol::Request::Ping => {
            encode_response(&Response::Pong, frame.correlation, &mut answer);
            socket.write_all(&answer)?;
            serve_publisher(&mut socket, subscribers, Framing::Native, &[])
        }
        protocol::Request::Info => {
            socket.write_all(&request)?;
            serve_echo(&mut socket)
        }
        other => Err(invalid(format!("expected SUBSCRIBE, PING or INFO first, found {other:?}"))),
    }
}

fn broker_greeting() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BROKER_GREETING_BYTES);
    let greeting = BrokerGreeting {
        version: VERSION,
        accepted: true,
        frame_bytes_max: FRAME_BYTES_MAX,
        message_bytes_max: FRAME_BYTES_MAX,
    };
    encode_broker_greeting(greeting, &mut bytes);
    bytes
}

fn read_first_frame(socket: &mut TcpStream) -> io::Result<Vec<u8>> {
    const FIRST_FRAME_BYTES_MAX: usize = 64 * 1024;
    let mut frame = vec![0; FRAME_HEADER_BYTES];
    socket.read_exact(&mut frame)?;
    match FrameDecoder::new(FIRST_FRAME_BYTES_MAX).next(&frame) {
        FrameStep::NeedMore { input_bytes } => {
            frame.resize(input_bytes, 0);
            socket.read_exact(&mut frame[FRAME_HEADER_BYTES..])?;
        }
        FrameStep::Frame { .. } => {}
        _ => return Err(invalid("expected a small first frame")),
    }
    Ok(frame)
}

/// Keeps the subscriber listed for as long as its connection stands.
fn serve_subscriber(
    mut socket: TcpStream,
    answer: &[u8],
    subscribers: &Subscribers,
) -> io::Result<()> {
    let writing = socket.try_clone()?;
    let subscriber = Arc::new(Subscriber { socket: writing, writing: Mutex::new(()) });
    {
        // Listed before it is told so, and told before any publisher can write to it.
        let _writing = lock(&subscriber.writing);
        lock(subscribers).push(Arc::clone(&subscriber));
        (&subscriber.socket).write_all(answer)?;
    }
    let closed = io::copy(&mut socket, &mut io::sink());
    lock(subscribers).retain(|listed| !Arc::ptr_eq(listed, &subscriber));
    closed.map(|_| ())
}

/// Passes on what is sent, `held` first.
fn serve_publisher(
    socket: &mut TcpStream,
    subscribers: &Subscribers,
    framing: Framing,
    held: &[u8],
) -> io::Result<()> {
    let mut input = vec![0; READ_BYTES];
    let mut held_bytes = held.len();
    input[..held_bytes].copy_from_slice(held);
    loop {
        let done_bytes = pass_on(socket, subscribers, framing, &input[..held_bytes])?;
        input.copy_within(done_bytes..held_bytes, 0);
        held_bytes -= done_bytes;
        if held_bytes == input.len() {
            // One frame is larger than the whole room.
            input.resize(2 * input.len(), 0);
        }
        let read_bytes = socket.read(&mut input[held_bytes..])?;
        if read_bytes == 0 {
            return Ok(());
        }
        held_bytes += read_bytes;
    }
}

/// Writes all that is whole to every subscriber; how much of the input that was.
fn pass_on(
    socket: &mut TcpStream,
    subscribers: &Subscribers,
    framing: Framing,
    input: &[u8],
) -> io::Result<usize> {
    let mut done_bytes = 0;
    loop {
        let Piece { whole_bytes, ping_bytes } = framing.first_piece(&input[done_bytes..])?;
        if whole_bytes > 0 {
            let listed = lock(subscribers).clone();
            for subscriber in &listed {
                subscriber.write(&input[done_bytes..done_bytes + whole_bytes]);
            }
        }
        done_bytes += whole_bytes + ping_bytes;
        if ping_bytes == 0 {
            return Ok(done_bytes);
        }
        socket.write_all(framing.pong())?;
    }
}

impl Subscriber {
    fn write(&self, frames: &[u8]) {
        let _writing = lock(&self.writing);
        if (&self.socket).write_all(frames).is_err() {
            // Its own thread sees the end and takes it off the list.
            drop(self.socket.shutdown(Shutdown::Both));
        }
    }
}

fn serve_echo(socket: &mut TcpStream) -> io::Result<()> {
    let mut input = vec![0; READ_BYTES];
    loop {
        let read_bytes = socket.read(&mut input)?;
        if read_bytes == 0 {
            return Ok(());
        }
        socket.write_all(&input[..read_bytes])?;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The list is whole between any two statements, and the other lock guards a socket.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn invalid(reason: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}
