//! Extensions: what phones register as.

use crate::{
    app::web::resource::{Act, Bulk, Cell, Does, Filter, Part, Spec, col, more},
    tenancy::auth::rules::Resource,
};

pub static EXTENSIONS: Spec = Spec {
    name: "extensions",
    base: "/app/extensions",
    icon: "phone",
    rights: Resource::Extensions,
    api: "/v1/tenants/{tenant}/extensions",
    new: Some("NewExtension"),
    patch: Some("ExtensionPatch"),
    title: &["number", "display_name"],
    dials: "number",
    columns: &[
        col("number", Cell::Title),
        col("display_name", Cell::Text),
        col("user_id", Cell::Ref),
        col("status", Cell::State),
        col("voicemail_enabled", Cell::Flag),
        more("alias", Cell::Extension),
        more("sip_username", Cell::Mono),
        more("caller_id_number", Cell::Number),
        more("ring_seconds", Cell::Text),
        more("calls.do_not_disturb", Cell::Flag),
        more("calls.forward_always", Cell::Number),
        more("created_at", Cell::Time),
    ],
    filters: &[
        Filter { name: "status", asked: false, words: "status", values: &["active", "suspended"] },
        Filter { name: "user_id", asked: false, words: "has_agent", values: &["some", "none"] },
    ],
    parts: &[
        Part { heading: "", fields: &["number", "display_name", "alias", "status"], closed: false },
        Part {
            heading: "part.calls",
            fields: &["ring_seconds", "caller_id_name", "caller_id_number", "calls"],
            closed: false,
        },
        Part {
            heading: "part.voicemail",
            fields: &["voicemail_enabled", "voicemail_email", "voicemail_pin"],
            closed: false,
        },
        Part {
            heading: "part.phone",
            fields: &["sip_username", "sip_password", "max_registrations", "codecs", "variables"],
            closed: true,
        },
    ],
    hints: &[
        ("alias", "hint.alias"),
        ("sip_password", "hint.made_if_empty"),
        ("voicemail_pin", "hint.made_if_empty"),
        ("codecs", "hint.codecs"),
        ("ring_seconds", "hint.seconds"),
    ],
    preset: r#"{"ring_seconds": 20, "voicemail_enabled": true, "calls": {}}"#,
    once: &["sip_username", "sip_password", "voicemail_pin"],
    acts: &[Act {
        name: "rotate",
        path: "/rotate-secret",
        label: "agent.rotate",
        text: "rotate.text",
        icon: "rotate-cw",
        once: &["sip_username", "sip_password"],
        ..Act::EMPTY
    }],
    bulks: &[
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
