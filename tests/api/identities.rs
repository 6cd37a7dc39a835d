//! Identities: a number may go from one extension to another, but never the name by which a switch knows an extension.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    command_line::CommandLine,
    harness::{Answer, Database, Node, call_form},
};

/// Without the harness's own choice of a SIP username.
async fn create(node: &Node, tenant: Uuid, new: Value) -> Answer {
    node.api("POST", &format!("/v1/tenants/{tenant}/extensions"), new).await
}

async fn made(node: &Node, tenant: Uuid, new: Value) -> Value {
    let answer = create(node, tenant, new).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

fn text<'a>(of: &'a Value, field: &str) -> &'a str {
    of[field].as_str().unwrap_or_else(|| panic!("{field} of {of}"))
}

fn path(tenant: Uuid, extension: &Value) -> String {
    format!("/v1/tenants/{tenant}/extensions/{}", text(extension, "id"))
}

async fn deleted(node: &Node, path: &str) {
    let answer = node.api("DELETE", path, Value::Null).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
}

async fn purged(node: &Node, tenant: Uuid) {
    deleted(node, &format!("/v1/tenants/{tenant}?cascade=true&purge=now")).await;
}

fn refused(answer: &Answer, code: &str) {
    assert_eq!((answer.status, &answer.json()["code"]), (409, &json!(code)), "{}", answer.text());
}

#[actix_web::test]
async fn an_extension_has_a_sip_username_of_its_own_which_outlasts_its_number() {
    let node = Node::start(&Database::new().await).await;
    let tenant = node.tenant("acme.test").await;
    let ada = made(&node, tenant, json!({ "number": "1000" })).await;
    let user = text(&ada, "sip_username").to_owned();
    assert!(user.len() == 9 && user.starts_with('u') && !user.contains(['0', '1', 'i', 'l', 'o']), "{user}");
    let other = made(&node, tenant, json!({ "number": "1001" })).await;
    assert_ne!(text(&other, "sip_username"), user);

    // Phones register with that, and not with the number. Callers dial the number, and lamps watch the number.
    assert!(node.sign_in(&user, "acme.test").await.text().contains("a1-hash"));
    assert!(!node.sign_in("1000", "acme.test").await.text().contains("<user "));
    let rings = format!("user/{user}@acme.test");
    assert!(node.fetch(&call_form("1000", "acme.test")).await.text().contains(&rings));
    let invited = node.invite(&user, "acme.test").await.text();
    assert!(invited.contains("name=\"presence_id\" value=\"1000@acme.test\""), "{invited}");
    assert!(invited.contains("name=\"effective_caller_id_number\" value=\"1000\""), "{invited}");

    // With another number, the extension stays the same for a switch, and the old number reaches nobody.
    let renumbered = node.api("PATCH", &path(tenant, &ada), json!({ "number": "2000" })).await;
    assert_eq!((renumbered.status, &renumbered.json()["sip_username"]), (200, &json!(user)));
    assert!(node.sign_in(&user, "acme.test").await.text().contains("a1-hash"));
    assert!(node.fetch(&call_form("2000", "acme.test")).await.text().contains(&rings));
    let old = node.fetch(&call_form("1000", "acme.test")).await.text();
    assert!(old.contains("UNALLOCATED_NUMBER") && !old.contains("user/"), "{old}");
    node.stop().await;
}

