//! What an event says, as much as live state needs of it. Everything else that an event carries stays behind: it may be PINs, card numbers or
//! passwords, and much of it was written by strangers.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::{
    model::channel,
    routing::{carried, withheld},
};

/// The headers of an event, by name.
pub trait Headers {
    fn header(&self, name: &str) -> Option<&str>;

    /// What an event has besides its headers.
    fn body(&self) -> Option<&str> {
        None
    }
}

impl Headers for BTreeMap<String, String> {
    fn header(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

/// In microseconds since 1970, by the switch's clock.
pub type Micros = i64;

/// The longest text that is kept of a header.
const LONGEST: usize = 256;
/// The profile of phones.
pub(super) const PHONES: &str = "internal";
/// The longest contact that a switch keeps, with a name before it (`sofia_reg_handle_register_token` in sofia_reg.c).
const LONGEST_CONTACT: usize = 1024;

/// An event that live state follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// When the switch made the event. Several threads make those of a call, so they may come in another order.
    pub at: Micros,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Registered(Box<Registered>),
    /// By its Call-ID: after a closed connection, there is no contact (`sofia_reg_close_call_id` in sofia_reg.c).
    Unregistered(String),
    /// What an OPTIONS ping found: by Call-ID, whether the phone answers.
    Reached(String, bool),
    Leg(Box<OfLeg>),
    Queue(Box<OfQueue>),
    Conference(Box<OfConference>),
    Parked(OfParked),
    Gateway {
        carrier: Uuid,
        is_up: bool,
        state: String,
    },
    /// A switch has a gateway that it did not have, or no longer has one.
    GatewayIs {
        carrier: Uuid,
        there: bool,
    },
    Tapped(Tapped),
    /// What came of a command that was given in the background: by its job, the first line that the switch printed.
    Job(Uuid, String),
    /// How the switch is.
    Beat(Beat),
}

/// How busy a switch is, as its heartbeat says (`send_heartbeat` in switch_core.c).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Legs of calls.
    pub sessions: u32,
    pub most_sessions: u32,
    /// In the last second.
    pub sessions_begun: u32,
    pub most_begun: u32,
    /// Since the switch started.
    pub sessions_ever: u64,
    /// How much of its processors' time is unused, of 1,000.
    pub idle_permille: u16,
    pub uptime_ms: u64,
}

/// Something begins or ends to take, or to change, what a leg says and hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tapped {
    pub leg: Uuid,
    pub by: Tap,
    pub is_on: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tap {
    /// A recording, by its file.
    Recording(String),
    /// Somebody who listens, or talks along.
    Listener,
    /// What the phone says is not passed on.
    Mute,
}

/// A REGISTER that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    pub call_id: String,
    pub user: String,
    pub domain: String,
    pub contact: String,
    pub device: Option<String>,
    pub address: String,
    pub transport: Option<String>,
    /// In seconds.
    pub expires: i64,
    /// Not the first of this registration.
    pub is_refresh: bool,
    /// The switch has removed all others of this address of record.
    pub is_only: bool,
    /// Whether it is at the profile that dial strings name.
    pub is_dialled: bool,
}

/// What happened to a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    Created,
    Answered,
    Bridged {
        a: Uuid,
        b: Uuid,
    },
    Unbridged {
        a: Uuid,
        b: Uuid,
    },
    Held,
    Unheld,
    Parked,
    /// It had another UUID before.
    Renamed {
        old: Uuid,
    },
    /// It will be over, and its record is still to be posted.
    HangsUp,
    Ended,
}

/// Of a phone, a carrier's or the switch's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// The profile that phones use.
    Phone,
    Outside,
    /// A loopback, which is no party of a call.
    Inner,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfLeg {
    pub leg: Uuid,
    pub happened: Happened,
    pub about: About,
    /// Why it ended.
    pub cause: Option<String>,
}

