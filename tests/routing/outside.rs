//! Outbound calls: who may make them, to where, over which carrier; also on-net, emergency and forwarded calls.

use serde_json::{Value, json};
use sqlx::Row as _;
use uuid::Uuid;

use crate::{
    harness::call_form,
    stage::{Stage, bridges, cause, route},
};

const MUNICH: &str = "+498912345678";

#[actix_web::test]
async fn the_cheapest_carrier_of_the_longest_prefix_is_tried_first_and_the_next_only_if_it_fails() {
    let stage = Stage::new().await;
    let [cheap, dear] = [stage.carriers[0], stage.carriers[1]];
    for (number, order) in [(MUNICH, vec![cheap, dear]), ("03012345670", vec![dear, cheap])] {
        let document = stage.calls(number, Uuid::new_v4()).await;
        assert_eq!(bridges(&document).iter().map(|leg| leg.0).collect::<Vec<_>>(), order, "{document}");
    }
    let document = stage.calls(MUNICH, Uuid::new_v4()).await;
    assert_eq!(bridges(&document)[0].1, MUNICH);
    assert!(document.contains("effective_caller_id_number=+493012345678"), "{document}");
    let fails = document.lines().filter(|line| line.contains("continue_on_fail=")).collect::<Vec<_>>();
    assert!(fails[0].contains("NORMAL_TEMPORARY_FAILURE") && fails[0].contains("GATEWAY_DOWN"), "{fails:?}");
    for answer in ["USER_BUSY", "CALL_REJECTED", "NO_ANSWER", "UNALLOCATED_NUMBER", "NO_USER_RESPONSE"] {
        assert!(!fails[0].contains(answer), "{answer} is the called's answer");
    }
    assert!(fails.last().unwrap().contains("continue_on_fail=false"), "the last one's cause is the caller's");
    stage.stop().await;
}

#[actix_web::test]
async fn who_may_not_call_is_told_why() {
    let stage = Stage::new().await;
    let tenant = stage.tenant;
    let ask = async |number: &str| route(&stage.calls(number, Uuid::new_v4()).await);
    assert_eq!(ask(MUNICH).await, "outbound");
    assert_eq!(route(&stage.calls_as("", MUNICH, Uuid::new_v4()).await), "not_signed_in");
    for (number, reason) in [
        ("+33123456789", "country"),
        ("+882161234567", "premium_number"),
        ("+4990012345", "unallocated"),
        ("+252612345678", "premium_number"),
        ("09001234567", "premium_number"),
    ] {
        assert_eq!(ask(number).await, reason, "{number}");
    }
    // The tenant's rules, each in force with the next call.
    stage.rules(json!({ "outbound": { "blocked_prefixes": ["4989"] } })).await;
    assert_eq!(ask(MUNICH).await, "blocked_number");
    stage.rules(json!({ "outbound": { "blocked_prefixes": [], "price_per_minute": 9_999 } })).await;
    assert_eq!(ask(MUNICH).await, "price_per_minute");
    assert_eq!(ask("+493012345670").await, "outbound", "0.005 for Berlin");
    stage.rules(json!({ "outbound": { "price_per_minute": null } })).await;
    let abroad = json!({ "features": { "international_calls": true } });
    stage.node.api("PATCH", &format!("/v1/tenants/{tenant}/settings"), abroad).await;
    assert_eq!(ask("+33123456789").await, "outbound");
    assert_eq!(ask("+81312345678").await, "no_carrier");
    stage.rules(json!({ "outbound": { "countries": ["FR"] } })).await;
    assert_eq!(ask("+12025550123").await, "country");
    // The countries of the assignment, the state of the agent, the state of the number.
    stage.assign(json!({ "allowed_countries": ["FR"] })).await;
    assert_eq!(ask(MUNICH).await, "country");
    stage.assign(json!({})).await;
    let number = format!("/v1/phone-numbers/{}?tenant_id={tenant}", stage.number);
    stage.node.api("PATCH", &number, json!({ "status": "suspended" })).await;
    assert_eq!(ask(MUNICH).await, "no_number");
    stage.node.api("PATCH", &number, json!({ "status": "active" })).await;
    let agent = format!("/v1/admin/agents/{}?tenant_id={tenant}", stage.agent);
    assert_eq!(stage.node.api("PATCH", &agent, json!({ "status": "suspended" })).await.status, 200);
    assert_eq!(ask(MUNICH).await, "agent_suspended");
    stage.node.api("PATCH", &agent, json!({ "status": "active" })).await;
    assert_eq!(ask(MUNICH).await, "outbound");
    // An extension without an agent has no phone number.
    stage.node.extension(tenant, json!({ "number": "77" })).await;
    assert_eq!(route(&stage.calls_as("77", MUNICH, Uuid::new_v4()).await), "no_number");
    stage.stop().await;
}

