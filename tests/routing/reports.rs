//! Figures of calls.

use chrono::{DateTime, Utc};
use proptest::{prelude::*, strategy::ValueTree as _};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{harness::Answer, stage::Stage};

impl Stage {
    async fn reports(&self, query: &str) -> Answer {
        self.node.api("GET", &format!("/v1/reports/calls{query}"), Value::Null).await
    }
}

/// A call, as it should be told.
#[derive(Debug, Clone)]
struct Spoken {
    /// Minutes ago.
    ago: i64,
    waits: i64,
    /// `None`: nobody took it.
    talks: Option<i64>,
    /// How often each record is posted: the caller's, the phone's.
    posted: (u8, u8),
    order: u32,
}

fn spoken() -> impl Strategy<Value = Spoken> {
    let talks = prop_oneof![Just(None), (1..600_i64).prop_map(Some)];
    (60..3000_i64, 0..50_i64, talks, (0..3_u8, 0..3_u8), any::<u32>())
        .prop_map(|(ago, waits, talks, posted, order)| Spoken { ago, waits, talks, posted, order })
}

fn records(stage: &Stage, call: &Spoken) -> Vec<(Uuid, Value, u8)> {
    let (leg, phone) = (Uuid::new_v4(), Uuid::new_v4());
    let start = (Utc::now().timestamp() - call.ago * 60) * 1_000_000;
    let answer = call.talks.map(|_| start + call.waits * 1_000_000);
    let end = start + (call.waits + call.talks.unwrap_or_default()) * 1_000_000;
    let times = json!({ "start_uepoch": start.to_string(), "answer_uepoch": answer.unwrap_or(0).to_string(), "end_uepoch": end.to_string(),
                        "bridge_uepoch": answer.unwrap_or(0).to_string(), "answer_epoch": (answer.unwrap_or(0) / 1_000_000).to_string(),
                        "end_epoch": (end / 1_000_000).to_string(), "bridge_epoch": (answer.unwrap_or(0) / 1_000_000).to_string() });
    let with = |mut variables: Value| {
        variables.as_object_mut().unwrap().extend(times.as_object().unwrap().clone());
        variables
    };
    let cause = if call.talks.is_some() { "NORMAL_CLEARING" } else { "NO_ANSWER" };
    let caller = json!({ "direction": "inbound", "call_uuid": leg, "domain_name": stage.domain, "dialplane_tenant": stage.tenant, "hangup_cause": cause,
                         "sip_from_user": "+4915112345678", "sip_req_user": "%2B493012345678", "bridge_uuid": phone });
    let taken = json!({ "direction": "outbound", "call_uuid": leg, "originator": leg, "dialed_user": stage.phone, "dialed_domain": stage.domain,
                        "hangup_cause": cause });
    vec![(leg, with(caller), call.posted.0), (phone, with(taken), call.posted.1)]
}

fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

/// What a report should say of these calls.
fn computed(calls: &[Value], within: f64) -> Value {
    let of = |state: &str| calls.iter().filter(|call| call["state"] == state).count();
    let sum = |field: &str| calls.iter().map(|call| call[field].as_i64().unwrap()).sum::<i64>();
    let time = |call: &Value, field: &str| call[field].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let waited = |call: &&Value| {
        let until = if call["answered_at"].is_null() { time(call, "ended_at") } else { time(call, "answered_at") };
        (until - time(call, "started_at")).as_seconds_f64()
    };
    let answered = calls.iter().filter(|call| call["state"] == "answered").collect::<Vec<_>>();
    let soon = answered.iter().filter(|call| waited(call) <= within).count();
    let share =
        |part: usize, whole: usize| (whole > 0).then(|| (float(part) / float(whole) * 10_000.0).round() / 10_000.0);
    let wait = answered.iter().map(waited).sum::<f64>();
    json!({
        "calls": calls.len(), "answered": answered.len(), "missed": of("missed"), "abandoned": of("abandoned"), "failed": of("failed"),
        "answer_rate": share(answered.len(), calls.len()), "service_level": share(soon, answered.len() + of("abandoned")),
        "average_wait_seconds": (!answered.is_empty()).then(|| (wait / float(answered.len()) * 100.0).round() / 100.0),
        "longest_wait_seconds": calls.iter().map(|call| (waited(&call) * 100.0).round() / 100.0).fold(0.0, f64::max),
        "talk_seconds": sum("talk_seconds"),
    })
}

