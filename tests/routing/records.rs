//! Call records in every form in which switches post them, and unreadable records.

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde_json::{Value, json};
use sqlx::Row as _;
use uuid::Uuid;

use crate::{
    harness::{Answer, send},
    stage::{Stage, route},
};

const MUNICH: &str = "+498912345678";

async fn post(stage: &Stage, leg: &str, body: &[u8]) -> Answer {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let (name, token) = &stage.node.switch;
    let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{token}")));
    let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    send(stage.node.app.switch_address, "POST", &format!("/fs/cdr?uuid={leg}"), &headers, body).await
}

async fn kept(stage: &Stage, leg: impl ToString, body: &[u8]) {
    let answer = post(stage, &leg.to_string(), body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn spent(stage: &Stage) -> i64 {
    let mut db = stage.database.connect().await;
    let spent = "select coalesce(sum(spent), 0)::bigint from spend_days";
    sqlx::query(spent).fetch_one(&mut db).await.unwrap().get::<i64, _>(0)
}

async fn live(stage: &Stage) -> i32 {
    let mut db = stage.database.connect().await;
    let live = "select live from call_meters where scope = $1";
    sqlx::query(live).bind(stage.tenant).fetch_one(&mut db).await.unwrap().get::<i32, _>(0)
}

/// The record of an answered leg over a carrier that lasted `seconds`.
fn carried(carrier: Uuid, call: Uuid, seconds: i64) -> Value {
    json!({ "core-uuid": "x", "variables": {
        "dialplane_carrier": carrier, "dialplane_call": call, "hangup_cause": "NORMAL_CLEARING", "answer_epoch": "1790000000",
        "end_epoch": (1_790_000_000 + seconds).to_string(), "billsec": seconds.to_string() } })
}

/// The record of the call's first leg, which was answered.
fn caller() -> Value {
    json!({ "variables": { "hangup_cause": "NORMAL_CLEARING", "answer_epoch": "1790000000", "bridge_epoch": "1790000000",
                           "originate_disposition": "SUCCESS" } })
}

async fn admitted(stage: &Stage) -> Uuid {
    let call = Uuid::new_v4();
    assert_eq!(route(&stage.calls(MUNICH, call).await), "outbound");
    call
}

async fn unreadable(stage: &Stage) -> Value {
    stage.node.api("GET", "/v1/unreadable-records?limit=500", Value::Null).await.items()
}

/// How many there are, over all pages.
async fn counted(stage: &Stage) -> usize {
    let (mut count, mut path) = (0, "/v1/unreadable-records?limit=400".to_owned());
    loop {
        let page = stage.node.api("GET", &path, Value::Null).await.json();
        count += page["items"].as_array().unwrap().len();
        let Some(cursor) = page["next_cursor"].as_str() else { return count };
        path = format!("/v1/unreadable-records?limit=400&cursor={cursor}");
    }
}

#[actix_web::test]
async fn a_callers_name_in_another_encoding_costs_what_any_other_does() {
    let stage = Stage::new().await;
    let call = admitted(&stage).await;
    let mut record = carried(stage.carriers[0], call, 61);
    record["callflow"] = json!([{ "caller_profile": { "caller_id_name": "M@ller" } }]);
    let body =
        record.to_string().into_bytes().into_iter().map(|b| if b == b'@' { 0xfc } else { b }).collect::<Vec<_>>();
    kept(&stage, Uuid::new_v4(), &body).await;
    kept(&stage, call, caller().to_string().as_bytes()).await;
    assert_eq!((spent(&stage).await, live(&stage).await), (20_000, 0), "two minutes at 0.01");
    assert_eq!(unreadable(&stage).await, json!([]));
    stage.stop().await;
}

#[actix_web::test]
async fn every_form_of_a_record_charges_its_call() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let stage = Stage::new().await;
    let carrier = stage.carriers[0];
    let xml = |call: Uuid| {
        format!(
            "<?xml version=\"1.0\"?>\n<cdr core-uuid=\"x\"><channel_data/>\n<variables>\n<dialplane_carrier>{carrier}</dialplane_carrier>\n\
             <dialplane_call>{call}</dialplane_call>\n<sip_from_display>%22Ada%22%20%26</sip_from_display>\n<answer_epoch>1790000000</answer_epoch>\n\
             <end_epoch>1790000059</end_epoch>\n<billsec>59</billsec>\n<hangup_cause>NORMAL_CLEARING</hangup_cause>\n</variables>\n</cdr>"
        )
    };
    let json = |call: Uuid| carried(carrier, call, 59).to_string();
    let url = |text: String| format!("cdr={}", percent_encode(text.as_bytes(), NON_ALPHANUMERIC));
    let base64 = |text: String| format!("cdr={}", STANDARD.encode(text));
    let plain = |text: String| format!("cdr={text}");
    let bare = |text: String| text;
    let mut calls = 0;
    for wrap in [&url as &dyn Fn(String) -> String, &base64, &plain, &bare] {
        for text in [&xml as &dyn Fn(Uuid) -> String, &json] {
            let call = admitted(&stage).await;
            let body = wrap(text(call));
            kept(&stage, Uuid::new_v4(), body.as_bytes()).await;
            kept(&stage, call, caller().to_string().as_bytes()).await;
            calls += 1;
            assert_eq!(spent(&stage).await, calls * 10_000, "{body}");
            let cost = "select cost from admissions where call_id = $1";
            let mut db = stage.database.connect().await;
            let cost = sqlx::query(cost).bind(call).fetch_one(&mut db).await.unwrap().get::<Option<i64>, _>(0);
            assert_eq!(cost, Some(10_000), "{body}");
        }
    }
    stage.stop().await;
}

#[actix_web::test]
async fn an_unreadable_record_never_counts_as_unanswered_and_is_read_later_if_possible() {
    let stage = Stage::new().await;
    let (call, leg) = (admitted(&stage).await, Uuid::new_v4());
    assert_eq!((spent(&stage).await, live(&stage).await), (10_000, 1), "a minute is reserved");
    kept(&stage, leg, b"nope").await;
    kept(&stage, call, b"{\"variables\":{\"hangup_cause\":\"NORMAL_CLEARING\",\"answer_ep").await;
    assert_eq!((spent(&stage).await, live(&stage).await), (10_000, 0), "the call is over, and keeps its reservation");
    let listed = unreadable(&stage).await;
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["leg"]), (2, &json!(leg)), "{listed}");
    assert!(listed[0]["reason"].as_str().unwrap().starts_with("not_a_record"), "{listed}");
    assert!(listed[1]["reason"].as_str().unwrap().starts_with("broken_json"), "{listed}");
    let shown = stage.node.api("GET", &format!("/v1/unreadable-records/{leg}"), Value::Null).await;
    assert_eq!((shown.status, shown.body.as_slice()), (200, &b"nope"[..]));
    let simple = leg.simple().to_string().to_uppercase();
    for spelling in [leg.to_string().to_uppercase(), format!("a_{leg}"), simple, format!("%7B{leg}%7D")] {
        let shown = stage.node.api("GET", &format!("/v1/unreadable-records/{spelling}"), Value::Null).await;
        assert_eq!((shown.status, shown.body.as_slice()), (200, &b"nope"[..]), "{spelling}");
    }
    let unknown = format!("/v1/unreadable-records/{}", Uuid::new_v4());
    assert_eq!(stage.node.api("GET", &unknown, Value::Null).await.status, 404);
    let counted = stage.node.metrics().await;
    let counted = counted.lines().find(|line| line.starts_with("dialplane_call_records_total{outcome=\"unreadable\"}"));
    assert!(counted.is_some_and(|line| !line.ends_with(" 0")), "{counted:?}");
    // If it is posted again as broken as before, the first stays. A readable one replaces it.
    kept(&stage, leg, b"still nope").await;
    kept(&stage, leg, carried(stage.carriers[0], call, 61).to_string().as_bytes()).await;
    kept(&stage, call, caller().to_string().as_bytes()).await;
    assert_eq!((spent(&stage).await, unreadable(&stage).await), (20_000, json!([])));
    // And only once.
    kept(&stage, leg, carried(stage.carriers[0], call, 600).to_string().as_bytes()).await;
    assert_eq!(spent(&stage).await, 20_000);
    // Another call turns out to be unanswered.
    let call = admitted(&stage).await;
    kept(&stage, call, b"").await;
    assert_eq!((spent(&stage).await, live(&stage).await), (30_000, 0));
    kept(
        &stage,
        call,
        json!({ "variables": { "hangup_cause": "NO_ANSWER", "answer_epoch": "0" } }).to_string().as_bytes(),
    )
    .await;
    assert_eq!((spent(&stage).await, live(&stage).await), (20_000, 0), "what was reserved is given back");
    stage.stop().await;
}

