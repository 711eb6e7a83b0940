//! The load generator: it measures any broker, honestly.
//!
//! One load engine serves every broker; what is said on a connection is a driver's few lines. So
//! figures differ by the broker and its protocol, and not by how it was loaded.
//!
//! # The rooms
//!
//! What is wanted, and what that comes to:
//!
//! - [`config`] reads a configuration and checks it, [`plan`] multiplies it out for each broker,
//!   and [`explain`] says it in words. [`init`] and [`listing`] help to write one.
//! - [`drivers`] names the drivers and knows what each can measure.
//! - [`objectives`] are what must hold of the results; [`find_max`] searches for the highest rate
//!   at which it does, and measures nothing itself.
//!
//! Load:
//!
//! - [`schedule`] says when messages are due, whatever becomes of them; [`payloads`] and
//!   [`topic_choice`] draw how long they are and where they go, and [`message`] is the stamp that
//!   each carries.
//! - [`wire`] has each protocol as conversations without sockets, threads or clocks.
//! - [`engine`] has all of these: threads that each hold their share of the connections in one
//!   poll, and the stages that a measurement goes through. [`disk`] stands in its place where there
//!   is no broker, with a thread for each publisher, which meet at a [`gate`].
//! - [`intake`] takes what subscribers read: it checks each message, records its latency, and
//!   enters it in a [`ledger`], so that nothing is lost, doubled, reordered or damaged unseen.
//!
//! Around it:
//!
//! - [`process`] starts brokers, watches what they use, and stops them; [`open_files`] makes room
//!   for many connections.
//! - [`run`] has every broker measured in turn, and [`record`] makes of its rounds the run record
//!   of the `measure` crate.
//! - [`generator_watch`] sees how busy the generator itself was; [`validity`] judges by it, and by
//!   more, whether a measurement may be believed. [`warnings`] are about a run as a whole.
//! - [`live`] shows a run while it goes on, and [`interrupt`] ends it.
//!
//! What was found: a [`table`], a comparison with an earlier run ([`compare`]), [`junit`] and
//! [`markdown`] for continuous integration, and one code of [`exit`].
//!
//! Two programs are to be measured themselves: the [`byte_pipe`], which copies frames unread and so
//! is what brokers are held against, and the [`stub_broker`], which does what it is told to do
//! wrong, so that the generator can be held to it.
//!
//! Everything is timed by one [`clock`]. `ARCHITECTURE.md` follows one message through the
//! generator.

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
