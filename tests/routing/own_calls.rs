//! What agents see and hear of calls: their own, from the first ring to the end, and of whoever withholds a number nothing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    event_socket::EventSocket,
    events::Listener,
    harness::{Answer, Node},
    live::{fires, known, leg, now},
    pushes::Fleet,
};

/// Signs somebody in with a browser: the cookie of the session.
pub async fn cookie_of(node: &Node, id: Uuid) -> String {
    use dialplane::{
        node::changes::Author,
        tenancy::auth::{session, store},
    };
    let author = Author { name: "test".into(), source: None, within: None };
    let mut change = node.app.changes.begin(author).await.unwrap();
    let account = store::account(change.db(), id).await.unwrap().unwrap();
    let cookie = session::for_browser(&mut change, &account, &session::Source::default()).await.unwrap();
    change.commit_quietly().await.unwrap();
    cookie.to_string()
}

/// Somebody with a phone and a browser.
pub struct Agent {
    pub id: Uuid,
    /// The SIP username and the number of their extension.
    pub phone: String,
    pub number: String,
    pub extension: String,
    cookie: String,
}

impl Agent {
    /// Signs in.
    pub async fn of(fleet: &Fleet, agent: &Value) -> Self {
        let id = agent["id"].as_str().unwrap().parse::<Uuid>().unwrap();
        fleet.sql("update users set status = 'active', email_verified_at = now() where tenant_id is not null").await;
        let cookie = cookie_of(&fleet.stage.node, id).await;
        let own = &agent["extensions"][0];
        let text = |name: &str| own[name].as_str().unwrap().to_owned();
        let (phone, number, extension) = (text("sip_username"), text("number"), text("id"));
        Self { id, phone, number, extension, cookie }
    }

    /// The stage's agent, and a colleague.
    pub async fn two(fleet: &Fleet) -> [Self; 2] {
        let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
        let first = format!("/v1/admin/agents/{}?tenant_id={tenant}", fleet.stage.agent);
        let first = node.api("GET", &first, Value::Null).await.json();
        let new = json!({ "first_name": "Bob", "last_name": "Babbage", "email": "bob@acme.test" });
        let second = node.makes(&format!("/v1/admin/agents?tenant_id={tenant}"), new).await;
        assert_eq!(second.status, 201, "{}", second.text());
        [Self::of(fleet, &first).await, Self::of(fleet, &second.json()).await]
    }

    /// Their browser's session.
    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    pub async fn asks(&self, node: &Node, method: &str, path: &str, body: Value) -> Answer {
        let cookie = format!("dialplane_session={}", self.cookie);
        let csrf = dialplane::tenancy::auth::session::csrf_token(&self.cookie);
        node.api_with(method, path, &[("Cookie", &cookie), ("X-CSRF-Token", &csrf)], body).await
    }

    /// Listens, and has had the snapshot.
    pub async fn hears(&self, node: &Node, query: &str) -> Listener {
        let cookie = format!("Cookie: dialplane_session={}\r\n", self.cookie);
        let mut listener = Listener::open_with(node, "", query, false, &cookie).await.unwrap();
        assert_eq!(listener.message().await["type"], "snapshot");
        listener
    }
}

/// The first leg of a call that an agent makes, as its first event says: the switch knows the SIP username only.
pub fn dials(fleet: &Fleet, agent: &Agent, dialled: &str) -> Value {
    json!({
        "Call-Direction": "inbound", "Channel-Name": format!("sofia/internal/{}@{}", agent.phone, fleet.stage.domain),
        "Caller-Caller-ID-Number": agent.phone, "Caller-Caller-ID-Name": agent.phone, "Caller-Destination-Number": dialled,
        "Caller-Context": fleet.stage.domain, "variable_dialplane_tenant": fleet.stage.tenant,
        "variable_dialplane_extension": agent.extension, "variable_user_name": agent.phone,
        "variable_domain_name": fleet.stage.domain, "variable_effective_caller_id_number": agent.number,
        "variable_effective_caller_id_name": "Somebody",
    })
}

/// A leg that rings an agent's phone, with whom it shows.
pub fn rings(fleet: &Fleet, agent: &Agent, maker: Uuid, shows: &str) -> Value {
    json!({
        "Call-Direction": "outbound", "Channel-Name": format!("sofia/internal/{}@192.0.2.7", agent.phone),
        "Other-Leg-Unique-ID": maker, "Caller-Caller-ID-Number": shows, "Caller-Caller-ID-Name": shows,
        "Caller-Destination-Number": agent.phone, "variable_dialplane_taken_by": format!("{}@{}", agent.phone, fleet.stage.domain),
    })
}

