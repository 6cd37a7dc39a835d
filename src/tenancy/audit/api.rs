//! `/v1/audit`: what was changed, by whom.

use actix_web::{
    get,
    web::{Data, Json, Query},
};

use super::{AuditEntry, Filter, store};
use crate::{
    http::problem::Problem,
    model::{
        moment,
        paging::{Page, PageQuery},
    },
    tenancy::{Api, auth::actor::Actor},
};

/// List audit entries, newest first
#[utoipa::path(tag = "audit", params(Filter, PageQuery), responses((status = 200, body = Page<AuditEntry>)))]
#[get("/v1/audit")]
pub async fn list_audit(
    api: Data<Api>,
    actor: Actor,
    filter: Query<Filter>,
    page: Query<PageQuery>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    let tenant = match actor.tenant {
        Some(_) => Some(actor.tenant_or(filter.tenant_id)?),
        None => filter.tenant_id,
    };
    moment::check_query("since", filter.since)?;
    moment::check_query("until", filter.until)?;
    let window = page.window()?;
    let entries = store::list(&mut *api.read(&actor).await?, tenant, &filter, window).await?;
    Ok(Json(window.page(entries, |entry| entry.id)))
}
