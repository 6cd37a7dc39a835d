//! The pages: HTML with the same rules as the API, in two languages and two themes. Everything works without JavaScript.

mod account;
mod acting;
mod again;
mod agents;
mod ask;
pub mod assets;
mod assignments;
mod audit;
mod buttons;
mod calls;
pub mod catalogue;
mod confirm;
mod deliveries;
mod fields;
mod form;
mod frame;
mod help;
mod import;
mod kept;
pub mod kept_store;
mod live;
mod map;
mod modules;
mod monitoring;
mod nav;
mod numbers_all;
mod once;
mod overview;
mod phone;
mod phone_sheet;
mod platform;
mod preview;
mod problems;
#[cfg(test)]
mod reach;
mod recordings;
mod records;
mod refused;
mod reports;
mod resource;
mod resources;
mod retention;
mod schema;
mod search;
mod service;
mod sign_in;
mod switches;
mod templates;
mod tester;
mod today;
mod undo;
mod uploads;
mod voicemail;
mod zone;

use std::{borrow::Cow, future::Future, pin::Pin};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite, time::Duration},
    dev::Payload,
    get,
    http::{StatusCode, header},
    web::{self, Data, Path},
};
use askama::Template;
use uuid::Uuid;

use self::{acting::Acting, again::Again};
pub use self::{form::Form, refused::as_pages};
use crate::{
    http::problem::{Problem, Reason},
    model::language::Language,
    telephony::extensions,
    tenancy::{
        Api,
        auth::{
            actor::{Actor, browser_session, looking_session},
            rules::{Level, Resource, Role},
            session,
            store::Live,
        },
    },
    text::{Code, Why},
};

/// No inline script or style, nothing from elsewhere, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; connect-src 'self'; \
    manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const LANGUAGE_COOKIE: &str = "dialplane_language";
const THEME_COOKIE: &str = "dialplane_theme";
const FLASH_COOKIE: &str = "dialplane_flash";
const UNDO_COOKIE: &str = "dialplane_undo";
/// The largest form in bytes, enough for a CSV file of 10,000 lines.
const MAX_FORM: usize = 4 * 1024 * 1024;

/// Adds the pages.
pub fn pages(config: &mut web::ServiceConfig) {
    config
        .app_data(web::FormConfig::default().limit(MAX_FORM))
        .service(assets::serve_asset)
        .service(assets::serve_manifest)
        .service(choose_language)
        .service(choose_theme)
        .service(start)
        .configure(sign_in::pages)
        .configure(account::pages)
        .configure(acting::pages)
        .configure(import::pages)
        .configure(agents::pages)
        .configure(audit::pages)
        .configure(platform::pages)
        .configure(help::pages)
        .configure(recordings::pages)
        .configure(voicemail::pages)
        .configure(records::pages)
        .configure(problems::pages)
        .configure(retention::pages)
        .configure(search::pages)
        .configure(switches::pages)
        .configure(templates::pages)
        .configure(tester::pages)
        .configure(today::pages)
        .configure(undo::pages)
        .configure(map::pages)
        .configure(modules::pages)
        .configure(monitoring::pages)
        .configure(numbers_all::pages)
        .configure(overview::pages)
        .configure(phone::pages)
        .configure(phone_sheet::pages)
        .configure(uploads::pages)
        .configure(assignments::pages)
        .configure(live::pages)
        .configure(buttons::pages)
        .configure(service::pages)
        .configure(calls::pages)
        .configure(reports::pages)
        .configure(deliveries::pages)
        // Last, as their paths with an id fit others' paths, too.
        .configure(resources::pages);
}

/// What every page gets: its visitor, theme and language.
#[derive(Default)]
pub struct Shell {
    pub language: Language,
    pub theme: Option<&'static str>,
    pub me: Option<Live>,
    /// The token by which forms show that they are ours.
    pub csrf: String,
    /// The entry of the navigation that this page belongs to.
    pub active: &'static str,
    /// What was just done, as a catalogue key.
    pub flash: Option<&'static str>,
    /// How that can be undone.
    pub undo: Option<Uuid>,
    /// What the page's form shows again, after its person has signed in.
    pub typed_before: Option<uuid::Uuid>,
    /// The visitor has an extension, and so a phone in the browser.
    pub has_phone: bool,
    /// The tenant that a platform administrator is in.
    pub acting: Option<Acting>,
    /// The database is away, and the page shows only what this node knows without it.
    pub is_away: bool,
    /// The pages above this one, and this one, which has no address.
    pub crumbs: Vec<(String, String)>,
}

