//! Filling: one question, one statement, one answer with the generation it was read at.

use std::sync::{Arc, atomic::Ordering};

use actix_web::web::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Fetch,
    answer::{self, RenderError, Shown},
    cache::{Entry, Key, Vary},
    call::{Dialled, OUTSIDE},
    call_store, config,
    generations::{Heard, PLATFORM, Slot},
    readers::ReadError,
    request::{GroupView, View},
    roster,
    store::{self, TenantRow},
};
use crate::{
    destinations::{self, config::TargetKind},
    extensions,
    keyring::Place,
    routing::{self, Action, Plan, Route, Routed, Tenant, Trace, entries::EntryBody},
    text::{Domain, E164, GroupName, SipUsername, VoicemailPin},
};

/// What a fill has to find out. Texts are types here: what could not be one was answered before.
#[derive(Debug, Clone)]
pub enum Question {
    User {
        name: SipUsername,
        shown: Shown,
    },
    Group {
        name: GroupName,
        view: GroupView,
    },
    Everyone {
        view: GroupView,
    },
    Call(Box<Dialled>),
    /// `of`: the cluster whose switch asks; `None`: whoever.
    Number {
        number: E164,
        of: Option<Uuid>,
        dialled: Box<Dialled>,
    },
    /// A destination's own configuration.
    Config {
        id: Uuid,
        kind: TargetKind,
    },
}

/// What came of a fill; shared by all who waited for it.
#[derive(Debug, Clone)]
pub enum Filled {
    Entry(Arc<Entry>),
    /// The tenant has another domain now.
    Moved,
    /// The tenant is gone.
    NoTenant,
    /// The call leaves the platform: that is decided for each.
    Leaves(Box<Route>),
    /// The database could not be asked, or what it holds can't be rendered; the log says why.
    Failed,
}

#[derive(Debug, thiserror::Error)]
enum FillError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Render(#[from] RenderError),
}

/// What a fill found: read under which slot, and the answer.
struct Found {
    tenant: Option<TenantRow>,
    /// `None`: the tenant has nobody of that name.
    body: Option<Bytes>,
    stray: bool,
    vary: Vary,
    until: Option<u64>,
    leaves: Option<Box<Route>>,
}

impl Found {
    fn none() -> Self {
        Self { tenant: None, body: None, stray: true, vary: Vary::No, until: None, leaves: None }
    }
}

/// The view with its realm owned. A realm that is not text was never ours.
pub fn shown(view: View<'_>, domain: &str) -> Option<Shown> {
    Some(match view {
        View::Auth { realm } => {
            let realm = super::form::decode(realm)?.into_owned();
            // Without a realm the digest was not of a REGISTER or INVITE; the domain is what phones answer to.
            Shown::Auth { realm: if realm.is_empty() { domain.to_owned() } else { realm } }
        }
        View::Profile => Shown::Profile,
        View::Verto => Shown::Verto,
        View::ReverseAuth => Shown::ReverseAuth,
    })
}

/// Runs one fill to its end, keeps its answer, and has the names read when it was for somebody who isn't there.
pub async fn run(fetch: Arc<Fetch>, key: Key, slot: Arc<Slot>, question: Question) -> Filled {
    fetch.fills.fetch_add(1, Ordering::Relaxed);
    let filled = match &question {
        Question::Number { number, of, dialled } => by_number(&fetch, number, *of, dialled).await,
        Question::Call(dialled) => call(&fetch, &slot, dialled).await,
        _ => in_tenant(&fetch, &slot, &question).await,
    };
    match filled {
        Ok(filled) => {
            if let Filled::Entry(entry) = &filled {
                keep(&fetch, &key, &question, entry);
                if entry.stray {
                    read_roster(&fetch, Arc::clone(&entry.slot));
                }
            }
            filled
        }
        Err(error) => {
            fetch.metrics.fill_failed();
            tracing::warn!(%error, scope = %slot.scope, "a fetch could not be filled");
            Filled::Failed
        }
    }
}

