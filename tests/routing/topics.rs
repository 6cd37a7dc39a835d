//! Who hears of which topic over `/v1/events`: every topic, every role, keys, and another tenant's people.

use std::collections::BTreeSet;

use dialplane::{model::topic::Topic, tenancy::auth::rules::Role};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    events::{Listener, call},
    harness::Node,
    live::{fires, known, now, of_gateway, registers},
    messages::colleague,
    own_calls::{Agent, cookie_of, joins},
    people::person,
    pushes::Fleet,
};

/// Somebody who listens, and what they are to hear.
struct Who {
    name: &'static str,
    listener: Listener,
    hears: BTreeSet<&'static str>,
    /// Whose phone ends what is looked at: nobody is told of all phones but the platform, and agents of their own only.
    marker: &'static str,
}

const OF_THEIRS: [&str; 3] = ["ada", "bob", "other"];

async fn key(node: &Node, tenant: Uuid, scope: &str) -> String {
    let made = node.api("POST", "/v1/keys", json!({ "name": scope, "tenant_id": tenant, "scopes": [scope] })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["token"].as_str().unwrap().to_owned()
}

async fn by_cookie(node: &Node, cookie: &str, query: &str) -> Result<Listener, u16> {
    Listener::open_with(node, "", query, false, &format!("Cookie: dialplane_session={cookie}\r\n")).await
}

/// Reads until the marker's phone registers. What was heard meanwhile: of messages about other markers, nothing.
async fn to_marker(listener: &mut Listener, marker: &str) -> Vec<Value> {
    let mut heard = Vec::new();
    loop {
        let message = listener.message().await;
        let text = message.to_string();
        if text.contains(&format!("marker-{marker}")) {
            return heard;
        }
        if message["type"] == "event" && !text.contains("marker-") {
            heard.push(message);
        }
    }
}

/// Waits until this topic comes.
async fn comes(listener: &mut Listener, topic: &str) {
    while listener.message().await["topic"] != topic {}
}

#[actix_web::test]
async fn every_topic_is_heard_by_those_whom_it_is_for_and_by_nobody_else() {
    let fleet = Fleet::new().await;
    let (node, tenant, domain) = (&fleet.stage.node, fleet.stage.tenant, &fleet.stage.domain);
    let [ada, bob] = Agent::two(&fleet).await;
    let (_, queue) = fleet.queue().await;
    let of_carrier = |name: &str, tenant: Option<Uuid>| {
        let new = json!({ "name": name, "tenant_id": tenant, "config": { "host": format!("{name}.carrier.test") } });
        async move { node.makes("/v1/carriers", new).await.id().to_string() }
    };
    let (own, platforms) = (of_carrier("own", Some(tenant)).await, of_carrier("everybodys", None).await);
    let other = node.tenant("other.test").await;
    let stranger = node.extension(other, json!({ "number": "1000", "display_name": "Eve" })).await;
    let stranger = stranger["sip_username"].as_str().unwrap().to_owned();
    known(&fleet).await;
    // Whose phones are markers have them before, so that nothing else changes with another.
    let mut early = Listener::open(node, &node.key, "topics=presence:update", true).await.unwrap();
    for (domain, phone) in [(domain.as_str(), &bob.phone), ("other.test", &stranger)] {
        fires(&fleet.socket, registers(domain, phone, "before"), now());
        comes(&mut early, "presence:update").await;
    }

    // All but messages, which are their people's alone, whatever the role; and what only the platform is told of its own carriers.
    let of_tenant = Topic::LIVE.into_iter().filter(|topic| !topic.is_private()).map(Topic::as_str);
    let of_tenant = of_tenant.collect::<BTreeSet<_>>();
    let nothing = BTreeSet::new();
    let with_message = of_tenant.iter().copied().chain(["message:received"]).collect::<BTreeSet<_>>();
    let of_agent = with_message.iter().copied().filter(|topic| *topic != "gateway:changed").collect::<BTreeSet<_>>();
    let mut all = Vec::new();
    let mut add = |name, listener: Result<Listener, u16>, hears: &BTreeSet<&'static str>, marker| {
        let listener = listener.unwrap_or_else(|status| panic!("{name}: {status}"));
        all.push(Who { name, listener, hears: hears.clone(), marker });
    };
    let mut emmy = None;
    for (role, hears) in [(Role::Owner, &with_message), (Role::Admin, &of_tenant), (Role::Manager, &of_tenant)] {
        let someone = colleague(&fleet, role.as_str(), role.as_str()).await;
        add(role.as_str(), by_cookie(node, someone.cookie(), "").await, hears, "bob");
        emmy = emmy.or(Some(someone));
    }
    let emmy = emmy.unwrap();
    add("an agent whom nothing of it is about", by_cookie(node, bob.cookie(), "").await, &nothing, "bob");
    add("the agent whom it is about", by_cookie(node, ada.cookie(), "").await, &of_agent, "ada");
    let admin = person(node, None, Role::PlatformAdmin, "admin@platform.test").await;
    let admin = cookie_of(node, admin.id).await;
    add("a platform administrator", by_cookie(node, &admin, "").await, &of_tenant, "other");
    let only_ours = format!("tenant_id={tenant}");
    add("the same in this tenant", by_cookie(node, &admin, &only_ours).await, &of_tenant, "bob");
    add("the platform's key", Listener::open(node, &node.key, "", true).await, &of_tenant, "other");
    let reads = key(node, tenant, "live:read").await;
    add("a key that reads live state", Listener::open(node, &reads, "", true).await, &of_tenant, "bob");
    let of_others = person(node, Some(other), Role::Owner, "owner@other.test").await;
    let of_others = cookie_of(node, of_others.id).await;
    add("another tenant's owner", by_cookie(node, &of_others, "").await, &nothing, "other");
    let others_key = key(node, other, "live:read").await;
    add("another tenant's key", Listener::open(node, &others_key, "", true).await, &nothing, "other");
    // Who is not let in.
    let limited = key(node, tenant, "extensions:read").await;
    assert_eq!(Listener::open(node, &limited, "", true).await.err(), Some(403), "another scope");
    assert_eq!(Listener::open(node, &others_key, &only_ours, true).await.err(), Some(404), "another tenant's key");
    assert_eq!(by_cookie(node, &of_others, &only_ours).await.err(), Some(404), "another tenant's owner");
    assert_eq!(by_cookie(node, "nobody", "").await.err(), Some(401), "nobody");

    // Somebody who hears everything, and the receiver of the message: what they have heard, all others were sent before.
    let mut witness = Listener::open(node, &reads, "", true).await.unwrap();
    let mut receiver = by_cookie(node, emmy.cookie(), "topics=message:received").await.unwrap();
    for listener in all.iter_mut().map(|who| &mut who.listener).chain([&mut witness, &mut receiver]) {
        assert_eq!(listener.message().await["type"], "snapshot");
    }
    fires(&fleet.socket, registers(domain, &ada.phone, "hers"), now());
    comes(&mut witness, "registration:changed").await;
    for event in call(&fleet, Uuid::new_v4(), Uuid::new_v4()) {
        fires(&fleet.socket, event, now());
    }
    comes(&mut witness, "call:ended").await;
    joins(&fleet.socket, &queue, Uuid::new_v4(), "+498912345678");
    comes(&mut witness, "queue:update").await;
    for (carrier, is_told) in [(&platforms, false), (&own, true)] {
        let down = [("State", "FAIL_WAIT"), ("Ping-Status", "DOWN")];
        fires(&fleet.socket, of_gateway("gateway_state", carrier, &down), now());
        if is_told {
            comes(&mut witness, "gateway:changed").await;
        }
    }
    let wrote = json!({ "to": emmy.id, "text": "Lunch?" });
    assert_eq!(ada.asks(node, "POST", "/v1/chat/messages", wrote).await.status, 201);
    comes(&mut receiver, "message:received").await;
    for (marker, domain, phone) in [
        (OF_THEIRS[0], domain.as_str(), &ada.phone),
        (OF_THEIRS[1], domain, &bob.phone),
        (OF_THEIRS[2], "other.test", &stranger),
    ] {
        fires(&fleet.socket, registers(domain, phone, &format!("marker-{marker}")), now());
    }

    for who in &mut all {
        let heard = to_marker(&mut who.listener, who.marker).await;
        let topics = heard.iter().map(|message| message["topic"].as_str().unwrap()).collect::<BTreeSet<_>>();
        assert_eq!(topics, who.hears, "{}: {heard:#?}", who.name);
        let of_platforms = heard.iter().any(|message| message.to_string().contains(&platforms));
        let is_platform = matches!(who.name, "a platform administrator" | "the platform's key");
        assert_eq!(of_platforms, is_platform, "{}: of the platform's own carrier", who.name);
        let sees_switches = is_platform || who.name == "the same in this tenant";
        let names_one = heard.iter().any(|message| message["data"].get("switch_id").is_some());
        assert_eq!(names_one, sees_switches, "{}: which switch it is", who.name);
    }
    fleet.stage.stop().await;
}
