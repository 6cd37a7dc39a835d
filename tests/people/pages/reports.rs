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
