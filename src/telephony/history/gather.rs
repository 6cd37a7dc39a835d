//! Which legs belong to one call: those that are connected, directly or over others. Legs come in any order, and two calls become one when a
//! leg comes that was connected with both, such as that of whoever transferred a call.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use crate::telephony::calls::told::Told;

/// A leg that belongs to no call yet.
#[derive(Debug, Clone)]
pub struct Due {
    pub leg: Uuid,
    /// Whose it is, as Dialplane knows; legs inside a switch are of whoever they are connected with.
    pub tenant: Option<Uuid>,
    pub cluster: Uuid,
    pub told: Told,
}

/// A channel that is known to belong to a call.
#[derive(Debug, Clone, Copy)]
pub struct Belongs {
    pub channel: Uuid,
    pub tenant: Uuid,
    /// Where the tenant's calls are.
    pub cluster: Uuid,
    pub call: Uuid,
}

/// Which channels belong to which calls now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// Tenant, channel, call: new or changed.
    pub channels: Vec<(Uuid, Uuid, Uuid)>,
    /// Tenant, call, and the call that it turned out to be a part of.
    pub merged: Vec<(Uuid, Uuid, Uuid)>,
    /// Leg, tenant, call. Legs of which it is not known whose they are, are missing.
    pub legs: Vec<(Uuid, Uuid, Uuid)>,
}

impl Gathered {
    /// Leaves out what belongs to other tenants.
    pub fn keep_only(&mut self, tenants: &[Uuid]) {
        self.channels.retain(|(tenant, ..)| tenants.contains(tenant));
        self.merged.retain(|(tenant, ..)| tenants.contains(tenant));
        self.legs.retain(|(_, tenant, _)| tenants.contains(tenant));
    }
}

impl Due {
    /// The leg's own channel and those that it was connected with.
    pub fn channels(&self) -> impl Iterator<Item = Uuid> {
        std::iter::once(self.leg).chain(self.told.links.iter().copied())
    }
}

/// Sets of connected things.
#[derive(Default)]
struct Sets {
    above: Vec<usize>,
    places: HashMap<(Uuid, Uuid), usize>,
}

impl Sets {
    fn place(&mut self, thing: (Uuid, Uuid)) -> usize {
        let next = self.above.len();
        let place = *self.places.entry(thing).or_insert(next);
        if place == next {
            self.above.push(next);
        }
        place
    }

    fn top(&mut self, mut place: usize) -> usize {
        while self.above[place] != place {
            self.above[place] = self.above[self.above[place]];
            place = self.above[place];
        }
        place
    }

    fn connect(&mut self, one: (Uuid, Uuid), other: (Uuid, Uuid)) {
        let (one, other) = (self.place(one), self.place(other));
        let (one, other) = (self.top(one), self.top(other));
        self.above[one.max(other)] = one.min(other);
    }
}

/// Finds out which calls new legs belong to.
#[must_use]
pub fn gather(due: &[Due], known: &[Belongs]) -> Gathered {
    let tenants = owners(due, known);
    let mut sets = Sets::default();
    for belongs in known {
        sets.connect((belongs.tenant, belongs.channel), (belongs.tenant, belongs.call));
    }
    let of = |leg: &Due| tenants.get(&leg.leg).copied();
    for leg in due {
        if let Some(tenant) = of(leg) {
            leg.channels().for_each(|channel| sets.connect((tenant, leg.leg), (tenant, channel)));
        }
    }
    let mut calls: HashMap<usize, BTreeSet<Uuid>> = HashMap::new();
    for belongs in known {
        let place = sets.place((belongs.tenant, belongs.call));
        calls.entry(sets.top(place)).or_default().insert(belongs.call);
    }
    let mut gathered = Gathered::default();
    let mut merged = BTreeSet::new();
    let mut channels = BTreeMap::new();
    for leg in due {
        let Some(tenant) = of(leg) else { continue };
        let place = sets.place((tenant, leg.leg));
        let known = calls.entry(sets.top(place)).or_default();
        let call = *known.first().unwrap_or(&leg.told.call.unwrap_or(leg.leg));
        merged.extend(known.iter().filter(|other| **other != call).map(|other| (tenant, *other, call)));
        known.insert(call);
        channels.extend(leg.channels().map(|channel| ((tenant, channel), call)));
        gathered.legs.push((leg.leg, tenant, call));
    }
    gathered.channels = channels.into_iter().map(|((tenant, channel), call)| (tenant, channel, call)).collect();
    gathered.merged = merged.into_iter().collect();
    gathered
}

