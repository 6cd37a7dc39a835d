//! Where requests of webhooks may go. A tenant chooses the URL, so without care it could reach what only this machine can: the cloud's
//! metadata, the database, the switches.
//!
//! A name is resolved here, once, and the connection goes to an address that was checked: a second answer of the resolver changes nothing.
//! Redirects are not followed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::Deserialize;
use url::{Host, Url};

use crate::text::{Code, TextError};

const LONGEST: usize = 2_000;

/// The URL of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointUrl(Url);

impl EndpointUrl {
    /// `http` is for endpoints of one's own network, which only the operator can allow; it is told when something is sent.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        const WHAT: TextError = TextError(Code::NotAnEndpoint);
        let url = Url::parse(text).map_err(|_| WHAT)?;
        let is_fine = matches!(url.scheme(), "https" | "http")
            && url.host().is_some()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
            && text.len() <= LONGEST;
        if is_fine { Ok(Self(url)) } else { Err(WHAT) }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl<'de> Deserialize<'de> for EndpointUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(|error| serde::de::Error::custom(error.for_serde()))
    }
}

/// Why nothing is sent to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    #[error("only https is allowed")]
    NotEncrypted,
    #[error("its name has no address")]
    NoAddress,
    #[error("its address is not a public one")]
    NotPublic,
}

/// The URL, if a request may go there as far as one sees without resolving its name.
pub fn allowed(url: &str, private_allowed: bool) -> Result<Url, Forbidden> {
    let url = Url::parse(url).map_err(|_| Forbidden::NoAddress)?;
    if private_allowed {
        return Ok(url);
    }
    if url.scheme() != "https" {
        return Err(Forbidden::NotEncrypted);
    }
    match url.host().ok_or(Forbidden::NoAddress)? {
        Host::Ipv4(ip) if !is_public(ip.into()) => Err(Forbidden::NotPublic),
        Host::Ipv6(ip) if !is_public(ip.into()) => Err(Forbidden::NotPublic),
        _ => Ok(url),
    }
}

/// The resolver of requests: it leaves out addresses that are not public.
pub struct PublicOnly {
    private_allowed: bool,
    /// Who is asked instead of the system.
    #[cfg(test)]
    asks: Option<Asks>,
}

#[cfg(test)]
type Asks = std::sync::Arc<dyn Fn(&str) -> std::io::Result<Vec<SocketAddr>> + Send + Sync>;

impl PublicOnly {
    #[must_use]
    pub fn new(private_allowed: bool) -> Self {
        Self {
            private_allowed,
            #[cfg(test)]
            asks: None,
        }
    }

    #[cfg(test)]
    pub fn asking(
        private_allowed: bool,
        asks: impl Fn(&str) -> std::io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self { private_allowed, asks: Some(std::sync::Arc::new(asks)) }
    }

    async fn addresses(private_allowed: bool, name: &str) -> Result<Vec<SocketAddr>, Forbidden> {
        let found = tokio::net::lookup_host((name, 0)).await.map_err(|_| Forbidden::NoAddress)?.collect::<Vec<_>>();
        Self::checked(private_allowed, found)
    }

    fn checked(private_allowed: bool, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Forbidden> {
        if found.is_empty() {
            return Err(Forbidden::NoAddress);
        }
        let public = found.into_iter().filter(|at| private_allowed || is_public(at.ip())).collect::<Vec<_>>();
        if public.is_empty() { Err(Forbidden::NotPublic) } else { Ok(public) }
    }
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let private_allowed = self.private_allowed;
        #[cfg(test)]
        if let Some(asks) = self.asks.clone() {
            return Box::pin(async move {
                let found = Self::checked(private_allowed, asks(name.as_str())?)?;
                Ok(Box::new(found.into_iter()) as Addrs)
            });
        }
        Box::pin(async move {
            let found = Self::addresses(private_allowed, name.as_str()).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the internet's. Everything that has another meaning is not (IANA's registries of special addresses).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = ip.is_unspecified()
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_multicast()
        || ip.is_documentation()
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b))
        || a >= 240;
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    // An address of IPv4 in one of IPv6: mapped, translated (NAT64), or tunnelled (6to4).
    let inside = match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some((high, low))
        }
        _ => None,
    };
    if let Some((high, low)) = inside {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    // Global unicast is 2000::/3. Of that, 2001::/23 is for protocols and 2001:db8::/32 for documents.
    (0x2000..0x4000).contains(&a) && !(a == 0x2001 && (b < 0x200 || b == 0xdb8)) && !(a == 0x3fff && b < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for ip in
            ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8"]
        {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[tokio::test]
    async fn an_address_is_checked_however_it_is_written() {
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://017700000001/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
        ] {
            assert_eq!(allowed(url, false).map(|_| ()), Err(Forbidden::NotPublic), "{url}");
            assert!(allowed(url, true).is_ok(), "{url}");
        }
        assert_eq!(allowed("http://8.8.8.8/", false).map(|_| ()), Err(Forbidden::NotEncrypted));
        assert!(allowed("https://8.8.8.8:8443/", false).is_ok());
        assert_eq!(PublicOnly::addresses(false, "localhost").await, Err(Forbidden::NotPublic));
        assert!(PublicOnly::addresses(true, "localhost").await.is_ok());
        assert_eq!(PublicOnly::addresses(true, "nowhere.invalid").await, Err(Forbidden::NoAddress));
    }

    #[test]
    fn an_endpoint_is_a_web_address_without_a_password() {
        assert!(EndpointUrl::parse("https://crm.example/hooks?team=1").is_ok());
        for text in
            ["crm.example", "ftp://crm.example", "https://user:pass@crm.example/", "https://", "file:///etc/passwd"]
        {
            assert!(EndpointUrl::parse(text).is_err(), "{text}");
        }
    }
}
