//! Agents: numbers from pools, concurrency, bulk requests, and suspension as a switch sees it.

use std::{sync::Arc, time::Instant};

use dialplane::tenancy::auth::rules::Role;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Database, Node, count_statements, statements},
    people::{Person, person},
};

fn new_agent(n: usize) -> Value {
    json!({ "first_name": "Agent", "last_name": format!("Number {n}"), "email": format!("agent{n}@acme.test") })
}

/// Makes an agent as a script does: if a request waited too long for the tenant's other changes, the answer says when to try again. No other
/// error may occur, however slow the machine is.
async fn in_turn(node: &Node, owner: &Person, agent: Value) -> Answer {
    for _ in 0..30 {
        let answer = owner.ask(node, "POST", "/v1/admin/agents", agent.clone()).await;
        if answer.status != 429 {
            return answer;
        }
        let after = answer.header("Retry-After").and_then(|after| after.parse().ok());
        let after = after.unwrap_or_else(|| panic!("no Retry-After: {}", answer.text()));
        actix_web::rt::time::sleep(std::time::Duration::from_secs(after)).await;
    }
    panic!("told to wait thirty times");
}

#[actix_web::test]
async fn two_hundred_at_once_get_two_hundred_consecutive_numbers() {
    let database = Database::new().await;
    let node = Arc::new(Node::with(&database, |settings| settings.api_connections = 16).await);
    let tenant = node.tenant("acme.test").await;
    let pools = node.api("GET", &format!("/v1/tenants/{tenant}/pools"), Value::Null).await.json();
    let first = pools["items"][0]["first_number"].as_i64().unwrap();
    let owner = Arc::new(person(&node, Some(tenant), Role::Owner, "owner@acme.test").await);
    let asked = (0..200).map(|n| {
        let (node, owner) = (Arc::clone(&node), Arc::clone(&owner));
        actix_web::rt::spawn(async move {
            // Some of them fail, and leave no gap.
            if n % 10 == 0 {
                let wrong = json!({ "first_name": "X", "last_name": "Y", "email": "owner@acme.test" });
                assert_eq!(in_turn(&node, &owner, wrong).await.status, 409);
            }
            let made = in_turn(&node, &owner, new_agent(n)).await;
            assert_eq!(made.status, 201, "{}", made.text());
            made.json()["extensions"][0]["number"].as_str().unwrap().parse::<i64>().unwrap()
        })
    });
    let mut numbers = Vec::new();
    for answer in futures_util::future::join_all(asked).await {
        numbers.push(answer.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (first..first + 200).collect::<Vec<_>>());
    Arc::into_inner(node).unwrap().stop().await;
}

/// Somebody creates an agent, who gets the lowest free number, while others ask for exactly that number.
#[actix_web::test]
async fn somebody_who_is_too_late_for_a_number_is_told_and_nobody_gets_a_500() {
    let database = Database::new().await;
    let node = Arc::new(Node::with(&database, |settings| settings.api_connections = 16).await);
    let tenant = node.tenant("acme.test").await;
    let pools = node.api("GET", &format!("/v1/tenants/{tenant}/pools"), Value::Null).await.json();
    let first = pools["items"][0]["first_number"].as_i64().unwrap();
    let of = |what: &str| format!("/v1/tenants/{tenant}/{what}");
    let moved = node.extension(tenant, json!({ "number": "77001" })).await["id"].as_str().unwrap().to_owned();
    for round in 0..25 {
        let number = (first + 10 * round).to_string();
        let reserve = |n: i64| json!({ "number": n.to_string(), "reason": "none lower" });
        for lower in (first + 10 * (round - 1)).max(first)..first + 10 * round {
            node.api("POST", &of("reserved-numbers"), reserve(lower)).await;
        }
        let conference =
            json!({ "name": format!("Room {round}"), "kind": "conference", "number": number, "config": {} });
        let agents = (0..3).map(|n| {
            let made = new_agent(usize::try_from(round * 3 + n).unwrap());
            ("POST", format!("/v1/admin/agents?tenant_id={tenant}"), made)
        });
        let others = [
            ("POST", of("extensions"), json!({ "number": number })),
            ("POST", of("groups"), json!({ "name": format!("g{round}"), "number": number })),
            ("POST", of("destinations"), conference),
            ("PATCH", of(&format!("extensions/{moved}")), json!({ "alias": number })),
        ];
        let asked = agents.chain(others).map(|(method, path, body)| {
            let node = Arc::clone(&node);
            actix_web::rt::spawn(async move { (path.clone(), node.api(method, &path, body).await) })
        });
        let mut had = 0;
        for answer in futures_util::future::join_all(asked.collect::<Vec<_>>()).await {
            let (path, answer) = answer.unwrap();
            if path.contains("/agents") {
                assert_eq!(answer.status, 201, "whoever takes any number gets one: {}", answer.text());
                had += usize::from(answer.json()["extensions"][0]["number"] == number);
            } else {
                assert!([200, 201, 409].contains(&answer.status), "{path}: {}", answer.text());
                had += usize::from(answer.status != 409);
            }
        }
        assert_eq!(had, 1, "{number} is one thing's");
    }
    Arc::into_inner(node).unwrap().stop().await;
}

#[actix_web::test]
async fn an_agents_phone_works_from_creation_to_suspension() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let mut new = new_agent(1);
    new["extensions_count"] = json!(2);
    let began = Instant::now();
    let made = owner.ask(&node, "POST", "/v1/admin/agents", new).await;
    let took = began.elapsed();
    assert_eq!(made.status, 201, "{}", made.text());
    println!("one agent: {took:?}");
    let made = made.json();
    let phones = made["extensions"].as_array().unwrap();
    assert_eq!(phones.len(), 2);
    // The next fetch knows them.
    for phone in phones {
        let user = phone["sip_username"].as_str().unwrap();
        let answer = node.sign_in(user, "acme.test").await.text();
        assert!(answer.contains("<user ") && answer.contains("a1-hash"), "{answer}");
    }
    let path = format!("/v1/admin/agents/{}", made["id"].as_str().unwrap());
    let shown = owner.ask(&node, "GET", &path, Value::Null).await;
    assert!(!shown.text().contains(phones[0]["sip_password"].as_str().unwrap()), "never again");
    let (number, user) = (phones[0]["number"].as_str().unwrap(), phones[0]["sip_username"].as_str().unwrap());
    owner.ask(&node, "PATCH", &path, json!({ "status": "suspended" })).await;
    assert!(!node.sign_in(user, "acme.test").await.text().contains("<user "), "refused at once");
    owner.ask(&node, "PATCH", &path, json!({ "status": "active" })).await;
    assert!(node.sign_in(user, "acme.test").await.text().contains("<user "));

    // After a new SIP password, the old one no longer works.
    let id = phones[0]["id"].as_str().unwrap();
    let before = node.sign_in(user, "acme.test").await.text();
    let rotate = format!("/v1/tenants/{tenant}/extensions/{id}/rotate-secret");
    let rotated = owner.ask(&node, "POST", &rotate, Value::Null).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text());
    assert_ne!(rotated.json()["sip_password"], phones[0]["sip_password"]);
    assert_ne!(node.sign_in(user, "acme.test").await.text(), before);

    // A deleted agent is gone for the switch, and the numbers rest.
    assert_eq!(owner.ask(&node, "DELETE", &path, Value::Null).await.status, 204);
    assert!(!node.sign_in(user, "acme.test").await.text().contains("<user "));
    let next = owner.ask(&node, "POST", "/v1/admin/agents", new_agent(2)).await.json();
    let next = next["extensions"][0]["number"].as_str().unwrap().parse::<i64>().unwrap();
    assert_eq!(next, number.parse::<i64>().unwrap() + 2, "after those that rest");
    let held = owner.ask(&node, "GET", &format!("/v1/tenants/{tenant}/reserved-numbers"), Value::Null).await.json();
    assert_eq!(held["items"].as_array().unwrap().len(), 2);
    let release = format!("/v1/tenants/{tenant}/reserved-numbers/{number}");
    assert_eq!(owner.ask(&node, "DELETE", &release, Value::Null).await.status, 204);
    let reused = owner.ask(&node, "POST", "/v1/admin/agents", new_agent(3)).await.json();
    assert_eq!(reused["extensions"][0]["number"], number);
    node.stop().await;
}

