//! The text protocol of NATS, as far as publishing and subscribing need it.
//!
//! Protocol: <https://docs.nats.io/reference/reference-protocols/nats-protocol>. PING is the one
//! request that is always answered, and it is answered in order: PONG says that the server has
//! taken in all that was sent before.

use super::lines::{self, LineStep, next_said};
use crate::drivers::DriverError;

pub(super) use super::lines::{PING, PONG};

/// Who connects, and that nothing but PING is to be answered.
pub(super) const CONNECT: &[u8] =
    b"CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":false,\
    \"lang\":\"rust\",\"version\":\"0\",\"name\":\"harness\",\"protocol\":1}\r\n";

/// What a server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// What was sent before PING is taken in.
    Pong,
    /// It wants PONG.
    Ping,
    /// News that nobody here needs.
    News,
    /// A delivery: its payload.
    Message(&'a [u8]),
}

impl Said<'_> {
    pub(super) fn unexpected(&self, expected: &'static str) -> DriverError {
        DriverError::unexpected(expected, self)
    }
}

/// Reads what a server says.
#[derive(Debug, Default)]
pub(super) struct Server {
    input_bytes_wanted: usize,
}

impl Server {
    pub(super) fn input_bytes_wanted(&self) -> usize {
        self.input_bytes_wanted
    }

    /// What the input begins with, and how many bytes it takes; `None` if it is not all there yet.
    #[inline]
    pub(super) fn next<'a>(
        &mut self,
        input: &'a [u8],
    ) -> Result<Option<(Said<'a>, usize)>, DriverError> {
        let (said, used) = match next_said(input)? {
            LineStep::Said { used, said } => (said, used),
            LineStep::NeedMore { input_bytes } => {
                self.input_bytes_wanted = input_bytes;
                return Ok(None);
            }
        };
        let said = match said {
            lines::Said::Message(message) => Said::Message(message.payload),
            lines::Said::Pong => Said::Pong,
            lines::Said::Ping => Said::Ping,
            lines::Said::Info(_) | lines::Said::News => Said::News,
        };
        Ok(Some((said, used)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], expected: Option<(Said<'_>, usize)>) {
        let found = Server::default().next(input).unwrap();
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(input));
    }

    #[test]
    fn what_a_server_says_is_told_piece_by_piece() {
        check(b"PONG\r\nPING\r\n", Some((Said::Pong, 6)));
        check(b"PING\r\n", Some((Said::Ping, 6)));
        check(b"INFO {\"version\":\"2.9.10\"}\r\n", Some((Said::News, 27)));
        check(b"+OK\r\n", Some((Said::News, 5)));
        check(b"PON", None);
        check(b"MSG t 1 4\r\na\r\nb\r\nPING", Some((Said::Message(b"a\r\nb"), 17)));
        check(b"MSG t 1 reply 0\r\n\r\n", Some((Said::Message(b""), 19)));
        check(b"MSG t 1 4\r\na\r\nb\r", None);
    }

    #[test]
    fn an_error_is_a_refusal_with_the_servers_own_words() {
        let error = Server::default().next(b"-ERR 'Slow Consumer'\r\n").unwrap_err();
        assert_eq!(error.code(), "nats_error");
        assert!(error.to_string().contains("'Slow Consumer'"), "{error}");
    }

    #[test]
    fn what_is_no_message_is_said_to_be_none() {
        for input in [&b"MSG t 1 x\r\n"[..], b"MSG t 1 1\r\nabc\r\n", b"HELLO\r\n"] {
            let error = Server::default().next(input).unwrap_err();
            assert_eq!(error.code(), "unexpected_answer", "{error}");
        }
    }

    #[test]
    fn a_large_message_says_how_much_room_it_wants() {
        let mut server = Server::default();
        assert_eq!(server.next(b"MSG t 1 1000\r\nabc").unwrap(), None);
        assert_eq!(server.input_bytes_wanted(), 14 + 1000 + 2);
    }
}
