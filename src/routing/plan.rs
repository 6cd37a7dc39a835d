//! A tenant's routing data but for what is one row a person: read with the tenant's generation, and kept until that is passed.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use uuid::Uuid;

use super::entries::Entry;
use crate::{
    destinations::config::{Config, Target, TargetKind},
    tenants::settings::{BusinessHours, Country, Features, Routing, TimeZone},
    text::Domain,
};

#[derive(Debug, Clone, Deserialize)]
pub struct Plan {
    pub domain: Domain,
    #[serde(default)]
    pub settings: PlanSettings,
    #[serde(default)]
    pub destinations: HashMap<Uuid, Planned>,
    /// Of extensions and groups that something leads to: what they are dialled by.
    #[serde(default)]
    pub targets: HashMap<Uuid, String>,
    /// Extensions among them that are not to be disturbed.
    #[serde(default)]
    pub quiet: HashSet<Uuid>,
    #[serde(default)]
    pub entries: Vec<Entry>,
}

/// What routing needs of a tenant's settings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PlanSettings {
    pub time_zone: Option<TimeZone>,
    pub country: Option<Country>,
    pub business_hours: BusinessHours,
    pub features: Features,
    pub routing: Routing,
}

/// A destination as the plan has it.
#[derive(Debug, Clone, Deserialize)]
pub struct Planned {
    pub name: String,
    #[serde(flatten)]
    pub config: Config,
}

impl Plan {
    /// A tenant that has nothing but its domain.
    #[must_use]
    pub fn empty(domain: Domain) -> Self {
        Self {
            domain,
            settings: PlanSettings::default(),
            destinations: HashMap::new(),
            targets: HashMap::new(),
            quiet: HashSet::new(),
            entries: Vec::new(),
        }
    }

    /// What is dialled in the tenant's context to get there. `None`: it is not there any more.
    #[must_use]
    pub fn name_of(&self, target: Target) -> Option<String> {
        match target.kind {
            TargetKind::Extension | TargetKind::Group => self.targets.get(&target.id).cloned(),
            _ => self.destinations.contains_key(&target.id).then(|| target.id.simple().to_string()),
        }
    }

    /// The tenant's country, for reading numbers and knowing emergencies.
    #[must_use]
    pub fn country(&self) -> Option<&str> {
        self.settings.country.as_ref().map(Country::as_str)
    }

    /// The zone of the tenant, or the one given; UTC where there is none.
    #[must_use]
    pub fn zone(&self, other: Option<&TimeZone>) -> jiff::tz::TimeZone {
        let name = other.or(self.settings.time_zone.as_ref()).map_or("UTC", TimeZone::as_str);
        // A time zone of the settings is one that jiff has.
        jiff::tz::TimeZone::get(name).unwrap_or(jiff::tz::TimeZone::UTC)
    }
}
