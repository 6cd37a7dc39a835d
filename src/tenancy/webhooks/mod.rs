//! Webhooks: endpoints of a tenant or of the platform that are told of events, signed as Standard Webhooks wants it.
//!
//! An event is written down for each endpoint that wants its topic ([`publish`]), and delivered from there ([`deliver`]): at least once,
//! tried again for three days, each endpoint by itself. Requests go to public addresses only ([`target`]).

pub mod api;
pub mod deliver;
pub mod sign;
pub mod store;
pub mod target;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use self::{sign::Secret, target::EndpointUrl};
use crate::{
    model::{
        error::{Error, Result, same_version},
        same::is_same,
        settings::Words,
        topic::Topic,
    },
    node::{
        changes::{Audited, Change},
        clock_store,
    },
    text::{Code, keyring::Place},
};

/// The most endpoints of a tenant, and of the platform.
const MOST: i64 = 20;

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Webhook {
    pub id: Uuid,
    /// `null` for one of the platform's, which is told of all tenants' events.
    pub tenant_id: Option<Uuid>,
    /// Where events are sent by POST.
    pub url: String,
    pub description: String,
    /// What it is told of.
    pub topics: Vec<Topic>,
    /// Whether it is told of events. One that answers 410 (Gone) is switched off.
    pub enabled: bool,
    /// Since when every attempt failed; `null` if the last one did not.
    pub failing_since: Option<DateTime<Utc>>,
    /// Until when requests are also signed with the secret before, after a rotation.
    pub previous_ends_at: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A webhook with its secret, which is never shown again.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CreatedWebhook {
    #[serde(flatten)]
    pub webhook: Webhook,
    /// With which requests are signed: `whsec_` and base64, as the libraries of Standard Webhooks take it.
    pub secret: String,
}

#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// Where events are sent by POST: `https`, at a public address.
    #[schema(value_type = String, example = "https://crm.example/dialplane")]
    pub url: EndpointUrl,
    /// The tenant whose events it is told of. Without it, it is the platform's.
    pub tenant_id: Option<Uuid>,
    pub description: Option<Words>,
    /// What it is told of. `webhook:test` is sent without being asked for.
    pub topics: Vec<Topic>,
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// Which webhooks to list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WebhookQuery {
    /// Only those with this in their URL, in any case of its letters.
    pub url: Option<String>,
    /// Only those that are in use, or only those that are not.
    pub enabled: Option<bool>,
}

fn yes() -> bool {
    true
}

/// A merge patch: absent fields stay as they are.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookPatch {
    /// Where events are sent by POST.
    #[schema(value_type = Option<String>)]
    pub url: Option<EndpointUrl>,
    #[serde(default, deserialize_with = "crate::model::patch::patch")]
    #[schema(value_type = Option<Words>)]
    pub description: Option<Option<Words>>,
    /// What it is told of.
    pub topics: Option<Vec<Topic>>,
    pub enabled: Option<bool>,
}

/// A secret's rotation.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretRotation {
    /// For how many seconds requests are also signed with the secret before: at most a week, by default a day.
    pub overlap_seconds: Option<i64>,
}

/// Which deliveries are sent once more.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// Those of events since then that were not delivered.
    pub since: DateTime<Utc>,
}

/// How many deliveries are sent once more.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Replayed {
    /// How many.
    pub deliveries: u64,
}

/// An event for an endpoint, and what came of it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Delivery {
    /// The event's, which stands in the header `webhook-id`: receivers know by it what they had already.
    pub id: Uuid,
    /// What the event is about.
    pub topic: String,
    pub status: DeliveryStatus,
    /// How often it was tried; a replay begins anew.
    pub attempts: i32,
    /// When it is tried next, while it is pending.
    pub next_at: Option<DateTime<Utc>>,
    /// When it was tried last.
    pub last_at: Option<DateTime<Utc>>,
    /// The status that the endpoint answered with.
    pub last_status: Option<i32>,
    /// Why there was no answer.
    pub last_error: Option<String>,
    /// How long the last attempt took, in milliseconds.
    pub last_ms: Option<i32>,
    pub created_at: DateTime<Utc>,
}

