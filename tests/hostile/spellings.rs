//! Names in capitals. A switch finds domains, users and contexts in either case, and hashes some names as the phone spells them. An
//! answer must not depend on which spellings were asked for before.

use std::{fmt::Write as _, sync::Arc};

use dialplane::switch::fetch::{Fetch, Reply, Source, request::Request};
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    forms::{self, encode},
    harness::{Database, Node},
};

const SECRET: &str = "correct-horse-battery";
const DID: &str = "+12025550100";

struct Stage {
    node: Node,
    menu: Uuid,
    conference: Uuid,
    queue: Uuid,
}

impl Stage {
    /// A tenant with one of each kind of thing that has a name, and with case-sensitive entries.
    async fn new() -> Self {
        let node = Node::start(&Database::new().await).await;
        let tenant = node.tenant("acme.test").await;
        let post = async |path: &str, new: Value| {
            let answer = node.api("POST", &format!("/v1/tenants/{tenant}/{path}"), new).await;
            assert_eq!(answer.status, 201, "{}", answer.text());
            answer.id()
        };
        let ada = post("extensions", json!({ "number": "1000", "sip_username": "ada", "sip_password": SECRET })).await;
        let grace = post("extensions", json!({ "number": "1001", "sip_username": "grace" })).await;
        post("groups", json!({ "name": "sales", "number": "2000", "members": [ada, grace] })).await;
        let made = async |name: &str, kind: &str, config: Value| {
            post("destinations", json!({ "name": name, "kind": kind, "config": config })).await
        };
        let grace = json!({ "kind": "extension", "id": grace });
        let menu =
            made("Menu", "ivr", json!({ "greeting": { "file": "ivr/hello.wav" }, "entries": { "1": grace } })).await;
        let conference = made("Room", "conference", json!({ "moderator": ada })).await;
        let queue = made("Help", "queue", json!({})).await;
        let entry = |pattern: &str, field: &str, cause: &str| {
            json!({ "name": cause, "conditions": [
                { "field": field, "pattern": pattern, "actions": [{ "application": "hangup", "cause": cause }] }] })
        };
        post("dialplan-entries", entry("^Ada$", "destination_number", "user_busy")).await;
        post("dialplan-entries", entry("^(SHOP|7000)$", "destination_number", "no_answer")).await;
        post("dialplan-entries", entry("^grace$", "caller_extension", "call_rejected")).await;
        let did = json!({ "number": DID, "destination": { "kind": "conference", "id": conference } });
        let did = node.api("POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), did).await;
        assert_eq!(did.status, 201, "{}", did.text());
        let rules = json!({ "routing": { "blocked_callers": ["4930"] } });
        let rules = node.api("PATCH", &format!("/v1/tenants/{tenant}/settings"), rules).await;
        assert_eq!(rules.status, 200, "{}", rules.text());
        Self { node, menu, conference, queue }
    }

    async fn ask(&self, form: &str) -> (String, Source) {
        let (reply, source) = ask(&self.node.app.fetch, form).await;
        (shown(&reply), source)
    }

    fn forget(&self) {
        self.node.app.fetch.cache.clear();
        self.node.app.fetch.cache.settle();
    }

    /// Every kind of fetch, each in many spellings.
    fn kinds(&self) -> Vec<(&'static str, Vec<String>)> {
        const DOMAINS: [&str; 3] = ["acme.test", "ACME.TEST", "Acme.test"];
        let users = || DOMAINS.into_iter().flat_map(|domain| ["ada", "ADA"].map(|user| (user, domain)));
        let digests = |method: &'static str| {
            let realms = ["", "acme.test", "ACME.TEST", "Acme.test", "forced.example"];
            let all = users().flat_map(move |(user, domain)| realms.map(|realm| (user, domain, realm)));
            all.map(|(user, domain, realm)| forms::sign_in_by(method, user, domain, realm)).collect::<Vec<_>>()
        };
        let user = |rest: &str| users().map(|(user, domain)| forms::user(user, domain, rest)).collect::<Vec<_>>();
        let domain = |form: &dyn Fn(&str) -> String| DOMAINS.map(form).to_vec();
        let group = |form: &dyn Fn(&str, &str) -> String| {
            let all =
                DOMAINS.into_iter().flat_map(|domain| ["sales", "SALES", "Sales"].map(|group| form(group, domain)));
            all.collect::<Vec<_>>()
        };
        let config = |file: &str, field: &str, at: &str| {
            format!(
                "hostname=fs&section=configuration&tag_name=configuration&key_name=name&key_value={file}\
                     &Event-Name=REQUEST_PARAMS&{field}={}",
                encode(at)
            )
        };
        // A menu, also asked for as another kind of thing.
        let mut files = Vec::new();
        for (file, field) in
            [("ivr.conf", "Menu-Name"), ("conference.conf", "profile_name"), ("callcenter.conf", "CC-Queue")]
        {
            for id in [self.menu, self.conference, self.queue].map(|id| id.simple().to_string()) {
                files.push(config(file, field, &format!("{id}.acme.test")));
                files.push(config(file, field, &format!("{}.ACME.TEST", id.to_uppercase())));
            }
        }
        vec![
            ("REGISTER", digests("REGISTER")),
            ("INVITE", digests("INVITE")),
            ("verto", user("&action=jsonrpc-authenticate")),
            ("the phone's own challenge", user("&action=reverse-auth-lookup")),
            ("profile", user("&action=user_call")),
            ("message to one", group(&|name, at| forms::publish(&format!("user={}", name.replace("ales", "da")), at))),
            ("message to a group", group(&|name, at| forms::publish(&format!("group={name}"), at))),
            ("message to all", domain(&|at| forms::publish("user=_all_", at))),
            ("group call", group(&|name, at| forms::group_call(name, at))),
            ("dial by name", domain(&forms::directory)),
            ("chat", domain(&|at| format!("hostname=fs&section=chatplan&Event-Name=REQUEST_PARAMS&context={at}"))),
            ("configuration", files),
            ("call", calls(&DOMAINS)),
            ("call from outside", inbound()),
        ]
    }
}

