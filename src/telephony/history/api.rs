//! `/v1/calls`: calls with their stories.

use actix_web::{
    HttpResponse, get,
    web::{Bytes, Data, Json, Query},
};
use chrono::{DateTime, Utc};
use futures_util::{TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Call, Direction, State, csv,
    facets::Facet,
    store::{self, Place, Wanted},
};
use crate::{
    http::problem::Problem,
    model::{
        error::Error,
        moment,
        paging::{self, Page, PageQuery},
    },
    telephony::calls::told::LONGEST_CALL_ID,
    tenancy::{Api, TenantQuery, auth::actor::Actor},
    text::Code,
};

/// How many calls an export reads at once.
const AT_ONCE: i64 = 2000;
/// The most calls that are counted.
const COUNTED: i64 = 10_000;

/// Which calls. All that is given must hold.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CallFilter {
    /// Only calls that began at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Only calls that began before this time.
    pub until: Option<DateTime<Utc>>,
    /// Which way they went.
    pub direction: Option<Direction>,
    /// How they ended.
    pub state: Option<State>,
    /// Somebody who was on the call, or whose phone rang.
    pub agent_id: Option<Uuid>,
    /// The same of an extension.
    pub extension_id: Option<Uuid>,
    /// The tenant's phone number that was called or shown.
    pub number_id: Option<Uuid>,
    /// A number outside that called, was called or took the call, in E.164.
    pub party: Option<String>,
    /// The queue that the caller waited in.
    pub queue_id: Option<Uuid>,
    pub carrier_id: Option<Uuid>,
    /// The country of the number outside, such as `DE`.
    pub country: Option<String>,
    /// Such as `USER_BUSY`.
    pub cause: Option<String>,
    /// One of the tenant's `dispositions`.
    pub disposition: Option<String>,
    /// One of the tags that people gave it.
    pub tag: Option<String>,
    /// The contact that they were with, as people say.
    pub contact_id: Option<Uuid>,
    /// Whether there is a recording.
    pub recorded: Option<bool>,
    /// At least so many seconds of talk.
    pub min_seconds: Option<i32>,
    /// At most so many seconds of talk.
    pub max_seconds: Option<i32>,
    /// The Call-ID of the SIP dialog of one of its legs: a phone finds the record of its call by it.
    pub sip_call_id: Option<String>,
    /// How they ended, if several ways are asked for: separated by commas, such as `missed,abandoned`.
    pub states: Option<String>,
    /// A part of a number or name, 3 to 100 characters.
    pub search: Option<String>,
}

impl CallFilter {
    fn wanted(&self, tenant: Uuid, only: Option<Uuid>) -> Result<Wanted, Error> {
        moment::check_query("since", self.since)?;
        moment::check_query("until", self.until)?;
        for (field, seconds) in [("min_seconds", self.min_seconds), ("max_seconds", self.max_seconds)] {
            if seconds.is_some_and(|seconds| seconds < 0) {
                return Err(Error::query(field, Code::range(0, i32::MAX)));
            }
        }
        let sought = self.search.as_ref().map(|text| text.trim().to_lowercase());
        if sought.as_ref().is_some_and(|text| !(3..=100).contains(&text.chars().count()) || text.contains('\0')) {
            return Err(Error::query("search", Code::LengthOutOfRange.with("least", 3).with("most", 100)));
        }
        let call_id = self.sip_call_id.as_deref();
        if call_id.is_some_and(|id| !(1..=LONGEST_CALL_ID).contains(&id.len())) {
            return Err(Error::query(
                "sip_call_id",
                Code::LengthOutOfRange.with("least", 1).with("most", LONGEST_CALL_ID),
            ));
        }
        let facets = [
            self.direction.map(Facet::Direction),
            self.state.map(Facet::State),
            self.agent_id.map(Facet::Agent),
            only.map(Facet::Agent),
            self.extension_id.map(Facet::Extension),
            self.number_id.map(Facet::Number),
            self.party.as_deref().map(Facet::Party),
            self.queue_id.map(Facet::Queue),
            self.carrier_id.map(Facet::Carrier),
            self.country.as_deref().map(Facet::Country),
            self.cause.as_deref().map(Facet::Cause),
            self.disposition.as_deref().map(Facet::Disposition),
            self.tag.as_deref().map(Facet::Tag),
            self.contact_id.map(Facet::Contact),
            (self.recorded == Some(true)).then_some(Facet::Recorded),
            self.min_seconds.and_then(Facet::of_at_least),
            call_id.map(Facet::SipCall),
        ];
        // Whom a call names only for others, it is not found by.
        let telling = [
            self.agent_id.map(Facet::Agent),
            self.extension_id.map(Facet::Extension),
            self.number_id.map(Facet::Number),
            self.party.as_deref().map(Facet::Party),
            self.country.as_deref().map(Facet::Country),
        ];
        let telling = telling.into_iter().flatten().map(|facet| facet.number(tenant));
        let mut hidden = only
            .map(|person| telling.map(|facet| Facet::Hidden(person, facet).number(tenant)).collect::<Vec<_>>())
            .unwrap_or_default();
        // A contact says who called.
        hidden.extend(only.filter(|_| self.contact_id.is_some()).map(|person| Facet::Hides(person).number(tenant)));
        let states = self.states.as_deref().map(states).transpose()?.unwrap_or_default();
        Ok(Wanted {
            since: self.since,
            until: self.until,
            facets: facets.into_iter().flatten().map(|facet| facet.number(tenant)).collect(),
            any: states.into_iter().map(|state| Facet::State(state).number(tenant)).collect(),
            least: self.min_seconds,
            most: self.max_seconds,
            unrecorded: self.recorded == Some(false),
            sought,
            hidden,
            hides: only.map(|person| Facet::Hides(person).number(tenant)),
        })
    }
}