#[actix_web::test]
async fn wanted_numbers_pools_and_limits() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let pools = format!("/v1/tenants/{tenant}/pools");
    let pool = owner.ask(&node, "GET", &pools, Value::Null).await.json()["items"][0].clone();
    let first = pool["first_number"].as_i64().unwrap();
    let overlap =
        owner.ask(&node, "POST", &pools, json!({ "first_number": first + 5, "last_number": first + 6 })).await;
    assert_eq!(overlap.status, 409, "{}", overlap.text());
    // Four numbers are free.
    let small = json!({ "last_number": first + 3 });
    let path = format!("{pools}/{}", pool["id"].as_str().unwrap());
    assert_eq!(owner.ask(&node, "PATCH", &path, small).await.json()["free"], 4);
    let reserve = json!({ "number": first.to_string(), "reason": "reception" });
    assert_eq!(owner.ask(&node, "POST", &format!("/v1/tenants/{tenant}/reserved-numbers"), reserve).await.status, 201);
    let wanting = |n: usize, numbers: &[i64]| {
        let mut new = new_agent(n);
        new["numbers"] = numbers.iter().map(ToString::to_string).collect();
        new
    };
    let made = owner.ask(&node, "POST", "/v1/admin/agents", wanting(1, &[first + 2])).await;
    assert_eq!(made.json()["extensions"][0]["number"], (first + 2).to_string(), "{}", made.text());
    for (numbers, says) in [
        (vec![first], "reserved"),
        (vec![first + 2], "taken"),
        (vec![first + 900], "none of the tenant's pools"),
        (vec![first + 1, first + 1], "listed twice"),
    ] {
        let refused = owner.ask(&node, "POST", "/v1/admin/agents", wanting(2, &numbers)).await;
        assert!(refused.status == 409 && refused.text().contains(says), "{numbers:?}: {}", refused.text());
    }
    for count in [0, 6, 100] {
        let mut new = new_agent(2);
        new["extensions_count"] = json!(count);
        let refused = owner.ask(&node, "POST", "/v1/admin/agents", new).await;
        assert_eq!((refused.status, &refused.json()["field"]), (422, &json!("extensions_count")));
    }
    let mut two = new_agent(2);
    two["extensions_count"] = json!(3);
    let exhausted = owner.ask(&node, "POST", "/v1/admin/agents", two).await;
    let detail = exhausted.json()["detail"].as_str().unwrap().to_owned();
    assert!(exhausted.status == 409 && detail.contains("2 are free, 1 used, 1 reserved"), "{detail}");
    let listed = owner.ask(&node, "GET", "/v1/admin/agents?search=number%201", Value::Null).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["extensions"][0]["number"], (first + 2).to_string());
    let by_number =
        owner.ask(&node, "GET", &format!("/v1/admin/agents?search={}", first + 2), Value::Null).await.json();
    assert_eq!(by_number["items"].as_array().unwrap().len(), 1);
    let percent = owner.ask(&node, "GET", "/v1/admin/agents?search=%25", Value::Null).await.json();
    assert_eq!(percent["items"], json!([]), "what is typed is text");
    node.stop().await;
}

