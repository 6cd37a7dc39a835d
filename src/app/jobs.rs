//! What a node does by the clock. Several nodes may: each job is one transaction that takes what it works on.

use std::time::Duration;

use crate::{
    app::web::kept_store,
    model::error::Result,
    node::changes::{Author, Changes},
    telephony::{calls, carriers},
    tenancy::{auth, tenants},
};

const EVERY: Duration = Duration::from_mins(1);

/// Runs for ever; what fails is tried again the next time.
pub async fn run(changes: Changes) {
    loop {
        if let Err(error) = purge_tenants(&changes).await {
            tracing::warn!(%error, "tenants whose time has come were not purged");
        }
        if let Err(error) = auth::store::drop_sign_ups(changes.pool()).await {
            tracing::warn!(%error, "sign-ups that nobody confirmed were not dropped");
        }
        if let Err(error) = calls::inbox::read_unread(changes.pool()).await {
            tracing::warn!(%error, "call records that were kept were not read");
        }
        if let Err(error) = calls::store::mend_meters(changes.pool()).await {
            tracing::warn!(%error, "the meters of calls were not looked after");
        }
        if let Err(error) = kept_store::drop_expired(changes.pool()).await {
            tracing::warn!(%error, "what pages kept for a while was not dropped");
        }
        tokio::time::sleep(EVERY).await;
    }
}

const PROBE_EVERY: Duration = Duration::from_secs(15);

/// Looks after carriers that are sick, for ever: one that answers again is tried like the others.
pub async fn probe_carriers(changes: Changes) {
    loop {
        if let Err(error) = probe_sick(&changes).await {
            tracing::warn!(%error, "sick carriers were not looked after");
        }
        tokio::time::sleep(PROBE_EVERY).await;
    }
}

/// Asks each sick carrier whether it is there.
pub async fn probe_sick(changes: &Changes) -> Result<()> {
    for (carrier, config) in carriers::store::sick(changes.pool()).await? {
        let probe = carriers::probe::options(&config).await;
        carriers::store::note_probe(changes.pool(), carrier, probe.reachable).await?;
        tracing::info!(%carrier, reachable = probe.reachable, answer = probe.answer, "a sick carrier was asked");
    }
    Ok(())
}

/// Takes away the tenants whose grace period is over.
pub async fn purge_tenants(changes: &Changes) -> Result<()> {
    for tenant in tenants::store::to_purge(changes.pool()).await? {
        let mut change = changes.begin(Author { name: "purge".into(), source: None, within: None }).await?;
        // Another node may have been quicker, or somebody took it back.
        if tenants::store::lock_to_purge(change.db(), tenant).await? {
            tenants::purge_now(&mut change, tenant).await?;
            change.commit().await?;
            tracing::info!(%tenant, "a deleted tenant is gone with all it had");
        }
    }
    Ok(())
}
