//! The blocking driver: one client owns one connection, and each call waits for its answer.
//!
//! A call costs one write and one read. Publications that need no answer one by one are better
//! sent with [`Client::send_batch`], which returns a [`Ticket`](crate::Ticket) at once, or with
//! [`Client::publish_unacked`], which only fills a buffer; both leave in large writes.
//!
//! # When the connection is lost
//! The operation that found out ends as its kind allows: a question such as
//! [`Client::list_topics`] is asked again on a new connection within its timeout, and so is
//! [`Client::subscribe`]; named push subscriptions attach again and go on. What would be done
//! twice (publish, pull, create, delete, unsubscribe) fails with
//! [`Error::Indeterminate`](crate::Error::Indeterminate) if it had been handed over, and is sent
//! on the new connection if it had not.

mod client;
mod exchange;
mod publish;
mod pushed;
mod socket;
mod subscription;

pub use client::Client;
pub use pushed::Arrival;
pub use subscription::Subscription;
