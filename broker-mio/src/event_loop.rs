//! One event loop: events in, turns of connections out.
//!
//! A loop's state has a lock, which its thread holds while it is awake. Where a loop wakes a few
//! sessions of another that sleeps, it takes their turns itself: waking a thread on another core
//! takes longer than that. Where the other is awake, or many are woken, it is left to the other.

use crate::connection::{After, Connection, Lent, Phase};
use crate::listening::{Accepted, Listening};
use crate::mail::{MAIL_TOKEN, Mail, Mailbox};
use crate::stopping::Stopping;
use crate::timers::Timers;
use broker_core::{Broker, Now, Session, SessionKey, Wake, Wakes};
use broker_host::{Clock, Stop};
use mio::{Events, Interest, Poll, Registry, Token};
use slab::Slab;
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Bytes read at most in one turn of a connection.
const READ_BYTES_MAX: usize = 256 * 1024;

/// Events taken from the operating system at once.
const EVENTS_MAX: usize = 1024;

/// How often the first loop has the broker do what time asks for, and a loop that could not
/// accept tries again.
const TICK_MS: u64 = 250;

/// A session's key is its loop, a count that tells it from earlier ones in its slot, and its slot.
const SLOT_BITS: u32 = 32;
const GENERATION_BITS: u32 = 22;

/// Sessions of a sleeping loop that another takes turns for, rather than wake it.
const HELPED_WAKES_MAX: usize = 4;

/// All loops.
#[derive(Debug)]
pub(crate) struct Loops {
    pub(crate) mailboxes: Vec<Mailbox>,
    pub(crate) states: Vec<Mutex<EventLoop>>,
}

#[derive(Debug)]
pub(crate) struct EventLoop {
    index: usize,
    registry: Registry,
    broker: Arc<Broker>,
    clock: Clock,
    stop: Stop,
    stopping: Arc<Stopping>,
    listening: Option<Listening>,
    /// A listener has, or may have, connections waiting.
    accepting: bool,
    connections: Slab<(u64, Connection)>,
    generation: u64,
    /// Slots of connections that have something to do.
    queue: VecDeque<usize>,
    timers: Timers,
    next_tick: Now,
    phase: Phase,
    gone_by: Option<Now>,
    /// When it wakes by itself.
    sleeps_until: Option<Now>,
    scratch: Vec<u8>,
    wakes: Wakes,
    mail: Vec<Mail>,
    /// Mail for the other loops, by their index.
    outbox: Vec<Vec<Mail>>,
}

/// What all loops are given.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// How many loops there are.
    pub(crate) loops: usize,
    pub(crate) broker: Arc<Broker>,
    pub(crate) clock: Clock,
    pub(crate) stop: Stop,
    pub(crate) stopping: Arc<Stopping>,
}

impl EventLoop {
    pub(crate) fn new(
        index: usize,
        poll: &Poll,
        surroundings: Surroundings,
        mut listening: Option<Listening>,
    ) -> io::Result<Self> {
        let registry = poll.registry().try_clone()?;
        if let Some(listening) = &mut listening {
            listening.register(&registry)?;
        }
        let Surroundings { loops, broker, clock, stop, stopping } = surroundings;
        Ok(Self {
            index,
            registry,
            broker,
            clock,
            stop,
            stopping,
            accepting: listening.is_some(),
            listening,
            connections: Slab::new(),
            generation: 0,
            queue: VecDeque::new(),
            timers: Timers::default(),
            next_tick: Now::default(),
            phase: Phase::Serving,
            gone_by: None,
            sleeps_until: None,
            scratch: vec![0; READ_BYTES_MAX],
            wakes: Wakes::new(),
            mail: Vec::new(),
            outbox: (0..loops).map(|_| Vec::new()).collect(),
        })
    }

    fn is_done(&self) -> bool {
        let time_is_up = self.gone_by.is_some_and(|gone_by| gone_by <= self.clock.now());
        self.phase == Phase::Parting && (self.connections.is_empty() || time_is_up)
    }

