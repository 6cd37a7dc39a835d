//! Calls of pages that were away, with a simulated switch: who gets a call back, the commands that the switch gets for it, and what becomes of
//! the other side meanwhile.

use std::time::{Duration, Instant};

use dialplane::{
    node::changes::Author,
    tenancy::auth::{session, store},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    event_socket::EventSocket,
    harness::Answer,
    live::{fires, known, leg, now, registers},
    pushes::Fleet,
};

const CONTACT: &str =
    "sip:page1@x1.invalid;transport=ws;fs_nat=yes;fs_path=sip%3Apage1%40127.0.0.1%3A48398%3Btransport%3Dws";

/// A call from outside that an agent's page has taken.
struct Talk {
    fleet: Fleet,
    caller: Uuid,
    page: Uuid,
    token: String,
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < Duration::from_mins(1), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the switch got a command that begins with this text, and returns it.
async fn told(socket: &EventSocket, begins: &str) -> String {
    let mut found = None;
    until(begins, async || {
        found = socket.has().told.iter().find(|command| command.starts_with(begins)).cloned();
        found.is_some()
    })
    .await;
    found.unwrap()
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
}

impl Talk {
    async fn new() -> Self {
        let fleet = Fleet::new().await;
        known(&fleet).await;
        fleet.sql("update users set status = 'active', email_verified_at = now()").await;
        let app = &fleet.stage.node.app;
        let author = Author { name: "test".into(), source: None, within: None };
        let mut change = app.changes.begin(author).await.unwrap();
        let account = store::account(change.db(), fleet.stage.agent).await.unwrap().unwrap();
        let source = session::Source::default();
        let (_, tokens) = session::for_script(&app.auth, &mut change, &account, &source).await.unwrap();
        change.commit_quietly().await.unwrap();
        let talk = Self { caller: Uuid::new_v4(), page: Uuid::new_v4(), token: tokens.access_token, fleet };
        talk.registers(CONTACT, "page");
        talk.talks().await;
        talk
    }

    fn registers(&self, contact: &str, call_id: &str) {
        let stage = &self.fleet.stage;
        let mut event = registers(&stage.domain, &stage.phone, call_id);
        event["profile-name"] = "internal".into();
        event["contact"] = format!("\"x\" <{contact}>").into();
        fires(&self.fleet.socket, event, now());
    }

    fn unregisters(&self, call_id: &str) {
        let event = json!({ "Event-Name": "CUSTOM", "Event-Subclass": "sofia::unregister", "call-id": call_id });
        fires(&self.fleet.socket, event, now());
    }

    async fn talks(&self) {
        let stage = &self.fleet.stage;
        let (a, b) = (self.caller, self.page);
        let caller = json!({
            "Call-Direction": "inbound", "Channel-Name": "sofia/external/x@carrier.test", "Caller-Caller-ID-Number": "+493012345678",
            "Caller-Destination-Number": "+12025550123", "Caller-Context": "public", "variable_dialplane_tenant": stage.tenant,
        });
        let called = json!({
            "Call-Direction": "outbound", "Channel-Name": "sofia/internal/page1@x1.invalid", "Other-Leg-Unique-ID": a,
            "variable_dialplane_taken_by": format!("{}@{}", stage.phone, stage.domain), "variable_sip_call_id": "dialog-1",
        });
        let pair = json!({ "Bridge-A-Unique-ID": a, "Bridge-B-Unique-ID": b });
        for (name, of, more) in [
            ("CHANNEL_CREATE", a, &caller),
            ("CHANNEL_CREATE", b, &called),
            ("CHANNEL_ANSWER", b, &called),
            ("CHANNEL_ANSWER", a, &json!({})),
            ("CHANNEL_BRIDGE", a, &pair),
        ] {
            fires(&self.fleet.socket, leg(name, of, a, more), now());
        }
        until("the call is known", async || self.calls("dialog-1").await == 1).await;
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        self.fleet.stage.node.api_with(method, path, &[("Authorization", &bearer)], body).await
    }

    /// How many of the agent's calls have a dialog with this Call-ID.
    async fn calls(&self, sip_call_id: &str) -> usize {
        let path = format!("/v1/live/calls?sip_call_id={sip_call_id}&state=talking");
        self.ask("GET", &path, Value::Null).await.json()["items"].as_array().map_or(0, Vec::len)
    }

