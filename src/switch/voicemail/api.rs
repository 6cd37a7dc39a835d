//! `/v1/voicemail`: messages of extensions, heard, marked, forwarded and deleted; `/v1/voicemail-greetings`: what callers hear.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse, delete, get, patch, post, put,
    web::{Bytes, Data, Json, Path, Query},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    MailboxCount, Message, NewForward, VoicemailPatch,
    greetings::{self, ChosenGreeting, Greetings},
    line::{Line, heard},
    place,
    store::{self, Owner, Wanted},
    sync,
};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    model::{
        error::{Error, same_version},
        paging::{self, Page, PageQuery},
        sorting::SortQuery,
    },
    node::changes::{Audit, Change},
    switch::{
        control::Control,
        live::{Live, show::Scope},
    },
    telephony::recordings::{
        sealed::ContentKey,
        sound::{Sound, is_new_hearing},
        vault::Vault,
    },
    tenancy::{Api, TenantQuery, auth::actor::Actor},
    text::Code,
};

/// Which messages. All that is given must hold.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct VoicemailFilter {
    /// The extension whose messages are shown.
    pub extension_id: Uuid,
    /// Whether they were heard.
    pub is_read: Option<bool>,
    /// Whether they are urgent.
    pub is_urgent: Option<bool>,
}

/// The mailbox of an extension that the caller may hear.
async fn owner(api: &Data<Api>, actor: &Actor, tenant: Uuid, extension: Uuid) -> Result<Owner, Problem> {
    let found = store::owner(&mut *api.read(actor).await?, tenant, extension, actor.only_own()).await?;
    found.ok_or_else(|| Problem::not_found("extension"))
}

/// The switches of the tenant's cluster that this node hears. It is refused if there is none.
fn lines<'a>(api: &'a Api, live: &Live, control: &'a Control, tenant: Uuid) -> Result<Vec<Line<'a>>, Error> {
    let scope = Scope { tenant: Some(tenant), ..Scope::default() };
    let all = scope.switches(live).into_iter().filter(|watched| watched.known().unknown_since.is_none());
    let lines = all.map(|watched| Line { control, keyring: api.changes.keyring(), watched }).collect::<Vec<_>>();
    if lines.is_empty() { Err(Code::VoicemailAway.into()) } else { Ok(lines) }
}

/// List the messages of an extension, newest first
///
/// The switches of the cluster are asked what there is. Messages of a switch that is away are shown as they were; if none can be asked, it is refused.
/// An agent sees those of their own extensions. With `sort=received_at`, the oldest come first.
#[utoipa::path(tag = "voicemail", params(TenantQuery, VoicemailFilter, SortQuery, PageQuery), responses((status = 200, body = Page<Message>), (status = 404, body = Problem), (status = 503, body = Problem)))]
#[get("/v1/voicemail")]
#[expect(clippy::too_many_arguments, reason = "each is taken from the request")]
pub async fn list_voicemail(
    api: Data<Api>,
    live: Data<Live>,
    control: Data<Control>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    filter: Query<VoicemailFilter>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Message>>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let way = sort.way(&page, "-received_at")?;
    let after = way.after().map(seat_of).transpose()?;
    let owner = owner(&api, &actor, tenant, filter.extension_id).await?;
    if after.is_none() {
        for line in lines(&api, &live, &control, tenant)? {
            let mut tx = api.changes.within(Some(tenant)).await?;
            sync::sync(&mut tx, &line, &owner).await?;
            tx.commit().await?;
        }
    }
    let wanted = Wanted { is_read: filter.is_read, is_urgent: filter.is_urgent };
    let mut db = api.read(&actor).await?;
    let messages = store::list(&mut *db, tenant, owner.extension, wanted, way.is_down, after, way.fetch()).await?;
    Ok(Json(way.page(messages, |one| format!("{} {}", one.received_at.to_rfc3339(), one.id))))
}