/// A link with an icon.
pub struct NavItem {
    pub name: &'static str,
    pub label: &'static str,
    pub href: Cow<'static, str>,
    pub icon: &'static str,
}

impl NavItem {
    #[must_use]
    pub fn new(name: &'static str, label: &'static str, href: &'static str, icon: &'static str) -> Self {
        Self { name, label, href: href.into(), icon }
    }
}

impl Shell {
    #[must_use]
    pub fn t<'a>(&self, key: &'a str) -> &'a str {
        catalogue::text(key, self.language)
    }

    #[must_use]
    pub fn t_of(&self, group: &str, key: &str) -> String {
        catalogue::text(&format!("{group}.{key}"), self.language).to_owned()
    }

    #[must_use]
    pub fn t_with<const N: usize>(&self, key: &str, values: &[(&str, String); N]) -> String {
        let text = catalogue::text(key, self.language).to_owned();
        values.iter().fold(text, |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    #[must_use]
    pub fn why(&self, why: &Why) -> Cow<'static, str> {
        catalogue::why(why, self.language)
    }

    #[must_use]
    pub fn reason(&self, reason: &Reason) -> String {
        catalogue::reason(reason, self.language)
    }

    #[must_use]
    pub fn asset(&self, name: &str) -> &'static str {
        assets::path(name)
    }

    #[must_use]
    pub fn other_language(&self) -> Language {
        if self.language == Language::En { Language::De } else { Language::En }
    }

    /// An icon of the set in `assets/icons.svg`.
    #[must_use]
    pub fn icon(&self, name: &str) -> String {
        format!("<svg class=\"icon\" aria-hidden=\"true\"><use href=\"{}#{name}\"/></svg>", self.asset("icons.svg"))
    }

    /// The visitor, if they have a phone in the browser.
    #[must_use]
    pub fn phone_of(&self) -> Option<Uuid> {
        self.me.as_ref().filter(|_| self.has_phone).map(|me| me.user)
    }

    /// Below another page: where that is, and what this one is called.
    pub fn below(&mut self, label: &str, href: &str, name: String) {
        self.crumbs = vec![(self.t(label).to_owned(), href.to_owned()), (name, String::new())];
    }

    /// With this entry of the navigation active.
    #[must_use]
    pub fn on(mut self, active: &'static str) -> Self {
        self.active = active;
        self
    }
}

/// A request for a page, whether somebody is signed in or not.
pub struct Visitor {
    pub shell: Shell,
    pub request: HttpRequest,
    pub api: Data<Api>,
}

/// Why a page is not shown.
#[derive(Debug)]
pub enum Turned {
    /// Sign in first.
    Away,
    /// A platform administrator chooses a tenant first.
    Elsewhere,
    /// Sign in (again) first; the input is kept.
    Again(Box<Again>),
    /// The same form was sent before: where it led.
    Led(Box<kept::Led>),
    Problem(Box<Problem>),
}

impl<E: Into<Problem>> From<E> for Turned {
    fn from(error: E) -> Self {
        Self::Problem(Box::new(error.into()))
    }
}

pub type Page = Result<HttpResponse, Turned>;

/// A page with a message and a link.
#[derive(Template)]
#[template(path = "web/message.html")]
pub struct Message<'a> {
    pub s: &'a Shell,
    pub title: &'static str,
    pub text: &'a str,
    pub id: Option<String>,
    pub next: Option<(&'a str, &'static str)>,
}

