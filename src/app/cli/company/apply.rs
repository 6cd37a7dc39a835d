//! Makes a tenant equal to a file: compares, and does what is different, until nothing is. So it does not matter where an earlier run
//! ended.

use std::collections::{BTreeSet, HashSet};

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use super::{
    file::{Company, SECTIONS, SINGLES, Section},
    plan::{Difference, Report, Update, plan},
    references::References,
    state::{self, State},
};
use crate::app::cli::{
    failure::{Answered, Refused},
    nouns::Description,
    wire::{Api, Call},
};

/// How often the tenant is compared with the file. The second time finds what could not be said when things were created, such as two
/// menus that lead to each other, and the third that all is as it should be.
const PASSES: usize = 5;
/// Agents of one request.
const AT_ONCE: usize = 250;

/// Carries out a plan. Returns what was planned, once it is so.
pub async fn carry_out(
    api: &Api,
    description: &Description,
    mut plan: Difference<'_>,
    mut on_step: impl FnMut(),
) -> anyhow::Result<Report> {
    let report = plan.report();
    let (company, prune) = (plan.company, plan.prune);
    let deletions = std::mem::take(&mut plan.delete);
    let mut tried = HashSet::new();
    for _ in 0..PASSES {
        // What the API writes in another way than the file would be different forever.
        plan.update.retain(|update| {
            tried.insert((update.at, update.key.clone(), Value::from(update.patch.clone()).to_string()))
        });
        if plan.is_done() {
            break;
        }
        let tenant = pass(api, description, plan, &mut on_step).await?;
        let state = State::read(api, description, Some(tenant), Some(company)).await?;
        plan = self::plan(company, &state, prune)?;
    }
    if let Some(tenant) = &plan.tenant {
        delete(api, description, tenant, deletions, &mut on_step).await?;
    }
    Ok(report)
}

/// One round of changes. Returns the tenant's id.
async fn pass(
    api: &Api,
    description: &Description,
    mut plan: Difference<'_>,
    on_step: &mut impl FnMut(),
) -> anyhow::Result<String> {
    let Some(tenant) = plan.tenant.take() else {
        let domain = plan.company.domain();
        let domain =
            domain.ok_or_else(|| Refused::because("which tenant? The file has no tenant.domain: give --tenant"))?;
        let mut new = json!({ "domain": domain });
        if let Some(name) = plan.company.tenant.get("name") {
            new["name"] = name.clone();
        }
        let made = api.call(&Call::new("POST", "/v1/tenants", Some(new))).await.context("the tenant")?;
        let id = made["id"].as_str().context("the tenant was created without an id")?;
        // It begins with what its template has: compare again.
        return Ok(id.to_owned());
    };
    if !plan.own.is_empty() {
        let call = Call::new("PATCH", format!("/v1/tenants/{tenant}"), Some(plan.own.clone().into()));
        api.call(&call).await.context("the tenant")?;
    }
    for (single, patch) in SINGLES.iter().zip(&mut plan.singles) {
        if let Some(patch) = patch.take() {
            let call = Call::new("PATCH", format!("/v1/tenants/{tenant}/{}", single.path), Some(patch));
            api.call(&call).await.context(single.name)?;
        }
    }
    let mut pools = Vec::new();
    let mut later = Vec::new();
    for update in std::mem::take(&mut plan.update) {
        if SECTIONS[update.at].noun == "pool" { pools.push(update) } else { later.push(update) }
    }
    for update in pools {
        change(api, description, &tenant, &plan.references, update).await?;
        on_step();
    }
    let create = std::mem::take(&mut plan.create);
    let is = |nouns: &'static [&'static str]| {
        move |(at, _): &(usize, &Map<String, Value>)| nouns.contains(&SECTIONS[*at].noun)
    };
    // Whoever gets any free number gets none that is reserved.
    let (numbers, rest): (Vec<_>, Vec<_>) = create.into_iter().partition(is(&["pool", "reserved-number"]));
    let (agents, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(is(&["agent"]));
    let (extensions, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(is(&["extension"]));
    for (at, thing) in numbers {
        create_one(api, description, &tenant, &mut plan.references, at, thing.clone()).await?;
        on_step();
    }
    let theirs = of_pools(plan.company, &agents);
    for (at, thing) in extensions {
        let is_plain = !SECTIONS[at].once.iter().any(|name| thing.contains_key(*name));
        let comes_with_its_agent = thing["number"].as_str().is_some_and(|number| theirs.contains(number)) && is_plain;
        if !comes_with_its_agent {
            create_one(api, description, &tenant, &mut plan.references, at, thing.clone()).await?;
        }
        on_step();
    }
    if !agents.is_empty() {
        for some in agents.chunks(AT_ONCE) {
            create_agents(api, description, &tenant, some).await?;
            for _ in some {
                on_step();
            }
        }
        // Now there are extensions that nobody knows the ids of.
        return Ok(tenant);
    }
    create_rest(api, description, &tenant, &mut plan.references, rest, on_step).await?;
    for update in later {
        change(api, description, &tenant, &plan.references, update).await?;
        on_step();
    }
    Ok(tenant)
}

/// The numbers of new agents that are in the file's pools: these extensions are made together with their agents.
fn of_pools<'a>(company: &Company, agents: &[(usize, &'a Map<String, Value>)]) -> BTreeSet<&'a str> {
    let pools = company.sections[0].iter().flatten();
    let pools = pools
        .filter_map(|pool| Some(pool["first_number"].as_i64()?..=pool["last_number"].as_i64()?))
        .collect::<Vec<_>>();
    let numbers =
        agents.iter().flat_map(|(_, agent)| agent.get("extensions").and_then(Value::as_array).into_iter().flatten());
    let in_pool =
        |number: &&str| number.parse().is_ok_and(|number: i64| pools.iter().any(|pool| pool.contains(&number)));
    numbers.filter_map(Value::as_str).filter(in_pool).collect()
}

