//! API keys for scripts.

use crate::{
    app::web::resource::{Act, Cell, Part, Spec, col, more},
    tenancy::auth::rules::Resource,
};

pub static KEYS: Spec = Spec {
    name: "keys",
    base: "/app/keys",
    icon: "key-round",
    rights: Resource::Keys,
    api: "/v1/keys",
    is_callers: true,
    new: Some("NewKey"),
    patch: Some("KeyPatch"),
    columns: &[
        col("name", Cell::Title),
        col("prefix", Cell::Mono),
        col("scopes", Cell::List),
        col("last_used_at", Cell::Time),
        col("expires_at", Cell::Time),
        more("previous_expires_at", Cell::Time),
        more("created_at", Cell::Time),
    ],
    parts: &[Part { heading: "", fields: &["name", "scopes", "origins", "expires_at"], closed: false }],
    hints: &[
        ("scopes", "hint.scopes"),
        ("origins", "hint.origins"),
        ("expires_at", "hint.utc_or_never"),
        ("overlap_seconds", "hint.overlap"),
    ],
    preset: r#"{"scopes": ["*:read"]}"#,
    once: &["token"],
    acts: &[Act {
        name: "rotate",
        path: "/rotate",
        label: "keys.rotate",
        text: "keys.rotate_text",
        icon: "rotate-cw",
        asks: Some("Rotation"),
        preset: r#"{"overlap_seconds": 86400}"#,
        once: &["token"],
        ..Act::EMPTY
    }],
    ..Spec::EMPTY
};
