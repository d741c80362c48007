//! A relay's address, and how sure one is to talk to it and to nobody else.
//!
//! ```text
//! https://HOST[:PORT]#sha256=BASE64URL     TLS 1.3; SHA-256 of the certificate's SubjectPublicKeyInfo
//! http://127.0.0.1:PORT                    plain, on loopback only (also localhost and [::1])
//! ```

use data_encoding::BASE64URL_NOPAD;
use std::net::{IpAddr, Ipv4Addr};

/// Why a relay's address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RelayUrlError {
    /// Neither `https://HOST:PORT#sha256=PIN` nor `http://127.0.0.1:PORT`.
    #[error("this is not the address of a relay")]
    Malformed,
    /// No `#sha256=...` at the end.
    #[error("the address of the relay lacks its pin")]
    PinMissing,
    /// The pin is not 32 bytes in base64url.
    #[error("the pin in the relay's address is cut or mistyped")]
    PinMalformed,
    /// Plain HTTP to another machine.
    #[error("plain http is for this machine only")]
    PlainBeyondLoopback,
}

/// How a connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    /// TLS; the certificate's key must have this SHA-256.
    Pinned([u8; 32]),
    /// None, within this machine.
    Loopback,
}

/// A relay's address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RelayUrl {
    host: String,
    port: u16,
    security: Security,
}

impl RelayUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// [`RelayUrlError`] names what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, RelayUrlError> {
        let text = text.trim();
        let (address, fragment) = match text.split_once('#') {
            Some((address, fragment)) => (address, Some(fragment)),
            None => (text, None),
        };
        let (secure, rest) = match address.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            _ => return Err(RelayUrlError::Malformed),
        };
        let (host, port) = authority(
            rest.strip_suffix('/').unwrap_or(rest),
            if secure { 443 } else { 80 },
        )?;
        let security = if secure {
            Security::Pinned(pin(fragment.ok_or(RelayUrlError::PinMissing)?)?)
        } else if loopback(&host) {
            Security::Loopback
        } else {
            return Err(RelayUrlError::PlainBeyondLoopback);
        };
        let url = Self {
            host,
            port,
            security,
        };
        // What is longer could be stored but not read again.
        if url.canonical().len() > engine::limits::RELAY_URL_BYTES {
            return Err(RelayUrlError::Malformed);
        }
        Ok(url)
    }

    /// The one way to write this address; two ways to type it become equal.
    pub(crate) fn canonical(&self) -> String {
        match self.security {
            Security::Pinned(pin) => {
                format!(
                    "https://{}:{}#sha256={}",
                    self.host,
                    self.port,
                    BASE64URL_NOPAD.encode(&pin)
                )
            }
            Security::Loopback => format!("http://{}:{}", self.host, self.port),
        }
    }

    /// What stands after the `@` of an address: the host, and the port where it is not the usual one.
    pub(crate) fn authority(&self) -> String {
        let usual = match self.security {
            Security::Pinned(_) => 443,
            Security::Loopback => 80,
        };
        if self.port == usual {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The host as TLS names it, without brackets.
    pub(crate) fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How the connection is secured.
    pub(crate) fn security(&self) -> Security {
        self.security
    }
}

/// What stands after the `@` for an address that was accepted before; the text itself if it does not parse.
pub(crate) fn authority_of(url: &str) -> String {
    RelayUrl::parse(url).map_or_else(|_| url.to_owned(), |url| url.authority())
}

fn authority(text: &str, usual_port: u16) -> Result<(String, u16), RelayUrlError> {
    let malformed = RelayUrlError::Malformed;
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or(malformed)?;
            address
                .parse::<std::net::Ipv6Addr>()
                .map_err(|_| malformed)?;
            (format!("[{address}]"), after.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host.to_owned(), Some(port)),
            None => (text.to_owned(), None),
        },
    };
    let bracketed = host.starts_with('[');
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
    if host.is_empty() || (!bracketed && !host.chars().all(allowed)) {
        return Err(malformed);
    }
    let port = match port {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| malformed)?
        }
        Some(_) => return Err(malformed),
        None => usual_port,
    };
    Ok((host.to_ascii_lowercase(), port))
}

fn pin(fragment: &str) -> Result<[u8; 32], RelayUrlError> {
    let code = fragment
        .strip_prefix("sha256=")
        .ok_or(RelayUrlError::PinMissing)?;
    let bytes = BASE64URL_NOPAD.decode(code.trim_end_matches('=').as_bytes());
    bytes
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(RelayUrlError::PinMalformed)
}

/// Only names that no resolver can point elsewhere.
fn loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The address to connect to where the host needs no resolver.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    if host == "localhost" {
        Some(Ipv4Addr::LOCALHOST.into())
    } else {
        host.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;

    const PIN: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    #[test]
    fn two_ways_to_type_an_address_become_one() {
        let long =
            RelayUrl::parse(&format!("  HTTPS://Relay.Example:443/#sha256={PIN}=\n")).unwrap();
        let short = RelayUrl::parse(&format!("https://relay.example#sha256={PIN}")).unwrap();
        assert_eq!(long, short);
        assert_eq!(
            long.canonical(),
            format!("https://relay.example:443#sha256={PIN}")
        );
        assert_eq!(RelayUrl::parse(&long.canonical()).unwrap(), long);
        assert_eq!(long.authority(), "relay.example");
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        for url in [
            "http://127.0.0.1:4433",
            "http://localhost:1",
            "http://[::1]:9",
            "http://127.9.9.9:1/",
        ] {
            assert_eq!(
                RelayUrl::parse(url).unwrap().security(),
                Security::Loopback,
                "{url}"
            );
        }
        for url in [
            "http://192.168.0.1:80",
            "http://localhost.evil.example:80",
            "http://[fe80::1]:80",
        ] {
            assert_eq!(
                RelayUrl::parse(url).unwrap_err(),
                RelayUrlError::PlainBeyondLoopback,
                "{url}"
            );
        }
    }

    #[test]
    fn tls_without_a_whole_pin_is_refused() {
        let missing = [
            "https://a.example",
            "https://a.example#",
            "https://a.example#md5=x",
        ];
        for url in missing {
            assert_eq!(
                RelayUrl::parse(url).unwrap_err(),
                RelayUrlError::PinMissing,
                "{url}"
            );
        }
        for url in [
            "https://a.example#sha256=",
            "https://a.example#sha256=AAAA",
            "https://a.example#sha256=!!!!",
        ] {
            assert_eq!(
                RelayUrl::parse(url).unwrap_err(),
                RelayUrlError::PinMalformed,
                "{url}"
            );
        }
    }

    #[test]
    fn nonsense_is_malformed() {
        let all = [
            "",
            "relay",
            "ftp://a",
            "http://",
            "http://:1",
            "http://a b",
            "http://a:x",
            "http://a:99999",
            "http://user@127.0.0.1:1",
            "http://127.0.0.1:1/path",
            "http://[::1",
            "http://[zz]:1",
            "http://a:+1",
        ];
        let endless = format!(
            "https://{}example:1#sha256={}",
            "a.".repeat(150),
            "A".repeat(43)
        );
        for url in all.into_iter().chain([endless.as_str()]) {
            assert_eq!(
                RelayUrl::parse(url).unwrap_err(),
                RelayUrlError::Malformed,
                "{url}"
            );
        }
    }
}
