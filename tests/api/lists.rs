//! Lists: in which order, and which members of each item.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Database, Node, send};

/// All items of a list, read in pages of two.
async fn all(node: &Node, path: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    let and = if path.contains('?') { '&' } else { '?' };
    loop {
        let answer = node.api("GET", &format!("{path}{and}limit=2{cursor}"), Value::Null).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        found.extend(answer.items().as_array().unwrap().iter().cloned());
        match answer.json().get("next_cursor") {
            Some(next) => cursor = format!("&cursor={}", next.as_str().unwrap()),
            None => return found,
        }
    }
}

/// A tenant with things whose order differs from that in which they are made.
async fn company(node: &Node) -> Uuid {
    let tenant = node.tenant("acme.test").await;
    for (number, name) in [("3000", "bob"), ("200", "Ada"), ("1000", "ada"), ("20", "Zoe"), ("1001", "Ünal")] {
        node.extension(tenant, json!({ "number": number, "display_name": name })).await;
    }
    for (first, last, email) in [
        ("Grace", "Hopper", "h@acme.test"),
        ("Ada", "Lovelace", "Z@acme.test"),
        ("Bob", "Hopper", "a@acme.test"),
        ("Änne", "Burda", "b@acme.test"),
        ("Ada", "Lovelace", "c@acme.test"),
    ] {
        let agent = json!({ "first_name": first, "last_name": last, "email": email });
        let made = node.api("POST", &format!("/v1/admin/agents?tenant_id={tenant}"), agent).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    for number in ["+12025550103", "+12025550101", "+4930123456", "+12025550102"] {
        let made =
            node.api("POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), json!({ "number": number })).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    for name in ["Smith", "adams", "Öztürk", "Adams", "Brown"] {
        let made = node.api("POST", &format!("/v1/contacts?tenant_id={tenant}"), json!({ "name": name })).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    tenant
}

#[actix_web::test]
async fn a_sorted_list_has_every_item_once_in_its_order_and_in_the_other() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = company(&node).await;
    let of = |what: &str| format!("/v1/{what}?tenant_id={tenant}");
    let lists = [
        (format!("/v1/tenants/{tenant}/extensions"), vec!["number", "display_name"]),
        (of("admin/agents"), vec!["name", "email"]),
        (of("phone-numbers"), vec!["number"]),
        (of("contacts"), vec!["name"]),
    ];
    for (list, sorts) in &lists {
        let plain = all(&node, list).await;
        let and = if list.contains('?') { '&' } else { '?' };
        let mut newest_first = all(&node, &format!("{list}{and}sort=-created_at")).await;
        assert_eq!(all(&node, &format!("{list}{and}sort=created_at")).await, plain, "{list}");
        newest_first.reverse();
        assert_eq!(newest_first, plain, "{list}");
        for by in sorts {
            let up = all(&node, &format!("{list}{and}sort={by}")).await;
            let mut down = all(&node, &format!("{list}{and}sort=-{by}")).await;
            down.reverse();
            assert_eq!(up, down, "{list} by {by}");
            assert_eq!(up.len(), plain.len(), "{list} by {by}");
            assert!(plain.iter().all(|item| up.contains(item)), "{list} by {by}");
            assert_ne!(up, plain, "{list} by {by}");
        }
    }
    let names = async |list: &str, member: &str| {
        let items = all(&node, list).await;
        items.iter().map(|item| item[member].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let numbers = names(&format!("{}?sort=number", lists[0].0), "number").await;
    // Those of the agents come from the pool, from its first number on.
    let mut sorted = numbers.clone();
    sorted.sort_by_key(|number| (number.len(), number.clone()));
    assert_eq!((numbers.clone(), &numbers[..2]), (sorted, &["20".to_owned(), "200".to_owned()][..]));
    let people = all(&node, &format!("{}&sort=name", lists[1].0)).await;
    let people = people.iter().map(|one| format!("{} {}", one["last_name"], one["first_name"]).replace('"', ""));
    let people = people.collect::<Vec<_>>();
    assert_eq!(people, ["Burda Änne", "Hopper Bob", "Hopper Grace", "Lovelace Ada", "Lovelace Ada"]);
    assert_eq!(names(&format!("{}&sort=number", lists[2].0), "number").await[3], "+4930123456");
    assert_eq!(names(&format!("{}&sort=name", lists[3].0), "name").await[..3], ["adams", "Adams", "Brown"]);
    node.stop().await;
}

/// Things of each further kind, whose order differs from that in which they are made.
async fn further(node: &Node, tenant: Uuid) -> Vec<(String, Vec<&'static str>)> {
    let of = |what: &str| format!("/v1/tenants/{tenant}/{what}");
    let make = async |path: &str, things: Vec<Value>| {
        for thing in things {
            let made = node.api("POST", path, thing).await;
            assert_eq!(made.status, 201, "{path}: {}", made.text());
        }
    };
    let names = ["sales", "Adams", "ÖTV", "billing", "Zoo"];
    let tenants = [("zoo.test", "b"), ("Ant.test", "C"), ("bee.test", "a")];
    let tenants = tenants.map(|(domain, name)| json!({ "domain": domain, "name": name }));
    make("/v1/tenants", tenants.to_vec()).await;
    let cluster = |name: &str| json!({ "name": name, "region": "x", "max_tenants": 5 });
    make("/v1/clusters", names.map(cluster).to_vec()).await;
    make("/v1/switches", ["s3", "s1", "s2"].map(|name| json!({ "name": name })).to_vec()).await;
    make("/v1/keys", names.map(|name| json!({ "name": name, "tenant_id": tenant })).to_vec()).await;
    let priorities = [("b", 10), ("C", -7), ("a", 9), ("D", 10)];
    let carrier = |(name, priority): (&str, i32)| json!({ "name": name, "priority": priority, "config": { "host": "127.0.0.1:5999" } });
    make("/v1/carriers", priorities.map(carrier).to_vec()).await;
    let ranges = [(70_000, 70_009), (5000, 5009), (60_000, 60_009)];
    let pool = |(first, last): (i64, i64)| json!({ "first_number": first, "last_number": last });
    make(&of("pools"), ranges.map(pool).to_vec()).await;
    let numbers = [Some("80"), None, Some("95"), Some("100"), None];
    let group = |(name, number): (&str, Option<&str>)| json!({ "name": name, "number": number });
    make(&of("groups"), names.into_iter().zip(numbers).map(group).collect()).await;
    let numbers = [Some("81"), None, Some("85"), Some("101"), None];
    let kinds = ["queue", "conference", "queue", "conference", "queue"];
    let destination = |((name, number), kind): ((&str, Option<&str>), &str)| json!({ "name": name, "number": number, "kind": kind, "config": {} });
    make(&of("destinations"), names.into_iter().zip(numbers).zip(kinds).map(destination).collect()).await;
    let entry = |(name, position): (&str, i32)| {
        json!({ "name": name, "position": position, "conditions": [{ "field": "destination_number", "pattern": "^4711$",
                "actions": [{ "application": "answer" }] }] })
    };
    make(&of("dialplan-entries"), [("c", 10), ("A", -3), ("b", 9)].map(entry).to_vec()).await;
    vec![
        ("/v1/tenants".into(), vec!["name", "domain"]),
        ("/v1/clusters".into(), vec!["name"]),
        ("/v1/switches".into(), vec!["name"]),
        ("/v1/keys".into(), vec!["name"]),
        ("/v1/carriers".into(), vec!["name", "priority"]),
        (of("pools"), vec!["first_number"]),
        (of("groups"), vec!["name", "number"]),
        (of("destinations"), vec!["name", "number", "kind"]),
        (of("dialplan-entries"), vec!["name", "position"]),
    ]
}

#[actix_web::test]
async fn every_list_of_what_people_set_up_can_be_sorted() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    // Numbers count as numbers, and letters whatever their case.
    let key = |item: &Value, by: &str| match &item[by] {
        Value::Number(number) => (0, number.as_i64().unwrap(), String::new()),
        Value::String(text) if by == "number" => (1, text.parse().unwrap(), String::new()),
        Value::String(text) => (1, 0, text.to_lowercase()),
        _ => (0, 0, String::new()),
    };
    for (list, sorts) in further(&node, tenant).await {
        let plain = all(&node, &list).await;
        assert!(plain.len() >= 3, "{list}: {}", plain.len());
        let mut newest_first = all(&node, &format!("{list}?sort=-created_at")).await;
        newest_first.reverse();
        assert_eq!(newest_first, plain, "{list}");
        for by in sorts {
            let up = all(&node, &format!("{list}?sort={by}")).await;
            let mut down = all(&node, &format!("{list}?sort=-{by}")).await;
            down.reverse();
            assert_eq!(up, down, "{list} by {by}");
            assert_eq!(up.len(), plain.len(), "{list} by {by}");
            assert!(plain.iter().all(|item| up.contains(item)), "{list} by {by}");
            let keys = up.iter().map(|item| key(item, by)).collect::<Vec<_>>();
            assert!(keys.is_sorted(), "{list} by {by}: {keys:?}");
            assert_ne!(up, plain, "{list} by {by}");
        }
        let refused = node.api("GET", &format!("{list}?sort=colour"), Value::Null).await;
        assert_eq!((refused.status, &refused.json()["field"]), (400, &json!("sort")), "{list}");
        // A made-up key is one that nothing has, and no fault.
        let cursor = "WyJuYW1lIiwieCIsIjAxOTNlYjg0LTAwMDAtNzAwMC04MDAwLTAwMDAwMDAwMDAwMCJd";
        let beyond = node.api("GET", &format!("{list}?sort=name&cursor={cursor}"), Value::Null).await;
        assert!([200, 400].contains(&beyond.status), "{list}: {}", beyond.text());
    }
    node.stop().await;
}

#[actix_web::test]
async fn an_order_that_a_list_does_not_have_and_a_cursor_of_another_are_refused() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = company(&node).await;
    let list = format!("/v1/tenants/{tenant}/extensions");
    let refused = node.api("GET", &format!("{list}?sort=colour"), Value::Null).await;
    assert_eq!((refused.status, &refused.json()["field"]), (400, &json!("sort")));
    let known = refused.json()["params"]["known"].clone();
    assert_eq!(known, "created_at, -created_at, number, -number, display_name, -display_name");
    let next = node.api("GET", &format!("{list}?limit=2&sort=number"), Value::Null).await.json();
    let next = next["next_cursor"].as_str().unwrap();
    for (sort, status) in
        [("number", 200), ("-number", 400), ("display_name", 400), ("created_at", 400), ("-created_at", 400)]
    {
        let answer = node.api("GET", &format!("{list}?limit=2&sort={sort}&cursor={next}"), Value::Null).await;
        assert_eq!(answer.status, status, "{sort}: {}", answer.text());
    }
    assert_eq!(node.api("GET", &format!("{list}?cursor={next}"), Value::Null).await.status, 400);
    node.stop().await;
}

#[actix_web::test]
async fn a_list_shows_the_members_that_are_asked_for_and_no_others() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = company(&node).await;
    for list in [
        "/v1/tenants".to_owned(),
        "/v1/clusters".into(),
        "/v1/keys".into(),
        "/v1/audit".into(),
        format!("/v1/tenants/{tenant}/extensions"),
        format!("/v1/admin/agents?tenant_id={tenant}"),
        format!("/v1/phone-numbers?tenant_id={tenant}"),
        format!("/v1/contacts?tenant_id={tenant}"),
    ] {
        let and = if list.contains('?') { '&' } else { '?' };
        let answer = node.api("GET", &format!("{list}{and}limit=1&fields=id,created_at"), Value::Null).await;
        if list == "/v1/audit" {
            assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("unknown_member")), "{}", answer.text());
            continue;
        }
        assert_eq!(answer.status, 200, "{list}: {}", answer.text());
        let whole = node.api("GET", &format!("{list}{and}limit=1"), Value::Null).await.json();
        let item = &whole["items"][0];
        let expected = json!({ "id": item["id"], "created_at": item["created_at"] });
        assert_eq!(answer.json()["items"][0], expected, "{list}");
        assert_eq!(answer.json()["next_cursor"], whole["next_cursor"], "{list}");
        let refused = node.api("GET", &format!("{list}{and}fields=id,colour"), Value::Null).await;
        assert_eq!((refused.status, &refused.json()["field"]), (400, &json!("fields")), "{list}");
        let known = refused.json()["params"]["known"].as_str().unwrap().to_owned();
        let known = known.split(", ").collect::<Vec<_>>();
        let mut members = item.as_object().unwrap().keys().map(String::as_str);
        assert!(members.all(|name| known.contains(&name)), "{list}: {known:?}");
    }
    // Only lists have it.
    let one = node.api("GET", &format!("/v1/tenants/{tenant}?fields=id"), Value::Null).await;
    assert_eq!((one.status, &one.json()["code"]), (400, &json!("unknown_parameter")));
    node.stop().await;
}