/// Keeps an answer under what it depends on. One that was for this call alone is not kept.
fn keep(fetch: &Fetch, key: &Key, question: &Question, entry: &Arc<Entry>) {
    let (Question::Call(dialled) | Question::Number { dialled, .. }) = question else {
        fetch.cache.keep(key, Arc::clone(entry));
        return;
    };
    let base = dialled.base.clone().into_boxed_slice();
    if entry.until == Some(0) {
        return;
    }
    if entry.vary == Vary::No {
        fetch.cache.keep(&base, Arc::clone(entry));
    } else {
        fetch.cache.keep(&base, Arc::new(entry.sign()));
        fetch.cache.keep(key, Arc::clone(entry));
    }
}

async fn in_tenant(fetch: &Fetch, slot: &Arc<Slot>, question: &Question) -> Result<Filled, FillError> {
    let found = ask(fetch, slot, question).await?;
    Ok(finish(fetch, slot, found, matches!(question, Question::Config { .. })))
}

/// What was found as an entry of the slot, if the slot is still the tenant's. `is_call`: answered also for a suspended tenant.
fn finish(fetch: &Fetch, slot: &Arc<Slot>, found: Found, is_call: bool) -> Filled {
    let Some(tenant) = found.tenant else { return Filled::NoTenant };
    let generation = generation(tenant.generation);
    if slot.domain.as_ref() != Some(&tenant.domain) || slot.cluster != tenant.cluster {
        fetch.generations.merge([Heard {
            scope: tenant.id,
            generation,
            domain: Some(tenant.domain),
            cluster: tenant.cluster,
        }]);
        return Filled::Moved;
    }
    slot.raise(generation);
    if let Some(route) = found.leaves {
        return Filled::Leaves(route);
    }
    let (body, stray) = match found.body {
        Some(body) if tenant.active || is_call => (body, found.stray),
        _ => (slot.nobody.clone(), true),
    };
    let (slot, vary, until) = (Arc::clone(slot), found.vary, found.until);
    Filled::Entry(Arc::new(Entry { slot, generation, body, stray, vary, until }))
}

async fn ask(fetch: &Fetch, slot: &Slot, question: &Question) -> Result<Found, FillError> {
    let scope = slot.scope;
    match question {
        Question::User { name, shown } => user(fetch, slot, name, shown).await,
        Question::Group { name, view: GroupView::Ring } => {
            let read = fetch.readers.read(|db, _| Box::pin(store::group(db, scope, name.as_str()))).await?;
            render(read, |tenant, members| {
                members.map(|members| answer::ring_group(&tenant.domain, name.as_str(), &members)).transpose()
            })
        }
        Question::Group { name, view: _ } => {
            let read = fetch.readers.read(|db, _| Box::pin(store::everyone(db, scope, Some(name.as_str())))).await?;
            render(read, |tenant, rows| {
                if rows.is_empty() {
                    return Ok(None);
                }
                answer::mailboxes(&tenant.domain, name.as_str(), &rows, &fetch.keyring).map(Some)
            })
        }
        Question::Everyone { view } => {
            let read = fetch.readers.read(|db, _| Box::pin(store::everyone(db, scope, None))).await?;
            render(read, |tenant, rows| match view {
                GroupView::Voicemail => answer::mailboxes(&tenant.domain, "default", &rows, &fetch.keyring).map(Some),
                GroupView::Ring | GroupView::ByName => {
                    let members = rows.into_iter().map(store::MemberRow::from).collect::<Vec<_>>();
                    answer::by_name(&tenant.domain, &members).map(Some)
                }
            })
        }
        Question::Config { id, kind } => {
            let read = fetch.readers.read(|db, _| Box::pin(config::destination(db, scope, *id, *kind))).await?;
            render(read, |tenant, row| {
                row.map(|row| config::destination_document(&tenant.domain, &row, &fetch.keyring)).transpose()
            })
        }
        Question::Call(_) | Question::Number { .. } => Ok(Found::none()),
    }
}

fn render<T>(
    read: Option<(TenantRow, T)>,
    render: impl FnOnce(&TenantRow, T) -> Result<Option<Bytes>, RenderError>,
) -> Result<Found, FillError> {
    let Some((tenant, data)) = read else { return Ok(Found::none()) };
    let body = render(&tenant, data)?;
    Ok(Found { tenant: Some(tenant), body, stray: false, ..Found::none() })
}

