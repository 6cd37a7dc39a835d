//! A company's settings: one form for all of them.

use crate::{
    app::web::resource::{Part, Spec},
    tenancy::auth::rules::Resource,
};

pub static COMPANY: Spec = Spec {
    name: "company",
    base: "/app/company",
    icon: "building-2",
    rights: Resource::Tenant,
    api: "/v1/tenants/{tenant}/settings",
    is_single: true,
    new: Some("Settings"),
    patch: Some("Settings"),
    parts: &[
        Part { heading: "part.company", fields: &["language", "country", "time_zone", "currency"], closed: false },
        Part { heading: "part.hours", fields: &["business_hours"], closed: false },
        Part { heading: "part.features", fields: &["features"], closed: true },
        Part {
            heading: "part.outside",
            fields: &["routing.outbound", "routing.blocked_callers", "routing.record"],
            closed: true,
        },
        Part { heading: "part.emergency", fields: &["routing.emergency"], closed: true },
        Part {
            heading: "part.codes",
            fields: &["routing.codes", "routing.speed_dials", "routing.park_seconds"],
            closed: true,
        },
        Part { heading: "part.announcements", fields: &["routing.announcements"], closed: true },
        Part { heading: "part.phones", fields: &["calling"], closed: true },
        Part { heading: "part.agents", fields: &["agents"], closed: true },
        Part { heading: "part.contacts", fields: &["contacts"], closed: true },
        Part { heading: "part.reports", fields: &["reports"], closed: true },
        Part { heading: "part.messaging", fields: &["messaging", "voice_agent", "dispositions"], closed: true },
        Part { heading: "part.integrations", fields: &["integrations"], closed: true },
    ],
    hints: &[
        ("time_zone", "hint.zone"),
        ("agents.caller_page", "hint.caller_page"),
        ("country", "hint.country"),
        ("currency", "hint.currency"),
        ("routing.announcements", "hint.announcements"),
        ("routing.speed_dials", "hint.speed_dials"),
        ("routing.outbound.spend_per_day", "hint.millionths"),
        ("routing.outbound.price_per_minute", "hint.millionths"),
        ("dispositions", "hint.lines"),
        ("routing.emergency.numbers", "hint.lines"),
        ("routing.emergency.contacts", "hint.lines"),
        ("routing.outbound.forwards_show_caller", "hint.forwards_show_caller"),
        ("routing.outbound.countries", "hint.lines"),
        ("routing.outbound.allowed_prefixes", "hint.lines"),
        ("routing.outbound.blocked_prefixes", "hint.lines"),
        ("routing.blocked_callers", "hint.lines"),
    ],
    labels: &[
        ("routing.speed_dials.key", "label.digits"),
        ("routing.speed_dials.value", "label.number"),
        ("routing.announcements.key", "field.reason"),
        ("routing.announcements.value", "field.announcement"),
    ],
    deletes: false,
    ..Spec::EMPTY
};
