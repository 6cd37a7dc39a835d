//! The platform's pages: tenants and clusters.

use actix_web::{
    get, post,
    web::{Data, Path, Query, ServiceConfig},
};
use askama::Template;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Form, Page, Shell, Turned, Visitor, catalogue, confirm::Confirm, done, in_query, ok, service::calls_at,
    sign_in::Sent, wrong,
};
use crate::{
    http::problem::Problem,
    model::{
        error::Error,
        language::Language,
        paging::{PageQuery, Window},
        settings,
    },
    people::onboarding::{self, NewOwner, NewTenancy},
    switch::live::Live,
    telephony::calls,
    tenancy::{
        auth::{
            actor::Actor,
            rules::{Level, Resource},
        },
        clusters::{self, NewCluster},
        switches,
        tenants::{self, Tenant, TenantPatch, TenantStatus, domains, templates},
    },
    text::{Code, DisplayName, Domain, Email},
};

pub fn pages(config: &mut ServiceConfig) {
    config
        .service(tenant_list)
        .service(tenant_new)
        .service(tenant_send)
        .service(suspend_page)
        .service(tenant_suspend)
        .service(tenant_activate)
        .service(cluster_list)
        .service(cluster_send);
}

#[derive(Template)]
#[template(path = "web/tenants.html")]
struct TenantsPage<'a> {
    s: &'a Shell,
    rows: Vec<(Tenant, Vec<domains::store::Shown>)>,
    next: Option<String>,
    search: String,
    wanted: String,
}

impl TenantsPage<'_> {
    /// Whether the list is filtered.
    fn is_search(&self) -> bool {
        !self.search.is_empty() || !self.wanted.is_empty()
    }
}

#[get("/platform/tenants")]
async fn tenant_list(visitor: Visitor, query: Query<PageQuery>) -> Page {
    let actor = visitor.needs(Resource::Platform, Level::Read)?;
    let window = PageQuery { limit: Some(50), cursor: query.cursor.clone() }.window()?;
    let asked = |name: &str| visitor.in_query(name).unwrap_or_default().trim().chars().take(100).collect::<String>();
    let (search, wanted) = (asked("q"), asked("status"));
    let status = match wanted.as_str() {
        "active" => Some(TenantStatus::Active),
        "suspended" => Some(TenantStatus::Suspended),
        _ => None,
    };
    let filter = tenants::store::Filter { status, ..tenants::store::Filter::called(&search) };
    let rows = tenants::store::list(&mut *visitor.api.read(&actor).await?, None, &filter, &window.into()).await?;
    let page = window.page(rows, |tenant| tenant.id);
    let next = page.next_cursor.map(|cursor| {
        format!("/platform/tenants?q={}&status={}&cursor={cursor}", in_query(&search), in_query(&wanted))
    });
    let ids = page.items.iter().map(|tenant| tenant.id).collect::<Vec<_>>();
    let mut former = domains::store::of_all(&mut *visitor.api.read(&actor).await?, &ids).await?;
    let with_former = |tenant: Tenant| {
        let own = former.extract_if(.., |former| former.tenant_id == tenant.id).collect();
        (tenant, own)
    };
    let rows = page.items.into_iter().map(with_former).collect();
    ok(&TenantsPage { s: &visitor.shell.on("tenants"), rows, next, search, wanted })
}

#[derive(Template)]
#[template(path = "web/tenant_new.html")]
struct TenantNewPage<'a> {
    s: &'a Shell,
    form: &'a Form,
    templates: Vec<(String, String)>,
    regions: Vec<(String, String)>,
}

/// A template's title. Those that come with Dialplane are in the visitor's language, unless somebody has given them another.
fn title(s: &Shell, template: &settings::Template) -> String {
    let own = template.title.to_string();
    let key = match template.name.as_str() {
        "default" => "template.default",
        "dental-practice" => "template.dental_practice",
        _ => return own,
    };
    if own == catalogue::text(key, Language::En) { s.t(key).to_owned() } else { own }
}

async fn tenant_form(visitor: &Visitor, actor: &Actor, form: &Form) -> Page {
    let mut db = visitor.api.read(actor).await?;
    let templates = templates::list(&mut *db).await?.into_iter();
    let templates = templates.map(|template| (template.name.to_string(), title(&visitor.shell, &template))).collect();
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
    let form = visitor.form(Form::filled([("template", "default")])).await?;
    tenant_form(&visitor, &actor, &form).await
}

fn read_tenancy(form: &mut Form) -> Option<NewTenancy> {
    let (name, domain) = (form.read::<DisplayName>("name"), form.read::<Domain>("domain"));
    let (first_name, last_name) = (form.read::<DisplayName>("first_name"), form.read::<DisplayName>("last_name"));
    let email = form.read::<Email>("email");
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Some(NewTenancy {
        name: Some(name?),
        domain: domain?,
        reuse: false,
        template: given(form.value("template")),
        region: given(form.value("region")),
        cluster_id: None,
        sandbox: (form.value("sandbox") == "on").then_some(true),
        owner: Some(NewOwner { first_name: first_name?, last_name: last_name?, email: email?, language: None }),
        settings: None,
    })
}

#[post("/platform/tenants/new")]
async fn tenant_send(mut visitor: Visitor, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Platform, Level::Write, &form).await?;
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

