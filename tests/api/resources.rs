//! Creating, reading, changing and deleting each kind of thing.

use serde_json::{Value, json};

use crate::harness::{Database, Node, call_form};

#[actix_web::test]
async fn every_resource_is_created_shown_listed_changed_and_deleted() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let extension = node.extension(tenant, json!({ "number": "1000" })).await["id"].clone();
    let below = format!("/v1/tenants/{tenant}");
    for (collection, new, change, field) in [
        ("/v1/tenants".to_owned(), json!({ "domain": "beta.test", "name": "Beta" }), json!({ "name": "B" }), "name"),
        (format!("{below}/extensions"), json!({ "number": "1001" }), json!({ "display_name": "Ada" }), "display_name"),
        (
            format!("{below}/groups"),
            json!({ "name": "sales", "members": [extension] }),
            json!({ "ring_seconds": 40 }),
            "ring_seconds",
        ),
        (
            format!("/v1/phone-numbers?tenant_id={tenant}"),
            json!({ "number": "+12025550100" }),
            json!({ "destination": { "kind": "extension", "id": extension } }),
            "destination",
        ),
        ("/v1/switches".to_owned(), json!({ "name": "fs9" }), json!({ "status": "disabled" }), "status"),
        ("/v1/keys".to_owned(), json!({ "name": "script" }), json!({ "name": "other" }), "name"),
    ] {
        let created = node.api("POST", &collection, new).await;
        assert_eq!(created.status, 201, "{collection}: {}", created.text());
        assert_eq!(created.header("Dialplane-Visible"), Some("1/1"));
        let path = created.header("Location").unwrap().to_owned();
        assert!(path.starts_with(collection.split('?').next().unwrap()), "{path}");
        let etag = created.header("ETag").unwrap().to_owned();
        assert_eq!(etag, "\"v1\"");

        let shown = node.api("GET", &path, Value::Null).await;
        assert_eq!((shown.status, shown.header("ETag")), (200, Some(etag.as_str())), "{path}");
        for secret in ["sip_password", "voicemail_pin", "token"] {
            assert!(shown.json().get(secret).is_none(), "{secret} is shown once only");
        }
        let listed = node.api("GET", &collection, Value::Null).await.json();
        assert!(listed["items"].as_array().unwrap().contains(&shown.json()), "{listed}");

        let headers = [("X-API-Key", node.key.as_str()), ("If-Match", etag.as_str())];
        let changed = node.api_with("PATCH", &path, &headers, change.clone()).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        assert_eq!(changed.json()[field], change[field]);
        assert_eq!(changed.header("ETag"), Some("\"v2\""));
        let again = node.api_with("PATCH", &path, &headers, change).await;
        assert_eq!(again.status, 412, "an outdated version: {}", again.text());

        // A tenant is deleted in two steps, unless it is purged at once.
        let gone = if collection == "/v1/tenants" { format!("{path}?purge=now") } else { path.clone() };
        assert_eq!(node.api("DELETE", &gone, Value::Null).await.status, 204, "{path}");
        assert_eq!(node.api("GET", &path, Value::Null).await.status, 404);
        assert_eq!(node.api("DELETE", &gone, Value::Null).await.status, 404);
    }
    node.stop().await;
}

#[actix_web::test]
async fn one_of_twenty_creates_of_a_number_wins_and_the_others_hear_of_it() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let path = format!("/v1/tenants/{tenant}/extensions");
    let creates = (0..20).map(|_| node.api("POST", &path, json!({ "number": "1000" })));
    let answers = futures_util::future::join_all(creates).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(created, 1);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(refused.status, 409, "{}", refused.text());
        assert!(refused.json()["detail"].as_str().unwrap().contains("1000 is already in use"), "{}", refused.text());
    }
    // There is one namespace, so an alias, a username or a group can't take it either.
    for new in [json!({ "number": "1001", "alias": "1000" }), json!({ "number": "1001", "sip_username": "1000" })] {
        assert_eq!(node.api("POST", &path, new).await.status, 409);
    }
    let group = json!({ "name": "sales", "number": "1000" });
    assert_eq!(node.api("POST", &format!("/v1/tenants/{tenant}/groups"), group).await.status, 409);
    node.stop().await;
}

