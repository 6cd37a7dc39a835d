//! Makes a tenant equal to a file: compares, and does what is different, until nothing is. So it does not matter where an earlier run
//! ended.

use std::collections::{BTreeSet, HashSet};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    file::{Company, INVITED, SECTIONS, Section},
    references::References,
    state::{self, State, Thing},
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

#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub created: Vec<String>,
    pub updated: Vec<String>,
    pub deleted: Vec<String>,
    pub unchanged: usize,
    /// What the file does not name and `--prune` would delete.
    pub kept: usize,
}

/// A change that is needed.
#[derive(Debug)]
struct Update {
    at: usize,
    key: String,
    id: String,
    /// What differs, with references.
    patch: Map<String, Value>,
}

pub struct Plan<'a> {
    company: &'a Company,
    tenant: Option<String>,
    own: Map<String, Value>,
    settings: Option<Value>,
    /// Things of the file that are missing, by section.
    create: Vec<(usize, &'a Map<String, Value>)>,
    update: Vec<Update>,
    delete: Vec<(usize, String, String)>,
    references: References,
    unchanged: usize,
    kept: usize,
    prune: bool,
}

pub fn plan<'a>(company: &'a Company, state: &State, prune: bool) -> anyhow::Result<Plan<'a>> {
    let mut plan = Plan {
        company,
        tenant: state.tenant.clone(),
        own: Map::new(),
        settings: None,
        create: Vec::new(),
        update: Vec::new(),
        delete: Vec::new(),
        references: References::default(),
        unchanged: 0,
        kept: 0,
        prune,
    };
    for (section, things) in SECTIONS.iter().zip(&state.sections) {
        for thing in things {
            plan.references.add(state::reference(section, &thing.key), &thing.id);
        }
    }
    for (name, value) in company.tenant.iter().filter(|(name, _)| *name != "domain") {
        if !same(name, value, state.own(name)) {
            plan.own.insert(name.clone(), value.clone());
        }
    }
    if let Some(settings) = &company.settings {
        plan.settings = merge_patch(&plan.references.resolved(settings).value, &state.settings);
    }
    for at in 0..SECTIONS.len() {
        plan.compare(at, state);
    }
    plan.check_references()?;
    Ok(plan)
}

