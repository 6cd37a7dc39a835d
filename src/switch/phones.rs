//! The devices that are registered at each switch, for dial strings, and from which addresses. Whoever listens to a switch writes it
//! ([`super::live`]), and fetches read it ([`super::fetch`]).
//!
//! It is kept apart from live state, whose lock is held while a switch's lists are read: a fetch waits for nobody.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, PoisonError, RwLock},
};

use uuid::Uuid;

use crate::text::{Contact, DeviceId, Domain};

/// A device of an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub id: DeviceId,
    pub contact: Contact,
}

/// The registrations of an address of record.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Registered {
    Devices(Box<[Device]>),
    /// One has a contact that can't stand in a dial string.
    Strange,
}

/// By domain and SIP username.
type Known = HashMap<Box<str>, HashMap<Box<str>, Registered>>;

/// The addresses that registrations came from, by domain and SIP username.
type Places = HashMap<Box<str>, HashMap<Box<str>, Box<[Box<str>]>>>;

/// What a node knows of one switch; nothing while it does not hear it.
#[derive(Debug, Default)]
pub struct Phones {
    known: RwLock<Option<Known>>,
    places: RwLock<Places>,
}

impl Phones {
    /// Nothing is known any more.
    pub fn lose(&self) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.places.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// An address of record is registered from these addresses now.
    pub fn at(&self, user: &str, domain: &str, addresses: &[&str]) {
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        if !addresses.is_empty() {
            let addresses = addresses.iter().map(|address| Box::from(*address)).collect();
            places.entry(domain.into()).or_default().insert(user.into(), addresses);
        } else if let Some(users) = places.get_mut(domain) {
            users.remove(user);
            if users.is_empty() {
                places.remove(domain);
            }
        }
    }

    fn is_at(&self, user: &str, domain: &str, address: &str) -> bool {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        let addresses = places.get(domain).and_then(|users| users.get(user));
        addresses.is_some_and(|addresses| addresses.iter().any(|one| **one == *address))
    }

    /// Begins to know, with these addresses of record and their contacts.
    pub fn begin<'a>(&self, all: impl Iterator<Item = (&'a str, &'a str, Vec<&'a str>)>) {
        let mut known = Known::new();
        for (user, domain, contacts) in all {
            put(&mut known, user, domain, &contacts);
        }
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }

    /// An address of record has these contacts now.
    pub fn set(&self, user: &str, domain: &str, contacts: &[&str]) {
        if let Some(known) = self.known.write().unwrap_or_else(PoisonError::into_inner).as_mut() {
            put(known, user, domain, contacts);
        }
    }

    /// Adds the devices at a domain. `false`: what is registered there is not known, or can't be dialled.
    fn add<'d>(&self, user: &str, domain: &'d Domain, devices: &mut Vec<(&'d Domain, Device)>) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = known.as_ref() else { return false };
        match known.get(domain.as_str()).and_then(|users| users.get(user)) {
            None => true,
            Some(Registered::Strange) => false,
            Some(Registered::Devices(found)) => {
                devices.extend(found.iter().map(|device| (domain, device.clone())));
                true
            }
        }
    }
}

fn put(known: &mut Known, user: &str, domain: &str, contacts: &[&str]) {
    if contacts.is_empty() {
        if let Some(users) = known.get_mut(domain) {
            users.remove(user);
            if users.is_empty() {
                known.remove(domain);
            }
        }
        return;
    }
    let device = |contact: &&str| {
        let contact = Contact::parse(contact)?;
        Some(Device { id: contact.device(user, domain), contact })
    };
    let devices = contacts.iter().map(device).collect::<Option<Vec<_>>>();
    let registered = devices.map_or(Registered::Strange, |mut devices| {
        // Whatever order they came in, so that an answer is for the same devices.
        devices.sort_by(|one, other| one.contact.cmp(&other.contact));
        devices.dedup();
        Registered::Devices(devices.into())
    });
    known.entry(domain.into()).or_default().insert(user.into(), registered);
}