    /// How long it may sleep, announced to the others; `None`: until it is woken.
    fn lie_down(&mut self, mailbox: &Mailbox) -> Option<Duration> {
        if !self.queue.is_empty() || mailbox.lie_down() {
            return Some(Duration::ZERO);
        }
        let tick = (self.index == 0 || self.accepting).then_some(self.next_tick);
        let wakeups = self.timers.next().into_iter().chain(tick).chain(self.gone_by);
        self.sleeps_until = wakeups.min();
        // Rounded up, so that the deadline has passed when it wakes.
        self.sleeps_until.map(|at| self.clock.now().until(at) + Duration::from_millis(1))
    }

    /// Does all that there is to do now.
    fn handle(&mut self, events: &Events, loops: &Loops) {
        self.handle_events(events);
        self.handle_mail(loops);
        self.handle_time(loops);
        self.handle_stop(loops);
        self.accept(loops);
        self.take_turns(loops);
    }

    /// Does what came by mail, on behalf of the loop's own thread, which sleeps. Gives whether
    /// that has to be woken for the rest.
    fn help(&mut self, loops: &Loops) -> bool {
        self.handle_mail(loops);
        self.take_turns(loops);
        let earlier = |at: Now| self.sleeps_until.is_none_or(|until| at < until);
        !self.queue.is_empty() || self.timers.next().is_some_and(earlier)
    }

    fn handle_events(&mut self, events: &Events) {
        for event in events {
            let token = event.token();
            if token == MAIL_TOKEN {
                continue;
            }
            if self.listening.as_ref().is_some_and(|listening| listening.is_listener(token)) {
                self.accepting = true;
            } else if let Some((_, connection)) = self.connections.get_mut(token.0) {
                connection.handle_event(event);
                self.enqueue(token.0);
            }
        }
    }

    fn handle_mail(&mut self, loops: &Loops) {
        let mut mail = std::mem::take(&mut self.mail);
        loops.mailboxes[self.index].take(&mut mail);
        for piece in mail.drain(..) {
            match piece {
                Mail::Wake(wake) => self.handle_wake(wake),
                Mail::Connection(socket, peer) => self.admit(socket, peer),
            }
        }
        self.mail = mail;
        self.carry_wakes(loops);
    }

    fn handle_time(&mut self, loops: &Loops) {
        let now = self.clock.now();
        while let Some(key) = self.timers.pop_due(now) {
            let Some(slot) = self.slot_of(SessionKey(key)) else { continue };
            let (_, connection) = &mut self.connections[slot];
            connection.timer = None;
            connection.handle_timeout(&mut self.wakes, now);
            self.enqueue(slot);
        }
        if now >= self.next_tick {
            self.next_tick = now.plus_ms(TICK_MS);
            if self.index == 0 {
                self.broker.handle_tick(now, &mut self.wakes);
            }
        }
        self.carry_wakes(loops);
    }

    /// Stops reading when a stop is requested, and lets connections go when all loops have.
    fn handle_stop(&mut self, loops: &Loops) {
        if self.phase == Phase::Serving && self.stop.is_requested() {
            self.phase = Phase::Draining;
            self.listening = None;
            self.accepting = false;
            let ms_max = self.broker.limits().shutdown_ms_max;
            self.gone_by = Some(self.clock.now().plus_ms(ms_max));
            if self.stopping.loop_stopped() {
                loops.mailboxes.iter().for_each(Mailbox::ring);
            }
        }
        if self.phase == Phase::Draining && self.stopping.all_stopped() {
            self.phase = Phase::Parting;
            let slots: Vec<usize> = self.connections.iter().map(|(slot, _)| slot).collect();
            slots.into_iter().for_each(|slot| self.enqueue(slot));
        }
    }

    fn accept(&mut self, loops: &Loops) {
        if !self.accepting {
            return;
        }
        let Some(mut listening) = self.listening.take() else { return };
        let mut failed = false;
        self.accepting = listening.accept(|accepted| match accepted {
            Accepted::For(index, socket, peer) if index == self.index => self.admit(socket, peer),
            Accepted::For(index, socket, peer) => {
                loops.mailboxes[index].put([Mail::Connection(socket, peer)]);
                loops.mailboxes[index].ring();
            }
            Accepted::Failed(error) => {
                failed = true;
                tracing::warn!(%error, "no connection can be accepted; allow more open files");
            }
            Accepted::None => {}
        });
        // Where accepting failed, it is tried again at the next tick.
        if self.accepting && !failed {
            loops.mailboxes[self.index].ring();
        }
        self.listening = Some(listening);
    }

