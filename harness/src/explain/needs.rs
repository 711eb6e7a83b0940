//! What a configuration needs of the machine, and whether the machine has it.

use super::counted;
use crate::config::{Config, PileConfig, StreamConfig, StreamExtent};
use crate::drivers::Support;
use crate::open_files;

/// Guesses for what is not known before it is measured.
const CONNECTION_BYTES_GUESS: u64 = 96 * 1024;
const BASE_BYTES_GUESS: u64 = 64 * 1024 * 1024;
const SATURATED_MESSAGES_PER_S_GUESS: f64 = 500_000.0;

/// Files that are open beside connections: standard streams, pollers, pipes, the broker's output.
const FILES_BESIDE: u64 = 64;

/// What Linux has where nobody changed it: ports 32768 to 60999.
const PORTS_USUAL: u64 = 28_232;

const PORT_RANGE_FILE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// What a run needs, about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Time, in milliseconds.
    pub time_ms: u64,
    /// Memory of the load generator and of messages that brokers must hold in memory.
    pub memory_bytes: u64,
    /// The most that one broker's directory holds.
    pub disk_bytes: u64,
    /// The most connections at once.
    pub connections: u64,
}

/// What the machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files that one process may have open.
    pub open_files: u64,
    /// Ports for connections to one address.
    pub ports: u64,
    /// Free space where brokers' directories are made; `None` where it cannot be told.
    pub disk_free_bytes: Option<u64>,
}

impl Limits {
    /// Those of this process on this machine, for brokers' directories as a configuration has them.
    #[must_use]
    pub fn read(config: &Config) -> Self {
        let root = config.data_root.clone().unwrap_or_else(std::env::temp_dir);
        let space = rustix::fs::statvfs(&root).ok();
        let range = std::fs::read_to_string(PORT_RANGE_FILE).unwrap_or_default();
        Self {
            open_files: open_files::raise(),
            ports: ports(&range).unwrap_or(PORTS_USUAL),
            disk_free_bytes: space.map(|space| space.f_bavail.saturating_mul(space.f_frsize)),
        }
    }
}

/// `32768\t60999` are 28 232 ports.
fn ports(range: &str) -> Option<u64> {
    let mut ends = range.split_whitespace().map(str::parse);
    let (Some(Ok(first)), Some(Ok(last))) = (ends.next(), ends.next()) else { return None };
    u64::checked_sub(last, first)?.checked_add(1)
}

impl Needs {
    /// What a configuration needs, which goes on for `time_ms`.
    #[must_use]
    pub fn of(config: &Config, time_ms: u64) -> Self {
        let connections = connections_max(config);
        let in_memory = config
            .brokers
            .iter()
            .any(|broker| !broker.has_data_dir() && broker.driver.backlogs() == Support::Measured);
        let on_disk = config.brokers.iter().any(|broker| broker.has_data_dir());
        let piled = piles(config).map(pile_bytes_max).max().unwrap_or_default();
        let at_hand = config.memory_at_hand_bytes.map_or(0, u64::from);
        let streamed = config.streams.iter().map(published_bytes).fold(0, u64::saturating_add);
        Self {
            time_ms,
            memory_bytes: (BASE_BYTES_GUESS + connections * CONNECTION_BYTES_GUESS)
                .saturating_add(if in_memory { piled } else { 0 })
                .max(at_hand),
            disk_bytes: if on_disk { piled.max(streamed) } else { 0 },
            connections,
        }
    }

    /// In words.
    pub(super) fn lines(self) -> Vec<String> {
        let mut lines = vec![
            format!("time: about {}, without building brokers", time(self.time_ms)),
            format!(
                "memory: about {}, and what brokers take for themselves",
                bytes(self.memory_bytes)
            ),
        ];
        if self.disk_bytes > 0 {
            lines.push(format!(
                "disk: about {} in one broker's directory, removed after it",
                bytes(self.disk_bytes)
            ));
        }
        lines.push(format!(
            "open files: about {}, for {} at once; as many in the broker",
            self.open_files(),
            counted(self.connections, "connection")
        ));
        lines
    }

