//! A tenant is moved to another cluster. Its phones may still turn to the switches that it left.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harness::{Answer, call_form, invite_form, send, sign_in_form},
    stage::{Stage, cause, hang, route},
};

/// A cluster and a switch of it.
async fn elsewhere(stage: &Stage, name: &str) -> (Uuid, String) {
    let node = &stage.node;
    let cluster = json!({ "name": name, "region": "eu", "max_tenants": 5 });
    let cluster = node.api("POST", "/v1/clusters", cluster).await;
    assert_eq!(cluster.status, 201, "{}", cluster.text());
    let cluster = cluster.id();
    let switch = node.api("POST", "/v1/switches", json!({ "name": name, "cluster_id": cluster })).await;
    assert_eq!(switch.status, 201, "{}", switch.text());
    (cluster, format!("{name}:{}", switch.json()["token"].as_str().unwrap()))
}

async fn fetch_as(stage: &Stage, credentials: &str, form: &str) -> Answer {
    let basic = format!("Basic {}", STANDARD.encode(credentials));
    let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    send(stage.node.app.switch_address, "POST", "/fs/xml", &headers, form.as_bytes()).await
}

async fn move_to(stage: &Stage, cluster: Uuid) {
    let moved =
        stage.node.api("PATCH", &format!("/v1/tenants/{}", stage.tenant), json!({ "cluster_id": cluster })).await;
    assert_eq!(moved.status, 200, "{}", moved.text());
}

/// The call that a phone makes after it signed in.
fn calls(stage: &Stage, number: &str) -> String {
    let marked = "&variable_dialplane_help_only=true&variable_dialplane_own_number=%2B493012345678&Hunt-Context";
    stage.form(&stage.phone, number, Uuid::new_v4()).replace("&Hunt-Context", marked)
}