#[actix_web::test]
async fn many_at_once_all_or_none_unless_asked_otherwise() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let mut agents = (0..20).map(new_agent).collect::<Vec<_>>();
    agents[3]["email"] = json!("no address");
    agents[7]["email"] = json!("agent6@acme.test");
    agents[9]["role"] = json!("platform_admin");
    let refused = owner.ask(&node, "POST", "/v1/admin/agents/bulk", json!({ "agents": agents })).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    let report = refused.json();
    assert_eq!((&report["created"], &report["refused"]), (&json!(0), &json!(3)));
    let line = &report["lines"][3];
    assert_eq!((&line["line"], &line["outcome"], &line["field"]), (&json!(4), &json!("refused"), &json!("email")));
    assert!(report["lines"][7]["reason"].as_str().unwrap().contains("already in use"));
    assert_eq!(report["lines"][0]["outcome"], "not_created");
    let none = owner.ask(&node, "GET", "/v1/admin/agents?role=agent", Value::Null).await.json();
    assert_eq!(none["items"], json!([]), "nothing is half done");

    let partial = json!({ "agents": agents, "partial": true });
    let report = owner.ask(&node, "POST", "/v1/admin/agents/bulk", partial).await;
    assert_eq!((report.status, &report.json()["created"]), (201, &json!(17)), "{}", report.text());
    // One pool has a thousand numbers. Lines that get none have an error.
    let many = (100..1100).map(new_agent).collect::<Vec<_>>();
    let exhausted = owner.ask(&node, "POST", "/v1/admin/agents/bulk", json!({ "agents": many })).await;
    assert_eq!(exhausted.status, 409, "{}", exhausted.text());
    node.stop().await;
}