async fn create_agents(
    api: &Api,
    description: &Description,
    tenant: &str,
    agents: &[(usize, &Map<String, Value>)],
) -> anyhow::Result<()> {
    let Some((at, _)) = agents.first() else { return Ok(()) };
    let fields = creatable(description, &SECTIONS[*at], true);
    let bodies = agents.iter().map(|(_, agent)| {
        let mut body = agent
            .iter()
            .filter(|(name, _)| fields.contains(name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<Map<_, _>>();
        if let Some(numbers) =
            agent.get("extensions").filter(|numbers| numbers.as_array().is_some_and(|all| !all.is_empty()))
        {
            body.insert("numbers".into(), numbers.clone());
        }
        Value::from(body)
    });
    let body = json!({ "agents": bodies.collect::<Vec<_>>() });
    let path = format!("/v1/admin/agents/bulk?tenant_id={tenant}");
    api.call(&Call::new("POST", path, Some(body))).await.context("the agents")?;
    Ok(())
}

/// The fields that a thing is created with. `even_without`: those of a list that a file has no place for, too.
fn creatable<'a>(description: &'a Description, section: &Section, even_without: bool) -> HashSet<&'a str> {
    let verbs = description.noun_named(section.noun).into_iter().flat_map(|noun| &noun.verbs);
    let fields = verbs
        .filter(|verb| verb.name == "create")
        .flat_map(|verb| verb.body.iter().flatten())
        .map(|field| field.name.as_str());
    fields.filter(|name| even_without || !section.without.contains(name)).collect()
}

async fn create_one(
    api: &Api,
    description: &Description,
    tenant: &str,
    references: &mut References,
    at: usize,
    thing: Map<String, Value>,
) -> anyhow::Result<()> {
    let section = &SECTIONS[at];
    let fields = creatable(description, section, false);
    let key = section.key(&thing);
    let body = thing.into_iter().filter(|(name, value)| fields.contains(name.as_str()) && !value.is_null());
    let body = body.map(|(name, value)| {
        if section.keys.contains(&name.as_str()) { (name, value) } else { (name, references.resolved(&value).value) }
    });
    let mut body = body.collect::<Map<_, _>>();
    let mut path = state::list(description, section, tenant);
    if section.noun == "webhook" {
        body.insert("tenant_id".into(), tenant.into());
        path.truncate(path.find('?').unwrap_or(path.len()));
    }
    let call = Call::new("POST", path, Some(body.into()));
    let made = api.call(&call).await.with_context(|| section.called(&key))?;
    if let Some(id) = made["id"].as_str().filter(|_| section.is_led_to()) {
        references.add(state::reference(section, &key), id);
    }
    Ok(())
}

/// Creates things that lead to each other: first those that lead to what is there. Of a circle, one is created without what is missing,
/// and changed the next time.
async fn create_rest(
    api: &Api,
    description: &Description,
    tenant: &str,
    references: &mut References,
    mut rest: Vec<(usize, &Map<String, Value>)>,
    on_step: &mut impl FnMut(),
) -> anyhow::Result<()> {
    while !rest.is_empty() {
        let waits = |thing: &Map<String, Value>, at: usize, references: &References| {
            let others = thing.iter().filter(|(name, _)| !SECTIONS[at].keys.contains(&name.as_str()));
            others.into_iter().any(|(_, value)| !references.resolved(value).missing.is_empty())
        };
        let mut waiting = Vec::new();
        let before = rest.len();
        for (at, thing) in rest {
            if waits(thing, at, references) {
                waiting.push((at, thing));
            } else {
                create_one(api, description, tenant, references, at, thing.clone()).await?;
                on_step();
            }
        }
        if waiting.len() == before {
            let (at, thing) = waiting.remove(0);
            create_one(api, description, tenant, references, at, thing.clone()).await?;
            on_step();
        }
        rest = waiting;
    }
    Ok(())
}

