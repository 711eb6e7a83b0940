//! What both broker binaries share: command line, config, logging, signals.

mod clock;
mod stop;

pub use clock::Clock;
pub use stop::Stop;
