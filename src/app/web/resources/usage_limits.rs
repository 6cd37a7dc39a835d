//! How much a company means to use in a month: one form.

use crate::{
    app::web::resource::{Part, Spec},
    tenancy::auth::rules::Resource,
};

pub static USAGE_LIMITS: Spec = Spec {
    name: "usage-limits",
    base: "/app/usage-limits",
    icon: "chart-column",
    rights: Resource::Tenant,
    api: "/v1/tenants/{tenant}/usage-limits",
    is_single: true,
    new: Some("UsageLimitsPatch"),
    patch: Some("UsageLimitsPatch"),
    parts: &[Part {
        heading: "",
        fields: &[
            "minutes_in",
            "minutes_out",
            "calls",
            "peak_calls",
            "extensions",
            "numbers",
            "storage_bytes",
            "charge",
        ],
        closed: false,
    }],
    labels: &[
        ("minutes_in", "usage.minutes_in"),
        ("minutes_out", "usage.minutes_out"),
        ("peak_calls", "usage.peak"),
        ("extensions", "usage.extensions"),
        ("numbers", "usage.numbers"),
        ("storage_bytes", "usage.bytes"),
        ("charge", "usage.charge"),
    ],
    hints: &[("charge", "hint.usage_charge")],
    deletes: false,
    ..Spec::EMPTY
};