/// The fields of figures that are compared.
fn compared(figures: &Value, with: &Value) -> Value {
    with.as_object().unwrap().keys().map(|field| (field.clone(), figures[field].clone())).collect()
}

/// Records may come late, twice, never, and in any order: the figures still match the calls.
#[actix_web::test]
async fn figures_are_those_of_the_calls_after_late_double_and_missing_records() {
    let stage = Stage::new().await;
    let mut runner = proptest::test_runner::TestRunner::default();
    for _ in 0..4 {
        let calls = proptest::collection::vec(spoken(), 1..15).new_tree(&mut runner).unwrap().current();
        let mut posts = Vec::new();
        for (at, call) in calls.iter().enumerate() {
            for (which, (leg, variables, times)) in records(&stage, call).into_iter().enumerate() {
                posts.extend((0..times).map(|again| {
                    let order = call.order.wrapping_mul(u32::from(again) * 7 + 3 + u32::try_from(which + at).unwrap());
                    (order, leg, variables.clone())
                }));
            }
        }
        posts.sort_by_key(|(order, ..)| *order);
        let half = posts.len() / 2;
        for (at, (_, leg, variables)) in posts.iter().enumerate() {
            stage.cdr(*leg, variables.clone()).await;
            // Figures are computed in between, too.
            if at == half {
                stage.folded().await;
            }
        }
        let raw = stage.found("&limit=500").await;
        let since = (Utc::now() - chrono::TimeDelta::days(4)).date_naive();
        for by in ["all", "agent", "number", "country"] {
            let whose = format!("?tenant_id={}&since={since}&within_seconds=15&by={by}", stage.tenant);
            let expected = computed(&raw, 15.0);
            // The node's own worker may have taken a call or a day, and is a moment behind.
            let asked = std::time::Instant::now();
            let report = loop {
                let report = stage.reports(&whose).await.json();
                if compared(&report["total"], &expected) == expected {
                    break report;
                }
                assert!(asked.elapsed().as_secs() < 60, "{by}: {report}, expected {expected}: {calls:#?}");
                stage.folded().await;
            };
            let rows = report["rows"].as_array().unwrap();
            let with_key = |call: &&Value| match by {
                "agent" => !call["agent_id"].is_null(),
                "number" => !call["number_id"].is_null(),
                "country" => !call["country"].is_null(),
                _ => true,
            };
            let of_rows = raw.iter().filter(with_key).cloned().collect::<Vec<_>>();
            assert_eq!(
                rows.iter().map(|row| row["calls"].as_u64().unwrap()).sum::<u64>(),
                of_rows.len() as u64,
                "{by}"
            );
            if let [row] = &rows[..] {
                let expected = computed(&of_rows, 15.0);
                assert_eq!(compared(row, &expected), expected, "{by}: {row:#}");
            }
        }
        let per = stage.reports(&format!("?tenant_id={}&since={since}&per=hour", stage.tenant)).await.json();
        let sum = per["rows"].as_array().unwrap().iter().map(|row| row["calls"].as_u64().unwrap()).sum::<u64>();
        assert_eq!(sum, raw.len() as u64);
    }
    stage.stop().await;
}

