//! What the broker does: sessions, topics, cursors and delivery. No socket, file, thread or clock.
//!
//! The path of a message: [`Session::handle_input`] finds it in the bytes received, appends it to
//! its topic's [`log`], and at the end of its turn gives [`Wakes`] for those who wait for the
//! topic; the backend carries them to [`Session::handle_wake`], and [`Session::poll_deliveries`]
//! reads the log at each subscription's cursor into an [`Output`].

mod broker;
mod dead_letters;
mod input;
pub mod journal;
mod leases;
mod level_tree;
pub mod limits;
pub mod log;
mod mqtt;
mod now;
mod output;
mod publishers;
mod session;
mod tally;
mod topic;
mod topic_rules;
mod wake;
mod web_socket;

pub use broker::{Broker, Identity, Settings};
pub use dead_letters::origin;
pub use input::{Input, Received};
pub use limits::Limits;
pub use now::Now;
pub use output::Output;
pub use session::{Session, Turn};
pub use topic_rules::{TopicRule, TopicRules};
pub use wake::{AttachmentId, Cause, SessionKey, Wake, Wakes};