    /// Takes a connection in.
    fn admit(&mut self, socket: TcpStream, peer: SocketAddr) {
        let prepared = socket.set_nodelay(true).and_then(|()| socket.set_nonblocking(true));
        let mut socket = mio::net::TcpStream::from_std(socket);
        let entry = self.connections.vacant_entry();
        let slot = entry.key();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered =
            prepared.and_then(|()| self.registry.register(&mut socket, Token(slot), interest));
        if let Err(error) = registered {
            tracing::debug!(%peer, %error, "connection gone before it was served");
            return;
        }
        self.generation = (self.generation + 1) % (1 << GENERATION_BITS);
        let key = (self.index as u64) << (SLOT_BITS + GENERATION_BITS)
            | self.generation << SLOT_BITS
            | slot as u64;
        tracing::info!(connection = key, %peer, "connected");
        let session = Session::new(Arc::clone(&self.broker), SessionKey(key), self.clock.now());
        let linger_ms_max = self.broker.limits().linger_ms_max;
        entry.insert((key, Connection::new(socket, session, linger_ms_max)));
        self.enqueue(slot);
    }

    fn enqueue(&mut self, slot: usize) {
        let (_, connection) = &mut self.connections[slot];
        if !std::mem::replace(&mut connection.queued, true) {
            self.queue.push_back(slot);
        }
    }

    /// Gives each connection that stood in the queue one turn, and those that they woke.
    fn take_turns(&mut self, loops: &Loops) {
        let now = self.clock.now();
        for _ in 0..self.queue.len().max(1) {
            let Some(slot) = self.queue.pop_front() else { break };
            let (key, connection) = &mut self.connections[slot];
            connection.queued = false;
            let mut lent = Lent { scratch: &mut self.scratch, wakes: &mut self.wakes, now };
            match connection.turn(&mut lent, self.phase) {
                After::Again => {
                    connection.queued = true;
                    self.queue.push_back(slot);
                }
                After::Wait => {}
                After::Gone => {
                    self.remove(slot, loops);
                    continue;
                }
            }
            let wanted = connection.poll_timeout();
            if wanted.is_some_and(|at| connection.timer.is_none_or(|timer| at < timer)) {
                connection.timer = wanted;
                wanted.into_iter().for_each(|at| self.timers.set(at, *key));
            }
            self.carry_wakes(loops);
        }
    }

    fn remove(&mut self, slot: usize, loops: &Loops) {
        let (key, mut connection) = self.connections.remove(slot);
        connection.handle_close(&mut self.wakes, self.clock.now());
        // A socket that is closed leaves the event queue by itself.
        tracing::info!(connection = key, "disconnected");
        self.carry_wakes(loops);
    }

    /// Carries wakes to their sessions, here or on other loops.
    fn carry_wakes(&mut self, loops: &Loops) {
        if self.wakes.is_empty() {
            return;
        }
        let mut wakes = std::mem::take(&mut self.wakes);
        for wake in wakes.drain(..) {
            match loop_of(wake.session) {
                index if index == self.index => self.handle_wake(wake),
                index => self.outbox[index].push(Mail::Wake(wake)),
            }
        }
        // What handling them caused in turn comes with the next.
        wakes.append(&mut self.wakes);
        self.wakes = wakes;
        for (index, mail) in self.outbox.iter_mut().enumerate() {
            if !mail.is_empty() {
                loops.deliver(index, mail);
            }
        }
    }

    fn handle_wake(&mut self, wake: Wake) {
        let Some(slot) = self.slot_of(wake.session) else { return };
        let now = self.clock.now();
        let (_, connection) = &mut self.connections[slot];
        connection.handle_wake(wake.cause, &mut self.wakes, now);
        self.enqueue(slot);
    }

