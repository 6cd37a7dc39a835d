//! The things that a form's fields name: to choose from, and found by what somebody typed.

use std::collections::HashMap;

use serde_json::Value;
use uuid::Uuid;

use super::At;
use crate::{
    app::web::{Turned, ask::turned, fields::Choices, in_query},
    tenancy::{
        audit,
        auth::rules::{self, Level, Resource},
    },
};

/// How many things of a kind are read to choose from. Of more, one types the number.
const MOST: usize = 500;

/// The list of a kind of thing: what may be read of it, and its path.
fn list(at: &At, what: &str) -> Option<(Resource, String)> {
    let tenant = at.tenant.map(|tenant| tenant.to_string()).unwrap_or_default();
    let by_tenant = if at.visitor.shell.acting.is_some() { format!("?tenant_id={tenant}") } else { String::new() };
    Some(match what {
        "extension" => (Resource::Extensions, format!("/v1/tenants/{tenant}/extensions")),
        "group" => (Resource::Groups, format!("/v1/tenants/{tenant}/groups")),
        "destination" => (Resource::Destinations, format!("/v1/tenants/{tenant}/destinations")),
        "agent" => (Resource::Agents, format!("/v1/admin/agents{by_tenant}")),
        "number" => (Resource::Numbers, format!("/v1/phone-numbers{by_tenant}")),
        "cluster" => (Resource::Clusters, "/v1/clusters".to_owned()),
        "tenant" => (Resource::Platform, "/v1/tenants".to_owned()),
        _ => return None,
    })
}

/// What a thing is called in a choice.
fn label(what: &str, thing: &Value) -> String {
    let text = |field: &str| thing[field].as_str().unwrap_or_default();
    let parts = match what {
        "extension" => [text("number"), text("display_name")],
        "agent" => [text("first_name"), text("last_name")],
        "number" => [text("number"), ""],
        _ => [text("name"), text("number")],
    };
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

async fn read(at: &At, what: &str, heading: &str, prefix: &str) -> Result<Choices, Turned> {
    let Some((rights, path)) = list(at, what) else { return Ok(Choices::default()) };
    if rules::level(at.actor.role, rights) < Level::Read {
        return Ok(Choices::default());
    }
    let found = at.visitor.page_of(&path, MOST, None).await.map_err(turned)?.items;
    let mut items = found
        .iter()
        .map(|thing| {
            let id = thing["id"].as_str().unwrap_or_default();
            let kind = thing["kind"].as_str().filter(|_| what == "destination");
            let heading = kind.map_or_else(|| heading.to_owned(), |kind| at.visitor.shell.t_of("value", kind));
            let value = match (prefix, kind) {
                ("", _) => id.to_owned(),
                (_, Some(kind)) => format!("{kind}:{id}"),
                (prefix, None) => format!("{prefix}:{id}"),
            };
            (value, label(what, thing), heading)
        })
        .collect::<Vec<_>>();
    items.sort_by(|one, other| (&one.2, &one.1).cmp(&(&other.2, &other.1)));
    Ok(Choices { items })
}

/// The things of the kinds that a form names, with those that it names already.
pub async fn of(
    at: &At,
    whats: &[&'static str],
    mentioned: &[(&'static str, String)],
) -> Result<HashMap<&'static str, Choices>, Turned> {
    let mut all = HashMap::new();
    for what in whats {
        if all.contains_key(what) {
            continue;
        }
        let mut choices = if *what == "target" {
            let word = |kind: &str| at.visitor.shell.t_of("value", kind);
            let mut all = read(at, "destination", "", "destination").await?;
            all.items.extend(read(at, "group", &word("group"), "group").await?.items);
            all.items.extend(read(at, "extension", &word("extension"), "extension").await?.items);
            all
        } else {
            read(at, what, "", "").await?
        };
        // Of very many, the chosen ones may not be among those that were read.
        let missing = mentioned
            .iter()
            .filter(|(known, value)| known == what && !choices.items.iter().any(|(known, ..)| known == value));
        let missing = missing.map(|(_, value)| value.clone()).collect::<Vec<_>>();
        let ids = missing.iter().filter_map(|value| value.rsplit(':').next()?.parse::<Uuid>().ok()).collect::<Vec<_>>();
        if !ids.is_empty() {
            let tenants = at.tenant.into_iter().collect::<Vec<_>>();
            let names = audit::store::names(&mut *at.visitor.api.read(&at.actor).await?, &tenants, &ids).await?;
            for value in missing {
                let id = value.rsplit(':').next().and_then(|id| id.parse::<Uuid>().ok());
                if let Some((_, name)) = names.iter().find(|(known, _)| Some(*known) == id) {
                    choices.items.push((value, name.clone(), String::new()));
                }
            }
        }
        all.insert(*what, choices);
    }
    Ok(all)
}

/// What was typed in place of ids, with the ids. Whatever is not found goes to the API as it is, which says what is wrong with it.
pub async fn found(
    at: &At,
    choices: &HashMap<&'static str, Choices>,
    mentioned: &[(&'static str, String)],
) -> Result<HashMap<String, String>, Turned> {
    let mut ids = HashMap::new();
    for (what, typed) in mentioned {
        if typed.rsplit(':').next().is_some_and(|id| id.parse::<Uuid>().is_ok()) {
            continue;
        }
        let known = choices.get(what).map(|choices| choices.items.as_slice()).unwrap_or_default();
        let first = |text: &str| text.split_whitespace().next().unwrap_or_default().to_owned();
        let exact = known.iter().find(|(_, label, _)| label == typed);
        if let Some((id, ..)) = exact.or_else(|| known.iter().find(|(_, label, _)| first(label) == *typed)) {
            ids.insert(typed.clone(), id.clone());
        } else if matches!(*what, "extension" | "target")
            && let Some((_, path)) = list(at, "extension")
        {
            let path = format!("{path}?name={}", in_query(&first(typed)));
            let one = at.visitor.page_of(&path, 1, None).await.map_err(turned)?.items.into_iter().next();
            if let Some(id) = one.as_ref().and_then(|one| one["id"].as_str()) {
                let id = if *what == "target" { format!("extension:{id}") } else { id.to_owned() };
                ids.insert(typed.clone(), id);
            }
        }
    }
    Ok(ids)
}