#[actix_web::test]
async fn switches_that_a_tenant_has_left_refuse_its_phones_but_connect_their_calls_for_help() {
    let stage = Stage::new().await;
    let node = &stage.node;
    stage.rules(json!({ "emergency": { "location": "Berlin", "contacts": ["desk@acme.test"] } })).await;
    let first = node.api("GET", &format!("/v1/tenants/{}", stage.tenant), Value::Null).await.json();
    let first = serde_json::from_value(first["cluster_id"].clone()).unwrap();
    let (second, there) = elsewhere(&stage, "there").await;
    let (_, stranger) = elsewhere(&stage, "stranger").await;
    stage
        .database
        .execute("insert into event_sockets (switch_id, address, password) select id, 'fs.test', '' from switches")
        .await;
    move_to(&stage, second).await;

    // Registrations end on the old switches, and calls that are up go on.
    let ended = "select count(*) from expulsions x join switches s on s.id = x.switch_id where s.name like 'fs-%' and not x.calls";
    let others = "select count(*) from expulsions x join switches s on s.id = x.switch_id where s.name not like 'fs-%' or x.calls";
    assert_eq!((stage.database.count(ended).await, stage.database.count(others).await), (1, 0));
    let empty = "<domain name=\"acme&#46;test\">";
    let refused = async |form: &str| {
        let answer = node.fetch(form).await.text();
        assert!(
            !answer.contains("<user ") && (answer.contains(empty) || answer.contains("<domain name=\"acme.test\">")),
            "{answer}"
        );
    };
    refused(&sign_in_form(&stage.phone, "acme.test")).await;
    refused(
        &invite_form(&stage.phone, "acme.test").replace("=INVITE", "=SUBSCRIBE&sip_to_user=77&sip_to_host=acme.test"),
    )
    .await;
    refused(&invite_form(&stage.phone, "acme.test").replace("action=sip_auth", "action=user_call")).await;
    // It signs in for calls, and all but those for help are refused. A call that is up there and led on is treated alike.
    for method in ["", "&sip_to_user=112"] {
        let form = invite_form(&stage.phone, "acme.test").replace("&key=id", &format!("{method}&key=id"));
        let answer = node.fetch(&form).await.text();
        assert!(answer.contains("a1-hash") && answer.contains("dialplane_help_only"), "{answer}");
    }
    for form in [calls(&stage, "77"), calls(&stage, "+498912345678"), call_form("77", "acme.test")] {
        let document = node.fetch(&form).await.text();
        assert_eq!(
            (route(&document).as_str(), cause(&document).as_deref()),
            ("moved", Some("OUTGOING_CALL_BARRED")),
            "{document}"
        );
    }
    let document = node.fetch(&calls(&stage, "112")).await.text();
    assert_eq!(route(&document), "emergency", "{document}");
    assert!(document.contains("effective_caller_id_number=+493012345678"), "{document}");
    assert!(document.replace("&#45;", "-").contains("X-Emergency-Location=Berlin"), "{document}");
    let told = "select count(*) from mail_outbox where template = 'emergency_call' and recipient = 'desk@acme.test'";
    let since = Instant::now();
    while stage.database.count(told).await < 1 {
        assert!(since.elapsed() < Duration::from_mins(1), "the contacts were not told");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(stage.database.count("select count(*) from admissions where emergency and admitted").await, 1);

    // The new switches serve it, and switches that it never had know nothing of it.
    assert!(fetch_as(&stage, &there, &sign_in_form(&stage.phone, "acme.test")).await.text().contains("a1-hash"));
    for form in [sign_in_form(&stage.phone, "acme.test"), calls(&stage, "112")] {
        let answer = fetch_as(&stage, &stranger, &form).await.text();
        assert!(answer.contains("not found"), "{answer}");
    }
    // Mailboxes are removed wherever they may be: no call is known, so on old switches.
    stage.database.execute("update switches set created_at = created_at - interval '7 days'").await;
    let path = format!("/v1/admin/agents/{}?tenant_id={}", stage.agent, stage.tenant);
    assert_eq!(node.api("DELETE", &path, Value::Null).await.status, 204);
    let left = "select count(distinct s.name) from cleanups c join switches s on s.id = c.switch_id where c.whole";
    assert_eq!(stage.database.count(left).await, 2);

    // Back again.
    move_to(&stage, first).await;
    let back = node.extension(stage.tenant, json!({ "number": "77" })).await;
    assert!(node.sign_in(back["sip_username"].as_str().unwrap(), "acme.test").await.text().contains("a1-hash"));
    stage.stop().await;
}

#[actix_web::test]
async fn a_call_for_help_on_a_switch_that_was_left_waits_neither_for_a_database_nor_for_a_setting() {
    let stage = Stage::new().await;
    let node = &stage.node;
    let (second, there) = elsewhere(&stage, "there").await;
    stage.rules(json!({ "emergency": { "location": "Berlin" } })).await;
    move_to(&stage, second).await;
    let broken =
        "update tenants set settings = jsonb_set(settings, '{business_hours}', '17') where domain = 'acme.test'";
    stage.database.execute(broken).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let help = async || {
        let began = Instant::now();
        let form = invite_form(&stage.phone, "acme.test").replace("&key=id", "&sip_to_user=112&key=id");
        let signed_in = node.fetch(&form).await.text();
        assert!(signed_in.contains("a1-hash"), "{signed_in}");
        let document = node.fetch(&calls(&stage, "112")).await.text();
        let took = began.elapsed();
        assert_eq!(route(&document), "emergency", "{document}");
        assert!(document.contains("effective_caller_id_number=+493012345678"), "{document}");
        (document.replace("&#45;", "-").contains("X-Emergency-Location=Berlin"), took)
    };
    // On the switches of its cluster, other calls have found out what can be read.
    let there = fetch_as(&stage, &there, &stage.form(&stage.phone, "9196", Uuid::new_v4())).await;
    assert_eq!(there.status, 503);
    let (located, took) = help().await;
    assert!(located, "the setting that can be read counts");
    println!("with a broken setting: {took:?}");
    let mut db = stage.database.connect().await;
    hang(&mut db).await;
    for wait in [0, 900, 300, 3000] {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let (_, took) = help().await;
        println!("after {wait} ms without a database: {took:?}");
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    sqlx::query("rollback").execute(&mut db).await.unwrap();
    stage.stop().await;
}
