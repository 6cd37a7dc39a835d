//! Transferred calls: whose rights count, who is charged, and where a call goes if nobody takes it.

use std::fmt::Write as _;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::stage::{Stage, bridges, route};

const MUNICH: &str = "+498912345678";

/// A channel that is transferred, as its switch describes it.
#[derive(Default, Clone, Copy)]
struct Sent<'a> {
    /// The phone of the channel itself, if it is one that called, or one that was called.
    caller: &'a str,
    called: &'a str,
    made_by: &'a str,
    taken_by: &'a str,
    more: &'a str,
}

impl Stage {
    async fn sends(&self, sent: Sent<'_>, number: &str) -> String {
        let mut form = self.form(sent.caller, number, Uuid::new_v4());
        if !sent.called.is_empty() {
            let of_phone = format!("&variable_dialplane_extension={}", Uuid::new_v4());
            write!(form, "&variable_dialed_user={}&variable_dialed_domain=acme.test{of_phone}", sent.called).unwrap();
        }
        for (name, value) in [("made_by", sent.made_by), ("taken_by", sent.taken_by)] {
            if !value.is_empty() {
                write!(form, "&variable_dialplane_{name}={}", value.replace('@', "%40")).unwrap();
            }
        }
        form += sent.more;
        let answer = self.node.fetch(&form).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        plain(&answer.text())
    }

    /// Who pays for the only call that is up.
    async fn payer(&self) -> Value {
        let path = format!("/v1/tenants/{}/outbound-calls", self.tenant);
        let calls = self.node.api("GET", &path, Value::Null).await.items();
        calls[0]["extension_id"].clone()
    }
}

/// A document without references.
fn plain(document: &str) -> String {
    quick_xml::escape::unescape(document).unwrap().into_owned()
}

fn at(user: &str) -> String {
    format!("{user}@acme.test")
}

#[actix_web::test]
async fn whoever_transfers_a_call_pays_for_it_and_their_rights_count() {
    let stage = Stage::new().await;
    let (agent, tenant) = (stage.phone.clone(), stage.tenant);
    // No number is assigned to this one, so it may not call outside.
    let plain = stage.node.extension(tenant, json!({ "number": "77" })).await;
    let path = format!("/v1/tenants/{tenant}/extensions");
    let extensions = stage.node.api("GET", &path, Value::Null).await.json();
    let id = extensions["items"].as_array().unwrap().iter().find(|e| e["sip_username"] == agent).unwrap()["id"].clone();
    let (ada, other) = (at(&agent), at("77"));

    // A caller from outside, or a colleague, whose call the agent took: as an extension, in a group, from a queue, by picking it up.
    for caller in ["", "77"] {
        let sent =
            Sent { caller, made_by: if caller.is_empty() { "" } else { &other }, taken_by: &ada, ..Sent::default() };
        let document = stage.sends(sent, MUNICH).await;
        assert_eq!(route(&document), "outbound", "{document}");
        assert_eq!(stage.payer().await, id);
        assert_eq!(bridges(&document).len(), 2);
        assert!(document.contains(&format!("data=\"dialplane_on_behalf={agent}\"")), "{document}");
    }
    // A caller's channel names the last phone that it rang. That is not who is transferred, and the call comes back if nobody takes it.
    let rang = format!("&variable_dialed_user={agent}&variable_dialed_domain=acme.test");
    let document = stage.sends(Sent { taken_by: &ada, more: &rang, ..Sent::default() }, "77").await;
    assert!(document.contains(&format!("data=\"dialplane_back={agent}\"")), "{document}");
    // The agent called, and transfers whom they called: a colleague, or somebody outside.
    for called in ["77", ""] {
        let sent =
            Sent { called, made_by: &ada, taken_by: if called.is_empty() { "" } else { &other }, ..Sent::default() };
        let document = stage.sends(sent, MUNICH).await;
        assert_eq!(route(&document), "outbound", "{document}");
        assert_eq!(stage.payer().await, id);
    }
    // The other way round, the agent's rights don't help: it is the colleague who transfers.
    for sent in [
        Sent { caller: &agent, made_by: &ada, taken_by: &other, ..Sent::default() },
        Sent { called: &agent, made_by: &other, taken_by: &ada, ..Sent::default() },
    ] {
        assert_eq!(route(&stage.sends(sent, MUNICH).await), "no_number");
        assert_eq!(stage.payer().await, plain["id"]);
    }
    // An agent who calls is not transferred, nor is one whose own other phone took the call.
    for taken_by in ["", &*ada] {
        let sent = Sent { caller: &agent, made_by: &ada, taken_by, ..Sent::default() };
        let document = stage.sends(sent, MUNICH).await;
        assert!(route(&document) == "outbound" && !document.contains("~back"), "{document}");
    }
    // Whoever is of another tenant has no rights here, and gets nothing back.
    let sent = Sent { caller: &agent, made_by: &ada, taken_by: "77@beta.test", ..Sent::default() };
    let document = stage.sends(sent, MUNICH).await;
    assert!(route(&document) == "not_signed_in" && !document.contains("~back"), "{document}");
    stage.stop().await;
}

