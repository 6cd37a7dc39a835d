//! Present and past calls: the live view of a simulated switch, the list of calls, reports, and webhooks.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    chromium::Chromium,
    event_socket::{EventSocket, PASSWORD},
    gallery::{Gallery, company, pictures},
    harness::Database,
    journeys::Site,
};

pub fn now() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

pub fn fires(socket: &EventSocket, name: &str, leg: Uuid, call: Uuid, more: &Value) {
    let mut event = json!({ "Event-Name": name, "Unique-ID": leg, "Channel-Call-UUID": call, "Core-UUID": "a",
        "Event-Date-Timestamp": now().to_string() });
    for (name, value) in more.as_object().unwrap() {
        event[name] = value.clone();
    }
    socket.fires(&event);
}

/// A caller from outside whom a phone of the tenant rings for.
pub struct Ringing {
    pub a: Uuid,
    pub b: Uuid,
}

impl Ringing {
    pub fn begins(socket: &EventSocket, domain: &str, phone: &str, number: &str) -> Self {
        let call = Self { a: Uuid::new_v4(), b: Uuid::new_v4() };
        let caller = json!({ "Call-Direction": "inbound", "Channel-Name": "sofia/external/x@carrier.test",
            "Caller-Caller-ID-Number": number, "Caller-Destination-Number": "+12025550123", "Caller-Context": "public" });
        fires(socket, "CHANNEL_CREATE", call.a, call.a, &caller);
        let called = json!({ "Call-Direction": "outbound", "Channel-Name": format!("sofia/internal/{phone}@192.0.2.7"),
            "Other-Leg-Unique-ID": call.a, "variable_dialplane_taken_by": format!("{phone}@{domain}") });
        fires(socket, "CHANNEL_CREATE", call.b, call.a, &called);
        call
    }

    pub fn is_answered(&self, socket: &EventSocket) {
        fires(socket, "CHANNEL_ANSWER", self.b, self.a, &json!({}));
        fires(socket, "CHANNEL_ANSWER", self.a, self.a, &json!({}));
        let bridge = json!({ "Bridge-A-Unique-ID": self.a, "Bridge-B-Unique-ID": self.b });
        fires(socket, "CHANNEL_BRIDGE", self.a, self.a, &bridge);
    }

    pub fn ends(&self, socket: &EventSocket) {
        for leg in [self.b, self.a] {
            fires(socket, "CHANNEL_HANGUP_COMPLETE", leg, leg, &json!({ "Hangup-Cause": "NORMAL_CLEARING" }));
        }
    }
}

/// A switch that the node listens to.
pub async fn switch(site: &Site) -> (EventSocket, String) {
    let socket = EventSocket::open().await;
    let path = listens(site, &socket).await;
    (socket, path)
}