/// List the mailboxes that have messages, with how many
///
/// As they were when the switch last said so, which it does whenever a message comes, is heard or goes. An agent sees their own extensions.
#[utoipa::path(tag = "voicemail", params(TenantQuery, PageQuery), responses((status = 200, body = Page<MailboxCount>)))]
#[get("/v1/mailboxes")]
pub async fn list_mailboxes(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<MailboxCount>>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let window = page.window()?;
    let mut db = api.read(&actor).await?;
    let counts = store::counts(&mut *db, tenant, actor.only_own(), window.after, window.fetch()).await?;
    Ok(Json(window.page(counts, |one| one.extension_id)))
}

fn seat_of(key: &str) -> Result<store::Seat, Error> {
    let seat = key.split_once(' ').and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
    seat.ok_or_else(paging::wrong_cursor)
}

/// A message that the caller may hear.
async fn found(api: &Data<Api>, actor: &Actor, tenant: Uuid, id: Uuid) -> Result<Message, Problem> {
    let found = store::get(&mut *api.read(actor).await?, tenant, id, actor.only_own()).await?;
    found.ok_or_else(|| Problem::not_found("voicemail"))
}

/// Show a message
#[utoipa::path(tag = "voicemail", params(TenantQuery), responses((status = 200, body = Message), (status = 404, body = Problem)))]
#[get("/v1/voicemail/{id}")]
pub async fn show_voicemail(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let message = found(&api, &actor, tenant, *path).await?;
    Ok(change::shown(&message, message.version))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HearMessageQuery {
    /// Has a browser keep it as a file instead of playing it.
    #[serde(default)]
    pub download: bool,
}

/// Hear a message
///
/// It is a WAV file. A part of it is asked for with `Range`, as players do. Who heard it is in the audit log. It stays new until it is marked.
#[utoipa::path(tag = "voicemail", params(TenantQuery, HearMessageQuery), responses(
    (status = 200, body = String, content_type = "audio/wav"), (status = 206, body = String, content_type = "audio/wav", description = "The part that was asked for."),
    (status = 416, description = "There is no such part."),
    (status = 404, body = Problem), (status = 503, body = Problem)))]
#[get("/v1/voicemail/{id}/audio")]
pub async fn hear_voicemail(
    api: Data<Api>,
    vault: Option<Data<Vault>>,
    actor: Actor,
    request: HttpRequest,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
    how: Query<HearMessageQuery>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let id = *path;
    found(&api, &actor, tenant, id).await?;
    let vault = vault.ok_or_else(|| Problem::from(Code::RecordingsAway))?;
    let content = store::content(&mut *api.changes.within(Some(tenant)).await?, tenant, id).await?;
    let content = content.ok_or_else(|| Problem::from(Code::VoicemailNotHere))?;
    let key = api.changes.keyring().open_sealed(place(tenant, id), &content.key).map_err(Error::from)?;
    let key = ContentKey::read(&key).ok_or(Error::Fault("a message's key is none"))?;
    let sound = Sound::new(Vault::clone(&vault), content, key, "voicemail");
    let action = if how.download { "download_message" } else { "hear_message" };
    if how.download || is_new_hearing(actor.id, id) {
        let mut change = api.changes.begin(actor.author(&request)).await?;
        let resource = format!("voicemail/{id}");
        change.audit(Audit { tenant: Some(tenant), action, resource, before: None, after: None }).await?;
        change.commit_quietly().await?;
    }
    sound.answer(&request, how.download).await
}

/// A message that is acted on, its mailbox, and the switch that has it.
struct Acting<'a> {
    before: Message,
    owner: Owner,
    line: Line<'a>,
}

impl<'a> Acting<'a> {
    async fn begin(
        (api, live, control): (&'a Api, &Live, &'a Control),
        change: &mut Change,
        actor: &Actor,
        (tenant, id, if_match): (Uuid, Uuid, Option<i64>),
    ) -> Result<Self, Error> {
        change.hold(tenant).await?;
        let before =
            store::get(change.db(), tenant, id, actor.only_own()).await?.ok_or(Error::NotFound("voicemail"))?;
        same_version(if_match, before.version)?;
        let owner =
            store::owner(change.db(), tenant, before.extension_id, None).await?.ok_or(Error::NotFound("extension"))?;
        let watched = heard(live, before.switch_id).ok_or(Code::VoicemailAway)?;
        let line = Line { control, keyring: api.changes.keyring(), watched: Arc::clone(&watched) };
        Ok(Self { before, owner, line })
    }
}

