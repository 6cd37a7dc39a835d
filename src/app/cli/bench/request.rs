//! Requests as bytes: the recorded forms with other users, domains and destinations.

use std::{
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use uuid::Uuid;

use super::{Kind, keys::Key};

/// A form split at its variable parts, so that a request is assembled without searching.
pub struct Requests {
    head: Vec<Part>,
    parts: Vec<Part>,
    domain: String,
    tenant: String,
    /// What stands between the path and the length of the body.
    fields: String,
}

#[derive(Clone)]
enum Part {
    Text(String),
    Domain,
    User,
    Destination,
    Tenant,
    /// A leg that no other request is about.
    Leg,
    /// When its call began and ended, in seconds since 1970.
    Began,
    Ended,
}

const PLACES: [(&str, Part); 7] = [
    ("{domain}", Part::Domain),
    ("{user}", Part::User),
    ("{destination}", Part::Destination),
    ("{tenant}", Part::Tenant),
    ("{leg}", Part::Leg),
    ("{began}", Part::Began),
    ("{ended}", Part::Ended),
];
/// How long ago the call of a record began and ended.
const SINCE: (u64, u64) = (112, 1);

impl Requests {
    pub fn new(kind: Kind, target: SocketAddr, path: &str, credentials: &str, domain: &str, tenant: Uuid) -> Self {
        let form = match kind {
            Kind::Register => include_str!("requests/register.form"),
            Kind::UserCall => include_str!("requests/user-call.form"),
            Kind::Dialplan => include_str!("requests/dialplan.form"),
            Kind::DialplanTrimmed => include_str!("requests/dialplan-trimmed.form"),
            Kind::CallRecord => include_str!("requests/call-record.json"),
        };
        let (agent, content) = match kind {
            Kind::CallRecord => ("freeswitch-json/1.0", "application/json"),
            _ => ("freeswitch-xml/1.0", "application/x-www-form-urlencoded"),
        };
        let leg = if kind == Kind::CallRecord { "?uuid={leg}" } else { "" };
        let fields = format!(
            " HTTP/1.1\r\nHost: {target}\r\nAuthorization: Basic {}\r\nUser-Agent: {agent}\r\nAccept: */*\r\nContent-Type: {content}\r\nContent-Length: ",
            STANDARD.encode(credentials)
        );
        Self {
            head: cut(&format!("POST {path}{leg}")),
            parts: cut(form),
            domain: domain.to_owned(),
            tenant: tenant.to_string(),
            fields,
        }
    }

    /// Writes one request into an emptied buffer.
    pub fn write(&self, key: Key, request: &mut Vec<u8>, body: &mut Vec<u8>) {
        let domain = self.domain.replace("%d", &key.domain.to_string());
        let (user, destination) = (key.user.to_string(), (key.user + 1).to_string());
        let leg = Uuid::new_v4().to_string();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (began, ended) = ((now - SINCE.0).to_string(), (now - SINCE.1).to_string());
        let fill = |parts: &[Part], into: &mut Vec<u8>| {
            into.clear();
            for part in parts {
                let text = match part {
                    Part::Text(text) => text,
                    Part::Domain => domain.as_str(),
                    Part::User => user.as_str(),
                    Part::Destination => destination.as_str(),
                    Part::Tenant => self.tenant.as_str(),
                    Part::Leg => leg.as_str(),
                    Part::Began => began.as_str(),
                    Part::Ended => ended.as_str(),
                };
                into.extend_from_slice(text.as_bytes());
            }
        };
        fill(&self.parts, body);
        fill(&self.head, request);
        for text in [self.fields.as_str(), body.len().to_string().as_str(), "\r\n\r\n"] {
            request.extend_from_slice(text.as_bytes());
        }
        request.extend_from_slice(body);
    }
}

/// Cuts a text at its places.
fn cut(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let found = PLACES.iter().filter_map(|(name, part)| Some((rest.find(name)?, name, part)));
        let Some((at, name, part)) = found.min_by_key(|(at, ..)| *at) else { break };
        parts.extend([Part::Text(rest[..at].to_owned()), part.clone()]);
        rest = &rest[at + name.len()..];
    }
    parts.push(Part::Text(rest.to_owned()));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switch::fetch::request::{Request, View};

    #[test]
    fn a_request_is_what_a_switch_sends() {
        let target = SocketAddr::from(([127, 0, 0, 1], 80));
        let (mut request, mut body) = (Vec::new(), Vec::new());
        let key = Key { domain: 3, user: 1007 };
        Requests::new(Kind::Register, target, "/fs/xml", "a:b", "t%d.test", Uuid::nil()).write(
            key,
            &mut request,
            &mut body,
        );
        let text = String::from_utf8(request.clone()).unwrap();
        assert!(
            text.contains(&format!("Content-Length: {}\r\n\r\n", body.len()))
                && text.ends_with(std::str::from_utf8(&body).unwrap())
        );
        let Ok(Request::User { domain, user, view, .. }) = Request::read(&body) else { panic!("{text}") };
        assert_eq!((&*domain, &*user, view), ("t3.test", "1007", View::Register { realm: b"t3.test" }));
        for kind in [Kind::Dialplan, Kind::DialplanTrimmed] {
            Requests::new(kind, target, "/fs/xml", "a:b", "t%d.test", Uuid::nil()).write(key, &mut request, &mut body);
            let Ok(Request::Dialplan(call)) = Request::read(&body) else { panic!() };
            let (context, destination, caller) = (call.context, call.destination, call.caller);
            assert_eq!((&*context, &*destination), ("t3.test", "1008"));
            assert_eq!(&*caller.unwrap().user, "1007");
            assert!(!String::from_utf8_lossy(&body).contains('{'));
        }
        let tenant = Uuid::new_v4();
        let records = Requests::new(Kind::CallRecord, target, "/fs/cdr", "a:b", "t%d.test", tenant);
        let mut legs = std::collections::HashSet::new();
        for _ in 0..2 {
            records.write(key, &mut request, &mut body);
            let text = String::from_utf8(request.clone()).unwrap();
            let leg = text.strip_prefix("POST /fs/cdr?uuid=").unwrap()[..36].parse::<Uuid>().unwrap();
            assert!(legs.insert(leg), "each is a leg of its own");
            let record = serde_json::from_slice::<serde_json::Value>(&body).unwrap();
            let variables = &record["variables"];
            assert_eq!(
                (&variables["uuid"], &variables["dialplane_tenant"]),
                (&leg.to_string().into(), &tenant.to_string().into())
            );
            assert!(variables["end_epoch"].as_str().unwrap().parse::<u64>().is_ok());
        }
    }
}
