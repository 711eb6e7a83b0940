//! What all threads share: the connections, and how they are accepted, woken and ended.

use crate::connection::Connection;
use crate::reader;
use crate::threads::Threads;
use broker_core::{Broker, Now, SessionKey, Wake, Wakes};
use broker_host::{Clock, Stop};
use slab::Slab;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::thread;
use std::time::Duration;

/// How often what time asks for is done, and a failed accept is tried again.
const TICK: Duration = Duration::from_millis(250);

const SLOT_BITS: u32 = 32;

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) broker: Arc<Broker>,
    pub(crate) clock: Clock,
    pub(crate) threads: Threads,
    connections: RwLock<Slab<Arc<Connection>>>,
    /// Told when a connection was removed.
    removed: (Mutex<u64>, Condvar),
    /// Connections that are ending, and by when they must have.
    ending: Mutex<Vec<(Now, Arc<Connection>)>>,
    /// The broker is stopping: nothing more that is read is handled.
    draining: AtomicBool,
}

impl Server {
    pub(crate) fn new(broker: Arc<Broker>, clock: Clock) -> Self {
        Self {
            broker,
            clock,
            threads: Threads::of_this_machine(),
            connections: RwLock::default(),
            removed: (Mutex::new(0), Condvar::new()),
            ending: Mutex::default(),
            draining: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Accepts connections until a stop is requested.
    pub(crate) fn accept_until(self: &Arc<Self>, stop: &Stop, listener: &TcpListener) {
        while !stop.is_requested() {
            match listener.accept() {
                Ok((socket, peer)) => match self.admit(socket) {
                    Ok(key) => tracing::info!(connection = key.0, %peer, "connected"),
                    Err(error) => {
                        tracing::warn!(%peer, %error, "a connection could not be served; allow the process more threads");
                    }
                },
                Err(_) if stop.is_requested() => {}
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted; allow more open files");
                    thread::sleep(TICK);
                }
            }
        }
    }

    /// Gives a connection its thread.
    fn admit(self: &Arc<Self>, socket: TcpStream) -> io::Result<SessionKey> {
        socket.set_nodelay(true)?;
        let now = self.clock.now();
        let connection = {
            let mut connections = self.connections.write().expect(CONNECTIONS_LOCK);
            let entry = connections.vacant_entry();
            let key = SessionKey(self.generation() << SLOT_BITS | entry.key() as u64);
            let connection = Arc::new(Connection::new(socket, key, &self.broker, now));
            entry.insert(Arc::clone(&connection));
            connection
        };
        let key = connection.key();
        let server = Arc::clone(self);
        let reading = Arc::clone(&connection);
        let spawned = self.threads.spawn("read", move || reader::run(&server, &reading));
        if let Err(error) = spawned {
            self.remove(&connection);
            return Err(error);
        }
        Ok(key)
    }

    /// Tells a connection from earlier ones in its slot.
    fn generation(&self) -> u64 {
        *self.removed.0.lock().expect(REMOVED_LOCK) & u64::from(u32::MAX)
    }

    /// Takes a connection away, and wakes those who waited for its session.
    pub(crate) fn remove(self: &Arc<Self>, connection: &Arc<Connection>) {
        let mut wakes = Wakes::new();
        connection.end(self, &mut wakes);
        let slot = slot_of(connection.key());
        self.connections.write().expect(CONNECTIONS_LOCK).remove(slot);
        *self.removed.0.lock().expect(REMOVED_LOCK) += 1;
        self.removed.1.notify_all();
        self.carry(&mut wakes);
    }

    fn find(&self, key: SessionKey) -> Option<Arc<Connection>> {
        let connections = self.connections.read().expect(CONNECTIONS_LOCK);
        connections.get(slot_of(key)).filter(|found| found.key() == key).cloned()
    }

    /// Carries wakes to their sessions, and what those cause to theirs.
    pub(crate) fn carry(self: &Arc<Self>, wakes: &mut Wakes) {
        while !wakes.is_empty() {
            for Wake { session, cause } in std::mem::take(wakes) {
                if let Some(connection) = self.find(session) {
                    connection.wake(cause, self, wakes);
                }
            }
        }
    }

    /// Bounds the time that a connection has to end.
    pub(crate) fn bound_ending(&self, connection: &Arc<Connection>) {
        let by = self.clock.now().plus_ms(self.broker.limits().linger_ms_max);
        self.ending.lock().expect(ENDING_LOCK).push((by, Arc::clone(connection)));
    }

    /// Does what time asks for, until a stop is requested.
    pub(crate) fn keep_house(self: &Arc<Self>, stop: &Stop) {
        let requested = Arc::new((Mutex::new(false), Condvar::new()));
        {
            let requested = Arc::clone(&requested);
            stop.on_request(move || {
                *requested.0.lock().expect(STOP_LOCK) = true;
                requested.1.notify_all();
            });
        }
        let mut stopped = requested.0.lock().expect(STOP_LOCK);
        while !*stopped {
            stopped = requested.1.wait_timeout(stopped, TICK).expect(STOP_LOCK).0;
            let mut wakes = Wakes::new();
            self.broker.handle_tick(self.clock.now(), &mut wakes);
            self.carry(&mut wakes);
            self.break_overdue();
        }
    }

    /// Breaks the connections that did not end in their time.
    fn break_overdue(&self) {
        let now = self.clock.now();
        let mut ending = self.ending.lock().expect(ENDING_LOCK);
        ending.retain(|(by, connection)| {
            let overdue = *by <= now;
            if overdue {
                connection.break_off();
            }
            !overdue
        });
    }

    /// Stops reading everywhere, then lets each connection go when it has all that is for it.
    pub(crate) fn shut_down(self: &Arc<Self>) {
        let deadline = self.clock.now().plus_ms(self.broker.limits().shutdown_ms_max);
        self.draining.store(true, Ordering::Release);
        let all: Vec<Arc<Connection>> = {
            let connections = self.connections.read().expect(CONNECTIONS_LOCK);
            connections.iter().map(|(_, connection)| Arc::clone(connection)).collect()
        };
        let mut wakes = Wakes::new();
        for connection in &all {
            // Whoever was handling what it read has finished when the session was held once.
            connection.look(self, &mut wakes, |_| ());
            connection.post.note_change();
        }
        for connection in &all {
            connection.part(self, &mut wakes);
        }
        self.carry(&mut wakes);
        drop(all);

        let mut removed = self.removed.0.lock().expect(REMOVED_LOCK);
        while !self.connections.read().expect(CONNECTIONS_LOCK).is_empty() {
            let left = self.clock.now().until(deadline);
            if left.is_zero() {
                break;
            }
            removed = self.removed.1.wait_timeout(removed, left.min(TICK)).expect(REMOVED_LOCK).0;
            self.break_overdue();
        }
    }
}

fn slot_of(key: SessionKey) -> usize {
    (key.0 & ((1 << SLOT_BITS) - 1)) as usize
}

/// Whether the next accept may go well.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}

const CONNECTIONS_LOCK: &str = "no thread panics while it holds the lock of all connections";
const REMOVED_LOCK: &str = "no thread panics while it counts removed connections";
const ENDING_LOCK: &str = "no thread panics while it holds the ending connections";
const STOP_LOCK: &str = "no thread panics while it holds the stop's flag";
