//! What the broker does: sessions, topics, cursors and delivery. No socket, file, thread or clock.

pub mod limits;

pub use limits::Limits;
