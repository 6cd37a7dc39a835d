//! Destinations and dialplan entries over the API: references, loops, things in use, other tenants' things.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harness::{Answer, call_form},
    stage::{Stage, route},
};

impl Stage {
    async fn destination(&self, tenant: Uuid, new: Value) -> Answer {
        self.node.api("POST", &format!("/v1/tenants/{tenant}/destinations"), new).await
    }

    async fn made(&self, new: Value) -> Uuid {
        let made = self.destination(self.tenant, new.clone()).await;
        assert_eq!(made.status, 201, "{new}: {}", made.text());
        made.id()
    }
}

fn target(kind: &str, id: impl std::fmt::Display) -> Value {
    json!({ "kind": kind, "id": id.to_string() })
}

#[actix_web::test]
async fn a_call_is_led_through_destinations_by_their_numbers_and_a_change_is_in_force_at_once() {
    let stage = Stage::new().await;
    let phone = stage.node.extension(stage.tenant, json!({ "number": "70" })).await;
    let mailbox = stage.made(json!({ "name": "Office", "number": "601", "kind": "mailbox", "config": {} })).await;
    let hours = json!({ "monday": [{ "open": "00:00", "close": "24:00" }], "tuesday": [{ "open": "00:00", "close": "24:00" }],
        "wednesday": [{ "open": "00:00", "close": "24:00" }], "thursday": [{ "open": "00:00", "close": "24:00" }],
        "friday": [{ "open": "00:00", "close": "24:00" }], "saturday": [{ "open": "00:00", "close": "24:00" }],
        "sunday": [{ "open": "00:00", "close": "24:00" }] });
    let schedule = json!({ "name": "Hours", "number": "600", "kind": "schedule", "config": {
        "hours": hours, "open": target("extension", phone["id"].as_str().unwrap()), "closed": target("mailbox", mailbox) } });
    let schedule = stage.made(schedule).await;
    let call = async |number: &str| stage.node.fetch(&call_form(number, "acme.test")).await.text();
    assert!(call("600").await.contains("transfer\" data=\"70 XML acme.test\""));
    let closed = json!({ "config": { "hours": {}, "open": target("extension", phone["id"].as_str().unwrap()), "closed": target("mailbox", mailbox) } });
    let path = format!("/v1/tenants/{}/destinations/{schedule}", stage.tenant);
    let changed = stage.node.api("PATCH", &path, closed).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert!(call("600").await.contains(&format!("data=\"{} XML acme.test\"", mailbox.simple())));
    assert_eq!(route(&call(&mailbox.simple().to_string()).await), "message");
    // A phone number also leads there.
    let number = format!("/v1/phone-numbers/{}?tenant_id={}", stage.number, stage.tenant);
    assert_eq!(
        stage.node.api("PATCH", &number, json!({ "destination": target("schedule", schedule) })).await.status,
        200
    );
    let inbound = stage.node.fetch(&call_form("%2B493012345678", "public")).await.text();
    assert!(inbound.contains(&mailbox.simple().to_string()), "{inbound}");
    stage.stop().await;
}

#[actix_web::test]
async fn every_reference_is_the_tenants_own() {
    let stage = Stage::new().await;
    let beta = stage.node.tenant("beta.test").await;
    let theirs = stage.destination(beta, json!({ "name": "Theirs", "kind": "mailbox", "config": {} })).await.id();
    let extension = stage.node.extension(beta, json!({ "number": "70" })).await["id"].clone();
    for config in [
        json!({ "name": "Q", "kind": "queue", "config": { "overflow": target("mailbox", theirs) } }),
        json!({ "name": "Q", "kind": "queue", "config": { "tiers": [{ "extension_id": extension }] } }),
        json!({ "name": "P", "kind": "page", "config": { "members": [extension] } }),
        json!({ "name": "E", "kind": "external", "config": { "number": "+498912345678", "on_behalf_of": extension } }),
        json!({ "name": "I", "kind": "ivr", "config": { "greeting": { "text": "Hi" }, "entries": { "1": target("extension", extension.as_str().unwrap()) } } }),
        json!({ "name": "A", "kind": "announcement", "config": { "prompt": { "text": "Hi" }, "then": target("queue", theirs) } }),
    ] {
        let refused = stage.destination(stage.tenant, config.clone()).await;
        assert_eq!(
            (refused.status, refused.json()["field"].as_str()),
            (422, Some("target")),
            "{config}: {}",
            refused.text()
        );
        assert!(refused.text().contains("does not have"), "{}", refused.text());
    }
    let entry = json!({ "name": "Out", "conditions": [{ "actions": [{ "application": "go", "target": target("mailbox", theirs) }] }] });
    let refused = stage.node.api("POST", &format!("/v1/tenants/{}/dialplan-entries", stage.tenant), entry).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    stage.stop().await;
}

