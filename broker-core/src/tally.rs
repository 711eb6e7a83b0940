//! What the broker counts, over all topics and sessions.

use crate::AttachmentId;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Counts that any thread may move. None of them guards anything, so none orders anything.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    connections: AtomicUsize,
    subscriptions: AtomicI64,
    messages_in: AtomicU64,
    messages_out: AtomicU64,
    log_bytes: AtomicUsize,
    attachments: AtomicU64,
    retained_messages: AtomicI64,
    retained_bytes: AtomicI64,
    mqtt_connections: AtomicI64,
}

impl Tally {
    /// Counts a connection in unless `max` are open.
    pub(crate) fn connection_opened(&self, max: usize) -> bool {
        self.connections
            .fetch_update(Relaxed, Relaxed, |open| (open < max).then_some(open + 1))
            .is_ok()
    }

    pub(crate) fn connection_closed(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    pub(crate) fn subscriptions_moved(&self, by: i64) {
        self.subscriptions.fetch_add(by, Relaxed);
    }

    pub(crate) fn subscriptions(&self) -> u64 {
        self.subscriptions.load(Relaxed).max(0) as u64
    }

    pub(crate) fn messages_came(&self, count: u32) {
        self.messages_in.fetch_add(u64::from(count), Relaxed);
    }

    pub(crate) fn messages_in(&self) -> u64 {
        self.messages_in.load(Relaxed)
    }

    pub(crate) fn messages_left(&self, count: u32) {
        self.messages_out.fetch_add(u64::from(count), Relaxed);
    }

    pub(crate) fn messages_out(&self) -> u64 {
        self.messages_out.load(Relaxed)
    }

    /// So many more clients are connected by MQTT.
    pub(crate) fn mqtt_connections_moved(&self, by: i64) {
        self.mqtt_connections.fetch_add(by, Relaxed);
    }

    pub(crate) fn mqtt_connections(&self) -> u64 {
        self.mqtt_connections.load(Relaxed).max(0) as u64
    }

    /// So many more retained messages, of so many bytes.
    pub(crate) fn retained_moved(&self, messages: i64, bytes: i64) {
        self.retained_messages.fetch_add(messages, Relaxed);
        self.retained_bytes.fetch_add(bytes, Relaxed);
    }

    /// Retained messages, and their bytes.
    pub(crate) fn retained(&self) -> (u64, u64) {
        let read = |count: &AtomicI64| count.load(Relaxed).max(0) as u64;
        (read(&self.retained_messages), read(&self.retained_bytes))
    }

    /// A name for an attachment that none had before.
    pub(crate) fn next_attachment(&self) -> AttachmentId {
        AttachmentId(self.attachments.fetch_add(1, Relaxed))
    }

    /// A log went from holding `before` bytes to holding `after`.
    pub(crate) fn log_bytes_moved(&self, before: usize, after: usize) {
        match after.cmp(&before) {
            std::cmp::Ordering::Greater => self.log_bytes.fetch_add(after - before, Relaxed),
            std::cmp::Ordering::Less => self.log_bytes.fetch_sub(before - after, Relaxed),
            std::cmp::Ordering::Equal => 0,
        };
    }

    pub(crate) fn log_bytes(&self) -> usize {
        self.log_bytes.load(Relaxed)
    }
}