#[actix_web::test]
async fn a_phone_that_registers_as_its_number_is_not_reached_by_a_number_that_it_had() {
    let node = Node::start(&Database::new().await).await;
    let tenant = node.tenant("acme.test").await;
    let ada = made(&node, tenant, json!({ "number": "1000", "sip_username": "1000" })).await;
    let menu = json!({ "name": "Menu", "kind": "announcement", "config": {
        "prompt": { "text": "Hello" }, "then": { "kind": "extension", "id": ada["id"] } } });
    let menu = node.api("POST", &format!("/v1/tenants/{tenant}/destinations"), menu).await;
    assert_eq!(menu.status, 201, "{}", menu.text());
    assert_eq!(node.api("PATCH", &path(tenant, &ada), json!({ "number": "2000" })).await.status, 200);
    assert!(node.sign_in("1000", "acme.test").await.text().contains("a1-hash"), "the phone goes on");
    for (dialled, rings) in [("2000", true), ("1000", false), ("*81000", false), ("*981000", false), ("*982000", true)]
    {
        let answer = node.fetch(&call_form(dialled, "acme.test")).await.text();
        assert_eq!(!answer.contains("UNALLOCATED_NUMBER"), rings, "{dialled}: {answer}");
    }
    let led = node.fetch(&call_form(&menu.id().simple().to_string(), "acme.test")).await.text();
    assert!(led.contains("2000 XML acme.test"), "what leads to it dials its number: {led}");
    // While the phone registers as 1000, nothing else can be 1000, because a call to it would be ambiguous.
    deleted(&node, &format!("/v1/tenants/{tenant}/reserved-numbers/1000")).await;
    refused(&create(&node, tenant, json!({ "number": "1000" })).await, "name_taken_by");
    node.stop().await;
}

#[actix_web::test]
async fn a_sip_username_is_given_out_once_in_a_domain_whoever_has_the_domain() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let acme = node.tenant("acme.test").await;
    let named = json!({ "number": "1000", "sip_username": "desk-7" });
    let ada = made(&node, acme, named.clone()).await;
    deleted(&node, &path(acme, &ada)).await;
    deleted(&node, &format!("/v1/tenants/{acme}/reserved-numbers/1000")).await;
    refused(&create(&node, acme, named.clone()).await, "sip_username_used");
    // The number is free, and its next extension has another SIP username.
    let next = made(&node, acme, json!({ "number": "1000" })).await;
    assert_ne!(text(&next, "sip_username"), "desk-7");
    let lobby = made(&node, acme, json!({ "number": "1001", "sip_username": "lobby" })).await;

    // In another domain, the name is free.
    let beta = node.tenant("beta.test").await;
    made(&node, beta, named.clone()).await;
    // A tenant that had the domain before leaves its names there, however it gave the domain up.
    let renamed = |domain: &str| json!({ "domain": domain, "reuse": true, "keep_former_days": 0 });
    let taken = |domain: &str| json!({ "domain": domain, "reuse": true });
    let tenant = |id: Uuid| format!("/v1/tenants/{id}");
    assert_eq!(node.api("PATCH", &tenant(acme), renamed("gone.test")).await.status, 200);
    let third = node.api("POST", "/v1/tenants", taken("acme.test")).await.id();
    for name in ["desk-7", "lobby", text(&next, "sip_username")] {
        refused(&create(&node, third, json!({ "number": "1001", "sip_username": name })).await, "sip_username_used");
    }
    purged(&node, third).await;
    refused(&node.api("PATCH", &tenant(beta), renamed("acme.test")).await, "sip_usernames_used_in");
    // Its own extensions may have their names again.
    assert_eq!(node.api("PATCH", &tenant(acme), renamed("acme.test")).await.status, 200);
    assert!(node.sign_in("lobby", "acme.test").await.text().contains("a1-hash"));
    assert_eq!(text(&lobby, "sip_username"), "lobby");
    purged(&node, acme).await;
    let fourth = node.api("POST", "/v1/tenants", taken("acme.test")).await.id();
    refused(&create(&node, fourth, json!({ "number": "1001", "sip_username": "lobby" })).await, "sip_username_used");

    // If another system's file has a used name, its line is refused with the reason, and no readable trace is kept.
    let kept = database.count("select count(*) from used_sip_usernames where octet_length(digest) = 32").await;
    assert!(kept >= 3, "{kept}");
    node.stop().await;
}