/// Mark a message as heard, new or urgent
///
/// The switch that has the message does it, and the lamp of the phone follows.
#[utoipa::path(tag = "voicemail", params(TenantQuery), request_body = VoicemailPatch, responses((status = 200, body = Message), (status = 404, body = Problem), (status = 412, body = Problem), (status = 503, body = Problem)))]
#[patch("/v1/voicemail/{id}")]
#[expect(clippy::too_many_arguments, reason = "each is taken from the request")]
pub async fn mark_voicemail(
    api: Data<Api>,
    live: Data<Live>,
    control: Data<Control>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let (id, if_match) = (*path, request.if_match);
    let patch = input::patch::<VoicemailPatch, Message>(&body)?;
    let work = async |change: &mut Change| {
        let acting = Acting::begin((&api, &live, &control), change, &actor, (tenant, id, if_match)).await?;
        sync::mark(change.db(), &acting.line, &acting.owner, &acting.before, &patch).await?;
        let after = store::get(change.db(), tenant, id, None).await?.ok_or(Error::NotFound("voicemail"))?;
        if after.version != acting.before.version {
            change.audit_of("update", Some(&acting.before), Some(&after)).await?;
        }
        Outcome::changed(&after, after.version)
    };
    request.quietly().run(&api, &actor, &body, work).await
}

/// Delete a message
///
/// The switch deletes its file, and the sound that is kept here goes within seconds. The lamp of the phone follows.
#[utoipa::path(tag = "voicemail", params(TenantQuery), responses((status = 204), (status = 404, body = Problem), (status = 503, body = Problem)))]
#[delete("/v1/voicemail/{id}")]
pub async fn delete_voicemail(
    api: Data<Api>,
    live: Data<Live>,
    control: Data<Control>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let (id, if_match) = (*path, request.if_match);
    let work = async |change: &mut Change| {
        let acting = Acting::begin((&api, &live, &control), change, &actor, (tenant, id, if_match)).await?;
        sync::delete(&acting.line, &acting.owner, acting.before.message).await?;
        sync::sync(change.db(), &acting.line, &acting.owner).await?;
        if store::get(change.db(), tenant, id, None).await?.is_some() {
            // Its file can't be removed: the switch keeps the message (`message_purge_callback` in mod_voicemail.c).
            return Err(Error::from(Code::VoicemailRefused.with("answer", "the file stays")).into());
        }
        change.audit_of("delete", Some(&acting.before), None).await?;
        Ok(Outcome::deleted())
    };
    request.quietly().run(&api, &actor, b"", work).await
}

/// Forward a message to another extension
///
/// That extension gets a copy, which is new there.
#[utoipa::path(tag = "voicemail", params(TenantQuery), request_body = NewForward, responses((status = 201, body = Message), (status = 404, body = Problem), (status = 503, body = Problem)))]
#[post("/v1/voicemail/{id}/forwards")]
#[expect(clippy::too_many_arguments, reason = "each is taken from the request")]
pub async fn forward_voicemail(
    api: Data<Api>,
    live: Data<Live>,
    control: Data<Control>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let (id, if_match) = (*path, request.if_match);
    let new: NewForward = input::parse(&body)?;
    let work = async |change: &mut Change| {
        let acting = Acting::begin((&api, &live, &control), change, &actor, (tenant, id, if_match)).await?;
        let to = store::owner_of_number(change.db(), tenant, new.to.as_str(), None).await?;
        let to = to.filter(|to| to.is_enabled).ok_or_else(|| Error::invalid("to", Code::HasNoVoicemail))?;
        let copy = sync::forward(change.db(), &acting.line, &acting.owner, &acting.before, &to).await?;
        let copy = store::get(change.db(), tenant, copy, None).await?.ok_or(Error::NotFound("voicemail"))?;
        change.audit_of("create", None, Some(&copy)).await?;
        Outcome::created(&copy, copy.version, format!("/v1/voicemail/{}", copy.id))
    };
    request.quietly().run(&api, &actor, &body, work).await
}

