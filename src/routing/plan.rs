//! A tenant's routing data except what has one row per person. It is read with the tenant's generation, and kept until that
//! rises.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde::Deserialize;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{
    entries::{EntryBody, ForSwitch, MOST_COST, Pattern, PlanEntry},
    gateways, raw,
};
use crate::{
    model::{
        destination::{Config, Target, TargetKind},
        language::Language,
        settings::{BusinessHours, Country, Currency, Features, Routing},
    },
    text::{Domain, TimeZone},
};

#[derive(Debug, Clone, Deserialize)]
pub struct Plan {
    pub domain: Domain,
    #[serde(default)]
    pub settings: PlanSettings,
    #[serde(default)]
    pub destinations: HashMap<Uuid, Planned>,
    /// The SIP usernames of the extensions, and the names of the groups, that something leads to.
    #[serde(default)]
    pub targets: HashMap<Uuid, String>,
    /// The numbers of the extensions among them.
    #[serde(default)]
    pub numbers: HashMap<Uuid, String>,
    /// The extensions among them that are on do not disturb.
    #[serde(default)]
    pub quiet: HashSet<Uuid>,
    #[serde(default)]
    pub entries: Vec<PlanEntry>,
    /// The most that trying the entries costs a call ([`super::entries::EntryBody::cost`]).
    #[serde(skip)]
    cost: usize,
}

/// What routing needs of a tenant's settings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PlanSettings {
    pub language: Language,
    pub time_zone: Option<TimeZone>,
    pub country: Option<Country>,
    pub currency: Option<Currency>,
    pub business_hours: BusinessHours,
    pub features: Features,
    pub routing: Routing,
}

/// A destination in a plan.
#[derive(Debug, Clone, Deserialize)]
pub struct Planned {
    pub name: String,
    #[serde(flatten)]
    pub config: Config,
}

impl Plan {
    /// The plan of a tenant that has only its domain.
    #[must_use]
    pub fn empty(domain: Domain) -> Self {
        Self {
            domain,
            settings: PlanSettings::default(),
            destinations: HashMap::new(),
            targets: HashMap::new(),
            numbers: HashMap::new(),
            quiet: HashSet::new(),
            entries: Vec::new(),
            cost: 0,
        }
    }

    /// The name to dial in the tenant's context for this target. `None` if the target no longer exists.
    #[must_use]
    pub fn name_of(&self, target: Target) -> Option<String> {
        match target.kind {
            TargetKind::Extension | TargetKind::Group => {
                self.numbers.get(&target.id).or_else(|| self.targets.get(&target.id)).cloned()
            }
            _ => self.destinations.contains_key(&target.id).then(|| target.id.simple().to_string()),
        }
    }

    /// The tenant's country, by which numbers are read and emergency numbers known.
    #[must_use]
    pub fn country(&self) -> Option<&str> {
        self.settings.country.as_ref().map(Country::as_str)
    }

    /// `other` or else the tenant's time zone; UTC if there is neither.
    #[must_use]
    pub fn zone(&self, other: Option<&TimeZone>) -> jiff::tz::TimeZone {
        other.or(self.settings.time_zone.as_ref()).map_or(jiff::tz::TimeZone::UTC, TimeZone::rules)
    }
}

/// Plans of up to this many bytes are read on the thread that serves the fetch, larger ones on another thread.
const SMALL: usize = 8 << 10;
/// Entries of up to this cost (less than a millisecond) are tried on the thread that serves the fetch.
const LIGHT: usize = 2_000;
/// How many threads work on large plans at once, so that processors are left for fetches.
static APART: Semaphore = Semaphore::const_new(2);

#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("a tenant's plan can't be read: {0}")]
    Text(#[from] serde_json::Error),
    #[error("the work on a tenant's plan was broken off")]
    Lost,
}

/// Runs work on a thread that serves no fetches. `None` if it panicked or this process is ending.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    // The semaphore is never closed.
    let permit = APART.acquire().await.ok()?;
    let work = move || {
        let done = work();
        drop(permit);
        done
    };
    tokio::task::spawn_blocking(work).await.ok()
}

impl Plan {
    /// Reads a plan as the database wrote it. `before`: the plan known so far, whose compiled patterns are reused.
    pub async fn read(text: String, before: Option<Arc<Self>>) -> Result<Self, PlanError> {
        if text.len() <= SMALL {
            let mut plan = Self::parse(&text)?;
            plan.take_over(before.as_deref());
            if plan.patterns().all(Pattern::is_compiled) && plan.entries.iter().all(PlanEntry::is_checked) {
                plan.weigh();
                return Ok(plan);
            }
            let weighed = apart(move || {
                plan.weigh();
                plan
            });
            return weighed.await.ok_or(PlanError::Lost);
        }
        let read = apart(move || {
            let mut plan = Self::parse(&text)?;
            plan.take_over(before.as_deref());
            plan.weigh();
            Ok(plan)
        });
        read.await.ok_or(PlanError::Lost)?
    }

