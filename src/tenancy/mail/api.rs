//! `/v1/sandbox/mails`: what would have been sent for a tenant that is there for tests.

use actix_web::{
    get,
    web::{Data, Json, Path, Query},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{letter, place, store};
use crate::{
    http::problem::Problem,
    model::{
        error::Error,
        language::Language,
        paging::{Page, PageQuery},
        sorting::SortQuery,
    },
    tenancy::{Api, TenantQuery, auth::actor::Actor, tenants},
    text::{Code, keyring::Keyring},
};

/// A mail that was not sent, because its tenant is a sandbox.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SandboxMail {
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// The address that it would have been sent to.
    pub to: String,
    /// What it is about, such as `welcome`.
    pub template: String,
    /// The language that it is in.
    pub language: Language,
    /// `not sent: sandbox`
    pub status: String,
    pub subject: String,
    /// The text, with the links that work once.
    pub text: String,
    /// The same as HTML.
    pub html: String,
    pub created_at: DateTime<Utc>,
}

fn opened(keyring: &Keyring, mail: store::Unsent) -> Result<SandboxMail, Error> {
    let text = keyring.open_sealed(place(mail.id), &mail.sealed)?;
    let letter: letter::Letter =
        serde_json::from_str(&text).map_err(|_| Error::Fault("the text of a mail is damaged"))?;
    Ok(SandboxMail {
        id: mail.id,
        tenant_id: mail.tenant_id,
        to: mail.recipient,
        template: mail.template,
        language: mail.language.parse().unwrap_or_default(),
        status: mail.status,
        subject: letter.subject,
        text: letter.text,
        html: letter.html,
        created_at: mail.created_at,
    })
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct MailFilter {
    /// The address that it would have been sent to, whatever its case.
    to: Option<String>,
    /// What it is about, such as `welcome`.
    template: Option<String>,
}

/// List the mails of a sandbox that were not sent, newest first
///
/// So that a test can follow an invitation or the reset of a password: their links work. With `sort=created_at`, the oldest
/// come first.
#[utoipa::path(tag = "sandbox", params(TenantQuery, MailFilter, SortQuery, PageQuery), responses((status = 200, body = Page<SandboxMail>), (status = 409, body = Problem)))]
#[get("/v1/sandbox/mails")]
pub async fn list_mails(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    filter: Query<MailFilter>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<SandboxMail>>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let way = sort.way(&page, "-created_at")?;
    let (after, mut db) = (way.after_id()?, api.read(&actor).await?);
    let home = tenants::store::get(&mut *db, tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    if !home.sandbox {
        return Err(Code::NotASandbox.into());
    }
    let which = store::Which { id: None, to: filter.to.as_deref(), template: filter.template.as_deref() };
    let mails = store::unsent(&mut *db, tenant, which, way.is_down, after, way.fetch()).await?;
    let keyring = api.changes.keyring();
    let mails = mails.into_iter().map(|mail| opened(keyring, mail)).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(way.page(mails, |mail| mail.id.to_string())))
}

/// Show a mail of a sandbox that was not sent
#[utoipa::path(tag = "sandbox", params(TenantQuery), responses((status = 200, body = SandboxMail), (status = 404, body = Problem)))]
#[get("/v1/sandbox/mails/{id}")]
pub async fn show_mail(
    api: Data<Api>,
    actor: Actor,
    path: Path<Uuid>,
    tenant: Query<TenantQuery>,
) -> Result<Json<SandboxMail>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let which = store::Which { id: Some(*path), ..store::Which::default() };
    let mut mails = store::unsent(&mut *api.read(&actor).await?, tenant, which, true, None, 1).await?;
    let mail = mails.pop().ok_or_else(|| Problem::not_found("mail"))?;
    Ok(Json(opened(api.changes.keyring(), mail)?))
}
