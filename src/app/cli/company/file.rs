//! The file: its sections, the fields that each may have, and what is wrong with one.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::app::cli::{
    failure::Refused,
    nouns::{Description, FieldKind},
};

/// Things of one kind, in the order in which they are created: later ones may lead to earlier ones.
pub struct Section {
    pub name: &'static str,
    pub noun: &'static str,
    /// The fields that people know a thing by.
    pub keys: &'static [&'static str],
    /// Fields beside those that a thing is created or changed with.
    pub more: &'static [&'static str],
    /// Fields that are only for creating it.
    pub once: &'static [&'static str],
    /// Fields that nobody can read back, or that have no place in a file.
    pub without: &'static [&'static str],
}

pub const SECTIONS: [Section; 9] = [
    Section { name: "pools", noun: "pool", keys: &["first_number", "last_number"], more: &[], once: &[], without: &[] },
    Section {
        name: "reserved_numbers",
        noun: "reserved-number",
        keys: &["number"],
        more: &[],
        once: &[],
        without: &[],
    },
    Section {
        name: "extensions",
        noun: "extension",
        keys: &["number"],
        more: &[],
        once: &["sip_username", "sip_password", "voicemail_pin"],
        without: &[],
    },
    Section {
        name: "agents",
        noun: "agent",
        keys: &["email"],
        more: &["extensions"],
        once: &[],
        without: &["numbers", "extensions_count"],
    },
    Section { name: "groups", noun: "group", keys: &["name"], more: &[], once: &[], without: &[] },
    Section {
        name: "destinations",
        noun: "destination",
        keys: &["kind", "name"],
        more: &[],
        once: &["pin"],
        without: &[],
    },
    Section {
        name: "numbers",
        noun: "number",
        keys: &["number"],
        more: &["assignment"],
        once: &[],
        without: &["country"],
    },
    Section { name: "dialplan_entries", noun: "dialplan-entry", keys: &["name"], more: &[], once: &[], without: &[] },
    Section { name: "webhooks", noun: "webhook", keys: &["url"], more: &[], once: &[], without: &["tenant_id"] },
];

/// What a tenant has one of: its name in a file, and the last word of its path.
pub struct Single {
    pub name: &'static str,
    pub path: &'static str,
    /// What commands call it, if its fields are known.
    noun: Option<&'static str>,
}

pub const SINGLES: [Single; 3] = [
    // The API says what is wrong with settings.
    Single { name: "settings", path: "settings", noun: None },
    Single { name: "retention", path: "retention", noun: Some("retention") },
    Single { name: "usage_limits", path: "usage-limits", noun: Some("usage-limit") },
];

impl Single {
    /// The fields that can be changed, and whether each is a text. `None`: they are not known.
    pub fn fields(&self, description: &Description) -> Option<Vec<(String, bool)>> {
        let verbs = &description.noun_named(self.noun?)?.verbs;
        let fields = verbs.iter().filter(|verb| verb.name == "update").flat_map(|verb| verb.body.iter().flatten());
        Some(fields.map(|field| (field.name.clone(), field.kind == FieldKind::Text)).collect())
    }
}

impl Section {
    /// Whether other things may lead to those of this section, or name them.
    pub fn is_led_to(&self) -> bool {
        !matches!(self.noun, "reserved-number" | "webhook")
    }

    /// The fields of a thing in a file, and whether each is a text.
    pub fn fields(&self, description: &Description) -> Vec<(String, bool)> {
        let mut fields: Vec<(String, bool)> = Vec::new();
        let verbs = description.noun_named(self.noun).into_iter().flat_map(|noun| &noun.verbs);
        let verbs = verbs.filter(|verb| verb.name == "create" || verb.name == "update");
        let own = verbs.flat_map(|verb| verb.body.iter().flatten());
        for field in own {
            let is_text = matches!(field.kind, FieldKind::Text | FieldKind::Choice(_));
            if !self.without.contains(&field.name.as_str()) && !fields.iter().any(|(name, _)| *name == field.name) {
                fields.push((field.name.clone(), is_text));
            }
        }
        for more in self.more {
            if !fields.iter().any(|(name, _)| name == more) {
                fields.push(((*more).to_owned(), false));
            }
        }
        // First what it is known by.
        fields.sort_by_key(|(name, _)| self.keys.iter().position(|key| key == name).unwrap_or(usize::MAX));
        fields
    }