#[actix_web::test]
async fn circles_are_found_when_saving_and_what_is_in_use_stays() {
    let stage = Stage::new().await;
    let a = stage.made(json!({ "name": "A", "kind": "announcement", "config": { "prompt": { "text": "Hi" } } })).await;
    let b = stage.made(json!({ "name": "B", "kind": "announcement", "config": { "prompt": { "text": "Hi" }, "then": target("announcement", a) } })).await;
    let c =
        stage.made(json!({ "name": "C", "kind": "queue", "config": { "overflow": target("announcement", b) } })).await;
    let path = |id: Uuid| format!("/v1/tenants/{}/destinations/{id}", stage.tenant);
    for to in [target("queue", c), target("announcement", a)] {
        let round = json!({ "config": { "prompt": { "text": "Hi" }, "then": to } });
        let refused = stage.node.api("PATCH", &path(a), round).await;
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert!(refused.text().contains("leads back to itself"), "{}", refused.text());
    }
    let used = stage.node.api("DELETE", &path(a), Value::Null).await;
    assert_eq!(used.status, 409);
    assert!(used.text().contains("announcement B"), "{}", used.text());
    for id in [c, b, a] {
        assert_eq!(stage.node.api("DELETE", &path(id), Value::Null).await.status, 204);
    }
    // Forwards from A to B to C to A are a loop. Two extensions that forward to each other when busy are not.
    let mut phones = Vec::new();
    for number in ["81", "82", "83"] {
        let new = json!({ "number": number });
        phones.push(stage.node.extension(stage.tenant, new).await["id"].as_str().unwrap().to_owned());
    }
    let forward = async |which: usize, calls: Value| {
        let path = format!("/v1/tenants/{}/extensions/{}", stage.tenant, phones[which]);
        stage.node.api("PATCH", &path, json!({ "calls": calls })).await
    };
    for (which, to) in [(0, "82"), (1, "83")] {
        assert_eq!(forward(which, json!({ "forward_always": to, "forward_busy": "81" })).await.status, 200);
    }
    for to in ["81", "83"] {
        let refused = forward(2, json!({ "forward_always": to })).await;
        assert_eq!((refused.status, refused.json()["field"].as_str()), (422, Some("calls.forward_always")), "{to}");
    }
    assert_eq!(forward(2, json!({ "forward_busy": "81" })).await.status, 200);
    // An extension in a queue's tiers.
    let extension = stage.node.extension(stage.tenant, json!({ "number": "70" })).await["id"].clone();
    let queue = json!({ "name": "Support", "kind": "queue", "config": { "tiers": [{ "extension_id": extension }] } });
    stage.made(queue).await;
    let used = stage
        .node
        .api("DELETE", &format!("/v1/tenants/{}/extensions/{}", stage.tenant, extension.as_str().unwrap()), Value::Null)
        .await;
    assert_eq!(used.status, 409);
    assert!(used.text().contains("queue Support"), "{}", used.text());
    stage.stop().await;
}

/// A fetch as the switch sends it: where the call is, and what the previous route noted on it.
async fn at(stage: &Stage, place: &str, hops: Option<&str>) -> String {
    let hops = hops.map(|hops| format!("&variable_dialplane_hops={hops}")).unwrap_or_default();
    stage.node.fetch(&format!("{}{hops}", call_form(place, "acme.test"))).await.text()
}

/// The value that an answer sets, and where it leads the call on.
fn led(answer: &str) -> Option<(String, String)> {
    let hops = answer.split("dialplane_hops=").nth(1)?.split('"').next()?;
    let to = answer.rsplit("application=\"transfer\" data=\"").next()?.split(' ').next()?;
    Some((hops.to_owned(), to.to_owned()))
}

