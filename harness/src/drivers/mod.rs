//! Drivers by name: which there are, what each can measure, and what can go wrong with one.
//!
//! What they say to their brokers is in [`wire`](crate::wire).

mod error;
mod kind;
mod terms;

pub use error::DriverError;
pub use kind::{DriverKind, Operation, StreamDemand, Support};
pub use terms::{MqttTerms, MqttVersion};
