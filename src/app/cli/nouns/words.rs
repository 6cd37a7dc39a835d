//! What the API's description does not say: the names that commands have for things, what people find them by, and what is asked first.

use clap::{Arg, Command};

use crate::text;

/// Paths that are no lists of things: signing in, and commands of their own.
const OTHERS: [&str; 9] =
    ["auth", "events", "routes", "purges", "unreadable-records", "call-records", "me", "docs", "shared-recordings"];

/// The noun for a path's segments: `tenants/{tenant_id}/dialplan-entries` is `dialplan-entry`, `switches/{id}/gateways` is
/// `switch-gateway`.
pub fn noun(segments: &[&str]) -> Option<String> {
    if OTHERS.contains(segments.first()?) || segments.last()?.starts_with('{') {
        return None;
    }
    match *segments {
        ["reports", "calls"] => return Some("report".to_owned()),
        ["reports", ..] => return None,
        // `usage` says how large tables are.
        ["usage"] => return Some("tenant-usage".to_owned()),
        _ => {}
    }
    let mut words = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        // A word between two that are no parameters names a way to find things, not things.
        let is_last = at + 1 == segments.len();
        let follows = segments.get(at + 1).is_some_and(|next| next.starts_with('{'));
        match *segment {
            "admin" | "tenants" if !is_last => {}
            parameter if parameter.starts_with('{') => {}
            "live" | "monitoring" | "sandbox" if !is_last => words.push((*segment).to_owned()),
            "phone-numbers" => words.push("number".to_owned()),
            word if is_last || follows => words.push(singular(word)),
            _ => return None,
        }
    }
    // Verbs and files.
    let is_thing = !matches!(
        *segments.last()?,
        "bulk"
            | "bulk-upload"
            | "preview"
            | "schema"
            | "assign"
            | "unassign"
            | "explain"
            | "count"
            | "export"
            | "import"
            | "lookup"
            | "audio"
            | "links"
    );
    (is_thing && !words.is_empty())
        .then(|| words.join("-"))
        .filter(|name| !name.contains("rotate") && !name.contains("test-"))
}

pub fn singular(word: &str) -> String {
    let hisses = ["ches", "shes", "xes", "sses"].iter().any(|end| word.ends_with(end));
    match word {
        "phone-numbers" => "number".to_owned(),
        "settings" | "status" | "stats" | "health" => word.to_owned(),
        _ if hisses => word[..word.len() - 2].to_owned(),
        _ => match (word.strip_suffix("ies"), word.strip_suffix('s')) {
            (Some(stem), _) => format!("{stem}y"),
            (_, Some(stem)) if !word.ends_with("ss") => stem.to_owned(),
            _ => word.to_owned(),
        },
    }
}

/// What a noun is, for the list of commands.
pub fn about(noun: &str, path: &str) -> String {
    let known = match noun {
        "agent" => "Agents: people of a tenant and their phones",
        "audit" => "The audit log: who changed what",
        "report" => "Figures of calls: how many, how soon they were answered, what they cost",
        "tenant-usage" => "What a tenant used in a month",
        "contact" => "Contacts: whom a tenant calls and is called by",
        "usage-limit" | "usage-limits" => "How much a tenant means to use in a month",
        "erasure" => "Erasures: what is kept of one person, erased on request",
        "call-job" => "Calls that are made by a click, while they are made",
        "live-agent" => "Agents as they are right now",
        "live-call" => "Calls that are up right now",
        "live-queue" => "Queues as they are right now, with who waits",
        "live-registration" => "Phones that are registered right now",
        "monitoring-error" => "What failed lately",
        "monitoring-health" => "What is wrong with the platform",
        "monitoring-stats" => "How much there is",
        "sandbox-call" => "Calls that are played in a sandbox",
        "sandbox-mail" => "Mails of a sandbox, which were not sent",
        "webhook" => "Webhooks: endpoints that are told of events",
        "webhook-delivery" => "Events on their way to a webhook",
        "call" => "Calls: who called whom, and how it went",
        "carrier" => "Carriers: their rates and health",
        "cluster" => "Clusters: switches that serve the same tenants",
        "cluster-configuration" => "Settings of a cluster's modules",
        "destination" => "Queues, menus, conferences, mailboxes, schedules and announcements",
        "dialplan-entry" => "A tenant's own rules, which come before the built-in ones",
        "exchange-rate" => "Rates of exchange, by day",
        "extension" => "Extensions: the SIP accounts of a tenant",
        "former-domain" => "Domains that a tenant had before and that still work",
        "group" => "Groups: extensions that ring together",
        "key" => "API keys for scripts",
        "number" => "Phone numbers, where they lead, and who calls with them",
        "outbound-call" => "Calls that agents made to the outside",
        "pool" => "Pools: the numbers that new extensions get",
        "recording" => "Recordings of calls",
        "mailbox" => "Mailboxes that have messages, and how many",
        "voicemail" => "Messages that callers left",
        "reserved-number" => "Extension numbers that are not given out",
        "retention" => "For how long a tenant's records are kept",
        "settings" => "A tenant's settings",
        "setup" => "What a tenant still has to set up",
        "switch" => "Switches: the FreeSWITCH servers that fetch from Dialplane",
        "template" => "Templates: what new tenants begin with",
        "tenant" => "Tenants: each owns one SIP domain",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let before = noun.strip_suffix(&singular(path)).unwrap_or_default();
    let words = format!("{before}{path}").replace('-', " ");
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}", letters.as_str())
}

