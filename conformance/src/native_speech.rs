//! The suite's common words, said on the native wire.

use crate::native_client::refused;
use crate::{Answer, Connection, JsonClient, Leased, NativeClient, Pulled, Reply, Speaks};
use protocol::native::client_greeting;
use protocol::{
    AckTerms, Code, Delivery, Durability, Info, Messages, OffsetRange, PublishAck, PublishTerms,
    Request, SettleAnswer, SettleTarget, Start, TopicOptions, Verdict,
};
use std::net::SocketAddr;

impl Speaks for NativeClient {
    fn open(address: SocketAddr) -> Self {
        let (client, greeting) = Self::greet(Connection::open(address));
        assert!(greeting.accepted, "expected the greeting to be accepted");
        client
    }

    fn refused_at_once(address: SocketAddr) -> Code {
        let mut connection = Connection::open(address);
        // Fails where the broker has told and closed already.
        let _ = connection.try_send(&client_greeting());
        assert!(connection.receive("a refusal"), "the connection ended instead");
        // One that is refused before its first byte is told in JSON.
        if connection.held().first() == Some(&b'{') {
            return JsonClient { connection }.closing_refusal();
        }
        let (mut client, greeting) = Self::read_greeting(connection);
        assert!(!greeting.accepted, "expected the greeting to be refused");
        client.closing_refusal()
    }

    fn create_as(&mut self, topic: &str, options: TopicOptions) -> Answer<()> {
        self.do_it(&Request::Create { topic: topic.into(), options })
    }

    fn delete(&mut self, topic: &str) -> Answer<()> {
        self.do_it(&Request::Delete { topic: topic.into() })
    }

    fn publish_as(
        &mut self,
        topic: &str,
        message: impl AsRef<[u8]>,
        durability: Option<Durability>,
    ) -> Answer<u64> {
        let request = Request::Publish {
            topic: topic.into(),
            messages: Messages::One(message.as_ref().into()),
            ack: PublishAck::Wanted,
            terms: PublishTerms { durability, sequence: None },
        };
        match self.ask(&request) {
            Reply::Published { base_offset, count: 1 } => Ok(base_offset),
            other => Err(refused(other)),
        }
    }

    fn subscribe_as(
        &mut self,
        topic: &str,
        subscriber: &str,
        start: Start,
        acks: Option<&AckTerms<'_>>,
    ) -> Answer<u64> {
        self.go_on(&Request::Subscribe {
            topic: topic.into(),
            subscriber: subscriber.into(),
            delivery: Delivery::Pull,
            start,
            acks: acks.cloned(),
        })
    }

    fn seek(&mut self, topic: &str, subscriber: &str, to: Start) -> Answer<u64> {
        let (topic, subscriber) = (topic.into(), subscriber.into());
        self.go_on(&Request::Seek { topic, subscriber, to })
    }

    fn unsubscribe(&mut self, topic: &str, subscriber: &str) -> Answer<()> {
        self.do_it(&Request::Unsubscribe { topic: topic.into(), subscriber: subscriber.into() })
    }

    fn pull_max(
        &mut self,
        topic: &str,
        subscriber: &str,
        count_max: Option<u32>,
    ) -> Answer<Pulled> {
        let request =
            Request::Pull { topic: topic.into(), subscriber: subscriber.into(), count_max };
        match self.ask(&request) {
            Reply::Messages { pulled, .. } => Ok(pulled),
            other => Err(refused(other)),
        }
    }

    fn lease(&mut self, topic: &str, group: &str, count_max: Option<u32>) -> Answer<Leased> {
        let (topic, subscriber) = (topic.into(), group.into());
        match self.ask(&Request::Pull { topic, subscriber, count_max }) {
            Reply::Leased { base_offset, deliveries, pulled } => {
                let offsets = (base_offset..).take(pulled.messages.len()).collect();
                Ok(Leased { pulled, offsets, deliveries })
            }
            other => Err(refused(other)),
        }
    }

    fn settle(
        &mut self,
        topic: &str,
        group: &str,
        offsets: &[u64],
        verdict: Verdict,
    ) -> Answer<()> {
        let mut ranges = Vec::new();
        offsets.iter().for_each(|offset| OffsetRange::add(&mut ranges, *offset));
        let target = SettleTarget::Named { topic: topic.into(), subscriber: group.into() };
        let answer = SettleAnswer::Wanted;
        self.do_it(&Request::Settle { target, ranges, verdict, answer })
    }

    fn topics(&mut self) -> Answer<Vec<String>> {
        match self.ask(&Request::ListTopics) {
            Reply::Topics(names) => Ok(names),
            other => Err(refused(other)),
        }
    }

    fn subscribers(&mut self, topic: &str) -> Answer<Vec<String>> {
        match self.ask(&Request::Subscribers { topic: topic.into() }) {
            Reply::Subscribers(ids) => Ok(ids),
            other => Err(refused(other)),
        }
    }

    fn ping(&mut self) -> Answer<()> {
        match self.ask(&Request::Ping) {
            Reply::Pong => Ok(()),
            other => Err(refused(other)),
        }
    }

    fn info(&mut self) -> Answer<Info> {
        match self.ask(&Request::Info) {
            Reply::Info(text) => Ok(serde_json::from_str(&text).expect("the fields of INFO")),
            other => Err(refused(other)),
        }
    }

    fn closing_refusal(&mut self) -> Code {
        let code = refused(self.read().reply);
        self.connection.assert_ended();
        code
    }
}
