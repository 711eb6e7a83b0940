//! The methods of AMQP 0-9-1 that are in use, with RabbitMQ's confirms.
//!
//! Classes, methods and fields: <https://www.rabbitmq.com/amqp-0-9-1-reference>.

use super::fields::{Fields, Value, put_long_text, put_short_text, put_table};
use super::frames::{CHANNEL, KIND_METHOD, put_frame};
use crate::config::AmqpQueue;
use crate::drivers::DriverError;

const CLASS_CONNECTION: u16 = 10;
const CLASS_CHANNEL: u16 = 20;
const CLASS_EXCHANGE: u16 = 40;
const CLASS_QUEUE: u16 = 50;
pub(super) const CLASS_BASIC: u16 = 60;
const CLASS_CONFIRM: u16 = 85;

/// How long a queue on disk is kept that nobody consumes.
pub(super) const QUEUE_UNUSED_MS_MAX: i64 = 60_000;

/// What a client asks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call<'a> {
    StartOk,
    /// Without heartbeats.
    TuneOk {
        frame_bytes_max: u32,
    },
    Open,
    OpenChannel,
    DeclareExchange {
        exchange: &'a str,
        kind: &'static str,
        queues: AmqpQueue,
    },
    DeleteExchange {
        exchange: &'a str,
    },
    DeclareQueue {
        queue: &'a str,
        kind: QueueKind,
    },
    BindQueue {
        queue: &'a str,
        exchange: &'a str,
        key: &'a str,
    },
    DeleteQueue {
        queue: &'a str,
    },
    /// Without acknowledgements.
    Consume {
        queue: &'a str,
    },
    SelectConfirms,
    /// Sets no limit: a question that is answered in its turn.
    Qos,
}

/// What kind of queue is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueKind {
    /// Gone with its connection.
    Exclusive,
    /// In memory, until it is deleted.
    Transient,
    /// On disk, until it is deleted, or unused for a while.
    Quorum,
}

impl QueueKind {
    /// A subscriber's own.
    pub(super) fn of_subscriber(queues: AmqpQueue) -> Self {
        match queues {
            AmqpQueue::Classic => Self::Exclusive,
            AmqpQueue::Quorum => Self::Quorum,
        }
    }

    /// One that outlives who declared it.
    pub(super) fn shared(queues: AmqpQueue) -> Self {
        match queues {
            AmqpQueue::Classic => Self::Transient,
            AmqpQueue::Quorum => Self::Quorum,
        }
    }

    /// Bits: 1 passive, 2 durable, 4 exclusive, 8 deleted with its last consumer, 16 no answer.
    fn bits(self) -> u8 {
        match self {
            Self::Exclusive => 4 | 8,
            Self::Transient => 0,
            Self::Quorum => 2,
        }
    }

    fn arguments(self) -> &'static [(&'static str, Value<'static>)] {
        match self {
            Self::Exclusive | Self::Transient => &[],
            Self::Quorum => &[
                ("x-expires", Value::Integer(QUEUE_UNUSED_MS_MAX)),
                ("x-queue-type", Value::Text("quorum")),
            ],
        }
    }
}

