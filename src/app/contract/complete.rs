//! Adds to the description of the API what holds for all operations: headers, refusals, rights, and the meaning of fields that mean
//! the same everywhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use actix_web::http::Method;
use serde_json::{Map, Value, json};

use super::examples::{self, Example};
use crate::tenancy::auth::rules::{self, Level, ROLES, Rule};

/// The meaning of fields that have no words of their own, by name, or by schema and name where one differs.
static FIELDS: LazyLock<BTreeMap<String, String>> =
    LazyLock::new(|| serde_json::from_str(include_str!("fields.json")).unwrap_or_default());

const TAGS: &[(&str, &str)] = &[
    ("agents", "The people of a tenant: their accounts, roles and extensions."),
    ("audit", "Who changed what, and when."),
    ("auth", "Signing in and out, passwords, second factors, and who one is."),
    ("calls", "What happened: who called whom, how it went, and what it cost."),
    ("carriers", "Who takes calls to the outside, at which price, and how it goes."),
    ("clusters", "Switches that serve the same tenants, and the configuration of their modules."),
    ("contacts", "Whom a tenant calls and is called by."),
    ("erasures", "What is kept of one person, erased on request."),
    ("destinations", "Queues, menus, conferences, mailboxes, schedules, announcements, pages, and numbers outside."),
    ("dialplan", "A tenant's own entries of the dialplan."),
    ("extensions", "What phones register as and what others dial."),
    ("groups", "Extensions that ring together."),
    ("keys", "Keys of the API."),
    ("live", "What goes on right now: phones that are registered, calls, queues and agents, conferences, gateways."),
    ("messages", "Messages between people of a tenant, and notices to a team."),
    ("monitoring", "How nodes, the database and switches are: troubles, figures, what failed."),
    ("phone numbers", "Phone numbers: where calls to them go, and who calls with them."),
    ("pools", "Ranges that extension numbers are taken from, and numbers that are held back."),
    ("recordings", "Recordings of calls: found, heard, shared, held and deleted."),
    ("reports", "Figures of calls, and what a tenant used."),
    ("routes", "What would happen to a call, and what it would cost."),
    ("switches", "The FreeSWITCH machines, their credentials, and what they were told."),
    ("templates", "What new tenants begin with."),
    ("tenants", "The platform's customers, their settings and domains."),
    (
        "sandbox",
        "Test mode: calls that are played, and mails that were not sent, of tenants that were created with `sandbox: true`.",
    ),
    ("voicemail", "Messages that callers left for extensions: heard, marked, forwarded and deleted; and greetings."),
    ("webhooks", "Endpoints that are told of events, signed as Standard Webhooks wants it."),
];

/// What may go wrong, said once. By status, name and meaning.
const REFUSALS: &[(u16, &str, &str)] = &[
    (
        400,
        "BadRequest",
        "The request can't be read: broken JSON, an unknown or unreadable query parameter, or a wrong header.",
    ),
    (401, "Unauthorized", "There is no key or token, or it is not valid."),
    (403, "Forbidden", "Whoever asks may not do this."),
    (404, "NotFound", "Not found, or it belongs to another tenant."),
    (405, "MethodNotAllowed", "The path does not have this method. `Allow` says which ones it has."),
    (408, "RequestTimeout", "The body came too slowly."),
    (
        409,
        "Conflict",
        "Something else is in the way. `used_by` lists what, if something uses it or has the name already.",
    ),
    (412, "PreconditionFailed", "It was changed since the version in `If-Match`."),
    (413, "ContentTooLarge", "The body is larger than this operation takes. `params` says how much that is."),
    (415, "UnsupportedMediaType", "The body has another type than the operation takes."),
    (416, "RangeNotSatisfiable", "There is no such part: `Range` begins after the end."),
    (422, "UnprocessableContent", "A value is wrong. `field` names it."),
    (429, "TooManyRequests", "Too many tries or requests. `Retry-After` says when to try again."),
    (500, "InternalServerError", "A fault of Dialplane's. `id` finds it in the log."),
    (503, "ServiceUnavailable", "The database can't be used right now. Try again after `Retry-After`."),
];