/// What an event says of a leg. Not every event says everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The UUID of the call's first leg. In the event of the end, it is the leg's own again, so only the first one counts.
    pub call: Option<Uuid>,
    /// The leg that this one was made by.
    pub maker: Option<Uuid>,
    /// The leg of the queue's caller that this one is made for.
    pub serves: Option<Uuid>,
    /// Whether it called the switch.
    pub is_caller: Option<bool>,
    pub line: Option<Line>,
    /// The SIP username and the domain of the phone, as the directory or the dial string says.
    pub phone: Option<(String, String)>,
    /// The tenant that Dialplane wrote on the leg.
    pub tenant: Option<Uuid>,
    pub extension: Option<Uuid>,
    /// The context that the leg is routed in: a tenant's domain, or `public`.
    pub context: Option<String>,
    pub name: Option<String>,
    pub number: Option<String>,
    /// The number and the name that whom it calls sees, as far as they are known. They may change.
    pub shows: Option<String>,
    pub shows_as: Option<String>,
    pub dialled: Option<String>,
    pub created: Option<Micros>,
    pub answered: Option<Micros>,
    pub carrier: Option<Uuid>,
    /// The call that a carrier's leg was admitted for.
    pub admitted_for: Option<Uuid>,
    /// The number that a carrier's leg calls.
    pub callee: Option<String>,
    pub agent: Option<String>,
    pub queue: Option<String>,
    /// Whether the number is withheld.
    pub is_withheld: bool,
    /// The number that a phone which was called first is to call.
    pub places: Option<String>,
    /// It is played, at no switch.
    pub is_simulated: bool,
    /// The Call-ID of its dialog.
    pub sip_call_id: Option<String>,
    /// The page whose phone it is, if it is one in a browser, by the name in its contact.
    pub page: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfQueue {
    /// Somebody waits in a queue.
    Joined {
        queue: String,
        member: Uuid,
        leg: Uuid,
        name: String,
        number: String,
    },
    /// Nobody waits there under this id any more.
    Left {
        queue: String,
        member: Uuid,
    },
    /// An agent's phone rings for a caller.
    Offered {
        queue: String,
        member: Uuid,
        agent: String,
    },
    Served {
        queue: String,
        member: Uuid,
        agent: String,
        agent_leg: Option<Uuid>,
    },
    NotServed {
        queue: String,
        member: Uuid,
        agent: String,
    },
    /// An agent's call with a caller is over.
    Ended {
        agent: String,
    },
    /// An agent let as many calls ring as they may, and is paused for that.
    DidNotAnswer {
        agent: String,
    },
    /// The switch has a new agent, who is logged out (`cc_agent_add` in mod_callcenter.c).
    Added {
        agent: String,
    },
    Status {
        agent: String,
        status: String,
    },
    State {
        agent: String,
        state: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfConference {
    pub name: String,
    /// `ID.DOMAIN`
    pub profile: Option<String>,
    pub change: InConference,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InConference {
    Began,
    Joined { leg: Uuid, member: u32 },
    Left { leg: Uuid },
    Muted { leg: Uuid, is_muted: bool },
    Over,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfParked {
    /// `NAME@DOMAIN`
    pub lot: String,
    pub slot: String,
    pub leg: Uuid,
    /// Whether the call waits there now.
    pub is_there: bool,
}

impl Said {
    /// Reads an event. `None`: live state does not need it, or it lacks what it must have.
    #[must_use]
    pub fn read(event: &impl Headers) -> Option<Self> {
        let at = event.header("Event-Date-Timestamp")?.parse().ok()?;
        let what = match event.header("Event-Name")? {
            "CUSTOM" => custom(event, event.header("Event-Subclass")?)?,
            "HEARTBEAT" => What::Beat(beat(event)?),
            "BACKGROUND_JOB" => What::Job(id(event, "Job-UUID")?, short(event.body()?.lines().next()?)),
            "RECORD_START" => tapped(event, Tap::Recording(text(event, "Record-File-Path")?), true)?,
            "RECORD_STOP" => tapped(event, Tap::Recording(text(event, "Record-File-Path")?), false)?,
            name @ ("MEDIA_BUG_START" | "MEDIA_BUG_STOP") => {
                let by = match event.header("Media-Bug-Function")? {
                    "eavesdrop" => Tap::Listener,
                    "audio" => Tap::Mute,
                    _ => return None,
                };
                tapped(event, by, name == "MEDIA_BUG_START")?
            }
            name => What::Leg(Box::new(leg(event, name)?)),
        };
        Some(Self { at, what })
    }
}

fn beat(event: &impl Headers) -> Option<Beat> {
    fn number<T: std::str::FromStr>(event: &impl Headers, name: &str) -> Option<T> {
        event.header(name)?.parse().ok()
    }
    let idle = number::<f64>(event, "Idle-CPU")?.clamp(0.0, 100.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1,000")]
    let idle_permille = (idle * 10.0).round() as u16;
    Some(Beat {
        sessions: number(event, "Session-Count")?,
        most_sessions: number(event, "Max-Sessions")?,
        sessions_begun: number(event, "Session-Per-Sec-Last")?,
        most_begun: number(event, "Session-Per-Sec")?,
        sessions_ever: number(event, "Session-Since-Startup")?,
        idle_permille,
        uptime_ms: number(event, "Uptime-msec")?,
    })
}

fn tapped(event: &impl Headers, by: Tap, is_on: bool) -> Option<What> {
    Some(What::Tapped(Tapped { leg: id(event, "Unique-ID")?, by, is_on }))
}

fn text(event: &impl Headers, name: &str) -> Option<String> {
    event.header(name).filter(|text| !text.is_empty()).map(short)
}

/// A bounded copy of a stranger's text.
pub(super) fn short(text: &str) -> String {
    bounded(text, LONGEST)
}

fn bounded(text: &str, most: usize) -> String {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn id(event: &impl Headers, name: &str) -> Option<Uuid> {
    event.header(name)?.parse().ok()
}

fn variable(event: &impl Headers, name: &str) -> Option<String> {
    text(event, &format!("variable_{name}"))
}

fn custom(event: &impl Headers, subclass: &str) -> Option<What> {
    match subclass {
        "sofia::register" => Some(What::Registered(Box::new(registered(event)?))),
        "sofia::unregister" | "sofia::expire" => Some(What::Unregistered(text(event, "call-id")?)),
        "sofia::sip_user_state" => {
            let reached = event.header("Ping-Status")? == "Reachable";
            Some(What::Reached(text(event, "call-id")?, reached))
        }
        // Of a gateway that does not register, no state is said (`sofia_reg_fire_custom_gateway_state_event` in sofia_reg.c).
        "sofia::gateway_add" | "sofia::gateway_delete" => {
            Some(What::GatewayIs { carrier: carrier(event)?, there: subclass == "sofia::gateway_add" })
        }
        "sofia::gateway_state" => {
            let carrier = carrier(event)?;
            let is_up = event.header("Ping-Status").is_none_or(|status| status != "DOWN");
            Some(What::Gateway { carrier, is_up, state: text(event, "State")? })
        }
        "callcenter::info" => Some(What::Queue(Box::new(queue(event)?))),
        "conference::maintenance" => Some(What::Conference(Box::new(conference(event)?))),
        "valet_parking::info" => Some(What::Parked(OfParked {
            lot: text(event, "Valet-Lot-Name")?,
            slot: text(event, "Valet-Extension")?,
            leg: id(event, "Unique-ID")?,
            is_there: event.header("Action")? == "hold",
        })),
        _ => None,
    }
}

/// Whose gateway an event is about.
fn carrier(event: &impl Headers) -> Option<Uuid> {
    let name = event.header("Gateway")?;
    carried::carrier_of(name).filter(|carrier| carried::gateway(*carrier) == name)
}

/// In `sofia::register`, `from-user` is the user in To: the extension (`sofia_reg_handle_register_token` in sofia_reg.c).
fn registered(event: &impl Headers) -> Option<Registered> {
    let contact = event.header("contact").filter(|contact| !contact.is_empty())?;
    let status = event.header("status").unwrap_or_default();
    let host = event.header("network-ip").unwrap_or_default();
    let port = event.header("network-port").unwrap_or_default();
    Some(Registered {
        call_id: text(event, "call-id")?,
        user: text(event, "from-user")?,
        domain: text(event, "from-host")?.to_ascii_lowercase(),
        transport: transport_of(contact).or_else(|| transport_in(status)),
        contact: bare(contact),
        device: text(event, "user-agent"),
        address: short(&format!("{host}:{port}")),
        expires: event.header("expires")?.parse().ok()?,
        is_refresh: event.header("update-reg").is_some_and(|is| is == "true"),
        // The directory said so.
        is_only: event.header("sip-allow-multiple-registrations").is_some_and(|several| several == "false"),
        is_dialled: event.header("profile-name").is_some_and(|profile| profile == PHONES),
    })
}

/// A contact without name and brackets, as dial strings need it.
pub(super) fn bare(contact: &str) -> String {
    let inner = contact.split_once('<').and_then(|(_, rest)| rest.rsplit_once('>')).map(|(inner, _)| inner);
    bounded(inner.unwrap_or(contact), LONGEST_CONTACT)
}

/// The transport that a contact names.
pub(super) fn transport_of(contact: &str) -> Option<String> {
    let (_, rest) = contact.split_once(";transport=")?;
    let name = rest.split([';', '>', '?']).next()?.to_ascii_lowercase();
    matches!(name.as_str(), "udp" | "tcp" | "tls" | "ws" | "wss").then_some(name)
}

/// The one in a status such as `Registered(UDP-NAT)`.
fn transport_in(status: &str) -> Option<String> {
    let (_, inner) = status.split_once('(')?;
    let name = inner.split(['-', ')']).next()?.to_ascii_lowercase();
    matches!(name.as_str(), "udp" | "tcp" | "tls" | "ws" | "wss").then_some(name)
}

/// Which line a channel uses, by its name: `sofia/PROFILE/…`, `loopback/…`.
pub(super) fn line(channel: &str) -> Line {
    match channel.split('/').collect::<Vec<_>>()[..] {
        ["sofia", "internal", ..] => Line::Phone,
        // A place that is held in a queue for somebody who is called back is a leg without a phone.
        ["loopback" | "null", ..] => Line::Inner,
        _ => Line::Outside,
    }
}

/// Which line an event's channel uses. A phone can give its channel any name (`X-FS-Channel-Name` in `sofia_handle_sip_i_invite` in sofia.c), also that
/// of a loopback, but has the profile from the switch.
fn line_of(event: &impl Headers) -> Option<Line> {
    match event.header("variable_sofia_profile_name") {
        Some(PHONES) => Some(Line::Phone),
        Some(_) => Some(Line::Outside),
        None => event.header("Channel-Name").map(line),
    }
}

fn leg(event: &impl Headers, name: &str) -> Option<OfLeg> {
    let leg = id(event, "Unique-ID")?;
    let both = || Some((id(event, "Bridge-A-Unique-ID")?, id(event, "Bridge-B-Unique-ID")?));
    let happened = match name {
        "CHANNEL_CREATE" => Happened::Created,
        "CHANNEL_ANSWER" => Happened::Answered,
        "CHANNEL_BRIDGE" => both().map(|(a, b)| Happened::Bridged { a, b })?,
        "CHANNEL_UNBRIDGE" => both().map(|(a, b)| Happened::Unbridged { a, b })?,
        "CHANNEL_HOLD" => Happened::Held,
        "CHANNEL_UNHOLD" => Happened::Unheld,
        "CHANNEL_PARK" => Happened::Parked,
        "CHANNEL_UUID" => Happened::Renamed { old: id(event, "Old-Unique-ID")? },
        "CHANNEL_HANGUP" => Happened::HangsUp,
        "CHANNEL_HANGUP_COMPLETE" => Happened::Ended,
        _ => return None,
    };
    Some(OfLeg { leg, happened, about: about(event), cause: text(event, "Hangup-Cause") })
}

/// A moment in a header; 0 stands for none.
fn moment(event: &impl Headers, name: &str) -> Option<Micros> {
    event.header(name)?.parse().ok().filter(|at| *at > 0)
}

fn about(event: &impl Headers) -> About {
    let is_caller = event.header("Call-Direction").map(|direction| direction == "inbound");
    let line = line_of(event);
    let at = |text: String| text.split_once('@').map(|(user, domain)| (user.to_owned(), domain.to_ascii_lowercase()));
    let phone = match is_caller {
        // Signed in: the directory wrote these. `From`, which the presence id repeats, is the caller's own word.
        Some(true) if event.header(&format!("variable_{}", channel::EXTENSION)).is_some() => {
            variable(event, "user_name").zip(variable(event, "domain_name"))
        }
        Some(true) => None,
        // Dialled: the dial string is the directory's.
        _ => variable(event, channel::TAKEN_BY)
            .or_else(|| text(event, "Channel-Presence-ID").filter(|_| line == Some(Line::Phone)))
            .and_then(at),
    };
    let number = text(event, "Caller-Caller-ID-Number");
    let shows = variable(event, "effective_caller_id_number");
    let is_nobody = [&number, &shows].into_iter().flatten().any(|number| number == withheld::NOBODY);
    // A queue's caller makes no leg: mod_callcenter does, and says for whom (`outbound_agent_thread_run` in mod_callcenter.c).
    let is_of_queue = event.header("variable_cc_side").is_some_and(|side| side == "agent");
    let places = variable(event, channel::PLACES);
    // A phone that Dialplane called first makes the call then.
    let is_caller = if places.is_some() { Some(true) } else { is_caller };
    About {
        call: id(event, "Channel-Call-UUID"),
        maker: id(event, "Other-Leg-Unique-ID"),
        serves: id(event, "variable_cc_member_session_uuid").filter(|_| is_of_queue),
        is_caller,
        line,
        phone: phone.map(|(user, domain)| (user, domain.to_ascii_lowercase())),
        tenant: id(event, &format!("variable_{}", channel::TENANT)),
        extension: id(event, &format!("variable_{}", channel::EXTENSION)),
        context: text(event, "Caller-Context"),
        name: text(event, "Caller-Caller-ID-Name"),
        number,
        shows,
        shows_as: variable(event, "effective_caller_id_name"),
        dialled: places.clone().or_else(|| text(event, "Caller-Destination-Number")),
        created: moment(event, "Caller-Channel-Created-Time"),
        answered: moment(event, "Caller-Channel-Answered-Time"),
        carrier: id(event, &format!("variable_{}", channel::CARRIER)),
        admitted_for: id(event, &format!("variable_{}", channel::CALL)),
        callee: variable(event, channel::CALLEE),
        agent: variable(event, "cc_agent"),
        queue: variable(event, "cc_queue"),
        is_withheld: is_nobody
            || event.header("Caller-Privacy-Hide-Number").is_some_and(|is| is == "true")
            || event.header(&format!("variable_{}", channel::WITHHOLD)).is_some_and(|is| is == "true"),
        places,
        is_simulated: false,
        sip_call_id: variable(event, "sip_call_id"),
        page: page(event),
    }
}

/// A phone in a browser can't be reached at an address of its own, so its contact has a name that it made up, at a host that it made up
/// (RFC 7118, section 5). Both are other ones with each page.
fn page(event: &impl Headers) -> Option<String> {
    let by_name = || event.header("Channel-Name").and_then(page_of);
    variable(event, "sip_contact_uri").as_deref().and_then(page_of).or_else(by_name)
}

/// The page that a channel calls, as a channel is named after the contact (`sofia_outgoing_channel` in mod_sofia.c), or that a contact is of.
#[must_use]
pub fn page_of(address: &str) -> Option<String> {
    let (before, host) = address.split_once('@')?;
    let host = host.split([';', ':', '>']).next()?;
    let user = before.rsplit(['/', ':']).next()?;
    (host.ends_with(".invalid") && !user.is_empty()).then(|| short(user))
}

fn queue(event: &impl Headers) -> Option<OfQueue> {
    let agent = || text(event, "CC-Agent");
    let member = || Some((text(event, "CC-Queue")?, id(event, "CC-Member-UUID")?));
    let action = event.header("CC-Action")?;
    Some(match action {
        "member-queue-start" | "member-queue-resume" => {
            let (queue, member) = member()?;
            let leg = id(event, "CC-Member-Session-UUID")?;
            let part = |name| text(event, name).unwrap_or_default();
            OfQueue::Joined {
                queue,
                member,
                leg,
                name: part("CC-Member-CID-Name"),
                number: part("CC-Member-CID-Number"),
            }
        }
        "member-queue-end" => member().map(|(queue, member)| OfQueue::Left { queue, member })?,
        "agent-offering" => {
            let (queue, member) = member()?;
            OfQueue::Offered { queue, member, agent: agent()? }
        }
        "bridge-agent-start" => {
            let (queue, member) = member()?;
            OfQueue::Served { queue, member, agent: agent()?, agent_leg: id(event, "CC-Agent-UUID") }
        }
        "bridge-agent-fail" => {
            let (queue, member) = member()?;
            OfQueue::NotServed { queue, member, agent: agent()? }
        }
        "bridge-agent-end" => OfQueue::Ended { agent: agent()? },
        "agent-max-no-answer" => OfQueue::DidNotAnswer { agent: agent()? },
        "agent-add" => OfQueue::Added { agent: agent()? },
        "agent-status-change" => OfQueue::Status { agent: agent()?, status: text(event, "CC-Agent-Status")? },
        "agent-state-change" => OfQueue::State { agent: agent()?, state: text(event, "CC-Agent-State")? },
        _ => return None,
    })
}

fn conference(event: &impl Headers) -> Option<OfConference> {
    let leg = || id(event, "Unique-ID");
    let change = match event.header("Action")? {
        "conference-create" => InConference::Began,
        "add-member" => {
            let member = event.header("Member-ID").and_then(|member| member.parse().ok()).unwrap_or_default();
            InConference::Joined { leg: leg()?, member }
        }
        "del-member" => InConference::Left { leg: leg()? },
        "mute-member" => InConference::Muted { leg: leg()?, is_muted: true },
        "unmute-member" => InConference::Muted { leg: leg()?, is_muted: false },
        "conference-destroy" => InConference::Over,
        _ => return None,
    };
    Some(OfConference {
        name: text(event, "Conference-Name")?,
        profile: text(event, "Conference-Profile-Name"),
        change,
    })
}
