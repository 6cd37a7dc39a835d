//! Requests as bytes: the recorded forms with other users, domains and destinations.

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Kind, keys::Key};

/// A form split at its variable parts, so that a request is assembled without searching.
pub struct Requests {
    head: String,
    parts: Vec<Part>,
    domain: String,
}

enum Part {
    Text(&'static str),
    Domain,
    User,
    Destination,
}

impl Requests {
    pub fn new(kind: Kind, target: SocketAddr, path: &str, credentials: &str, domain: &str) -> Self {
        let form = match kind {
            Kind::Register => include_str!("requests/register.form"),
            Kind::UserCall => include_str!("requests/user-call.form"),
            Kind::Dialplan => include_str!("requests/dialplan.form"),
            Kind::DialplanTrimmed => include_str!("requests/dialplan-trimmed.form"),
        };
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {target}\r\nAuthorization: Basic {}\r\nUser-Agent: freeswitch-xml/1.0\r\nAccept: */*\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ",
            STANDARD.encode(credentials)
        );
        Self { head, parts: cut(form), domain: domain.to_owned() }
    }

    /// Writes one request into an emptied buffer.
    pub fn write(&self, key: Key, request: &mut Vec<u8>, body: &mut Vec<u8>) {
        let domain = self.domain.replace("%d", &key.domain.to_string());
        let (user, destination) = (key.user.to_string(), (key.user + 1).to_string());
        body.clear();
        for part in &self.parts {
            let text = match part {
                Part::Text(text) => text,
                Part::Domain => domain.as_str(),
                Part::User => user.as_str(),
                Part::Destination => destination.as_str(),
            };
            body.extend_from_slice(text.as_bytes());
        }
        request.clear();
        request.extend_from_slice(self.head.as_bytes());
        request.extend_from_slice(body.len().to_string().as_bytes());
        request.extend_from_slice(b"\r\n\r\n");
        request.extend_from_slice(body);
    }
}

fn cut(mut form: &'static str) -> Vec<Part> {
    let mut parts = Vec::new();
    while let Some(at) = form.find('{') {
        let (text, rest) = form.split_at(at);
        parts.push(Part::Text(text));
        let places = [("{domain}", Part::Domain), ("{user}", Part::User), ("{destination}", Part::Destination)];
        let place = places.into_iter().find_map(|(name, part)| Some((rest.strip_prefix(name)?, part)));
        let Some((rest, part)) = place else { break };
        parts.push(part);
        form = rest;
    }
    parts.push(Part::Text(form));
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
        Requests::new(Kind::Register, target, "/fs/xml", "a:b", "t%d.test").write(key, &mut request, &mut body);
        let text = String::from_utf8(request.clone()).unwrap();
        assert!(
            text.contains(&format!("Content-Length: {}\r\n\r\n", body.len()))
                && text.ends_with(std::str::from_utf8(&body).unwrap())
        );
        let Ok(Request::User { domain, user, view, .. }) = Request::read(&body) else { panic!("{text}") };
        assert_eq!((&*domain, &*user, view), ("t3.test", "1007", View::Register { realm: b"t3.test" }));
        for kind in [Kind::Dialplan, Kind::DialplanTrimmed] {
            Requests::new(kind, target, "/fs/xml", "a:b", "t%d.test").write(key, &mut request, &mut body);
            let Ok(Request::Dialplan(call)) = Request::read(&body) else { panic!() };
            let (context, destination, caller) = (call.context, call.destination, call.caller);
            assert_eq!((&*context, &*destination), ("t3.test", "1008"));
            assert_eq!(&*caller.unwrap().user, "1007");
            assert!(!String::from_utf8_lossy(&body).contains('{'));
        }
    }
}
