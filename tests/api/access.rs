//! Who may do what.

use dialplane::tenancy::auth::rules::{self, Rule};
use serde_json::{Value, json};

use crate::harness::{Database, Node, send};

#[actix_web::test]
async fn without_a_good_key_nothing_is_told() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let past = json!({ "name": "old", "expires_at": "2020-01-01T00:00:00Z" });
    let expired = node.api("POST", "/v1/keys", past).await.json()["token"].as_str().unwrap().to_owned();
    for headers in [
        vec![],
        vec![("X-API-Key", "dpk_wrong")],
        vec![("X-API-Key", expired.as_str())],
        vec![("Authorization", "Basic eDp5")],
    ] {
        for (method, path) in
            [("GET", "/v1/tenants"), ("POST", "/v1/tenants"), ("GET", "/v1/keys"), ("DELETE", "/v1/switches/x")]
        {
            let answer = node.api_with(method, path, &headers, Value::Null).await;
            assert!(
                answer.status == 401 || (answer.status == 404 && path.ends_with("/x")),
                "{method} {path}: {}",
                answer.text()
            );
            if answer.status == 401 {
                assert_eq!(answer.header("Content-Type"), Some("application/problem+json"));
                assert!(answer.header("WWW-Authenticate").is_some());
            }
        }
    }
    let bearer = format!("Bearer {}", node.key);
    let answer = node.api_with("GET", "/v1/tenants", &[("Authorization", bearer.as_str())], Value::Null).await;
    assert_eq!(answer.status, 200);
    for header in ["x-content-type-options", "content-security-policy", "referrer-policy", "cache-control"] {
        assert!(answer.header(header).is_some(), "{header}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn a_tenants_key_sees_its_tenant_and_nothing_else() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (own, other) = (node.tenant("own.test").await, node.tenant("other.test").await);
    let theirs = node.extension(other, json!({ "number": "1000" })).await["id"].as_str().unwrap().to_owned();
    let key = node.api("POST", "/v1/keys", json!({ "name": "own", "tenant_id": own })).await.json();
    let headers = [("X-API-Key", key["token"].as_str().unwrap())];
    let listed = node.api_with("GET", "/v1/tenants", &headers, Value::Null).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["domain"], "own.test");
    let mine =
        node.api_with("POST", &format!("/v1/tenants/{own}/extensions"), &headers, json!({ "number": "1000" })).await;
    assert_eq!(mine.status, 201);
    for collection in ["extensions", "groups", "destinations", "dialplan-entries"] {
        let path = format!("/v1/tenants/{other}/{collection}");
        assert_eq!(node.api_with("GET", &path, &headers, Value::Null).await.status, 404, "{path}");
        let new = json!({ "number": "1001", "name": "x" });
        assert_eq!(node.api_with("POST", &path, &headers, new).await.status, 404, "{path}");
        for method in ["GET", "PATCH", "DELETE"] {
            let path = format!("{path}/{theirs}");
            assert_eq!(node.api_with(method, &path, &headers, json!({})).await.status, 404, "{method} {path}");
            // Naming the other tenant's id in the own tenant's path doesn't help.
            let path = format!("/v1/tenants/{own}/{collection}/{theirs}");
            assert_eq!(node.api_with(method, &path, &headers, json!({})).await.status, 404, "{method} {path}");
        }
    }
    assert_eq!(node.api_with("GET", &format!("/v1/tenants/{other}"), &headers, Value::Null).await.status, 404);
    for (method, path) in [
        ("POST", "/v1/tenants".to_owned()),
        ("PATCH", format!("/v1/tenants/{own}")),
        ("DELETE", format!("/v1/tenants/{own}")),
        ("GET", "/v1/switches".into()),
        ("POST", "/v1/switches".into()),
        ("GET", "/v1/clusters".into()),
        ("POST", "/v1/templates".into()),
    ] {
        assert_eq!(node.api_with(method, &path, &headers, json!({})).await.status, 403, "{method} {path}");
    }
    let path = format!("/v1/keys/{}", key["id"].as_str().unwrap());
    assert_eq!(node.api("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(node.api_with("GET", "/v1/tenants", &headers, Value::Null).await.status, 401);
    node.stop().await;
}

#[actix_web::test]
async fn a_switchs_token_works_until_it_is_replaced_disabled_or_deleted() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let ask = async |name: &str, token: &Value| {
        let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{}", token.as_str().unwrap())));
        send(node.app.switch_address, "POST", "/fs/xml", &[("Authorization", &basic)], b"section=x").await.status
    };
    let made = node.api("POST", "/v1/switches", json!({ "name": "fs7" })).await.json();
    let path = format!("/v1/switches/{}", made["id"].as_str().unwrap());
    assert_eq!(ask("fs7", &made["token"]).await, 200);
    let renewed = node.api("PATCH", &path, json!({ "new_token": true })).await.json();
    assert_eq!(ask("fs7", &made["token"]).await, 401);
    assert_eq!(ask("fs7", &renewed["token"]).await, 200);
    node.api("PATCH", &path, json!({ "status": "disabled" })).await;
    assert_eq!(ask("fs7", &renewed["token"]).await, 401);
    node.api("PATCH", &path, json!({ "status": "active" })).await;
    assert_eq!(ask("fs7", &renewed["token"]).await, 200);
    node.api("DELETE", &path, Value::Null).await;
    assert_eq!(ask("fs7", &renewed["token"]).await, 401);
    node.stop().await;
}

/// Every `$ref` in a document, with its place.
fn references(value: &Value, at: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(to) if name == "$ref" => found.push((at.to_owned(), to.to_owned())),
                    _ => references(value, &format!("{at}/{name}"), found),
                }
            }
        }
        Value::Array(values) => {
            for (n, value) in values.iter().enumerate() {
                references(value, &format!("{at}/{n}"), found);
            }
        }
        _ => {}
    }
}

