//! `/v1/contacts`: whom a tenant calls and is called by.

use actix_web::{
    HttpResponse, delete, get, patch, post,
    web::{Bytes, Data, Json, Path, Query},
};
use futures_util::{TryStreamExt as _, stream};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Contact, ContactPatch, NewContact, create, delete,
    sheet::{self, Report},
    store::{self, Wanted},
    update,
};
use crate::{
    http::{
        change::{self, ChangeRequest, Outcome},
        input,
        labels::{self, ExternalIdQuery, Kind, Labelled, With},
        problem::Problem,
    },
    model::{
        error::Error,
        paging::{Page, PageQuery, Window},
        sorting::{CREATED, SortQuery},
    },
    node::apart::apart,
    tenancy::{Api, TenantQuery, auth::actor::Actor},
    text::{Code, E164},
};

labels::labelled!(Contact, Contact, |it| Some(it.tenant_id));

#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ContactFilter {
    /// A part of a name, company, mail address or number, as it is typed. With less than three characters, or if the database has no
    /// trigrams, the beginning of a name.
    pub search: Option<String>,
    /// Only those with this in their name, in any case of its letters.
    pub name: Option<String>,
    /// Only those with this mail address, in any case of its letters.
    pub email: Option<String>,
    /// Only the one with this number, in E.164.
    pub number: Option<String>,
    /// One of their tags.
    pub tag: Option<String>,
    /// Whether they don't want to be called.
    pub do_not_call: Option<bool>,
}

impl ContactFilter {
    fn wanted(&self) -> Result<Wanted, Error> {
        let search = self.search.as_ref().map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty());
        if search.as_ref().is_some_and(|text| text.chars().count() > 100 || text.contains('\0')) {
            return Err(Error::query("search", Code::LengthOutOfRange.with("least", 1).with("most", 100)));
        }
        // Postgres knows no text with NUL, and nothing has such a name.
        let plain = |text: &Option<String>| text.as_ref().map(|text| text.replace('\0', "\u{fffd}"));
        let tag = self.tag.clone().filter(|tag| !tag.contains('\0'));
        let (name, email, number) = (plain(&self.name), plain(&self.email), plain(&self.number));
        Ok(Wanted { search, name, email, number, tag, do_not_call: self.do_not_call })
    }
}

/// What the list can be sorted by.
const SORTS: [&str; 2] = [CREATED, "name"];

/// List contacts, or search them
///
/// It can be sorted by `created_at` or `name`.
#[utoipa::path(tag = "contacts", params(TenantQuery, ContactFilter, ExternalIdQuery, SortQuery, PageQuery), responses((status = 200, body = Page<Contact>)))]
#[get("/v1/contacts")]
pub async fn list_contacts(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    filter: Query<ContactFilter>,
    named: Query<ExternalIdQuery>,
    sort: Query<SortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Labelled<Contact>>>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let sorted = sort.sorted(&page, &SORTS)?;
    let mut db = api.read(&actor).await?;
    let sorted = named.sorted(&mut db, Kind::Contact, Some(tenant), sorted).await?;
    let contacts = store::list(&mut db, tenant, &filter.wanted()?, &sorted).await?;
    Ok(Json(
        labels::page(&mut db, sorted.page(contacts, |contact| contact.id, |contact, _| contact.name.to_string()))
            .await?,
    ))
}

/// Add a contact
#[utoipa::path(tag = "contacts", params(TenantQuery), request_body = NewContact, responses((status = 201, body = Contact), (status = 409, body = Problem)))]
#[post("/v1/contacts")]
pub async fn create_contact(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let With { body: new, labels }: With<NewContact> = input::parse(&body)?;
    let work = async |change: &mut _| {
        let contact = create(change, tenant, new).await?;
        let contact = labels::made(change, contact, labels).await?;
        let whose = actor.tenant.map_or(format!("?tenant_id={tenant}"), |_| String::new());
        Outcome::created(&contact, contact.version, format!("/v1/contacts/{}{whose}", contact.id))
    };
    request.run(&api, &actor, &body, work).await
}

#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LookupQuery {
    /// In E.164.
    pub number: E164,
}

/// Find the contact who has a number
#[utoipa::path(tag = "contacts", params(TenantQuery, LookupQuery), responses((status = 200, body = Contact), (status = 404, body = Problem)))]
#[get("/v1/contacts/lookup")]
pub async fn look_up_contact(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    query: Query<LookupQuery>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let mut db = api.read(&actor).await?;
    let id = store::of_number(&mut *db, tenant, query.number.as_str()).await?;
    let id = id.ok_or_else(|| Problem::not_found("contact"))?;
    let contact = store::get(&mut *db, tenant, id).await?.ok_or_else(|| Problem::not_found("contact"))?;
    let contact = labels::of(&mut db, contact).await?;
    Ok(change::shown(&contact, contact.version))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// Only say what would be added.
    #[serde(default)]
    preview: bool,
}

