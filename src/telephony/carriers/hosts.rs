//! Looks up the addresses of carriers' and other clusters' host names, because a switch's ACLs have addresses only
//! (`switch_load_network_lists` in switch_core.c takes no names).

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use futures_util::future::join_all;
use sqlx::PgPool;

use super::store;
use crate::node::jobs;

/// How often to check for names to look up.
const LOOK_EVERY: Duration = Duration::from_secs(3);

const PATIENCE: Duration = Duration::from_secs(5);

/// The most addresses per name, more than any has.
const MOST: usize = 64;

/// Looks names up forever. Whichever node comes first does it.
pub async fn watch(pool: PgPool) {
    loop {
        if let Err(error) = jobs::round("carriers_hosts", resolve_due(&pool)).await {
            tracing::warn!(%error, "the addresses of carriers could not be looked up");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Looks up the names that are due. If one can't be resolved, its earlier addresses are kept.
pub async fn resolve_due(pool: &PgPool) -> sqlx::Result<()> {
    let hosts = store::unresolved_hosts(pool).await?;
    let looked_up = join_all(hosts.into_iter().map(|host| async {
        let addresses = resolve(&host).await;
        (host, addresses)
    }));
    for (host, addresses) in looked_up.await {
        if let Err(error) = &addresses {
            tracing::warn!(host, %error, "the host name of a carrier or cluster can't be resolved");
        }
        store::resolved_host(pool, &host, addresses.ok().as_deref()).await?;
    }
    Ok(())
}

async fn resolve(host: &str) -> std::io::Result<Vec<String>> {
    let found = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((host, 5060))).await??;
    let addresses = found.map(|address| address.ip()).filter(IpAddr::is_ipv4).collect::<BTreeSet<_>>();
    if addresses.is_empty() {
        return Err(std::io::Error::other("it has no IPv4 address"));
    }
    Ok(addresses.into_iter().take(MOST).map(|address| address.to_string()).collect())
}
