//! Which phones a switch has registered.
//!
//! A registration is known by its Call-ID: when a connection closes, the switch says nothing else of it. A phone that was started again
//! registers the same contact under another Call-ID; the switch replaces the row and says nothing of the old one (`sofia_reg.c`).

use std::collections::HashMap;

use serde::Deserialize as _;

use super::{
    change::{Aor, Change},
    gone::Gone,
    said::{Micros, Registered, short},
};

/// A phone that is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    pub call_id: String,
    /// As dial strings need it, without name and brackets. The phone's own text.
    pub contact: String,
    pub device: Option<String>,
    pub address: String,
    pub transport: Option<String>,
    /// When it registered first; `None` if that was before anybody listened.
    pub since: Option<Micros>,
    /// When it was heard of last.
    pub seen: Micros,
    /// In seconds since 1970.
    pub expires: i64,
    /// Whether it answers pings; `None` if none was heard of.
    pub is_reachable: Option<bool>,
    /// How long it took to answer the switch's last ping, in microseconds; `None` if that is not known.
    pub round_trip: Option<u32>,
    /// Whether it is at the profile that dial strings name.
    pub is_dialled: bool,
}

/// A row of `show registrations`.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Row {
    #[serde(rename = "reg_user")]
    pub user: String,
    #[serde(rename = "realm")]
    pub domain: String,
    #[serde(rename = "token", deserialize_with = "as_events_say_it")]
    pub call_id: String,
    #[serde(default)]
    pub url: String,
    #[serde(default)]
    pub expires: String,
    #[serde(default)]
    pub network_ip: String,
    #[serde(default)]
    pub network_port: String,
    #[serde(default)]
    pub network_proto: String,
    /// What this list does not say.
    #[serde(skip)]
    pub described: Described,
}

/// What a profile alone says of its phones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Described {
    pub device: Option<String>,
    pub round_trip: Option<u32>,
}

/// Reads `sofia status profile NAME reg`, by Call-ID (`show_reg_callback` in mod_sofia.c). Unlike in its XML, nothing that a phone chose can
/// look like another phone's lines: no header has a line break.
#[must_use]
pub fn described(text: &str) -> HashMap<String, Described> {
    let mut found = HashMap::<String, Described>::new();
    let mut call_id = None;
    for line in text.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match name {
            "Call-ID" => call_id = Some(short(value)),
            "Agent" => {
                let Some(call_id) = &call_id else { continue };
                let device = Some(short(value)).filter(|device| !device.is_empty() && device != "unknown");
                found.entry(call_id.clone()).or_default().device = device;
            }
            // In milliseconds; 0 before the first answer.
            "Ping-Time" => {
                let Some(call_id) = &call_id else { continue };
                let (whole, part) = value.split_once('.').unwrap_or((value, "0"));
                let micros = whole.parse::<u32>().ok().and_then(|whole| {
                    let part = format!("{part:0<3}").get(..3)?.parse::<u32>().ok()?;
                    whole.checked_mul(1000)?.checked_add(part)
                });
                found.entry(call_id.clone()).or_default().round_trip = micros.filter(|micros| *micros > 0);
            }
            _ => {}
        }
    }
    found
}

/// Events have their texts cut, and a Call-ID must be the same in both.
fn as_events_say_it<'de, D: serde::Deserializer<'de>>(row: D) -> Result<String, D::Error> {
    Ok(short(&String::deserialize(row)?))
}

#[derive(Debug, Default)]
pub struct Registrations {
    by_aor: HashMap<Aor, Vec<Registration>>,
    /// Whose a Call-ID is.
    aors: HashMap<Box<str>, Aor>,
    gone: Gone<Box<str>>,
}

impl Registrations {
    pub fn iter(&self) -> impl Iterator<Item = (&Aor, &Registration)> {
        self.by_aor.iter().flat_map(|(aor, all)| all.iter().map(move |one| (aor, one)))
    }

    #[must_use]
    pub fn of_aor(&self, aor: &Aor) -> &[Registration] {
        self.by_aor.get(aor).map_or(&[], Vec::as_slice)
    }

    #[must_use]
    pub fn of(&self, user: &str, domain: &str) -> &[Registration] {
        self.by_aor.get(&(user.into(), domain.into())).map_or(&[], Vec::as_slice)
    }

    /// Where the phones of an address of record are reached by a dial string.
    #[must_use]
    pub fn contacts(&self, aor: &Aor) -> Vec<&str> {
        contacts(self.of_aor(aor))
    }

    /// The addresses that they came from.
    #[must_use]
    pub fn addresses(&self, aor: &Aor) -> Vec<&str> {
        let hosts = self.of_aor(aor).iter().filter_map(|one| Some(one.address.rsplit_once(':')?.0));
        hosts.filter(|host| !host.is_empty()).collect()
    }

