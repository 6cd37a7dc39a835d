//! A test that every operation of the API can be reached from a page, or stands on a list with the reason why not.

use std::collections::{BTreeMap, BTreeSet};

use super::resources;
use crate::app::contract;

/// Operations that pages of their own do, with the page.
const PAGES: &[(&str, &str, &str)] = &[
    ("POST", "/v1/auth/register", "/sign-up"),
    ("POST", "/v1/auth/login", "/sign-in"),
    ("POST", "/v1/auth/logout", "every page"),
    ("POST", "/v1/auth/forgot-password", "/forgot"),
    ("POST", "/v1/auth/reset-password", "/reset"),
    ("POST", "/v1/auth/verify-email", "/verify"),
    ("POST", "/v1/auth/change-password", "/account"),
    ("GET", "/v1/auth/me", "/account"),
    ("POST", "/v1/auth/two-factor", "/account"),
    ("POST", "/v1/auth/two-factor/confirm", "/account"),
    ("POST", "/v1/auth/two-factor/disable", "/account"),
    ("GET", "/v1/tenants", "/platform/tenants"),
    ("POST", "/v1/tenants", "/platform/tenants/new"),
    ("GET", "/v1/tenants/{}/former-domains", "/platform/tenants"),
    ("GET", "/v1/tenants/{}/retention", "/retention"),
    ("PATCH", "/v1/tenants/{}/retention", "/retention"),
    ("POST", "/v1/phone-numbers/bulk", "/phone-numbers/many"),
    ("GET", "/v1/phone-numbers/agent/{}", "/agent-assignments"),
    ("PATCH", "/v1/phone-numbers/agent/{}", "/agent-assignments"),
    ("GET", "/v1/carriers/{}/rates", "/platform/carriers/{}/rates"),
    ("PUT", "/v1/carriers/{}/rates", "/platform/carriers/{}/rates"),
    ("POST", "/v1/carriers/{}/rates/preview", "/platform/carriers/{}/rates"),
    ("GET", "/v1/carriers/{}/gateways", "/platform/carriers/{}/rates"),
    ("GET", "/v1/unreadable-records", "/platform/records"),
    ("POST", "/v1/call-records/unreadable/read-again", "/platform/records"),
    ("GET", "/v1/unreadable-records/{}", "/platform/records"),
    ("POST", "/v1/routes/explain", "/app/route-tester"),
    ("POST", "/v1/admin/agents/bulk", "/app/agents/import"),
    ("GET", "/v1/audit", "/audit"),
    ("GET", "/v1/clusters", "/platform/clusters"),
    ("POST", "/v1/clusters", "/platform/clusters"),
    ("GET", "/v1/switches", "/platform/clusters"),
    ("POST", "/v1/switches", "/platform/switches/new"),
    ("GET", "/v1/calls", "/app/calls"),
    ("GET", "/v1/calls/count", "/app/calls"),
    ("GET", "/v1/calls/export", "/app/calls"),
    ("GET", "/v1/calls/{}", "/app/calls/{}"),
    ("PATCH", "/v1/calls/{}", "/app/calls/{}"),
    ("GET", "/v1/recordings", "/app/recordings"),
    ("GET", "/v1/recordings/{}", "/app/recordings/{}/delete"),
    ("GET", "/v1/recordings/{}/audio", "/app/recordings"),
    ("POST", "/v1/recordings/{}/links", "/app/recordings"),
    ("PATCH", "/v1/recordings/{}", "/app/recordings"),
    ("DELETE", "/v1/recordings/{}", "/app/recordings/{}/delete"),
    ("GET", "/v1/voicemail", "/app/voicemail"),
    ("GET", "/v1/mailboxes", "/app/voicemail"),
    ("GET", "/v1/voicemail/{}", "/app/voicemail/{}/delete"),
    ("GET", "/v1/voicemail/{}/audio", "/app/voicemail"),
    ("PATCH", "/v1/voicemail/{}", "/app/voicemail"),
    ("DELETE", "/v1/voicemail/{}", "/app/voicemail/{}/delete"),
    ("POST", "/v1/voicemail/{}/forwards", "/app/voicemail"),
    ("GET", "/v1/voicemail-greetings/{}", "/app/voicemail"),
    ("PUT", "/v1/voicemail-greetings/{}", "/app/voicemail"),
    ("DELETE", "/v1/voicemail-greetings/{}", "/app/voicemail"),
    ("GET", "/v1/reports/calls", "/app/reports"),
    ("GET", "/v1/reports/calls.csv", "/app/reports"),
    ("GET", "/v1/usage", "/app/usage"),
    ("GET", "/v1/events", "/app/live"),
    ("GET", "/v1/agents/{}/status", "/app/phone"),
    ("PUT", "/v1/agents/{}/status", "/app/phone"),
    ("PUT", "/v1/agents/{}/wrap-up", "/app/phone"),
    ("GET", "/v1/agents/{}/activity", "/app/agents/{}"),
    ("GET", "/v1/chat/people", "/app/phone"),
    ("POST", "/v1/chat/people/{}/seen", "/app/phone"),
    ("GET", "/v1/chat/messages", "/app/phone"),
    ("POST", "/v1/chat/messages", "/app/phone"),
    ("GET", "/v1/chat/notices", "/app/phone"),
    ("POST", "/v1/chat/notices", "/app/live"),
    ("GET", "/v1/live/conferences", "/app/live"),
    ("GET", "/v1/live/parked", "/app/live"),
    ("POST", "/v1/calls", "a click on a number, on every page"),
    ("GET", "/v1/call-jobs/{}", "a click on a number, on every page"),
    ("POST", "/v1/live/calls/{}/actions", "/app/live"),
    ("POST", "/v1/live/calls/{}/supervise", "/app/live"),
    ("POST", "/v1/switches/{}/drain", "/platform/switches/{}/service"),
    ("POST", "/v1/switches/{}/resume", "/platform/switches/{}/service"),
    ("GET", "/v1/monitoring/health", "/platform"),
    ("GET", "/v1/monitoring/stats", "/platform/monitoring"),
    ("GET", "/v1/monitoring/errors", "/platform/monitoring"),
    ("GET", "/v1/clusters/{}/configuration", "/platform/clusters/{}/modules"),
    ("PUT", "/v1/clusters/{}/configuration/{}", "/platform/clusters/{}/modules/{}"),
    ("DELETE", "/v1/clusters/{}/configuration/{}", "/platform/clusters/{}/modules/{}/reset"),
    ("POST", "/v1/templates", "/platform/templates/new"),
    ("GET", "/v1/templates", "/platform/templates"),
    ("GET", "/v1/templates/{}", "/platform/templates/{}"),
    ("GET", "/v1/templates/{}/versions", "/platform/templates/{}"),
    ("PUT", "/v1/templates/{}", "/platform/templates/{}"),
    ("DELETE", "/v1/templates/{}", "/platform/templates/{}/delete"),
    ("POST", "/v1/webhooks/{}/test", "/app/webhooks/{}/deliveries"),
    ("GET", "/v1/webhooks/{}/deliveries", "/app/webhooks/{}/deliveries"),
    ("GET", "/v1/webhooks/{}/deliveries/{}", "/app/webhooks/{}/deliveries/{}"),
    ("POST", "/v1/webhooks/{}/deliveries/{}/replay", "/app/webhooks/{}/deliveries/{}"),
];

