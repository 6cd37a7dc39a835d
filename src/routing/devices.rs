//! The devices of extensions that ring in a fork.
//!
//! Where an extension rings alone, its dial string names all its devices, and the route need not know them. In a fork (with colleagues,
//! follow-me or pickup), a switch rings the first branch of each `user/…` only, so that each device needs a leg of its own.

use super::{Member, Ring, RingGroup, Route};
use crate::text::{DeviceId, SipUsername};

/// A switch makes up to 128 legs at once (`MAX_PEERS` in switch_ivr_originate.c), and some are not of devices.
const MOST_LEGS: usize = 120;

impl Route {
    /// The extensions whose registered devices the route's applications depend on.
    #[must_use]
    pub fn in_fork(&self) -> Vec<&SipUsername> {
        match self {
            Self::Ring(ring) if ring.is_fork() => vec![&ring.extension],
            Self::RingGroup(group) if group.is_fork() => group.phones().map(|member| &member.extension).collect(),
            _ => Vec::new(),
        }
    }

    /// Has these devices ring. `devices_of`: the devices of an extension, if there are several.
    pub fn ring_devices(&mut self, mut devices_of: impl FnMut(&SipUsername) -> Vec<DeviceId>) {
        match self {
            Self::Ring(ring) if ring.is_fork() => ring.devices = devices_of(&ring.extension),
            Self::RingGroup(group) if group.is_fork() => {
                let mut more = MOST_LEGS.saturating_sub(group.members.len());
                for member in group.members.iter_mut().filter(|member| member.forward.is_none()) {
                    let devices = devices_of(&member.extension);
                    // Those whose devices are too many for one call ring one.
                    if let Some(rest) = more.checked_sub(devices.len().saturating_sub(1)) {
                        more = rest;
                        member.devices = devices;
                    }
                }
            }
            _ => {}
        }
    }
}

impl Ring {
    fn is_fork(&self) -> bool {
        self.pickup || !self.follow_me.is_empty()
    }
}

impl RingGroup {
    /// In order, each member rings alone, unless colleagues may pick the call up.
    fn is_fork(&self) -> bool {
        self.pickup.is_some() || !self.in_order && self.members.len() > 1
    }

    fn phones(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.forward.is_none())
    }
}