async fn user(fetch: &Fetch, slot: &Slot, name: &SipUsername, shown: &Shown) -> Result<Found, FillError> {
    let scope = slot.scope;
    let read = fetch.readers.read(|db, _| Box::pin(store::extension(db, scope, name.as_str()))).await?;
    if *shown == Shown::Profile && matches!(read, Some((_, None))) {
        let read = fetch.readers.read(|db, _| Box::pin(store::mailbox(db, scope, name.as_str()))).await?;
        return render(read, |tenant, mailbox| {
            mailbox.map(|row| answer::mailbox(&tenant.domain, &row, &fetch.keyring)).transpose()
        });
    }
    render(read, |tenant, extension| {
        let Some(row) = extension.filter(|row| row.active) else { return Ok(None) };
        // Who signs in does so by the SIP username, not by a number that everybody can guess.
        if *shown != Shown::Profile && row.sip_username != *name {
            return Ok(None);
        }
        answer::user(&tenant.domain, &row, name.as_str(), shown, &fetch.keyring).map(Some)
    })
    .map(|found| Found { stray: is_foreign_realm(shown, slot), ..found })
}

/// A realm that is not the domain: the profile forces a domain, and the phone chose the realm.
fn is_foreign_realm(shown: &Shown, slot: &Slot) -> bool {
    matches!(shown, Shown::Auth { realm } if slot.domain.as_ref().is_none_or(|domain| domain.as_str() != realm))
}

/// Routes a call in the tenant's context, by one statement; by two, when the plan that came with the first reads the number
/// otherwise than the one that was known.
async fn call(fetch: &Fetch, slot: &Arc<Slot>, dialled: &Dialled) -> Result<Filled, FillError> {
    let mut known = fetch.plans.get(slot.scope);
    let Some(usual) = super::call::usual_plan(slot) else { return Ok(Filled::NoTenant) };
    let at = Timestamp::now();
    loop {
        let plan = known.as_ref().map_or(&usual, |known| &known.plan);
        let wanted = needs(plan, dialled);
        let generation_known = known.as_ref().map_or(-1, |known| known.generation);
        let scope = slot.scope;
        let read = fetch
            .readers
            .read(|db, _| Box::pin(call_store::dialled(db, scope, wanted.as_deref(), generation_known)))
            .await?;
        let Some(row) = read else { return Ok(Filled::NoTenant) };
        let now = match (row.plan, known.take()) {
            (Some(plan), _) => fetch.plans.keep(slot, row.tenant.generation, plan),
            (None, Some(known)) => known,
            (None, None) => return Ok(Filled::Failed),
        };
        if needs(&now.plan, dialled) != wanted {
            known = Some(now);
            continue;
        }
        let tenant = tenant(&row.tenant);
        let routed = routing::route(&tenant, &now.plan, &dialled.call(at), row.found.as_ref(), &mut Trace::off());
        if let routing::Route::Handle { change } = &routed.route {
            handle(fetch, slot, row.found.as_ref(), change).await?;
        }
        let extra = [answer::mark(row.tenant.id)];
        let (domain, raw) = (tenant.domain.clone(), xml_entries(&now.plan));
        let found = routed_as(&tenant, domain.as_str(), routed, row.tenant, &extra, dialled, &raw)?;
        return Ok(finish(fetch, slot, found, true));
    }
}

/// The name that must be known, read by a plan.
fn needs(plan: &Plan, dialled: &Dialled) -> Option<String> {
    let read = routing::Dialled::read(&dialled.number, plan);
    read.needs(dialled.caller.as_ref()).map(ToOwned::to_owned)
}

/// Where a call goes by what this node knows, if the tenant has nothing of the name.
pub fn route_of(row: &TenantRow, plan: &Plan, dialled: &Dialled) -> Route {
    routing::route(&tenant(row), plan, &dialled.call(Timestamp::now()), None, &mut Trace::off()).route
}