/// Has the node listen to the played switch. Returns the path of its link.
pub async fn listens(site: &Site, socket: &EventSocket) -> String {
    let switches = site.node.api("GET", "/v1/switches", Value::Null).await.json();
    let path = format!("/v1/switches/{}/event-socket", switches["items"][0]["id"].as_str().unwrap());
    let new = json!({ "address": socket.address, "password": PASSWORD });
    let put = site.node.api("PUT", &path, new).await;
    assert_eq!(put.status, 200, "{}", put.text());
    let began = std::time::Instant::now();
    loop {
        let shown = site.node.api("GET", "/v1/live/calls", Value::Null).await.json();
        if shown["unknown"].as_array().is_some_and(Vec::is_empty) && socket.has().sign_ins >= 4 {
            return path;
        }
        assert!(began.elapsed().as_secs() < 30, "{shown}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// A phone of the tenant: its SIP username.
pub async fn phone(site: &Site) -> String {
    let tenant = site.tenant("acme.test").await;
    let all = site.node.api("GET", &format!("/v1/tenants/{tenant}/extensions"), Value::Null).await.json();
    all["items"][0]["sip_username"].as_str().unwrap().to_owned()
}

pub fn registers(socket: &EventSocket, phone: &str) {
    socket.fires(&json!({ "Event-Name": "CUSTOM", "Event-Subclass": "sofia::register", "from-user": phone, "from-host": "acme.test",
        "contact": format!("\"x\" <sip:{phone}@192.0.2.7:5060;transport=tcp>"), "call-id": "r1", "expires": "300",
        "network-ip": "192.0.2.7", "network-port": "5060", "user-agent": "Yealink SIP-T54W <b>", "status": "Registered(TCP)",
        "Core-UUID": "a", "Event-Date-Timestamp": now().to_string() }));
}

#[actix_web::test]
async fn the_live_view_follows_calls_and_says_when_a_switch_is_not_heard() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    let mut gallery = Gallery { browser: &browser, site: &site, pictures: pictures(), findings: Vec::new() };
    company(&site, &browser).await;
    let (socket, link) = switch(&site).await;
    let phone = phone(&site).await;
    browser.size(1440, 900).await;
    browser.page.goto(&format!("{}/app/live", site.url)).await.unwrap();
    browser.sees("Nobody is on the phone right now.").await;
    let call = Ringing::begins(&socket, "acme.test", &phone, "+493012345678");
    browser.sees("Ringing").await;
    browser.sees("+49 301").await;
    call.is_answered(&socket);
    browser.sees("Talking").await;
    let second = Ringing::begins(&socket, "acme.test", &phone, "+442079460958");
    browser.sees("+44 207").await;
    // A filter leaves what fits.
    let filter = "const field = document.getElementById('q'); field.value = arguments[0]; field.dispatchEvent(new Event('input'));
        return new Promise((done) => setTimeout(() => done([...document.querySelectorAll('[data-rows=calls] tr')].length), 200))";
    assert_eq!(browser.page.execute(filter, vec![json!("207946")]).await.unwrap(), json!(1));
    assert_eq!(browser.page.execute(filter, vec![json!("")]).await.unwrap(), json!(2));
    gallery.show("live", "/app/live").await;
    registers(&socket, &phone);
    browser.page.goto(&format!("{}/app/live/devices", site.url)).await.unwrap();
    browser.sees("Yealink SIP-T54W <b>").await;
    gallery.show("live-devices", "/app/live/devices").await;
    browser.page.goto(&format!("{}/language/de", site.url)).await.unwrap();
    gallery.show_alike("live-german", "/app/live").await;
    browser.sees("Im Gespräch").await;
    browser.page.goto(&format!("{}/language/en", site.url)).await.unwrap();
    // 200 changes a second, while the page draws.
    browser.page.goto(&format!("{}/app/live", site.url)).await.unwrap();
    browser.sees("Talking").await;
    let count = "window.drawn = 0; const step = () => { window.drawn += 1; requestAnimationFrame(step); }; step();
        window.began = performance.now();";
    browser.page.execute(count, vec![]).await.unwrap();
    let mut many = Vec::new();
    for number in 0..40 {
        many.push(Ringing::begins(&socket, "acme.test", &phone, &format!("+4930123450{number:02}")));
    }
    for _ in 0..5 {
        for (at, one) in many.iter().enumerate() {
            fires(&socket, if at % 2 == 0 { "CHANNEL_ANSWER" } else { "CHANNEL_HOLD" }, one.a, one.a, &json!({}));
            fires(&socket, if at % 2 == 0 { "CHANNEL_HOLD" } else { "CHANNEL_UNHOLD" }, one.a, one.a, &json!({}));
        }
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    }
    let frames = "return [window.drawn, performance.now() - window.began, document.querySelectorAll('[data-rows=calls] tr').length]";
    let frames = browser.page.execute(frames, vec![]).await.unwrap();
    eprintln!("frames, milliseconds, rows: {frames}");
    assert!(frames[2].as_u64().unwrap() >= 42, "{frames}");
    for one in many.iter().chain([&call, &second]) {
        one.ends(&socket);
    }
    browser.sees("Nobody is on the phone right now.").await;
    // The link breaks: the calls of that switch are no longer shown as live.
    let left = Ringing::begins(&socket, "acme.test", &phone, "+493012345678");
    left.is_answered(&socket);
    browser.sees("Talking").await;
    drop(socket);
    let away = json!({ "address": "127.0.0.1:9", "password": PASSWORD });
    site.node.api("PUT", &link, away).await;
    browser.sees("has not been heard since").await;
    browser.sees("Nobody is on the phone right now.").await;
    gallery.look("live-unknown-light-1440").await;
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    browser.stop().await;
    site.node.stop().await;
}

/// Writes calls of two weeks, one with a story.
async fn calls(site: &Site) -> Uuid {
    let tenant = site.tenant("acme.test").await;
    let id = Uuid::new_v4();
    let agents = site.node.api("GET", &format!("/v1/admin/agents?tenant_id={tenant}"), Value::Null).await.json();
    let agent = agents["items"][1]["id"].as_str().unwrap().parse::<Uuid>().unwrap();
    let carrier = json!({ "name": "Telnyx", "config": { "host": "sip.telnyx.example" } });
    let carrier = site.node.api("POST", "/v1/carriers", carrier).await.id();
    let begun = chrono::Utc::now() - chrono::Duration::minutes(90);
    let at = |seconds: i64| (begun + chrono::Duration::seconds(seconds)).to_rfc3339();
    let (caller, called) = (
        json!({ "number": "+493012345678", "name": "Meyer <script>" }),
        json!({ "number": "2001", "agent_id": agent }),
    );
    let summary = json!({ "from": caller, "to": { "number": "+12025550123" }, "answered_by": called, "number": "+12025550123",
        "ended_by": "caller", "reason": "Normal call clearing", "legs": 2, "transfers": 1, "mos": 4.4, "charge": 23000, "hold_seconds": 12 });
    let event = |seconds: i64, what: &str, more: Value| {
        let mut event = json!({ "at": at(seconds), "what": what });
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let story = json!({
        "events": [event(0, "started", json!({ "party": caller, "to": "+12025550123" })), event(2, "rang", json!({ "party": called })),
            event(9, "answered", json!({ "party": called })), event(60, "held", json!({ "party": called })), event(72, "resumed", json!({ "party": called, "seconds": 12 })),
            event(100, "transferred", json!({ "party": called, "to": "+442079460958", "attended": true })),
            event(101, "carrier_tried", json!({ "carrier_id": carrier, "to": "+442079460958" })),
            event(180, "ended", json!({ "cause": "NORMAL_CLEARING" }))],
        "attempts": [{ "carrier_id": carrier, "callee": "+442079460958", "began_at": at(101), "answered": true, "cause": "NORMAL_CLEARING",
            "reason": "Normal call clearing", "q850": 16, "sip_status": 200, "ringing_after": 1400, "seconds": 70, "cost": 23000 }],
        "legs": [{ "leg": Uuid::new_v4(), "party": caller, "outbound": false, "started_at": at(0), "ringing_at": at(2), "answered_at": at(9), "ended_at": at(180),
            "cause": "NORMAL_CLEARING", "q850": 16, "sip_status": 200, "hangup_disposition": "recv_bye", "media": { "mos": 4.4, "jitter": 3.0, "loss": 0.4 } }],
    });
    let pool = site.node.app.changes.pool();
    let months = "do $$ declare month timestamp := date_trunc('month', now() at time zone 'UTC') - interval '2 months'; begin
        for i in 0 .. 3 loop execute format('create table if not exists calls_%s partition of calls for values from (%L) to (%L)',
            to_char(month, 'YYYY_MM'), month at time zone 'UTC', (month + interval '1 month') at time zone 'UTC'); month := month + interval '1 month'; end loop; end $$";
    sqlx::raw_sql(months).execute(pool).await.unwrap();
    let insert = "insert into calls (tenant_id, id, started_at, ended_at, direction, state, wait_ms, talk_ms, billed_seconds, agent_id, carrier_id, country,
        cause, cost, currency, recorded, agents, facets, sought, summary, story, tags, notes)
        values ($1, $2, $3, $3 + interval '3 minutes', 'inbound', 'answered', 9000, 171000, 70, $4, $5, 'DE', 'NORMAL_CLEARING', 23000, 'EUR', true, array[$4], '{}',
        'meyer', $6, $7, '{order}', 'Wants an offer.')";
    let insert =
        sqlx::query(insert).bind(tenant).bind(id).bind(begun).bind(agent).bind(carrier).bind(&summary).bind(&story);
    insert.execute(pool).await.unwrap();
    let many = "insert into calls (tenant_id, id, started_at, ended_at, direction, state, wait_ms, talk_ms, billed_seconds, agent_id, country, cause, recorded, agents,
        facets, sought, summary, story)
        select $1, gen_random_uuid(), at, at + interval '2 minutes', (array['inbound', 'inbound', 'outbound', 'internal'])[1 + i % 4],
               (array['answered', 'answered', 'answered', 'missed', 'answered', 'abandoned', 'busy', 'voicemail', 'failed', 'refused'])[1 + i % 10], 5000 + i % 30 * 1000,
               case when i % 10 in (0, 1, 2, 4) then 60000 + i * 500 else 0 end, 0, $2, 'DE', 'NORMAL_CLEARING', false, array[$2], '{}', 'x',
               jsonb_build_object('from', jsonb_build_object('number', '+4930' || 1000000 + i), 'to', jsonb_build_object('number', '2001', 'agent_id', $2), 'legs', 2), '{}'
          from (select i, now() - i * interval '97 minutes' as at from generate_series(1, 200) i) x";
    sqlx::query(many).bind(tenant).bind(agent).execute(pool).await.unwrap();
    let due = "insert into call_slots_due (tenant_id, slot) select distinct tenant_id, date_bin('15 minutes', started_at, '2000-01-01 00:00Z') from calls on conflict do nothing";
    sqlx::query(due).execute(pool).await.unwrap();
    dialplane::telephony::reports::roll_store::roll(pool).await.unwrap();
    id
}

#[actix_web::test]
async fn calls_reports_and_webhooks_are_sound() {
    let Some(browser) = Chromium::start().await else { return };
    let database = Database::new().await;
    let site = Site::start(&database).await;
    let mut gallery = Gallery { browser: &browser, site: &site, pictures: pictures(), findings: Vec::new() };
    company(&site, &browser).await;
    gallery.show_alike("calls-none", "/app/calls").await;
    let call = calls(&site).await;
    let one = format!("/app/calls/{call}");
    browser.size(1440, 900).await;
    browser.page.goto(&format!("{}/app/calls", site.url)).await.unwrap();
    browser.sees("201 calls.").await;
    browser.sees("Meyer <script>").await;
    gallery.show("calls", "/app/calls").await;
    gallery.show_alike("calls-filtered", "/app/calls?direction=inbound&tag=order").await;
    browser.size(1440, 900).await;
    // Notes are written, and a version that somebody else changed meanwhile is refused.
    browser.page.goto(&format!("{}{one}", site.url)).await.unwrap();
    browser.sees("Put on hold").await;
    browser.fill("notes", "Called back.").await;
    browser.fill("tags", "order, vip").await;
    browser.click("Save").await;
    browser.sees("Saved.").await;
    let tenant = site.tenant("acme.test").await;
    let shown = site.node.api("GET", &format!("/v1/calls/{call}?tenant_id={tenant}"), Value::Null).await.json();
    assert_eq!((&shown["notes"], &shown["tags"]), (&json!("Called back."), &json!(["order", "vip"])), "{shown}");
    let path = format!("/v1/calls/{call}?tenant_id={tenant}");
    browser.page.goto(&format!("{}{one}", site.url)).await.unwrap();
    assert_eq!(site.node.api("PATCH", &path, json!({ "notes": "Mine." })).await.status, 200);
    browser.fill("notes", "Lost?").await;
    browser.click("Save").await;
    browser.sees("Put on hold").await;
    let kept = "return document.getElementById('notes').value";
    assert_eq!(browser.page.execute(kept, vec![]).await.unwrap(), json!("Lost?"), "what was typed is kept");
    let _ = browser.complaints().await;
    gallery.show("call", &one).await;
    for (name, path) in [
        ("reports", "/app/reports"),
        ("reports-hours", "/app/reports?period=today"),
        ("reports-agents", "/app/reports?by=agent&period=quarter"),
        ("usage", "/app/usage"),
        ("today-figures", "/app"),
    ] {
        gallery.show(name, path).await;
    }
    browser.page.goto(&format!("{}/app/reports", site.url)).await.unwrap();
    let drawn = "return document.querySelectorAll('.chart canvas').length";
    assert_eq!(browser.page.execute(drawn, vec![]).await.unwrap(), json!(1));
    webhooks(&mut gallery).await;
    browser.page.goto(&format!("{}/language/de", site.url)).await.unwrap();
    for (name, path) in
        [("calls-german", "/app/calls"), ("call-german", one.as_str()), ("reports-german", "/app/reports")]
    {
        gallery.show_alike(name, path).await;
    }
    assert!(gallery.findings.is_empty(), "{:#?}", gallery.findings);
    browser.stop().await;
    site.node.stop().await;
}

async fn webhooks(gallery: &mut Gallery<'_>) {
    let (browser, site) = (gallery.browser, gallery.site);
    gallery.show_alike("webhooks-none", "/app/webhooks").await;
    gallery.show_alike("webhook-new", "/app/webhooks/new").await;
    browser.size(1440, 900).await;
    browser.page.goto(&format!("{}/app/webhooks/new", site.url)).await.unwrap();
    browser.fill("url", "https://hooks.nowhere.invalid/calls").await;
    browser.click("Add webhook").await;
    browser.sees("whsec_").await;
    gallery.look("webhook-secret-dark-1440").await;
    let path = browser.page.current_url().await.unwrap().path().to_owned();
    assert!(path.starts_with("/app/webhooks/") && !path.ends_with("/new"), "{path}");
    browser.page.goto(&format!("{}{path}", site.url)).await.unwrap();
    assert!(!browser.text().await.contains("whsec_"), "the secret is shown once");
    browser.page.goto(&format!("{}{path}/deliveries", site.url)).await.unwrap();
    browser.click("Send a test").await;
    browser.sees("webhook:test").await;
    browser.sees("What is sent").await;
    gallery.show("webhooks", "/app/webhooks").await;
    gallery.show("deliveries", &format!("{path}/deliveries")).await;
    let one = "return document.querySelector('td a.title').getAttribute('href')";
    browser.page.goto(&format!("{}{path}/deliveries", site.url)).await.unwrap();
    let one = browser.page.execute(one, vec![]).await.unwrap();
    gallery.show_alike("delivery", one.as_str().unwrap()).await;
    browser.click("Send once more").await;
    browser.sees("It is sent once more.").await;
}