/// The columns that `list` prints.
pub fn columns(noun: &str) -> Option<&'static [&'static str]> {
    Some(match noun {
        "agent" => &["first_name", "last_name", "email", "role", "status", "id"],
        "audit" => &["at", "actor", "action", "resource"],
        "call" => &["started_at", "direction", "state", "from", "to", "talk_seconds", "id"],
        "contact" => &["name", "company", "numbers", "id"],
        "erasure" => &["created_at", "state", "numbers", "remaining", "next_at", "id"],
        "carrier" => &["name", "status", "gateway", "rates", "priority", "id"],
        "destination" => &["kind", "name", "number", "id"],
        "dialplan-entry" => &["position", "name", "enabled", "id"],
        "exchange-rate" => &["day", "from_currency", "to_currency", "rate", "id"],
        "extension" => &["number", "display_name", "sip_username", "status", "id"],
        "group" => &["name", "number", "id"],
        "key" => &["prefix", "name", "tenant_id", "expires_at", "id"],
        "number" => &["number", "destination", "id"],
        "pool" => &["first_number", "last_number", "used", "held", "free", "id"],
        "recording" => &["began_at", "duration_ms", "bytes", "legal_hold", "call_id", "id"],
        "mailbox" => &["extension", "name", "new", "urgent", "heard", "newest_at"],
        "voicemail" => &["received_at", "caller_number", "seconds", "is_read", "is_urgent", "id"],
        "switch" => &["name", "status", "id"],
        "live-call" => &["began_at", "direction", "state", "dialled", "id"],
        "sandbox-call" => &["began_at", "direction", "from", "to", "outcome", "cause", "over", "id"],
        "sandbox-mail" => &["created_at", "to", "template", "subject", "id"],
        "webhook-delivery" => &["created_at", "topic", "status", "attempts", "id"],
        "tenant" => &["domain", "name", "status", "sandbox", "id"],
        _ => return None,
    })
}

/// The fields by which people find a thing.
pub fn keys(noun: &str) -> &'static [&'static str] {
    match noun {
        "extension" => &["number", "alias", "sip_username"],
        "agent" => &["email"],
        "tenant" => &["domain"],
        "exchange-rate" | "key" | "pool" => &[],
        "number" => &["number"],
        "destination" => &["name", "number"],
        _ => &["name", "number", "email", "domain"],
    }
}

/// The parameter of the list that finds a thing by its key.
pub fn filter(noun: &str) -> Option<&'static str> {
    match noun {
        "extension" => Some("name"),
        "agent" => Some("search"),
        _ => None,
    }
}

/// What names a thing, whose path is `one`.
pub fn item_help(noun: &str, one: Option<&str>) -> String {
    let parameter = one.and_then(|one| one.rsplit('/').next()).unwrap_or_default();
    if !matches!(parameter, "{id}" | "{tenant_id}") {
        return format!("Its {}", parameter.trim_matches(['{', '}']));
    }
    let keys = keys(noun).iter().map(|key| key.replace('_', " ").replace("sip", "SIP"));
    let all = std::iter::once("id".to_owned()).chain(keys).collect::<Vec<_>>();
    match all.split_last() {
        Some((last, before)) if !before.is_empty() => format!("Its {} or {last}", before.join(", ")),
        _ => "Its id".to_owned(),
    }
}

