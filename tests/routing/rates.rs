//! Rate sheets as carriers send them, and prices that begin later.

use chrono::{DateTime, Utc};
use proptest::{
    collection::btree_map,
    sample::select,
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};
use serde_json::{Value, json};
use sqlx::Row as _;
use uuid::Uuid;

use crate::{
    harness::send,
    stage::{Stage, bridges, route},
};

const PARIS: &str = "+33123456789";

async fn preview(stage: &Stage, carrier: Uuid, sheet: &str) -> Value {
    let headers = [("X-API-Key", stage.node.key.as_str()), ("Content-Type", "text/csv")];
    let path = format!("/v1/carriers/{carrier}/rates/preview");
    let answer = send(stage.node.app.app_address, "POST", &path, &headers, sheet.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn abroad(stage: &Stage) {
    let abroad = json!({ "features": { "international_calls": true } });
    let path = format!("/v1/tenants/{}/settings", stage.tenant);
    assert_eq!(stage.node.api("PATCH", &path, abroad).await.status, 200);
}

#[actix_web::test]
async fn a_price_that_begins_later_leaves_the_one_before_in_force_until_then() {
    let stage = Stage::new().await;
    abroad(&stage).await;
    let cheap = stage.carriers[0];
    assert_eq!(stage.rates(cheap, "33,0.54\n3361,0.9\n44,0.1\n49,0.01\n").await.status, 201);
    let put = stage.rates(cheap, "33,0.60,30,10,2099-12-15\n49,0.01\n1,2,60,60,2099-01-01\n").await;
    assert_eq!(put.status, 201, "{}", put.text());
    let report = put.json();
    assert_eq!((&report["rates"], &report["kept"]), (&json!(3), &json!(2)), "{report}");
    assert_eq!(warned(&report, "priced_as_before"), Some(json!(["3361"])), "{report}");
    assert_eq!(warned(&report, "no_longer_priced"), Some(json!(["44"])), "{report}");
    assert_eq!(warned(&report, "not_yet_priced"), Some(json!(["1"])), "{report}");
    let prices = listed(&stage, cheap).await.into_iter().filter(|rate| rate.0.starts_with("33"));
    assert_eq!(prices.map(|rate| rate.2).collect::<Vec<_>>(), [540_000, 600_000, 900_000, 600_000]);
    let carrier = stage.node.api("GET", &format!("/v1/carriers/{cheap}"), Value::Null).await.json();
    assert_eq!(carrier["rates"], 6);
    let call = Uuid::new_v4();
    let document = stage.calls(PARIS, call).await;
    assert_eq!(route(&document), "outbound");
    assert!(bridges(&document).iter().any(|leg| leg.0 == cheap), "{document}");
    // If the sheet is put in force again, the result is the same.
    let again = stage.rates(cheap, "33,0.60,30,10,2099-12-15\n49,0.01\n").await.json();
    let warnings = json!([{ "kind": "priced_as_before", "count": 1, "prefixes": ["3361"] }]);
    assert_eq!((&again["kept"], &again["warnings"]), (&json!(2), &warnings), "{again}");
    stage.stop().await;
}

#[actix_web::test]
async fn heads_say_which_column_is_the_price_and_a_preview_says_how_they_were_read() {
    let stage = Stage::new().await;
    let cheap = stage.carriers[0];
    let sheet = "prefix;first_seconds;step_seconds;price\r\n\r\n0044;30;6;1,5\r\n";
    let shown = preview(&stage, cheap, sheet).await;
    let meanings = shown["columns"].as_array().unwrap().iter().map(|one| one["meaning"].as_str().unwrap());
    assert_eq!(meanings.collect::<Vec<_>>(), ["prefix", "first_seconds", "step_seconds", "price"]);
    assert_eq!((&shown["columns"][0]["read_as"], &shown["columns"][3]["read_as"]), (&json!("+44"), &json!("1.5/min")));
    let listed = async |prefix: &str| {
        stage.node.api("GET", &format!("/v1/carriers/{cheap}/rates?prefix={prefix}"), Value::Null).await.items()
    };
    assert_eq!(listed("44").await, json!([]), "a preview changes nothing");
    assert_eq!(listed("49").await[0]["price"], 10_000);
    let put = stage.rates(cheap, sheet).await;
    assert_eq!(put.status, 201, "{}", put.text());
    let rate = listed("44").await[0].clone();
    let read = (rate["price"].as_i64(), rate["first_seconds"].as_i64(), rate["step_seconds"].as_i64());
    assert_eq!(read, (Some(1_500_000), Some(30), Some(6)));
    // Line numbers are those of the file.
    let refused = stage.rates(cheap, "prefix,price\n\n49,0.01\n\nx,1\n").await;
    assert_eq!((refused.status, &refused.json()["lines"][0]["line"]), (422, &json!(5)), "{}", refused.text());
    let unknown = stage.rates(cheap, "what,ever\n49,1\n").await;
    assert_eq!((unknown.status, &unknown.json()["code"]), (422, &json!("rate_heads_unknown")), "{}", unknown.text());
    let mut db = stage.database.connect().await;
    let sheets = sqlx::query("select count(*) from rate_sheets where carrier_id = $1").bind(cheap);
    assert_eq!(sheets.fetch_one(&mut db).await.unwrap().get::<i64, _>(0), 1);
    stage.stop().await;
}

fn warned(report: &Value, kind: &str) -> Option<Value> {
    report["warnings"].as_array().unwrap().iter().find(|one| one["kind"] == kind).map(|one| one["prefixes"].clone())
}

/// Prefix, day on which it begins (`None`: when the sheet was put in force, or before), price.
async fn listed(stage: &Stage, carrier: Uuid) -> Vec<(String, Option<String>, i64)> {
    let path = format!("/v1/carriers/{carrier}/rates?limit=500");
    let rates = stage.node.api("GET", &path, Value::Null).await.items();
    let now = Utc::now();
    let row = |rate: &Value| {
        let at = rate["effective_at"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
        let later = (at > now).then(|| at.date_naive().to_string());
        (rate["prefix"].as_str().unwrap().to_owned(), later, rate["price"].as_i64().unwrap())
    };
    rates.as_array().unwrap().iter().map(row).collect()
}

#[actix_web::test]
async fn until_a_price_of_a_shorter_prefix_begins_the_finer_prices_below_it_stay() {
    let stage = Stage::new().await;
    let cheap = stage.carriers[0];
    assert_eq!(stage.rates(cheap, "33,0.54\n3361,0.9\n3362,0.8\n").await.status, 201);
    let put = stage.rates(cheap, "33,0.60,60,60,2099-12-15\n3362,0.7\n").await;
    assert_eq!(put.status, 201, "{}", put.text());
    let report = put.json();
    assert_eq!(report["kept"], 2, "33 and 3361: {report}");
    assert_eq!(warned(&report, "priced_as_before"), Some(json!(["3361"])), "{report}");
    let then = || Some("2099-12-15".to_owned());
    let expected = [
        ("33".to_owned(), None, 540_000),
        ("33".to_owned(), then(), 600_000),
        ("3361".to_owned(), None, 900_000),
        ("3361".to_owned(), then(), 600_000),
        ("3362".to_owned(), None, 700_000),
    ];
    assert_eq!(listed(&stage, cheap).await, expected);
    let carrier = stage.node.api("GET", &format!("/v1/carriers/{cheap}"), Value::Null).await.json();
    assert_eq!(carrier["rates"], 5);
    // Once more, the result is the same.
    let again = stage.rates(cheap, "33,0.60,60,60,2099-12-15\n3362,0.7\n").await.json();
    assert_eq!((&again["kept"], warned(&again, "priced_as_before")), (&json!(2), Some(json!(["3361"]))), "{again}");
    assert_eq!(listed(&stage, cheap).await, expected);
    // A sheet with a price from now on is the end of it.
    let last = stage.rates(cheap, "33,0.60\n").await.json();
    assert_eq!((&last["kept"], &last["warnings"]), (&json!(0), &json!([])), "{last}");
    assert_eq!(listed(&stage, cheap).await, [("33".to_owned(), None, 600_000)]);
    stage.stop().await;
}

#[actix_web::test]
async fn until_the_finer_prices_of_a_new_sheet_begin_the_coarser_one_before_goes_on_for_them_alone() {
    let stage = Stage::new().await;
    abroad(&stage).await;
    let cheap = stage.carriers[0];
    assert_eq!(stage.rates(cheap, "33,0.54\n").await.status, 201);
    let put = stage.rates(cheap, "331,0.60,30,10,2099-12-15\n336,0.70,60,60,2099-12-15\n").await;
    assert_eq!(put.status, 201, "{}", put.text());
    let report = put.json();
    assert_eq!(report["kept"], 2, "{report}");
    assert_eq!(warned(&report, "priced_as_before"), Some(json!(["331", "336"])), "{report}");
    assert_eq!(warned(&report, "not_yet_priced"), None, "{report}");
    assert_eq!(warned(&report, "no_longer_priced"), Some(json!(["33"])), "such as 334: {report}");
    let then = || Some("2099-12-15".to_owned());
    let expected = [
        ("331".to_owned(), None, 540_000),
        ("331".to_owned(), then(), 600_000),
        ("336".to_owned(), None, 540_000),
        ("336".to_owned(), then(), 700_000),
    ];
    assert_eq!(listed(&stage, cheap).await, expected);
    let document = stage.calls(PARIS, Uuid::new_v4()).await;
    assert!(bridges(&document).iter().any(|leg| leg.0 == cheap), "{document}");
    stage.stop().await;
}

/// A rate of a made-up sheet: prefix, day, price. Day 0 is now.
type Line = (String, i64, i64);

/// A rate that counts for a number on a day: of the longest prefix, the latest.
fn rate<'a>(lines: &'a [Line], number: &str, day: i64) -> Option<&'a Line> {
    let counts = lines.iter().filter(|(prefix, from, _)| number.starts_with(prefix.as_str()) && *from <= day);
    counts.max_by_key(|(prefix, from, _)| (prefix.len(), *from))
}

/// The longest prefix of a sheet that covers this one, and the day on which its first price begins.
fn successor(lines: &[Line], prefix: &str) -> Option<(String, i64)> {
    let covers = lines.iter().filter(|line| prefix.starts_with(line.0.as_str()));
    let longest = covers.max_by_key(|line| line.0.len())?.0.clone();
    let begins = lines.iter().filter(|line| line.0 == longest).map(|line| line.1).min()?;
    Some((longest, begins))
}

/// What a call costs on a day after a new sheet: the rule in words of its own. A line of the old sheet stands until its successor begins. Where
/// nothing stands and the new sheet has a price later, the old sheet counts until then, as it does for that prefix.
fn expected(old: &[Line], new: &[Line], number: &str, day: i64) -> Option<i64> {
    let stands = |line: &Line| successor(new, &line.0).is_some_and(|(_, begins)| begins > day);
    let standing = old.iter().filter(|line| stands(line)).chain(new).cloned().collect::<Vec<_>>();
    if let Some(line) = rate(&standing, number, day) {
        return Some(line.2);
    }
    let later = new.iter().filter(|line| number.starts_with(line.0.as_str())).map(|line| line.0.clone());
    let shortest = later.min_by_key(String::len)?;
    let begins = new.iter().filter(|line| line.0 == shortest).map(|line| line.1).min()?;
    (begins > day).then(|| rate(old, &shortest, day).map(|line| line.2)).flatten()
}

#[actix_web::test]
async fn whatever_a_new_sheet_announces_for_later_no_call_is_priced_otherwise_until_then() {
    let stage = Stage::new().await;
    let (cheap, runner) = (stage.carriers[0], &mut TestRunner::deterministic());
    let today = Utc::now().date_naive();
    let day = |day: i64| today + chrono::Duration::days(day);
    let prefix = select(vec!["3", "33", "331", "336", "3361", "3362", "34"]);
    let lines = btree_map((prefix, select(vec![0, 0, 2, 4, 6])), 1..100_000_i64, 1..7);
    let sheets = (lines.clone(), lines);
    let numbers = ["3", "31", "33", "330", "331", "3319", "336", "3361", "3362", "3363", "34"];
    for _ in 0..60 {
        let (old, new) = sheets.new_tree(runner).unwrap().current();
        let [old, new] = [old, new].map(|lines| {
            lines.into_iter().map(|((prefix, day), price)| (prefix.to_owned(), day, price)).collect::<Vec<Line>>()
        });
        let text = |lines: &[Line]| {
            let date = |from: i64| if from == 0 { String::new() } else { format!(",60,60,{}", day(from)) };
            let line = |(prefix, from, price): &Line| {
                format!("{prefix},{}.{:06}{}\n", price / 1_000_000, price % 1_000_000, date(*from))
            };
            lines.iter().map(line).collect::<Vec<_>>().concat()
        };
        // So that nothing is left of the sheets before.
        for sheet in ["1,0.01\n", &text(&old), &text(&new)] {
            let put = stage.rates(cheap, sheet).await;
            assert_eq!(put.status, 201, "{sheet}: {}", put.text());
        }
        let is = listed(&stage, cheap).await;
        let is = is
            .into_iter()
            .map(|(prefix, from, price)| {
                let from = from.map_or(0, |from| (from.parse::<chrono::NaiveDate>().unwrap() - today).num_days());
                (prefix, from, price)
            })
            .collect::<Vec<Line>>();
        for number in numbers {
            for at in 0..8 {
                let (is_priced, should) = (rate(&is, number, at).map(|line| line.2), expected(&old, &new, number, at));
                assert_eq!(is_priced, should, "{number} on day {at}: {old:?} then {new:?} is {is:?}");
            }
        }
    }
    stage.stop().await;
}