impl Plan<'_> {
    fn compare(&mut self, at: usize, state: &State) {
        let section = &SECTIONS[at];
        let Some(wanted) = &self.company.sections[at] else { return };
        let existing = state.by_key(at);
        let mut named = HashSet::new();
        let mut missing = Vec::new();
        for thing in wanted {
            let key = section.key(thing);
            if let Some(found) = existing.get(key.as_str()) {
                self.compare_one(at, thing, found);
            } else {
                missing.push(thing);
            }
            named.insert(key);
        }
        if section.noun == "extension" {
            // An agent's extensions are named there.
            let agents = SECTIONS.iter().position(|section| section.noun == "agent");
            let agents = agents.and_then(|at| self.company.sections[at].as_ref()).into_iter().flatten();
            let numbers =
                agents.flat_map(|agent| agent.get("extensions").and_then(Value::as_array).into_iter().flatten());
            named.extend(numbers.filter_map(Value::as_str).map(ToOwned::to_owned));
        }
        let mut others = state.sections[at].iter().filter(|thing| !named.contains(&thing.key)).collect::<Vec<_>>();
        if section.noun == "pool" {
            // Pools have no names: one that is not in the file becomes one that is.
            let count = others.len().min(missing.len());
            for (thing, found) in missing.drain(..count).zip(others.drain(..count)) {
                self.update.push(Update { at, key: found.key.clone(), id: found.id.clone(), patch: thing.clone() });
            }
        }
        self.create.extend(missing.into_iter().map(|thing| (at, thing)));
        if self.prune {
            self.delete.extend(others.into_iter().map(|thing| (at, thing.key.clone(), thing.id.clone())));
        } else {
            self.kept += others.len();
        }
    }

    fn compare_one(&mut self, at: usize, wanted: &Map<String, Value>, found: &Thing) {
        let section = &SECTIONS[at];
        let mut patch = Map::new();
        for (name, value) in wanted {
            if section.keys.contains(&name.as_str()) || section.once.contains(&name.as_str()) {
                continue;
            }
            // Nobody becomes invited: that is how one begins.
            if section.noun == "agent" && name == "status" && value == INVITED {
                continue;
            }
            let current = found.fields.get(name).unwrap_or(&Value::Null);
            let resolved = self.references.resolved(value);
            if !resolved.missing.is_empty() || !same(name, &resolved.value, current) {
                patch.insert(name.clone(), merged(name, value, &self.references.named(current)));
            }
        }
        if patch.is_empty() {
            self.unchanged += 1;
        } else {
            self.update.push(Update { at, key: found.key.clone(), id: found.id.clone(), patch });
        }
    }

    /// Refuses references to what neither the tenant nor the file has, before anything is changed.
    fn check_references(&self) -> anyhow::Result<()> {
        let mut coming = HashSet::new();
        for (at, thing) in &self.create {
            coming.insert(state::reference(&SECTIONS[*at], &SECTIONS[*at].key(thing)));
            for number in
                thing.get("extensions").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
            {
                coming.insert(format!("extension:{number}"));
            }
        }
        let going =
            self.delete.iter().map(|(at, key, _)| state::reference(&SECTIONS[*at], key)).collect::<HashSet<_>>();
        for (section, things) in SECTIONS.iter().zip(&self.company.sections) {
            for thing in things.iter().flatten() {
                let called = || section.called(&section.key(thing));
                for (_, value) in thing.iter().filter(|(name, _)| !section.keys.contains(&name.as_str())) {
                    for name in self.references.resolved(value).missing {
                        let lower = name.to_lowercase();
                        if !coming.contains(&name) && !coming.contains(&lower) {
                            let why =
                                format!("{}: there is no {name}, neither in the file nor at the tenant", called());
                            return Err(Refused::because(why).into());
                        }
                    }
                    if let Some(name) = mentions(value).into_iter().find(|name| going.contains(name)) {
                        let why = format!(
                            "{}: it leads to {name}, which --prune would delete: name it in the file",
                            called()
                        );
                        return Err(Refused::because(why).into());
                    }
                }
            }
        }
        Ok(())
    }

    pub fn report(&self) -> Report {
        let mut report = Report { unchanged: self.unchanged, kept: self.kept, ..Report::default() };
        let domain = self.company.domain().unwrap_or_default();
        if self.tenant.is_none() {
            report.created.push(format!("tenant {domain}"));
        } else if !self.own.is_empty() {
            report.updated.push(format!("tenant: {}", names(&self.own)));
        }
        match &self.settings {
            Some(Value::Object(patch)) => report.updated.push(format!("settings: {}", names(patch))),
            _ => report.unchanged += usize::from(self.company.settings.is_some()),
        }
        for (at, thing) in &self.create {
            report.created.push(SECTIONS[*at].called(&SECTIONS[*at].key(thing)));
        }
        for update in &self.update {
            report.updated.push(format!("{}: {}", SECTIONS[update.at].called(&update.key), names(&update.patch)));
        }
        for (at, key, _) in &self.delete {
            report.deleted.push(SECTIONS[*at].called(key));
        }
        report
    }

    pub fn deletions(&self) -> usize {
        self.delete.len()
    }

    /// Whether phones lose their service.
    pub fn suspends(&self) -> bool {
        self.tenant.is_some() && self.own.get("status").is_some_and(|status| status == "suspended")
    }

    pub fn steps(&self) -> usize {
        self.create.len() + self.update.len() + self.delete.len()
    }

    fn is_done(&self) -> bool {
        self.tenant.is_some()
            && self.own.is_empty()
            && self.settings.is_none()
            && self.create.is_empty()
            && self.update.is_empty()
    }
}