    /// The slot of a session that still lives here.
    fn slot_of(&self, key: SessionKey) -> Option<usize> {
        let slot = (key.0 & ((1 << SLOT_BITS) - 1)) as usize;
        self.connections.get(slot).filter(|(found, _)| *found == key.0).map(|_| slot)
    }
}

fn loop_of(key: SessionKey) -> usize {
    (key.0 >> (SLOT_BITS + GENERATION_BITS)) as usize
}

impl Loops {
    /// Runs a loop until it is stopped and its connections are gone.
    pub(crate) fn run(&self, index: usize, mut poll: Poll) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mailbox = &self.mailboxes[index];
        loop {
            let timeout = {
                let mut state = self.state(index);
                if state.is_done() {
                    return Ok(());
                }
                state.lie_down(mailbox)
            };
            let result = poll.poll(&mut events, timeout);
            mailbox.get_up();
            match result {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => self.state(index).handle(&events, self),
            }
        }
    }

    fn state(&self, index: usize) -> MutexGuard<'_, EventLoop> {
        self.states[index].lock().expect("no thread panics while it runs a loop")
    }

    /// Carries wakes to their sessions, from a thread that is no loop's.
    pub(crate) fn carry(&self, wakes: &mut Wakes) {
        let mut mail: Vec<Vec<Mail>> = self.states.iter().map(|_| Vec::new()).collect();
        for wake in wakes.drain(..) {
            mail[loop_of(wake.session)].push(Mail::Wake(wake));
        }
        for (index, mail) in mail.iter_mut().enumerate().filter(|(_, mail)| !mail.is_empty()) {
            self.deliver(index, mail);
        }
    }

    /// Brings mail to a loop, and has it handled: by this thread, or by the loop's own.
    fn deliver(&self, index: usize, mail: &mut Vec<Mail>) {
        let few = mail.len() <= HELPED_WAKES_MAX;
        let mailbox = &self.mailboxes[index];
        mailbox.put(mail.drain(..));
        let helped = (few && mailbox.is_asleep())
            .then(|| self.states[index].try_lock().ok().map(|mut state| state.help(self)))
            .flatten();
        if helped.unwrap_or(true) {
            mailbox.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use broker_core::{Cause, Identity, Limits, Settings};

    /// Two loops that are awake and without connections.
    fn two_loops() -> (Loops, [Poll; 2]) {
        let identity = Identity { backend: "test", version: "0" };
        let surroundings = Surroundings {
            loops: 2,
            broker: Arc::new(Broker::in_memory(identity, Limits::default(), Settings::default())),
            clock: Clock::new(),
            stop: Stop::new(),
            stopping: Arc::new(Stopping::new(2)),
        };
        let polls = [Poll::new().expect("an event queue"), Poll::new().expect("an event queue")];
        let mailboxes = polls.iter().map(|poll| Mailbox::new(poll).expect("a waker"));
        let states = polls.iter().enumerate().map(|(index, poll)| {
            let state = EventLoop::new(index, poll, surroundings.clone(), None);
            Mutex::new(state.expect("a loop"))
        });
        (Loops { mailboxes: mailboxes.collect(), states: states.collect() }, polls)
    }

    #[test]
    fn wakes_from_a_thread_that_is_no_loops_reach_the_loops_of_their_sessions() {
        let (loops, _polls) = two_loops();
        let session = |index: u64, slot| SessionKey(index << (SLOT_BITS + GENERATION_BITS) | slot);
        let all = [session(1, 7), session(0, 8), session(1, 9)];
        let mut wakes: Wakes = all.map(|session| Wake { session, cause: Cause::Room }).into();
        loops.carry(&mut wakes);
        assert_eq!(wakes, []);
        for (index, expected) in [vec![all[1]], vec![all[0], all[2]]].into_iter().enumerate() {
            let mut mail = Vec::new();
            loops.mailboxes[index].take(&mut mail);
            let woken = mail.iter().map(|piece| match piece {
                Mail::Wake(wake) => wake.session,
                Mail::Connection(..) => panic!("expected wakes, found a connection"),
            });
            assert_eq!(woken.collect::<Vec<_>>(), expected, "loop {index}");
        }
    }
}