/// What a node knows of all switches.
#[derive(Debug, Default)]
pub struct AllPhones {
    switches: RwLock<HashMap<Uuid, Arc<Phones>>>,
    hasher: RandomState,
}

/// The most devices of an extension that ring at once.
pub const MOST: usize = 10;

impl AllPhones {
    /// What is known of a switch, for whoever listens to it.
    pub fn watch(&self, switch: Uuid) -> Arc<Phones> {
        let phones = Arc::new(Phones::default());
        self.switches.write().unwrap_or_else(PoisonError::into_inner).insert(switch, Arc::clone(&phones));
        phones
    }

    /// Nobody listens to the switch any more.
    pub fn forget(&self, switch: Uuid) {
        self.switches.write().unwrap_or_else(PoisonError::into_inner).remove(&switch);
    }

    /// The devices that a user has registered at a switch, at any of these domains. `None`: that is not known, or one can't be dialled.
    #[must_use]
    pub fn of<'d>(
        &self,
        switch: Option<Uuid>,
        user: &str,
        domains: impl Iterator<Item = &'d Domain>,
    ) -> Option<Vec<(&'d Domain, Device)>> {
        let switches = self.switches.read().unwrap_or_else(PoisonError::into_inner);
        let phones = switches.get(&switch?)?;
        let mut devices = Vec::new();
        for domain in domains {
            if !phones.add(user, domain, &mut devices) {
                return None;
            }
        }
        devices.truncate(MOST);
        Some(devices)
    }

    /// Whether a user is registered from this address at one of the switches that this node hears.
    #[must_use]
    pub fn are_at(&self, user: &str, domain: &str, address: &str) -> bool {
        let switches = self.switches.read().unwrap_or_else(PoisonError::into_inner);
        switches.values().any(|phones| phones.is_at(user, domain, address))
    }

    /// One number for these devices, for keys of answers. Another process has other numbers.
    #[must_use]
    pub fn mark(&self, devices: &[DeviceId]) -> u64 {
        self.hasher.hash_one(devices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWITCH: Uuid = Uuid::from_u128(1);
    const DESK: &str = "sip:1001@192.0.2.1:5060";
    const MOBILE: &str = "sip:1001@192.0.2.2:5060;transport=tcp";

    fn contacts(all: &AllPhones, switch: Uuid, domains: &[&str]) -> Option<Vec<String>> {
        let domains = domains.iter().map(|domain| Domain::parse(domain).unwrap()).collect::<Vec<_>>();
        let found = all.of(Some(switch), "1001", domains.iter())?;
        Some(found.into_iter().map(|(domain, device)| format!("{domain} {}", device.contact)).collect())
    }

    #[test]
    fn nothing_is_known_of_a_switch_until_its_lists_are_there_and_after_its_link_is_lost() {
        let all = AllPhones::default();
        assert_eq!(contacts(&all, SWITCH, &["acme.test"]), None, "nobody listens to it");
        let phones = all.watch(SWITCH);
        phones.set("1001", "acme.test", &[DESK]);
        assert_eq!(contacts(&all, SWITCH, &["acme.test"]), None, "an event alone says too little");
        phones.begin([("1001", "acme.test", vec![MOBILE, DESK])].into_iter());
        let both = Some(vec![format!("acme.test {DESK}"), format!("acme.test {MOBILE}")]);
        assert_eq!(contacts(&all, SWITCH, &["acme.test"]), both);
        assert_eq!(contacts(&all, Uuid::from_u128(2), &["acme.test"]), None, "another switch");
        assert!(all.of(None, "1001", [&Domain::parse("acme.test").unwrap()].into_iter()).is_none(), "no switch asks");
        phones.lose();
        assert_eq!(contacts(&all, SWITCH, &["acme.test"]), None);
        phones.begin(std::iter::empty());
        assert_eq!(contacts(&all, SWITCH, &["acme.test"]), Some(vec![]));
        all.forget(SWITCH);
        assert_eq!(contacts(&all, SWITCH, &["acme.test"]), None);
    }

    #[test]
    fn devices_are_those_of_all_domains_of_the_tenant_and_in_the_same_order_whatever_came_first() {
        let all = AllPhones::default();
        let phones = all.watch(SWITCH);
        phones.begin([("1001", "old.test", vec![DESK])].into_iter());
        phones.set("1001", "acme.test", &[MOBILE]);
        phones.set("1001", "beta.test", &["sip:1001@192.0.2.9"]);
        phones.set("1002", "acme.test", &["sip:1002@192.0.2.9"]);
        let both = Some(vec![format!("old.test {DESK}"), format!("acme.test {MOBILE}")]);
        assert_eq!(contacts(&all, SWITCH, &["old.test", "acme.test"]), both);
        let ids = |order: &[&str]| {
            phones.set("1001", "acme.test", order);
            let acme = Domain::parse("acme.test").unwrap();
            let found = all.of(Some(SWITCH), "1001", [&acme].into_iter()).unwrap();
            found.into_iter().map(|(_, device)| device.id).collect::<Vec<_>>()
        };
        let (one, other) = (ids(&[DESK, MOBILE]), ids(&[MOBILE, DESK]));
        assert_eq!(one, other);
        assert_eq!(all.mark(&one), all.mark(&other));
        let alone = ids(&[MOBILE]);
        assert_ne!(all.mark(&one), all.mark(&alone));
        assert!(ids(&[]).is_empty());
        assert_eq!(contacts(&all, SWITCH, &["old.test", "acme.test"]), Some(vec![format!("old.test {DESK}")]));
    }

    #[test]
    fn a_device_that_cannot_be_dialled_makes_its_extension_unknown_and_nobody_else() {
        let all = AllPhones::default();
        let phones = all.watch(SWITCH);
        phones.begin([("1001", "acme.test", vec![DESK, "sip:a,b@192.0.2.1"])].into_iter());
        phones.set("1001", "beta.test", &[DESK]);
        assert_eq!(contacts(&all, SWITCH, &["acme.test"]), None);
        assert_eq!(contacts(&all, SWITCH, &["beta.test"]).unwrap().len(), 1);
        phones.set("1001", "acme.test", &[DESK]);
        assert_eq!(contacts(&all, SWITCH, &["acme.test"]).unwrap().len(), 1);
    }

    #[test]
    fn a_user_is_at_the_addresses_that_a_switch_has_registrations_from() {
        let all = AllPhones::default();
        let phones = all.watch(SWITCH);
        phones.at("1001", "acme.test", &["192.0.2.1", "2001:db8::1"]);
        let is_at = |user, domain, address| all.are_at(user, domain, address);
        assert!(is_at("1001", "acme.test", "192.0.2.1") && is_at("1001", "acme.test", "2001:db8::1"));
        for (user, domain, address) in
            [("1001", "acme.test", "192.0.2.2"), ("1002", "acme.test", "192.0.2.1"), ("1001", "beta.test", "192.0.2.1")]
        {
            assert!(!is_at(user, domain, address), "{user} {domain} {address}");
        }
        phones.at("1001", "acme.test", &[]);
        assert!(!is_at("1001", "acme.test", "192.0.2.1"));
        phones.at("1001", "acme.test", &["192.0.2.1"]);
        phones.lose();
        assert!(!is_at("1001", "acme.test", "192.0.2.1"), "nothing is known of a switch that is not heard");
    }

    #[test]
    fn at_most_ten_ring() {
        let all = AllPhones::default();
        let many = (0..20).map(|n| format!("sip:1001@192.0.2.{n}")).collect::<Vec<_>>();
        all.watch(SWITCH).begin([("1001", "acme.test", many.iter().map(String::as_str).collect())].into_iter());
        assert_eq!(contacts(&all, SWITCH, &["acme.test"]).unwrap().len(), MOST);
    }
}