    fn path(&self) -> String {
        format!("/v1/live/calls/{}/actions", self.caller)
    }

    fn asked() -> Value {
        json!({ "action": "return", "sip_call_id": "dialog-1", "contact": "page1", "mark": Uuid::from_u128(7) })
    }

    /// The leg that the switch was told to make.
    async fn called(&self) -> (String, Uuid) {
        let command = told(&self.fleet.socket, "originate").await;
        let leg = command.split("origination_uuid=").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
        (command, leg)
    }
}

#[actix_web::test]
async fn a_page_is_called_at_its_own_contact_and_takes_the_place_of_the_leg_it_has_lost() {
    let talk = Talk::new().await;
    let Talk { fleet, caller, page, .. } = &talk;
    assert_eq!(talk.calls("dialog-2").await, 0);
    // Another device of the extension is not called.
    talk.registers("sip:desk@192.0.2.7:5060", "desk");
    let path = talk.path();
    let asks = talk.ask("POST", &path, Talk::asked());
    let happens = async {
        let (command, new) = talk.called().await;
        let (phone, domain) = (&fleet.stage.phone, &fleet.stage.domain);
        assert!(command.contains(&format!("sip_auto_answer=true,sip_h_X-Dialplane-Call={}}}", Uuid::from_u128(7))));
        let (_, rest) = command.split_once(&format!("}}user/{phone}~again.")).unwrap_or_else(|| panic!("{command}"));
        assert!(rest.ends_with(&format!("@{domain} park: inline")), "{command}");
        // What the switch dials then is that contact, whatever limit the extension has.
        let asked = rest.split('@').next().unwrap();
        let form = format!(
            "hostname=fs&section=directory&tag_name=domain&key_name=name&key_value=acme.test&Event-Name=REQUEST_PARAMS&as_channel=true\
             &action=user_call&key=id&user={phone}~again.{asked}&domain=acme.test"
        );
        let extension = fleet.extension().await;
        let limited = json!({ "calls": { "busy_on_busy": true } });
        fleet.change("PATCH", &format!("/v1/tenants/{}/extensions/{extension}", fleet.stage.tenant), limited).await;
        let document = fleet.stage.node.fetch(&form).await.text();
        let document = quick_xml::escape::unescape(&document).unwrap().into_owned();
        assert!(document.contains(&format!("sofia/internal/{CONTACT}")), "{document}");
        assert!(!document.contains("192.0.2.7") && !document.contains("execute_on_originate"), "{document}");
        let own = json!({
            "Call-Direction": "outbound", "Channel-Name": "sofia/internal/page1@x1.invalid",
            "variable_dialplane_taken_by": format!("{phone}@{domain}"), "variable_sip_call_id": "dialog-2",
        });
        fires(&fleet.socket, leg("CHANNEL_CREATE", new, new, &own), now());
        assert!(!fleet.socket.has().told.iter().any(|command| command.starts_with("uuid_")), "not before it answers");
        fires(&fleet.socket, leg("CHANNEL_ANSWER", new, new, &own), now());
        assert_eq!(told(&fleet.socket, "uuid_bridge").await, format!("uuid_bridge {new} {caller}"));
        let parted = json!({ "Bridge-A-Unique-ID": caller, "Bridge-B-Unique-ID": page });
        fires(&fleet.socket, leg("CHANNEL_UNBRIDGE", *caller, *caller, &parted), now());
        let pair = json!({ "Bridge-A-Unique-ID": new, "Bridge-B-Unique-ID": caller });
        fires(&fleet.socket, leg("CHANNEL_BRIDGE", new, new, &pair), now());
        new
    };
    let (answer, new) = tokio::join!(asks, happens);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(told(&fleet.socket, "uuid_kill").await, format!("uuid_kill {page} NORMAL_CLEARING"));
    let ends = json!({ "Hangup-Cause": "NORMAL_CLEARING" });
    fires(&fleet.socket, leg("CHANNEL_HANGUP_COMPLETE", *page, *page, &ends), now());
    // It is the same call, and it may be asked for again by the new dialog.
    until("the new dialog is the call's", async || talk.calls("dialog-2").await == 1).await;
    let shown = talk.ask("GET", "/v1/live/calls?sip_call_id=dialog-2", Value::Null).await.json();
    assert_eq!(shown["items"][0]["id"], json!(caller), "{shown}");
    assert!(shown.to_string().contains(&new.to_string()) && !shown.to_string().contains("dialog-2"), "{shown}");
    talk.fleet.stage.stop().await;
}

#[actix_web::test]
async fn nobody_gets_a_call_that_is_not_theirs_and_no_page_that_is_not_registered() {
    let talk = Talk::new().await;
    let node = &talk.fleet.stage.node;
    let path = talk.path();
    let with = |field: &str, value: Value| {
        let mut asked = Talk::asked();
        asked[field] = value;
        asked
    };
    for (field, status, why) in [("mark", 422, "missing"), ("contact", 422, "missing"), ("sip_call_id", 422, "missing")]
    {
        assert_eq!(code(&talk.ask("POST", &path, with(field, Value::Null)).await), (status, why.into()), "{field}");
    }
    assert_eq!(code(&talk.ask("POST", &path, with("sip_call_id", json!("dialog-9"))).await).0, 404);
    assert_eq!(talk.ask("POST", &path, with("mark", json!("x}user/1001"))).await.status, 422);
    let elsewhere = talk.ask("POST", &path, with("contact", json!("page9"))).await;
    assert_eq!(code(&elsewhere), (409, "page_not_there".into()), "{}", elsewhere.text());
    // A key is nobody's phone, and a colleague has another one.
    let by_key = node.api("POST", &format!("{path}?tenant_id={}", talk.fleet.stage.tenant), Talk::asked()).await;
    assert_eq!(code(&by_key), (404, "call_gone".into()), "{}", by_key.text());
    let colleague = json!({ "first_name": "Joan", "last_name": "Clarke", "email": "joan@acme.test" });
    let made = node.makes(&format!("/v1/admin/agents?tenant_id={}", talk.fleet.stage.tenant), colleague).await;
    talk.fleet.sql("update users set status = 'active', email_verified_at = now()").await;
    let author = Author { name: "test".into(), source: None, within: None };
    let mut change = node.app.changes.begin(author).await.unwrap();
    let account = store::account(change.db(), made.id()).await.unwrap().unwrap();
    let source = session::Source::default();
    let (_, tokens) = session::for_script(&node.app.auth, &mut change, &account, &source).await.unwrap();
    change.commit_quietly().await.unwrap();
    let bearer = format!("Bearer {}", tokens.access_token);
    let theirs = node.api_with("POST", &path, &[("Authorization", &bearer)], Talk::asked()).await;
    assert_eq!(theirs.status, 404, "{}", theirs.text());
    let seen = "/v1/live/calls?sip_call_id=dialog-1";
    let seen = node.api_with("GET", seen, &[("Authorization", &bearer)], Value::Null).await;
    assert_eq!(seen.json()["items"], json!([]));
    assert!(talk.fleet.socket.has().jobs.is_empty(), "nobody was called");
    talk.fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_page_that_does_not_answer_leaves_its_call_as_it_was() {
    let talk = Talk::new().await;
    let path = talk.path();
    let asks = talk.ask("POST", &path, Talk::asked());
    let happens = async {
        let (_, new) = talk.called().await;
        let job = talk.fleet.socket.has().jobs[0];
        let refused = json!({ "Event-Name": "BACKGROUND_JOB", "Job-UUID": job, "_body": "-ERR NO_ANSWER\n" });
        fires(&talk.fleet.socket, refused, now());
        new
    };
    let (answer, new) = tokio::join!(asks, happens);
    assert_eq!(code(&answer), (409, "not_brought_back".into()), "{}", answer.text());
    let told = talk.fleet.socket.has().told.iter().filter(|one| one.starts_with("uuid_")).cloned().collect::<Vec<_>>();
    assert_eq!(told, [format!("uuid_kill {new} NORMAL_CLEARING")]);
    assert_eq!(talk.calls("dialog-1").await, 1);
    talk.fleet.stage.stop().await;
}

#[actix_web::test]
async fn who_talks_to_a_page_that_is_away_hears_music_and_the_switch_itself_sends_them_on() {
    let talk = Talk::new().await;
    let Talk { fleet, caller, page, .. } = &talk;
    let settings = format!("/v1/tenants/{}/settings", fleet.stage.tenant);
    let wrong = fleet.stage.node.api("PATCH", &settings, json!({ "calling": { "return_seconds": 5 } })).await;
    assert_eq!(code(&wrong), (422, "wrong_return_seconds".into()), "{}", wrong.text());
    fleet.change("PATCH", &settings, json!({ "calling": { "return_seconds": 30 } })).await;
    // Its connection is gone, and its sound still comes: they go on talking.
    fleet.socket.has().talks.insert(*page);
    talk.unregisters("page");
    let asked = async |times: usize| fleet.socket.has().stats >= times;
    until("the switch is asked for a while", async || asked(14).await).await;
    assert!(fleet.socket.has().told.iter().all(|command| !command.starts_with("uuid_")));
    // Nothing is heard of it any more.
    fleet.socket.has().talks.clear();
    let command = told(&fleet.socket, "uuid_dual_transfer").await;
    let (phone, domain) = (&fleet.stage.phone, &fleet.stage.domain);
    assert!(
        command
            .starts_with(&format!("uuid_dual_transfer {page} 'm:^:set:park_timeout=38:NORMAL_CLEARING^park:/inline' "))
    );
    assert!(command.contains("playback_timeout_sec=30^playback:file_string://local_stream://default!"), "{command}");
    assert!(command.ends_with(&format!("^transfer:{phone}~after XML {domain}/inline'")), "{command}");
    // It is back while they wait: both get each other.
    let pair = json!({ "Bridge-A-Unique-ID": caller, "Bridge-B-Unique-ID": page });
    fires(&fleet.socket, leg("CHANNEL_UNBRIDGE", *caller, *caller, &pair), now());
    fires(&fleet.socket, leg("CHANNEL_PARK", *page, *caller, &json!({})), now());
    talk.registers(CONTACT, "page");
    let path = talk.path();
    let asks = talk.ask("POST", &path, Talk::asked());
    let happens = async {
        let (_, new) = talk.called().await;
        let own = json!({ "variable_dialplane_taken_by": format!("{phone}@{domain}"), "Call-Direction": "outbound" });
        fires(&fleet.socket, leg("CHANNEL_ANSWER", new, new, &own), now());
        let cleared = told(&fleet.socket, &format!("uuid_setvar_multi {caller}")).await;
        assert!(cleared.contains("playback_timeout_sec="), "{cleared}");
        assert_eq!(told(&fleet.socket, "uuid_bridge").await, format!("uuid_bridge {new} {caller}"));
        let pair = json!({ "Bridge-A-Unique-ID": new, "Bridge-B-Unique-ID": caller });
        fires(&fleet.socket, leg("CHANNEL_BRIDGE", new, new, &pair), now());
    };
    let (answer, ()) = tokio::join!(asks, happens);
    assert_eq!(answer.status, 200, "{}", answer.text());
    fleet.socket.told();
    talk.fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_leg_that_waits_for_its_page_ends_when_the_other_side_is_gone() {
    let talk = Talk::new().await;
    let Talk { fleet, caller, page, .. } = &talk;
    talk.unregisters("page");
    told(&fleet.socket, "uuid_dual_transfer").await;
    let pair = json!({ "Bridge-A-Unique-ID": caller, "Bridge-B-Unique-ID": page });
    fires(&fleet.socket, leg("CHANNEL_UNBRIDGE", *caller, *caller, &pair), now());
    fires(&fleet.socket, leg("CHANNEL_PARK", *page, *caller, &json!({})), now());
    let ends = json!({ "Hangup-Cause": "NORMAL_CLEARING" });
    fires(&fleet.socket, leg("CHANNEL_HANGUP_COMPLETE", *caller, *caller, &ends), now());
    assert_eq!(told(&fleet.socket, "uuid_kill").await, format!("uuid_kill {page} NORMAL_CLEARING"));
    talk.fleet.stage.stop().await;
}