/// Add many contacts: CSV with a line of headings
///
/// `name` is needed; `company`, `email`, `tags` (separated by spaces or semicolons), `notes`, and any number of columns called `number` or
/// `phone` are known, also in German; `external_id`, and `metadata.KEY` for each key of their metadata. Other columns become `fields`. Lines with errors are left out and reported. With `preview`, nothing is
/// added.
#[utoipa::path(tag = "contacts", params(TenantQuery, ImportQuery), request_body(content = String, content_type = "text/csv"), responses((status = 200, body = Report), (status = 201, body = Report), (status = 422, body = Report)))]
#[post("/v1/contacts/import")]
pub async fn import_contacts(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    how: Query<ImportQuery>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let _turn = api.turn().await?;
    let text = body.clone();
    let lines = apart(move || sheet::read(tenant, &text)).await??;
    let preview = how.preview;
    let work = async |change: &mut _| {
        let report = sheet::add(change, tenant, lines, preview).await?;
        if preview { Outcome::said(&report) } else { Outcome::report(&report, report.created > 0) }
    };
    request.run(&api, &actor, &body, work).await
}

/// Export contacts as CSV, as they can be imported
#[utoipa::path(tag = "contacts", params(TenantQuery, ContactFilter), responses((status = 200, body = String, content_type = "text/csv")))]
#[get("/v1/contacts/export")]
pub async fn export_contacts(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    filter: Query<ContactFilter>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let wanted = filter.wanted()?;
    let next = Some((Window::FIRST, true));
    let parts = stream::try_unfold(next, move |next| {
        let (api, actor, wanted) = (api.clone(), actor.clone(), wanted.clone());
        async move {
            let Some((window, is_first)) = next else { return Ok(None) };
            let mut db = api.read(&actor).await?;
            let mut contacts = store::list(&mut db, tenant, &wanted, &window.into()).await?;
            let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
            let is_last = contacts.len() <= limit;
            contacts.truncate(limit);
            let after = contacts.last().filter(|_| !is_last).map(|last| (Window { after: last.id, ..window }, false));
            let contacts = labels::of_all(&mut db, contacts).await?;
            let head = if is_first { sheet::head() } else { String::new() };
            let text = head + &contacts.iter().map(sheet::line).collect::<String>();
            Ok::<_, Problem>(Some((Bytes::from(text), after)))
        }
    });
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header(("Content-Disposition", "attachment; filename=\"contacts.csv\""))
        .streaming(parts.map_err(actix_web::Error::from)))
}

/// Show a contact
#[utoipa::path(tag = "contacts", params(TenantQuery), responses((status = 200, body = Contact), (status = 404, body = Problem)))]
#[get("/v1/contacts/{id}")]
pub async fn show_contact(
    api: Data<Api>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let mut db = api.read(&actor).await?;
    let contact = store::get(&mut *db, tenant, path.into_inner()).await?;
    let contact = contact.ok_or_else(|| Problem::not_found("contact"))?;
    let contact = labels::of(&mut db, contact).await?;
    Ok(change::shown(&contact, contact.version))
}

/// Change a contact
#[utoipa::path(tag = "contacts", params(TenantQuery), request_body = ContactPatch, responses((status = 200, body = Contact), (status = 412, body = Problem)))]
#[patch("/v1/contacts/{id}")]
pub async fn update_contact(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let id = path.into_inner();
    let With { body: patch, labels } = input::patch::<With<ContactPatch>, Contact>(&body)?;
    let work = async |change: &mut _| {
        let contact = update(change, tenant, id, patch, request.if_match).await?;
        let contact = labels::changed(change, contact, labels).await?;
        Outcome::changed(&contact, contact.version)
    };
    request.run(&api, &actor, &body, work).await
}

/// Erase a contact
///
/// The audit log says that it was erased, by whom and when, and not whose it was.
#[utoipa::path(tag = "contacts", params(TenantQuery), responses((status = 204), (status = 404, body = Problem)))]
#[delete("/v1/contacts/{id}")]
pub async fn delete_contact(
    api: Data<Api>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    path: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let id = path.into_inner();
    let work = async |change: &mut _| {
        delete(change, tenant, id, request.if_match).await?;
        Ok(Outcome::deleted())
    };
    request.run(&api, &actor, b"", work).await
}
