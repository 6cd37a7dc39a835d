//! SIP as text: messages, parties, SDP and digests. Whatever a switch sends is kept as it came, so that a test can look at any header.

use std::{fmt, net::SocketAddr};

use md5::{Digest as _, Md5};

/// A request or a response, as it was received.
#[derive(Debug, Clone, Default)]
pub struct Message {
    /// The first line.
    pub first: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Message {
    /// Returns `None` for something that is no SIP, such as a keep-alive.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(packet);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let first = lines.next()?.to_owned();
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (full_name(name.trim()), value.trim().to_owned())).collect();
        first.contains("SIP/2.0").then(|| Self { first, headers, body: body.to_owned() })
    }

    /// The status of a response.
    pub fn status(&self) -> Option<u16> {
        self.first.strip_prefix("SIP/2.0 ")?.split(' ').next()?.parse().ok()
    }

    /// The method of a request, or of the request that a response answers.
    pub fn method(&self) -> &str {
        match self.status() {
            None => self.first.split(' ').next().unwrap_or_default(),
            Some(_) => self.header("CSeq").split(' ').nth(1).unwrap_or_default(),
        }
    }

    /// The first header with this name. Without one, an empty text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// The called user in the first line of a request.
    pub fn called(&self) -> &str {
        let uri = self.first.split(' ').nth(1).unwrap_or_default();
        uri.trim_start_matches("sip:").split(['@', ';']).next().unwrap_or_default()
    }

    pub fn from(&self) -> Party {
        Party::parse(self.header("From"))
    }

    /// P-Asserted-Identity.
    pub fn asserted(&self) -> Option<Party> {
        Some(self.header("P-Asserted-Identity")).filter(|value| !value.is_empty()).map(Party::parse)
    }

    /// Remote-Party-ID.
    pub fn remote_party(&self) -> Option<Party> {
        Some(self.header("Remote-Party-ID")).filter(|value| !value.is_empty()).map(Party::parse)
    }

    /// Whom a phone shows because of this message: P-Asserted-Identity, or else Remote-Party-ID.
    pub fn shows(&self) -> Option<Party> {
        self.asserted().or_else(|| self.remote_party())
    }

    /// The number in a Q.850 `Reason` header.
    pub fn cause(&self) -> Option<u16> {
        let reason = self.all("Reason").into_iter().find(|reason| reason.starts_with("Q.850"))?;
        reason.split("cause=").nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }

    /// The codecs of the offer or answer, as `NAME/RATE`, without telephone events and comfort noise.
    pub fn codecs(&self) -> Vec<String> {
        Sdp::parse(&self.body).map(|sdp| sdp.codecs.into_iter().map(|(_, name)| name).collect()).unwrap_or_default()
    }

    pub fn branch(&self) -> &str {
        parameter(self.header("Via"), "branch").unwrap_or_default()
    }

    /// The URI in the Contact header.
    pub fn contact(&self) -> Option<String> {
        let contact = self.header("Contact");
        Some(contact.split_once('<')?.1.split_once('>')?.0.to_owned())
    }
}

/// RFC 3261, section 7.3.3.
fn full_name(name: &str) -> String {
    match name {
        "v" => "Via",
        "f" => "From",
        "t" => "To",
        "i" => "Call-ID",
        "m" => "Contact",
        "c" => "Content-Type",
        "l" => "Content-Length",
        other => other,
    }
    .to_owned()
}

/// A parameter of a header, such as a tag.
pub fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let after = header.rsplit_once('>').map_or(header, |(_, after)| after);
    after.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Somebody in a From, P-Asserted-Identity or Remote-Party-ID header. Shown as `NAME <NUMBER>`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Party {
    pub name: String,
    pub number: String,
    pub host: String,
}

