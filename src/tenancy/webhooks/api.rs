//! `/v1/webhooks`: endpoints that are told of events.

use actix_web::{
    HttpResponse, delete, get, patch, post,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    CreatedWebhook, Delivery, DeliveryBodies, DeliveryStatus, NewWebhook, Replay, Replayed, SecretRotation, Webhook,
    WebhookPatch, WebhookQuery, create, delete, store, update,
};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        labels::{self, ExternalIdQuery, Kind, Labelled, With},
        problem::Problem,
    },
    model::{
        paging::{Page, PageQuery},
        sorting::{CREATED, SortQuery},
    },
    node::changes::Change,
    tenancy::{Api, OfTenantQuery, auth::actor::Actor},
};

labels::labelled!(Webhook, Webhook, |it| it.tenant_id);
labels::labelled!(CreatedWebhook.webhook);

/// A webhook hears everything of its topics, whatever a key's scopes are, and stays when the key is gone.
fn hears_all(actor: &Actor) -> Result<(), Problem> {
    if actor.is_unlimited { Ok(()) } else { Err(Problem::forbidden()) }
}

/// Create a webhook
///
/// Only this answer shows the secret with which requests are signed (Standard Webhooks).
#[utoipa::path(tag = "webhooks", request_body = NewWebhook, responses((status = 201, body = CreatedWebhook), (status = 422, body = Problem)))]
#[post("/v1/webhooks")]
pub async fn create_webhook(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    hears_all(&actor)?;
    let With { body: mut new, labels }: With<NewWebhook> = input::parse(&body)?;
    // Users of a tenant make them for their own tenant only.
    new.tenant_id = if actor.tenant.is_some() { Some(actor.tenant_or(new.tenant_id)?) } else { new.tenant_id };
    let work = async |change: &mut _| {
        let made = create(change, new).await?;
        let made = labels::made(change, made, labels).await?;
        Outcome::created(&made, made.webhook.version, format!("/v1/webhooks/{}", made.webhook.id))
    };
    request.run(&api, &actor, &body, work).await
}

/// What the list can be sorted by.
const SORTS: [&str; 2] = [CREATED, "url"];

