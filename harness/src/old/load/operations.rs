//! One operation by many clients at once, each with one request outstanding.

use super::{Extent, Guard, LoadError, Phase, Surroundings, Together, join, merged};
use crate::clock::Clock;
use crate::drivers::{Driver, DriverError, Operation, OperationClient};
use crate::message::blank_payload;
use measure::LatencyHistogram;
use std::collections::BTreeMap;

/// Topics, subscriptions or waiting messages that the clients of one measurement use up together.
/// It ends early when they are used up: what is unbounded in a benchmark fills a broker's limits.
pub const ITEMS_PER_CELL_MAX: u64 = 20_000;

/// No client with one request outstanding uses up more in a millisecond. What a short measurement
/// cannot use up need not be made and removed, which takes long where each is on stable storage.
const ITEMS_PER_CLIENT_MS_MAX: u64 = 100;

/// The part of the items that the warm-up may use up.
const WARMUP_ITEMS_FRACTION: u64 = 10;

const NS_PER_MS: u64 = 1_000_000;

/// One operation at one number of clients.
#[derive(Clone, Debug)]
pub struct OperationLoad {
    /// What is asked.
    pub operation: Operation,
    /// How many ask at the same time.
    pub clients: u32,
    /// Requests of each client, or how long they go on.
    pub extent: Extent,
    /// How long to go on beforehand, unrecorded.
    pub warmup_ns: u64,
    /// Size of a message.
    pub payload_bytes: usize,
    /// What the names of its topics begin with, unlike any other's on this broker.
    pub name: String,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct OperationOutcome {
    /// Requests that succeeded.
    pub count: u64,
    /// Requests that did not, by code.
    pub errors: BTreeMap<String, u64>,
    /// From the first request to the last answer.
    pub duration_ns: u64,
    /// From sending a request to its answer.
    pub latencies: LatencyHistogram,
}

/// Runs an operation over connections of its own, and removes what it made.
///
/// # Errors
/// [`LoadError`] if preparing or removing fails, or on an interrupt. Requests that fail while
/// measuring are counted in the outcome.
pub fn run_operation(
    driver: &dyn Driver,
    load: &OperationLoad,
    surroundings: Surroundings<'_>,
) -> Result<OperationOutcome, LoadError> {
    let mut preparing = driver.operation_client().map_err(LoadError::client("connecting"))?;
    let clients = (0..load.clients)
        .map(|_| driver.operation_client())
        .collect::<Result<Vec<_>, _>>()
        .map_err(LoadError::client("connecting a client"))?;
    let payload = printable_payload(load.payload_bytes);
    prepare_shared(preparing.as_mut(), load, &payload)
        .map_err(LoadError::client(format!("preparing {}", load.name)))?;
    let outcome = run_connected(load, &payload, clients, surroundings)?;
    if shares_topic(load.operation) {
        preparing
            .delete(&shared_topic(load))
            .map_err(LoadError::client(format!("clearing up {}", load.name)))?;
    }
    Ok(outcome)
}

/// A payload that text-only dialects can carry too.
fn printable_payload(payload_bytes: usize) -> Vec<u8> {
    blank_payload(payload_bytes).into_iter().map(|byte| byte.max(b'.')).collect()
}

fn shares_topic(operation: Operation) -> bool {
    matches!(operation, Operation::Publish | Operation::Subscribe | Operation::Pull)
}

fn shared_topic(load: &OperationLoad) -> String {
    format!("{}-shared", load.name)
}

fn prepare_shared(
    client: &mut dyn OperationClient,
    load: &OperationLoad,
    payload: &[u8],
) -> Result<(), DriverError> {
    if shares_topic(load.operation) {
        client.create(&shared_topic(load))?;
    }
    if load.operation == Operation::Pull {
        client.fill(&shared_topic(load), payload, items_of_one(load) as u32)?;
    }
    Ok(())
}

/// How many topics, subscriptions or messages one client may use up.
fn items_of_one(load: &OperationLoad) -> u64 {
    let share = match load.operation {
        // Every subscriber sees all messages.
        Operation::Pull => ITEMS_PER_CELL_MAX,
        _ => (ITEMS_PER_CELL_MAX / u64::from(load.clients)).max(1),
    };
    match load.extent {
        Extent::Count(count) => share.min(count + warmup_items(count)),
        Extent::DurationNs(duration_ns) => {
            let duration_ms = (duration_ns + load.warmup_ns).div_ceil(NS_PER_MS);
            share.min(duration_ms * ITEMS_PER_CLIENT_MS_MAX)
        }
    }
}

fn warmup_items(items: u64) -> u64 {
    items / WARMUP_ITEMS_FRACTION
}

fn run_connected(
    load: &OperationLoad,
    payload: &[u8],
    clients: Vec<Box<dyn OperationClient>>,
    surroundings: Surroundings<'_>,
) -> Result<OperationOutcome, LoadError> {
    let Surroundings { clock, interrupt, on_phase } = surroundings;
    let together = Together::new(clients.len() + 1, interrupt);
    let tallies = std::thread::scope(|scope| {
        let together = &together;
        let threads: Vec<_> = clients
            .into_iter()
            .enumerate()
            .map(|(index, connection)| {
                let client = Client::new(load, payload, index, connection);
                scope.spawn(move || {
                    let _guard = Guard(together);
                    client.run(clock, together)
                })
            })
            .collect();
        conduct(together, on_phase);
        threads.into_iter().filter_map(join).collect::<Vec<_>>()
    });
    together.conclude()?;
    Ok(outcome(tallies))
}

/// Leads everyone through the phases. `None`: someone failed.
fn conduct(together: &Together<'_>, on_phase: &mut dyn FnMut(Phase)) -> Option<()> {
    for phase in [Phase::WarmUp, Phase::Measured, Phase::Over] {
        together.wait()?;
        on_phase(phase);
    }
    Some(())
}

fn outcome(tallies: Vec<Tally>) -> OperationOutcome {
    let first_ns = tallies.iter().map(|tally| tally.first_ns).min().unwrap_or(0);
    let last_ns = tallies.iter().map(|tally| tally.last_ns).max().unwrap_or(0);
    let count = tallies.iter().map(|tally| tally.latencies.count()).sum();
    let mut errors = BTreeMap::new();
    let mut histograms = Vec::with_capacity(tallies.len());
    for tally in tallies {
        for (code, count) in tally.errors {
            *errors.entry(code).or_default() += count;
        }
        histograms.push(tally.latencies);
    }
    let duration_ns = last_ns.saturating_sub(first_ns);
    OperationOutcome { count, errors, duration_ns, latencies: merged(histograms) }
}

/// What one client did in the measured phase.
#[derive(Default)]
struct Tally {
    first_ns: u64,
    last_ns: u64,
    errors: BTreeMap<String, u64>,
    latencies: LatencyHistogram,
}

impl Tally {
    fn add_error(&mut self, code: &str) {
        *self.errors.entry(code.to_owned()).or_default() += 1;
    }
}

/// Whether a client can go on.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

struct Client<'a> {
    load: &'a OperationLoad,
    payload: &'a [u8],
    connection: Box<dyn OperationClient>,
    /// The topic or subscriber of the next request.
    name: String,
    prefix: String,
    shared: String,
    used: u64,
    items: u64,
}

