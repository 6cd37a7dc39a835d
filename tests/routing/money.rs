//! The cost of calls, and recordings.

use serde_json::json;
use sqlx::Row as _;
use uuid::Uuid;

use crate::stage::{Stage, route};

const MUNICH: &str = "+498912345678";

async fn spent(stage: &Stage) -> i64 {
    let mut db = stage.database.connect().await;
    let spent = "select coalesce(sum(spent), 0)::bigint from spend_days";
    sqlx::query(spent).fetch_one(&mut db).await.unwrap().get::<i64, _>(0)
}

fn leg(carrier: Uuid, call: Uuid, seconds: u32) -> serde_json::Value {
    json!({ "dialplane_carrier": carrier, "dialplane_call": call, "answer_epoch": "1790000000",
            "billsec": seconds.to_string(), "hangup_cause": "NORMAL_CLEARING" })
}

#[actix_web::test]
async fn a_sheet_that_takes_anothers_place_charges_the_calls_under_way() {
    let stage = Stage::new().await;
    let cheap = stage.carriers[0];
    let call = Uuid::new_v4();
    assert_eq!(route(&stage.calls(MUNICH, call).await), "outbound");
    assert_eq!(stage.rates(cheap, "49,0.02\n").await.status, 201);
    stage.cdr(Uuid::new_v4(), leg(cheap, call, 60)).await;
    stage.cdr(call, json!({ "hangup_cause": "NORMAL_CLEARING" })).await;
    assert_eq!(spent(&stage).await, 20_000, "a minute at 0.02");
    stage.stop().await;
}

#[actix_web::test]
async fn emergency_calls_are_free() {
    let stage = Stage::new().await;
    // Rates for "1" would match 112.
    let call = Uuid::new_v4();
    assert_eq!(route(&stage.calls("112", call).await), "emergency");
    let mut db = stage.database.connect().await;
    let written = "select count(*) from admissions where emergency";
    while sqlx::query(written).fetch_one(&mut db).await.unwrap().get::<i64, _>(0) == 0 {
        actix_web::rt::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let ordinary = Uuid::new_v4();
    stage.calls(MUNICH, ordinary).await;
    stage.cdr(ordinary, json!({ "hangup_cause": "NO_ANSWER" })).await;
    stage.cdr(Uuid::new_v4(), leg(stage.carriers[0], call, 600)).await;
    assert_eq!(spent(&stage).await, 0);
    // The next carrier is tried whatever the first says, even that there is no such number.
    let document = stage.calls("112", Uuid::new_v4()).await;
    let fails = document.lines().filter(|line| line.contains("continue_on_fail=")).collect::<Vec<_>>();
    assert!(fails[0].contains("continue_on_fail=true") && fails.last().unwrap().contains("=false"), "{fails:?}");
    assert!(document.contains("leg_progress_timeout"), "{document}");
    // A telephone number can't be an emergency number, even if a setting says so.
    let path = format!("/v1/tenants/{}/settings", stage.tenant);
    let number = json!({ "routing": { "emergency": { "numbers": ["4990012345"] } } });
    let refused = stage.node.api("PATCH", &path, number).await;
    assert_eq!((refused.status, &refused.json()["field"]), (422, &json!("routing.emergency.numbers")));
    stage.stop().await;
}

#[actix_web::test]
async fn the_records_of_both_legs_at_once_settle_a_call_once() {
    let stage = Stage::new().await;
    let cheap = stage.carriers[0];
    for _ in 0..20 {
        let call = Uuid::new_v4();
        assert_eq!(route(&stage.calls(MUNICH, call).await), "outbound");
        let over = json!({ "hangup_cause": "NORMAL_CLEARING" });
        tokio::join!(stage.cdr(Uuid::new_v4(), leg(cheap, call, 60)), stage.cdr(call, over));
    }
    assert_eq!(spent(&stage).await, 20 * 10_000, "each a minute at 0.01");
    let mut db = stage.database.connect().await;
    let live = "select coalesce(max(live), 0)::bigint from call_meters";
    assert_eq!(sqlx::query(live).fetch_one(&mut db).await.unwrap().get::<i64, _>(0), 0);
    stage.stop().await;
}

#[actix_web::test]
async fn a_call_from_outside_is_recorded_wherever_it_leads() {
    let stage = Stage::new().await;
    stage.features(json!({ "call_recording": true })).await;
    stage.rules(json!({ "record": { "inbound": true, "outbound": true, "consent_tone": true } })).await;
    // Outbound: the called party hears the tone after the answer, and the agent hears none before it.
    let out = stage.calls(MUNICH, Uuid::new_v4()).await;
    assert!(out.contains("bridge_pre_execute_bleg_data=tone_stream") && out.contains("record_session"), "{out}");
    assert!(!out.contains("application=\"playback\""), "{out}");
    let group = json!({ "name": "sales", "members": [] });
    let group = stage.node.api("POST", &format!("/v1/tenants/{}/groups", stage.tenant), group).await.json();
    let extension = stage.node.extension(stage.tenant, json!({ "number": "77" })).await;
    let menu = json!({ "name": "Menu", "number": "501", "kind": "ivr", "config": {
        "greeting": { "text": "Hello" }, "entries": { "1": { "kind": "extension", "id": extension["id"] } } } });
    let menu = stage.node.api("POST", &format!("/v1/tenants/{}/destinations", stage.tenant), menu).await;
    assert_eq!(menu.status, 201, "{}", menu.text());
    let leads =
        [("ivr", menu.json()["id"].clone()), ("extension", extension["id"].clone()), ("group", group["id"].clone())];
    for (at, (kind, id)) in leads.into_iter().enumerate() {
        let number = format!("+4989765432{at}");
        let new = json!({ "number": number, "destination": { "kind": kind, "id": id } });
        let made = stage.node.api("POST", &format!("/v1/phone-numbers?tenant_id={}", stage.tenant), new).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let form = crate::harness::call_form(&number.replace('+', "%2B"), "public");
        let answer = stage.node.fetch(&form).await.text();
        let records = answer.matches("application=\"record_session\"").count();
        // A group without members refuses the call at once.
        assert_eq!(records, usize::from(kind != "group"), "{kind}: {answer}");
    }
    stage.stop().await;
}

#[actix_web::test]
async fn a_record_that_could_not_be_read_at_once_is_read_later_and_once() {
    let stage = Stage::new().await;
    let call = Uuid::new_v4();
    assert_eq!(route(&stage.calls(MUNICH, call).await), "outbound");
    let mut db = stage.database.connect().await;
    // As if the node had died between keeping and reading it.
    let body = json!({ "variables": leg(stage.carriers[0], call, 60) }).to_string();
    let kept = "insert into cdr_inbox (leg, switch_id, body, received_at)
                select gen_random_uuid()::text, id, $1, now() - interval '1 minute' from switches limit 1";
    sqlx::query(kept).bind(body.as_bytes()).execute(&mut db).await.unwrap();
    let pool = stage.node.app.changes.pool();
    let both = tokio::join!(
        dialplane::telephony::calls::inbox::read_unread(pool),
        dialplane::telephony::calls::inbox::read_unread(pool)
    );
    both.0.unwrap();
    both.1.unwrap();
    assert_eq!(spent(&stage).await, 10_000);
    let seized = "select seized::bigint from carrier_health where carrier_id = $1";
    let seized = sqlx::query(seized).bind(stage.carriers[0]).fetch_one(&mut db).await.unwrap().get::<i64, _>(0);
    assert_eq!(seized, 1);
    stage.stop().await;
}
