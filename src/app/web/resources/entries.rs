//! Dialplan entries: a tenant's own rules, which come before the built-in ones.

use crate::{
    app::web::resource::{Cell, Filter, Part, Spec, col, more},
    tenancy::auth::rules::Resource,
};

pub static ENTRIES: Spec = Spec {
    name: "entries",
    base: "/app/entries",
    icon: "git-branch",
    rights: Resource::Dialplan,
    api: "/v1/tenants/{tenant}/dialplan-entries",
    new: Some("NewEntry"),
    patch: Some("EntryPatch"),
    columns: &[
        col("position", Cell::Text),
        col("name", Cell::Title),
        col("enabled", Cell::Flag),
        col("conditions", Cell::Count),
        more("updated_at", Cell::Time),
    ],
    filters: &[Filter { name: "enabled", asked: false, words: "yes", values: &["true", "false"] }],
    parts: &[
        Part { heading: "", fields: &["name", "position", "enabled"], closed: false },
        Part { heading: "", fields: &["conditions"], closed: false },
        Part { heading: "part.xml", fields: &["xml"], closed: true },
    ],
    hints: &[("position", "hint.entry_position"), ("conditions", "hint.entry_conditions"), ("xml", "hint.entry_xml")],
    preset: r#"{"position": 100, "enabled": true}"#,
    ..Spec::EMPTY
};
