//! Every known phone can make emergency calls: also one that is suspended or has no agent, and while the database hangs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::Row as _;
use uuid::Uuid;

use crate::{
    harness::{Answer, invite_form},
    stage::{Stage, bridges, cause, hang, route},
};

/// What a call of this phone carries after the directory was asked for it, as a form's fields.
async fn variables(stage: &Stage, phone: &str) -> String {
    let shown = stage.node.fetch(&invite_form(phone, &stage.domain)).await.text();
    assert!(shown.contains("a1-hash"), "{shown}");
    let named = ["dialplane_help_only", "dialplane_own_number", "dialplane_extension"].into_iter().filter_map(|name| {
        let value = shown.split_once(&format!("name=\"{name}\" value=\""))?.1.split('"').next()?;
        Some(format!("&variable_{name}={}", value.replace("&#45;", "-").replace("&#43;", "%2B")))
    });
    named.collect()
}

async fn calls_with(stage: &Stage, phone: &str, variables: &str, number: &str, call: Uuid) -> Answer {
    let form = stage.form(phone, number, call).replace("&Hunt-Context", &format!("{variables}&Hunt-Context"));
    stage.node.fetch(&form).await
}

/// Calls for help until the answer shows a number. A call for help waits for the database for a moment only, and on a busy machine the database
/// misses that now and then.
async fn helped(stage: &Stage, phone: &str, variables: &str, number: &str) -> String {
    let since = Instant::now();
    loop {
        let document = calls_with(stage, phone, variables, number, Uuid::new_v4()).await.text();
        assert_eq!(route(&document), "emergency");
        if document.contains("effective_caller_id_number=") {
            return document;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{document}");
    }
}

#[actix_web::test]
async fn a_suspended_phone_calls_for_help_and_nobody_else() {
    let stage = Stage::new().await;
    let path = format!("/v1/admin/agents/{}?tenant_id={}", stage.agent, stage.tenant);
    let before = variables(&stage, &stage.phone).await;
    assert!(!before.contains("help_only"), "{before}");
    assert_eq!(stage.node.api("PATCH", &path, json!({ "status": "suspended" })).await.status, 200);

    let after = variables(&stage, &stage.phone).await;
    assert!(after.contains("dialplane_help_only=true"), "{after}");
    // Anything but a call is refused, and nothing rings it.
    let ask = invite_form(&stage.phone, &stage.domain);
    for method in ["REGISTER", "SUBSCRIBE", "MESSAGE", "PUBLISH"] {
        let form = ask.replace("=INVITE", &format!("={method}&sip_to_user={}&sip_to_host=acme.test", stage.phone));
        let shown = stage.node.fetch(&form).await.text();
        assert!(!shown.contains("<user "), "{method}: {shown}");
    }
    assert!(!stage.node.fetch(&ask.replace("action=sip_auth", "action=user_call")).await.text().contains("<user "));

    let document = helped(&stage, &stage.phone, &after, "112").await;
    assert!(document.contains("effective_caller_id_number=+493012345678"), "its own number is shown: {document}");
    let colleague = stage.node.extension(stage.tenant, json!({ "number": "77" })).await;
    for number in ["77", "+498912345678", "9196", "*97", "*72112", stage.phone.as_str()] {
        let document = calls_with(&stage, &stage.phone, &after, number, Uuid::new_v4()).await.text();
        assert_eq!(cause(&document).as_deref(), Some("OUTGOING_CALL_BARRED"), "{number}: {document}");
    }
    // Other phones don't get its answer, whoever asked first.
    let user = colleague["sip_username"].as_str().unwrap();
    assert_eq!(route(&stage.calls_as(user, "9196", Uuid::new_v4()).await), "echo");

    // A phone without an agent can make emergency calls as well, with the tenant's number.
    stage.rules(json!({ "emergency": { "caller_id": "+4930999" } })).await;
    let nobodys = variables(&stage, user).await;
    let document = helped(&stage, user, &nobodys, "110").await;
    assert!(document.contains("effective_caller_id_number=+4930999"), "{document}");

    // So does everybody of a suspended tenant.
    let path = format!("/v1/tenants/{}", stage.tenant);
    assert_eq!(stage.node.api("PATCH", &path, json!({ "status": "suspended" })).await.status, 200);
    let all = variables(&stage, user).await;
    assert!(all.contains("help_only"), "{all}");
    assert_eq!(route(&calls_with(&stage, user, &all, "112", Uuid::new_v4()).await.text()), "emergency");
    assert!(!stage.node.sign_in(user, "acme.test").await.text().contains("<user "));
    stage.stop().await;
}

#[actix_web::test]
async fn calls_for_help_try_the_carriers_meant_for_it_first_and_then_all_others() {
    let stage = Stage::new().await;
    let config = json!({ "host": "help.carrier.test", "emergency": true });
    let meant = stage.carrier("help", config, "1,9\n").await;
    let tried = bridges(&stage.calls("112", Uuid::new_v4()).await).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(tried.len(), 3, "{tried:?}");
    assert!(tried[0] == meant && stage.carriers.iter().all(|other| tried.contains(other)), "{tried:?}");
    stage.stop().await;
}

#[actix_web::test]
async fn a_call_for_help_does_not_wait_for_a_database_that_hangs_and_is_recorded_when_it_is_back() {
    let stage = Stage::new().await;
    let emergency = json!({ "emergency": { "location": "Berlin", "contacts": ["desk@acme.test"] } });
    stage.rules(emergency).await;
    let other = stage.node.tenant("other.test").await;
    // As a phone: the directory was asked before, and the tenant is known. Of the other tenant, nothing is.
    let variables = variables(&stage, &stage.phone).await;
    stage.calls("9196", Uuid::new_v4()).await;
    let mut db = stage.database.connect().await;
    hang(&mut db).await;
    // While the node still calls itself fresh, when its lease has just run out, and when it knows that the database is gone.
    let mut slowest = Duration::ZERO;
    let mut calls = Vec::new();
    for wait in [0, 900, 300, 3000] {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let began = Instant::now();
        let call = Uuid::new_v4();
        let form = invite_form(&stage.phone, &stage.domain) + "&sip_to_user=112";
        let form = form.replace("&key=id", "&sip_to_user=112&key=id");
        assert!(stage.node.fetch(&form).await.text().contains("a1-hash"), "it signs in after {wait} ms");
        let document = calls_with(&stage, &stage.phone, &variables, "112", call).await.text();
        let took = began.elapsed();
        println!("after {wait} ms: {took:?}");
        slowest = slowest.max(took);
        assert_eq!(route(&document), "emergency");
        assert!(document.contains("effective_caller_id_number=+493012345678"), "{document}");
        assert!(document.replace("&#45;", "-").contains("X-Emergency-Location=Berlin"), "{document}");
        calls.push(call);
        let began = Instant::now();
        let form = stage.form("", "112", Uuid::new_v4()).replace("acme.test", "other.test");
        assert_eq!(route(&stage.node.fetch(&form).await.text()), "emergency");
        println!("after {wait} ms, of an unknown tenant: {:?}", began.elapsed());
        slowest = slowest.max(began.elapsed());
    }
    println!("the slowest call took {slowest:?}");
    // The waits of a call add up to 120 ms; a busy machine adds to that.
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    sqlx::query("rollback").execute(&mut db).await.unwrap();

    let began = Instant::now();
    let recorded = "select caller_id, extension_id is not null as has_extension from admissions where emergency and call_id = any ($1)";
    loop {
        let rows = sqlx::query(recorded).bind(&calls).fetch_all(&mut db).await.unwrap();
        if rows.len() == calls.len() {
            for row in rows {
                assert_eq!(row.get::<Option<String>, _>("caller_id").as_deref(), Some("+493012345678"));
                assert!(row.get::<bool, _>("has_extension"));
            }
            break;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{} of {} are recorded", rows.len(), calls.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mails = "select count(*) from mail_outbox where tenant_id = $1 and recipient = 'desk@acme.test'";
    let told = sqlx::query_scalar::<_, i64>(mails).bind(stage.tenant).fetch_one(&mut db).await.unwrap();
    assert_eq!(told, i64::try_from(calls.len()).unwrap(), "one mail a call");
    assert_ne!(other, stage.tenant);
    stage.stop().await;
}

#[actix_web::test]
async fn a_phone_of_which_nothing_is_kept_signs_in_for_help_when_the_database_answers_late() {
    let stage = Stage::new().await;
    stage.calls("9196", Uuid::new_v4()).await;
    let mut db = stage.database.connect().await;
    hang(&mut db).await;
    let form = invite_form(&stage.phone, &stage.domain) + "&sip_to_user=112";
    let form = form.replace("&key=id", "&sip_to_user=112&key=id");
    let late = async {
        // Longer than a call for help waits that has something to fall back on.
        tokio::time::sleep(Duration::from_millis(150)).await;
        sqlx::query("rollback").execute(&mut db).await.unwrap();
    };
    let (answer, ()) = tokio::join!(stage.node.fetch(&form), late);
    assert!(answer.text().contains("a1-hash"), "{}", answer.text());
    stage.stop().await;
}

#[actix_web::test]
async fn a_setting_that_cannot_be_read_keeps_nobody_from_help() {
    let stage = Stage::new().await;
    stage.rules(json!({ "emergency": { "location": "Berlin", "contacts": ["desk@acme.test"] } })).await;
    let phone = variables(&stage, &stage.phone).await;
    let broken = "update tenants set settings = jsonb_set(settings, '{time_zone}', '\"Nowhere/Ever\"')
                   where domain = 'acme.test'";
    sqlx::query(broken).execute(&mut stage.database.connect().await).await.unwrap();
    let broken =
        "update tenants set settings = jsonb_set(settings, '{business_hours}', '17') where domain = 'acme.test'";
    sqlx::query(broken).execute(&mut stage.database.connect().await).await.unwrap();
    // The change by hand is known to the node within a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    // Another call has found out what can be read. On a busy machine, a call for help would not wait for that.
    assert_eq!(stage.node.fetch(&stage.form(&stage.phone, "9196", Uuid::new_v4())).await.status, 503);
    for number in ["112", "110"] {
        let document = calls_with(&stage, &stage.phone, &phone, number, Uuid::new_v4()).await.text();
        assert_eq!(route(&document), "emergency", "{number}");
        assert!(document.contains("effective_caller_id_number=+493012345678"), "{document}");
        // The other settings count as before.
        assert!(document.replace("&#45;", "-").contains("X-Emergency-Location=Berlin"), "{document}");
    }
    let since = Instant::now();
    let told = "select count(*) from mail_outbox where template = 'emergency_call' and recipient = 'desk@acme.test'";
    while stage.database.count(told).await < 2 {
        assert!(since.elapsed() < Duration::from_mins(1), "the contacts were not told");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(stage.database.count("select count(*) from admissions where emergency and admitted").await, 2);
    stage.stop().await;
}

/// An emergency number of the country, and something of the tenant with the same number: whichever comes first is kept, never both.
#[actix_web::test]
async fn nothing_has_an_emergency_number_of_its_country_whoever_comes_first() {
    let stage = Stage::new().await;
    let node = &stage.node;
    for at in 0..24 {
        let tenant = node.tenant(&format!("t{at}.test")).await;
        let path = |what: &str| format!("/v1/tenants/{tenant}/{what}");
        let france = json!({ "country": "FR" });
        let taken = [
            ("extensions", json!({ "number": "15" })),
            ("groups", json!({ "name": "crew", "number": "15", "members": [] })),
            ("pools", json!({ "first_number": 10, "last_number": 20 })),
            ("settings", json!({ "routing": { "codes": { "echo": "115" } } })),
        ];
        let (what, body) = &taken[at % taken.len()];
        let method = if *what == "settings" { "PATCH" } else { "POST" };
        let take = async || node.api(method, &path(what), body.clone()).await;
        let moves = async || node.api("PATCH", &path("settings"), france.clone()).await;
        let (one, other) = match at / taken.len() {
            0 => (take().await, moves().await),
            1 => {
                let moved = moves().await;
                (take().await, moved)
            }
            _ => tokio::join!(take(), moves()),
        };
        let (one, other) = (one.status, other.status);
        assert!(one < 500 && other < 500, "{what}: {one} {other}");
        // A pool may span one: it is never given out.
        if *what != "pools" {
            assert!(one >= 400 || other >= 400, "{what}: {one} {other}");
        }
        let shown = node.api("GET", &path("settings"), Value::Null).await.json();
        if *what == "pools" && shown["country"] == "FR" {
            let agent =
                json!({ "first_name": "A", "last_name": "B", "email": format!("a{at}@t.test"), "numbers": ["15"] });
            let made = node.api("POST", &format!("/v1/admin/agents?tenant_id={tenant}"), agent).await;
            assert!(made.status >= 400, "{}", made.text());
        }
    }
    stage.stop().await;
}

/// The emergency desk calls back: for an hour, the number that was shown reaches the phone that called.
#[actix_web::test]
async fn calls_back_from_the_emergency_desk_reach_the_phone_past_do_not_disturb_forwards_and_blocks() {
    let stage = Stage::new().await;
    let tenant = stage.tenant;
    let other = stage.node.extension(tenant, json!({ "number": "77", "ring_seconds": 40 })).await;
    let number = format!("/v1/phone-numbers/{}?tenant_id={tenant}", stage.number);
    let extensions = stage.node.api("GET", &format!("/v1/tenants/{tenant}/extensions"), Value::Null).await.json();
    let agents = extensions["items"].as_array().unwrap().iter().find(|e| e["sip_username"] == stage.phone).unwrap();
    let leads = json!({ "destination": { "kind": "extension", "id": agents["id"] } });
    assert_eq!(stage.node.api("PATCH", &number, leads).await.status, 200);
    let calls = json!({ "calls": { "do_not_disturb": true, "forward_always": "77", "blocked_callers": ["49"] } });
    let extension = format!("/v1/tenants/{tenant}/extensions/{}", agents["id"].as_str().unwrap());
    assert_eq!(stage.node.api("PATCH", &extension, calls).await.status, 200);
    stage.rules(json!({ "blocked_callers": ["49"], "emergency": { "caller_id": "+493012345678" } })).await;
    let calls_in = async || {
        let form = "hostname=fs&section=dialplan&tag_name=&key_name=&key_value=&Event-Name=REQUEST_PARAMS&Caller-Caller-ID-Number=%2B498912345678&Hunt-Context=public&Hunt-Destination-Number=%2B493012345678";
        stage.node.fetch(form).await.text()
    };
    let rings = |document: &str, phone: &str| document.contains(&format!("user/{phone}&#126;fork@acme.test"));
    let document = calls_in().await;
    assert!(!rings(&document, &stage.phone) && cause(&document).is_some(), "blocked: {document}");

    // Either the agent calls, or a phone without a number of its own, which shows the tenant's.
    for phone in [stage.phone.as_str(), other["sip_username"].as_str().unwrap()] {
        assert_eq!(route(&stage.calls_as(phone, "112", Uuid::new_v4()).await), "emergency");
        let since = Instant::now();
        let document = loop {
            let document = calls_in().await;
            if rings(&document, phone) {
                break document;
            }
            assert!(since.elapsed() < Duration::from_mins(1), "{phone}: {document}");
            actix_web::rt::time::sleep(Duration::from_millis(20)).await;
        };
        let at = |text: &str| document.find(text).unwrap_or_else(|| panic!("{text}: {document}"));
        assert!(at("continue_on_fail=true") < at("user/"), "{document}");
        // If the phone does not take it, the call goes where the number leads.
        assert!(at("user/") < at("\"hangup\""), "{document}");
        if phone == "77" {
            assert!(document.contains("call_timeout=40"), "{document}");
        }
    }
    // An hour later, all is as before.
    let mut db = stage.database.connect().await;
    let minutes = "select extract(epoch from min(until) - now())::float8 / 60, extract(epoch from max(until) - now())::float8 / 60
                     from help_callbacks";
    let (least, most) = sqlx::query_as::<_, (f64, f64)>(minutes).fetch_one(&mut db).await.unwrap();
    assert!(least > 55.0 && most <= 60.0, "{least} to {most} minutes");
    sqlx::query("update help_callbacks set until = now() + interval '1 second'").execute(&mut db).await.unwrap();
    let since = Instant::now();
    while calls_in().await.contains("user/") {
        assert!(since.elapsed() < Duration::from_mins(1));
        actix_web::rt::time::sleep(Duration::from_millis(50)).await;
    }
    stage.stop().await;
}
