//! Requests as frames: their kinds and flags.

mod decode;
mod encode;

pub use decode::decode_request;
pub use encode::encode_request;

mod kind {
    pub(super) const PUBLISH: u8 = 0x01;
    pub(super) const CREATE: u8 = 0x02;
    pub(super) const DELETE: u8 = 0x03;
    pub(super) const SUBSCRIBE: u8 = 0x04;
    pub(super) const UNSUBSCRIBE: u8 = 0x05;
    pub(super) const DETACH: u8 = 0x06;
    pub(super) const CREDIT: u8 = 0x07;
    pub(super) const ACK: u8 = 0x08;
    pub(super) const PULL: u8 = 0x09;
    pub(super) const LIST_TOPICS: u8 = 0x0A;
    pub(super) const GET_SUBSCRIBERS: u8 = 0x0B;
    pub(super) const PING: u8 = 0x0C;
    pub(super) const INFO: u8 = 0x0D;
    pub(super) const SETTLE: u8 = 0x0E;
    pub(super) const SETTLE_NAMED: u8 = 0x0F;
    pub(super) const SEEK: u8 = 0x10;
}

mod flag {
    pub(super) const PUBLISH_ACK: u8 = 1;
    pub(super) const PUBLISH_SEQUENCE: u8 = 2;
    pub(super) const PUBLISH_OS: u8 = 4;
    pub(super) const PUBLISH_SYNC: u8 = 8;
    pub(super) const SUBSCRIBE_PUSH: u8 = 1;
    pub(super) const SUBSCRIBE_CUMULATIVE_ACKS: u8 = 2;
    pub(super) const SUBSCRIBE_CONNECTION: u8 = 4;
    pub(super) const SUBSCRIBE_INDIVIDUAL_ACKS: u8 = 8;
    pub(super) const ACK_ANSWER: u8 = 1;
    pub(super) const SETTLE_NEGATIVE: u8 = 1;
    pub(super) const SETTLE_ANSWER: u8 = 2;
}

/// The numbers of [`Start`](crate::Start).
mod start {
    pub(super) const EARLIEST: u8 = 0;
    pub(super) const LATEST: u8 = 1;
    pub(super) const OFFSET: u8 = 2;
    pub(super) const TIME: u8 = 3;
}

/// The delay of a negative acknowledgement that leaves it to the subscription's backoff.
const DELAY_BACKOFF: u32 = u32::MAX;

/// Bytes of one range of offsets.
const RANGE_BYTES: usize = 12;
