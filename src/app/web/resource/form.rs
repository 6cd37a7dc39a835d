//! The form that adds a thing or changes it. It keeps what was typed, names the field that is wrong, and carries the version.

use std::{cell::RefCell, collections::BTreeMap};

use actix_web::{
    http::{Method, StatusCode},
    web::Path,
};
use askama::Template;
use chrono::Utc;
use serde_json::{Map, Value, json};

use super::{
    At, Sending, Spec,
    asked::{Asked, first_of, rows},
    choices, formatted, id_of,
    merge::{deep, is_same_draft, merged},
    refusal::Refused,
    version,
};
use crate::{
    app::web::{
        Form, NavItem, Page, Shell, Turned, Visitor,
        ask::{Ask, turned},
        audit, catalogue, done,
        fields::Drawing,
        html, in_path,
        kept::{Inverse, Kept, keep_apart},
        schema::{Kind, Sent, at as value_at, put},
        see_other,
        undo::{done_undoable, inverse},
    },
    tenancy::{audit::store as audit_store, auth::rules::Level, switches},
};

/// Fields that stand together, drawn.
pub struct Drawn {
    pub heading: String,
    pub fields: Vec<String>,
    pub closed: bool,
}

/// A wrong field, for the list above the form.
pub struct Wrong {
    pub at: String,
    pub label: String,
    pub why: String,
}

/// A list to complete from what somebody types.
pub struct DataList {
    pub id: String,
    pub labels: Vec<String>,
}

#[derive(Template)]
#[template(path = "web/thing.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is what the page shows or not")]
pub struct ThingPage<'a> {
    pub s: &'a Shell,
    pub title: String,
    pub intro: String,
    pub action: String,
    pub submit: String,
    pub back: &'a str,
    pub parts: Vec<Drawn>,
    pub lists: Vec<DataList>,
    pub whole: Option<String>,
    pub wrongs: Vec<Wrong>,
    pub version: Option<i64>,
    pub was: String,
    pub meanwhile: bool,
    /// Whether it has changed since this question was asked.
    pub changed: bool,
    pub acts: Vec<NavItem>,
    /// The links by which it is called, and the numbers.
    pub dials: Vec<(String, String)>,
    pub state: Option<String>,
    /// Whether it is a tenant that is there for tests.
    pub sandbox: bool,
    pub once: Vec<(String, String)>,
    pub told: Vec<(String, String)>,
    /// What is shown to those who can't change it.
    pub facts: Vec<(String, String)>,
    pub can_write: bool,
    pub danger: bool,
}

/// What a form is shown with.
pub struct Showing<'a> {
    pub asked: &'a Asked,
    pub draft: &'a Value,
    pub refused: Refused,
    pub others: BTreeMap<String, String>,
    /// Whether somebody else has saved since the form was opened.
    pub meanwhile: bool,
    pub focus: Option<String>,
    /// The form that is drawn anew, without having been saved: it stays as old as it is.
    pub opened: Option<&'a Sent>,
}

impl<'a> Showing<'a> {
    pub fn plain(asked: &'a Asked, draft: &'a Value) -> Self {
        let refused = Refused::default();
        Self { asked, draft, refused, others: BTreeMap::new(), meanwhile: false, focus: None, opened: None }
    }

