//! `/v1/events`: what happens, as it happens, over a WebSocket or as server-sent events.
//!
//! A client that comes gets a snapshot of what it listens to, unless it names a cursor of this node that is not too old. A client that does not
//! keep up gets a snapshot instead of what it missed, so nothing grows. It is asked twice a second whether it may still listen.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::header,
    web::{Bytes, Data, Payload, Query},
};
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Interval, MissedTickBehavior},
};
use uuid::Uuid;

use super::{
    Live,
    access::Pass,
    api::scope,
    events::{Audience, Event, Seat, Sent, cursor},
    select::Asker,
    show::Scope,
};
use crate::{
    http::problem::Problem,
    model::error::Error,
    model::topic::Topic,
    tenancy::{
        Api, TenantQuery,
        auth::{actor::Actor, standing::Credential},
    },
    text::Code,
};

/// How often a silent connection says that it is there.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long a client may take to read a message.
const SLOWEST: Duration = Duration::from_secs(30);

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// What to hear of, separated by commas: `call:incoming`, `call:state:changed`, `call:ended`, `agent:status:updated`, `queue:update`,
    /// `presence:update`, `registration:changed`, `gateway:changed`, `message:received`. All if absent. Of messages, everybody hears their own only.
    topics: Option<String>,
    /// Only what is about the extension with this number.
    extension: Option<String>,
    /// Only what is about this agent.
    agent_id: Option<Uuid>,
    /// Only what is about this queue.
    queue_id: Option<Uuid>,
    /// The `cursor` of the last message, to continue after it. Server-sent events send it as `Last-Event-ID`.
    cursor: Option<String>,
}

/// Which events a client gets.
struct Filter {
    topics: BTreeSet<Topic>,
    extension: Option<String>,
    agent: Option<Uuid>,
    queue: Option<Uuid>,
    /// Only what is about this person.
    person: Option<Uuid>,
    /// The person who listens.
    listener: Option<Uuid>,
}

impl Filter {
    fn takes(&self, event: &Event) -> bool {
        // Whoever listens to everything is told once, at the end.
        let is_told = !event.is_parting || self.person.is_some() || self.agent.is_some() || self.extension.is_some();
        is_told
            && self.topics.contains(&event.topic)
            && (!event.topic.is_private() || self.listener.is_some_and(|person| event.people.contains(&person)))
            && self.person.is_none_or(|person| event.people.contains(&person))
            && self.extension.as_ref().is_none_or(|extension| {
                event.extensions.contains(extension) && event.concealed.shows_extension(extension, self.person)
            })
            && self
                .agent
                .is_none_or(|agent| event.people.contains(&agent) && event.concealed.shows_agent(agent, self.person))
            && self.queue.is_none_or(|queue| event.queues.contains(&queue))
    }
}

fn topics(asked: Option<&str>, is_agent: bool) -> Result<BTreeSet<Topic>, Problem> {
    let all = Topic::LIVE.into_iter();
    let mut wanted = match asked {
        None => all.collect::<BTreeSet<_>>(),
        Some(names) => {
            let named = names.split(',').map(str::trim).filter(|name| !name.is_empty());
            let named = named.map(|name| Topic::of_live(name).ok_or(Error::query("topics", Code::UnknownTopic)));
            named.collect::<Result<BTreeSet<_>, Error>>()?
        }
    };
    if is_agent {
        wanted.retain(|topic| topic.is_for_agents());
    }
    Ok(wanted)
}

/// Listen to what happens
///
/// With `Upgrade: websocket`, messages are JSON texts; with `Accept: text/event-stream`, they are server-sent events. The first message is a `snapshot` of what is
/// listened to, or `resumed` after the `cursor` of an earlier message of the same node. Then come `event`s with `topic`, `at`, `data` and
/// `cursor`. Another `snapshot` comes if messages were missed (`reason`: `behind`) or a switch is heard again or not any more (`switch`).
/// `ended` says why the stream ends. An agent hears of own calls, phones and queues, and `call:ended` when their last phone leaves a call, whoever
/// goes on with it; so does whoever listens to one agent or extension.
#[utoipa::path(tag = "live", params(TenantQuery, EventsQuery), responses(
    (status = 200, description = "Server-sent events.", body = String, content_type = "text/event-stream"),
))]
#[get("/v1/events")]
pub async fn listen_to_events(
    api: Data<Api>,
    live: Data<Live>,
    actor: Actor,
    request: HttpRequest,
    payload: Payload,
    tenant: Query<TenantQuery>,
    query: Query<EventsQuery>,
) -> Result<HttpResponse, Problem> {
    let scope = scope(&actor, &tenant, &super::api::WhereQuery::default())?;
    let query = query.into_inner();
    let filter = Filter {
        topics: topics(query.topics.as_deref(), scope.person.is_some())?,
        extension: query.extension,
        agent: query.agent_id,
        queue: query.queue_id,
        person: scope.person,
        listener: actor.user().ok(),
    };
    let last_id = request.headers().get("Last-Event-ID").and_then(|value| value.to_str().ok());
    // A browser that connects again by itself asks for the same address, and says in the header how far it has come since.
    let after = last_id.or(query.cursor.as_deref());
    let credential = Credential::of(&request, &actor);
    if is_websocket(&request) && credential.is_cookie() && is_cross_site(&request) {
        return Err(Problem::cross_site());
    }
    if !is_websocket(&request) && !takes_server_sent(&request) {
        return Err(Code::HowToListen.into());
    }
    let seat = live.bus.sit(scope.tenant, after).ok_or_else(|| Problem::from(Code::NodeStops))?;
    let access = live.access.enter(actor.id, credential).ok_or_else(|| Problem::from(Code::TooManyStreams))?;
    let audience = match (scope.is_platform, scope.person) {
        (true, _) => Audience::Platform,
        (false, Some(_)) => Audience::Own,
        (false, None) => Audience::Tenant,
    };
    let client = Client::new(api, live.into_inner(), scope, audience, filter, seat, access, after.is_some());
    if is_websocket(&request) { websocket(&request, payload, client) } else { Ok(server_sent(client)) }
}

