//! Redis: its channels, which keep nothing, and its streams, which it keeps.

mod channels;
mod client;
mod resp;
mod streams;

pub use channels::Redis;
pub use streams::RedisStreams;

/// Between the parts of a key, as is usual.
const SEPARATOR: char = ':';