    /// A zone that is not known (any more) must not make calls fail: without it, the tenant's counts, or else UTC.
    fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let error = match serde_json::from_str(text) {
            Ok(plan) => return Ok(plan),
            Err(error) => error,
        };
        let mut value = serde_json::from_str::<serde_json::Value>(text)?;
        let mut unknown = Vec::new();
        drop_unknown_zones(&mut value, &mut unknown);
        if unknown.is_empty() {
            return Err(error);
        }
        let plan = serde_json::from_value::<Self>(value)?;
        tracing::warn!(domain = %plan.domain, zones = unknown.join(", "), "a tenant has time zones that are not known: set others");
        Ok(plan)
    }

    /// What a call for help needs, from a plan of which something can't be read: each part that can, over the last plan that could.
    #[must_use]
    pub fn for_help(text: &str, last: Option<&Self>, domain: Domain) -> Self {
        fn take<T: serde::de::DeserializeOwned>(into: &mut T, plan: &serde_json::Value, at: &str) {
            if let Some(read) = plan.pointer(at).and_then(|part| T::deserialize(part).ok()) {
                *into = read;
            }
        }
        let mut plan = last.cloned().unwrap_or_else(|| Self::empty(domain));
        let Ok(written) = serde_json::from_str::<serde_json::Value>(text) else { return plan };
        let settings = &mut plan.settings;
        take(&mut settings.country, &written, "/settings/country");
        take(&mut settings.routing.outbound.prefix, &written, "/settings/routing/outbound/prefix");
        let emergency = &mut settings.routing.emergency;
        take(&mut emergency.caller_id, &written, "/settings/routing/emergency/caller_id");
        take(&mut emergency.location, &written, "/settings/routing/emergency/location");
        take(&mut emergency.contacts, &written, "/settings/routing/emergency/contacts");
        take(&mut emergency.numbers, &written, "/settings/routing/emergency/numbers");
        plan
    }

    fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.entries.iter().flat_map(|entry| entry.body.patterns())
    }

    fn take_over(&mut self, before: Option<&Self>) {
        let Some(before) = before else { return };
        let xml = before.entries.iter().filter(|entry| entry.left_out.is_none()).filter_map(PlanEntry::xml);
        let xml = xml.collect::<HashSet<_>>();
        for entry in &mut self.entries {
            entry.xml_is_fine = entry.xml().is_some_and(|text| xml.contains(text));
        }
        let known = before.patterns().filter(|pattern| pattern.is_compiled());
        let known = known.map(|pattern| (pattern.as_str(), pattern)).collect::<HashMap<_, _>>();
        for pattern in self.entries.iter_mut().flat_map(|entry| entry.body.patterns_mut()) {
            if let Some(known) = known.get(pattern.as_str()) {
                pattern.share(known);
            }
        }
    }

    /// Compiles the patterns and adds up what trying the entries costs. Entries that were saved before there were limits may
    /// exceed them. Then an entry whose pattern can't be compiled is left out, and so are all after the sum is used up.
    fn weigh(&mut self) {
        for entry in &mut self.entries {
            // Entries beyond the sum are not even compiled.
            if self.cost > MOST_COST {
                entry.left_out = Some("the entries before it use up all the work that a tenant's entries may cause");
                continue;
            }
            if !entry.is_checked() {
                // It was saved when the list of applications was another, or written past the check.
                entry.xml_is_fine = entry.xml().is_some_and(|text| raw::check(text).is_ok());
                if !entry.xml_is_fine {
                    entry.left_out = Some("its XML runs something that is not allowed");
                    continue;
                }
            }
            // Once for all calls.
            entry.for_switch = entry.xml().map(|text| ForSwitch {
                xml: raw::rendered(text, &self.domain),
                dials_outside: gateways::dials_outside(text),
            });
            match entry.body.cost() {
                None => entry.left_out = Some("it has a pattern that is too large or can't be read"),
                Some(cost) if self.cost + cost > MOST_COST => {
                    entry.left_out = Some("with it, the entries cause more work than a tenant's may");
                    self.cost = MOST_COST + 1;
                }
                Some(cost) => self.cost += cost,
            }
        }
    }

    /// How many entries are left out.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.entries.iter().filter(|entry| entry.left_out.is_some()).count()
    }

    /// Whether trying its entries may take long, and so must not happen on a thread that serves fetches.
    #[must_use]
    pub fn is_heavy(&self) -> bool {
        self.cost > LIGHT
    }

    /// Roughly how much memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let entries = self.entries.iter().map(|entry| match &entry.body {
            EntryBody::Xml(text) => 200 + text.len(),
            EntryBody::Conditions(conditions) => 200 + conditions.len() * 1024,
        });
        4096 + self.destinations.len() * 1024
            + (self.targets.len() + self.numbers.len()) * 96
            + entries.sum::<usize>()
            + self.cost * 64
    }
}