impl FromRequest for Visitor {
    type Error = Turned;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Turned>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let api = request.app_data::<Data<Api>>().cloned().ok_or_else(Problem::unauthorized)?;
            if !matches!(*request.method(), actix_web::http::Method::GET | actix_web::http::Method::HEAD) {
                same_site(&request)?;
            }
            let session = if live::looks(&request) {
                looking_session(&api, &request).await?
            } else {
                browser_session(&api, &request).await?.map(|(live, csrf)| (live, csrf, false))
            };
            let is_away = session.as_ref().is_some_and(|(_, _, is_away)| *is_away);
            let (me, csrf) = session.map_or((None, String::new()), |(live, csrf, _)| (Some(live), csrf));
            let language = language(&request, me.as_ref());
            let flash = request.cookie(FLASH_COOKIE).and_then(|cookie| flash(cookie.value()));
            let undo = request.cookie(UNDO_COOKIE).filter(|_| flash.is_some());
            let undo = undo.and_then(|cookie| cookie.value().parse().ok());
            let acting = acting::acting(&api, &request, me.as_ref()).await?;
            let has_phone = match me.as_ref().and_then(|me| Some((me.tenant?, me.user))) {
                Some((tenant, user)) if !is_away => extensions::store::has_phone(api.pool(), tenant, user).await?,
                _ => false,
            };
            let theme = theme(&request);
            let shell =
                Shell { language, theme, me, csrf, flash, undo, has_phone, acting, is_away, ..Shell::default() };
            Ok(Self { shell, request, api })
        })
    }
}

/// Browsers say where a form comes from. Forms of other sites are refused, even before anybody has signed in.
fn same_site(request: &HttpRequest) -> Result<(), Problem> {
    let headers = request.headers();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // All current browsers send this, and no page can change it.
    if let Some(site) = text("Sec-Fetch-Site") {
        return if matches!(site, "same-origin" | "none") { Ok(()) } else { Err(Problem::cross_site()) };
    }
    let host = host(request).to_owned();
    match text("Origin").map(|origin| origin.split("://").last().unwrap_or_default().to_owned()) {
        Some(origin) if origin != host => Err(Problem::cross_site()),
        _ => Ok(()),
    }
}

fn language(request: &HttpRequest, me: Option<&Live>) -> Language {
    let chosen = request.cookie(LANGUAGE_COOKIE).and_then(|cookie| cookie.value().parse().ok());
    let accepted = || {
        let accepted = request.headers().get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
        accepted.split(',').find_map(|tag| tag.trim().get(..2)?.parse().ok())
    };
    chosen.or_else(|| me.and_then(|me| me.language)).or_else(accepted).unwrap_or_default()
}

fn theme(request: &HttpRequest) -> Option<&'static str> {
    match request.cookie(THEME_COOKIE)?.value() {
        "light" => Some("light"),
        "dark" => Some("dark"),
        _ => None,
    }
}

const FLASHES: [&str; 37] = [
    "agents.was_suspended",
    "agents.was_activated",
    "agents.was_deleted",
    "agents.was_saved",
    "agents.was_invited",
    "agents.gave_back",
    "records.were_read",
    "agents.left_group",
    "clusters.was_made",
    "tenants.was_made",
    "tenants.was_suspended",
    "tenants.was_activated",
    "retention.was_saved",
    "account.password_changed",
    "account.two_factor_disabled",
    "acting.choose",
    "assignments.saved",
    "bulk.done",
    "bulk.none",
    "form.again",
    "numbers.were_added",
    "rates.in_force",
    "numbers.was_assigned",
    "numbers.was_unassigned",
    "thing.was_added",
    "thing.was_deleted",
    "thing.was_saved",
    "form.was_sent_before",
    "reset.done",
    "sign_out.done",
    "switches.was_drained",
    "switches.was_resumed",
    "undo.changed",
    "undo.done",
    "undo.late",
    "verify.done",
    "webhooks.was_replayed",
];

fn flash(value: &str) -> Option<&'static str> {
    FLASHES.iter().find(|key| **key == value).copied()
}

impl Visitor {
    /// Checks that the visitor is signed in and may do this. Returns the page's frame too.
    pub fn needs(&self, resource: Resource, level: Level) -> Result<Actor, Turned> {
        let live = self.shell.me.as_ref().ok_or(Turned::Away)?;
        let mut actor = Actor::of_session(live, resource);
        actor.tenant = actor.tenant.or_else(|| self.shell.acting.as_ref().map(|acting| acting.id));
        if actor.level >= level {
            return Ok(actor);
        }
        Err(Problem::forbidden().into())
    }

    /// The same for a form, which must be ours. A form that was opened in a session that has ended is kept, and one that is sent twice
    /// leads to where it led the first time.
    pub async fn sends(&self, resource: Resource, level: Level, form: &Form) -> Result<Actor, Turned> {
        let again = || Turned::Again(Box::new(Again::of_form(self.request.path(), form)));
        let cookie = self.request.cookie(crate::tenancy::auth::actor::COOKIE);
        let Some(cookie) = cookie.filter(|_| self.shell.me.is_some()) else { return Err(again()) };
        if !session::is_csrf_token(cookie.value(), form.raw("csrf")) {
            let site = self.request.headers().get("Sec-Fetch-Site").and_then(|value| value.to_str().ok());
            // The browser says that the form is ours, so it was opened before this session began.
            return Err(if site == Some("same-origin") { again() } else { Problem::cross_site().into() });
        }
        let actor = self.needs(resource, level)?;
        self.is_first(form).await?;
        Ok(actor)
    }

