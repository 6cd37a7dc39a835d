//! Calls: in a tenant's context, from outside, and out of the platform.

use std::sync::{Arc, atomic::Ordering};

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Fetch, PUBLIC, Reply, Source,
    cache::{Entry, Vary},
    dialled::Dialled,
    fill::Question,
    key::KeyText,
    plans::Known,
    reply,
    request::Dialplan,
};
use crate::node::generations::{self, Slot};
use crate::{
    model::refusal::Refusal,
    routing::{self, AFTER, Failure, Plan, Route, Tenant, emergency},
    text::{E164, SipUsername},
};

impl Fetch {
    fn dialled(&self, dialplan: &Dialplan<'_>) -> Dialled {
        let context = &dialplan.context;
        let ours = |caller: &&super::request::Caller<'_>| caller.domain.eq_ignore_ascii_case(context);
        // Somebody of another tenant is nobody here.
        let caller = match (&dialplan.on_behalf, dialplan.caller.as_ref().filter(ours)) {
            (Some(on_behalf), _) => SipUsername::parse(on_behalf).ok(),
            (None, Some(caller)) => SipUsername::parse(&caller.user).ok(),
            (None, None) => None,
        };
        let (number, after) = match dialplan.destination.strip_suffix(AFTER) {
            Some(number) => (number, Some(Failure::of(dialplan.disposition.as_deref().unwrap_or_default()))),
            None => (&*dialplan.destination, None),
        };
        // Numbers that nobody could dial or have share one answer.
        let is_dialled = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'*' | b'#' | b'+' | b'.' | b'_' | b'-');
        let is_sane = number.len() <= 64 && number.bytes().all(is_dialled);
        let number = if is_sane { number } else { "" };
        let shown = dialplan.caller_number.as_deref().filter(|number| number.len() <= 40 && !number.contains('\0'));
        // As it was dialled: a tenant's own patterns tell capitals from small letters, and dial on what they matched.
        let key = KeyText::new(b'D')
            .folded(context)
            .raw(number.as_bytes())
            .raw(&[dialplan.hops + 1, after.map_or(1, |f| f as u8 + 2)]);
        Dialled {
            number: number.to_owned(),
            caller,
            caller_number: shown.map(ToOwned::to_owned),
            hops: dialplan.hops,
            after,
            turn: self.turns.fetch_add(1, Ordering::Relaxed),
            call: dialplan.call,
            base: key.finish().map(|key| key.to_vec()).unwrap_or_default(),
        }
    }

    /// The answer kept for a call: under what it depends on.
    fn kept(&self, dialled: &Dialled) -> Option<Arc<Entry>> {
        let entry = self.cache.get(&dialled.base)?;
        if entry.vary == Vary::default() { Some(entry) } else { self.cache.get(&dialled.exact()?) }
    }

    /// A call in a tenant's context.
    pub(super) async fn call(self: &Arc<Self>, dialplan: &Dialplan<'_>, fresh: bool) -> (Reply, Source) {
        let dialled = self.dialled(dialplan);
        let kept = self.kept(&dialled);
        if let Some(entry) = &kept
            && fresh
            && entry.is_current()
        {
            return (reply(entry), Source::Hit);
        }
        Box::pin(self.call_anew(&dialplan.context, dialled, kept, fresh)).await
    }

    /// The same for a call whose answer is not kept, or not current.
    async fn call_anew(
        self: &Arc<Self>,
        context: &str,
        dialled: Dialled,
        kept: Option<Arc<Entry>>,
        fresh: bool,
    ) -> (Reply, Source) {
        let Some(slot) = self.generations.domain(context) else { return super::unknown_domain(fresh) };
        let known = self.plans.get(slot.scope);
        if let Some(known) = &known {
            match self.in_memory(&slot, known, &dialled).await {
                // Who calls for help is not told to wait for a database.
                Some(route @ Route::Emergency { .. }) => return self.leave(&slot, dialled, route).await,
                Some(route @ Route::Outside(_)) if fresh => return self.leave(&slot, dialled, route).await,
                Some(route) if fresh => return (turned_away(&slot, &known.plan, &route, &dialled), Source::Memory),
                _ => {}
            }
        }
        if !fresh {
            // Nothing is known of the tenant, and nobody can be asked: what is a number for help anywhere is one here.
            if known.is_none() && kept.is_none() && emergency::is_one_anywhere(&dialled.number) {
                let help = Route::Emergency { number: dialled.number.clone() };
                return self.leave(&slot, dialled, help).await;
            }
            return self.stale(kept);
        }
        self.answer_call(slot, dialled, kept).await
    }

    /// Routes a call by what this node knows by heart, as if the tenant had nothing of the name. `None`: the database must be asked.
    async fn in_memory(&self, slot: &Slot, known: &Known, dialled: &Dialled) -> Option<Route> {
        let tenant = Tenant::of(&known.plan, slot.domain.clone()?, true);
        let routed = known.route(&tenant, dialled, None, Timestamp::now()).await.ok()?;
        match routed.route {
            route @ (Route::Emergency { .. } | Route::Outside(_)) => Some(route),
            route @ Route::Refused(Refusal::Unallocated) if known.is_current() => {
                let read = routing::Dialled::read(&dialled.number, &known.plan);
                let name = read.needs(dialled.caller.as_ref()).unwrap_or_default().to_ascii_lowercase();
                self.rosters.rules_out_call(slot.scope, &name).then_some(route)
            }
            _ => None,
        }
    }

    /// Asks the database what the tenant has; if it has nothing of the name, the call may be one that leaves the platform.
    pub(super) async fn answer_call(
        self: &Arc<Self>,
        slot: Arc<Slot>,
        dialled: Dialled,
        kept: Option<Arc<Entry>>,
    ) -> (Reply, Source) {
        let Some(key) = dialled.exact() else {
            return (Reply::Document(slot.standing.unallocated.clone()), Source::Memory);
        };
        let question = Question::Call(Box::new(dialled.clone()));
        match self.fill(&key, Arc::clone(&slot), question, kept).await {
            super::Answer::Reply(reply, source) => (reply, source),
            super::Answer::Leaves(route) => self.leave_known(&slot, dialled, *route).await,
        }
    }

    /// A call from outside, to one of the platform's numbers or to nobody.
    pub(super) async fn inbound(
        self: &Arc<Self>,
        dialplan: &Dialplan<'_>,
        of: Option<Uuid>,
        fresh: bool,
    ) -> (Reply, Source) {
        let number = E164::from_dialled(&dialplan.destination);
        let mut dialled = self.dialled(dialplan);
        // Nobody is signed in there: who calls from a tenant leaves its name behind.
        dialled.caller = None;
        let mut buffer = Uuid::encode_buffer();
        let key = KeyText::new(b'N').folded(of.unwrap_or_default().simple().encode_lower(&mut buffer));
        let key = key.folded(number.as_ref().map_or("", E164::as_str)).raw(&[dialled.hops + 1]);
        let Some(base) = key.finish() else { return (Reply::Unavailable, Source::Unavailable) };
        dialled.base = base.to_vec();
        let kept = self.kept(&dialled);
        match &kept {
            Some(entry) if fresh && entry.is_current() => return (reply(entry), Source::Hit),
            _ if !fresh => return self.stale(kept),
            _ => {}
        }
        let Some(platform) = self.generations.scope(generations::PLATFORM) else {
            return (Reply::Unavailable, Source::Unavailable);
        };
        let ruled_out =
            number.as_ref().is_none_or(|number| self.rosters.rules_out(generations::PLATFORM, number.as_str()));
        if ruled_out {
            return (Reply::Document(platform.standing.unallocated.clone()), Source::Memory);
        }
        let (Some(number), Some(key)) = (number, dialled.exact()) else {
            return (Reply::Unavailable, Source::Unavailable);
        };
        let question = Question::Number { number, of, dialled: Box::new(dialled) };
        match Box::pin(self.fill(&key, platform, question, kept)).await {
            super::Answer::Reply(reply, source) => (reply, source),
            super::Answer::Leaves(_) => (Reply::Unavailable, Source::Unavailable),
        }
    }
}

/// The answer to a call for a name that nobody has: made once for all tenants who say nothing of their own about it.
fn turned_away(slot: &Slot, plan: &Plan, route: &Route, dialled: &Dialled) -> Reply {
    let before = super::fill::xml_entries(plan);
    if before.is_empty() && !plan.settings.routing.announcements.contains_key(&Refusal::Unallocated) {
        return Reply::Document(slot.standing.unallocated.clone());
    }
    let Some(domain) = slot.domain.clone() else { return Reply::Unavailable };
    super::leave::document(slot, &Tenant::of(plan, domain, true), route, dialled.hops, &before)
}

/// The plan to read a number by, while the tenant's own is not known: with the usual codes.
#[must_use]
pub(super) fn usual_plan(slot: &Slot) -> Option<Plan> {
    slot.domain.clone().map(Plan::empty)
}

/// The context of calls from outside, for texts.
pub(super) const OUTSIDE: &str = PUBLIC;
