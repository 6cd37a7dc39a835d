//! What people write about a call while it is up: it is kept, and belongs to the record when that comes.

use std::time::{Duration, Instant};

use dialplane::telephony::erasures;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    control::talk,
    harness::{Answer, Node, send},
    live::{fires, known, leg, now},
    own_calls::Agent,
    pushes::Fleet,
};

const EVE: &str = "+4915112345678";

/// A call from outside that the stage's agent has taken: its id, and the records of its legs, the caller's first.
async fn up(fleet: &Fleet) -> (Uuid, [(Uuid, Value); 2]) {
    let records = fleet.stage.call_from_outside(EVE);
    talk(fleet, (records[0].0, records[1].0)).await;
    (records[0].0, records)
}

fn hangs_up(fleet: &Fleet, records: &[(Uuid, Value); 2]) {
    for (id, _) in records {
        let ends = json!({ "Hangup-Cause": "NORMAL_CLEARING" });
        fires(&fleet.socket, leg("CHANNEL_HANGUP_COMPLETE", *id, *id, &ends), now());
    }
}

async fn gone(node: &Node, tenant: Uuid) {
    let since = Instant::now();
    let path = format!("/v1/live/calls?tenant_id={tenant}");
    while !node.api("GET", &path, Value::Null).await.json()["items"].as_array().unwrap().is_empty() {
        assert!(since.elapsed() < Duration::from_mins(1), "the call does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A node gets a record.
async fn gets(node: &Node, (name, token): &(String, String), (leg, variables): &(Uuid, Value)) {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{token}")));
    let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/json")];
    let body = json!({ "variables": variables }).to_string();
    let path = format!("/fs/cdr?uuid={leg}");
    let answer = send(node.app.switch_address, "POST", &path, &headers, body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn contact(fleet: &Fleet, name: &str, number: &str) -> Uuid {
    let new = json!({ "name": name, "numbers": [number] });
    let made = fleet.stage.node.makes(&format!("/v1/contacts?tenant_id={}", fleet.stage.tenant), new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.id()
}

fn code(answer: &Answer) -> (u16, Value) {
    (answer.status, answer.json()["code"].clone())
}

#[actix_web::test]
async fn what_is_written_while_a_call_is_up_belongs_to_its_record_whichever_node_gets_that() {
    let fleet = Fleet::new().await;
    let [ann, bob] = Agent::two(&fleet).await;
    known(&fleet).await;
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    let settings = json!({ "dispositions": ["Sold", "Call back"] });
    assert_eq!(node.api("PATCH", &format!("/v1/tenants/{tenant}/settings"), settings).await.status, 200);
    let (eve, other) = (contact(&fleet, "Eve", EVE).await, node.tenant("other.test").await);
    let foreign = node.makes(&format!("/v1/contacts?tenant_id={other}"), json!({ "name": "Eve" })).await.id();
    let (call, records) = up(&fleet).await;
    let path = format!("/v1/calls/{call}");

    let shown = ann.asks(node, "GET", &path, Value::Null).await;
    assert_eq!((shown.status, &shown.json()["version"], shown.header("ETag")), (202, &json!(0), Some("\"v0\"")));
    for (whose, who) in [("a colleague's", &bob), ("nobody's", &ann)] {
        let path = if whose == "nobody's" { format!("/v1/calls/{}", Uuid::new_v4()) } else { path.clone() };
        assert_eq!(who.asks(node, "GET", &path, Value::Null).await.status, 404, "{whose}");
        assert_eq!(who.asks(node, "PATCH", &path, json!({ "notes": "x" })).await.status, 404, "{whose}");
    }
    let elsewhere = node.api("PATCH", &format!("{path}?tenant_id={other}"), json!({ "notes": "x" })).await;
    assert_eq!(elsewhere.status, 404, "{}", elsewhere.text());
    for (wrong, why) in [
        (json!({ "contact_id": foreign }), "not_a_contact"),
        (json!({ "contact_id": Uuid::new_v4() }), "not_a_contact"),
        (json!({ "disposition": "Lost" }), "not_a_disposition"),
    ] {
        assert_eq!(code(&ann.asks(node, "PATCH", &path, wrong).await), (422, json!(why)));
    }

    let writes = json!({ "notes": "wants ten seats", "tags": ["vip"], "contact_id": eve });
    let written = ann.asks(node, "PATCH", &path, writes).await;
    assert_eq!((written.status, &written.json()["version"]), (202, &json!(1)), "{}", written.text());
    let old = [("X-API-Key", node.key.as_str()), ("If-Match", "\"v0\"")];
    let of_tenant = format!("{path}?tenant_id={tenant}");
    assert_eq!(node.api_with("PATCH", &of_tenant, &old, json!({ "notes": "y" })).await.status, 412);
    let written = node.api("PATCH", &of_tenant, json!({ "disposition": "Sold" })).await.json();
    assert_eq!((&written["notes"], &written["disposition"]), (&json!("wants ten seats"), &json!("Sold")), "{written}");

    // It is over, and its record is on its way: everybody who was in it still sees it and writes.
    hangs_up(&fleet, &records);
    gone(node, tenant).await;
    let more = ann.asks(node, "PATCH", &path, json!({ "tags": ["vip", "seats"] })).await;
    assert_eq!((more.status, &more.json()["version"]), (202, &json!(3)), "{}", more.text());
    assert_eq!(bob.asks(node, "GET", &path, Value::Null).await.status, 404);

    // The record comes to another node, and the phone's leg first.
    let second = Node::start(&fleet.stage.database).await;
    for record in records.iter().rev() {
        gets(&second, &node.switch, record).await;
    }
    let found = fleet.stage.found(&format!("&contact_id={eve}&disposition=Sold&tag=seats")).await;
    assert_eq!(found.len(), 1, "{found:?}");
    let shown = ann.asks(node, "GET", &path, Value::Null).await;
    let record = shown.json();
    assert_eq!(
        (shown.status, &record["state"], &record["notes"]),
        (200, &json!("answered"), &json!("wants ten seats"))
    );
    assert_eq!((&record["tags"], &record["contact_id"]), (&json!(["seats", "vip"]), &json!(eve)), "{record}");
    assert!(record["version"].as_i64() > Some(3), "no version comes twice: {record}");
    assert_eq!(fleet.stage.database.count("select count(*) from written_calls").await, 0);
    let sheet = node.api("GET", &format!("/v1/calls/export?tenant_id={tenant}"), Value::Null).await.text();
    assert!(sheet.lines().next().unwrap().ends_with(",notes,contact_id"), "{sheet}");
    assert!(sheet.contains(&format!(",wants ten seats,{eve}")), "{sheet}");
    let audit = node.api("GET", &format!("/v1/audit?tenant_id={tenant}&resource=calls"), Value::Null).await;
    assert_eq!(audit.items().as_array().unwrap().len(), 3, "{}", audit.text());

    // A contact that is deleted is in no call any more.
    let gone = node.api("DELETE", &format!("/v1/contacts/{eve}?tenant_id={tenant}"), Value::Null).await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    assert_eq!(fleet.stage.found(&format!("&contact_id={eve}")).await.len(), 0);
    assert_eq!(ann.asks(node, "GET", &path, Value::Null).await.json()["contact_id"], Value::Null);
    second.stop().await;
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn nothing_is_lost_if_one_leg_has_a_record_already_or_two_people_write_at_the_moment_when_it_comes() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    let (call, records) = up(&fleet).await;
    let path = format!("/v1/calls/{call}?tenant_id={tenant}");
    let write = async |text: &str| node.api("PATCH", &path, json!({ "notes": text })).await;
    assert_eq!(write("before").await.status, 202);
    // The phone was transferred away: its leg is over, and the call goes on.
    fleet.stage.record(records[1].0, &records[1].1).await;
    fleet.stage.folded().await;
    let shown = node.api("GET", &path, Value::Null).await;
    assert_eq!((shown.status, &shown.json()["notes"]), (200, &json!("before")), "{}", shown.text());
    assert_eq!(write("before and after").await.status, 200);

    // As if somebody had written while another node made the call of its legs.
    let late = "insert into written_calls (tenant_id, id, agents, notes, tags, version)
                select tenant_id, channel, '{}', 'late', '{x}', 40 from call_channels limit 1";
    fleet.sql(late).await;
    fleet.stage.folded().await;
    let shown = node.api("GET", &path, Value::Null).await.json();
    assert_eq!((&shown["notes"], &shown["tags"]), (&json!("before and after\n\nlate"), &json!(["x"])), "{shown}");
    assert!(shown["version"].as_i64() > Some(40), "{shown}");
    fleet.stage.record(records[0].0, &records[0].1).await;
    fleet.stage.folded().await;
    assert_eq!(node.api("GET", &path, Value::Null).await.json()["notes"], "before and after\n\nlate");
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_person_who_is_erased_is_in_no_note_that_waits_for_its_record() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    let eve = contact(&fleet, "Eve", EVE).await;
    let (call, records) = up(&fleet).await;
    let path = format!("/v1/calls/{call}?tenant_id={tenant}");
    let writes = json!({ "notes": format!("call {EVE} back"), "tags": [EVE], "contact_id": eve });
    assert_eq!(node.api("PATCH", &path, writes).await.status, 202);
    let erases = node.makes(&format!("/v1/erasures?tenant_id={tenant}"), json!({ "numbers": [EVE] })).await;
    assert_eq!(erases.status, 201, "{}", erases.text());
    erasures::work::pass(&node.app.changes, chrono::Utc::now()).await.unwrap();
    let kept = node.api("GET", &path, Value::Null).await;
    let text = kept.text();
    assert!(kept.status == 202 && !text.contains("15112345678") && text.contains("back"), "{text}");
    assert_eq!(kept.json()["contact_id"], Value::Null);

    // What is written about a call with them goes with its record.
    for (leg, variables) in &records {
        fleet.stage.record(*leg, variables).await;
    }
    fleet.stage.folded().await;
    erasures::work::pass(&node.app.changes, chrono::Utc::now() + chrono::TimeDelta::hours(2)).await.unwrap();
    let shown = node.api("GET", &path, Value::Null).await;
    assert_eq!((shown.status, &shown.json()["notes"]), (200, &Value::Null), "{}", shown.text());
    assert!(!shown.text().contains("15112345678"), "{}", shown.text());
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn nobody_can_say_whether_a_call_is_up_whose_switch_is_not_heard_so_what_is_written_is_not_dropped_silently() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    let (call, _) = up(&fleet).await;
    fleet.socket.has().hangs_up = true;
    fires(&fleet.socket, json!({ "Event-Name": "SHUTDOWN" }), now());
    let path = format!("/v1/calls/{call}?tenant_id={tenant}");
    let since = Instant::now();
    loop {
        let answer = node.api("PATCH", &path, json!({ "notes": "x" })).await;
        if answer.status == 503 {
            assert_eq!(code(&answer).1, json!("switch_unheard"));
            break;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    fleet.stage.stop().await;
}