/// Changes of which no node has anything to learn.
const QUIET: &[&str] = &[
    "make_call",
    "play_call",
    "supervise_call",
    "cancel_call_back",
    "set_agent_status",
    "set_agent_wrap_up",
    "send_chat_message",
    "mark_chat_seen",
    "send_notice",
    "share_recording",
    "update_recording",
    "delete_recording",
    "create_erasure",
    "update_usage_limits",
    "set_exchange_rate",
    "delete_exchange_rate",
    "mark_voicemail",
    "delete_voicemail",
    "forward_voicemail",
    "choose_greeting",
    "remove_greeting",
];

/// Operations that change something without the headers of changes: they are asked of one's own account, or keep nothing.
const NO_CHANGES: &[&str] = &[
    "explain_route",
    "preview_rates",
    "read_records_again",
    "test_carrier",
    "act_on_call",
    "logout",
    "change_password",
    "begin_two_factor",
    "confirm_two_factor",
    "disable_two_factor",
];

/// Changes of things that have no version of their own, so that `If-Match` has nothing to compare.
const NO_VERSION: &[&str] = &[
    "choose_greeting",
    "remove_greeting",
    "replace_rates",
    "update_agents",
    "update_extensions",
    "update_groups",
    "update_numbers",
    "choose_number",
    "release_number",
    "end_former_domain",
    "delete_exchange_rate",
    "set_agent_status",
    "set_agent_wrap_up",
];

/// What these create has a place but no version: nobody changes it.
const LASTING: &[&str] =
    &["reserve_number", "set_exchange_rate", "play_call", "make_call", "supervise_call", "test_webhook"];

/// Other methods than PATCH, PUT and DELETE that compare the version.
const WITH_VERSION: &[&str] = &[
    "rotate_secret",
    "rotate_key",
    "assign_number",
    "unassign_number",
    "rotate_webhook_secret",
    "drain_switch",
    "resume_switch",
];

/// Every operation with its path and method.
pub fn operations(described: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = described["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

/// Where the contact is, until a node says where it is reached itself.
pub const ASKED_AT: &str = "https://dialplane.example";

pub fn complete(described: &mut Value) {
    described["info"]["contact"] = json!({ "name": "Dialplane", "url": ASKED_AT });
    described["servers"] = json!([{ "url": "/", "description": "The node that serves this description." }]);
    described["tags"] =
        TAGS.iter().map(|(name, description)| json!({ "name": name, "description": description })).collect();
    described["components"]["responses"] = Value::Object(refusals());
    described["components"]["headers"] = headers();
    described["components"]["parameters"] = parameters();
    let mut examples = examples::by_operation(operations(described).map(|(path, method, _)| (path, method)));
    if let Some(paths) = described["paths"].as_object_mut() {
        for (path, methods) in paths {
            for (method, operation) in methods.as_object_mut().into_iter().flatten() {
                let example = examples.remove(&(path.clone(), method.clone())).unwrap_or_default();
                complete_operation(path, method, operation, &example);
            }
        }
    }
    if let Some(schemas) = described["components"]["schemas"].as_object_mut() {
        super::labels::add(schemas);
        for (name, schema) in &mut *schemas {
            explain(name, schema);
        }
        super::plain::make_plain(schemas);
        super::formats::add(schemas);
        schemas.values_mut().for_each(super::plain::name_formats);
    }
    if let Some(paths) = described["paths"].as_object_mut() {
        let operations = paths.values_mut().filter_map(Value::as_object_mut).flat_map(|methods| methods.values_mut());
        operations.filter_map(|operation| operation.get_mut("parameters")).for_each(super::plain::name_formats);
    }
    name_versions(described);
    super::plain::write_out_numbers(described);
    super::deprecated::mark(super::deprecated::LIST, described);
    drop_unused(described);
}

fn refusals() -> Map<String, Value> {
    let refusal = |&(status, name, description): &(u16, &str, &str)| {
        let mut headers = json!({ "X-Request-Id": header("X-Request-Id") });
        match status {
            401 => headers["WWW-Authenticate"] = header("WWW-Authenticate"),
            405 => headers["Allow"] = header("Allow"),
            429 => {
                for name in ["Retry-After", "RateLimit", "RateLimit-Policy"] {
                    headers[name] = header(name);
                }
            }
            503 => headers["Retry-After"] = header("Retry-After"),
            _ => {}
        }
        let mut response = json!({ "description": description, "headers": headers });
        // Whoever asks for a part of a sound is a player, which reads no problem.
        if status != 416 {
            response["content"] = problem();
        }
        (name.to_owned(), response)
    };
    REFUSALS.iter().map(refusal).collect()
}

fn problem() -> Value {
    json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } })
}

fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

fn headers() -> Value {
    let text = |description: &str, example: &str| json!({ "description": description, "schema": { "type": "string" }, "example": example });
    json!({
        "Allow": text("The methods that the path has.", "GET, PATCH, DELETE"),
        "Dialplane-Visible": text(
            "How many of the nodes serve the change already, as `seen/all`. `2/2` means that every fetch from now on gets it.",
            "2/2",
        ),
        "ETag": text("The version, for `If-Match`.", "\"v7\""),
        "Idempotency-Replayed": text("`true` if this is the answer that was given to the same key before.", "true"),
        "Location": text("Where it can be read.", "/v1/switches/01a2186b-5832-754c-abac-f8f5c6afcbb3"),
        "RateLimit": text(
            "What is left of each limit that the request met: `r` more, and in `t` seconds there are more again. Also on answers that are no \
             refusals.",
            "\"sign-ins\";r=4, \"calls\";r=0;t=1",
        ),
        "RateLimit-Policy": text(
            "What these limits allow: `q` in `w` seconds; without `w`, at once.",
            "\"sign-ins\";q=5;w=86400, \"calls\";q=10;w=1",
        ),
        "Retry-After": { "description": "Seconds to wait.", "schema": { "type": "integer" }, "example": 2 },
        "WWW-Authenticate": text("How to authenticate.", "Bearer"),
        "X-Request-Id": text("Identifies the request in the log.", "01a2186b-5832-754c-abac-f8f5c6afcbb3"),
    })
}

fn parameters() -> Value {
    json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": false, "example": "import-2026-11-26-line-7",
            "schema": { "type": "string", "minLength": 1, "maxLength": 200 },
            "description": "Makes it safe to send the request again: within a day, the same key gets the same answer, and nothing is done twice.",
        },
        "IfMatch": {
            "name": "If-Match", "in": "header", "required": false, "example": "\"v7\"", "schema": { "type": "string" },
            "description": "The `ETag` that was read. If it was changed since, nothing is done, and the answer is 412.",
        },
    })
}

