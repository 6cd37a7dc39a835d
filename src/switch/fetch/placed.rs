//! A call that waits for its route.

use jiff::Timestamp;
use uuid::Uuid;

use super::key::{FinishedKey, KeyText};
use crate::{
    routing::{
        Action, Call, Failure, Hops, Left, Plan, Route, Tenant,
        callee::Callee,
        transfers::{self, Transfer},
    },
    text::{CallerName, DialNumber, Domain, E164, Notation, Prefix, SipUsername},
};

/// A call with what the switch vouches for. It owns its texts, because a fill outlives the request.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of the call")]
pub struct PlacedCall {
    pub number: String,
    pub caller: Option<SipUsername>,
    pub caller_number: Option<String>,
    pub hops: Hops,
    pub after: Option<Failure>,
    /// The menu that the number was dialled in.
    pub menu: Option<Uuid>,
    /// The extension that forwarded the call here.
    pub forwarder: Option<SipUsername>,
    /// It comes back to the number, whose phone transferred or parked it.
    pub comes_back: bool,
    /// How the caller has left the queue of this number, where they are called back then, since when they waited, and by how many seconds they
    /// came before others.
    pub left: Option<Left>,
    pub call_back: Option<DialNumber>,
    pub waited: (Option<i64>, u16),
    /// The transfer that nobody has taken yet.
    pub transfer: Option<Transfer>,
    /// The name that the caller shows.
    pub caller_name: Option<CallerName>,
    /// Whether the switch shows something else, which the caller made up.
    pub is_preferred: bool,
    pub turn: u64,
    /// The call's UUID on its switch.
    pub call: Option<Uuid>,
    /// The extension that calls and a number of its agent's, as the directory said.
    pub extension: Option<Uuid>,
    pub own_number: Option<E164>,
    /// A number of whoever calls, said by the leg that rang this call elsewhere.
    pub original: Option<E164>,
    /// The number of the caller's that the call is to show.
    pub shows: Option<E164>,
    /// The area code of the caller's extension.
    pub area: Option<Prefix>,
    /// Whether the caller withholds the number.
    pub withheld: bool,
    /// Whether the extension that calls forwards somebody else's call.
    pub diverted: bool,
    /// The switch that has it.
    pub switch: Option<Uuid>,
    /// The key of an answer that depends on neither the caller nor the number shown.
    pub base: Vec<u8>,
}

impl PlacedCall {
    /// Whether it is one of the many spellings of a name with letters.
    #[must_use]
    pub fn has_capitals(&self) -> bool {
        self.number.bytes().any(|b| b.is_ascii_uppercase())
    }

    #[must_use]
    pub fn call(&self, at: Timestamp) -> Call<'_> {
        Call {
            dialled: &self.number,
            caller: self.caller.as_ref(),
            caller_number: self.caller_number.as_deref(),
            own_number: self.own_number.as_ref().filter(|_| self.caller.is_some() && !self.withheld),
            area: self.area.as_ref(),
            hops: self.hops,
            after: self.after,
            menu: self.menu,
            forwarder: self.forwarder.as_ref(),
            comes_back: self.comes_back,
            sent_by: self.transfer.as_ref().map(|transfer| &transfer.by),
            withheld: self.withheld,
            left: self.left,
            call_back: self.call_back.as_ref(),
            at,
            turn: self.turn,
        }
    }

    /// Whether somebody sent it here who is not on it: they forwarded or transferred it.
    #[must_use]
    pub fn is_somebody_elses(&self) -> bool {
        self.transfer.is_some() || self.diverted
    }

    /// The number of whoever calls, if the call is forwarded outside and the tenant wants that shown. A phone of the tenant has its agent's;
    /// whoever called another tenant's number shows what they showed there.
    #[must_use]
    pub fn original(&self, plan: &Plan) -> Option<E164> {
        if !self.diverted || self.withheld || !plan.settings.routing.outbound.forwards_show_caller {
            return None;
        }
        let shown = self.caller_number.as_deref();
        if self.extension.is_some() && !shown.is_some_and(|shown| shown.starts_with('+')) {
            return self.own_number.clone();
        }
        // On a leg that rings elsewhere, the caller may also be a phone without a number, whose extension's is none outside.
        let read = || E164::read(shown?, Notation::International(plan.country()));
        let original = self.original.clone().or_else(read);
        original.filter(|number| Callee::read(number.as_str(), None).is_some())
    }

    /// Whether its answer is for this call only.
    #[must_use]
    pub fn is_special(&self) -> bool {
        self.transfer.is_some() || self.comes_back || self.is_preferred || self.left == Some(Left::ByKey)
    }

    /// A route's applications, with what this call needs before and after them.
    #[must_use]
    pub fn actions(&self, tenant: &Tenant, plan: &Plan, route: &Route) -> Vec<Action> {
        let run = route.actions(tenant, self.hops);
        let shown = (self.caller_name.as_ref(), self.caller_number.as_deref());
        let (name, number) = if self.withheld { (None, None) } else { shown };
        let mut actions = Vec::new();
        if self.comes_back {
            actions.extend(transfers::comes_back(plan.settings.language, name, number));
        } else if let (Route::Pickup { .. } | Route::PickupAny { .. } | Route::Park { .. }, None, Some(phone)) =
            (route, &self.transfer, &self.caller)
        {
            actions.extend(transfers::takes(phone, &tenant.domain));
            if !matches!(route, Route::Park { .. }) {
                actions.extend(transfers::picks_up(name, number));
            }
        } else if matches!(route, Route::Page { .. }) {
            actions.extend(transfers::pages(name, number));
        }
        actions.extend(if transfers::may_fail(route) {
            self.transferred(run, &tenant.domain)
        } else {
            self.sent(run, &tenant.domain)
        });
        actions
    }

    /// The applications of a call that comes back if it fails.
    #[must_use]
    pub fn transferred(&self, run: Vec<Action>, home: &Domain) -> Vec<Action> {
        match &self.transfer {
            Some(transfer) => self.sent(transfer.or_back(run, home), home),
            None => run,
        }
    }

    /// The applications of a call that stays where it is sent.
    #[must_use]
    pub fn sent(&self, run: Vec<Action>, home: &Domain) -> Vec<Action> {
        let mut actions = self.transfer.as_ref().map(|transfer| transfer.before(home)).unwrap_or_default();
        actions.extend(run);
        actions
    }

    /// The key of an answer that depends on both.
    pub(super) fn exact(&self) -> Option<FinishedKey> {
        let caller = self.caller.as_ref().map_or("", SipUsername::as_str);
        KeyText::from(&self.base)
            .folded(caller)
            .raw(self.caller_number.as_deref().unwrap_or_default().as_bytes())
            .finish()
    }

    /// The key of a fill: also of who must not get its answer, because other phones are registered at their switch.
    pub(super) fn flight(&self) -> Option<FinishedKey> {
        let mut buffer = Uuid::encode_buffer();
        let switch = self.switch.unwrap_or_default().simple().encode_lower(&mut buffer);
        self.exact().and_then(|key| KeyText::from(&key).raw(switch.as_bytes()).finish())
    }
}
