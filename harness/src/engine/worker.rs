//! One generator thread: its connections in one poll, and the loop that keeps them at work.

mod hearing;

use super::board::{Board, Stage};
use super::due::{Pushing, ThreadSchedule};
use super::operating::Tally;
use super::publishing::{NextTurn, Published, Publishing};
use super::role::{Role, SubscriberRole};
use super::socket::{READ_BYTES_MIN, Socket};
use super::timer::Timer;
use super::{Extent, LoadError};
use crate::drivers::DriverError;
use crate::generator_watch::GeneratorThreads;
use crate::intake::Recorder;
use crate::ledger::Ledger;
use crate::live::{LiveCounts, LiveWriter};
use crate::wire::Tidings;
use measure::LatencyHistogram;
use mio::{Events, Interest, Poll, Token, Waker};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const WAKER: Token = Token(usize::MAX);
const TIMER: Token = Token(usize::MAX - 1);

/// Events that one poll hands over.
const EVENTS_MAX: usize = 1024;

/// Reads of one connection in a row, before others have their turn.
const TURN_READS_MAX: u32 = 4;

/// Connections that are being made at once, by one thread.
const DIALS_MAX: usize = 128;

/// With more connections than this a thread gives buffers back as soon as they are empty.
const BUFFERED_CONNECTIONS_MAX: usize = 1024;

/// How long a thread sleeps at most before it looks at the stage by itself.
const SLEEP_MS_MAX: u64 = 100;

/// What one generator thread is given.
pub(super) struct Crew {
    pub(super) thread: usize,
    pub(super) address: SocketAddr,
    /// Tells its connections from those of other threads and of earlier loads.
    pub(super) first_number: u32,
    /// Those who connect before all others.
    pub(super) first: Vec<Role>,
    pub(super) others: Vec<Role>,
    /// When connections are to be made; `None`: as soon as they can be.
    pub(super) dialling: Option<ThreadSchedule>,
    pub(super) publishing: Publishing,
    pub(super) recorder: Recorder,
    pub(super) interval_ns: u64,
    /// So long before something is due the thread stops sleeping.
    pub(super) spin_ns: u64,
}

/// What one generator thread found.
pub(super) struct Findings {
    pub(super) recorder: Recorder,
    pub(super) published: Published,
    pub(super) tally: Tally,
    pub(super) ledgers: Vec<(u32, Ledger)>,
    /// Messages that had not come when the drain was over, whether or not they came after it.
    pub(super) missing_at_drain: u64,
    pub(super) handshake: LatencyHistogram,
    /// Connections at rest that were not let in, and that were closed later.
    pub(super) refused: u64,
    pub(super) dropped: u64,
    /// When the last connection was let in.
    pub(super) last_ready_ns: u64,
    /// Processor time of the thread in the measured phase.
    pub(super) cpu_ns: u64,
}

struct Connection {
    socket: Socket,
    role: Role,
    state: State,
    tidings: Tidings,
    dialled_ns: u64,
    /// It is in the list of those that are to be read again.
    again: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Dialling,
    Opening,
    Ready,
    Closed,
}