#[actix_web::test]
async fn a_refusal_is_said_in_the_tenants_own_words() {
    let stage = Stage::new().await;
    let said = |document: &str| {
        let file = document.contains("data=\"custom/barred.wav\"");
        (file, document.contains("tone_stream"), document.contains("OUTGOING_CALL_BARRED"))
    };
    stage.rules(json!({ "outbound": { "countries": ["FR"] } })).await;
    assert_eq!(said(&stage.calls("+12025550123", Uuid::new_v4()).await), (false, true, true));
    let announcements =
        json!({ "country": { "file": "custom/barred.wav" }, "unallocated": { "text": "Nobody has this number" } });
    stage.rules(json!({ "outbound": { "countries": ["FR"] }, "announcements": announcements })).await;
    assert_eq!(said(&stage.calls("+12025550123", Uuid::new_v4()).await), (true, false, true));
    // Callers of a number that nobody has hear it each time, even if the node answers from memory.
    for number in 5000..5050 {
        let answer = stage.node.fetch(&call_form(&number.to_string(), "acme.test")).await.text();
        let at = |text: &str| answer.find(text).unwrap_or_else(|| panic!("{text}: {answer}"));
        assert!(at("say:Nobody has this number") < at("UNALLOCATED_NUMBER"));
    }
    let path = format!("/v1/tenants/{}/settings", stage.tenant);
    let wrong = json!({ "routing": { "announcements": { "rain": { "text": "x" } } } });
    let wrong = stage.node.api("PATCH", &path, wrong).await;
    assert_eq!(wrong.status, 422, "{}", wrong.text());
    assert!(wrong.json()["field"].as_str().unwrap().starts_with("routing.announcements"), "{}", wrong.text());
    stage.stop().await;
}

#[actix_web::test]
async fn another_tenants_number_is_reached_on_net_and_its_rights_stay_its_own() {
    let stage = Stage::new().await;
    let beta = stage.node.tenant("beta.test").await;
    let phone = stage.node.extension(beta, json!({ "number": "1000" })).await;
    let number = json!({ "number": "+4940123456", "destination": { "kind": "extension", "id": phone["id"] } });
    assert_eq!(stage.node.api("POST", &format!("/v1/phone-numbers?tenant_id={beta}"), number).await.status, 201);
    let document = stage.calls("+4940123456", Uuid::new_v4()).await;
    assert_eq!(route(&document), "on_net");
    assert!(document.contains("application=\"transfer\" data=\"+4940123456 XML public\""), "{document}");
    assert_eq!(stage.made_today().await, 0);
    // At the other tenant, the caller counts as not registered.
    let inbound = stage.node.fetch(&call_form("%2B4940123456", "public")).await.text();
    for left in ["user_name", "dialplane_on_behalf"] {
        assert!(inbound.contains(&format!("application=\"unset\" data=\"{left}\"")), "{inbound}");
    }
    // On another cluster: to its switches, if their address is known, or else over a carrier.
    let cluster = json!({ "name": "west", "region": "west", "max_tenants": 10 });
    let cluster = stage.node.api("POST", "/v1/clusters", cluster).await;
    assert_eq!(cluster.status, 201, "{}", cluster.text());
    let moved = json!({ "cluster_id": cluster.json()["id"] });
    assert_eq!(stage.node.api("PATCH", &format!("/v1/tenants/{beta}"), moved).await.status, 200);
    assert_eq!(route(&stage.calls("+4940123456", Uuid::new_v4()).await), "outbound");
    let reached = json!({ "sip_domains": ["west.fleet.test"] });
    let path = format!("/v1/clusters/{}", cluster.json()["id"].as_str().unwrap());
    assert_eq!(stage.node.api("PATCH", &path, reached).await.status, 200);
    let made = stage.made_today().await;
    let document = stage.calls("+4940123456", Uuid::new_v4()).await.replace("&#45;", "-");
    assert_eq!(route(&document), "on_net");
    assert!(document.contains("sofia/external/+4940123456@west.fleet.test\""), "{document}");
    assert!(!document.contains("privacy") && !document.contains("sip_cid_type"), "{document}");
    assert_eq!(stage.made_today().await, made);
    // The other cluster gets a withheld number where it is not shown, and is told that it is withheld.
    let withheld =
        format!("{}&variable_dialplane_withhold=true", stage.form(&stage.phone, "+4940123456", Uuid::new_v4()));
    let document = stage.node.fetch(&withheld).await.text().replace("&#45;", "-");
    assert_eq!(route(&document), "on_net");
    assert!(
        document.contains("application=\"privacy\" data=\"full\"") && document.contains("sip_cid_type=pid"),
        "{document}"
    );
    stage.stop().await;
}

