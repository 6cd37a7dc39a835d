//! Paths of things by the names that people use.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use uuid::Uuid;

use super::{
    description::{Description, Noun, Parent},
    words,
};
use crate::app::cli::{
    failure::{Answered, Missing, Refused},
    wire::{Api, Call},
};

const SAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, SAFE).to_string()
}

pub async fn tenant_id(api: &Api, tenant: &str) -> anyhow::Result<String> {
    if Uuid::parse_str(tenant).is_ok() {
        return Ok(tenant.to_owned());
    }
    let wrong = |error| Refused::because(format!("{tenant} is neither an id nor a domain: it {error}"));
    let tenant = crate::text::Domain::parse(tenant).map_err(wrong)?;
    let tenant = tenant.as_str();
    let missing = || Missing(format!("there is no tenant with the domain {tenant}"));
    let found = api.call(&Call::get(format!("/v1/tenants/by-domain/{}", encoded(tenant)))).await;
    let found = found.map_err(|error| match error.downcast_ref::<Answered>() {
        Some(answered) if answered.status() == 404 => missing().into(),
        _ => error,
    })?;
    Ok(found["id"].as_str().ok_or_else(missing)?.to_owned())
}

/// The value that a path has for a parent.
pub async fn parent(api: &Api, description: &Description, parent: &Parent, named: &str) -> anyhow::Result<String> {
    if parent.name == "tenant" {
        return tenant_id(api, named).await;
    }
    match description.nouns().iter().find(|noun| noun.list == parent.list) {
        Some(noun) if parent.parameter == "id" => id(api, noun, &noun.list, named).await,
        _ => Ok(encoded(named)),
    }
}

/// The path of one thing. `list` and `one` are paths in which the parents are filled in.
pub async fn item_path(api: &Api, noun: &Noun, list: &str, one: &str, named: &str) -> anyhow::Result<String> {
    let Some(open) = one.find('{') else { return Ok(one.to_owned()) };
    let close = one.find('}').unwrap_or(one.len() - 1);
    let parameter = &one[open + 1..close];
    let value = match parameter {
        "tenant_id" => tenant_id(api, named).await?,
        "id" => id(api, noun, list, named).await?,
        _ => encoded(named),
    };
    Ok(format!("{}{value}{}", &one[..open], &one[close + 1..]))
}

/// The path of a thing that belongs to nothing else, by its noun.
pub async fn path_of(api: &Api, description: &Description, noun: &str, named: &str) -> anyhow::Result<String> {
    let missing = || Missing(format!("there is no {noun} {named}"));
    let noun = description.noun_named(noun).ok_or_else(missing)?;
    let one = noun.one.as_deref().ok_or_else(missing)?;
    item_path(api, noun, &noun.list, one, named).await
}

/// The id of a thing.
async fn id(api: &Api, noun: &Noun, list: &str, named: &str) -> anyhow::Result<String> {
    if Uuid::parse_str(named).is_ok() {
        return Ok(named.to_owned());
    }
    let keys = words::keys(&noun.name);
    if keys.is_empty() {
        crate::text::id(named).map_err(|error| Refused::because(format!("'{named}': {error}")))?;
    }
    let and = if list.contains('?') { '&' } else { '?' };
    let filter = words::filter(&noun.name).filter(|filter| noun.filters.iter().any(|known| known == filter));
    let path = filter.map_or_else(|| list.to_owned(), |filter| format!("{list}{and}{filter}={}", encoded(named)));
    let all = if noun.is_paged { api.all(&path, None, |_| {}).await? } else { api.whole(&path).await? };
    let is_it =
        |item: &&Value| keys.iter().any(|key| item[*key].as_str().is_some_and(|own| own.eq_ignore_ascii_case(named)));
    let mut found = all.iter().filter(is_it);
    let first = found.next().and_then(|item| item["id"].as_str());
    let what = noun.name.replace('-', " ");
    let id = first.ok_or_else(|| Missing(format!("there is no {what} {named}")))?;
    if found.next().is_some() {
        return Err(Missing(format!("there are several of the name {named}: name the {what} by its id")).into());
    }
    Ok(id.to_owned())
}
