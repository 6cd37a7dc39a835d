//! The route tester: a caller, a number and a time, and the way of that call, step by step and in words. Nothing is called or counted.

use actix_web::{get, http::Method, web::ServiceConfig};
use askama::Template;
use serde_json::{Value, json};

use super::{
    Page, Shell, Visitor,
    ask::{Ask, refusal, with},
    fields::word,
    ok, wrong,
};
use crate::tenancy::auth::rules::{Level, Resource, Role};

pub fn pages(config: &mut ServiceConfig) {
    config.service(tester);
}

/// A rule that was tried.
struct Rule {
    name: String,
    matched: bool,
    detail: String,
}

struct Step {
    dialled: String,
    /// What happens, in a sentence.
    said: String,
    rules: Vec<Rule>,
    xml: String,
}

#[derive(Template)]
#[template(path = "web/tester.html")]
struct TesterPage<'a> {
    s: &'a Shell,
    number: String,
    caller: String,
    caller_number: String,
    at: String,
    asked: bool,
    /// What was wrong: the field, if one was, and why.
    wrong: Option<(String, String)>,
    steps: Vec<Step>,
    good: bool,
    result: String,
    cause: String,
}

impl TesterPage<'_> {
    fn error(&self, field: &str) -> Option<&str> {
        self.wrong.as_ref().filter(|(known, _)| known == field).map(|(_, why)| why.as_str())
    }
}

/// Results that reach nobody are named after their reasons, which are words of `route.` too.
const REACHES: [&str; 21] = [
    "echo",
    "extension",
    "group",
    "message",
    "voicemail",
    "lead",
    "queue",
    "ivr",
    "again",
    "conference",
    "announcement",
    "page",
    "pickup",
    "group_pickup",
    "intercom",
    "park",
    "call_handling",
    "entry",
    "outside",
    "emergency",
    "withhold",
];

fn step(s: &Shell, step: &Value) -> Step {
    let text = |field: &str| step[field].as_str().unwrap_or_default().to_owned();
    let rules = step["tried"].as_array().into_iter().flatten().map(|tried| Rule {
        name: word(s, "rule", tried["rule"].as_str().unwrap_or_default()),
        matched: tried["matched"] == true,
        detail: tried["detail"].as_str().unwrap_or_default().to_owned(),
    });
    Step { dialled: text("dialled"), said: word(s, "route", &text("route")), rules: rules.collect(), xml: text("xml") }
}

#[get("/app/route-tester")]
async fn tester(mut visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Routes, Level::Read)?;
    let tenant = Visitor::in_tenant(&actor)?;
    visitor.shell.active = "tester";
    let given = |name: &str| visitor.in_query(name).unwrap_or_default().trim().chars().take(120).collect::<String>();
    let mut page = TesterPage {
        s: &visitor.shell,
        number: given("number"),
        caller: given("caller"),
        caller_number: given("caller_number"),
        at: given("at"),
        asked: false,
        wrong: None,
        steps: Vec::new(),
        good: false,
        result: String::new(),
        cause: String::new(),
    };
    page.asked = !page.number.is_empty();
    if !page.asked {
        return ok(&page);
    }
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let at = some(&page.at).map(|at| if at.len() == 16 { format!("{at}:00Z") } else { at });
    let question = json!({ "number": page.number, "caller": some(&page.caller), "caller_number": some(&page.caller_number), "at": at });
    let mut path = "/v1/routes/explain".to_owned();
    if actor.role == Role::PlatformAdmin {
        path = with(&path, "tenant_id", &tenant.to_string());
    }
    match visitor.ask(Ask::new(Method::POST, path).json(&question)).await {
        Ok(answer) => {
            let result = answer.body["result"].as_str().unwrap_or_default();
            page.steps = answer.body["steps"].as_array().into_iter().flatten().map(|one| step(page.s, one)).collect();
            page.good = REACHES.contains(&result);
            page.result = word(page.s, "route", result);
            answer.body["cause"].as_str().unwrap_or_default().clone_into(&mut page.cause);
            ok(&page)
        }
        Err(problem) => {
            let reason = refusal(problem)?;
            let why = page.s.why(&reason.why).into_owned();
            page.wrong = Some((reason.field.unwrap_or_default(), why));
            wrong(&page)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::web::catalogue,
        model::{language::Language, refusal::Refusal},
    };

    #[test]
    fn every_end_of_a_call_is_said_in_words() {
        for name in REACHES.into_iter().chain(Refusal::ALL.map(Refusal::name)) {
            let key = format!("route.{name}");
            assert_ne!(catalogue::text(&key, Language::De), key);
        }
    }
}
