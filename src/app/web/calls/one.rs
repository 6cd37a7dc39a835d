//! The page of one call: who, when, what happened step by step, its tries over carriers, its legs, and what people write about it.

use actix_web::{
    get,
    http::{Method, StatusCode},
    post,
    web::{Path, ServiceConfig},
};
use askama::Template;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Names, Party, arrive, icon, lasted, moment, name_of, named, names,
    writing::{Writing, fields, version},
};
use crate::{
    app::web::{
        Form, Page, Shell, Visitor,
        ask::{Ask, refusal, turned},
        done, html, live, recordings,
        resource::formatted,
        sign_in::Sent,
    },
    http::problem::Problem,
    tenancy::auth::rules::{Level, Resource},
    text::Code,
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(show).service(save);
}

struct Step {
    at: Option<DateTime<Utc>>,
    /// How long after the call began.
    after: String,
    text: String,
    who: Option<Party>,
    more: Vec<String>,
    class: &'static str,
}

struct Attempt {
    carrier: String,
    callee: String,
    answered: bool,
    cause: String,
    status: String,
    rang_after: String,
    talked: String,
    cost: Option<String>,
}

struct Leg {
    who: Party,
    way: &'static str,
    at: Option<DateTime<Utc>>,
    rang: String,
    talked: String,
    cause: String,
    media: String,
    id: String,
}

#[derive(Template)]
#[template(path = "web/calls/one.html")]
struct CallPage<'a> {
    s: &'a Shell,
    icon: &'static str,
    state: String,
    way: String,
    from: Party,
    to: Party,
    facts: Vec<(String, String)>,
    at: Option<DateTime<Utc>>,
    steps: Vec<Step>,
    attempts: Vec<Attempt>,
    legs: Vec<Leg>,
    recordings: Vec<recordings::Shown>,
    may_change: bool,
    may_share: bool,
    w: Writing,
    sees_cost: bool,
}

/// Millionths of a currency, as money.
pub fn money(millionths: i64, currency: &str) -> String {
    let (sign, rest) = (if millionths < 0 { "-" } else { "" }, millionths.unsigned_abs());
    // Prices of a minute have more than two decimals.
    let decimals = if rest.is_multiple_of(10_000) {
        format!("{:02}", rest % 1_000_000 / 10_000)
    } else {
        format!("{:04}", rest % 1_000_000 / 100)
    };
    format!("{sign}{}.{decimals} {currency}", rest / 1_000_000).trim_end().to_owned()
}

fn between(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> String {
    from.zip(to).map(|(from, to)| lasted((to - from).num_seconds().max(0))).unwrap_or_default()
}

fn step(s: &Shell, event: &Value, began: Option<DateTime<Utc>>, names: &Names) -> Step {
    let text = |field: &str| event[field].as_str().unwrap_or_default();
    let at = moment(&event["at"]);
    let what = text("what");
    let mut more = Vec::new();
    if !text("to").is_empty() {
        more.push(format!("→ {}", formatted(text("to"))));
    }
    more.extend(name_of(names, &event["queue_id"]));
    if event["carrier_id"].is_string() {
        more.push(carrier(names, &event["carrier_id"]));
    }
    if let Some(attended) = event["attended"].as_bool() {
        more.push(s.t(if attended { "calls.attended" } else { "calls.blind" }).to_owned());
    }
    if let Some(seconds) = event["seconds"].as_i64() {
        more.push(lasted(seconds));
    }
    if !text("cause").is_empty() {
        more.push(text("cause").to_owned());
    }
    let class = match what {
        "answered" | "queue_answered" | "resumed" => "good",
        "refused" => "bad",
        _ => "",
    };
    Step {
        at,
        after: between(began, at),
        text: s.t_of("story", what),
        who: (!event["party"].is_null()).then(|| Party::of(s, &event["party"], names)),
        more,
        class,
    }
}

fn carrier(names: &Names, id: &Value) -> String {
    name_of(names, id).unwrap_or_else(|| id.as_str().unwrap_or_default().chars().take(8).collect())
}

fn attempt(attempt: &Value, names: &Names, currency: &str) -> Attempt {
    let text = |field: &str| attempt[field].as_str().unwrap_or_default().to_owned();
    let millis = attempt["ringing_after"].as_i64();
    Attempt {
        carrier: carrier(names, &attempt["carrier_id"]),
        callee: formatted(&text("callee")),
        answered: attempt["answered"] == true,
        cause: Some(text("reason")).filter(|reason| !reason.is_empty()).unwrap_or_else(|| text("cause")),
        status: attempt["sip_status"].as_i64().map(|status| status.to_string()).unwrap_or_default(),
        rang_after: millis
            .map(|millis| format!("{:.1} s", f64::from(i32::try_from(millis).unwrap_or(i32::MAX)) / 1000.0))
            .unwrap_or_default(),
        talked: attempt["seconds"].as_i64().map(lasted).unwrap_or_default(),
        cost: attempt["cost"].as_i64().map(|cost| money(cost, currency)),
    }
}

fn leg(s: &Shell, leg: &Value, names: &Names) -> Leg {
    let text = |field: &str| leg[field].as_str().unwrap_or_default().to_owned();
    let (began, ended) = (moment(&leg["started_at"]), moment(&leg["ended_at"]));
    let mos = leg["media"]["mos"].as_f64().map(|mos| format!("MOS {mos:.1}"));
    let loss = leg["media"]["loss"]
        .as_f64()
        .filter(|loss| *loss > 0.0)
        .map(|loss| format!("{loss:.1} % {}", s.t("calls.loss")));
    let status = leg["sip_status"].as_i64().map(|status| status.to_string());
    Leg {
        who: Party::of(s, &leg["party"], names),
        way: if leg["outbound"] == true { "phone-outgoing" } else { "phone-incoming" },
        at: began,
        rang: between(moment(&leg["ringing_at"]), moment(&leg["answered_at"]).or(ended)),
        talked: between(moment(&leg["answered_at"]), ended),
        cause: [Some(text("cause")), status]
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" · "),
        media: [mos, loss].into_iter().flatten().collect::<Vec<_>>().join(" · "),
        id: text("leg"),
    }
}

