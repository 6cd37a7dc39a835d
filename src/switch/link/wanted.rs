//! What a switch should have of those things that it reads only when it loads.

use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::pushes::{Announcing, Thing, Want, Wanted};
use crate::{
    model::destination::Config,
    switch::fetch::{
        config_store::{self, QueueRow, Whose},
        documents,
        render::RenderError,
        sofia,
    },
    text::keyring::Keyring,
};

#[derive(Debug, thiserror::Error)]
pub enum WantedError {
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error(transparent)]
    Render(#[from] RenderError),
}

/// What the switches of a cluster should have.
pub async fn of(db: &mut PgConnection, keyring: &Keyring, cluster: Uuid) -> Result<Wanted, WantedError> {
    let mut wanted = Wanted::default();
    for row in config_store::carriers(&mut *db, Whose::Cluster(Some(cluster))).await? {
        let want = Want { fingerprint: fingerprint(sofia::decisive(&row)), changed_at: Some(row.updated_at) };
        wanted.things.insert(Thing::Gateway(row.id), want);
    }
    let callers = config_store::callers(&mut *db, Some(cluster)).await?;
    wanted.trusted = callers.networks.first().and_then(|network| network.split('/').next()).map(ToOwned::to_owned);
    let addresses = format!("{} {}", callers.anyone, callers.networks.join(" "));
    wanted.things.insert(Thing::Addresses, Want { fingerprint: fingerprint(addresses), changed_at: None });
    for mut row in config_store::queues(&mut *db, Some(cluster)).await? {
        add_queue(&mut wanted, &mut row, keyring)?;
    }
    Ok(wanted)
}

fn add_queue(wanted: &mut Wanted, row: &mut QueueRow, keyring: &Keyring) -> Result<(), RenderError> {
    let QueueRow { domain, row, changed_at } = row;
    // A status that changes is told by a command.
    row.with_status = false;
    let Config::Queue(queue) = &row.config else { return Ok(()) };
    // Ids and domains always make a valid name.
    let Ok(name) = crate::routing::address(row.id, domain).parse() else { return Ok(()) };
    let document = documents::destination_document(domain, row, keyring)?;
    for (_, agent) in documents::agents_of(row, queue) {
        let agent = documents::agent_name(agent, domain).parse();
        wanted.tiers.extend(agent.ok().map(|agent| (Clone::clone(&name), agent)));
    }
    if queue.announce_place {
        let (every, with_wait) = (queue.announcement_seconds, queue.announce_wait);
        wanted.announcing.push(Announcing { queue: Clone::clone(&name), every, with_wait });
    }
    let want = Want { fingerprint: fingerprint(document), changed_at: Some(*changed_at) };
    wanted.things.insert(Thing::Queue(name), want);
    Ok(())
}

fn fingerprint(text: impl AsRef<[u8]>) -> super::pushes::Fingerprint {
    Sha256::digest(text).into()
}