fn calls(contexts: &[&str]) -> Vec<String> {
    let mut forms = Vec::new();
    for context in contexts {
        for number in ["ada", "ADA", "Ada", "shop", "SHOP", "7000", "sales", "SALES", "*98", "ada~after", "ADA~after"] {
            for (caller, shown) in [("", ""), ("ada", "1000"), ("ADA", "1000"), ("grace", "1001"), ("GRACE", "4930123")]
            {
                let mut rest = String::new();
                if !caller.is_empty() {
                    let _ = write!(rest, "&variable_user_name={caller}&variable_domain_name=acme.test");
                    let _ = write!(rest, "&Caller-Caller-ID-Number={shown}");
                }
                if caller == "ada" {
                    rest += "&variable_dialplane_hops=300&variable_originate_disposition=USER_BUSY";
                }
                forms.push(forms::call(number, context, &rest));
            }
        }
    }
    forms
}

fn inbound() -> Vec<String> {
    let mut forms = Vec::new();
    for context in ["public", "PUBLIC", "Public"] {
        for number in [DID, "12025550100", "0012025550100"] {
            for rest in ["", "&Caller-Caller-ID-Number=4930123", "&variable_dialplane_hops=300"] {
                forms.push(forms::call(number, context, rest));
            }
        }
    }
    forms
}

#[actix_web::test]
async fn every_spelling_is_answered_as_if_no_other_had_been_asked_for_before() {
    let stage = Stage::new().await;
    for (kind, forms) in stage.kinds() {
        let mut alone = Vec::new();
        for form in &forms {
            stage.forget();
            alone.push(stage.ask(form).await.0);
        }
        assert!(alone.iter().any(|answer| answer.contains("<section")), "{kind}: {alone:?}");
        // A few at a time, so that each spelling runs beside each other one.
        for (first, asked_first) in forms.iter().enumerate() {
            stage.forget();
            stage.ask(asked_first).await;
            for (second, asked_second) in forms.iter().enumerate() {
                for answer in [stage.ask(asked_second).await.0, stage.ask(asked_second).await.0] {
                    assert_eq!(answer, alone[second], "{kind}: {asked_second}\nafter {asked_first}");
                }
                if second % 7 == 0 {
                    assert_eq!(
                        stage.ask(asked_first).await.0,
                        alone[first],
                        "{kind}: {asked_first}\nafter {asked_second}"
                    );
                }
            }
        }
        // And backwards, with all answers in the cache.
        for (form, expected) in forms.iter().zip(&alone).rev() {
            assert_eq!(stage.ask(form).await.0, *expected, "{kind}: {form}");
        }
    }
    stage.node.stop().await;
}

