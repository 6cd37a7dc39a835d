//! Makes calls of legs, in batches, beside everything else. One node at a time does it; each batch is one transaction, so a crash loses nothing
//! and leaves nothing half done.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use sqlx::PgPool;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    facets::{self, Written},
    fold::{Folded, Known, fold},
    fold_store::{self as store, Before},
    gather::{self, Due},
    withheld, written,
};
use crate::{
    node::{
        jobs,
        months_store::{self, Kept, Month},
    },
    telephony::{calls::told::Told, reports::roll_store},
    text::E164,
};

/// Other nodes' legs are found within this time.
const EVERY: Duration = Duration::from_secs(1);

/// Runs forever. What fails is tried again. `woken`: this node has received a record.
pub async fn run(pool: PgPool, woken: Arc<Notify>) {
    loop {
        match jobs::round("calls", fold_batch(&pool)).await {
            Ok(Some(legs)) if legs >= usize::try_from(store::BATCH).unwrap_or(usize::MAX) => continue,
            Ok(_) => {
                if let Err(error) = jobs::round("figures", roll_store::roll(&pool)).await {
                    tracing::warn!(%error, "figures of calls could not be computed, and will be later");
                }
            }
            Err(error) => tracing::warn!(%error, "legs could not be made into calls, and will be later"),
        }
        // A moment later, the other legs of the call have come as well.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let _ = tokio::time::timeout(EVERY, woken.notified()).await;
    }
}

