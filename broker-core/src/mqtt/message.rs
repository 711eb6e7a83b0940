//! A message between MQTT's form and that of a topic's log.
//!
//! What MQTT says of a message beside its topic and payload is in its record's headers, so that it
//! comes out as it went in, and the other protocols see it:
//!
//! ```text
//! "mqtt"                   flags u16 | [publisher u64] | [expires at, Unix ms u64]
//! "mqtt.content-type"      text
//! "mqtt.response-topic"    text
//! "mqtt.correlation-data"  bytes
//! any others               user properties, in their order
//! ```
//!
//! Integers are little-endian; which of the first four are there, in this order, the flags say:
//!
//! | bits | meaning |
//! |---|---|
//! | 0–1 | quality of service that it was published with |
//! | 2 | retain |
//! | 3, 4 | the publisher, the time of expiry is there |
//! | 5, 6 | a payload format indicator is there, and is 1 |
//! | 7, 8, 9 | content type, response topic, correlation data are there |
//!
//! A message without the first of them came by another protocol; its headers are user properties.

use protocol::Refusal;
use protocol::batch::{BatchBuilder, Headers, Record};
use protocol::mqtt::{Property, Publish, QoS};

const KEY: &str = "mqtt";
const CONTENT_TYPE: &str = "mqtt.content-type";
const RESPONSE_TOPIC: &str = "mqtt.response-topic";
const CORRELATION_DATA: &str = "mqtt.correlation-data";

const QOS: u16 = 3;
const RETAIN: u16 = 1 << 2;
const PUBLISHER: u16 = 1 << 3;
const EXPIRES: u16 = 1 << 4;
const FORMAT: u16 = 1 << 5;
const FORMAT_TEXT: u16 = 1 << 6;
const HAS_CONTENT_TYPE: u16 = 1 << 7;
const HAS_RESPONSE_TOPIC: u16 = 1 << 8;
const HAS_CORRELATION_DATA: u16 = 1 << 9;

/// Headers with [`KEY`] alone and two bytes of flags, which are most.
const PLAIN: [u8; PLAIN_BYTES] = *b"\x04\0mqtt\x02\0\0\0";
const PLAIN_BYTES: usize = 10;

/// The longest value of the header [`KEY`].
const HEAD_BYTES_MAX: usize = 18;

/// A message as MQTT sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    flags: u16,
    publisher: Option<u64>,
    expires_unix_ms: Option<u64>,
    /// All headers behind the first.
    headers: Headers<'a>,
    pub(crate) payload: &'a [u8],
}

/// When and by whom a message was published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// The client, where anyone asks to be told of its own messages apart.
    pub(crate) publisher: Option<u64>,
    pub(crate) unix_ms: u64,
}

impl<'a> Message<'a> {
    #[inline]
    pub(crate) fn of(record: Record<'a>) -> Self {
        let headers = record.headers.bytes();
        if headers.len() == PLAIN_BYTES && headers[..PLAIN_BYTES - 2] == PLAIN[..PLAIN_BYTES - 2] {
            let flags = u16::from_le_bytes([headers[PLAIN_BYTES - 2], headers[PLAIN_BYTES - 1]]);
            if flags & !(QOS | RETAIN) == 0 {
                return Self {
                    flags,
                    publisher: None,
                    expires_unix_ms: None,
                    headers: Headers::default(),
                    payload: record.payload,
                };
            }
        }
        Self::with_more(record)
    }

    fn with_more(record: Record<'a>) -> Self {
        let mut headers = record.headers;
        let found = match headers.next() {
            Some((KEY, head)) => read_head(head),
            _ => None,
        };
        match found {
            Some((flags, publisher, expires_unix_ms)) => {
                Self { flags, publisher, expires_unix_ms, headers, payload: record.payload }
            }
            // Whoever published it was promised as much as the topic promises.
            None => Self {
                flags: QoS::ExactlyOnce.number().into(),
                publisher: None,
                expires_unix_ms: None,
                headers: record.headers,
                payload: record.payload,
            },
        }
    }

    /// The quality of service that it was published with.
    pub(crate) fn qos(&self) -> QoS {
        QoS::from_number((self.flags & QOS) as u8).unwrap_or(QoS::ExactlyOnce)
    }

    /// Whether it was published to be retained.
    pub(crate) fn retain(&self) -> bool {
        self.flags & RETAIN != 0
    }

    /// Whether this client published it.
    pub(crate) fn is_from(&self, client: u64) -> bool {
        self.publisher == Some(client)
    }

