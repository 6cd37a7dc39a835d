//! A purged tenant leaves nothing that it wrote. A word is part of every text that the tenant can write, and is found nowhere afterwards.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::harness::{Database, Node, send};

/// The word. It may be part of a domain, a name, an address and a text.
const CANARY: &str = "zyxcanary";

async fn made(node: &Node, path: &str, body: Value) -> Value {
    let key = if path == "/v1/tenants" { path.to_owned() } else { Uuid::new_v4().to_string() };
    let headers = [("X-API-Key", node.key.as_str()), ("Idempotency-Key", key.as_str())];
    let answer = node.api_with("POST", path, &headers, body).await;
    assert_eq!(answer.status, 201, "{path}: {}", answer.text());
    answer.json()
}

/// Every column of every table in which the word stands, with how often. What is not text is searched as Postgres writes it; bytes are
/// searched as text.
async fn found(db: &mut PgConnection) -> Vec<String> {
    let columns = sqlx::query_as::<_, (String, String, String)>(
        "select c.table_name::text, c.column_name::text, c.data_type::text
           from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
          where c.table_schema = 'public' and t.table_type = 'BASE TABLE' order by 1, 2",
    );
    let columns = columns.fetch_all(&mut *db).await.unwrap();
    assert!(columns.len() > 200, "every table is searched");
    let mut found = Vec::new();
    for (table, column, kind) in columns {
        let text = match kind.as_str() {
            "bytea" => format!("encode({column}, 'escape')"),
            _ => format!("{column}::text"),
        };
        let count = format!("select count(*) from {table} where {text} ilike '%{CANARY}%'");
        let rows = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(count)).fetch_one(&mut *db).await.unwrap();
        if rows > 0 {
            found.push(format!("{table}.{column}: {rows}"));
        }
    }
    found
}

fn files_with_it(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with_it(&path));
        } else if std::fs::read(&path).is_ok_and(|bytes| bytes.windows(CANARY.len()).any(|at| at == CANARY.as_bytes()))
        {
            found.push(path);
        }
    }
    found
}