#[actix_web::test]
async fn a_thousand_at_once_is_quick() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let many = (0..1000).map(new_agent).collect::<Vec<_>>();
    let began = Instant::now();
    let report = owner.ask(&node, "POST", "/v1/admin/agents/bulk", json!({ "agents": many })).await;
    assert_eq!((report.status, &report.json()["created"]), (201, &json!(1000)));
    println!("1,000 agents: {:?}", began.elapsed());
    let last = report.json()["lines"][999]["agent"]["extensions"][0]["sip_username"].as_str().unwrap().to_owned();
    assert!(node.sign_in(&last, "acme.test").await.text().contains("<user "));
    node.stop().await;
}

/// Each thousand agents takes one statement of each kind, and the tenant's generation is raised once.
#[actix_web::test]
async fn three_thousand_at_once_are_a_few_statements() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let pool = json!({ "first_number": 50_000, "last_number": 59_999 });
    assert_eq!(node.api("POST", &format!("/v1/tenants/{tenant}/pools"), pool).await.status, 201);
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let mut db = database.connect().await;
    let tables = ["users", "extensions", "names", "one_time_tokens", "mail_outbox", "audit_log"];
    count_statements(&mut db, &tables).await;
    let generation = async |db: &mut sqlx::PgConnection| {
        let now = sqlx::query_scalar::<_, i64>("select generation from generation where scope = $1").bind(tenant);
        now.fetch_one(db).await.unwrap()
    };
    let before = generation(&mut db).await;
    // Two thousand want certain numbers.
    let wanting = |n: usize| {
        let mut new = new_agent(n);
        if n < 2000 {
            new["numbers"] = json!([(51_000 + n).to_string()]);
        }
        new
    };
    let many = (0..3000).map(wanting).collect::<Vec<_>>();
    let report = owner.ask(&node, "POST", "/v1/admin/agents/bulk", json!({ "agents": many })).await;
    assert_eq!((report.status, &report.json()["created"]), (201, &json!(3000)));
    let report = report.json();
    assert_eq!(report["lines"][1999]["agent"]["extensions"][0]["number"], "52999");
    let counted = statements(&mut db).await;
    for table in tables {
        assert!((1..=4).contains(&counted[table]), "{counted:?}");
    }
    assert_eq!(generation(&mut db).await, before + 1);
    node.stop().await;
}