#[actix_web::test]
async fn a_list_is_expanded_by_what_people_ask_for_next() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = company(&node).await;
    let agents = format!("/v1/admin/agents?tenant_id={tenant}");
    let numbers = format!("/v1/phone-numbers?tenant_id={tenant}");
    let first = |items: Value| items[0].clone();
    let ada = first(node.api("GET", &format!("{agents}&email=c@acme.test"), Value::Null).await.items());
    assert!(ada.get("numbers").is_none(), "{ada}");
    let number = first(node.api("GET", &format!("{numbers}&number=%2B4930123456"), Value::Null).await.items());
    let path = format!("/v1/phone-numbers/{}", number["id"].as_str().unwrap());
    let to = json!({ "agent_id": ada["id"], "daily_limit": 7 });
    let assigned = node.api("POST", &format!("{path}/assign?tenant_id={tenant}"), to).await;
    assert_eq!(assigned.status, 200, "{}", assigned.text());
    let expanded =
        first(node.api("GET", &format!("{agents}&email=c@acme.test&expand=numbers"), Value::Null).await.items());
    let own = json!([{ "id": number["id"], "number": "+4930123456", "status": "active", "daily_limit": 7 }]);
    assert_eq!(expanded["numbers"], own);
    let others = node.api("GET", &format!("{agents}&email=h@acme.test&expand=numbers"), Value::Null).await.items();
    assert_eq!(others[0]["numbers"], json!([]));

    let group = json!({ "name": "Sales", "number": "600" });
    let group = node.api("POST", &format!("/v1/tenants/{tenant}/groups"), group).await.id();
    let to = json!({ "destination": { "kind": "group", "id": group } });
    assert_eq!(node.api("PATCH", &format!("{path}?tenant_id={tenant}"), to).await.status, 200);
    let expanded = node.api("GET", &format!("{numbers}&expand=destination&sort=number"), Value::Null).await.items();
    assert_eq!(expanded[3]["leads_to"], json!({ "name": "Sales", "number": "600" }));
    assert!(expanded[0].get("leads_to").is_none(), "it leads nowhere");
    for wrong in [format!("{agents}&expand=cats"), format!("{numbers}&expand=numbers")] {
        let refused = node.api("GET", &wrong, Value::Null).await;
        assert_eq!(refused.status, 400, "{wrong}: {}", refused.text());
    }
    node.stop().await;
}

