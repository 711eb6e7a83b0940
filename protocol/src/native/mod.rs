//! The native wire: binary frames, batches first. All integers are little-endian.
//!
//! # Greeting
//! The client speaks first, and may send requests behind its greeting without waiting.
//!
//! ```text
//! client   0      1   2   3   4         5        6         8
//!          +------+---+---+---+---------+--------+---------+
//!          | 0xF7 | T | N | D | version | flags  | zero    |
//!          +------+---+---+---+---------+--------+---------+
//!
//! broker   0      1   2   3   4         5        6         8                 12                  16
//!          +------+---+---+---+---------+--------+---------+-----------------+-------------------+
//!          | 0xF7 | T | N | D | version | status | zero    | frame_bytes_max | message_bytes_max |
//!          +------+---+---+---+---------+--------+---------+-----------------+-------------------+
//! ```
//!
//! `version` is the highest that the sender speaks; this is version 1. `flags` is zero. `status`
//! is 0 when the greeting was accepted; else an ERROR frame follows and the connection closes.
//!
//! # Frames
//!
//! ```text
//! 0        4      5       6      8                12
//! +--------+------+-------+------+----------------+----------------
//! | length | kind | flags | zero | correlation id | body
//! +--------+------+-------+------+----------------+----------------
//! ```
//!
//! `length` counts everything after itself: 8 and the body. Every request but CREDIT and ACK,
//! and a PUBLISH that wants no acknowledgement, is answered by one frame with its correlation id,
//! in order; a refusal is always answered. A push delivery is named by the correlation id of the
//! SUBSCRIBE that began it, and its frames come whenever there is credit.
//!
//! Text is a `u16` length and as many bytes of UTF-8.
//!
//! | kind | from the client | flags | body |
//! |---|---|---|---|
//! | 0x01 | PUBLISH | 1: acknowledge | topic text, count `u32`, [records](crate::batch) |
//! | 0x02 | CREATE | | topic text, bytes `u64`, messages `u64`, age in ms `u64`; 0 is the default |
//! | 0x03 | DELETE | | topic text |
//! | 0x04 | SUBSCRIBE | 1: push, 2: explicit acks, 4: ends with the connection | topic text, subscriber text, credit `u32`, lag policy `u8` (0 skip, 1 disconnect, 2 hold) |
//! | 0x05 | UNSUBSCRIBE | | topic text, subscriber text |
//! | 0x06 | DETACH | | subscription `u32` |
//! | 0x07 | CREDIT | | subscription `u32`, bytes `u32` |
//! | 0x08 | ACK | | subscription `u32`, offset `u64` |
//! | 0x09 | PULL | | topic text, subscriber text, at most so many `u32`; 0 is all |
//! | 0x0A | LIST_TOPICS | | |
//! | 0x0B | GET_SUBSCRIBERS | | topic text |
//! | 0x0C | PING | | |
//! | 0x0D | INFO | | |
//!
//! | kind | from the broker | body |
//! |---|---|---|
//! | 0x80 | OK | |
//! | 0x81 | PUBLISHED | base offset `u64`, count `u32` |
//! | 0x82 | SUBSCRIBED | next offset `u64` |
//! | 0x83 | MESSAGES | base offset `u64`, lost `u64`, remaining `u64`, count `u32`, records |
//! | 0x84 | TOPICS | count `u32`, as many texts |
//! | 0x85 | SUBSCRIBERS | count `u32`, as many texts |
//! | 0x86 | PONG | |
//! | 0x87 | INFO | JSON, as long as the frame |
//! | 0x88 | ERROR | code `u16`, a sentence as text |
//! | 0x89 | DELIVER | base offset `u64`, count `u32`, records |
//! | 0x8A | LOST | count `u64`, next offset `u64` |
//! | 0x8B | ENDED | code `u16`, a sentence as text |
//!
//! Credit is counted in bytes of records, headers included. While any is left one message is
//! sent even if it is larger, so that no message is too large for a window; the debt counts.

mod fields;
mod frame;
mod greeting;
mod request;
mod response;

pub use frame::{FRAME_HEADER_BYTES, Frame, FrameDecoder, FrameStep};
pub use greeting::{
    BROKER_GREETING_BYTES, BrokerGreeting, CLIENT_GREETING_BYTES, MAGIC, VERSION,
    check_client_greeting, client_greeting, encode_broker_greeting,
};
pub use request::{decode_request, encode_request};
pub use response::{
    DELIVER_HEADER_BYTES, MessagesHead, decode_response, encode_deliver_head, encode_messages_head,
    encode_response,
};