fn is_websocket(request: &HttpRequest) -> bool {
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|to| to.eq_ignore_ascii_case("websocket"))
}

fn takes_server_sent(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|types| types.contains("text/event-stream"))
}

/// Whether another site's page asks. A browser sends the cookie along, and lets the page read a WebSocket.
fn is_cross_site(request: &HttpRequest) -> bool {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return false };
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let of_origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    of_origin.is_none() || of_origin != host
}

/// Why a client gets a snapshot.
#[derive(Debug, Clone, Copy)]
enum Reason {
    Start,
    /// The cursor is another node's, or too old.
    UnknownCursor,
    /// It did not keep up.
    Behind,
    /// A switch is heard again, or not any more.
    Switch,
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::UnknownCursor => "unknown_cursor",
            Self::Behind => "behind",
            Self::Switch => "switch",
        }
    }
}

enum Message {
    Text {
        text: Arc<str>,
        cursor: String,
    },
    Ping,
    /// The last one.
    End(String),
}

/// Somebody who listens.
struct Client {
    api: Data<Api>,
    live: Arc<Live>,
    scope: Scope,
    audience: Audience,
    filter: Filter,
    seat: Seat,
    access: Pass,
    pings: Interval,
    /// The last event that it has.
    last: u64,
    ready: VecDeque<Message>,
    /// It gets a snapshot next.
    anew: Option<Reason>,
}

impl Client {
    #[expect(clippy::too_many_arguments, reason = "what a client is")]
    fn new(
        api: Data<Api>,
        live: Arc<Live>,
        scope: Scope,
        audience: Audience,
        filter: Filter,
        mut seat: Seat,
        access: Pass,
        had_cursor: bool,
    ) -> Self {
        let mut pings = tokio::time::interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.reset();
        let (last, missed) = (seat.number, seat.missed.take());
        let anew = missed.is_none().then_some(if had_cursor { Reason::UnknownCursor } else { Reason::Start });
        let mut client =
            Self { api, live, scope, audience, filter, seat, access, pings, last, ready: VecDeque::new(), anew };
        if let Some(missed) = missed {
            client.say(&json!({ "type": "resumed" }), last);
            for event in missed.iter().filter(|event| client.filter.takes(event)).collect::<Vec<_>>() {
                let message = client.event(event);
                client.ready.push_back(message);
            }
        }
        client
    }

    fn event(&self, event: &Event) -> Message {
        let node = &self.live.bus.node;
        Message::Text { text: event.text(self.audience, self.filter.person, node), cursor: cursor(node, event.number) }
    }

    fn say(&mut self, message: &Value, number: u64) {
        let cursor = cursor(&self.live.bus.node, number);
        let mut message = message.clone();
        message["cursor"] = json!(cursor);
        self.ready.push_back(Message::Text { text: message.to_string().into(), cursor });
    }