    /// All addresses of record, and where their phones are reached.
    pub fn aors(&self) -> impl Iterator<Item = (&Aor, Vec<&str>)> {
        self.by_aor.iter().map(|(aor, all)| (aor, contacts(all)))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.aors.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.aors.is_empty()
    }

    pub fn registered(&mut self, at: Micros, said: &Registered) -> Vec<Change> {
        if self.gone.is_gone(said.call_id.as_str(), at) {
            return Vec::new();
        }
        let aor: Aor = (said.user.as_str().into(), said.domain.as_str().into());
        let known = self.get(&said.call_id).cloned();
        if known.as_ref().is_some_and(|known| known.seen > at) {
            return Vec::new();
        }
        self.gone.forget(said.call_id.as_str());
        let since = known.as_ref().map_or_else(|| (!said.is_refresh).then_some(at), |known| known.since);
        let is_news = known.as_ref().is_none_or(|known| known.contact != said.contact || known.address != said.address);
        let registration = Registration {
            call_id: said.call_id.clone(),
            contact: said.contact.clone(),
            device: said.device.clone(),
            address: said.address.clone(),
            transport: said.transport.clone(),
            since,
            seen: at,
            expires: at / 1_000_000 + said.expires,
            round_trip: known.as_ref().and_then(|known| known.round_trip),
            is_reachable: known.and_then(|known| known.is_reachable),
            is_dialled: said.is_dialled,
        };
        self.remove(&said.call_id);
        let mut is_alone = false;
        if let Some(others) = self.by_aor.get(&aor) {
            let is_replaced =
                |other: &&Registration| (said.is_only || other.contact == said.contact) && other.seen <= at;
            let replaced = others.iter().filter(is_replaced);
            for call_id in replaced.map(|other| other.call_id.clone()).collect::<Vec<_>>() {
                self.remove(&call_id);
                is_alone = said.is_only;
            }
        }
        self.add(aor.clone(), registration);
        if is_news || is_alone { vec![Change::Registration(aor)] } else { Vec::new() }
    }

    pub fn unregistered(&mut self, at: Micros, call_id: &str) -> Vec<Change> {
        if self.get(call_id).is_some_and(|known| known.seen > at) {
            return Vec::new();
        }
        self.gone.note(call_id.into(), at);
        self.remove(call_id).map(Change::Registration).into_iter().collect()
    }

    pub fn reached(&mut self, call_id: &str, is_reachable: bool) -> Vec<Change> {
        let Some(aor) = self.aors.get(call_id) else { return Vec::new() };
        let all = self.by_aor.get_mut(aor).into_iter().flatten();
        let Some(known) = all.into_iter().find(|one| one.call_id == call_id) else { return Vec::new() };
        if known.is_reachable.replace(is_reachable) == Some(is_reachable) {
            return Vec::new();
        }
        vec![Change::Registration(aor.clone())]
    }

    /// Takes over what the switch lists. `began`: when it was asked, before which everything that it said is in the list, but for what
    /// happened just before.
    pub fn read(&mut self, rows: Vec<Row>, began: Micros) -> Vec<Change> {
        let mut listed = Self { gone: std::mem::take(&mut self.gone), ..Self::default() };
        let mut changes = Vec::new();
        for row in rows {
            let (Ok(expires), false) = (row.expires.parse::<i64>(), listed.gone.has(row.call_id.as_str())) else {
                continue;
            };
            // What a crash left there.
            if expires < began / 1_000_000 {
                continue;
            }
            let aor: Aor = (row.user.as_str().into(), row.domain.to_ascii_lowercase().into());
            if let Some(known) = self.get(&row.call_id) {
                let Described { device, round_trip } = row.described;
                listed.add(
                    aor,
                    Registration {
                        expires: known.expires.max(expires),
                        device: known.device.clone().or(device),
                        round_trip: round_trip.or(known.round_trip),
                        ..known.clone()
                    },
                );
                continue;
            }
            // `sofia/PROFILE/CONTACT`.
            let mut url = row.url.splitn(3, '/').skip(1);
            let (profile, contact) = (url.next().unwrap_or_default(), url.next().unwrap_or_default());
            let is_dialled = profile == super::said::PHONES;
            let transport = super::said::transport_of(contact);
            let registration = Registration {
                call_id: row.call_id,
                contact: super::said::bare(contact),
                device: row.described.device,
                address: format!("{}:{}", row.network_ip, row.network_port),
                // It never says that a phone came by WebSocket.
                transport: transport.or_else(|| Some(row.network_proto).filter(|proto| !proto.is_empty())),
                since: None,
                seen: began,
                expires,
                is_reachable: None,
                round_trip: row.described.round_trip,
                is_dialled,
            };
            changes.push(Change::Registration(aor.clone()));
            listed.add(aor, registration);
        }
        for (aor, known) in self.iter() {
            if listed.get(&known.call_id).is_some() {
                continue;
            }
            if super::gone::may_be_unlisted(known.seen, began) {
                listed.add(aor.clone(), known.clone());
            } else {
                changes.push(Change::Registration(aor.clone()));
            }
        }
        *self = listed;
        changes
    }

