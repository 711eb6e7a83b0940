//! The broker on blocking threads, as a program.

use broker_host::Backend;
use std::process::ExitCode;

fn main() -> ExitCode {
    let backend = Backend {
        name: "threaded",
        summary: "The Tandem publish-subscribe broker on blocking threads: one that reads for each connection, one that writes where a connection needs it.",
        version: env!("CARGO_PKG_VERSION"),
        takes_loops: false,
    };
    broker_host::run(backend, broker_threaded::serve)
}