/// A call record, as mod_json_cdr posts it.
async fn record(node: &Node, leg: Uuid, variables: Value) {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let (name, token) = &node.switch;
    let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{token}")));
    let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/json")];
    let body = json!({ "variables": variables }).to_string();
    let answer = send(node.app.switch_address, "POST", &format!("/fs/cdr?uuid={leg}"), &headers, body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[actix_web::test]
async fn a_purge_leaves_nothing_and_says_what_it_removed_and_which_switch_it_waits_for() {
    let database = Database::new().await;
    let mut folder = PathBuf::new();
    let node = Node::with(&database, |settings| folder.clone_from(&settings.data_dir)).await;
    let mut db = database.connect().await;
    let named = |what: &str| format!("{CANARY} {what}");
    let tenant =
        made(&node, "/v1/tenants", json!({ "domain": format!("{CANARY}.test"), "name": named("company") })).await;
    let tenant = tenant["id"].as_str().unwrap().to_owned();
    let path = |what: &str| format!("/v1/tenants/{tenant}/{what}");
    let asked = |what: &str| format!("/v1/{what}?tenant_id={tenant}");
    let person = json!({ "first_name": CANARY, "last_name": "B", "email": format!("{CANARY}@people.test") });
    let agent = made(&node, &asked("admin/agents"), person).await;
    let extension = json!({ "number": "1000", "display_name": named("phone"), "caller_id_name": named("shown"),
        "voicemail_email": format!("{CANARY}@mail.test"), "variables": { "x_note": CANARY } });
    let extension = match node.api("POST", &path("extensions"), extension.clone()).await {
        answer if answer.status == 201 => answer.json(),
        _ => {
            let mut plain = extension;
            plain.as_object_mut().unwrap().remove("variables");
            made(&node, &path("extensions"), plain).await
        }
    };
    made(&node, &path("groups"), json!({ "name": CANARY, "members": [extension["id"]] })).await;
    let says = json!({ "prompt": { "text": named("hello") } });
    made(&node, &path("destinations"), json!({ "name": named("menu"), "kind": "announcement", "config": says })).await;
    made(&node, &path("destinations"), json!({ "name": named("box"), "kind": "mailbox", "config": {} })).await;
    let rule = json!({ "name": named("rule"), "conditions": [{ "pattern": format!("^{CANARY}$"), "actions": [{ "application": "answer" }] }] });
    made(&node, &path("dialplan-entries"), rule).await;
    let number = json!({ "number": "+12025550100", "provider": named("provider") });
    let number = made(&node, &asked("phone-numbers"), number).await;
    let assign = format!("/v1/phone-numbers/{}/assign?tenant_id={tenant}", number["id"].as_str().unwrap());
    assert_eq!(node.api("POST", &assign, json!({ "agent_id": agent["id"] })).await.status, 200);
    made(&node, &path("reserved-numbers"), json!({ "number": "4711", "reason": named("reason") })).await;
    made(&node, "/v1/keys", json!({ "name": named("key"), "tenant_id": tenant })).await;
    let carrier = json!({ "name": named("carrier"), "tenant_id": tenant, "config": { "host": format!("{CANARY}.carrier.test") } });
    made(&node, "/v1/carriers", carrier).await;
    let rules = json!({ "routing": { "emergency": { "location": named("street"), "contacts": [format!("{CANARY}@desk.test")] } } });
    assert_eq!(node.api("PATCH", &path("settings"), rules).await.status, 200);
    // Its contacts, a note on a call, and a webhook.
    let known = json!({ "name": named("friend"), "company": CANARY, "notes": named("owes us"), "email": format!("{CANARY}@friend.test"),
        "tags": [CANARY], "numbers": ["+4915112345678"] });
    made(&node, &asked("contacts"), known).await;
    let noted = format!("/v1/calls/{}?tenant_id={tenant}", node.call(tenant.parse().unwrap()).await);
    let noted = node.api("PATCH", &noted, json!({ "notes": named("said"), "tags": [CANARY] })).await;
    assert_eq!(noted.status, 200, "{}", noted.text());
    let hook = json!({ "url": format!("https://{CANARY}.hooks.test"), "description": named("hook"), "tenant_id": tenant,
        "topics": ["call:ended"] });
    let hook = made(&node, "/v1/webhooks", hook).await;
    let tried = node.api("POST", &format!("/v1/webhooks/{}/test", hook["id"].as_str().unwrap()), Value::Null).await;
    assert_eq!(tried.status, 201, "{}", tried.text());
    // A call is over: one record that can be read, one that can't.
    for variables in [
        json!({ "dialplane_tenant": tenant, "caller_id_name": CANARY }),
        json!({ "dialplane_tenant": tenant, "odd": [CANARY] }),
    ] {
        record(&node, Uuid::new_v4(), variables).await;
    }
    let login = json!({ "email": format!("{CANARY}@people.test"), "password": "a wrong password" });
    node.api_with("POST", "/v1/auth/login", &[], login).await;
    node.api_with("POST", "/v1/auth/forgot-password", &[], json!({ "email": format!("{CANARY}@people.test") })).await;
    let mails = folder.join("mail");
    while files_with_it(&mails).is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = found(&mut db).await;
    println!("before: {before:?}");
    for expected in [
        "tenants.domain",
        "users.email",
        "extensions.display_name",
        "cdr_inbox.body",
        "mail_outbox.recipient",
        "audit_log.after",
        "contacts.notes",
        "calls.notes",
        "webhooks.url",
    ] {
        assert!(before.iter().any(|column| column.starts_with(expected)), "{expected} has it: {before:?}");
    }

    let gone = format!("/v1/tenants/{tenant}");
    assert_eq!(node.api("DELETE", &format!("{gone}?cascade=true&purge=now"), Value::Null).await.status, 204);
    let report = node.api("GET", &format!("/v1/purges/{tenant}"), Value::Null).await;
    assert_eq!(report.status, 200, "{}", report.text());
    println!("{}", report.text());
    let report = report.json();
    for (what, rows) in [
        ("extensions", 2),
        ("destinations", 2),
        ("people", 1),
        ("call_records", 2),
        ("carriers", 1),
        ("groups", 1),
        ("contacts", 1),
        ("webhooks", 1),
    ] {
        assert_eq!(report["removed"][what], rows, "{what}: {report}");
    }
    assert!(report["removed"]["calls"].as_i64().unwrap() >= 1, "{report}");
    assert!(report["removed"]["kept_answers"].as_i64().unwrap() >= 8, "{report}");
    // The switch of the cluster has no event socket yet, and is waited for.
    assert_eq!(report["waits_for"][0]["name"], json!(node.switch.0), "{report}");
    let waiting = found(&mut db).await;
    assert!(
        waiting.iter().all(|column| column.starts_with("cleanups.")),
        "only what a switch must still be told: {waiting:?}"
    );
    sqlx::query("delete from cleanups").execute(&mut db).await.unwrap();
    let report = node.api("GET", &format!("/v1/purges/{tenant}"), Value::Null).await.json();
    assert_eq!(report["waits_for"], json!([]));
    assert_eq!(found(&mut db).await, Vec::<String>::new());
    let began = std::time::Instant::now();
    while !files_with_it(&folder).is_empty() {
        assert!(began.elapsed() < Duration::from_mins(1), "{:?}", files_with_it(&folder));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The same request again is a new one: what it was answered before is gone.
    let headers = [("X-API-Key", node.key.as_str()), ("Idempotency-Key", "/v1/tenants")];
    let again = json!({ "domain": format!("{CANARY}.test"), "name": named("company") });
    let again = node.api_with("POST", "/v1/tenants", &headers, again).await;
    assert!(again.header("Idempotency-Replayed").is_none() && !again.text().contains(&tenant), "{}", again.text());
    node.stop().await;
}

#[actix_web::test]
async fn a_purge_waits_for_no_switch_that_came_after_the_tenants_last_call() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let cluster = node.api("GET", "/v1/clusters", Value::Null).await.json()["items"][0]["id"].clone();
    let waits = async |domain: &str, add: bool, calls: bool| {
        let tenant = node.tenant(domain).await;
        node.extension(tenant, json!({ "number": "1000" })).await;
        if calls {
            node.call(tenant).await;
        }
        if add {
            let new = json!({ "name": format!("new-{}", domain.replace('.', "-")), "cluster_id": cluster });
            assert_eq!(node.api("POST", "/v1/switches", new).await.status, 201);
        }
        let gone = node.api("DELETE", &format!("/v1/tenants/{tenant}?cascade=true&purge=now"), Value::Null).await;
        assert_eq!(gone.status, 204, "{}", gone.text());
        let report = node.api("GET", &format!("/v1/purges/{tenant}"), Value::Null).await.json();
        let waits = report["waits_for"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned());
        waits.collect::<Vec<_>>()
    };
    let old = node.switch.0.clone();
    // Nobody ever called, and the switch is young: there is nothing to remove.
    assert_eq!(waits("quiet.test", false, false).await, Vec::<String>::new());
    assert_eq!(waits("calls.test", false, true).await, std::slice::from_ref(&old));
    assert_eq!(waits("later.test", true, true).await, std::slice::from_ref(&old), "the other came after the last call");
    // What was called long ago is not known any more, so an old switch counts.
    database.execute("update switches set created_at = created_at - interval '7 days'").await;
    assert_eq!(waits("again.test", false, false).await.len(), 2);
    node.stop().await;
}

#[actix_web::test]
async fn a_name_that_is_looked_up_while_its_tenant_is_purged_is_gone_with_it() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let mut db = database.connect().await;
    let tenant = made(&node, "/v1/tenants", json!({ "domain": "looked.test", "name": "Looked up" })).await;
    let tenant = tenant["id"].as_str().unwrap();
    let carrier = json!({ "name": "Theirs", "tenant_id": tenant, "config": { "host": "gone.carrier.test" } });
    made(&node, "/v1/carriers", carrier).await;
    // A node is about to look its carriers up. The node of this test may have come first.
    let pool = node.app.changes.pool();
    let looking = loop {
        sqlx::query("delete from resolved_hosts").execute(&mut db).await.unwrap();
        let mut looking = pool.begin().await.unwrap();
        let due = dialplane::telephony::carriers::store::unresolved_hosts(&mut *looking).await.unwrap();
        if due == ["gone.carrier.test"] {
            break looking;
        }
    };

    let gone = format!("/v1/tenants/{tenant}?cascade=true&purge=now");
    let purge = node.api("DELETE", &gone, Value::Null);
    let committed = async {
        let waits = "select count(*) from pg_stat_activity
                      where datname = current_database() and wait_event_type = 'Lock' and query like '%from carriers%'";
        while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut db).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        looking.commit().await.unwrap();
    };
    let (purged, ()) = tokio::join!(purge, committed);
    assert_eq!(purged.status, 204, "{}", purged.text());
    let left = "select host from resolved_hosts";
    let left = sqlx::query_scalar::<_, String>(left).fetch_all(&mut db).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}
