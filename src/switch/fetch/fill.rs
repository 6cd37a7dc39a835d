//! A fill: one statement answers one question, and the answer carries the generation it was read at.

pub(super) mod call;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use bytes::Bytes;
use tracing::Instrument as _;
use uuid::Uuid;

pub use self::call::xml_entries;
use super::{
    Fetch,
    cache::{CachedAnswer, Key, Rung, Vary},
    config_store, documents,
    key::KeyText,
    leaves::Outgoing,
    placed::PlacedCall,
    readers::ReadError,
    render::{self, At, Digest, RenderError, Shown},
    request::{GroupView, View},
    roster,
    store::{self, TenantRow},
};
use crate::node::{
    generations::{Era, PLATFORM, Slot},
    trace,
};
use crate::{
    model::destination::TargetKind,
    routing::{Keep, plan::PlanError},
    telephony::{destinations, extensions},
    text::{Domain, E164, ExtensionNumber, GroupHandle, SipUsername, VoicemailPin, keyring::Place},
};

/// What a fill has to find out. Its names are validated: those that could not exist were answered before.
#[derive(Debug, Clone)]
pub enum Question {
    User {
        name: SipUsername,
        shown: Shown,
    },
    Group {
        name: GroupHandle,
        view: GroupView,
    },
    Everyone {
        view: GroupView,
    },
    Call(Box<PlacedCall>),
    /// Where a phone number leads, for a switch of `cluster` (`None`: any).
    Number {
        number: E164,
        cluster: Option<Uuid>,
        placed: Box<PlacedCall>,
    },
    /// A destination's own configuration.
    Config {
        id: Uuid,
        kind: TargetKind,
    },
}

/// The result of a fill, shared by all who waited for it.
#[derive(Debug, Clone)]
pub enum Filled {
    Answer(Arc<CachedAnswer>),
    /// Ask again: the tenant has another domain now, everything was read anew meanwhile, or the process was stopped for
    /// a while.
    Moved,
    /// The database has no such tenant, or an older state than was known when the fill began: the tenant was just
    /// deleted, or the database was restored.
    Less,
    /// The call leaves the platform. Each such call is decided separately.
    Leaves(Box<Outgoing>),
    /// The database could not be asked, or what it holds can't be rendered; the log says why.
    Failed,
}

#[derive(Debug, thiserror::Error)]
enum FillError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// What a fill read: the tenant, and the answer.
struct Found {
    tenant: Option<TenantRow>,
    /// `None`: the tenant has nobody under that name.
    body: Option<Bytes>,
    stray: bool,
    vary: Vary,
    rung: Option<Rung>,
    keep: Keep,
    leaves: Option<Box<Outgoing>>,
}

impl Found {
    fn none() -> Self {
        Self {
            tenant: None,
            body: None,
            stray: true,
            vary: Vary::No,
            rung: None,
            keep: Keep::WhileCurrent,
            leaves: None,
        }
    }
}

/// A view with the digest that it needs; `None` if the digest is missing.
pub fn shown(view: View<'_>, digest: Option<Digest<'_>>) -> Option<Shown> {
    let digest = digest.map(Digest::into_owned);
    Some(match view {
        View::Auth { .. } | View::Help { .. } => Shown::Auth(digest?),
        View::Other { .. } => Shown::Other(digest?),
        View::Register { .. } => Shown::Register(digest?),
        View::Leaving { .. } => Shown::Leaving(digest?),
        View::Moved { .. } => Shown::Moved(digest?),
        View::Verto => Shown::Verto(digest?),
        View::Profile => Shown::Profile,
        // What it rings is not in the request.
        View::Ring { .. } => return None,
        View::ReverseAuth => Shown::ReverseAuth,
    })
}

/// Runs one fill and keeps its answer. If it asked for a name that doesn't exist, it also starts reading the roster.
pub async fn run(fetch: Arc<Fetch>, key: Key, slot: Arc<Slot>, question: Question) -> Filled {
    fetch.fills.fetch_add(1, Ordering::Relaxed);
    let (floor, began) = (slot.newest(), Instant::now());
    let reading = async {
        match &question {
            Question::Number { number, cluster, placed } => {
                call::by_number(&fetch, &slot, number, *cluster, placed).await
            }
            Question::Call(placed) => call::call(&fetch, &slot, placed).await,
            _ => in_tenant(&fetch, &slot, &question).await,
        }
    };
    let filled = reading.instrument(trace::fill()).await;
    match filled {
        Ok(Filled::Answer(cached))
            if Arc::ptr_eq(&cached.slot, &slot) && cached.generation < floor && !slot.is_closed() =>
        {
            fetch.metrics.fill_found_less();
            Filled::Less
        }
        Ok(filled) => {
            if matches!(filled, Filled::Less) {
                fetch.metrics.fill_found_less();
            }
            if let Filled::Answer(cached) = &filled {
                keep(&fetch, &key, &question, cached);
                if cached.stray {
                    read_roster(&fetch, Arc::clone(&cached.slot));
                }
            }
            filled
        }
        // Those who joined after the node was connected again must not get a stale answer because of an older failure.
        Err(error) if fetch.generations.has_returned_since(began) => {
            tracing::debug!(%error, scope = %slot.scope, "a fill failed while the node was detached, and is tried again");
            Filled::Moved
        }
        Err(error) => {
            fetch.metrics.fill_failed();
            tracing::warn!(%error, scope = %slot.scope, "a fetch could not be filled");
            Filled::Failed
        }
    }
}

