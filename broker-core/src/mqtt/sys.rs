//! What the broker tells of itself under `$SYS/broker/`, by the names that mosquitto gave it.

use crate::mqtt::wills::Published;
use crate::{Broker, Now, SessionKey, Wakes};
use protocol::mqtt::{Properties, Publish, QoS};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Topics below it are the broker's own: clients read them, and do not publish to them.
pub(crate) const SYS_PREFIX: &str = "$SYS/";

/// Who publishes them: no connection.
const TELLER: SessionKey = SessionKey(u64::MAX - 2);

/// When the broker last told of itself.
#[derive(Debug, Default)]
pub(crate) struct Sys {
    /// Anyone ever subscribed.
    wanted: AtomicBool,
    told_at: Mutex<Option<Now>>,
}

impl Broker {
    /// A client subscribes to what the broker tells of itself, which it does from now on.
    pub(crate) fn want_sys(&self, now: Now, wakes: &mut Wakes) {
        if !self.mqtt().sys.wanted.swap(true, Ordering::Relaxed) {
            self.tell_sys(now, wakes);
        }
    }

    /// Tells of itself, if it is time and anyone ever asked.
    pub(super) fn tell_sys(&self, now: Now, wakes: &mut Wakes) {
        let sys = &self.mqtt().sys;
        let interval_s = self.limits().mqtt_sys_interval_s;
        if interval_s == 0 || !sys.wanted.load(Ordering::Relaxed) {
            return;
        }
        {
            let mut told_at = sys.told_at.lock().expect("no thread panics while it tells");
            let is_due = |at: Now| at.plus_ms(u64::from(interval_s) * 1000) <= now;
            if !told_at.is_none_or(is_due) {
                return;
            }
            *told_at = Some(now);
        }
        for (name, value) in self.sys_values(now) {
            let topic = format!("{SYS_PREFIX}broker/{name}");
            let publish = Publish {
                dup: false,
                qos: QoS::AtMostOnce,
                retain: true,
                topic: &topic,
                packet_id: None,
                properties: Properties::default(),
                payload: value.as_bytes(),
            };
            match self.publish_alone(&publish, None, TELLER, now, wakes) {
                Ok(Published::Yes | Published::NotYet) => {}
                Err(refusal) => tracing::debug!(topic, %refusal, "not told"),
            }
        }
    }

    fn sys_values(&self, now: Now) -> Vec<(&'static str, String)> {
        let info = self.info(now);
        let (retained, retained_bytes) = self.tally().retained();
        let sessions = self.mqtt().clients.len() as u64;
        let connected = self.tally().mqtt_connections();
        vec![
            ("version", format!("tandem version {} ({})", info.version, info.backend)),
            ("uptime", format!("{} seconds", info.uptime_ms / 1000)),
            ("clients/total", sessions.max(connected).to_string()),
            ("clients/connected", connected.to_string()),
            ("clients/active", connected.to_string()),
            ("clients/disconnected", sessions.saturating_sub(connected).to_string()),
            ("clients/inactive", sessions.saturating_sub(connected).to_string()),
            ("connections/count", info.connections.to_string()),
            ("topics/count", info.topics.to_string()),
            ("subscriptions/count", info.subscriptions.to_string()),
            ("publish/messages/received", info.messages_in.to_string()),
            ("publish/messages/sent", info.messages_out.to_string()),
            ("retained messages/count", retained.to_string()),
            ("retained messages/bytes", retained_bytes.to_string()),
            ("store/messages/bytes", info.log_bytes.to_string()),
        ]
    }
}
