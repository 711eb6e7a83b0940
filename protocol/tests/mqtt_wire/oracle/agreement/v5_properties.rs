//! The properties of a packet of MQTT 5.0, as `rumqttc` has them.

use protocol::mqtt::Property;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, Connect, Disconnect, LastWill, PubAck, PubComp, PubRec, PubRel, Publish, SubAck,
    Subscribe, UnsubAck, Unsubscribe,
};

pub(super) type Words<'a> = Vec<Property<'a>>;

/// Those of `rumqttc`'s fields that are there, as properties.
struct Collected<'a>(Words<'a>);

impl<'a> Collected<'a> {
    fn new(user_properties: &'a [(String, String)]) -> Self {
        let pair = |(name, value): &'a (String, String)| Property::UserProperty(name, value);
        Self(user_properties.iter().map(pair).collect())
    }

    fn add<T>(mut self, value: Option<T>, property: impl Fn(T) -> Property<'a>) -> Self {
        self.0.extend(value.map(property));
        self
    }

    fn add_text(self, value: &'a Option<String>, property: fn(&'a str) -> Property<'a>) -> Self {
        self.add(value.as_deref(), property)
    }

    fn add_flag(self, value: Option<u8>, property: fn(bool) -> Property<'a>) -> Self {
        self.add(value, |number| property(number != 0))
    }
}

pub(super) fn connect(connect: &Connect) -> Words<'_> {
    let Some(all) = &connect.properties else { return Words::new() };
    Collected::new(&all.user_properties)
        .add(all.session_expiry_interval, Property::SessionExpiryIntervalS)
        .add(all.receive_maximum, Property::ReceiveMaximum)
        .add(all.max_packet_size, Property::MaximumPacketSize)
        .add(all.topic_alias_max, Property::TopicAliasMaximum)
        .add_flag(all.request_response_info, Property::RequestResponseInformation)
        .add_flag(all.request_problem_info, Property::RequestProblemInformation)
        .add_text(&all.authentication_method, Property::AuthenticationMethod)
        .add(all.authentication_data.as_deref(), Property::AuthenticationData)
        .0
}

pub(super) fn will(will: &LastWill) -> Words<'_> {
    let Some(all) = &will.properties else { return Words::new() };
    Collected::new(&all.user_properties)
        .add(all.delay_interval, Property::WillDelayIntervalS)
        .add(all.payload_format_indicator, Property::PayloadFormatIndicator)
        .add(all.message_expiry_interval, Property::MessageExpiryIntervalS)
        .add_text(&all.content_type, Property::ContentType)
        .add_text(&all.response_topic, Property::ResponseTopic)
        .add(all.correlation_data.as_deref(), Property::CorrelationData)
        .0
}

pub(super) fn connack(ack: &ConnAck) -> Words<'_> {
    let Some(all) = &ack.properties else { return Words::new() };
    Collected::new(&all.user_properties)
        .add(all.session_expiry_interval, Property::SessionExpiryIntervalS)
        .add(all.receive_max, Property::ReceiveMaximum)
        .add(all.max_qos, Property::MaximumQoS)
        .add_flag(all.retain_available, Property::RetainAvailable)
        .add(all.max_packet_size, Property::MaximumPacketSize)
        .add_text(&all.assigned_client_identifier, Property::AssignedClientIdentifier)
        .add(all.topic_alias_max, Property::TopicAliasMaximum)
        .add_text(&all.reason_string, Property::ReasonString)
        .add_flag(all.wildcard_subscription_available, Property::WildcardSubscriptionAvailable)
        .add_flag(
            all.subscription_identifiers_available,
            Property::SubscriptionIdentifiersAvailable,
        )
        .add_flag(all.shared_subscription_available, Property::SharedSubscriptionAvailable)
        .add(all.server_keep_alive, Property::ServerKeepAliveS)
        .add_text(&all.response_information, Property::ResponseInformation)
        .add_text(&all.server_reference, Property::ServerReference)
        .add_text(&all.authentication_method, Property::AuthenticationMethod)
        .add(all.authentication_data.as_deref(), Property::AuthenticationData)
        .0
}

pub(super) fn publish(publish: &Publish) -> Words<'_> {
    let Some(all) = &publish.properties else { return Words::new() };
    let mut collected = Collected::new(&all.user_properties)
        .add(all.payload_format_indicator, Property::PayloadFormatIndicator)
        .add(all.message_expiry_interval, Property::MessageExpiryIntervalS)
        .add(all.topic_alias, Property::TopicAlias)
        .add_text(&all.response_topic, Property::ResponseTopic)
        .add(all.correlation_data.as_deref(), Property::CorrelationData)
        .add_text(&all.content_type, Property::ContentType);
    for id in &all.subscription_identifiers {
        collected = collected.add(Some(*id), subscription);
    }
    collected.0
}

pub(super) fn subscribe(subscribe: &Subscribe) -> Words<'_> {
    let Some(all) = &subscribe.properties else { return Words::new() };
    Collected::new(&all.user_properties).add(all.id, subscription).0
}

pub(super) fn unsubscribe(unsubscribe: &Unsubscribe) -> Words<'_> {
    let Some(all) = &unsubscribe.properties else { return Words::new() };
    Collected::new(&all.user_properties).0
}

pub(super) fn disconnect(disconnect: &Disconnect) -> Words<'_> {
    let Some(all) = &disconnect.properties else { return Words::new() };
    Collected::new(&all.user_properties)
        .add(all.session_expiry_interval, Property::SessionExpiryIntervalS)
        .add_text(&all.reason_string, Property::ReasonString)
        .add_text(&all.server_reference, Property::ServerReference)
        .0
}

fn subscription<'a>(id: usize) -> Property<'a> {
    Property::SubscriptionIdentifier(u32::try_from(id).expect("four bytes hold no more"))
}

/// The acknowledgements, which `rumqttc` gives a type each, have the same two properties.
macro_rules! acknowledgements {
    ($($name:ident: $packet:ident,)+) => {$(
        pub(super) fn $name(ack: &$packet) -> Words<'_> {
            let Some(all) = &ack.properties else { return Words::new() };
            Collected::new(&all.user_properties)
                .add_text(&all.reason_string, Property::ReasonString)
                .0
        }
    )+};
}

acknowledgements! {
    puback: PubAck,
    pubrec: PubRec,
    pubrel: PubRel,
    pubcomp: PubComp,
    suback: SubAck,
    unsuback: UnsubAck,
}