#[actix_web::test]
async fn a_report_counts_days_in_the_tenants_zone_and_says_what_is_wrong_with_a_question() {
    let stage = Stage::new().await;
    let call = Spoken { ago: 120, waits: 7, talks: Some(61), posted: (1, 1), order: 0 };
    for (leg, variables, _) in records(&stage, &call) {
        stage.cdr(leg, variables).await;
    }
    stage.folded().await;
    let whose = format!("?tenant_id={}", stage.tenant);
    let since = (Utc::now() - chrono::TimeDelta::days(2)).date_naive();
    // The sums of a call are made a moment after it.
    let asked = std::time::Instant::now();
    let report = loop {
        let report = stage.reports(&format!("{whose}&since={since}&per=day&by=agent")).await.json();
        if report["rows"] != json!([]) || asked.elapsed().as_secs() > 60 {
            break report;
        }
    };
    assert_eq!(
        (&report["time_zone"], &report["rows"][0]["name"]),
        (&json!("Europe/Berlin"), &json!("Ada Lovelace")),
        "{report:#}"
    );
    // Midnight in Berlin, in winter or in summer.
    let begins = report["rows"][0]["begins_at"].as_str().unwrap();
    assert!(begins.contains("T23:00:00") || begins.contains("T22:00:00"), "{begins}");
    assert_eq!((&report["total"]["service_level"], &report["before"]["calls"]), (&json!(1.0), &json!(0)));
    let csv = stage
        .node
        .api("GET", &format!("/v1/reports/calls.csv{whose}&since={since}&by=agent"), Value::Null)
        .await
        .text();
    assert!(csv.lines().count() == 2 && csv.contains(",Ada Lovelace,1,1,"), "{csv}");
    let usage = stage.node.api("GET", &format!("/v1/usage{whose}"), Value::Null).await.json();
    let month = usage["month"].as_str().unwrap();
    assert_eq!(
        (&usage["numbers"], &usage["extensions"], &usage["currency"]),
        (&json!(1), &json!(1), &json!("USD")),
        "{usage:#}"
    );
    let began = Utc::now() - chrono::TimeDelta::minutes(120);
    if began.format("%Y-%m").to_string() == month {
        assert_eq!(
            (&usage["calls_in"], &usage["minutes_in"], &usage["peak_calls"]),
            (&json!(1), &json!(2), &json!(1)),
            "{usage:#}"
        );
    }
    for (wrong, field) in [
        ("&since=2026-11-30&until=2026-11-01", "since"),
        ("&since=1000-01-01&until=2026-11-01", "since"),
        ("&within_seconds=7", "within_seconds"),
    ] {
        let refused = stage.reports(&format!("{whose}{wrong}")).await;
        assert_eq!((refused.status, &refused.json()["field"]), (400, &json!(field)), "{}", refused.text());
    }
    for month in ["2026-13", "2026-1", "x"] {
        let refused = stage.node.api("GET", &format!("/v1/usage{whose}&month={month}"), Value::Null).await;
        assert_eq!((refused.status, &refused.json()["field"]), (400, &json!("month")), "{}", refused.text());
    }
    stage.stop().await;
}

/// ITU-T E.425: a carrier did its work if the other side was busy, did not answer or refused. The caller's route, and what the carrier could not
/// do, count against it.
#[actix_web::test]
async fn of_a_carriers_tries_those_that_reached_the_other_side_are_its_effectiveness() {
    let stage = Stage::new().await;
    let carrier = stage.carriers[0];
    let pool = stage.node.app.changes.pool();
    let tries = [
        ("NORMAL_CLEARING", true),
        ("USER_BUSY", false),
        ("NO_ANSWER", false),
        ("ORIGINATOR_CANCEL", false),
        ("CALL_REJECTED", false),
        ("NORMAL_TEMPORARY_FAILURE", false),
        ("GATEWAY_DOWN", false),
    ];
    for (cause, answered) in tries {
        let call = stage.node.call(stage.tenant).await;
        let attempts = json!([{ "carrier_id": carrier, "answered": answered, "cause": cause, "seconds": 0, "ringing_after": 1500 }]);
        let tried = "update calls set story = jsonb_set(story, '{attempts}', $2) where id = $1";
        sqlx::query(tried).bind(call).bind(attempts).execute(pool).await.unwrap();
    }
    // One without a cause: its record did not come.
    let call = stage.node.call(stage.tenant).await;
    let tried = "update calls set story = jsonb_set(story, '{attempts}', jsonb_build_array(jsonb_build_object('carrier_id', $2::text, 'answered', false)))
                  where id = $1";
    sqlx::query(tried).bind(call).bind(carrier.to_string()).execute(pool).await.unwrap();
    let due = "insert into call_slots_due (tenant_id, slot) select distinct tenant_id, date_bin('15 minutes', started_at, '2000-01-01 00:00Z')
                 from calls on conflict do nothing";
    sqlx::query(due).execute(pool).await.unwrap();
    dialplane::telephony::reports::roll_store::roll(pool).await.unwrap();
    let since = (Utc::now() - chrono::TimeDelta::days(2)).date_naive();
    let asked = format!("?tenant_id={}&since={since}&by=carrier", stage.tenant);
    // The node's own worker may have taken the quarter, and is a moment behind.
    let began = std::time::Instant::now();
    let row = loop {
        let report = stage.reports(&asked).await.json();
        let row = report["rows"][0].clone();
        if row["calls"] == 8 && row["missed"] == 3 {
            assert_eq!(report["total"]["reached_rate"], row["reached_rate"], "{report:#}");
            break row;
        }
        assert!(began.elapsed().as_secs() < 60, "{report:#}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let expected = json!({ "key": carrier.to_string(), "name": "cheap", "answered": 1, "busy": 1, "missed": 3, "failed": 3, "answer_rate": 0.125,
        "reached_rate": 0.625, "average_ringing_after_seconds": 1.5 });
    assert_eq!(compared(&row, &expected), expected);
    // Of all calls it is the same rule.
    let all = stage.reports(&format!("?tenant_id={}&since={since}", stage.tenant)).await.json();
    assert_eq!(all["total"]["reached_rate"], 1.0, "{all:#}");
    let csv = stage.node.api("GET", &format!("/v1/reports/calls.csv{asked}"), Value::Null).await.text();
    let lines = csv.lines().map(|line| line.split(',').nth(20).unwrap()).collect::<Vec<_>>();
    assert_eq!(lines, ["reached_rate", "0.625"], "{csv}");
    stage.stop().await;
}

