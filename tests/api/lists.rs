//! Lists: in which order, and which members of each item.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Database, Node};

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
