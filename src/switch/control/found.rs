//! A call that somebody wants to act on, and the leg of it that is meant.

use std::sync::Arc;

use uuid::Uuid;

use crate::{
    model::error::{Error, Result},
    switch::live::{
        Live, Watched,
        call_now::{self, CallNow},
        leg::{Leg, Phase},
        names::{Extension, Names},
        show::Scope,
        views,
    },
    text::{Code, Domain, SipUsername},
};

/// A call of a tenant, as it was a moment ago.
pub struct Found {
    pub tenant: Uuid,
    pub domain: Domain,
    pub watched: Arc<Watched>,
    pub names: Arc<Names>,
    pub call: CallNow,
    /// Whether it concerns no other tenant.
    pub is_only_ours: bool,
}

/// A leg of a tenant's phone.
#[derive(Debug, Clone)]
pub struct Own {
    pub leg: Leg,
    pub user: SipUsername,
    /// Whose phone it is.
    pub person: Option<Uuid>,
}

/// The tenant's domain, which is also the context of its dialplan.
pub fn domain(live: &Live, tenant: Uuid) -> Result<Domain> {
    let slot = live.generations().scope(tenant).ok_or(Error::NotFound("tenant"))?;
    slot.home.clone().or_else(|| slot.domain.clone()).ok_or(Error::NotFound("tenant"))
}

/// The call, and whether it concerns no other tenant.
fn now(live: &Live, watched: &Watched, tenant: Uuid, id: Uuid) -> Option<(CallNow, bool)> {
    let whose = live.whose(watched);
    let known = watched.known();
    if known.unknown_since.is_some() {
        return None;
    }
    let legs = known.state.calls.of(id);
    let tenants = whose.of_call(&legs);
    tenants.contains(&tenant).then(|| (CallNow::of(id, &known.state, &whose), tenants.len() == 1))
}

impl Found {
    /// Looks a call up among the tenant's own. What nothing is known of may be there.
    pub fn find(live: &Live, names: &Arc<Names>, scope: &Scope, tenant: Uuid, id: Uuid) -> Result<Self> {
        let domain = domain(live, tenant)?;
        let scope = Scope { tenant: Some(tenant), ..scope.clone() };
        for watched in scope.switches(live).into_iter().chain(scope.players(live)) {
            if let Some((call, is_only_ours)) = now(live, &watched, tenant, id) {
                return Ok(Self { tenant, domain, watched, names: Arc::clone(names), call, is_only_ours });
            }
        }
        Err(if scope.unknown(live).is_empty() { Code::CallGone.into() } else { Code::SwitchUnheard.into() })
    }

    /// As it is now; `None` if it is over.
    #[must_use]
    pub fn again(&self, live: &Live) -> Option<Self> {
        let (call, is_only_ours) = now(live, &self.watched, self.tenant, self.call.id)?;
        let (domain, watched, names) = (self.domain.clone(), Arc::clone(&self.watched), Arc::clone(&self.names));
        Some(Self { tenant: self.tenant, domain, watched, names, call, is_only_ours })
    }

    #[must_use]
    pub fn shown(&self, scope: &Scope) -> views::Call {
        self.call.shown(self.tenant, scope.at(&self.watched), &self.names, scope.person)
    }

    fn extension(&self, at: usize) -> Option<&Extension> {
        call_now::extension(&self.call.legs[at], self.call.owners[at] == Some(self.tenant), &self.names)
    }

    /// The legs of the tenant's phones; if a person is named, of theirs.
    fn own(&self, person: Option<Uuid>) -> impl Iterator<Item = Own> {
        (0..self.call.legs.len()).filter_map(move |at| {
            let extension = self.extension(at)?;
            if person.is_some() && extension.user != person {
                return None;
            }
            let user = SipUsername::parse(&extension.sip_username).ok()?;
            Some(Own { leg: self.call.legs[at].clone(), user, person: extension.user })
        })
    }

    /// Whether the person is in it, or nobody in particular asks.
    #[must_use]
    pub fn is_of(&self, person: Option<Uuid>) -> bool {
        person.is_none() || self.own(person).next().is_some()
    }

    /// Whose phones are in it.
    #[must_use]
    pub fn people(&self) -> Vec<Uuid> {
        let mut people = self.own(None).filter_map(|own| own.person).collect::<Vec<_>>();
        people.sort_unstable();
        people.dedup();
        people
    }

    /// The phone's leg that is meant: the one that is named, or else the asker's, or else the first phone's that talks. Somebody who may act
    /// on their own calls only has no other.
    pub fn leg(&self, named: Option<Uuid>, limit: Option<Uuid>, asker: Option<Uuid>) -> Result<Own> {
        if let Some(named) = named {
            return self.own(limit).find(|own| own.leg.id == named).ok_or(Error::NotFound("leg"));
        }
        let up = |person: Option<Uuid>| self.own(person).min_by_key(|own| own.leg.phase == Phase::Ringing);
        let theirs = asker.and_then(|asker| up(Some(asker)));
        match limit {
            Some(_) => theirs.ok_or(Error::Refused(Code::CallGone.into())),
            None => theirs.or_else(|| up(None)).ok_or_else(|| Code::NoPhoneInCall.into()),
        }
    }

    /// The leg of a person's phone whose dialog has this Call-ID.
    #[must_use]
    pub fn of_dialog(&self, person: Uuid, sip_call_id: &str) -> Option<Own> {
        self.own(Some(person)).find(|own| own.leg.about.sip_call_id.as_deref() == Some(sip_call_id))
    }

    /// The legs that end with the call for this tenant: not those of another tenant's phones, which end by themselves.
    pub fn all_legs(&self) -> impl Iterator<Item = Uuid> {
        let ours = self.call.legs.iter().zip(&self.call.owners);
        ours.filter(|(_, owner)| owner.is_none_or(|owner| owner == self.tenant)).map(|(leg, _)| leg.id)
    }

    #[must_use]
    pub fn of_id(&self, id: Uuid) -> Option<&Leg> {
        self.call.legs.iter().find(|leg| leg.id == id)
    }

    /// Whom a leg is connected with.
    pub fn partner(&self, leg: &Leg) -> Result<Uuid> {
        leg.partner.ok_or_else(|| Code::NotConnected.into())
    }

    /// Who hears music while the leg's phone asks a third: nobody else of the call is connected with nobody.
    pub fn aside(&self, leg: &Leg) -> Result<Uuid> {
        let mut alone = self.call.legs.iter().filter(|other| {
            other.id != leg.id && other.partner.is_none() && matches!(other.phase, Phase::Up | Phase::Held)
        });
        match (alone.next(), alone.next()) {
            (Some(one), None) => Ok(one.id),
            _ => Err(Code::NobodyAside.into()),
        }
    }
}

/// Refuses what needs a leg that has been answered.
pub fn answered(leg: &Leg) -> Result<()> {
    match leg.phase {
        Phase::Ringing => Err(Code::NotAnsweredYet.into()),
        Phase::Up | Phase::Held | Phase::Parked => Ok(()),
    }
}
