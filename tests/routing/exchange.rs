//! Costs in several currencies.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stage::Stage;

impl Stage {
    async fn rate(&self, from: &str, to: &str, days_ago: i64, rate: &str) -> Uuid {
        let day = (Utc::now() - TimeDelta::days(days_ago)).date_naive();
        let new = json!({ "from_currency": from, "to_currency": to, "day": day, "rate": rate });
        let set = self.node.makes("/v1/exchange-rates", new).await;
        assert_eq!(set.status, 201, "{}", set.text());
        set.id()
    }

    /// The cost of all calls, and what could not be converted, as a report and as the month's usage say.
    async fn costs(&self, by: &str) -> (i64, Value) {
        let since = (Utc::now() - TimeDelta::days(3)).date_naive();
        let path = format!("/v1/reports/calls?tenant_id={}&since={since}&by={by}", self.tenant);
        let report = self.node.api("GET", &path, Value::Null).await.json();
        assert_eq!(report["currency"], "USD", "{report:#}");
        let of = |figures: &Value| (figures["cost"].as_i64().unwrap(), figures["unconverted"].clone());
        let rows = report["rows"].as_array().unwrap();
        if let [row] = &rows[..] {
            assert_eq!(of(row), of(&report["total"]), "{report:#}");
        }
        of(&report["total"])
    }
}

#[actix_web::test]
async fn costs_in_other_currencies_are_converted_with_the_rate_of_their_day_or_stand_apart() {
    let stage = Stage::new().await;
    let (node, tenant) = (&stage.node, stage.tenant);
    let pool = node.app.changes.pool();
    let carrier = stage.carriers[0];
    // The tenant's own, one from when calls had no currency, and two of times when the tenant had another one.
    for (cost, currency) in
        [(1_000_000, Some("USD")), (500_000, None), (2_000_001, Some("EUR")), (700_000, Some("GBP"))]
    {
        let call = node.call(tenant).await;
        let attempts = json!([{ "carrier_id": carrier, "answered": true, "cause": "NORMAL_CLEARING", "seconds": 60, "cost": cost }]);
        let paid =
            "update calls set cost = $2, currency = $3, story = jsonb_set(story, '{attempts}', $4) where id = $1";
        let paid = sqlx::query(paid).bind(call).bind(i64::from(cost)).bind(currency).bind(attempts);
        paid.execute(pool).await.unwrap();
    }
    let due = "insert into call_slots_due (tenant_id, slot) select distinct tenant_id, date_bin('15 minutes', started_at, '2000-01-01 00:00Z')
                 from calls on conflict do nothing";
    sqlx::query(due).execute(pool).await.unwrap();
    let eur = json!({ "currency": "EUR", "amount": 2_000_001 });
    let gbp = json!({ "currency": "GBP", "amount": 700_000 });
    // Nothing is guessed. The node's own worker may have taken the quarter, and is a moment behind.
    let both = (1_500_000, json!([eur, gbp]));
    let began = std::time::Instant::now();
    for by in ["all", "carrier"] {
        while stage.costs(by).await != both {
            assert!(began.elapsed().as_secs() < 60, "{by}: {:?}", stage.costs(by).await);
            dialplane::telephony::reports::roll_store::roll(pool).await.unwrap();
        }
    }
    // Neither the inverse, nor one over a third currency, nor one that is in force later.
    stage.rate("USD", "GBP", 10, "0.8").await;
    stage.rate("EUR", "GBP", 10, "0.9").await;
    stage.rate("EUR", "USD", -2, "7").await;
    assert_eq!(stage.costs("all").await, both);
    stage.rate("EUR", "USD", 400, "2").await;
    assert_eq!(stage.costs("all").await, (1_500_000 + 4_000_002, json!([gbp])));
    // The latest one that is in force. Halves of a millionth are rounded up.
    let newer = stage.rate("EUR", "USD", 5, "1.5").await;
    for by in ["all", "carrier"] {
        assert_eq!(stage.costs(by).await, (1_500_000 + 3_000_002, json!([gbp])), "{by}");
    }
    let usage = node.api("GET", &format!("/v1/usage?tenant_id={tenant}"), Value::Null).await.json();
    assert_eq!(
        (&usage["cost"], &usage["charge"], &usage["currency"], &usage["unconverted"]),
        (&json!(4_500_002), &json!(4_500_002), &json!("USD"), &json!([gbp])),
        "{usage:#}"
    );
    let since = (Utc::now() - TimeDelta::days(3)).date_naive();
    let csv = format!("/v1/reports/calls.csv?tenant_id={tenant}&since={since}");
    let csv = node.api("GET", &csv, Value::Null).await.text();
    assert!(csv.lines().next().unwrap().ends_with(",currency,unconverted"), "{csv}");
    assert!(csv.lines().nth(1).unwrap().ends_with(",USD,700000 GBP"), "{csv}");
    // A rate that is corrected, and one that is deleted.
    assert_eq!(stage.rate("EUR", "USD", 5, "1.6").await, newer, "the day has one rate");
    assert_eq!(stage.costs("all").await.0, 1_500_000 + 3_200_002);
    let one = format!("/v1/exchange-rates/{newer}");
    assert_eq!(node.api("GET", &one, Value::Null).await.json()["rate"], "1.6");
    assert_eq!(node.api("DELETE", &one, Value::Null).await.status, 204);
    assert_eq!(node.api("DELETE", &one, Value::Null).await.status, 404);
    assert_eq!(stage.costs("all").await.0, 1_500_000 + 4_000_002);
    let log = "select string_agg(action, ',' order by at, id) from audit_log where resource = $1";
    let log = sqlx::query_scalar::<_, String>(log).bind(format!("exchange-rates/{newer}"));
    assert_eq!(log.fetch_one(pool).await.unwrap(), "create,update,delete");
    stage.stop().await;
}

