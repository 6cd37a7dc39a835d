//! Withheld numbers in the records of calls: who sees them afterwards, and who finds them.

use dialplane::tenancy::auth::rules::Role;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harness::Answer,
    people::{Person, person},
    stage::Stage,
};

const OUTSIDE: &str = "+4915112345678";

/// A tenant with two agents, Ann and Bob, who have a phone each, and a manager.
struct Office {
    stage: Stage,
    ann: Person,
    bob: Person,
    manager: Person,
    /// Ann's extension: its id, number and name.
    of_ann: [String; 3],
}

impl Office {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let someone = async |role: Role, name: &str| {
            person(&stage.node, Some(stage.tenant), role, &format!("{name}@acme.test")).await
        };
        let (ann, bob) = (someone(Role::Agent, "ann").await, someone(Role::Agent, "bob").await);
        let manager = someone(Role::Manager, "mia").await;
        stage.node.extension(stage.tenant, json!({ "number": "2001" })).await;
        let pool = stage.node.app.changes.pool();
        let names = "update extensions set user_id = $1, display_name = $2 where sip_username = $3";
        for (whose, name, user) in [(&ann, "Ann Withheld", stage.phone.as_str()), (&bob, "Bob Called", "2001")] {
            let named = sqlx::query(names).bind(whose.id).bind(name).bind(user).execute(pool).await.unwrap();
            assert_eq!(named.rows_affected(), 1, "{user}");
        }
        let of_ann = "select id::text, number, display_name from extensions where user_id = $1";
        let of_ann = sqlx::query_as::<_, (String, String, String)>(of_ann).bind(ann.id).fetch_one(pool).await.unwrap();
        let of_ann = [of_ann.0, of_ann.1, of_ann.2];
        Self { stage, ann, bob, manager, of_ann }
    }

    /// The records of a call to Bob, which he took: `caller` is what the caller's record says besides. Returns the call's id.
    async fn calls_bob(&self, at: i64, caller: Value) -> Uuid {
        let (call, phone) = (Uuid::new_v4(), Uuid::new_v4());
        let began = chrono::Utc::now().timestamp() - 3600 + at;
        let times = json!({ "start_epoch": began.to_string(), "answer_epoch": (began + 5).to_string(), "bridge_epoch": (began + 5).to_string(),
                            "end_epoch": (began + 65).to_string(), "hangup_cause": "NORMAL_CLEARING" });
        let with = |one: &Value, more: &Value| {
            let mut one = one.clone();
            one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            one
        };
        let domain = &self.stage.domain;
        let from = json!({ "direction": "inbound", "call_uuid": call, "domain_name": domain, "dialplane_tenant": self.stage.tenant,
                           "sip_req_user": "2001", "bridge_uuid": phone, "sip_hangup_disposition": "recv_bye" });
        // The directory's variables of the called phone are on its leg: this says nothing about the call.
        let to = json!({ "direction": "outbound", "call_uuid": call, "originator": call, "dialed_user": "2001", "dialed_domain": domain,
                         "dialplane_withhold": "true", "sip_hangup_disposition": "send_bye" });
        self.stage.cdr(call, with(&with(&from, &times), &caller)).await;
        self.stage.cdr(phone, with(&to, &times)).await;
        self.stage.folded().await;
        call
    }

    async fn asks(&self, who: &Person, path: &str) -> Answer {
        let answer = who.ask(&self.stage.node, "GET", path, Value::Null).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer
    }

    /// The calls that somebody finds by a query; count and export find as many.
    async fn finds(&self, who: &Person, query: &str) -> Vec<String> {
        let found = self.asks(who, &format!("/v1/calls?{query}")).await.items();
        let found = found.as_array().unwrap().iter().map(|call| call["id"].as_str().unwrap().to_owned());
        let found = found.collect::<Vec<_>>();
        let count = self.asks(who, &format!("/v1/calls/count?{query}")).await.json();
        assert_eq!(count["count"], json!(found.len()), "{query}");
        let lines = self.asks(who, &format!("/v1/calls/export?{query}")).await.text().lines().count();
        assert_eq!(lines, found.len() + 1, "{query}");
        found
    }
}

/// What a person may not find in what they are told.
fn tells(text: &str, secrets: &[String]) -> Option<String> {
    secrets.iter().find(|secret| text.contains(secret.as_str())).cloned()
}

