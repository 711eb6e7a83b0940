//! What a packet of MQTT 5.0 says, as `rumqttc` has it.

use super::Facts;
use super::v5_properties::{self as properties, Words};
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, Connect, ConnectReturnCode, LastWill, Login, Packet, Publish, RetainForwardRule,
    Subscribe, SubscribeReasonCode,
};
use std::fmt::Debug;

pub(super) fn facts(packet: &Packet) -> Facts {
    match packet {
        Packet::Connect(connect, will, login) => of_connect(connect, will.as_ref(), login.as_ref()),
        Packet::ConnAck(ack) => of_connack(ack),
        Packet::Publish(publish) => of_publish(publish),
        Packet::PubAck(ack) => of_ack("PUBACK", ack.pkid, &ack.reason, properties::puback(ack)),
        Packet::PubRec(ack) => of_ack("PUBREC", ack.pkid, &ack.reason, properties::pubrec(ack)),
        Packet::PubRel(ack) => of_ack("PUBREL", ack.pkid, &ack.reason, properties::pubrel(ack)),
        Packet::PubComp(ack) => of_ack("PUBCOMP", ack.pkid, &ack.reason, properties::pubcomp(ack)),
        Packet::Subscribe(subscribe) => of_subscribe(subscribe),
        Packet::SubAck(ack) => {
            let reasons: Vec<_> =
                ack.return_codes.iter().map(|code| suback_reason(*code)).collect();
            say(
                Facts::new("SUBACK").say("id", ack.pkid).say("reasons", reasons),
                properties::suback(ack),
            )
        }
        Packet::Unsubscribe(unsubscribe) => say(
            Facts::new("UNSUBSCRIBE")
                .say("id", unsubscribe.pkid)
                .say("filters", &unsubscribe.filters),
            properties::unsubscribe(unsubscribe),
        ),
        Packet::UnsubAck(ack) => say(
            Facts::new("UNSUBACK").say("id", ack.pkid).say("reasons", &ack.reasons),
            properties::unsuback(ack),
        ),
        Packet::PingReq(_) => Facts::new("PINGREQ"),
        Packet::PingResp(_) => Facts::new("PINGRESP"),
        Packet::Disconnect(disconnect) => say(
            Facts::new("DISCONNECT").say("reason", disconnect.reason_code as u8),
            properties::disconnect(disconnect),
        ),
        Packet::Auth(_) => Facts::new("AUTH"),
    }
}

fn say(facts: Facts, words: Words<'_>) -> Facts {
    facts.say_properties("its", words.into_iter())
}

fn of_connect(connect: &Connect, will: Option<&LastWill>, login: Option<&Login>) -> Facts {
    let (user, password) = match login {
        Some(login) => (login.username.as_str(), login.password.as_str()),
        None => ("", ""),
    };
    let mut facts = Facts::new("CONNECT")
        .say("clean start", connect.clean_start)
        .say("keep-alive", connect.keep_alive)
        .say("client", &connect.client_id)
        .say("user", user)
        .say("password", password.as_bytes());
    if let Some(will) = will {
        facts = facts
            .say("will qos", will.qos as u8)
            .say("will retain", will.retain)
            .say("will topic", &will.topic[..])
            .say("will payload", &will.message[..])
            .say_properties("will", properties::will(will).into_iter());
    }
    say(facts, properties::connect(connect))
}

fn of_connack(ack: &ConnAck) -> Facts {
    let facts = Facts::new("CONNACK")
        .say("session present", ack.session_present)
        .say("reason", connack_reason(ack.code));
    say(facts, properties::connack(ack))
}

fn of_publish(publish: &Publish) -> Facts {
    let facts = Facts::new("PUBLISH")
        .say("dup", publish.dup)
        .say("qos", publish.qos as u8)
        .say("retain", publish.retain)
        .say("topic", &publish.topic[..])
        .say("id", publish.pkid)
        .say("payload", &publish.payload[..]);
    say(facts, properties::publish(publish))
}

fn of_subscribe(subscribe: &Subscribe) -> Facts {
    let facts = Facts::new("SUBSCRIBE").say("id", subscribe.pkid);
    let facts = subscribe.filters.iter().fold(facts, |facts, filter| {
        let handling = match filter.retain_forward_rule {
            RetainForwardRule::OnEverySubscribe => 0,
            RetainForwardRule::OnNewSubscribe => 1,
            RetainForwardRule::Never => 2,
        };
        facts
            .say("filter", &filter.path)
            .say("qos", filter.qos as u8)
            .say("no local", filter.nolocal)
            .say("retain as published", filter.preserve_retain)
            .say("retain handling", handling)
    });
    say(facts, properties::subscribe(subscribe))
}

/// Both codecs give the same names to the reasons of acknowledgements.
fn of_ack(packet: &str, id: u16, reason: &dyn Debug, words: Words<'_>) -> Facts {
    say(Facts::new(packet).say("id", id).say("reason", reason), words)
}

fn suback_reason(code: SubscribeReasonCode) -> u8 {
    match code {
        SubscribeReasonCode::Success(qos) => qos as u8,
        SubscribeReasonCode::Failure | SubscribeReasonCode::Unspecified => 0x80,
        SubscribeReasonCode::ImplementationSpecific => 0x83,
        SubscribeReasonCode::NotAuthorized => 0x87,
        SubscribeReasonCode::TopicFilterInvalid => 0x8F,
        SubscribeReasonCode::PkidInUse => 0x91,
        SubscribeReasonCode::QuotaExceeded => 0x97,
        SubscribeReasonCode::SharedSubscriptionsNotSupported => 0x9E,
        SubscribeReasonCode::SubscriptionIdNotSupported => 0xA1,
        SubscribeReasonCode::WildcardSubscriptionsNotSupported => 0xA2,
    }
}

fn connack_reason(code: ConnectReturnCode) -> u8 {
    match code {
        ConnectReturnCode::Success => 0x00,
        ConnectReturnCode::UnspecifiedError => 0x80,
        ConnectReturnCode::MalformedPacket => 0x81,
        ConnectReturnCode::ProtocolError => 0x82,
        ConnectReturnCode::ImplementationSpecificError => 0x83,
        ConnectReturnCode::UnsupportedProtocolVersion => 0x84,
        ConnectReturnCode::ClientIdentifierNotValid => 0x85,
        ConnectReturnCode::BadUserNamePassword => 0x86,
        ConnectReturnCode::NotAuthorized => 0x87,
        ConnectReturnCode::ServerUnavailable => 0x88,
        ConnectReturnCode::ServerBusy => 0x89,
        ConnectReturnCode::Banned => 0x8A,
        ConnectReturnCode::BadAuthenticationMethod => 0x8C,
        ConnectReturnCode::TopicNameInvalid => 0x90,
        ConnectReturnCode::PacketTooLarge => 0x95,
        ConnectReturnCode::QuotaExceeded => 0x97,
        ConnectReturnCode::PayloadFormatInvalid => 0x99,
        ConnectReturnCode::RetainNotSupported => 0x9A,
        ConnectReturnCode::QoSNotSupported => 0x9B,
        ConnectReturnCode::UseAnotherServer => 0x9C,
        ConnectReturnCode::ServerMoved => 0x9D,
        ConnectReturnCode::ConnectionRateExceeded => 0x9F,
        older => panic!("expected a reason of 5.0, found {older:?}"),
    }
}
