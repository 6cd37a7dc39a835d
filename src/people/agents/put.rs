//! Making an agent equal to a description, by their e-mail address.

use uuid::Uuid;

use super::{Agent, AgentPatch, CreatedAgent, Maker, NewAgent, create, store, update};
use crate::{
    model::{
        error::{NOT_THERE, Result, same_version},
        put::Put,
    },
    node::changes::Change,
};

/// Makes the agent with this address equal to what is wanted, or creates them. Without `numbers`, their extensions stay as they are:
/// `extensions_count` says only how many a new agent gets.
pub async fn put(
    change: &mut Change,
    maker: Maker<'_>,
    tenant: Uuid,
    new: NewAgent,
    if_match: Option<i64>,
) -> Result<Put<Agent, CreatedAgent>> {
    change.hold(tenant).await?;
    let Some(agent) = store::by_email(change.db(), tenant, new.email.as_str()).await? else {
        same_version(if_match, NOT_THERE)?;
        return create(change, maker, tenant, new).await.map(Put::Made);
    };
    let NewAgent { first_name, last_name, email: _, role, language, extensions_count: _, numbers } = new;
    let patch = AgentPatch {
        first_name: Some(first_name),
        last_name: Some(last_name),
        email: None,
        role: Some(role),
        language: Some(language),
        status: None,
        two_factor_required: None,
        extensions: numbers,
    };
    update(change, maker, tenant, agent.user.id, patch, if_match).await.map(Put::Is)
}
