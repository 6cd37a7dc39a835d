//! The platform's start page: how much there is, and what needs a hand.

use actix_web::{get, web::ServiceConfig};
use askama::Template;
use chrono::Utc;
use serde_json::Value;

use super::{
    Page, Shell, Turned, Visitor,
    ask::{Ask, turned},
    ok,
};
use crate::{
    model::paging::Window,
    telephony::calls,
    tenancy::{
        auth::rules::{Level, Resource},
        clusters,
        switches::{self, State},
    },
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(overview);
}

struct Figure {
    number: String,
    label: &'static str,
    href: &'static str,
}

struct Trouble {
    text: String,
    href: String,
}

#[derive(Template)]
#[template(path = "web/overview.html")]
struct OverviewPage<'a> {
    s: &'a Shell,
    /// What goes on at this moment.
    now: Vec<Figure>,
    figures: Vec<Figure>,
    troubles: Vec<Trouble>,
}

/// What the node that answers knows to be wrong.
async fn of_nodes(visitor: &Visitor) -> Result<Vec<Trouble>, Turned> {
    let health = visitor.ask(Ask::get("/v1/monitoring/health".to_owned())).await.map_err(turned)?.body;
    let s = &visitor.shell;
    let trouble = |trouble: &Value| {
        let text = |field: &str| trouble[field].as_str().unwrap_or_default();
        let kind = text("kind");
        // That is said of all nodes together, by what the database knows.
        if kind == "switch_silent" {
            return None;
        }
        let subject = if kind == "work_waits" { s.t_of("work", text("subject")) } else { text("subject").to_owned() };
        let at = text("since").get(..16).map(|at| format!("{} UTC", at.replace('T', " "))).unwrap_or_default();
        let said = s.t_with(
            &format!("trouble.{kind}"),
            &[("subject", subject), ("count", trouble["count"].to_string()), ("at", at)],
        );
        let href = if kind.starts_with("switch_") || kind == "gateways_down" { "/platform/live" } else { "" };
        Some(Trouble { text: said, href: href.to_owned() })
    };
    Ok(health["troubles"].as_array().into_iter().flatten().filter_map(trouble).collect())
}

#[get("/platform")]
async fn overview(mut visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Platform, Level::Read)?;
    visitor.shell.active = "overview";
    let s = &visitor.shell;
    let text = |thing: &Value, field: &str| thing[field].as_str().unwrap_or_default().to_owned();
    let tenants = visitor.all_of("/v1/tenants").await.map_err(turned)?.items;
    let carriers = visitor.all_of("/v1/carriers").await.map_err(turned)?.items;
    let mut troubles = Vec::new();
    let mut db = visitor.api.read(&actor).await?;
    let (mut all, mut count) = (0, 0);
    for cluster in clusters::store::list(&mut *db, &clusters::store::Filter::default(), &Window::FIRST.into()).await? {
        all += 1;
        for switch in switches::store::of_cluster(&mut *db, cluster.id).await? {
            count += 1;
            let href = format!("/platform/switches/{}/setup", switch.id);
            let state = switch.state(Utc::now());
            let name = switch.name;
            match state {
                State::NeverAsked => {
                    troubles.push(Trouble { text: s.t_with("overview.never_asked", &[("name", name)]), href });
                }
                State::SilentSince(at) => {
                    let at = at.format("%Y-%m-%d %H:%M UTC").to_string();
                    troubles.push(Trouble { text: s.t_with("overview.silent", &[("name", name), ("at", at)]), href });
                }
                State::Disabled | State::OutOfService | State::Active => {}
            }
        }
    }
    troubles.extend(of_nodes(&visitor).await?);
    let sick = carriers.iter().filter(|carrier| !carrier["health"]["sick_until"].is_null());
    troubles.extend(sick.map(|carrier| Trouble {
        text: s.t_with("overview.sick", &[("name", text(carrier, "name"))]),
        href: format!("/platform/carriers/{}", text(carrier, "id")),
    }));
    let unpriced = carriers.iter().filter(|carrier| carrier["rates"] == 0 && carrier["status"] == "active");
    troubles.extend(unpriced.map(|carrier| Trouble {
        text: s.t_with("overview.no_rates", &[("name", text(carrier, "name"))]),
        href: format!("/platform/carriers/{}/rates", text(carrier, "id")),
    }));
    let leaving = tenants.iter().filter(|tenant| !tenant["purge_at"].is_null());
    troubles.extend(leaving.map(|tenant| Trouble {
        text: s.t_with(
            "overview.leaving",
            &[("name", text(tenant, "name")), ("at", text(tenant, "purge_at").chars().take(10).collect::<String>())],
        ),
        href: format!("/platform/tenants/{}", text(tenant, "id")),
    }));
    let unreadable = calls::store::count_unreadable(&mut *db).await?;
    if unreadable > 0 {
        let text = s.t_with("clusters.unreadable", &[("count", unreadable.to_string())]);
        troubles.push(Trouble { text, href: "/platform/records".into() });
    }
    let stats = visitor.ask(Ask::get("/v1/monitoring/stats")).await.map_err(turned)?.body;
    let live = |field: &str| stats["live"][field].as_u64().unwrap_or_default();
    let heard = format!("{} / {}", live("switches_heard"), live("switches"));
    let now = vec![
        Figure { number: live("calls").to_string(), label: "monitoring.calls", href: "/platform/live" },
        Figure { number: live("callers_waiting").to_string(), label: "monitoring.waiting", href: "/platform/live" },
        Figure { number: live("registrations").to_string(), label: "monitoring.phones", href: "/platform/live" },
        Figure { number: heard, label: "monitoring.heard", href: "/platform/live" },
        Figure { number: live("gateways_down").to_string(), label: "live.figure_down", href: "/platform/live" },
    ];
    let figures = vec![
        Figure { number: tenants.len().to_string(), label: "nav.tenants", href: "/platform/tenants" },
        Figure { number: all.to_string(), label: "overview.clusters", href: "/platform/clusters" },
        Figure { number: count.to_string(), label: "overview.switches", href: "/platform/clusters" },
        Figure { number: carriers.len().to_string(), label: "nav.carriers", href: "/platform/carriers" },
    ];
    ok(&OverviewPage { s, now, figures, troubles })
}