#[actix_web::test]
async fn emergencies_pass_with_every_limit_reached_and_the_contacts_are_told() {
    let stage = Stage::new().await;
    let emergency = json!({ "contacts": ["guard@acme.test"], "location": "O'Connell Street 1, Smith & Sons", "caller_id": "+493012345999" });
    let none = json!({ "concurrent_calls": 0, "calls_per_second": 0, "spend_per_day": 0, "blocked_prefixes": ["1"] });
    stage.rules(json!({ "emergency": emergency, "outbound": none })).await;
    stage.assign(json!({ "daily_limit": 0 })).await;
    assert_ne!(route(&stage.calls(MUNICH, Uuid::new_v4()).await), "outbound");
    let call = Uuid::new_v4();
    for _ in 0..2 {
        let document = stage.calls("112", call).await;
        assert_eq!(route(&document), "emergency");
        // It continues when its caller is suspended, although their other calls end.
        assert!(document.contains("application=\"unset\" data=\"dialplane_extension\""), "{document}");
        let legs = bridges(&document);
        assert_eq!(legs.iter().map(|leg| leg.1.as_str()).collect::<Vec<_>>(), ["112", "112"]);
        assert!(document.contains("effective_caller_id_number=+493012345678"), "the agent's own: {document}");
        assert!(
            document.replace("&#45;", "-").contains("X-Emergency-Location=O&#8217;Connell Street 1  Smith + Sons"),
            "{document}"
        );
    }
    // Also from an extension without a phone number, with the tenant's number.
    let document = stage.calls_as("", "110", Uuid::new_v4()).await;
    assert!(document.contains("effective_caller_id_number=+493012345999"), "{document}");
    assert_eq!(stage.made_today().await, 0, "never counted");
    let mut db = stage.database.connect().await;
    let written = async |db: &mut sqlx::PgConnection| {
        let mails = sqlx::query("select count(*) from mail_outbox where template = 'emergency_call'")
            .fetch_one(&mut *db)
            .await
            .unwrap();
        let calls =
            sqlx::query("select count(*) from admissions where emergency and admitted").fetch_one(db).await.unwrap();
        (mails.get::<i64, _>(0), calls.get::<i64, _>(0))
    };
    let since = std::time::Instant::now();
    while written(&mut db).await != (2, 2) {
        assert!(since.elapsed().as_secs() < 10, "{:?}", written(&mut db).await);
        tokio::task::yield_now().await;
    }
    stage.stop().await;
}

