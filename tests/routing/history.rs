//! Calls, which are made of the legs that switches report: they are found, shown, exported, and given notes and tags.

use dialplane::telephony::history::worker;
use serde_json::{Value, json};
use sqlx::Row as _;
use uuid::Uuid;

use crate::{
    harness::{Answer, send},
    stage::{Stage, route},
};

const MUNICH: &str = "+498912345678";

/// What a switch notes about a leg's times, in milliseconds after a moment.
pub fn times(mut variables: Value, start: i64, answer: Option<i64>, end: i64) -> Value {
    let at = |ms: i64| (begun() + ms) * 1000;
    let answered = answer.map_or(0, at);
    let more = json!({
        "start_uepoch": at(start).to_string(), "answer_uepoch": answered.to_string(), "bridge_uepoch": answered.to_string(),
        "end_uepoch": at(end).to_string(), "answer_epoch": (answered / 1_000_000).to_string(),
        "bridge_epoch": (answered / 1_000_000).to_string(), "end_epoch": (at(end) / 1_000_000).to_string(),
    });
    variables.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    variables
}

/// An hour ago, on a full second.
fn begun() -> i64 {
    static BEGUN: std::sync::OnceLock<i64> = std::sync::OnceLock::new();
    *BEGUN.get_or_init(|| (chrono::Utc::now().timestamp() - 3600) * 1000)
}

impl Stage {
    pub async fn record(&self, leg: Uuid, variables: &Value) -> Answer {
        self.record_from(&self.node.switch, leg, variables).await
    }

