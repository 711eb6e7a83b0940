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
//! | ping, info, list topics, subscribers, subscribe | asked again on the new connection |
//! | anything not yet handed to the operating system whole | sent on the new connection |
//! | publish, pull, create, delete, unsubscribe | [`Error::Indeterminate`]: look, then decide |
//! | unacknowledged publications | may be lost, as at any time |
//! | a named push subscription | attached again; what the broker had counted as sent is told as [`Lost`], what was not acknowledged comes again |
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
pub mod session;

pub use backoff::Reconnect;
pub use error::{Error, Operation};
pub use ids::{PublisherId, SubscriberId};
pub use messages::{Lost, Message, MessageIter, Messages, MessagesRef, Published, Pulled, Pushed};
pub use options::{Options, PushTerms};
pub use protocol::{
    AckMode, Batch, BatchBuilder, Code, Info, LagPolicy, Lifetime, Refusal, Retention,
};
pub use session::{SubscriptionId, Ticket};
