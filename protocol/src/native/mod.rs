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
//! `length` counts everything after itself: 8 and the body. Every request but CREDIT, and ACK,
//! SETTLE and PUBLISH without the flag that wants it, is answered by one frame with its
//! correlation id, in order; a refusal is always answered. A push delivery is named by the correlation id of the
//! SUBSCRIBE that began it, and its frames come whenever there is credit.
//!
//! Text is a `u16` length and as many bytes of UTF-8.
//!
//! | kind | from the client | flags | body |
//! |---|---|---|---|
//! | 0x01 | PUBLISH | 1: acknowledge, 2: of a publisher, 4: durability os, 8: durability sync | topic text, with flag 2 publisher `u128` and sequence `u64`, count `u32`, [records](crate::batch) |
//! | 0x02 | CREATE | | topic text, bytes `u64`, messages `u64`, age in ms `u64`, storage `u8` (1 memory, 2 disk), durability `u8` (1 os, 2 sync); 0 is the default of each |
//! | 0x03 | DELETE | | topic text |
//! | 0x04 | SUBSCRIBE | 1: push, 2: cumulative acks, 4: ends with the connection, 8: individual acks | topic text, subscriber text, credit `u32`, lag policy `u8` (0 skip, 1 disconnect, 2 hold), start, with flag 8 ack terms |
//! | 0x05 | UNSUBSCRIBE | | topic text, subscriber text |
//! | 0x06 | DETACH | | subscription `u32` |
//! | 0x07 | CREDIT | | subscription `u32`, bytes `u32` |
//! | 0x08 | ACK | 1: answer | subscription `u32`, offset `u64` |
//! | 0x09 | PULL | | topic text, subscriber text, at most so many `u32`; 0 is all |
//! | 0x0A | LIST_TOPICS | | |
//! | 0x0B | GET_SUBSCRIBERS | | topic text |
//! | 0x0C | PING | | |
//! | 0x0D | INFO | | |
//! | 0x0E | SETTLE | 1: negative, 2: answer | subscription `u32`, settled |
//! | 0x0F | SETTLE_NAMED | 1: negative | topic text, subscriber text, settled |
//! | 0x10 | SEEK | | topic text, subscriber text, start |
//!
//! Of the flags of SUBSCRIBE, 2 and 4 need 1, and 2 and 8 exclude each other; of those of PUBLISH,
//! 4 and 8 do. Three parts of a body occur more than once:
//!
//! ```text
//! start      0         1               9
//!            +---------+---------------+
//!            | from u8 | value u64     |     0 earliest and 1 latest, value 0;
//!            +---------+---------------+     2 offset; 3 time in ms since 1970
//!
//! ack terms  0             4           8            12            16            20
//!            +-------------+-----------+------------+-------------+-------------+------------------
//!            | timeout u32 | in flight | deliveries | backoff min | backoff max | dead letter text
//!            +-------------+-----------+------------+-------------+-------------+------------------
//!            times in ms; 0, and an empty topic, is the default
//!
//! settled    0           4             8                                  8 + 12 * ranges
//!            +-----------+-------------+-----------+-----------+--- ... ---+
//!            | delay u32 | ranges u32  | first u64 | count u32 |           |
//!            +-----------+-------------+-----------+-----------+--- ... ---+
//!            delay in ms of what is settled negatively, 2^32 - 1 for the backoff; else 0
//! ```
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
//! | 0x8C | LEASED | base offset `u64`, lost `u64`, remaining `u64`, deliveries `u32`, count `u32`, records |
//! | 0x8D | REDELIVER | base offset `u64`, deliveries `u32`, count `u32`, records |
//!
//! SUBSCRIBE and SEEK are answered by SUBSCRIBED; PULL by MESSAGES, or by LEASED where the
//! subscription's messages are acknowledged individually. DELIVER, REDELIVER, LOST and ENDED come
//! unasked. What DELIVER brings is delivered for the first time.
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
    DELIVER_HEADER_BYTES, MessagesHead, REDELIVER_HEADER_BYTES, RedeliverHead, decode_response,
    encode_deliver_head, encode_leased_head, encode_messages_head, encode_redeliver_head,
    encode_response,
};