async fn change(
    api: &Api,
    description: &Description,
    tenant: &str,
    references: &References,
    update: Update,
) -> anyhow::Result<()> {
    let Update { at, key, id, mut patch } = update;
    let section = &SECTIONS[at];
    let path = state::one(description, section, tenant, &id);
    let assignment = patch.remove("assignment").filter(|_| section.noun == "number");
    if !patch.is_empty() {
        let body =
            patch.into_iter().map(|(name, value)| (name, references.resolved(&value).value)).collect::<Map<_, _>>();
        let call = if section.noun == "reserved-number" {
            // To reserve it again gives another reason.
            let body = body.into_iter().chain([("number".to_owned(), Value::from(id.as_str()))]);
            Call::new("POST", state::list(description, section, tenant), Some(body.collect::<Map<_, _>>().into()))
        } else {
            Call::new("PATCH", path.clone(), Some(body.into()))
        };
        api.call(&call).await.with_context(|| section.called(&key))?;
    }
    if let Some(assignment) = assignment {
        let (base, query) = path.split_once('?').unwrap_or((path.as_str(), ""));
        let call = match references.resolved(&assignment).value {
            Value::Object(mut body) => {
                body.insert("take_over".into(), true.into());
                Call::new("POST", format!("{base}/assign?{query}"), Some(body.into()))
            }
            _ => Call::new("POST", format!("{base}/unassign?{query}"), None),
        };
        api.call(&call).await.with_context(|| section.called(&key))?;
    }
    Ok(())
}

/// Deletes things, in the end those that others lead to.
async fn delete(
    api: &Api,
    description: &Description,
    tenant: &str,
    doomed: Vec<(usize, String, String)>,
    on_step: &mut impl FnMut(),
) -> anyhow::Result<()> {
    let mut doomed = doomed.into_iter().rev().collect::<Vec<_>>();
    let mut untied = HashSet::new();
    while !doomed.is_empty() {
        let before = doomed.len();
        let mut left = Vec::new();
        let mut why = None;
        for (at, key, id) in doomed {
            let section = &SECTIONS[at];
            let path = state::one(description, section, tenant, &id);
            let call = Call::new("DELETE", path.clone(), None);
            let mut done = api.call(&call).await;
            let is_in_use = |error: &anyhow::Error| {
                error.downcast_ref::<Answered>().is_some_and(|answered| answered.status() == 409)
            };
            if section.noun == "number" && done.as_ref().is_err_and(is_in_use) {
                // An agent calls with it.
                let (base, query) = path.split_once('?').unwrap_or((path.as_str(), ""));
                api.call(&Call::new("POST", format!("{base}/unassign?{query}"), None))
                    .await
                    .with_context(|| section.called(&key))?;
                done = api.call(&call).await;
            }
            match done {
                Ok(_) => on_step(),
                Err(error) => match error.downcast_ref::<Answered>().map(Answered::status) {
                    // It went with something else, such as an agent's extensions.
                    Some(404) => on_step(),
                    Some(409) => {
                        why.get_or_insert(error.context(section.called(&key)));
                        left.push((at, key, id));
                    }
                    _ => return Err(error.context(section.called(&key))),
                },
            }
        }
        if let Some(why) = why.filter(|_| left.len() == before)
            && !untie(api, description, tenant, &left, &mut untied).await?
        {
            return Err(why);
        }
        doomed = left;
    }
    Ok(())
}

/// Makes one of several things that lead to each other lead nowhere, since all of them go. Returns whether it could.
async fn untie(
    api: &Api,
    description: &Description,
    tenant: &str,
    left: &[(usize, String, String)],
    untied: &mut HashSet<String>,
) -> anyhow::Result<bool> {
    let ids = left.iter().map(|(_, _, id)| id.as_str()).collect::<HashSet<_>>();
    for (at, _, id) in left.iter().filter(|(_, _, id)| !untied.contains(id)).collect::<Vec<_>>() {
        untied.insert(id.clone());
        let path = state::one(description, &SECTIONS[*at], tenant, id);
        let now = api.call(&Call::get(&path)).await?;
        let mut patch = Map::new();
        for field in ["config", "otherwise"].into_iter().filter(|field| !now[*field].is_null()) {
            let without = without(&now[field], &ids).unwrap_or_default();
            if without != now[field] {
                patch.insert(field.to_owned(), without);
            }
        }
        if patch.get("config").is_some_and(|config| config["entries"] == json!({})) {
            // A menu leads somewhere: to an extension, since those go last.
            let some = api.all(&format!("/v1/tenants/{tenant}/extensions"), Some(1), |_| {}).await?;
            let some = some.first().map(|extension| json!({ "kind": "extension", "id": extension["id"] }));
            patch["config"]["entries"] = some.map_or_else(|| json!({}), |target| json!({ "0": target }));
        }
        // Some can't be without what they lead to; then it is another's turn.
        if !patch.is_empty() && api.call(&Call::new("PATCH", path, Some(patch.into()))).await.is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A value without the targets that are among these.
fn without(value: &Value, ids: &HashSet<&str>) -> Option<Value> {
    match value {
        Value::Object(all) if all.get("id").and_then(Value::as_str).is_some_and(|id| ids.contains(id)) => None,
        Value::Object(all) => Some(
            all.iter().filter_map(|(key, one)| Some((key.clone(), without(one, ids)?))).collect::<Map<_, _>>().into(),
        ),
        Value::Array(all) => Some(all.iter().filter_map(|one| without(one, ids)).collect()),
        other => Some(other.clone()),
    }
}
