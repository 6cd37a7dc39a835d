//! Conflicts say what is in the way, to whoever may see it.

use serde_json::{Value, json};

use crate::harness::{Database, Node};

#[actix_web::test]
async fn a_conflict_lists_what_is_in_the_way() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let made = async |path: &str, new: Value| {
        let answer = node.api("POST", path, new).await;
        assert_eq!(answer.status, 201, "{path}: {}", answer.text());
        answer.id()
    };
    let cluster = made("/v1/clusters", json!({ "name": "East", "region": "eu", "max_tenants": 30 })).await;
    let switch = made("/v1/switches", json!({ "name": "fs-east", "cluster_id": cluster })).await;
    let tenant = made("/v1/tenants", json!({ "domain": "acme.test", "cluster_id": cluster })).await;
    let of = |what: &str| format!("/v1/tenants/{tenant}/{what}");
    let extension = made(&of("extensions"), json!({ "number": "1000" })).await;
    let group = made(&of("groups"), json!({ "name": "Sales" })).await;
    let number = made(&format!("/v1/phone-numbers?tenant_id={tenant}"), json!({ "number": "+12025550101" })).await;
    let refused = async |method: &str, path: &str, body: Value| {
        let answer = node.api(method, path, body).await;
        assert_eq!(answer.status, 409, "{path}: {}", answer.text());
        (answer.json()["code"].as_str().unwrap().to_owned(), answer.json()["used_by"].clone())
    };
    let used = |kind: &str, id: uuid::Uuid, name: &str| json!({ "kind": kind, "id": id, "name": name });

    let (code, ways) = refused("DELETE", &format!("/v1/clusters/{cluster}"), Value::Null).await;
    assert_eq!(code, "cluster_in_use");
    assert_eq!(ways, json!([used("switch", switch, "fs-east"), used("tenant", tenant, "acme.test")]));

    let (code, ways) = refused("DELETE", &format!("/v1/tenants/{tenant}"), Value::Null).await;
    assert_eq!(code, "tenant_in_use");
    let parts =
        [used("extension", extension, "1000"), used("group", group, "Sales"), used("number", number, "+12025550101")];
    assert_eq!(ways, json!(parts));

    let agent =
        |first: &str| json!({ "first_name": first, "last_name": "Lovelace", "email": format!("{first}@acme.test") });
    let agents = format!("/v1/admin/agents?tenant_id={tenant}");
    let (ada, eve) = (made(&agents, agent("Ada")).await, made(&agents, agent("Eve")).await);
    let path = |what: &str| format!("/v1/phone-numbers/{number}{what}?tenant_id={tenant}");
    assert_eq!(node.api("POST", &path("/assign"), json!({ "agent_id": ada })).await.status, 200);
    let (code, ways) = refused("POST", &path("/assign"), json!({ "agent_id": eve })).await;
    assert_eq!((code.as_str(), &ways), ("number_of_another", &json!([used("agent", ada, "Ada Lovelace")])));
    let (code, ways) = refused("DELETE", &path(""), Value::Null).await;
    assert_eq!((code.as_str(), &ways), ("number_assigned", &json!([used("agent", ada, "Ada Lovelace")])));
    node.stop().await;
}

/// Of thousands, only the first are named; their number is in the parameters.
#[actix_web::test]
async fn of_many_that_are_in_the_way_some_are_named_and_all_are_counted() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    for number in 1000..1025 {
        node.extension(tenant, json!({ "number": number.to_string() })).await;
    }
    let refused = node.api("DELETE", &format!("/v1/tenants/{tenant}"), Value::Null).await.json();
    assert_eq!(refused["params"]["extensions"], "25");
    let named = refused["used_by"].as_array().unwrap();
    assert_eq!((named.len(), &named[0]["name"]), (20, &json!("1000")));
    node.stop().await;
}

#[actix_web::test]
async fn nobody_learns_what_of_another_tenant_is_in_the_way() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (ours, theirs) = (node.tenant("ours.test").await, node.tenant("theirs.test").await);
    let number = json!({ "number": "+12025550101" });
    assert_eq!(node.api("POST", &format!("/v1/phone-numbers?tenant_id={theirs}"), number.clone()).await.status, 201);
    let key = json!({ "name": "ours", "tenant_id": ours, "scopes": ["*"] });
    let key = node.makes("/v1/keys", key).await.json()["token"].as_str().unwrap().to_owned();
    let refused = node.api_with("POST", "/v1/phone-numbers", &[("X-API-Key", &key)], number).await;
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("number_taken")), "{}", refused.text());
    assert!(refused.json().get("used_by").is_none(), "{}", refused.text());
    let text = refused.text();
    assert!(!text.contains(&theirs.to_string()) && !text.contains("theirs"), "{text}");
    node.stop().await;
}
