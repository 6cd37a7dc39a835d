//! `/v1/recordings`: recordings of calls, found, heard, shared, held and deleted.

use actix_web::{
    HttpRequest, HttpResponse, delete, get, patch, post,
    web::{Bytes, Data, Json, Path, Query},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Content, Recording, RecordingPatch, Wanted,
    arrival::place,
    delete, heard, links,
    sealed::{ContentKey, Whose},
    sound::{Sound, is_new_hearing},
    store, update,
    vault::Vault,
};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    model::{
        error::Error,
        moment,
        paging::{self, Page, PageQuery},
        sorting::SortQuery,
    },
    node::{changes::Author, clock_store},
    telephony::history::facets::Facet,
    tenancy::{
        Api, TenantQuery,
        auth::actor::{Actor, peer},
    },
    text::Code,
};

/// For how many seconds a link is good, if nothing else is asked for, at least and at most.
const LINK: i64 = 3600;
const SHORTEST_LINK: i64 = 60;
const LONGEST_LINK: i64 = 7 * 24 * 3600;

/// Which recordings. All that is given must hold.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RecordingFilter {
    /// Only those that began at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Only those that began before this time.
    pub until: Option<DateTime<Utc>>,
    /// Only those of this call.
    pub call_id: Option<Uuid>,
    /// Somebody who was on the call, or whose phone rang.
    pub agent_id: Option<Uuid>,
    /// Whether they are held.
    pub held: Option<bool>,
    /// At least so many seconds.
    pub min_seconds: Option<i32>,
    /// At most so many seconds.
    pub max_seconds: Option<i32>,
}

impl RecordingFilter {
    fn wanted(&self, tenant: Uuid, only: Option<Uuid>) -> Result<Wanted, Error> {
        moment::check_query("since", self.since)?;
        moment::check_query("until", self.until)?;
        for (field, seconds) in [("min_seconds", self.min_seconds), ("max_seconds", self.max_seconds)] {
            if seconds.is_some_and(|seconds| seconds < 0) {
                return Err(Error::query(field, Code::range(0, i32::MAX)));
            }
        }
        let agent = self.agent_id.map(|agent| Facet::Agent(agent).number(tenant));
        let unknown = only.zip(agent).map(|(person, agent)| Facet::Hidden(person, agent).number(tenant));
        Ok(Wanted {
            since: self.since,
            until: self.until,
            call: self.call_id,
            agent: self.agent_id,
            only,
            unknown,
            held: self.held,
            least_ms: self.min_seconds.map(|seconds| i64::from(seconds) * 1000),
            below_ms: self.max_seconds.map(|seconds| (i64::from(seconds) + 1) * 1000),
        })
    }
}

/// Whose calls the caller may hear: `None` for everybody's. An agent hears their own, and only if the tenant lets agents.
pub async fn only(db: &mut sqlx::PgConnection, actor: &Actor, tenant: Uuid) -> sqlx::Result<Option<Uuid>> {
    match actor.only_own() {
        // Nobody's.
        Some(_) if !store::agents_listen(db, tenant).await? => Ok(Some(Uuid::nil())),
        own => Ok(own),
    }
}

/// The recordings of a call that the caller may see, who hears them if they are on it.
pub async fn of_call(
    db: &mut sqlx::PgConnection,
    actor: &Actor,
    tenant: Uuid,
    call: Uuid,
    legs: &[Uuid],
) -> Result<Vec<Recording>, Problem> {
    if only(db, actor, tenant).await? == Some(Uuid::nil()) {
        return Ok(Vec::new());
    }
    Ok(store::of_call(db, tenant, call, legs).await?)
}

/// List recordings, newest first
///
/// An agent sees those of the calls that they were on, if the tenant lets agents hear them. With `sort=began_at`, the oldest come first.
#[utoipa::path(tag = "recordings", params(TenantQuery, RecordingFilter, SortQuery, PageQuery), responses((status = 200, body = Page<Recording>)))]
#[get("/v1/recordings")]
pub async fn list_recordings(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    filter: Query<RecordingFilter>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Recording>>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let way = sort.way(&page, "-began_at")?;
    let after = way.after().map(place_of).transpose()?;
    let mut db = api.read(&actor).await?;
    let only = only(&mut db, &actor, tenant).await?;
    let wanted = filter.wanted(tenant, only)?;
    let recordings = store::list(&mut *db, tenant, &wanted, way.is_down, after, way.fetch()).await?;
    Ok(Json(way.page(recordings, |one| format!("{} {}", one.began_at.to_rfc3339(), one.id))))
}

