//! What has to be done to make a tenant equal to a file.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    compare::{merge_patch, merged, same},
    file::{Company, INVITED, SECTIONS, SINGLES},
    references::References,
    state::{self, State, Thing},
};
use crate::app::cli::failure::Refused;

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
pub struct Update {
    pub at: usize,
    pub key: String,
    pub id: String,
    /// What differs, with references.
    pub patch: Map<String, Value>,
}

pub struct Difference<'a> {
    pub company: &'a Company,
    pub tenant: Option<String>,
    pub own: Map<String, Value>,
    /// What differs of that which there is one of, in the order of [`SINGLES`].
    pub singles: [Option<Value>; SINGLES.len()],
    /// Things of the file that are missing, by section.
    pub create: Vec<(usize, &'a Map<String, Value>)>,
    pub update: Vec<Update>,
    pub delete: Vec<(usize, String, String)>,
    pub references: References,
    pub unchanged: usize,
    pub kept: usize,
    pub prune: bool,
}

pub fn plan<'a>(company: &'a Company, state: &State, prune: bool) -> anyhow::Result<Difference<'a>> {
    let mut plan = Difference {
        company,
        tenant: state.tenant.clone(),
        own: Map::new(),
        singles: [const { None }; SINGLES.len()],
        create: Vec::new(),
        update: Vec::new(),
        delete: Vec::new(),
        references: References::default(),
        unchanged: 0,
        kept: 0,
        prune,
    };
    for (section, things) in SECTIONS.iter().zip(&state.sections).filter(|(section, _)| section.is_led_to()) {
        for thing in things {
            plan.references.add(state::reference(section, &thing.key), &thing.id);
        }
    }
    for (name, value) in company.tenant.iter().filter(|(name, _)| *name != "domain") {
        if !same(name, value, state.own(name)) {
            plan.own.insert(name.clone(), merged(name, value, state.own(name)));
        }
    }
    for (at, wanted) in company.singles.iter().enumerate() {
        let wanted = wanted.as_ref().map(|wanted| plan.references.resolved(wanted).value);
        plan.singles[at] = wanted.and_then(|wanted| merge_patch(&wanted, &state.singles[at]));
    }
    for at in 0..SECTIONS.len() {
        plan.compare(at, state)?;
    }
    plan.check_references()?;
    Ok(plan)
}

impl Difference<'_> {
    fn compare(&mut self, at: usize, state: &State) -> anyhow::Result<()> {
        let section = &SECTIONS[at];
        let Some(wanted) = &self.company.sections[at] else { return Ok(()) };
        let existing = state.by_key(at);
        let has_twins = existing.len() < state.sections[at].len();
        let mut named = HashSet::new();
        let mut missing = Vec::new();
        for thing in wanted {
            let key = section.key(thing);
            if let Some(found) = existing.get(key.as_str()) {
                if has_twins && state.sections[at].iter().filter(|other| other.key == key).nth(1).is_some() {
                    let why = "the tenant has it twice, so nobody can say which of them the file means";
                    return Err(Refused::because(format!("{}: {why}", section.called(&key))).into());
                }
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
        Ok(())
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
        for (at, single) in SINGLES.iter().enumerate() {
            match &self.singles[at] {
                Some(Value::Object(patch)) => report.updated.push(format!("{}: {}", single.name, names(patch))),
                _ => report.unchanged += usize::from(self.company.singles[at].is_some()),
            }
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

    pub fn is_done(&self) -> bool {
        self.tenant.is_some()
            && self.own.is_empty()
            && self.singles.iter().all(Option::is_none)
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