/// The states in a list that is separated by commas.
fn states(text: &str) -> Result<Vec<State>, Error> {
    let of = |name: &str| State::ALL.into_iter().find(|state| state.as_str() == name);
    let all = text.split(',').map(|name| of(name.trim())).collect::<Option<Vec<_>>>();
    all.ok_or_else(|| Error::query("states", Code::NotAChoice))
}

/// In which order calls are wanted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CallOrder {
    /// `started_at` for the oldest first; `-started_at`, the newest first, if absent. A cursor belongs to the order that it was given for.
    pub sort: Option<String>,
}

impl CallOrder {
    fn is_up(&self) -> Result<bool, Error> {
        match self.sort.as_deref() {
            None | Some("-started_at") => Ok(false),
            Some("started_at") => Ok(true),
            Some(_) => Err(Error::query("sort", Code::UnknownSort.with("known", "started_at, -started_at"))),
        }
    }
}

/// List calls, newest first unless asked otherwise
///
/// An agent sees the calls that they were on, or that rang their phones, and not who called with a withheld number.
#[utoipa::path(tag = "calls", params(TenantQuery, CallFilter, CallOrder, PageQuery), responses((status = 200, body = Page<Call>)))]
#[get("/v1/calls")]
pub async fn list_calls(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    filter: Query<CallFilter>,
    order: Query<CallOrder>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Call>>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let wanted = filter.wanted(tenant, actor.only_own())?;
    let is_up = order.is_up()?;
    let window = page.key_window()?;
    let last = window.after.as_deref().map(|key| place(key, is_up)).transpose()?;
    let mut db = api.read(&actor).await?;
    let places = if is_up {
        store::places_up(&mut db, tenant, &wanted, last, window.fetch()).await?
    } else {
        store::places(&mut db, tenant, &wanted, last, window.fetch()).await?
    };
    let mut calls = shown(store::at(&mut *db, tenant, &places).await?, actor.only_own());
    if is_up {
        calls.reverse();
    }
    let sign = if is_up { "up " } else { "" };
    Ok(Json(window.page(calls, |call| format!("{sign}{} {}", call.started_at.to_rfc3339(), call.id))))
}

/// Calls as somebody may see them. `only`: an agent.
fn shown(mut calls: Vec<Call>, only: Option<Uuid>) -> Vec<Call> {
    if let Some(person) = only {
        for call in &mut calls {
            call.hide_from(person, None);
        }
    }
    calls
}

fn place(key: &str, is_up: bool) -> Result<Place, Error> {
    let key = if is_up { key.strip_prefix("up ") } else { Some(key) };
    let place = key.and_then(|key| key.split_once(' ')).and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
    place.ok_or_else(paging::wrong_cursor)
}

/// How many calls there are.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CallCount {
    /// How many were counted.
    pub count: i64,
    /// Whether there are more than were counted.
    pub is_more: bool,
}

/// Count calls, up to 10,000
#[utoipa::path(tag = "calls", params(TenantQuery, CallFilter), responses((status = 200, body = CallCount)))]
#[get("/v1/calls/count")]
pub async fn count_calls(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    filter: Query<CallFilter>,
) -> Result<Json<CallCount>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let wanted = filter.wanted(tenant, actor.only_own())?;
    let found = store::places(&mut *api.read(&actor).await?, tenant, &wanted, None, COUNTED + 1).await?;
    let count = i64::try_from(found.len()).unwrap_or(COUNTED);
    Ok(Json(CallCount { count: count.min(COUNTED), is_more: count > COUNTED }))
}

/// Export calls as CSV, newest first
///
/// The answer has as many lines as there are calls. Cells that a spreadsheet would take for a formula begin with an apostrophe.
#[utoipa::path(tag = "calls", params(TenantQuery, CallFilter), responses((status = 200, body = String, content_type = "text/csv")))]
#[get("/v1/calls/export")]
pub async fn export_calls(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    filter: Query<CallFilter>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let wanted = filter.wanted(tenant, actor.only_own())?;
    let export = Export { api, actor, tenant, wanted, next: Next::Head };
    let lines = stream::try_unfold(export, Export::step).map_err(actix_web::Error::from);
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header(("Content-Disposition", "attachment; filename=\"calls.csv\""))
        .streaming(lines))
}

/// An export under way.
struct Export {
    api: Data<Api>,
    actor: Actor,
    tenant: Uuid,
    wanted: Wanted,
    next: Next,
}

enum Next {
    Head,
    Before(Option<Place>),
    Nothing,
}

impl Export {
    /// The next part of the text. Each is a transaction of its own, so that slow readers hold none open.
    async fn step(mut self) -> Result<Option<(Bytes, Self)>, Problem> {
        let before = match self.next {
            Next::Head => {
                self.next = Next::Before(None);
                return Ok(Some((Bytes::from(csv::head()), self)));
            }
            Next::Before(before) => before,
            Next::Nothing => return Ok(None),
        };
        let mut db = self.api.read(&self.actor).await?;
        let places = store::places(&mut db, self.tenant, &self.wanted, before, AT_ONCE).await?;
        let calls = shown(store::at(&mut *db, self.tenant, &places).await?, self.actor.only_own());
        drop(db);
        let is_last = i64::try_from(places.len()).unwrap_or(AT_ONCE) < AT_ONCE;
        self.next = places.last().filter(|_| !is_last).map_or(Next::Nothing, |last| Next::Before(Some(*last)));
        Ok(Some((Bytes::from(calls.iter().map(csv::line).collect::<String>()), self)))
    }
}