#[actix_web::test]
async fn records_that_an_older_version_could_not_read_are_read_and_keep_nobody_waiting() {
    let stage = Stage::new().await;
    let call = admitted(&stage).await;
    let mut db = stage.database.connect().await;
    let kept = "insert into cdr_inbox (leg, switch_id, body, received_at, unreadable, reader)
                select gen_random_uuid()::text, s.id, $1, now() - make_interval(mins => $2), 'not_a_record', $3
                  from (select id from switches limit 1) s, generate_series(1, $4)";
    let insert = async |db: &mut sqlx::PgConnection, body: Vec<u8>, minutes: i32, reader: i16, count: i32| {
        sqlx::query(kept).bind(body).bind(minutes).bind(reader).bind(count).execute(db).await.unwrap();
    };
    let reader = dialplane::telephony::calls::record::READER;
    insert(&mut db, b"nope".to_vec(), 9, reader, 1500).await;
    stage.database.execute("update admissions set at = at - interval '10 minutes'").await;
    insert(&mut db, carried(stage.carriers[0], call, 61).to_string().into_bytes(), 5, reader - 1, 1).await;
    dialplane::telephony::calls::inbox::read_unread(stage.node.app.changes.pool()).await.unwrap();
    assert_eq!((spent(&stage).await, counted(&stage).await), (20_000, 1500));
    stage.stop().await;
}