#[actix_web::test]
async fn a_number_rests_in_whatever_way_its_extension_gave_it_up() {
    let node = Node::start(&Database::new().await).await;
    let tenant = node.tenant("acme.test").await;
    let held = async || {
        let held = node.api("GET", &format!("/v1/tenants/{tenant}/reserved-numbers"), Value::Null).await.json();
        held["items"].as_array().unwrap().iter().map(|one| text(one, "number").to_owned()).collect::<Vec<_>>()
    };
    // The extension is deleted, with its alias.
    let ada = made(&node, tenant, json!({ "number": "3000", "alias": "3001" })).await;
    deleted(&node, &path(tenant, &ada)).await;
    assert_eq!(held().await, ["3000", "3001"]);
    for number in ["3000", "3001"] {
        refused(&create(&node, tenant, json!({ "number": number })).await, "number_held");
    }
    // The extension gets another number and loses its alias.
    let grace = made(&node, tenant, json!({ "number": "3100", "alias": "3101" })).await;
    let patch = json!({ "number": "3110", "alias": null });
    assert_eq!(node.api("PATCH", &path(tenant, &grace), patch).await.status, 200);
    assert_eq!(held().await, ["3000", "3001", "3100", "3101"]);
    // To get it back, somebody releases the number.
    for number in ["3100", "3101"] {
        deleted(&node, &format!("/v1/tenants/{tenant}/reserved-numbers/{number}")).await;
    }
    let back = json!({ "number": "3100", "alias": "3110" });
    assert_eq!(node.api("PATCH", &path(tenant, &grace), back).await.status, 200);
    assert_eq!(held().await, ["3000", "3001"], "what it still has does not rest");
    // The extension is deleted with its agent.
    let agent = json!({ "first_name": "A", "last_name": "B", "email": "a@acme.test" });
    let agent = node.api("POST", &format!("/v1/admin/agents?tenant_id={tenant}"), agent).await;
    let number = text(&agent.json()["extensions"][0], "number").to_owned();
    deleted(&node, &format!("/v1/admin/agents/{}?tenant_id={tenant}", agent.id())).await;
    refused(&create(&node, tenant, json!({ "number": number })).await, "number_held");
    node.stop().await;
}

#[actix_web::test]
async fn one_rule_holds_for_the_numbers_of_extensions_groups_and_destinations() {
    let node = Node::start(&Database::new().await).await;
    let tenant = node.tenant("acme.test").await;
    let collection = |what: &str| format!("/v1/tenants/{tenant}/{what}");
    let new = |what: &str, number: &str| match what {
        "groups" => json!({ "name": format!("g{number}"), "number": number, "members": [] }),
        "destinations" => json!({ "name": "Room", "number": number, "kind": "conference", "config": {} }),
        _ => json!({ "number": number }),
    };
    let ada = made(&node, tenant, json!({ "number": "1000" })).await;
    let forward = json!({ "calls": { "forward_busy": "3000" } });
    let kinds = ["extensions", "groups", "destinations"];
    for (gives, first) in kinds.iter().zip([3000, 4000, 5000]) {
        let (number, next) = (first.to_string(), (first + 1).to_string());
        let one = node.api("POST", &collection(gives), new(gives, &number)).await;
        assert_eq!(one.status, 201, "{gives}: {}", one.text());
        let at = format!("{}/{}", collection(gives), one.id());
        // It gets another number, and is deleted then: both numbers rest.
        let moved = node.api("PATCH", &at, json!({ "number": next })).await;
        assert_eq!(moved.status, 200, "{gives}: {}", moved.text());
        deleted(&node, &at).await;
        for number in [&number, &next] {
            for takes in kinds {
                let answer = node.api("POST", &collection(takes), new(takes, number)).await;
                assert_eq!(
                    (answer.status, &answer.json()["code"]),
                    (409, &json!("number_held")),
                    "{gives}, then {takes}"
                );
            }
            let forward = json!({ "calls": { "forward_busy": number } });
            refused(&node.api("PATCH", &path(tenant, &ada), forward).await, "number_held");
            deleted(&node, &collection(&format!("reserved-numbers/{number}"))).await;
        }
        // Whoever gave it out says who may have it: anything then.
        for takes in kinds {
            let answer = node.api("POST", &collection(takes), new(takes, &number)).await;
            assert_eq!(answer.status, 201, "{takes}: {}", answer.text());
            deleted(&node, &format!("{}/{}", collection(takes), answer.id())).await;
            deleted(&node, &collection(&format!("reserved-numbers/{number}"))).await;
        }
    }
    // A reserved number is nobody's, either.
    let reserved = json!({ "number": "3000", "reason": "for the new office" });
    assert_eq!(node.api("POST", &collection("reserved-numbers"), reserved).await.status, 201);
    for takes in kinds {
        refused(&node.api("POST", &collection(takes), new(takes, "3000")).await, "number_held");
    }
    assert_eq!(node.api("PATCH", &path(tenant, &ada), forward).await.status, 200, "it has no owner to come");
    node.stop().await;
}