#[actix_web::test]
async fn an_agent_who_was_called_finds_no_trace_of_who_withheld_their_number() {
    let office = Office::new().await;
    let phone = json!({ "user_name": office.stage.phone, "effective_caller_id_number": "anonymous" });
    let with = |more: Value| {
        let mut phone = phone.clone();
        phone.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        phone
    };
    let open = office.calls_bob(0, phone.clone()).await.to_string();
    let hidden = office.calls_bob(100, with(json!({ "dialplane_withhold": "true" }))).await;
    let outside =
        json!({ "sip_from_user": OUTSIDE.replace('+', "%2B"), "sip_from_display": "Jo Secret", "sip_Privacy": "id" });
    let outside = office.calls_bob(200, outside).await.to_string();
    let recording = office.stage.node.recording(hidden).await.to_string();
    let hidden = hidden.to_string();
    let lets = json!({ "record": { "agents_listen": true } });
    office.stage.rules(lets).await;
    let (ann, bob) = (office.ann.id.to_string(), office.bob.id.to_string());
    let [extension, number, name] = office.of_ann.clone();
    let secrets = [ann.clone(), extension.clone(), name.clone(), OUTSIDE.to_owned(), "Jo Secret".to_owned()];

    // Lists, the story, the export and the answer to a change.
    for id in [&hidden, &outside] {
        let story = office.asks(&office.bob, &format!("/v1/calls/{id}")).await;
        assert_eq!(tells(&story.text(), &secrets), None, "{}", story.text());
        let call = story.json();
        assert_eq!(
            call["from"],
            json!({ "number": null, "name": null, "extension_id": null, "agent_id": null, "withheld": true })
        );
        assert_eq!(call["story"]["events"][0]["party"], call["from"]);
        // Both legs began in the same second.
        let mut legs = call["story"]["legs"].as_array().unwrap().clone();
        legs.sort_by_key(|leg| leg["outbound"].as_bool());
        let legs = legs.into_iter().map(|leg| leg["party"].clone()).collect::<Vec<_>>();
        assert_eq!((&legs[0], &legs[1]["agent_id"], legs.len()), (&call["from"], &json!(bob), 2), "{legs:?}");
        assert!(legs[1].get("withheld").is_none(), "whoever is called shows who they are: {legs:?}");
        let notes = json!({ "notes": "who was that?" });
        let changed = office.bob.ask(&office.stage.node, "PATCH", &format!("/v1/calls/{id}"), notes).await;
        assert_eq!((changed.status, tells(&changed.text(), &secrets)), (200, None), "{}", changed.text());
    }
    let list = office.asks(&office.bob, "/v1/calls").await.items();
    for call in list.as_array().unwrap().iter().filter(|call| call["id"] != json!(open)) {
        assert_eq!(tells(&call.to_string(), &secrets), None, "{call:#}");
        assert_ne!(call["from"]["number"], json!(number));
    }
    let csv = office.asks(&office.bob, "/v1/calls/export").await.text();
    for line in csv.lines().filter(|line| line.starts_with(&hidden) || line.starts_with(&outside)) {
        assert_eq!(tells(line, &secrets), None, "{line}");
    }

    // No filter says who it was. What it says of others, it goes on saying.
    let all = [&outside, &hidden, &open].map(String::clone).to_vec();
    for (query, found) in [
        (String::new(), all.clone()),
        (format!("agent_id={ann}"), vec![open.clone()]),
        (format!("agent_id={ann}&min_seconds=1"), vec![open.clone()]),
        (format!("extension_id={extension}"), vec![open.clone()]),
        (format!("agent_id={bob}"), all.clone()),
        ("search=withheld".into(), vec![open.clone()]),
        ("search=ann%20w".into(), vec![open.clone()]),
        ("search=jo%20secret".into(), vec![]),
        ("search=15112345678".into(), vec![]),
        ("search=bob%20called".into(), all.clone()),
        ("party=%2B4915112345678".into(), vec![]),
        ("country=DE".into(), vec![]),
        ("direction=inbound".into(), vec![outside.clone()]),
    ] {
        assert_eq!(office.finds(&office.bob, &query).await, found, "{query}");
    }
    // In the other order, too.
    for (query, found) in [
        (format!("agent_id={ann}"), vec![&open]),
        ("search=withheld".into(), vec![&open]),
        (String::new(), vec![&open, &hidden, &outside]),
    ] {
        let list = office.asks(&office.bob, &format!("/v1/calls?sort=started_at&{query}")).await.items();
        let ids = list.as_array().unwrap().iter().map(|call| call["id"].as_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(ids, found, "{query}");
        let told = list.as_array().unwrap().iter().filter(|call| call["id"] != json!(open));
        assert!(told.clone().all(|call| tells(&call.to_string(), &secrets).is_none()), "{list:#}");
    }
    let recordings = async |agent: &str| {
        let found = office.asks(&office.bob, &format!("/v1/recordings?agent_id={agent}")).await.items();
        found.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((recordings(&bob).await, recordings(&ann).await), (vec![recording], vec![]));

    // The record keeps it: for whoever sees all calls, and for whoever called.
    for (query, found) in [
        (format!("agent_id={ann}"), vec![hidden.clone(), open.clone()]),
        ("search=ann%20w".into(), vec![hidden.clone(), open.clone()]),
        ("search=jo%20secret".into(), vec![outside.clone()]),
        ("party=%2B4915112345678".into(), vec![outside.clone()]),
        ("country=DE".into(), vec![outside.clone()]),
    ] {
        assert_eq!(office.finds(&office.manager, &query).await, found, "{query}");
    }
    let kept = office.asks(&office.manager, &format!("/v1/calls/{hidden}")).await.json();
    let party = json!({ "number": number, "name": name, "extension_id": extension, "agent_id": ann, "withheld": true });
    assert_eq!((&kept["from"], &kept["story"]["events"][0]["party"]), (&party, &party));
    for query in [String::new(), format!("agent_id={ann}"), "search=withheld".into()] {
        assert_eq!(office.finds(&office.ann, &query).await, [hidden.clone(), open.clone()], "{query}");
    }
    let own = office.asks(&office.ann, &format!("/v1/calls/{hidden}")).await.json();
    assert_eq!((&own["from"], &own["agent_id"]), (&party, &json!(ann)));
    office.stage.stop().await;
}

#[actix_web::test]
async fn a_number_that_a_code_shows_again_is_not_withheld_in_the_record() {
    let office = Office::new().await;
    let shown = json!({ "user_name": office.stage.phone, "dialplane_withhold": "false", "sip_Privacy": "id" });
    let call = office.calls_bob(0, shown).await;
    let call = office.asks(&office.bob, &format!("/v1/calls/{call}")).await.json();
    assert_eq!(call["from"]["number"], json!(office.of_ann[1]), "{call:#}");
    assert!(call["from"].get("withheld").is_none(), "{call:#}");
    office.stage.stop().await;
}
