//! Rate sheets as carriers send them, and prices that begin later.

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
    assert_eq!((&report["rates"], &report["kept"]), (&json!(3), &json!(1)), "{report}");
    let warned = |kind: &str| {
        report["warnings"].as_array().unwrap().iter().find(|one| one["kind"] == kind).map(|one| one["prefixes"].clone())
    };
    assert_eq!(warned("no_longer_priced"), Some(json!(["44"])), "3361 goes on by 33: {report}");
    assert_eq!(warned("not_yet_priced"), Some(json!(["1"])), "{report}");
    let listed = stage.node.api("GET", &format!("/v1/carriers/{cheap}/rates?prefix=33"), Value::Null).await.items();
    let listed = listed.as_array().unwrap().iter().map(|rate| rate["price"].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(listed, [540_000, 600_000]);
    let carrier = stage.node.api("GET", &format!("/v1/carriers/{cheap}"), Value::Null).await.json();
    assert_eq!(carrier["rates"], 4);
    let call = Uuid::new_v4();
    let document = stage.calls(PARIS, call).await;
    assert_eq!(route(&document), "outbound");
    assert!(bridges(&document).iter().any(|leg| leg.0 == cheap), "{document}");
    // If the sheet is put in force again, the result is the same.
    let again = stage.rates(cheap, "33,0.60,30,10,2099-12-15\n49,0.01\n").await.json();
    assert_eq!((&again["kept"], &again["warnings"]), (&json!(1), &json!([])), "{again}");
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
    assert_eq!(
        (&shown["columns"][0]["read_as"], &shown["columns"][3]["read_as"]),
        (&json!("+44"), &json!("1.5 a minute"))
    );
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