/// Show the greetings of an extension's mailbox
#[utoipa::path(tag = "voicemail", params(TenantQuery), responses((status = 200, body = Greetings), (status = 404, body = Problem), (status = 503, body = Problem)))]
#[get("/v1/voicemail-greetings/{extension_id}")]
pub async fn show_greetings(
    api: Data<Api>,
    live: Data<Live>,
    control: Data<Control>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
) -> Result<Json<Greetings>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let owner = owner(&api, &actor, tenant, *path).await?;
    let lines = lines(&api, &live, &control, tenant)?;
    Ok(Json(greetings::show(&lines, owner.extension, &owner.mailbox).await?))
}

/// Choose the greeting that callers hear
///
/// It is one of those that were recorded by phone (*97, then 5 and 1). Switches that are away keep the one before.
#[utoipa::path(tag = "voicemail", params(TenantQuery), request_body = ChosenGreeting, responses((status = 200, body = Greetings), (status = 404, body = Problem), (status = 503, body = Problem)))]
#[put("/v1/voicemail-greetings/{extension_id}")]
#[expect(clippy::too_many_arguments, reason = "each is taken from the request")]
pub async fn choose_greeting(
    api: Data<Api>,
    live: Data<Live>,
    control: Data<Control>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let chosen: ChosenGreeting = input::parse(&body)?;
    let owner = owner(&api, &actor, tenant, *path).await?;
    let lines = lines(&api, &live, &control, tenant)?;
    let work = async |change: &mut Change| {
        change.hold(tenant).await?;
        let before = greetings::show(&lines, owner.extension, &owner.mailbox).await?;
        greetings::choose(&lines, &owner.mailbox, chosen.greeting).await?;
        let after = greetings::show(&lines, owner.extension, &owner.mailbox).await?;
        if before != after {
            note(change, &owner, Some(&before), &after).await?;
        }
        Outcome::said(&after)
    };
    request.quietly().run(&api, &actor, &body, work).await
}

async fn note(change: &mut Change, owner: &Owner, before: Option<&Greetings>, after: &Greetings) -> Result<(), Error> {
    let shown = |greetings: &Greetings| serde_json::json!({ "greeting": greetings.greeting });
    let (before, after) = (before.map(shown), Some(shown(after)));
    let resource = format!("voicemail-greetings/{}", owner.extension);
    change.audit(Audit { tenant: Some(owner.tenant), action: "update", resource, before, after }).await
}

/// Which greeting is removed.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct GreetingQuery {
    /// Its number, 1 to 9; all if absent.
    pub greeting: Option<u8>,
}

/// Remove a recorded greeting, or all
///
/// Callers who heard it hear the usual words then.
#[utoipa::path(tag = "voicemail", params(TenantQuery, GreetingQuery), responses((status = 204), (status = 404, body = Problem), (status = 503, body = Problem)))]
#[delete("/v1/voicemail-greetings/{extension_id}")]
#[expect(clippy::too_many_arguments, reason = "each is taken from the request")]
pub async fn remove_greeting(
    api: Data<Api>,
    live: Data<Live>,
    control: Data<Control>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
    which: Query<GreetingQuery>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    if which.greeting.is_some_and(|number| !(1..=greetings::MOST).contains(&number)) {
        return Err(Error::query("greeting", Code::range(1, greetings::MOST)).into());
    }
    let owner = owner(&api, &actor, tenant, *path).await?;
    let lines = lines(&api, &live, &control, tenant)?;
    let work = async |change: &mut Change| {
        change.hold(tenant).await?;
        let before = greetings::show(&lines, owner.extension, &owner.mailbox).await?;
        greetings::remove(&lines, &owner.mailbox, which.greeting).await?;
        let after = greetings::show(&lines, owner.extension, &owner.mailbox).await?;
        if before != after {
            note(change, &owner, Some(&before), &after).await?;
        }
        Ok(Outcome::deleted())
    };
    request.quietly().run(&api, &actor, b"", work).await
}