    /// Draws the form's fields, and what is wrong with them.
    pub async fn draw(self, at: &At, page: &mut ThingPage<'_>) -> Result<(), Turned> {
        let s = &at.visitor.shell;
        let choices = self.asked.choices(at, self.draft).await?;
        let drawing = Drawing {
            s,
            draft: self.draft,
            errors: &self.refused.fields,
            others: &self.others,
            choices: &choices,
            labels: at.spec.labels,
            hints: at.spec.hints,
            focus: self.focus,
            shown: RefCell::default(),
        };
        for (heading, paths, closed) in &self.asked.parts {
            let fields =
                paths.iter().filter_map(|path| Some(drawing.field(path, Kind::of_path(&self.asked.fields, path)?)));
            let fields = fields.collect::<Vec<_>>();
            if !fields.is_empty() {
                let wrong = fields.iter().any(|field| field.contains("class=\"error\""));
                let heading =
                    if heading.is_empty() { String::new() } else { catalogue::text(heading, s.language).to_owned() };
                page.parts.push(Drawn { heading, fields, closed: *closed && !wrong });
            }
        }
        page.wrongs = (self.refused.fields.iter())
            .map(|(path, why)| Wrong { at: path.clone(), label: drawing.label(path), why: s.why(why).into_owned() })
            .collect();
        page.whole = self.refused.whole.map(|reason| s.reason(&reason));
        page.lists = choices
            .iter()
            .filter(|(_, choices)| choices.items.len() > 100)
            .map(|(what, choices)| DataList {
                id: format!("list-{what}"),
                labels: choices.items.iter().map(|(_, label, _)| label.clone()).collect(),
            })
            .collect();
        Ok(())
    }
}

impl<'a> ThingPage<'a> {
    pub fn new(at: &'a At) -> Self {
        Self {
            s: &at.visitor.shell,
            title: String::new(),
            intro: String::new(),
            action: String::new(),
            submit: at.visitor.shell.t("form.save").to_owned(),
            back: at.spec.home(),
            parts: Vec::new(),
            lists: Vec::new(),
            whole: None,
            wrongs: Vec::new(),
            version: None,
            was: String::new(),
            meanwhile: false,
            changed: false,
            acts: Vec::new(),
            dials: Vec::new(),
            state: None,
            sandbox: false,
            once: Vec::new(),
            told: Vec::new(),
            facts: Vec::new(),
            can_write: true,
            danger: false,
        }
    }
}

fn preset(spec: &Spec) -> Value {
    // A test reads every preset.
    serde_json::from_str(spec.preset).unwrap_or_default()
}

async fn new_form(at: &At, showing: Showing<'_>, status: StatusCode) -> Page {
    let mut page = ThingPage::new(at);
    page.title = at.t("add");
    page.intro = at.t("intro");
    page.submit = at.t("add");
    page.action = format!("{}/new", at.spec.base);
    showing.draw(at, &mut page).await?;
    html(status, &page)
}

/// What was typed before the session had ended.
pub async fn typed_before(at: &mut At) -> Result<Option<Sent>, Turned> {
    Ok(at.visitor.typed().await?.map(Sent))
}

pub async fn new_page(visitor: Visitor, spec: &'static Spec) -> Page {
    let mut at = At::new(visitor, spec, Level::Write)?;
    let asked = Asked::of(spec, true);
    let mut draft = asked.draft(&preset(spec));
    if let Some(typed) = typed_before(&mut at).await? {
        draft = asked.typed(draft, &typed);
    } else {
        // A link may have chosen something already.
        let query = actix_web::web::Query::<Vec<(String, String)>>::from_query(at.visitor.request.query_string());
        for (name, value) in query.map(actix_web::web::Query::into_inner).unwrap_or_default() {
            if asked.fields.iter().any(|field| field.name == name) {
                draft[name] = json!(value);
            }
        }
    }
    at.visitor.shell.crumbs.push((at.t("add"), String::new()));
    new_form(&at, Showing::plain(&asked, &draft), StatusCode::OK).await
}