impl<'a> Client<'a> {
    fn new(
        load: &'a OperationLoad,
        payload: &'a [u8],
        index: usize,
        connection: Box<dyn OperationClient>,
    ) -> Self {
        let items = match load.operation {
            Operation::Publish => u64::MAX,
            _ => items_of_one(load),
        };
        let prefix = format!("{}-{index}", load.name);
        let shared = shared_topic(load);
        Self { load, payload, connection, name: prefix.clone(), prefix, shared, used: 0, items }
    }

    fn run(mut self, clock: Clock, together: &Together<'_>) -> Option<Tally> {
        if let Err(source) = self.prepare() {
            return self.fail(together, source, "preparing");
        }
        together.wait()?;
        let warmup_extent = match self.load.extent {
            _ if self.load.warmup_ns == 0 => Extent::Count(0),
            Extent::Count(count) => Extent::Count(warmup_items(count)),
            Extent::DurationNs(_) => Extent::DurationNs(self.load.warmup_ns),
        };
        let warmup_items = match self.load.operation {
            Operation::Publish => u64::MAX,
            _ => warmup_items(self.items),
        };
        self.work(clock, together, warmup_extent, warmup_items);
        together.wait()?;
        let tally = self.work(clock, together, self.load.extent, self.items);
        together.wait()?;
        match self.clear_up() {
            Ok(()) => Some(tally),
            // Its requests failed already, and are counted.
            Err(_) if !tally.errors.is_empty() => Some(tally),
            Err(source) => self.fail(together, source, "clearing up"),
        }
    }

    fn fail(&self, together: &Together<'_>, source: DriverError, doing: &str) -> Option<Tally> {
        let doing = format!("{doing} {}", self.load.name);
        together.fail(LoadError::Client { doing, source });
        None
    }

