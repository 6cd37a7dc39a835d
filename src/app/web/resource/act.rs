//! What is done to one thing: deleting it, and what else its subject offers. Each asks first.

use actix_web::{
    http::{Method, StatusCode},
    web::Path,
};
use serde_json::Value;

use super::{
    Act, At, Sending, Spec,
    asked::Asked,
    cells::formatted,
    choices,
    form::{Showing, ThingPage, once, told, typed_before},
    refusal::Refused,
    version,
};
use crate::{
    app::web::{
        Form, Page, Turned, Visitor,
        ask::{Ask, refusal, turned},
        confirm::{Confirm, Obstacle, user_of},
        done, html, in_path,
        kept::{Inverse, Kept, keep_apart},
        schema::Sent,
        see_other,
        undo::done_undoable,
    },
    model::error::Error,
    tenancy::auth::rules::Level,
    text::Code,
};

fn question<'a>(at: &'a At, id: &str, thing: &Value) -> Confirm<'a> {
    Confirm {
        s: &at.visitor.shell,
        title: "thing.delete_title",
        what: formatted(&at.title(thing)),
        text: at.spec.delete_text,
        obstacles: vec![],
        action: format!("{}/{}/delete", at.spec.base, in_path(id)),
        submit: "agents.delete",
        back: format!("{}/{}", at.spec.base, in_path(id)),
        version: version(thing).unwrap_or_default(),
        error: None,
        changed: false,
    }
}

pub async fn ask_delete(visitor: Visitor, id: Path<String>, spec: &'static Spec) -> Page {
    let mut at = At::new(visitor, spec, Level::Write)?;
    let thing = at.one(&id).await?;
    let title = formatted(&at.title(&thing));
    at.visitor.shell.crumbs.push((title, format!("{}/{}", spec.base, in_path(&id))));
    question(&at, &id, &thing).ask()
}

pub async fn delete(visitor: Visitor, id: Path<String>, sending: Sending, spec: &'static Spec) -> Page {
    let sent = Sent(sending.into_inner());
    let at = super::sent(visitor, &sent, spec).await?;
    let thing = at.one(&id).await?;
    let asked_about = Form::of_sent(&sent.0).version();
    let asked_about = match asked_about {
        Ok(asked_about) => version(&thing).map(|_| asked_about),
        Err(error) => return question(&at, &id, &thing).again(error),
    };
    let mut path = at.one_path(&id, "");
    if !spec.delete_query.is_empty() {
        path = format!("{path}{}{}", if path.contains('?') { '&' } else { '?' }, spec.delete_query);
    }
    let ask = Ask::new(Method::DELETE, path).if_match(asked_about);
    match at.visitor.ask(ask).await {
        Ok(_) => Ok(done(spec.home(), "thing.was_deleted")),
        Err(problem) if Refused::is_changed(&problem) => {
            question(&at, &id, &thing).again(Error::Changed(version(&thing).unwrap_or_default()))
        }
        Err(problem) if problem.is(Code::InUse) => {
            let mut question = question(&at, &id, &thing);
            question.obstacles = (problem.used_by().iter())
                .map(|user| Obstacle {
                    text: user_of(&at.visitor.shell, user),
                    action: None,
                    page: super::cells::page_of(user.kind.as_str()).map(|page| format!("{page}/{}", user.id)),
                })
                .collect();
            crate::app::web::wrong(&question)
        }
        Err(problem) => question(&at, &id, &thing).again(Error::Refused(refusal(problem)?.why)),
    }
}

/// The page that asks. The status says whether something was refused, or has changed meanwhile.
async fn page(at: &At, id: &str, thing: &Value, act: &'static Act, showing: Showing<'_>, status: StatusCode) -> Page {
    let s = &at.visitor.shell;
    let mut page = ThingPage::new(at);
    page.title = format!("{}: {}", s.t(act.label), formatted(&at.title(thing)));
    page.intro = if act.text.is_empty() { String::new() } else { s.t(act.text).to_owned() };
    page.submit = s.t(act.label).to_owned();
    page.action = format!("{}/{}/{}", at.spec.base, in_path(id), act.name);
    page.version = version(thing);
    page.changed = status == StatusCode::CONFLICT;
    showing.draw(at, &mut page).await?;
    html(status, &page)
}

