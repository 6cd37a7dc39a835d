//! How long calls may last, so that nobody spends more than they may: what is reserved, what a switch is told, what it is charged for.

use dialplane::routing::carried::{Mark, cost};
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::Row as _;
use uuid::Uuid;

use crate::{
    pushes::Fleet,
    stage::{Stage, route},
};

const MUNICH: &str = "+498912345678";

/// How many seconds after the answer each carrier's leg ends, and when the caller is warned.
fn limits(answer: &str) -> Vec<(i64, i64)> {
    let text = answer.replace("&#45;", "-").replace("&#95;", "_").replace("&#43;", "+");
    let number = |text: &str| text.split(' ').next().unwrap().parse::<i64>().unwrap();
    let legs = text.split("application=\"bridge\"").skip(1);
    let limits = legs.filter_map(|leg| {
        let end = leg.split("sched_hangup +").nth(1)?;
        assert!(end.contains(" ALLOTTED_TIMEOUT"), "{end}");
        Some((number(end), number(leg.split("sched_broadcast +").nth(1)?)))
    });
    limits.collect()
}

async fn spent(stage: &Stage) -> i64 {
    let spent = "select coalesce(sum(spent), 0)::bigint from spend_days";
    sqlx::query_scalar(spent).fetch_one(&mut stage.database.connect().await).await.unwrap()
}

async fn live(stage: &Stage) -> i32 {
    let live = "select live from call_meters where scope = $1";
    sqlx::query_scalar(live).bind(stage.tenant).fetch_one(&mut stage.database.connect().await).await.unwrap()
}

fn record(carrier: Uuid, call: Uuid, seconds: i64) -> Value {
    json!({ "dialplane_carrier": carrier, "dialplane_call": call, "dialplane_callee": MUNICH.replace('+', "%2B"),
            "answer_epoch": "1790000000", "end_epoch": (1_790_000_000 + seconds).to_string(), "hangup_cause": "NORMAL_CLEARING" })
}

#[actix_web::test]
async fn a_call_ends_before_it_costs_more_than_is_left() {
    let stage = Stage::new().await;
    assert_eq!(limits(&stage.calls(MUNICH, Uuid::new_v4()).await), [], "who has no cap may talk on");
    stage.database.execute("delete from spend_days").await;
    // One call of ten hours cost 6,000,000 here.
    stage.rules(json!({ "outbound": { "spend_per_day": 25_000 } })).await;
    let call = Uuid::new_v4();
    let answer = stage.calls(MUNICH, call).await;
    assert_eq!(limits(&answer), [(58, 44)], "a minute at 0.01; the dear one's first is more than is left: {answer}");
    assert_eq!(spent(&stage).await, 10_000);
    assert_eq!(stage.calls(MUNICH, call).await, answer, "asked again, it is answered as before");
    // The call was at this carrier already: that cost is spent, and a second attempt there is charged again.
    stage.cdr(Uuid::new_v4(), record(stage.carriers[0], call, 59)).await;
    assert_eq!(spent(&stage).await, 10_000);
    assert_eq!(limits(&stage.calls(MUNICH, call).await), [(58, 44)]);
    assert_eq!(spent(&stage).await, 20_000);
    stage.cdr(Uuid::new_v4(), record(stage.carriers[0], call, 59)).await;
    assert_eq!(spent(&stage).await, 20_000, "both legs");
    assert_eq!(route(&stage.calls(MUNICH, call).await), "spend_cap");
    assert_eq!(route(&stage.calls(MUNICH, Uuid::new_v4()).await), "spend_cap");
    stage.stop().await;
}

#[actix_web::test]
async fn calls_at_the_same_time_share_what_is_left_and_never_spend_more() {
    let stage = Stage::alone().await;
    let cap = 1_000_000;
    stage.rules(json!({ "outbound": { "spend_per_day": cap } })).await;
    stage
        .carrier("by the second", json!({ "host": "second.carrier.test" }), "prefix,price,first,step\n49,0.03,1,1\n")
        .await;
    let calls = (0..60).map(|_| Uuid::new_v4()).collect::<Vec<_>>();
    let answers = join_all(calls.iter().map(|call| stage.calls_in_a_crowd(MUNICH, *call))).await;
    let through = answers.iter().filter(|answer| route(answer) == "outbound").count();
    assert!(through >= 10, "{through} of 60");
    assert!(spent(&stage).await <= cap);
    // The worst case: each call lasts as long as it may on its most expensive carrier, and a moment longer.
    let mut db = stage.database.connect().await;
    let rows = "select carriers, allowed from admissions where admitted";
    let rows = sqlx::query(rows).fetch_all(&mut db).await.unwrap();
    let prices = |carrier: Uuid| match stage.carriers.iter().position(|known| *known == carrier) {
        Some(0) => (10_000, 60, 60),
        Some(_) => (50_000, 60, 60),
        None => (30_000, 1, 1),
    };
    let worst = rows.iter().map(|row| {
        let of = row.get::<Vec<Uuid>, _>(0).into_iter().zip(row.get::<Vec<Option<i32>>, _>(1));
        let costs = of.map(|(carrier, allowed)| {
            let (price, first, step) = prices(carrier);
            cost(price, first, step, i64::from(allowed.unwrap()) + 2)
        });
        costs.max().unwrap()
    });
    let worst = worst.sum::<i64>();
    println!("{through} calls, at the worst {worst} of {cap}");
    assert!(worst <= cap && worst > cap / 2, "{worst}");
    stage.stop().await;
}