/// Makes calls of all legs that have come, and returns how many there were.
pub async fn fold_all(pool: &PgPool) -> sqlx::Result<usize> {
    let mut all = 0;
    loop {
        match fold_batch(pool).await? {
            Some(0) => {
                roll_store::roll(pool).await?;
                return Ok(all);
            }
            Some(legs) => all += legs,
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

type Id = (Uuid, Uuid);

/// Makes calls of one batch of legs. `None`: another node is doing it.
pub async fn fold_batch(pool: &PgPool) -> sqlx::Result<Option<usize>> {
    let mut tx = pool.begin().await?;
    if !store::take_turn(&mut tx).await? {
        return Ok(None);
    }
    let mut due = store::due(&mut tx).await?;
    let count = due.len();
    if count == 0 {
        // What was written while another node made the call.
        if written::hand_on(&mut tx).await? > 0 {
            tx.commit().await?;
        }
        return Ok(Some(0));
    }
    let channels =
        |due: &[Due]| due.iter().flat_map(Due::channels).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
    let named = channels(&due);
    due.extend(store::orphans(&mut tx, &named).await?);
    let known = store::channels(&mut tx, &channels(&due)).await?;
    let mut gathered = gather::gather(&due, &known);
    // Before anything is written: whoever deletes a tenant locks it first, too.
    let tenants = gathered.legs.iter().map(|(_, tenant, _)| *tenant).collect::<BTreeSet<_>>();
    let there = store::tenants(&mut tx, &tenants.into_iter().collect::<Vec<_>>()).await?;
    gathered.keep_only(&there);
    let nobodys = due.iter().map(|leg| leg.leg).filter(|leg| !gathered.legs.iter().any(|(of, ..)| of == leg));
    store::leave(&mut tx, &nobodys.collect::<Vec<_>>()).await?;
    if !gathered.merged.is_empty() {
        store::merge(&mut tx, &gathered.merged).await?;
    }
    store::join(&mut tx, &gathered.channels).await?;
    store::assign(&mut tx, &gathered.legs).await?;

    let calls = gathered.legs.iter().map(|(_, tenant, call)| (*tenant, *call)).collect::<BTreeSet<_>>();
    let folded = fold_calls(&mut tx, &calls).await?;
    for month in folded.values().map(|call| Month::of(call.started_at)).collect::<BTreeSet<_>>() {
        // On a connection of its own: the month stays, whatever becomes of this batch.
        months_store::make(&mut *pool.acquire().await?, Kept::Stories, month).await?;
    }
    write(&mut tx, &folded, &gathered.merged).await?;
    written::hand_on(&mut tx).await?;
    tx.commit().await?;
    Ok(Some(count))
}

async fn fold_calls(db: &mut sqlx::PgConnection, calls: &BTreeSet<Id>) -> sqlx::Result<BTreeMap<Id, Folded>> {
    let mut legs: HashMap<Id, Vec<Told>> = HashMap::new();
    for (tenant, call, told) in store::legs(db, &calls.iter().copied().collect::<Vec<_>>()).await? {
        legs.entry((tenant, call)).or_default().push(told);
    }
    let tenants = calls.iter().map(|call| call.0).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
    let all = || legs.values().flatten();
    let ids = all().filter_map(|leg| leg.extension).collect::<Vec<_>>();
    let users = all().filter_map(|leg| leg.user.as_ref()).map(|user| user.to_ascii_lowercase()).collect::<Vec<_>>();
    let dialled = all().filter_map(|leg| leg.dialled.as_deref()).filter_map(E164::from_dialled).map(|n| n.to_string());
    let asked = legs.iter().flat_map(|((tenant, _), legs)| {
        legs.iter().flat_map(|leg| [Some(leg.leg), leg.admitted]).flatten().map(|call| (*tenant, call))
    });
    let asked = asked.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
    let extensions = store::extensions(db, &tenants, &ids, &users).await?;
    let numbers = store::numbers(db, &tenants, &dialled.collect::<Vec<_>>()).await?;
    let admitted = store::admitted(db, &asked).await?;
    let of_tenant = |tenant: Uuid| {
        let own = || extensions.iter().filter(move |named| named.tenant == tenant);
        Known {
            extensions: own().map(|named| (named.id, named.extension.clone())).collect(),
            users: own().map(|named| (named.user.clone(), named.id)).collect(),
            numbers: numbers.iter().filter(|(of, ..)| *of == tenant).map(|(_, n, id)| (n.clone(), *id)).collect(),
            admitted: Vec::new(),
        }
    };
    let mut known = tenants.iter().map(|tenant| (*tenant, of_tenant(*tenant))).collect::<HashMap<_, _>>();
    let mut folded = BTreeMap::new();
    for ((tenant, call), legs) in legs {
        let Some(known) = known.get_mut(&tenant) else { continue };
        let own = legs.iter().flat_map(|leg| [Some(leg.leg), leg.admitted]).flatten().collect::<BTreeSet<_>>();
        let own = admitted.iter().filter(|(of, one)| *of == tenant && own.contains(&one.call));
        known.admitted = own.map(|(_, one)| one.clone()).collect();
        folded.extend(fold(&legs, known).map(|call_of| ((tenant, call), call_of)));
    }
    Ok(folded)
}

async fn write(
    db: &mut sqlx::PgConnection,
    folded: &BTreeMap<Id, Folded>,
    merged: &[(Uuid, Uuid, Uuid)],
) -> sqlx::Result<()> {
    let gone = merged.iter().map(|(tenant, from, _)| (*tenant, *from));
    let touched = folded.keys().copied().chain(gone).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
    let before = store::before(db, &touched).await?;
    let into = merged.iter().map(|(tenant, from, to)| ((*tenant, *from), (*tenant, *to))).collect::<HashMap<_, _>>();
    let mut rows = Vec::new();
    let mut replaced = into.keys().copied().collect::<Vec<_>>();
    for (id, call) in folded {
        let was = before.iter().filter(|before| {
            let of = (before.tenant, before.call);
            of == *id || into.get(&of) == Some(id)
        });
        let was = was.collect::<Vec<_>>();
        // Its other legs have been deleted, after a month: what was told then stays.
        if was.iter().any(|was| was.call == id.1 && was.legs > i32::from(call.summary.legs)) {
            continue;
        }
        replaced.push(*id);
        rows.push(row(*id, call, &was));
    }
    store::replace(db, &replaced, &serde_json::Value::Array(rows)).await?;
    // Figures of where the calls were, and of where they are now.
    let were = before.iter().map(|was| (was.tenant, was.started_at, was.ended_at));
    let are = folded.iter().map(|((tenant, _), call)| (*tenant, call.started_at, call.ended_at));
    let slots = were
        .chain(are)
        .flat_map(|(tenant, from, to)| roll_store::slots(from, to).into_iter().map(move |slot| (tenant, slot)));
    roll_store::mark(db, &slots.collect::<Vec<_>>()).await
}

fn row((tenant, id): Id, call: &Folded, was: &[&Before]) -> serde_json::Value {
    let notes = was.iter().filter_map(|was| was.notes.as_deref()).collect::<Vec<_>>().join("\n\n");
    let tags = was.iter().flat_map(|was| was.tags.iter().cloned()).collect::<BTreeSet<_>>();
    let tags = tags.into_iter().collect::<Vec<_>>();
    let disposition = was.iter().find_map(|was| was.disposition.as_deref());
    let contact = was.iter().find_map(|was| was.contact_id);
    let written = Written { disposition, tags: &tags, contact };
    // A decision that was moved to its month is no longer read.
    let cost = call.cost.or_else(|| was.iter().find_map(|was| was.cost));
    // A number that was erased says no country.
    let country = call.country.as_deref().or_else(|| was.iter().find_map(|was| was.country.as_deref()));
    let currency = call.currency.as_deref().or_else(|| was.iter().find_map(|was| was.currency.as_deref()));
    json!({
        "tenant_id": tenant, "id": id, "started_at": call.started_at, "ended_at": call.ended_at, "direction": call.direction, "state": call.state,
        "wait_ms": call.wait_ms, "talk_ms": call.talk_ms, "ringing_after": call.ringing_after, "billed_seconds": call.billed_seconds,
        "extension_id": call.extension, "agent_id": call.agent, "number_id": call.number, "queue_id": call.queue, "carrier_id": call.carrier,
        "country": country, "cause": call.cause, "cost": cost, "currency": currency, "recorded": call.recorded, "agents": call.agents,
        "facets": facets::of_folded(tenant, call, written), "sought": withheld::sought(&call.summary, call.direction), "summary": call.summary, "story": call.story,
        "notes": Some(notes).filter(|notes| !notes.is_empty()), "tags": tags, "disposition": disposition, "contact_id": contact,
        "version": was.iter().map(|was| was.version).max().unwrap_or(0) + 1,
    })
}
