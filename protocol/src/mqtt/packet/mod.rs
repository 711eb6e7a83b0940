//! The packets, each with the layout of its body, its decoding and its encoding.

mod ack;
mod connack;
mod connect;
mod disconnect;
mod publish;
mod subscribe;
mod subscribe_ack;
mod unsubscribe;

pub use ack::Ack;
pub use connack::ConnAck;
pub use connect::{Connect, Will};
pub use disconnect::{Auth, Disconnect};
pub use publish::{Publish, encode_publish, encode_publish_head, publish_bytes};
pub use subscribe::{RetainHandling, Subscribe, SubscribeFilters, SubscribeOptions};
pub use subscribe_ack::{SubAck, UnsubAck};
pub use unsubscribe::{Unsubscribe, UnsubscribeFilters};

use super::Version;
use bytes::BytesMut;

/// Any packet (MQTT 5.0 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A client introduces itself.
    Connect(Connect<'a>),
    /// The server takes it in, or not.
    ConnAck(ConnAck<'a>),
    /// A message.
    Publish(Publish<'a>),
    /// A message of QoS 1 has arrived.
    PubAck(Ack<'a>),
    /// A message of QoS 2 has arrived.
    PubRec(Ack<'a>),
    /// The sender of a message of QoS 2 has forgotten it.
    PubRel(Ack<'a>),
    /// The receiver of a message of QoS 2 has forgotten its id.
    PubComp(Ack<'a>),
    /// A client wants messages.
    Subscribe(Subscribe<'a>),
    /// How that went, for each filter.
    SubAck(SubAck<'a>),
    /// A client wants no more of them.
    Unsubscribe(Unsubscribe<'a>),
    /// How that went, for each filter.
    UnsubAck(UnsubAck<'a>),
    /// A client is alive.
    PingReq,
    /// So is the server.
    PingResp,
    /// One side goes.
    Disconnect(Disconnect<'a>),
    /// A step of authentication, in 5.0 only.
    Auth(Auth<'a>),
}

/// What follows a fixed header.
pub(super) trait Body {
    /// Bytes that [`Body::put_body`] writes.
    fn body_bytes(&self, version: Version) -> usize;

    fn put_body(&self, version: Version, out: &mut BytesMut);
}