fn xml_entries(plan: &Plan) -> Vec<&str> {
    let xml = |entry: &'_ routing::entries::Entry| match &entry.body {
        EntryBody::Xml(_) => true,
        EntryBody::Conditions(_) => false,
    };
    let entries = plan.entries.iter().filter(|entry| xml(entry));
    entries
        .filter_map(|entry| if let EntryBody::Xml(text) = &entry.body { Some(text.trim_end()) } else { None })
        .collect()
}

fn routed_as(
    tenant: &Tenant,
    context: &str,
    routed: Routed,
    row: TenantRow,
    extra: &[Action],
    dialled: &Dialled,
    raw: &[&str],
) -> Result<Found, RenderError> {
    let vary = if routed.varies_by_caller || routed.varies_by_number { Vary::Caller } else { Vary::No };
    let until = routed.until.map(|until| u64::try_from(until.as_millisecond()).unwrap_or_default());
    let until = if matches!(routed.route, Route::Handle { .. }) { Some(0) } else { until };
    let stray = matches!(routed.route, Route::Refused(_));
    let leaves = matches!(routed.route, Route::Outside(_) | Route::Emergency { .. });
    let body =
        if leaves { None } else { Some(answer::dialplan(context, tenant, &routed.route, extra, dialled.hops, raw)?) };
    let leaves = leaves.then(|| Box::new(routed.route));
    Ok(Found { tenant: Some(row), body, stray, vary, until, leaves })
}

/// What somebody decided by a feature code is a change like any other.
async fn handle(
    fetch: &Fetch,
    slot: &Slot,
    found: Option<&routing::Found>,
    change: &routing::Handle,
) -> Result<(), FillError> {
    let Some(routing::Found::Extension(extension)) = found else { return Ok(()) };
    let mut calls = extension.calls.clone();
    match change {
        routing::Handle::Forward(to) => calls.forward_always.clone_from(to),
        routing::Handle::DoNotDisturb(on) => calls.do_not_disturb = *on,
    }
    if calls == extension.calls {
        return Ok(());
    }
    let kept = extensions::store::set_calls_by_phone(&fetch.changes, slot.scope, extension.id, &calls).await;
    let now = kept.map_err(|error| FillError::Read(ReadError::Sql(error)))?;
    now.inspect(|now| _ = slot.raise(generation(*now)));
    Ok(())
}

async fn by_number(fetch: &Fetch, number: &E164, of: Option<Uuid>, dialled: &Dialled) -> Result<Filled, FillError> {
    let row = fetch.readers.read(|db, _| Box::pin(call_store::number(db, number))).await?;
    // A number of a tenant elsewhere is nobody's here; when the tenant moves, the platform's generation rises.
    let Some((owner, plan, target)) = row.owner.filter(|(owner, ..)| of.is_none_or(|of| of == owner.cluster)) else {
        let Some(slot) = fetch.generations.scope(PLATFORM) else { return Ok(Filled::Failed) };
        let generation = generation(row.platform_generation);
        slot.raise(generation);
        let body = slot.unallocated.clone();
        let entry = Entry { slot, generation, body, stray: true, vary: Vary::No, until: None };
        return Ok(Filled::Entry(Arc::new(entry)));
    };
    let generation = generation(owner.generation);
    // The tenant may be newer than this node's last poll.
    fetch.generations.merge([Heard {
        scope: owner.id,
        generation,
        domain: Some(owner.domain.clone()),
        cluster: owner.cluster,
    }]);
    let Some(slot) = fetch.generations.scope(owner.id) else { return Ok(Filled::Moved) };
    let tenant = tenant(&owner);
    let call = dialled.call(Timestamp::now());
    let routed = routing::inbound(&tenant, &plan, &call, target.as_ref(), &mut Trace::off());
    let mut extra = vec![answer::mark(owner.id)];
    // Somebody of another tenant may call on net: here they are nobody who signed in.
    for variable in ["user_name", "dialplane_on_behalf", "dialed_user", "dialed_domain"] {
        extra.push(Action { application: "unset", data: variable.to_owned() });
    }
    // Who answers may transfer the call, to wherever the tenant's own calls may go (sofia_handle_sip_i_refer in sofia.c).
    for variable in ["domain_name", "force_transfer_context"] {
        extra.push(Action { application: "set", data: format!("{variable}={}", owner.domain) });
    }
    fetch.plans.keep(&slot, owner.generation, plan);
    let found = routed_as(&tenant, OUTSIDE, routed, owner, &extra, dialled, &[])?;
    let (body, vary, until) = (found.body.unwrap_or_else(|| slot.unallocated.clone()), found.vary, found.until);
    Ok(Filled::Entry(Arc::new(Entry { slot, generation, body, stray: false, vary, until })))
}

