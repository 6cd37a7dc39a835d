//! One way to make the pages of a subject: a list and a form, from a description of what they show. They ask the API, so that a page can
//! do what its visitor may do by a script, and is refused for the same reasons.
//!
//! - `list` shows, sorts, filters, and exports; `view` is how a visitor left a list.
//! - `form` adds and changes; `act` does what can be done to one thing; `bulk` does it to several.
//! - `choices` finds the things that a form's fields name.
//!
//! A subject is a [`Spec`] in `resources`.

mod act;
mod asked;
mod bulk;
mod cells;
mod choices;
mod form;
mod list;
mod merge;
mod refusal;
mod view;

use actix_web::web::{self, Path, ServiceConfig};
use serde_json::Value;
use uuid::Uuid;

pub use cells::{Cell, csv, dialled, dials, formatted, page_of};

use super::{
    Turned, Visitor,
    ask::{Ask, turned, with},
    schema,
};
use crate::{
    http::problem::Problem,
    tenancy::auth::{
        actor::Actor,
        rules::{Level, Resource},
    },
    text::Code,
};

/// A subject's pages.
#[expect(clippy::struct_excessive_bools, reason = "each is about something else")]
pub struct Spec {
    /// Its name in texts: `things.NAME.title`. Also the entry of the navigation.
    pub name: &'static str,
    /// The address of its list.
    pub base: &'static str,
    pub icon: &'static str,
    pub rights: Resource,
    /// The path of the API's list; `{tenant}` is the visitor's.
    pub api: &'static str,
    /// Whether it belongs to a tenant.
    pub of_tenant: bool,
    /// What the list always asks for.
    pub query: &'static str,
    /// The schema of a new one, and of a change.
    pub new: Option<&'static str>,
    pub patch: Option<&'static str>,
    /// For a destination: its kind, and the schema of its configuration.
    pub kind: Option<(&'static str, &'static str)>,
    /// The fields that name one, and the field that identifies it.
    pub title: &'static [&'static str],
    pub id: &'static str,
    /// Whether the API shows one only within the list.
    pub in_list: bool,
    /// Whether the list and the form for a new one are pages of their own.
    pub has_own_list: bool,
    /// Whether only the list is made here, and what leads on from it are pages of their own.
    pub only_list: bool,
    /// Whether there is only one: its list's address is its form.
    pub is_single: bool,
    /// Whether it is whose who asks, so that a platform administrator in a tenant would get the platform's.
    pub is_callers: bool,
    pub columns: &'static [Column],
    pub filters: &'static [Filter],
    /// The API's parameter for a search; without it, pages search in what they read.
    pub search: Option<&'static str>,
    pub parts: &'static [Part],
    pub labels: &'static [(&'static str, &'static str)],
    pub hints: &'static [(&'static str, &'static str)],
    /// What a new one has before anybody types, as JSON.
    pub preset: &'static str,
    /// Fields of the answer that are shown once.
    pub once: &'static [&'static str],
    pub acts: &'static [Act],
    pub bulks: &'static [Bulk],
    /// What a row's menu does at once, on pages of their own.
    pub steps: &'static [Step],
    /// Further pages of one: the last part of the address, text, icon.
    pub further: &'static [(&'static str, &'static str, &'static str)],
    pub deletes: bool,
    /// What deleting says in the query, and what the page says of it.
    pub delete_query: &'static str,
    pub delete_text: &'static str,
    /// Further links above the list: address, text, icon.
    pub links: &'static [(&'static str, &'static str, &'static str)],
    /// The field with what a telephone dials to reach it.
    pub dials: &'static str,
}

impl Spec {
    pub const EMPTY: Self = Self {
        name: "",
        base: "",
        icon: "circle",
        rights: Resource::Platform,
        api: "",
        of_tenant: true,
        query: "",
        new: None,
        patch: None,
        kind: None,
        title: &["name"],
        id: "id",
        in_list: false,
        has_own_list: false,
        only_list: false,
        is_single: false,
        is_callers: false,
        columns: &[],
        filters: &[],
        search: None,
        parts: &[],
        labels: &[],
        hints: &[],
        preset: "{}",
        once: &[],
        acts: &[],
        bulks: &[],
        steps: &[],
        further: &[],
        deletes: true,
        delete_query: "",
        delete_text: "thing.delete_text",
        links: &[],
        dials: "",
    };
}

impl Spec {
    /// The page that lists it.
    #[must_use]
    pub fn home(&self) -> &'static str {
        if self.name == "switches" { "/platform/clusters" } else { self.base }
    }

    /// The entry of the navigation that its pages belong to.
    #[must_use]
    pub fn entry(&self) -> &'static str {
        match self.name {
            "switches" => "clusters",
            "reserved-numbers" => "pools",
            "call-backs" => "queues",
            "usage-limits" => "reports",
            name => name,
        }
    }
}

/// A column of a list.
pub struct Column {
    pub path: &'static str,
    pub cell: Cell,
    /// Whether it is there before anybody chose.
    pub shown: bool,
}

