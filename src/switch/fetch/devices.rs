//! What an answer says of the devices that are registered at the switch that asks ([`crate::switch::phones`]).
//!
//! A registration is an input of an answer, as the caller is: it is part of the key. So a REGISTER outdates nothing, and the next answer is for
//! the devices that are registered then. With one device or none, and as long as nothing is known, the switch finds the device itself
//! (`sofia/internal/USER%DOMAIN`), and the answer depends on no registration.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    Fetch, Reply, Source,
    cache::Rung,
    fill::Question,
    key::KeyText,
    render::{Ringing, Shown},
};
use crate::{
    model::device::Only,
    node::generations::Slot,
    routing::Route,
    switch::phones::Device,
    text::{Contact, DeviceId, Domain, SipUsername},
};

impl Fetch {
    /// The devices of an extension at a switch: under its own domain, and under those that its tenant had before.
    fn devices<'s>(&self, slot: &'s Slot, switch: Option<Uuid>, user: &str) -> Option<Vec<(&'s Domain, Device)>> {
        self.phones.of(switch, user, slot.former.domains.iter().chain(&slot.home))
    }

    /// Their names, if there are several.
    fn several(&self, slot: &Slot, switch: Option<Uuid>, user: &SipUsername) -> Vec<DeviceId> {
        let devices = self.devices(slot, switch, user.as_str()).filter(|devices| devices.len() > 1);
        devices.into_iter().flatten().map(|(_, device)| device.id).collect()
    }

    /// The mark of the devices of some extensions.
    pub(super) fn mark(&self, slot: &Slot, switch: Option<Uuid>, extensions: &[SipUsername]) -> u64 {
        let devices = extensions.iter().flat_map(|extension| self.several(slot, switch, extension));
        self.phones.mark(&devices.collect::<Vec<_>>())
    }

    /// Has a route ring the devices that are registered. `besides`: an extension that is rung before, in a fork as well; its devices are
    /// returned.
    pub(super) fn ring_devices(
        &self,
        slot: &Slot,
        switch: Option<Uuid>,
        route: &mut Route,
        besides: Option<&SipUsername>,
    ) -> (Option<Rung>, Vec<DeviceId>) {
        let extensions = besides.into_iter().chain(route.in_fork()).cloned().collect::<Box<[_]>>();
        if extensions.is_empty() {
            return (None, Vec::new());
        }
        // Read once: a registration may come in between.
        let known = extensions.iter().map(|extension| self.several(slot, switch, extension)).collect::<Vec<_>>();
        let of = |extension: &SipUsername| {
            let place = extensions.iter().position(|one| one == extension);
            place.map(|place| known[place].clone()).unwrap_or_default()
        };
        route.ring_devices(of);
        let devices = besides.map(of).unwrap_or_default();
        let mark = self.phones.mark(&known.concat());
        (Some(Rung { extensions, mark }), devices)
    }

    /// What a switch rings that calls an extension, or one of its devices.
    pub(super) async fn about_ringing(
        self: &Arc<Self>,
        domain: &str,
        asked: &str,
        only: Option<Only>,
        switch: Option<Uuid>,
        fresh: bool,
    ) -> (Reply, Source) {
        let Some(slot) = self.generations.domain(domain) else { return super::unknown_domain(fresh) };
        let Some((user, only)) = Only::part(asked).filter(|_| only.is_some()) else {
            return self.about_all(&slot, domain, asked, switch, fresh).await;
        };
        let (kind, first, to) = match (only, self.devices(&slot, switch, &user.to_ascii_lowercase())) {
            (Only::Device { id, .. } | Only::Again(id), Some(devices)) => {
                let place = if let Only::Device { place, .. } = only { place } else { 0 };
                let mut to = devices.into_iter().filter(|(_, device)| device.id == id).map(owned).peekable();
                // It is gone since the call was routed.
                if to.peek().is_none() {
                    return self.nobody(domain, fresh);
                }
                (b'U', place, to.collect())
            }
            // Nothing is known any more: one leg is enough for what the switch finds.
            (Only::Device { place: 2.., .. } | Only::Again(_), None) => return self.nobody(domain, fresh),
            (Only::Device { .. } | Only::Any | Only::Fork, _) => (b'L', 1, Vec::new()),
        };
        let in_fork = matches!(only, Only::Device { .. } | Only::Fork);
        let shown = Shown::Ring(Ringing { asked: Some(asked.to_owned()), first, in_fork, to });
        self.look_up_user(KeyText::new(kind).folded(domain).folded(asked), domain, user, shown, fresh).await
    }

    /// What a switch rings that calls an extension. It may ask by any of its names.
    async fn about_all(
        self: &Arc<Self>,
        slot: &Slot,
        domain: &str,
        user: &str,
        switch: Option<Uuid>,
        fresh: bool,
    ) -> (Reply, Source) {
        let key = KeyText::new(b'P').folded(domain).folded(user);
        let answered = self.look_up_user(key.clone(), domain, user, Shown::Profile, fresh).await;
        let kept = key.finish().and_then(|key| self.cache.get(&key));
        // Nobody, or a mailbox: nothing rings.
        let Some(rung) = kept.as_ref().and_then(|kept| kept.rung.as_ref()) else { return answered };
        let devices = rung.extensions.first().and_then(|name| self.devices(slot, switch, name.as_str()));
        let Some(devices) = devices.filter(|devices| devices.len() > 1) else { return answered };
        let ids = devices.iter().map(|(_, device)| device.id).collect::<Vec<_>>();
        let key = KeyText::new(b'U').folded(domain).folded(user).mark(self.phones.mark(&ids));
        // Without the database, what the switch finds is better than nothing.
        let is_kept = || key.clone().finish().is_some_and(|key| self.cache.get(&key).is_some());
        if !fresh && !is_kept() {
            return answered;
        }
        let shown = Shown::Ring(Ringing {
            asked: None,
            first: 1,
            in_fork: false,
            to: devices.into_iter().map(owned).collect(),
        });
        self.look_up_user(key, domain, user, shown, fresh).await
    }

    async fn look_up_user(
        self: &Arc<Self>,
        key: KeyText,
        domain: &str,
        user: &str,
        shown: Shown,
        fresh: bool,
    ) -> (Reply, Source) {
        let question = |name: &str| Some(Question::User { name: SipUsername::parse(name).ok()?, shown });
        self.look_up(key, domain, Some(user), fresh, question).await
    }
}

fn owned((domain, device): (&Domain, Device)) -> (Domain, Contact) {
    (domain.clone(), device.contact)
}