/// Removes every `time_zone` that this program doesn't know.
fn drop_unknown_zones(value: &mut serde_json::Value, unknown: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            if let Some(zone) = fields.get("time_zone").and_then(serde_json::Value::as_str)
                && TimeZone::parse(zone).is_err()
            {
                unknown.push(zone.to_owned());
                fields.remove("time_zone");
            }
            fields.values_mut().for_each(|field| drop_unknown_zones(field, unknown));
        }
        serde_json::Value::Array(all) => all.iter_mut().for_each(|one| drop_unknown_zones(one, unknown)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_zone_that_is_not_known_leaves_the_rest_of_a_plan_as_it_is() {
        let (place, target) = (Uuid::from_u128(1), serde_json::json!({ "kind": "ivr", "id": Uuid::from_u128(2) }));
        let text = serde_json::json!({
            "domain": "a.test",
            "settings": { "time_zone": "Etc/Unknown", "country": "DE" },
            "destinations": { place.to_string(): { "name": "x", "kind": "schedule", "config":
                { "time_zone": "Mars/Olympus", "open": target, "closed": target } } },
            "entries": [{ "name": "x", "body": { "conditions": [{ "time_zone": "Etc/Unknown", "actions": [] }] } }],
        });
        let plan = Plan::read(text.to_string(), None).await.unwrap();
        assert_eq!((plan.country(), plan.settings.time_zone.is_none()), (Some("DE"), true));
        assert_eq!((plan.destinations.len(), plan.entries.len()), (1, 1));
        let broken = serde_json::json!({ "domain": "a.test", "settings": { "country": 7 } });
        assert!(Plan::read(broken.to_string(), None).await.is_err());
    }

    #[tokio::test]
    async fn a_newer_plan_does_not_compile_the_same_patterns_again() {
        let text = |patterns: &[&str]| {
            let entry = |pattern: &&str| {
                let conditions = [serde_json::json!({ "pattern": pattern, "actions": [{ "application": "answer" }] })];
                serde_json::json!({ "name": "x", "body": { "conditions": conditions } })
            };
            let entries = patterns.iter().map(entry).collect::<Vec<_>>();
            serde_json::json!({ "domain": "a.test", "entries": entries }).to_string()
        };
        let first = Plan::read(text(&["^1$", "^2$", "(?=x)"]), None).await.unwrap();
        assert_eq!((first.patterns().filter(|pattern| pattern.is_compiled()).count(), first.left_out()), (3, 1));
        let mut second = serde_json::from_str::<Plan>(&text(&["^3$", "^2$", "(?=x)", "^1$"])).unwrap();
        second.take_over(Some(&first));
        let compiled = second.patterns().map(Pattern::is_compiled).collect::<Vec<_>>();
        assert_eq!(compiled, [false, true, true, true]);
    }

    #[tokio::test]
    async fn a_large_plan_is_heavy_and_reads_the_same() {
        let entry = |n: usize| {
            let pattern = format!("^z{n}[a-f]{{100}}$");
            let conditions = [serde_json::json!({ "pattern": pattern, "actions": [{ "application": "answer" }] })];
            serde_json::json!({ "name": format!("e{n}"), "body": { "conditions": conditions } })
        };
        let text = |most: usize| {
            serde_json::json!({ "domain": "a.test", "entries": (0..most).map(entry).collect::<Vec<_>>() }).to_string()
        };
        let light = Plan::read(text(10), None).await.unwrap();
        assert!(!light.is_heavy() && light.left_out() == 0);
        let heavy = Plan::read(text(100), None).await.unwrap();
        assert!(heavy.is_heavy() && heavy.left_out() == 0);
        let beyond = Plan::read(text(400), None).await.unwrap();
        assert!(beyond.left_out() > 100 && beyond.cost <= MOST_COST + 1);
        assert!(
            beyond
                .entries
                .iter()
                .all(|entry| entry.left_out.is_none() == entry.body.patterns().all(Pattern::is_compiled)
                    || entry.left_out.is_some_and(|why| why.starts_with("with it")))
        );
    }
}