    /// The next message. Nothing is lost if this is dropped before it is done.
    async fn next(&mut self) -> Message {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return message;
            }
            if let Some(reason) = self.anew {
                let number = self.live.bus.number().max(self.last);
                let data = self.snapshot().await;
                self.last = number;
                self.anew = None;
                self.say(&json!({ "type": "snapshot", "reason": reason.name(), "data": data }), number);
                continue;
            }
            let end = |reason: &str| Message::End(json!({ "type": "ended", "reason": reason }).to_string());
            tokio::select! {
                biased;
                () = self.access.is_over() => return end("access_ended"),
                sent = self.seat.receiver.recv() => match sent {
                    Ok(Sent::Event(event)) if event.number > self.last && self.filter.takes(&event) => {
                        self.last = event.number;
                        return self.event(&event);
                    }
                    Ok(Sent::Anew(cluster)) if self.hears_of(cluster) => self.anew = Some(Reason::Switch),
                    Ok(Sent::Event(_) | Sent::Anew(_)) => {}
                    Err(RecvError::Lagged(_)) => self.anew = Some(Reason::Behind),
                    Err(RecvError::Closed) => return end("node_stops"),
                },
                _ = self.pings.tick() => return Message::Ping,
            }
        }
    }

    /// Whether what goes on at this cluster's switches concerns it.
    fn hears_of(&self, cluster: Uuid) -> bool {
        let of_tenant = self.scope.tenant.map(|tenant| self.live.generations().scope(tenant).map(|slot| slot.cluster));
        match (of_tenant, self.scope.cluster) {
            (Some(own), _) => own.is_none_or(|own| own == cluster),
            (None, only) => only.is_none_or(|only| only == cluster),
        }
    }

    /// What goes on right now, of what it listens to.
    async fn snapshot(&self) -> Value {
        let asker = Asker { live: &self.live, pool: self.api.pool(), scope: &self.scope };
        let Filter { topics, extension, agent, queue, .. } = &self.filter;
        let has = |wanted: &[Topic]| wanted.iter().any(|topic| topics.contains(topic));
        let of_extension = |number: Option<&String>| extension.is_none() || number == extension.as_ref();
        let mut all = Map::new();
        if has(&[Topic::CallIncoming, Topic::CallStateChanged, Topic::CallEnded]) {
            let mut calls = asker.calls().await;
            calls.retain(|call| {
                call.legs.iter().any(|leg| of_extension(leg.extension.as_ref()))
                    && agent.is_none_or(|agent| call.legs.iter().any(|leg| leg.agent_id == Some(agent)))
                    && queue.is_none_or(|queue| call.queue_id == Some(queue))
            });
            all.insert("calls".to_owned(), json!(calls));
        }
        if has(&[Topic::AgentStatusUpdated]) {
            let agents = asker.agents().await.into_iter().map(|(_, agent)| agent);
            let wanted = agents.filter(|one| {
                of_extension(one.extension.as_ref())
                    && agent.is_none_or(|agent| one.agent_id == Some(agent))
                    && queue.is_none_or(|queue| one.queues.contains(&queue))
            });
            all.insert("agents".to_owned(), json!(wanted.collect::<Vec<_>>()));
        }
        if has(&[Topic::QueueUpdate]) {
            let mut queues = asker.queues().await;
            queues.retain(|one| {
                queue.is_none_or(|queue| one.queue_id == queue)
                    && agent.is_none_or(|agent| one.agents.iter().any(|serves| serves.agent_id == Some(agent)))
            });
            all.insert("queues".to_owned(), json!(queues));
        }
        if has(&[Topic::PresenceUpdate]) {
            let mut presence = asker.presence().await;
            presence.retain(|one| of_extension(one.extension.as_ref()));
            all.insert("presence".to_owned(), json!(presence));
        }
        if has(&[Topic::RegistrationChanged]) {
            let mut phones = asker.registrations().await;
            phones.retain(|one| of_extension(one.extension.as_ref()));
            all.insert("registrations".to_owned(), json!(phones));
        }
        if has(&[Topic::GatewayChanged]) {
            let gateways = asker.gateways().await.into_iter().map(|(_, gateway)| gateway);
            all.insert("gateways".to_owned(), json!(gateways.collect::<Vec<_>>()));
        }
        all.insert("unknown".to_owned(), json!(self.scope.unknown(&self.live)));
        Value::Object(all)
    }
}

fn websocket(request: &HttpRequest, payload: Payload, mut client: Client) -> Result<HttpResponse, Problem> {
    let opened = actix_ws::handle(request, payload);
    let (answer, mut session, heard) =
        opened.map_err(|error| Problem::from(Code::NoWebSocket.with("reason", error)))?;
    // Clients have nothing to say but that they are there.
    let mut heard = heard.max_frame_size(4096);
    actix_web::rt::spawn(async move {
        loop {
            let sent = tokio::select! {
                said = heard.next() => match said {
                    Some(Ok(actix_ws::Message::Ping(bytes))) => tokio::time::timeout(SLOWEST, session.pong(&bytes)).await,
                    None | Some(Err(_) | Ok(actix_ws::Message::Close(_))) => break,
                    Some(Ok(_)) => continue,
                },
                message = client.next() => match message {
                    Message::Text { text, .. } => tokio::time::timeout(SLOWEST, session.text(&*text)).await,
                    Message::Ping => tokio::time::timeout(SLOWEST, session.ping(b"")).await,
                    Message::End(text) => {
                        let _ = tokio::time::timeout(SLOWEST, session.text(text)).await;
                        break;
                    }
                },
            };
            if !matches!(sent, Ok(Ok(()))) {
                break;
            }
        }
        // The client may be gone.
        let _ = session.close(Some(actix_ws::CloseCode::Normal.into())).await;
    });
    Ok(answer)
}

fn server_sent(client: Client) -> HttpResponse {
    let messages = futures_util::stream::unfold(Some(client), |client| async {
        let mut client = client?;
        let (text, client) = match client.next().await {
            Message::Text { text, cursor } => (format!("id: {cursor}\ndata: {text}\n\n"), Some(client)),
            Message::Ping => (":\n\n".to_owned(), Some(client)),
            Message::End(text) => (format!("data: {text}\n\n"), None),
        };
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(text)), client))
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        // nginx would keep messages back.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(Box::pin(messages))
}