impl Party {
    pub fn parse(header: &str) -> Self {
        let (name, uri) = header.split_once('<').unwrap_or(("", header));
        let uri = uri.split('>').next().unwrap_or_default();
        let uri = uri.trim_start_matches("sip:").trim_start_matches("tel:");
        let (number, host) = uri.split_once('@').unwrap_or(("", uri));
        let host = host.split([':', ';']).next().unwrap_or_default();
        let number = percent_encoding::percent_decode_str(number).decode_utf8_lossy().into_owned();
        Self { name: name.trim().trim_matches('"').replace("\\\"", "\""), number, host: host.to_owned() }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <{}>", self.name, self.number)
    }
}

/// What matters of an offer or answer.
pub struct Sdp {
    pub media: SocketAddr,
    /// Payload types and names, in order.
    pub codecs: Vec<(u8, String)>,
    /// The payload type of RFC 2833 digits.
    pub digits: Option<u8>,
    /// `sendrecv`, `sendonly`, `recvonly` or `inactive`.
    pub direction: &'static str,
}

impl Sdp {
    pub fn parse(body: &str) -> Option<Self> {
        let line = |prefix: &str| body.lines().find_map(|line| line.strip_prefix(prefix));
        let address = line("c=IN IP4 ")?.trim().split('/').next()?;
        let mut words = line("m=audio ")?.split_whitespace();
        let port = words.next()?.parse().ok()?;
        let types = words.skip(1).filter_map(|word| word.parse::<u8>().ok());
        let named = |payload: u8| {
            let mark = format!("a=rtpmap:{payload} ");
            let known = body.lines().find_map(|line| line.strip_prefix(&mark)).map(|name| name.trim().to_owned());
            known.or_else(|| match payload {
                0 => Some("PCMU/8000".into()),
                8 => Some("PCMA/8000".into()),
                9 => Some("G722/8000".into()),
                18 => Some("G729/8000".into()),
                _ => None,
            })
        };
        let all = types.filter_map(|payload| Some((payload, named(payload)?))).collect::<Vec<_>>();
        let is = |name: &str, what: &str| name.to_ascii_lowercase().starts_with(what);
        let digits = all.iter().find(|(_, name)| is(name, "telephone-event/8000")).map(|(payload, _)| *payload);
        let codecs = all.into_iter().filter(|(_, name)| !is(name, "telephone-event") && !is(name, "cn/")).collect();
        let directions = ["sendonly", "recvonly", "inactive"];
        let direction = directions.into_iter().find(|d| body.contains(&format!("a={d}"))).unwrap_or("sendrecv");
        Some(Self { media: SocketAddr::new(address.parse().ok()?, port), codecs, digits, direction })
    }
}

/// The `Authorization` for a challenge (RFC 2617, MD5, with `qop=auth` if it is offered).
pub fn digest(challenge: &str, method: &str, uri: &str, user: &str, password: &str) -> String {
    let value = |name: &str| {
        let rest = challenge.split(&format!("{name}=")).nth(1).unwrap_or_default();
        match rest.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next().unwrap_or_default().to_owned(),
            None => rest.split(',').next().unwrap_or_default().trim().to_owned(),
        }
    };
    let (realm, nonce) = (value("realm"), value(" nonce"));
    let nonce = if nonce.is_empty() { value("nonce") } else { nonce };
    let hash = |text: String| {
        Md5::digest(text.as_bytes()).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    };
    let (ha1, ha2) = (hash(format!("{user}:{realm}:{password}")), hash(format!("{method}:{uri}")));
    let head = format!(r#"Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", algorithm=MD5"#);
    if value("qop").is_empty() {
        let response = hash(format!("{ha1}:{nonce}:{ha2}"));
        return format!(r#"{head}, response="{response}""#);
    }
    let own = uuid::Uuid::new_v4().simple().to_string();
    let response = hash(format!("{ha1}:{nonce}:00000001:{own}:auth:{ha2}"));
    format!(r#"{head}, qop=auth, nc=00000001, cnonce="{own}", response="{response}""#)
}