#[actix_web::test]
async fn a_call_is_charged_for_the_seconds_between_its_own_times() {
    let stage = Stage::new().await;
    let mut sum = 0;
    for (billed, readable) in [
        (json!(59), true),
        (json!("99999999999"), true),
        (json!(59.0), true),
        (json!("59"), true),
        (json!([59]), false),
    ] {
        let call = admitted(&stage).await;
        let mut record = carried(stage.carriers[0], call, 59);
        record["variables"]["billsec"] = billed.clone();
        kept(&stage, Uuid::new_v4(), record.to_string().as_bytes()).await;
        kept(&stage, call, caller().to_string().as_bytes()).await;
        sum += 10_000;
        assert_eq!(spent(&stage).await, sum, "a minute at 0.01, or what was reserved: {billed}");
        assert_eq!(counted(&stage).await, usize::from(!readable), "{billed}");
    }
    // Without an end, a call can't be longer than the time since its answer.
    let call = admitted(&stage).await;
    let mut record = carried(stage.carriers[0], call, 59);
    record["variables"].as_object_mut().unwrap().remove("end_epoch");
    record["variables"]["billsec"] = json!("99999999999");
    kept(&stage, Uuid::new_v4(), record.to_string().as_bytes()).await;
    assert_eq!((spent(&stage).await, counted(&stage).await), (sum + 10_000, 2));
    stage.stop().await;
}

