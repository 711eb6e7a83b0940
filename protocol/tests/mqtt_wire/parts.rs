//! Every packet there is, made of the same few parts.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::mqtt::{
    Ack, Auth, ConnAck, Connect, Disconnect, Packet, PacketId, Properties, Property, Publish, QoS,
    ReasonCode, RetainHandling, SubAck, Subscribe, SubscribeFilters, SubscribeOptions, UnsubAck,
    Unsubscribe, UnsubscribeFilters, Version, Will,
};

/// What packets are made of.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    /// Without wildcards, and not empty.
    pub(crate) topic: String,
    /// Not empty.
    pub(crate) filter: String,
    pub(crate) text: String,
    pub(crate) value: String,
    pub(crate) bytes: Vec<u8>,
    /// Not zero.
    pub(crate) short: u16,
    /// Not zero.
    pub(crate) long: u32,
    pub(crate) qos: QoS,
    pub(crate) flags: [bool; 4],
    /// A bit for each property that a packet has of those that it may have.
    pub(crate) present: u32,
    /// Chooses the reason among those that a packet may give.
    pub(crate) reason: usize,
}

pub(crate) fn parts() -> impl Strategy<Value = Parts> {
    let topic = "[^\u{0}+#]{1,20}";
    let text = "[^\u{0}]{0,20}";
    let texts = (topic, "[^\u{0}]{1,20}", text, text, vec(any::<u8>(), 0..200));
    let numbers =
        (1..=u16::MAX, 1..=u32::MAX, 0u8..3, any::<[bool; 4]>(), any::<u32>(), 0usize..99);
    (texts, numbers).prop_map(|(texts, numbers)| {
        let (topic, filter, text, value, bytes) = texts;
        let (short, long, qos, flags, present, reason) = numbers;
        let qos = QoS::from_number(qos).expect("there are three");
        Parts { topic, filter, text, value, bytes, short, long, qos, flags, present, reason }
    })
}

/// The encoded properties and filters of the packets made of some parts.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    connect: Vec<u8>,
    will: Vec<u8>,
    connack: Vec<u8>,
    publish: Vec<u8>,
    ack: Vec<u8>,
    subscribe: Vec<u8>,
    unsubscribe: Vec<u8>,
    disconnect: Vec<u8>,
    auth: Vec<u8>,
    subscribe_filters: Vec<u8>,
    unsubscribe_filters: Vec<u8>,
}

impl Parts {
    /// Encodes what packets of `version` borrow.
    pub(crate) fn runs(&self, version: Version) -> Runs {
        let mut runs = Runs::default();
        for _ in 0..=self.reason % 3 {
            SubscribeFilters::encode(
                &self.filter,
                self.options(version),
                &mut runs.subscribe_filters,
            );
            UnsubscribeFilters::encode(&self.filter, &mut runs.unsubscribe_filters);
        }
        if version.is_v5() {
            self.add_properties(&mut runs);
        }
        runs
    }

    fn add_properties(&self, runs: &mut Runs) {
        let flag = self.flags[0];
        let user = Property::UserProperty(&self.text, &self.value);
        let method = Property::AuthenticationMethod(&self.text);
        let data = Property::AuthenticationData(&self.bytes);
        let reason = Property::ReasonString(&self.value);
        let session_expiry = Property::SessionExpiryIntervalS(self.long);
        let receive_maximum = Property::ReceiveMaximum(self.short);
        let alias_maximum = Property::TopicAliasMaximum(self.short);
        let packet_size = Property::MaximumPacketSize(self.long);
        let subscription = Property::SubscriptionIdentifier((self.long >> 4).max(1));
        let message = [
            Property::PayloadFormatIndicator(u8::from(flag)),
            Property::MessageExpiryIntervalS(self.long),
            Property::ContentType(&self.text),
            Property::ResponseTopic(&self.topic),
            Property::CorrelationData(&self.bytes),
            user,
        ];
        let delay = Property::WillDelayIntervalS(self.long);
        runs.will = self.chosen(&[&message[..], &[delay, user]].concat());
        let alias = Property::TopicAlias(self.short);
        runs.publish =
            self.chosen(&[&message[..], &[alias, subscription, user, subscription]].concat());
        runs.connect = self.chosen(&[
            session_expiry,
            Property::RequestProblemInformation(flag),
            Property::RequestResponseInformation(flag),
            receive_maximum,
            alias_maximum,
            user,
            packet_size,
            user,
            method,
            data,
        ]);
        runs.connack = self.chosen(&[
            session_expiry,
            Property::AssignedClientIdentifier(&self.text),
            Property::ServerKeepAliveS(self.short),
            Property::ResponseInformation(&self.text),
            Property::ServerReference(&self.text),
            reason,
            receive_maximum,
            alias_maximum,
            Property::MaximumQoS(u8::from(flag)),
            Property::RetainAvailable(flag),
            user,
            packet_size,
            Property::WildcardSubscriptionAvailable(flag),
            Property::SubscriptionIdentifiersAvailable(flag),
            Property::SharedSubscriptionAvailable(flag),
            method,
            data,
        ]);
        runs.ack = self.chosen(&[reason, user, user]);
        runs.subscribe = self.chosen(&[user, subscription, user]);
        runs.unsubscribe = self.chosen(&[user, user]);
        let reference = Property::ServerReference(&self.text);
        runs.disconnect = self.chosen(&[session_expiry, reason, user, reference]);
        method.encode(&mut runs.auth);
        runs.auth.extend(self.chosen(&[data, reason, user]));
    }