#[actix_web::test]
async fn a_transferred_call_forgets_with_whom_it_was_connected() {
    let stage = Stage::new().await;
    stage.node.extension(stage.tenant, json!({ "number": "77" })).await;
    let (agent, ada, other) = (stage.phone.clone(), at(&stage.phone), at("77"));
    // From then on, the phone makes calls, whether it called or was called. A party outside the tenant has no name here.
    let called = stage.sends(Sent { called: "77", made_by: &ada, taken_by: &other, ..Sent::default() }, "77").await;
    for line in [
        "application=\"unset\" data=\"dialplane_taken_by\"",
        "data=\"dialplane_made_by=77@acme.test\"",
        "data=\"execute_on_pre_bridge=transfer_vars:dialplane_made_by\"",
    ] {
        assert!(called.contains(line), "{line}: {called}");
    }
    let outside = stage.sends(Sent { taken_by: &ada, ..Sent::default() }, "77").await;
    for name in ["dialplane_taken_by", "dialplane_made_by", "execute_on_pre_bridge"] {
        assert!(outside.contains(&format!("application=\"unset\" data=\"{name}\"")), "{name}: {outside}");
    }
    // The answer is for that call alone.
    let usual = plain(&stage.calls("77", Uuid::new_v4()).await);
    assert!(!usual.contains("_by") && !usual.contains("~back"), "{usual}");
    // Once a route has led the call on, whoever led it on is charged.
    let led = "&variable_dialplane_hops=1:0:77&variable_dialplane_on_behalf=77";
    let sent = Sent { caller: &agent, made_by: &ada, taken_by: &ada, more: led, ..Sent::default() };
    assert!(!stage.sends(sent, "77").await.contains("unset"));
    // Phones say who they are.
    let directory = |action: &str| {
        format!(
            "hostname=fs&section=directory&tag_name=domain&key_name=name&key_value=acme.test&Event-Name=REQUEST_PARAMS&action={action}&key=id&user=77&domain=acme.test"
        )
    };
    let calls = directory("sip_auth&sip_auth_method=INVITE&sip_auth_realm=acme.test");
    let calls = plain(&stage.node.fetch(&calls).await.text());
    assert!(calls.contains("name=\"dialplane_made_by\" value=\"77@acme.test\""), "{calls}");
    assert!(calls.contains("name=\"execute_on_pre_bridge\" value=\"transfer_vars:dialplane_made_by\""), "{calls}");
    let rings = plain(&stage.node.fetch(&directory("user_call")).await.text());
    let leg = "dialplane_taken_by=77@acme.test,execute_on_pre_bridge=transfer_vars:dialplane_taken_by,";
    assert!(rings.contains(leg) && !rings.contains("dialplane_made_by"), "{rings}");
    // Also one that picks a call up, or takes it from a slot.
    for number in ["*877", "*681"] {
        let takes = plain(&stage.calls(number, Uuid::new_v4()).await);
        assert!(takes.contains(&format!("dialplane_taken_by={agent}@acme.test")), "{takes}");
        assert!(takes.contains("application=\"unset\" data=\"dialplane_made_by\""), "{takes}");
    }
    stage.stop().await;
}