/// The path with a further parameter.
fn and(path: &str, parameter: &str) -> String {
    format!("{path}{}{parameter}", if path.contains('?') { '&' } else { '?' })
}

#[actix_web::test]
async fn lists_of_what_happened_and_of_what_is_noted_can_be_read_from_either_end() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let made = async |method: &str, path: &str, new: Value| {
        let made = node.api(method, path, new).await;
        assert!(made.status < 300, "{path}: {}", made.text());
        made
    };
    let mut calls = Vec::new();
    for _ in 0..3 {
        calls.push(node.call(tenant).await);
        node.recording(calls[calls.len() - 1]).await;
    }
    for n in 0..3 {
        let person = json!({ "numbers": [format!("+4915112345{n:03}")] });
        made("POST", &format!("/v1/erasures?tenant_id={tenant}"), person).await;
    }
    for (number, reason) in [("7100", "a"), ("710", "b"), ("7099", "c")] {
        let held = json!({ "number": number, "reason": reason });
        made("POST", &format!("/v1/tenants/{tenant}/reserved-numbers"), held).await;
    }
    let cluster = json!({ "name": "East", "region": "eu", "max_tenants": 10 });
    let cluster = made("POST", "/v1/clusters", cluster).await.id();
    for module in ["local_stream.conf", "voicemail.conf", "json_cdr.conf"] {
        let xml = json!({ "xml": format!("<configuration name=\"{module}\"><settings/></configuration>") });
        made("PUT", &format!("/v1/clusters/{cluster}/configuration/{module}"), xml).await;
    }
    let carrier = json!({ "name": "One", "config": { "host": "127.0.0.1:5999" } });
    let carrier = made("POST", "/v1/carriers", carrier).await.id();
    let headers = [("X-API-Key", node.key.as_str()), ("Content-Type", "text/csv")];
    let sheet = b"prefix,price,effective_date\n49,0.02,\n1,0.01,\n49,0.03,2099-01-01\n4930,0.01,\n";
    let rates = format!("/v1/carriers/{carrier}/rates");
    assert_eq!(send(node.app.app_address, "PUT", &rates, &headers, sheet).await.status, 201);
    let webhook = json!({ "url": "https://hooks.test/x", "tenant_id": tenant, "topics": ["call:ended"] });
    let webhook = made("POST", "/v1/webhooks", webhook).await.id();
    for _ in 0..3 {
        made("POST", &format!("/v1/webhooks/{webhook}/test"), Value::Null).await;
    }
    for url in ["https://b.test/", "https://A.test/", "https://c.test/"] {
        made("POST", "/v1/webhooks", json!({ "url": url, "topics": ["call:ended"] })).await;
    }
    let mut template = node.api("GET", "/v1/templates/default", Value::Null).await.json();
    template["name"] = json!("own");
    for seconds in [21, 22, 23] {
        template["settings"]["calling"]["ring_seconds"] = json!(seconds);
        made("PUT", "/v1/templates/own", template.clone()).await;
    }

    // Each list, its orders, and the member that the order is about; the first is the usual one.
    let of_tenant = |what: &str| format!("/v1/{what}?tenant_id={tenant}");
    let lists = [
        (and(&of_tenant("audit"), "action=create"), vec![("-at", "id"), ("at", "id")]),
        (of_tenant("recordings"), vec![("-began_at", "began_at"), ("began_at", "began_at")]),
        // What is done in the background changes some members meanwhile.
        (and(&of_tenant("erasures"), "fields=id"), vec![("created_at", "id"), ("-created_at", "id")]),
        (format!("/v1/tenants/{tenant}/reserved-numbers"), vec![("number", "number"), ("-number", "number")]),
        (
            format!("/v1/clusters/{cluster}/configuration"),
            vec![("name", "name"), ("-name", "name"), ("updated_at", "updated_at"), ("-updated_at", "updated_at")],
        ),
        (rates, vec![("prefix", "prefix"), ("-prefix", "prefix")]),
        (format!("/v1/webhooks/{webhook}/deliveries?fields=id"), vec![("-created_at", "id"), ("created_at", "id")]),
        (
            "/v1/webhooks?fields=id,url".into(),
            vec![("created_at", "id"), ("-created_at", "id"), ("url", "url"), ("-url", "url")],
        ),
        ("/v1/templates".into(), vec![("name", "name"), ("-name", "name")]),
        ("/v1/templates/own/versions".into(), vec![("-version", "version"), ("version", "version")]),
    ];
    for (list, orders) in lists {
        let usual = all(&node, &list).await;
        assert!(usual.len() >= 3, "{list}: {}", usual.len());
        let mut cursors = Vec::new();
        for (at, (sort, member)) in orders.iter().enumerate() {
            let sorted = all(&node, &and(&list, &format!("sort={sort}"))).await;
            assert_eq!(sorted.len(), usual.len(), "{list} by {sort}");
            assert!(usual.iter().all(|item| sorted.contains(item)), "{list} by {sort}: every item, once");
            let mut keys = sorted
                .iter()
                .map(|item| match &item[*member] {
                    Value::Number(number) => (number.as_i64().unwrap(), String::new()),
                    // Shorter numbers are lower.
                    Value::String(text) if *member == "number" => (text.parse().unwrap(), String::new()),
                    value => (0, value.as_str().unwrap().to_lowercase()),
                })
                .collect::<Vec<_>>();
            if sort.starts_with('-') {
                keys.reverse();
            }
            assert!(keys.is_sorted(), "{list} by {sort}: {keys:?}");
            if at == 0 {
                assert_eq!(sorted, usual, "{list}: it is the usual order");
            }
            let first = node.api("GET", &and(&list, &format!("limit=2&sort={sort}")), Value::Null).await.json();
            cursors.push((sort, first["next_cursor"].as_str().unwrap().to_owned()));
        }
        // A cursor belongs to its order.
        for (sort, cursor) in &cursors {
            for (other, _) in cursors.iter().filter(|(other, _)| other != sort) {
                let asked = and(&list, &format!("sort={other}&cursor={cursor}"));
                let refused = node.api("GET", &asked, Value::Null).await;
                assert_eq!(
                    (refused.status, &refused.json()["field"]),
                    (400, &json!("cursor")),
                    "{list}: {sort}, {other}"
                );
            }
        }
        let refused = node.api("GET", &and(&list, "sort=colour"), Value::Null).await;
        assert_eq!((refused.status, &refused.json()["field"]), (400, &json!("sort")), "{list}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn lists_of_what_goes_on_are_sorted_and_show_the_members_that_are_asked_for() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let described = send(node.app.app_address, "GET", "/openapi.json", &[], b"").await.json();
    let lists = described["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/v1/live/"));
    let lists = lists.filter(|(_, methods)| methods.get("get").is_some()).collect::<Vec<_>>();
    assert_eq!(lists.len(), 7);
    for (path, methods) in lists {
        let takes = |name: &str| methods["get"]["parameters"].as_array().unwrap().iter().any(|it| it["name"] == name);
        assert!(takes("sort") && takes("fields"), "{path}");
        let refused = node.api("GET", &format!("{path}?sort=colour"), Value::Null).await.json();
        let known = refused["params"]["known"].as_str().unwrap().to_owned();
        for sort in known.split(", ") {
            let answer = node.api("GET", &format!("{path}?sort={sort}&fields=at"), Value::Null).await;
            let may = answer.status == 200 || answer.json()["code"] == "unknown_member";
            assert!(may, "{path}: {sort}: {}", answer.text());
            assert_eq!(
                node.api("GET", &format!("{path}?sort={sort}"), Value::Null).await.status,
                200,
                "{path}: {sort}"
            );
        }
        let refused = node.api("GET", &format!("{path}?fields=colour"), Value::Null).await;
        assert_eq!((refused.status, &refused.json()["code"]), (400, &json!("unknown_member")), "{path}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn further_lists_are_filtered_by_what_their_items_say() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    for (name, email, number) in [
        ("Ada", "ada@beta.test", "+4915112345001"),
        ("Adam", "adam@beta.test", "+4915112345002"),
        ("Grace", "grace@beta.test", "+4915112345003"),
    ] {
        let contact = json!({ "name": name, "email": email, "numbers": [number] });
        assert_eq!(node.api("POST", &format!("/v1/contacts?tenant_id={tenant}"), contact).await.status, 201);
    }
    for (name, status) in [("East", "active"), ("West", "draining")] {
        let made = json!({ "name": name, "region": "eu", "max_tenants": 10 });
        let made = node.api("POST", "/v1/clusters", made).await.id();
        assert_eq!(node.api("PATCH", &format!("/v1/clusters/{made}"), json!({ "status": status })).await.status, 200);
    }
    for (url, enabled) in [("https://a.test/", true), ("https://b.test/", false)] {
        let webhook = json!({ "url": url, "topics": ["call:ended"], "enabled": enabled });
        assert_eq!(node.api("POST", "/v1/webhooks", webhook).await.status, 201);
    }
    for number in ["7100", "7101"] {
        let held = json!({ "number": number, "reason": "x" });
        let path = format!("/v1/tenants/{tenant}/reserved-numbers");
        assert_eq!(node.api("POST", &path, held).await.status, 201);
    }
    for (list, count) in [
        (format!("/v1/contacts?tenant_id={tenant}&name=ada"), 2),
        (format!("/v1/contacts?tenant_id={tenant}&email=ADAM@beta.test"), 1),
        (format!("/v1/contacts?tenant_id={tenant}&number=%2B4915112345003"), 1),
        (format!("/v1/contacts?tenant_id={tenant}&number=%2B4915112345009"), 0),
        ("/v1/clusters?status=draining".into(), 1),
        ("/v1/webhooks?url=A.test".into(), 1),
        ("/v1/webhooks?enabled=false".into(), 1),
        ("/v1/templates?name=defa".into(), 1),
        (format!("/v1/tenants/{tenant}/reserved-numbers?number=7101"), 1),
        (format!("/v1/erasures?tenant_id={tenant}&state=finished"), 0),
    ] {
        let answer = node.api("GET", &list, Value::Null).await;
        assert_eq!(answer.status, 200, "{list}: {}", answer.text());
        assert_eq!(answer.items().as_array().unwrap().len(), count, "{list}: {}", answer.text());
    }
    node.stop().await;
}

#[actix_web::test]
async fn configurations_former_domains_and_mails_are_found_by_what_they_say() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let cluster = json!({ "name": "East", "region": "eu", "max_tenants": 10 });
    let cluster = node.api("POST", "/v1/clusters", cluster).await.id();
    for module in ["local_stream.conf", "voicemail.conf"] {
        let xml = json!({ "xml": format!("<configuration name=\"{module}\"><settings/></configuration>") });
        let put = node.api("PUT", &format!("/v1/clusters/{cluster}/configuration/{module}"), xml).await;
        assert_eq!(put.status, 200, "{}", put.text());
    }
    let tenant = node.tenant("one.test").await;
    for domain in ["two.test", "three.test"] {
        let moved = node.api("PATCH", &format!("/v1/tenants/{tenant}"), json!({ "domain": domain })).await;
        assert_eq!(moved.status, 200, "{}", moved.text());
    }
    let sandbox = node.api("POST", "/v1/tenants", json!({ "domain": "try.test", "sandbox": true })).await.id();
    for email in ["ada@try.test", "bob@try.test"] {
        let agent = json!({ "first_name": "Ada", "last_name": "L", "email": email });
        let made = node.api("POST", &format!("/v1/admin/agents?tenant_id={sandbox}"), agent).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    for (list, count) in [
        (format!("/v1/clusters/{cluster}/configuration?name=VOICE"), 1),
        (format!("/v1/clusters/{cluster}/configuration?name=.conf&sort=-name"), 2),
        (format!("/v1/clusters/{cluster}/configuration?name=acl"), 0),
        (format!("/v1/tenants/{tenant}/former-domains?domain=ONE"), 1),
        (format!("/v1/tenants/{tenant}/former-domains?domain=.test"), 2),
        (format!("/v1/tenants/{tenant}/former-domains?domain=three"), 0),
        (format!("/v1/sandbox/mails?tenant_id={sandbox}&to=ADA@try.test"), 1),
        (format!("/v1/sandbox/mails?tenant_id={sandbox}&template=welcome"), 2),
        (format!("/v1/sandbox/mails?tenant_id={sandbox}&to=ada@try.test&template=reset_password"), 0),
    ] {
        let answer = node.api("GET", &list, Value::Null).await;
        assert_eq!(answer.status, 200, "{list}: {}", answer.text());
        assert_eq!(answer.items().as_array().unwrap().len(), count, "{list}: {}", answer.text());
    }
    node.stop().await;
}

/// Lists with one order only: conversations are read from their end, records that nobody can read say little, the log of calls to the outside
/// is followed by `before`, and mailboxes with messages are looked through as a whole.
const ONE_ORDER: [&str; 6] = [
    "/v1/call-records/unreadable",
    "/v1/chat/messages",
    "/v1/chat/notices",
    "/v1/tenants/{tenant_id}/outbound-calls",
    "/v1/unreadable-records",
    "/v1/mailboxes",
];

#[actix_web::test]
async fn every_other_list_has_orders_and_each_of_them_answers() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.api("POST", "/v1/tenants", json!({ "domain": "try.test", "sandbox": true })).await.id();
    let described = send(node.app.app_address, "GET", "/openapi.json", &[], b"").await.json();
    let mut asked = 0;
    for (path, methods) in described["paths"].as_object().unwrap() {
        let get = &methods["get"];
        if !get["responses"]["200"].to_string().contains("Page_") {
            continue;
        }
        let takes = |name: &str| {
            get["parameters"].as_array().unwrap().iter().any(|it| it["name"] == name && it["in"] == "query")
        };
        assert_eq!(takes("sort"), !ONE_ORDER.contains(&path.as_str()), "{path}");
        let place = path.replace("{tenant_id}", &tenant.to_string());
        if !takes("sort") || place.contains('{') {
            continue;
        }
        let place = if takes("tenant_id") { format!("{place}?tenant_id={tenant}") } else { place };
        let refused = node.api("GET", &and(&place, "sort=colour"), Value::Null).await;
        // Only people write to each other, and voicemail is asked of switches.
        if [403, 503].contains(&refused.status) || path == "/v1/voicemail" {
            continue;
        }
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (400, &json!("unknown_sort")),
            "{path}: {}",
            refused.text()
        );
        for sort in refused.json()["params"]["known"].as_str().unwrap().split(", ") {
            let answer = node.api("GET", &and(&place, &format!("limit=1&sort={sort}")), Value::Null).await;
            assert_eq!(answer.status, 200, "{path} by {sort}: {}", answer.text());
            if let Some(next) = answer.json()["next_cursor"].as_str() {
                let next =
                    node.api("GET", &and(&place, &format!("limit=1&sort={sort}&cursor={next}")), Value::Null).await;
                assert_eq!(next.status, 200, "{path} by {sort}: {}", next.text());
                assert_ne!(next.items(), answer.items(), "{path} by {sort}");
            }
            asked += 1;
        }
    }
    assert!(asked > 60, "{asked}");
    node.stop().await;
}