const LIVE: &str = "the pages' stream of events begins with it";
const SWITCHES: &str = "comes with the pages of switches";
const CALLS: &str = "comes with the pages of calls";
const SANDBOX: &str =
    "for tests by scripts: played calls are on the pages of calls, and whoever writes a test reads its mails";
const BY_ONE: &str = "a list changes what was selected one by one, with the version that was seen of each";

/// Operations without a page, and why. Those by the key that people know a thing by (`/by-…`) are for scripts: people open it.
const APART: &[(&str, &str, &str)] = &[
    ("POST", "/v1/auth/refresh", "a browser's session needs no tokens"),
    ("DELETE", "/v1/tenants/{}/former-domains/{}", "it ends by itself; the command line can end it at once"),
    ("GET", "/v1/shared-recordings/{}", "what a link leads to: a browser plays it by itself"),
    ("GET", "/v1/purges/{}", "for whoever has to prove it, after the tenant and its pages are gone"),
    ("GET", "/v1/tenants/{}/setup", "its parts have pages of their own"),
    ("POST", "/v1/phone-numbers/bulk-upload", "the same as /bulk"),
    ("POST", "/v1/carriers/{}/rates/bulk", "the same as PUT /rates"),
    ("PATCH", "/v1/admin/agents/bulk", BY_ONE),
    ("POST", "/v1/admin/agents/bulk-delete", BY_ONE),
    ("PATCH", "/v1/phone-numbers/bulk", BY_ONE),
    ("POST", "/v1/phone-numbers/bulk-delete", BY_ONE),
    ("PATCH", "/v1/tenants/{}/extensions/bulk", BY_ONE),
    ("POST", "/v1/tenants/{}/extensions/bulk-delete", BY_ONE),
    ("PATCH", "/v1/tenants/{}/groups/bulk", BY_ONE),
    ("POST", "/v1/tenants/{}/groups/bulk-delete", BY_ONE),
    ("POST", "/v1/sandbox/calls", SANDBOX),
    ("GET", "/v1/sandbox/calls", SANDBOX),
    ("GET", "/v1/sandbox/calls/{}", SANDBOX),
    ("GET", "/v1/sandbox/mails", SANDBOX),
    ("GET", "/v1/sandbox/mails/{}", SANDBOX),
    ("GET", "/v1/routes/preview", "comes with the comparison of carriers' prices"),
    ("GET", "/v1/contacts/lookup", "for telephones and scripts; people search"),
    ("POST", "/v1/contacts/import", "comes with the import of other files"),
    ("GET", "/v1/contacts/export", "the list's own file"),
    ("GET", "/v1/call-records/unreadable", "the same as /v1/unreadable-records"),
    ("GET", "/v1/tenants/{}/outbound-calls", CALLS),
    ("GET", "/v1/templates/schema", "for editors of templates"),
    ("GET", "/v1/tenants/{}/pools/{}", "the list has all of it"),
    ("GET", "/v1/tenants/{}/reserved-numbers/{}", "the list has all of it"),
    ("GET", "/v1/clusters/{}/configuration/{}", "the list has all of it"),
    ("GET", "/v1/live/registrations", LIVE),
    ("GET", "/v1/live/calls", LIVE),
    ("GET", "/v1/live/queues", LIVE),
    ("GET", "/v1/live/agents", LIVE),
    ("GET", "/v1/live/gateways", LIVE),
    ("GET", "/v1/switches/{}/event-socket", SWITCHES),
    ("DELETE", "/v1/switches/{}/event-socket", SWITCHES),
    ("GET", "/v1/switches/{}/gateways", SWITCHES),
    ("GET", "/v1/switches/{}/pushes", SWITCHES),
    ("GET", "/v1/switches/{}/cleanups", SWITCHES),
];