/// A switch's clock may be wrong, and a record may be made up. The service knows when it admitted the call, and when the record came.
#[actix_web::test]
async fn no_record_charges_more_than_the_time_since_its_call_was_admitted() {
    let stage = Stage::new().await;
    let now = chrono::Utc::now().timestamp();
    let (mut sum, mut doubted) = (0, 0);
    let day = 24 * 3600;
    for (answered, ended, billed, reason) in [
        (now - 60, now + 30 * day, "59", "end_epoch"),
        (now + 20 * day, now + 30 * day, "59", "end_epoch"),
        (now - 30 * day, now, "59", "answer_epoch"),
        (now - 3600, now, "3600", "answer_epoch"),
        // Wrong by two months, but its own times are those of a call of a minute.
        (now - 60 * day, now - 60 * day + 59, "59", ""),
        (0, now, "59", "answer_epoch"),
    ] {
        let (call, leg) = (admitted(&stage).await, Uuid::new_v4());
        let mut record = carried(stage.carriers[0], call, 59);
        for (name, value) in [("answer_epoch", answered.to_string()), ("end_epoch", ended.to_string())] {
            record["variables"][name] = json!(value);
        }
        record["variables"]["billsec"] = json!(billed);
        kept(&stage, leg, record.to_string().as_bytes()).await;
        kept(&stage, call, caller().to_string().as_bytes()).await;
        // What was reserved is a minute, too.
        sum += 10_000;
        doubted += usize::from(!reason.is_empty());
        assert_eq!((spent(&stage).await, live(&stage).await), (sum, 0), "{answered} {ended}");
        assert_eq!(counted(&stage).await, doubted, "{answered} {ended}");
        let listed = unreadable(&stage).await;
        let of_leg = listed.as_array().unwrap().iter().find(|one| one["leg"] == json!(leg));
        let why = of_leg.map_or("", |one| one["reason"].as_str().unwrap());
        assert!(reason.is_empty() == why.is_empty() && why.contains(reason), "{answered} {ended}: {why}");
    }
    let health = stage.node.api("GET", &format!("/v1/carriers/{}", stage.carriers[0]), Value::Null).await.json();
    assert_eq!((&health["health"]["seized"], &health["health"]["answered"]), (&json!(1), &json!(1)), "{health}");
    // A call that was admitted an hour ago may have lasted an hour. Its record counts, also after one that could not be believed.
    let (call, leg) = (admitted(&stage).await, Uuid::new_v4());
    let hour = carried(stage.carriers[0], call, 3600).to_string();
    kept(&stage, leg, hour.as_bytes()).await;
    assert_eq!((spent(&stage).await, counted(&stage).await), (sum + 10_000, doubted + 1));
    stage.database.execute("update admissions set at = at - interval '1 hour'").await;
    kept(&stage, leg, hour.as_bytes()).await;
    kept(&stage, call, caller().to_string().as_bytes()).await;
    assert_eq!((spent(&stage).await, counted(&stage).await), (sum + 600_000, doubted));
    // A record of an unanswered call with billed seconds contradicts itself, so the call keeps its reservation.
    let call = admitted(&stage).await;
    let said = json!({ "variables": { "hangup_cause": "NO_ANSWER", "answer_epoch": "0", "billsec": "59" } });
    kept(&stage, call, said.to_string().as_bytes()).await;
    assert_eq!((spent(&stage).await, live(&stage).await), (sum + 610_000, 0));
    stage.stop().await;
}

#[actix_web::test]
async fn a_leg_counts_once_however_its_uuid_is_spelt() {
    let stage = Stage::new().await;
    let (call, leg) = (admitted(&stage).await, Uuid::new_v4());
    let body = carried(stage.carriers[0], call, 61).to_string();
    let encoded = leg.to_string().replace('-', "%2D");
    for spelling in
        [leg.to_string(), leg.to_string().to_uppercase(), format!("a_{leg}"), leg.simple().to_string(), encoded]
    {
        kept(&stage, spelling, body.as_bytes()).await;
    }
    let health = stage.node.api("GET", &format!("/v1/carriers/{}", stage.carriers[0]), Value::Null).await.json();
    assert_eq!((&health["health"]["seized"], &health["health"]["answered"]), (&json!(1), &json!(1)), "{health}");
    stage.stop().await;
}