#[actix_web::test]
async fn what_a_person_chooses_has_no_end_and_what_leads_on_by_itself_has() {
    let stage = Stage::new().await;
    let menu = async |number: &str, entries: Value| {
        stage
            .made(json!({ "name": number, "number": number, "kind": "ivr",
            "config": { "greeting": { "text": "Hi" }, "entries": entries } }))
            .await
    };
    let a = menu("601", json!({ "0": target("extension", stage.node.extension(stage.tenant, json!({ "number": "70" })).await["id"].as_str().unwrap()) })).await;
    let b = menu("602", json!({ "1": target("ivr", a) })).await;
    let path = format!("/v1/tenants/{}/destinations/{a}", stage.tenant);
    let config = json!({ "config": { "greeting": { "text": "Hi" }, "entries": { "1": target("ivr", b) } } });
    assert_eq!(stage.node.api("PATCH", &path, config).await.status, 200);
    // Two menus used in turns: each digit is a transfer by the menu, with what the route noted on the call.
    for round in 0..300 {
        let (place, other) = if round % 2 == 0 { (a, b) } else { (b, a) };
        let answer = at(&stage, &place.simple().to_string(), None).await;
        assert_eq!(route(&answer), "ivr", "{round}");
        assert!(
            answer.contains("application=\"unset\" data=\"dialplane_hops\"") && !answer.contains("dialplane_hops="),
            "{answer} {other}"
        );
    }
    // Somebody transfers a call (REFER) that was led on ten times, again and again. Each time, a forward leads it on to 70.
    let forwarded =
        stage.node.extension(stage.tenant, json!({ "number": "71", "calls": { "forward_always": "70" } })).await;
    assert_eq!(forwarded["number"], "71");
    let mut hops = "10:0:1234".to_owned();
    for transfer in 0..90 {
        let answer = at(&stage, "71", Some(&hops)).await;
        let (next, to) = led(&answer).unwrap_or_else(|| panic!("{transfer}: {answer}"));
        assert_eq!(to, "70");
        assert_eq!(route(&at(&stage, &to, Some(&next)).await), "extension", "{transfer}");
        hops = next;
    }
    // A loop of forwards ends, wherever it begins.
    for (number, to) in [("72", "73"), ("73", "72")] {
        let calls = json!({ "number": number, "calls": { "forward_busy": to } });
        stage.node.extension(stage.tenant, calls).await;
    }
    let mut place = ("72~after".to_owned(), None::<String>);
    let mut steps = 0;
    loop {
        let form = format!(
            "{}{}&variable_originate_disposition=USER_BUSY",
            call_form(&place.0, "acme.test"),
            place.1.as_ref().map(|hops| format!("&variable_dialplane_hops={hops}")).unwrap_or_default()
        );
        let answer = stage.node.fetch(&form).await.text();
        if route(&answer) == "loop" {
            break;
        }
        let (hops, to) = led(&answer).unwrap();
        place = (to, Some(hops));
        steps += 1;
        assert!(steps < 20, "{answer}");
    }
    assert_eq!(steps, 11);
    stage.stop().await;
}

/// The legs over the dialplan that an answer rings: where each goes, and what the route notes on it.
fn legs(answer: &str) -> Vec<(String, String)> {
    let answer = answer.replace("&#33;", "!").replace("&#93;", "]");
    let legs = answer.split("dialplane_hops=").skip(1);
    let to = |leg: &str| Some(leg.split("]loopback/").nth(1)?.split('/').next()?.to_owned());
    legs.filter_map(|leg| Some((to(leg)?, leg.split('!').next()?.to_owned()))).collect()
}

