//! A call as it is right now, and what is shown of it.

use uuid::Uuid;

use super::{
    leg::{Leg, Party, Phase},
    names::{Extension, Names},
    said::{Line, Micros},
    state::State,
    views::{self, At, CallState, Direction, LegState, time},
    whose::{Whose, id_of},
};

/// A call's legs, and where its first one waits.
#[derive(Debug, Clone)]
pub struct CallNow {
    pub id: Uuid,
    /// Without those that are no party.
    pub legs: Vec<Leg>,
    /// Of each leg, whose phone it is.
    pub owners: Vec<Option<Uuid>>,
    pub queue: Option<String>,
    pub waits: bool,
}

impl CallNow {
    #[must_use]
    pub fn of(id: Uuid, state: &State, whose: &Whose) -> Self {
        let all = state.calls.of(id);
        let queue = all.iter().find_map(|leg| leg.about.queue.clone());
        let waits = queue.as_ref().is_some_and(|queue| {
            state.queues.waiting(queue).iter().any(|member| all.iter().any(|leg| leg.id == member.leg))
        });
        let legs = all.into_iter().filter(|leg| !leg.is_inner()).cloned().collect::<Vec<_>>();
        let owners = legs.iter().map(|leg| whose.of_leg(leg)).collect();
        Self { id, legs, owners, queue, waits }
    }

    /// Takes over how it is now, and keeps those who have left.
    pub fn join(&mut self, now: &Self) {
        for (leg, owner) in now.legs.iter().zip(&now.owners) {
            if let Some(at) = self.legs.iter().position(|known| known.id == leg.id) {
                (self.legs[at], self.owners[at]) = (leg.clone(), *owner);
            } else {
                self.legs.push(leg.clone());
                self.owners.push(*owner);
            }
        }
        self.queue = now.queue.clone().or_else(|| self.queue.take());
        self.waits = now.waits;
    }

    /// Whether somebody in it withholds their number.
    #[must_use]
    pub fn has_withheld(&self) -> bool {
        self.legs.iter().any(|leg| leg.hides || leg.about.is_withheld)
    }

    fn state(&self) -> (CallState, Micros) {
        let since = |phase: Phase| self.legs.iter().filter(|leg| leg.phase == phase).map(|leg| leg.since).max();
        let connected =
            |leg: &&Leg| leg.partner.is_some_and(|partner| self.legs.iter().any(|other| other.id == partner));
        let began = self.legs.first().map_or(0, |leg| leg.since);
        if let Some(since) = since(Phase::Parked) {
            (CallState::Parked, since)
        } else if let Some(since) = since(Phase::Held) {
            (CallState::Held, since)
        } else if let Some(leg) = self.legs.iter().find(connected) {
            (CallState::Talking, leg.connected_since())
        } else if self.waits {
            (CallState::Waiting, began)
        } else if self.legs.iter().any(|leg| leg.partner.is_some()) {
            // Through a leg of the switch's own.
            (CallState::Talking, began)
        } else if self.legs.iter().any(|leg| leg.phase == Phase::Ringing) {
            (CallState::Ringing, began)
        } else {
            (CallState::Connected, began)
        }
    }

    /// Another tenant's phone is outside.
    fn direction(&self, tenant: Uuid) -> Direction {
        let is_outside = |(leg, owner): (&Leg, &Option<Uuid>)| {
            leg.about.phone.is_none() || owner.is_some_and(|owner| owner != tenant)
        };
        let mut legs = self.legs.iter().zip(&self.owners);
        match legs.clone().next() {
            Some(first) if is_outside(first) && first.0.about.is_caller == Some(true) => Direction::Inbound,
            _ if legs.any(|one| one.0.about.carrier.is_some() || is_outside(one)) => Direction::Outbound,
            _ => Direction::Internal,
        }
    }

