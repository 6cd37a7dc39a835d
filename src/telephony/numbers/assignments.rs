//! Assignments: which agent calls out with which number, how often a day, and to which countries.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AgentNumber, Assignment, Number, Outbound, locked, store};
use crate::{
    model::{
        error::{Error, Result},
        same::is_same,
        settings::Country,
        used::UsedKind,
    },
    node::changes::{Audit, Change},
    text::Code,
};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Assign {
    pub agent_id: Uuid,
    /// Calls per day; 100 if absent.
    #[serde(default = "hundred")]
    pub daily_limit: i32,
    /// Where calls with it may go; all that the company allows if absent or empty.
    pub allowed_countries: Option<Vec<Country>>,
    /// Whether to take the number from the agent who has it.
    #[serde(default)]
    pub take_over: bool,
}

/// More than there are.
const MOST_COUNTRIES: usize = 250;

fn hundred() -> i32 {
    100
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AgentNumbers {
    pub agent_id: Uuid,
    pub outbound: Outbound,
    pub numbers: Vec<AgentNumber>,
}

pub async fn assign(change: &mut Change, tenant: Uuid, id: Uuid, to: Assign, if_match: Option<i64>) -> Result<Number> {
    change.hold(tenant).await?;
    if !(0..=1_000_000).contains(&to.daily_limit) {
        return Err(Error::invalid("daily_limit", Code::range(0, 1_000_000)));
    }
    // An empty list names no country, so it limits nothing: who should call nobody gets no number.
    let countries = to.allowed_countries.filter(|countries| !countries.is_empty());
    if countries.as_ref().is_some_and(|countries| countries.len() > MOST_COUNTRIES) {
        return Err(Error::invalid("allowed_countries", Code::TooManyEntries.with("most", MOST_COUNTRIES)));
    }
    let before = locked(change, tenant, id, if_match).await?;
    let agent = store::agent(change.db(), tenant, to.agent_id).await?;
    let agent = agent.ok_or_else(|| Error::invalid("agent_id", Code::NamesNoAgent))?;
    if agent.is_suspended {
        return Err(Code::AgentSuspended.with("agent", agent.name).into());
    }
    if let Some(assignment) = before.assignment.as_ref().filter(|before| before.agent_id != to.agent_id)
        && !to.take_over
    {
        let other = store::agent(change.db(), tenant, assignment.agent_id).await?.unwrap_or_default();
        let why = Code::NumberOfAnother.with("number", &before.number).with("agent", &other.name);
        return Err(Error::taken(
            why.with("id", assignment.agent_id),
            UsedKind::Agent,
            assignment.agent_id,
            &other.name,
        ));
    }
    let assignment = Assignment { agent_id: to.agent_id, daily_limit: to.daily_limit, allowed_countries: countries };
    if before.assignment.as_ref().is_some_and(|before| is_same(before, &assignment)) {
        return Ok(before);
    }
    store::assign(change.db(), tenant, id, &assignment).await?;
    finish(change, &before, "assign").await
}

pub async fn unassign(change: &mut Change, tenant: Uuid, id: Uuid, if_match: Option<i64>) -> Result<Number> {
    change.hold(tenant).await?;
    let before = locked(change, tenant, id, if_match).await?;
    if before.assignment.is_none() {
        return Err(Error::from(Code::NumberNotAssigned));
    }
    store::unassign(change.db(), tenant, id).await?;
    finish(change, &before, "unassign").await
}

async fn finish(change: &mut Change, before: &Number, action: &'static str) -> Result<Number> {
    let after = store::get(change.db(), before.tenant_id, before.id).await?.ok_or(Error::NotFound("number"))?;
    change.audit_of(action, Some(before), Some(&after)).await?;
    Ok(after)
}

/// Sets which number an agent's calls show.
pub async fn choose(change: &mut Change, tenant: Uuid, agent: Uuid, outbound: &Outbound) -> Result<()> {
    change.hold(tenant).await?;
    if let Some(number) = outbound.number_id {
        let held = store::numbers_of_agent(change.db(), tenant, agent).await?;
        if !held.iter().any(|held| held.id == number) {
            return Err(Error::invalid("number_id", Code::NamesNoNumber));
        }
    }
    let before = store::choice(change.db(), tenant, agent).await?.ok_or(Error::NotFound("agent"))?;
    if is_same(&before, outbound) {
        return Ok(());
    }
    store::set_choice(change.db(), tenant, agent, outbound).await?;
    let (before, after) = (serde_json::to_value(&before).ok(), serde_json::to_value(outbound).ok());
    let resource = format!("agents/{agent}");
    change.audit(Audit { tenant: Some(tenant), action: "outbound", resource, before, after }).await
}
