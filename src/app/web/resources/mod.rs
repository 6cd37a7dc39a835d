//! The subjects that have a list and a form, each a description in a file of its own.

mod agents;
mod company;
mod contacts;
mod destinations;
mod entries;
mod erasures;
mod extensions;
mod groups;
mod keys;
mod numbers;
mod platform;
mod pools;
mod team;
mod usage_limits;
mod webhooks;

use actix_web::web::ServiceConfig;

pub use self::{
    agents::AGENTS,
    company::COMPANY,
    contacts::CONTACTS,
    destinations::{
        ANNOUNCEMENTS, CALL_BACKS, CONFERENCES, MAILBOXES, MENUS, OUTSIDE_NUMBERS, PAGING, QUEUES, SCHEDULES,
    },
    entries::ENTRIES,
    erasures::ERASURES,
    extensions::EXTENSIONS,
    groups::GROUPS,
    keys::KEYS,
    numbers::NUMBERS,
    platform::{CARRIERS, CLUSTERS, EXCHANGE_RATES, SWITCHES, TENANTS},
    pools::{POOLS, RESERVED},
    team::TEAM,
    usage_limits::USAGE_LIMITS,
    webhooks::WEBHOOKS,
};
use super::resource::{self, Spec};

pub static ALL: &[&Spec] = &[
    &AGENTS,
    &EXTENSIONS,
    &CONTACTS,
    &NUMBERS,
    &GROUPS,
    &QUEUES,
    &CALL_BACKS,
    &MENUS,
    &SCHEDULES,
    &ANNOUNCEMENTS,
    &CONFERENCES,
    &MAILBOXES,
    &OUTSIDE_NUMBERS,
    &PAGING,
    &ENTRIES,
    &POOLS,
    &RESERVED,
    &COMPANY,
    &USAGE_LIMITS,
    &KEYS,
    &WEBHOOKS,
    &ERASURES,
    &TEAM,
    &CARRIERS,
    &EXCHANGE_RATES,
    &CLUSTERS,
    &SWITCHES,
    &TENANTS,
];

pub fn pages(config: &mut ServiceConfig) {
    // Where only the list is made here, the pages below it ask for it themselves: their paths with an id fit it, too.
    for spec in ALL.iter().filter(|spec| !spec.only_list) {
        resource::pages(config, spec);
    }
}

/// The subject that a page's path belongs to.
#[must_use]
pub fn of(path: &str) -> Option<&'static Spec> {
    let below = |spec: &&&'static Spec| {
        path.strip_prefix(spec.base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    ALL.iter().find(below).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::{
        super::{
            catalogue,
            schema::{self, Kind},
        },
        *,
    };
    use crate::model::language::Language;

    /// Fields that the API takes and a form leaves alone: what other systems note is theirs, a tenant's key or webhook is of that tenant, an agent's extensions are on the agent's page, a switch's token has a page of its own, and a
    /// former domain is kept for as long as usual and given to nobody else.
    const LEFT: [(&str, &str); 7] = [
        ("keys", "tenant_id"),
        ("switches", "new_token"),
        ("team", "extensions"),
        ("tenants", "keep_former_days"),
        ("tenants", "reuse"),
        // It is chosen when the tenant is created, on a page of its own.
        ("tenants", "sandbox"),
        ("webhooks", "tenant_id"),
    ];

    #[test]
    fn every_subject_has_its_texts_and_names_fields_that_there_are() {
        for spec in ALL {
            for part in ["title", "intro", "add", "none"] {
                let key = format!("things.{}.{part}", spec.name);
                let is_needed = !(spec.is_single || spec.has_own_list) || matches!(part, "title" | "intro");
                assert!(!is_needed || catalogue::text(&key, Language::De) != key, "{key}");
            }
            let preset = serde_json::from_str::<Value>(spec.preset).unwrap();
            assert!(preset.is_object(), "{}", spec.name);
            let mut fields = spec.new.map(schema::fields).unwrap_or_default();
            fields.extend(spec.patch.map(schema::fields).unwrap_or_default());
            if let Some((_, config)) = spec.kind {
                fields.iter_mut().filter(|field| field.name == "config").for_each(|field| {
                    field.kind = Kind::Object(schema::fields(config));
                });
            }
            let asked = spec.parts.iter().flat_map(|part| part.fields).copied().collect::<BTreeSet<_>>();
            for path in &asked {
                assert!(Kind::of_path(&fields, path).is_some(), "{}: {path}", spec.name);
            }
            // Whatever the API takes is on the form, if that is made here.
            for field in fields.iter().filter(|_| !spec.only_list) {
                let inner = match &field.kind {
                    Kind::Object(inner) if field.name == "config" => {
                        inner.iter().map(|inner| format!("config.{}", inner.name)).collect()
                    }
                    _ => vec![field.name.clone()],
                };
                let inner = inner.iter().filter(|path| !["kind", "external_id", "metadata"].contains(&path.as_str()));
                let inner = inner.filter(|path| !LEFT.contains(&(spec.name, path.as_str())));
                for path in inner.filter(|path| !asked.iter().any(|asked| asked.starts_with(&format!("{path}.")))) {
                    assert!(asked.contains(path.as_str()), "{} does not ask for {path}", spec.name);
                }
            }
            for act in spec.acts {
                assert!(serde_json::from_str::<Value>(act.preset).is_ok(), "{}", act.name);
            }
        }
    }

    #[test]
    fn every_field_has_a_word_in_both_languages() {
        fn check(kind: &Kind) {
            let fields = match kind {
                Kind::Object(fields) => fields.iter().collect::<Vec<_>>(),
                Kind::Tagged(_, shapes) => shapes.iter().flat_map(|(_, fields)| fields).collect(),
                Kind::Rows(item) | Kind::Map(item) => return check(item),
                Kind::Choice(values) | Kind::Checks(values) => {
                    for value in values {
                        let known = ["value", "status", "role"].map(|group| format!("{group}.{value}"));
                        assert!(known.iter().any(|key| catalogue::text(key, Language::De) != key), "{value}");
                    }
                    return;
                }
                _ => return,
            };
            for field in fields {
                let key = format!("field.{}", field.name);
                assert_ne!(catalogue::text(&key, Language::De), key);
                check(&field.kind);
            }
        }
        for spec in ALL {
            let schemas = spec.new.into_iter().chain(spec.patch).chain(spec.kind.map(|(_, config)| config));
            let schemas = schemas.chain(spec.acts.iter().filter_map(|act| act.asks));
            schemas.for_each(|schema| check(&Kind::Object(schema::fields(schema))));
        }
    }
}