fn complete_operation(path: &str, method: &str, operation: &mut Value, example: &Example) {
    let rule = Method::from_bytes(method.to_uppercase().as_bytes()).ok().and_then(|method| rules::rule(&method, path));
    let rights = rule.map(rights).unwrap_or_default();
    let own = operation["description"].as_str().unwrap_or_default();
    operation["description"] =
        [own, &rights].iter().filter(|text| !text.is_empty()).copied().collect::<Vec<_>>().join("\n\n").into();
    let id = operation["operationId"].as_str().unwrap_or_default();
    let is_seen = !QUIET.contains(&id);
    let changes = method != "get" && rule != Some(Rule::Anyone) && !NO_CHANGES.contains(&id);
    let compares =
        matches!(method, "patch" | "put" | "delete") && !NO_VERSION.contains(&id) || WITH_VERSION.contains(&id);
    if changes {
        let mut named = vec!["IdempotencyKey"];
        if compares {
            named.push("IfMatch");
        }
        let parameters = operation.as_object_mut().map(|operation| operation.entry("parameters").or_insert(json!([])));
        if let Some(parameters) = parameters.and_then(Value::as_array_mut) {
            parameters.extend(named.iter().map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })));
        }
    }
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        if parameter.get("$ref").is_none() && parameter.get("description").is_none() {
            let name = parameter["name"].as_str().unwrap_or_default();
            if let Some(meaning) = FIELDS.get(&format!("?{name}")).or_else(|| FIELDS.get(name)) {
                parameter["description"] = meaning.as_str().into();
            }
        }
    }
    if method == "get" && is_page(&operation["responses"]["200"]) {
        let fields = json!({
            "name": super::members::FIELDS, "in": "query", "required": false, "schema": { "type": "string" },
            "description": "Only these members of each item, with commas between them. Items of that answer lack all others.",
        });
        let parameters = operation.as_object_mut().map(|operation| operation.entry("parameters").or_insert(json!([])));
        if let Some(parameters) = parameters.and_then(Value::as_array_mut) {
            parameters.push(fields);
        }
    }
    let has_body = operation.get("requestBody").is_some();
    // Generators know files, but no text of another type than JSON.
    if let Some(schema) = operation.pointer_mut("/requestBody/content/text~1csv/schema") {
        *schema = json!({ "type": "string", "format": "binary" });
    }
    if has_body {
        for request in &example.requests {
            put_request(&mut operation["requestBody"]["content"], request);
        }
    }
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for (status, response) in responses.iter_mut() {
        if let Some(schema) = response.pointer_mut("/content/audio~1wav/schema") {
            *schema = json!({ "type": "string", "format": "binary" });
        }
        let is_problem = response
            .pointer("/content/application~1json/schema/$ref")
            .is_some_and(|schema| schema == "#/components/schemas/Problem");
        match status.parse::<u16>().ok().and_then(refusal) {
            Some(reference) if is_problem || status == "416" => *response = reference,
            Some(_) => complete_refusal(response),
            None => complete_answer(method, status, response, changes, is_seen),
        }
    }
    if !example.response.is_null()
        && let Some(content) =
            responses.get_mut(&example.status.to_string()).and_then(|answer| answer.get_mut("content"))
    {
        put_example(content, &example.response);
    }
    let mut usual = vec![400, 405, 422, 500, 503];
    if rule != Some(Rule::Anyone) {
        usual.extend([401, 403, 404, 429]);
    }
    if has_body {
        usual.extend([408, 413, 415]);
    }
    if changes {
        usual.push(409);
    }
    if compares {
        usual.push(412);
    }
    for status in usual {
        if let Some(reference) = refusal(status) {
            responses.entry(status.to_string()).or_insert(reference);
        }
    }
}

/// Of a body that may be JSON or a file, each type has its own.
fn put_request(content: &mut Value, example: &Value) {
    for (media, of) in content.as_object_mut().into_iter().flatten() {
        let fits = !example.is_null() && (media.ends_with("json") != example.is_string());
        if fits && of.get("example").is_none() {
            of["example"] = example.clone();
        }
    }
}

fn put_example(content: &mut Value, example: &Value) {
    for (_, media) in content.as_object_mut().into_iter().flatten() {
        media["example"] = example.clone();
    }
}

fn refusal(status: u16) -> Option<Value> {
    let (_, name, _) = REFUSALS.iter().find(|(known, ..)| *known == status)?;
    Some(json!({ "$ref": format!("#/components/responses/{name}") }))
}

/// A refusal with a body of its own, such as a report on each line, beside the usual problem.
fn complete_refusal(response: &mut Value) {
    response["description"] = "Nothing was done. The report says why, line by line.".into();
    response["headers"] = json!({ "X-Request-Id": header("X-Request-Id") });
    if let (Some(content), Value::Object(problem)) = (response["content"].as_object_mut(), problem()) {
        content.extend(problem);
    }
}

/// Whether it answers with a page of a list, of things or of what goes on.
fn is_page(response: &Value) -> bool {
    let response = response.to_string();
    response.contains("/schemas/Page_") || response.contains("/schemas/LivePage_")
}

fn complete_answer(method: &str, status: &str, response: &mut Value, changes: bool, is_seen: bool) {
    let is_page = is_page(response);
    if response["description"].as_str().unwrap_or_default().is_empty() {
        response["description"] = match (method, status) {
            ("get", _) if is_page => "A page of the list.",
            ("get", _) => "As it is.",
            (_, "201") => "It was created.",
            (_, "202") => "It is under way.",
            (_, "204") | ("post", _) => "It is done.",
            _ => "As it is now.",
        }
        .into();
    }
    let mut headers = json!({ "X-Request-Id": header("X-Request-Id") });
    if changes {
        if is_seen {
            headers["Dialplane-Visible"] = header("Dialplane-Visible");
        }
        headers["Idempotency-Replayed"] = header("Idempotency-Replayed");
    }
    response["headers"] = headers;
}

