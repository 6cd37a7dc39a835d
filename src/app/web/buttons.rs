//! What people do to calls by buttons. The pages' scripts send forms, and are answered with words in the visitor's language. Which calls somebody
//! may act on, and what can be done to them, is the API's to say.

use actix_web::{
    HttpResponse, ResponseError as _, get,
    http::Method,
    post,
    web::{Path, Query, ServiceConfig},
};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    Form, Page, Shell, Turned, Visitor,
    ask::{Ask, turned},
    calls::named,
    sign_in::Sent,
};
use crate::{
    http::problem::Problem,
    tenancy::{
        TenantQuery,
        auth::{
            actor::Actor,
            rules::{Level, Resource, Role},
        },
    },
    text::Code,
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(act).service(supervise).service(dial).service(how_far);
}

/// What was done.
#[derive(Serialize)]
struct Said {
    said: String,
    /// The call that was begun for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<Job>,
}

/// A call that a click began.
#[derive(Serialize)]
struct Job {
    id: Value,
    state: Value,
    /// The state in words.
    said: String,
    is_over: bool,
}

/// Why it was not done.
#[derive(Serialize)]
struct Refused {
    code: &'static str,
    /// The field that is wrong, if one is.
    field: Option<String>,
    said: String,
}

/// The API's path, with the tenant if the platform asks: on its own page each call names it, elsewhere it is the one that the visitor is in.
fn path(actor: &Actor, tenant: Option<Uuid>, path: &str) -> Result<String, Turned> {
    let tenant = match tenant.filter(|_| actor.role == Role::PlatformAdmin) {
        Some(tenant) => tenant,
        None => Visitor::in_tenant(actor)?,
    };
    Ok(named(actor, tenant, path))
}

fn tenant_of(form: &Form) -> Option<Uuid> {
    form.value("tenant_id").parse().ok()
}

/// The fields of the form that are filled in.
fn body(form: &Form, fields: &[&str]) -> Value {
    let filled = fields.iter().filter(|field| !form.value(field).is_empty());
    let filled = filled.map(|field| ((*field).to_owned(), Value::from(form.value(field))));
    Value::Object(filled.collect::<Map<_, _>>())
}

/// A refusal in words of pages: the API's name fields and actions, which people don't see.
fn why(s: &Shell, problem: &Problem) -> String {
    let reason = problem.reason();
    let key = match reason.why.code {
        Code::WhichPhone => "act.why.no_phone",
        Code::ActedOn => "act.why.acted_on",
        Code::NotSeenToHappen => "act.why.not_seen",
        Code::SupervisionForbidden => "act.supervise.forbidden",
        // No other feature is asked for here.
        Code::FeatureOff => "act.why.not_recorded",
        Code::Forbidden => "problem.forbidden_text",
        Code::Missing => "act.ask.missing",
        // There, the field's name says no more than the dialog's label.
        _ if reason.field.is_some() => return s.why(&reason.why).into_owned(),
        _ => {
            let id = problem.log_id().map(|id| format!(" {id}"));
            return s.reason(&reason) + &id.unwrap_or_default();
        }
    };
    s.t(key).to_owned()
}

/// Answers with the refusal. Whoever isn't signed in any more is led to the sign-in.
fn refused(s: &Shell, problem: Problem) -> Page {
    if problem.reason().why.code == Code::Unauthorized {
        return Err(turned(problem));
    }
    let reason = problem.reason();
    let answer = Refused { code: reason.code, said: why(s, &problem), field: reason.field };
    Ok(HttpResponse::build(problem.status_code()).json(answer))
}

/// Why a call ended, in words if there are any.
fn cause(s: &Shell, cause: &str) -> String {
    let words = s.t_of("cause", cause);
    if words.starts_with("cause.") { cause.to_owned() } else { words }
}

fn state(s: &Shell, job: &Value) -> String {
    let text = |field: &str| job[field].as_str().unwrap_or_default();
    let is_call = text("kind") == "call";
    match text("state") {
        "ended" if !matches!(text("cause"), "" | "NORMAL_CLEARING") => {
            s.t_with("job.ended_by", &[("cause", cause(s, text("cause")))])
        }
        "ringing" if !is_call => s.t("job.joining").to_owned(),
        "answered" if !is_call => s.t_of("job", &format!("answered_{}", text("kind"))),
        state => s.t_of("job", state),
    }
}

impl Job {
    fn of(s: &Shell, job: &Value) -> Self {
        Self {
            id: job["id"].clone(),
            state: job["state"].clone(),
            said: state(s, job),
            is_over: job["state"] == "ended",
        }
    }
}

/// A call was begun.
fn begun(s: &Shell, job: &Value) -> HttpResponse {
    let job = Job::of(s, job);
    HttpResponse::Created().json(Said { said: job.said.clone(), job: Some(job) })
}

/// Does something to a call that goes on.
#[post("/app/live/calls/{id}/act")]
async fn act(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Live, Level::Own, &form).await?;
    let path = path(&actor, tenant_of(&form), &format!("/v1/live/calls/{id}/actions"))?;
    let body = body(&form, &["action", "leg_id", "to", "queue_id", "extension_id", "digits"]);
    let s = &visitor.shell;
    match visitor.ask(Ask::new(Method::POST, path).json(&body)).await {
        Ok(answer) if answer.body["job"].is_object() => Ok(begun(s, &answer.body["job"])),
        Ok(answer) => {
            let slot = answer.body["slot"].as_str().unwrap_or_default();
            let said = s.t_of("act.done", form.value("action")).replace("{slot}", slot);
            Ok(HttpResponse::Ok().json(Said { said, job: None }))
        }
        Err(problem) => refused(s, problem),
    }
}