#[actix_web::test]
async fn a_report_by_agent_says_how_long_each_was_ready_busy_and_away() {
    let stage = Stage::new().await;
    let pool = stage.node.app.changes.pool();
    // A call makes a row, and the second agent has none. Midnight in Berlin is at 23:00 UTC in winter.
    let other = json!({ "first_name": "Grace", "last_name": "Hopper", "email": "grace@acme.test" });
    let other = stage.node.api("POST", &format!("/v1/admin/agents?tenant_id={}", stage.tenant), other).await.id();
    let log = "insert into agent_activity (id, tenant_id, user_id, state, started_at, ended_at)
               select gen_random_uuid(), $1, x.user_id, x.state, x.started_at, x.ended_at
                 from (values ($2::uuid, 'offline', '2026-01-19 00:00Z'::timestamptz, '2026-01-20 21:00Z'::timestamptz),
                              ($2, 'available', '2026-01-20 21:00Z', '2026-01-21 01:00Z'), ($2, 'ringing', '2026-01-21 01:00Z', '2026-01-21 01:10Z'),
                              ($2, 'on_call', '2026-01-21 01:10Z', '2026-01-21 01:40Z'), ($2, 'wrap_up', '2026-01-21 01:40Z', '2026-01-21 02:00Z'),
                              ($2, 'away', '2026-01-21 02:00Z', '2026-01-21 03:00Z'), ($2, 'busy', '2026-01-21 03:00Z', '2026-01-21 03:30Z'),
                              ($2, 'offline', '2026-01-21 03:30Z', null), ($3, 'available', '2026-01-21 10:00Z', '2026-01-21 11:00Z'))
                      as x (user_id, state, started_at, ended_at)";
    sqlx::query(log).bind(stage.tenant).bind(stage.agent).bind(other).execute(pool).await.unwrap();
    let asked = |more: &str| {
        format!("?tenant_id={}&since=2026-01-20&until=2026-01-21&by=agent&expand=times{more}", stage.tenant)
    };
    let report = stage.reports(&asked("")).await;
    assert_eq!(report.status, 200, "{}", report.text());
    let row = |report: &Value, agent: Uuid, day: Option<&str>| {
        let rows = report["rows"].as_array().unwrap().iter();
        let mut rows = rows.filter(|row| row["key"] == json!(agent) && row["begins_at"].as_str() == day);
        let row = rows.next().unwrap_or_else(|| panic!("{report:#}")).clone();
        assert_eq!(rows.next(), None);
        row
    };
    let ada = row(&report.json(), stage.agent, None);
    assert_eq!((&ada["name"], &ada["calls"]), (&json!("Ada Lovelace"), &json!(0)), "who had no call was there, too");
    let expected = json!({ "available_seconds": 4 * 3600, "ringing_seconds": 600, "on_call_seconds": 1800, "wrap_up_seconds": 1200,
        "away_seconds": 3600, "busy_seconds": 1800, "occupancy": 0.1667, "availability": 0.7692 });
    assert_eq!(ada["times"], expected);
    let grace = row(&report.json(), other, None);
    assert_eq!(
        (&grace["times"]["occupancy"], &grace["times"]["availability"]),
        (&json!(0.0), &json!(1.0)),
        "{grace:#}"
    );
    // A state that lasts over midnight is of both days.
    let days = stage.reports(&asked("&per=day")).await.json();
    let (first, second) = ("2026-01-19T23:00:00Z", "2026-01-20T23:00:00Z");
    assert_eq!(row(&days, stage.agent, Some(first))["times"]["available_seconds"], 2 * 3600);
    assert_eq!(row(&days, stage.agent, Some(second))["times"]["available_seconds"], 2 * 3600);
    assert_eq!(row(&days, stage.agent, Some(second))["times"]["on_call_seconds"], 1800);
    let csv = stage.node.api("GET", &format!("/v1/reports/calls.csv{}", asked("")), Value::Null).await.text();
    assert!(csv.lines().any(|line| line.ends_with(",14400,600,1800,1200,1800,3600,0.1667,0.7692,USD,")), "{csv}");
    // Without being asked for, it is not there, and only agents have times.
    let plain = stage.reports(&asked("").replace("&expand=times", "")).await.json();
    assert!(plain["rows"].as_array().unwrap().iter().all(|row| row.get("times").is_none()), "{plain:#}");
    let refused = stage.reports(&asked("").replace("by=agent", "by=queue")).await;
    assert_eq!(
        (refused.status, &refused.json()["code"], &refused.json()["field"]),
        (400, &json!("only_by_agent"), &json!("expand"))
    );
    stage.stop().await;
}