#[actix_web::test]
async fn the_database_computes_costs_as_the_program_does() {
    let stage = Stage::new().await;
    let mut db = stage.database.connect().await;
    let statement = "select call_cost(p, f, s, n) as cost, paid_seconds(call_cost(p, f, s, n), p, f, s) as paid, p, f, s, n,
                            call_cost(p, f, s, paid_seconds(a, p, f, s)) as of_amount, a
                       from (select (random() * 10 ^ (random() * 9))::bigint as p, (random() * 90)::bigint as f, (random() * 90)::bigint as s,
                                    (random() * 10 ^ (random() * 5))::bigint as n, (random() * 10 ^ (random() * 12))::bigint as a
                               from generate_series(1, 5000)) x";
    for row in sqlx::query(statement).fetch_all(&mut db).await.unwrap() {
        let number = |name: &str| row.get::<i64, _>(name);
        let short = |name: &str| i16::try_from(number(name)).unwrap();
        let (price, seconds) = (number("p"), number("n"));
        assert_eq!(
            number("cost"),
            cost(price, short("f"), short("s"), seconds),
            "{price} {} {} {seconds}",
            number("f"),
            number("s")
        );
        let Some(paid) = row.get::<Option<i64>, _>("paid") else {
            assert_eq!(price, 0);
            continue;
        };
        assert!(paid >= seconds, "what it costs pays for it");
        assert!(number("of_amount") <= number("a"), "no amount pays for more than it is");
    }
    stage.stop().await;
}

/// A fleet with a cap, and a call that its switch says is answered since some seconds.
async fn talking(cap: i64) -> (Fleet, Uuid, Uuid) {
    let fleet = Fleet::new().await;
    fleet.stage.rules(json!({ "outbound": { "spend_per_day": cap } })).await;
    fleet.visited().await;
    let (call, leg) = (Uuid::new_v4(), Uuid::new_v4());
    assert_eq!(route(&fleet.stage.calls(MUNICH, call).await), "outbound");
    let mark = Mark { call, callee: MUNICH.into(), carrier: fleet.stage.carriers[0] };
    fleet.socket.has().channels = vec![(call, String::new(), Some(5)), (leg, mark.to_string(), Some(5))];
    fleet.socket.told();
    (fleet, call, leg)
}

