//! What a node does by the clock. Several nodes may: each job is one transaction that takes what it works on.

use std::time::Duration;

use crate::{
    changes::{Author, Changes, Result},
    tenants,
};

const EVERY: Duration = Duration::from_mins(1);

/// Runs for ever; what fails is tried again the next time.
pub async fn run(changes: Changes) {
    loop {
        if let Err(error) = purge_tenants(&changes).await {
            tracing::warn!(%error, "tenants whose time has come were not purged");
        }
        tokio::time::sleep(EVERY).await;
    }
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
