//! Calls: in a tenant's context, from outside, and out of the platform.

use std::{future::Future, sync::Arc};

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Fetch, Outcome, Reply, Source, arrivals,
    cache::{CachedAnswer, Vary},
    fill::Question,
    key::KeyText,
    leaves::Outgoing,
    outgoing::{self, Decision, HELP_WAITS},
    placed::PlacedCall,
    plans::Known,
    reply,
    request::{Caller, Dialplan},
};
use crate::node::generations::{self, Slot};
use crate::{
    model::refusal::Refusal,
    routing::{
        self, AFTER, Failure, IN_MENU, LEFT, Left, MESSAGE, Plan, Route, Tenant, emergency,
        transfers::{BACK, Transfer},
    },
    text::{CallerName, DialNumber, E164, Prefix, SipUsername},
};

impl Fetch {
    /// `fresh`: without the database, a transferred call gets the same answer as any other.
    fn placed(&self, dialplan: &Dialplan<'_>, fresh: bool) -> PlacedCall {
        let context = &dialplan.context;
        let name = |phone: &Caller<'_>| SipUsername::parse(&phone.user).ok();
        // Also a caller at a domain that the tenant had before, or after a call there was led on. A caller of another tenant counts as
        // nobody here.
        let ours =
            |phone: &Caller<'_>| phone.domain.eq_ignore_ascii_case(context) || self.are_of_same(&phone.domain, context);
        let own = dialplan.caller.as_ref().filter(|caller| ours(caller)).and_then(name);
        let on_behalf = dialplan.on_behalf.as_ref().and_then(|user| SipUsername::parse(user).ok());
        let (caller, transfer) = if let Some(by) = self.transferred_by(dialplan) {
            let by = Some(by).filter(|by| ours(by)).and_then(name);
            let transfer = by.clone().map(|by| Transfer { by, phone: own, is_new: true });
            (by, transfer)
        } else {
            let back = dialplan.back.as_ref().and_then(|user| SipUsername::parse(user).ok());
            let transfer = back.map(|by| Transfer { by, phone: own.clone(), is_new: false });
            (if dialplan.on_behalf.is_some() { on_behalf } else { own }, transfer)
        };
        let destination = &*dialplan.destination;
        let disposition = || Failure::of(dialplan.disposition.as_deref().unwrap_or_default());
        let (number, after) = if let Some(number) = destination.strip_suffix(AFTER) {
            (number, Some(disposition()))
        } else if let Some(number) = destination.strip_suffix(MESSAGE) {
            // As if its phone had not taken the call, for a reason that it forwards for to nowhere.
            (number, Some(Failure::Other))
        } else {
            (destination, None)
        };
        let waited = &dialplan.waited;
        let (number, left) = match number.strip_suffix(LEFT) {
            Some(queue) => (queue, Some(if waited.is_by_key { Left::ByKey } else { Left::Otherwise })),
            None => (number, None),
        };
        let call_back = waited.call_back.as_deref().filter(|_| left.is_some());
        let (number, menu) = match number.split_once(IN_MENU) {
            Some((number, menu)) => (number, Uuid::try_parse(menu).ok()),
            None => (number, None),
        };
        let forwarder = dialplan.forwarder.as_deref().and_then(|name| SipUsername::parse(name).ok());
        let (number, comes_back) = match number.strip_suffix(BACK) {
            Some(number) => (number, true),
            None => (number, false),
        };
        let diverted = dialplan.on_behalf.is_some() && transfer.is_none();
        let transfer = transfer.filter(|_| fresh && !comes_back);
        // All numbers that nobody can have share one answer.
        let is_dialled = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'*' | b'#' | b'+' | b'.' | b'_' | b'-');
        let is_sane = number.len() <= 64 && number.bytes().all(is_dialled);
        let number = if is_sane { number } else { "" };
        let shown = dialplan.caller_number.as_deref().filter(|number| number.len() <= 40 && !number.contains('\0'));
        // The number is not folded: a tenant's own patterns are case-sensitive, and may dial what they matched.
        let key = KeyText::new(b'D')
            .folded(context)
            .raw(number.as_bytes())
            .raw(&dialplan.hops.key())
            .raw(&[after.map_or(1, |f| f as u8 + 2), left.map_or(1, |left| left as u8 + 2)])
            .raw(withheld_key(dialplan.withheld));
        // Whoever forwards or transfers a call dials as their tenant does: the variable is of the phone that called.
        let area = dialplan.phone.area.as_deref().filter(|_| dialplan.on_behalf.is_none());
        let area = area.and_then(|area| Prefix::parse(area).ok());
        let key = key.folded(&menu.map(|menu| menu.simple().to_string()).unwrap_or_default());
        let key = key.folded(forwarder.as_ref().map_or("", SipUsername::as_str));
        let key = key.raw(area.as_ref().map_or("", Prefix::as_str).as_bytes());
        // The answer to a transferred call is for that call only, and so is that to somebody who wants to be called back.
        let key = if transfer.is_some() || comes_back || left == Some(Left::ByKey) {
            let mut buffer = Uuid::encode_buffer();
            let call = dialplan.call.unwrap_or_else(Uuid::now_v7);
            key.folded(call.simple().encode_lower(&mut buffer)).raw(&[u8::from(comes_back) + 1])
        } else {
            key
        };
        PlacedCall {
            number: number.to_owned(),
            caller,
            caller_number: shown.map(ToOwned::to_owned),
            hops: dialplan.hops,
            after,
            menu,
            forwarder,
            comes_back,
            left,
            call_back: call_back.and_then(|number| DialNumber::parse(number).ok()),
            waited: (waited.joined, waited.ahead),
            transfer,
            caller_name: dialplan.caller_name.as_deref().and_then(|name| CallerName::parse(name).ok()),
            // What phones show of a call from outside is said once, where it comes in.
            is_preferred: false,
            turn: self.turns.next(context, number),
            call: dialplan.call,
            extension: dialplan.phone.extension,
            own_number: dialplan.phone.own_number.as_deref().and_then(|number| E164::parse(number).ok()),
            original: dialplan.phone.original.as_deref().and_then(|number| E164::parse(number).ok()),
            shows: dialplan.phone.shows.as_deref().and_then(|number| E164::parse(number).ok()),
            area,
            withheld: dialplan.withheld,
            diverted,
            switch: dialplan.switch,
            base: key.finish().map(|key| key.to_vec()).unwrap_or_default(),
        }
    }

    /// Who transferred the call here: the phone that it was connected with last, unless it was led on since.
    fn transferred_by<'a>(&self, dialplan: &'a Dialplan<'a>) -> Option<&'a Caller<'a>> {
        if dialplan.hops.count() > 0 {
            return None;
        }
        let is_own = |phone: &Caller<'_>| {
            dialplan.caller.as_ref().is_some_and(|own| {
                own.user.eq_ignore_ascii_case(&phone.user)
                    && (own.domain.eq_ignore_ascii_case(&phone.domain) || self.are_of_same(&own.domain, &phone.domain))
            })
        };
        let connected = &dialplan.connected;
        [&connected.taken_by, &connected.made_by].into_iter().flatten().find(|phone| !is_own(phone))
    }

    fn are_of_same(&self, one: &str, other: &str) -> bool {
        let (one, other) = (self.generations.domain(one), self.generations.domain(other));
        one.zip(other).is_some_and(|(one, other)| one.is_of_same(&other))
    }

    /// The answer kept for a call, current or not. Without the database, also one for other devices than are registered now: the switch is
    /// told of those that are gone.
    fn kept(&self, placed: &PlacedCall, fresh: bool) -> Option<Arc<CachedAnswer>> {
        let mut cached = self.cache.get(&placed.base)?;
        let exact = if cached.vary == Vary::default() { None } else { Some(placed.exact()?) };
        if let Some(exact) = &exact {
            cached = self.cache.get(exact)?;
        }
        let Some(rung) = &cached.rung else { return Some(cached) };
        let base = KeyText::from(exact.as_deref().unwrap_or(&placed.base[..]));
        let kept = |mark| self.cache.get(&base.clone().mark(mark).finish()?);
        let now = kept(self.mark(&cached.slot, placed.switch, &rung.extensions));
        now.or_else(|| kept(rung.mark).filter(|_| !fresh))
    }

    /// A call in a tenant's context.
    pub(super) async fn call(self: &Arc<Self>, dialplan: &Dialplan<'_>, fresh: bool) -> (Reply, Source) {
        let placed = self.placed(dialplan, fresh);
        if dialplan.phone.help_only {
            return Box::pin(self.call_for_help(&dialplan.context, &placed, Refusal::AgentSuspended, fresh)).await;
        }
        let kept = self.kept(&placed, fresh);
        if let Some(cached) = &kept
            && fresh
            && cached.is_current()
        {
            return (reply(cached), Source::Hit);
        }
        Box::pin(self.call_anew(&dialplan.context, placed, kept, fresh)).await
    }

    /// A call on a switch of a cluster that the tenant has left. Nobody is registered here any more, and calls that are up go on; but whoever
    /// still calls here may need help.
    pub(super) async fn call_after_move(self: &Arc<Self>, dialplan: &Dialplan<'_>, fresh: bool) -> (Reply, Source) {
        Box::pin(self.call_for_help(&dialplan.context, &self.placed(dialplan, fresh), Refusal::Moved, fresh)).await
    }

    /// Whether the number may be an emergency number: as far as this node knows the tenant, or else in any country.
    pub(super) fn may_be_help(&self, dialplan: &Dialplan<'_>) -> bool {
        let slot = self.generations.domain(&dialplan.context);
        match slot.and_then(|slot| self.plans.get(slot.scope)) {
            Some(known) => emergency::dialled(&dialplan.destination, &known.plan).is_some(),
            None => emergency::is_one_anywhere(&dialplan.destination),
        }
    }

    /// A call of a phone that may only call for help.
    async fn call_for_help(
        self: &Arc<Self>,
        context: &str,
        placed: &PlacedCall,
        why: Refusal,
        fresh: bool,
    ) -> (Reply, Source) {
        let Some(slot) = self.generations.domain(context) else { return super::unknown_domain(fresh) };
        let known = match self.plans.get(slot.scope) {
            Some(known) => Some(known),
            None => self.plan_for_help(&slot, placed).await,
        };
        let number = match &known {
            Some(known) => emergency::dialled(&placed.number, &known.plan),
            None => Some(placed.number.as_str()).filter(|number| emergency::is_one_anywhere(number)),
        };
        if let Some(number) = number {
            return (self.connect_emergency(&slot, placed, number).await, Source::Memory);
        }
        let usual = super::plans::usual(&slot);
        let plan = known.as_ref().map(|known| &*known.plan).or(usual.as_ref());
        let (Some(plan), Some(domain)) = (plan, slot.home.clone()) else {
            return (Reply::Unavailable, Source::Unavailable);
        };
        let refused = Route::Refused(why);
        // None of the tenant's own entries come before: they might lead the call elsewhere.
        let document = outgoing::document(&slot, &Tenant::of(plan, domain, true), plan, &refused, placed, &[]);
        (document, Source::Memory)
    }

    /// The same if no current answer is kept.
    async fn call_anew(
        self: &Arc<Self>,
        context: &str,
        placed: PlacedCall,
        mut kept: Option<Arc<CachedAnswer>>,
        fresh: bool,
    ) -> (Reply, Source) {
        let Some(slot) = self.generations.domain(context) else { return super::unknown_domain(fresh) };
        // Of this tenant nothing is known but that it exists: what is an emergency number, the database says.
        let unknown = kept.is_none() && self.plans.get(slot.scope).is_none();
        let mut decision = self.decide(&slot, &placed, kept.as_ref(), fresh).await;
        // The database is asked only once, so this loop ends.
        let mut has_asked = false;
        loop {
            decision = match decision {
                Decision::Answer(reply, source) => return (reply, source),
                Decision::AskDatabase => {
                    has_asked = true;
                    let asked = self.ask_database(&slot, &placed, kept.take());
                    if unknown { self.help_or(&placed, asked).await } else { asked.await }
                }
                Decision::Leave(outgoing) => self.leave(&slot, &placed, &outgoing, has_asked).await,
            };
        }
    }

    /// What the database says about a call, of whose tenant nothing is known. To the numbers that mean help nearly everywhere, nobody
    /// waits long for it; to those that mean it somewhere, as long as it may take.
    async fn help_or(&self, placed: &PlacedCall, asked: impl Future<Output = Decision>) -> Decision {
        let help = || Decision::Leave(Outgoing::Emergency(placed.number.clone()));
        let decision = if emergency::is_one_nearly_everywhere(&placed.number) {
            match tokio::time::timeout(HELP_WAITS, asked).await {
                Ok(decision) => decision,
                Err(_) => return help(),
            }
        } else {
            asked.await
        };
        match decision {
            Decision::Answer(Reply::Unavailable, _) if emergency::is_one_anywhere(&placed.number) => help(),
            decision => decision,
        }
    }

    /// Decides what to do about a call from what this node knows.
    async fn decide(
        &self,
        slot: &Slot,
        placed: &PlacedCall,
        kept: Option<&Arc<CachedAnswer>>,
        fresh: bool,
    ) -> Decision {
        let known = self.plans.get(slot.scope);
        if let Some(known) = &known {
            match self.in_memory(slot, known, placed).await.map(Outgoing::of) {
                // An emergency call does not wait for the database.
                Some(Ok(outgoing)) if fresh || matches!(outgoing, Outgoing::Emergency(_)) => {
                    return Decision::Leave(outgoing);
                }
                Some(Err(route)) if fresh => {
                    return Decision::Answer(turned_away(slot, &known.plan, &route, placed), Source::Memory);
                }
                _ => {}
            }
        }
        if fresh {
            return Decision::AskDatabase;
        }
        // Nothing is known about the tenant, and the database can't be asked: any country's emergency number counts.
        if known.is_none() && kept.is_none() && emergency::is_one_anywhere(&placed.number) {
            return Decision::Leave(Outgoing::Emergency(placed.number.clone()));
        }
        self.stale(kept.cloned()).into()
    }

    /// Routes a call from memory, as if the tenant had nothing under the dialled name. `None`: the database must be asked.
    async fn in_memory(&self, slot: &Slot, known: &Known, placed: &PlacedCall) -> Option<Route> {
        let tenant = Tenant::of(&known.plan, slot.home.clone()?, true);
        let routed = known.route(&tenant, placed, None, Timestamp::now()).await.ok()?;
        match routed.route {
            route @ (Route::Emergency { .. } | Route::Outside(_)) => Some(route),
            route @ Route::Refused(Refusal::Unallocated) if known.is_current() => {
                let read = routing::Dialled::read(&placed.number, &known.plan);
                let name = read.needs(placed.caller.as_ref()).unwrap_or_default().to_ascii_lowercase();
                self.rosters.rules_out_call(slot.scope, &name).then_some(route)
            }
            _ => None,
        }
    }

    /// Asks the database what the tenant has under the dialled name.
    async fn ask_database(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        placed: &PlacedCall,
        kept: Option<Arc<CachedAnswer>>,
    ) -> Decision {
        let Some(key) = placed.flight() else {
            return Decision::Answer(Reply::Document(slot.standing.unallocated.clone()), Source::Memory);
        };
        let question = Question::Call(Box::new(placed.clone()));
        match self.fill(&key, Arc::clone(slot), question, kept).await {
            Outcome::Reply(reply, source) => Decision::Answer(reply, source),
            Outcome::Leaves(outgoing) => Decision::Leave(*outgoing),
        }
    }

    /// A call from outside, to a phone number of the platform or to nobody.
    pub(super) async fn inbound(
        self: &Arc<Self>,
        dialplan: &Dialplan<'_>,
        cluster: Option<Uuid>,
        fresh: bool,
    ) -> (Reply, Source) {
        let carriers = self.plans.carriers();
        let (number, caller_number) = carriers.arrivals.numbers(dialplan);
        if let Some(lack) = (!arrivals::is_ours(dialplan)).then(|| carriers.arrivals.lacks(&dialplan.arrival)).flatten()
        {
            self.metrics.lacks(lack);
        }
        let mut placed = self.placed(dialplan, false);
        placed.caller_number = caller_number.map(|number| number.to_string()).or(placed.caller_number);
        // Callers from outside are not signed in, and a caller from another tenant is not named.
        placed.caller = None;
        let mut buffer = Uuid::encode_buffer();
        let key = KeyText::new(b'N').folded(cluster.unwrap_or_default().simple().encode_lower(&mut buffer));
        let key = key.folded(number.as_ref().map_or("", E164::as_str)).raw(&placed.hops.key());
        let mut key = key.raw(withheld_key(placed.withheld));
        // The answer names this caller.
        placed.is_preferred = dialplan.is_preferred && !placed.withheld && !arrivals::is_ours(dialplan);
        if placed.is_preferred {
            let mut buffer = Uuid::encode_buffer();
            let call = dialplan.call.unwrap_or_else(Uuid::now_v7);
            key = key.folded(call.simple().encode_lower(&mut buffer));
        }
        let Some(base) = key.finish() else { return (Reply::Unavailable, Source::Unavailable) };
        placed.base = base.to_vec();
        let kept = self.kept(&placed, fresh);
        match &kept {
            Some(cached) if fresh && cached.is_current() => return (reply(cached), Source::Hit),
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
        let (Some(number), Some(key)) = (number, placed.flight()) else {
            return (Reply::Unavailable, Source::Unavailable);
        };
        let question = Question::Number { number, cluster, placed: Box::new(placed) };
        match Box::pin(self.fill(&key, platform, question, kept)).await {
            Outcome::Reply(reply, source) => (reply, source),
            // A call from outside never leaves by the number it dialled.
            Outcome::Leaves(_) => (Reply::Unavailable, Source::Unavailable),
        }
    }
}

/// Answers that withhold a number are kept apart.
fn withheld_key(withheld: bool) -> &'static [u8] {
    if withheld { b"w" } else { b"" }
}

/// The answer to a call for a name that nobody has. It is made in advance, except for a tenant with XML entries or an
/// announcement of its own for this.
fn turned_away(slot: &Slot, plan: &Plan, route: &Route, placed: &PlacedCall) -> Reply {
    let before = super::fill::xml_entries(slot, plan);
    if before.is_empty()
        && !placed.is_special()
        && !plan.settings.routing.announcements.contains_key(&Refusal::Unallocated)
    {
        return Reply::Document(slot.standing.unallocated.clone());
    }
    let Some(domain) = slot.home.clone() else { return Reply::Unavailable };
    outgoing::document(slot, &Tenant::of(plan, domain, true), plan, route, placed, &before)
}
