//! Which input is refused, and with which problem.

use serde_json::{Value, json};

use crate::harness::{Database, Node};

#[actix_web::test]
async fn what_a_switch_could_act_on_is_refused_by_the_name_of_its_field() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let extensions = format!("/v1/tenants/{tenant}/extensions");
    let nasty = ["${system id}", "$${domain}", "a<!b", "X-PRE-PROCESS", "a\"b", "a\nb", "a\u{0}b", "a\u{202e}b", "]]>"];
    for text in nasty {
        for field in [
            "number",
            "alias",
            "sip_username",
            "sip_password",
            "display_name",
            "caller_id_name",
            "caller_id_number",
            "voicemail_pin",
            "voicemail_email",
            "codecs",
        ] {
            let mut new = json!({ "number": "1000" });
            new[field] = text.into();
            let answer = node.api("POST", &extensions, new).await;
            assert_eq!((answer.status, &answer.json()["field"]), (422, &json!(field)), "{text:?}: {}", answer.text());
        }
        let variables = json!({ "number": "1000", "variables": { "accountcode": text } });
        let answer = node.api("POST", &extensions, variables).await;
        assert_eq!(
            (answer.status, &answer.json()["field"]),
            (422, &json!("variables.accountcode")),
            "{}",
            answer.text()
        );
        for (path, body, field) in [
            ("/v1/tenants".to_owned(), json!({ "domain": text }), "domain"),
            ("/v1/tenants".to_owned(), json!({ "domain": "x.test", "name": text }), "name"),
            ("/v1/switches".to_owned(), json!({ "name": text }), "name"),
            ("/v1/keys".to_owned(), json!({ "name": text }), "name"),
            (format!("/v1/tenants/{tenant}/groups"), json!({ "name": text }), "name"),
            (format!("/v1/phone-numbers?tenant_id={tenant}"), json!({ "number": text }), "number"),
        ] {
            let answer = node.api("POST", &path, body).await;
            assert_eq!((answer.status, &answer.json()["field"]), (422, &json!(field)), "{text:?}: {}", answer.text());
        }
    }
    node.stop().await;
}

#[actix_web::test]
async fn a_problem_says_what_is_wrong_and_where() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let path = format!("/v1/tenants/{tenant}/extensions");
    for (body, status, field) in [
        (json!({ "number": 1000 }), 422, json!("number")),
        (json!({}), 422, json!("number")),
        (json!({ "number": "1000", "nubmer": "1" }), 422, json!("nubmer")),
        (json!({ "number": "1000", "ring_seconds": 4 }), 422, json!("ring_seconds")),
        (json!({ "number": "1000", "ring_seconds": "x" }), 422, json!("ring_seconds")),
        (json!({ "number": "1000", "max_registrations": 21 }), 422, json!("max_registrations")),
        (json!({ "number": "1000", "variables": { "user_context": "x" } }), 422, json!("variables.user_context")),
        (json!([]), 422, json!(".")),
    ] {
        let answer = node.api("POST", &path, body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        let problem = answer.json();
        if field != json!(".") {
            assert_eq!(problem["field"], field, "{problem}");
        }
        for member in ["type", "title", "status", "detail"] {
            assert!(problem.get(member).is_some(), "{member} in {problem}");
        }
        assert_eq!(problem["status"], status);
    }
    let headers = [("X-API-Key", node.key.as_str()), ("Content-Type", "application/json")];
    let raw = async |body: &[u8]| crate::harness::send(node.app.app_address, "POST", &path, &headers, body).await;
    assert_eq!(raw(b"{\"number\": ").await.status, 400);
    assert_eq!(raw(b"number=1000").await.status, 400);
    assert_eq!(raw(b"{\"number\": \"\xff\"}").await.status, 400);
    let large = format!("{{\"number\": \"{}\"}}", "1".repeat(4_300_000));
    let refused = raw(large.as_bytes()).await;
    assert_eq!(refused.status, 413);
    assert!(refused.json()["detail"].as_str().unwrap().contains("larger than 4 MiB"), "{}", refused.text());
    assert_eq!(node.api("GET", "/v1/tenants/not-an-id", Value::Null).await.status, 404);
    assert_eq!(node.api("GET", &path, Value::Null).await.json()["items"], json!([]), "nothing was made");
    node.stop().await;
}

/// Times that a calendar has but Postgres, a switch or a person doesn't, and numbers at the edges of their types.
const EDGES: [&str; 9] = [
    "-262143-01-01T00:00:00Z",
    "+262142-12-31T23:59:59Z",
    "-4714-11-23T00:00:00Z",
    "+294277-01-01T00:00:00Z",
    "+10000-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "1899-12-31T23:59:59Z",
    "9999-12-31T23:59:60Z",
    "0001-01-01T00:00:00-23:59",
];

