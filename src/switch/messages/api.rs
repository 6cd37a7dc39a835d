//! `/v1/chat/…`: messages between people of a tenant, and notices to a team.

use actix_web::{
    HttpResponse, get, post,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{ChatMessage, ChatPerson, MessagesSeen, NewChatMessage, NewNotice, Notice, Sender, send, store, tell_all};
use crate::{
    http::{
        change::{ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    model::{
        error::Error,
        paging::{self, Page, PageQuery},
        sorting::{SortQuery, moment_key},
    },
    tenancy::{Api, TenantQuery, auth::actor::Actor},
    text::Code,
};

/// The most notices that are shown.
const MOST_NOTICES: i64 = 20;

/// The person who asks, and their tenant.
fn person(actor: &Actor) -> Result<(Uuid, Uuid), Problem> {
    Ok((actor.tenant.ok_or_else(Problem::forbidden)?, actor.user()?))
}

fn sender(actor: &Actor) -> Sender {
    let name = actor.name.chars().take(200).collect();
    Sender { id: actor.id, person: actor.user().ok().filter(|_| actor.tenant.is_some()), name }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChatQuery {
    /// The other person. It has to be given.
    with: Option<Uuid>,
}

/// List whom one can write to
///
/// With how many of their messages one has not seen, and the last one. They can be sorted by `name` or `last_at`.
#[utoipa::path(tag = "messages", params(SortQuery, PageQuery), responses((status = 200, body = Page<ChatPerson>)))]
#[get("/v1/chat/people")]
pub async fn list_chat_people(
    api: Data<Api>,
    actor: Actor,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<ChatPerson>>, Problem> {
    let (tenant, user) = person(&actor)?;
    let people = store::people(&mut *api.read(&actor).await?, tenant, user).await?;
    Ok(Json(sort.of_all(&page, &["name", "last_at"], people, |one, by| match by {
        "name" => format!("{}\0{}", one.name.to_lowercase(), one.user_id),
        "last_at" => format!("{} {}", moment_key(one.last_at), one.user_id),
        _ => one.user_id.to_string(),
    })?))
}

/// List what one wrote with somebody, the latest first
#[utoipa::path(tag = "messages", params(ChatQuery, PageQuery), responses((status = 200, body = Page<ChatMessage>)))]
#[get("/v1/chat/messages")]
pub async fn list_chat_messages(
    api: Data<Api>,
    actor: Actor,
    query: Query<ChatQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<ChatMessage>>, Problem> {
    let (tenant, user) = person(&actor)?;
    let with = query.with.ok_or_else(|| Error::query("with", Code::Missing))?;
    let window = page.key_window()?;
    let before = window.after.as_deref().map(|id| id.parse().map_err(|_| paging::wrong_cursor())).transpose()?;
    let mut db = api.read(&actor).await?;
    let found = store::between(&mut *db, tenant, (user, with), before, window.fetch()).await?;
    Ok(Json(window.page(found, |one| one.id.to_string())))
}

/// Write to somebody
///
/// Only the two see it. It is kept for 90 days.
#[utoipa::path(tag = "messages", request_body = NewChatMessage, responses((status = 201, body = ChatMessage), (status = 422, body = Problem), (status = 429, body = Problem)))]
#[post("/v1/chat/messages")]
pub async fn send_chat_message(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let (tenant, _) = person(&actor)?;
    let new: NewChatMessage = input::parse(&body)?;
    let work = async |change: &mut _| {
        let sent = send(change, tenant, &sender(&actor), &new).await?;
        Outcome::made(&sent)
    };
    request.quietly().run(&api, &actor, &body, work).await
}

/// Mark what somebody wrote as seen
#[utoipa::path(tag = "messages", responses((status = 200, body = MessagesSeen), (status = 404, body = Problem)))]
#[post("/v1/chat/people/{id}/seen")]
pub async fn mark_chat_seen(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let (tenant, user) = person(&actor)?;
    let work = async |change: &mut crate::node::changes::Change| {
        if !store::is_there(change.db(), tenant, *path).await? {
            return Err(Problem::not_found("user"));
        }
        let seen = store::mark_seen(change.db(), tenant, user, *path).await?;
        Outcome::said(&MessagesSeen { seen: i64::try_from(seen).unwrap_or(i64::MAX) })
    };
    request.quietly().run(&api, &actor, b"", work).await
}

/// List the notices of the last twelve hours, the latest first
#[utoipa::path(tag = "messages", params(PageQuery), responses((status = 200, body = Page<Notice>)))]
#[get("/v1/chat/notices")]
pub async fn list_notices(api: Data<Api>, actor: Actor, page: Query<PageQuery>) -> Result<Json<Page<Notice>>, Problem> {
    let (tenant, user) = person(&actor)?;
    let window = page.key_window()?;
    let found = store::notices(&mut *api.read(&actor).await?, tenant, user, MOST_NOTICES.min(window.fetch())).await?;
    Ok(Json(window.page(found, |one| one.id.to_string())))
}

/// Tell a team something
///
/// It is shown at once on the desks of everybody, or of a queue's agents, and for twelve hours to those who come later.
#[utoipa::path(tag = "messages", params(TenantQuery), request_body = NewNotice, responses((status = 201, body = Notice), (status = 404, body = Problem), (status = 429, body = Problem)))]
#[post("/v1/chat/notices")]
pub async fn send_notice(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    query: Query<TenantQuery>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let new: NewNotice = input::parse(&body)?;
    let tenant = actor.tenant_or(query.tenant_id)?;
    let work = async |change: &mut _| {
        let notice = tell_all(change, tenant, &sender(&actor), &new).await?;
        Outcome::made(&notice)
    };
    request.quietly().run(&api, &actor, &body, work).await
}
