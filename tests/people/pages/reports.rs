//! Pages of figures.

use super::*;

#[actix_web::test]
async fn a_report_that_leaves_rows_out_says_so_on_the_page_in_json_and_in_csv() {
    let stage = Stage::new().await;
    // 10,000 countries of one call each.
    let rows = async |first: i32, last: i32| {
        let insert = "insert into call_rollups (tenant_id, slot, kind, key, direction, calls)
                      select $1, date_trunc('hour', now()), 'country', 'X' || n, 'inbound', 1 from generate_series($2, $3) n";
        let insert = sqlx::query(insert).bind(stage.tenant).bind(first).bind(last);
        insert.execute(&mut stage.database.connect().await).await.unwrap();
    };
    rows(1, 10_000).await;
    let all = "insert into call_rollups (tenant_id, slot, kind, key, direction, calls)
               select tenant_id, date_trunc('hour', now()), 'all', '', 'inbound', 10001 from call_rollups limit 1";
    stage.execute(all).await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    let page = "/app/reports?by=country&period=week";
    let path = format!("/v1/reports/calls?tenant_id={}&by=country", stage.tenant);
    let csv = path.replace("calls?", "calls.csv?");
    let whole = stage.node.api("GET", &path, Value::Null).await.json();
    assert_eq!((whole["rows"].as_array().unwrap().len(), &whole["more"]), (10_000, &json!(false)));
    assert!(!tab.get(page).await.text().contains("Only 10000 rows are shown"));
    assert_eq!(stage.node.api("GET", &csv, Value::Null).await.header("Dialplane-More"), None);
    rows(10_001, 10_001).await;
    let cut = stage.node.api("GET", &path, Value::Null).await.json();
    assert_eq!((cut["rows"].as_array().unwrap().len(), &cut["more"]), (10_000, &json!(true)));
    assert_eq!(cut["total"]["calls"], 10_001, "the sum is of all");
    assert!(tab.get(page).await.text().contains("Only 10000 rows are shown, here and in the CSV file."));
    let file = stage.node.api("GET", &csv, Value::Null).await;
    assert_eq!((file.header("Dialplane-More"), file.text().lines().count()), (Some("true"), 10_001));
    stage.node.stop().await;
}

#[actix_web::test]
async fn the_page_of_usage_shows_how_much_of_each_limit_is_used_and_a_form_changes_them() {
    let stage = Stage::new().await;
    let mut tab = Tab::of(&stage.node, &stage.owner).await;
    assert!(tab.get("/app/usage").await.text().contains("There are no limits."));
    let mut wrong = form(&tab.get("/app/usage-limits").await.text());
    set(&mut wrong, "calls", "0");
    let refused = tab.post("/app/usage-limits", &refs(&wrong)).await;
    assert!(refused.status == 422 && refused.text().contains("id=\"calls-error\""), "{}", refused.text());
    let mut one = form(&tab.get("/app/usage-limits").await.text());
    set(&mut one, "extensions", "2");
    set(&mut one, "charge", "12500000");
    assert!(tab.sees_after("/app/usage-limits", &refs(&one)).await.contains("Saved."));
    stage.phone("71", "Hall").await;
    let half = tab.get("/app/usage").await.text();
    assert!(
        half.contains("extensions: 50 % (1 of 2)") && half.contains("charges: 0 % (0.00 USD of 12.50 USD)"),
        "{half}"
    );
    assert!(!half.contains("There are no limits."));
    stage.phone("72", "Yard").await;
    assert!(tab.get("/app/usage").await.text().contains("extensions: 100 % (2 of 2)"));
    let mut german = tab.clone().german();
    assert!(german.get("/app/usage").await.text().contains("Nebenstellen: 100 % (2 von 2)"));
    // An empty field ends a limit.
    let mut none = form(&tab.get("/app/usage-limits").await.text());
    assert_eq!(of(&none, "extensions"), "2");
    set(&mut none, "extensions", "");
    set(&mut none, "charge", "");
    tab.does("/app/usage-limits", &refs(&none)).await;
    assert!(tab.get("/app/usage").await.text().contains("There are no limits."));
    // Whoever sees the figures alone is shown no form.
    let manager = person(&stage.node, Some(stage.tenant), Role::Manager, "manager@acme.test").await;
    let mut manager = Tab::of(&stage.node, &manager).await;
    let shown = manager.get("/app/usage-limits").await;
    assert!(shown.status == 200 && !shown.text().contains("name=\"version\""), "{}", shown.text());
    stage.node.stop().await;
}
