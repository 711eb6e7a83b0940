//! What a topic's lock guards.

use super::hold::Hold;
use super::subscriptions::{Subscription, SubscriptionKey, Subscriptions};
use crate::log::Log;
use crate::{Cause, Limits, Wake, Wakes};
use protocol::Retention;

/// How much a topic keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) bytes_max: usize,
    pub(super) messages_max: u64,
    /// `None`: messages do not grow too old.
    pub(super) age_ms_max: Option<u64>,
}

impl Bounds {
    pub(super) fn new(retention: Retention, limits: &Limits) -> Self {
        let some = |value: u64| Some(value).filter(|value| *value > 0);
        let bytes_max =
            retention.bytes_max.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        Self {
            bytes_max: bytes_max.unwrap_or(limits.topic_bytes_max),
            messages_max: retention
                .messages_max
                .or(some(limits.topic_messages_max))
                .unwrap_or(u64::MAX),
            age_ms_max: retention.age_ms_max.or(some(limits.topic_age_ms_max)),
        }
    }
}

/// A topic's log, subscriptions, and who waits for what.
#[derive(Debug)]
pub(super) struct State {
    pub(super) log: Log,
    pub(super) bounds: Bounds,
    pub(super) subscriptions: Subscriptions,
    /// Those to wake when a message comes. Entries may be stale; `waiting` of the attachment tells.
    waiting: Vec<SubscriptionKey>,
    pub(super) hold: Option<Hold>,
    /// No connected subscriber is waited for with a message before this offset. It may be lower
    /// than it could be, and is worked out anew when that matters.
    pub(super) floor: u64,
    pub(super) deleted: bool,
}

impl State {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            log: Log::new(bounds.bytes_max),
            bounds,
            subscriptions: Subscriptions::default(),
            waiting: Vec::new(),
            hold: None,
            floor: u64::MAX,
            deleted: false,
        }
    }

    /// Notes that a subscription has read all there is, and is to be woken.
    pub(super) fn wait(&mut self, key: SubscriptionKey) {
        let Some(Subscription { attachment: Some(attachment), .. }) = self.subscriptions.get(key)
        else {
            return;
        };
        if !std::mem::replace(&mut attachment.waiting, true) {
            self.waiting.push(key);
        }
        if self.waiting.len() > 2 * self.subscriptions.attached_len() + 16 {
            self.forget_stale_waiters();
        }
    }

    fn forget_stale_waiters(&mut self) {
        let subscriptions = &self.subscriptions;
        self.waiting.clear();
        let waiting = subscriptions.attached().filter(|(.., attachment)| attachment.waiting);
        self.waiting.extend(waiting.map(|(key, ..)| key));
    }

    /// Wakes all that wait for messages.
    pub(super) fn wake_waiting(&mut self, wakes: &mut Wakes) {
        for key in self.waiting.drain(..) {
            let Some(Subscription { attachment: Some(attachment), .. }) =
                self.subscriptions.get(key)
            else {
                continue;
            };
            if std::mem::replace(&mut attachment.waiting, false) {
                let cause = Cause::Readable { subscription: attachment.number };
                wakes.push(Wake { session: attachment.session, cause });
            }
        }
    }
}
