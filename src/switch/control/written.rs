//! `/v1/calls/{id}`: a call's record, and what people write about it, also while it is up and has no record yet.

use actix_web::{
    HttpResponse, get,
    http::{StatusCode, header},
    patch,
    web::{Bytes, Data, Path, Query},
};
use uuid::Uuid;

use super::{api::scope, found::Found};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    model::error::{Error, Result},
    switch::live::Live,
    telephony::{
        history::{
            Call, CallWithStory, WrittenCall, store,
            written::{self, About, CallPatch, Updated},
            written_store,
        },
        recordings,
    },
    tenancy::{Api, TenantQuery, auth::actor::Actor},
    text::Code,
};

/// Whose phones are in a call that is up and that this actor may see.
async fn up(api: &Api, live: &Live, actor: &Actor, tenant: Uuid, id: Uuid) -> Result<Vec<Uuid>> {
    let names = live.names.of(tenant, live.generations(), api.pool()).await;
    let found = Found::find(live, &names, &scope(actor, tenant), tenant, id)?;
    if found.is_of(actor.only_own()) { Ok(found.people()) } else { Err(Code::CallGone.into()) }
}

/// Show a call with its story
///
/// As long as the call has no record, the answer is 202 with what people have written about it: while it is up, and for a moment afterwards.
#[utoipa::path(tag = "calls", params(TenantQuery), responses((status = 200, body = CallWithStory), (status = 202, body = WrittenCall), (status = 404, body = Problem)))]
#[get("/v1/calls/{id}")]
pub async fn show_call(
    api: Data<Api>,
    live: Data<Live>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
) -> std::result::Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let (id, only) = (path.into_inner(), actor.only_own());
    let mut db = api.read(&actor).await?;
    let mut found = store::get(&mut db, tenant, id, only, false).await?;
    if found.is_none() {
        // Nobody waits for a connection with another in hand.
        drop(db);
        let other = written_store::call_of(api.pool(), tenant, id).await?;
        db = api.read(&actor).await?;
        if let Some(other) = other {
            found = store::get(&mut db, tenant, other, only, false).await?;
        }
    }
    let Some((mut call, mut story)) = found else {
        let kept = written_store::get(&mut db, tenant, id, false).await?;
        drop(db);
        let written = match kept {
            Some((written, agents)) if only.is_none_or(|person| agents.contains(&person)) => written,
            kept => match up(&api, &live, &actor, tenant, id).await {
                Ok(_) => kept.map_or_else(|| WrittenCall::nothing(tenant, id), |(written, _)| written),
                // It is not up, or nobody knows.
                Err(_) => return Err(Problem::not_found("call")),
            },
        };
        let tag = format!("\"v{}\"", written.version);
        return Ok(HttpResponse::Accepted().insert_header((header::ETAG, tag)).json(written));
    };
    if let Some(person) = only {
        call.hide_from(person, Some(&mut story));
    }
    let legs = story.legs.iter().map(|leg| leg.leg).collect::<Vec<_>>();
    let recordings = recordings::api::of_call(&mut db, &actor, tenant, call.id, &legs).await?;
    let version = call.version;
    Ok(change::shown(&CallWithStory { call, story, recordings }, version))
}

/// Change a call's notes, tags, disposition and contact
///
/// Also while the call is up: then the answer is 202, and what was written belongs to the record as soon as that has come. An agent writes about
/// their own calls.
#[utoipa::path(tag = "calls", params(TenantQuery), request_body = CallPatch, responses((status = 200, body = Call), (status = 202, body = WrittenCall), (status = 404, body = Problem), (status = 412, body = Problem), (status = 503, body = Problem)))]
#[patch("/v1/calls/{id}")]
pub async fn update_call(
    api: Data<Api>,
    live: Data<Live>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
    body: Bytes,
) -> std::result::Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let (id, only) = (path.into_inner(), actor.only_own());
    let patch = input::patch::<CallPatch, Call>(&body)?;
    let other = written_store::call_of(api.pool(), tenant, id).await?;
    let up = match up(&api, &live, &actor, tenant, id).await {
        Err(Error::Refused(reason)) if reason.code == Code::CallGone => Err(Error::NotFound("call")),
        up => up,
    };
    let work = async |change: &mut _| {
        let about = About { tenant, ids: (id, other), only, up };
        match written::update(change, about, patch, request.if_match).await? {
            Updated::Record(mut call) => {
                if let Some(person) = only {
                    call.hide_from(person, None);
                }
                Outcome::changed(&call, call.version)
            }
            Updated::Kept(written) => {
                Ok(Outcome::changed(&written, written.version)?.with_status(StatusCode::ACCEPTED))
            }
        }
    };
    request.run(&api, &actor, &body, work).await
}
