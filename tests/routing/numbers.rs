//! Phone numbers and their assignments over the API.

use serde_json::{Value, json};

use crate::{
    harness::{count_statements, send, statements},
    stage::{Stage, bridges},
};

#[actix_web::test]
async fn numbers_are_read_by_numbering_plans_and_contradictions_are_errors() {
    let stage = Stage::new().await;
    let path = format!("/v1/phone-numbers?tenant_id={}", stage.tenant);
    let made = stage.node.api("POST", &path, json!({ "number": "089 12345678", "provider": "telnyx" })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!((made.json()["number"].as_str(), made.json()["country"].as_str()), (Some("+498912345678"), Some("DE")));
    for (body, field) in [
        (json!({ "number": "+12025550123", "country": "DE" }), "country"),
        (json!({ "number": "hello" }), "number"),
        (json!({ "number": "+1" }), "number"),
        (json!({ "number": "+12025550124", "country": "Germany" }), "country"),
        (json!({ "number": "+12025550124", "capabilities": ["teleport"] }), "capabilities[0]"),
        (json!({ "number": "+12025550124", "tenant_id": stage.tenant }), "tenant_id"),
    ] {
        let refused = stage.node.api("POST", &path, body.clone()).await;
        assert_eq!(
            (refused.status, refused.json()["field"].as_str()),
            (422, Some(field)),
            "{body}: {}",
            refused.text()
        );
    }
    let taken = stage.node.api("POST", &path, json!({ "number": "+498912345678" })).await;
    assert_eq!(taken.status, 409);
    for (filter, count) in [
        ("", 2),
        ("&assigned=true", 1),
        ("&assigned=false", 1),
        ("&country=DE", 2),
        ("&country=US", 0),
        ("&provider=telnyx", 1),
        ("&search=8912", 1),
        ("&search=TELN", 1),
        ("&status=suspended", 0),
    ] {
        let listed = stage.node.api("GET", &format!("{path}{filter}"), Value::Null).await.json();
        assert_eq!(listed["items"].as_array().unwrap().len(), count, "{filter}");
    }
    stage.stop().await;
}

#[actix_web::test]
async fn a_file_of_numbers_is_added_whole_or_not_at_all_and_every_line_is_told() {
    let stage = Stage::new().await;
    let other = stage.node.tenant("beta.test").await;
    stage.node.api("POST", &format!("/v1/phone-numbers?tenant_id={other}"), json!({ "number": "+12025550999" })).await;
    let upload = async |query: &str, text: &str| {
        let headers = [("X-API-Key", stage.node.key.as_str()), ("Content-Type", "text/csv")];
        let path = format!("/v1/phone-numbers/bulk?tenant_id={}{query}", stage.tenant);
        send(stage.node.app.app_address, "POST", &path, &headers, text.as_bytes()).await
    };
    let text = "+12025550123,telnyx,US\n12025550124,telnyx,US\n+12025550125,telnyx,XX\n+12025550123,telnyx,US\n+12025550999,telnyx,US\n+493012345678\n+12025550126,telnyx,DE\n";
    let refused = upload("", text).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    let report = refused.json();
    assert_eq!((report["created"].as_i64(), report["refused"].as_i64()), (Some(0), Some(6)));
    let reasons = report["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["reason"].as_str().unwrap_or("-").to_owned())
        .collect::<Vec<_>>();
    for (at, says) in
        [(0, "-"), (1, "E.164"), (2, "unknown"), (3, "twice"), (4, "already in use"), (5, "already in use"), (6, "US")]
    {
        assert!(reasons[at].contains(says), "line {at}: {reasons:?}");
    }
    assert!(
        !refused.text().contains("beta") && !refused.text().contains(&other.to_string()),
        "whose it is, is not told"
    );
    let list = format!("/v1/phone-numbers?tenant_id={}", stage.tenant);
    assert_eq!(stage.node.api("GET", &list, Value::Null).await.json()["items"].as_array().unwrap().len(), 1);
    let partial = upload("&partial=true", text).await;
    assert_eq!((partial.status, partial.json()["created"].as_i64()), (201, Some(1)), "{}", partial.text());
    assert_eq!(stage.node.api("GET", &list, Value::Null).await.json()["items"].as_array().unwrap().len(), 2);
    stage.stop().await;
}

/// Line by line, this took minutes: each line left a savepoint open, and another version of the tenant's generation.
#[actix_web::test]
async fn ten_thousand_numbers_are_one_statement_and_one_generation() {
    let stage = Stage::new().await;
    let mut db = stage.database.connect().await;
    count_statements(&mut db, &["numbers", "audit_log"]).await;
    let generation = async |db: &mut sqlx::PgConnection| {
        let now = sqlx::query_scalar::<_, i64>("select generation from generation where scope = $1").bind(stage.tenant);
        now.fetch_one(db).await.unwrap()
    };
    let before = generation(&mut db).await;
    let mut text = (0..10_000).map(|n| format!("+4940{n:07},telnyx\n")).collect::<Vec<_>>().concat();
    text += "+49400000001\n";
    let headers = [("X-API-Key", stage.node.key.as_str()), ("Content-Type", "text/csv")];
    let path = format!("/v1/phone-numbers/bulk?tenant_id={}&partial=true", stage.tenant);
    let report = send(stage.node.app.app_address, "POST", &path, &headers, text.as_bytes()).await;
    assert_eq!(report.status, 201, "{}", report.text());
    let report = report.json();
    assert_eq!((report["created"].as_i64(), report["refused"].as_i64()), (Some(10_000), Some(1)));
    assert_eq!(report["lines"][10_000]["reason"], "This appears twice in the list.");
    let counted = statements(&mut db).await;
    assert_eq!((counted["numbers"], counted["audit_log"]), (1, 5), "however many lines there are");
    assert_eq!(generation(&mut db).await, before + 1);
    let told = "select after from audit_log where action = 'create' and resource = 'numbers/' || $1";
    let told = sqlx::query_scalar::<_, Value>(told).bind(report["lines"][7]["id"].as_str().unwrap());
    let mut told = told.fetch_one(&mut db).await.unwrap();
    let path = format!("/v1/phone-numbers/{}?tenant_id={}", told["id"].as_str().unwrap(), stage.tenant);
    let mut shown = stage.node.api("GET", &path, Value::Null).await.json();
    // The JSON of the database and of the API write times with as many digits as they need.
    for json in [&mut told, &mut shown] {
        assert!(json["created_at"].take().is_string() && json["updated_at"].take().is_string());
    }
    // Nothing is noted on it.
    let noted = ["external_id", "metadata"].map(|field| shown.as_object_mut().unwrap().remove(field).unwrap());
    assert_eq!(noted, [Value::Null, json!({})]);
    assert_eq!(told, shown, "the audit log says what was made");
    stage.stop().await;
}

#[actix_web::test]
async fn an_assigned_number_is_not_deleted_and_agents_read_their_own() {
    let stage = Stage::new().await;
    let tenant = stage.tenant;
    let path = format!("/v1/phone-numbers/{}?tenant_id={tenant}", stage.number);
    let refused = stage.node.api("DELETE", &path, Value::Null).await;
    assert_eq!(refused.status, 409);
    assert!(
        refused.text().contains("Ada Lovelace") && refused.text().contains(&stage.agent.to_string()),
        "{}",
        refused.text()
    );
    let unassign = format!("/v1/phone-numbers/{}/unassign?tenant_id={tenant}", stage.number);
    assert_eq!(stage.node.api("POST", &unassign, Value::Null).await.status, 200);
    assert_eq!(stage.node.api("POST", &unassign, Value::Null).await.status, 409);
    assert_eq!(stage.node.api("DELETE", &path, Value::Null).await.status, 204);
    // Another tenant's agent can't be named.
    let beta = stage.node.tenant("beta.test").await;
    let number = stage
        .node
        .api("POST", &format!("/v1/phone-numbers?tenant_id={beta}"), json!({ "number": "+4940123456" }))
        .await
        .id();
    let foreign = format!("/v1/phone-numbers/{number}/assign?tenant_id={beta}");
    let refused = stage.node.api("POST", &foreign, json!({ "agent_id": stage.agent })).await;
    assert_eq!((refused.status, refused.json()["field"].as_str()), (422, Some("agent_id")));
    stage.stop().await;
}

#[actix_web::test]
async fn calls_to_a_number_are_recorded_when_it_says_so() {
    let stage = Stage::new().await;
    let phone = stage.node.extension(stage.tenant, json!({ "number": "70" })).await["id"].clone();
    let path = format!("/v1/phone-numbers/{}?tenant_id={}", stage.number, stage.tenant);
    let call = async || stage.node.fetch(&crate::harness::call_form("%2B493012345678", "public")).await.text();
    stage.features(json!({ "call_recording": true })).await;
    for (record, count) in [(false, 0), (true, 1)] {
        let to = json!({ "record": record, "destination": { "kind": "extension", "id": phone } });
        assert_eq!(stage.node.api("PATCH", &path, to).await.status, 200);
        let answer = call().await;
        assert_eq!(answer.matches("application=\"record_session\"").count(), count, "{answer}");
    }
    // With a tone before, if the tenant's settings say so.
    stage.rules(json!({ "record": { "consent_tone": true } })).await;
    let answer = call().await;
    assert!(
        answer.find("application=\"playback\"").unwrap() < answer.find("application=\"record_session\"").unwrap(),
        "{answer}"
    );
    stage.stop().await;
}

#[actix_web::test]
async fn a_number_changes_hands_only_when_that_is_said_and_begins_anew() {
    let stage = Stage::new().await;
    let new = json!({ "first_name": "Grace", "last_name": "Hopper", "email": "grace@acme.test" });
    let made = stage.node.api("POST", &format!("/v1/admin/agents?tenant_id={}", stage.tenant), new).await;
    let (grace, phone) = (made.id(), made.json()["extensions"][0]["sip_username"].as_str().unwrap().to_owned());
    stage.assign(json!({ "daily_limit": 2 })).await;
    let path = format!("/v1/phone-numbers/{}/assign?tenant_id={}", stage.number, stage.tenant);
    let mut db = stage.database.connect().await;
    // The day of its limits: a tenant whose time zone is changed keeps its current day.
    let day = "insert into number_days (tenant_id, number_id, day, made)
               select id, $2, limit_day(now(), settings->>'time_zone', limit_day, limit_day_until), 2 from tenants where id = $1";
    sqlx::query(day).bind(stage.tenant).bind(stage.number).execute(&mut db).await.unwrap();
    let used = async |agent: &uuid::Uuid| {
        let path = format!("/v1/phone-numbers/agent/{agent}?tenant_id={}", stage.tenant);
        stage.node.api("GET", &path, Value::Null).await.json()["numbers"][0]["calls_made_today"].clone()
    };
    assert_eq!(used(&stage.agent).await, 2);
    let refused = stage.node.api("POST", &path, json!({ "agent_id": grace })).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.text().contains("Ada Lovelace") && refused.text().contains(&stage.agent.to_string()));
    let taken = stage.node.api("POST", &path, json!({ "agent_id": grace, "take_over": true, "daily_limit": 1 })).await;
    assert_eq!(taken.status, 200, "{}", taken.text());
    assert_eq!(used(&grace).await, 0, "what Ada called is not hers");
    let said = stage.calls_as(&phone, "+493055555555", uuid::Uuid::new_v4()).await;
    assert!(!bridges(&said).is_empty(), "{said}");
    assert_eq!(used(&grace).await, 1);
    let said = stage.calls_as(&phone, "+493055555555", uuid::Uuid::new_v4()).await;
    assert!(bridges(&said).is_empty(), "her one call is made: {said}");
    // A suspended agent gets none.
    let suspend = format!("/v1/admin/agents/{}?tenant_id={}", stage.agent, stage.tenant);
    assert_eq!(stage.node.api("PATCH", &suspend, json!({ "status": "suspended" })).await.status, 200);
    let refused = stage.node.api("POST", &path, json!({ "agent_id": stage.agent, "take_over": true })).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (409, Some("agent_suspended")), "{}", refused.text());
    stage.stop().await;
}

