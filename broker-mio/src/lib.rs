//! The broker on mio event loops.
//!
//! W loops run on a thread each. A connection belongs to one loop for its life: that loop owns
//! its socket and its session. Loops share the [`broker_core::Broker`] and their mail: a wake for a session of
//! another loop, or a new connection, goes into that loop's mailbox. While a loop sleeps, whoever
//! wakes a few of its sessions takes their turns in its place.
//!
//! Readiness is edge-triggered. A connection that has something to do stands in its loop's run
//! queue; one turn of it does a bounded amount of work, so that none starves the others.

mod connection;
mod event_loop;
mod listening;
mod mail;
mod stopping;
mod timers;

use broker_core::Wakes;
use broker_host::Host;
use event_loop::{EventLoop, Loops, Surroundings};
use listening::Listening;
use mail::Mailbox;
use mio::Poll;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::thread;
use stopping::Stopping;
use thiserror::Error;

/// The most loops that there are by default: beyond it they rather wake each other than work.
const LOOPS_DEFAULT_MAX: usize = 16;

/// Why the broker could not serve.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The operating system gave no event queue, or took no socket into it.
    #[error("expected an event queue of the operating system, found: {0}; allow more open files")]
    Poll(#[source] io::Error),
    /// The operating system gave no thread.
    #[error("expected a thread for each event loop, found: {0}; choose fewer with --loops")]
    Thread(#[source] io::Error),
    /// The operating system gave no thread to what keeps messages.
    #[error("expected a thread for storage, found: {0}; allow the process more threads")]
    Storage(#[source] io::Error),
}

/// Serves until a stop is requested and connections had their time to end.
///
/// # Errors
/// Where the operating system gives no event queue or no thread.
pub fn serve(host: Host) -> Result<(), ServeError> {
    let loops = host.settings.loops.unwrap_or_else(loops_default).get();

    let surroundings = Surroundings {
        loops,
        broker: host.broker,
        clock: host.clock,
        stop: host.stop.clone(),
        stopping: Arc::new(Stopping::new(loops)),
    };
    let listening = Listening::new(host.listeners, loops).map_err(ServeError::Poll)?;
    let (loops, polls) = prepare(&surroundings, listening).map_err(ServeError::Poll)?;
    let loops = Arc::new(loops);
    {
        let loops = Arc::clone(&loops);
        host.stop.on_request(move || loops.mailboxes.iter().for_each(Mailbox::ring));
    }
    {
        let loops = Arc::clone(&loops);
        let carry = Arc::new(move |wakes: &mut Wakes| loops.carry(wakes));
        host.store.start(carry).map_err(ServeError::Storage)?;
    }

    let mut threads = Vec::with_capacity(polls.len());
    for (index, poll) in polls.into_iter().enumerate() {
        let loops = Arc::clone(&loops);
        let thread = thread::Builder::new()
            .name(format!("loop-{index}"))
            .spawn(move || loops.run(index, poll))
            .map_err(ServeError::Thread)?;
        threads.push(thread);
    }
    for thread in threads {
        match thread.join() {
            Ok(result) => result.map_err(ServeError::Poll)?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    Ok(())
}

/// Makes the loops, the first of which listens, and the event queues that their threads wait on.
fn prepare(surroundings: &Surroundings, listening: Listening) -> io::Result<(Loops, Vec<Poll>)> {
    let mut listening = Some(listening);
    let mut polls = Vec::with_capacity(surroundings.loops);
    let mut loops = Loops { mailboxes: Vec::new(), states: Vec::new() };
    for index in 0..surroundings.loops {
        let poll = Poll::new()?;
        loops.mailboxes.push(Mailbox::new(&poll)?);
        let state = EventLoop::new(index, &poll, surroundings.clone(), listening.take())?;
        loops.states.push(Mutex::new(state));
        polls.push(poll);
    }
    Ok((loops, polls))
}

fn loops_default() -> NonZeroUsize {
    let most = NonZeroUsize::new(LOOPS_DEFAULT_MAX).expect("it is not zero");
    thread::available_parallelism().map_or(NonZeroUsize::MIN, |cores| cores.min(most))
}
