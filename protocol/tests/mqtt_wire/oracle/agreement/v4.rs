//! What a packet of MQTT 3.1.1 says, as `rumqttc` has it.

use super::Facts;
use protocol::mqtt::ReasonCode;
use rumqttc::mqttbytes::v4::{Connect, Packet, SubscribeReasonCode};

pub(super) fn facts(packet: &Packet) -> Facts {
    match packet {
        Packet::Connect(connect) => of_connect(connect),
        Packet::ConnAck(ack) => Facts::new("CONNACK")
            .say("session present", ack.session_present)
            .say("code", ack.code as u8),
        Packet::Publish(publish) => Facts::new("PUBLISH")
            .say("dup", publish.dup)
            .say("qos", publish.qos as u8)
            .say("retain", publish.retain)
            .say("topic", publish.topic.as_bytes())
            .say("id", publish.pkid)
            .say("payload", &publish.payload[..]),
        Packet::PubAck(ack) => of_ack("PUBACK", ack.pkid),
        Packet::PubRec(ack) => of_ack("PUBREC", ack.pkid),
        Packet::PubRel(ack) => of_ack("PUBREL", ack.pkid),
        Packet::PubComp(ack) => of_ack("PUBCOMP", ack.pkid),
        Packet::Subscribe(subscribe) => {
            let facts = Facts::new("SUBSCRIBE").say("id", subscribe.pkid);
            subscribe.filters.iter().fold(facts, |facts, filter| {
                facts
                    .say("filter", &filter.path)
                    .say("qos", filter.qos as u8)
                    .say("no local", false)
                    .say("retain as published", false)
                    .say("retain handling", 0)
            })
        }
        Packet::SubAck(ack) => {
            let reasons = ack.return_codes.iter().map(|code| match code {
                SubscribeReasonCode::Success(qos) => *qos as u8,
                SubscribeReasonCode::Failure => 0x80,
            });
            Facts::new("SUBACK").say("id", ack.pkid).say("reasons", reasons.collect::<Vec<_>>())
        }
        Packet::Unsubscribe(unsubscribe) => Facts::new("UNSUBSCRIBE")
            .say("id", unsubscribe.pkid)
            .say("filters", &unsubscribe.topics),
        Packet::UnsubAck(ack) => Facts::new("UNSUBACK").say("id", ack.pkid).say("reasons", [(); 0]),
        Packet::PingReq => Facts::new("PINGREQ"),
        Packet::PingResp => Facts::new("PINGRESP"),
        Packet::Disconnect => Facts::new("DISCONNECT").say("reason", 0),
    }
}

fn of_connect(connect: &Connect) -> Facts {
    let (user, password) = match &connect.login {
        Some(login) => (login.username.as_str(), login.password.as_str()),
        None => ("", ""),
    };
    let facts = Facts::new("CONNECT")
        .say("clean start", connect.clean_session)
        .say("keep-alive", connect.keep_alive)
        .say("client", &connect.client_id)
        .say("user", user)
        .say("password", password.as_bytes());
    match &connect.last_will {
        None => facts,
        Some(will) => facts
            .say("will qos", will.qos as u8)
            .say("will retain", will.retain)
            .say("will topic", will.topic.as_bytes())
            .say("will payload", &will.message[..]),
    }
}

fn of_ack(packet: &str, id: u16) -> Facts {
    Facts::new(packet).say("id", id).say("reason", ReasonCode::Success)
}
