//! The task that owns the connection: it reads, hands out, writes, and connects again.

use super::shared::{Shared, State};
use crate::backoff::Backoff;
use crate::{Error, Operation};
use socket2::{SockRef, TcpKeepalive};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};

/// How long a connection is silent before the operating system asks whether the peer is there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// Reads in a row before other tasks have their turn.
const READS_PER_TURN_MAX: usize = 8;

/// How long the task sleeps when nothing has a deadline.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

/// Why a conversation stopped.
#[derive(Debug)]
enum Stop {
    /// The last handle is gone, and all output was written.
    Closed,
    /// The connection is of no more use.
    Lost(Error),
}

/// One client's task.
#[derive(Debug)]
pub(super) struct Driver {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    sleep: Pin<Box<Sleep>>,
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>, addresses: Vec<SocketAddr>) -> Self {
        Self { shared, addresses, sleep: Box::pin(sleep(SLEEP_MAX)) }
    }

    /// Connects and exchanges greetings.
    pub(super) async fn open(&mut self) -> Result<TcpStream, Error> {
        let limit = self.shared.options.connect_timeout;
        let opened = timeout(limit, self.connect_and_greet()).await;
        let error = match opened {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error,
            Err(_elapsed) => Error::Timeout { operation: Operation::Greet, limit },
        };
        self.shared.lock().session.handle_disconnected(&error.to_string());
        Err(error)
    }

    async fn connect_and_greet(&mut self) -> Result<TcpStream, Error> {
        let mut connecting = Box::pin(connect(self.addresses.clone()));
        let mut stream = poll_fn(|context| match self.poll_idle(context) {
            Poll::Ready(()) => Poll::Ready(Err(dropped_while_connecting())),
            Poll::Pending => connecting.as_mut().poll(context),
        })
        .await?;
        self.shared.lock().session.handle_connected(Instant::now());
        poll_fn(|context| match self.poll_conversation(&mut stream, context) {
            Poll::Ready(Stop::Lost(error)) => Poll::Ready(Err(error)),
            _ if self.shared.lock().session.is_open() => Poll::Ready(Ok(())),
            Poll::Ready(Stop::Closed) => Poll::Ready(Err(dropped_while_connecting())),
            Poll::Pending => Poll::Pending,
        })
        .await?;
        Ok(stream)
    }

    /// Drives `stream`, and the connections that follow it, until the last handle is gone.
    pub(super) async fn run(mut self, mut stream: TcpStream) {
        loop {
            let stop = poll_fn(|context| self.poll_conversation(&mut stream, context)).await;
            let Stop::Lost(error) = stop else { return };
            self.lose(&error.to_string());
            let Some(next) = self.connect_again(error).await else { return };
            stream = next;
        }
    }

    fn lose(&self, reason: &str) {
        let mut state = self.shared.lock();
        state.session.handle_disconnected(reason);
        dispatch_without_connection(&mut state);
    }

    /// `None`: the last handle is gone.
    async fn connect_again(&mut self, mut error: Error) -> Option<TcpStream> {
        loop {
            let mut backoff = Backoff::new(self.shared.options.reconnect);
            while let Some(delay) = backoff.next_delay(fastrand::f64()) {
                self.wait(delay).await?;
                match self.open().await {
                    Ok(stream) => return Some(stream),
                    Err(failure) => error = failure,
                }
                dispatch_without_connection(&mut self.shared.lock());
            }
            self.give_up(&error.to_string());
            self.wait_for_demand().await?;
        }
    }

    fn give_up(&self, reason: &str) {
        let mut state = self.shared.lock();
        state.session.handle_gave_up(reason);
        state.given_up += 1;
        dispatch_without_connection(&mut state);
        self.shared.written.notify_waiters();
    }

    /// Waits between two attempts; requests that become overdue fail meanwhile. `None`: the last
    /// handle is gone.
    async fn wait(&mut self, delay: Duration) -> Option<()> {
        let mut delay = Box::pin(sleep(delay));
        poll_fn(|context| {
            if self.poll_idle(context).is_ready() {
                return Poll::Ready(None);
            }
            delay.as_mut().poll(context).map(Some)
        })
        .await
    }

    /// Waits until something is asked for. `None`: the last handle is gone.
    async fn wait_for_demand(&mut self) -> Option<()> {
        poll_fn(|context| {
            if self.poll_idle(context).is_ready() {
                return Poll::Ready(None);
            }
            if self.shared.lock().session.is_at_rest() {
                return Poll::Pending;
            }
            Poll::Ready(Some(()))
        })
        .await
    }

    /// What there is to do without a connection. Ready when the last handle is gone.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        state.set_driver(context);
        self.poll_deadlines(&mut state, context);
        dispatch_without_connection(&mut state);
        if state.close_by.is_some() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Reads all there is, hands it out, and writes all there is room for.
    fn poll_conversation(
        &mut self,
        stream: &mut TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<Stop> {
        let shared = Arc::clone(&self.shared);
        for turn in 0..=READS_PER_TURN_MAX {
            let mut state = shared.lock();
            if turn == READS_PER_TURN_MAX {
                context.waker().wake_by_ref();
                break;
            }
            match poll_read(stream, &mut state, context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Stop::Lost(lost(&error))),
                Poll::Pending => break,
            }
            if let Err(error) = state.dispatch() {
                return Poll::Ready(Stop::Lost(error));
            }
        }
        let mut state = shared.lock();
        state.set_driver(context);
        self.poll_deadlines(&mut state, context);
        if let Err(error) = state.dispatch() {
            return Poll::Ready(Stop::Lost(error));
        }
        if let Err(error) = self.write(stream, &mut state, context) {
            return Poll::Ready(Stop::Lost(lost(&error)));
        }
        match state.close_by {
            Some(_) if state.session.output_bytes() == 0 => Poll::Ready(Stop::Closed),
            Some(close_by) if close_by <= Instant::now() => Poll::Ready(Stop::Closed),
            _ => Poll::Pending,
        }
    }

    fn write(
        &self,
        stream: &mut TcpStream,
        state: &mut State,
        context: &mut Context<'_>,
    ) -> io::Result<()> {
        let mut wrote = false;
        loop {
            let output = state.session.poll_output();
            if output.is_empty() {
                break;
            }
            match Pin::new(&mut *stream).poll_write(context, output) {
                Poll::Ready(written) => state.session.handle_written(written?),
                Poll::Pending => break,
            }
            wrote = true;
        }
        if wrote {
            self.shared.written.notify_waiters();
        }
        Ok(())
    }

    /// Fails what is overdue, and has the task woken when the next may be.
    fn poll_deadlines(&mut self, state: &mut State, context: &mut Context<'_>) {
        // The deadline moves with every answer: it is enough to wake before it, not often.
        if let Some(deadline) = state.poll_deadline()
            && deadline < self.sleep.deadline().into_std()
        {
            self.sleep.as_mut().reset(deadline.into());
        }
        while self.sleep.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            state.session.handle_time(now);
            let next = state.poll_deadline().filter(|next| *next > now);
            let next = next.unwrap_or(now + SLEEP_MAX);
            self.sleep.as_mut().reset(next.into());
        }
    }
}

