//! The stub broker as a process: `stub-broker [--listen HOST:PORT] [what it does wrong]`.

use anyhow::Context as _;
use clap::Parser;
use harness::stub_broker::{Behaviour, Fault, PlannedFault, Stall, StubBroker};
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

/// A broker for tests of the load generator: it speaks the native wire, keeps nothing, and does
/// wrong what it is told to
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; port 0 takes any free port
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Take so long to take in each message, one after the other over all connections
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0)]
    service_us: u64,
    /// Write each delivery so much later than its message came
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0)]
    latency_us: u64,
    /// Stop everything once, for so long
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    stall_ms: u64,
    /// Begin the stall before the message of this number, from 0
    #[arg(long, value_name = "MESSAGES", default_value_t = 0, requires = "stall_ms")]
    stall_after: u64,
    #[command(flatten)]
    faults: Faults,
}

/// What happens to one of each so many messages.
#[derive(clap::Args)]
struct Faults {
    /// Acknowledge one of each so many messages, and do not deliver it
    #[arg(long, value_name = "MESSAGES")]
    drop_every: Option<u64>,
    /// Deliver one of each so many messages twice
    #[arg(long, value_name = "MESSAGES")]
    duplicate_every: Option<u64>,
    /// Deliver one of each so many messages after the next to its topic
    #[arg(long, value_name = "MESSAGES")]
    swap_every: Option<u64>,
    /// Deliver one of each so many messages with its last byte changed
    #[arg(long, value_name = "MESSAGES")]
    corrupt_every: Option<u64>,
    /// Refuse each publication that one of each so many messages is part of
    #[arg(long, value_name = "MESSAGES")]
    refuse_every: Option<u64>,
}

impl Faults {
    fn planned(&self) -> Vec<PlannedFault> {
        let faults = [
            (Fault::Drop, self.drop_every),
            (Fault::Duplicate, self.duplicate_every),
            (Fault::SwapWithNext, self.swap_every),
            (Fault::Corrupt, self.corrupt_every),
            (Fault::Refuse, self.refuse_every),
        ];
        faults.into_iter().filter_map(|(fault, every)| Some(fault.every(every?))).collect()
    }
}

impl Arguments {
    fn behaviour(&self) -> Behaviour {
        let lasts = Duration::from_millis(self.stall_ms);
        let stall = Stall { after_messages: self.stall_after, lasts };
        Behaviour {
            faults: self.faults.planned(),
            latency: Duration::from_micros(self.latency_us),
            service_time: Duration::from_micros(self.service_us),
            stall: (!lasts.is_zero()).then_some(stall),
        }
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let listen = arguments.listen;
    let broker = StubBroker::listen(listen, arguments.behaviour())
        .with_context(|| format!("cannot listen on {listen}; choose a free port, or 0 for any"))?;
    let (version, address) = (env!("CARGO_PKG_VERSION"), broker.address());
    writeln!(std::io::stdout(), "stub-broker ready version={version} listen={address}")
        .context("cannot say that it is ready; keep its standard output open")?;
    broker.serve();
    Ok(())
}
