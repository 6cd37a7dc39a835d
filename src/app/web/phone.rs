//! The browser phone. The page's scripts ask the API for the visitor's credentials and keep them in memory only; this is the page's frame,
//! and whom its visitor can call within the company.

use std::collections::HashMap;

use actix_web::{
    HttpResponse, get,
    http::{StatusCode, Uri},
    web::{Data, Path, ServiceConfig},
};
use askama::Template;
use serde::Serialize;
use uuid::Uuid;

use super::{Page, Shell, Visitor, catalogue, html_connecting};
use crate::{
    http::problem::Problem,
    model::{
        destination::Config,
        settings::{Prose, Settings},
    },
    switch::live::{Live, presence::PresenceState, select::Asker, show::Scope},
    telephony::{destinations, extensions},
    tenancy::{
        auth::rules::{Level, Resource},
        clusters, tenants,
    },
    text::Code,
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(phone_page).service(colleagues).service(script);
}

/// The longest list of colleagues; the field to dial completes with these.
const MOST: i64 = 2000;

const SHORTCUTS: &[(&str, &str)] = &[
    ("D", "softphone.key.dial"),
    ("A", "softphone.act.answer"),
    ("R", "softphone.act.reject"),
    ("E", "softphone.act.end"),
    ("M", "softphone.act.mute"),
    ("O", "softphone.act.hold"),
    ("K", "softphone.act.keypad"),
    ("T", "softphone.act.transfer"),
    ("S", "softphone.act.swap"),
];

struct Own {
    id: Uuid,
    number: String,
    name: String,
}

#[derive(Template)]
#[template(path = "web/phone.html")]
struct PhonePage<'a> {
    s: &'a Shell,
    user: Uuid,
    extensions: Vec<Own>,
    /// All texts of the page's scripts, as JSON.
    words: String,
    /// The code of the call that plays one's own voice back.
    echo: Option<String>,
    shortcuts: &'static [(&'static str, &'static str)],
    /// The visitor's own numbers, to tell who called whom.
    numbers: String,
    /// Why somebody is as they are, to choose from, as JSON.
    reasons: String,
    /// What a call can have come to, as the tenant has it in its settings.
    dispositions: Vec<String>,
    /// A caller's page in another system.
    caller_page: String,
    /// Whether people may record their calls.
    records: bool,
}

/// The origin that the page's scripts may connect to. Anything that is not one adds nothing to the page's policy.
fn origin(websocket_url: &str) -> Option<String> {
    let url = websocket_url.parse::<Uri>().ok().filter(|url| matches!(url.scheme_str(), Some("ws" | "wss")))?;
    let authority = url.authority()?.as_str();
    let is_plain = authority.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
    is_plain.then(|| format!("{}://{authority}", url.scheme_str().unwrap_or_default()))
}

#[get("/app/phone")]
async fn phone_page(visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Account, Level::Own)?;
    let live = visitor.shell.me.as_ref().and_then(|me| me.tenant.map(|tenant| (tenant, me.user)));
    // Platform administrators have no extension, also while they are in a tenant.
    let (tenant, user) = live.ok_or_else(|| Problem::from(Code::PageNotFound))?;
    let mut db = visitor.api.read(&actor).await?;
    let home = tenants::store::get(&mut *db, tenant).await?.ok_or_else(Problem::unauthorized)?;
    let own = extensions::store::phones_of(&mut *db, tenant, user).await?;
    let settings = tenants::store::settings(&mut *db, tenant).await?;
    let cluster = clusters::store::get(visitor.api.pool(), home.cluster_id).await?;
    drop(db);
    let settings = settings.and_then(|(settings, _)| serde_json::from_value::<Settings>(settings).ok());
    let shell = visitor.shell.on("phone");
    let caller_page = settings.as_ref().and_then(|settings| settings.agents.caller_page.as_ref());
    let caller_page = caller_page.map(ToString::to_string).unwrap_or_default();
    let records = settings.as_ref().is_some_and(|settings| settings.features.call_recording);
    let reasons = settings.as_ref().map(|settings| serde_json::json!(settings.agents.status_reasons));
    let (echo, dispositions) = settings.map_or((None, Vec::new()), |settings| {
        let dispositions = settings.dispositions.iter().map(ToString::to_string).collect();
        (Some(settings.routing.codes.echo.to_string()), dispositions)
    });
    let page = PhonePage {
        caller_page,
        records,
        numbers: own.iter().map(|own| own.number.to_string()).collect::<Vec<_>>().join(" "),
        reasons: reasons.unwrap_or_else(|| serde_json::json!([])).to_string(),
        dispositions,
        user,
        extensions: own
            .into_iter()
            .map(|own| Own { id: own.id, number: own.number.to_string(), name: own.display_name.to_string() })
            .collect(),
        words: catalogue::texts("softphone.", shell.language),
        echo,
        shortcuts: SHORTCUTS,
        s: &shell,
    };
    let origin = cluster.and_then(|cluster| cluster.websocket_url).and_then(|url| origin(&url));
    html_connecting(StatusCode::OK, &page, origin.as_deref())
}