    /// The visitor's session.
    pub fn session(&self) -> Result<Uuid, Turned> {
        self.shell.me.as_ref().map(|me| me.session).ok_or(Turned::Away)
    }

    /// A tenant's people, on a page of their tenant.
    pub fn in_tenant(actor: &Actor) -> Result<Uuid, Turned> {
        actor.tenant.ok_or_else(|| match actor.role {
            Role::PlatformAdmin => Turned::Elsewhere,
            _ => Problem::from(Code::PageNotFound).into(),
        })
    }
}

/// A rendered page.
pub fn html(status: StatusCode, page: &impl Template) -> Page {
    html_connecting(status, page, None)
}

/// A page whose scripts may also connect to another origin.
fn html_connecting(status: StatusCode, page: &impl Template, origin: Option<&str>) -> Page {
    let body = page.render().map_err(|error| Problem::internal(&error))?;
    let policy = origin.map_or(Cow::Borrowed(POLICY), |origin| {
        POLICY.replace("connect-src 'self'", &format!("connect-src 'self' {origin}")).into()
    });
    Ok(HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header(("Content-Security-Policy", policy.as_ref()))
        .cookie(Cookie::build(FLASH_COOKIE, "").path("/").max_age(Duration::ZERO).finish())
        .cookie(Cookie::build(UNDO_COOKIE, "").path("/").max_age(Duration::ZERO).finish())
        .body(body))
}

pub fn ok(page: &impl Template) -> Page {
    html(StatusCode::OK, page)
}

/// A refused form, with the reason.
pub fn wrong(page: &impl Template) -> Page {
    html(StatusCode::UNPROCESSABLE_ENTITY, page)
}

/// Redirects to another page with GET, so that going back does not send the form again.
#[must_use]
pub fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, path)).finish()
}

/// Redirects to another page, which says what was done.
#[must_use]
pub fn done(path: &str, flash: &'static str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, path)).cookie(flash_cookie(flash)).finish()
}

/// What the next page says, once.
fn flash_cookie(flash: &'static str) -> Cookie<'static> {
    Cookie::build(FLASH_COOKIE, flash).path("/").http_only(true).same_site(SameSite::Lax).finish()
}

#[get("/")]
async fn start(visitor: Visitor) -> HttpResponse {
    see_other(visitor.shell.start())
}

/// The host name that the browser used.
fn host(request: &HttpRequest) -> &str {
    request.headers().get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Text within a URL's query.
pub fn in_query(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// A part of a path, such as an id.
pub fn in_path(text: &str) -> String {
    in_query(text).replace("%2D", "-")
}

/// The page that the visitor came from, if it was one of ours.
fn back(request: &HttpRequest) -> String {
    let referer = request.headers().get(header::REFERER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let host = host(request).to_owned();
    let path = referer.split_once("://").and_then(|(_, rest)| rest.strip_prefix(host.as_str()));
    path.filter(|path| path.starts_with('/') && !path.starts_with("//")).unwrap_or("/").to_owned()
}

#[get("/language/{code}")]
async fn choose_language(request: HttpRequest, code: Path<String>) -> HttpResponse {
    let code = code.parse::<Language>().unwrap_or_default().code();
    kept(&request, LANGUAGE_COOKIE, code)
}

#[get("/theme/{name}")]
async fn choose_theme(request: HttpRequest, name: Path<String>) -> HttpResponse {
    let theme = ["light", "dark"].into_iter().find(|known| *known == name.as_str()).unwrap_or("auto");
    kept(&request, THEME_COOKIE, theme)
}

fn kept(request: &HttpRequest, name: &'static str, value: &'static str) -> HttpResponse {
    let cookie = Cookie::build(name, value).path("/").max_age(Duration::days(365)).same_site(SameSite::Lax);
    HttpResponse::SeeOther().insert_header((header::LOCATION, back(request))).cookie(cookie.finish()).finish()
}
