//! The people of a company, with what they can be reached at. Their own pages are in `web/agents.rs`.

use crate::{
    app::web::resource::{Bulk, Cell, Does, Filter, Spec, Step, col, more},
    tenancy::auth::rules::Resource,
};

pub static AGENTS: Spec = Spec {
    name: "agents",
    base: "/app/agents",
    icon: "users",
    rights: Resource::Agents,
    api: "/v1/admin/agents",
    query: "expand=numbers",
    only_list: true,
    new: Some("NewAgent"),
    title: &["first_name", "last_name"],
    columns: &[
        col("last_name", Cell::Person),
        col("email", Cell::Text),
        col("role", Cell::Role),
        col("extensions", Cell::Numbered),
        col("numbers", Cell::Numbered),
        col("last_sign_in_at", Cell::Time),
        col("status", Cell::State),
        more("two_factor", Cell::Flag),
        more("language", Cell::Choice),
        more("created_at", Cell::Time),
    ],
    search: Some("search"),
    filters: &[
        Filter { name: "status", asked: true, words: "status", values: &["active", "invited", "suspended"] },
        Filter { name: "role", asked: true, words: "role", values: &["owner", "admin", "manager", "agent"] },
    ],
    labels: &[("last_name", "field.name"), ("numbers", "nav.numbers"), ("created_at", "agent.since")],
    bulks: &[
        Bulk { name: "suspend", label: "agents.suspend", icon: "ban", does: Does::Patch(r#"{"status": "suspended"}"#) },
        Bulk {
            name: "activate",
            label: "agents.activate",
            icon: "circle-check",
            does: Does::Patch(r#"{"status": "active"}"#),
        },
    ],
    steps: &[
        Step { name: "invite", label: "agent.invite", icon: "send", when: |agent| agent["status"] == "invited" },
        Step { name: "suspend", label: "agents.suspend", icon: "ban", when: |agent| agent["status"] != "suspended" },
        Step {
            name: "activate",
            label: "agents.activate",
            icon: "circle-check",
            when: |agent| agent["status"] == "suspended",
        },
    ],
    links: &[("/app/agents/import", "agents.import", "upload")],
    ..Spec::EMPTY
};
