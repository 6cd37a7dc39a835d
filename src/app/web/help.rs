//! Help in the product: a page for each role and task, in both languages, opened from the page that it explains, and a check of an
//! extension whose phone does not work.

use std::sync::LazyLock;

use actix_web::{
    get,
    web::{Path, ServiceConfig},
};
use askama::Template;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    Page, Shell, Turned, Visitor,
    ask::{Ask, turned, with},
    calls::named,
    ok,
};
use crate::{
    http::problem::Problem,
    model::language::Language,
    tenancy::auth::{
        actor::Actor,
        rules::{self, Level, Resource, Role},
    },
    text::Code,
};

/// The texts. Within them, `**words**` are words of pages, `[words](/path)` lead to a page, and backticks hold what is typed.
static TEXTS: LazyLock<Vec<Topic>> =
    LazyLock::new(|| serde_json::from_str(include_str!("help.json")).expect("a test reads the texts of help"));

pub fn pages(config: &mut ServiceConfig) {
    config.service(list).service(show);
}

#[derive(Deserialize)]
pub struct Topic {
    pub name: String,
    #[serde(rename = "for")]
    whom: Whom,
    /// The entries of the navigation whose pages it explains.
    entries: Vec<String>,
    en: Text,
    de: Text,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Whom {
    Everybody,
    Agent,
    Admin,
    Platform,
}

#[derive(Deserialize)]
pub struct Text {
    pub title: String,
    pub intro: String,
    parts: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    heading: String,
    steps: Vec<String>,
}

impl Topic {
    #[must_use]
    pub fn text(&self, language: Language) -> &Text {
        if language == Language::De { &self.de } else { &self.en }
    }

    /// All words of it, for the search.
    #[must_use]
    pub fn words(&self, language: Language) -> String {
        let text = self.text(language);
        let parts = text.parts.iter().map(|part| format!("{} {}", part.heading, part.steps.join(" ")));
        format!("{} {} {}", text.title, text.intro, parts.collect::<Vec<_>>().join(" "))
    }
}

/// What somebody of a role may be helped with.
pub fn topics(role: Role) -> impl Iterator<Item = &'static Topic> {
    TEXTS.iter().filter(move |topic| match topic.whom {
        Whom::Everybody | Whom::Agent => true,
        Whom::Admin => role != Role::Agent,
        Whom::Platform => role == Role::PlatformAdmin,
    })
}

impl Shell {
    /// The address of the help for this page.
    #[must_use]
    pub fn help(&self) -> String {
        let role = self.me.as_ref().map_or(Role::Agent, |me| me.role);
        let topic = topics(role).find(|topic| topic.entries.iter().any(|entry| entry == self.active));
        topic.map_or_else(|| "/help".to_owned(), |topic| format!("/help/{}", topic.name))
    }
}

/// A piece of a sentence.
#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Plain(&'a str),
    /// A word of a page.
    Word(&'a str),
    Link(&'a str, &'a str),
    Typed(&'a str),
}

/// A sentence in pieces. What is not closed is plain.
fn pieces(mut text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    while let Some(at) = text.find(['*', '[', '`']) {
        let (before, rest) = text.split_at(at);
        let piece = if let Some(inner) = rest.strip_prefix("**") {
            inner.split_once("**").map(|(word, after)| (Piece::Word(word), after))
        } else if let Some(inner) = rest.strip_prefix('`') {
            inner.split_once('`').map(|(typed, after)| (Piece::Typed(typed), after))
        } else {
            let link = rest.strip_prefix('[').and_then(|inner| inner.split_once("]("));
            link.and_then(|(words, inner)| Some((words, inner.split_once(')')?)))
                .map(|(words, (path, after))| (Piece::Link(words, path), after))
        };
        let Some((piece, after)) = piece else { break };
        if !before.is_empty() {
            found.push(Piece::Plain(before));
        }
        found.push(piece);
        text = after;
    }
    if !text.is_empty() {
        found.push(Piece::Plain(text));
    }
    found
}

#[derive(Template)]
#[template(path = "web/help.html")]
struct HelpPage<'a> {
    s: &'a Shell,
    title: &'a str,
    intro: &'a str,
    parts: Vec<(&'a str, Vec<Vec<Piece<'a>>>)>,
    /// All pages of help: address, title, and whether it is this one.
    all: Vec<(String, &'a str, bool)>,
    /// What was found out about an extension.
    check: Option<Check>,
    wanted: String,
    /// Whether an extension can be checked here.
    may_check: bool,
}

/// What is known of an extension whose phone does not work.
#[derive(Default)]
struct Check {
    id: Option<Uuid>,
    name: String,
    username: String,
    is_suspended: bool,
    devices: Vec<(String, bool)>,
    /// Whether some switch is not heard, so that nothing is known of its phones.
    is_unknown: bool,
}

/// Whether the visitor may look at any extension of the tenant.
fn may_check(actor: &Actor) -> bool {
    actor.tenant.is_some() && rules::level(actor.role, Resource::Extensions) >= Level::Read
}

async fn check(visitor: &Visitor, actor: &Actor, number: &str) -> Result<Check, Turned> {
    let tenant = Visitor::in_tenant(actor)?;
    let path = with(&format!("/v1/tenants/{tenant}/extensions"), "name", number);
    let found = visitor.page_of(&path, 1, None).await.map_err(turned)?.items;
    let Some(extension) = found.first() else { return Ok(Check::default()) };
    let text = |thing: &Value, field: &str| thing[field].as_str().unwrap_or_default().to_owned();
    let path = with(&named(actor, tenant, "/v1/live/registrations"), "extension", &text(extension, "number"));
    let live = visitor.ask(Ask::get(path)).await.map_err(turned)?.body;
    let devices = live["items"].as_array().into_iter().flatten().map(|device| {
        let named = format!("{} {}", text(device, "device"), text(device, "address"));
        (named.trim().to_owned(), device["reachable"] != false)
    });
    Ok(Check {
        id: extension["id"].as_str().and_then(|id| id.parse().ok()),
        name: format!("{} {}", text(extension, "number"), text(extension, "display_name")),
        username: text(extension, "sip_username"),
        is_suspended: extension["status"] != "active",
        devices: devices.collect(),
        is_unknown: live["unknown"].as_array().is_some_and(|unknown| !unknown.is_empty()),
    })
}

fn all<'a>(s: &'a Shell, role: Role, chosen: &str) -> Vec<(String, &'a str, bool)> {
    let title = |topic: &'static Topic| topic.text(s.language).title.as_str();
    topics(role).map(|topic| (format!("/help/{}", topic.name), title(topic), topic.name == chosen)).collect()
}

