//! Takes extensions out of the groups and queues that ring them.

use uuid::Uuid;

use super::{GroupPatch, store, update};
use crate::{
    model::{
        destination::{Config, TargetKind},
        error::Result,
        paging::Window,
    },
    node::changes::Change,
    telephony::destinations::{self, DestinationPatch},
};

/// Takes these extensions out of all groups and queues of the tenant. Whatever else leads to them stays.
pub async fn detach(change: &mut Change, tenant: Uuid, extensions: &[Uuid]) -> Result<()> {
    change.hold(tenant).await?;
    for membership in store::of_extensions(change.db(), tenant, extensions).await? {
        let Some(group) = store::get(change.db(), tenant, membership.id).await? else { continue };
        let left = group.members.into_iter().filter(|member| !extensions.contains(member)).collect();
        let patch = GroupPatch { members: Some(left), ..GroupPatch::default() };
        update(change, tenant, group.id, patch, None).await?;
    }
    let queues = destinations::store::Filter { kind: Some(TargetKind::Queue), ..Default::default() };
    let queues = destinations::store::list(change.db(), tenant, &queues, &Window::ALL.into()).await?;
    for queue in queues {
        let Config::Queue(mut config) = queue.config else { continue };
        let before = config.tiers.len();
        config.tiers.retain(|tier| !extensions.contains(&tier.extension_id));
        if config.tiers.len() != before {
            let config = serde_json::to_value(&config).unwrap_or_default();
            let patch = DestinationPatch { config: Some(config), ..DestinationPatch::default() };
            destinations::update(change, tenant, queue.id, patch, None).await?;
        }
    }
    Ok(())
}