#[actix_web::test]
async fn every_reference_of_the_description_leads_somewhere() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let described = send(node.app.app_address, "GET", "/openapi.json", &[], b"").await.json();
    let mut found = Vec::new();
    references(&described, "", &mut found);
    assert!(found.len() > 200, "{}", found.len());
    let is_lost = |to: &str| to.strip_prefix('#').is_none_or(|pointer| described.pointer(pointer).is_none());
    let lost = found.iter().filter(|(_, to)| is_lost(to)).collect::<Vec<_>>();
    assert!(lost.is_empty(), "{lost:#?}");
    node.stop().await;
}

#[actix_web::test]
async fn the_description_names_every_route_and_asks_for_a_key() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let described = send(node.app.app_address, "GET", "/openapi.json", &[], b"").await.json();
    assert!(described["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut operations = 0;
    for (path, item) in described["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let real = path
                .split('/')
                .map(|part| if part.starts_with('{') { uuid::Uuid::nil().to_string() } else { part.into() });
            let real = real.collect::<Vec<_>>().join("/");
            let method = method.to_uppercase();
            let rule = rules::RULES.iter().find(|(m, p, _)| *m == method && p == path);
            let (_, _, rule) = rule.unwrap_or_else(|| panic!("{method} {path} has no rule in auth/rules.rs"));
            let answer = send(node.app.app_address, &method, &real, &[], b"{}").await;
            if *rule == Rule::Anyone {
                // A GET is shown its query.
                let refused = if method == "GET" { 400 } else { 422 };
                assert_eq!(answer.status, refused, "{method} {path} reads what it is shown: {}", answer.text());
            } else {
                assert_eq!(answer.status, 401, "{method} {path} is there, and not for everybody: {}", answer.text());
            }
            operations += 1;
        }
    }
    assert_eq!(operations, rules::RULES.len(), "every rule has its route");
    for path in ["/healthz", "/readyz", "/readyz/switches", "/readyz/people"] {
        assert_eq!(send(node.app.app_address, "GET", path, &[], b"").await.status, 200, "{path}");
    }
    for (path, status) in [("/metrics", 401)] {
        assert_eq!(send(node.app.app_address, "GET", path, &[], b"").await.status, status, "{path}");
    }
    let nothing = send(node.app.app_address, "GET", "/nothing/here", &[], b"").await;
    assert_eq!((nothing.status, nothing.header("Content-Type")), (404, Some("application/problem+json")));
    node.stop().await;
}