#[actix_web::test]
async fn phones_that_ring_each_other_too_do_not_multiply_a_call() {
    let stage = Stage::new().await;
    // Two colleagues who ring each other five times each, and one who rings their own number.
    for (number, other) in [("74", "75"), ("75", "74"), ("76", "76")] {
        let follow = vec![json!({ "number": other }); 5];
        stage.node.extension(stage.tenant, json!({ "number": number, "calls": { "follow_me": follow } })).await;
    }
    // A group whose member forwards to one of them still rings all that this one's phones are.
    let crew = stage.node.extension(stage.tenant, json!({ "number": "77", "calls": { "forward_always": "74" } })).await;
    let group = json!({ "name": "crew", "number": "78", "members": [crew["id"]], "follow_forwards": true });
    let path = format!("/v1/tenants/{}/groups", stage.tenant);
    assert_eq!(stage.node.api("POST", &path, group).await.status, 201);
    for (number, expected) in [("74", 5), ("76", 5), ("78", 6)] {
        let mut waiting = vec![(number.to_owned(), None::<String>)];
        let mut rung = 0;
        while let Some((place, hops)) = waiting.pop() {
            let answer = at(&stage, &place, hops.as_deref()).await;
            let further = legs(&answer);
            rung += further.len();
            waiting.extend(further.into_iter().map(|(to, hops)| (to, Some(hops))));
            assert!(rung <= expected, "{number}: {rung} legs, and {} of them wait", waiting.len());
        }
        assert_eq!(rung, expected, "{number}");
    }
    stage.stop().await;
}

#[actix_web::test]
async fn what_is_saved_may_lead_on_as_often_as_a_call_may_be_led() {
    let stage = Stage::new().await;
    // Menus in menus, with a digit for each: as many as somebody wants to press.
    let mut last = stage.made(json!({ "name": "End", "kind": "mailbox", "config": {} })).await;
    let mut kind = "mailbox";
    for depth in 0..13 {
        let menu = json!({ "name": format!("Menu {depth}"), "kind": "ivr",
            "config": { "greeting": { "text": "Hi" }, "entries": { "1": target(kind, last) } } });
        (last, kind) = (stage.made(menu).await, "ivr");
    }
    // Announcements one after another.
    let end = stage.made(json!({ "name": "Further end", "kind": "mailbox", "config": {} })).await;
    let mut next = target("mailbox", end);
    let mut made = Vec::new();
    for count in 1..=20 {
        let new = json!({ "name": format!("A{count}"), "kind": "announcement", "config": { "prompt": { "text": "Hi" }, "then": next } });
        let answer = stage.destination(stage.tenant, new).await;
        if answer.status != 201 {
            assert_eq!((answer.status, answer.json()["field"].as_str()), (422, Some("target")), "{}", answer.text());
            assert!(
                answer.text().contains("leads_too_far") && answer.text().contains("At most 7"),
                "{}",
                answer.text()
            );
            break;
        }
        next = target("announcement", answer.id());
        made.push(answer.id());
    }
    assert_eq!(made.len(), 7);
    // The last one can't lead on further, either.
    let (x, y) = (
        stage.made(json!({ "name": "X", "kind": "announcement", "config": { "prompt": { "text": "Hi" } } })).await,
        made[0],
    );
    let path = format!("/v1/tenants/{}/destinations/{y}", stage.tenant);
    let further = json!({ "config": { "prompt": { "text": "Hi" }, "then": target("announcement", x) } });
    assert_eq!(stage.node.api("PATCH", &path, further).await.status, 200, "X ends there");
    let path = format!("/v1/tenants/{}/destinations/{x}", stage.tenant);
    let further = json!({ "config": { "prompt": { "text": "Hi" }, "then": target("mailbox", end) } });
    assert_eq!(stage.node.api("PATCH", &path, further).await.status, 422);
    // A call gets to the end of the chain, even if it came by a phone that did not take it, and its forward.
    let mut place = (made[6].simple().to_string(), "3:0:".to_owned() + &made[6].simple().to_string());
    for count in 0..7 {
        let answer = at(&stage, &place.0, Some(&place.1)).await;
        assert_eq!(route(&answer), "announcement", "{count}: {answer}");
        let Some((hops, to)) = led(&answer) else { break };
        place = (to, hops);
    }
    stage.stop().await;
}