#[actix_web::test]
async fn a_calls_price_is_that_of_the_carrier_that_took_it() {
    let stage = Stage::new().await;
    let [cheap, dear] = [stage.carriers[0], stage.carriers[1]];
    let call = admitted(&stage).await;
    let path = format!("/v1/tenants/{}/outbound-calls", stage.tenant);
    let listed = async || {
        let listed = stage.node.api("GET", &path, Value::Null).await.items();
        let call = &listed[0];
        (call["carrier_id"].clone(), call["price"].as_i64(), call["cost"].as_i64())
    };
    assert_eq!(listed().await, (json!(cheap), Some(10_000), None));
    kept(&stage, Uuid::new_v4(), carried(dear, call, 61).to_string().as_bytes()).await;
    assert_eq!(listed().await, (json!(dear), Some(50_000), Some(100_000)));
    // A new sheet without a rate for the number does not make calls free.
    let call = admitted(&stage).await;
    assert_eq!(stage.rates(cheap, "33,0.02\n").await.status, 201);
    kept(&stage, Uuid::new_v4(), carried(cheap, call, 61).to_string().as_bytes()).await;
    assert_eq!(listed().await, (json!(cheap), Some(10_000), Some(20_000)));
    stage.stop().await;
}

#[actix_web::test]
async fn of_two_carriers_that_answered_a_call_the_later_one_is_its_carrier_in_whatever_order_the_records_come() {
    let stage = Stage::new().await;
    let [cheap, dear] = [stage.carriers[0], stage.carriers[1]];
    let path = format!("/v1/tenants/{}/outbound-calls", stage.tenant);
    let leg = |carrier, call, answered: i64, seconds: i64| {
        let mut record = carried(carrier, call, seconds);
        record["variables"]["answer_epoch"] = json!((1_790_000_000 + answered).to_string());
        record["variables"]["end_epoch"] = json!((1_790_000_000 + answered + seconds).to_string());
        record.to_string()
    };
    // The earlier one, the later one, and a third that nobody answered.
    for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0]] {
        let call = admitted(&stage).await;
        let failed = json!({ "variables": { "dialplane_carrier": cheap, "dialplane_call": call, "answer_epoch": "0",
                                            "hangup_cause": "NORMAL_TEMPORARY_FAILURE" } });
        let records = [leg(cheap, call, 0, 30), leg(dear, call, 40, 61), failed.to_string()];
        for at in order {
            kept(&stage, Uuid::new_v4(), records[at].as_bytes()).await;
        }
        let listed = stage.node.api("GET", &path, Value::Null).await.items();
        let call = &listed[0];
        let shown = (call["carrier_id"].clone(), call["price"].as_i64(), call["cost"].as_i64());
        assert_eq!(shown, (json!(dear), Some(50_000), Some(110_000)), "{order:?}");
    }
    stage.stop().await;
}

#[actix_web::test]
async fn a_call_that_was_led_on_to_a_second_number_is_charged_for_the_one_that_answered() {
    let stage = Stage::new().await;
    let call = admitted(&stage).await;
    let document = stage.calls("+498987654321", call).await.replace("&#45;", "-").replace("&#95;", "_");
    assert_eq!(route(&document), "outbound");
    assert!(document.contains("dialplane_callee=+498987654321"), "{document}");
    let mut record = carried(stage.carriers[0], call, 61);
    record["variables"]["dialplane_callee"] = json!("%2B498987654321");
    kept(&stage, Uuid::new_v4(), record.to_string().as_bytes()).await;
    let mut db = stage.database.connect().await;
    let costs = "select callee, cost from admissions order by callee";
    let costs = sqlx::query(costs).fetch_all(&mut db).await.unwrap();
    let costs = costs.iter().map(|row| (row.get::<String, _>(0), row.get::<Option<i64>, _>(1))).collect::<Vec<_>>();
    assert_eq!(costs, [(MUNICH.to_owned(), None), ("+498987654321".to_owned(), Some(20_000))]);
    stage.stop().await;
}