#[actix_web::test]
async fn each_of_many_who_want_numbers_is_told_what_is_wrong_with_theirs() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let pool = json!({ "first_number": 900, "last_number": 999 });
    assert_eq!(node.api("POST", &format!("/v1/tenants/{tenant}/pools"), pool).await.status, 201);
    let reserve = json!({ "number": "951", "reason": "kept" });
    assert_eq!(node.api("POST", &format!("/v1/tenants/{tenant}/reserved-numbers"), reserve).await.status, 201);
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let mut somebody = new_agent(99);
    somebody["numbers"] = json!(["950"]);
    assert_eq!(owner.ask(&node, "POST", "/v1/admin/agents", somebody).await.status, 201);
    let wants = [&["940"][..], &["950"], &["951"], &["911"], &["4711"], &["941", "941"], &["940"], &["4712", "112"]];
    let agents = wants.iter().enumerate().map(|(n, numbers)| {
        let mut new = new_agent(n);
        new["numbers"] = json!(numbers);
        new
    });
    let body = json!({ "agents": agents.collect::<Vec<_>>(), "partial": true });
    let report = owner.ask(&node, "POST", "/v1/admin/agents/bulk", body).await;
    assert_eq!(report.status, 201, "{}", report.text());
    let report = report.json();
    let says =
        ["", "The extension 950", "951 is reserved", "911 is an emergency", "4711 is in none", "941 is listed twice"];
    for (at, says) in says.into_iter().chain(["940 is listed twice", "112 is an emergency"]).enumerate() {
        let line = &report["lines"][at];
        let reason = line["reason"].as_str().unwrap_or_default();
        assert!(reason.starts_with(says) && (at > 0) == (line["outcome"] == "refused"), "{at}: {line}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn an_extension_without_an_agent_is_given_to_one_and_given_back() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    for number in ["7001", "7002", "7003"] {
        node.extension(tenant, json!({ "number": number })).await;
    }
    // Given to a new agent: the phone has new secrets, and the agent's name.
    let mut new = new_agent(1);
    new["numbers"] = json!(["7001"]);
    let name = async |number: &str| node.invite(number, "acme.test").await.text().contains("Agent Number 1");
    let before = node.sign_in("7001", "acme.test").await.text();
    let made = owner.ask(&node, "POST", "/v1/admin/agents", new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.json()["extensions"][0]["number"], "7001");
    let after = node.sign_in("7001", "acme.test").await.text();
    assert!(after != before && name("7001").await, "{after}");
    let path = format!("/v1/admin/agents/{}", made.json()["id"].as_str().unwrap());
    let has = async |numbers: &[&str]| {
        let shown = owner.ask(&node, "GET", &path, Value::Null).await.json();
        let shown = shown["extensions"].as_array().unwrap().iter().map(|e| e["number"].as_str().unwrap().to_owned());
        assert_eq!(shown.collect::<Vec<_>>(), numbers);
    };
    // One more agent, whose phone continues to work.
    let before = node.sign_in("7002", "acme.test").await.text();
    let hash = |text: &str| text.split("a1-hash").nth(1).unwrap()[..60].to_owned();
    let patched = owner.ask(&node, "PATCH", &path, json!({ "extensions": ["7001", "7002"] })).await;
    assert_eq!(patched.status, 200, "{}", patched.text());
    has(&["7001", "7002"]).await;
    let given = node.sign_in("7002", "acme.test").await.text();
    assert_eq!(hash(&given), hash(&before));
    assert!(name("7002").await);
    // Given back: the old password no longer works, and somebody else may get the extension.
    let patched = owner.ask(&node, "PATCH", &path, json!({ "extensions": ["7002"] })).await;
    assert_eq!(patched.status, 200, "{}", patched.text());
    has(&["7002"]).await;
    assert!(!node.sign_in("7001", "acme.test").await.text().contains("<user "), "it has another SIP username now");
    assert!(!name("7001").await);
    let mut other = new_agent(2);
    other["numbers"] = json!(["7001"]);
    assert_eq!(owner.ask(&node, "POST", "/v1/admin/agents", other).await.status, 201);
    for (wanted, status, says) in [
        (json!(["7002", "7001"]), 409, "7001"),
        (json!(["7002", "7999"]), 422, "7999, which no extension has: create the extension first"),
        (json!(["7002", "7002"]), 409, "7002"),
        (json!([]), 422, "extensions"),
        (json!(["7002", "7003", "71", "72", "73", "74"]), 422, "extensions"),
    ] {
        let refused = owner.ask(&node, "PATCH", &path, json!({ "extensions": wanted })).await;
        assert!(refused.status == status && refused.text().contains(says), "{wanted}: {}", refused.text());
    }
    has(&["7002"]).await;
    let suspended = json!({ "status": "suspended", "extensions": ["7002", "7003"] });
    assert_eq!(owner.ask(&node, "PATCH", &path, suspended).await.status, 409);
    node.stop().await;
}