    /// Those of `allowed` that are there; authentication data only with its method.
    fn chosen(&self, allowed: &[Property<'_>]) -> Vec<u8> {
        let has_method =
            |property: &Property<'_>| matches!(property, Property::AuthenticationMethod(_));
        let mut without_method = allowed.iter().any(has_method);
        let mut run = Vec::new();
        for (index, property) in allowed.iter().enumerate() {
            let is_data = matches!(property, Property::AuthenticationData(_));
            if self.present >> index & 1 == 0 || is_data && without_method {
                continue;
            }
            without_method &= !has_method(property);
            property.encode(&mut run);
        }
        run
    }

    fn options(&self, version: Version) -> SubscribeOptions {
        if !version.is_v5() {
            return SubscribeOptions::of_qos(self.qos);
        }
        SubscribeOptions {
            qos: self.qos,
            no_local: self.flags[1] && !self.filter.starts_with("$share/"),
            retain_as_published: self.flags[2],
            retain_handling: match self.short % 3 {
                0 => RetainHandling::SendAtSubscribe,
                1 => RetainHandling::SendIfNew,
                _ => RetainHandling::DoNotSend,
            },
        }
    }

    /// One of `reasons`; before 5.0, the first.
    fn reason(&self, version: Version, reasons: &[ReasonCode]) -> ReasonCode {
        if version.is_v5() { reasons[self.reason % reasons.len()] } else { reasons[0] }
    }

    /// A packet of each type that `version` has, in the order of their types.
    pub(crate) fn packets<'a>(&'a self, runs: &'a Runs, version: Version) -> Vec<Packet<'a>> {
        use ReasonCode::*;
        let packet_id = PacketId::new(self.short).expect("short is not zero");
        let ack = |reasons: &[ReasonCode]| Ack {
            packet_id,
            reason: self.reason(version, reasons),
            properties: Properties::trusted(&runs.ack),
        };
        let (granted, removed): (&[u8], &[u8]) = match version {
            Version::V31 | Version::V311 => (&[0, 1, 2, 0x80], &[]),
            Version::V5 => (&[0, 1, 2, 0x80, 0x87, 0xA2], &[0, 0x11, 0x80, 0x8F]),
        };
        let received = [Success, NoMatchingSubscribers, NotAuthorized, QuotaExceeded];
        let released = [Success, PacketIdentifierNotFound];
        let mut packets = vec![
            Packet::Connect(self.connect(runs, version)),
            Packet::ConnAck(self.connack(runs, version)),
            Packet::Publish(self.publish(runs)),
            Packet::PubAck(ack(&received)),
            Packet::PubRec(ack(&received)),
            Packet::PubRel(ack(&released)),
            Packet::PubComp(ack(&released)),
            Packet::Subscribe(Subscribe {
                packet_id,
                properties: Properties::trusted(&runs.subscribe),
                filters: SubscribeFilters::trusted(&runs.subscribe_filters),
            }),
            Packet::SubAck(SubAck {
                packet_id,
                properties: Properties::trusted(&runs.ack),
                reasons: &granted[self.reason % granted.len()..],
            }),
            Packet::Unsubscribe(Unsubscribe {
                packet_id,
                properties: Properties::trusted(&runs.unsubscribe),
                filters: UnsubscribeFilters::trusted(&runs.unsubscribe_filters),
            }),
            Packet::UnsubAck(UnsubAck {
                packet_id,
                properties: Properties::trusted(&runs.ack),
                reasons: removed,
            }),
            Packet::PingReq,
            Packet::PingResp,
            Packet::Disconnect(Disconnect {
                reason: self.reason(version, &[Success, DisconnectWithWill, KeepAliveTimeout]),
                properties: Properties::trusted(&runs.disconnect),
            }),
        ];
        if version.is_v5() {
            packets.push(Packet::Auth(Auth {
                reason: self.reason(version, &[Success, ContinueAuthentication, ReAuthenticate]),
                properties: Properties::trusted(&runs.auth),
            }));
        }
        packets
    }

    fn connect<'a>(&'a self, runs: &'a Runs, version: Version) -> Connect<'a> {
        let will = Will {
            qos: self.qos,
            retain: self.flags[1],
            topic: &self.topic,
            payload: &self.bytes,
            properties: Properties::trusted(&runs.will),
        };
        let user_name = Some(self.value.as_str()).filter(|_| self.flags[2]);
        Connect {
            version,
            clean_start: self.flags[0],
            keep_alive_s: self.short,
            client_id: &self.text,
            will: Some(will).filter(|_| self.flags[3]),
            user_name,
            password: Some(self.text.as_bytes())
                .filter(|_| self.flags[1] && (version.is_v5() || user_name.is_some())),
            properties: Properties::trusted(&runs.connect),
        }
    }

    fn connack<'a>(&'a self, runs: &'a Runs, version: Version) -> ConnAck<'a> {
        use ReasonCode::*;
        let reasons = [Success, UnsupportedProtocolVersion, NotAuthorized, ServerUnavailable];
        let newer = [Success, Banned, PacketTooLarge, ConnectionRateExceeded];
        let reason = match version {
            Version::V31 | Version::V311 => reasons[self.reason % reasons.len()],
            Version::V5 => newer[self.reason % newer.len()],
        };
        ConnAck {
            session_present: self.flags[0] && reason == Success,
            reason,
            properties: Properties::trusted(&runs.connack),
        }
    }

    fn publish<'a>(&'a self, runs: &'a Runs) -> Publish<'a> {
        let acknowledged = self.qos != QoS::AtMostOnce;
        Publish {
            dup: self.flags[0] && acknowledged,
            qos: self.qos,
            retain: self.flags[1],
            topic: &self.topic,
            packet_id: PacketId::new(self.short).filter(|_| acknowledged),
            properties: Properties::trusted(&runs.publish),
            payload: &self.bytes,
        }
    }
}
