//! MQTT 3.1.1 and 5.0: one codec for both, and for both sides. All integers are big-endian.
//!
//! A [`PacketDecoder`] finds [`Packet`]s in received bytes and borrows from them;
//! [`encode_packet`] writes them. What a packet alone can show is checked, for its version; what
//! needs to know the session (ids in use, aliases, limits that were agreed) or the side (which
//! packets a server may send) is for the owner of the decoder.
//!
//! # Packets
//!
//! ```text
//! 0                1                  2 to 5
//! +-------+-------+------------------+----------------------
//! | type  | flags | remaining length | body, as its type has
//! | 4 bit | 4 bit | variable         | it
//! +-------+-------+------------------+----------------------
//! ```
//!
//! Text and binary data are a `u16` length and as many bytes; text is UTF-8 without U+0000
//! (MQTT 5.0 §1.5). Each packet's file has its body's layout.
//!
//! # Errors
//! [`ReasonCode::MalformedPacket`] for what cannot be parsed and for what the standard calls so,
//! [`ReasonCode::ProtocolError`] for what can be parsed but is not allowed, and a nearer reason
//! where the standard has one. Before 5.0 there are no reasons on the wire: any error closes the
//! connection.

mod decoder;
mod encode;
mod error;
mod fields;
mod header;
mod packet;
mod property;
mod qos;
mod reason;
pub mod topics;
mod varint;
mod version;

pub use decoder::{PacketDecoder, PacketStep};
pub use encode::encode_packet;
pub use error::PacketError;
pub use packet::{
    Ack, Auth, ConnAck, Connect, Disconnect, Packet, Publish, RetainHandling, SubAck, Subscribe,
    SubscribeFilters, SubscribeOptions, UnsubAck, Unsubscribe, UnsubscribeFilters, Will,
    encode_publish, encode_publish_head, publish_bytes,
};
pub use property::{Properties, Property};
pub use qos::{PacketId, QoS};
pub use reason::ReasonCode;
pub use version::Version;
