//! The platform's pages: tenants and clusters.

use actix_web::{
    get, post,
    web::{Path, Query, ServiceConfig},
};
use askama::Template;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Form, Page, Shell, Turned, Visitor, done, ok, sign_in::Sent, wrong};
use crate::{
    model::{
        error::Error,
        paging::{PageQuery, Window},
    },
    people::onboarding::{self, NewOwner, NewTenancy},
    tenancy::{
        auth::{
            actor::Actor,
            rules::{Level, Resource},
        },
        clusters::{self, NewCluster},
        switches,
        tenants::{self, Tenant, TenantPatch, TenantStatus, templates},
    },
    text::{Code, DisplayName, Domain, Email},
};

pub fn pages(config: &mut ServiceConfig) {
    config
        .service(tenant_list)
        .service(tenant_new)
        .service(tenant_send)
        .service(tenant_suspend)
        .service(tenant_activate)
        .service(cluster_list)
        .service(cluster_send);
}

#[derive(Template)]
#[template(path = "web/tenants.html")]
struct TenantsPage<'a> {
    s: &'a Shell,
    rows: Vec<Tenant>,
    next: Option<String>,
}

#[get("/platform/tenants")]
async fn tenant_list(visitor: Visitor, query: Query<PageQuery>) -> Page {
    let actor = visitor.needs(Resource::Platform, Level::Read)?;
    let window = PageQuery { limit: Some(50), cursor: query.cursor.clone() }.window()?;
    let rows = tenants::store::list(&mut *visitor.api.read(&actor).await?, None, window).await?;
    let page = window.page(rows, |tenant| tenant.id);
    let next = page.next_cursor.map(|cursor| format!("/platform/tenants?cursor={cursor}"));
    ok(&TenantsPage { s: &visitor.shell.on("tenants"), rows: page.items, next })
}

#[derive(Template)]
#[template(path = "web/tenant_new.html")]
struct TenantNewPage<'a> {
    s: &'a Shell,
    form: &'a Form,
    templates: Vec<(String, String)>,
    regions: Vec<(String, String)>,
}

async fn tenant_form(visitor: &Visitor, actor: &Actor, form: &Form) -> Page {
    let mut db = visitor.api.read(actor).await?;
    let templates = templates::list(&mut *db).await?.into_iter();
    let templates = templates.map(|template| (template.name.to_string(), template.title.to_string())).collect();
    let any = (String::new(), visitor.shell.t("tenants.any_region").to_owned());
    let regions = clusters::store::regions(&mut *db).await?.into_iter().map(|region| (region.clone(), region));
    let regions = std::iter::once(any).chain(regions).collect();
    let view = TenantNewPage { s: &visitor.shell, form, templates, regions };
    if form.has_errors() { wrong(&view) } else { ok(&view) }
}

#[get("/platform/tenants/new")]
async fn tenant_new(mut visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Platform, Level::Write)?;
    visitor.shell.active = "tenants";
    tenant_form(&visitor, &actor, &Form::filled([("template", "default")])).await
}

fn read_tenancy(form: &mut Form) -> Option<NewTenancy> {
    let (name, domain) = (form.read::<DisplayName>("name"), form.read::<Domain>("domain"));
    let (first_name, last_name) = (form.read::<DisplayName>("first_name"), form.read::<DisplayName>("last_name"));
    let email = form.read::<Email>("email");
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Some(NewTenancy {
        name: Some(name?),
        domain: domain?,
        template: given(form.value("template")),
        region: given(form.value("region")),
        owner: Some(NewOwner { first_name: first_name?, last_name: last_name?, email: email?, language: None }),
        settings: None,
    })
}

#[post("/platform/tenants/new")]
async fn tenant_send(mut visitor: Visitor, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Platform, Level::Write, &form)?;
    visitor.shell.active = "tenants";
    if let Some(new) = read_tenancy(&mut form) {
        let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
        match onboarding::create(&visitor.api.auth.public_url, &mut change, new, None).await {
            Ok(_) => {
                change.commit().await?;
                return Ok(done("/platform/tenants", "tenants.was_made"));
            }
            Err(error @ (Error::Sql(_) | Error::Keyring(_))) => return Err(error.into()),
            Err(error) => form.refuse(error),
        }
    }
    tenant_form(&visitor, &actor, &form).await
}

