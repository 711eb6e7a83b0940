//! The value of each property that comes at most once.

use super::{Properties, Property};

macro_rules! getters {
    ($($(#[$doc:meta])+ $name:ident: $property:ident -> $value:ty,)+) => {
        impl<'a> Properties<'a> {
            $(
                $(#[$doc])+
                #[must_use]
                pub fn $name(self) -> Option<$value> {
                    self.iter().find_map(|property| match property {
                        Property::$property(value) => Some(value),
                        _ => None,
                    })
                }
            )+
        }
    };
}

getters! {
    /// Whether the payload is text, 1, or just bytes, 0.
    payload_format_indicator: PayloadFormatIndicator -> u8,
    /// How long the message matters, in seconds.
    message_expiry_interval_s: MessageExpiryIntervalS -> u32,
    /// What the payload is.
    content_type: ContentType -> &'a str,
    /// Where the answer is expected.
    response_topic: ResponseTopic -> &'a str,
    /// What tells which request an answer is for.
    correlation_data: CorrelationData -> &'a [u8],
    /// The subscription's number; in a PUBLISH, the first of those that matched.
    subscription_identifier: SubscriptionIdentifier -> u32,
    /// How long the session outlives its connection, in seconds; `u32::MAX` is for ever.
    session_expiry_interval_s: SessionExpiryIntervalS -> u32,
    /// The client id that the server chose.
    assigned_client_identifier: AssignedClientIdentifier -> &'a str,
    /// The keep-alive that the server wants, in seconds.
    server_keep_alive_s: ServerKeepAliveS -> u16,
    /// How the client proves who it is.
    authentication_method: AuthenticationMethod -> &'a str,
    /// What the authentication method defines.
    authentication_data: AuthenticationData -> &'a [u8],
    /// Whether the client wants to be told reasons; it does unless it says otherwise.
    request_problem_information: RequestProblemInformation -> bool,
    /// How long the will waits, in seconds.
    will_delay_interval_s: WillDelayIntervalS -> u32,
    /// Whether the client wants response information; it does not unless it says so.
    request_response_information: RequestResponseInformation -> bool,
    /// What response topics may start with.
    response_information: ResponseInformation -> &'a str,
    /// Which server to use instead.
    server_reference: ServerReference -> &'a str,
    /// Why, for people to read.
    reason_string: ReasonString -> &'a str,
    /// How many publications may be unacknowledged; 65535 where it is not said.
    receive_maximum: ReceiveMaximum -> u16,
    /// The largest topic alias that the sender takes; none where it is not said.
    topic_alias_maximum: TopicAliasMaximum -> u16,
    /// The number that stands for the topic name.
    topic_alias: TopicAlias -> u16,
    /// The highest QoS that the server takes; 2 where it is not said.
    maximum_qos: MaximumQoS -> u8,
    /// Whether the server retains messages; it does unless it says otherwise.
    retain_available: RetainAvailable -> bool,
    /// The largest packet that the sender takes, in bytes; any where it is not said.
    maximum_packet_size: MaximumPacketSize -> u32,
    /// Whether the server has wildcard subscriptions; it does unless it says otherwise.
    wildcard_subscription_available: WildcardSubscriptionAvailable -> bool,
    /// Whether the server has subscription identifiers; it does unless it says otherwise.
    subscription_identifiers_available: SubscriptionIdentifiersAvailable -> bool,
    /// Whether the server has shared subscriptions; it does unless it says otherwise.
    shared_subscription_available: SharedSubscriptionAvailable -> bool,
}

impl<'a> Properties<'a> {
    /// The names and values of the application's own, in order.
    pub fn user_properties(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.iter().filter_map(|property| match property {
            Property::UserProperty(name, value) => Some((name, value)),
            _ => None,
        })
    }
}