fn tenant(row: &TenantRow) -> Tenant {
    Tenant { domain: row.domain.clone(), active: row.active }
}

fn generation(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}

/// Reads the names of a scope in the background, once per generation, however many names are guessed.
fn read_roster(fetch: &Arc<Fetch>, slot: Arc<Slot>) {
    if fetch.rosters.has_current(slot.scope) {
        return;
    }
    let fetch = Arc::clone(fetch);
    tokio::spawn(async move {
        let key = *slot.scope.as_bytes();
        let flights = Arc::clone(&fetch.roster_flights);
        let reading = flights.join(&key, || async move {
            let limit = roster::MAX_NAMES;
            let scope = slot.scope;
            let names = if scope == PLATFORM {
                fetch.readers.read(|db, _| Box::pin(store::phone_numbers(db, limit))).await
            } else {
                fetch.readers.read(|db, _| Box::pin(store::names(db, scope, limit))).await
            };
            match names {
                Ok(Some(read)) => {
                    let names = read.names.iter().map(String::as_str);
                    fetch.rosters.keep(slot, generation(read.generation), read.active, names);
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, %scope, "the names of a scope could not be read"),
            }
        });
        // Nobody waits for it: the next guess finds it, or starts it again.
        let _ = reading.await;
    });
}

/// Takes a PIN that somebody chose by phone. `None`: nobody of that name here.
pub async fn change_pin(
    fetch: &Fetch,
    slot: &Slot,
    domain: &Domain,
    name: &SipUsername,
    pin: &str,
) -> Result<Option<Bytes>, PinError> {
    let scope = slot.scope;
    let read = fetch.readers.read(|db, _| Box::pin(store::extension(db, scope, name.as_str()))).await?;
    let Some((_, Some(row))) = read else {
        return change_mailbox_pin(fetch, slot, domain, name, pin).await;
    };
    if !row.active {
        return Ok(None);
    }
    let taken = match VoicemailPin::parse(pin) {
        Ok(pin) => {
            let place = Place { column: "voicemail_pin", tenant: scope, row: row.id };
            let sealed = fetch.keyring.seal(place, pin.reveal());
            let kept = extensions::store::set_pin_by_phone(&fetch.changes, scope, row.id, &sealed).await?;
            // The switch reads the new PIN with its next fetch; other nodes hear of it as of any change.
            kept.inspect(|now| _ = slot.raise(generation(*now))).is_some()
        }
        Err(_) => false,
    };
    Ok(Some(answer::pin(domain, &row, name.as_str(), taken)?))
}

/// The same for a mailbox that belongs to no extension.
async fn change_mailbox_pin(
    fetch: &Fetch,
    slot: &Slot,
    domain: &Domain,
    name: &SipUsername,
    pin: &str,
) -> Result<Option<Bytes>, PinError> {
    let scope = slot.scope;
    let read = fetch.readers.read(|db, _| Box::pin(store::mailbox(db, scope, name.as_str()))).await?;
    let Some((_, Some(row))) = read else { return Ok(None) };
    let taken = match VoicemailPin::parse(pin) {
        Ok(pin) => {
            let sealed = fetch.keyring.seal(destinations::place(scope, row.id), pin.reveal());
            let kept = destinations::store::set_pin_by_phone(&fetch.changes, scope, row.id, &sealed).await?;
            kept.inspect(|now| _ = slot.raise(generation(*now))).is_some()
        }
        Err(_) => false,
    };
    Ok(Some(answer::mailbox_pin(domain, &row, taken)?))
}

#[derive(Debug, thiserror::Error)]
pub enum PinError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error(transparent)]
    Render(#[from] RenderError),
}
