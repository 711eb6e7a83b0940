//! The load generator: it measures any broker, honestly.
//!
//! [`config`] says what is wanted, [`plan`] what that comes to, and [`run`] does it: for each
//! broker it starts a [`process`], opens a [`driver`](drivers), and puts [`load`] on it, one
//! measurement after the other. What comes out is a run record of the `measure` crate, a
//! [`table`] of it, and a verdict.
//!
//! In a stream every message carries a [stamp](message::Stamp); each subscriber's
//! [`intake`] checks it, records its latency and enters it in a [`ledger`], so that nothing is
//! lost, doubled, reordered or damaged unseen.

pub mod byte_pipe;
pub mod clock;
pub mod config;
pub mod drivers;
pub mod exit;
pub mod explain;
pub mod gate;
pub mod init;
pub mod intake;
pub mod interrupt;
pub mod junit;
pub mod ledger;
pub mod listing;
pub mod live;
pub mod load;
pub mod markdown;
pub mod message;
pub mod pace;
pub mod plan;
pub mod process;
pub mod progress;
pub mod record;
pub mod run;
pub mod table;
pub mod utc;
pub mod warnings;
