//! What a tenant has now, as the API shows it.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{
    file::{Company, INVITED, OWN, SECTIONS, SINGLES, Section},
    references::References,
};
use crate::app::cli::{
    failure::Answered,
    nouns::{Description, encoded},
    wire::{Api, Call},
};

/// Whether a file says it.
fn is_something(value: &Value) -> bool {
    !value.is_null() && value.as_object().is_none_or(|members| !members.is_empty())
}

pub struct State {
    /// The tenant's id; `None` if there is none yet.
    pub tenant: Option<String>,
    own: Value,
    /// What there is one of each, in the order of [`SINGLES`]: what can be changed of it.
    pub singles: [Value; SINGLES.len()],
    /// The things of each section by their keys, in the order of [`SECTIONS`].
    pub sections: Vec<Vec<Thing>>,
    fields: Vec<Vec<String>>,
    pub references: References,
}

pub struct Thing {
    pub key: String,
    pub id: String,
    /// What a file may have of it, with ids.
    pub fields: Map<String, Value>,
}

pub async fn tenant_by_domain(api: &Api, domain: &str) -> anyhow::Result<Option<String>> {
    let found = api.call(&Call::get(format!("/v1/tenants/by-domain/{}", encoded(domain)))).await;
    match found {
        Ok(tenant) => Ok(tenant["id"].as_str().map(ToOwned::to_owned)),
        Err(error) if error.downcast_ref::<Answered>().is_some_and(|answered| answered.status() == 404) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The path of a section's list.
pub fn list(description: &Description, section: &Section, tenant: &str) -> String {
    let Some(noun) = description.noun_named(section.noun) else { return String::new() };
    if noun.list.contains("{tenant_id}") {
        return noun.list.replace("{tenant_id}", tenant);
    }
    format!("{}?tenant_id={tenant}", noun.list)
}

/// The path of one of its things.
pub fn one(description: &Description, section: &Section, tenant: &str, id: &str) -> String {
    // The platform's things have the tenant in their body, and only their list takes it.
    if let Some(noun) = description.noun_named(section.noun).filter(|noun| noun.parents.is_empty()) {
        return format!("{}/{id}", noun.list);
    }
    let list = list(description, section, tenant);
    match list.split_once('?') {
        Some((path, query)) => format!("{path}/{id}?{query}"),
        None => format!("{list}/{id}"),
    }
}

/// How others refer to a thing.
pub fn reference(section: &Section, key: &str) -> String {
    match section.noun {
        "destination" => key.to_owned(),
        noun => format!("{noun}:{key}"),
    }
}

impl State {
    /// `company`: the file that it is compared with; without one, everything is read.
    pub async fn read(
        api: &Api,
        description: &Description,
        tenant: Option<String>,
        company: Option<&Company>,
    ) -> anyhow::Result<Self> {
        let fields = SECTIONS
            .iter()
            .map(|section| section.fields(description).into_iter().map(|(name, _)| name).collect())
            .collect();
        let mut state = Self {
            tenant: tenant.clone(),
            own: Value::Null,
            singles: SINGLES.map(|_| Value::Null),
            sections: SECTIONS.iter().map(|_| Vec::new()).collect(),
            fields,
            references: References::default(),
        };
        let Some(tenant) = tenant else { return Ok(state) };
        state.own = api.call(&Call::get(format!("/v1/tenants/{tenant}"))).await?;
        for (at, single) in SINGLES.iter().enumerate() {
            // A key need not have the right to read what the file does not say.
            if company.is_some_and(|company| company.singles[at].is_none()) {
                continue;
            }
            let mut now = api.call(&Call::get(format!("/v1/tenants/{tenant}/{}", single.path))).await?;
            if let Some(known) = single.fields(description) {
                let fields = known.into_iter().map(|(name, _)| (name.clone(), now[&name].take()));
                now = fields.collect::<Map<_, _>>().into();
            }
            state.singles[at] = now;
        }
        for (at, section) in SECTIONS.iter().enumerate() {
            if company.is_some_and(|company| company.sections[at].is_none() && !section.is_led_to()) {
                continue;
            }
            let things = api.all(&list(description, section, &tenant), None, |_| {}).await?;
            let things = things.into_iter().filter_map(|thing| state.thing(at, section, thing)).collect();
            state.sections[at] = things;
        }
        for (section, things) in SECTIONS.iter().zip(&state.sections).filter(|(section, _)| section.is_led_to()) {
            for thing in things {
                state.references.add(reference(section, &thing.key), &thing.id);
            }
        }
        Ok(state)
    }

    fn thing(&self, at: usize, section: &Section, thing: Value) -> Option<Thing> {
        let Value::Object(mut thing) = thing else { return None };
        let is_held = section.noun == "reserved-number";
        // A number that rests is free again by itself.
        if is_held && thing.get("until").is_some_and(|until| !until.is_null()) {
            return None;
        }
        let id = thing.get(if is_held { "number" } else { "id" })?.as_str()?.to_owned();
        if section.noun == "agent" {
            let numbers = thing["extensions"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|own| own["number"].clone())
                .collect::<Value>();
            thing.insert("extensions".into(), numbers);
        }
        let known = &self.fields[at];
        let fields = known.iter().filter_map(|name| Some((name.clone(), thing.remove(name)?))).collect::<Map<_, _>>();
        Some(Thing { key: section.key(&fields), id, fields })
    }

    /// The tenant's own fields.
    pub fn own(&self, field: &str) -> &Value {
        &self.own[field]
    }

    /// What the tenant has, for a file.
    pub fn export(&self) -> Map<String, Value> {
        let mut file = Map::new();
        let own = OWN.iter().map(|name| ((*name).to_owned(), self.own[name].clone()));
        file.insert("tenant".into(), own.filter(|(_, value)| is_something(value)).collect::<Map<_, _>>().into());
        for (single, now) in SINGLES.iter().zip(&self.singles) {
            // What is not limited is said as well, so that another tenant becomes so.
            let said = if single.name == "settings" { self.references.named(now) } else { now.clone() };
            file.insert(single.name.into(), said);
        }
        for (at, section) in SECTIONS.iter().enumerate() {
            let mut things = self.sections[at].iter().collect::<Vec<_>>();
            // In an order that stays when something is deleted and made again.
            things.sort_by(|one, other| one.key.cmp(&other.key));
            let things = things.into_iter().map(|thing| {
                let fields = thing.fields.iter().filter(|(name, value)| {
                    !value.is_null()
                        && (*name != "metadata" || is_something(value))
                        && !section.once.contains(&name.as_str())
                });
                let fields = fields.filter(|(name, value)| !(*name == "status" && *value == INVITED));
                let named = |(name, value): (&String, &Value)| {
                    // A key is what it is, even if it reads like a reference.
                    let is_key = section.keys.contains(&name.as_str());
                    (name.clone(), if is_key { value.clone() } else { self.references.named(value) })
                };
                Value::from(fields.map(named).collect::<Map<_, _>>())
            });
            file.insert(section.name.into(), things.collect());
        }
        file
    }

    /// The things of a section by their keys.
    pub fn by_key(&self, at: usize) -> HashMap<&str, &Thing> {
        self.sections[at].iter().map(|thing| (thing.key.as_str(), thing)).collect()
    }
}