    fn get(&self, call_id: &str) -> Option<&Registration> {
        self.by_aor.get(self.aors.get(call_id)?)?.iter().find(|one| one.call_id == call_id)
    }

    fn add(&mut self, aor: Aor, registration: Registration) {
        self.aors.insert(registration.call_id.as_str().into(), aor.clone());
        self.by_aor.entry(aor).or_default().push(registration);
    }

    fn remove(&mut self, call_id: &str) -> Option<Aor> {
        let aor = self.aors.remove(call_id)?;
        if let Some(all) = self.by_aor.get_mut(&aor) {
            all.retain(|one| one.call_id != call_id);
            if all.is_empty() {
                self.by_aor.remove(&aor);
            }
        }
        Some(aor)
    }
}

fn contacts(all: &[Registration]) -> Vec<&str> {
    all.iter().filter(|one| one.is_dialled).map(|one| one.contact.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = 1_000_000;
    const NOW: Micros = 1_790_000_000 * SECOND;

    fn says(call_id: &str, contact: &str) -> Registered {
        Registered {
            call_id: call_id.into(),
            user: "1001".into(),
            domain: "acme.test".into(),
            contact: contact.into(),
            device: Some("Desk phone".into()),
            address: "192.0.2.1:5060".into(),
            transport: Some("udp".into()),
            expires: 300,
            is_refresh: false,
            is_only: false,
            is_dialled: true,
        }
    }

    fn row(call_id: &str, expires: i64) -> Row {
        serde_json::from_value(serde_json::json!({
            "reg_user": "1001", "realm": "acme.test", "token": call_id, "url": "sofia/internal/sip:1001@192.0.2.1:5060;transport=ws",
            "expires": expires.to_string(), "network_ip": "192.0.2.1", "network_port": "5060", "network_proto": "tcp",
        }))
        .unwrap()
    }

    fn call_ids(all: &Registrations) -> Vec<&str> {
        let mut ids = all.of("1001", "acme.test").iter().map(|one| one.call_id.as_str()).collect::<Vec<_>>();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn several_devices_are_known_by_their_call_ids_and_one_that_starts_again_replaces_itself() {
        let mut all = Registrations::default();
        assert_eq!(all.registered(NOW, &says("desk", "sip:desk")).len(), 1);
        assert_eq!(all.registered(NOW + 1, &says("mobile", "sip:mobile")).len(), 1);
        assert_eq!(call_ids(&all), ["desk", "mobile"]);
        assert!(all.registered(NOW + 2, &says("desk", "sip:desk")).is_empty(), "a refresh is no news");
        all.registered(NOW + 3, &says("desk-again", "sip:desk"));
        assert_eq!(call_ids(&all), ["desk-again", "mobile"]);
        // A WebSocket closed: there is no contact.
        assert_eq!(all.unregistered(NOW + 4, "mobile").len(), 1);
        assert_eq!(call_ids(&all), ["desk-again"]);
        assert!(all.unregistered(NOW + 5, "nobody").is_empty());
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn where_one_phone_may_be_registered_the_newest_replaces_the_others() {
        let mut all = Registrations::default();
        all.registered(NOW, &says("desk", "sip:desk"));
        let only = |call_id: &str, contact: &str| Registered { is_only: true, ..says(call_id, contact) };
        assert_eq!(all.registered(NOW + 1, &only("mobile", "sip:mobile")).len(), 1);
        assert_eq!(call_ids(&all), ["mobile"]);
        // The limit was lowered, and a phone that is known says so at its next REGISTER.
        all.registered(NOW + 2, &says("desk", "sip:desk"));
        assert_eq!(all.registered(NOW + 3, &only("desk", "sip:desk")).len(), 1, "the other is gone");
        assert_eq!(call_ids(&all), ["desk"]);
        assert!(all.registered(NOW + 4, &only("desk", "sip:desk")).is_empty(), "a refresh is no news");
        // What is older replaces nothing.
        all.registered(NOW + 1, &only("late", "sip:late"));
        assert_eq!(call_ids(&all), ["desk", "late"]);
    }

    #[test]
    fn a_profile_says_the_device_and_the_round_trip_of_each_phone_and_no_phone_speaks_for_another() {
        let listed = "\nRegistrations:\n=====\nCall-ID:    \tdesk\nUser:       \t1001@acme.test\nContact:    \t\"x\" <sip:1001@192.0.2.1>\n\
            Agent:      \tSnom D785: 10.1\nStatus:     \tRegistered(UDP-NAT)(unknown) EXP(2026-11-28 01:00:00) EXPSECS(300)\n\
            Ping-Status:\tReachable\nPing-Time:\t12.34\nHost:       \tfs\n\n\
            Call-ID:    \tnew</call-id><call-id>desk\nAgent:      \t\nPing-Time:\t0.00\n\nTotal items returned: 2\n=====\n";
        let described = described(listed);
        let desk = Described { device: Some("Snom D785: 10.1".into()), round_trip: Some(12_340) };
        assert_eq!(described.get("desk"), Some(&desk));
        assert_eq!(described.get("new</call-id><call-id>desk"), Some(&Described::default()));
        assert_eq!(described.len(), 2);

        // A node that begins to listen knows it at once, and keeps it when the phone registers again.
        let mut all = Registrations::default();
        let row = |described: Option<&Described>| Row {
            described: described.cloned().unwrap_or_default(),
            ..row("desk", NOW / SECOND + 60)
        };
        all.read(vec![row(described.get("desk"))], NOW);
        let known = |all: &Registrations| {
            let one = &all.of("1001", "acme.test")[0];
            (one.device.clone(), one.round_trip)
        };
        assert_eq!(known(&all), (Some("Snom D785: 10.1".into()), Some(12_340)));
        all.registered(NOW + 1, &Registered { is_refresh: true, ..says("desk", "sip:desk") });
        assert_eq!(known(&all), (Some("Desk phone".into()), Some(12_340)));
        all.read(vec![row(None)], NOW + 2);
        assert_eq!(known(&all), (Some("Desk phone".into()), Some(12_340)), "another read says nothing of it");
    }

    #[test]
    fn a_contact_is_whole_however_long_it_is() {
        let contact = format!("sip:1001@192.0.2.1:5060;pn-prid={}", "a".repeat(600));
        let listed = serde_json::json!({
            "reg_user": "1001", "realm": "acme.test", "token": "phone", "url": format!("sofia/internal/{contact}"),
            "expires": (NOW / SECOND + 60).to_string(),
        });
        let mut all = Registrations::default();
        all.read(vec![serde_json::from_value(listed).unwrap()], NOW);
        assert_eq!(all.of("1001", "acme.test")[0].contact, contact);
        let aor = ("1001".into(), "acme.test".into());
        assert_eq!(all.contacts(&aor), [contact]);
        // At a profile that dial strings don't name.
        all.registered(NOW, &Registered { is_dialled: false, ..says("other", "sip:1001@192.0.2.2") });
        assert_eq!(all.contacts(&aor).len(), 1);
    }

    #[test]
    fn a_call_id_that_is_cut_in_events_is_the_same_in_lists() {
        let long = "x".repeat(400);
        let mut all = Registrations::default();
        all.registered(NOW - 60 * SECOND, &says(&short(&long), "sip:desk"));
        all.read(vec![row(&long, NOW / SECOND + 100)], NOW);
        assert_eq!(call_ids(&all), [short(&long)]);
        assert_eq!(all.unregistered(NOW + 1, &short(&long)).len(), 1);
        assert!(all.is_empty());
    }

    #[test]
    fn what_comes_in_another_order_ends_the_same() {
        let mut all = Registrations::default();
        all.unregistered(NOW + 10, "desk");
        assert!(all.registered(NOW, &says("desk", "sip:desk")).is_empty());
        assert!(all.is_empty(), "it was gone by then");
        all.registered(NOW + 20, &says("desk", "sip:desk"));
        all.unregistered(NOW + 15, "desk");
        assert_eq!(all.len(), 1, "it came back later");
    }

    #[test]
    fn a_full_read_removes_what_is_not_listed_and_keeps_what_may_not_be_yet() {
        let mut all = Registrations::default();
        all.registered(NOW - 60 * SECOND, &says("lost", "sip:lost"));
        all.registered(NOW - SECOND, &says("fresh", "sip:fresh"));
        all.registered(NOW - 60 * SECOND, &says("desk", "sip:desk"));
        all.unregistered(NOW - SECOND, "left");
        let seconds = NOW / SECOND;
        let rows = vec![
            row("desk", seconds + 100),
            row("left", seconds + 100),
            row("stale", seconds - 1),
            row("new", seconds + 9),
        ];
        all.read(rows, NOW);
        assert_eq!(call_ids(&all), ["desk", "fresh", "new"]);
        let known = |id: &str| all.of("1001", "acme.test").iter().find(|one| one.call_id == id).unwrap().clone();
        assert_eq!(known("desk").device.as_deref(), Some("Desk phone"), "more is known of it than the list says");
        let new = known("new");
        assert_eq!((new.transport.as_deref(), new.since), (Some("ws"), None));
        assert_eq!(new.contact, "sip:1001@192.0.2.1:5060;transport=ws");
    }
}