#[actix_web::test]
async fn an_impossible_time_is_refused_with_the_name_of_its_field() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let key = node.api("POST", "/v1/keys", json!({ "name": "script" })).await.id();
    for time in EDGES {
        let encoded = time.replace('+', "%2B");
        for (method, path, body, status, field) in [
            ("GET", format!("/v1/audit?since={encoded}"), Value::Null, 400, "since"),
            ("GET", format!("/v1/audit?until={encoded}"), Value::Null, 400, "until"),
            ("GET", format!("/v1/tenants/{tenant}/outbound-calls?before={encoded}"), Value::Null, 400, "before"),
            ("POST", "/v1/keys".into(), json!({ "name": "x", "expires_at": time }), 422, "expires_at"),
            ("PATCH", format!("/v1/keys/{key}"), json!({ "expires_at": time }), 422, "expires_at"),
            (
                "POST",
                format!("/v1/routes/explain?tenant_id={tenant}"),
                json!({ "number": "1000", "at": time }),
                422,
                "at",
            ),
        ] {
            let answer = node.api(method, &path, body).await;
            // A leap second is a valid time.
            if time.ends_with(":60Z") && answer.status < 300 {
                continue;
            }
            let problem = answer.json();
            assert_eq!(answer.status, status, "{path}: {problem}");
            // If chrono can't read the time either, the whole query is refused.
            let as_query = problem["code"] == "query_unreadable";
            assert!(problem["field"] == field || as_query, "{path}: {problem}");
        }
    }
    node.stop().await;
}

#[actix_web::test]
async fn no_number_at_the_edge_of_its_type_causes_a_500() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let extension = node.extension(tenant, json!({ "number": "1000" })).await;
    let described = crate::harness::send(node.app.app_address, "GET", "/openapi.json", &[], b"").await.json();
    let schemas = &described["components"]["schemas"];
    let mut tried = 0;
    for (path, operations) in described["paths"].as_object().unwrap() {
        let place = path.replace("{tenant_id}", &tenant.to_string());
        let own = extension["id"].as_str().unwrap();
        let place = place.replace("{id}", own).replace("{extension_id}", own);
        for (method, operation) in operations.as_object().unwrap() {
            // Each number of the query, and each number of the body, one at a time.
            let numbers = numbers_of(operation, schemas);
            for (inside, name) in numbers {
                for value in [i64::MIN, -1, 0, i64::from(i16::MAX) + 1, i64::from(i32::MAX) + 1, i64::MAX] {
                    let (query, body) = match inside {
                        "query" => (format!("?{name}={value}&tenant_id={tenant}"), Value::Null),
                        _ => (format!("?tenant_id={tenant}"), json!({ name.as_str(): value })),
                    };
                    let answer = node.api(&method.to_uppercase(), &format!("{place}{query}"), body).await;
                    // Messages are on switches, and here is none that could be asked.
                    let is_away = answer.status == 503 && answer.json()["code"] == "voicemail_away";
                    assert!(
                        answer.status < 500 || is_away,
                        "{method} {place}{query} {name}={value}: {}",
                        answer.text()
                    );
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 100, "{tried}");
    node.stop().await;
}

/// Where an operation takes a number, and the number's name there.
fn numbers_of(operation: &Value, schemas: &Value) -> Vec<(&'static str, String)> {
    let is_number = |schema: &Value| schema.to_string().contains("\"integer\"");
    let mut found = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        if parameter["in"] == "query" && is_number(&parameter["schema"]) {
            found.push(("query", parameter["name"].as_str().unwrap().to_owned()));
        }
    }
    let body = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    if let Some(name) = body.as_str().and_then(|named| named.rsplit('/').next()) {
        for (field, schema) in schemas[name]["properties"].as_object().into_iter().flatten() {
            if is_number(schema) {
                found.push(("body", field.clone()));
            }
        }
    }
    found
}

#[actix_web::test]
async fn creating_something_in_an_unknown_tenant_is_not_found() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = uuid::Uuid::now_v7();
    let below = [
        ("reserved-numbers", json!({ "number": "1000", "reason": "the lift" })),
        ("pools", json!({ "first_number": 1000, "last_number": 1999 })),
        ("extensions", json!({ "number": "1000" })),
        ("groups", json!({ "name": "sales" })),
        ("destinations", json!({ "kind": "queue", "name": "sales", "config": {} })),
        ("dialplan", json!({ "name": "x", "conditions": [], "actions": [] })),
    ];
    let mut all = below.map(|(name, body)| (format!("/v1/tenants/{tenant}/{name}"), body)).to_vec();
    all.push((format!("/v1/phone-numbers?tenant_id={tenant}"), json!({ "number": "+12025550100" })));
    all.push(("/v1/keys".into(), json!({ "name": "x", "tenant_id": tenant })));
    let agent = json!({ "first_name": "Ada", "last_name": "L", "email": "ada@acme.test" });
    all.push((format!("/v1/admin/agents?tenant_id={tenant}"), agent));
    for (path, body) in all {
        let answer = node.api("POST", &path, body).await;
        // Some check the body first.
        assert!(matches!(answer.status, 404 | 422), "{path}: {} {}", answer.status, answer.text());
    }
    let reserved = format!("/v1/tenants/{tenant}/reserved-numbers");
    let answer = node.api("POST", &reserved, json!({ "number": "1000", "reason": "the lift" })).await;
    assert_eq!((answer.status, &answer.json()["code"]), (404, &json!("not_found")), "{}", answer.text());
    node.stop().await;
}
