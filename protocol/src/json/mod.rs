//! JSON lines: one JSON object a line in each direction, one response for each request, in order.
//!
//! Lines end with a newline; a carriage return before it and lines of nothing but white space
//! are passed over. Keys that a command does not take are ignored.
//!
//! | `command` | keys | adds to `{"status":"ok"}` |
//! |---|---|---|
//! | `CREATE` | `topic`; optional `retention`: `{"bytes":…,"messages":…,"age_ms":…}` | |
//! | `DELETE` | `topic` | |
//! | `PUBLISH` | `topic`, `message` | `"offset"` |
//! | `SUBSCRIBE` | `topic`, `sid` | |
//! | `UNSUBSCRIBE` | `topic`, `sid` | |
//! | `PULL` | `topic`, `sid`; optional `max` | `"messages"`, oldest first; `"lost"` and `"remaining"` where not 0 |
//! | `LIST_TOPICS` | | `"topics"`, by name |
//! | `GET_SUBSCRIBERS` | `topic` | `"subscribers"`, by id, and `"count"` |
//! | `PING` | | |
//! | `INFO` | | `"info"`: the fields of [`Info`](crate::Info) |
//!
//! A message is a string. Bytes that are not UTF-8 are `{"base64":"…"}` in both directions, never
//! changed to fit. A refusal is `{"status":"error","error":{"code":"…","message":"…"}}`.

mod line;
mod request;
mod response;

pub use line::{LineDecoder, LineStep};
pub use request::decode_request;
pub use response::{
    MessagesTail, encode_done, encode_info, encode_messages, encode_published, encode_refusal,
    encode_subscribers, encode_topics,
};