#[actix_web::test]
async fn a_key_can_read_who_it_is_and_nothing_else_of_an_account() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let new = json!({ "name": "sync", "tenant_id": tenant, "scopes": ["groups:read"] });
    let made = node.api("POST", "/v1/keys", new).await.json();
    let token = made["token"].as_str().unwrap();
    let headers = [("X-API-Key", token)];
    let me = node.api_with("GET", "/v1/auth/me", &headers, Value::Null).await;
    assert_eq!(me.status, 200, "{}", me.text());
    let me = me.json();
    assert_eq!((&me["key"]["id"], &me["key"]["scopes"]), (&made["id"], &json!(["groups:read"])));
    assert_eq!((&me["tenant"]["domain"], &me["user"]), (&json!("acme.test"), &Value::Null));
    assert_eq!(me["extensions"], json!([]));
    assert!(!me.to_string().contains(token), "the key is not shown again");
    for path in ["logout", "change-password", "two-factor", "two-factor/confirm", "two-factor/disable"] {
        let body = json!({ "old_password": "a", "password": "b", "code": "1" });
        let body = match path {
            "change-password" => json!({ "old_password": body["old_password"], "password": "another long phrase 8" }),
            "two-factor/confirm" => json!({ "code": "123456" }),
            "two-factor/disable" => json!({ "password": "x" }),
            _ => Value::Null,
        };
        let refused = node.api_with("POST", &format!("/v1/auth/{path}"), &headers, body).await;
        assert_eq!(refused.status, 403, "{path}: {}", refused.text());
    }
    let of_the_platform = node.api("GET", "/v1/auth/me", Value::Null).await.json();
    assert_eq!((&of_the_platform["tenant"], &of_the_platform["roles"]), (&Value::Null, &json!(["platform_admin"])));
    node.stop().await;
}

#[actix_web::test]
async fn pages_of_the_origins_that_a_key_names_can_use_it_and_no_others() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let (named, other) = ("https://crm.example", "https://evil.example");
    let new = json!({ "name": "crm", "tenant_id": tenant, "scopes": ["groups:read"], "origins": [named] });
    let key = node.api("POST", "/v1/keys", new).await.json();
    let second = json!({ "name": "plain", "tenant_id": tenant, "scopes": ["groups:read"] });
    let second = node.api("POST", "/v1/keys", second).await.json();
    let path = format!("/v1/tenants/{tenant}/groups");
    let allowed = |answer: &crate::harness::Answer| answer.header("Access-Control-Allow-Origin").map(ToOwned::to_owned);
    let question = async |origin: &str| {
        let headers = [("Origin", origin), ("Access-Control-Request-Method", "GET")];
        send(node.app.app_address, "OPTIONS", &path, &headers, b"").await
    };
    let asked = question(named).await;
    assert_eq!((asked.status, allowed(&asked).as_deref()), (204, Some(named)));
    assert!(asked.header("Access-Control-Allow-Headers").unwrap().contains("X-API-Key"));
    assert_eq!(asked.header("Access-Control-Allow-Credentials"), None, "cookies are never for other sites");
    for stranger in [other, "null", "https://crm.example.evil.example", ""] {
        let asked = question(stranger).await;
        assert_eq!(allowed(&asked), None, "{stranger}");
    }
    let read = async |token: &Value, origin: &str| {
        let headers = [("X-API-Key", token.as_str().unwrap()), ("Origin", origin)];
        let answer = node.api_with("GET", &path, &headers, Value::Null).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.header("Vary").is_some_and(|vary| vary.contains("Origin")));
        allowed(&answer)
    };
    assert_eq!(read(&key["token"], named).await.as_deref(), Some(named));
    assert_eq!(read(&key["token"], other).await, None);
    assert_eq!(read(&second["token"], named).await, None, "another key is not for that page");
    for wrong in ["*", "http://crm.example", "https://crm.example/"] {
        let refused = node.api("POST", "/v1/keys", json!({ "name": "x", "origins": [wrong] })).await;
        assert_eq!((refused.status, &refused.json()["field"]), (422, &json!("origins[0]")), "{wrong}");
    }
    let id = key["id"].as_str().unwrap();
    let emptied = node.api("PATCH", &format!("/v1/keys/{id}"), json!({ "origins": [] })).await;
    assert_eq!(emptied.status, 200);
    assert_eq!(allowed(&question(named).await), None);
    node.stop().await;
}