fn names(patch: &Map<String, Value>) -> String {
    patch.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The references in a value of a file.
fn mentions(value: &Value) -> Vec<String> {
    References::default().resolved(value).missing
}

/// Carries out a plan. Returns what was planned, once it is so.
pub async fn carry_out(
    api: &Api,
    description: &Description,
    mut plan: Plan<'_>,
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
        let state = State::read(api, description, Some(tenant)).await?;
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
    mut plan: Plan<'_>,
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
    if let Some(patch) = plan.settings.take() {
        let call = Call::new("PATCH", format!("/v1/tenants/{tenant}/settings"), Some(patch));
        api.call(&call).await.context("the settings")?;
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
    let (first, rest): (Vec<_>, Vec<_>) =
        create.into_iter().partition(|(at, _)| matches!(SECTIONS[*at].noun, "pool" | "extension" | "agent"));
    let (agents, first): (Vec<_>, Vec<_>) = first.into_iter().partition(|(at, _)| SECTIONS[*at].noun == "agent");
    let (pools, extensions): (Vec<_>, Vec<_>) = first.into_iter().partition(|(at, _)| SECTIONS[*at].noun == "pool");
    for (at, thing) in pools {
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
    let call = Call::new("POST", state::list(description, section, tenant), Some(body.collect::<Map<_, _>>().into()));
    let made = api.call(&call).await.with_context(|| section.called(&key))?;
    if let Some(id) = made["id"].as_str() {
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
        api.call(&Call::new("PATCH", path.clone(), Some(body.into()))).await.with_context(|| section.called(&key))?;
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

/// Fields whose entries have names of the user's choice: what a file leaves out is not there.
const MAPS: [&str; 2] = ["variables", "entries"];
/// Lists without an order.
const SETS: [&str; 3] = ["extensions", "capabilities", "allowed_countries"];

/// Whether what the file wants is so. What it does not have may be anything.
fn same(name: &str, wanted: &Value, current: &Value) -> bool {
    match (wanted, current) {
        (Value::Object(wanted), Value::Object(current)) => {
            let has_more = MAPS.contains(&name)
                && current.iter().any(|(key, value)| !value.is_null() && !wanted.contains_key(key));
            !has_more && wanted.iter().all(|(key, value)| same(key, value, current.get(key).unwrap_or(&Value::Null)))
        }
        (Value::Array(wanted), Value::Array(current)) if SETS.contains(&name) => {
            let sorted = |all: &[Value]| all.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
            sorted(wanted) == sorted(current)
        }
        (Value::Array(wanted), Value::Array(current)) => {
            wanted.len() == current.len()
                && wanted.iter().zip(current).all(|(wanted, current)| same("", wanted, current))
        }
        (Value::Number(wanted), Value::Number(current)) => wanted == current || wanted.as_f64() == current.as_f64(),
        (wanted, current) => wanted == current,
    }
}

/// What is sent for a field: objects are replaced as wholes, so what the file does not have is taken from the present ones.
fn merged(name: &str, wanted: &Value, current: &Value) -> Value {
    match (wanted, current) {
        (Value::Object(wanted), Value::Object(current))
            if !MAPS.contains(&name) && wanted.keys().all(|key| current.contains_key(key)) =>
        {
            let both = current.iter().map(|(key, now)| {
                let value = wanted.get(key).map_or_else(|| now.clone(), |wanted| merged(key, wanted, now));
                (key.clone(), value)
            });
            both.collect::<Map<_, _>>().into()
        }
        (wanted, _) => wanted.clone(),
    }
}

/// The merge patch that makes `current` what is wanted, or `None` if it is.
fn merge_patch(wanted: &Value, current: &Value) -> Option<Value> {
    let (Value::Object(all), Value::Object(now)) = (wanted, current) else {
        return (!same("", wanted, current)).then(|| wanted.clone());
    };
    let parts = all
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), merge_patch(value, now.get(key).unwrap_or(&Value::Null))?)));
    let patch = parts.collect::<Map<_, _>>();
    (!patch.is_empty()).then(|| patch.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_file_says_is_compared() {
        let current = json!({ "a": 1, "b": [1, 2], "c": { "d": null, "e": "x" }, "variables": { "x": "1", "y": "2" } });
        for wanted in [
            json!({}),
            json!({ "a": 1 }),
            json!({ "c": {} }),
            json!({ "c": { "d": null } }),
            json!({ "z": null }),
            current.clone(),
        ] {
            assert!(same("", &wanted, &current), "{wanted}");
            assert_eq!(merge_patch(&wanted, &current), None, "{wanted}");
        }
        for wanted in [
            json!({ "a": 2 }),
            json!({ "b": [2, 1] }),
            json!({ "c": { "d": 1 } }),
            json!({ "variables": { "x": "1" } }),
        ] {
            assert!(!same("", &wanted, &current), "{wanted}");
        }
        assert!(same("extensions", &json!(["2", "1"]), &json!(["1", "2"])));
        assert_eq!(merge_patch(&json!({ "a": 1, "c": { "e": "y" } }), &current), Some(json!({ "c": { "e": "y" } })));
        assert_eq!(merged("c", &json!({ "e": "y" }), &current["c"]), json!({ "d": null, "e": "y" }));
        assert_eq!(merged("c", &json!({ "f": 1 }), &current["c"]), json!({ "f": 1 }), "another shape");
        let one = &current["variables"];
        assert_eq!(merged("variables", &json!({ "x": "1" }), one), json!({ "x": "1" }), "what it leaves out goes");
    }
}
