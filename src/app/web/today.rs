//! A tenant's start page: what comes next for a new company, ticked off by itself, what needs a hand, and how much there is.

use actix_web::{get, web::ServiceConfig};
use askama::Template;
use serde_json::Value;

use super::{
    Page, Shell, Turned, Visitor,
    ask::{turned, with},
    ok,
};
use crate::{
    http::problem::Problem,
    people::agents::store,
    telephony::pools,
    tenancy::{
        auth::rules::{Level, Resource, Role},
        tenants,
    },
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(today);
}

/// How many free numbers are few.
const FEW: i64 = 5;
/// How many of each problem are named.
const MOST: usize = 5;

/// Something to do, which is ticked off by itself.
struct Task {
    label: &'static str,
    text: &'static str,
    href: &'static str,
    button: &'static str,
    done: bool,
}

/// Something that needs a hand.
struct Trouble {
    text: String,
    href: String,
}

#[derive(Template)]
#[template(path = "web/today.html")]
struct TodayPage<'a> {
    s: &'a Shell,
    tenant: String,
    domain: String,
    agents: i64,
    invited: i64,
    suspended: i64,
    extensions: i64,
    free: i64,
    numbers: String,
    tasks: Vec<Task>,
    troubles: Vec<Trouble>,
    can_write: bool,
}

impl TodayPage<'_> {
    fn is_new(&self) -> bool {
        self.can_write && self.tasks.iter().any(|task| !task.done)
    }

    fn done(&self) -> usize {
        self.tasks.iter().filter(|task| task.done).count()
    }
}

fn tasks(people: bool, phone: bool, numbers: &[Value]) -> Vec<Task> {
    let leads = numbers.iter().any(|number| !number["destination"].is_null());
    vec![
        Task {
            label: "today.add_person",
            text: "today.add_person_text",
            href: "/app/agents/new",
            button: "agents.add",
            done: people,
        },
        Task {
            label: "today.phone",
            text: "today.phone_text",
            href: "/app/agents",
            button: "agents.title",
            done: phone,
        },
        Task {
            label: "today.number",
            text: "today.number_text",
            href: "/phone-numbers/new",
            button: "today.number_button",
            done: !numbers.is_empty(),
        },
        Task {
            label: "today.route",
            text: "today.route_text",
            href: "/phone-numbers",
            button: "nav.numbers",
            done: leads,
        },
    ]
}

async fn troubles(visitor: &Visitor, tenant: uuid::Uuid, numbers: &[Value], free: i64) -> Result<Vec<Trouble>, Turned> {
    let s = &visitor.shell;
    let mut found = Vec::new();
    let text = |thing: &Value, field: &str| thing[field].as_str().unwrap_or_default().to_owned();
    let idle = numbers.iter().filter(|number| number["destination"].is_null() && number["assignment"].is_null());
    for number in idle.take(MOST) {
        found.push(Trouble {
            text: s.t_with("today.leads_nowhere", &[("number", super::resource::formatted(&text(number, "number")))]),
            href: format!("/phone-numbers/{}", text(number, "id")),
        });
    }
    let queues = visitor.page_of(&format!("/v1/tenants/{tenant}/destinations?kind=queue"), 500, None).await;
    let empty = |queue: &&Value| queue["config"]["tiers"].as_array().is_none_or(Vec::is_empty);
    for queue in queues.map_err(turned)?.items.iter().filter(empty).take(MOST) {
        found.push(Trouble {
            text: s.t_with("today.empty_queue", &[("name", text(queue, "name"))]),
            href: format!("/app/queues/{}", text(queue, "id")),
        });
    }
    if free < FEW {
        found.push(Trouble {
            text: s.t_with("today.few_free", &[("count", free.to_string())]),
            href: "/app/pools".into(),
        });
    }
    Ok(found)
}

#[get("/app")]
async fn today(mut visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Agents, Level::Read)?;
    let tenant = Visitor::in_tenant(&actor)?;
    let mut db = visitor.api.read(&actor).await?;
    let home = tenants::store::get(&mut *db, tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let counts = store::counts(&mut *db, tenant).await?;
    let free = pools::store::usage(&mut db, tenant).await?.free;
    drop(db);
    let mut path = "/v1/phone-numbers".to_owned();
    if actor.role == Role::PlatformAdmin {
        path = with(&path, "tenant_id", &tenant.to_string());
    }
    let listed = visitor.page_of(&path, 500, None).await.map_err(turned)?;
    let numbers = listed.items;
    let more = if listed.next.is_some() { "+" } else { "" };
    let people = counts.users > 1;
    // Whoever has accepted the invitation has seen how their phone is set up.
    let phone = people && counts.users - counts.invited - counts.suspended > 1;
    let can_write = actor.level == Level::Write;
    let troubles = troubles(&visitor, tenant, &numbers, free).await?;
    visitor.shell.active = "home";
    ok(&TodayPage {
        s: &visitor.shell,
        tenant: home.name.to_string(),
        domain: home.domain.to_string(),
        agents: counts.users,
        invited: counts.invited,
        suspended: counts.suspended,
        extensions: counts.extensions,
        free,
        numbers: format!("{}{more}", numbers.len()),
        tasks: tasks(people, phone, &numbers),
        troubles,
        can_write,
    })
}
