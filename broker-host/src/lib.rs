//! What both broker binaries share: command line, config, logging, signals.
//!
//! It binds the listening sockets but never accepts, reads or writes a client's
//! socket: that is what the backends differ in. A broker binary is a few lines:
//!
//! ```no_run
//! use broker_host::{Backend, Host};
//!
//! fn main() -> std::process::ExitCode {
//!     let backend = Backend {
//!         name: "example",
//!         summary: "Serves nobody until it is told to stop.",
//!         version: env!("CARGO_PKG_VERSION"),
//!         takes_loops: false,
//!     };
//!     broker_host::run(backend, |host: Host| -> std::io::Result<()> {
//!         while !host.stop.is_requested() {
//!             std::thread::sleep(std::time::Duration::from_millis(10));
//!         }
//!         Ok(())
//!     })
//! }
//! ```
//!
//! What was said becomes what it means in two steps: choices are what the command
//! line and the config file say, each on its own; [`Settings`] are what both
//! together mean, with every default filled in.

mod byte_size;
mod choices;
mod clock;
mod command_line;
mod config_file;
mod limit_choices;
mod listen;
mod listen_name;
mod logging;
mod open_files;
mod run;
mod settings;
mod signals;
mod stop;
mod storage;
mod storage_choices;
mod topic_rule_choices;

pub use clock::Clock;
pub use listen::{BindError, LISTEN_BACKLOG, bind};
pub use logging::{LogFormat, LogLevel, LogSettings};
pub use run::{Backend, Host, run};
pub use settings::Settings;
pub use stop::Stop;
pub use storage::{Carry, Store};
pub use storage_choices::{DiskSettings, Recover, Storage};