/// Calls end while a report is made. The report is held between its rows and its total, by a lock on what it reads in between.
#[actix_web::test]
async fn rows_and_total_of_a_report_are_of_one_moment() {
    let stage = Stage::new().await;
    let (mut holder, mut other) = (stage.database.connect().await, stage.database.connect().await);
    let put = "insert into call_rollups (tenant_id, slot, kind, key, direction, calls, answered, cost)
               select $1, '2026-01-20 10:00Z', x.kind, x.key, 'outbound', 3, 3, 1000 from (values ('all', ''), ('agent', $2)) as x (kind, key)";
    sqlx::query(put).bind(stage.tenant).bind(stage.agent.to_string()).execute(&mut other).await.unwrap();
    let mut held = sqlx::Connection::begin(&mut holder).await.unwrap();
    sqlx::query("lock table agent_activity in access exclusive mode").execute(&mut *held).await.unwrap();
    let more = async {
        let waiting = "select count(*) from pg_stat_activity
                        where datname = current_database() and wait_event_type = 'Lock' and query like 'with span as%'";
        let began = std::time::Instant::now();
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut other).await.unwrap() == 0 {
            assert!(began.elapsed().as_secs() < 60, "the report does not read the times of agents");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let ended = "update call_rollups set calls = 10, answered = 10, cost = 5000 where tenant_id = $1";
        sqlx::query(ended).bind(stage.tenant).execute(&mut other).await.unwrap();
        held.commit().await.unwrap();
    };
    let query = format!("?tenant_id={}&since=2026-01-20&until=2026-01-21&by=agent&expand=times", stage.tenant);
    let (report, ()) = tokio::join!(stage.reports(&query), more);
    let report = report.json();
    let of = |figures: &Value| (figures["calls"].clone(), figures["answered"].clone(), figures["cost"].clone());
    assert_eq!(of(&report["rows"][0]), (json!(3), json!(3), json!(1000)), "{report:#}");
    assert_eq!(of(&report["total"]), of(&report["rows"][0]), "{report:#}");
    let later = stage.reports(&query).await.json();
    assert_eq!(of(&later["total"]), (json!(10), json!(10), json!(5000)), "{later:#}");
    stage.stop().await;
}
