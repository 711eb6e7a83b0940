//! The Tandem client: one sans-IO session, a blocking and a tokio driver.
//!
//! ```no_run
//! use client_api::blocking::Client;
//!
//! # fn main() -> Result<(), client_api::Error> {
//! let mut client = Client::connect("localhost:8080")?;
//! client.create_topic("News")?;
//! client.publish("News", "Hello")?;
//! let reader = client.register_subscriber();
//! client.subscribe("News", &reader)?;
//! for message in client.pull("News", &reader)?.messages {
//!     println!("{}: {:?}", message.offset, message.payload);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # A work queue
//! Subscribers that name the same subscription and acknowledge each message by itself
//! ([`AckTerms`]) share its work: each message goes to one of them. One that was not acknowledged
//! in time, or acknowledged negatively, is delivered again, after a growing delay; when it was
//! delivered so often as the terms allow it goes to the dead-letter topic.
//!
//! ```no_run
//! use client_api::{AckTerms, Error, Message, PushTerms, Pushed, SubscriberId, blocking::Client};
//! use std::time::Duration;
//!
//! # fn resize(_: &Message) -> Result<(), std::io::Error> { Ok(()) }
//! # fn main() -> Result<(), Error> {
//! let mut client = Client::connect("localhost:8080")?;
//! let group = SubscriberId::from("resizers");
//! let acks = AckTerms::new()
//!     .ack_timeout(Duration::from_secs(30))
//!     .deliveries_max(5)
//!     .dead_letter("Pictures.failed");
//! let mut work = client.subscribe_push("Pictures", &group, PushTerms::new().acks(acks))?;
//! while let Some(next) = work.next() {
//!     let Pushed::Delivered(picture) = next? else { continue };
//!     match resize(&picture) {
//!         Ok(()) => work.ack(picture.offset),
//!         // After the subscription's backoff, by whichever of the group.
//!         Err(_) => work.nack(picture.offset, None),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `examples/worker.rs` is a whole program of this kind.
//!
//! # Where to look
//! - [`blocking`]: a client for one thread, with nothing between it and its socket.
//! - [`asynchronous`]: a client for many tasks, on tokio; behind the feature `tokio`, on by default.
//! - [`session`]: what both drivers share, for whoever writes a third.
//!
//! # What a lost connection costs
//! A connection is made again by itself, with growing delays ([`Reconnect`]), where that loses
//! and repeats nothing:
//!
//! | under way when the connection ended | what becomes of it |
//! |---|---|
//! | ping, info, list topics, subscribers, subscribe, confirmed acknowledgements | asked again on the new connection |
//! | publications of an [`IdempotentPublisher`] | repeated; the broker appends each once |
//! | anything not yet handed to the operating system whole | sent on the new connection |
//! | other publications, pull, seek, create, delete, unsubscribe, confirmed negative acknowledgements | [`Error::Indeterminate`]: look, then decide |
//! | unacknowledged publications | may be lost, as at any time |
//! | a named push subscription | attached again; what the broker had counted as sent is told as [`Lost`], what was not acknowledged comes again, and where that is done individually with a higher [`deliveries`](Message::deliveries) |
//! | a push subscription of the connection | ends with [`Error::Disconnected`] |
//!
//! Every operation has a timeout. After one, whether the broker did what was asked is not known.

#[cfg(feature = "tokio")]
pub mod asynchronous;
mod backoff;
pub mod blocking;
mod error;
mod ids;
mod messages;
mod options;
mod publisher;
pub mod session;
mod terms;

pub use backoff::Reconnect;
pub use error::{Error, Operation};
pub use ids::{PublisherId, SubscriberId};
pub use messages::{
    Lost, Message, MessageIter, Messages, MessagesRef, Published, Pulled, Pushed, Run,
};
pub use options::Options;
pub use protocol::{
    AckMode, Batch, BatchBuilder, Code, Durability, Headers, Info, LagPolicy, Lifetime,
    OffsetRange, Record, Refusal, Retention, Start, StorageClass, TopicOptions, Verdict,
};
pub use publisher::IdempotentPublisher;
pub use session::{SubscriptionId, Ticket};
pub use terms::{AckTerms, PullTerms, PushTerms};