#[actix_web::test]
async fn rates_of_exchange_are_listed_by_day_and_nonsense_is_refused() {
    let stage = Stage::new().await;
    for (days_ago, rate) in [(3, "1.1"), (1, "1.3"), (2, "1.2")] {
        stage.rate("EUR", "USD", days_ago, rate).await;
    }
    stage.rate("GBP", "USD", 2, "1.25").await;
    let list = async |query: &str| {
        let page = stage.node.api("GET", &format!("/v1/exchange-rates{query}"), Value::Null).await.json();
        let rates = page["items"].as_array().unwrap().iter().map(|rate| rate["rate"].as_str().unwrap().to_owned());
        (rates.collect::<Vec<_>>(), page["next_cursor"].as_str().map(ToOwned::to_owned))
    };
    assert_eq!(list("").await.0, ["1.3", "1.25", "1.2", "1.1"]);
    assert_eq!(list("?sort=day&from_currency=EUR").await.0, ["1.1", "1.2", "1.3"]);
    assert_eq!(list("?to_currency=EUR").await.0, Vec::<String>::new());
    let (first, cursor) = list("?limit=3").await;
    assert_eq!(first, ["1.3", "1.25", "1.2"]);
    assert_eq!(list(&format!("?limit=3&cursor={}", cursor.unwrap())).await, (vec!["1.1".to_owned()], None));
    let good = json!({ "from_currency": "EUR", "to_currency": "USD", "day": "2026-11-01", "rate": "1.0843" });
    for (field, value, code) in [
        ("from_currency", "XXX", "not_a_currency"),
        ("to_currency", "EUR", "same_currency"),
        ("day", "1200-01-01", "not_a_day"),
        ("rate", "0", "not_an_exchange_rate"),
        ("rate", "1,08", "not_an_exchange_rate"),
        ("rate", "1000000.000000000001", "not_an_exchange_rate"),
    ] {
        let mut wrong = good.clone();
        wrong[field] = json!(value);
        let refused = stage.node.makes("/v1/exchange-rates", wrong).await;
        assert_eq!(
            (refused.status, &refused.json()["field"], &refused.json()["code"]),
            (422, &json!(field), &json!(code)),
            "{}",
            refused.text()
        );
    }
    stage.stop().await;
}