impl Column {
    fn is_title(&self) -> bool {
        matches!(self.cell, Cell::Title | Cell::Person)
    }
}

#[must_use]
pub const fn col(path: &'static str, cell: Cell) -> Column {
    Column { path, cell, shown: true }
}

/// A column that is shown to those who choose it.
#[must_use]
pub const fn more(path: &'static str, cell: Cell) -> Column {
    Column { path, cell, shown: false }
}

/// A choice above a list.
pub struct Filter {
    /// The API's parameter if `asked`, else the field.
    pub name: &'static str,
    pub asked: bool,
    /// The words of its values: a group of the catalogue.
    pub words: &'static str,
    pub values: &'static [&'static str],
}

/// Fields of a form that belong together.
pub struct Part {
    /// A key of the catalogue; without it, the part has no heading.
    pub heading: &'static str,
    pub fields: &'static [&'static str],
    /// Whether it is closed at first.
    pub closed: bool,
}

/// What can be done to one thing, besides changing and deleting it.
pub struct Act {
    /// The last part of its path, here and in the API (`path` there, if that differs).
    pub name: &'static str,
    pub path: &'static str,
    pub label: &'static str,
    pub text: &'static str,
    pub icon: &'static str,
    /// The schema of what it asks for.
    pub asks: Option<&'static str>,
    pub preset: &'static str,
    pub once: &'static [&'static str],
    /// Fields of the answer that are the result, and no secret.
    pub told: &'static [&'static str],
    /// Whether the thing's version is not that of what this changes.
    pub is_apart: bool,
    /// Whether it can be done to this one.
    pub when: fn(&Value) -> bool,
    pub done: &'static str,
    pub method: &'static str,
}

impl Act {
    pub const EMPTY: Self = Self {
        name: "",
        path: "",
        label: "",
        text: "",
        icon: "circle",
        asks: None,
        preset: "{}",
        once: &[],
        told: &[],
        is_apart: false,
        when: |_| true,
        done: "thing.was_saved",
        method: "POST",
    };
}

/// What a row's menu does at once: a form that is sent to the last part of the thing's address.
pub struct Step {
    pub name: &'static str,
    pub label: &'static str,
    pub icon: &'static str,
    /// Whether it can be done to this one.
    pub when: fn(&Value) -> bool,
}

/// What can be done to several at once.
pub struct Bulk {
    pub name: &'static str,
    pub label: &'static str,
    pub icon: &'static str,
    pub does: Does,
}

