//! The form with what people write about a call: on the page of its record, and while it is up, on the page of what goes on.

use std::collections::BTreeSet;

use actix_web::{ResponseError as _, http::StatusCode};
use serde_json::Value;
use uuid::Uuid;

use super::named;
use crate::{
    app::web::{
        Form, Turned, Visitor,
        ask::{Ask, turned, with},
    },
    telephony::history,
    tenancy::auth::actor::Actor,
};

/// Of so many numbers on a call it is looked up whose they are.
const MOST_NUMBERS: usize = 6;

/// What people write about a call.
pub struct Writing {
    pub id: Uuid,
    pub form: Form,
    pub dispositions: Vec<String>,
    /// Whom it may have been with: id and name.
    pub contacts: Vec<(String, String)>,
}

impl Writing {
    /// `call`: what is written now. `numbers`: of everybody who is or was on it. `sent`: the form, if one was.
    pub async fn of(
        visitor: &mut Visitor,
        actor: &Actor,
        (tenant, id): (Uuid, Uuid),
        call: &Value,
        numbers: BTreeSet<String>,
        sent: Option<Form>,
    ) -> Result<Self, Turned> {
        let dispositions = history::store::dispositions(&mut *visitor.api.read(actor).await?, tenant).await?;
        let text = |of: &Value, field: &str| of[field].as_str().unwrap_or_default().to_owned();
        let numbers = numbers.into_iter().filter(|number| number.starts_with('+')).take(MOST_NUMBERS);
        let mut paths = numbers.map(|number| with("/v1/contacts/lookup", "number", &number)).collect::<Vec<_>>();
        let chosen = text(call, "contact_id");
        if !chosen.is_empty() {
            paths.insert(0, format!("/v1/contacts/{chosen}"));
        }
        let mut contacts = Vec::<(String, String)>::new();
        for path in paths {
            match visitor.ask(Ask::get(named(actor, tenant, &path))).await {
                Ok(found) => {
                    let contact = (text(&found.body, "id"), text(&found.body, "name"));
                    if !contacts.contains(&contact) {
                        contacts.push(contact);
                    }
                }
                Err(problem) if problem.status_code() == StatusCode::NOT_FOUND => {}
                Err(problem) => return Err(turned(problem)),
            }
        }
        let form = if let Some(form) = sent {
            form
        } else {
            let now = fields(call);
            let now = now.each_ref().map(|(name, value)| (*name, value.as_str()));
            visitor.form(Form::opened(now, version(call))).await?
        };
        Ok(Self { id, form, dispositions, contacts })
    }
}

/// What the form changes, as it is now.
pub fn fields(call: &Value) -> [(&'static str, String); 4] {
    let text = |field: &str| call[field].as_str().unwrap_or_default().to_owned();
    let tags = call["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    [("notes", text("notes")), ("tags", tags), ("disposition", text("disposition")), ("contact_id", text("contact_id"))]
}

pub fn version(call: &Value) -> i64 {
    call["version"].as_i64().unwrap_or_default()
}