#[actix_web::test]
async fn a_transferred_call_that_nobody_takes_comes_back_with_the_name_of_the_party() {
    let stage = Stage::new().await;
    let (tenant, ada) = (stage.tenant, at(&stage.phone));
    let quiet = json!({ "number": "77", "voicemail_enabled": false });
    stage.node.extension(tenant, quiet).await;
    let made = stage.node.extension(tenant, json!({ "number": "78" })).await;
    let forwards = json!({ "number": "79", "voicemail_enabled": false, "calls": { "forward_busy": "4711" } });
    stage.node.extension(tenant, forwards).await;
    let customer = Sent { taken_by: &ada, ..Sent::default() };
    let back = format!("application=\"transfer\" data=\"{}~back XML acme.test\"", stage.phone);
    let ends = async |sent: Sent<'_>, number: &str| {
        let document = stage.sends(sent, number).await;
        let last = document.lines().rfind(|line| line.contains("<action")).unwrap_or_default();
        (last.contains(&back), document.contains("continue_on_fail=false") || document.contains("\"hangup\""), document)
    };
    // Nobody takes it: a phone without voicemail, a number that nobody has, one outside that is not connected, one that is refused.
    for number in ["77", "4711", MUNICH, "+33123456789"] {
        let (comes_back, ends, document) = ends(customer, number).await;
        assert!(comes_back && !ends, "{number}: {document}");
    }
    // A mailbox takes it.
    assert!(!ends(customer, "78").await.0);
    // What follows the ringing leads on, and knows where the call came from.
    let (comes_back, _, document) = ends(customer, "79").await;
    assert!(!comes_back && document.contains(&format!("dialplane_back={}", stage.phone)), "{document}");
    let more = format!(
        "&variable_dialplane_hops=1:0:4711&variable_dialplane_back={0}&variable_dialplane_on_behalf=79",
        stage.phone
    );
    assert!(ends(Sent { more: &more, ..Sent::default() }, "4711").await.0);
    // A menu's caller chooses anew.
    let menu = json!({ "name": "Menu", "number": "501", "kind": "ivr", "config": { "greeting": { "text": "Hi" }, "entries": { "1": { "kind": "extension", "id": made["id"] } } } });
    let made = stage.node.api("POST", &format!("/v1/tenants/{tenant}/destinations"), menu).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert!(ends(customer, "501").await.2.contains("application=\"unset\" data=\"dialplane_back\""));

    // The call rings the phone that transferred it, despite its forwards, and shows whose call it is.
    let path = format!("/v1/tenants/{tenant}/extensions");
    let extensions = stage.node.api("GET", &path, Value::Null).await.json();
    let agent = extensions["items"].as_array().unwrap().iter().find(|e| e["sip_username"] == stage.phone).unwrap();
    let calls = json!({ "calls": { "forward_always": "78", "do_not_disturb": true } });
    let path = format!("{path}/{}", agent["id"].as_str().unwrap());
    assert_eq!(stage.node.api("PATCH", &path, calls).await.status, 200);
    let shown = async |name: &str, number: &str| {
        let more = format!(
            "&variable_dialplane_back={}&Caller-Caller-ID-Name={name}&Caller-Caller-ID-Number={number}",
            stage.phone
        );
        stage.sends(Sent { more: &more, ..Sent::default() }, &format!("{}~back", stage.phone)).await
    };
    let document = shown("Grace%20Hopper", "%2B4989123").await;
    assert!(document.contains(&format!("bridge\" data=\"user/{}@acme.test", stage.phone)), "{document}");
    assert!(document.contains("effective_caller_id_name=Recall Grace Hopper"), "{document}");
    assert!(document.contains("application=\"unset\" data=\"dialplane_back\"") && !document.contains("~back"));
    let settings = json!({ "language": "de" });
    stage.node.api("PATCH", &format!("/v1/tenants/{tenant}/settings"), settings).await;
    for name in ["%24%7Bsystem%7D", "Outbound%20Call", ""] {
        let document = shown(name, "%2B4989123").await;
        assert!(document.contains("effective_caller_id_name=Rückruf +4989123"), "{document}");
    }
    // If they are gone, it ends.
    let document = stage.sends(Sent::default(), "4712~back").await;
    assert!(document.contains("hangup") && !document.contains("~back"), "{document}");
    stage.stop().await;
}