/// A delivery with what was sent and answered.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct DeliveryBodies {
    #[serde(flatten)]
    pub delivery: Delivery,
    /// What is sent.
    pub body: String,
    /// The beginning of what the endpoint answered last.
    pub last_answer: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// It will be tried, perhaps again.
    Pending,
    Delivered,
    /// It was given up after three days, or because the endpoint is gone.
    Failed,
}

/// Where an endpoint's secret is kept, for sealing it.
#[must_use]
pub fn place(id: Uuid) -> Place {
    Place { column: "webhooks.secret", tenant: Uuid::nil(), row: id }
}

fn check_topics(topics: &[Topic]) -> Result<Vec<Topic>> {
    let mut topics =
        topics.iter().copied().filter(|topic| *topic != Topic::WebhookTest && !topic.is_private()).collect::<Vec<_>>();
    topics.sort_unstable();
    topics.dedup();
    if topics.is_empty() {
        return Err(Error::invalid("topics", Code::range(1, Topic::ALL.len() - 2)));
    }
    Ok(topics)
}

pub async fn create(change: &mut Change, new: NewWebhook) -> Result<CreatedWebhook> {
    let topics = check_topics(&new.topics)?;
    if let Some(tenant) = new.tenant_id {
        change.hold(tenant).await?;
    }
    if store::count(change.db(), new.tenant_id).await? >= MOST {
        return Err(Code::WebhooksFull.with("most", MOST).into());
    }
    let id = Uuid::now_v7();
    let secret = Secret::generate();
    let sealed = change.keyring().seal(place(id), secret.reveal());
    let description = new.description.map(|words| words.to_string()).unwrap_or_default();
    let row = store::New {
        id,
        tenant: new.tenant_id,
        url: new.url.as_str(),
        description: &description,
        topics: &topics,
        enabled: new.enabled,
        secret: &sealed,
    };
    store::insert(change.db(), &row).await.map_err(|error| {
        let error = Error::from(error);
        match error.violated() {
            Some(("webhooks_tenant_id_fkey", _)) => Error::invalid("tenant_id", Code::NamesNoTenant),
            _ => error,
        }
    })?;
    let webhook = store::get(change.db(), new.tenant_id, id).await?.ok_or(Error::NotFound("webhook"))?;
    change.audit_of("create", None, Some(&webhook)).await?;
    Ok(CreatedWebhook { webhook, secret: secret.reveal().to_owned() })
}

pub async fn update(
    change: &mut Change,
    within: Option<Uuid>,
    id: Uuid,
    patch: WebhookPatch,
    if_match: Option<i64>,
) -> Result<Webhook> {
    let before = locked(change, within, id, if_match).await?;
    let mut after = before.clone();
    if let Some(url) = patch.url {
        url.as_str().clone_into(&mut after.url);
    }
    if let Some(description) = patch.description {
        after.description = description.map(|words| words.to_string()).unwrap_or_default();
    }
    if let Some(topics) = patch.topics {
        after.topics = check_topics(&topics)?;
    }
    if let Some(enabled) = patch.enabled {
        after.enabled = enabled;
    }
    if is_same(&before, &after) {
        return Ok(before);
    }
    store::update(change.db(), &after).await?;
    let after = store::get(change.db(), within, id).await?.ok_or(Error::NotFound("webhook"))?;
    change.audit_of("update", Some(&before), Some(&after)).await?;
    Ok(after)
}

/// Makes a new secret. For a while, requests are signed with both.
pub async fn rotate(
    change: &mut Change,
    within: Option<Uuid>,
    id: Uuid,
    rotation: &SecretRotation,
    if_match: Option<i64>,
) -> Result<CreatedWebhook> {
    let overlap = rotation.overlap_seconds.unwrap_or(86_400);
    if !(0..=7 * 86_400).contains(&overlap) {
        return Err(Error::invalid("overlap_seconds", Code::range(0, 604_800)));
    }
    let before = locked(change, within, id, if_match).await?;
    let secret = Secret::generate();
    let sealed = change.keyring().seal(place(id), secret.reveal());
    let until = clock_store::now(change.db()).await? + chrono::Duration::seconds(overlap);
    store::rotate(change.db(), id, &sealed, until).await?;
    let webhook = store::get(change.db(), within, id).await?.ok_or(Error::NotFound("webhook"))?;
    change.audit_of("rotate", Some(&before), Some(&webhook)).await?;
    Ok(CreatedWebhook { webhook, secret: secret.reveal().to_owned() })
}

