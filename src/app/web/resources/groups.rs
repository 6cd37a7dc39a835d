//! Groups: extensions that ring together.

use crate::{
    app::web::resource::{Cell, Part, Spec, col, more},
    tenancy::auth::rules::Resource,
};

pub static GROUPS: Spec = Spec {
    name: "groups",
    base: "/app/groups",
    icon: "users-round",
    rights: Resource::Groups,
    api: "/v1/tenants/{tenant}/groups",
    new: Some("NewGroup"),
    patch: Some("GroupPatch"),
    columns: &[
        col("name", Cell::Title),
        col("number", Cell::Extension),
        col("members", Cell::Count),
        col("strategy", Cell::Choice),
        col("otherwise", Cell::Target),
        more("ring_seconds", Cell::Text),
        more("confirm", Cell::Flag),
        more("follow_forwards", Cell::Flag),
        more("pickup", Cell::Flag),
        more("updated_at", Cell::Time),
    ],
    parts: &[
        Part { heading: "", fields: &["name", "number", "members"], closed: false },
        Part { heading: "part.ringing", fields: &["strategy", "ring_seconds", "otherwise"], closed: false },
        Part { heading: "part.more", fields: &["confirm", "follow_forwards", "pickup"], closed: true },
    ],
    hints: &[
        ("number", "hint.dialled"),
        ("otherwise", "hint.group_otherwise"),
        ("confirm", "hint.group_confirm"),
        ("follow_forwards", "hint.group_forwards"),
        ("pickup", "hint.group_pickup"),
        ("ring_seconds", "hint.seconds"),
    ],
    labels: &[("number", "label.own_number")],
    preset: r#"{"strategy": "all", "ring_seconds": 20, "members": [null]}"#,
    ..Spec::EMPTY
};