fn place_of(key: &str) -> Result<store::Place, Error> {
    let place = key.split_once(' ').and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
    place.ok_or_else(paging::wrong_cursor)
}

/// Show a recording
#[utoipa::path(tag = "recordings", params(TenantQuery), responses((status = 200, body = Recording), (status = 404, body = Problem)))]
#[get("/v1/recordings/{id}")]
pub async fn show_recording(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let recording = found(&api, &actor, tenant, path.into_inner()).await?;
    Ok(change::shown(&recording, recording.version))
}

/// A recording that the caller may hear.
async fn found(api: &Data<Api>, actor: &Actor, tenant: Uuid, id: Uuid) -> Result<Recording, Problem> {
    let mut db = api.read(actor).await?;
    let only = only(&mut db, actor, tenant).await?;
    store::get(&mut db, tenant, id, only, false).await?.ok_or_else(|| Problem::not_found("recording"))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HearQuery {
    /// Has a browser keep it as a file instead of playing it.
    #[serde(default)]
    pub download: bool,
}

/// Hear a recording
///
/// It is a WAV file. A part of it is asked for with `Range`, as players do. Who heard it is in the audit log.
#[utoipa::path(tag = "recordings", params(TenantQuery, HearQuery), responses(
    (status = 200, body = String, content_type = "audio/wav"), (status = 206, body = String, content_type = "audio/wav", description = "The part that was asked for."),
    (status = 416, description = "There is no such part."),
    (status = 404, body = Problem), (status = 503, body = Problem)))]
#[get("/v1/recordings/{id}/audio")]
pub async fn hear_recording(
    api: Data<Api>,
    vault: Option<Data<Vault>>,
    actor: Actor,
    request: HttpRequest,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
    how: Query<HearQuery>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let id = path.into_inner();
    found(&api, &actor, tenant, id).await?;
    let sound = open(&api, vault, Whose { tenant, id }).await?;
    let action = if how.download { "download" } else { "hear" };
    if how.download || is_new_hearing(actor.id, id) {
        note(&api, actor.author(&request), tenant, id, action).await?;
    }
    sound.answer(&request, how.download).await
}

async fn note(api: &Data<Api>, author: Author, tenant: Uuid, id: Uuid, action: &str) -> Result<(), Problem> {
    let mut change = api.changes.begin(author).await?;
    change.audit(heard(tenant, id, action, None)).await?;
    Ok(change.commit_quietly().await?)
}

/// The sound of a recording.
async fn open(api: &Data<Api>, vault: Option<Data<Vault>>, whose: Whose) -> Result<Sound, Problem> {
    let vault = vault.ok_or_else(|| Problem::from(Code::RecordingsAway))?;
    let content = store::content(&mut *api.changes.within(Some(whose.tenant)).await?, whose.tenant, whose.id).await?;
    let content = content.ok_or_else(|| Problem::not_found("recording"))?;
    let key = key_of(api, &content)?;
    Ok(Sound::new(Vault::clone(&vault), content, key, "recording"))
}

fn key_of(api: &Data<Api>, content: &Content) -> Result<ContentKey, Problem> {
    let Whose { tenant, id } = content.whose;
    let opened = api.changes.keyring().open_sealed(place(tenant, id), &content.key).map_err(Error::from)?;
    let key = ContentKey::read(&opened).ok_or(Error::Fault("a recording's key is none"))?;
    Ok(key)
}

/// Which link is wanted.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// For how many seconds it is good: 60 to 604,800; an hour if absent.
    pub seconds: Option<i64>,
}

/// A link by which a recording is heard without signing in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Link {
    /// Whoever has it hears the recording.
    pub url: String,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// Make a link by which a recording is heard without signing in, for a while