/// The visitor at a thing to which this can be done.
async fn arrive(at: &mut At, id: &str, act: &'static Act) -> Result<Value, Turned> {
    let thing = at.one(id).await?;
    if !(act.when)(&thing) {
        return Err(crate::http::problem::Problem::from(Code::PageNotFound).into());
    }
    let title = formatted(&at.title(&thing));
    at.visitor.shell.crumbs.push((title, format!("{}/{}", at.spec.base, in_path(id))));
    at.visitor.shell.crumbs.push((at.visitor.shell.t(act.label).to_owned(), String::new()));
    Ok(thing)
}

pub async fn ask(visitor: Visitor, id: Path<String>, spec: &'static Spec, act: &'static Act) -> Page {
    let mut at = At::new(visitor, spec, Level::Write)?;
    let thing = arrive(&mut at, &id, act).await?;
    let asked = Asked::all(act.asks);
    let mut draft = asked.draft(&serde_json::from_str(act.preset).unwrap_or_default());
    if let Some(typed) = typed_before(&mut at).await? {
        draft = asked.typed(draft, &typed);
    }
    page(&at, &id, &thing, act, Showing::plain(&asked, &draft), StatusCode::OK).await
}

pub async fn send(
    visitor: Visitor,
    id: Path<String>,
    sending: Sending,
    spec: &'static Spec,
    act: &'static Act,
) -> Page {
    let sent = Sent(sending.into_inner());
    let mut at = super::sent(visitor, &sent, spec).await?;
    let thing = arrive(&mut at, &id, act).await?;
    let asked = Asked::all(act.asks);
    let draft = asked.typed(asked.draft(&Value::Null), &sent);
    let choices = asked.choices(&at, &draft).await?;
    let found = choices::found(&at, &choices, &asked.mentioned(&draft)).await?;
    let method = Method::from_bytes(act.method.as_bytes()).unwrap_or(Method::POST);
    let mut ask = Ask::new(method, at.one_path(&id, act.path))
        .if_match(sent.one("version").parse().ok().filter(|_| !act.is_apart));
    if act.asks.is_some() {
        ask = ask.json(&asked.body(&draft, &found, None, &Value::Null));
    }
    match at.visitor.ask(ask).await {
        Ok(answer) => {
            let to = format!("{}/{}", spec.base, in_path(&id));
            if !act.told.is_empty() {
                let told = Kept::Told(told(&at, act.told, &answer.body));
                let shown = keep_apart(&at.visitor.api, at.visitor.session()?, &told).await?;
                return Ok(see_other(&format!("{to}?shown={shown}")));
            }
            match once(&at, act.once, &answer.body).await? {
                Some(shown) => Ok(see_other(&format!("{to}?shown={shown}"))),
                None => match (act.name, answer.version, &thing["assignment"]) {
                    ("unassign", Some(now), Value::Object(was)) => {
                        let path = at.one_path(&id, "/assign");
                        let (method, body) = ("POST".into(), Value::Object(was.clone()));
                        let inverse = Inverse { method, path, body, version: Some(now), to: to.clone() };
                        done_undoable(&at.visitor, &to, act.done, inverse).await
                    }
                    _ => Ok(done(&to, act.done)),
                },
            }
        }
        // Somebody else changed it, or the same person in another tab.
        Err(problem) if Refused::is_changed(&problem) => {
            let now = at.one(&id).await?;
            page(&at, &id, &now, act, Showing::plain(&asked, &draft), StatusCode::CONFLICT).await
        }
        Err(problem) => {
            let refused = Refused::of(&problem, &asked.fields, &draft);
            if problem.reason().why.code == Code::Unauthorized {
                return Err(turned(problem));
            }
            let showing = Showing { refused, ..Showing::plain(&asked, &draft) };
            page(&at, &id, &thing, act, showing, StatusCode::UNPROCESSABLE_ENTITY).await
        }
    }
}
