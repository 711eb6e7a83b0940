//! JSON lines: one JSON object a line in each direction, one response for each request, in order.
//!
//! Lines end with a newline; a carriage return before it and lines of nothing but white space
//! are passed over. Keys that a command does not take are ignored.
//!
//! | `command` | keys | adds to `{"status":"ok"}` |
//! |---|---|---|
//! | `CREATE` | `topic`; optional `retention`: `{"bytes":…,"messages":…,"age_ms":…}`, `storage`: `"memory"` or `"disk"`, `durability`: `"sync"` or `"os"` | |
//! | `DELETE` | `topic` | |
//! | `PUBLISH` | `topic`, `message`; optional `durability` | `"offset"` |
//! | `SUBSCRIBE` | `topic`, `sid` or `group`; optional `start`, `acks` | `"next_offset"` |
//! | `UNSUBSCRIBE` | `topic`, `sid` or `group` | |
//! | `SEEK` | `topic`, `sid` or `group`, `to` | `"next_offset"` |
//! | `PULL` | `topic`, `sid` or `group`; optional `max` | `"messages"`, oldest first; `"lost"` and `"remaining"` where not 0 |
//! | `ACK` | `topic`, `sid` or `group`, `offset` or `offsets`: `[…]` | |
//! | `NACK` | as `ACK`; optional `delay_ms` | |
//! | `LIST_TOPICS` | | `"topics"`, by name |
//! | `GET_SUBSCRIBERS` | `topic` | `"subscribers"`, by id, and `"count"` |
//! | `PING` | | |
//! | `INFO` | | `"info"`: the fields of [`Info`](crate::Info) |
//!
//! `start` and `to` are `"earliest"`, `"latest"`, `{"offset":…}` or `{"time_ms":…}`, milliseconds
//! since 1970.
//!
//! `acks` makes a subscription whose messages are acknowledged individually: an object of any of
//! `timeout_ms`, `in_flight`, `deliveries`, `backoff_ms`, `backoff_ms_max` and `dead_letter`, a
//! topic; what is left out is the broker's default. `group` is another word for `sid`, and makes
//! such a subscription without `acks`. `PULL` of one adds `"offsets"`, an offset for each message,
//! and `"deliveries"`, how often each of them was delivered.
//!
//! Where a message has headers, `PULL` adds `"headers"` beside `"messages"`: for each message an
//! object of its headers, or null. Of headers with the same key it has the last.
//!
//! A message is a string. Bytes that are not UTF-8 are `{"base64":"…"}` in both directions, never
//! changed to fit. A refusal is `{"status":"error","error":{"code":"…","message":"…"}}`.

mod line;
mod request;
mod response;
mod values;

pub use line::{LineDecoder, LineStep};
pub use request::decode_request;
pub use response::{
    Lease, MessagesTail, encode_done, encode_info, encode_leased, encode_messages,
    encode_published, encode_refusal, encode_subscribed, encode_subscribers, encode_topics,
};
