//! What an agent is reached at and calls out with: devices that are registered now, and phone numbers with what was used of them today.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{
    app::web::{
        Shell, Turned, Visitor,
        ask::{Ask, turned, with},
        calls::{moment, named},
        resource::formatted,
    },
    people::agents::Agent,
    tenancy::auth::actor::Actor,
};

/// A phone that is registered now.
pub struct Registered {
    pub extension: String,
    pub device: String,
    pub transport: String,
    pub since: Option<DateTime<Utc>>,
    /// Whether it answers when it is asked; `None` if nobody asks it.
    pub answers: Option<bool>,
}

/// A phone number that they call out with.
pub struct CallsWith {
    pub id: String,
    pub number: String,
    pub used: i64,
    pub limit: i64,
    pub countries: String,
}

#[derive(Default)]
pub struct Reached {
    pub devices: Vec<Registered>,
    pub numbers: Vec<CallsWith>,
}

fn number(s: &Shell, number: &Value) -> CallsWith {
    let text = |field: &str| number[field].as_str().unwrap_or_default();
    let countries = number["allowed_countries"].as_array();
    let countries = countries.map(|all| all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
    CallsWith {
        id: text("id").to_owned(),
        number: formatted(text("number")),
        used: number["calls_made_today"].as_i64().unwrap_or_default(),
        limit: number["daily_limit"].as_i64().unwrap_or_default(),
        countries: countries.unwrap_or_else(|| s.t("assignments.all_countries").to_owned()),
    }
}

fn device(registration: &Value) -> Registered {
    let text = |field: &str| registration[field].as_str().unwrap_or_default();
    Registered {
        extension: text("extension").to_owned(),
        device: text("device").to_owned(),
        transport: text("transport").to_uppercase(),
        since: moment(&registration["since"]),
        answers: registration["reachable"].as_bool(),
    }
}

pub async fn of(visitor: &Visitor, actor: &Actor, agent: &Agent) -> Result<Reached, Turned> {
    let tenant = Visitor::in_tenant(actor)?;
    let path = named(actor, tenant, &format!("/v1/phone-numbers/agent/{}", agent.user.id));
    let body = visitor.ask(Ask::get(path)).await.map_err(turned)?.body;
    let numbers = body["numbers"].as_array().into_iter().flatten().map(|one| number(&visitor.shell, one)).collect();
    let mut devices = Vec::new();
    for extension in &agent.extensions {
        let path = with(&named(actor, tenant, "/v1/live/registrations"), "extension", &extension.number);
        let found = visitor.ask(Ask::get(path)).await.map_err(turned)?.body;
        devices.extend(found["items"].as_array().into_iter().flatten().map(device));
    }
    Ok(Reached { devices, numbers })
}
