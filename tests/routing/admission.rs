//! Admission: limits hold exactly, however many calls come at once, and however often each is asked about.

use std::sync::Arc;

use serde_json::json;
use sqlx::Row as _;
use uuid::Uuid;

use crate::stage::{Stage, bridges, cause, route};

const BERLIN: &str = "+498912345678";

#[actix_web::test]
async fn two_thousand_at_once_against_a_limit_of_five_hundred_and_all_of_them_twice() {
    let stage = Arc::new(Stage::alone().await);
    stage.assign(json!({ "daily_limit": 500 })).await;
    let calls = (0..2000).map(|_| Uuid::new_v4()).collect::<Vec<_>>();
    let mut decisions = Vec::new();
    for round in 0..2 {
        let asked = calls.iter().map(|call| {
            let (stage, call) = (Arc::clone(&stage), *call);
            actix_web::rt::spawn(async move { route(&stage.calls_in_a_crowd(BERLIN, call).await) })
        });
        let asked = asked.collect::<Vec<_>>();
        let mut routes = Vec::new();
        for answer in asked {
            routes.push(answer.await.unwrap());
        }
        let count = |name: &str| routes.iter().filter(|route| *route == name).count();
        assert_eq!((count("outbound"), count("daily_limit")), (500, 1500), "round {round}");
        assert_eq!(stage.made_today().await, 500, "round {round}");
        decisions.push(routes);
    }
    assert_eq!(decisions[0], decisions[1], "the same call is answered the same");
    Arc::into_inner(stage).unwrap().stop().await;
}

#[actix_web::test]
async fn the_same_call_asked_a_hundred_times_at_once_counts_once() {
    let stage = Arc::new(Stage::alone().await);
    let call = Uuid::new_v4();
    let asked = (0..100).map(|_| {
        let stage = Arc::clone(&stage);
        actix_web::rt::spawn(async move { route(&stage.calls_in_a_crowd(BERLIN, call).await) })
    });
    for answer in asked.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap(), "outbound");
    }
    assert_eq!(stage.made_today().await, 1);
    Arc::into_inner(stage).unwrap().stop().await;
}

#[actix_web::test]
async fn lines_are_free_again_when_calls_are_over() {
    let stage = Stage::new().await;
    stage.rules(json!({ "outbound": { "concurrent_calls": 2 } })).await;
    let [a, b, c] = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()];
    assert_eq!(route(&stage.calls(BERLIN, a).await), "outbound");
    assert_eq!(route(&stage.calls(BERLIN, b).await), "outbound");
    let third = stage.calls(BERLIN, c).await;
    assert_eq!(cause(&third).as_deref(), Some("NORMAL_CIRCUIT_CONGESTION"));
    assert!(third.contains("tone_stream"), "an announcement: {third}");
    stage.cdr(a, json!({ "hangup_cause": "NORMAL_CLEARING" })).await;
    assert_eq!(route(&stage.calls(BERLIN, Uuid::new_v4()).await), "outbound");
    assert_eq!(route(&stage.calls(BERLIN, c).await), "concurrent_calls", "what was refused stays refused");
    stage.stop().await;
}

#[actix_web::test]
async fn carriers_at_their_capacity_are_passed_over() {
    let stage = Stage::new().await;
    let full = stage.carrier("full", json!({ "host": "full.carrier.test", "capacity": 1 }), "49,0.001\n").await;
    let first = bridges(&stage.calls(BERLIN, Uuid::new_v4()).await);
    assert_eq!(first.iter().map(|leg| leg.0).collect::<Vec<_>>(), [full, stage.carriers[0], stage.carriers[1]]);
    let second = bridges(&stage.calls(BERLIN, Uuid::new_v4()).await);
    assert_eq!(second.iter().map(|leg| leg.0).collect::<Vec<_>>(), stage.carriers);
    stage.stop().await;
}

#[actix_web::test]
async fn calls_per_second_are_limited() {
    let stage = Stage::new().await;
    stage.rules(json!({ "outbound": { "calls_per_second": 3 } })).await;
    let mut routes = Vec::new();
    for _ in 0..20 {
        routes.push(route(&stage.calls(BERLIN, Uuid::new_v4()).await));
    }
    let through = routes.iter().filter(|route| *route == "outbound").count();
    // Twenty calls take less than a second, but may reach into the next.
    assert!((3..=6).contains(&through) && routes.iter().any(|route| route == "calls_per_second"), "{routes:?}");
    stage.stop().await;
}