#[actix_web::test]
async fn a_parked_call_comes_back_to_who_parked_it_and_lamps_watch_the_slots() {
    let stage = Stage::new().await;
    let (agent, ada) = (stage.phone.clone(), at(&stage.phone));
    let orbit = format!("data=\"valet_parking_orbit_exten={agent}~back\"");
    // By transferring it, or by calling and hearing the slot first.
    let parked = stage.sends(Sent { taken_by: &ada, ..Sent::default() }, "*68").await;
    let heard = plain(&stage.calls("*68", Uuid::new_v4()).await);
    for (document, aloud) in [(&parked, false), (&heard, true)] {
        assert!(document.contains(&orbit) && document.contains("valet_parking_timeout=120"), "{document}");
        assert!(document.contains(&format!("valet_announce_slot={aloud}")), "{document}");
        assert!(document.contains("valet_park\" data=\"park@acme.test auto in 1 99\""), "{document}");
    }
    stage.rules(json!({ "park_seconds": 10 })).await;
    // The code, or what a lamp's key dials.
    for number in ["*681", "*6801", "park+1", "park+01"] {
        let taken = plain(&stage.calls(number, Uuid::new_v4()).await);
        assert!(taken.contains("valet_park\" data=\"park@acme.test 1\"") && taken.contains("timeout=10"), "{taken}");
    }
    for number in ["*680", "*68100", "park+", "park+0", "park+100", "park+a"] {
        assert_eq!(route(&stage.calls(number, Uuid::new_v4()).await), "unallocated", "{number}");
    }
    let path = format!("/v1/tenants/{}/settings", stage.tenant);
    for seconds in [9, 3601] {
        let refused = stage.node.api("PATCH", &path, json!({ "routing": { "park_seconds": seconds } })).await;
        assert_eq!((refused.status, refused.json()["field"].as_str().unwrap()), (422, "routing.park_seconds"));
    }
    stage.stop().await;
}

#[actix_web::test]
async fn a_transferred_call_changes_nobodys_extension() {
    let stage = Stage::new().await;
    stage.node.extension(stage.tenant, json!({ "number": "77" })).await;
    stage.rules(json!({ "speed_dials": { "01": "*7277" } })).await;
    let (ada, agent) = (at(&stage.phone), stage.phone.clone());
    let path = format!("/v1/tenants/{}/extensions", stage.tenant);
    let handling = async || {
        let all = stage.node.api("GET", &path, Value::Null).await.items();
        let all = all.as_array().unwrap().iter();
        all.map(|one| (one["number"].clone(), one["calls"].clone())).collect::<Vec<_>>()
    };
    let own = handling().await.into_iter().find(|(number, _)| *number != "77").unwrap().0;
    let own = own.as_str().unwrap();
    let keys = [format!("dnd-{own}"), format!("forward-{own}")];
    for code in ["*7277", "*73", "*78", "*79", "*44", "*45", "*46", &keys[0], &keys[1]] {
        // Whoever the agent talked with, and a call that was led on after such a transfer: by a speed dial or a code for the number.
        let led =
            format!("&variable_dialplane_on_behalf={agent}&variable_dialplane_back={agent}&variable_dialplane_hops=1");
        let forwarded = format!("&variable_dialplane_on_behalf={agent}");
        for sent in [
            Sent { taken_by: &ada, ..Sent::default() },
            Sent { caller: "77", taken_by: &ada, ..Sent::default() },
            Sent { more: &led, ..Sent::default() },
            Sent { caller: "77", more: &led, ..Sent::default() },
            Sent { more: &forwarded, ..Sent::default() },
        ] {
            let document = stage.sends(sent, code).await;
            assert_ne!(route(&document), "call_handling", "{code}: {document}");
        }
    }
    let led = stage.sends(Sent { taken_by: &ada, ..Sent::default() }, "*001").await;
    assert!(led.contains("*7277"), "{led}");
    assert!(handling().await.iter().all(|(_, calls)| *calls == json!({})), "{:?}", handling().await);
    // The phone itself changes it, as before.
    assert_eq!(route(&stage.dials("*7277").await), "call_handling");
    assert!(handling().await.iter().any(|(_, calls)| calls["forward_always"] == "77"));
    stage.stop().await;
}
