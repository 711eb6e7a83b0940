//! The broker on mio event loops, as a program.

use broker_host::Backend;
use std::process::ExitCode;

fn main() -> ExitCode {
    let backend = Backend {
        name: "mio",
        summary: "The Tandem publish-subscribe broker on mio event loops: a few threads, each serving many connections.",
        version: env!("CARGO_PKG_VERSION"),
        takes_loops: true,
    };
    broker_host::run(backend, broker_mio::serve)
}