pub async fn create(visitor: Visitor, sending: Sending, spec: &'static Spec) -> Page {
    let sent = Sent(sending.into_inner());
    let mut at = super::sent(visitor, &sent, spec).await?;
    at.visitor.shell.crumbs.push((at.t("add"), String::new()));
    let (asked, preset) = (Asked::of(spec, true), preset(spec));
    let mut draft = asked.typed(asked.draft(&preset), &sent);
    if sent.has("_do") {
        let focus = rows(&mut draft, sent.raw("_do")).map(|row| first_of(&asked, &row));
        return new_form(&at, Showing { focus, ..Showing::plain(&asked, &draft) }, StatusCode::OK).await;
    }
    let choices = asked.choices(&at, &draft).await?;
    let found = choices::found(&at, &choices, &asked.mentioned(&draft)).await?;
    let mut body = asked.body(&draft, &found, None, &preset);
    if let Some((kind, _)) = spec.kind {
        body["kind"] = json!(kind);
        if !body["config"].is_object() {
            body["config"] = json!({});
        }
    }
    let ask = Ask::new(Method::POST, at.named(at.path())).json(&body);
    match at.visitor.ask(ask).await {
        Ok(answer) => {
            let id = in_path(&id_of(spec, &answer.body));
            let to = if spec.patch.is_some() { format!("{}/{id}", spec.base) } else { spec.base.to_owned() };
            match once(&at, spec.once, &answer.body).await? {
                Some(shown) => Ok(see_other(&format!("{to}?shown={shown}"))),
                None => Ok(done(&to, "thing.was_added")),
            }
        }
        Err(problem) => {
            let refused = Refused::of(&problem, &asked.fields, &draft);
            if !refused.is_some() {
                return Err(turned(problem));
            }
            new_form(&at, Showing { refused, ..Showing::plain(&asked, &draft) }, StatusCode::UNPROCESSABLE_ENTITY).await
        }
    }
}