async fn set_status(visitor: &Visitor, id: Uuid, form: &Form, status: TenantStatus) -> Page {
    let actor = visitor.sends(Resource::Platform, Level::Write, form)?;
    let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
    let patch = TenantPatch { status: Some(status), ..TenantPatch::default() };
    tenants::update(&mut change, id, patch, None).await?;
    change.commit().await?;
    let flash = if status == TenantStatus::Suspended { "agents.was_suspended" } else { "agents.was_activated" };
    Ok(done("/platform/tenants", flash))
}

#[post("/platform/tenants/{id}/suspend")]
async fn tenant_suspend(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    set_status(&visitor, *id, &Form::of(sent.into_inner()), TenantStatus::Suspended).await
}

#[post("/platform/tenants/{id}/activate")]
async fn tenant_activate(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    set_status(&visitor, *id, &Form::of(sent.into_inner()), TenantStatus::Active).await
}

struct ClusterRow {
    name: String,
    region: String,
    websocket_url: Option<String>,
    tenants: i64,
    max_tenants: i32,
    status: String,
    switches: Vec<SwitchRow>,
}

struct SwitchRow {
    id: Uuid,
    name: String,
    status: String,
    last_seen_at: Option<DateTime<Utc>>,
}

#[derive(Template)]
#[template(path = "web/clusters.html")]
struct ClustersPage<'a> {
    s: &'a Shell,
    clusters: Vec<ClusterRow>,
    form: &'a Form,
}

/// How a status is called in the catalogue and the stylesheet.
pub fn called(status: impl serde::Serialize) -> String {
    serde_json::to_value(status).ok().and_then(|value| value.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}

async fn cluster_page(visitor: &Visitor, actor: &Actor, form: &Form) -> Page {
    let mut db = visitor.api.read(actor).await?;
    let mut rows = Vec::new();
    for cluster in clusters::store::list(&mut *db, Window::FIRST).await? {
        let switches = switches::store::of_cluster(&mut *db, cluster.id).await?.into_iter();
        rows.push(ClusterRow {
            name: cluster.name,
            region: cluster.region,
            websocket_url: cluster.websocket_url,
            tenants: cluster.tenants,
            max_tenants: cluster.max_tenants,
            status: called(cluster.status),
            switches: switches
                .map(|(id, name, status, last_seen_at)| SwitchRow { id, name, status: called(status), last_seen_at })
                .collect(),
        });
    }
    let view = ClustersPage { s: &visitor.shell, clusters: rows, form };
    if form.has_errors() { wrong(&view) } else { ok(&view) }
}

#[get("/platform/clusters")]
async fn cluster_list(mut visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Clusters, Level::Read)?;
    visitor.shell.active = "clusters";
    cluster_page(&visitor, &actor, &Form::filled([("max_tenants", "1000")])).await
}

#[post("/platform/clusters")]
async fn cluster_send(mut visitor: Visitor, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Clusters, Level::Write, &form)?;
    visitor.shell.active = "clusters";
    if let Some(new) = read_cluster(&mut form) {
        let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
        match clusters::create(&mut change, new).await {
            Ok(_) => {
                change.commit().await?;
                return Ok(done("/platform/clusters", "agents.was_saved"));
            }
            Err(error @ (Error::Sql(_) | Error::Keyring(_))) => return Err(Turned::from(error)),
            Err(error) => form.refuse(error),
        }
    }
    cluster_page(&visitor, &actor, &form).await
}

fn read_cluster(form: &mut Form) -> Option<NewCluster> {
    let (name, region) = (form.read::<DisplayName>("name"), form.read::<DisplayName>("region"));
    let Ok(max_tenants) = form.value("max_tenants").parse() else {
        form.wrong("max_tenants", Code::NotANumber);
        return None;
    };
    let websocket_url = Some(form.value("websocket_url").to_owned()).filter(|url| !url.is_empty());
    Some(NewCluster {
        name: name?,
        region: region?,
        websocket_url,
        sip_domains: vec![],
        accepts_calls_from: clusters::AcceptsCallsFrom::default(),
        ice_servers: vec![],
        max_tenants,
    })
}
