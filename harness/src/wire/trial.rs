//! What tests of drivers need: other people's brokers as processes, streams held with them over
//! real sockets, and any split of what a broker says.

use super::{
    Confirmation, Conversation, Driver, Heard, Publisher, Selection, StreamTerms, Tidings,
    hold_conversation,
};
use crate::clock::Clock;
use crate::drivers::DriverError;
use crate::intake::{Intake, Recorder};
use crate::ledger::{Faults, Ledger};
use crate::message::{BatchStamp, Intended, Payloads};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything is waited for.
const WAIT: Duration = Duration::from_secs(30);

/// Between two attempts to connect to a process that starts.
const RETRY: Duration = Duration::from_millis(20);

const RUN_ID: u32 = 7;

/// Where a peer's output goes, in its directory.
const LOG: &str = "peer.log";

/// A broker of someone else's. Dropping it kills it and removes its files.
pub(crate) struct Peer {
    child: Child,
    pub(crate) address: SocketAddr,
    files: TempDir,
}

impl Peer {
    /// Starts it; `None`, and a line on standard error, if its program is not installed. In words
    /// and configuration `{port}`, `{data_dir}` and `{config_file}` are replaced.
    pub(crate) fn start(command: &[&str], config: &str) -> Option<Self> {
        let program = command.iter().find(|word| word.starts_with('/')).unwrap_or(&command[0]);
        if !is_installed(program) {
            let line = format!("skipped: {program} is not installed\n");
            // Not by `eprintln!`, which is captured where tests pass.
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        }
        let files = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config_file = files.path().join("peer.conf");
        let fill = |text: &str| {
            text.replace("{port}", &address.port().to_string())
                .replace("{data_dir}", &files.path().to_string_lossy())
                .replace("{config_file}", &config_file.to_string_lossy())
        };
        std::fs::write(&config_file, fill(config)).unwrap();
        let words: Vec<String> = command.iter().map(|word| fill(word)).collect();
        let mut child = Command::new(&words[0]);
        let log = std::fs::File::create(files.path().join(LOG)).unwrap();
        child.args(&words[1..]).stdin(Stdio::null());
        child.stdout(log.try_clone().unwrap()).stderr(log);
        let child = child.spawn().unwrap();
        let mut peer = Self { child, address, files };
        peer.wait_until_it_listens();
        Some(peer)
    }

    /// RabbitMQ with these plugins, as `docs/adding-a-broker.md` has it started: by itself, and
    /// without the daemon by which Erlang's nodes find each other.
    pub(crate) fn start_rabbitmq(plugins: &str, config: &str) -> Option<Self> {
        let plugins = format!("RABBITMQ_ENABLED_PLUGINS={plugins}");
        let command = [
            "env",
            "HOME={data_dir}",
            "RUNNING_UNDER_SYSTEMD=true",
            "RABBITMQ_NODENAME=harness@localhost",
            "RABBITMQ_CONF_ENV_FILE=/dev/null",
            "RABBITMQ_CONFIG_FILE={config_file}",
            "RABBITMQ_MNESIA_BASE={data_dir}/mnesia",
            "RABBITMQ_ENABLED_PLUGINS_FILE={data_dir}/enabled_plugins",
            &plugins,
            "RABBITMQ_LOGS=-",
            // For Erlang's helpers too.
            "ERL_FLAGS=-dist_listen false -start_epmd false -erl_epmd_port {port}",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-sname harness@localhost",
            "/usr/lib/rabbitmq/bin/rabbitmq-server",
        ];
        Self::start(&command, config)
    }

    fn wait_until_it_listens(&mut self) {
        let deadline = Instant::now() + WAIT;
        while TcpStream::connect(self.address).is_err() {
            let ended = self.child.try_wait().unwrap();
            let is_late = Instant::now() > deadline;
            assert!(!is_late && ended.is_none(), "no broker, {ended:?}: {}", self.last_words());
            std::thread::sleep(RETRY);
        }
    }