    /// What people know a thing by.
    pub fn key(&self, thing: &Map<String, Value>) -> String {
        let parts = self.keys.iter().map(|key| match &thing.get(*key) {
            Some(Value::String(text)) if *key == "email" => text.to_lowercase(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        });
        let between = if self.noun == "pool" { "-" } else { ":" };
        parts.collect::<Vec<_>>().join(between)
    }

    /// A thing as reports name it.
    pub fn called(&self, key: &str) -> String {
        match self.noun {
            "destination" => key.replacen(':', " ", 1),
            noun => format!("{} {key}", noun.replace('-', " ")),
        }
    }
}

/// The status of an agent who has not chosen a password yet.
pub const INVITED: &str = "invited";

/// What a file says.
pub struct Company {
    /// The tenant's own fields.
    pub tenant: Map<String, Value>,
    /// What the file has of which there is one each, in the order of [`SINGLES`].
    pub singles: [Option<Value>; SINGLES.len()],
    /// The things of each section that the file has, in the order of [`SECTIONS`].
    pub sections: Vec<Option<Vec<Map<String, Value>>>>,
}

/// The fields of the tenant itself.
pub const OWN: [&str; 5] = ["domain", "name", "status", "external_id", "metadata"];

impl Company {
    pub fn read(description: &Description, value: Value) -> anyhow::Result<Self> {
        let Value::Object(mut file) = value else { return Err(Refused::because("the file has no sections").into()) };
        let tenant = match file.remove("tenant") {
            None => Map::new(),
            Some(Value::Object(tenant)) => tenant,
            Some(_) => {
                return Err(Refused::because(
                    "tenant is not an object: it has domain, name, status, external_id and metadata",
                )
                .into());
            }
        };
        let names = OWN.map(ToOwned::to_owned);
        check(
            "tenant",
            &tenant,
            &names.map(|name| {
                let is_text = name != "metadata";
                (name, is_text)
            }),
        )?;
        let mut singles = [const { None }; SINGLES.len()];
        for (single, place) in SINGLES.iter().zip(&mut singles) {
            *place = file.remove(single.name);
            match place {
                None => {}
                Some(Value::Object(fields)) => {
                    if let Some(known) = single.fields(description) {
                        check(single.name, fields, &known)?;
                    }
                }
                Some(_) => return Err(Refused::because(format!("{} is not an object", single.name)).into()),
            }
        }
        let mut sections = Vec::new();
        for section in &SECTIONS {
            sections.push(match file.remove(section.name) {
                None => None,
                Some(Value::Null) => Some(Vec::new()),
                Some(Value::Array(things)) => Some(read_section(description, section, things)?),
                Some(_) => return Err(Refused::because(format!("{} is not a list", section.name)).into()),
            });
        }
        if let Some((unknown, _)) = file.iter().next() {
            let known = SINGLES.iter().map(|single| single.name).chain(SECTIONS.iter().map(|section| section.name));
            let known = known.collect::<Vec<_>>().join(", ");
            return Err(Refused::because(format!(
                "the file has {unknown}, which is no section: there are tenant, {known}"
            ))
            .into());
        }
        Ok(Self { tenant, singles, sections })
    }

    pub fn domain(&self) -> Option<&str> {
        self.tenant.get("domain").and_then(Value::as_str)
    }
}

fn read_section(
    description: &Description,
    section: &Section,
    things: Vec<Value>,
) -> anyhow::Result<Vec<Map<String, Value>>> {
    let fields = section.fields(description);
    let mut seen = HashSet::new();
    let mut read = Vec::with_capacity(things.len());
    for (at, thing) in things.into_iter().enumerate() {
        let place = format!("{}[{at}]", section.name);
        let Value::Object(thing) = thing else {
            return Err(Refused::because(format!("{place} is not an object")).into());
        };
        check(&place, &thing, &fields)?;
        for key in section.keys {
            if thing.get(*key).is_none_or(Value::is_null) {
                return Err(Refused::because(format!("{place} has no {key}")).into());
            }
        }
        let key = section.key(&thing);
        if !seen.insert(key.clone()) {
            return Err(Refused::because(format!("{place}: the {} is there twice", section.called(&key))).into());
        }
        read.push(thing);
    }
    Ok(read)
}

/// Refuses unknown fields, and numbers where a text belongs: YAML reads `0100` and `+4930` as numbers and loses what they begin with.
fn check(place: &str, thing: &Map<String, Value>, fields: &[(String, bool)]) -> anyhow::Result<()> {
    for (name, value) in thing {
        let Some((_, is_text)) = fields.iter().find(|(known, _)| known == name) else {
            let known = fields.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(
                Refused::because(format!("{place} has {name}, which is no field of it: it may have {known}")).into()
            );
        };
        if *is_text && (value.is_number() || value.is_boolean()) {
            return Err(Refused::because(format!("{place}.{name} is a text: write it in quotes, \"{value}\"")).into());
        }
        if name == "extensions" && value.as_array().into_iter().flatten().any(|one| !one.is_string()) {
            return Err(Refused::because(format!("{place}.{name} are texts: write each in quotes")).into());
        }
    }
    Ok(())
}