#[actix_web::test]
async fn a_call_gets_more_time_while_there_is_money_and_none_when_there_is_none() {
    // Fifty minutes at 0.01: a quarter of an hour at once would be more than half, ten minutes are not.
    let (fleet, call, leg) = talking(500_000).await;
    let reserved = "select reserved from admissions";
    let allowed = "select coalesce(allowed, -1)::bigint from call_legs";
    assert_eq!(fleet.stage.database.count(reserved).await, 250_000, "five minutes of the dear one");
    fleet.visited().await;
    assert_eq!(fleet.socket.told(), Vec::<String>::new(), "25 minutes are enough for now");
    assert_eq!(fleet.stage.database.count(allowed).await, 25 * 60 - 2);
    // Four minutes before its end it gets more.
    fleet.sql("update call_legs set answered_at = now() - interval '1230 seconds'").await;
    fleet.visited().await;
    let told = fleet.socket.told();
    assert!(
        told[0] == format!("sched_del {leg}") && told[1].ends_with(&format!(" {leg} ALLOTTED_TIMEOUT")),
        "{told:?}"
    );
    assert!(
        told[2].starts_with("sched_broadcast +") && told[2].contains(&format!(" {leg} tone_stream://")),
        "{told:?}"
    );
    let until = fleet.stage.database.count(allowed).await;
    assert_eq!(until, 31 * 60 - 2, "ten minutes from then, in whole minutes");
    assert_eq!(fleet.stage.database.count(reserved).await, spent(&fleet.stage).await);
    // On and on, until nothing is left: it has had all fifty minutes then, and no more.
    for minutes in (25..60).step_by(2) {
        sqlx::query("update call_legs set answered_at = now() - make_interval(mins => $1)")
            .bind(minutes)
            .execute(&mut fleet.stage.database.connect().await)
            .await
            .unwrap();
        fleet.visited().await;
        assert!(spent(&fleet.stage).await <= 500_000);
    }
    assert_eq!(fleet.stage.database.count(allowed).await, 50 * 60 - 2);
    assert_eq!(spent(&fleet.stage).await, 500_000);
    // Somebody raises the cap: it goes on. Takes it away: without end.
    fleet.stage.rules(json!({ "outbound": { "spend_per_day": 600_000 } })).await;
    fleet.socket.told();
    fleet.visited().await;
    assert!(fleet.stage.database.count(allowed).await > 50 * 60 && fleet.socket.told().len() >= 3);
    fleet.stage.rules(json!({ "outbound": { "spend_per_day": null } })).await;
    fleet.sql("update call_legs set answered_at = now() - interval '59 minutes'").await;
    fleet.visited().await;
    let told = fleet.socket.told();
    assert_eq!(
        (fleet.stage.database.count(allowed).await, told.last()),
        (-1, Some(&format!("sched_del {leg}"))),
        "{told:?}"
    );
    // Its record says what it cost.
    fleet.sql("update admissions set at = at - interval '59 minutes'").await;
    fleet.stage.cdr(leg, record(fleet.stage.carriers[0], call, 3000)).await;
    assert_eq!(
        (spent(&fleet.stage).await, fleet.stage.database.count("select count(*) from call_legs").await),
        (500_000, 0)
    );
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_call_whose_record_never_comes_frees_its_line_and_is_charged_for_what_was_seen() {
    let (fleet, call, leg) = talking(10_000_000).await;
    let stage = &fleet.stage;
    fleet.visited().await;
    assert_eq!(live(stage).await, 1);
    fleet.sql("update call_legs set answered_at = now() - interval '130 seconds'").await;
    fleet.sql("update admissions set at = at - interval '2 minutes'").await;
    fleet.visited().await;
    assert_eq!(live(stage).await, 1, "it goes on");
    // The switch was killed: it has neither the call nor its record.
    fleet.socket.has().channels.clear();
    fleet.visited().await;
    assert_eq!(live(stage).await, 0, "its line is free at the next visit");
    let charge =
        async || dialplane::telephony::calls::legs::charge_unrecorded(stage.node.app.changes.pool()).await.unwrap();
    charge().await;
    assert!(spent(stage).await > 30_000, "a minute's time for its record");
    fleet.sql("update call_legs set gone_at = gone_at - interval '2 minutes'").await;
    tokio::join!(charge(), charge());
    assert_eq!(spent(stage).await, 30_000, "130 seconds by the minute");
    let path = format!("/v1/tenants/{}/outbound-calls", stage.tenant);
    let listed = stage.node.api("GET", &path, Value::Null).await.items();
    assert!(
        listed[0]["cost"] == 30_000 && listed[0]["seconds"].as_i64().is_some_and(|s| (130..=179).contains(&s)),
        "{listed}"
    );
    // It came after all, from a file that the switch had kept, and twice.
    for _ in 0..2 {
        stage.cdr(leg, record(stage.carriers[0], call, 200)).await;
        assert_eq!(spent(stage).await, 40_000);
    }
    charge().await;
    assert_eq!((spent(stage).await, stage.database.count("select count(*) from call_legs").await), (40_000, 0));
    fleet.visited().await;
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn prices_in_different_currencies_are_never_compared() {
    let stage = Stage::new().await;
    // The template's currency is USD.
    let euros = json!({ "host": "euro.carrier.test", "currency": "EUR" });
    let euros = stage.carrier("euros", euros, "49,0.0001\n").await;
    let dollars =
        stage.carrier("dollars", json!({ "host": "dollar.carrier.test", "currency": "USD" }), "49,0.001\n").await;
    let answer = stage.calls(MUNICH, Uuid::new_v4()).await;
    let gateway = |carrier: Uuid| format!("c{}", carrier.simple());
    assert!(answer.contains(&gateway(dollars)) && !answer.contains(&gateway(euros)), "{answer}");
    let path = format!("/v1/routes/preview?tenant_id={}&number=%2B498912345678", stage.tenant);
    let preview = stage.node.api("GET", &path, Value::Null).await.json();
    assert_eq!(
        (preview["carriers"].as_array().unwrap().len(), &preview["carriers"][0]["currency"]),
        (3, &json!("USD")),
        "{preview}"
    );
    let refused = stage
        .node
        .api("POST", "/v1/carriers", json!({ "name": "x", "config": { "host": "x.test", "currency": "Taler" } }))
        .await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (422, Some("not_a_currency")), "{}", refused.text());
    // Amounts of a day are of one currency.
    let settings = format!("/v1/tenants/{}/settings", stage.tenant);
    let refused = stage.node.api("PATCH", &settings, json!({ "currency": "EUR" })).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (422, Some("currency_in_use")), "{}", refused.text());
    stage.database.execute("delete from spend_days").await;
    assert_eq!(stage.node.api("PATCH", &settings, json!({ "currency": "EUR" })).await.status, 200);
    let answer = stage.calls(MUNICH, Uuid::new_v4()).await;
    assert!(!answer.contains(&gateway(dollars)) && answer.contains(&gateway(euros)), "{answer}");
    let path = format!("/v1/tenants/{}/outbound-calls", stage.tenant);
    let listed = stage.node.api("GET", &path, Value::Null).await.items();
    assert_eq!((&listed[0]["currency"], &listed[1]["currency"]), (&json!("EUR"), &json!("USD")), "{listed}");
    stage.stop().await;
}