pub(super) struct Worker<'a> {
    board: &'a Board,
    thread: usize,
    address: SocketAddr,
    next_number: u32,
    poll: Poll,
    timer: Timer,
    stage: Stage,
    arrived: bool,
    to_dial: VecDeque<Role>,
    others: Vec<Role>,
    dialling: Option<ThreadSchedule>,
    due: Vec<u64>,
    connections: Vec<Connection>,
    /// Connections that are not ready yet.
    unready: usize,
    publishing: Publishing,
    is_publishing: bool,
    /// Publishers that have not finished the phase.
    unfinished: usize,
    /// Every publisher was asked to finish, since the phase is over.
    swept: bool,
    /// Clients that have more to ask in this stage.
    asking: usize,
    again: VecDeque<usize>,
    slow: Vec<usize>,
    recorder: Recorder,
    tally: Tally,
    handshake: LatencyHistogram,
    refused: u64,
    dropped: u64,
    last_ready_ns: u64,
    activity: u64,
    missing_at_drain: u64,
    interval_ns: u64,
    spin_ns: u64,
    cpu_start_ns: u64,
    cpu_ns: u64,
    live: Option<LiveWriter>,
    shared: Vec<u8>,
    output: Vec<u8>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(crew: Crew, board: &'a Board) -> Result<Self, LoadError> {
        let poll = Poll::new().map_err(LoadError::generator("make a poll"))?;
        let timer = Timer::register(poll.registry(), TIMER)
            .map_err(LoadError::generator("make a timer"))?;
        let waker =
            Waker::new(poll.registry(), WAKER).map_err(LoadError::generator("make a waker"))?;
        board.join(Arc::new(waker));
        Ok(Self {
            board,
            thread: crew.thread,
            address: crew.address,
            next_number: crew.first_number,
            poll,
            timer,
            stage: Stage::Waiting,
            arrived: true,
            to_dial: crew.first.into(),
            others: crew.others,
            dialling: crew.dialling,
            due: Vec::new(),
            connections: Vec::new(),
            unready: 0,
            publishing: crew.publishing,
            is_publishing: false,
            unfinished: 0,
            swept: true,
            asking: 0,
            again: VecDeque::new(),
            slow: Vec::new(),
            recorder: crew.recorder,
            tally: Tally::default(),
            handshake: LatencyHistogram::new(),
            refused: 0,
            dropped: 0,
            last_ready_ns: 0,
            activity: 0,
            missing_at_drain: 0,
            interval_ns: crew.interval_ns,
            spin_ns: crew.spin_ns,
            cpu_start_ns: 0,
            cpu_ns: 0,
            live: None,
            shared: vec![0; READ_BYTES_MIN],
            output: Vec::new(),
        })
    }

    /// Goes through all stages. A failure ends them for everyone.
    pub(super) fn run(
        mut self,
        generator: &GeneratorThreads,
        live: Option<LiveWriter>,
    ) -> Findings {
        self.live = live;
        let _entered = generator.enter(format!("load {}", self.thread));
        let mut events = Events::with_capacity(EVENTS_MAX);
        while self.stage != Stage::Over {
            if let Err(error) = self.turn(&mut events) {
                self.board.fail(error);
                break;
            }
        }
        self.findings()
    }

    fn turn(&mut self, events: &mut Events) -> Result<(), LoadError> {
        let stage = self.board.stage();
        if stage != self.stage {
            self.enter(stage)?;
        }
        self.dial()?;
        self.read_again()?;
        self.publish()?;
        self.arrive_if_done();
        self.board.set_received(self.thread, self.activity + self.recorder.taken());
        self.tell_live();
        self.wait(events)?;
        for event in &*events {
            match event.token() {
                WAKER | TIMER => {}
                Token(connection) => self.handle_event(connection, event)?,
            }
        }
        Ok(())
    }

    /// Tells whoever watches how it goes, four times a second.
    fn tell_live(&mut self) {
        let Some(live) = &mut self.live else { return };
        let now_ns = self.board.clock.now_ns();
        if !live.is_due(now_ns) {
            return;
        }
        let published = &self.publishing.published;
        let counts = LiveCounts {
            sent: published.sent,
            delivered: self.recorder.received(),
            acknowledged: published.acknowledged + self.tally.latencies.count(),
            errors: self.tally.errors.values().sum(),
        };
        let (groups, tally) = (self.recorder.groups(), &self.tally);
        live.write(now_ns, counts, |latencies| {
            groups.iter().for_each(|group| latencies.merge(&group.response));
            latencies.merge(&published.acknowledgement);
            latencies.merge(&tally.latencies);
        });
    }

    fn enter(&mut self, stage: Stage) -> Result<(), LoadError> {
        if self.stage == Stage::Measure {
            self.cpu_ns = thread_cpu_ns().saturating_sub(self.cpu_start_ns);
        }
        (self.stage, self.arrived) = (stage, false);
        match stage {
            Stage::ConnectOthers => {
                self.to_dial.extend(self.others.drain(..));
                let extent = Extent::Count(u64::MAX);
                if let Some(dialling) = &mut self.dialling {
                    dialling.begin(Pushing::Measured, self.board.stage_start_ns(), extent);
                }
            }
            Stage::Prepare | Stage::CleanUp => self.begin_asking()?,
            Stage::WarmUp | Stage::Measure => {
                let start_ns = self.board.stage_start_ns();
                self.cpu_start_ns = thread_cpu_ns();
                self.publishing.begin(stage, start_ns);
                self.begin_publishing();
                self.begin_asking()?;
            }
            Stage::Set => {
                let start_ns = self.board.stage_start_ns();
                self.recorder.begin_phase(stage.phase(), start_ns, self.interval_ns);
            }
            Stage::Late => self.missing_at_drain = self.missing(),
            _ => {}
        }
        Ok(())
    }

    fn begin_publishing(&mut self) {
        self.unfinished = 0;
        for (index, connection) in self.connections.iter_mut().enumerate() {
            if let Role::Publisher(role) = &mut connection.role {
                self.publishing.enlist(index, role);
                self.unfinished += 1;
            }
        }
        self.is_publishing = self.unfinished > 0;
        self.swept = !self.is_publishing;
    }

    fn begin_asking(&mut self) -> Result<(), LoadError> {
        self.asking = 0;
        for index in 0..self.connections.len() {
            let connection = &mut self.connections[index];
            if connection.state == State::Ready
                && let Role::Operator(role) = &mut connection.role
            {
                role.begin();
                self.asking += 1;
                self.ask(index)?;
            }
        }
        Ok(())
    }

    fn arrive_if_done(&mut self) {
        if self.arrived {
            return;
        }
        let is_done = match self.stage {
            Stage::Waiting | Stage::Hold | Stage::Over => return,
            Stage::Set => true,
            Stage::ConnectFirst | Stage::ConnectOthers => {
                self.to_dial.is_empty() && self.unready == 0
            }
            Stage::Prepare | Stage::CleanUp => self.asking == 0,
            Stage::WarmUp | Stage::Measure => self.unfinished == 0 && self.asking == 0,
            Stage::WarmUpDrain | Stage::MeasureDrain | Stage::Late => self.has_all(),
        };
        if is_done {
            self.arrived = true;
            self.board.arrive(self.stage);
        }
    }

    /// The count is cheap to compare; only when it is reached are the ledgers asked.
    fn has_all(&self) -> bool {
        let sent = self.board.sent();
        let subscribers = self.subscribers().count() as u64;
        let expected = sent.iter().sum::<u64>() * subscribers;
        self.recorder.taken() >= expected
            && self.subscribers().all(|role| role.ledger.lost(&sent) == 0)
    }

    fn missing(&self) -> u64 {
        let sent = self.board.sent();
        self.subscribers().map(|role| role.ledger.lost(&sent)).sum()
    }

    fn subscribers(&self) -> impl Iterator<Item = &SubscriberRole> {
        self.connections.iter().filter_map(|connection| match &connection.role {
            Role::Subscriber(role) => Some(role),
            _ => None,
        })
    }

    fn dial(&mut self) -> Result<(), LoadError> {
        while self.unready < DIALS_MAX && !self.to_dial.is_empty() {
            let now_ns = self.board.clock.now_ns();
            let mut dialled_ns = now_ns;
            if let Some(dialling) = &mut self.dialling {
                self.due.clear();
                dialling.take_due(now_ns, 1, &mut self.due);
                let Some(&due_ns) = self.due.first() else { break };
                dialled_ns = due_ns;
            }
            let Some(role) = self.to_dial.pop_front() else { break };
            self.dial_one(role, dialled_ns)?;
        }
        Ok(())
    }

    fn dial_one(&mut self, role: Role, dialled_ns: u64) -> Result<(), LoadError> {
        let address = self.address;
        let number = self.next_number;
        self.next_number += 1;
        let mut socket = match Socket::connect(address, number) {
            Ok(socket) => socket,
            Err(source) if is_out_of_files(&source) => {
                return Err(LoadError::generator("open one more connection")(source));
            }
            Err(_) if matches!(role, Role::Idler(_)) => {
                self.refused += 1;
                return Ok(());
            }
            Err(source) => {
                return Err(LoadError::client("connecting")(DriverError::Connect {
                    address,
                    source,
                }));
            }
        };
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(socket.stream_mut(), Token(self.connections.len()), interest)
            .map_err(LoadError::generator("watch a socket"))?;
        if matches!(&role, Role::Subscriber(SubscriberRole { allowance: Some(_), .. })) {
            self.slow.push(self.connections.len());
        }
        self.unready += 1;
        self.connections.push(Connection {
            socket,
            role,
            state: State::Dialling,
            tidings: Tidings::default(),
            dialled_ns,
            again: false,
        });
        Ok(())
    }

    fn publish(&mut self) -> Result<(), LoadError> {
        if !self.is_publishing {
            return Ok(());
        }
        for _ in 0..self.publishing.queued() {
            let Some(index) = self.publishing.next_in_queue() else { break };
            let Connection { socket, role: Role::Publisher(role), .. } =
                &mut self.connections[index]
            else {
                unreachable!("only publishers are queued");
            };
            let published = self
                .publishing
                .publish(index, role, self.board, |bytes| {
                    socket.write(bytes)?;
                    Ok::<_, io::Error>(socket.is_clear())
                })
                .map_err(|source| failed("publishing", "writing", source))?;
            self.finish_publisher(index)?;
            if !published {
                break;
            }
        }
        if !self.swept && self.publishing.is_over(self.board.clock.now_ns()) {
            self.swept = true;
            for index in 0..self.connections.len() {
                self.finish_publisher(index)?;
            }
        }
        Ok(())
    }

    /// Has a publisher that has nothing left to send ask whether all is taken in.
    fn finish_publisher(&mut self, index: usize) -> Result<(), LoadError> {
        let Connection { socket, role: Role::Publisher(role), .. } = &mut self.connections[index]
        else {
            return Ok(());
        };
        let Some(question) = self.publishing.finish(role, self.board.clock.now_ns()) else {
            return Ok(());
        };
        socket.write(&question).map_err(|source| failed("publishing", "writing", source))
    }

    /// Has a client ask what it asks next.
    fn ask(&mut self, index: usize) -> Result<(), LoadError> {
        let Connection { socket, role: Role::Operator(role), .. } = &mut self.connections[index]
        else {
            return Ok(());
        };
        if role.is_done() {
            return Ok(());
        }
        self.output.clear();
        let asked = role.ask(self.stage, self.board, &mut self.output);
        asked.map_err(LoadError::client("asking"))?;
        if role.is_done() {
            self.asking -= 1;
            return Ok(());
        }
        match socket.write(&self.output) {
            Ok(()) => Ok(()),
            Err(source) => {
                let doing = "writing";
                self.lose_client(index, &DriverError::Io { doing, source });
                Ok(())
            }
        }
    }

    /// A connection failed. A client's request is counted, and it asks nothing any more; one at
    /// rest is counted; anything else is the end.
    fn lose(&mut self, index: usize, error: DriverError) -> Result<(), LoadError> {
        let connection = &mut self.connections[index];
        match (&connection.role, connection.state) {
            (Role::Operator(_), State::Ready) => self.lose_client(index, &error),
            (Role::Idler(_), State::Ready) => {
                self.dropped += 1;
                self.close(index);
            }
            (Role::Idler(_), State::Dialling | State::Opening) => {
                self.refused += 1;
                self.unready -= 1;
                self.close(index);
            }
            (role, _) => return Err(LoadError::client(role.doing())(error)),
        }
        Ok(())
    }

    fn close(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        connection.state = State::Closed;
        // What cannot be taken leave of is gone already.
        let _gone = self.poll.registry().deregister(connection.socket.stream_mut());
    }

    fn lose_client(&mut self, index: usize, error: &DriverError) {
        self.close(index);
        let connection = &mut self.connections[index];
        if let Role::Operator(role) = &mut connection.role
            && !role.is_done()
        {
            role.give_up();
            self.tally.add_error(error.code());
            self.asking -= 1;
        }
    }
    /// Waits for sockets, for what is due, or for a new stage.
    fn wait(&mut self, events: &mut Events) -> Result<(), LoadError> {
        let now_ns = self.board.clock.now_ns();
        let mut wake_ns = u64::MAX;
        if self.is_publishing && self.unfinished > 0 {
            match self.publishing.next_turn(now_ns) {
                NextTurn::Now => wake_ns = 0,
                NextTurn::AtNs(due_ns) => wake_ns = due_ns,
                NextTurn::WhenWoken => {}
            }
        }
        if let (Some(dialling), false) = (&self.dialling, self.to_dial.is_empty()) {
            wake_ns = wake_ns.min(dialling.next_due_ns().unwrap_or(u64::MAX));
        }
        for &index in &self.slow {
            if let Role::Subscriber(SubscriberRole { allowance: Some(allowance), .. }) =
                &self.connections[index].role
            {
                wake_ns = wake_ns.min(now_ns + allowance.wait_ns());
            }
        }
        if !self.again.is_empty() || self.board.stage() != self.stage {
            wake_ns = 0;
        }
        let sleep_ns = wake_ns.saturating_sub(now_ns).saturating_sub(self.spin_ns);
        let timeout = match (wake_ns, sleep_ns) {
            (_, 0) => Duration::ZERO,
            (u64::MAX, _) => {
                self.timer.disarm().map_err(LoadError::generator("set a timer"))?;
                Duration::from_millis(SLEEP_MS_MAX)
            }
            (_, sleep_ns) => {
                self.timer.arm(sleep_ns).map_err(LoadError::generator("set a timer"))?;
                Duration::from_millis(SLEEP_MS_MAX)
            }
        };
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            other => other.map_err(LoadError::generator("poll")),
        }
    }

    fn findings(self) -> Findings {
        let ledgers = self.connections.into_iter().filter_map(|connection| match connection.role {
            Role::Subscriber(role) => Some((role.subscriber, role.ledger)),
            _ => None,
        });
        Findings {
            ledgers: ledgers.collect(),
            recorder: self.recorder,
            published: self.publishing.published,
            tally: self.tally,
            missing_at_drain: self.missing_at_drain,
            handshake: self.handshake,
            refused: self.refused,
            dropped: self.dropped,
            last_ready_ns: self.last_ready_ns,
            cpu_ns: self.cpu_ns,
        }
    }
}

fn failed(what: &'static str, doing: &'static str, source: io::Error) -> LoadError {
    LoadError::client(what)(DriverError::Io { doing, source })
}

fn is_out_of_files(error: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    matches!(errno, Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE))
}

/// Processor time of this thread.
fn thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