    /// The end of what it logged.
    fn last_words(&self) -> String {
        const LINES: usize = 20;
        let log = std::fs::read_to_string(self.files.path().join(LOG)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_installed(program: &str) -> bool {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&directories).any(|directory| directory.join(program).is_file())
}

/// The terms of a stream of these payloads.
pub(crate) fn terms(root: &str, topics: u32, payloads: Payloads) -> StreamTerms {
    StreamTerms {
        root: root.to_owned(),
        topics,
        selection: Selection::Names,
        payloads: Arc::new(payloads),
        batch_max: 10,
        confirmation: Confirmation::Wanted,
        held: None,
        lag_policy: protocol::LagPolicy::Skip,
    }
}

/// A conversation over a blocking socket.
pub(crate) struct Held<C: ?Sized> {
    socket: TcpStream,
    input: Vec<u8>,
    recorder: Recorder,
    pub(crate) ledger: Ledger,
    pub(crate) tidings: Tidings,
    pub(crate) conversation: Box<C>,
}

impl<C: Conversation + ?Sized> Held<C> {
    /// Connects, and waits until it is ready.
    pub(crate) fn open(
        address: SocketAddr,
        mut conversation: Box<C>,
        terms: &StreamTerms,
        producers: usize,
    ) -> Result<Self, DriverError> {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        let mut opening = Vec::new();
        conversation.poll_opening(&mut opening);
        socket.write_all(&opening).unwrap();
        let recorder = Recorder::new(Clock::start(), terms.payloads.clone(), RUN_ID, 1);
        let (input, ledger, tidings) = (Vec::new(), Ledger::new(producers), Tidings::default());
        let mut held = Self { socket, input, recorder, ledger, tidings, conversation };
        held.read_until(|held| held.tidings.ready)?;
        Ok(held)
    }

    pub(crate) fn received(&self) -> u64 {
        self.recorder.received()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), DriverError> {
        let written = self.socket.write_all(bytes);
        written.map_err(|source| DriverError::Io { doing: "writing", source })
    }

    pub(crate) fn read_until(
        &mut self,
        is_there: impl Fn(&Self) -> bool,
    ) -> Result<(), DriverError> {
        let mut read = vec![0; 64 * 1024];
        while !is_there(self) {
            let bytes = match self.socket.read(&mut read) {
                Ok(0) => return Err(DriverError::Closed { expected: "more" }),
                Ok(bytes) => bytes,
                Err(source) => return Err(DriverError::Io { doing: "reading", source }),
            };
            self.input.extend_from_slice(&read[..bytes]);
            let mut replies = Vec::new();
            self.recorder.begin();
            let mut intake = Intake::new(&mut self.recorder, &mut self.ledger, 0);
            let mut heard = Heard::new(&mut intake, &mut replies, &mut self.tidings);
            let used = self.conversation.handle_input(&self.input, &mut heard);
            self.recorder.end(0);
            self.input.drain(..used?);
            self.write(&replies)?;
        }
        Ok(())
    }
}

impl Held<dyn Publisher> {
    /// Publishes so many messages to each topic in batches of `terms.batch_max`, waits for every
    /// acknowledgement and asks for the end.
    pub(crate) fn publish_all(
        &mut self,
        terms: &StreamTerms,
        first_producer: u32,
        messages: u64,
    ) -> Result<(), DriverError> {
        let mut publications = 0;
        for topic in 0..terms.topics {
            let mut first_sequence = 0;
            while first_sequence < messages {
                let count = u64::from(terms.batch_max).min(messages - first_sequence) as u32;
                let stamp = BatchStamp {
                    count,
                    topic,
                    producer: first_producer + topic,
                    first_sequence,
                    intended: Intended::Together(1),
                    sent_ns: 2,
                    run_id: RUN_ID,
                    phase: 0,
                };
                while self.conversation.room() < count {
                    let acknowledged = self.tidings.acknowledged;
                    self.read_until(|held| held.tidings.acknowledged > acknowledged)?;
                }
                let bytes = self.conversation.publish(&stamp).to_vec();
                self.write(&bytes)?;
                first_sequence += u64::from(count);
                publications += 1;
            }
        }
        if terms.confirmation == Confirmation::Wanted {
            self.read_until(|held| held.tidings.acknowledged >= publications)?;
            assert_eq!(self.tidings.acknowledged, publications);
        }
        let mut question = Vec::new();
        self.conversation.finish(&mut question);
        self.write(&question)?;
        self.read_until(|held| held.tidings.finished)
    }
}

/// Prepares a stream, publishes `messages` to each of its topics by each of two publishers, and
/// has two subscribers receive all of it without a fault; then removes it.
pub(crate) fn check_stream(driver: &dyn Driver, terms: &StreamTerms, messages: u64) {
    const PUBLISHERS: u32 = 2;
    const SUBSCRIBERS: u32 = 2;
    if let Some(mut preparation) = driver.preparation(terms) {
        hold_conversation(driver.address(), preparation.as_mut()).unwrap();
    }
    let producers = (PUBLISHERS * terms.topics) as usize;
    let expected = messages * producers as u64;
    std::thread::scope(|scope| {
        for subscriber in 0..SUBSCRIBERS {
            let conversation = driver.subscriber(terms, subscriber);
            let mut held = Held::open(driver.address(), conversation, terms, producers).unwrap();
            scope.spawn(move || {
                let read = held.read_until(|held| held.received() >= expected);
                let received = held.received();
                assert!(read.is_ok(), "{}: {received} of {expected}: {read:?}", terms.root);
                let faults = held.ledger.faults(&vec![messages; producers]);
                assert_eq!((faults, held.received()), (Faults::default(), expected));
            });
        }
        for publisher in 0..PUBLISHERS {
            let conversation = driver.publisher(terms, publisher);
            scope.spawn(move || {
                let address = driver.address();
                let mut held = Held::open(address, conversation, terms, 0).unwrap();
                held.publish_all(terms, publisher * terms.topics, messages).unwrap();
            });
        }
    });
    if let Some(mut removal) = driver.removal(terms) {
        hold_conversation(driver.address(), removal.as_mut()).unwrap();
    }
}

/// What a conversation made of what it was told.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    ready: bool,
    acknowledged: u32,
    answers: Vec<Result<u32, String>>,
    finished: bool,
    replies: Vec<u8>,
    received: u64,
    faults: Faults,
    error: Option<String>,
}

/// Tells a conversation all of `told`, in pieces that end at `ends`.
fn outcome(
    conversation: &mut (impl Conversation + ?Sized),
    payloads: &Arc<Payloads>,
    told: &[u8],
    ends: &[usize],
) -> Outcome {
    let mut recorder = Recorder::new(Clock::start(), payloads.clone(), RUN_ID, 1);
    let (mut ledger, mut tidings) = (Ledger::new(1), Tidings::default());
    let (mut replies, mut used, mut error) = (Vec::new(), 0, None);
    for &end in ends.iter().chain([&told.len()]) {
        recorder.begin();
        let mut intake = Intake::new(&mut recorder, &mut ledger, 0);
        let mut heard = Heard::new(&mut intake, &mut replies, &mut tidings);
        match conversation.handle_input(&told[used..end], &mut heard) {
            Ok(bytes) => used += bytes,
            Err(failure) => {
                error = Some(failure.to_string());
                break;
            }
        }
        recorder.end(0);
    }
    let answer = |answer: Result<u32, DriverError>| answer.map_err(|error| error.to_string());
    Outcome {
        ready: tidings.ready,
        acknowledged: tidings.acknowledged,
        answers: tidings.answers.into_iter().map(answer).collect(),
        finished: tidings.finished,
        replies,
        received: recorder.received(),
        faults: ledger.faults(&[0]),
        error,
    }
}

/// Checks that a conversation makes the same of what it is told however that is split.
pub(crate) fn check_splits<C: Conversation + ?Sized>(
    make: impl Fn() -> Box<C>,
    payloads: &Payloads,
    told: &[u8],
    splits: &[usize],
) {
    let payloads = &Arc::new(payloads.clone());
    let mut ends: Vec<usize> = splits.iter().map(|split| split % (told.len() + 1)).collect();
    ends.sort_unstable();
    let whole = outcome(make().as_mut(), payloads, told, &[]);
    let split = outcome(make().as_mut(), payloads, told, &ends);
    assert_eq!(split, whole, "split at {ends:?}");
    let bytewise: Vec<usize> = (0..told.len()).collect();
    assert_eq!(outcome(make().as_mut(), payloads, told, &bytewise), whole, "split everywhere");
}

/// A message of producer 0, as a broker would deliver it.
pub(crate) fn stamped(payloads: &Payloads, sequence: u64) -> Vec<u8> {
    let mut payload = payloads.blank(sequence);
    let stamp = crate::message::Stamp {
        intended_ns: 1,
        sent_ns: 2,
        producer: 0,
        sequence,
        run_id: RUN_ID,
        phase: 0,
        payload_bytes: payload.len() as u32,
    };
    stamp.write(payloads.layout(), &mut payload);
    payload
}