#[actix_web::test]
async fn numbers_that_mean_something_else_are_not_given() {
    let stage = Stage::new().await;
    for number in ["112", "110", "9196"] {
        let refused = stage
            .node
            .api("POST", &format!("/v1/tenants/{}/extensions", stage.tenant), json!({ "number": number }))
            .await;
        assert_eq!(refused.status, 409, "{number}: {}", refused.text());
        let new = json!({ "name": "Box", "number": number, "kind": "mailbox", "config": {} });
        assert_eq!(stage.destination(stage.tenant, new).await.status, 409, "{number}");
    }
    // A feature code can't be a number in use.
    stage.node.extension(stage.tenant, json!({ "number": "4711" })).await;
    let path = format!("/v1/tenants/{}/settings", stage.tenant);
    let refused = stage.node.api("PATCH", &path, json!({ "routing": { "codes": { "echo": "4711" } } })).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    let twice = stage.node.api("PATCH", &path, json!({ "routing": { "codes": { "echo": "*97" } } })).await;
    assert_eq!(twice.status, 422, "{}", twice.text());
    stage.stop().await;
}

/// A phone that answers by itself would disturb somebody who has set "do not disturb".
#[actix_web::test]
async fn a_phone_that_is_not_to_be_disturbed_takes_no_page_and_no_intercom() {
    let stage = Stage::new().await;
    let mut members = Vec::new();
    for number in ["70", "71"] {
        members.push(stage.node.extension(stage.tenant, json!({ "number": number })).await["id"].clone());
    }
    let page = json!({ "name": "All", "number": "700", "kind": "page", "config": { "members": members } });
    stage.made(page).await;
    let heard = async |number: &str| stage.calls(number, Uuid::new_v4()).await.replace("&#45;", "-");
    assert!(heard("*8071").await.contains("user/71@acme.test") && heard("700").await.contains("user/71@acme.test"));
    let path = format!("/v1/tenants/{}/extensions/{}", stage.tenant, members[1].as_str().unwrap());
    let quiet = stage.node.api("PATCH", &path, json!({ "calls": { "do_not_disturb": true } })).await;
    assert_eq!(quiet.status, 200, "{}", quiet.text());
    let page = heard("700").await;
    assert!(page.contains("user/70@acme.test") && !page.contains("user/71@"), "{page}");
    let intercom = heard("*8071").await;
    assert!(intercom.contains("USER_BUSY") && !intercom.contains("user/71@"), "{intercom}");
    stage.stop().await;
}

#[actix_web::test]
async fn what_is_wrong_with_a_destination_is_named() {
    let stage = Stage::new().await;
    for (new, says) in [
        (json!({ "name": "I", "kind": "ivr", "config": { "greeting": { "text": "Hi" }, "entries": {} } }), "entries"),
        (
            json!({ "name": "I", "kind": "ivr", "config": { "greeting": { "text": "Hi" }, "entries": { "12": target("group", Uuid::nil()) } } }),
            "entries",
        ),
        (
            json!({ "name": "I", "kind": "ivr", "config": { "greeting": { "text": "${system id}" }, "entries": {} } }),
            "greeting",
        ),
        (
            json!({ "name": "I", "kind": "ivr", "config": { "greeting": { "file": "../../etc/passwd.wav" }, "entries": {} } }),
            "greeting",
        ),
        (json!({ "name": "A", "kind": "announcement", "config": { "prompt": { "file": "/etc/shadow" } } }), "prompt"),
        (json!({ "name": "C", "kind": "conference", "config": { "max_members": 1 } }), "max_members"),
        (json!({ "name": "C", "kind": "conference", "pin": "1234", "config": {} }), "pin"),
        (json!({ "name": "Q", "kind": "queue", "pin": "471147", "config": {} }), "pin"),
        (json!({ "name": "Q", "kind": "queue", "config": { "strategy": "best" } }), "strategy"),
        (json!({ "name": "Q", "kind": "queue", "config": { "music": "a;b" } }), "music"),
        (json!({ "name": "X", "kind": "teleport", "config": {} }), "kind"),
        (json!({ "name": "a$b", "kind": "mailbox", "config": {} }), "name"),
    ] {
        let refused = stage.destination(stage.tenant, new.clone()).await;
        assert!(refused.status == 422 && refused.text().contains(says), "{new}: {} {}", refused.status, refused.text());
    }
    stage.stop().await;
}

