//! A platform administrator within a tenant: sees and does there what its owner could, under a banner, and the tenant's audit log says
//! that they came.

use actix_web::{
    HttpRequest,
    cookie::{Cookie, SameSite, time::Duration},
    get, post,
    web::{Path, ServiceConfig},
};
use askama::Template;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Form, Page, Shell, Turned, Visitor, ok, see_other, sign_in::Sent};
use crate::{
    http::problem::Problem,
    model::paging::PageQuery,
    node::changes::Audit,
    tenancy::{
        Api,
        auth::{
            actor::COOKIE,
            rules::{Level, Resource, Role},
            store::Live,
        },
        tenants::{self, Tenant},
    },
};

const ACTING: &str = "dialplane_tenant";

pub fn pages(config: &mut ServiceConfig) {
    config.service(choose).service(enter).service(leave);
}

/// How many tenants the switcher shows.
const MOST: i64 = 12;

impl Shell {
    /// Who chooses a tenant to act in.
    #[must_use]
    pub fn may_switch(&self) -> bool {
        self.me.as_ref().is_some_and(|me| me.role == Role::PlatformAdmin)
    }

    /// Where the visitor is: in a tenant, or at the platform.
    #[must_use]
    pub fn place(&self) -> &str {
        self.acting.as_ref().map_or_else(|| self.t("switcher.platform"), |acting| acting.name.as_str())
    }
}

/// The tenants that one may act in: a page of its own, which the bar shows in a dialog.
#[derive(Template)]
#[template(path = "web/tenants_choose.html")]
struct ChoosePage<'a> {
    s: &'a Shell,
    q: &'a str,
    rows: Vec<Tenant>,
    more: bool,
    inside: Option<Acting>,
}

#[get("/platform/tenants/choose")]
async fn choose(visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Platform, Level::Write)?;
    let inside = within(&visitor.api, &visitor.request, visitor.shell.me.as_ref()).await?;
    let asked = visitor.in_query("q").unwrap_or_default();
    let q = asked.trim().chars().take(100).collect::<String>();
    let window = PageQuery { limit: Some(MOST), cursor: None }.window()?;
    let filter = tenants::store::Filter::called(&q);
    let rows = tenants::store::list(&mut *visitor.api.read(&actor).await?, None, &filter, &window.into()).await?;
    let page = window.page(rows, |tenant| tenant.id);
    let mut rows = page.items;
    rows.retain(|tenant| inside.as_ref().is_none_or(|inside| inside.id != tenant.id));
    let mut s = visitor.shell.on("tenants");
    let title = s.t("switcher.title").to_owned();
    s.below("tenants.title", "/platform/tenants", title);
    ok(&ChoosePage { s: &s, q: &q, rows, more: page.next_cursor.is_some(), inside })
}

/// The tenant that a platform administrator is in.
#[derive(Debug, Clone)]
pub struct Acting {
    pub id: Uuid,
    pub name: String,
    pub domain: String,
}

/// It holds for one session: nobody is in a tenant after signing in again, or because some other site set a cookie.
fn proof(session_cookie: &str, tenant: Uuid) -> String {
    let hash = Sha256::new().chain_update(b"acting\0").chain_update(session_cookie).chain_update(tenant.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

/// Pages of a tenant. On the others, a platform administrator is the platform.
fn is_tenants(path: &str) -> bool {
    !path.starts_with("/platform") && !path.starts_with("/account")
}

/// The tenant that the visitor is in, if they are of the platform and went there.
pub async fn acting(api: &Api, request: &HttpRequest, me: Option<&Live>) -> Result<Option<Acting>, Problem> {
    if is_tenants(request.path()) { within(api, request, me).await } else { Ok(None) }
}

/// The tenant that the visitor went to and has not left, on whichever page they are.
async fn within(api: &Api, request: &HttpRequest, me: Option<&Live>) -> Result<Option<Acting>, Problem> {
    if me.is_none_or(|me| me.role != Role::PlatformAdmin) {
        return Ok(None);
    }
    let (Some(cookie), Some(session)) = (request.cookie(ACTING), request.cookie(COOKIE)) else { return Ok(None) };
    let parts = cookie.value().split_once('.').and_then(|(id, shown)| Some((id.parse::<Uuid>().ok()?, shown)));
    let Some((id, shown)) = parts else { return Ok(None) };
    if shown != proof(session.value(), id) {
        return Ok(None);
    }
    let tenant = tenants::store::get(api.pool(), id).await?;
    Ok(tenant.map(|tenant| Acting { id, name: tenant.name.to_string(), domain: tenant.domain.to_string() }))
}

#[post("/platform/tenants/{id}/enter")]
async fn enter(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let actor = visitor.sends(Resource::Platform, Level::Write, &Form::of(sent.into_inner())).await?;
    let tenant = tenants::store::get(visitor.api.pool(), *id).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let session = visitor.request.cookie(COOKIE).ok_or(Turned::Away)?;
    let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
    let resource = format!("tenants/{}", tenant.id);
    change.audit(Audit { tenant: Some(tenant.id), action: "enter", resource, before: None, after: None }).await?;
    change.commit_quietly().await?;
    let value = format!("{}.{}", tenant.id, proof(session.value(), tenant.id));
    let mut answer = see_other("/app");
    let _ = answer.add_cookie(&cookie(&value, None));
    Ok(answer)
}

fn cookie(value: &str, age: Option<Duration>) -> Cookie<'static> {
    let mut cookie =
        Cookie::build(ACTING, value.to_owned()).path("/").http_only(true).same_site(SameSite::Lax).finish();
    cookie.set_max_age(age);
    cookie
}

#[get("/leave")]
async fn leave(visitor: Visitor) -> Page {
    visitor.needs(Resource::Account, Level::Own)?;
    let mut answer = see_other("/platform/tenants");
    let _ = answer.add_cookie(&cookie("", Some(Duration::ZERO)));
    Ok(answer)
}
