//! Large routing data of one tenant: it is refused when it is saved, and existing data holds up nobody. Threads that serve fetches
//! never compile a pattern: in a build with assertions, such as this one, a fill that does fails.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    forms,
    harness::{Answer, Database, Node},
    panics,
};

/// It would have some thousand states if all of Unicode counted.
const LARGE: &str = r"(?:[^\x00-\x7f]){60}$";

async fn stage() -> (Database, Node, Uuid) {
    panics::watch();
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    for number in ["1000", "1001"] {
        node.extension(tenant, json!({ "number": number })).await;
    }
    (database, node, tenant)
}

async fn entry(node: &Node, tenant: Uuid, conditions: Vec<Value>) -> Answer {
    let new = json!({ "name": "Rule", "conditions": conditions });
    node.api("POST", &format!("/v1/tenants/{tenant}/dialplan-entries"), new).await
}

fn busy(pattern: &str) -> Value {
    json!({ "pattern": pattern, "break": "never", "actions": [{ "application": "hangup", "cause": "user_busy" }] })
}

async fn goes(node: &Node, number: &str) -> String {
    let answer = node.fetch(&forms::call(number, "acme.test", "")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

#[actix_web::test]
async fn a_pattern_too_large_is_refused_by_its_place() {
    let (_database, node, tenant) = stage().await;
    for wrong in ["(?:a{50}){50}", r"(?u)\w{60}", r"\p{L}", "(?=a)b", "(a)\\1", "("] {
        let refused = entry(&node, tenant, vec![busy("^1$"), busy(wrong)]).await;
        assert_eq!(refused.status, 422, "{wrong}: {}", refused.text());
        assert_eq!(refused.json()["field"], "conditions[1].pattern", "{}", refused.text());
    }
    assert_eq!(entry(&node, tenant, vec![busy(r"^(\+?49|0)\d{3,12}$")]).await.status, 201);
    node.stop().await;
}

#[actix_web::test]
async fn entries_that_cost_too_much_together_are_refused_and_those_before_work_apart() {
    let (_database, node, tenant) = stage().await;
    assert_eq!(entry(&node, tenant, vec![busy("^7000$")]).await.status, 201);
    let mut made = 0;
    let refused = loop {
        let conditions = (0..20).map(|n| busy(&format!("^z{made}x{n}{LARGE}"))).collect();
        let answer = entry(&node, tenant, conditions).await;
        if answer.status != 201 {
            break answer;
        }
        made += 1;
        assert!(made < 100, "no end of entries");
    };
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert_eq!(refused.json()["field"], "conditions");
    assert!(refused.text().contains("at most 20000 are allowed"), "{}", refused.text());
    assert!(made > 5, "{made} entries");
    // After each change, the plan is read again.
    for round in 0..3 {
        let number = format!("110{round}");
        node.extension(tenant, json!({ "number": number })).await;
        assert!(goes(&node, "7000").await.contains("USER_BUSY"));
        assert!(goes(&node, &number).await.contains(&format!("user/{number}@acme.test")));
        assert!(goes(&node, "9999").await.contains("UNALLOCATED_NUMBER"));
    }
    node.stop().await;
    panics::assert_none();
}

#[actix_web::test]
async fn entries_from_before_the_limits_are_left_out_and_the_rest_works() {
    let (database, node, tenant) = stage().await;
    let mut db = database.connect().await;
    let before = "insert into dialplan_entries (tenant_id, id, position, name, enabled, body)
        select $1, gen_random_uuid(), n, 'old' || n, true, jsonb_build_object('conditions', (
               select jsonb_agg(jsonb_build_object('pattern', '^z' || n || 'x' || m || $2, 'actions', '[{\"application\": \"answer\"}]'::jsonb))
                 from generate_series(1, 20) m))
          from generate_series($3::int, $4::int) n";
    for (pattern, first, last) in [("(?:a{50}){50}", 1, 5), (LARGE, 10, 500)] {
        let insert = sqlx::query(before).bind(tenant).bind(pattern).bind(first).bind(last);
        insert.execute(&mut db).await.unwrap();
    }
    let seventh = entry(&node, tenant, vec![busy("^7000$")]).await;
    assert_eq!(seventh.status, 201, "old entries have no cost noted: {}", seventh.text());
    for round in 0..2 {
        let number = format!("110{round}");
        node.extension(tenant, json!({ "number": number })).await;
        assert!(goes(&node, &number).await.contains(&format!("user/{number}@acme.test")));
        assert!(goes(&node, "7000").await.contains("USER_BUSY"), "it comes before them");
    }
    let path = format!("/v1/tenants/{tenant}/dialplan-entries");
    let listed = node.api("GET", &path, Value::Null).await;
    assert_eq!(listed.status, 200, "what is old is still shown: {}", listed.text());
    let asked = json!({ "caller": "1001", "number": "1000" });
    let explained = node.api("POST", &format!("/v1/routes/explain?tenant_id={tenant}"), asked).await;
    assert!(
        explained.text().contains("old1: left out, because it has a pattern that is too large"),
        "{}",
        explained.text()
    );
    assert!(explained.text().contains("old500: left out"), "{}", explained.text());
    node.stop().await;
    panics::assert_none();
}

#[actix_web::test]
async fn a_plan_too_large_to_read_is_refused_whatever_makes_it_so() {
    let (_database, node, tenant) = stage().await;
    let phone = node.extension(tenant, json!({ "number": "70" })).await["id"].clone();
    let target = json!({ "kind": "extension", "id": phone });
    let dates = (1..=200).map(|n| {
        let day = format!("20{:02}-{:02}-01", 30 + n / 12, n % 12 + 1);
        json!({ "from": day, "to": day, "target": target })
    });
    let config = json!({ "dates": dates.collect::<Vec<_>>(), "open": target, "closed": target });
    let mut made = 0;
    let refused = loop {
        let new = json!({ "name": format!("Days {made}"), "kind": "schedule", "config": config });
        let answer = node.api("POST", &format!("/v1/tenants/{tenant}/destinations"), new).await;
        if answer.status != 201 {
            break answer;
        }
        made += 1;
        assert!(made < 200, "no end of destinations");
    };
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert_eq!(refused.json()["field"], "config");
    assert!(made > 20, "{made} destinations");
    assert!(goes(&node, "1000").await.contains("user/1000@acme.test"));
    // There is still room for other changes.
    let renamed = json!({ "features": { "call_recording": true }, "routing": { "record": { "inbound": true } } });
    let path = format!("/v1/tenants/{tenant}/settings");
    let answer = node.api("PATCH", &path, renamed).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    node.stop().await;
    panics::assert_none();
}
