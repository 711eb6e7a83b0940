//! The load generator: it measures any broker, honestly.
//!
//! [`config`] says what is wanted, [`plan`] what that comes to, and [`run`] does it: for each
//! broker it starts a [`process`], opens a [`driver`](wire), and puts load on it by the [`engine`], one
//! measurement after the other. What comes out is a run record of the `measure` crate, a
//! [`table`] of it, and a verdict.
//!
//! In a stream every message carries a [stamp](message::Stamp); each subscriber's
//! [`intake`] checks it, records its latency and enters it in a [`ledger`], so that nothing is
//! lost, doubled, reordered or damaged unseen. When the messages of a load with a rate are due is
//! the [`schedule`]'s.
//!
//! What a broker used between two moments a [`Sampler`](process::Sampler) tells, what the generator
//! itself used a [`generator_watch`]; [`validity`] judges by both, and more, whether the figures may
//! be believed.

pub mod byte_pipe;
pub mod clock;
pub mod compare;
pub mod config;
pub mod disk;
pub mod drivers;
pub mod engine;
pub mod exit;
pub mod explain;
pub mod find_max;
pub mod gate;
pub mod generator_watch;
pub mod init;
pub mod intake;
pub mod interrupt;
pub mod junit;
pub mod ledger;
pub mod listing;
pub mod live;
mod machine_time;
pub mod markdown;
pub mod message;
pub mod objectives;
pub mod open_files;
pub mod payloads;
pub mod plan;
pub mod process;
pub mod random;
pub mod record;
pub mod run;
pub mod schedule;
pub mod stub_broker;
pub mod table;
pub mod topic_choice;
pub mod utc;
pub mod validity;
pub mod warnings;
pub mod wire;