/// A call's line is taken until its last leg is over, whoever made it and in whatever order the records come.
#[actix_web::test]
async fn a_call_holds_its_line_while_a_transferred_leg_goes_on() {
    let stage = Stage::new().await;
    stage.rules(json!({ "outbound": { "concurrent_calls": 1 } })).await;
    let refused = async || route(&stage.calls(MUNICH, Uuid::new_v4()).await) == "concurrent_calls";
    let with = |mut record: Value, partner: Uuid| {
        record["variables"]["last_bridge_to"] = json!(partner);
        record.to_string()
    };
    for carrier_first in [false, true] {
        let (call, leg) = (admitted(&stage).await, Uuid::new_v4());
        assert!(refused().await);
        // The caller has transferred the called party, and hangs up.
        let records = [(call, with(caller(), leg)), (leg, with(carried(stage.carriers[0], call, 61), call))];
        let order = if carrier_first { [1, 0] } else { [0, 1] };
        kept(&stage, records[order[0]].0, records[order[0]].1.as_bytes()).await;
        assert!(refused().await, "one leg is still up, {carrier_first}");
        assert_eq!(live(&stage).await, 1);
        kept(&stage, records[order[1]].0, records[order[1]].1.as_bytes()).await;
        assert_eq!(live(&stage).await, 0);
    }
    // The transferred leg made a call of its own, to another number outside: its line is free with its own record.
    let (call, leg, other) = (admitted(&stage).await, Uuid::new_v4(), Uuid::new_v4());
    stage.rules(json!({ "outbound": { "concurrent_calls": 2 } })).await;
    kept(&stage, call, with(caller(), leg).as_bytes()).await;
    assert_eq!(route(&stage.calls("+498912345679", leg).await), "outbound");
    assert_eq!(live(&stage).await, 2);
    let mut on = carried(stage.carriers[0], call, 61);
    on["variables"]["originate_disposition"] = json!("SUCCESS");
    on["variables"]["dialplane_callee"] = json!(MUNICH);
    kept(&stage, leg, with(on, other).as_bytes()).await;
    assert_eq!(live(&stage).await, 1, "its own call goes on as long as its last partner");
    kept(&stage, other, with(carried(stage.carriers[0], leg, 30), leg).as_bytes()).await;
    assert_eq!(live(&stage).await, 0);
    // Nobody took the call: nothing is left that could hold the line.
    let call = admitted(&stage).await;
    let busy =
        json!({ "variables": { "hangup_cause": "USER_BUSY", "answer_epoch": "0", "last_bridge_to": Uuid::new_v4() } });
    kept(&stage, call, busy.to_string().as_bytes()).await;
    assert_eq!(live(&stage).await, 0);
    stage.stop().await;
}

/// Records of both legs come at the same moment, and neither waits for the other.
#[actix_web::test]
async fn records_of_both_legs_at_once_free_the_line_once() {
    let stage = Stage::new().await;
    for _ in 0..20 {
        let (call, leg) = (admitted(&stage).await, Uuid::new_v4());
        let record = |mut record: Value, partner: Uuid| {
            record["variables"]["last_bridge_to"] = json!(partner);
            record.to_string()
        };
        let (first, second) = (record(caller(), leg), record(carried(stage.carriers[0], call, 61), call));
        tokio::join!(kept(&stage, call, first.as_bytes()), kept(&stage, leg, second.as_bytes()));
        assert_eq!(live(&stage).await, 0);
    }
    let mut db = stage.database.connect().await;
    let held = sqlx::query("select count(*) from held_lines").fetch_one(&mut db).await.unwrap().get::<i64, _>(0);
    assert_eq!(held, 0);
    stage.stop().await;
}
