//! Destinations: what a call can be led to besides extensions and groups. Each kind has a page of its own.

use crate::{
    app::web::resource::{Act, Bulk, Cell, Column, Does, Filter, Part, Spec, col, more},
    tenancy::auth::rules::Resource,
};

const API: &str = "/v1/tenants/{tenant}/destinations";

const DESTINATION: Spec = Spec {
    rights: Resource::Destinations,
    api: API,
    new: Some("NewDestination"),
    patch: Some("DestinationPatch"),
    labels: &[("number", "label.own_number")],
    hints: &[("number", "hint.dialled"), ("pin", "hint.pin")],
    once: &["pin"],
    ..Spec::EMPTY
};

const NAME: Column = col("name", Cell::Title);
const NUMBER: Column = col("number", Cell::Extension);
const CHANGED: Column = more("updated_at", Cell::Time);

const fn part(fields: &'static [&'static str]) -> Part {
    Part { heading: "", fields, closed: false }
}

const fn closed(heading: &'static str, fields: &'static [&'static str]) -> Part {
    Part { heading, fields, closed: true }
}

pub static QUEUES: Spec = Spec {
    name: "queues",
    base: "/app/queues",
    icon: "headphones",
    links: &[("/app/call-backs", "nav.call_backs", "phone-outgoing")],
    kind: Some(("queue", "Queue")),
    query: "kind=queue",
    columns: &[
        NAME,
        NUMBER,
        col("config.tiers", Cell::Count),
        col("config.strategy", Cell::Choice),
        col("config.overflow", Cell::Target),
        more("config.max_wait_seconds", Cell::Text),
        more("config.record", Cell::Flag),
        CHANGED,
    ],
    parts: &[
        part(&["name", "number", "config.strategy", "config.tiers"]),
        Part {
            heading: "part.waiting",
            fields: &[
                "config.music",
                "config.announcement",
                "config.announcement_seconds",
                "config.announce_place",
                "config.announce_wait",
                "config.max_wait_seconds",
                "config.overflow",
            ],
            closed: false,
        },
        Part {
            heading: "part.queue_agents",
            fields: &[
                "config.ring_seconds",
                "config.wrap_up_seconds",
                "config.max_no_answers",
                "config.ring_busy_agents",
                "config.level_wait_seconds",
                "config.script",
            ],
            closed: true,
        },
        closed("part.call_back", &["config.call_back"]),
        closed("part.more", &["config.priorities", "config.record", "pin"]),
    ],
    hints: &[
        ("number", "hint.dialled"),
        ("config.max_wait_seconds", "hint.zero_no_limit"),
        ("config.overflow", "hint.queue_overflow"),
        ("config.music", "hint.music"),
        ("config.level_wait_seconds", "hint.level_wait"),
        ("config.script", "hint.script"),
        ("config.announce_place", "hint.announce_place"),
        ("config.call_back", "hint.call_back"),
        ("pin", "hint.pin"),
    ],
    preset: r#"{"config": {"strategy": "longest_idle", "tiers": [{"level": 1, "position": 1}], "ring_seconds": 20, "announcement_seconds": 60}}"#,
    ..DESTINATION
};

/// Who is called back instead of waiting. They come by themselves.
pub static CALL_BACKS: Spec = Spec {
    name: "call-backs",
    base: "/app/call-backs",
    icon: "phone-outgoing",
    rights: Resource::Destinations,
    api: "/v1/tenants/{tenant}/call-backs",
    title: &["number"],
    columns: &[
        col("number", Cell::Title),
        col("queue_id", Cell::Ref),
        col("state", Cell::Choice),
        col("waiting_since", Cell::Time),
        col("attempts", Cell::Text),
        col("next_at", Cell::Time),
        more("extension_id", Cell::Ref),
        more("cause", Cell::Text),
        more("ended_at", Cell::Time),
    ],
    filters: &[Filter {
        name: "state",
        asked: true,
        words: "value",
        values: &["waiting", "calling", "done", "failed", "cancelled"],
    }],
    acts: &[Act {
        name: "cancel",
        path: "/cancel",
        label: "call_backs.cancel",
        text: "call_backs.cancel_text",
        icon: "ban",
        is_apart: true,
        when: |wish| wish["state"] == "waiting",
        done: "call_backs.was_cancelled",
        ..Act::EMPTY
    }],
    bulks: &[Bulk { name: "cancel", label: "call_backs.cancel", icon: "ban", does: Does::Post("/cancel") }],
    deletes: false,
    ..Spec::EMPTY
};

pub static MENUS: Spec = Spec {
    name: "menus",
    further: &[("map", "map.title", "waypoints")],
    base: "/app/menus",
    icon: "list-tree",
    kind: Some(("ivr", "Ivr")),
    query: "kind=ivr",
    columns: &[
        NAME,
        NUMBER,
        col("config.entries", Cell::Count),
        col("config.otherwise", Cell::Target),
        more("config.direct_dial", Cell::Flag),
        more("config.timeout_seconds", Cell::Text),
        CHANGED,
    ],
    parts: &[
        part(&["name", "number", "config.greeting", "config.entries", "config.otherwise"]),
        closed(
            "part.more",
            &[
                "config.direct_dial",
                "config.short_greeting",
                "config.invalid",
                "config.timeout_seconds",
                "config.max_failures",
                "pin",
            ],
        ),
    ],
    hints: &[
        ("number", "hint.dialled"),
        ("config.entries", "hint.menu_entries"),
        ("config.otherwise", "hint.menu_otherwise"),
        ("config.direct_dial", "hint.direct_dial"),
        ("pin", "hint.pin"),
    ],
    labels: &[
        ("number", "label.own_number"),
        ("config.entries", "label.keys"),
        ("config.entries.key", "label.key"),
        ("config.entries.value", "field.target"),
    ],
    preset: r#"{"config": {"entries": {"1": null}, "timeout_seconds": 5, "max_failures": 3}}"#,
    ..DESTINATION
};

pub static SCHEDULES: Spec = Spec {
    name: "schedules",
    base: "/app/schedules",
    icon: "calendar-clock",
    kind: Some(("schedule", "Schedule")),
    query: "kind=schedule",
    columns: &[NAME, NUMBER, col("config.open", Cell::Target), col("config.closed", Cell::Target), CHANGED],
    parts: &[
        part(&["name", "number", "config.open", "config.closed"]),
        Part { heading: "part.hours", fields: &["config.hours", "config.time_zone", "config.dates"], closed: false },
        closed("part.more", &["pin"]),
    ],
    hints: &[
        ("number", "hint.dialled"),
        ("config.hours", "hint.company_hours"),
        ("config.time_zone", "hint.company_zone"),
        ("config.dates", "hint.dates"),
        ("pin", "hint.pin"),
    ],
    labels: &[
        ("number", "label.own_number"),
        ("config.open", "label.when_open"),
        ("config.closed", "label.when_closed"),
    ],
    ..DESTINATION
};

pub static ANNOUNCEMENTS: Spec = Spec {
    name: "announcements",
    base: "/app/announcements",
    icon: "megaphone",
    kind: Some(("announcement", "Announcement")),
    query: "kind=announcement",
    columns: &[NAME, NUMBER, col("config.prompt.text", Cell::Text), col("config.then", Cell::Target), CHANGED],
    parts: &[part(&["name", "number", "config.prompt", "config.then"]), closed("part.more", &["pin"])],
    hints: &[("number", "hint.dialled"), ("config.then", "hint.then"), ("pin", "hint.pin")],
    ..DESTINATION
};

pub static CONFERENCES: Spec = Spec {
    name: "conferences",
    base: "/app/conferences",
    icon: "presentation",
    kind: Some(("conference", "Conference")),
    query: "kind=conference",
    columns: &[
        NAME,
        NUMBER,
        col("has_pin", Cell::Flag),
        col("config.moderator", Cell::Ref),
        col("config.record", Cell::Flag),
        more("config.max_members", Cell::Text),
        CHANGED,
    ],
    parts: &[
        part(&["name", "number", "pin", "config.moderator"]),
        closed(
            "part.more",
            &["config.max_members", "config.muted", "config.announce", "config.record", "config.music"],
        ),
    ],
    hints: &[("number", "hint.dialled"), ("pin", "hint.pin"), ("config.music", "hint.music")],
    ..DESTINATION
};

pub static MAILBOXES: Spec = Spec {
    name: "mailboxes",
    base: "/app/mailboxes",
    icon: "voicemail",
    kind: Some(("mailbox", "Mailbox")),
    query: "kind=mailbox",
    columns: &[NAME, NUMBER, col("config.email", Cell::Text), CHANGED],
    parts: &[part(&["name", "number", "config.email", "pin"])],
    hints: &[("number", "hint.dialled"), ("pin", "hint.mailbox_pin"), ("config.email", "hint.mailbox_email")],
    ..DESTINATION
};

pub static OUTSIDE_NUMBERS: Spec = Spec {
    name: "outside-numbers",
    base: "/app/outside-numbers",
    icon: "phone-forwarded",
    kind: Some(("external", "External")),
    query: "kind=external",
    columns: &[NAME, NUMBER, col("config.number", Cell::Number), col("config.on_behalf_of", Cell::Ref), CHANGED],
    parts: &[part(&["name", "config.number", "config.on_behalf_of", "number"]), closed("part.more", &["pin"])],
    hints: &[("number", "hint.dialled"), ("config.on_behalf_of", "hint.on_behalf_of"), ("pin", "hint.pin")],
    labels: &[("number", "label.own_number"), ("config.number", "label.outside_number")],
    ..DESTINATION
};

pub static PAGING: Spec = Spec {
    name: "paging",
    base: "/app/paging",
    icon: "volume-2",
    kind: Some(("page", "Page")),
    query: "kind=page",
    columns: &[NAME, NUMBER, col("config.members", Cell::Count), col("config.two_way", Cell::Flag), CHANGED],
    parts: &[part(&["name", "number", "config.members", "config.two_way"]), closed("part.more", &["pin"])],
    hints: &[("number", "hint.dialled"), ("config.two_way", "hint.two_way"), ("pin", "hint.pin")],
    preset: r#"{"config": {"members": [null]}}"#,
    ..DESTINATION
};
