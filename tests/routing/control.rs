//! Acting on calls, with a simulated switch: the commands that it gets, who may act, and the answers when an action fails.

use std::time::{Duration, Instant};

use dialplane::tenancy::auth::rules::Role;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    event_socket::EventSocket,
    harness::{Answer, Node, example},
    live::{fires, known, leg, now, registers},
    people::person,
    pushes::Fleet,
};

/// A call from outside that the agent's phone has taken: the caller's leg, and the phone's.
pub async fn talking(fleet: &Fleet) -> (Uuid, Uuid) {
    let legs = (Uuid::new_v4(), Uuid::new_v4());
    talk(fleet, legs).await;
    legs
}

/// The same with these legs.
pub async fn talk(fleet: &Fleet, (a, b): (Uuid, Uuid)) {
    let (domain, phone) = (&fleet.stage.domain, &fleet.stage.phone);
    let caller = json!({
        "Call-Direction": "inbound", "Channel-Name": "sofia/external/x@carrier.test", "Caller-Caller-ID-Number": "+493012345678",
        "Caller-Destination-Number": "+12025550123", "Caller-Context": "public", "variable_dialplane_tenant": fleet.stage.tenant,
    });
    let called = json!({
        "Call-Direction": "outbound", "Channel-Name": format!("sofia/internal/{phone}@192.0.2.7"), "Other-Leg-Unique-ID": a,
        "variable_dialplane_taken_by": format!("{phone}@{domain}"),
    });
    let pair = json!({ "Bridge-A-Unique-ID": a, "Bridge-B-Unique-ID": b });
    fires(&fleet.socket, leg("CHANNEL_CREATE", a, a, &caller), now());
    fires(&fleet.socket, leg("CHANNEL_CREATE", b, a, &called), now());
    for (name, of, more) in
        [("CHANNEL_ANSWER", b, json!({})), ("CHANNEL_ANSWER", a, json!({})), ("CHANNEL_BRIDGE", a, pair)]
    {
        fires(&fleet.socket, leg(name, of, a, &more), now());
    }
    let path = format!("/v1/live/calls?tenant_id={}&state=talking", fleet.stage.tenant);
    let since = Instant::now();
    while fleet.stage.node.api("GET", &path, Value::Null).await.json()["items"].as_array().unwrap().is_empty() {
        assert!(since.elapsed() < Duration::from_mins(1), "the call is not known");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub async fn acts(node: &Node, tenant: Uuid, call: &str, body: Value) -> Answer {
    node.api("POST", &format!("/v1/live/calls/{call}/actions?tenant_id={tenant}"), body).await
}

pub fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
}

/// Waits until the switch got a command that begins with this text, and returns it.
pub async fn told(socket: &EventSocket, begins: &str) -> String {
    let since = Instant::now();
    loop {
        let found = socket.has().told.iter().find(|command| command.starts_with(begins)).cloned();
        if let Some(command) = found {
            return command;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "not told {begins}: {:?}", socket.has().told);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[actix_web::test]
async fn an_action_is_done_when_the_switch_says_so_and_not_when_it_only_takes_it() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let (a, b) = talking(&fleet).await;
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    let call = a.to_string();
    let hold = acts(node, tenant, &call, json!({ "action": "hold" }));
    let event = async {
        let command = told(&fleet.socket, "uuid_hold").await;
        assert_eq!(command, format!("uuid_hold {b}"), "the phone holds, not the caller");
        fires(&fleet.socket, leg("CHANNEL_HOLD", b, a, &json!({})), now());
    };
    let (held, ()) = tokio::join!(hold, event);
    assert_eq!((held.status, &held.json()["call"]["state"]), (200, &json!("held")), "{}", held.text());

    // It takes the next one as well, and nothing happens.
    let late = acts(node, tenant, &call, json!({ "action": "resume" })).await;
    assert_eq!(code(&late), (503, "not_seen_to_happen".into()), "{}", late.text());
    // It refuses.
    fleet.socket.has().refuses = Some("uuid_hold");
    let refused = acts(node, tenant, &call, json!({ "action": "resume" })).await;
    assert_eq!(code(&refused), (409, "switch_refused".into()), "{}", refused.text());

    // Where it goes is what can be dialled, and nothing else gets into a command.
    for to in ["1001 XML public", "1001\n\nexit", "&park()", ""] {
        let wrong = acts(node, tenant, &call, json!({ "action": "transfer", "to": to })).await;
        assert_eq!(wrong.status, 422, "{to:?}: {}", wrong.text());
    }
    let transfer = acts(node, tenant, &call, json!({ "action": "transfer", "to": "1001" }));
    let event = async {
        let command = told(&fleet.socket, "uuid_transfer").await;
        assert_eq!(command, format!("uuid_transfer {b} -bleg 1001 XML {}", fleet.stage.domain));
        let pair = json!({ "Bridge-A-Unique-ID": a, "Bridge-B-Unique-ID": b });
        fires(&fleet.socket, leg("CHANNEL_UNBRIDGE", a, a, &pair), now());
    };
    let (transferred, ()) = tokio::join!(transfer, event);
    assert_eq!(transferred.status, 200, "{}", transferred.text());
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn calls_of_others_are_not_found_and_one_at_a_time_acts() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let (a, b) = talking(&fleet).await;
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    let other = node.tenant("other.test").await;
    let action = || json!({ "action": "hangup" });
    assert_eq!(acts(node, other, &a.to_string(), action()).await.status, 404, "another tenant's");
    assert_eq!(acts(node, tenant, &Uuid::new_v4().to_string(), action()).await.status, 404, "no call");
    assert_eq!(acts(node, tenant, "not-a-uuid", action()).await.status, 404, "no id");
    assert_eq!(
        acts(node, tenant, &a.to_string(), json!({ "action": "hold", "leg_id": Uuid::new_v4() })).await.status,
        404
    );
    let not_aside = acts(node, tenant, &a.to_string(), json!({ "action": "complete" })).await;
    assert_eq!(code(&not_aside), (409, "nobody_aside".into()));
    assert!(fleet.socket.told().iter().all(|command| !command.starts_with("uuid_")), "nothing was told");

    // Two people at once: one waits for the switch, and the other gets `acted_on`, also on another node.
    // That one did not hear the call's beginning, and reads it in the list.
    let row = |leg: Uuid, direction: &str| {
        json!({ "uuid": leg, "direction": direction, "created_epoch": "1789999990", "name": "sofia/external/x", "callstate": "ACTIVE",
                "call_uuid": a, "context": fleet.stage.domain })
    };
    fleet.socket.has().lists.insert("channels", vec![row(a, "inbound"), row(b, "outbound")]);
    let second = Node::start(&fleet.stage.database).await;
    let path = format!("/v1/live/calls?tenant_id={tenant}");
    let since = Instant::now();
    loop {
        let known = second.api("GET", &path, Value::Null).await.json();
        if known["items"].as_array().is_some_and(|items| !items.is_empty()) {
            break;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{known}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (id, call) = (a.to_string(), a);
    let first = acts(node, tenant, &id, json!({ "action": "hold" }));
    let others = async {
        told(&fleet.socket, "uuid_hold").await;
        for node in [node, &second] {
            let refused = acts(node, tenant, &id, json!({ "action": "transfer", "to": "1001" })).await;
            assert_eq!(code(&refused), (409, "acted_on".into()), "{}", refused.text());
        }
        fires(&fleet.socket, leg("CHANNEL_HOLD", b, call, &json!({})), now());
    };
    let (held, ()) = tokio::join!(first, others);
    assert_eq!(held.status, 200, "{}", held.text());
    second.stop().await;
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_repeated_request_makes_one_call_and_a_job_follows_it_to_its_end() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    let path = format!("/v1/calls?tenant_id={tenant}");
    let new = json!({ "agent_id": fleet.stage.agent, "to": "+498912345678", "show": "+493012345678" });
    let nowhere = node.api("POST", &path, new.clone()).await;
    assert_eq!(code(&nowhere), (409, "no_phone_registered".into()), "{}", nowhere.text());
    fires(&fleet.socket, registers(&fleet.stage.domain, &fleet.stage.phone, "one"), now());
    let phones = format!("/v1/live/registrations?tenant_id={tenant}");
    while node.api("GET", &phones, Value::Null).await.json()["items"].as_array().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let wrong = json!({ "agent_id": fleet.stage.agent, "to": "1001", "show": "+4930999999" });
    let wrong = node.api("POST", &path, wrong).await;
    assert_eq!((code(&wrong), &wrong.json()["field"]), ((422, "not_a_number_to_show".into()), &json!("show")));

    let mut ids = Vec::new();
    for _ in 0..2 {
        let made = node
            .api_with("POST", &path, &[("X-API-Key", &node.key), ("Idempotency-Key", "click-1")], new.clone())
            .await;
        assert_eq!(made.status, 201, "{}", made.text());
        ids.push(made.id());
    }
    assert_eq!(ids[0], ids[1]);
    let command = told(&fleet.socket, "originate").await;
    let (job, phone, domain) = (ids[0], &fleet.stage.phone, &fleet.stage.domain);
    assert!(command.starts_with(&format!("originate {{origination_uuid={job},")), "{command}");
    assert!(command.contains(&format!("dialplane_shows=+493012345678}}user/{phone}@{domain} ")), "{command}");
    let state = async |wanted: &str| {
        let since = Instant::now();
        loop {
            let shown = node.api("GET", &format!("/v1/call-jobs/{job}?tenant_id={tenant}"), Value::Null).await.json();
            if shown["state"] == wanted {
                return shown;
            }
            assert!(since.elapsed() < Duration::from_mins(1), "{wanted}: {shown}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let own = json!({
        "Call-Direction": "outbound", "Channel-Name": format!("sofia/internal/{phone}@192.0.2.7"),
        "variable_dialplane_taken_by": format!("{phone}@{domain}"), "variable_dialplane_places": "+498912345678",
    });
    fires(&fleet.socket, leg("CHANNEL_CREATE", job, job, &own), now());
    state("ringing_agent").await;
    fires(&fleet.socket, leg("CHANNEL_ANSWER", job, job, &own), now());
    state("ringing").await;
    let ends = json!({ "Hangup-Cause": "USER_BUSY" });
    fires(&fleet.socket, leg("CHANNEL_HANGUP_COMPLETE", job, job, &ends), now());
    assert_eq!(state("ended").await["cause"], "USER_BUSY");
    assert_eq!(fleet.socket.has().told.iter().filter(|command| command.starts_with("originate")).count(), 1);

    // Another tenant's job is not found.
    let other = node.tenant("other.test").await;
    let foreign = node.api("GET", &format!("/v1/call-jobs/{job}?tenant_id={other}"), Value::Null).await;
    assert_eq!(foreign.status, 404);

    // The switch is taken out of service, and there is no other.
    assert_eq!(node.api("POST", &format!("{}/drain", fleet.switch), Value::Null).await.status, 200);
    assert!(node.api("GET", &fleet.switch, Value::Null).await.json()["draining_since"].is_string());
    assert_eq!(code(&node.api("POST", &path, new.clone()).await), (409, "no_switch_for_call".into()));
    // Its phones have to look soon whether they should be elsewhere, and are let in as before.
    let (hash, brief) = ("name=\"a1-hash\"", "<variable name=\"sip-force-expires\" value=\"60\"");
    let leaving = node.sign_in(phone, domain).await.text().replace("&#45;", "-");
    assert!(leaving.contains(hash) && leaving.contains(brief), "{leaving}");
    assert!(leaving.contains("<variable name=\"sip-expires-max-deviation\" value=\"10\""), "60 ± 10 s: {leaving}");
    assert_eq!(node.api("POST", &format!("{}/resume", fleet.switch), Value::Null).await.status, 200);
    let back = node.sign_in(phone, domain).await.text().replace("&#45;", "-");
    assert!(back.contains(hash) && !back.contains(brief), "{back}");

    // Each answer says how many more a tenant may begin in this second.
    let mut as_described = example("POST /v1/calls?");
    as_described["extension_id"] = json!(fleet.extension().await);
    let again = node.api("POST", &path, as_described).await;
    assert_eq!(again.status, 201, "{}", again.text());
    assert_eq!(again.header("RateLimit-Policy"), Some("\"calls\";q=10;w=1"));
    let left = again.header("RateLimit").unwrap().strip_prefix("\"calls\";r=").unwrap().strip_suffix(";t=1").unwrap();
    assert!((0..10).contains(&left.parse::<i64>().unwrap()), "{left}");

    // Too many at once: as many as a tenant may begin in a second are counted for a while.
    let many = "insert into call_jobs (id, tenant_id, switch_id, extension_id, created_at)
                select gen_random_uuid(), tenant_id, switch_id, extension_id, now() + interval '1 hour' from call_jobs, generate_series(1, 10)";
    fleet.sql(many).await;
    let refused = node.api("POST", &path, new).await;
    assert_eq!(code(&refused), (429, "too_many_calls_placed".into()));
    assert_eq!(refused.header("RateLimit"), Some("\"calls\";r=0;t=1"));
    assert!(refused.header("Retry-After").is_some());
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn nobody_changes_the_extension_of_others_by_a_code_that_their_phone_is_to_dial() {
    let fleet = Fleet::new().await;
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    let agent = person(node, Some(tenant), Role::Agent, "ann@acme.test").await;
    let manager = person(node, Some(tenant), Role::Manager, "mia@acme.test").await;
    let whose = sqlx::query("update extensions set user_id = $1 where sip_username = $2").bind(agent.id);
    whose.bind(&fleet.stage.phone).execute(node.app.changes.pool()).await.unwrap();
    fleet.stage.rules(json!({ "speed_dials": { "01": "*78", "02": "*001", "03": "1001" } })).await;
    known(&fleet).await;
    let (a, b) = talking(&fleet).await;
    fires(&fleet.socket, registers(&fleet.stage.domain, &fleet.stage.phone, "one"), now());
    let actions = format!("/v1/live/calls/{a}/actions");
    let refused = |answer: &Answer, what: &str| {
        let told = (code(answer), answer.json()["field"].clone());
        assert_eq!(told, ((422, "code_for_own_phone".into()), json!("to")), "{what}: {}", answer.text());
    };
    for to in [
        "*7213125550123",
        "*72+13125550123",
        "*73",
        "*78",
        "*79",
        "*44",
        "*45",
        "*46",
        "*31**78",
        "#31#*78",
        "*001",
        "*002",
    ] {
        for action in ["transfer", "consult"] {
            let asked = json!({ "action": action, "to": to, "leg_id": b });
            refused(&manager.ask(node, "POST", &actions, asked.clone()).await, to);
            refused(&node.api("POST", &format!("{actions}?tenant_id={tenant}"), asked).await, to);
        }
        // Nobody's phone dials where a call is transferred to.
        refused(&agent.ask(node, "POST", &actions, json!({ "action": "transfer", "to": to })).await, to);
        let new = json!({ "agent_id": agent.id, "to": to });
        refused(&manager.ask(node, "POST", "/v1/calls", new.clone()).await, to);
        refused(&node.api("POST", &format!("/v1/calls?tenant_id={tenant}"), new).await, to);
    }
    assert!(
        fleet.socket.told().iter().all(|command| !command.starts_with("uuid_") && !command.starts_with("originate"))
    );
    // One's own phone may dial them, and everybody's what changes nothing.
    let phones = format!("/v1/live/registrations?tenant_id={tenant}");
    while node.api("GET", &phones, Value::Null).await.json()["items"].as_array().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (who, to) in [(&agent, "*72+13125550123"), (&manager, "*31+13125550123"), (&manager, "*003")] {
        let made = who.ask(node, "POST", "/v1/calls", json!({ "agent_id": agent.id, "to": to })).await;
        assert_eq!(made.status, 201, "{to}: {}", made.text());
        let command = told(&fleet.socket, &format!("originate {{origination_uuid={}", made.id())).await;
        assert!(command.ends_with(&format!("^transfer:{to} XML {}' inline", fleet.stage.domain)), "{command}");
    }
    let consult = agent.ask(node, "POST", &actions, json!({ "action": "consult", "to": "*78" }));
    let event = async {
        let command = told(&fleet.socket, "uuid_dual_transfer").await;
        assert!(command.starts_with(&format!("uuid_dual_transfer {b} *78/XML/")), "{command}");
        let pair = json!({ "Bridge-A-Unique-ID": a, "Bridge-B-Unique-ID": b });
        fires(&fleet.socket, leg("CHANNEL_UNBRIDGE", a, a, &pair), now());
    };
    let (consulted, ()) = tokio::join!(consult, event);
    assert_eq!(consulted.status, 200, "{}", consulted.text());
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn where_supervising_is_forbidden_nobody_gets_into_a_call_by_the_phone_of_others() {
    let fleet = Fleet::new().await;
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    let agent = person(node, Some(tenant), Role::Agent, "ann@acme.test").await;
    let manager = person(node, Some(tenant), Role::Manager, "mia@acme.test").await;
    let whose = sqlx::query("update extensions set user_id = $1 where sip_username = $2").bind(agent.id);
    whose.bind(&fleet.stage.phone).execute(node.app.changes.pool()).await.unwrap();
    let settings = format!("/v1/tenants/{tenant}/settings");
    let forbidden = json!({ "calling": { "supervision": "forbidden" } });
    assert_eq!(node.api("PATCH", &settings, forbidden).await.status, 200);
    known(&fleet).await;
    let (a, b) = talking(&fleet).await;
    let actions = format!("/v1/live/calls/{a}/actions");
    for action in
        [json!({ "action": "consult", "to": "1001", "leg_id": b }), json!({ "action": "conference", "leg_id": b })]
    {
        let refused = manager.ask(node, "POST", &actions, action.clone()).await;
        assert_eq!(code(&refused), (403, "supervision_forbidden".into()), "{action}: {}", refused.text());
        // One's own phone may, as far as there is somebody to join.
        let own = agent.ask(node, "POST", &actions, action.clone());
        let event = async {
            if action["action"] == "consult" {
                told(&fleet.socket, "uuid_dual_transfer").await;
                let pair = json!({ "Bridge-A-Unique-ID": a, "Bridge-B-Unique-ID": b });
                fires(&fleet.socket, leg("CHANNEL_UNBRIDGE", a, a, &pair), now());
            }
        };
        let (own, ()) = tokio::join!(own, event);
        assert_ne!(own.status, 403, "{action}: {}", own.text());
    }
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_call_is_transferred_to_a_number_in_e164_behind_a_code() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let (a, b) = talking(&fleet).await;
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    for wrong in ["1+13125550123", "*31++1312", "*31+", "*31+1312*", "*31 +1312", "*1234567+1312", "+*31"] {
        let refused = acts(node, tenant, &a.to_string(), json!({ "action": "transfer", "to": wrong })).await;
        assert_eq!(refused.status, 422, "{wrong}: {}", refused.text());
    }
    let id = a.to_string();
    let transfer = acts(node, tenant, &id, json!({ "action": "transfer", "to": "*31+13125550123" }));
    let event = async {
        let command = told(&fleet.socket, "uuid_transfer").await;
        assert_eq!(command, format!("uuid_transfer {b} -bleg *31+13125550123 XML {}", fleet.stage.domain));
        let pair = json!({ "Bridge-A-Unique-ID": a, "Bridge-B-Unique-ID": b });
        fires(&fleet.socket, leg("CHANNEL_UNBRIDGE", a, a, &pair), now());
    };
    let (transferred, ()) = tokio::join!(transfer, event);
    assert_eq!(transferred.status, 200, "{}", transferred.text());
    // As the switch then asks, it is the number behind the code.
    let document = fleet.stage.dials("*31+13125550123").await;
    assert!(document.contains("13125550123") && document.contains("dialplane_withhold"), "{document}");
    fleet.stage.stop().await;
}
