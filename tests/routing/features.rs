//! A tenant's features: one that is off can't be set up, and calls to it are not answered.

use serde_json::{Value, json};
use sqlx::Connection as _;
use uuid::Uuid;

use crate::{
    harness::{Answer, call_form},
    stage::{Stage, cause, route},
};

fn is_off(answer: &Answer, feature: &str) -> bool {
    let problem = answer.json();
    answer.status == 409
        && problem["code"] == "feature_off"
        && problem["detail"].as_str().unwrap().contains(&format!("features.{feature}"))
}

async fn made(stage: &Stage, kind: &str, config: Value) -> Answer {
    let number = format!("6{}", kind.len());
    let new = json!({ "name": kind, "number": number, "kind": kind, "config": config });
    stage.node.api("POST", &format!("/v1/tenants/{}/destinations", stage.tenant), new).await
}

async fn explained(stage: &Stage, number: &str) -> String {
    let path = format!("/v1/routes/explain?tenant_id={}", stage.tenant);
    let answer = stage.node.api("POST", &path, json!({ "caller": stage.phone, "number": number })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

#[actix_web::test]
async fn queues_conferences_and_mailboxes_are_there_while_their_feature_is_on() {
    let stage = Stage::new().await;
    let (node, tenant) = (&stage.node, stage.tenant);
    let room = made(&stage, "conference", json!({})).await;
    let menu = |kind: &str, id: &Value, name: &str| {
        json!({ "name": name, "kind": "ivr", "config": {
            "greeting": { "text": "Hello" }, "entries": { "1": { "kind": kind, "id": id } } } })
    };
    let destinations = format!("/v1/tenants/{tenant}/destinations");
    let led = node.api("POST", &destinations, menu("conference", &room.json()["id"], "Old")).await;
    assert_eq!(led.status, 201, "{}", led.text());
    for (kind, feature) in [("queue", "queues"), ("conference", "conferences"), ("mailbox", "voicemail")] {
        let there = if kind == "conference" { room.json() } else { made(&stage, kind, json!({})).await.json() };
        let (id, dialled) = (&there["id"], there["number"].as_str().unwrap());
        assert_ne!(cause(&stage.dials(dialled).await).as_deref(), Some("UNALLOCATED_NUMBER"), "{kind}");
        assert!(!explained(&stage, dialled).await.contains("switched off"));
        stage.features(json!({ feature: false })).await;
        // The change is in force with the next call, and explanations say so.
        let answer = stage.dials(dialled).await;
        assert_eq!((route(&answer).as_str(), cause(&answer).as_deref()), ("switched_off", Some("UNALLOCATED_NUMBER")));
        let why = explained(&stage, dialled).await;
        assert!(why.contains(&format!("{feature} is switched off for the tenant")), "{why}");
        // No other can be created, and nothing new can lead there.
        assert!(is_off(&made(&stage, kind, json!({})).await, feature), "{kind}");
        let one = format!("{destinations}/{}", id.as_str().unwrap());
        let changed = match kind {
            "queue" => json!({ "wrap_up_seconds": 5 }),
            "conference" => json!({ "muted": true }),
            _ => json!({ "email": "box@acme.test" }),
        };
        assert!(is_off(&node.api("PATCH", &one, json!({ "config": changed })).await, feature), "{kind}");
        assert_eq!(node.api("PATCH", &one, json!({ "name": "Resting" })).await.status, 200);
        let target = json!({ "kind": kind, "id": id });
        assert!(is_off(&node.api("POST", &destinations, menu(kind, id, "New")).await, feature), "{kind}");
        let group = json!({ "name": format!("g{feature}"), "members": [], "otherwise": target });
        assert!(is_off(&node.api("POST", &format!("/v1/tenants/{tenant}/groups"), group).await, feature), "{kind}");
        let number = format!("/v1/phone-numbers/{}?tenant_id={tenant}", stage.number);
        assert!(is_off(&node.api("PATCH", &number, json!({ "destination": target })).await, feature), "{kind}");
    }
    // Things that already lead there may be changed in other ways.
    let renamed = json!({ "config": menu("conference", &room.json()["id"], "Old")["config"], "name": "Renamed" });
    let renamed = node.api("PATCH", &format!("{destinations}/{}", led.id()), renamed).await;
    assert_eq!(renamed.status, 200, "{}", renamed.text());
    // Switches don't get the queue.
    let conf = node.fetch("section=configuration&tag_name=configuration&key_name=name&key_value=callcenter.conf&Event-Name=REQUEST_PARAMS").await;
    assert!(!conf.text().contains("<queue "), "{}", conf.text());
    // Neither an extension nor a phone has a mailbox then.
    let extensions = format!("/v1/tenants/{tenant}/extensions");
    let new = json!({ "number": "70", "voicemail_enabled": true });
    assert!(is_off(&node.api("POST", &extensions, new).await, "voicemail"));
    let extension = node.extension(tenant, json!({ "number": "70" })).await;
    assert_eq!(extension["voicemail_enabled"], false);
    let one = format!("{extensions}/{}", extension["id"].as_str().unwrap());
    assert!(is_off(&node.api("PATCH", &one, json!({ "voicemail_enabled": true })).await, "voicemail"));
    let rung = stage.dials(&stage.phone).await;
    assert_eq!((route(&rung).as_str(), rung.contains("application=\"voicemail\"")), ("extension", false), "{rung}");
    // Switched on again.
    stage.features(json!({ "voicemail": true, "queues": true, "conferences": true })).await;
    assert!(stage.dials(&stage.phone).await.contains("application=\"voicemail\""));
    assert_eq!(route(&stage.dials("610").await), "conference");
    stage.stop().await;
}

#[actix_web::test]
async fn nothing_is_recorded_while_recording_is_off() {
    let stage = Stage::new().await;
    let (node, tenant) = (&stage.node, stage.tenant);
    let settings = format!("/v1/tenants/{tenant}/settings");
    for call in ["inbound", "outbound", "internal"] {
        let refused = node.api("PATCH", &settings, json!({ "routing": { "record": { call: true } } })).await;
        let problem = refused.json();
        let field = format!("routing.record.{call}");
        assert_eq!((refused.status, problem["field"].as_str()), (422, Some(&*field)), "{problem}");
        assert_eq!(problem["code"], "needs_feature", "{problem}");
    }
    let extensions = format!("/v1/tenants/{tenant}/extensions");
    let new = json!({ "number": "70", "calls": { "record": true } });
    assert!(is_off(&node.api("POST", &extensions, new.clone()).await, "call_recording"));
    let number = format!("/v1/phone-numbers/{}?tenant_id={tenant}", stage.number);
    assert!(is_off(&node.api("PATCH", &number, json!({ "record": true })).await, "call_recording"));
    let more = json!({ "number": "+493098765432", "record": true });
    assert!(is_off(&node.api("POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), more).await, "call_recording"));
    for kind in ["queue", "conference"] {
        assert!(is_off(&made(&stage, kind, json!({ "record": true })).await, "call_recording"), "{kind}");
    }
    // At first, everything that can be recorded is recorded; then nothing.
    stage.features(json!({ "call_recording": true })).await;
    stage.rules(json!({ "record": { "inbound": true, "outbound": true, "internal": true } })).await;
    let extension = node.extension(tenant, new).await;
    let to = json!({ "record": true, "destination": { "kind": "extension", "id": extension["id"] } });
    assert_eq!(node.api("PATCH", &number, to).await.status, 200);
    let room = made(&stage, "conference", json!({ "record": true })).await.id();
    assert_eq!(made(&stage, "queue", json!({ "record": true })).await.status, 201);
    for (is_on, count) in [(true, 1), (false, 0)] {
        stage.features(json!({ "call_recording": is_on })).await;
        let conference = format!("{}.{}", room.simple(), stage.domain);
        let conference = format!(
            "section=configuration&tag_name=configuration&key_name=name&key_value=conference.conf&Event-Name=REQUEST_PARAMS&profile_name={conference}&conf_name={conference}"
        );
        let answers = [
            node.fetch(&call_form("%2B493012345678", "public")).await.text(),
            stage.dials("70").await,
            stage.dials("65").await,
            stage.calls("+498912345678", uuid::Uuid::new_v4()).await,
            node.fetch(&conference).await.text(),
        ];
        for answer in answers {
            let records = answer.matches("application=\"record_session\"").count();
            let records = records + answer.matches("\"auto-record\"").count();
            assert_eq!(records, count, "{answer}");
        }
    }
    let why = explained(&stage, "70").await;
    assert!(why.contains("call_recording is switched off for the tenant"), "{why}");
    stage.stop().await;
}

#[actix_web::test]
async fn what_a_phone_changes_leaves_what_is_changed_at_the_same_time() {
    let stage = Stage::new().await;
    let path = format!("/v1/tenants/{}/extensions", stage.tenant);
    let phones = stage.node.api("GET", &path, Value::Null).await.json();
    let path = format!("{path}/{}", phones["items"][0]["id"].as_str().unwrap());
    let before = json!({ "calls": { "forward_busy": "70", "do_not_disturb": true } });
    assert_eq!(stage.node.api("PATCH", &path, before).await.status, 200);
    // Somebody changes the extension, and has not committed when the phone's code is saved.
    let (mut other, mut watcher) = (stage.database.connect().await, stage.database.connect().await);
    let mut tx = other.begin().await.unwrap();
    let recorded =
        r#"update extensions set calls = calls - 'forward_busy' || '{"record": true}' where user_id is not null"#;
    sqlx::query(recorded).execute(&mut *tx).await.unwrap();
    let commits = async {
        let waiting =
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut watcher).await.unwrap() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        tx.commit().await.unwrap();
    };
    let (answer, ()) = tokio::join!(stage.calls("*79", Uuid::new_v4()), commits);
    let after = stage.node.api("GET", &path, Value::Null).await.json();
    assert_eq!(after["calls"], json!({ "record": true }), "{answer}");
    let entry = "select after->'calls' from audit_log where actor = 'phone'";
    let entry = sqlx::query_scalar::<_, Value>(entry).fetch_one(&mut watcher).await.unwrap();
    assert_eq!(entry, json!({ "record": true }), "the log says what came of it");
    stage.stop().await;
}

#[actix_web::test]
async fn a_phone_forwards_to_no_number_that_rests() {
    let stage = Stage::new().await;
    let phones = format!("/v1/tenants/{}/extensions", stage.tenant);
    let all = stage.node.api("GET", &phones, Value::Null).await.json();
    let phone = format!("{phones}/{}", all["items"][0]["id"].as_str().unwrap());
    let leaves = stage.node.extension(stage.tenant, json!({ "number": "1888" })).await;
    let gone = stage.node.api("DELETE", &format!("{phones}/{}", leaves["id"].as_str().unwrap()), Value::Null).await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    for (what, new) in [
        ("groups", json!({ "name": "sales", "number": "1889", "members": [] })),
        ("destinations", json!({ "name": "Room", "number": "1890", "kind": "conference", "config": {} })),
    ] {
        let path = format!("/v1/tenants/{}/{what}", stage.tenant);
        let made = stage.node.api("POST", &path, new).await;
        assert_eq!(made.status, 201, "{}", made.text());
        assert_eq!(stage.node.api("DELETE", &format!("{path}/{}", made.id()), Value::Null).await.status, 204);
    }
    // Its next owner would get the calls, or the messages.
    for dialled in ["*721888", "*72*981888", "*721889", "*721890"] {
        let answer = stage.dials(dialled).await;
        assert_eq!(cause(&answer).as_deref(), Some("UNALLOCATED_NUMBER"), "{dialled}: {answer}");
    }
    assert_eq!(stage.node.api("GET", &phone, Value::Null).await.json()["calls"], json!({}));
    let answer = stage.dials("*721777").await;
    assert_eq!(cause(&answer), None, "{answer}");
    let calls = stage.node.api("GET", &phone, Value::Null).await.json()["calls"].clone();
    assert_eq!(calls, json!({ "forward_always": "1777" }));
    stage.stop().await;
}

#[actix_web::test]
async fn a_phone_forwards_to_no_number_that_is_given_up_at_the_same_moment() {
    let stage = Stage::new().await;
    let phones = format!("/v1/tenants/{}/extensions", stage.tenant);
    let all = stage.node.api("GET", &phones, Value::Null).await.json();
    let phone = format!("{phones}/{}", all["items"][0]["id"].as_str().unwrap());
    // Somebody gives the number up, found nobody who dials it, and has not committed when the phone's code is saved.
    let (mut other, mut watcher) = (stage.database.connect().await, stage.database.connect().await);
    let mut tx = other.begin().await.unwrap();
    let holds = "select pg_advisory_xact_lock(hashtextextended('pools ' || $1::uuid::text, 0))";
    sqlx::query(holds).bind(stage.tenant).execute(&mut *tx).await.unwrap();
    let rests = "insert into held_numbers (tenant_id, number, reason, until) values ($1, '1888', 'rests', now() + interval '1 day')";
    sqlx::query(rests).bind(stage.tenant).execute(&mut *tx).await.unwrap();
    let commits = async {
        let waiting =
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut watcher).await.unwrap() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        tx.commit().await.unwrap();
    };
    let (answer, ()) = tokio::join!(stage.calls("*721888", Uuid::new_v4()), commits);
    assert_eq!(cause(&answer).as_deref(), Some("UNALLOCATED_NUMBER"), "{answer}");
    assert_eq!(stage.node.api("GET", &phone, Value::Null).await.json()["calls"], json!({}));
    stage.stop().await;
}