fn hash(user: &str, realm: &str) -> String {
    format!(
        "name=\"a1-hash\" value=\"{}\"",
        dialplane::text::keyring::hex(&Md5::digest(format!("{user}:{realm}:{SECRET}")))
    )
}

#[actix_web::test]
async fn who_spells_a_domain_in_capitals_locks_nobody_out_and_is_not_locked_out() {
    let stage = Stage::new().await;
    let methods = ["REGISTER", "INVITE", "SUBSCRIBE"];
    let spellings =
        [("ada", "ACME.TEST"), ("ada", "acme.test"), ("ADA", "ACME.TEST"), ("ADA", "acme.test"), ("Ada", "Acme.test")];
    for turned in [false, true] {
        stage.forget();
        for method in methods {
            for at in 0..spellings.len() {
                let (user, domain) = spellings[if turned { spellings.len() - 1 - at } else { at }];
                let (answer, _) = stage.ask(&forms::sign_in_by(method, user, domain, domain)).await;
                assert!(
                    answer.replace("&#45;", "-").contains(&hash(user, domain)),
                    "{method} {user}@{domain}: {answer}"
                );
                assert!(answer.contains("<user id=\"ada\""), "{answer}");
            }
        }
        for (user, domain) in spellings {
            let (answer, _) = stage.ask(&forms::user(user, domain, "&action=jsonrpc-authenticate")).await;
            assert!(answer.replace("&#45;", "-").contains(&hash(user, domain)), "verto {user}@{domain}: {answer}");
        }
    }
    stage.node.stop().await;
}

#[actix_web::test]
async fn spellings_fill_the_store_for_strays_and_no_other() {
    let stage = Stage::new().await;
    stage.forget();
    let own = forms::sign_in("ada", "acme.test", "acme.test");
    stage.ask(&own).await;
    let spelt = |text: &str, bits: usize| {
        let letter = |(at, c): (usize, char)| if bits >> at & 1 == 1 { c.to_ascii_uppercase() } else { c };
        text.chars().enumerate().map(letter).collect::<String>()
    };
    for bits in 1..256 {
        let (user, domain) = (spelt("ada", bits), spelt("acme.test", bits));
        stage.ask(&forms::sign_in(&user, &domain, &domain)).await;
        stage.ask(&forms::user(&user, &domain, "&action=jsonrpc-authenticate")).await;
        stage.ask(&forms::call(&user, &domain, "")).await;
        stage.ask(&forms::group_call(&spelt("sales", bits), &domain)).await;
        stage.ask(&forms::directory(&domain)).await;
    }
    let cache = &stage.node.app.fetch.cache;
    cache.settle();
    let (known, strays) = cache.len();
    assert_eq!(stage.ask(&own).await.1, Source::Hit);
    stage.node.stop().await;
    // One answer each for REGISTER, group call and dial-by-name, and the marker that the call's answer varies.
    assert!(known <= 6, "{known} answers and {strays} strays");
}

async fn ask(fetch: &Arc<Fetch>, form: &str) -> (Reply, Source) {
    // All fetches share one thread with the node's polls, which renew its lease.
    tokio::task::yield_now().await;
    fetch.answer(Request::read(form.as_bytes()).unwrap(), None).await
}

fn shown(reply: &Reply) -> String {
    match reply {
        Reply::Document(document) => String::from_utf8_lossy(document).into_owned(),
        other => format!("{other:?}"),
    }
}
