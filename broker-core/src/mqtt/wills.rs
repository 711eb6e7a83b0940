//! Wills: what a client has published in its name when its connection ends without a word
//! (MQTT 5.0 §3.1.2.5).

use super::message::{self, Origin};
use crate::log::{Incoming, Retain};
use crate::topic::Appended;
use crate::{Broker, Now, SessionKey, Wakes};
use protocol::batch::BatchBuilder;
use protocol::mqtt::{self, Properties, Publish, QoS};
use protocol::{Messages, Refusal};

/// Who publishes wills: no connection.
const EXECUTOR: SessionKey = SessionKey(u64::MAX - 1);

/// A will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Will {
    topic: String,
    payload: Vec<u8>,
    properties: Vec<u8>,
    qos: QoS,
    retain: bool,
    pub(crate) delay_s: u32,
}

impl From<mqtt::Will<'_>> for Will {
    fn from(will: mqtt::Will<'_>) -> Self {
        Self {
            topic: will.topic.to_owned(),
            payload: will.payload.to_vec(),
            properties: will.properties.bytes().to_vec(),
            qos: will.qos,
            retain: will.retain,
            delay_s: will.properties.will_delay_interval_s().unwrap_or(0),
        }
    }
}

impl Will {
    /// The memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.topic.len() + self.payload.len() + self.properties.len()
    }
}

/// Whether a will is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    Yes,
    /// It has to wait for room in its topic.
    NotYet,
}

impl Broker {
    /// Publishes a will.
    pub(crate) fn publish_will(
        &self,
        will: &Will,
        client: u64,
        now: Now,
        wakes: &mut Wakes,
    ) -> Result<Published, Refusal> {
        let publish = Publish {
            dup: false,
            qos: will.qos,
            retain: will.retain,
            topic: &will.topic,
            packet_id: None,
            properties: Properties::trusted(&will.properties),
            payload: &will.payload,
        };
        self.publish_alone(&publish, Some(client), EXECUTOR, now, wakes)
    }

    /// Publishes one message that came from no connection that could be held.
    pub(crate) fn publish_alone(
        &self,
        publish: &Publish<'_>,
        client: Option<u64>,
        publisher: SessionKey,
        now: Now,
        wakes: &mut Wakes,
    ) -> Result<Published, Refusal> {
        let mut builder = BatchBuilder::new();
        let origin = Origin { publisher: client, unix_ms: self.unix_ms(now) };
        message::push(publish, origin, &mut builder)?;
        let messages = Messages::Batch(builder.batch());
        let retain = if publish.retain { Retain::Yes } else { Retain::No };
        let incoming = Incoming { messages: &messages, sequence: None, receipt: None, retain };
        let topic = self.topic_for_publication(publish.topic, wakes)?;
        match topic.append(incoming, None, publisher, now, self, wakes)? {
            Appended::Held { .. } => {
                topic.forget_publisher(publisher);
                Ok(Published::NotYet)
            }
            Appended::At { count, .. } => {
                self.tally().messages_came(count);
                topic.wake_readers(wakes);
                Ok(Published::Yes)
            }
        }
    }
}
