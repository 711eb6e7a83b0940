//! Bytes to packets and back. No I/O, no clock, no knowledge of what a broker does.
//!
//! One port serves every protocol; the [`Dialect`] is told by a connection's first byte.
//! Two dialects carry the same [`Request`]s, and refuse with the same [`Code`]s:
//!
//! - [`json`]: one JSON object a line, one response line for each request, in order.
//! - [`native`]: length-prefixed binary frames, batches first, with push delivery.
//!
//! [`mqtt`] has packets and reason codes of its own, as its standard says.
//!
//! A message is opaque bytes. Messages travel and are stored as a [`Batch`], whose bytes are
//! the same in a publication, in the broker's log and in a delivery, so that none of the three
//! has to be translated into another.

pub mod batch;
mod dialect;
mod info;
pub mod json;
pub mod mqtt;
mod names;
pub mod native;
mod publication;
mod refusal;
mod request;
mod response;
mod settlement;
mod subscription;
mod topic_options;

pub use batch::{Batch, BatchBuilder, Headers, Record};
pub use dialect::Dialect;
pub use info::Info;
pub use names::{NameLimits, check_subscriber_id, check_topic_name};
pub use publication::{Messages, PublishAck, PublishTerms, PublisherId, PublisherSequence};
pub use refusal::{Code, Refusal};
pub use request::Request;
pub use response::Response;
pub use settlement::{OffsetRange, SettleAnswer, SettleTarget, Verdict};
pub use subscription::{AckMode, AckTerms, Delivery, LagPolicy, Lifetime, Push, Start};
pub use topic_options::{Durability, Retention, StorageClass, TopicOptions};