/// The result of something, in words.
pub fn told(at: &At, fields: &[&str], answer: &Value) -> Vec<(String, String)> {
    let s = &at.visitor.shell;
    let values = fields.iter().filter_map(|field| {
        let text = match value_at(answer, field) {
            Value::Null => return None,
            Value::Bool(flag) => s.t(if *flag { "audit.yes" } else { "audit.no" }).to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some((s.t_of("field", field.rsplit('.').next().unwrap_or(field)), text))
    });
    values.collect()
}

/// Keeps what is shown once, for the page that shows it.
pub async fn once(at: &At, fields: &[&str], answer: &Value) -> Result<Option<uuid::Uuid>, Turned> {
    let values = fields.iter().filter_map(|field| {
        let text = value_at(answer, field).as_str()?.to_owned();
        let name = field.rsplit('.').next().unwrap_or(field);
        Some((at.visitor.shell.t_of("field", name), text))
    });
    let values = values.collect::<Vec<_>>();
    if values.is_empty() {
        return Ok(None);
    }
    let session = at.visitor.session()?;
    Ok(Some(keep_apart(&at.visitor.api, session, &Kept::Shown(values)).await?))
}

fn acts(at: &At, thing: &Value) -> Vec<NavItem> {
    let base = format!("{}/{}", at.spec.base, in_path(&id_of(at.spec, thing)));
    let acts = at.spec.acts.iter().filter(|act| at.may_write() && (act.when)(thing));
    let mut acts = acts
        .map(|act| NavItem {
            name: act.name,
            label: act.label,
            href: format!("{base}/{}", act.name).into(),
            icon: act.icon,
        })
        .collect::<Vec<_>>();
    let further = at.spec.further.iter();
    acts.extend(further.map(|(name, label, icon)| NavItem {
        name,
        label,
        href: format!("{base}/{name}").into(),
        icon,
    }));
    if at.spec.deletes && at.may_write() {
        acts.push(NavItem {
            name: "delete",
            label: "agents.delete",
            href: format!("{base}/delete").into(),
            icon: "trash-2",
        });
    }
    acts
}

async fn one_form(at: &At, thing: &Value, showing: Showing<'_>, status: StatusCode) -> Page {
    let mut page = ThingPage::new(at);
    page.title = formatted(&at.title(thing));
    if at.spec.is_single {
        (page.title, page.intro, page.action) = (at.t("title"), at.t("intro"), at.spec.base.to_owned());
    } else {
        page.action = format!("{}/{}", at.spec.base, in_path(&id_of(at.spec, thing)));
    }
    page.version = version(thing);
    page.state = match at.spec.name {
        // What it does counts as well.
        "switches" => state_of_switch(at, thing).await?,
        _ => thing["status"].as_str().map(ToOwned::to_owned),
    };
    page.sandbox = thing["sandbox"] == true;
    page.can_write = at.may_write() && at.spec.patch.is_some();
    let shown = at.visitor.in_query("shown").and_then(|id| id.parse().ok());
    match at.visitor.kept(shown).await? {
        Some(Kept::Shown(values)) => page.once = values,
        Some(Kept::Told(values)) => page.told = values,
        _ => {}
    }
    page.acts = acts(at, thing);
    page.dials = super::dials(value_at(thing, at.spec.dials));
    if page.can_write {
        let theirs = showing.asked.draft(thing);
        let shown = showing.asked.paths().map(|(path, _)| (path.to_owned(), value_at(&theirs, path).clone()));
        page.was = Value::Object(shown.collect::<Map<_, _>>()).to_string();
        if let Some(sent) = showing.opened {
            page.version = sent.raw("version").trim().parse().ok().or(page.version);
            page.was = Some(sent.raw("was")).filter(|was| !was.is_empty()).map_or(page.was, ToOwned::to_owned);
        }
        page.meanwhile = showing.meanwhile;
        showing.draw(at, &mut page).await?;
    } else {
        let ids = audit::mentioned(thing).into_iter().collect::<Vec<_>>();
        let tenants = at.tenant.into_iter().collect::<Vec<_>>();
        let names = audit_store::names(&mut *at.visitor.api.read(&at.actor).await?, &tenants, &ids).await?;
        page.facts = audit::facts(&at.visitor.shell, thing, &names.into_iter().collect());
    }
    html(status, &page)
}

async fn state_of_switch(at: &At, thing: &Value) -> Result<Option<String>, Turned> {
    let Ok(id) = id_of(at.spec, thing).parse() else { return Ok(None) };
    let mut db = at.visitor.api.read(&at.actor).await?;
    let Some(switch) = switches::store::get(&mut *db, id).await? else { return Ok(None) };
    let seen = switches::store::sighting(&mut *db, id).await?;
    Ok(Some(switch.state(seen, Utc::now()).name().to_owned()))
}

pub async fn show(visitor: Visitor, id: Path<String>, spec: &'static Spec) -> Page {
    let mut at = At::new(visitor, spec, Level::Read)?;
    let thing = at.one(&id).await?;
    let title = formatted(&at.title(&thing));
    at.visitor.shell.crumbs.push((title, String::new()));
    shown(at, &thing).await
}

pub async fn show_single(visitor: Visitor, spec: &'static Spec) -> Page {
    let at = At::new(visitor, spec, Level::Read)?;
    let thing = at.one("").await?;
    shown(at, &thing).await
}

async fn shown(mut at: At, thing: &Value) -> Page {
    let asked = Asked::of(at.spec, false);
    let theirs = asked.draft(thing);
    let Some(typed) = typed_before(&mut at).await? else {
        return one_form(&at, thing, Showing::plain(&asked, &theirs), StatusCode::OK).await;
    };
    let mine = asked.typed(theirs.clone(), &typed);
    match met(&asked, &typed, thing, &theirs, &mine) {
        Some((both, others)) => {
            let showing = Showing { others, meanwhile: true, ..Showing::plain(&asked, &both) };
            one_form(&at, thing, showing, StatusCode::OK).await
        }
        None => one_form(&at, thing, Showing::plain(&asked, &mine), StatusCode::OK).await,
    }
}

/// If somebody else has saved since a form was opened: both merged, and what differs.
fn met(
    asked: &Asked,
    sent: &Sent,
    thing: &Value,
    theirs: &Value,
    mine: &Value,
) -> Option<(Value, BTreeMap<String, String>)> {
    let opened_at = sent.raw("version").trim().parse::<i64>().ok();
    let now = version(thing).filter(|now| opened_at != Some(*now));
    now?;
    let was = opened(asked, sent, theirs);
    let mut others = BTreeMap::new();
    let both = merged(&was, mine, theirs, "", &mut others);
    (!is_same_draft(&was, theirs)).then_some((both, others))
}

/// A draft from a form's hidden field of what it was opened with.
fn opened(asked: &Asked, sent: &Sent, theirs: &Value) -> Value {
    let was = serde_json::from_str::<Value>(sent.raw("was")).unwrap_or_default();
    let mut draft = theirs.clone();
    for (path, _) in asked.paths() {
        if let Some(value) = was.get(path) {
            put(&mut draft, path, value.clone());
        }
    }
    draft
}

pub async fn save(visitor: Visitor, id: Path<String>, sending: Sending, spec: &'static Spec) -> Page {
    let sent = Sent(sending.into_inner());
    let mut at = super::sent(visitor, &sent, spec).await?;
    let thing = at.one(&id).await?;
    let title = formatted(&at.title(&thing));
    at.visitor.shell.crumbs.push((title, String::new()));
    let to = format!("{}/{}", spec.base, in_path(&id));
    let path = at.one_path(&id, "");
    saved(&at, &id, thing, &sent, (&path, &to)).await
}

pub async fn save_single(visitor: Visitor, sending: Sending, spec: &'static Spec) -> Page {
    let sent = Sent(sending.into_inner());
    let at = super::sent(visitor, &sent, spec).await?;
    let thing = at.one("").await?;
    let path = at.named(at.path());
    saved(&at, "", thing, &sent, (&path, spec.base)).await
}

/// Subjects whose changes can be undone: all that they have is shown, and their fields are changed as a whole.
const UNDONE: [&str; 3] = ["groups", "company", "phone-numbers"];

/// Saves a form, to the path of the API, and leads to a page.
async fn saved(at: &At, id: &str, thing: Value, sent: &Sent, (path, to): (&str, &str)) -> Page {
    let spec = at.spec;
    let asked = Asked::of(spec, false);
    let theirs = asked.draft(&thing);
    let mut draft = asked.typed(theirs.clone(), sent);
    if sent.has("_do") {
        let focus = rows(&mut draft, sent.raw("_do")).map(|row| first_of(&asked, &row));
        let showing = Showing { focus, opened: Some(sent), ..Showing::plain(&asked, &draft) };
        return one_form(at, &thing, showing, StatusCode::OK).await;
    }
    // A form without its version would undo what somebody else has saved.
    Form::of_sent(&sent.0).version()?;
    if let Some((both, others)) = met(&asked, sent, &thing, &theirs, &draft) {
        let showing = Showing { others, meanwhile: true, ..Showing::plain(&asked, &both) };
        return one_form(at, &thing, showing, StatusCode::CONFLICT).await;
    }
    let choices = asked.choices(at, &draft).await?;
    let found = choices::found(at, &choices, &asked.mentioned(&draft)).await?;
    let mut body = asked.body(&draft, &found, Some(&thing), &Value::Null);
    if spec.is_single {
        body = deep(&thing, &body);
    }
    if body.as_object().is_none_or(Map::is_empty) {
        return Ok(done(to, "thing.was_saved"));
    }
    let ask = Ask::new(Method::PATCH, path).json(&body).if_match(version(&thing));
    match at.visitor.ask(ask).await {
        Ok(answer) => {
            let back = UNDONE.contains(&spec.name).then(|| inverse(&thing, &body, spec.is_single)).flatten();
            // Without the version that it has now, somebody else's change would be undone with it.
            let Some((back, now)) = back.zip(answer.version) else { return Ok(done(to, "thing.was_saved")) };
            let (path, to) = (path.to_owned(), to.to_owned());
            let inverse = Inverse { method: "PATCH".into(), path, body: back, version: Some(now), to: to.clone() };
            done_undoable(&at.visitor, &to, "thing.was_saved", inverse).await
        }
        // Somebody else saved at this very moment.
        Err(problem) if Refused::is_changed(&problem) => {
            let now = at.one(id).await?;
            let mut others = BTreeMap::new();
            let both = merged(&theirs, &draft, &asked.draft(&now), "", &mut others);
            let showing = Showing { others, meanwhile: true, ..Showing::plain(&asked, &both) };
            one_form(at, &now, showing, StatusCode::CONFLICT).await
        }
        Err(problem) => {
            let refused = Refused::of(&problem, &asked.fields, &draft);
            let showing = Showing { refused, ..Showing::plain(&asked, &draft) };
            one_form(at, &thing, showing, StatusCode::UNPROCESSABLE_ENTITY).await
        }
    }
}