    /// What a tenant sees of it. Of others' phones, it sees the number and the name that they show.
    #[must_use]
    pub fn shown(&self, tenant: Uuid, at: At, names: &Names, person: Option<Uuid>) -> views::Call {
        let (state, since) = self.state();
        let leg = |(leg, owner): (&Leg, &Option<Uuid>)| {
            let extension = extension(leg, *owner == Some(tenant), names);
            let is_own = extension.is_some_and(|extension| person.is_some() && extension.user == person);
            let mut shown = show_leg(leg, extension, person.is_some() && !is_own);
            if is_private(leg, *owner, tenant) {
                (shown.number, shown.name) = (None, None);
            }
            shown
        };
        let first = self.legs.first();
        let legs = self.legs.iter().zip(&self.owners).map(leg).collect::<Vec<_>>();
        // What a leg that is called was made for is a dial string, and names the SIP username.
        let dialled = match first {
            Some(first) if first.about.is_caller == Some(false) => legs.first().and_then(|leg| leg.number.clone()),
            first => first.and_then(|leg| leg.about.dialled.clone()).map(|number| plain(&number)),
        };
        let queue_id = self.queue.as_deref().and_then(id_of).filter(|id| names.of_place(*id).is_some());
        let own = self.legs.iter().zip(&self.owners).filter(|(leg, owner)| !is_private(leg, **owner, tenant));
        views::Call {
            id: self.id,
            tenant_id: tenant,
            direction: self.direction(tenant),
            state,
            since: time(since),
            began_at: time(first.map_or(0, Leg::began)),
            dialled,
            queue_id,
            queue: queue_id.and_then(|id| names.of_place(id)).map(ToOwned::to_owned),
            carrier_id: own.map(|(leg, _)| leg).find_map(|leg| leg.about.carrier),
            legs,
            simulated: self.legs.iter().any(|leg| leg.about.is_simulated),
            at,
        }
    }
}

/// Whether a leg leads outside by another tenant's routing: the number that one of its phones forwards to is nobody else's business.
fn is_private(leg: &Leg, owner: Option<Uuid>, tenant: Uuid) -> bool {
    leg.about.carrier.is_some() && owner.is_some_and(|owner| owner != tenant)
}

/// The extension whose phone a leg is.
#[must_use]
pub fn extension<'n>(leg: &Leg, is_own: bool, names: &'n Names) -> Option<&'n Extension> {
    let (user, _) = leg.about.phone.as_ref().filter(|_| is_own)?;
    names.of_phone(user)
}

/// Who waits, is parked or in a conference, as a tenant sees them.
#[must_use]
pub fn named(party: &Party, tenant: Uuid, names: Option<&Names>, person: Option<Uuid>) -> views::Leg {
    let extension = names.and_then(|names| extension(&party.leg, party.owner == Some(tenant), names));
    let is_own = extension.is_some_and(|extension| person.is_some() && extension.user == person);
    show_leg(&party.leg, extension, person.is_some() && !is_own)
}

/// `hides`: whether whoever asks may not know who withholds their number.
fn show_leg(leg: &Leg, extension: Option<&Extension>, hides: bool) -> views::Leg {
    let about = &leg.about;
    let is_caller = about.is_caller == Some(true);
    let is_withheld = leg.hides || about.is_withheld && is_caller;
    let username = about.phone.as_ref().map(|(user, _)| user);
    let is_phone = username.is_some() || about.line == Some(Line::Phone);
    let others = |text: &Option<String>| text.clone().filter(|text| Some(text) != username);
    let (number, name) = match (is_caller, is_phone) {
        // A phone's own is its SIP username, which is nobody's business (`sofia_handle_sip_i_invite` in sofia.c).
        (true, true) => (&others(&about.shows), &others(&about.shows_as)),
        (true, false) => (&about.number, &about.name),
        // What a called phone shows as the caller's is not its own number.
        (false, _) => (&about.callee, &None),
    };
    let extension = extension.filter(|_| !(is_withheld && hides));
    let own =
        |text: Option<&str>, or: &Option<String>| text.map(ToOwned::to_owned).or_else(|| or.as_deref().map(plain));
    let is_hidden = is_withheld && extension.is_none();
    let hidden = |text: Option<String>| text.filter(|_| !is_hidden);
    views::Leg {
        id: leg.id,
        caller: is_caller,
        state: match leg.phase {
            Phase::Ringing => LegState::Ringing,
            Phase::Up => LegState::Up,
            Phase::Held => LegState::Held,
            Phase::Parked => LegState::Parked,
        },
        since: time(leg.since),
        number: hidden(own(extension.map(|one| one.number.as_str()), number)),
        name: hidden(own(extension.map(|one| one.name.as_str()), name)),
        extension_id: extension.map(|one| one.id),
        extension: extension.map(|one| one.number.clone()),
        agent_id: extension.and_then(|one| one.user),
        connected_to: leg.partner,
        recording: (leg.is_heard_whole || !leg.recordings.is_empty()).then_some(!leg.recordings.is_empty()),
        muted: leg.is_muted,
    }
}

/// A number as people know it: the switch's own dial strings have `%DOMAIN` behind a user.
fn plain(number: &str) -> String {
    number.split('%').next().unwrap_or_default().to_owned()
}
