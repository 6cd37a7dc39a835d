//! Erasing what is kept of one person.

use crate::{
    app::web::resource::{Cell, Part, Spec, col, more},
    tenancy::auth::rules::Resource,
};

pub static ERASURES: Spec = Spec {
    name: "erasures",
    base: "/app/erasures",
    icon: "ban",
    rights: Resource::Erasures,
    api: "/v1/erasures",
    new: Some("NewErasure"),
    title: &["created_at"],
    columns: &[
        col("created_at", Cell::Title),
        col("state", Cell::Choice),
        col("numbers", Cell::Text),
        col("erased.calls", Cell::Text),
        col("erased.recordings", Cell::Text),
        col("erased.messages", Cell::Text),
        col("erased.contacts", Cell::Text),
        col("remaining", Cell::Text),
        more("erased.records", Cell::Text),
        more("erased.others", Cell::Text),
        col("next_at", Cell::Time),
        more("finished_at", Cell::Time),
    ],
    parts: &[Part { heading: "", fields: &["numbers", "contact_id"], closed: false }],
    hints: &[("numbers", "hint.erasure_numbers"), ("contact_id", "hint.erasure_contact")],
    labels: &[("numbers", "nav.numbers"), ("next_at", "erasures.next_look")],
    deletes: false,
    ..Spec::EMPTY
};