#[actix_web::test]
async fn entries_go_before_the_built_in_ones_and_xml_is_the_platforms() {
    let stage = Stage::new().await;
    let path = format!("/v1/tenants/{}/dialplan-entries", stage.tenant);
    stage.node.extension(stage.tenant, json!({ "number": "70" })).await;
    let entry = json!({ "name": "Sevens", "position": 1, "conditions": [
        { "field": "destination_number", "pattern": "^77(\\d{2})$", "actions": [{ "application": "dial", "number": "{1}" }] }] });
    let made = stage.node.api("POST", &path, entry).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let call = async |number: &str| stage.node.fetch(&call_form(number, "acme.test")).await.text();
    assert!(call("7770").await.contains("data=\"70 XML acme.test\""));
    for (conditions, says) in [
        (json!([{ "pattern": "(?=x)", "actions": [{ "application": "answer" }] }]), "look-around"),
        (json!([{ "actions": [{ "application": "system", "data": "id" }] }]), "must be one of these: answer"),
        (
            json!([{ "actions": [{ "application": "bridge", "data": "sofia/gateway/x" }] }]),
            "must be one of these: answer",
        ),
        (
            json!([{ "actions": [{ "application": "set", "name": "user_context", "value": "other.test" }] }]),
            "conditions[0].actions[0]",
        ),
        (
            json!([{ "actions": [{ "application": "set", "name": "accountcode", "value": "${system id}" }] }]),
            "conditions[0].actions[0]",
        ),
        (json!([{ "actions": [{ "application": "dial", "number": "1 XML other.test" }] }]), "conditions[0].actions[0]"),
        (json!([{ "pattern": "x" }]), "action"),
        (json!([]), "conditions"),
    ] {
        let refused = stage.node.api("POST", &path, json!({ "name": "No", "conditions": conditions })).await;
        assert!(
            refused.status == 422 && refused.text().contains(says),
            "{conditions}: {} {}",
            refused.status,
            refused.text()
        );
    }
    // XML entries belong to the platform, are checked, and are shown as a diff. The switch tries them first.
    let xml = "<extension name=\"raw\"><condition field=\"destination_number\" expression=\"^88$\"><action application=\"answer\"/></condition></extension>";
    let made = stage.node.api("POST", &path, json!({ "name": "Raw", "xml": xml })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert!(made.json()["diff"].as_str().unwrap().contains("+<extension name=\"raw\">"));
    // It is shown as it was written, and given to switches with references. What is shown can be sent back.
    let raw = format!("{path}/{}", made.json()["id"].as_str().unwrap());
    let shown = stage.node.api("GET", &raw, Value::Null).await.json();
    assert!(shown["xml"].as_str().unwrap().contains("expression=\"^88$\""), "{shown}");
    assert!(made.json()["diff"].as_str().unwrap().contains("expression=\"^88$\""), "{}", made.text());
    assert!(call("70").await.contains("expression=\"&#94;88&#36;\""));
    let same = stage.node.api("PATCH", &raw, json!({ "xml": shown["xml"] })).await;
    assert_eq!((same.status, &same.json()["version"]), (200, &shown["version"]), "{}", same.text());
    assert!(call("70").await.contains("expression=\"&#94;88&#36;\""));
    let answer = call("70").await;
    assert!(answer.find("name=\"raw\"").unwrap() < answer.find("name=\"extension\"").unwrap(), "{answer}");
    // The same for a number that nobody has, whether the answer comes from the database or from memory.
    for number in 5000..5100 {
        let answer = call(&number.to_string()).await;
        assert!(answer.contains("name=\"raw\"") && answer.contains("UNALLOCATED_NUMBER"), "{answer}");
    }
    // Also before an outbound call, but never before an emergency call.
    let out = stage.calls("+498912345678", Uuid::new_v4()).await;
    assert!(out.find("name=\"raw\"").unwrap() < out.find("name=\"outbound\"").unwrap(), "{out}");
    assert!(!stage.calls("112", Uuid::new_v4()).await.contains("name=\"raw\""));
    let key = stage.node.api("POST", "/v1/keys", json!({ "name": "own", "tenant_id": stage.tenant })).await.json();
    let headers = [("X-API-Key", key["token"].as_str().unwrap())];
    let refused = stage.node.api_with("POST", &path, &headers, json!({ "name": "Raw", "xml": xml })).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    let path = format!("{path}/{}", made.json()["id"].as_str().unwrap());
    assert_eq!(stage.node.api_with("DELETE", &path, &headers, Value::Null).await.status, 403);
    stage.stop().await;
}