    async fn record_from(&self, (name, token): &(String, String), leg: Uuid, variables: &Value) -> Answer {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{token}")));
        let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/json")];
        let body = json!({ "variables": variables }).to_string();
        let answer =
            send(self.node.app.switch_address, "POST", &format!("/fs/cdr?uuid={leg}"), &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer
    }

    pub async fn folded(&self) {
        worker::fold_all(self.node.app.changes.pool()).await.unwrap();
    }

    /// The calls that a query finds.
    pub async fn found(&self, query: &str) -> Vec<Value> {
        self.folded().await;
        let path = format!("/v1/calls?tenant_id={}{query}", self.tenant);
        let answer = self.node.api("GET", &path, Value::Null).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.items().as_array().unwrap().clone()
    }

    async fn shown(&self, id: &Value) -> Value {
        let path = format!("/v1/calls/{}?tenant_id={}", id.as_str().unwrap(), self.tenant);
        self.node.api("GET", &path, Value::Null).await.json()
    }

    /// The records of a call from outside that the agent took after 5 seconds and talked for 60: the caller's leg and the phone's.
    pub fn call_from_outside(&self, from: &str) -> [(Uuid, Value); 2] {
        let (call, phone) = (Uuid::new_v4(), Uuid::new_v4());
        let caller = json!({
            "direction": "inbound", "call_uuid": call, "domain_name": self.domain, "dialplane_tenant": self.tenant, "sip_from_user": from,
            "sip_from_display": "Eve%20%3D1%2B1", "sip_req_user": "%2B493012345678", "hangup_cause": "NORMAL_CLEARING",
            "hangup_cause_q850": "16", "sip_hangup_disposition": "recv_bye", "bridge_uuid": phone, "originate_disposition": "SUCCESS",
        });
        let taken = json!({
            "direction": "outbound", "call_uuid": call, "originator": call, "dialed_user": self.phone, "dialed_domain": self.domain,
            "hangup_cause": "NORMAL_CLEARING", "sip_hangup_disposition": "send_bye", "rtp_audio_in_packet_count": "300",
            "rtp_audio_in_mos": "4.38", "rtp_audio_in_skip_packet_count": "3",
        });
        [(call, times(caller, 0, Some(5000), 65_000)), (phone, times(taken, 100, Some(5000), 65_000))]
    }
}

#[actix_web::test]
async fn the_legs_of_a_call_become_one_call_in_either_order_and_late_ones_mend_it() {
    let stage = Stage::new().await;
    for phone_first in [false, true] {
        let mut legs = stage.call_from_outside("+4915112345678");
        if phone_first {
            legs.reverse();
        }
        stage.record(legs[0].0, &legs[0].1).await;
        let part = stage.found("").await;
        let path = format!("/v1/calls/{}?tenant_id={}", part[0]["id"].as_str().unwrap(), stage.tenant);
        let notes = json!({ "notes": "calls back", "tags": ["vip", "vip"] });
        assert_eq!(stage.node.api("PATCH", &path, notes).await.status, 200);
        stage.record(legs[1].0, &legs[1].1).await;
        // A record that comes twice changes nothing.
        stage.record(legs[1].0, &legs[1].1).await;
        let calls = stage.found("").await;
        assert_eq!(calls.len(), 1 + usize::from(phone_first), "{calls:#?}");
        let call = calls.iter().find(|call| call["id"] == part[0]["id"]).unwrap();
        assert_eq!(
            (&call["direction"], &call["state"], &call["legs"]),
            (&json!("inbound"), &json!("answered"), &json!(2)),
            "{call:#}"
        );
        assert_eq!((&call["wait_seconds"], &call["talk_seconds"]), (&json!(5), &json!(60)));
        assert_eq!((&call["from"]["number"], &call["country"]), (&json!("+4915112345678"), &json!("DE")));
        assert_eq!((&call["agent_id"], &call["number_id"]), (&json!(stage.agent), &json!(stage.number)));
        assert_eq!((&call["notes"], &call["tags"]), (&json!("calls back"), &json!(["vip"])));
        assert_eq!(
            (&call["ended_by"], &call["reason"], &call["mos"]),
            (&json!("caller"), &json!("Somebody hung up"), &json!(4.38))
        );
        let story = &stage.shown(&call["id"]).await["story"];
        let events = story["events"].as_array().unwrap().iter().map(|event| event["what"].as_str().unwrap());
        assert_eq!(events.collect::<Vec<_>>(), ["started", "answered", "leg_ended", "ended"]);
        assert_eq!(story["legs"][1]["media"]["loss"], json!(1.0));
    }
    stage.stop().await;
}

#[actix_web::test]
async fn a_call_between_two_companies_is_an_outbound_call_of_the_one_and_an_inbound_call_of_the_other() {
    let stage = Stage::new().await;
    let beta = stage.node.tenant("beta.test").await;
    let bea = stage.node.extension(beta, json!({ "number": "3000", "display_name": "Bea" })).await;
    let made = format!("{beta}/{}/%2B493012345678", bea["id"].as_str().unwrap());
    let of_beta = async || {
        stage.folded().await;
        stage
            .node
            .api("GET", &format!("/v1/calls?tenant_id={beta}"), Value::Null)
            .await
            .items()
            .as_array()
            .unwrap()
            .clone()
    };
    let legs = stage.call_from_outside("3000");
    for (leg, record) in legs.iter().chain([&legs[0]]) {
        let mut record = record.clone();
        if *leg == legs[0].0 {
            record["dialplane_on_net"] = json!(made);
        }
        stage.record(*leg, &record).await;
    }
    let calls = stage.found("").await;
    assert_eq!((calls.len(), &calls[0]["direction"], &calls[0]["state"]), (1, &json!("inbound"), &json!("answered")));
    assert_eq!(calls[0]["from"]["extension_id"], Value::Null, "another company's extension: {}", calls[0]);
    let theirs = of_beta().await;
    assert_eq!(theirs.len(), 1, "{theirs:#?}");
    let call = &theirs[0];
    assert_eq!(
        (&call["id"], &call["direction"], &call["state"]),
        (&calls[0]["id"], &json!("outbound"), &json!("answered"))
    );
    assert_eq!([&call["from"]["extension_id"], &call["extension_id"]], [&bea["id"]; 2], "{call:#}");
    assert_eq!((&call["from"]["number"], &call["to"]["number"]), (&json!("3000"), &json!("+493012345678")), "{call:#}");
    assert_eq!((&call["wait_seconds"], &call["talk_seconds"]), (&json!(5), &json!(60)));
    assert_eq!((&call["ended_by"], &call["country"], &call["cost"]), (&json!("caller"), &json!("DE"), &Value::Null));
    // Nothing of who took it there.
    let path = format!("/v1/calls/{}?tenant_id={beta}", call["id"].as_str().unwrap());
    let story = stage.node.api("GET", &path, Value::Null).await;
    assert!(
        !story.text().contains(&stage.phone) && !story.text().contains(&stage.agent.to_string()),
        "{}",
        story.text()
    );

    // One that nobody took, and which the other side ended.
    let call = Uuid::new_v4();
    let missed = json!({
        "direction": "inbound", "call_uuid": call, "dialplane_tenant": stage.tenant, "sip_req_user": "%2B493012345678",
        "dialplane_on_net": made, "hangup_cause": "NO_ANSWER", "sip_hangup_disposition": "send_refuse",
    });
    stage.record(call, &times(missed, 100_000, None, 120_000)).await;
    let theirs = of_beta().await;
    let missed = theirs.iter().find(|one| one["id"] == json!(call)).unwrap();
    assert_eq!((&missed["direction"], &missed["state"]), (&json!("outbound"), &json!("missed")), "{missed:#}");

    // A company's own number, another cluster's company, and what is no such thing make no call of anybody else.
    let own = format!("{}/{}/%2B493012345678", stage.tenant, bea["id"].as_str().unwrap());
    let cluster = json!({ "name": "west", "region": "west", "max_tenants": 10 });
    let cluster = stage.node.makes("/v1/clusters", cluster).await.id();
    let far = stage.node.tenant("far.test").await;
    let moved = json!({ "cluster_id": cluster });
    assert_eq!(stage.node.api("PATCH", &format!("/v1/tenants/{far}"), moved).await.status, 200);
    let far = format!("{far}/{}/%2B493012345678", bea["id"].as_str().unwrap());
    for value in [own.as_str(), far.as_str(), "x", ""] {
        let call = Uuid::new_v4();
        let record = json!({ "direction": "inbound", "call_uuid": call, "dialplane_tenant": stage.tenant, "dialplane_on_net": value });
        stage.record(call, &times(record, 200_000, None, 201_000)).await;
    }
    assert_eq!(of_beta().await.len(), 2);
    let all = stage.database.count("select count(distinct tenant_id) from calls").await;
    assert_eq!(all, 2);
    stage.stop().await;
}

#[actix_web::test]
async fn a_call_over_carriers_says_who_carried_it_and_what_it_cost() {
    let stage = Stage::new().await;
    let call = Uuid::new_v4();
    assert_eq!(route(&stage.calls(MUNICH, call).await), "outbound");
    let phone = json!({ "direction": "inbound", "call_uuid": call, "user_name": stage.phone, "domain_name": stage.domain, "sip_req_user": "08912345678",
                        "hangup_cause": "NORMAL_CLEARING", "sip_hangup_disposition": "send_bye" });
    let over = |carrier: Uuid, more: Value| {
        let mut variables = json!({ "direction": "outbound", "call_uuid": call, "originator": call, "dialplane_carrier": carrier, "dialplane_call": call,
                                    "dialplane_callee": "%2B498912345678" });
        variables.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        variables
    };
    let busy = over(
        stage.carriers[0],
        json!({ "hangup_cause": "NORMAL_TEMPORARY_FAILURE", "hangup_cause_q850": "41", "sip_term_status": "503" }),
    );
    let taken =
        over(stage.carriers[1], json!({ "hangup_cause": "NORMAL_CLEARING", "sip_hangup_disposition": "recv_bye" }));
    stage.record(Uuid::new_v4(), &times(taken, 1000, Some(4000), 65_000)).await;
    stage.record(Uuid::new_v4(), &times(busy, 100, None, 900)).await;
    stage.record(call, &times(phone, 0, Some(4000), 65_000)).await;
    let calls = stage.found("").await;
    assert_eq!(calls.len(), 1, "{calls:#?}");
    let shown = stage.shown(&calls[0]["id"]).await;
    assert_eq!(
        (&shown["direction"], &shown["state"], &shown["ended_by"]),
        (&json!("outbound"), &json!("answered"), &json!("callee")),
        "{shown:#}"
    );
    assert_eq!(
        (&shown["cost"], &shown["charge"], &shown["billed_seconds"]),
        (&json!(100_000), &json!(100_000), &json!(61)),
        "two minutes at 0.05"
    );
    assert_eq!((&shown["carrier_id"], &shown["number_id"]), (&json!(stage.carriers[1]), &json!(stage.number)));
    let attempts = shown["story"]["attempts"].as_array().unwrap();
    assert_eq!(
        (attempts.len(), &attempts[0]["sip_status"], &attempts[0]["cost"], &attempts[1]["cost"]),
        (2, &json!(503), &Value::Null, &json!(100_000))
    );
    for query in [format!("&carrier_id={}", stage.carriers[1]), format!("&agent_id={}&direction=outbound", stage.agent)]
    {
        assert_eq!(stage.found(&query).await.len(), 1, "{query}");
    }
    assert_eq!(stage.found(&format!("&carrier_id={}", stage.carriers[0])).await.len(), 0, "it was only tried");
    // A refused call is one, too.
    let call = Uuid::new_v4();
    assert_eq!(route(&stage.calls("+882161234567", call).await), "premium_number");
    let phone = json!({ "direction": "inbound", "call_uuid": call, "user_name": stage.phone, "domain_name": stage.domain, "hangup_cause": "CALL_REJECTED" });
    stage.record(call, &times(phone, 0, None, 100)).await;
    let refused = stage.found("&state=refused").await;
    assert_eq!((refused.len(), &refused[0]["refusal"]), (1, &json!("premium_number")), "{refused:#?}");
    stage.stop().await;
}

#[actix_web::test]
async fn a_switch_of_another_cluster_says_nothing_about_calls_here() {
    let stage = Stage::new().await;
    let cluster = json!({ "name": "elsewhere", "region": "eu", "max_tenants": 10 });
    let cluster = stage.node.api("POST", "/v1/clusters", cluster).await;
    assert_eq!(cluster.status, 201, "{}", cluster.text());
    let new = json!({ "name": "stranger", "cluster_id": cluster.json()["id"] });
    let stranger = stage.node.api("POST", "/v1/switches", new).await;
    assert_eq!(stranger.status, 201, "{}", stranger.text());
    let stranger = ("stranger".to_owned(), stranger.json()["token"].as_str().unwrap().to_owned());
    let spent = async || {
        let mut db = stage.database.connect().await;
        let spent =
            sqlx::query("select coalesce(sum(spent), 0)::bigint from spend_days").fetch_one(&mut db).await.unwrap();
        spent.get::<i64, _>(0)
    };
    let call = Uuid::new_v4();
    assert_eq!(route(&stage.calls(MUNICH, call).await), "outbound");
    let before = spent().await;
    let leg = Uuid::new_v4();
    let forged = json!({ "direction": "outbound", "dialplane_carrier": stage.carriers[1], "dialplane_call": call, "hangup_cause": "NORMAL_CLEARING",
                         "dialplane_tenant": stage.tenant, "domain_name": stage.domain });
    let forged = times(forged, 0, Some(0), 600_000);
    stage.record_from(&stranger, leg, &forged).await;
    stage.record_from(&stranger, call, &times(json!({ "hangup_cause": "NORMAL_CLEARING" }), 0, None, 1)).await;
    let unreadable = stage.node.api("GET", "/v1/call-records/unreadable", Value::Null).await.items();
    let reasons = unreadable.as_array().unwrap().iter().map(|record| record["reason"].as_str().unwrap().to_owned());
    assert!(
        reasons.clone().count() == 2 && reasons.clone().all(|reason| reason.starts_with("foreign")),
        "{unreadable}"
    );
    // It names a tenant that is not on its cluster.
    let named = json!({ "direction": "inbound", "dialplane_tenant": stage.tenant, "domain_name": stage.domain, "hangup_cause": "NORMAL_CLEARING",
                        "bridge_uuid": Uuid::new_v4() });
    stage.record_from(&stranger, Uuid::new_v4(), &times(named, 0, Some(0), 1000)).await;
    assert_eq!((spent().await, stage.found("").await.len()), (before, 0));
    let mut db = stage.database.connect().await;
    let live = sqlx::query("select live from call_meters where scope = $1")
        .bind(stage.tenant)
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert_eq!(live.get::<i32, _>(0), 1, "the call goes on");
    // The true record of the same leg is the one that counts.
    stage.record(leg, &times(forged, 0, Some(0), 60_000)).await;
    assert_eq!(spent().await, 50_000);
    stage.stop().await;
}

#[actix_web::test]
async fn a_record_that_comes_again_after_days_is_not_charged_again() {
    let stage = Stage::new().await;
    let (call, leg) = (Uuid::new_v4(), Uuid::new_v4());
    assert_eq!(route(&stage.calls(MUNICH, call).await), "outbound");
    let carried = json!({ "direction": "outbound", "dialplane_carrier": stage.carriers[0], "dialplane_call": call, "hangup_cause": "NORMAL_CLEARING" });
    let carried = times(carried, 0, Some(0), 61_000);
    let spent = async || {
        let mut db = stage.database.connect().await;
        let spent = sqlx::query("select sum(spent)::bigint from spend_days").fetch_one(&mut db).await.unwrap();
        spent.get::<i64, _>(0)
    };
    stage.record(leg, &carried).await;
    let charged = spent().await;
    // As if it had been moved to its month.
    let mut db = stage.database.connect().await;
    sqlx::query("delete from cdr_inbox").execute(&mut db).await.unwrap();
    stage.record(leg, &carried).await;
    assert_eq!((charged, spent().await), (20_000, 20_000));
    stage.stop().await;
}

/// The calls in pages of two, the oldest first.
async fn oldest_first(stage: &Stage, query: &str) -> Vec<Value> {
    let (mut found, mut more) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/calls?tenant_id={}{query}&sort=started_at&limit=2{more}", stage.tenant);
        let page = stage.node.api("GET", &path, Value::Null).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text());
        found.extend(page.items().as_array().unwrap().iter().cloned());
        match page.json()["next_cursor"].as_str() {
            Some(cursor) => more = format!("&cursor={cursor}"),
            None => return found,
        }
    }
}