impl Call<'_> {
    /// Its channel, class and method.
    fn number(&self) -> (u16, u16, u16) {
        match self {
            Self::StartOk => (0, CLASS_CONNECTION, 11),
            Self::TuneOk { .. } => (0, CLASS_CONNECTION, 31),
            Self::Open => (0, CLASS_CONNECTION, 40),
            Self::OpenChannel => (CHANNEL, CLASS_CHANNEL, 10),
            Self::DeclareExchange { .. } => (CHANNEL, CLASS_EXCHANGE, 10),
            Self::DeleteExchange { .. } => (CHANNEL, CLASS_EXCHANGE, 20),
            Self::DeclareQueue { .. } => (CHANNEL, CLASS_QUEUE, 10),
            Self::BindQueue { .. } => (CHANNEL, CLASS_QUEUE, 20),
            Self::DeleteQueue { .. } => (CHANNEL, CLASS_QUEUE, 40),
            Self::Consume { .. } => (CHANNEL, CLASS_BASIC, 20),
            Self::SelectConfirms => (CHANNEL, CLASS_CONFIRM, 10),
            Self::Qos => (CHANNEL, CLASS_BASIC, 10),
        }
    }

    /// Appends its frame.
    pub(super) fn encode(&self, output: &mut Vec<u8>) {
        let (channel, class, method) = self.number();
        put_method(channel, class, method, output, |output| self.put_fields(output));
    }

    fn put_fields(&self, output: &mut Vec<u8>) {
        /// Stands before the names of exchanges and queues, and means nothing any more.
        const RESERVED: [u8; 2] = [0; 2];
        match *self {
            Self::StartOk => put_start_ok(output),
            Self::TuneOk { frame_bytes_max } => {
                output.extend_from_slice(&CHANNEL.to_be_bytes());
                output.extend_from_slice(&frame_bytes_max.to_be_bytes());
                output.extend_from_slice(&[0; 2]);
            }
            Self::Open => {
                put_short_text("/", output);
                output.extend_from_slice(&[0; 2]);
            }
            Self::OpenChannel | Self::SelectConfirms => output.push(0),
            Self::DeclareExchange { exchange, kind, queues } => {
                output.extend_from_slice(&RESERVED);
                put_short_text(exchange, output);
                put_short_text(kind, output);
                output.push(if queues == AmqpQueue::Quorum { 2 } else { 0 });
                put_table(&[], output);
            }
            Self::DeleteExchange { exchange } => {
                output.extend_from_slice(&RESERVED);
                put_short_text(exchange, output);
                output.push(0);
            }
            Self::DeclareQueue { queue, kind } => {
                output.extend_from_slice(&RESERVED);
                put_short_text(queue, output);
                output.push(kind.bits());
                put_table(kind.arguments(), output);
            }
            Self::BindQueue { queue, exchange, key } => {
                output.extend_from_slice(&RESERVED);
                [queue, exchange, key].iter().for_each(|text| put_short_text(text, output));
                output.push(0);
                put_table(&[], output);
            }
            Self::DeleteQueue { queue } => {
                output.extend_from_slice(&RESERVED);
                put_short_text(queue, output);
                output.push(0);
            }
            Self::Consume { queue } => {
                /// Bits: 1 not what was published here, 2 no acknowledgements, 4 alone.
                const NO_ACK: u8 = 2;
                output.extend_from_slice(&RESERVED);
                put_short_text(queue, output);
                put_short_text("", output);
                output.push(NO_ACK);
                put_table(&[], output);
            }
            Self::Qos => output.extend_from_slice(&[0; 7]),
        }
    }
}

/// Who connects, and RabbitMQ's own account, which may connect from the same machine.
fn put_start_ok(output: &mut Vec<u8>) {
    let capabilities = [("authentication_failure_close", Value::Bit(true))];
    let properties =
        [("capabilities", Value::Table(&capabilities)), ("product", Value::Text("harness"))];
    put_table(&properties, output);
    put_short_text("PLAIN", output);
    put_long_text(b"\0guest\0guest", output);
    put_short_text("en_US", output);
}

fn put_method(
    channel: u16,
    class: u16,
    method: u16,
    output: &mut Vec<u8>,
    put: impl FnOnce(&mut Vec<u8>),
) {
    put_frame(KIND_METHOD, channel, output, |output| {
        output.extend_from_slice(&class.to_be_bytes());
        output.extend_from_slice(&method.to_be_bytes());
        put(output);
    });
}

/// Whether a message that no queue takes comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mandatory {
    No,
    Yes,
}

/// The frame that says where the message behind it goes.
pub(super) fn publication(exchange: &str, key: &str, mandatory: Mandatory) -> Vec<u8> {
    let mut frame = Vec::new();
    put_method(CHANNEL, CLASS_BASIC, 40, &mut frame, |output| {
        output.extend_from_slice(&[0; 2]);
        put_short_text(exchange, output);
        put_short_text(key, output);
        output.push(u8::from(mandatory == Mandatory::Yes));
    });
    frame
}