/// Keeps an answer under a key with everything it depends on. An answer for one call only is not kept.
fn keep(fetch: &Fetch, key: &Key, question: &Question, cached: &Arc<CachedAnswer>) {
    let (Question::Call(placed) | Question::Number { placed, .. }) = question else {
        fetch.cache.keep(key, Arc::clone(cached));
        return;
    };
    let mut key = placed.base.clone().into_boxed_slice();
    if cached.keep == Keep::Never {
        return;
    }
    if cached.vary != Vary::No {
        let Some(exact) = placed.exact() else { return };
        fetch.cache.keep(&key, Arc::new(cached.vary_marker()));
        key = exact.into();
    }
    if let Some(rung) = &cached.rung {
        let Some(marked) = KeyText::from(&key).mark(rung.mark).finish() else { return };
        fetch.cache.keep(&key, Arc::new(cached.rung_marker()));
        key = marked.into();
    }
    fetch.cache.keep(&key, Arc::clone(cached));
}

async fn in_tenant(fetch: &Fetch, slot: &Arc<Slot>, question: &Question) -> Result<Filled, FillError> {
    let era = fetch.generations.era();
    let found = read(fetch, slot, question).await?;
    let for_suspended =
        matches!(question, Question::Config { .. } | Question::User { shown: Shown::Auth(_) | Shown::Moved(_), .. });
    Ok(finish(fetch, slot, era, found, for_suspended))
}

/// Turns what was found into an answer, if the slot is still the tenant's. `for_suspended`: whether a suspended tenant
/// gets the answer as well.
fn finish(fetch: &Fetch, slot: &Arc<Slot>, era: Era, found: Found, for_suspended: bool) -> Filled {
    let Some(tenant) = found.tenant else { return Filled::Less };
    let generation = generation(tenant.generation);
    if !slot.is_of(&tenant.heard()) {
        fetch.generations.hear(era, &tenant.heard());
        // Another domain at an older generation comes from a restored database.
        return if generation < slot.newest() && !slot.is_closed() { Filled::Less } else { Filled::Moved };
    }
    if !fetch.generations.raise(era, slot, generation) {
        return Filled::Moved;
    }
    if let Some(outgoing) = found.leaves {
        return Filled::Leaves(outgoing);
    }
    let (body, stray) = match found.body {
        Some(body) if tenant.active || for_suspended => (body, found.stray),
        _ => (slot.standing.nobody.clone(), true),
    };
    let (slot, vary, rung, keep) = (Arc::clone(slot), found.vary, found.rung, found.keep);
    Filled::Answer(Arc::new(CachedAnswer { slot, generation, body, stray, vary, rung, keep }))
}

/// Asks the database and renders the answer.
async fn read(fetch: &Fetch, slot: &Slot, question: &Question) -> Result<Found, FillError> {
    let scope = slot.scope;
    // The switch looks for the domain that it asked for.
    let Some(domain) = &slot.domain else { return Ok(Found::none()) };
    match question {
        Question::User { name, shown } => read_user(fetch, slot, name, shown).await,
        Question::Group { name, view: GroupView::Ring } => {
            let read = fetch.readers.read(|db, _| Box::pin(store::group(db, scope, name.as_str()))).await?;
            rendered(read, |_, members| {
                members.map(|members| render::ring_group(domain, name.as_str(), &members)).transpose()
            })
        }
        Question::Group { name, view: _ } => {
            let read = fetch.readers.read(|db, _| Box::pin(store::everyone(db, scope, Some(name.as_str())))).await?;
            rendered(read, |_, rows| {
                if rows.is_empty() {
                    return Ok(None);
                }
                render::mailboxes(domain, name.as_str(), &rows, &fetch.keyring).map(Some)
            })
        }
        Question::Everyone { view } => {
            let read = fetch.readers.read(|db, _| Box::pin(store::everyone(db, scope, None))).await?;
            rendered(read, |_, rows| match view {
                GroupView::Voicemail => render::mailboxes(domain, "default", &rows, &fetch.keyring).map(Some),
                GroupView::Ring | GroupView::ByName => {
                    let members = rows.into_iter().map(store::MemberRow::from).collect::<Vec<_>>();
                    render::by_name(domain, &members).map(Some)
                }
            })
        }
        Question::Config { id, kind } => {
            let read = fetch.readers.read(|db, _| Box::pin(config_store::destination(db, scope, *id, *kind))).await?;
            rendered(read, |_, row| {
                row.map(|row| documents::destination_document(domain, &row, &fetch.keyring)).transpose()
            })
        }
        Question::Call(_) | Question::Number { .. } => Ok(Found::none()),
    }
}

