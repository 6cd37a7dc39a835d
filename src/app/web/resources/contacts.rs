//! Contacts: whom a tenant calls and is called by.

use crate::{
    app::web::resource::{Cell, Filter, Part, Spec, col, more},
    tenancy::auth::rules::Resource,
};

pub static CONTACTS: Spec = Spec {
    name: "contacts",
    base: "/app/contacts",
    icon: "circle-user",
    rights: Resource::Contacts,
    api: "/v1/contacts",
    new: Some("NewContact"),
    patch: Some("ContactPatch"),
    columns: &[
        col("name", Cell::Title),
        col("company", Cell::Text),
        col("numbers", Cell::Numbers),
        col("email", Cell::Text),
        col("tags", Cell::List),
        more("do_not_call.at", Cell::Time),
        more("updated_at", Cell::Time),
    ],
    dials: "numbers",
    search: Some("search"),
    filters: &[Filter { name: "do_not_call", asked: true, words: "yes", values: &["true", "false"] }],
    parts: &[
        Part { heading: "", fields: &["name", "company", "numbers", "email"], closed: false },
        Part { heading: "part.more", fields: &["tags", "notes", "fields"], closed: false },
        Part { heading: "part.wishes", fields: &["do_not_call", "consent"], closed: false },
    ],
    hints: &[("numbers", "hint.contact_numbers"), ("tags", "hint.lines")],
    labels: &[("numbers", "nav.numbers")],
    ..Spec::EMPTY
};
