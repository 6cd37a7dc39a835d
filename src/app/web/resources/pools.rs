//! Number pools, from which new extensions get their numbers, and numbers that are not given out.

use crate::{
    app::web::resource::{Cell, Part, Spec, col, more},
    tenancy::auth::rules::Resource,
};

pub static POOLS: Spec = Spec {
    name: "pools",
    base: "/app/pools",
    icon: "layers",
    rights: Resource::Pools,
    api: "/v1/tenants/{tenant}/pools",
    in_list: true,
    new: Some("NewPool"),
    patch: Some("PoolPatch"),
    title: &["first_number", "last_number"],
    columns: &[
        col("first_number", Cell::Title),
        col("last_number", Cell::Text),
        col("used", Cell::Text),
        col("held", Cell::Text),
        col("free", Cell::Text),
        more("created_at", Cell::Time),
    ],
    parts: &[Part { heading: "", fields: &["first_number", "last_number"], closed: false }],
    links: &[("/app/reserved-numbers", "nav.reserved", "ban")],
    ..Spec::EMPTY
};

pub static RESERVED: Spec = Spec {
    name: "reserved-numbers",
    base: "/app/reserved-numbers",
    icon: "ban",
    rights: Resource::Pools,
    api: "/v1/tenants/{tenant}/reserved-numbers",
    in_list: true,
    new: Some("NewReservation"),
    id: "number",
    title: &["number"],
    columns: &[
        col("number", Cell::Title),
        col("reason", Cell::Text),
        col("until", Cell::Time),
        more("created_at", Cell::Time),
    ],
    parts: &[Part { heading: "", fields: &["number", "reason"], closed: false }],
    labels: &[("number", "label.number")],
    ..Spec::EMPTY
};