async fn connect(addresses: Vec<SocketAddr>) -> Result<TcpStream, Error> {
    let mut failure = Error::Connect {
        address: "no address".to_owned(),
        source: io::Error::new(ErrorKind::InvalidInput, "the name has no address"),
    };
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                let io_error = |action| move |source| Error::Io { action, source };
                stream.set_nodelay(true).map_err(io_error("set TCP_NODELAY"))?;
                SockRef::from(&stream)
                    .set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_IDLE))
                    .map_err(io_error("set TCP keep-alive"))?;
                return Ok(stream);
            }
            Err(source) => failure = Error::Connect { address: address.to_string(), source },
        }
    }
    Err(failure)
}

fn poll_read(
    stream: &mut TcpStream,
    state: &mut State,
    context: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    let mut space = ReadBuf::new(state.session.input_space());
    match Pin::new(stream).poll_read(context, &mut space) {
        Poll::Ready(Ok(())) => {}
        other => return other,
    }
    let read_bytes = space.filled().len();
    if read_bytes == 0 {
        let message = "the broker closed the connection";
        return Poll::Ready(Err(io::Error::new(ErrorKind::UnexpectedEof, message)));
    }
    state.session.handle_input(read_bytes);
    Poll::Ready(Ok(()))
}

impl Drop for Driver {
    /// Its runtime may end before its clients do.
    fn drop(&mut self) {
        self.shared.lock().handle_driver_gone();
        self.shared.written.notify_waiters();
    }
}

/// Without a connection there is no input that could break the wire.
fn dispatch_without_connection(state: &mut State) {
    let dispatched = state.dispatch();
    debug_assert!(dispatched.is_ok(), "no input, yet {dispatched:?}");
}

fn dropped_while_connecting() -> Error {
    Error::Disconnected { reason: "the client was dropped while it connected".to_owned() }
}

fn lost(error: &io::Error) -> Error {
    Error::Disconnected { reason: error.to_string() }
}
