//! The first bytes in each direction.

use super::fields::Fields;
use crate::{Code, Refusal};
use bytes::BufMut;

/// What a native connection starts with, in both directions.
pub const MAGIC: [u8; 4] = [0xF7, b'T', b'N', b'D'];

/// The version of the native wire that this crate speaks.
pub const VERSION: u8 = 1;

/// Length of the client's greeting.
pub const CLIENT_GREETING_BYTES: usize = 8;

/// Length of the broker's greeting.
pub const BROKER_GREETING_BYTES: usize = 16;

/// The client's greeting.
#[must_use]
pub fn client_greeting() -> [u8; CLIENT_GREETING_BYTES] {
    let [m0, m1, m2, m3] = MAGIC;
    [m0, m1, m2, m3, VERSION, 0, 0, 0]
}

/// Checks the greeting that `input` starts with. `Ok(None)`: not all of it is there yet.
///
/// # Errors
/// [`Code::WrongMagic`], as early as the bytes tell; [`Code::UnsupportedVersion`];
/// [`Code::MalformedFrame`] where reserved bytes are not zero.
pub fn check_client_greeting(input: &[u8]) -> Result<Option<()>, Refusal> {
    let seen = input.len().min(MAGIC.len());
    if input[..seen] != MAGIC[..seen] {
        return Err(Refusal::new(
            Code::WrongMagic,
            format!("expected the magic f7 54 4e 44, found {:02x?}", &input[..seen]),
        ));
    }
    let Some((_, [version, flags, zero @ ..])) = input
        .split_first_chunk::<4>()
        .and_then(|(magic, after)| after.first_chunk::<4>().map(|after| (magic, after)))
    else {
        return Ok(None);
    };
    if *version != VERSION {
        return Err(Refusal::new(
            Code::UnsupportedVersion,
            format!("expected version {VERSION} of the native wire, found {version}"),
        ));
    }
    if [*flags, zero[0], zero[1]] != [0; 3] {
        return Err(Refusal::new(
            Code::MalformedFrame,
            "expected zero in bytes 5 to 7 of the greeting; they are reserved",
        ));
    }
    Ok(Some(()))
}

/// What the broker greets with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerGreeting {
    /// The highest version that it speaks.
    pub version: u8,
    /// Whether it accepted the client's greeting; if not, an ERROR frame follows.
    pub accepted: bool,
    /// The largest frame that it reads.
    pub frame_bytes_max: u32,
    /// The largest message that it takes.
    pub message_bytes_max: u32,
}

/// Writes the broker's greeting.
pub fn encode_broker_greeting(greeting: BrokerGreeting, out: &mut impl BufMut) {
    out.put_slice(&MAGIC);
    out.put_slice(&[greeting.version, u8::from(!greeting.accepted), 0, 0]);
    out.put_u32_le(greeting.frame_bytes_max);
    out.put_u32_le(greeting.message_bytes_max);
}

impl BrokerGreeting {
    /// Reads the greeting that `input` starts with. `Ok(None)`: not all of it is there yet.
    ///
    /// # Errors
    /// [`Code::WrongMagic`] where the other end is no Tandem broker.
    pub fn decode(input: &[u8]) -> Result<Option<Self>, Refusal> {
        let seen = input.len().min(MAGIC.len());
        if input[..seen] != MAGIC[..seen] {
            return Err(Refusal::new(
                Code::WrongMagic,
                format!(
                    "expected a Tandem broker's magic f7 54 4e 44, found {:02x?}; check the address",
                    &input[..seen]
                ),
            ));
        }
        let Some(whole) = input.get(MAGIC.len()..BROKER_GREETING_BYTES) else {
            return Ok(None);
        };
        let mut fields = Fields::new(whole);
        let version = fields.u8("version")?;
        let status = fields.u8("status")?;
        let _zero = fields.u16("zero")?;
        Ok(Some(Self {
            version,
            accepted: status == 0,
            frame_bytes_max: fields.u32("frame_bytes_max")?,
            message_bytes_max: fields.u32("message_bytes_max")?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_is_known_when_it_is_whole() {
        let greeting = client_greeting();
        for end in 0..CLIENT_GREETING_BYTES {
            assert_eq!(check_client_greeting(&greeting[..end]), Ok(None), "{end} bytes");
        }
        assert_eq!(check_client_greeting(&greeting), Ok(Some(())));
    }

    #[test]
    fn a_wrong_greeting_is_named_as_early_as_it_shows() {
        let code = |bytes: &[u8]| check_client_greeting(bytes).expect_err("wrong").code;
        assert_eq!(code(b"\xF7X"), Code::WrongMagic);
        assert_eq!(code(b"\xF7TND\x02\0\0\0"), Code::UnsupportedVersion);
        assert_eq!(code(b"\xF7TND\x01\x01\0\0"), Code::MalformedFrame);
    }

    #[test]
    fn the_brokers_greeting_survives_the_wire() {
        let greeting = BrokerGreeting {
            version: 1,
            accepted: false,
            frame_bytes_max: 1 << 24,
            message_bytes_max: 1 << 20,
        };
        let mut bytes = Vec::new();
        encode_broker_greeting(greeting, &mut bytes);
        assert_eq!(bytes.len(), BROKER_GREETING_BYTES);
        assert_eq!(BrokerGreeting::decode(&bytes), Ok(Some(greeting)));
        assert_eq!(BrokerGreeting::decode(&bytes[..15]), Ok(None));
    }
}