pub enum Does {
    Delete,
    /// Changes fields: JSON.
    Patch(&'static str),
    Post(&'static str),
}

/// The pages of a subject.
pub fn pages(config: &mut ServiceConfig, spec: &'static Spec) {
    let at = |rest: &str| format!("{}{rest}", spec.base);
    if spec.is_single {
        config
            .route(spec.base, web::get().to(move |visitor: Visitor| form::show_single(visitor, spec)))
            .route(spec.base, web::post().to(move |visitor, sent| form::save_single(visitor, sent, spec)));
        return;
    }
    if !spec.has_own_list {
        config
            .route(spec.base, web::get().to(move |visitor: Visitor| list::page(visitor, spec)))
            .route(&at("/export.csv"), web::get().to(move |visitor: Visitor| list::export(visitor, spec)))
            .route(&at("/bulk"), web::post().to(move |visitor, sent| bulk::send(visitor, sent, spec)));
    }
    config.route(&at("/{id}/look"), web::get().to(move |visitor, id: Path<String>| list::look(visitor, id, spec)));
    if spec.only_list {
        return;
    }
    if spec.new.is_some() && !spec.has_own_list {
        config
            .route(&at("/new"), web::get().to(move |visitor: Visitor| form::new_page(visitor, spec)))
            .route(&at("/new"), web::post().to(move |visitor, sent| form::create(visitor, sent, spec)));
    }
    config.route(&at("/{id}"), web::get().to(move |visitor, id: Path<String>| form::show(visitor, id, spec)));
    if spec.patch.is_some() {
        config.route(&at("/{id}"), web::post().to(move |visitor, id, sent| form::save(visitor, id, sent, spec)));
    }
    if spec.deletes {
        config
            .route(&at("/{id}/delete"), web::get().to(move |visitor, id| act::ask_delete(visitor, id, spec)))
            .route(&at("/{id}/delete"), web::post().to(move |visitor, id, sent| act::delete(visitor, id, sent, spec)));
    }
    for act in spec.acts {
        let path = at(&format!("/{{id}}/{}", act.name));
        config
            .route(&path, web::get().to(move |visitor, id| act::ask(visitor, id, spec, act)))
            .route(&path, web::post().to(move |visitor, id, sent| act::send(visitor, id, sent, spec, act)));
    }
}

/// The paths of all subjects' pages with a method.
#[cfg(test)]
pub fn routes(method: &str) -> Vec<String> {
    let mut found = Vec::new();
    for spec in super::resources::ALL {
        let mut add = |rest: &str, methods: &[&str]| {
            if methods.contains(&method) {
                found.push(format!("{}{rest}", spec.base));
            }
        };
        if spec.is_single {
            add("", &["get", "post"]);
            continue;
        }
        if !spec.has_own_list {
            add("", &["get"]);
            add("/export.csv", &["get"]);
            add("/bulk", &["post"]);
        }
        add("/{id}/look", &["get"]);
        if spec.only_list {
            continue;
        }
        if spec.new.is_some() && !spec.has_own_list {
            add("/new", &["get", "post"]);
        }
        add("/{id}", if spec.patch.is_some() { &["get", "post"] } else { &["get"] });
        if spec.deletes {
            add("/{id}/delete", &["get", "post"]);
        }
        for act in spec.acts {
            add(&format!("/{{id}}/{}", act.name), &["get", "post"]);
        }
    }
    found
}

/// A visitor at a subject's page.
pub struct At {
    pub visitor: Visitor,
    pub actor: Actor,
    pub tenant: Option<Uuid>,
    pub spec: &'static Spec,
}

impl At {
    /// Who may see the subject at all, or change it.
    fn new(mut visitor: Visitor, spec: &'static Spec, level: Level) -> Result<Self, Turned> {
        let actor = visitor.needs(spec.rights, level)?;
        if spec.is_callers && visitor.shell.acting.is_some() {
            return Err(Problem::from(Code::PageNotFound).into());
        }
        let tenant = if spec.of_tenant { Some(Visitor::in_tenant(&actor)?) } else { None };
        visitor.shell.active = spec.entry();
        let title = visitor.shell.t_of("things", &format!("{}.title", spec.name));
        visitor.shell.crumbs = vec![(title, spec.home().to_owned())];
        Ok(Self { visitor, actor, tenant, spec })
    }

    pub fn may_write(&self) -> bool {
        self.actor.level >= Level::Write
    }

    /// A text of the subject.
    pub fn t(&self, key: &str) -> String {
        self.visitor.shell.t_of("things", &format!("{}.{key}", self.spec.name))
    }

    /// The API's path of the list, without what the list always asks for.
    fn path(&self) -> String {
        let Some(tenant) = self.tenant else { return self.spec.api.to_owned() };
        if self.spec.api.contains("{tenant}") {
            return self.spec.api.replace("{tenant}", &tenant.to_string());
        }
        self.spec.api.to_owned()
    }

    /// The platform names the tenant where the path doesn't.
    fn named(&self, path: String) -> String {
        match self.tenant {
            Some(tenant) if self.visitor.shell.acting.is_some() && !self.spec.api.contains("{tenant}") => {
                with(&path, "tenant_id", &tenant.to_string())
            }
            _ => path,
        }
    }

    fn list_path(&self) -> String {
        let path = self.named(self.path());
        if self.spec.query.is_empty() {
            return path;
        }
        format!("{path}{}{}", if path.contains('?') { '&' } else { '?' }, self.spec.query)
    }

    fn one_path(&self, id: &str, rest: &str) -> String {
        self.named(format!("{}/{}{rest}", self.path(), super::in_path(id)))
    }

    async fn one(&self, id: &str) -> Result<Value, Turned> {
        if self.spec.in_list {
            let all = self.visitor.all_of(&self.list_path()).await.map_err(turned)?.items;
            let one = all.into_iter().find(|thing| id_of(self.spec, thing) == id);
            return one.ok_or_else(|| Problem::not_found("thing").into());
        }
        let path = if self.spec.is_single { self.named(self.path()) } else { self.one_path(id, "") };
        let answer = self.visitor.ask(Ask::get(path)).await.map_err(turned)?;
        let mut found = answer.body;
        if let (Some(version), Value::Object(fields)) = (answer.version, &mut found) {
            fields.entry("version").or_insert_with(|| version.into());
        }
        // A queue is no menu, whatever the address says.
        let fits = self.spec.kind.is_none_or(|(kind, _)| found["kind"] == kind);
        if fits { Ok(found) } else { Err(Problem::not_found("destination").into()) }
    }

    pub fn title(&self, thing: &Value) -> String {
        title(self.spec, thing)
    }
}

/// What a thing is called.
#[must_use]
pub fn title(spec: &Spec, thing: &Value) -> String {
    let parts = spec.title.iter().map(|path| match schema::at(thing, path) {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    });
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The version of a thing.
fn version(thing: &Value) -> Option<i64> {
    thing["version"].as_i64()
}

/// What identifies a thing, as text.
fn id_of(spec: &Spec, thing: &Value) -> String {
    match schema::at(thing, spec.id) {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub type Sending = web::Form<Vec<(String, String)>>;

/// Whether a form is ours, and its sender may do this.
async fn sent(visitor: Visitor, form: &schema::Sent, spec: &'static Spec) -> Result<At, Turned> {
    visitor.sends(spec.rights, Level::Write, &super::Form::of_sent(&form.0)).await?;
    At::new(visitor, spec, Level::Write)
}