#[actix_web::test]
async fn a_day_ends_at_midnight_where_the_tenant_is() {
    let stage = Stage::new().await;
    let mut db = stage.database.connect().await;
    // The tenant's time zone was set today, and these tests use other days.
    sqlx::query("update tenants set limit_day = null, limit_day_until = null").execute(&mut db).await.unwrap();
    // This calls the statement directly with other times: changes of clocks, leap days, zones east and west of UTC.
    let made = async |db: &mut sqlx::PgConnection, zone: &str, at: &str| {
        let row = sqlx::query(
            "select admitted, reason from admit_call($1, gen_random_uuid(), '+498912345678', null, null, false, null, array[$2]::uuid[],
                    array[1], array['+493012345678'], array[$3]::uuid[], array[1]::bigint[], array[null]::int[], array[null]::int[],
                    null, null, null, $4, $5::timestamptz)",
        );
        let row = row.bind(stage.tenant).bind(stage.number).bind(stage.carriers[0]).bind(zone).bind(at);
        row.fetch_one(db).await.unwrap().get::<bool, _>(0)
    };
    for (zone, last, first) in [
        ("Europe/Berlin", "2026-11-23T22:59:59Z", "2026-11-23T23:00:00Z"),
        ("Europe/Berlin", "2026-07-06T21:59:59Z", "2026-07-06T22:00:00Z"),
        // The day on which clocks go forward has 23 hours, and the one on which they go back has 25.
        ("Europe/Berlin", "2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z"),
        ("Europe/Berlin", "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z"),
        ("America/New_York", "2026-11-24T04:59:59Z", "2026-11-24T05:00:00Z"),
        ("Asia/Tokyo", "2026-11-24T14:59:59Z", "2026-11-24T15:00:00Z"),
        ("Pacific/Kiritimati", "2027-01-01T09:59:59Z", "2027-01-01T10:00:00Z"),
        ("Europe/Berlin", "2028-02-28T22:59:59Z", "2028-02-28T23:00:00Z"),
        ("Europe/Berlin", "2028-02-29T22:59:59Z", "2028-02-29T23:00:00Z"),
        // Days that begin at 01:00, and days that have midnight twice.
        ("Africa/Cairo", "2027-04-29T21:59:59Z", "2027-04-29T22:00:00Z"),
        ("America/Havana", "2026-11-01T03:59:59Z", "2026-11-01T04:00:00Z"),
        ("Australia/Lord_Howe", "2027-04-03T12:59:59Z", "2027-04-03T13:00:00Z"),
        // More than 32 bits can count.
        ("UTC", "2038-01-19T23:59:59Z", "2038-01-20T00:00:00Z"),
        ("America/New_York", "2038-07-05T03:59:59Z", "2038-07-05T04:00:00Z"),
        ("Europe/Berlin", "2106-02-07T22:59:59Z", "2106-02-07T23:00:00Z"),
    ] {
        sqlx::query("delete from number_days").execute(&mut db).await.unwrap();
        assert!(made(&mut db, zone, last).await, "{zone} {last}: the day's one call");
        assert!(!made(&mut db, zone, last).await, "{zone} {last}: the limit");
        assert!(made(&mut db, zone, first).await, "{zone} {first}: a new day");
        assert!(!made(&mut db, zone, first).await);
    }
    stage.stop().await;
}

#[actix_web::test]
async fn the_cost_of_a_day_is_reserved_and_settled() {
    let stage = Stage::new().await;
    // 0.01 per minute is reserved for each call to Munich.
    stage.rules(json!({ "outbound": { "spend_per_day": 25_000 } })).await;
    let [a, b] = [Uuid::new_v4(), Uuid::new_v4()];
    assert_eq!(route(&stage.calls(BERLIN, a).await), "outbound");
    assert_eq!(route(&stage.calls(BERLIN, b).await), "outbound");
    assert_eq!(route(&stage.calls(BERLIN, Uuid::new_v4()).await), "spend_cap");
    // The first call is not answered, so what was reserved is given back.
    stage.cdr(a, json!({ "hangup_cause": "NO_ANSWER" })).await;
    let c = Uuid::new_v4();
    assert_eq!(route(&stage.calls(BERLIN, c).await), "outbound");
    // The second call failed over to the expensive carrier and took 61 seconds: two minutes at 0.05.
    let leg = json!({ "dialplane_carrier": stage.carriers[1], "dialplane_call": b, "answer_epoch": "1790000000", "billsec": "61",
                      "hangup_cause": "NORMAL_CLEARING" });
    stage.cdr(Uuid::new_v4(), leg).await;
    stage.cdr(b, json!({ "hangup_cause": "NORMAL_CLEARING" })).await;
    let mut db = stage.database.connect().await;
    let spent = sqlx::query("select spent from spend_days").fetch_one(&mut db).await.unwrap().get::<i64, _>(0);
    assert_eq!(spent, 100_000 + 10_000, "what b cost, and what is reserved for c");
    let row = sqlx::query("select cost, seconds, carrier_id from admissions where call_id = $1")
        .bind(b)
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert_eq!((row.get::<i64, _>(0), row.get::<i32, _>(1), row.get::<Uuid, _>(2)), (100_000, 61, stage.carriers[1]));
    stage.stop().await;
}

#[actix_web::test]
async fn refusals_are_records_with_their_reason() {
    let stage = Stage::new().await;
    let call = Uuid::new_v4();
    let refused = stage.calls("+12025550123", call).await;
    assert_eq!((route(&refused).as_str(), cause(&refused).as_deref()), ("country", Some("OUTGOING_CALL_BARRED")));
    let mut db = stage.database.connect().await;
    let row = sqlx::query("select admitted, reason, callee from admissions where call_id = $1").bind(call);
    let row = row.fetch_one(&mut db).await.unwrap();
    let path = format!("/v1/tenants/{}/outbound-calls?admitted=false", stage.tenant);
    let listed = stage.node.api("GET", &path, serde_json::Value::Null).await.items();
    assert_eq!((&listed[0]["reason"], &listed[0]["callee"]), (&json!("country"), &json!("+12025550123")), "{listed}");
    assert_eq!(
        (row.get::<bool, _>(0), row.get::<String, _>(1), row.get::<String, _>(2)),
        (false, "country".into(), "+12025550123".into())
    );
    stage.stop().await;
}
