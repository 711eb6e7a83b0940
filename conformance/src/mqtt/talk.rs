//! Whole exchanges: subscribing, publishing and receiving at each quality of service.

use super::{
    Codes, MqttClient, Property, Publish, pingreq, puback, pubcomp, pubrec, pubrel, subscribe,
    unsubscribe,
};

impl MqttClient {
    /// A packet identifier that is not in use.
    pub fn new_id(&mut self) -> u16 {
        let id = self.id_next;
        self.id_next = id % u16::MAX + 1;
        id
    }

    /// Subscribes to a filter and gives the code that was answered.
    #[track_caller]
    pub fn subscribe(&mut self, filter: &str, options: u8) -> u8 {
        self.subscribe_as(&[(filter, options)], &[]).codes[0]
    }

    /// Subscribes to filters, each with its options byte, and gives what was answered.
    #[track_caller]
    pub fn subscribe_as(&mut self, filters: &[(&str, u8)], properties: &[Property]) -> Codes {
        let id = self.new_id();
        self.send(&subscribe(self.version, id, filters, properties));
        let codes = self.read_answer().suback(self.version);
        assert_eq!(codes.id, id, "the SUBSCRIBE that was answered");
        assert_eq!(codes.codes.len(), filters.len(), "a code for each filter: {codes:?}");
        codes
    }

    /// Unsubscribes from filters and gives what was answered.
    #[track_caller]
    pub fn unsubscribe(&mut self, filters: &[&str]) -> Codes {
        let id = self.new_id();
        self.send(&unsubscribe(self.version, id, filters));
        let codes = self.read_answer().unsuback(self.version);
        assert_eq!(codes.id, id, "the UNSUBSCRIBE that was answered");
        codes
    }

    /// Publishes with a new packet identifier, to the end of the exchange; gives the reason code of
    /// the first answer, 0 where there is none. At QoS 0 it has arrived when this is done.
    #[track_caller]
    pub fn publish(&mut self, publish: Publish) -> u8 {
        let id = if publish.qos > 0 { self.new_id() } else { 0 };
        let qos = publish.qos;
        self.send_publish(&publish.id(id));
        match qos {
            0 => {
                self.send(&pingreq());
                let received = self.read_answer();
                assert_eq!(received.first, 0xD0, "expected PINGRESP, found {received:?}");
                0
            }
            1 => self.read_ack(0x40, id),
            _ => {
                let code = self.read_ack(0x50, id);
                if code < 0x80 {
                    self.release(id);
                }
                code
            }
        }
    }

    /// Publishes text at a QoS, to the end of the exchange; the broker must take it.
    #[track_caller]
    pub fn publish_text(&mut self, topic: &str, text: &str, qos: u8) {
        let code = self.publish(Publish::new(topic, text).qos(qos));
        assert!(code < 0x80, "expected {text:?} to be taken, found {code:#04x}");
    }

    /// Sends PUBREL and reads its PUBCOMP.
    #[track_caller]
    pub fn release(&mut self, id: u16) {
        self.send(&pubrel(id));
        assert_eq!(self.read_ack(0x70, id), 0, "PUBCOMP of {id}");
    }

    /// Reads an acknowledgement of the type that `first` says, of `id`, and gives its reason code.
    /// PUBLISH packets that come before it are kept for later.
    #[track_caller]
    pub fn read_ack(&mut self, first: u8, id: u16) -> u8 {
        let ack = self.read_answer().ack(first, self.version);
        assert_eq!(ack.id, id, "the packet that was answered: {ack:?}");
        ack.code
    }

    /// The next packet, which must be a PUBLISH. It is not acknowledged.
    #[track_caller]
    pub fn read_publish(&mut self) -> Publish {
        let version = self.version;
        self.read().publish(version)
    }

    /// All messages that were sent to it by now, as told by a PINGREQ, each acknowledged. There is
    /// no order between topics, so no message can tell that those of other topics have come.
    #[track_caller]
    pub fn receive_ready(&mut self) -> Vec<Publish> {
        self.send(&pingreq());
        let mut ready = Vec::new();
        loop {
            let received = self.read();
            if !received.is_publish() {
                assert_eq!(received.first, 0xD0, "expected PINGRESP, found {received:?}");
                break;
            }
            ready.push(received.publish(self.version));
        }
        for publish in &ready {
            self.acknowledge(publish);
        }
        ready
    }

    /// The next packet, which must be a PUBLISH, acknowledged to the end of its exchange.
    #[track_caller]
    pub fn receive(&mut self) -> Publish {
        let publish = self.read_publish();
        self.acknowledge(&publish);
        publish
    }

    /// Acknowledges a received PUBLISH to the end of its exchange.
    #[track_caller]
    pub fn acknowledge(&mut self, publish: &Publish) {
        match publish.qos {
            0 => {}
            1 => self.send(&puback(publish.id)),
            _ => {
                self.send(&pubrec(publish.id));
                assert_eq!(self.read_ack(0x62, publish.id), 0, "PUBREL of {publish:?}");
                self.send(&pubcomp(publish.id));
            }
        }
    }

    /// The next packet must be this text on this topic; it is acknowledged.
    #[track_caller]
    pub fn expect_message(&mut self, topic: &str, text: &str) -> Publish {
        let publish = self.receive();
        assert_eq!((publish.topic.as_str(), publish.text()), (topic, text), "{publish:?}");
        publish
    }

    /// The next `count` messages as text, each acknowledged.
    #[track_caller]
    pub fn receive_texts(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.receive().text().to_owned()).collect()
    }
}