#[derive(Serialize)]
struct Colleague {
    /// The person who has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<Uuid>,
    number: String,
    name: String,
    /// Absent if the switches say nothing about their phones.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<PresenceState>,
}

/// Whom the visitor can call within the company, and whether they are free.
#[get("/app/phone/colleagues")]
async fn colleagues(visitor: Visitor, live: Data<Live>) -> Page {
    let actor = visitor.needs(Resource::Account, Level::Own)?;
    let (tenant, user) = (Visitor::in_tenant(&actor)?, actor.user()?);
    let mut db = visitor.api.read(&actor).await?;
    let all = extensions::store::colleagues(&mut *db, tenant, user, MOST).await?;
    drop(db);
    let scope = Scope { tenant: Some(tenant), ..Scope::default() };
    let is_known = scope.unknown(&live).is_empty();
    let asker = Asker { live: &live, pool: visitor.api.pool(), scope: &scope };
    let present =
        asker.presence().await.into_iter().map(|one| (one.sip_username, one.state)).collect::<HashMap<_, _>>();
    let shown = all.into_iter().map(|one| Colleague {
        state: present
            .get(&one.sip_username.to_string())
            .copied()
            .or_else(|| is_known.then_some(PresenceState::Offline)),
        user_id: one.user_id,
        number: one.number.to_string(),
        name: one.display_name.to_string(),
    });
    Ok(HttpResponse::Ok().json(shown.collect::<Vec<_>>()))
}

#[derive(Serialize)]
struct Script {
    queue: String,
    text: Option<Prose>,
}

/// What the agents of a queue read while a call of it rings, and while they talk.
#[get("/app/phone/scripts/{queue}")]
async fn script(visitor: Visitor, queue: Path<Uuid>) -> Page {
    let actor = visitor.needs(Resource::Account, Level::Own)?;
    let tenant = Visitor::in_tenant(&actor)?;
    let found = destinations::store::get(&mut *visitor.api.read(&actor).await?, tenant, *queue).await?;
    match found.map(|found| (found.name, found.config)) {
        Some((name, Config::Queue(queue))) => {
            Ok(HttpResponse::Ok().json(Script { queue: name.to_string(), text: queue.script }))
        }
        _ => Err(Problem::from(Code::PageNotFound).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_page_may_connect_to_the_websockets_origin_only() {
        assert_eq!(origin("wss://pbx.test:7443/sip").as_deref(), Some("wss://pbx.test:7443"));
        assert_eq!(origin("wss://pbx.test/sip").as_deref(), Some("wss://pbx.test"));
        assert_eq!(origin("ws://127.0.0.1:5066").as_deref(), Some("ws://127.0.0.1:5066"));
        assert_eq!(origin("wss://pbx.test; script-src *"), None);
        assert_eq!(origin("wss://pbx.test;script-src"), None);
        assert_eq!(origin("https://pbx.test"), None);
    }

    /// Words that scripts put together from a part that is fixed and one that is not.
    const MADE_UP: [&str; 11] = [
        "state.",
        "sentence.",
        "call.",
        "end.",
        "quality.",
        "presence.",
        "said.",
        "act.",
        "result.",
        "agent.",
        "cause.",
    ];

    #[test]
    fn every_word_of_the_phones_scripts_is_there_and_none_is_idle() {
        let scripts = [
            include_str!("assets/phone.js"),
            include_str!("assets/phone-show.js"),
            include_str!("assets/phone-dial.js"),
            include_str!("assets/phone-calls.js"),
            include_str!("assets/phone-return.js"),
            include_str!("assets/phone-desk.js"),
            include_str!("assets/phone-status.js"),
            include_str!("assets/phone-chat.js"),
            include_str!("assets/phone-caller.js"),
            include_str!("assets/phone-queues.js"),
            include_str!("assets/phone-window.js"),
            include_str!("../../../templates/web/phone.html"),
            include_str!("phone.rs"),
        ];
        let all = scripts.join("\n");
        let words = serde_json::from_str::<HashMap<String, String>>(&catalogue::texts(
            "softphone.",
            crate::model::language::Language::En,
        ));
        let words = words.unwrap();
        for (at, _) in all
            .match_indices("t(\"")
            .filter(|(at, _)| !all[..*at].ends_with(|before: char| before.is_alphanumeric() || before == '.'))
        {
            let key = all[at..].split('"').nth(1).unwrap();
            assert!(words.contains_key(&format!("softphone.{key}")), "{key}");
        }
        let idle = words.keys().filter(|key| {
            let key = key.trim_start_matches("softphone.");
            let is_made_up = MADE_UP.iter().any(|part| key.starts_with(part));
            !is_made_up && !all.contains(&format!("\"{key}\"")) && !all.contains(&format!("\"softphone.{key}\""))
        });
        assert_eq!(idle.collect::<BTreeSet<_>>(), BTreeSet::new());
    }
}