    /// Whether it has nothing but a payload and flags.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.flags & !(QOS | RETAIN) == 0 && self.headers.is_empty()
    }

    /// Whether it is too old to be delivered (MQTT 5.0 §3.3.2.3.3).
    pub(crate) fn is_expired(&self, unix_ms: u64) -> bool {
        self.expires_unix_ms.is_some_and(|expires| expires <= unix_ms)
    }

    /// Whether it has properties that a client of MQTT 5.0 is told.
    pub(crate) fn has_properties(&self) -> bool {
        self.flags & !(QOS | RETAIN | PUBLISHER) != 0 || !self.headers.is_empty()
    }

    /// Writes the properties that a client of MQTT 5.0 is told, the time to expiry as it is then.
    pub(crate) fn put_properties(&self, unix_ms: u64, out: &mut Vec<u8>) {
        if self.flags & FORMAT != 0 {
            let format = u8::from(self.flags & FORMAT_TEXT != 0);
            Property::PayloadFormatIndicator(format).encode(out);
        }
        if let Some(expires) = self.expires_unix_ms {
            let left_s = expires.saturating_sub(unix_ms).div_ceil(1000);
            let left_s = u32::try_from(left_s).unwrap_or(u32::MAX);
            Property::MessageExpiryIntervalS(left_s).encode(out);
        }
        let mut headers = self.headers;
        let mut next = |flag: u16| {
            if self.flags & flag == 0 { None } else { headers.next().map(|(_, value)| value) }
        };
        if let Some(value) = next(HAS_CONTENT_TYPE).and_then(text) {
            Property::ContentType(value).encode(out);
        }
        if let Some(value) = next(HAS_RESPONSE_TOPIC).and_then(text) {
            Property::ResponseTopic(value).encode(out);
        }
        if let Some(value) = next(HAS_CORRELATION_DATA) {
            Property::CorrelationData(value).encode(out);
        }
        for (key, value) in headers {
            // Other protocols may have headers that are no text.
            if let Some(value) = text(value).filter(|_| !key.contains('\0')) {
                Property::UserProperty(key, value).encode(out);
            }
        }
    }
}

/// Text that MQTT can carry.
fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| !text.contains('\0'))
}

fn read_head(head: &[u8]) -> Option<(u16, Option<u64>, Option<u64>)> {
    let (flags, mut rest) = head.split_first_chunk::<2>()?;
    let flags = u16::from_le_bytes(*flags);
    let mut number = |flag: u16| {
        if flags & flag == 0 {
            return Some(None);
        }
        let (number, tail) = rest.split_first_chunk::<8>()?;
        rest = tail;
        Some(Some(u64::from_le_bytes(*number)))
    };
    let publisher = number(PUBLISHER)?;
    let expires = number(EXPIRES)?;
    rest.is_empty().then_some((flags, publisher, expires))
}

/// Adds a message to a batch.
///
/// # Errors
/// Where it is larger than a record can say.
pub(crate) fn push(
    publish: &Publish<'_>,
    origin: Origin,
    builder: &mut BatchBuilder,
) -> Result<(), Refusal> {
    let mut flags = u16::from(publish.qos.number());
    if publish.retain {
        flags |= RETAIN;
    }
    if publish.properties.is_empty() && origin.publisher.is_none() {
        return builder.push_written(&plain(flags), publish.payload);
    }
    let properties = publish.properties;
    let mut expires = None;
    let (mut content_type, mut response_topic, mut correlation_data) = (None, None, None);
    for property in properties.iter() {
        match property {
            Property::PayloadFormatIndicator(format) => {
                flags |= FORMAT | if format == 1 { FORMAT_TEXT } else { 0 };
            }
            Property::MessageExpiryIntervalS(seconds) => {
                expires = Some(origin.unix_ms + u64::from(seconds) * 1000);
            }
            Property::ContentType(value) => {
                content_type = Some((CONTENT_TYPE, value.as_bytes()));
                flags |= HAS_CONTENT_TYPE;
            }
            Property::ResponseTopic(value) => {
                response_topic = Some((RESPONSE_TOPIC, value.as_bytes()));
                flags |= HAS_RESPONSE_TOPIC;
            }
            Property::CorrelationData(value) => {
                correlation_data = Some((CORRELATION_DATA, value));
                flags |= HAS_CORRELATION_DATA;
            }
            _ => {}
        }
    }
    let head = Head::new(flags, origin.publisher, expires);
    let user = properties.iter().filter_map(|property| match property {
        Property::UserProperty(key, value) => Some((key, value.as_bytes())),
        _ => None,
    });
    let known = content_type.into_iter().chain(response_topic).chain(correlation_data);
    builder.push_with_headers(
        [(KEY, head.bytes())].into_iter().chain(known).chain(user),
        publish.payload,
    )
}

/// The headers of a message that has nothing but flags, as they are written.
#[inline]
fn plain(flags: u16) -> [u8; PLAIN_BYTES] {
    let mut headers = PLAIN;
    headers[PLAIN_BYTES - 2..].copy_from_slice(&flags.to_le_bytes());
    headers
}

/// The value of the header [`KEY`].
struct Head {
    bytes: [u8; HEAD_BYTES_MAX],
    length: usize,
}

impl Head {
    fn new(flags: u16, publisher: Option<u64>, expires: Option<u64>) -> Self {
        let mut head = Self { bytes: [0; HEAD_BYTES_MAX], length: 0 };
        let flags = flags
            | if publisher.is_some() { PUBLISHER } else { 0 }
            | if expires.is_some() { EXPIRES } else { 0 };
        head.put(&flags.to_le_bytes());
        for number in [publisher, expires].into_iter().flatten() {
            head.put(&number.to_le_bytes());
        }
        head
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