/// Whether changes of a noun may take service from phones, so that a person is asked.
pub fn asks_first(noun: &str, verb: &str) -> bool {
    match verb {
        "update" => matches!(noun, "tenant" | "switch"),
        "delete" => matches!(noun, "tenant" | "agent" | "extension" | "switch" | "key"),
        _ => false,
    }
}

/// The question before a change, if it needs one. `sent`: the body, or null if there is none.
pub fn question(noun: &str, verb: &str, item: &str, sent: &serde_json::Value) -> Option<String> {
    let what_happens = match (noun, verb) {
        ("tenant", "update") if sent["status"] == "suspended" => {
            format!("The phones of {item} will be refused, and its calls will end.")
        }
        ("switch", "update") if sent["new_token"] == true => {
            format!("The switch {item} will be refused until it has the new token.")
        }
        ("tenant", "delete") => {
            format!("{item} will be deleted: its phones will be refused, its calls will end, its people can't sign in.")
        }
        ("agent", "delete") => format!("{item} will be deleted: their phones will be refused, and they can't sign in."),
        ("extension", "delete") => format!("The extension {item} will be deleted: its phones will be refused."),
        ("switch", "delete") => format!("The switch {item} will be deleted: it will be refused."),
        ("key", "delete") => format!("The API key {item} will be deleted: scripts that use it will be refused."),
        _ => return None,
    };
    Some(what_happens)
}

/// What clap calls the argument for a field.
pub fn id(field: &str) -> String {
    format!("field {field}")
}

/// Shorter ways to say what a field says.
pub fn shortcuts(command: Command, noun: &str, verb: &str) -> Command {
    match (noun, verb) {
        ("number", "create") => command
            .arg(
                Arg::new("extension")
                    .long("extension")
                    .help("The extension that rings: its id, number, alias or SIP username"),
            )
            .arg(
                Arg::new("group")
                    .long("group")
                    .conflicts_with("extension")
                    .value_parser(text::id)
                    .help("The group that rings: its id"),
            ),
        // `--purge` alone means now.
        ("tenant", "delete") => command.mut_arg(id("purge"), |arg| arg.num_args(0..=1).default_missing_value("now")),
        ("agent", "create") => command
            .mut_arg(id("extensions_count"), |arg| arg.alias("extensions"))
            .mut_arg(id("numbers"), |arg| arg.alias("number").conflicts_with(id("extensions_count"))),
        _ => command,
    }
}

/// The first sentence or line of a description, as help texts are written: without a full stop and without Markdown.
pub fn sentence(text: Option<&str>) -> String {
    let text = text.unwrap_or_default().split("\n\n").next().unwrap_or_default().replace('\n', " ");
    text.trim().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_are_named_after_their_paths() {
        for (path, noun) in [
            ("tenants", Some("tenant")),
            ("tenants/{tenant_id}/dialplan-entries", Some("dialplan-entry")),
            ("tenants/{tenant_id}/settings", Some("settings")),
            ("admin/agents", Some("agent")),
            ("phone-numbers", Some("number")),
            ("switches/{id}/pushes", Some("switch-push")),
            ("clusters/{id}/configuration", Some("cluster-configuration")),
            ("webhooks", Some("webhook")),
            ("live/calls", Some("live-call")),
            ("monitoring/stats", Some("monitoring-stats")),
            ("sandbox/mails", Some("sandbox-mail")),
            ("call-jobs", Some("call-job")),
            ("webhooks/{id}/deliveries", Some("webhook-delivery")),
            ("tenants/{tenant_id}", None),
            ("phone-numbers/bulk", None),
            ("phone-numbers/agent/{agent_id}", None),
            ("auth/login", None),
            ("templates/schema", None),
            ("reports/calls", Some("report")),
            ("reports/calls.csv", None),
            ("usage", Some("tenant-usage")),
        ] {
            assert_eq!(super::noun(&path.split('/').collect::<Vec<_>>()).as_deref(), noun, "{path}");
        }
        assert_eq!(about("switch-push", "pushes"), "Switch pushes");
    }
}