pub async fn delete(change: &mut Change, within: Option<Uuid>, id: Uuid, if_match: Option<i64>) -> Result<()> {
    let before = locked(change, within, id, if_match).await?;
    store::delete(change.db(), id).await?;
    change.audit_of("delete", Some(&before), None).await
}

/// Sends an event to this endpoint alone, so that somebody sees it arrive. Returns the delivery's id.
pub async fn test(change: &mut Change, within: Option<Uuid>, id: Uuid) -> Result<Uuid> {
    let webhook = locked(change, within, id, None).await?;
    let data = serde_json::json!({ "webhook_id": id, "message": "This is a test." });
    let event = event(webhook.tenant_id, Topic::WebhookTest, &data);
    store::publish_to(change.db(), id, &event).await?;
    Ok(event.id)
}

/// Sends what was not delivered once more.
pub async fn replay(change: &mut Change, within: Option<Uuid>, id: Uuid, replay: &Replay) -> Result<Replayed> {
    crate::model::moment::check("since", Some(replay.since))?;
    locked(change, within, id, None).await?;
    Ok(Replayed { deliveries: store::replay(change.db(), id, replay.since).await? })
}

/// Sends one delivery once more, also if it was delivered.
pub async fn replay_one(change: &mut Change, within: Option<Uuid>, id: Uuid, delivery: Uuid) -> Result<()> {
    locked(change, within, id, None).await?;
    if store::replay_one(change.db(), id, delivery).await? { Ok(()) } else { Err(Error::NotFound("delivery")) }
}

async fn locked(change: &mut Change, within: Option<Uuid>, id: Uuid, if_match: Option<i64>) -> Result<Webhook> {
    let found = store::get(change.db(), within, id).await?.ok_or(Error::NotFound("webhook"))?;
    if let Some(tenant) = found.tenant_id {
        change.hold(tenant).await?;
    }
    let webhook = store::lock(change.db(), within, id).await?.ok_or(Error::NotFound("webhook"))?;
    same_version(if_match, webhook.version)?;
    Ok(webhook)
}

/// An event as it is kept and sent.
pub struct Event {
    pub id: Uuid,
    pub tenant: Option<Uuid>,
    pub topic: Topic,
    /// JSON: `type`, `timestamp` and `data`, as Standard Webhooks recommends, and `tenant_id`.
    pub body: String,
}

impl Event {
    #[must_use]
    pub fn new(id: Uuid, tenant: Option<Uuid>, topic: Topic, at: DateTime<Utc>, data: &serde_json::Value) -> Self {
        let body = serde_json::json!({ "type": topic, "timestamp": at, "tenant_id": tenant, "data": data });
        Self { id, tenant, topic, body: body.to_string() }
    }
}

/// An event of now.
#[must_use]
pub fn event(tenant: Option<Uuid>, topic: Topic, data: &serde_json::Value) -> Event {
    Event::new(Uuid::now_v7(), tenant, topic, Utc::now(), data)
}

/// Writes events down for the endpoints that want them: those of the tenant, and of the platform. Events that nobody wants are not kept,
/// and one that was kept already is not kept again.
pub async fn publish(db: &mut PgConnection, events: &[Event]) -> sqlx::Result<()> {
    if events.is_empty() { Ok(()) } else { store::publish(db, events).await }
}

impl Audited for Webhook {
    fn tenant(&self) -> Option<Uuid> {
        self.tenant_id
    }

    fn resource(&self) -> String {
        format!("webhooks/{}", self.id)
    }
}
