//! Where to listen, as people write it: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`.

use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;

/// A host, by address or by name, and a port on it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub(crate) struct ListenName {
    host: String,
    port: u16,
}

/// A text that names no host and port.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum ListenNameError {
    /// There is a host, but no port.
    #[error("expected HOST:PORT, but found {found:?} without a port; write {example}")]
    NoPort {
        /// The text as given.
        found: String,
        /// The same host with a port.
        example: String,
    },
    /// There is a port, but no host.
    #[error(
        "expected HOST:PORT, but found {found:?} without a host; \
         write 127.0.0.1{found} for this machine only, or 0.0.0.0{found} for every network"
    )]
    NoHost {
        /// The text as given.
        found: String,
    },
    /// The port is no port.
    #[error("expected a port from 0 to 65535, but found {port:?} in {found:?}; correct the port")]
    BadPort {
        /// The text as given.
        found: String,
        /// The part after its last colon.
        port: String,
    },
    /// The host is neither a name nor an address.
    #[error(
        "expected a host name, an IPv4 address or an IPv6 address in brackets, \
         but found {host:?} in {found:?}; write localhost:8080 or [::1]:8080, for example"
    )]
    BadHost {
        /// The text as given.
        found: String,
        /// The part before its last colon.
        host: String,
    },
}

impl ListenName {
    /// Asks the system which addresses the name stands for. An address stands for itself.
    ///
    /// # Errors
    /// When the system knows no such name, or cannot tell.
    pub(crate) fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        Ok((self.host.as_str(), self.port).to_socket_addrs()?.collect())
    }
}

impl From<SocketAddr> for ListenName {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl FromStr for ListenName {
    type Err = ListenNameError;

    fn from_str(text: &str) -> Result<Self, ListenNameError> {
        let found = || text.to_owned();
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(ListenNameError::NoPort {
                found: found(),
                example: format!("[{text}]:8080"),
            });
        }
        let without_port = !text.contains(':') || text.ends_with(']');
        if without_port && !text.is_empty() {
            return Err(ListenNameError::NoPort {
                found: found(),
                example: format!("{text}:8080"),
            });
        }
        let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
        let Some(port) = parse_port(port) else {
            return Err(ListenNameError::BadPort { found: found(), port: port.to_owned() });
        };
        if host.is_empty() {
            return Err(ListenNameError::NoHost { found: found() });
        }
        match bare_host(host) {
            Some(host) => Ok(Self { host: host.to_owned(), port }),
            None => Err(ListenNameError::BadHost { found: found(), host: host.to_owned() }),
        }
    }
}

/// A port in digits only: `u16::from_str` would also take a plus sign.
fn parse_port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The host without the brackets that an IPv6 address, and nothing else, has.
fn bare_host(host: &str) -> Option<&str> {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inside) => inside.contains(':').then_some(inside),
        None => (!host.contains([':', '[', ']', ' ', '/'])).then_some(host),
    }
}

impl TryFrom<String> for ListenName {
    type Error = ListenNameError;

    fn try_from(text: String) -> Result<Self, ListenNameError> {
        text.parse()
    }
}

impl fmt::Display for ListenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, host: &str, port: u16) {
        assert_eq!(text.parse(), Ok(ListenName { host: host.into(), port }), "{text}");
        assert_eq!(text.parse::<ListenName>().expect("a name").to_string(), text);
    }

    #[track_caller]
    fn check_refused(text: &str, part: &str) {
        let error = text.parse::<ListenName>().expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }

    #[test]
    fn addresses_and_names_are_taken() {
        check("127.0.0.1:8080", "127.0.0.1", 8080);
        check("localhost:0", "localhost", 0);
        check("broker-1.example:65535", "broker-1.example", 65535);
        check("[::1]:8080", "::1", 8080);
        check("[fe80::1%eth0]:80", "fe80::1%eth0", 80);
    }

    #[test]
    fn a_missing_port_is_told_with_the_text_to_write() {
        check_refused("localhost", "\"localhost\" without a port; write localhost:8080");
        check_refused("127.0.0.1", "without a port; write 127.0.0.1:8080");
        check_refused("::1", "without a port; write [::1]:8080");
        check_refused("[::1]", "without a port; write [::1]:8080");
    }

    #[test]
    fn a_missing_host_or_a_bad_part_is_told() {
        check_refused(":8080", "write 127.0.0.1:8080");
        check_refused("localhost:", "from 0 to 65535, but found \"\"");
        check_refused("localhost:65536", "found \"65536\"");
        check_refused("localhost:+80", "found \"+80\"");
        check_refused("localhost:http", "found \"http\"");
        check_refused("", "found \"\"");
        check_refused("http://localhost:80", "write localhost:8080 or [::1]:8080");
        check_refused("[localhost]:80", "found \"[localhost]\"");
    }

    #[test]
    fn an_address_resolves_to_itself() {
        for text in ["127.0.0.1:8080", "[::1]:8080"] {
            let name: ListenName = text.parse().expect("a name");
            let address: SocketAddr = text.parse().expect("an address");
            assert_eq!(name.resolve().expect("resolved"), [address]);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_taken_reads_back(text in "[\\[\\]:.a-z0-9]{0,12}") {
            if let Ok(name) = text.parse::<ListenName>() {
                prop_assert_eq!(name.to_string().parse(), Ok(name));
            }
        }
    }
}
