//! What is done to several things at once. It asks first, and says of each that was refused why.

use actix_web::http::{Method, StatusCode};
use askama::Template;
use serde_json::Value;

use super::{Bulk, Does, Sending, Spec};
use crate::{
    app::web::{
        Page, Shell, Visitor,
        ask::{Ask, turned},
        done, html,
        kept::{Kept, keep_apart},
        schema::Sent,
        see_other,
    },
    http::problem::Problem,
    text::Code,
};

/// The most things at once: as many as a list shows.
const MOST: usize = 250;

/// What every subject can have done to several.
static DELETE: Bulk = Bulk { name: "delete", label: "agents.delete", icon: "trash-2", does: Does::Delete };

#[derive(Template)]
#[template(path = "web/bulk.html")]
struct BulkPage<'a> {
    s: &'a Shell,
    spec: &'static Spec,
    title: &'static str,
    /// What is sent, and what it is called.
    things: Vec<(String, String)>,
    act: &'static str,
    is_final: bool,
}

/// What a box in a list says: an id and the version that was seen.
fn picked(sent: &Sent) -> Vec<(String, Option<i64>, String)> {
    let all = sent.all("pick").into_iter().take(MOST).map(|pick| {
        let mut parts = pick.splitn(3, '|');
        let (version, id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        (
            id.to_owned(),
            version.parse().ok().filter(|version| *version > 0),
            parts.next().unwrap_or_default().to_owned(),
        )
    });
    all.filter(|(id, ..)| !id.is_empty()).collect()
}

fn bulk(spec: &'static Spec, name: &str) -> Option<&'static Bulk> {
    let own = spec.bulks.iter().find(|bulk| bulk.name == name);
    own.or_else(|| (spec.deletes && name == DELETE.name).then_some(&DELETE))
}

pub async fn send(visitor: Visitor, sending: Sending, spec: &'static Spec) -> Page {
    let sent = Sent(sending.into_inner());
    let at = super::sent(visitor, &sent, spec).await?;
    let Some(bulk) = bulk(spec, sent.raw("act")) else { return Err(Problem::from(Code::PageNotFound).into()) };
    let things = picked(&sent);
    if things.is_empty() {
        return Ok(done(spec.base, "bulk.none"));
    }
    if !sent.has("sure") {
        let shown = sent.all("pick").into_iter().take(MOST).map(ToOwned::to_owned);
        let named = things.into_iter().map(|(id, _, name)| if name.is_empty() { id } else { name });
        let page = BulkPage {
            s: &at.visitor.shell,
            spec,
            title: bulk.label,
            things: shown.zip(named).collect(),
            act: bulk.name,
            is_final: matches!(bulk.does, Does::Delete),
        };
        return html(StatusCode::OK, &page);
    }
    let mut refused = Vec::new();
    for (id, version, name) in &things {
        let ask = match bulk.does {
            Does::Delete => Ask::new(Method::DELETE, at.one_path(id, "")),
            Does::Patch(fields) => {
                let fields = serde_json::from_str::<Value>(fields).unwrap_or_default();
                Ask::new(Method::PATCH, at.one_path(id, "")).json(&fields)
            }
            Does::Post(path) => Ask::new(Method::POST, at.one_path(id, path)),
        };
        if let Err(problem) = at.visitor.ask(ask.if_match(*version)).await {
            let reason = problem.reason();
            if reason.why.code == Code::Unauthorized {
                return Err(turned(problem));
            }
            let name = if name.is_empty() { id } else { name };
            refused.push((name.clone(), at.visitor.shell.reason(&reason)));
        }
    }
    if refused.is_empty() {
        return Ok(done(spec.base, "bulk.done"));
    }
    let shown = keep_apart(&at.visitor.api, at.visitor.session()?, &Kept::Report(refused)).await?;
    Ok(see_other(&format!("{}?shown={shown}", spec.base)))
}