/// The visitor's own phone is called, and takes part in a call of others.
#[post("/app/live/calls/{id}/supervise")]
async fn supervise(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Live, Level::Write, &form).await?;
    let path = path(&actor, tenant_of(&form), &format!("/v1/live/calls/{id}/supervise"))?;
    let body = body(&form, &["mode", "leg_id", "extension_id"]);
    match visitor.ask(Ask::new(Method::POST, path).json(&body)).await {
        Ok(answer) => Ok(begun(&visitor.shell, &answer.body)),
        Err(problem) if problem.reason().why.code == Code::NoPhoneRegistered => {
            // It may well be registered at another one.
            let reason = problem.reason();
            let extension = reason.params.get("extension").cloned().unwrap_or_default();
            let said = visitor.shell.t_with("act.why.elsewhere", &[("extension", extension)]);
            Ok(HttpResponse::build(problem.status_code()).json(Refused { code: reason.code, field: None, said }))
        }
        Err(problem) => refused(&visitor.shell, problem),
    }
}

/// The visitor's own phone is called, and calls a number.
#[post("/app/dial")]
async fn dial(visitor: Visitor, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Live, Level::Own, &form).await?;
    let path = path(&actor, None, "/v1/calls")?;
    match visitor.ask(Ask::new(Method::POST, path).json(&body(&form, &["to"]))).await {
        Ok(answer) => Ok(begun(&visitor.shell, &answer.body)),
        Err(problem) => refused(&visitor.shell, problem),
    }
}

/// How far a call is that a click began.
#[get("/app/call-jobs/{id}")]
async fn how_far(visitor: Visitor, id: Path<Uuid>, query: Query<TenantQuery>) -> Page {
    let actor = visitor.needs(Resource::Live, Level::Own)?;
    let path = path(&actor, query.tenant_id, &format!("/v1/call-jobs/{id}"))?;
    match visitor.ask(Ask::get(path)).await {
        Ok(answer) => Ok(HttpResponse::Ok().json(Job::of(&visitor.shell, &answer.body))),
        Err(problem) => refused(&visitor.shell, problem),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use serde_json::json;

    use super::*;
    use crate::{app::web::catalogue, model::language::Language};

    #[test]
    fn a_call_that_was_begun_is_told_in_words_in_every_state() {
        let german = Shell { language: Language::De, ..Shell::default() };
        for kind in ["call", "listen", "whisper", "barge"] {
            for name in ["queued", "ringing_agent", "ringing", "answered", "ended"] {
                let said = state(&german, &json!({ "kind": kind, "state": name, "cause": null }));
                assert!(!said.starts_with("job."), "{kind} {name}: {said}");
            }
        }
        let ended = |cause| state(&german, &json!({ "kind": "call", "state": "ended", "cause": cause }));
        assert_eq!(ended("USER_BUSY"), "Es ist vorbei: besetzt.");
        assert_eq!(ended("NORMAL_CLEARING"), "Es ist vorbei.");
        assert_eq!(ended("SOMETHING_NEW"), "Es ist vorbei: SOMETHING_NEW.");
    }

    #[test]
    fn a_refusal_is_said_without_the_words_of_programs() {
        let english = Shell::default();
        let said = |code: Code| why(&english, &Problem::from(code));
        assert_eq!(said(Code::WhichPhone), "You have no extension, so no phone of yours can ring.");
        assert!(!said(Code::SupervisionForbidden).contains("calling.supervision"));
        assert_eq!(said(Code::NotConnected), "The phone is connected with nobody right now.");
        assert_eq!(said(Code::FeatureOff), "Your company does not use recordings.");
        assert!(said(Code::RecordedByPolicy).contains("only a manager can stop it"));
        assert!(said(Code::NoPhoneInCall).starts_with("None of your phones is in this call"));
        for (code, begins) in [
            (Code::CallGone, "The call is over, or it is not yours."),
            (Code::SwitchAway, "The switch takes no commands right now, so nothing was done."),
            (Code::SwitchUnheard, "The switch that has the call can't be heard right now."),
            (Code::ActedOn, "Somebody else does something to this call at this moment."),
            (Code::NotAnsweredYet, "Nobody has answered yet."),
            (Code::NotParked, "The call is not parked."),
        ] {
            assert!(said(code).starts_with(begins), "{}", said(code));
        }
        let missing = Problem::of_field("to", Code::Missing.into());
        assert_eq!(why(&english, &missing), "Say where to.");
    }

    #[test]
    fn every_word_of_the_buttons_is_there_and_none_is_idle() {
        let scripts = [
            include_str!("assets/acts-ask.js"),
            include_str!("assets/acts-can.js"),
            include_str!("assets/acts.js"),
            include_str!("assets/live.js"),
            include_str!("../../../templates/web/acts.html"),
            include_str!("../../../templates/web/live.html"),
            include_str!("buttons.rs"),
            include_str!("live.rs"),
        ];
        let all = scripts.join("\n");
        let words = serde_json::from_str::<HashMap<String, String>>(&catalogue::texts("act.", Language::En)).unwrap();
        for (at, _) in all.match_indices(".w(\"") {
            let key = all[at..].split('"').nth(1).unwrap();
            assert!(words.contains_key(&format!("act.{key}")), "{key}");
        }
        let made_up = ["act.done.", "act.supervise.", "act.ask.hangup_"];
        let idle = words.keys().filter(|key| {
            let own = key.trim_start_matches("act.");
            !made_up.iter().any(|part| key.starts_with(part))
                && !all.contains(&format!("\"{own}\""))
                && !all.contains(&format!("\"{key}\""))
        });
        assert_eq!(idle.collect::<BTreeSet<_>>(), BTreeSet::new());
    }
}