#[actix_web::test]
async fn a_file_of_numbers_is_read_as_one_number_is() {
    let stage = Stage::new().await;
    let headers = [("X-API-Key", stage.node.key.as_str()), ("Content-Type", "text/csv")];
    let path = format!("/v1/phone-numbers/bulk?tenant_id={}", stage.tenant);
    let text = "089 12345678\n+49 40 123456\n0044 20 7946 0018\n";
    let answer = send(stage.node.app.app_address, "POST", &path, &headers, text.as_bytes()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let listed = stage.node.api("GET", &format!("/v1/phone-numbers?tenant_id={}", stage.tenant), Value::Null).await;
    for number in ["+498912345678", "+4940123456", "+442079460018"] {
        assert!(listed.text().contains(number), "{number}: {}", listed.text());
    }
    stage.stop().await;
}

#[actix_web::test]
async fn names_that_others_use_answer_too() {
    let stage = Stage::new().await;
    let node = &stage.node;
    let csv = [("X-API-Key", node.key.as_str()), ("Content-Type", "text/csv")];
    let path = format!("/v1/phone-numbers/bulk-upload?tenant_id={}", stage.tenant);
    let lines = b"+12025550123,telnyx,US\n+12025550124,twilio,US\n";
    let made = send(node.app.app_address, "POST", &path, &csv, lines).await;
    assert_eq!((made.status, made.json()["created"].as_i64()), (201, Some(2)), "{}", made.text());

    let one = format!("/v1/phone-numbers/by-number/+12025550123?tenant_id={}", stage.tenant);
    let id = node.api("GET", &one, Value::Null).await.id();
    let path = format!("/v1/phone-numbers/{id}?tenant_id={}", stage.tenant);
    let changed = node.api("PATCH", &path, json!({ "status": "inactive" })).await;
    assert_eq!((changed.status, &changed.json()["status"]), (200, &json!("suspended")), "{}", changed.text());
    let version = changed.json()["version"].clone();
    let again = node.api("PATCH", &path, json!({ "status": "inactive" })).await.json();
    assert_eq!(again["version"], version, "it is so already");
    let list = format!("/v1/phone-numbers?tenant_id={}&status=inactive", stage.tenant);
    let listed = node.api("GET", &list, Value::Null).await.items();
    assert_eq!(listed.as_array().unwrap().iter().map(|one| &one["id"]).collect::<Vec<_>>(), [&json!(id)]);

    let carrier = json!({ "name": "other", "config": { "host": "sip.carrier.test" } });
    let carrier = node.makes("/v1/carriers", carrier).await;
    assert_eq!(carrier.status, 201, "{}", carrier.text());
    let rates = format!("/v1/carriers/{}/rates", carrier.id());
    let sheet = b"prefix,price\n49,0.01\n1,0.02\n";
    let loaded = send(node.app.app_address, "POST", &format!("{rates}/bulk"), &csv, sheet).await;
    assert_eq!(loaded.status, 201, "{}", loaded.text());
    let kept = node.api("GET", &rates, Value::Null).await.items();
    assert_eq!(kept.as_array().unwrap().len(), 2, "{kept}");
    stage.stop().await;
}