/// What is known of a call, as far as it is.
pub fn facts(s: &Shell, call: &Value, names: &Names, sees_cost: bool) -> Vec<(String, String)> {
    let text = |field: &str| call[field].as_str().unwrap_or_default().to_owned();
    let name = |field: &str| name_of(names, &call[field]).unwrap_or_default();
    let seconds = |field: &str| call[field].as_i64().filter(|seconds| *seconds > 0).map(lasted).unwrap_or_default();
    let currency = text("currency");
    let paid =
        |field: &str| call[field].as_i64().filter(|_| sees_cost).map(|cost| money(cost, &currency)).unwrap_or_default();
    let took = &call["answered_by"];
    let took = if took.is_null() {
        String::new()
    } else {
        let took = Party::of(s, took, names);
        format!("{} {}", took.name, took.number)
    };
    let word = |group: &str, value: String| if value.is_empty() { value } else { s.t_of(group, &value) };
    let ended_by = text("ended_by");
    [
        ("calls.took", took),
        ("calls.number", formatted(&text("number"))),
        ("live.queue", name("queue_id")),
        ("calls.waited", seconds("wait_seconds")),
        ("calls.talked", seconds("talk_seconds")),
        ("calls.held", seconds("hold_seconds")),
        ("calls.ended_by", word("ended_by", ended_by)),
        (
            "calls.cause",
            [text("reason"), text("cause")].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · "),
        ),
        ("calls.refusal", text("refusal")),
        ("calls.country", text("country")),
        ("calls.quality", call["mos"].as_f64().map(|mos| format!("MOS {mos:.1}")).unwrap_or_default()),
        ("calls.cost", paid("cost")),
        ("calls.charge", paid("charge")),
        ("calls.recorded", if call["recorded"] == true { s.t("audit.yes").to_owned() } else { String::new() }),
        ("calls.emergency", if call["emergency"] == true { s.t("audit.yes").to_owned() } else { String::new() }),
    ]
    .into_iter()
    .filter(|(_, value)| !value.trim().is_empty())
    .map(|(key, value)| (crate::app::web::catalogue::text(key, s.language).to_owned(), value))
    .collect()
}