#[get("/help")]
async fn list(mut visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Account, Level::Own)?;
    visitor.shell.active = "help";
    let s = &visitor.shell;
    let all = all(s, actor.role, "");
    let (title, intro) = (s.t("help.title"), s.t("help.intro"));
    ok(&HelpPage { s, title, intro, parts: vec![], all, check: None, wanted: String::new(), may_check: false })
}

#[get("/help/{name}")]
async fn show(mut visitor: Visitor, name: Path<String>) -> Page {
    let actor = visitor.needs(Resource::Account, Level::Own)?;
    let topic = topics(actor.role).find(|topic| topic.name == *name);
    let topic = topic.ok_or_else(|| Problem::from(Code::PageNotFound))?;
    let text = topic.text(visitor.shell.language);
    visitor.shell.active = "help";
    visitor.shell.below("help.title", "/help", text.title.clone());
    let wanted = visitor.in_query("extension").unwrap_or_default().trim().chars().take(40).collect::<String>();
    let is_checked = topic.name == "trouble" && may_check(&actor);
    let check = if is_checked && !wanted.is_empty() { Some(check(&visitor, &actor, &wanted).await?) } else { None };
    let s = &visitor.shell;
    let parts = text.parts.iter().map(|part| {
        let steps = part.steps.iter().map(|step| pieces(step)).collect();
        (part.heading.as_str(), steps)
    });
    ok(&HelpPage {
        s,
        title: &text.title,
        intro: &text.intro,
        parts: parts.collect(),
        all: all(s, actor.role, &topic.name),
        check,
        wanted,
        may_check: is_checked,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{
        super::{catalogue, resource},
        *,
    };

    #[test]
    fn a_sentence_has_words_links_and_what_is_typed() {
        assert_eq!(
            pieces("Open [Agents](/app/agents), choose **Add agent**, type `x`. 2 * 3"),
            [
                Piece::Plain("Open "),
                Piece::Link("Agents", "/app/agents"),
                Piece::Plain(", choose "),
                Piece::Word("Add agent"),
                Piece::Plain(", type "),
                Piece::Typed("x"),
                Piece::Plain(". 2 * 3"),
            ]
        );
    }

    #[test]
    fn help_names_what_pages_are_called_and_leads_to_pages_that_there_are() {
        let known = |word: &str, language| catalogue::texts("", language).contains(&format!("\"{word}\""));
        let mut paths = resource::routes("get").into_iter().collect::<BTreeSet<_>>();
        let own = [
            "/account",
            "/agent-assignments",
            "/app/route-tester",
            "/platform/tenants",
            "/platform/clusters",
            "/platform/live",
        ];
        paths.extend(own.map(ToOwned::to_owned));
        paths.extend(TEXTS.iter().map(|topic| format!("/help/{}", topic.name)));
        for topic in TEXTS.iter() {
            for language in [Language::En, Language::De] {
                let text = topic.text(language);
                assert!(!text.title.is_empty() && !text.intro.is_empty() && !text.parts.is_empty(), "{}", topic.name);
                for piece in text.parts.iter().flat_map(|part| &part.steps).flat_map(|step| pieces(step)) {
                    match piece {
                        Piece::Word(word) => assert!(known(word, language), "{}: no page says {word}", topic.name),
                        Piece::Link(_, path) => assert!(paths.contains(path), "{}: there is no {path}", topic.name),
                        Piece::Plain(text) => assert!(!text.contains("**") && !text.contains("]("), "{text}"),
                        Piece::Typed(_) => {}
                    }
                }
            }
            let steps = |text: &Text| text.parts.iter().map(|part| part.steps.len()).collect::<Vec<_>>();
            assert_eq!(steps(&topic.en), steps(&topic.de), "{} says the same in both languages", topic.name);
        }
    }
}