#[actix_web::test]
async fn a_forward_out_of_the_platform_is_admitted_for_who_forwards() {
    let stage = Stage::new().await;
    let phone = &stage.phone;
    let list = stage.node.api("GET", &format!("/v1/tenants/{}/extensions", stage.tenant), Value::Null).await.json();
    let id = list["items"][0]["id"].as_str().unwrap();
    let path = format!("/v1/tenants/{}/extensions/{id}", stage.tenant);
    stage.node.api("PATCH", &path, json!({ "calls": { "forward_always": MUNICH } })).await;
    let led = stage.node.fetch(&call_form(phone, "acme.test")).await.text();
    assert!(led.contains(&format!("dialplane_on_behalf={phone}")) && led.contains("dialplane_hops=1:0:"), "{led}");
    // A stranger's call continues, on behalf of the extension that forwards it.
    let form = format!(
        "{}&variable_dialplane_on_behalf={phone}&variable_dialplane_hops=1",
        stage.form("", MUNICH, Uuid::new_v4())
    );
    let forwarded = stage.node.fetch(&form).await.text().replace("&#45;", "-");
    assert_eq!(route(&forwarded), "outbound");
    let diversion = "sip_h_Diversion=&#60;sip:+493012345678@cheap.carrier.test&#62;;reason=unknown";
    assert!(forwarded.contains(diversion) || forwarded.replace("&#59;", ";").contains(diversion), "{forwarded}");
    assert_eq!(stage.made_today().await, 1);
    assert!(!stage.calls(MUNICH, Uuid::new_v4()).await.contains("Diversion"), "a call of its own is not forwarded");
    // If it was led on eleven times, it is a loop.
    let form = format!(
        "{}&variable_dialplane_on_behalf={phone}&variable_dialplane_hops=11",
        stage.form("", MUNICH, Uuid::new_v4())
    );
    let cut = stage.node.fetch(&form).await.text();
    assert_eq!((route(&cut).as_str(), cause(&cut).as_deref()), ("loop", Some("EXCHANGE_ROUTING_ERROR")));
    // By phone: the feature code switches it off, and the next call rings.
    let off = stage.calls("*73", Uuid::new_v4()).await;
    assert_eq!(route(&off), "call_handling");
    assert_eq!(route(&stage.node.fetch(&call_form(phone, "acme.test")).await.text()), "extension");
    let on = stage.calls("*72+493012345670", Uuid::new_v4()).await;
    assert_eq!(route(&on), "call_handling");
    assert_eq!(stage.node.api("GET", &path, Value::Null).await.json()["calls"]["forward_always"], "+493012345670");
    stage.stop().await;
}