/// The page, with the form that was sent or an untouched one.
async fn page(mut visitor: Visitor, id: Uuid, sent: Option<Form>, status: StatusCode) -> Page {
    let (actor, tenant) = arrive(&mut visitor)?;
    let path = named(&actor, tenant, &format!("/v1/calls/{id}"));
    let call = visitor.ask(Ask::get(path)).await.map_err(turned)?.body;
    if call["started_at"].is_null() {
        // The record comes when the call is over.
        let gone = || Err(turned(Problem::not_found("call")));
        return live::one(visitor, id, &call, sent, status).await?.unwrap_or_else(gone);
    }
    let names = names(&visitor, &actor, tenant, std::slice::from_ref(&call)).await?;
    let number = |party: &Value| party["number"].as_str().map(ToOwned::to_owned);
    let numbers = ["from", "to", "answered_by"].iter().filter_map(|side| number(&call[side])).collect();
    let w = Writing::of(&mut visitor, &actor, (tenant, id), &call, numbers, sent).await?;
    let sees_cost = actor.level >= Level::Write;
    let text = |field: &str| call[field].as_str().unwrap_or_default().to_owned();
    let rights = recordings::level(&visitor);
    let s = &mut visitor.shell;
    let (from, to) = (Party::of(s, &call["from"], &names), Party::of(s, &call["to"], &names));
    s.crumbs = vec![
        (s.t("nav.calls").to_owned(), "/app/calls".to_owned()),
        (format!("{} → {}", from.name, to.name), String::new()),
    ];
    let s = &visitor.shell;
    let began = moment(&call["started_at"]);
    let currency = text("currency");
    let list = |field: &str| call["story"][field].as_array().cloned().unwrap_or_default();
    let shown = CallPage {
        icon: icon(&text("direction")),
        state: text("state"),
        way: text("direction"),
        facts: facts(s, &call, &names, sees_cost),
        at: began,
        steps: list("events").iter().map(|event| step(s, event, began, &names)).collect(),
        attempts: list("attempts").iter().map(|one| attempt(one, &names, &currency)).collect(),
        legs: list("legs").iter().map(|one| leg(s, one, &names)).collect(),
        recordings: call["recordings"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| recordings::Shown { call: id.to_string(), ..recordings::Shown::of(one, &actor, tenant) })
            .collect(),
        may_change: rights >= Level::Write,
        may_share: rights >= Level::Read,
        w,
        sees_cost,
        from,
        to,
        s,
    };
    html(status, &shown)
}

#[get("/app/calls/{id}")]
async fn show(visitor: Visitor, id: Path<Uuid>) -> Page {
    page(visitor, *id, None, StatusCode::OK).await
}

#[post("/app/calls/{id}")]
async fn save(visitor: Visitor, id: Path<Uuid>, sent: Sent) -> Page {
    let mut form = Form::of(sent.into_inner());
    let actor = visitor.sends(Resource::Calls, Level::Own, &form).await?;
    let tenant = Visitor::in_tenant(&actor)?;
    let path = named(&actor, tenant, &format!("/v1/calls/{id}"));
    let saved = form.version();
    let saved = match saved {
        Ok(version) => change(&visitor, &path, &form, version).await,
        Err(error) => Err(error.into()),
    };
    let is_changed = |problem: &Problem| problem.reason().why.code == Code::Changed;
    let saved = match saved {
        Err(problem) if is_changed(&problem) => {
            let call = visitor.ask(Ask::get(path.clone())).await.map_err(turned)?.body;
            let now = fields(&call);
            form.meet(now.each_ref().map(|(name, value)| (*name, value.as_str())), version(&call));
            if form.has_others() {
                return page(visitor, *id, Some(form), StatusCode::CONFLICT).await;
            }
            // Nothing that this form has: the call itself went on.
            change(&visitor, &path, &form, version(&call)).await
        }
        saved => saved,
    };
    match saved {
        Ok(()) => Ok(done(&format!("/app/calls/{id}"), "thing.was_saved")),
        Err(problem) => {
            form.refuse_for(refusal(problem)?);
            page(visitor, *id, Some(form), StatusCode::UNPROCESSABLE_ENTITY).await
        }
    }
}

/// Saves what a form says about a call, if the call still has this version.
async fn change(visitor: &Visitor, path: &str, form: &Form, version: i64) -> Result<(), Problem> {
    let tags = form.raw("tags").split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect::<Vec<_>>();
    let filled = |field: &str| {
        let text = form.raw(field).replace("\r\n", "\n").trim().to_owned();
        Some(text).filter(|text| !text.is_empty())
    };
    let mut body = json!({ "notes": filled("notes"), "tags": tags });
    // Without a choice of dispositions, the form has none.
    if form.holds("disposition") {
        body["disposition"] = json!(filled("disposition"));
    }
    if form.holds("contact_id") {
        body["contact_id"] = json!(filled("contact_id"));
    }
    visitor.ask(Ask::new(Method::PATCH, path).json(&body).if_match(Some(version))).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_two_decimals_unless_it_is_a_fraction_of_a_cent() {
        for (millionths, shown) in
            [(0, "0.00 EUR"), (1_230_000, "1.23 EUR"), (12_300, "0.0123 EUR"), (-500_000, "-0.50 EUR")]
        {
            assert_eq!(money(millionths, "EUR"), shown);
        }
    }
}
