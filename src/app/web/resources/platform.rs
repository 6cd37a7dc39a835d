//! The platform's subjects: carriers, clusters, switches and tenants.

use crate::{
    app::web::resource::{Act, Bulk, Cell, Does, Filter, Part, Spec, col, more},
    tenancy::auth::rules::Resource,
};

const PLATFORM: Spec = Spec { of_tenant: false, ..Spec::EMPTY };

pub static CARRIERS: Spec = Spec {
    name: "carriers",
    base: "/platform/carriers",
    icon: "radio-tower",
    rights: Resource::Carriers,
    api: "/v1/carriers",
    new: Some("NewCarrier"),
    patch: Some("CarrierPatch"),
    columns: &[
        col("name", Cell::Title),
        col("config.host", Cell::Mono),
        col("status", Cell::State),
        col("priority", Cell::Text),
        col("rates", Cell::Text),
        col("rates_uploaded_at", Cell::Time),
        col("tenant_id", Cell::Ref),
        more("config.transport", Cell::Choice),
        more("config.register", Cell::Flag),
        more("config.emergency", Cell::Flag),
        more("config.capacity", Cell::Text),
        more("health.answered", Cell::Text),
        more("health.sick_until", Cell::Time),
    ],
    filters: &[Filter { name: "status", asked: false, words: "status", values: &["active", "disabled"] }],
    parts: &[
        Part { heading: "", fields: &["name", "status", "priority", "tenant_id"], closed: false },
        Part {
            heading: "part.connection",
            fields: &[
                "config.host",
                "config.transport",
                "config.username",
                "password",
                "config.register",
                "config.realm",
                "config.networks",
            ],
            closed: false,
        },
        Part {
            heading: "part.numbers",
            fields: &[
                "config.number_format",
                "config.caller_id_format",
                "config.strip",
                "config.prefix",
                "config.caller_id_header",
                "config.caller_id_in_from",
                "config.anonymous_from",
                "config.history_info",
                "config.forwarded_caller",
                "config.inbound",
            ],
            closed: true,
        },
        Part {
            heading: "part.limits",
            fields: &[
                "config.capacity",
                "config.calls_per_second",
                "config.progress_seconds",
                "config.ping_seconds",
                "config.emergency",
                "config.currency",
                "config.codecs",
            ],
            closed: true,
        },
    ],
    hints: &[
        ("priority", "hint.carrier_priority"),
        ("tenant_id", "hint.carrier_tenant"),
        ("password", "hint.kept_if_empty"),
        ("config.networks", "hint.networks"),
        ("config.codecs", "hint.codecs"),
        ("config.forwarded_caller", "hint.forwarded_caller"),
        ("config.currency", "hint.currency"),
    ],
    preset: r#"{"status": "active", "priority": 100, "config": {"transport": "udp", "number_format": "e164", "caller_id_format": "e164", "strip": 0, "progress_seconds": 20}}"#,
    acts: &[Act {
        name: "test",
        path: "/test-connection",
        label: "carriers.test",
        text: "carriers.test_text",
        icon: "waypoints",
        told: &["reachable", "answer", "milliseconds", "error"],
        ..Act::EMPTY
    }],
    further: &[("rates", "rates.title", "upload")],
    bulks: &[
        Bulk { name: "disable", label: "bulk.disable", icon: "ban", does: Does::Patch(r#"{"status": "disabled"}"#) },
        Bulk {
            name: "activate",
            label: "agents.activate",
            icon: "circle-check",
            does: Does::Patch(r#"{"status": "active"}"#),
        },
    ],
    ..PLATFORM
};

/// The rate of a day that is set again is replaced, so there is no form for a change.
pub static EXCHANGE_RATES: Spec = Spec {
    name: "exchange-rates",
    base: "/platform/exchange-rates",
    icon: "wallet",
    rights: Resource::Carriers,
    api: "/v1/exchange-rates",
    new: Some("NewExchangeRate"),
    title: &["from_currency", "to_currency", "day"],
    columns: &[
        col("day", Cell::Title),
        col("from_currency", Cell::Text),
        col("to_currency", Cell::Text),
        col("rate", Cell::Mono),
        more("updated_at", Cell::Time),
    ],
    parts: &[Part { heading: "", fields: &["from_currency", "to_currency", "day", "rate"], closed: false }],
    hints: &[
        ("from_currency", "hint.currency"),
        ("to_currency", "hint.currency"),
        ("day", "hint.exchange_day"),
        ("rate", "hint.exchange_rate"),
    ],
    ..PLATFORM
};

pub static CLUSTERS: Spec = Spec {
    name: "clusters",
    base: "/platform/clusters",
    icon: "server",
    rights: Resource::Clusters,
    api: "/v1/clusters",
    has_own_list: true,
    new: Some("NewCluster"),
    patch: Some("ClusterPatch"),
    parts: &[
        Part { heading: "", fields: &["name", "region", "max_tenants", "status"], closed: false },
        Part {
            heading: "part.phones",
            fields: &["websocket_url", "sip_domains", "accepts_calls_from", "ice_servers"],
            closed: false,
        },
    ],
    further: &[("modules", "modules.title", "settings")],
    hints: &[
        ("sip_domains", "hint.lines"),
        ("websocket_url", "hint.websocket"),
        ("accepts_calls_from", "hint.accepts_calls"),
    ],
    ..PLATFORM
};

pub static SWITCHES: Spec = Spec {
    name: "switches",
    base: "/platform/switches",
    icon: "server",
    rights: Resource::Switches,
    api: "/v1/switches",
    has_own_list: true,
    new: Some("NewSwitch"),
    patch: Some("SwitchPatch"),
    parts: &[Part { heading: "", fields: &["name", "cluster_id", "status"], closed: false }],
    further: &[("setup", "switches.setup", "server"), ("service", "switches.service", "pause")],
    acts: &[Act {
        name: "event-socket",
        path: "/event-socket",
        label: "switches.event_socket",
        text: "switches.event_socket_text",
        icon: "link",
        asks: Some("NewEventSocket"),
        method: "PUT",
        is_apart: true,
        ..Act::EMPTY
    }],
    hints: &[("address", "hint.event_socket")],
    ..PLATFORM
};

pub static TENANTS: Spec = Spec {
    name: "tenants",
    base: "/platform/tenants",
    icon: "building-2",
    rights: Resource::Platform,
    api: "/v1/tenants",
    has_own_list: true,
    patch: Some("TenantPatch"),
    parts: &[Part { heading: "", fields: &["name", "domain", "cluster_id", "status"], closed: false }],
    hints: &[("domain", "hint.new_domain"), ("cluster_id", "hint.move_tenant")],
    delete_query: "cascade=true",
    delete_text: "tenants.delete_text",
    ..PLATFORM
};
