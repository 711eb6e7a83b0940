//! A topic's retained message: the last one published to be kept for subscribers to come
//! (MQTT 5.0 §3.3.1.3). It stays when the log has given its message up.

use super::Topic;
use super::state::State;
use crate::Broker;
use crate::journal::{Record, Waits};
use crate::log::{Incoming, Retain};
use bytes::Bytes;
use protocol::batch::records;
use protocol::{Code, Durability, Messages, Refusal};

/// A retained message on its way to a subscriber.
#[derive(Clone, Debug)]
pub(crate) struct Retained {
    /// A record of a batch.
    pub(crate) record: Bytes,
    /// When it may be shown; `None`: now.
    pub(crate) waits: Option<Waits>,
}

impl Topic {
    /// The retained message.
    pub(crate) fn retained(&self) -> Option<Retained> {
        let state = self.lock();
        let record = state.retained.clone()?;
        let durability = state.log.stored().map(|stored| stored.terms().durability);
        Some(Retained { record, waits: state.waits_for_all(durability) })
    }
}

impl State {
    /// Whether there is room for one more retained message, where that is one.
    pub(super) fn check_retained(
        &self,
        incoming: &Incoming<'_>,
        broker: &Broker,
    ) -> Result<(), Refusal> {
        let Some(record) = retained_record(incoming) else { return Ok(()) };
        let limits = broker.limits();
        let (count, bytes) = broker.tally().retained();
        let replaced = self.retained.as_ref().map_or(0, Bytes::len);
        let refused = |what: &str, key: &str| {
            Err(Refusal::new(
                Code::LimitReached,
                format!("the broker keeps {what} of retained messages; clear some, or raise {key}"),
            ))
        };
        if replaced == 0 && count >= limits.retained_messages_max as u64 {
            return refused(&format!("its {count}"), "retained_messages_max");
        }
        if bytes - replaced as u64 + record.len() as u64 > limits.retained_bytes_max as u64 {
            return refused(&format!("{bytes} bytes"), "retained_bytes_max");
        }
        Ok(())
    }

    /// Keeps a message that is to be retained, or none from now on where its payload is empty.
    pub(super) fn retain(
        &mut self,
        incoming: &Incoming<'_>,
        durability: Option<Durability>,
        broker: &Broker,
    ) -> Result<(), Refusal> {
        if incoming.retain == Retain::No {
            return Ok(());
        }
        let record = retained_record(incoming).unwrap_or_default();
        if record.is_empty() && self.retained.is_none() {
            return Ok(());
        }
        if let Some(durability) = durability {
            self.record_at(|topic| Record::Retained { topic, record }, durability)?;
        }
        self.forget_retained(broker);
        if !record.is_empty() {
            broker.tally().retained_moved(1, record.len() as i64);
            self.retained = Some(Bytes::copy_from_slice(record));
        }
        Ok(())
    }

    pub(super) fn forget_retained(&mut self, broker: &Broker) {
        if let Some(record) = self.retained.take() {
            broker.tally().retained_moved(-1, -(record.len() as i64));
        }
    }
}

/// The record to be retained; `None` where there is none, or its payload is empty.
fn retained_record<'a>(incoming: &Incoming<'a>) -> Option<&'a [u8]> {
    let Messages::Batch(batch) = incoming.messages else { return None };
    let payload = records(batch.bytes()).next()?.payload;
    (incoming.retain == Retain::Yes && !payload.is_empty()).then(|| batch.bytes())
}