/// Says which answers have an `ETag`: those that show a version, and the settings. What was created stands at its `Location`.
fn name_versions(described: &mut Value) {
    let schemas = described["components"]["schemas"].take();
    let has_version = |response: &Value| {
        let schema = response.pointer("/content/application~1json/schema/$ref").and_then(Value::as_str);
        let name = schema.and_then(|schema| schema.rsplit('/').next()).unwrap_or_default();
        name == "Settings" || schemas[name]["properties"].get("version").is_some()
    };
    for (_, methods) in object(described, "paths") {
        for (_, operation) in methods.as_object_mut().into_iter().flatten() {
            let is_placed = LASTING.contains(&operation["operationId"].as_str().unwrap_or_default());
            for (status, response) in object(operation, "responses") {
                if is_placed && status == "201" {
                    response["headers"]["Location"] = header("Location");
                }
                let is_sound = response.pointer("/content/audio~1wav").is_some();
                if is_sound {
                    response["headers"]["ETag"] = header("ETag");
                }
                if status.starts_with('2') && has_version(response) {
                    response["headers"]["ETag"] = header("ETag");
                    if status == "201" {
                        response["headers"]["Location"] = header("Location");
                    }
                }
            }
        }
    }
    described["components"]["schemas"] = schemas;
}

/// Who may do it, and with which scope of a key.
fn rights(rule: Rule) -> String {
    let Some((resource, needs)) = rule.resource() else {
        return "Needs no key: the body proves who asks.".into();
    };
    let may = |role: &&rules::Role| rule.allows(rules::level(**role, resource));
    let roles = ROLES.iter().filter(may).map(|role| {
        let only_own = rules::level(*role, resource) == Level::Own && needs != Level::Own;
        let only_own = only_own
            || rules::level(*role, resource) == Level::Own
                && ROLES.iter().any(|other| rules::level(*other, resource) > Level::Own);
        format!("`{}`{}", role.as_str(), if only_own { " (their own)" } else { "" })
    });
    let roles = roles.collect::<Vec<_>>().join(", ");
    if resource == rules::Resource::Account {
        return format!("For: {roles}.");
    }
    let scope = if needs == Level::Write { "write" } else { "read" };
    format!("For: {roles}. Scope of a key: `{}:{scope}`.", resource.name())
}

/// Gives properties without words the meaning of their name.
fn explain(name: &str, schema: &mut Value) {
    for (field, property) in object(schema, "properties") {
        let has_words = property.get("description").is_some()
            || property
                .get("oneOf")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .any(|choice| choice.get("description").is_some());
        let meaning = FIELDS.get(&format!("{name}.{field}")).or_else(|| FIELDS.get(field.as_str()));
        if !has_words && let (Some(meaning), Some(property)) = (meaning, property.as_object_mut()) {
            property.insert("description".into(), meaning.as_str().into());
        }
    }
    for (key, inner) in schema.as_object_mut().into_iter().flatten() {
        match (key.as_str(), inner) {
            ("allOf" | "oneOf" | "anyOf", Value::Array(parts)) => parts.iter_mut().for_each(|part| explain(name, part)),
            ("properties", Value::Object(fields)) => fields.iter_mut().for_each(|(_, field)| explain(name, field)),
            ("items", inner) => explain(name, inner),
            _ => {}
        }
    }
}

/// The members of an object within a value, if it has that object.
fn object<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = (&'a String, &'a mut Value)> {
    value.get_mut(name).and_then(Value::as_object_mut).into_iter().flatten()
}

/// Leaves out schemas that nothing refers to: types that are written out where they stand.
fn drop_unused(described: &mut Value) {
    loop {
        let mut used = BTreeSet::new();
        references(described, &mut used);
        let Some(schemas) = described["components"]["schemas"].as_object_mut() else { return };
        let before = schemas.len();
        schemas.retain(|name, _| used.contains(&format!("#/components/schemas/{name}")));
        if schemas.len() == before {
            return;
        }
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}
