//! How an agent was, for their page.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    app::web::{
        Shell, Turned, Visitor,
        ask::{turned, with},
        calls::{lasted, moment, named},
    },
    tenancy::auth::actor::Actor,
};

/// The most entries on the page at once.
const SIZE: usize = 20;

/// How an agent was, from when to when.
pub struct Past {
    pub state: String,
    pub why: String,
    pub from: Option<DateTime<Utc>>,
    /// `None` for how they are now.
    pub to: Option<DateTime<Utc>>,
    pub took: String,
}

impl Past {
    fn of(s: &Shell, entry: &Value) -> Self {
        let text = |field: &str| entry[field].as_str().filter(|text| !text.is_empty());
        let cause = text("cause").map(|cause| s.t_of("live", cause));
        let by = text("set_by").map(|name| s.t_with("live.set_by", &[("name", name.to_owned())]));
        let why = cause.into_iter().chain(text("reason").map(ToOwned::to_owned)).chain(by);
        Self {
            state: text("state").unwrap_or("unknown").to_owned(),
            why: why.collect::<Vec<_>>().join(" · "),
            from: moment(&entry["started_at"]),
            to: moment(&entry["ended_at"]),
            took: lasted(entry["seconds"].as_i64().unwrap_or_default()),
        }
    }
}

/// How an agent was last, and where the page goes on.
pub async fn of(
    visitor: &Visitor,
    actor: &Actor,
    agent: Uuid,
    cursor: Option<&str>,
) -> Result<(Vec<Past>, Option<String>), Turned> {
    let tenant = Visitor::in_tenant(actor)?;
    let path = named(actor, tenant, &format!("/v1/agents/{agent}/activity"));
    let page = visitor.page_of(&path, SIZE, cursor).await.map_err(turned)?;
    let past = page.items.iter().map(|entry| Past::of(&visitor.shell, entry)).collect();
    Ok((past, page.next.map(|cursor| with(&format!("/app/agents/{agent}"), "cursor", &cursor))))
}