/// Whose each leg is. Those that don't say are of whoever they are connected with on the same cluster, if that is one tenant.
fn owners(due: &[Due], known: &[Belongs]) -> HashMap<Uuid, Uuid> {
    let mut tenants = due.iter().filter_map(|leg| Some((leg.leg, leg.tenant?))).collect::<HashMap<_, _>>();
    let mut of_channel: HashMap<(Uuid, Uuid), BTreeSet<Uuid>> = HashMap::new();
    for belongs in known {
        of_channel.entry((belongs.cluster, belongs.channel)).or_default().insert(belongs.tenant);
    }
    for leg in due {
        if let Some(tenant) = leg.tenant {
            leg.channels().for_each(|channel| _ = of_channel.entry((leg.cluster, channel)).or_default().insert(tenant));
        }
    }
    // A chain of legs that don't say: each round finds one more.
    for _ in 0..8 {
        let mut found = Vec::new();
        for leg in due.iter().filter(|leg| !tenants.contains_key(&leg.leg)) {
            let named = leg.channels().filter_map(|channel| of_channel.get(&(leg.cluster, channel))).flatten();
            let named = named.copied().collect::<BTreeSet<_>>();
            if let (1, Some(tenant)) = (named.len(), named.first()) {
                found.push((leg, *tenant));
            }
        }
        if found.is_empty() {
            break;
        }
        for (leg, tenant) in found {
            tenants.insert(leg.leg, tenant);
            leg.channels().for_each(|channel| _ = of_channel.entry((leg.cluster, channel)).or_default().insert(tenant));
        }
    }
    tenants
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: Uuid = Uuid::from_u128(9);
    const OURS: Uuid = Uuid::from_u128(100);

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn leg(number: u128, links: &[u128], tenant: Option<Uuid>) -> Due {
        let links = links.iter().map(|link| id(*link)).collect();
        let told = Told { leg: id(number), call: Some(id(1)), links, ..Told::default() };
        Due { leg: id(number), tenant, cluster: CLUSTER, told }
    }

    /// The legs of each call, after these batches came one after the other.
    fn calls(batches: &[Vec<Due>]) -> BTreeSet<BTreeSet<Uuid>> {
        let (mut known, mut of_leg): (HashMap<(Uuid, Uuid), Uuid>, HashMap<Uuid, Uuid>) = Default::default();
        for batch in batches {
            let list = known.iter().map(|((tenant, channel), call)| Belongs {
                channel: *channel,
                tenant: *tenant,
                cluster: CLUSTER,
                call: *call,
            });
            let gathered = gather(batch, &list.collect::<Vec<_>>());
            for (tenant, from, to) in &gathered.merged {
                known
                    .iter_mut()
                    .filter(|(key, call)| key.0 == *tenant && *call == from)
                    .for_each(|(_, call)| *call = *to);
                of_leg.values_mut().filter(|call| *call == from).for_each(|call| *call = *to);
            }
            known.extend(gathered.channels.iter().map(|(tenant, channel, call)| ((*tenant, *channel), *call)));
            of_leg.extend(gathered.legs.iter().map(|(leg, _, call)| (*leg, *call)));
        }
        let mut calls: HashMap<Uuid, BTreeSet<Uuid>> = HashMap::new();
        for (leg, call) in of_leg {
            calls.entry(call).or_default().insert(leg);
        }
        calls.into_values().collect()
    }

    #[test]
    fn a_leg_inside_the_switch_belongs_to_whoever_it_is_connected_with() {
        let legs = vec![leg(1, &[2], Some(OURS)), leg(2, &[1, 3], None), leg(3, &[], None), leg(7, &[8], None)];
        let gathered = gather(&legs, &[]);
        assert_eq!(gathered.legs.iter().map(|leg| leg.0).collect::<Vec<_>>(), [id(1), id(2), id(3)]);
        // Of two tenants' it is nobody's.
        let other = id(200);
        let legs = [leg(1, &[2], Some(OURS)), leg(3, &[2], Some(other)), leg(2, &[], None)];
        assert_eq!(gather(&legs, &[]).legs.len(), 2);
    }

    proptest::proptest! {
        #[test]
        fn legs_make_the_same_calls_in_whatever_order_and_batches_they_come(
            links in proptest::collection::vec((0..14_u128, 0..14_u128), 14),
            order in proptest::collection::vec(0..1000_u32, 14),
            size in 1..15_usize,
        ) {
            let legs = links.iter().enumerate().map(|(at, (one, two))| leg(at as u128, &[*one, *two], Some(OURS)));
            let legs = legs.collect::<Vec<_>>();
            let mut shuffled = legs.clone().into_iter().zip(order).collect::<Vec<_>>();
            shuffled.sort_by_key(|(_, order)| *order);
            let shuffled = shuffled.into_iter().map(|(leg, _)| leg).collect::<Vec<_>>();
            let batches = shuffled.chunks(size).map(<[_]>::to_vec).collect::<Vec<_>>();
            proptest::prop_assert_eq!(calls(&batches), calls(&[legs]));
        }
    }
}
