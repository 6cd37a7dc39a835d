//! Variables, codecs, spoken texts: a value that a switch would run, open or misread is refused everywhere, and an upgrade removes
//! those that were saved earlier.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Database, Node, call_form};

/// Texts in which an escaper finds nothing, with what a switch would do with each.
const RUN_OR_OPENED: [&str; 10] = [
    "system::/usr/bin/touch /tmp/x",
    "bgsystem::id",
    "transfer::1000 XML beta.test",
    "lua::x.lua",
    "shell_stream:///usr/bin/touch /tmp/x",
    "http://attacker.test/x.wav",
    "/etc/passwd",
    "../../x",
    "say:x",
    "hangup!normal_clearing::x",
];

async fn stage() -> (Database, Node, Uuid, Uuid) {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let made = node.extension(tenant, json!({ "number": "1000" })).await;
    let extension = made["id"].as_str().unwrap().parse().unwrap();
    (database, node, tenant, extension)
}

#[actix_web::test]
async fn what_a_switch_would_run_is_refused_as_an_extensions_variable_and_in_an_entry() {
    let (_database, node, tenant, extension) = stage().await;
    let path = format!("/v1/tenants/{tenant}/extensions/{extension}");
    let entries = format!("/v1/tenants/{tenant}/dialplan-entries");
    for name in dialplane::text::variable_names().filter(|name| *name != "presence_data") {
        for value in RUN_OR_OPENED {
            let answer = node.api("PATCH", &path, json!({ "variables": { name: value } })).await;
            let field = answer.json()["field"].clone();
            assert_eq!((answer.status, field), (422, json!(format!("variables.{name}"))), "{name}={value}");
            let set = json!({ "application": "set", "name": name, "value": value });
            let entry = json!({ "name": "Entry", "conditions": [{ "actions": [set] }] });
            let answer = node.api("POST", &entries, entry).await;
            assert_eq!(answer.status, 422, "{name}={value}: {}", answer.text());
        }
    }
    for (name, value) in [
        ("timezone", "../../x"),
        ("sip-force-expires", "999999999"),
        ("sip-expires-max-deviation", "3600"),
        ("presence_data", "system::id"),
        ("rtp_secure_media", "mandatory:NULL"),
    ] {
        let answer = node.api("PATCH", &path, json!({ "variables": { name: value } })).await;
        assert_eq!(answer.status, 422, "{name}={value}");
    }
    let answer = node.api("PATCH", &path, json!({ "codecs": "nobody" })).await;
    assert_eq!((answer.status, &answer.json()["field"]), (422, &json!("codecs")));
    node.stop().await;
}

#[actix_web::test]
async fn music_is_given_to_a_switch_as_a_stream_however_it_was_named() {
    let (_database, node, tenant, extension) = stage().await;
    let path = format!("/v1/tenants/{tenant}/extensions/{extension}");
    for value in ["jazz", "local_stream://jazz"] {
        let answer = node.api("PATCH", &path, json!({ "variables": { "hold_music": value } })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["variables"]["hold_music"], "local_stream://jazz");
        let user = node.invite("1000", "acme.test").await.text();
        assert!(
            user.contains("<variable name=\"hold_music\" value=\"local_stream:&#47;&#47;jazz\"/>")
                || user.contains("<variable name=\"hold_music\" value=\"local_stream://jazz\"/>"),
            "{user}"
        );
    }
    node.stop().await;
}

#[actix_web::test]
async fn a_spoken_text_is_never_read_as_an_application() {
    let (_database, node, tenant, _) = stage().await;
    let destinations = format!("/v1/tenants/{tenant}/destinations");
    let announcement = |text: &str| json!({ "name": "Said", "number": "500", "kind": "announcement", "config": { "prompt": { "text": text } } });
    for text in [":/usr/bin/touch", "system::/usr/bin/touch /tmp/x", "::"] {
        let answer = node.api("POST", &destinations, announcement(text)).await;
        assert_eq!(answer.status, 422, "{text}: {}", answer.text());
    }
    let answer = node.api("POST", &destinations, announcement("We open at 8:30: see you then")).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    node.stop().await;
}

/// Saves values as an earlier version would have.
async fn keep_what_was_taken_before(database: &Database, tenant: Uuid, extension: Uuid) {
    let mut db = database.connect().await;
    let variables = json!({
        "hold_music": "system::/usr/bin/touch /tmp/x", "accountcode": "fine", "fax_enable_t38": "yes",
        "timezone": "../../x", "sip-force-expires": "999999999", "limit_max": "5",
    });
    sqlx::query("update extensions set variables = $3, codecs = 'nobody' where tenant_id = $1 and id = $2")
        .bind(tenant)
        .bind(extension)
        .bind(variables)
        .execute(&mut db)
        .await
        .unwrap();
    let set = |name: &str, value: &str| json!({ "application": "set", "name": name, "value": value });
    let condition = json!({
        "field": "destination_number", "pattern": "^77$", "hours": null, "time_zone": null, "break": "on_false", "anti_actions": [],
        "actions": [set("hold_music", "shell_stream:///usr/bin/touch /tmp/x"), set("hold_music", "jazz"), { "application": "answer" }],
    });
    sqlx::query("insert into dialplan_entries (tenant_id, id, position, name, enabled, body) values ($1, $2, 0, 'Old', true, $3)")
        .bind(tenant)
        .bind(Uuid::now_v7())
        .bind(json!({ "conditions": [condition] }))
        .execute(&mut db)
        .await
        .unwrap();
    let config = json!({ "prompt": { "text": "::system::id" }, "then": null });
    sqlx::query(
        "insert into destinations (tenant_id, id, name, number, kind, config) values ($1, $2, 'Said', '600', 'announcement', $3)",
    )
    .bind(tenant)
    .bind(Uuid::now_v7())
    .bind(config)
    .execute(&mut db)
    .await
    .unwrap();
}

#[actix_web::test]
async fn an_upgrade_removes_values_that_are_no_longer_accepted_and_phones_still_work() {
    let (database, node, tenant, extension) = stage().await;
    keep_what_was_taken_before(&database, tenant, extension).await;
    let mut db = database.connect().await;
    let upgrade = include_str!("../../migrations/0016_typed_variables.sql");
    sqlx::raw_sql(upgrade).execute(&mut db).await.unwrap();
    // A second run finds nothing.
    sqlx::raw_sql("discard temp").execute(&mut db).await.unwrap();
    sqlx::raw_sql(upgrade).execute(&mut db).await.unwrap();

    let answer = node.api("GET", &format!("/v1/tenants/{tenant}/extensions/{extension}"), Value::Null).await;
    let kept = json!({ "accountcode": "fine", "fax_enable_t38": "true", "limit_max": "5" });
    assert_eq!((answer.status, &answer.json()["variables"]), (200, &kept));
    assert_eq!(answer.json()["codecs"], Value::Null);
    let user = node.invite("1000", "acme.test").await;
    assert_eq!(user.status, 200);
    assert!(user.text().contains("name=\"accountcode\"") && !user.text().contains("hold_music"), "{}", user.text());
    let call = node.fetch(&call_form("77", "acme.test")).await.text();
    assert!(call.contains("hold_music=local_stream:") && !call.contains("shell_stream"), "{call}");
    let said = node.fetch(&call_form("600", "acme.test")).await.text();
    assert!(said.contains("application=\"playback\"") && !said.contains("::"), "{said}");
    let audit = node.api("GET", &format!("/v1/audit?tenant_id={tenant}"), Value::Null).await.text();
    assert_eq!(audit.matches("\"actor\":\"upgrade\"").count(), 3, "{audit}");
    node.stop().await;
}
