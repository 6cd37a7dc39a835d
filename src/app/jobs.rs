//! A node's periodic jobs. Several nodes may run them at once: each job is a transaction that locks what it works on.

use std::time::Duration;

use chrono::Utc;

use crate::{
    app::web::kept_store,
    model::error::Result,
    node::{
        changes::{self, Author, Changes},
        jobs::round,
    },
    telephony::{calls, carriers, reports, usage},
    tenancy::{auth, tenants},
};

const EVERY: Duration = Duration::from_mins(1);

/// Runs forever. What fails is tried again the next time.
pub async fn run(changes: Changes) {
    loop {
        if let Err(error) = round("tenants_purged", purge_tenants(&changes)).await {
            tracing::warn!(%error, "deleted tenants could not be purged");
        }
        if let Err(error) = round("domains_ended", tenants::domains::end_due(&changes)).await {
            tracing::warn!(%error, "former domains whose time is over could not be ended");
        }
        if let Err(error) = round("sign_ups_dropped", auth::store::drop_sign_ups(changes.pool())).await {
            tracing::warn!(%error, "unconfirmed sign-ups could not be deleted");
        }
        if let Err(error) = round("call_records", calls::inbox::read_unread(changes.pool())).await {
            tracing::warn!(%error, "kept call records could not be read");
        }
        if let Err(error) = round("legs_charged", calls::legs::charge_unrecorded(changes.pool())).await {
            tracing::warn!(%error, "legs whose records did not come could not be charged");
        }
        if let Err(error) = round("meters", calls::store::mend_meters(changes.pool())).await {
            tracing::warn!(%error, "call meters could not be corrected");
        }
        if let Err(error) = round("usage", usage::work::compare(&changes, Utc::now())).await {
            tracing::warn!(%error, "what tenants used could not be compared with their limits");
        }
        if let Err(error) = round("report_mails", reports::mails::send(&changes, Utc::now())).await {
            tracing::warn!(%error, "reports could not be mailed");
        }
        if let Err(error) = round("pages_dropped", kept_store::drop_expired(changes.pool())).await {
            tracing::warn!(%error, "what pages keep for a while could not be deleted");
        }
        tokio::time::sleep(EVERY).await;
    }
}

const PROBE_EVERY: Duration = Duration::from_secs(15);

/// Probes sick carriers forever. One that answers again is tried like the others.
pub async fn probe_carriers(changes: Changes) {
    loop {
        if let Err(error) = round("carriers_probed", probe_sick(&changes)).await {
            tracing::warn!(%error, "sick carriers could not be probed");
        }
        tokio::time::sleep(PROBE_EVERY).await;
    }
}

/// Probes each sick carrier.
pub async fn probe_sick(changes: &Changes) -> Result<()> {
    for (carrier, config) in carriers::store::sick(changes.pool()).await? {
        let probe = carriers::probe::options(&config).await;
        carriers::store::note_probe(changes.pool(), carrier, probe.reachable).await?;
        tracing::info!(%carrier, reachable = probe.reachable, answer = probe.answer, "a sick carrier was probed");
    }
    Ok(())
}

/// Deletes the tenants whose grace period is over.
pub async fn purge_tenants(changes: &Changes) -> Result<()> {
    for tenant in tenants::store::to_purge(changes.pool()).await? {
        if changes::again(|| purge_tenant(changes, tenant)).await? {
            tracing::info!(%tenant, "a deleted tenant was purged with everything it had");
        }
    }
    Ok(())
}

async fn purge_tenant(changes: &Changes, tenant: uuid::Uuid) -> Result<bool> {
    let mut change = changes.begin(Author { name: "purge".into(), source: None, within: None }).await?;
    change.hold(tenant).await?;
    // Another node may have been quicker, or somebody cancelled the deletion.
    let is_due = tenants::store::lock_to_purge(change.db(), tenant).await?;
    if is_due {
        tenants::purge_now(&mut change, tenant).await?;
        change.commit().await?;
    }
    Ok(is_due)
}
