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
        sorting::SortQuery,
    },
    tenancy::{Api, auth::actor::Actor},
};

/// List audit entries, newest first
///
/// With `sort=at`, the oldest come first.
#[utoipa::path(tag = "audit", params(Filter, SortQuery, PageQuery), responses((status = 200, body = Page<AuditEntry>)))]
#[get("/v1/audit")]
pub async fn list_audit(
    api: Data<Api>,
    actor: Actor,
    filter: Query<Filter>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    let tenant = match actor.tenant {
        Some(_) => Some(actor.tenant_or(filter.tenant_id)?),
        None => filter.tenant_id,
    };
    moment::check_query("since", filter.since)?;
    moment::check_query("until", filter.until)?;
    let way = sort.way(&page, "-at")?;
    let (after, mut db) = (way.after_id()?, api.read(&actor).await?);
    let entries = store::list(&mut *db, tenant, &filter, way.is_down, after, way.fetch()).await?;
    Ok(Json(way.page(entries, |entry| entry.id.to_string())))
}
