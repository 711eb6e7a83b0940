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
//! Nothing of a frame is looked at but its length, so that the frames of two publishers do not
//! run into each other. A publisher's thread reads as much as there is and writes it to every
//! subscriber itself, blocking where one is slow.

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
    socket.read_exact(&mut greeting)?;
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
            serve_publisher(&mut socket, subscribers)
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

fn serve_publisher(socket: &mut TcpStream, subscribers: &Subscribers) -> io::Result<()> {
    let mut input = vec![0; READ_BYTES];
    let mut held_bytes = 0;
    loop {
        let read_bytes = socket.read(&mut input[held_bytes..])?;
        if read_bytes == 0 {
            return Ok(());
        }
        held_bytes += read_bytes;
        let whole_bytes = whole_frames_bytes(&input[..held_bytes])?;
        let listed = lock(subscribers).clone();
        for subscriber in &listed {
            subscriber.write(&input[..whole_bytes]);
        }
        input.copy_within(whole_bytes..held_bytes, 0);
        held_bytes -= whole_bytes;
        if held_bytes == input.len() {
            // One frame is larger than the whole room.
            input.resize(2 * input.len(), 0);
        }
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

/// Length of the whole frames at the start of `input`.
fn whole_frames_bytes(input: &[u8]) -> io::Result<usize> {
    const LENGTH_BYTES: usize = 4;
    let mut whole_bytes = 0;
    while let Some((length, _)) = input[whole_bytes..].split_first_chunk::<LENGTH_BYTES>() {
        let length = u32::from_le_bytes(*length);
        if length > FRAME_BYTES_MAX {
            return Err(invalid(format!(
                "expected frames of at most {FRAME_BYTES_MAX} bytes, found {length}"
            )));
        }
        let end = whole_bytes + LENGTH_BYTES + length as usize;
        if end > input.len() {
            break;
        }
        whole_bytes = end;
    }
    Ok(whole_bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_frames_are_passed_on() {
        let frame = [8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        let stream = [frame, frame].concat();
        let whole = |bytes: usize| whole_frames_bytes(&stream[..bytes]).unwrap();
        assert_eq!([whole(0), whole(3), whole(11), whole(12), whole(23)], [0, 0, 0, 12, 12]);
        assert_eq!(whole(24), 24);
    }

    #[test]
    fn a_length_that_no_frame_has_ends_the_connection() {
        assert!(whole_frames_bytes(&[0xFF; 12]).is_err());
    }
}
