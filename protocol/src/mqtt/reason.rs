//! Reason codes: how an operation went.

/// Declares [`ReasonCode`] and the way back from its numbers from one table.
macro_rules! reason_codes {
    ($($(#[$doc:meta])+ $name:ident = $number:literal,)+) => {
        /// How an operation went (MQTT 5.0 §2.4). Numbers from 0x80 on are failures.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ReasonCode {
            $($(#[$doc])+ $name = $number,)+
        }

        impl ReasonCode {
            /// The reason that `number` names, if one does.
            #[must_use]
            pub fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}

reason_codes! {
    /// It was done. Also a normal disconnection, and granted QoS 0.
    Success = 0x00,
    /// Subscribed, with at most QoS 1.
    GrantedQoS1 = 0x01,
    /// Subscribed, with at most QoS 2.
    GrantedQoS2 = 0x02,
    /// The client goes, and its will is to be published.
    DisconnectWithWill = 0x04,
    /// Accepted, though nobody subscribes to it.
    NoMatchingSubscribers = 0x10,
    /// There was nothing to unsubscribe from.
    NoSubscriptionExisted = 0x11,
    /// Authentication goes on.
    ContinueAuthentication = 0x18,
    /// Authentication starts anew.
    ReAuthenticate = 0x19,
    /// It failed, and why is not said.
    UnspecifiedError = 0x80,
    /// A packet that cannot be parsed.
    MalformedPacket = 0x81,
    /// A packet out of order, or with what the protocol does not allow.
    ProtocolError = 0x82,
    /// Valid, but not accepted by this server.
    ImplementationSpecificError = 0x83,
    /// The server does not speak this version.
    UnsupportedProtocolVersion = 0x84,
    /// The client id is not allowed.
    ClientIdentifierNotValid = 0x85,
    /// User name or password are not accepted.
    BadUserNameOrPassword = 0x86,
    /// The client may not do this.
    NotAuthorized = 0x87,
    /// The server is not available.
    ServerUnavailable = 0x88,
    /// The server is busy; try again later.
    ServerBusy = 0x89,
    /// The client is banned.
    Banned = 0x8A,
    /// The server is shutting down.
    ServerShuttingDown = 0x8B,
    /// The authentication method is unknown, or is not the one in use.
    BadAuthenticationMethod = 0x8C,
    /// Nothing came for one and a half times the keep-alive.
    KeepAliveTimeout = 0x8D,
    /// Another connection uses this client id now.
    SessionTakenOver = 0x8E,
    /// The topic filter is well formed, but not accepted.
    TopicFilterInvalid = 0x8F,
    /// The topic name is well formed, but not accepted.
    TopicNameInvalid = 0x90,
    /// The packet id is in use already.
    PacketIdentifierInUse = 0x91,
    /// The packet id is not known.
    PacketIdentifierNotFound = 0x92,
    /// More publications are unacknowledged than the receiver allows.
    ReceiveMaximumExceeded = 0x93,
    /// The topic alias is zero, over the maximum, or names no topic.
    TopicAliasInvalid = 0x94,
    /// The packet is larger than the receiver allows.
    PacketTooLarge = 0x95,
    /// Messages come too fast.
    MessageRateTooHigh = 0x96,
    /// A limit of the implementation or of the administrator is reached.
    QuotaExceeded = 0x97,
    /// The administrator closes the connection.
    AdministrativeAction = 0x98,
    /// The payload is not what its format indicator says.
    PayloadFormatInvalid = 0x99,
    /// The server does not retain messages.
    RetainNotSupported = 0x9A,
    /// The QoS is over the maximum.
    QoSNotSupported = 0x9B,
    /// Use another server for now.
    UseAnotherServer = 0x9C,
    /// Use another server from now on.
    ServerMoved = 0x9D,
    /// The server has no shared subscriptions.
    SharedSubscriptionsNotSupported = 0x9E,
    /// Connections come too fast.
    ConnectionRateExceeded = 0x9F,
    /// The connection has lasted as long as it may.
    MaximumConnectTime = 0xA0,
    /// The server has no subscription identifiers.
    SubscriptionIdentifiersNotSupported = 0xA1,
    /// The server has no wildcard subscriptions.
    WildcardSubscriptionsNotSupported = 0xA2,
}

impl ReasonCode {
    /// Its number on the wire.
    #[inline]
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Whether it says that something failed.
    #[must_use]
    pub fn is_failure(self) -> bool {
        self.number() >= 0x80
    }

    /// The return code that says this, or the nearest, in a CONNACK before 5.0 (MQTT 3.1.1
    /// §3.2.2.3).
    #[must_use]
    pub fn connack_return_code(self) -> u8 {
        match self {
            Self::UnsupportedProtocolVersion => 1,
            Self::ClientIdentifierNotValid => 2,
            Self::BadUserNameOrPassword => 4,
            Self::NotAuthorized | Self::Banned | Self::BadAuthenticationMethod => 5,
            failure if failure.is_failure() => 3,
            _ => 0,
        }
    }

    /// The reason that a return code in a CONNACK before 5.0 gives.
    pub(super) fn from_connack_return_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Success),
            1 => Some(Self::UnsupportedProtocolVersion),
            2 => Some(Self::ClientIdentifierNotValid),
            3 => Some(Self::ServerUnavailable),
            4 => Some(Self::BadUserNameOrPassword),
            5 => Some(Self::NotAuthorized),
            _ => None,
        }
    }
}

/// Which reasons each packet may give.
pub(super) mod allowed {
    /// MQTT 5.0 §3.2.2.2.
    pub(in super::super) const CONNACK: &[u8] = &[
        0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95,
        0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
    ];
    /// MQTT 5.0 §3.4.2.1 and §3.5.2.1.
    pub(in super::super) const PUBACK_AND_PUBREC: &[u8] =
        &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
    /// MQTT 5.0 §3.6.2.1 and §3.7.2.1.
    pub(in super::super) const PUBREL_AND_PUBCOMP: &[u8] = &[0x00, 0x92];
    /// MQTT 5.0 §3.9.3.
    pub(in super::super) const SUBACK: &[u8] =
        &[0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2];
    /// MQTT 3.1.1 §3.9.3.
    pub(in super::super) const SUBACK_BEFORE_V5: &[u8] = &[0x00, 0x01, 0x02, 0x80];
    /// MQTT 5.0 §3.11.3.
    pub(in super::super) const UNSUBACK: &[u8] = &[0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];
    /// MQTT 5.0 §3.14.2.1; 0x8C is not in its table, but is in that of §2.4.
    pub(in super::super) const DISCONNECT: &[u8] = &[
        0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x93,
        0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
    ];
    /// MQTT 5.0 §3.15.2.1.
    pub(in super::super) const AUTH: &[u8] = &[0x00, 0x18, 0x19];
}
