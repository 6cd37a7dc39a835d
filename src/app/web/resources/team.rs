//! The team: who has which role, a second factor, and when they were last here.

use crate::{
    app::web::resource::{Bulk, Cell, Does, Filter, Part, Spec, col, more},
    tenancy::auth::rules::Resource,
};

pub static TEAM: Spec = Spec {
    name: "team",
    base: "/app/team",
    icon: "user-cog",
    rights: Resource::Agents,
    api: "/v1/admin/agents",
    patch: Some("AgentPatch"),
    title: &["first_name", "last_name"],
    columns: &[
        col("last_name", Cell::Title),
        col("first_name", Cell::Text),
        col("email", Cell::Text),
        col("role", Cell::Role),
        col("two_factor", Cell::Flag),
        col("last_sign_in_at", Cell::Time),
        col("status", Cell::State),
        more("two_factor_required", Cell::Flag),
        more("language", Cell::Choice),
        more("created_at", Cell::Time),
    ],
    search: Some("search"),
    filters: &[
        Filter { name: "role", asked: true, words: "role", values: &["owner", "admin", "manager", "agent"] },
        Filter { name: "status", asked: true, words: "status", values: &["active", "invited", "suspended"] },
    ],
    parts: &[
        Part { heading: "", fields: &["first_name", "last_name", "email", "language"], closed: false },
        Part { heading: "part.rights", fields: &["role", "two_factor_required", "status"], closed: false },
    ],
    hints: &[("role", "hint.role"), ("two_factor_required", "hint.two_factor")],
    bulks: &[
        Bulk { name: "suspend", label: "agents.suspend", icon: "ban", does: Does::Patch(r#"{"status": "suspended"}"#) },
        Bulk {
            name: "activate",
            label: "agents.activate",
            icon: "circle-check",
            does: Does::Patch(r#"{"status": "active"}"#),
        },
        Bulk {
            name: "two-factor",
            label: "team.two_factor",
            icon: "key-round",
            does: Does::Patch(r#"{"two_factor_required": true}"#),
        },
    ],
    links: &[("/app/agents/new", "agents.add", "plus")],
    ..Spec::EMPTY
};