#[actix_web::test]
async fn names_of_people_and_companies_are_accepted() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let company = json!({ "name": "Smith & Sons", "domain": "acme.test" });
    let tenant = node.api("POST", "/v1/tenants", company).await;
    assert_eq!(tenant.status, 201, "{}", tenant.text());
    let tenant = tenant.id();
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let new = json!({ "first_name": "Aoife", "last_name": "O'Brien", "email": "aoife@acme.test" });
    let made = owner.ask(&node, "POST", "/v1/admin/agents", new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let phone = made.json()["extensions"][0]["sip_username"].as_str().unwrap().to_owned();
    let answer = node.invite(&phone, "acme.test").await.text();
    assert!(answer.contains("Aoife O&#39;Brien"), "a reference, and nothing else: {answer}");
    let named =
        node.extension(tenant, json!({ "number": "70", "display_name": "L'Oréal", "caller_id_name": "AT&T" })).await;
    assert_eq!((&named["display_name"], &named["caller_id_name"]), (&json!("L'Oréal"), &json!("AT&T")));
    let answer = node.invite("70", "acme.test").await.text();
    assert!(answer.contains("L&#39;Or&#233;al") && answer.contains("AT&#38;T"), "{answer}");
    let csv = "first_name,last_name,email\nJean,D'Arc & Fils,jean@acme.test\n";
    let lines = dialplane::people::agents::file::read(csv.as_bytes(), 9).unwrap().lines;
    assert_eq!(lines[0].1.as_ref().unwrap().last_name.as_str(), "D'Arc & Fils");
    node.stop().await;
}

#[actix_web::test]
async fn a_pin_that_is_the_mailboxs_number_is_refused() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let of = |what: &str| format!("/v1/tenants/{tenant}/{what}");
    let id = node.extension(tenant, json!({ "number": "4711", "voicemail_pin": "9035" })).await["id"].clone();
    let extension = of(&format!("extensions/{}", id.as_str().unwrap()));
    let mailbox = |number: &str, pin: &str| json!({ "kind": "mailbox", "name": "Box", "number": number, "pin": pin, "config": {} });
    let boxed = node.api("POST", &of("destinations"), mailbox("8012", "5150")).await;
    assert_eq!(boxed.status, 201, "{}", boxed.text());
    let boxed = of(&format!("destinations/{}", boxed.id()));
    for (method, path, body, field) in [
        ("POST", of("extensions"), json!({ "number": "4712", "voicemail_pin": "4712" }), "voicemail_pin"),
        (
            "POST",
            of("extensions"),
            json!({ "number": "71", "alias": "5821", "voicemail_pin": "5821" }),
            "voicemail_pin",
        ),
        ("POST", of("extensions"), json!({ "number": "4712", "voicemail_pin": "0000" }), "voicemail_pin"),
        ("POST", of("extensions"), json!({ "number": "4712", "voicemail_pin": "1234" }), "voicemail_pin"),
        ("PATCH", extension.clone(), json!({ "voicemail_pin": "4711" }), "voicemail_pin"),
        ("PATCH", extension.clone(), json!({ "number": "9035" }), "voicemail_pin"),
        ("POST", of("destinations"), mailbox("6011", "6011"), "pin"),
        ("PATCH", boxed.clone(), json!({ "pin": "8012" }), "pin"),
        ("PATCH", boxed, json!({ "number": "5150" }), "pin"),
    ] {
        let refused = node.api(method, &path, body.clone()).await;
        let said = (refused.status, refused.json()["field"].as_str().map(ToOwned::to_owned));
        assert_eq!(said, (422, Some(field.to_owned())), "{method} {body}: {}", refused.text());
    }
    node.stop().await;
}