    fn prepare(&mut self) -> Result<(), DriverError> {
        match self.load.operation {
            Operation::Create | Operation::Publish | Operation::Subscribe => Ok(()),
            Operation::Pull => self.connection.subscribe(&self.shared, &self.prefix),
            Operation::Delete => {
                for item in 0..self.items {
                    self.name_item(item);
                    self.connection.create(&self.name)?;
                }
                Ok(())
            }
        }
    }

    /// Removes the topics that are left: all that were created, or none were deleted.
    fn clear_up(&mut self) -> Result<(), DriverError> {
        let left = match self.load.operation {
            Operation::Create => 0..self.used,
            Operation::Delete => self.used..self.items,
            Operation::Publish | Operation::Subscribe | Operation::Pull => 0..0,
        };
        for item in left {
            self.name_item(item);
            self.connection.delete(&self.name)?;
        }
        Ok(())
    }

    /// Asks until the extent is reached or `items` are used up.
    fn work(&mut self, clock: Clock, together: &Together<'_>, extent: Extent, items: u64) -> Tally {
        let start_ns = clock.now_ns();
        let mut tally = Tally { first_ns: start_ns, last_ns: start_ns, ..Tally::default() };
        let mut asked = 0;
        while self.used < items && !together.must_stop() {
            let over = match extent {
                Extent::Count(count) => asked == count,
                Extent::DurationNs(duration_ns) => tally.last_ns - start_ns >= duration_ns,
            };
            if over || self.ask(clock, &mut tally) == Next::Stop {
                break;
            }
            asked += 1;
        }
        tally
    }

    fn ask(&mut self, clock: Clock, tally: &mut Tally) -> Next {
        if matches!(
            self.load.operation,
            Operation::Create | Operation::Subscribe | Operation::Delete
        ) {
            self.name_item(self.used);
        }
        self.used += 1;
        let asked_ns = clock.now_ns();
        let answer = self.request();
        tally.last_ns = clock.now_ns();
        match answer {
            Ok(()) => tally.latencies.record_ns(tally.last_ns - asked_ns),
            Err(error) => {
                tally.add_error(error.code());
                if !error.is_refusal() {
                    return Next::Stop;
                }
            }
        }
        Next::GoOn
    }

    fn request(&mut self) -> Result<(), DriverError> {
        match self.load.operation {
            Operation::Create => self.connection.create(&self.name),
            Operation::Publish => self.connection.publish(&self.shared, self.payload),
            Operation::Subscribe => self.connection.subscribe(&self.shared, &self.name),
            Operation::Delete => self.connection.delete(&self.name),
            Operation::Pull => match self.connection.pull_one(&self.shared, &self.prefix)? {
                1 => Ok(()),
                other => Err(DriverError::Refused {
                    code: "nothing_pulled".to_owned(),
                    message: format!("expected one message, found {other}"),
                }),
            },
        }
    }

    fn name_item(&mut self, item: u64) {
        use std::fmt::Write as _;
        self.name.clear();
        write!(self.name, "{}-{item}", self.prefix).expect("a String takes whatever is written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(operation: Operation, clients: u32, extent: Extent) -> OperationLoad {
        let (warmup_ns, payload_bytes) = (0, 16);
        OperationLoad { operation, clients, extent, warmup_ns, payload_bytes, name: "t".to_owned() }
    }

    #[test]
    fn clients_share_the_items_but_each_pulls_every_message() {
        let for_a_second = Extent::DurationNs(1_000_000_000);
        let items = |operation, clients| items_of_one(&load(operation, clients, for_a_second));
        assert_eq!(items(Operation::Create, 1), ITEMS_PER_CELL_MAX);
        assert_eq!(items(Operation::Create, 50), ITEMS_PER_CELL_MAX / 50);
        assert_eq!(items(Operation::Pull, 50), ITEMS_PER_CELL_MAX);
    }

    #[test]
    fn what_a_short_measurement_cannot_use_up_is_not_made() {
        let items = items_of_one(&load(Operation::Delete, 1, Extent::DurationNs(30_000_000)));
        assert_eq!(items, 3000);
    }

    #[test]
    fn a_count_needs_its_warm_up_too() {
        let items = items_of_one(&load(Operation::Delete, 1, Extent::Count(1000)));
        assert_eq!(items, 1100);
    }

    #[test]
    fn a_payload_is_printable() {
        let payload = printable_payload(40);
        assert_eq!(payload.len(), 40);
        assert!(payload.iter().all(u8::is_ascii_graphic));
    }
}