#[actix_web::test]
async fn a_forward_shows_who_calls_if_the_tenant_wants_it_and_the_carrier_takes_it() {
    const OWN: &str = "+493012345678";
    const EVE: &str = "+4915112345678";
    let stage = Stage::new().await;
    let shown = async |more: &str| {
        let on_behalf = format!("&variable_dialplane_on_behalf={}&variable_dialplane_hops=1", stage.phone);
        let form = format!("{}{on_behalf}{more}", stage.form("", MUNICH, Uuid::new_v4()));
        let document = stage.node.fetch(&form).await.text();
        assert_eq!(route(&document), "outbound", "{document}");
        assert!(document.contains("sip_h_Diversion"), "{document}");
        let numbers = document.split("effective_caller_id_number=").skip(1).filter_map(|rest| rest.split('"').next());
        numbers.map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let eve = "&Caller-Caller-ID-Number=%2B4915112345678";
    assert_eq!(shown(eve).await, [OWN, OWN]);
    let consent = json!({ "config": { "host": "dear.carrier.test", "forwarded_caller": true } });
    let dear = format!("/v1/carriers/{}", stage.carriers[1]);
    assert_eq!(stage.node.api("PATCH", &dear, consent).await.status, 200);
    assert_eq!(shown(eve).await, [OWN, OWN], "the tenant does not want it");
    stage.rules(json!({ "outbound": { "forwards_show_caller": true } })).await;
    assert_eq!(shown(eve).await, [OWN, EVE]);
    for written in ["004915112345678", "015112345678", "4915112345678"] {
        assert_eq!(shown(&format!("&Caller-Caller-ID-Number={written}")).await, [OWN, EVE], "{written}");
    }
    // What is no number outside is not shown there.
    for written in ["1000", "anonymous", "", "%2B49"] {
        assert_eq!(shown(&format!("&Caller-Caller-ID-Number={written}")).await, [OWN, OWN], "{written}");
    }
    let colleague = format!("&variable_dialplane_extension={}&variable_dialplane_number=1000", Uuid::new_v4());
    assert_eq!(shown(&colleague).await, [OWN, OWN], "a phone without a number outside");
    let colleague = format!("{colleague}&variable_dialplane_own_number=%2B493011112222");
    assert_eq!(shown(&colleague).await, [OWN, "+493011112222"]);
    let rings_elsewhere = "&Caller-Caller-ID-Number=1000&variable_dialplane_original=%2B493011112222";
    assert_eq!(shown(rings_elsewhere).await, [OWN, "+493011112222"]);
    let withheld = shown(&format!("{eve}&Caller-Privacy-Hide-Number=true")).await;
    assert!(withheld.iter().all(|number| number != EVE), "{withheld:?}");
    // A call of one's own.
    let own = format!("{}{eve}", stage.form(&stage.phone, MUNICH, Uuid::new_v4()));
    assert!(!stage.node.fetch(&own).await.text().contains(EVE));
    stage.stop().await;
}

#[actix_web::test]
async fn a_sick_carrier_drops_back_and_recovers() {
    let stage = Stage::new().await;
    let [cheap, dear] = [stage.carriers[0], stage.carriers[1]];
    let order =
        async || bridges(&stage.calls(MUNICH, Uuid::new_v4()).await).iter().map(|leg| leg.0).collect::<Vec<_>>();
    let leg = |cause: &str, answered: bool| json!({ "dialplane_carrier": cheap, "hangup_cause": cause, "answer_epoch": if answered { "1790000000" } else { "0" }, "billsec": if answered { "1" } else { "0" } });
    assert_eq!(order().await, [cheap, dear]);
    for _ in 0..10 {
        stage.cdr(Uuid::new_v4(), leg("USER_BUSY", false)).await;
    }
    assert_eq!(order().await, [cheap, dear], "busy is the called's answer");
    for _ in 0..5 {
        stage.cdr(Uuid::new_v4(), leg("NORMAL_TEMPORARY_FAILURE", false)).await;
    }
    assert_eq!(order().await, [dear, cheap]);
    let health = stage.node.api("GET", &format!("/v1/carriers/{cheap}"), Value::Null).await.json()["health"].clone();
    assert_eq!((health["failures"].as_i64(), health["sick_until"].is_string()), (Some(5), true));
    stage.cdr(Uuid::new_v4(), leg("NORMAL_CLEARING", true)).await;
    assert_eq!(order().await, [cheap, dear]);
    stage.stop().await;
}

#[actix_web::test]
async fn an_agents_choice_of_numbers_is_kept() {
    let stage = Stage::new().await;
    let tenant = stage.tenant;
    for number in ["+498912345000", "+33123456700"] {
        let made =
            stage.node.api("POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), json!({ "number": number })).await;
        let path = format!("/v1/phone-numbers/{}/assign?tenant_id={tenant}", made.id());
        assert_eq!(stage.node.api("POST", &path, json!({ "agent_id": stage.agent })).await.status, 200);
    }
    let abroad = json!({ "features": { "international_calls": true } });
    stage.node.api("PATCH", &format!("/v1/tenants/{tenant}/settings"), abroad).await;
    let shown = async |number: &str| {
        let document = stage.calls(number, Uuid::new_v4()).await;
        let line = document.lines().find(|line| line.contains("effective_caller_id_number=")).unwrap().to_owned();
        line.split('=').next_back().unwrap().split('"').next().unwrap().to_owned()
    };
    let choose = async |choice: &str| {
        let path = format!("/v1/phone-numbers/agent/{}?tenant_id={tenant}", stage.agent);
        assert_eq!(stage.node.api("PATCH", &path, json!({ "choice": choice })).await.status, 200);
    };
    assert_eq!([shown(MUNICH).await, shown(MUNICH).await], ["+493012345678", "+493012345678"]);
    choose("match_country").await;
    assert!(shown("+33123456789").await.contains("33123456700"));
    choose("round_robin").await;
    let seen = [shown(MUNICH).await, shown(MUNICH).await, shown(MUNICH).await];
    assert!(seen.iter().collect::<std::collections::HashSet<_>>().len() >= 2, "{seen:?}");
    stage.stop().await;
}

#[actix_web::test]
async fn prices_are_shown_and_routes_explained_without_a_trace() {
    let stage = Stage::new().await;
    let tenant = stage.tenant;
    let preview = stage
        .node
        .api("GET", &format!("/v1/routes/preview?tenant_id={tenant}&number=%2B493012345670"), Value::Null)
        .await;
    assert_eq!(preview.status, 200, "{}", preview.text());
    let preview = preview.json();
    let prices = preview["carriers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["carrier"].as_str().unwrap(), c["price"].as_i64().unwrap()));
    assert_eq!(prices.collect::<Vec<_>>(), [("dear", 5_000), ("cheap", 10_000)]);
    let explain =
        async |body: Value| stage.node.api("POST", &format!("/v1/routes/explain?tenant_id={tenant}"), body).await;
    let out = explain(json!({ "caller": stage.phone, "number": MUNICH })).await;
    assert_eq!(out.status, 200, "{}", out.text());
    let out = out.json();
    assert_eq!((out["result"].as_str(), out["offers"].as_array().unwrap().len()), (Some("outbound"), 2));
    let rules = out["steps"][0]["tried"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tried| tried["rule"].as_str().unwrap().to_owned())
        .collect::<Vec<_>>();
    for rule in [
        "emergency",
        "feature code",
        "internal",
        "outside",
        "caller",
        "tenant's rules",
        "number to show",
        "carriers",
        "daily limit",
    ] {
        assert!(rules.iter().any(|known| known == rule), "{rule}: {rules:?}");
    }
    assert!(out["steps"][0]["xml"].as_str().unwrap().contains("bridge"));
    // The tenant by its domain and the caller by number, as people name them.
    let node = &stage.node;
    let extension = node.api("GET", &format!("/v1/tenants/{tenant}/extensions"), Value::Null).await.json();
    let said = json!({ "tenant": stage.domain, "caller": extension["items"][0]["number"], "number": MUNICH });
    let named = node.api("POST", "/v1/routes/explain", said).await;
    assert_eq!((named.status, named.json()["result"].as_str()), (200, Some("outbound")), "{}", named.text());
    let nobody = json!({ "tenant": tenant, "caller": "7999", "number": MUNICH });
    let nobody = node.api("POST", "/v1/routes/explain", nobody).await;
    assert_eq!((nobody.status, nobody.json()["field"].as_str()), (422, Some("caller")), "{}", nobody.text());
    let nowhere = json!({ "tenant": "nowhere.test", "number": MUNICH });
    assert_eq!(node.api("POST", "/v1/routes/explain", nowhere).await.status, 404);
    let barred = explain(json!({ "caller": stage.phone, "number": "+12025550123" })).await.json();
    assert_eq!((barred["result"].as_str(), barred["cause"].as_str()), (Some("country"), Some("OUTGOING_CALL_BARRED")));
    let help = explain(json!({ "caller": stage.phone, "number": "112" })).await.json();
    let over = help["steps"][0]["actions"].as_array().unwrap().iter().filter(|run| run["application"] == "bridge");
    assert_eq!((help["result"].as_str(), over.count()), (Some("emergency"), 2), "{help}");
    assert_eq!(stage.made_today().await, 0);
    let mut db = stage.database.connect().await;
    let rows = sqlx::query("select count(*) from admissions").fetch_one(&mut db).await.unwrap().get::<i64, _>(0);
    assert_eq!(rows, 0, "nothing was written");
    stage.stop().await;
}