#[actix_web::test]
async fn what_is_written_as_xml_is_shown_before_what_it_dials_goes_to_somebody_else() {
    let node = Node::start(&Database::new().await).await;
    let tenant = node.tenant("acme.test").await;
    let collection = |what: &str| format!("/v1/tenants/{tenant}/{what}");
    let created = async |what: &str, new: Value| {
        let answer = node.api("POST", &collection(what), new).await;
        assert_eq!(answer.status, 201, "{what}: {}", answer.text());
        format!("{}/{}", collection(what), answer.id())
    };
    let written = |actions: &str| {
        format!(
            "<extension name=\"x\"><condition field=\"destination_number\" expression=\"^7$\">{actions}</condition></extension>"
        )
    };
    let entry = |actions: &str| json!({ "name": "Written", "xml": written(actions) });
    let queue =
        created("destinations", json!({ "name": "Help", "number": "1803", "kind": "queue", "config": {} })).await;
    let id = queue.rsplit('/').next().unwrap().replace('-', "");
    let used = [
        (
            created("extensions", json!({ "number": "1800" })).await,
            "<action application=\"transfer\" data=\"1800 XML acme.test\"/>".to_owned(),
        ),
        (
            created("extensions", json!({ "number": "1801" })).await,
            "<action application=\"bridge\" data=\"user/1801@acme.test|user/1999@acme.test\"/>".to_owned(),
        ),
        (
            created("groups", json!({ "name": "sales", "number": "1802", "members": [] })).await,
            "<action application=\"execute_extension\" data=\"1802 XML acme.test\"/>".to_owned(),
        ),
        (queue, format!("<action application=\"callcenter\" data=\"{id}.acme.test\"/>")),
        (
            created("extensions", json!({ "number": "1804" })).await,
            "<anti-action application=\"transfer\" data=\"*981804 XML acme.test\"/>".to_owned(),
        ),
    ];
    for (path, actions) in used {
        let entry = created("dialplan-entries", entry(&actions)).await;
        let answer = node.api("DELETE", &path, Value::Null).await;
        assert_eq!((answer.status, &answer.json()["code"]), (409, &json!("in_use")), "{actions}: {}", answer.text());
        assert!(answer.text().contains("Written"), "{}", answer.text());
        deleted(&node, &entry).await;
        deleted(&node, &path).await;
    }
    // A number that rests is not dialled anew.
    for dialled in ["1800", "1802", "1803", "*981804"] {
        let actions = format!("<action application=\"transfer\" data=\"{dialled} XML acme.test\"/>");
        refused(&node.api("POST", &collection("dialplan-entries"), entry(&actions)).await, "number_held");
    }
    node.stop().await;
}

#[actix_web::test]
async fn an_extension_that_is_given_back_is_another_to_switches() {
    let node = Node::start(&Database::new().await).await;
    let tenant = node.tenant("acme.test").await;
    made(&node, tenant, json!({ "number": "77", "sip_username": "lobby" })).await;
    let agent = json!({ "first_name": "A", "last_name": "B", "email": "a@acme.test", "extensions_count": 1 });
    let agent = node.api("POST", &format!("/v1/admin/agents?tenant_id={tenant}"), agent).await;
    let at = format!("/v1/admin/agents/{}?tenant_id={tenant}", agent.id());
    let own = text(&agent.json()["extensions"][0], "number").to_owned();
    assert_eq!(node.api("PATCH", &at, json!({ "extensions": [own, "77"] })).await.status, 200);
    assert!(node.sign_in("lobby", "acme.test").await.text().contains("a1-hash"), "the phone on the desk goes on");
    assert_eq!(node.api("PATCH", &at, json!({ "extensions": [own] })).await.status, 200);
    assert!(!node.sign_in("lobby", "acme.test").await.text().contains("<user "));
    let all = node.api("GET", &format!("/v1/tenants/{tenant}/extensions?name=77"), Value::Null).await.json();
    let free = text(&all["items"][0], "sip_username").to_owned();
    assert_ne!(free, "lobby", "whoever gets it next hears none of the messages");
    refused(&create(&node, tenant, json!({ "number": "78", "sip_username": "lobby" })).await, "sip_username_used");
    node.stop().await;
}