#[actix_web::test]
async fn calls_are_found_by_any_of_their_marks_page_by_page() {
    let stage = Stage::new().await;
    for n in 0..7 {
        let mut legs = stage.call_from_outside(&format!("+4915112345{n:03}"));
        if n % 2 == 1 {
            // Nobody took it.
            legs[0].1 = times(legs[0].1.clone(), n * 1000, None, n * 1000 + 9000);
            legs[0].1["hangup_cause"] = json!("ORIGINATOR_CANCEL");
            legs[1].1 = times(legs[1].1.clone(), n * 1000, None, n * 1000 + 9000);
        }
        for (leg, variables) in &legs {
            stage.record(*leg, variables).await;
        }
    }
    let whole = stage.found("").await;
    assert_eq!(whole.len(), 7);
    assert!(whole.is_sorted_by(|one, next| one["started_at"].as_str() >= next["started_at"].as_str()));
    let (mut paged, mut query) = (Vec::new(), "&limit=3".to_owned());
    loop {
        let path = format!("/v1/calls?tenant_id={}{query}", stage.tenant);
        let page = stage.node.api("GET", &path, Value::Null).await.json();
        paged.extend(page["items"].as_array().unwrap().iter().map(|call| call["id"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("&limit=3&cursor={cursor}");
    }
    assert_eq!(paged, whole.iter().map(|call| call["id"].clone()).collect::<Vec<_>>());
    let agent = stage.agent;
    let began = whole[6]["started_at"].as_str().unwrap().replace('+', "%2B");
    for (query, count) in [
        ("&state=missed".to_owned(), 3),
        ("&state=missed&direction=outbound".into(), 0),
        ("&states=missed,abandoned".into(), 3),
        ("&states=missed,answered&direction=inbound".into(), 7),
        ("&states=abandoned,refused&search=eve".into(), 0),
        (format!("&agent_id={agent}&state=answered"), 4),
        (format!("&agent_id={}", Uuid::new_v4()), 0),
        (format!("&number_id={}&country=DE&cause=ORIGINATOR_CANCEL", stage.number), 3),
        ("&party=%2B4915112345002".into(), 1),
        ("&party=%2B4915112345002&state=missed".into(), 0),
        ("&country=FR".into(), 0),
        ("&min_seconds=60".into(), 4),
        ("&min_seconds=61".into(), 0),
        ("&max_seconds=59".into(), 3),
        ("&search=12345003".into(), 1),
        ("&search=EVE".into(), 7),
        ("&search=e%25e".into(), 0),
        ("&search=eve&state=missed".into(), 3),
        ("&recorded=false".into(), 7),
        ("&recorded=true".into(), 0),
        (format!("&since={began}"), 7),
        (format!("&until={began}"), 0),
        (format!("&until={began}&state=answered"), 0),
    ] {
        let newest_first = stage.found(&query).await;
        assert_eq!(newest_first.len(), count, "{query}");
        let mut oldest_first = oldest_first(&stage, &query).await;
        oldest_first.reverse();
        assert_eq!(oldest_first, newest_first, "{query}");
        let path = format!("/v1/calls/count?tenant_id={}{query}", stage.tenant);
        assert_eq!(
            stage.node.api("GET", &path, Value::Null).await.json(),
            json!({ "count": count, "is_more": false }),
            "{query}"
        );
        let path = format!("/v1/calls/export?tenant_id={}{query}", stage.tenant);
        let csv = stage.node.api("GET", &path, Value::Null).await.text();
        assert_eq!(csv.lines().count(), count + 1, "{csv}");
    }
    for (query, field) in [
        ("&search=ab", "search"),
        ("&min_seconds=-1", "min_seconds"),
        ("&state=lost", "state"),
        ("&states=missed,lost", "states"),
        ("&states=", "states"),
        ("&sip_call_id=", "sip_call_id"),
        ("&cursor=%00", "cursor"),
        ("&sort=talk_seconds", "sort"),
        (&format!("{query}&sort=started_at"), "cursor"),
    ] {
        let refused = stage.node.api("GET", &format!("/v1/calls?tenant_id={}{query}", stage.tenant), Value::Null).await;
        assert_eq!(refused.status, 400, "{field}: {}", refused.text());
    }
    stage.stop().await;
}

#[actix_web::test]
async fn a_phone_finds_the_record_of_its_call_by_the_call_id_of_its_own_leg() {
    let stage = Stage::new().await;
    // Two people of one customer call at the same moment.
    let mut calls = Vec::new();
    for call_id in ["one@192.0.2.7", "two@192.0.2.7"] {
        let mut legs = stage.call_from_outside("+4915112345678");
        legs[0].1["sip_call_id"] = json!(format!("carrier-{call_id}"));
        legs[1].1["sip_call_id"] = json!(call_id);
        // The phone's record comes first, and the call is found then already.
        stage.record(legs[1].0, &legs[1].1).await;
        let found = stage.found(&format!("&sip_call_id={call_id}")).await;
        assert_eq!(found.len(), 1, "{call_id}");
        stage.record(legs[0].0, &legs[0].1).await;
        calls.push((call_id, legs[0].0));
    }
    for (call_id, leg) in calls {
        for id in [call_id.to_owned(), format!("carrier-{call_id}")] {
            let found = stage.found(&format!("&sip_call_id={id}")).await;
            assert_eq!(found.len(), 1, "{id}");
            assert_eq!(stage.shown(&found[0]["id"]).await["story"]["legs"][0]["leg"], json!(leg), "{id}");
        }
    }
    assert_eq!(stage.found("&sip_call_id=192.0.2.7").await.len(), 0, "it is no search");
    let long = "x".repeat(257);
    let path = format!("/v1/calls?tenant_id={}&sip_call_id={long}", stage.tenant);
    assert_eq!(stage.node.api("GET", &path, Value::Null).await.status, 400);
    stage.stop().await;
}

#[actix_web::test]
async fn an_export_runs_nothing_in_a_spreadsheet() {
    let stage = Stage::new().await;
    let mut legs = stage.call_from_outside("+4915112345678");
    legs[0].1["sip_from_display"] = json!("%3DHYPERLINK(1%2C2)");
    for (leg, variables) in &legs {
        stage.record(*leg, variables).await;
    }
    stage.folded().await;
    let csv = stage.node.api("GET", &format!("/v1/calls/export?tenant_id={}", stage.tenant), Value::Null).await.text();
    let line = csv.lines().nth(1).unwrap();
    assert!(line.contains(",\"'=HYPERLINK(1,2)\",") && line.contains(",+4915112345678,"), "{csv}");
    stage.stop().await;
}

#[actix_web::test]
async fn people_write_about_calls_what_the_tenant_lets_them() {
    let stage = Stage::new().await;
    for (leg, variables) in &stage.call_from_outside("+4915112345678") {
        stage.record(*leg, variables).await;
    }
    let call = stage.found("").await.remove(0);
    let path = format!("/v1/calls/{}?tenant_id={}", call["id"].as_str().unwrap(), stage.tenant);
    let refused = stage.node.api("PATCH", &path, json!({ "disposition": "Sold" })).await;
    assert_eq!((refused.status, &refused.json()["code"]), (422, &json!("not_a_disposition")), "{}", refused.text());
    let settings = json!({ "dispositions": ["Sold", "Call back"] });
    let changed = stage.node.api("PATCH", &format!("/v1/tenants/{}/settings", stage.tenant), settings).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    let changed =
        stage.node.api("PATCH", &path, json!({ "disposition": "Sold", "tags": ["b", "a"], "notes": "x" })).await;
    assert_eq!((changed.status, &changed.json()["tags"]), (200, &json!(["a", "b"])), "{}", changed.text());
    let version = changed.json()["version"].clone();
    assert_eq!(stage.found("&disposition=Sold&tag=a").await.len(), 1);
    let same = stage.node.api("PATCH", &path, json!({ "disposition": "Sold" })).await;
    assert_eq!(same.json()["version"], version, "nothing has changed");
    let old = [("X-API-Key", stage.node.key.as_str()), ("If-Match", "\"v1\"")];
    assert_eq!(stage.node.api_with("PATCH", &path, &old, json!({ "notes": "y" })).await.status, 412);
    let emptied = stage.node.api("PATCH", &path, json!({ "disposition": null, "tags": [], "notes": null })).await;
    assert_eq!((emptied.status, &emptied.json()["notes"]), (200, &Value::Null), "{}", emptied.text());
    assert_eq!((stage.found("&disposition=Sold").await.len(), stage.found("&tag=a").await.len()), (0, 0));
    let audit =
        stage.node.api("GET", &format!("/v1/audit?tenant_id={}&resource=calls", stage.tenant), Value::Null).await;
    assert_eq!(audit.items().as_array().unwrap().len(), 2, "{}", audit.text());
    for wrong in [
        json!({ "notes": "x".repeat(10_001) }),
        json!({ "tags": (0..30).map(|n| n.to_string()).collect::<Vec<_>>() }),
        json!({ "state": "missed" }),
    ] {
        assert_eq!(stage.node.api("PATCH", &path, wrong).await.status / 100, 4);
    }
    stage.stop().await;
}

#[actix_web::test]
async fn whatever_a_record_says_it_is_kept_and_makes_no_fault() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let stage = Stage::new().await;
    let nul = json!({ "direction": "inbound", "domain_name": "acme.test%00", "hangup_cause": "NORMAL_CLEARING%00", "sip_from_user": "%00%ff",
                      "sip_from_display": "%F0%9F%98%80%00", "dialplane_tenant": stage.tenant, "answer_epoch": "0", "sip_req_user": "%00" });
    stage.record(Uuid::new_v4(), &nul).await;
    let odd = json!({ "direction": ["x"], "domain_name": stage.domain, "hangup_cause": "X", "start_uepoch": "99999999999999999999", "end_uepoch": -5,
                      "transfer_history": "ARRAY::::|:|:1:2:bl_xfer", "hold_events": "{{1,", "cc_queue": "@", "call_uuid": "nobody" });
    stage.record(Uuid::new_v4(), &odd).await;
    let deep = "[".repeat(1000) + &"]".repeat(1000);
    let body = format!(
        "{{\"variables\":{{\"hangup_cause\":\"X\",\"domain_name\":\"acme.test\",\"direction\":{deep}}},\"callflow\":{deep}}}"
    );
    let (name, token) = &stage.node.switch;
    let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{token}")));
    let headers = [("Authorization", basic.as_str())];
    let post = async |body: &[u8]| {
        let path = format!("/fs/cdr?uuid={}", Uuid::new_v4());
        send(stage.node.app.switch_address, "POST", &path, &headers, body).await.status
    };
    assert_eq!(post(body.as_bytes()).await, 200);
    // A gzip bomb is not unpacked, and a record that is too large is refused: the switch keeps its file.
    assert_eq!(post(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]).await, 200);
    assert_eq!(post(&vec![b'{'; 2 << 20]).await, 413);
    assert_eq!(stage.found("").await.len(), 3);
    assert_eq!(
        stage.node.api("GET", "/v1/call-records/unreadable", Value::Null).await.items().as_array().unwrap().len(),
        1
    );
    let again = stage.node.api("POST", "/v1/call-records/unreadable/read-again", Value::Null).await;
    assert_eq!((again.status, again.json()), (200, json!({ "unreadable": 1 })), "{}", again.text());
    stage.stop().await;
}