/// The frame that a broker sends before a message, of as many bytes as RabbitMQ's.
pub(super) fn delivery(exchange: &str, key: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    put_method(CHANNEL, CLASS_BASIC, 60, &mut frame, |output| {
        put_short_text("amq.ctag-0123456789abcdefghijkl", output);
        output.extend_from_slice(&1u64.to_be_bytes());
        output.push(0);
        put_short_text(exchange, output);
        put_short_text(key, output);
    });
    frame
}

/// What a broker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method<'a> {
    Start {
        /// Ways to say who one is, between spaces.
        mechanisms: &'a [u8],
    },
    Tune {
        /// 0: any.
        frame_bytes_max: u32,
    },
    OpenOk,
    /// The connection, or the channel, is closed by the broker.
    Close {
        code: u16,
        reason: &'a [u8],
    },
    /// Whatever was asked is done.
    Granted,
    /// A message comes.
    Deliver,
    /// A message that no queue took comes back.
    Return {
        code: u16,
        reason: &'a [u8],
    },
    /// Messages are confirmed, all up to this one with `multiple`.
    Ack {
        tag: u64,
        multiple: bool,
    },
    /// Messages are lost.
    Nack {
        tag: u64,
    },
    /// News that asks for nothing, such as a broker that is short of memory and reads no more.
    News,
}

/// Decodes the body of a method's frame.
///
/// # Errors
/// [`DriverError::Unexpected`] for a method that is not in use, or is cut short.
#[inline]
pub(super) fn decode(body: &[u8]) -> Result<Method<'_>, DriverError> {
    let mut fields = Fields::new(body);
    let (class, method) = (fields.u16()?, fields.u16()?);
    Ok(match (class, method) {
        (CLASS_BASIC, 60) => Method::Deliver,
        (CLASS_BASIC, 80) => Method::Ack { tag: fields.u64()?, multiple: fields.u8()? & 1 != 0 },
        _ => return decode_other(class, method, fields),
    })
}

#[cold]
fn decode_other(
    class: u16,
    method: u16,
    mut fields: Fields<'_>,
) -> Result<Method<'_>, DriverError> {
    Ok(match (class, method) {
        (CLASS_CONNECTION, 10) => {
            let (_version, _properties) = (fields.u16()?, fields.long_text()?);
            Method::Start { mechanisms: fields.long_text()? }
        }
        (CLASS_CONNECTION, 30) => {
            let _channels_max = fields.u16()?;
            Method::Tune { frame_bytes_max: fields.u32()? }
        }
        (CLASS_CONNECTION, 41) => Method::OpenOk,
        (CLASS_CONNECTION, 50) | (CLASS_CHANNEL, 40) => {
            Method::Close { code: fields.u16()?, reason: fields.short_text()? }
        }
        // blocked, unblocked
        (CLASS_CONNECTION, 60 | 61) => Method::News,
        (CLASS_CHANNEL | CLASS_CONFIRM, 11)
        | (CLASS_EXCHANGE, 11 | 21)
        | (CLASS_QUEUE, 11 | 21 | 41)
        | (CLASS_BASIC, 11 | 21) => Method::Granted,
        (CLASS_BASIC, 50) => Method::Return { code: fields.u16()?, reason: fields.short_text()? },
        (CLASS_BASIC, 120) => Method::Nack { tag: fields.u64()? },
        other => {
            return Err(DriverError::unexpected("a method that is in use", &other));
        }
    })
}

/// A refusal by AMQP's reply code, e.g. 404.
#[cold]
pub(super) fn refused(code: u16, reason: &[u8]) -> DriverError {
    let message = String::from_utf8_lossy(reason).into_owned();
    DriverError::Refused { code: format!("amqp_{code}"), message }
}