/// A path without the names of its parameters.
fn plain(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// What the subjects' pages do.
fn of_subjects() -> BTreeMap<(String, String), String> {
    let mut reached = BTreeMap::new();
    for spec in resources::ALL {
        let list = plain(spec.api);
        let one = format!("{list}/{{}}");
        let mut add = |method: &str, path: &str| {
            reached.insert((method.to_owned(), path.to_owned()), spec.base.to_owned());
        };
        if spec.is_single {
            add("GET", &list);
            add("PATCH", &list);
            continue;
        }
        if !spec.has_own_list {
            add("GET", &list);
        }
        if spec.new.is_some() && !spec.has_own_list {
            add("POST", &list);
        }
        if !spec.in_list {
            add("GET", &one);
        }
        if spec.patch.is_some() {
            add("PATCH", &one);
        }
        if spec.deletes {
            add("DELETE", &one);
        }
        for act in spec.acts {
            add(act.method, &format!("{one}{}", act.path));
        }
    }
    reached
}

#[test]
fn every_operation_of_the_api_is_reached_from_a_page_or_it_is_said_why_not() {
    let mut known = of_subjects();
    for (method, path, page) in PAGES {
        let key = ((*method).to_owned(), (*path).to_owned());
        assert!(known.insert(key, (*page).to_owned()).is_none(), "{method} {path} is there twice");
    }
    for (method, path, why) in APART {
        let key = ((*method).to_owned(), (*path).to_owned());
        assert!(known.insert(key, (*why).to_owned()).is_none(), "{method} {path} has a page");
    }
    let mut all = BTreeSet::new();
    for (path, methods) in contract::document()["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            if matches!(method.as_str(), "get" | "post" | "put" | "patch" | "delete") {
                if path.contains("/by-") {
                    continue;
                }
                all.insert((method.to_uppercase(), plain(path)));
            }
        }
    }
    let missing = all.iter().filter(|operation| !known.contains_key(operation)).collect::<Vec<_>>();
    assert!(missing.is_empty(), "no page does these: {missing:#?}");
    let gone = known.keys().filter(|operation| !all.contains(operation)).collect::<Vec<_>>();
    assert!(gone.is_empty(), "the API does not have these: {gone:#?}");
}