///
/// It can't be taken back: it ends at its time, or when the recording is deleted. That it was made is in the audit log, and when it is used.
#[utoipa::path(tag = "recordings", params(TenantQuery), request_body = NewLink, responses((status = 201, body = Link), (status = 404, body = Problem)))]
#[post("/v1/recordings/{id}/links")]
pub async fn share_recording(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let id = path.into_inner();
    let wanted: NewLink = input::parse(&body)?;
    let seconds = wanted.seconds.unwrap_or(LINK);
    if !(SHORTEST_LINK..=LONGEST_LINK).contains(&seconds) {
        return Err(Error::invalid("seconds", Code::range(SHORTEST_LINK, LONGEST_LINK)).into());
    }
    found(&api, &actor, tenant, id).await?;
    let work = async |change: &mut crate::node::changes::Change| {
        change.hold(tenant).await?;
        let content = store::content(change.db(), tenant, id).await?.ok_or(Error::NotFound("recording"))?;
        let expires_at = clock_store::now(change.db()).await? + TimeDelta::seconds(seconds);
        let signature = links::sign(&key_of(&api, &content)?, content.whose, expires_at.timestamp());
        let more = serde_json::json!({ "expires_at": expires_at });
        change.audit(heard(tenant, id, "share", Some(more))).await?;
        let (base, until) = (&api.auth.public_url, expires_at.timestamp());
        let url = format!("{base}/v1/shared-recordings/{id}?tenant_id={tenant}&until={until}&signature={signature}");
        Outcome::made(&Link { url, expires_at })
    };
    request.quietly().run(&api, &actor, &body, work).await
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SharedQuery {
    /// Whose it is.
    pub tenant_id: Uuid,
    /// When the link ends, in seconds since 1970.
    pub until: i64,
    /// Made with the link.
    pub signature: String,
}

/// Hear a recording by a link
///
/// The link's address is this, whole. Whoever has it needs nothing else, until it ends.
#[utoipa::path(tag = "recordings", security(()), params(SharedQuery), responses(
    (status = 200, body = String, content_type = "audio/wav"), (status = 206, body = String, content_type = "audio/wav", description = "The part that was asked for."),
    (status = 416, description = "There is no such part."),
    (status = 404, body = Problem), (status = 503, body = Problem)))]
#[get("/v1/shared-recordings/{id}")]
pub async fn hear_shared_recording(
    api: Data<Api>,
    vault: Option<Data<Vault>>,
    request: HttpRequest,
    path: Path<Uuid>,
    link: Query<SharedQuery>,
) -> Result<HttpResponse, Problem> {
    let whose = Whose { tenant: link.tenant_id, id: path.into_inner() };
    let sound = open(&api, vault, whose).await?;
    let now = clock_store::now(api.pool()).await?.timestamp();
    if now >= link.until || !links::is_signed(sound.key(), whose, link.until, &link.signature) {
        return Err(Problem::not_found("recording"));
    }
    let author = Author { name: "link".into(), source: peer(&request), within: Some(whose.tenant) };
    if is_new_hearing(Uuid::nil(), whose.id) {
        note(&api, author, whose.tenant, whose.id, "hear").await?;
    }
    sound.answer(&request, false).await
}

/// Hold a recording, so that nobody deletes it, or end that
#[utoipa::path(tag = "recordings", params(TenantQuery), request_body = RecordingPatch, responses((status = 200, body = Recording), (status = 412, body = Problem)))]
#[patch("/v1/recordings/{id}")]
pub async fn update_recording(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let id = path.into_inner();
    let patch = input::patch::<RecordingPatch, Recording>(&body)?;
    let if_match = request.if_match;
    let work = async |change: &mut _| {
        let recording = update(change, tenant, id, patch, if_match).await?;
        Outcome::changed(&recording, recording.version)
    };
    request.quietly().run(&api, &actor, &body, work).await
}

/// Delete a recording
///
/// Its content is removed from the store within seconds. It is refused while the recording is held.
#[utoipa::path(tag = "recordings", params(TenantQuery), responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
#[delete("/v1/recordings/{id}")]
pub async fn delete_recording(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let id = path.into_inner();
    let if_match = request.if_match;
    let work = async |change: &mut _| {
        delete(change, tenant, id, if_match).await?;
        Ok(Outcome::deleted())
    };
    request.quietly().run(&api, &actor, b"", work).await
}