    fn open_files(self) -> u64 {
        self.connections + FILES_BESIDE
    }

    /// What the machine does not have, and what to do.
    pub(super) fn exceeding(self, limits: &Limits) -> Vec<String> {
        let mut lines = Vec::new();
        let files = self.open_files();
        if files > limits.open_files {
            lines.push(format!(
                "{files} open files are needed and {} allowed; `ulimit -n {files}` allows more, \
                 here and to the brokers that are started",
                limits.open_files
            ));
        }
        if self.connections > limits.ports {
            lines.push(format!(
                "{} connections to one address are needed, which has ports for {}; widen \
                 net.ipv4.ip_local_port_range",
                self.connections, limits.ports
            ));
        }
        if let Some(free) = limits.disk_free_bytes.filter(|free| self.disk_bytes > *free) {
            lines.push(format!(
                "about {} of disk are needed and {} free; name a `data_root` with more",
                bytes(self.disk_bytes),
                bytes(free)
            ));
        }
        lines
    }
}

fn connections_max(config: &Config) -> u64 {
    let operations = config.operations.iter().flat_map(|operations| &operations.clients).copied();
    let streams = config.streams.iter().map(|stream| {
        let churning = stream.churn.map_or(0, |churn| churn.subscribers);
        stream.publishers + stream.subscribers + churning
    });
    let outages = config.outages.iter().map(|outage| outage.publishers + outage.subscribers);
    let storms = config.storms.iter().map(|storm| storm.connections);
    let idles = config.idles.iter().map(|idle| idle.connections);
    let all = operations.chain(streams).chain(outages).chain(storms).chain(idles);
    let piled = piles(config).map(|pile| pile.publishers);
    all.chain(piled).max().unwrap_or_default().into()
}

fn piles(config: &Config) -> impl Iterator<Item = &PileConfig> {
    let backlogs = config.backlogs.iter().map(|backlog| &backlog.pile);
    backlogs.chain(config.restarts.iter().map(|restart| &restart.pile))
}

fn pile_bytes_max(pile: &PileConfig) -> u64 {
    let sizes = pile.payload_bytes.iter();
    let each = sizes.map(|&bytes| pile.messages(bytes).saturating_mul(bytes as u64));
    each.max().unwrap_or_default()
}

/// What a stream's publishers send, about.
fn published_bytes(stream: &StreamConfig) -> u64 {
    let bytes_each = stream.payload.bytes_mean().unwrap_or(1_000.0);
    let offered_per_s = stream.load().and_then(|load| load.offered_per_s());
    let messages = match stream.extent {
        StreamExtent::Messages(messages) => messages as f64,
        StreamExtent::DurationMs(duration_ms) => {
            let per_s = offered_per_s.unwrap_or(SATURATED_MESSAGES_PER_S_GUESS);
            per_s * (duration_ms + stream.warmup_ms) as f64 / 1e3
        }
    };
    // Out of range it is as good as endless, which is what the conversion makes of it.
    (messages * bytes_each) as u64
}

fn time(time_ms: u64) -> String {
    match time_ms.div_ceil(1000) {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

fn bytes(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    match bytes {
        0..=10_737_418_239 => format!("{} MiB", bytes.div_ceil(MIB)),
        _ => format!("{} GiB", bytes.div_ceil(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_counted_from_the_kernels_range() {
        assert_eq!(ports("32768\t60999\n"), Some(28_232));
        assert_eq!(ports("32768"), None);
        assert_eq!(ports("9 8"), None);
    }

    #[test]
    fn this_machine_has_limits() {
        let config = Config::parse(
            "name = \"x\"\n[[brokers]]\nname = \"n\"\ndriver = \"null\"\n\
             [operations]\nclients = [1]\ncount = 10\n",
        );
        let limits = Limits::read(&config.unwrap());
        assert!(limits.open_files > 0 && limits.ports > 0 && limits.disk_free_bytes.is_some());
    }
}