#[actix_web::test]
async fn a_domain_rests_until_the_operator_gives_it_out_by_an_explicit_word() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let acme = node.tenant("acme.test").await;
    purged(&node, acme).await;
    let again = node.api("POST", "/v1/tenants", json!({ "domain": "acme.test" })).await;
    refused(&again, "domain_rests");
    assert!(again.text().contains("reuse"), "it says what to do: {}", again.text());
    let company = json!({ "company": "Acme", "domain": "acme.test", "first_name": "A", "last_name": "B",
        "email": "a@elsewhere.test", "password": "nine purple harbours hum" });
    let sign_up = node.api_with("POST", "/v1/auth/register", &[], company).await;
    refused(&sign_up, "domain_rests");
    let beta = node.tenant("beta.test").await;
    let at = format!("/v1/tenants/{beta}");
    refused(&node.api("PATCH", &at, json!({ "domain": "acme.test" })).await, "domain_rests");
    assert_eq!(
        node.api("PATCH", &at, json!({ "domain": "acme.test", "reuse": true, "keep_former_days": 0 })).await.status,
        200
    );
    // Another tenant gets its old domain only with "reuse", but the tenant itself gets it back without.
    refused(&node.api("POST", "/v1/tenants", json!({ "domain": "beta.test" })).await, "domain_rests");
    assert_eq!(node.api("PATCH", &at, json!({ "domain": "beta.test", "keep_former_days": 0 })).await.status, 200);
    // A month later, "reuse" is no longer needed.
    purged(&node, beta).await;
    database.execute("update resting_domains set until = until - interval '31 days'").await;
    assert_eq!(node.api("POST", "/v1/tenants", json!({ "domain": "beta.test" })).await.status, 201);
    node.stop().await;
}

#[actix_web::test]
async fn the_doctor_names_a_switch_that_keeps_mailboxes_of_people_who_are_gone() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let ada = made(&node, tenant, json!({ "number": "1000" })).await;
    // It may have mailboxes although no call is known: records are not kept for ever.
    database.execute("update switches set created_at = created_at - interval '7 days'").await;
    deleted(&node, &path(tenant, &ada)).await;
    let cli = CommandLine::on(&database);
    let doctor = || {
        let output = cli.run(&["doctor", "--json"]);
        let seen = serde_json::from_slice::<Value>(&output.stdout).unwrap();
        let checks = seen["checks"].as_array().unwrap().clone();
        let check = checks.into_iter().find(|check| check["what"] == "mailboxes that are gone").unwrap();
        (check["ok"] == json!(true), text(&check, "detail").to_owned())
    };
    assert!(doctor().0, "a visit may be on its way");
    database.execute("update cleanups set since = since - interval '11 minutes'").await;
    let (well, detail) = doctor();
    let names_it = detail.contains(&node.switch.0) && detail.contains("1 of them");
    assert!(!well && names_it && detail.contains("dialplane switch event-socket"), "{detail}");
    let switches = node.api("GET", "/v1/switches", Value::Null).await.json();
    let switch = text(&switches["items"][0], "id").to_owned();
    let waiting = node.api("GET", &format!("/v1/switches/{switch}/cleanups"), Value::Null).await.json();
    assert_eq!((&waiting["items"][0]["mailbox"], &waiting["items"][0]["whole"]), (&ada["sip_username"], &json!(true)));
    node.stop().await;
}