#[actix_web::test]
async fn a_tenant_with_belongings_is_deleted_only_with_cascade_and_leaves_nothing() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let extension = node.extension(tenant, json!({ "number": "1000" })).await["id"].clone();
    node.api("POST", &format!("/v1/tenants/{tenant}/groups"), json!({ "name": "sales", "members": [extension] })).await;
    let number = json!({ "number": "+12025550100", "destination": { "kind": "extension", "id": extension } });
    node.api("POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), number).await;

    let refused = node.api("DELETE", &format!("/v1/tenants/{tenant}"), Value::Null).await;
    assert_eq!(refused.status, 409);
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("1 extensions, 1 groups and 1 numbers") && detail.contains("?cascade=true"), "{detail}");
    assert!(node.sign_in("1000", "acme.test").await.text().contains("<user "), "nothing is half done");

    // First it is suspended, and the deletion can be undone.
    let going = node.api("DELETE", &format!("/v1/tenants/{tenant}?cascade=true"), Value::Null).await;
    assert_eq!((going.status, &going.json()["status"]), (200, &json!("suspended")), "{}", going.text());
    assert!(going.json()["purge_at"].is_string());
    assert!(!node.sign_in("1000", "acme.test").await.text().contains("<user "));
    let back = node.api("PATCH", &format!("/v1/tenants/{tenant}"), json!({ "status": "active" })).await.json();
    assert_eq!((&back["status"], &back["purge_at"]), (&json!("active"), &Value::Null));
    assert!(node.sign_in("1000", "acme.test").await.text().contains("<user "));

    assert_eq!(
        node.api("DELETE", &format!("/v1/tenants/{tenant}?cascade=true&purge=now"), Value::Null).await.status,
        204
    );
    assert!(node.sign_in("1000", "acme.test").await.text().contains("not found"));
    assert!(node.fetch(&call_form("%2B12025550100", "public")).await.text().contains("UNALLOCATED"));
    let mut db = database.connect().await;
    for table in [
        "extensions",
        "groups",
        "group_members",
        "names",
        "numbers",
        "users",
        "extension_pools",
        "number_requests",
        "channels",
    ] {
        let count = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(format!(
            "select count(*) from {table} where tenant_id = $1"
        )));
        assert_eq!(count.bind(tenant).fetch_one(&mut db).await.unwrap(), 0, "{table}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn what_a_number_leads_to_is_not_deleted_under_it_and_belongs_to_the_tenant() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (acme, beta) = (node.tenant("acme.test").await, node.tenant("beta.test").await);
    let ours = node.extension(acme, json!({ "number": "1000" })).await["id"].clone();
    let theirs = node.extension(beta, json!({ "number": "1000" })).await["id"].clone();
    let numbers = format!("/v1/phone-numbers?tenant_id={acme}");
    let to = |id: &Value| json!({ "number": "+12025550100", "destination": { "kind": "extension", "id": id } });
    let foreign = node.api("POST", &numbers, to(&theirs)).await;
    assert_eq!((foreign.status, &foreign.json()["field"]), (422, &json!("destination")));
    assert_eq!(node.api("POST", &numbers, to(&ours)).await.status, 201);
    let taken = node.api("POST", &format!("/v1/phone-numbers?tenant_id={beta}"), to(&theirs)).await;
    assert_eq!(taken.status, 409);
    assert!(!taken.text().contains(&acme.to_string()), "whose it is, is nobody else's business");
    let path = format!("/v1/tenants/{acme}/extensions/{}", ours.as_str().unwrap());
    let refused = node.api("DELETE", &path, Value::Null).await;
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("+12025550100"), "{}", refused.text());
    node.stop().await;
}

#[actix_web::test]
async fn secrets_are_sealed_in_the_database_and_absent_from_the_audit_log() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let created = node.extension(tenant, json!({ "number": "1000" })).await;
    let path = format!("/v1/tenants/{tenant}/extensions/{}", created["id"].as_str().unwrap());
    let new = json!({ "sip_password": "a-new-password-42", "voicemail_pin": "802411" });
    assert_eq!(node.api("PATCH", &path, new).await.status, 200);
    let mut db = database.connect().await;
    let dump = sqlx::query_scalar::<_, String>(
        "select coalesce(string_agg(encode(convert_to(a::text, 'UTF8'), 'escape'), ''), '') || (select string_agg(e::text, '') from extensions e)
           || (select string_agg(encode(sip_secret, 'escape'), '') from extensions) from audit_log a",
    );
    let dump = dump.fetch_one(&mut db).await.unwrap();
    for secret in [
        created["sip_password"].as_str().unwrap(),
        created["voicemail_pin"].as_str().unwrap(),
        "a-new-password-42",
        "802411",
    ] {
        assert!(!dump.contains(secret), "{secret} in {dump}");
    }
    assert!(dump.contains("(changed)"), "that it changed is written down");
    let entries = sqlx::query_scalar::<_, i64>("select count(*) from audit_log where tenant_id = $1");
    assert_eq!(entries.bind(tenant).fetch_one(&mut db).await.unwrap(), 4, "tenant, pool, extension, change");
    node.stop().await;
}

#[actix_web::test]
async fn pages_of_a_list_have_every_item_once() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    for number in 1000..1025 {
        node.extension(tenant, json!({ "number": number.to_string() })).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page =
            node.api("GET", &format!("/v1/tenants/{tenant}/extensions?limit=10{cursor}"), Value::Null).await.json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["number"].as_str().unwrap().to_owned()));
        match page.get("next_cursor") {
            Some(next) => cursor = format!("&cursor={}", next.as_str().unwrap()),
            None => break,
        }
    }
    assert_eq!(seen, (1000..1025).map(|n| n.to_string()).collect::<Vec<_>>());
    for wrong in ["limit=0", "limit=501", "limit=x", "cursor=nonsense"] {
        let answer = node.api("GET", &format!("/v1/tenants/{tenant}/extensions?{wrong}"), Value::Null).await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.text());
    }
    node.stop().await;
}
