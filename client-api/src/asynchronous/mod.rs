//! The tokio driver: one task owns the connection, and any number of clones of a [`Client`]
//! share it from any task.
//!
//! Requests of all clones are pipelined on the one connection; what was asked for at about the
//! same time leaves in one write. Dropping a future gives its answer up, not the request.
//!
//! A push subscription is a [`Stream`](futures_core::Stream) of messages; see [`Subscription`].
//!
//! # When the connection is lost
//! The task connects again by itself, as [`Options::reconnect`](crate::Options::reconnect) says;
//! requests made meanwhile wait for it within their timeout. What becomes of those that were
//! under way is told at the [crate's root](crate#what-a-lost-connection-costs). After giving up
//! it tries again when something is asked for.

mod client;
mod driver;
mod publish;
mod shared;
mod subscription;

pub use client::Client;
pub use publish::Receipt;
pub use subscription::Subscription;
