//! Webhooks: endpoints that are told of what happens. What each was told is a page of its own (`deliveries`).

use crate::{
    app::web::resource::{Act, Cell, Part, Spec, col, more},
    tenancy::auth::rules::Resource,
};

pub static WEBHOOKS: Spec = Spec {
    name: "webhooks",
    base: "/app/webhooks",
    icon: "webhook",
    rights: Resource::Webhooks,
    api: "/v1/webhooks",
    is_callers: true,
    new: Some("NewWebhook"),
    patch: Some("WebhookPatch"),
    title: &["url"],
    columns: &[
        col("url", Cell::Title),
        col("description", Cell::Text),
        col("topics", Cell::List),
        col("enabled", Cell::Flag),
        col("failing_since", Cell::Time),
        more("previous_ends_at", Cell::Time),
        more("created_at", Cell::Time),
    ],
    parts: &[Part { heading: "", fields: &["url", "description", "topics", "enabled"], closed: false }],
    hints: &[("url", "hint.webhook_url"), ("overlap_seconds", "hint.webhook_overlap"), ("since", "hint.webhook_since")],
    preset: r#"{"enabled": true, "topics": ["call:incoming", "call:ended"]}"#,
    once: &["secret"],
    acts: &[
        Act {
            name: "rotate-secret",
            path: "/rotate-secret",
            label: "webhooks.rotate",
            text: "webhooks.rotate_text",
            icon: "rotate-cw",
            asks: Some("SecretRotation"),
            preset: r#"{"overlap_seconds": 86400}"#,
            once: &["secret"],
            ..Act::EMPTY
        },
        Act {
            name: "replay",
            path: "/replay",
            label: "webhooks.replay",
            text: "webhooks.replay_text",
            icon: "send",
            asks: Some("Replay"),
            told: &["deliveries"],
            is_apart: true,
            ..Act::EMPTY
        },
    ],
    further: &[("deliveries", "webhooks.deliveries", "scroll-text")],
    delete_text: "webhooks.delete_text",
    ..Spec::EMPTY
};