fn rendered<T>(
    read: Option<(TenantRow, T)>,
    render: impl FnOnce(&TenantRow, T) -> Result<Option<Bytes>, RenderError>,
) -> Result<Found, FillError> {
    let Some((tenant, data)) = read else { return Ok(Found::none()) };
    let body = render(&tenant, data)?;
    Ok(Found { tenant: Some(tenant), body, stray: false, ..Found::none() })
}

async fn read_user(fetch: &Fetch, slot: &Slot, name: &SipUsername, shown: &Shown) -> Result<Found, FillError> {
    let scope = slot.scope;
    let Some(domain) = &slot.domain else { return Ok(Found::none()) };
    let read = fetch.lookups.extension(&fetch.readers, scope, name.as_str()).await?;
    let extension = read.as_ref().and_then(|(_, extension)| extension.as_ref());
    // Whoever rings it looks for its devices by this name.
    let rung = extension
        .filter(|_| *shown == Shown::Profile)
        .map(|extension| Rung { extensions: [extension.sip_username.clone()].into(), mark: 0 });
    if *shown == Shown::Profile && matches!(read, Some((_, None))) {
        let read = fetch.readers.read(|db, _| Box::pin(store::mailbox(db, scope, name.as_str()))).await?;
        return rendered(read, |_, mailbox| {
            mailbox.map(|row| render::mailbox(domain, &row, &fetch.keyring)).transpose()
        });
    }
    rendered(read, |tenant, extension| {
        // Whoever is suspended may still call for help, and signs in for that. A REGISTER is refused: the switch asks here for each
        // call whether the phone is registered or not, and nothing may ring it.
        let calls = matches!(shown, Shown::Auth(_) | Shown::Moved(_));
        let Some(mut row) = extension.filter(|row| row.active || calls) else {
            return Ok(None);
        };
        row.active &= tenant.active && !matches!(shown, Shown::Moved(_));
        // Phones sign in with the SIP username only, not with a number that anybody can guess.
        if !matches!(shown, Shown::Profile | Shown::Ring(_)) && row.sip_username != *name {
            return Ok(None);
        }
        let at = At { asked: domain, home: &tenant.domain, former: &tenant.former.domains };
        render::user(at, &row, name.as_str(), shown, &fetch.keyring).map(Some)
    })
    .map(|found| Found { stray: shown.digest().is_some_and(|digest| !is_usual(digest, slot)), rung, ..found })
}

/// Phones choose how to spell user and realm and, on a profile that forces a domain, any realm at all.
fn is_usual(digest: &Digest<'_>, slot: &Slot) -> bool {
    slot.domain.as_ref().is_some_and(|domain| digest.is_usual(domain.as_str()))
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
            let era = fetch.generations.era();
            let scope = slot.scope;
            let names = if scope == PLATFORM {
                fetch.readers.read(|db, _| Box::pin(store::phone_numbers(db, limit))).await
            } else {
                fetch.readers.read(|db, _| Box::pin(store::names(db, scope, limit))).await
            };
            match names {
                // Too late for what is known: the next unknown name has it read again.
                Ok(Some(read)) if !fetch.generations.raise(era, &slot, generation(read.generation)) => {}
                Ok(Some(read)) => {
                    let names = read.names.iter().map(String::as_str);
                    fetch.rosters.keep(slot, generation(read.generation), read.active, names);
                }
                Ok(None) => fetch.generations.doubt(),
                Err(error) => tracing::warn!(%error, %scope, "the names of a scope could not be read"),
            }
        });
        // The result doesn't matter here: the next guess uses the roster or starts this again.
        let _ = reading.await;
    });
}

/// Saves a PIN that somebody chose by phone. `None` if the tenant has nobody under that name.
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
    let names =
        [Some(row.number.as_str()), Some(row.sip_username.as_str()), row.alias.as_ref().map(ExtensionNumber::as_str)];
    let taken = match VoicemailPin::parse(pin) {
        Ok(pin) if !names.contains(&Some(pin.reveal())) => {
            let place = Place { column: "voicemail_pin", tenant: scope, row: row.id };
            let sealed = fetch.keyring.seal(place, pin.reveal());
            let kept = extensions::store::set_pin_by_phone(&fetch.changes, scope, row.id, &sealed).await?;
            // This node serves the new PIN from the next fetch on. Other nodes hear of it as of any change.
            kept.inspect(|now| _ = slot.raise(generation(*now))).is_some()
        }
        _ => false,
    };
    Ok(Some(render::pin(domain, &row, name.as_str(), taken)?))
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
    if read.is_none() {
        fetch.metrics.fill_found_less();
        fetch.generations.doubt();
    }
    let Some((_, Some(row))) = read else { return Ok(None) };
    let taken = match VoicemailPin::parse(pin) {
        Ok(pin) if row.number.as_ref().map(ExtensionNumber::as_str) != Some(pin.reveal()) => {
            let sealed = fetch.keyring.seal(destinations::place(scope, row.id), pin.reveal());
            let kept = destinations::store::set_pin_by_phone(&fetch.changes, scope, row.id, &sealed).await?;
            kept.inspect(|now| _ = slot.raise(generation(*now))).is_some()
        }
        _ => false,
    };
    Ok(Some(render::mailbox_pin(domain, &row, taken)?))
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
