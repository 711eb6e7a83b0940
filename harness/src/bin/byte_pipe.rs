//! The byte pipe as a process: `byte-pipe [--listen HOST:PORT]`.

use anyhow::Context as _;
use clap::Parser;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};

/// Copies each publisher's bytes to every subscriber: the ceiling of any broker
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; port 0 takes any free port
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

fn main() -> anyhow::Result<()> {
    let Arguments { listen } = Arguments::parse();
    let listener = TcpListener::bind(listen)
        .with_context(|| format!("cannot listen on {listen}; choose a free port, or 0 for any"))?;
    let address = listener.local_addr().context("cannot tell the address that was bound")?;
    let version = env!("CARGO_PKG_VERSION");
    writeln!(std::io::stdout(), "byte-pipe ready version={version} listen={address}")
        .context("cannot say that it is ready; keep its standard output open")?;
    harness::byte_pipe::serve(&listener).context("accepting connections failed")
}
