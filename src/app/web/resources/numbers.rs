//! Phone numbers: where each leads, and which agent calls out with it.

use crate::{
    app::web::resource::{Act, Bulk, Cell, Does, Filter, Part, Spec, col, more},
    tenancy::auth::rules::Resource,
};

pub static NUMBERS: Spec = Spec {
    name: "phone-numbers",
    base: "/phone-numbers",
    icon: "hash",
    rights: Resource::Numbers,
    api: "/v1/phone-numbers",
    new: Some("NewNumber"),
    patch: Some("NumberPatch"),
    title: &["number"],
    dials: "number",
    columns: &[
        col("number", Cell::Title),
        col("country", Cell::Text),
        col("destination", Cell::Target),
        col("assignment.agent_id", Cell::Ref),
        col("provider", Cell::Text),
        col("status", Cell::State),
        more("assignment.daily_limit", Cell::Text),
        more("capabilities", Cell::List),
        more("record", Cell::Flag),
        more("created_at", Cell::Time),
    ],
    links: &[("/phone-numbers/many", "numbers.many", "upload")],
    search: Some("search"),
    filters: &[
        Filter { name: "status", asked: true, words: "status", values: &["active", "suspended"] },
        Filter { name: "assigned", asked: true, words: "assigned", values: &["true", "false"] },
    ],
    parts: &[
        Part { heading: "", fields: &["number", "destination", "status"], closed: false },
        Part { heading: "part.more", fields: &["provider", "country", "capabilities", "record"], closed: true },
    ],
    labels: &[
        ("number", "label.number"),
        ("assignment.agent_id", "label.assigned_to"),
        ("assigned", "label.assignment"),
    ],
    hints: &[
        ("number", "hint.e164"),
        ("destination", "hint.number_destination"),
        ("country", "hint.number_country"),
        ("daily_limit", "hint.daily_limit"),
        ("allowed_countries", "hint.allowed_countries"),
        ("take_over", "hint.take_over"),
    ],
    preset: r#"{"capabilities": ["voice"], "status": "active"}"#,
    acts: &[
        Act {
            name: "assign",
            path: "/assign",
            label: "numbers.assign",
            text: "numbers.assign_text",
            icon: "user-cog",
            asks: Some("Assign"),
            preset: r#"{"daily_limit": 100}"#,
            done: "numbers.was_assigned",
            ..Act::EMPTY
        },
        Act {
            name: "unassign",
            path: "/unassign",
            label: "numbers.unassign",
            text: "numbers.unassign_text",
            icon: "ban",
            when: |number| !number["assignment"].is_null(),
            done: "numbers.was_unassigned",
            ..Act::EMPTY
        },
    ],
    further: &[("map", "map.title", "waypoints")],
    bulks: &[
        Bulk { name: "unassign", label: "numbers.unassign", icon: "ban", does: Does::Post("/unassign") },
        Bulk { name: "suspend", label: "agents.suspend", icon: "ban", does: Does::Patch(r#"{"status": "suspended"}"#) },
        Bulk {
            name: "activate",
            label: "agents.activate",
            icon: "circle-check",
            does: Does::Patch(r#"{"status": "active"}"#),
        },
    ],
    ..Spec::EMPTY
};
