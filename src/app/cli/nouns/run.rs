//! Runs a command that is made from the description.

use clap::ArgMatches;
use serde_json::{Map, Value, json};

use super::{
    ITEM, LIMIT, YES, body,
    description::{Description, Noun, Verb},
    find, words,
};
use crate::app::cli::{
    next, print, progress,
    sure::Sure,
    wire::{Api, Call},
};

pub async fn run(
    api: &Api,
    description: &Description,
    json: bool,
    (noun, verb, matches): (&Noun, &Verb, &ArgMatches),
) -> anyhow::Result<()> {
    let mut list = noun.list.clone();
    let mut path = verb.path.clone();
    let mut query = Vec::new();
    for parent in &noun.parents {
        let Some(named) = matches.get_one::<String>(&parent.name) else { continue };
        let value = find::parent(api, description, parent, named).await?;
        if parent.in_query {
            query.push(format!("{}={value}", parent.parameter));
        } else {
            let parameter = format!("{{{}}}", parent.parameter);
            list = list.replacen(&parameter, &value, 1);
            path = path.replacen(&parameter, &value, 1);
        }
    }
    let item = matches.try_get_one::<String>(ITEM).ok().flatten();
    if let Some(named) = item {
        let scoped = if query.is_empty() { list.clone() } else { format!("{list}?{}", query.join("&")) };
        path = find::item_path(api, noun, &scoped, &path, named).await?;
    }
    for field in &verb.query {
        let Some(value) = body::value(field, matches)? else { continue };
        let mut text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        if field.name == "tenant_id" {
            text = find::tenant_id(api, &text).await?;
        }
        query.push(format!("{}={}", field.name, find::encoded(&text)));
    }
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    if verb.is_list {
        let most = matches.get_one::<u32>(LIMIT).map(|most| *most as usize);
        let bar = progress::bar(&noun.name, 0);
        let things = if noun.is_paged {
            api.all(&path, most, |seen| bar.set_position(seen as u64)).await
        } else {
            api.whole(&path).await.map(|mut things| {
                things.truncate(most.unwrap_or(usize::MAX));
                things
            })
        };
        bar.finish_and_clear();
        let columns = verb.columns.iter().map(String::as_str).collect::<Vec<_>>();
        return print::many(json, &things?, &columns, &api.place);
    }
    let sent = match &verb.body {
        None => None,
        Some(fields) => {
            let mut sent = body::of(verb, fields, matches)?;
            if let Some(tenant) = sent.get("tenant_id").and_then(Value::as_str) {
                let id = find::tenant_id(api, tenant).await?;
                sent.insert("tenant_id".into(), id.into());
            } else if let Some(tenant) = matches.try_get_one::<String>(&words::id("tenant_id")).ok().flatten() {
                sent.insert("tenant_id".into(), find::tenant_id(api, tenant).await?.into());
            }
            destination(api, description, matches, &mut sent).await?;
            Some(Value::from(sent))
        }
    };
    if let Some(item) = item
        && words::asks_first(&noun.name, &verb.name)
        && let Some(question) = words::question(&noun.name, &verb.name, item, sent.as_ref().unwrap_or(&Value::Null))
    {
        Sure::said(matches.get_flag(YES)).ask(&question)?;
    }
    let answer = api.call(&Call::new(verb.method, path, sent)).await?;
    if answer.is_null() {
        return print::done(json, &verb.name);
    }
    match answer.as_array() {
        Some(_) if json => println!("{answer}"),
        Some(all) => all.iter().try_for_each(|one| print::one(false, one))?,
        None => print::one(json, &answer)?,
    }
    if !json {
        told(api, noun, verb, &answer, matches).await?;
    }
    Ok(())
}

/// `number create --extension` and `--group`.
async fn destination(
    api: &Api,
    description: &Description,
    matches: &ArgMatches,
    sent: &mut Map<String, Value>,
) -> anyhow::Result<()> {
    let word = |name: &str| matches.try_get_one::<String>(name).ok().flatten();
    let Some(tenant) = word("tenant") else { return Ok(()) };
    if let Some(named) = word("extension")
        && let Some(noun) = description.noun_named("extension")
        && let Some(one) = &noun.one
    {
        let tenant = find::tenant_id(api, tenant).await?;
        let (list, one) = (noun.list.replace("{tenant_id}", &tenant), one.replace("{tenant_id}", &tenant));
        let path = find::item_path(api, noun, &list, &one, named).await?;
        sent.insert("destination".into(), json!({ "kind": "extension", "id": path.rsplit('/').next() }));
    }
    if let Some(group) = matches.try_get_one::<uuid::Uuid>("group").ok().flatten() {
        sent.insert("destination".into(), json!({ "kind": "group", "id": group }));
    }
    Ok(())
}

/// What to do with a secret that was just printed.
async fn told(api: &Api, noun: &Noun, verb: &Verb, answer: &Value, matches: &ArgMatches) -> anyhow::Result<()> {
    let text = |name: &str| answer[name].as_str();
    match (noun.name.as_str(), text("token")) {
        ("switch", Some(token)) => {
            let name = text("name").unwrap_or_default();
            match api.settings() {
                Some(settings) => next::switch(settings, name, token),
                None => next::switch_elsewhere(&api.place, text("id").unwrap_or_default(), name, token),
            }
        }
        ("key", Some(token)) => {
            let url = api.settings().map_or_else(|| api.place.clone(), crate::app::settings::Settings::public_url);
            next::key(&url, token);
        }
        ("extension", _) if verb.name == "create" => {
            let Some(tenant) = matches.get_one::<String>("tenant") else { return Ok(()) };
            let id = find::tenant_id(api, tenant).await?;
            let tenant = api.call(&Call::get(format!("/v1/tenants/{id}"))).await?;
            next::extension(tenant["domain"].as_str().unwrap_or_default(), text("sip_username").unwrap_or_default());
        }
        _ => {}
    }
    Ok(())
}
