//! Which protocol a connection speaks, told by its first byte.

use crate::native::MAGIC;

/// What a connection's first byte says that it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// JSON lines: an opening brace, or anything else that text may start with.
    Json,
    /// The native wire's magic.
    Native,
    /// An MQTT CONNECT packet (MQTT 5.0 §3.1.1: control packet type 1, flags 0).
    Mqtt,
    /// An HTTP GET, as a WebSocket's opening handshake begins (RFC 6455 §1.3).
    Http,
    /// A TLS handshake record (RFC 8446 §5.1: content type 22).
    Tls,
    /// None of these.
    Unknown,
}

impl Dialect {
    /// The dialect that `first`, a connection's first byte, announces.
    ///
    /// Any other text is taken for JSON lines, so that a person who types at the broker is answered
    /// in text, with the reason why a line was not understood.
    #[must_use]
    pub fn detect(first: u8) -> Self {
        match first {
            0x10 => Self::Mqtt,
            0x16 => Self::Tls,
            b'G' => Self::Http,
            b'\t' | b'\n' | b'\r' | b' '..=b'~' => Self::Json,
            byte if byte == MAGIC[0] => Self::Native,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_is_told_by_its_first_byte() {
        let cases = [
            (b'{', Dialect::Json),
            (b'\n', Dialect::Json),
            (0xF7, Dialect::Native),
            (0x10, Dialect::Mqtt),
            (b'G', Dialect::Http),
            (b'g', Dialect::Json),
            (0x16, Dialect::Tls),
            (0x00, Dialect::Unknown),
            (0xFF, Dialect::Unknown),
        ];
        for (byte, dialect) in cases {
            assert_eq!(Dialect::detect(byte), dialect, "first byte {byte:#04x}");
        }
    }
}