/// List webhooks
///
/// It can be sorted by `created_at` or `url`.
#[utoipa::path(tag = "webhooks", params(OfTenantQuery, WebhookQuery, ExternalIdQuery, SortQuery, PageQuery), responses((status = 200, body = Page<Webhook>)))]
#[get("/v1/webhooks")]
pub async fn list_webhooks(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<OfTenantQuery>,
    query: Query<WebhookQuery>,
    named: Query<ExternalIdQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Labelled<Webhook>>>, Problem> {
    let sorted = sort.sorted(&page, &SORTS)?;
    let mut db = api.read(&actor).await?;
    let tenant = tenant.of(&actor);
    let only = named.ids(&mut db, Kind::Webhook, tenant).await?;
    let webhooks = store::list(&mut *db, tenant, only.as_deref(), &query, &sorted).await?;
    Ok(Json(labels::page(&mut db, sorted.page(webhooks, |webhook| webhook.id, sort_key)).await?))
}

/// The key of one in this order.
fn sort_key(webhook: &Webhook, by: &str) -> String {
    match by {
        "url" => webhook.url.clone(),
        _ => String::new(),
    }
}

/// Show a webhook
#[utoipa::path(tag = "webhooks", responses((status = 200, body = Webhook), (status = 404, body = Problem)))]
#[get("/v1/webhooks/{id}")]
pub async fn show_webhook(api: Data<Api>, actor: Actor, path: Path<Uuid>) -> Result<HttpResponse, Problem> {
    let mut db = api.read(&actor).await?;
    let webhook = store::get(&mut *db, actor.tenant, *path).await?;
    let webhook = webhook.ok_or_else(|| Problem::not_found("webhook"))?;
    let webhook = labels::of(&mut db, webhook).await?;
    Ok(change::shown(&webhook, webhook.version))
}

/// Change a webhook, or switch it on or off
#[utoipa::path(tag = "webhooks", request_body = WebhookPatch, responses((status = 200, body = Webhook), (status = 412, body = Problem)))]
#[patch("/v1/webhooks/{id}")]
pub async fn update_webhook(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    hears_all(&actor)?;
    let With { body: patch, labels } = input::patch::<With<WebhookPatch>, Webhook>(&body)?;
    let work = async |change: &mut _| {
        let webhook = update(change, actor.tenant, *path, patch, request.if_match).await?;
        let webhook = labels::changed(change, webhook, labels).await?;
        Outcome::changed(&webhook, webhook.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Delete a webhook with its deliveries
#[utoipa::path(tag = "webhooks", responses((status = 204), (status = 404, body = Problem)))]
#[delete("/v1/webhooks/{id}")]
pub async fn delete_webhook(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let work = async |change: &mut _| {
        delete(change, actor.tenant, *path, request.if_match).await?;
        Ok(Outcome::deleted())
    };
    request.run(&api, &actor, b"", work).await
}

/// Make a new secret
///
/// Only this answer shows it. For `overlap_seconds`, requests are signed with both, so that the receiver can change over.
#[utoipa::path(tag = "webhooks", request_body = SecretRotation, responses((status = 200, body = CreatedWebhook), (status = 412, body = Problem)))]
#[post("/v1/webhooks/{id}/rotate-secret")]
pub async fn rotate_webhook_secret(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    hears_all(&actor)?;
    let rotation: SecretRotation = input::parse(&body)?;
    let work = async |change: &mut Change| {
        let rotated = super::rotate(change, actor.tenant, *path, &rotation, request.if_match).await?;
        let rotated = labels::of(change.db(), rotated).await?;
        Outcome::changed(&rotated, rotated.webhook.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Send a test event to a webhook
///
/// It is sent at once, with the topic `webhook:test`; the answer's `id` is that of the delivery, which shows what came of it.
#[utoipa::path(tag = "webhooks", responses((status = 201, body = Tested), (status = 404, body = Problem)))]
#[post("/v1/webhooks/{id}/test")]
pub async fn test_webhook(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let work = async |change: &mut _| {
        let id = super::test(change, actor.tenant, *path).await?;
        Outcome::made_at(&Tested { id }, format!("/v1/webhooks/{path}/deliveries/{id}"))
    };
    request.run(&api, &actor, b"", work).await
}

/// A test event that is on its way.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub struct Tested {
    /// The delivery's id.
    pub id: Uuid,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct StatusQuery {
    /// Only those that are pending, delivered or failed.
    #[param(inline)]
    status: Option<DeliveryStatus>,
}

/// List what a webhook was told, newest first
///
/// With `sort=created_at`, the oldest come first.
#[utoipa::path(tag = "webhooks", params(StatusQuery, SortQuery, PageQuery), responses((status = 200, body = Page<Delivery>), (status = 404, body = Problem)))]
#[get("/v1/webhooks/{id}/deliveries")]
pub async fn list_deliveries(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    query: Query<StatusQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Delivery>>, Problem> {
    let way = sort.way(&page, "-created_at")?;
    let (after, mut db) = (way.after_id()?, api.read(&actor).await?);
    store::get(&mut *db, actor.tenant, *path).await?.ok_or_else(|| Problem::not_found("webhook"))?;
    let deliveries = store::deliveries(&mut *db, *path, query.status, way.is_down, after, way.fetch()).await?;
    Ok(Json(way.page(deliveries, |delivery| delivery.id.to_string())))
}

/// Show what was sent to a webhook, and what it answered
#[utoipa::path(tag = "webhooks", responses((status = 200, body = DeliveryBodies), (status = 404, body = Problem)))]
#[get("/v1/webhooks/{id}/deliveries/{delivery_id}")]
pub async fn show_delivery(
    api: Data<Api>,
    actor: Actor,
    path: Path<(Uuid, Uuid)>,
) -> Result<Json<DeliveryBodies>, Problem> {
    hears_all(&actor)?;
    let (id, delivery) = path.into_inner();
    let mut db = api.read(&actor).await?;
    store::get(&mut *db, actor.tenant, id).await?.ok_or_else(|| Problem::not_found("webhook"))?;
    store::bodies(&mut db, id, delivery).await?.map(Json).ok_or_else(|| Problem::not_found("delivery"))
}

/// Send one delivery again, also if it was delivered
#[utoipa::path(tag = "webhooks", responses((status = 204), (status = 404, body = Problem)))]
#[post("/v1/webhooks/{id}/deliveries/{delivery_id}/replay")]
pub async fn replay_delivery(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<(Uuid, Uuid)>,
) -> Result<HttpResponse, Problem> {
    let (id, delivery) = path.into_inner();
    let work = async |change: &mut _| {
        super::replay_one(change, actor.tenant, id, delivery).await?;
        Ok(Outcome::deleted())
    };
    request.run(&api, &actor, b"", work).await
}

/// Send everything again that was not delivered since a time
#[utoipa::path(tag = "webhooks", request_body = Replay, responses((status = 200, body = Replayed), (status = 404, body = Problem)))]
#[post("/v1/webhooks/{id}/replay")]
pub async fn replay_webhook(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let since: Replay = input::parse(&body)?;
    let work = async |change: &mut _| {
        let replayed = super::replay(change, actor.tenant, *path, &since).await?;
        Outcome::said(&replayed)
    };
    request.run(&api, &actor, &body, work).await
}