fn connect(socket: &EventSocket, a: Uuid, b: Uuid) {
    fires(socket, leg("CHANNEL_ANSWER", b, a, &json!({})), now());
    fires(socket, leg("CHANNEL_ANSWER", a, a, &json!({})), now());
    let pair = json!({ "Bridge-A-Unique-ID": a, "Bridge-B-Unique-ID": b });
    fires(socket, leg("CHANNEL_BRIDGE", a, a, &pair), now());
}

fn ends(socket: &EventSocket, leg_id: Uuid) {
    let ends = json!({ "Hangup-Cause": "NORMAL_CLEARING" });
    fires(socket, leg("CHANNEL_HANGUP_COMPLETE", leg_id, leg_id, &ends), now());
}

async fn until(node: &Node, agent: Option<&Agent>, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let since = Instant::now();
    loop {
        let answer = match agent {
            Some(agent) => agent.asks(node, "GET", path, Value::Null).await,
            None => node.api("GET", path, Value::Null).await,
        };
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let shown = answer.json();
        if wanted(&shown) {
            return shown;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{path}: {shown}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn count(shown: &Value) -> usize {
    shown["items"].as_array().unwrap().len()
}

/// Has a caller wait in the queue with this name.
pub fn joins(socket: &EventSocket, queue: &str, caller: Uuid, number: &str) {
    fires(socket, leg("CHANNEL_ANSWER", caller, caller, &json!({})), now());
    let joins = json!({
        "Event-Name": "CUSTOM", "Event-Subclass": "callcenter::info", "CC-Action": "member-queue-start", "CC-Queue": queue,
        "CC-Member-UUID": Uuid::new_v4(), "CC-Member-Session-UUID": caller, "CC-Member-CID-Number": number, "CC-Member-CID-Name": number,
    });
    fires(socket, joins, now());
}

#[actix_web::test]
async fn who_withholds_by_a_code_is_nobody_to_the_called_agent_from_the_first_ring_and_by_no_filter() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let node = &fleet.stage.node;
    let [bob, ann] = Agent::two(&fleet).await;
    let topics = "topics=call:incoming,call:state:changed,call:ended";
    let mut all = bob.hears(node, topics).await;
    let mut by_number = bob.hears(node, &format!("{topics}&extension={}", ann.number)).await;
    let mut by_agent = bob.hears(node, &format!("{topics}&agent_id={}", ann.id)).await;
    let mut own = ann.hears(node, &format!("{topics}&extension={}", ann.number)).await;
    let key = format!("tenant_id={}&{topics}&extension={}", fleet.stage.tenant, ann.number);
    let mut manager = Listener::open(node, &node.key, &key, true).await.unwrap();
    assert_eq!(manager.message().await["type"], "snapshot");

    let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
    // Its first event comes before it is routed, and says nothing of withholding.
    fires(&fleet.socket, leg("CHANNEL_CREATE", a, a, &dials(&fleet, &ann, &format!("*31{}", bob.number))), now());
    fires(&fleet.socket, leg("CHANNEL_CREATE", b, a, &rings(&fleet, &bob, a, "anonymous")), now());
    let shown = until(node, Some(&bob), "/v1/live/calls", |shown| count(shown) == 1).await;
    let caller = &shown["items"][0]["legs"][0];
    for field in ["number", "name", "extension", "extension_id", "agent_id"] {
        assert_eq!(caller[field], Value::Null, "{field}: {shown}");
    }
    let named = until(node, Some(&ann), "/v1/live/calls", |shown| count(shown) == 1).await;
    assert_eq!(named["items"][0]["legs"][0]["extension"], json!(ann.number), "{named}");
    for filter in
        [format!("extension={}", ann.number), format!("agent_id={}", ann.id), format!("number={}", ann.number)]
    {
        let found = until(node, Some(&bob), &format!("/v1/live/calls?{filter}"), |_| true).await;
        assert_eq!(count(&found), 0, "{filter}: {found}");
    }
    connect(&fleet.socket, a, b);
    ends(&fleet.socket, a);
    ends(&fleet.socket, b);
    loop {
        let message = all.message().await;
        let text = message.to_string();
        let tells = [&ann.phone, &ann.extension, &ann.id.to_string(), &format!("\"{}\"", ann.number)];
        assert!(tells.iter().all(|tells| !text.contains(*tells)), "{message}");
        if message["topic"] == "call:ended" {
            break;
        }
    }
    // Whoever withholds hears of it, and so do managers.
    for listener in [&mut own, &mut manager] {
        let message = listener.message().await;
        assert_eq!(message["data"]["id"], json!(a));
        // They see themselves, as in the list.
        let caller = &message["data"]["legs"][0];
        assert_eq!([&caller["extension"], &caller["agent_id"]], [&json!(ann.number), &json!(ann.id)], "{message}");
    }
    // The next call shows who calls, and is the first that the filters let through.
    let (c, d) = (Uuid::new_v4(), Uuid::new_v4());
    fires(&fleet.socket, leg("CHANNEL_CREATE", c, c, &dials(&fleet, &ann, &bob.number)), now());
    fires(&fleet.socket, leg("CHANNEL_CREATE", d, c, &rings(&fleet, &bob, c, &ann.number)), now());
    for listener in [&mut by_number, &mut by_agent] {
        let message = listener.message().await;
        assert_eq!(message["data"]["id"], json!(c), "{message}");
        assert_eq!(message["data"]["legs"][0]["extension"], json!(ann.number), "{message}");
    }

    // A call by a click: Dialplane calls the phone, and its leg is the caller's.
    let (job, e) = (Uuid::new_v4(), Uuid::new_v4());
    let mut click = rings(&fleet, &ann, job, &bob.number);
    click.as_object_mut().unwrap().remove("Other-Leg-Unique-ID");
    click["variable_dialplane_places"] = json!(bob.number);
    fires(&fleet.socket, leg("CHANNEL_CREATE", job, job, &click), now());
    fires(&fleet.socket, leg("CHANNEL_ANSWER", job, job, &json!({})), now());
    fires(&fleet.socket, leg("CHANNEL_CREATE", e, job, &rings(&fleet, &bob, job, "anonymous")), now());
    let shown = until(node, Some(&bob), "/v1/live/calls", |shown| shown.to_string().contains(&job.to_string())).await;
    let call = shown["items"].as_array().unwrap().iter().find(|call| call["id"] == json!(job)).unwrap();
    assert_eq!([&call["legs"][0]["number"], &call["legs"][0]["extension"]], [&Value::Null; 2], "{call}");
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn agents_hear_the_end_of_each_of_their_calls_once_whoever_hangs_up() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    let [bob, ann] = Agent::two(&fleet).await;
    let mut own = [bob.hears(node, "topics=call:ended").await, ann.hears(node, "topics=call:ended").await];
    let mut others = Vec::new();
    for more in [String::new(), format!("&agent_id={}", bob.id), format!("&extension={}", ann.number)] {
        let query = format!("tenant_id={tenant}&topics=call:ended{more}");
        let mut listener = Listener::open(node, &node.key, &query, true).await.unwrap();
        assert_eq!(listener.message().await["type"], "snapshot");
        others.push(listener);
    }
    // What comes next is of the next call, so nobody hears an end twice.
    for called_first in [true, false, true, false] {
        let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
        fires(&fleet.socket, leg("CHANNEL_CREATE", a, a, &dials(&fleet, &ann, &bob.number)), now());
        fires(&fleet.socket, leg("CHANNEL_CREATE", b, a, &rings(&fleet, &bob, a, &ann.number)), now());
        connect(&fleet.socket, a, b);
        for over in if called_first { [b, a] } else { [a, b] } {
            ends(&fleet.socket, over);
        }
        for listener in own.iter_mut().chain(&mut others) {
            let message = listener.message().await;
            assert_eq!((&message["topic"], &message["data"]["id"]), (&json!("call:ended"), &json!(a)), "{message}");
            assert_eq!(message["data"]["state"], "ended", "{message}");
            assert_eq!(message["data"]["cause"], "NORMAL_CLEARING", "{message}");
        }
    }
    // Two phones of an agent ring, and the other one ends: the call goes on for them. Whoever lets it ring is out.
    let (a, b, c, d) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    let outside = json!({
        "Call-Direction": "inbound", "Channel-Name": "sofia/external/x@carrier.test", "Caller-Caller-ID-Number": "+498912345678",
        "Caller-Destination-Number": "+493012345678", "Caller-Context": "public", "variable_dialplane_tenant": tenant,
    });
    fires(&fleet.socket, leg("CHANNEL_CREATE", a, a, &outside), now());
    for (one, agent) in [(b, &bob), (c, &bob), (d, &ann)] {
        fires(&fleet.socket, leg("CHANNEL_CREATE", one, a, &rings(&fleet, agent, a, "+498912345678")), now());
    }
    ends(&fleet.socket, c);
    ends(&fleet.socket, d);
    connect(&fleet.socket, a, b);
    let [of_bob, of_ann] = &mut own;
    assert_eq!(of_ann.message().await["data"]["id"], json!(a), "ann's phone rings no longer");
    assert_eq!(others[2].message().await["data"]["id"], json!(a), "ann's extension");
    let talks = format!("/v1/live/calls?tenant_id={tenant}&state=talking");
    until(node, None, &talks, |shown| count(shown) == 1).await;
    ends(&fleet.socket, b);
    ends(&fleet.socket, a);
    let last = of_bob.message().await;
    assert_eq!(last["data"]["id"], json!(a), "{last}");
    assert_eq!(others[0].message().await["data"]["id"], json!(a));
    assert_eq!(others[1].message().await["data"]["id"], json!(a));
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_queues_call_rings_an_agent_as_the_callers_and_is_the_same_when_it_is_answered() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let node = &fleet.stage.node;
    let [bob, _] = Agent::two(&fleet).await;
    let (_, queue) = fleet.queue().await;
    let mut heard = bob.hears(node, "topics=call:incoming,call:state:changed,call:ended").await;
    let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
    let outside = json!({
        "Call-Direction": "inbound", "Channel-Name": "sofia/external/x@carrier.test", "Caller-Caller-ID-Number": "+498912345678",
        "Caller-Caller-ID-Name": "Ada", "Caller-Destination-Number": "500", "Caller-Context": "public",
        "variable_dialplane_tenant": fleet.stage.tenant,
    });
    fires(&fleet.socket, leg("CHANNEL_CREATE", a, a, &outside), now());
    joins(&fleet.socket, &queue, a, "+498912345678");
    // mod_callcenter makes the agent's leg, and no leg of the caller's is its maker.
    let mut offered = rings(&fleet, &bob, a, "+498912345678");
    offered.as_object_mut().unwrap().remove("Other-Leg-Unique-ID");
    offered["variable_cc_side"] = "agent".into();
    offered["variable_cc_member_session_uuid"] = json!(a);
    fires(&fleet.socket, leg("CHANNEL_CREATE", b, b, &offered), now());
    let incoming = heard.message().await;
    assert_eq!((&incoming["topic"], &incoming["data"]["id"]), (&json!("call:incoming"), &json!(a)), "{incoming}");
    assert_eq!((&incoming["data"]["dialled"], &incoming["data"]["leg_id"]), (&json!("500"), &json!(b)), "{incoming}");
    let numbers = [0, 1].map(|at| &incoming["data"]["legs"][at]["number"]);
    assert_eq!(numbers, [&json!("+498912345678"), &json!(bob.number)], "{incoming}");
    assert_eq!(incoming["data"]["state"], "waiting", "{incoming}");
    assert!(!incoming.to_string().contains(&bob.phone), "{incoming}");
    fires(&fleet.socket, leg("CHANNEL_ANSWER", b, b, &json!({})), now());
    let pair = json!({ "Bridge-A-Unique-ID": a, "Bridge-B-Unique-ID": b });
    fires(&fleet.socket, leg("CHANNEL_BRIDGE", a, a, &pair), now());
    loop {
        let message = heard.message().await;
        assert_eq!((&message["topic"], &message["data"]["id"]), (&json!("call:state:changed"), &json!(a)), "{message}");
        if message["data"]["state"] == "talking" {
            break;
        }
    }
    ends(&fleet.socket, b);
    let over = heard.message().await;
    assert_eq!((&over["topic"], &over["data"]["id"]), (&json!("call:ended"), &json!(a)), "{over}");
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn nobody_is_named_by_a_sip_username_neither_colleagues_nor_another_tenants_callers() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let (node, tenant, domain) = (&fleet.stage.node, fleet.stage.tenant, fleet.stage.domain.clone());
    let [bob, ann] = Agent::two(&fleet).await;
    let (_, queue) = fleet.queue().await;
    let other = node.tenant("other.test").await;
    let bea = node.extension(other, json!({ "number": "3000", "display_name": "Bea" })).await;
    let username = bea["sip_username"].as_str().unwrap();
    let calls = |shows: &str| {
        json!({
            "Call-Direction": "inbound", "Channel-Name": format!("sofia/internal/{username}@other.test"),
            "Caller-Caller-ID-Number": username, "Caller-Caller-ID-Name": username, "Caller-Destination-Number": "+493012345678",
            "Caller-Context": "other.test", "variable_dialplane_tenant": other, "variable_dialplane_extension": bea["id"],
            "variable_user_name": username, "variable_domain_name": "other.test", "variable_effective_caller_id_number": shows,
            "variable_effective_caller_id_name": "Bea",
        })
    };
    // Routing shows a number of the caller's instead of the extension's, which the called leg says first.
    let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
    fires(&fleet.socket, leg("CHANNEL_CREATE", a, a, &calls("3000")), now());
    fires(&fleet.socket, leg("CHANNEL_CREATE", b, a, &rings(&fleet, &bob, a, "+12025550131")), now());
    let shown = until(node, Some(&bob), "/v1/live/calls", |shown| count(shown) == 1).await;
    let call = &shown["items"][0];
    assert_eq!((&call["direction"], &call["legs"][0]["number"]), (&json!("inbound"), &json!("+12025550131")), "{call}");
    assert!(!call.to_string().contains(username), "{call}");
    let theirs = until(node, None, &format!("/v1/live/calls?tenant_id={other}"), |shown| count(shown) == 1).await;
    let call = &theirs["items"][0];
    assert_eq!((&call["direction"], &call["legs"][0]["number"]), (&json!("outbound"), &json!("3000")), "{call}");
    assert!(!theirs.to_string().contains(&bob.phone), "{theirs}");
    // Where the called phone forwards to is its own company's business: the caller's sees that it leads outside.
    let (out, carrier) = (Uuid::new_v4(), Uuid::new_v4());
    let forwarded = json!({
        "Call-Direction": "outbound", "Channel-Name": "sofia/external/+13125550123", "Other-Leg-Unique-ID": a,
        "variable_dialplane_carrier": carrier, "variable_dialplane_callee": "+13125550123", "variable_dialplane_tenant": tenant,
    });
    fires(&fleet.socket, leg("CHANNEL_CREATE", out, a, &forwarded), now());
    let is_out = |shown: &Value| shown["items"][0]["legs"].as_array().is_some_and(|legs| legs.len() == 3);
    let shown = until(node, None, &format!("/v1/live/calls?tenant_id={tenant}"), is_out).await;
    let call = &shown["items"][0];
    assert_eq!((&call["legs"][2]["number"], &call["carrier_id"]), (&json!("+13125550123"), &json!(carrier)), "{call}");
    let theirs = until(node, None, &format!("/v1/live/calls?tenant_id={other}"), is_out).await;
    let call = &theirs["items"][0];
    assert_eq!([&call["legs"][2]["number"], &call["carrier_id"]], [&Value::Null; 2], "{call}");
    ends(&fleet.socket, out);
    // When the caller has left, what the phone's leg was made for is no number that was dialled.
    ends(&fleet.socket, a);
    let rest = until(node, Some(&bob), "/v1/live/calls", |shown| {
        shown["items"][0]["legs"].as_array().is_some_and(|legs| legs.len() == 1)
    })
    .await;
    assert_eq!(rest["items"][0]["dialled"], json!(bob.number), "{rest}");
    ends(&fleet.socket, b);

    // Both wait in a queue, are in a conference, are parked. What mod_callcenter has is the SIP username.
    let (c, d) = (Uuid::new_v4(), Uuid::new_v4());
    fires(&fleet.socket, leg("CHANNEL_CREATE", c, c, &dials(&fleet, &ann, "500")), now());
    fires(&fleet.socket, leg("CHANNEL_CREATE", d, d, &calls("3000")), now());
    joins(&fleet.socket, &queue, c, &ann.phone);
    let routed = json!({ "variable_effective_caller_id_number": "+12025550131", "variable_effective_caller_id_name": "+12025550131" });
    fires(&fleet.socket, leg("CHANNEL_ANSWER", d, d, &routed), now());
    joins(&fleet.socket, &queue, d, username);
    // One whose leg is not known.
    joins(&fleet.socket, &queue, Uuid::new_v4(), "ugme2azne");
    let path = format!("/v1/live/queues?tenant_id={tenant}");
    let queues =
        until(node, None, &path, |shown| shown["items"][0]["waiting"].as_array().is_some_and(|all| all.len() == 3))
            .await;
    let waiting = queues["items"][0]["waiting"].as_array().unwrap();
    let numbers = waiting.iter().map(|one| one["number"].clone()).collect::<Vec<_>>();
    assert_eq!(numbers, [json!(ann.number), json!("+12025550131"), Value::Null], "{queues}");
    let id = Uuid::new_v4();
    for one in [c, d] {
        let conference = json!({
            "Event-Name": "CUSTOM", "Event-Subclass": "conference::maintenance", "Action": "add-member", "Conference-Name": id.simple().to_string(),
            "Conference-Profile-Name": format!("{}.{domain}", id.simple()), "Unique-ID": one, "Member-ID": "1",
        });
        fires(&fleet.socket, conference, now());
        let slot = if one == c { "1" } else { "2" };
        let parked = json!({
            "Event-Name": "CUSTOM", "Event-Subclass": "valet_parking::info", "Action": "hold", "Valet-Lot-Name": format!("park@{domain}"),
            "Valet-Extension": slot, "Unique-ID": one,
        });
        fires(&fleet.socket, parked, now());
    }
    let path = format!("/v1/live/parked?tenant_id={tenant}");
    let parked = until(node, None, &path, |shown| count(shown) == 2).await;
    let numbers = parked["items"].as_array().unwrap().iter().map(|one| one["number"].clone()).collect::<Vec<_>>();
    assert_eq!(numbers, [json!(ann.number), json!("+12025550131")], "{parked}");
    let path = format!("/v1/live/conferences?tenant_id={tenant}");
    let rooms = until(node, None, &path, |shown| count(shown) == 1).await;
    let members = rooms["items"][0]["members"].as_array().unwrap();
    let own = members.iter().find(|one| one["leg_id"] == json!(c)).unwrap();
    assert_eq!((&own["number"], &own["extension_id"]), (&json!(ann.number), &json!(ann.extension)), "{rooms}");
    for shown in [&queues, &parked, &rooms] {
        let text = shown.to_string();
        assert!(!text.contains(username) && !text.contains(&ann.phone) && !text.contains("ugme2azne"), "{text}");
    }
    // What is parked and who is in a conference is for those who see all calls.
    for path in ["/v1/live/parked", "/v1/live/conferences"] {
        assert_eq!(bob.asks(node, "GET", path, Value::Null).await.status, 403, "{path}");
    }
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn who_serves_a_new_queue_is_shown_as_soon_as_the_switch_has_it() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    let [bob, ann] = Agent::two(&fleet).await;
    let name = |agent: &Agent| format!("{}@{}", agent.phone, fleet.stage.domain);
    fleet.socket.has().agents = vec![name(&bob)];
    let (path, _) = fleet.queue().await;
    let id = path.rsplit('/').next().unwrap();
    let agents = |shown: &Value| {
        let all = shown["items"][0]["agents"].as_array().cloned().unwrap_or_default();
        all.iter().map(|agent| agent["extension"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let shown = format!("/v1/live/queues?tenant_id={tenant}&queue_id={id}");
    until(node, None, &shown, |shown| agents(shown) == [bob.number.as_str()]).await;
    let added = json!({ "Event-Name": "CUSTOM", "Event-Subclass": "callcenter::info", "CC-Action": "agent-add", "CC-Agent": name(&bob) });
    fires(&fleet.socket, added, now());
    until(node, None, &format!("/v1/live/agents?tenant_id={tenant}&queue_id={id}"), |shown| count(shown) == 1).await;

    // Another one takes over.
    fleet.socket.has().agents = vec![name(&ann)];
    let tiers = json!({ "config": { "tiers": [{ "extension_id": ann.extension }] } });
    fleet.change("PATCH", &path, tiers).await;
    until(node, None, &shown, |shown| agents(shown) == [ann.number.as_str()]).await;
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_call_of_others_is_not_found_and_nobody_blocks_it() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let node = &fleet.stage.node;
    let [bob, ann] = Agent::two(&fleet).await;
    let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
    let outside = json!({
        "Call-Direction": "inbound", "Channel-Name": "sofia/external/x@carrier.test", "Caller-Caller-ID-Number": "+498912345678",
        "Caller-Destination-Number": "+493012345678", "Caller-Context": "public", "variable_dialplane_tenant": fleet.stage.tenant,
    });
    fires(&fleet.socket, leg("CHANNEL_CREATE", a, a, &outside), now());
    fires(&fleet.socket, leg("CHANNEL_CREATE", b, a, &rings(&fleet, &ann, a, "+498912345678")), now());
    connect(&fleet.socket, a, b);
    until(node, Some(&ann), "/v1/live/calls?state=talking", |shown| count(shown) == 1).await;
    let path = format!("/v1/live/calls/{a}/actions");
    let code = |answer: &Answer| (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned());
    // While somebody acts on it, it is as little there for others.
    let hold = ann.asks(node, "POST", &path, json!({ "action": "hold" }));
    let others = async {
        let since = Instant::now();
        while !fleet.socket.has().told.iter().any(|command| command.starts_with("uuid_hold")) {
            assert!(since.elapsed() < Duration::from_mins(1), "nobody holds");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for action in ["hangup", "pick_up", "hold"] {
            let refused = bob.asks(node, "POST", &path, json!({ "action": action })).await;
            assert_eq!(code(&refused), (404, "call_gone".into()), "{action}: {}", refused.text());
        }
        fires(&fleet.socket, leg("CHANNEL_HOLD", b, a, &json!({})), now());
    };
    let (held, ()) = tokio::join!(hold, others);
    assert_eq!(held.status, 200, "{}", held.text());
    let parked = ann.asks(node, "POST", &path, json!({ "action": "pick_up" })).await;
    assert_eq!(code(&parked), (409, "not_parked".into()), "one's own");

    // Once it is parked, anybody may take it. Whoever is not in it is not shown the call.
    ends(&fleet.socket, b);
    let lot = json!({
        "Event-Name": "CUSTOM", "Event-Subclass": "valet_parking::info", "Action": "hold", "Unique-ID": a,
        "Valet-Lot-Name": format!("park@{}", fleet.stage.domain), "Valet-Extension": "7",
    });
    fires(&fleet.socket, lot, now());
    fires(&fleet.socket, crate::live::registers(&fleet.stage.domain, &bob.phone, "one"), now());
    until(node, Some(&bob), "/v1/live/registrations", |shown| count(shown) == 1).await;
    let taken = bob.asks(node, "POST", &path, json!({ "action": "pick_up" })).await;
    assert_eq!((taken.status, &taken.json()["slot"]), (200, &json!("7")), "{}", taken.text());
    assert_eq!(taken.json()["call"], Value::Null, "{}", taken.text());
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn whoever_waits_is_sent_outside_only_if_somebody_may_call_there_and_otherwise_stays() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    let [boss, _] = Agent::two(&fleet).await;
    fleet.sql("update users set role = 'manager' where email = 'ada@acme.test'").await;
    let (path, queue) = fleet.queue().await;
    fleet.change("PATCH", &path, json!({ "number": "500" })).await;
    let id = path.rsplit('/').next().unwrap().replace('-', "");
    let a = Uuid::new_v4();
    let outside = json!({
        "Call-Direction": "inbound", "Channel-Name": "sofia/external/x@carrier.test", "Caller-Caller-ID-Number": "+498912345678",
        "Caller-Destination-Number": "500", "Caller-Context": "public", "variable_dialplane_tenant": tenant,
    });
    fires(&fleet.socket, leg("CHANNEL_CREATE", a, a, &outside), now());
    joins(&fleet.socket, &queue, a, "+498912345678");
    until(node, None, &format!("/v1/live/calls?tenant_id={tenant}&state=waiting"), |shown| count(shown) == 1).await;
    // While an agent's phone rings for them, they wait all the same.
    let mut offered = rings(&fleet, &boss, a, "+498912345678");
    offered["variable_cc_side"] = "agent".into();
    offered["variable_cc_member_session_uuid"] = json!(a);
    offered.as_object_mut().unwrap().remove("Other-Leg-Unique-ID");
    let b = Uuid::new_v4();
    fires(&fleet.socket, leg("CHANNEL_CREATE", b, b, &offered), now());
    let call = format!("/v1/live/calls/{a}/actions?tenant_id={tenant}");
    until(node, None, &format!("/v1/live/calls?tenant_id={tenant}"), |shown| {
        shown["items"][0]["legs"].as_array().is_some_and(|legs| legs.len() == 2)
    })
    .await;
    fleet.socket.told();
    let sends = |to: &str| json!({ "action": "transfer", "to": to });
    // An API key has no extension that could pay.
    let unpaid = node.api("POST", &call, sends("+498912345678")).await;
    assert_eq!((unpaid.status, &unpaid.json()["code"]), (409, &json!("nobody_pays")), "{}", unpaid.text());
    for (to, reason) in [("9999", "unallocated"), ("*72", ""), ("112", "emergency"), ("+19005551234", "")] {
        let refused = boss.asks(node, "POST", &call, sends(to)).await;
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (409, &json!("not_sent_there")),
            "{to}: {}",
            refused.text()
        );
        assert!(refused.text().contains(reason), "{to}: {}", refused.text());
    }
    assert!(fleet.socket.told().iter().all(|command| !command.starts_with("uuid_")), "nobody is moved");
    let sent = boss.asks(node, "POST", &call, sends("+498912345678")).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    let told = fleet.socket.told().into_iter().find(|command| command.starts_with("uuid_transfer")).unwrap();
    assert!(told.starts_with(&format!("uuid_transfer {a} 'm:|:")), "{told}");
    assert!(told.contains(&format!("dialplane_on_behalf={}!", boss.phone)), "{told}");
    assert!(
        told.ends_with(&format!("|transfer:{id} XML {}' inline", fleet.stage.domain)),
        "back into the queue: {told}"
    );
    // Inside, nobody has to pay.
    let inside = node.api("POST", &call, sends("500")).await;
    assert_eq!(inside.status, 200, "{}", inside.text());
    let told = fleet.socket.told().into_iter().find(|command| command.starts_with("uuid_transfer")).unwrap();
    assert_eq!(told, format!("uuid_transfer {a} 500 XML {}", fleet.stage.domain));
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_queue_says_how_its_calls_of_today_went_and_follows_their_records() {
    let fleet = Fleet::new().await;
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    // Where it is about noon, so that today is the same day throughout.
    let hours = 12 - i64::from(chrono::Timelike::hour(&chrono::Utc::now()));
    let zone = match hours {
        ..=-9 => "Pacific/Honolulu",
        -8..=-5 => "America/New_York",
        -4..=-2 => "America/Sao_Paulo",
        -1..=3 => "Europe/Berlin",
        4..=7 => "Asia/Kolkata",
        8.. => "Australia/Brisbane",
    };
    let settings = format!("/v1/tenants/{tenant}/settings");
    assert_eq!(node.api("PATCH", &settings, json!({ "time_zone": zone })).await.status, 200);
    let (_, name) = fleet.queue().await;
    known(&fleet).await;
    let path = format!("/v1/live/queues?tenant_id={tenant}");
    let first = until(node, None, &path, |shown| count(shown) == 1).await;
    let today = &first["items"][0]["today"];
    assert_eq!((&today["calls"], &today["service_level"]), (&json!(0), &Value::Null), "{first}");

    // One is answered after 5 s, one after 45 s, one gives up after 30 s, and one after 2 s.
    let now = chrono::Utc::now().timestamp() - 300;
    for (waits, answered) in [(5, true), (45, true), (30, false), (2, false)] {
        let (call, phone) = (Uuid::new_v4(), Uuid::new_v4());
        let left = now + waits;
        let mut caller = json!({
            "direction": "inbound", "call_uuid": call, "dialplane_tenant": tenant, "sip_from_user": "%2B4915112345678",
            "cc_side": "member", "cc_queue": name, "cc_queue_joined_epoch": now.to_string(), "start_epoch": now.to_string(),
            "answer_epoch": now.to_string(), "end_epoch": (left + if answered { 60 } else { 0 }).to_string(),
            "hangup_cause": "NORMAL_CLEARING", "sip_hangup_disposition": "recv_bye",
        });
        let more = if answered {
            json!({ "cc_queue_answered_epoch": left.to_string(), "bridge_uuid": phone, "bridge_epoch": left.to_string() })
        } else {
            json!({ "cc_queue_canceled_epoch": left.to_string(), "cc_cancel_reason": "BREAK_OUT" })
        };
        caller.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fleet.stage.cdr(call, caller).await;
        if answered {
            let agent = json!({
                "direction": "outbound", "call_uuid": call, "originator": call, "dialed_user": fleet.stage.phone,
                "dialed_domain": fleet.stage.domain, "cc_side": "agent", "cc_queue": name, "start_epoch": now.to_string(),
                "answer_epoch": left.to_string(), "bridge_epoch": left.to_string(), "end_epoch": (left + 60).to_string(),
                "hangup_cause": "NORMAL_CLEARING",
            });
            fleet.stage.cdr(phone, agent).await;
        }
    }
    fleet.stage.folded().await;
    let shown = until(node, None, &path, |shown| shown["items"][0]["today"]["calls"] == json!(4)).await;
    let today = &shown["items"][0]["today"];
    assert_eq!((&today["answered"], &today["abandoned"]), (&json!(2), &json!(2)), "{shown}");
    assert_eq!((&today["service_level"], &today["longest_wait_seconds"]), (&json!(0.25), &json!(45.0)), "{shown}");
    fleet.stage.stop().await;
}