async fn set_status(
    visitor: &Visitor,
    actor: &Actor,
    id: Uuid,
    status: TenantStatus,
    if_match: Option<i64>,
) -> Result<(), Error> {
    let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
    let patch = TenantPatch { status: Some(status), ..TenantPatch::default() };
    tenants::update(&mut change, id, patch, if_match).await?;
    change.commit().await.map(|_| ())
}

async fn suspend_question<'a>(visitor: &'a Visitor, actor: &Actor, id: Uuid) -> Result<Confirm<'a>, Turned> {
    let tenant = tenants::store::get(&mut *visitor.api.read(actor).await?, id).await?;
    let tenant = tenant.ok_or_else(|| Problem::not_found("tenant"))?;
    Ok(Confirm {
        s: &visitor.shell,
        title: "tenants.suspend_title",
        what: format!("{} · {}", tenant.name, tenant.domain),
        text: "tenants.suspend_text",
        obstacles: vec![],
        action: format!("/platform/tenants/{id}/suspend"),
        submit: "agents.suspend",
        back: "/platform/tenants".into(),
        version: tenant.version,
        error: None,
        changed: false,
    })
}

#[get("/platform/tenants/{id}/suspend")]
async fn suspend_page(mut visitor: Visitor, id: Path<Uuid>) -> Page {
    let actor = visitor.needs(Resource::Platform, Level::Write)?;
    visitor.shell.active = "tenants";
    suspend_question(&visitor, &actor, *id).await?.ask()
}

#[post("/platform/tenants/{id}/suspend")]
async fn tenant_suspend(mut visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Platform, Level::Write, &form).await?;
    visitor.shell.active = "tenants";
    let suspended = match form.version() {
        Ok(version) => set_status(&visitor, &actor, *id, TenantStatus::Suspended, Some(version)).await,
        Err(error) => Err(error),
    };
    match suspended {
        Ok(()) => Ok(done("/platform/tenants", "tenants.was_suspended")),
        Err(error) => suspend_question(&visitor, &actor, *id).await?.again(error),
    }
}

#[post("/platform/tenants/{id}/activate")]
async fn tenant_activate(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let actor = visitor.sends(Resource::Platform, Level::Write, &Form::of(sent.into_inner())).await?;
    set_status(&visitor, &actor, *id, TenantStatus::Active, None).await?;
    Ok(done("/platform/tenants", "tenants.was_activated"))
}

struct ClusterRow {
    id: Uuid,
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
    status: &'static str,
    last_seen_at: Option<DateTime<Utc>>,
    /// Whether no call is begun there by a click.
    is_out: bool,
    /// How many calls are up, if the switch is heard.
    calls: Option<usize>,
}

#[derive(Template)]
#[template(path = "web/clusters.html")]
struct ClustersPage<'a> {
    s: &'a Shell,
    clusters: Vec<ClusterRow>,
    form: &'a Form,
    /// Whether the form for a new one is open.
    open: bool,
    /// How many call records can't be read.
    unreadable: i64,
}

/// A status's name in the catalogue and the stylesheet.
pub fn called(status: impl serde::Serialize) -> String {
    serde_json::to_value(status).ok().and_then(|value| value.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}

async fn cluster_page(visitor: &Visitor, actor: &Actor, form: &Form) -> Page {
    let mut db = visitor.api.read(actor).await?;
    let mut rows = Vec::new();
    let drained = switches::store::draining(&mut *db).await?;
    let live = visitor.request.app_data::<Data<Live>>().cloned();
    for cluster in clusters::store::list(&mut *db, &clusters::store::Filter::default(), &Window::FIRST.into()).await? {
        let switches = switches::store::of_cluster(&mut *db, cluster.id).await?.into_iter();
        rows.push(ClusterRow {
            id: cluster.id,
            name: cluster.name,
            region: cluster.region,
            websocket_url: cluster.websocket_url,
            tenants: cluster.tenants,
            max_tenants: cluster.max_tenants,
            status: called(cluster.status),
            switches: switches
                .map(|switch| {
                    let status = switch.state(Utc::now()).name();
                    let (is_out, calls) =
                        (drained.contains(&switch.id), live.as_ref().and_then(|live| calls_at(live, switch.id)));
                    SwitchRow {
                        id: switch.id,
                        name: switch.name,
                        status,
                        last_seen_at: switch.last_seen_at,
                        is_out,
                        calls,
                    }
                })
                .collect(),
        });
    }
    let open = form.has_errors() || !form.value("name").is_empty();
    let unreadable = calls::store::count_unreadable(&mut *db).await?;
    let view = ClustersPage { s: &visitor.shell, clusters: rows, form, open, unreadable };
    if form.has_errors() { wrong(&view) } else { ok(&view) }
}

#[get("/platform/clusters")]
async fn cluster_list(mut visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Clusters, Level::Read)?;
    visitor.shell.active = "clusters";
    let form = visitor.form(Form::filled([("max_tenants", "1000")])).await?;
    cluster_page(&visitor, &actor, &form).await
}

#[post("/platform/clusters")]
async fn cluster_send(mut visitor: Visitor, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Clusters, Level::Write, &form).await?;
    visitor.shell.active = "clusters";
    if let Some(new) = read_cluster(&mut form) {
        let mut change = visitor.api.changes.begin(actor.author(&visitor.request)).await?;
        match clusters::create(&mut change, new).await {
            Ok(_) => {
                change.commit().await?;
                return Ok(done("/platform/clusters", "clusters.was_made"));
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
