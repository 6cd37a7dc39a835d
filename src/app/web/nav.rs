//! The navigation: by what people come to do, and only what they may do.

use super::{NavItem, Shell};
use crate::tenancy::auth::rules::{self, Level, Resource, Role};

/// Entries of the navigation under a heading.
pub struct Section {
    pub label: &'static str,
    pub items: Vec<NavItem>,
}

/// An entry: its name, text, address and icon, and what one must be able to read.
type Link = (&'static str, &'static str, &'static str, &'static str, Resource);

const TENANT: &[(&str, &[Link])] = &[
    (
        "",
        &[
            ("home", "nav.home", "/app", "house", Resource::Agents),
            ("live", "nav.live", "/app/live", "activity", Resource::Live),
            ("calls", "nav.calls", "/app/calls", "history", Resource::Calls),
            ("recordings", "nav.recordings", "/app/recordings", "mic", Resource::Recordings),
            ("voicemail", "nav.voicemail", "/app/voicemail", "voicemail", Resource::Voicemail),
            ("reports", "nav.reports", "/app/reports", "chart-column", Resource::Reports),
        ],
    ),
    (
        "nav.people",
        &[
            ("agents", "nav.agents", "/app/agents", "users", Resource::Agents),
            ("extensions", "nav.extensions", "/app/extensions", "phone", Resource::Agents),
            ("contacts", "nav.contacts", "/app/contacts", "circle-user", Resource::Contacts),
        ],
    ),
    (
        "nav.of_numbers",
        &[
            ("phone-numbers", "nav.numbers", "/phone-numbers", "hash", Resource::Groups),
            ("assignments", "nav.assignments", "/agent-assignments", "link", Resource::Agents),
            ("pools", "nav.pools", "/app/pools", "layers", Resource::Pools),
        ],
    ),
    (
        "nav.routing",
        &[
            ("groups", "nav.groups", "/app/groups", "users-round", Resource::Groups),
            ("queues", "nav.queues", "/app/queues", "headphones", Resource::Destinations),
            ("menus", "nav.menus", "/app/menus", "list-tree", Resource::Destinations),
            ("schedules", "nav.schedules", "/app/schedules", "calendar-clock", Resource::Destinations),
            ("announcements", "nav.announcements", "/app/announcements", "megaphone", Resource::Destinations),
            ("conferences", "nav.conferences", "/app/conferences", "presentation", Resource::Destinations),
            ("mailboxes", "nav.mailboxes", "/app/mailboxes", "voicemail", Resource::Destinations),
            (
                "outside-numbers",
                "nav.outside_numbers",
                "/app/outside-numbers",
                "phone-forwarded",
                Resource::Destinations,
            ),
            ("paging", "nav.paging", "/app/paging", "volume-2", Resource::Destinations),
            ("entries", "nav.entries", "/app/entries", "git-branch", Resource::Dialplan),
            ("tester", "nav.tester", "/app/route-tester", "waypoints", Resource::Routes),
        ],
    ),
    (
        "nav.settings",
        &[
            ("company", "nav.company", "/app/company", "building-2", Resource::Tenant),
            ("team", "nav.team", "/app/team", "user-cog", Resource::Agents),
            ("keys", "nav.keys", "/app/keys", "key-round", Resource::Keys),
            ("webhooks", "nav.webhooks", "/app/webhooks", "webhook", Resource::Webhooks),
            ("audit", "nav.audit", "/audit", "scroll-text", Resource::Audit),
            ("erasures", "nav.erasures", "/app/erasures", "ban", Resource::Erasures),
        ],
    ),
];

const PLATFORM: &[(&str, &[Link])] = &[
    (
        "nav.platform",
        &[
            ("overview", "nav.overview", "/platform", "house", Resource::Platform),
            ("live", "nav.live", "/platform/live", "activity", Resource::Platform),
            ("tenants", "nav.tenants", "/platform/tenants", "building-2", Resource::Platform),
            ("platform-numbers", "nav.numbers", "/platform/numbers", "hash", Resource::Platform),
            ("carriers", "nav.carriers", "/platform/carriers", "radio-tower", Resource::Carriers),
            ("clusters", "nav.clusters", "/platform/clusters", "server", Resource::Clusters),
            ("templates", "templates.title", "/platform/templates", "layout-template", Resource::Templates),
            ("monitoring", "monitoring.title", "/platform/monitoring", "chart-column", Resource::Platform),
        ],
    ),
    ("nav.settings", &[("audit", "nav.audit", "/audit", "scroll-text", Resource::Audit)]),
];

impl Shell {
    /// What this visitor can go to.
    #[must_use]
    pub fn nav(&self) -> Vec<Section> {
        let Some(me) = &self.me else { return Vec::new() };
        let phone = self.has_phone.then(|| NavItem::new("phone", "nav.phone", "/app/phone", "phone-call"));
        if me.role == Role::Agent {
            let account = NavItem::new("account", "nav.account", "/account", "circle-user");
            let numbers = NavItem::new("assignments", "nav.assignments", "/agent-assignments", "link");
            let contacts = NavItem::new("contacts", "nav.contacts", "/app/contacts", "users-round");
            let live = NavItem::new("live", "nav.live", "/app/live", "activity");
            let calls = NavItem::new("calls", "nav.calls", "/app/calls", "history");
            let voicemail = NavItem::new("voicemail", "nav.voicemail", "/app/voicemail", "voicemail");
            let items = phone.into_iter().chain([account, live, calls, voicemail, numbers, contacts]).collect();
            return vec![Section { label: "", items }];
        }
        let is_platform = me.role == Role::PlatformAdmin && self.acting.is_none();
        let sections = if is_platform { PLATFORM } else { TENANT };
        let mut phone = phone;
        let sections = sections.iter().map(|(label, entries)| {
            // Managers have messages of their own only.
            let needs = |rights| if rights == Resource::Voicemail { Level::Own } else { Level::Read };
            let seen = entries.iter().filter(|(.., rights)| rules::level(me.role, *rights) >= needs(*rights));
            // In a tenant, the platform's own keys and webhooks are not to be found.
            let seen = seen.filter(|(name, ..)| !matches!(*name, "keys" | "webhooks") || self.acting.is_none());
            let items = seen.map(|(name, label, href, icon, _)| NavItem::new(name, label, href, icon));
            // The phone stands below the first page.
            Section { label, items: items.chain(phone.take()).collect() }
        });
        sections.filter(|section| !section.items.is_empty()).collect()
    }

    /// The page where this visitor begins.
    #[must_use]
    pub fn start(&self) -> &'static str {
        match self.me.as_ref().map(|me| (me.role, me.totp_missing)) {
            None => "/sign-in",
            Some((Role::Agent, _) | (_, true)) => "/account",
            Some((Role::PlatformAdmin, _)) if self.acting.is_none() => "/platform",
            Some(_) => "/app",
        }
    }
}
