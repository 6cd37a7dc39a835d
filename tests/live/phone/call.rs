//! One call of a phone, either way.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

use super::{
    Agent, Head, PATIENCE, Phone,
    media::{Heard, Link, Media},
    message::{Message, Party, Sdp, parameter},
    phones, tag,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Phase {
    Tried,
    Rings,
    Up,
    Over,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The last status of the INVITE: 200 for a call that was answered.
    pub status: u16,
    /// The Q.850 cause that the switch gave, in its answer, BYE or CANCEL.
    pub cause: Option<u16>,
}

struct State {
    phase: Phase,
    end: End,
    /// Whatever came from the other side.
    received: Vec<Message>,
    /// Whether the other side holds the call.
    held: bool,
    acknowledged: bool,
    /// What a REFER came to, by NOTIFY.
    transfer: Vec<u16>,
}

/// What the phone's receiver and the test share.
pub(super) struct Leg {
    agent: Weak<Agent>,
    id: String,
    own: String,
    /// The other's From or To, with its tag as soon as it is known.
    other: Mutex<String>,
    target: Mutex<String>,
    own_tag: String,
    count: AtomicU32,
    versions: AtomicU32,
    state: watch::Sender<State>,
    media: Arc<Media>,
    media_task: AbortHandle,
    /// The INVITE that came, and from where.
    invite: Option<(Message, SocketAddr)>,
    /// The branch, URI and count of the INVITE that was sent.
    sent: Mutex<(String, String, u32)>,
    ack: Mutex<String>,
}

/// One call of a phone. It is hung up on when the test drops it.
#[must_use]
pub struct Call {
    agent: Arc<Agent>,
    leg: Arc<Leg>,
}

impl Leg {
    fn new(agent: &Arc<Agent>, id: String, own: String, own_tag: String, other: String, target: String) -> Self {
        let _guard = phones().enter();
        let media = Arc::new(Media::new(agent.tone));
        let running = media.clone();
        let media_task = phones().spawn(async move { running.run().await }).abort_handle();
        Self {
            agent: Arc::downgrade(agent),
            id,
            own,
            other: Mutex::new(other),
            target: Mutex::new(target),
            own_tag,
            count: AtomicU32::new(1),
            versions: AtomicU32::new(1),
            state: watch::Sender::new(State {
                phase: Phase::Tried,
                end: End { status: 0, cause: None },
                received: Vec::new(),
                held: false,
                acknowledged: false,
                transfer: Vec::new(),
            }),
            media,
            media_task,
            invite: None,
            sent: Mutex::default(),
            ack: Mutex::default(),
        }
    }

    pub(super) fn keeps(&self, message: &Message) {
        self.state.send_modify(|state| state.received.push(message.clone()));
    }

    fn agent(&self) -> Option<Arc<Agent>> {
        self.agent.upgrade()
    }

    pub(super) fn acknowledges_again(&self) {
        let (ack, Some(agent)) = (self.ack.lock().unwrap().clone(), self.agent()) else { return };
        if !ack.is_empty() {
            phones().spawn(async move { agent.send(&ack).await });
        }
    }

    fn ends(&self, status: Option<u16>, cause: Option<u16>) {
        self.state.send_modify(|state| {
            if state.phase != Phase::Over {
                state.phase = Phase::Over;
                state.end.status = status.unwrap_or(state.end.status);
                state.end.cause = cause;
            }
        });
        self.media_task.abort();
    }

    /// The own side of an offer or answer.
    fn sdp(&self, agent: &Agent, offer: Option<&Sdp>, direction: &str) -> String {
        let own = agent.codecs.lock().unwrap().clone();
        let theirs = |name: &str| offer.and_then(|offer| offer.codecs.iter().find(|(_, one)| is_of(one, name)));
        let payload = |name: &str| match name {
            "PCMA" => 8,
            "OPUS" => theirs(name).map_or(111, |(payload, _)| *payload),
            _ => 0,
        };
        let common =
            |name: &&&str| offer.is_none_or(|offer| offer.codecs.iter().any(|(_, theirs)| is_of(theirs, name)));
        let chosen = own.iter().filter(common).collect::<Vec<_>>();
        let digits = offer.map_or(Some(101), |offer| offer.digits);
        let types = chosen.iter().map(|name| payload(name)).chain(digits).map(|n| n.to_string()).collect::<Vec<_>>();
        let maps = chosen
            .iter()
            .map(|name| {
                let rate = if **name == "OPUS" { "48000/2" } else { "8000" };
                format!("a=rtpmap:{} {name}/{rate}\r\n", payload(name))
            })
            .collect::<Vec<_>>()
            .concat();
        let events = digits.map(|n| format!("a=rtpmap:{n} telephone-event/8000\r\na=fmtp:{n} 0-15\r\n"));
        format!(
            "v=0\r\no=phone 1 {} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP {}\r\n{maps}{}a=ptime:20\r\na={direction}\r\n",
            self.versions.fetch_add(1, Ordering::Relaxed),
            self.media.port,
            types.join(" "),
            events.unwrap_or_default(),
        )
    }

    /// Sends sound to where the other side's SDP says.
    fn connects(&self, agent: &Agent, body: &str, sending: bool) -> bool {
        let Some(sdp) = Sdp::parse(body) else { return false };
        let own = agent.codecs.lock().unwrap().clone();
        let known = |name: &str| own.iter().any(|own| is_of(name, own));
        let Some((payload, _)) = sdp.codecs.iter().find(|(_, name)| known(name)) else { return false };
        let held = matches!(sdp.direction, "sendonly" | "inactive");
        self.state.send_modify(|state| state.held = held);
        let link = Link { remote: sdp.media, payload: *payload, digits: sdp.digits, sending: sending && !held };
        self.media.connect(link);
        true
    }

    fn head<'a>(&'a self, uri: &'a str, own: &'a str, other: &'a str) -> Head<'a> {
        Head { uri, from: own, to: other, call: &self.id, route: Some(self.count.fetch_add(1, Ordering::Relaxed) + 1) }
    }

    /// A request within the call.
    async fn asks(&self, agent: &Agent, method: &str, more: &str) -> Message {
        let (uri, other) = (self.target.lock().unwrap().clone(), self.other.lock().unwrap().clone());
        let answer = agent.asks(method, &self.head(&uri, &self.own, &other), more).await;
        // An answered challenge counted once more.
        self.count.fetch_add(1, Ordering::Relaxed);
        answer
    }

    /// Sends an INVITE and sees it through, with credentials and ACK. Returns the last answer.
    async fn invites(&self, agent: &Agent, uri: &str, more: &str) -> Message {
        let mut credentials = String::new();
        loop {
            let branch = format!("z9hG4bK{}", tag());
            let other = self.other.lock().unwrap().clone();
            let head = self.head(uri, &self.own, &other);
            let count = head.route.unwrap_or(1);
            let text = agent.request("INVITE", &head, count, &branch, &format!("{credentials}{more}"));
            let (sender, mut responses) = mpsc::unbounded_channel();
            agent.waiting.lock().unwrap().insert(format!("{branch} INVITE"), sender);
            *self.sent.lock().unwrap() = (branch.clone(), uri.to_owned(), count);
            agent.send(&text).await;
            let mut tried = false;
            let last = loop {
                let wait = if tried { Duration::from_mins(10) } else { Duration::from_millis(500) };
                match tokio::time::timeout(wait, responses.recv()).await {
                    Err(_) => agent.send(&text).await,
                    Ok(None) => return Message::default(),
                    Ok(Some(response)) => {
                        tried = true;
                        match response.status() {
                            Some(180..200) => {
                                self.connects(agent, &response.body, true);
                                self.state.send_modify(|state| {
                                    if state.phase == Phase::Tried {
                                        state.phase = Phase::Rings;
                                    }
                                });
                            }
                            Some(200..) => break response,
                            _ => {}
                        }
                    }
                }
            };
            agent.waiting.lock().unwrap().remove(&format!("{branch} INVITE"));
            let to = last.header("To").to_owned();
            let answered = last.status().is_some_and(|status| status < 300);
            let (ack_uri, ack_branch) = if answered {
                self.other.lock().unwrap().clone_from(&to);
                let target = last.contact().unwrap_or_else(|| uri.to_owned());
                self.target.lock().unwrap().clone_from(&target);
                (target, format!("z9hG4bK{}", tag()))
            } else {
                (uri.to_owned(), branch)
            };
            let head = Head { uri: &ack_uri, from: &self.own, to: &to, call: &self.id, route: None };
            let ack = agent.request("ACK", &head, count, &ack_branch, "");
            self.ack.lock().unwrap().clone_from(&ack);
            agent.send(&ack).await;
            match agent.answer_to(&last, "INVITE", uri) {
                Some(header) if credentials.is_empty() => credentials = header,
                _ => return last,
            }
        }
    }

    pub(super) fn takes(self: Arc<Self>, request: Message, source: SocketAddr) {
        let Some(agent) = self.agent() else { return };
        phones().spawn(async move {
            match request.method() {
                "ACK" => self.state.send_modify(|state| state.acknowledged = true),
                "CANCEL" => {
                    agent.answers(&request, source, "200 OK", &self.own_tag, "").await;
                    if let Some((invite, source)) = &self.invite
                        && self.state.borrow().phase < Phase::Up
                    {
                        agent.answers(invite, *source, "487 Request Terminated", &self.own_tag, "").await;
                        self.ends(Some(487), request.cause());
                    }
                }
                "BYE" => {
                    agent.answers(&request, source, "200 OK", &self.own_tag, "").await;
                    self.ends(None, request.cause());
                }
                "INVITE" => {
                    // The same INVITE again, while it rings, gets no second answer.
                    if self.invite.as_ref().is_some_and(|(invite, _)| invite.branch() == request.branch()) {
                        return;
                    }
                    let offer = Sdp::parse(&request.body);
                    let direction = offer.as_ref().map_or("sendrecv", |offer| match offer.direction {
                        "sendonly" => "recvonly",
                        "recvonly" => "sendonly",
                        same => same,
                    });
                    let sdp = self.sdp(&agent, offer.as_ref(), direction);
                    self.connects(&agent, &request.body, true);
                    if let Some(target) = request.contact() {
                        *self.target.lock().unwrap() = target;
                    }
                    let more = format!("Contact: {}\r\nContent-Type: application/sdp\r\n\r\n{sdp}", agent.contact());
                    agent.answers(&request, source, "200 OK", &self.own_tag, &more).await;
                }
                "UPDATE" if Sdp::parse(&request.body).is_some() => {
                    let sdp = self.sdp(&agent, Sdp::parse(&request.body).as_ref(), "sendrecv");
                    let more = format!("Contact: {}\r\nContent-Type: application/sdp\r\n\r\n{sdp}", agent.contact());
                    agent.answers(&request, source, "200 OK", &self.own_tag, &more).await;
                }
                "NOTIFY" => {
                    agent.answers(&request, source, "200 OK", &self.own_tag, "").await;
                    let said =
                        request.body.strip_prefix("SIP/2.0 ").and_then(|body| body.get(..3)?.parse::<u16>().ok());
                    self.state.send_modify(|state| state.transfer.extend(said));
                }
                _ => {
                    let more = format!("Contact: {}\r\n", agent.contact());
                    agent.answers(&request, source, "200 OK", &self.own_tag, &more).await;
                }
            }
        });
    }
}

impl Call {
    pub(super) fn make(agent: &Arc<Agent>, uri: &str, headers: &[&str]) -> Self {
        let own_tag = tag();
        let from = headers.iter().find_map(|header| header.strip_prefix("From: ")).map(ToOwned::to_owned);
        let from = from.unwrap_or_else(|| format!("<sip:{}@{}>", agent.user, agent.domain));
        let (id, own) = (tag(), format!("{from};tag={own_tag}"));
        let leg = Arc::new(Leg::new(agent, id.clone(), own, own_tag, format!("<{uri}>"), uri.to_owned()));
        agent.legs.lock().unwrap().insert(id, leg.clone());
        let own = agent.headers.lock().unwrap().clone();
        let all = own.iter().map(String::as_str).chain(headers.iter().copied()).filter(|h| !h.starts_with("From: "));
        let all = all.map(|header| format!("{header}\r\n")).collect::<Vec<_>>().concat();
        let (call, making, uri) = (leg.clone(), agent.clone(), uri.to_owned());
        phones().spawn(async move {
            let sdp = leg.sdp(&making, None, "sendrecv");
            let contact = making.contact();
            let more = format!("Contact: {contact}\r\n{all}Content-Type: application/sdp\r\n\r\n{sdp}");
            let last = leg.invites(&making, &uri, &more).await;
            let status = last.status().unwrap_or_default();
            if status < 300 {
                leg.connects(&making, &last.body, true);
                leg.state.send_modify(|state| {
                    state.end.status = status;
                    if state.phase < Phase::Up {
                        state.phase = Phase::Up;
                    }
                });
            } else {
                leg.ends(Some(status), last.cause());
            }
        });
        Self { agent: agent.clone(), leg: call }
    }

    pub(super) fn arrives(agent: &Arc<Agent>, invite: Message, source: SocketAddr) -> Self {
        let own_tag = tag();
        let id = invite.header("Call-ID").to_owned();
        let own = format!("{};tag={own_tag}", invite.header("To"));
        let target = invite.contact().unwrap_or_default();
        let mut leg = Leg::new(agent, id.clone(), own, own_tag, invite.header("From").to_owned(), target);
        leg.invite = Some((invite.clone(), source));
        let leg = Arc::new(leg);
        leg.keeps(&invite);
        leg.state.send_modify(|state| state.phase = Phase::Rings);
        agent.legs.lock().unwrap().insert(id, leg.clone());
        let (ringing, ringer) = (leg.clone(), agent.clone());
        phones().spawn(async move {
            let more = format!("Contact: {}\r\n", ringer.contact());
            ringer.answers(&invite, source, "180 Ringing", &ringing.own_tag, &more).await;
        });
        Self { agent: agent.clone(), leg }
    }

    /// The INVITE with which this call came.
    pub fn invite(&self) -> &Message {
        &self.leg.invite.as_ref().expect("a call that came").0
    }

    /// Everything that came, in order.
    pub fn received(&self) -> Vec<Message> {
        self.leg.state.borrow().received.clone()
    }

    /// The newest answer or request that has this header.
    pub fn last_with(&self, header: &str) -> Option<Message> {
        self.received().into_iter().rfind(|message| !message.header(header).is_empty())
    }

    /// Whom the phone shows now: the newest of what it was told, and before that the caller's From. As `NAME <NUMBER>`.
    pub fn shows(&self) -> String {
        shown(&self.leg.state.borrow()).to_string()
    }

    /// Waits until the phone shows this.
    pub async fn shows_at_last(&self, party: &str) {
        self.until(&format!("shows {party}"), |state| shown(state).to_string() == party).await;
    }

    /// Takes the call.
    pub async fn answers(self) -> Self {
        self.answers_with(&[]).await
    }

    /// Answers with more headers.
    pub async fn answers_with(self, headers: &[&str]) -> Self {
        let Some((invite, source)) = &self.leg.invite else { panic!("a call that came") };
        let offer = Sdp::parse(&invite.body);
        let sdp = self.leg.sdp(&self.agent, offer.as_ref(), "sendrecv");
        if !self.leg.connects(&self.agent, &invite.body, true) {
            self.declines(488).await;
            return self;
        }
        let headers = headers.iter().map(|header| [*header, "\r\n"].concat()).collect::<Vec<_>>().concat();
        let contact = self.agent.contact();
        let more = format!("Contact: {contact}\r\n{headers}Content-Type: application/sdp\r\n\r\n{sdp}");
        self.leg.state.send_modify(|state| {
            state.end.status = 200;
            if state.phase < Phase::Up {
                state.phase = Phase::Up;
            }
        });
        self.agent.answers(invite, *source, "200 OK", &self.leg.own_tag, &more).await;
        // Again until it is acknowledged.
        let (leg, agent, invite, source) = (self.leg.clone(), self.agent.clone(), invite.clone(), *source);
        phones().spawn(async move {
            let mut state = leg.state.subscribe();
            for _ in 0..10 {
                let acknowledged = state.wait_for(|state| state.acknowledged || state.phase == Phase::Over);
                if tokio::time::timeout(Duration::from_millis(500), acknowledged).await.is_ok() {
                    return;
                }
                agent.answers(&invite, source, "200 OK", &leg.own_tag, &more).await;
            }
        });
        self
    }

    /// Sends sound before it takes the call, as a carrier does with its announcements.
    pub async fn plays_early(self) -> Self {
        let Some((invite, source)) = &self.leg.invite else { panic!("a call that came") };
        let sdp = self.leg.sdp(&self.agent, Sdp::parse(&invite.body).as_ref(), "sendrecv");
        assert!(self.leg.connects(&self.agent, &invite.body, true), "no codec in common: {}", self.story());
        let contact = self.agent.contact();
        let more = format!("Contact: {contact}\r\nContent-Type: application/sdp\r\n\r\n{sdp}");
        self.agent.answers(invite, *source, "183 Session Progress", &self.leg.own_tag, &more).await;
        self
    }

    /// The codec of an answered call: what this phone sends, and what comes.
    pub async fn codec(&self) -> &'static str {
        let payload = self.leg.media.sends().expect("the call is answered");
        let heard = self.hears_that("its own codec", |heard| heard.payload == Some(payload)).await;
        match heard.payload {
            Some(8) => "PCMA",
            Some(0) => "PCMU",
            _ => "OPUS",
        }
    }

    /// Declines the call with this status.
    pub async fn declines(&self, status: u16) {
        self.declines_with(status, "").await;
    }

    pub async fn declines_with(&self, status: u16, headers: &str) {
        let Some((invite, source)) = &self.leg.invite else { panic!("a call that came") };
        self.agent.answers(invite, *source, &format!("{status} No"), &self.leg.own_tag, headers).await;
        self.leg.ends(Some(status), None);
    }

    /// Waits until the other end rings, or early media comes.
    pub async fn is_ringing(&self) {
        self.until("rings", |state| state.phase != Phase::Tried).await;
        assert!(self.leg.state.borrow().phase != Phase::Over, "{}", self.story());
    }

    /// Waits until the call is answered.
    pub async fn answered(&self) -> &Self {
        self.until("is answered", |state| state.phase >= Phase::Up).await;
        assert!(self.leg.state.borrow().end.status == 200, "it was refused: {}", self.story());
        self
    }

    /// Waits until the call has ended, whoever ended it.
    pub async fn ended(&self) -> End {
        self.until("ends", |state| state.phase == Phase::Over).await;
        self.leg.state.borrow().end
    }

    pub fn is_up(&self) -> bool {
        self.leg.state.borrow().phase == Phase::Up
    }

    /// Hangs up, or gives up a call that was not answered.
    pub async fn hangs_up(&self) {
        hang_up(&self.agent, &self.leg).await;
    }

    /// Holds the call. The other side hears what the switch plays.
    pub async fn holds(&self) {
        self.reinvites("sendonly").await;
    }

    pub async fn resumes(&self) {
        self.reinvites("sendrecv").await;
    }

    async fn reinvites(&self, direction: &str) {
        let sdp = self.leg.sdp(&self.agent, None, direction);
        let contact = self.agent.contact();
        let more = format!("Contact: {contact}\r\nContent-Type: application/sdp\r\n\r\n{sdp}");
        let uri = self.leg.target.lock().unwrap().clone();
        loop {
            let answer = self.leg.invites(&self.agent, &uri, &more).await;
            match answer.status() {
                Some(200) => {
                    self.leg.connects(&self.agent, &answer.body, direction == "sendrecv");
                    return;
                }
                // Both asked at once (RFC 3261, section 14.1): a moment later, again.
                Some(491) => tokio::time::sleep(Duration::from_millis(100)).await,
                _ => panic!("{direction} is refused: {answer:#?}"),
            }
        }
    }

    /// Whether the other side holds the call.
    pub async fn is_held(&self) {
        self.until("is held", |state| state.held).await;
    }

    /// Transfers the other party to a number, blind. Returns the status of the REFER.
    pub async fn refers(&self, number: &str) -> u16 {
        self.refers_to(&format!("<sip:{number}@{}>", self.agent.domain)).await
    }

    /// Transfers the other party of this call to the other party of that one, attended.
    pub async fn refers_to_call(&self, with: &Self) -> u16 {
        let other = with.leg.other.lock().unwrap().clone();
        let to = Party::parse(&other);
        let (their, own) = (parameter(&other, "tag").unwrap_or_default().to_owned(), &with.leg.own_tag);
        let replaces = format!("{}%3Bto-tag%3D{their}%3Bfrom-tag%3D{own}", with.leg.id);
        self.refers_to(&format!("<sip:{}@{}?Replaces={replaces}>", to.number, self.agent.domain)).await
    }

    pub async fn refers_to(&self, target: &str) -> u16 {
        let own = format!("<sip:{}@{}>", self.agent.user, self.agent.domain);
        let contact = self.agent.contact();
        let more = format!("Contact: {contact}\r\nRefer-To: {target}\r\nReferred-By: {own}\r\n");
        self.leg.asks(&self.agent, "REFER", &more).await.status().unwrap()
    }

    /// Waits until the switch says what the transfer came to: the first final status.
    pub async fn transferred(&self) -> u16 {
        self.until("is transferred", |state| state.transfer.iter().any(|status| *status >= 200)).await;
        let state = self.leg.state.borrow();
        state.transfer.iter().copied().find(|status| *status >= 200).unwrap()
    }

    /// Presses keys (RFC 2833).
    pub async fn presses(&self, keys: &str) {
        let pressed = tokio::time::timeout(PATIENCE, self.leg.media.press(keys)).await;
        assert!(pressed.is_ok(), "{keys} is not sent: {}", self.story());
    }

    /// Waits until these keys came.
    pub async fn is_pressed(&self, keys: &str) {
        self.hears_that(&format!("the keys {keys}"), |heard| heard.digits == keys).await;
    }

    /// Waits until this phone is heard, whoever else is.
    pub async fn hears(&self, phone: &Phone) {
        self.hears_that(&format!("{} Hz", phone.tone()), |heard| heard.tones.contains(&phone.tone())).await;
    }

    /// Waits until these phones are heard and no others, for two windows.
    pub async fn hears_only(&self, phones: &[&Phone]) {
        let mut tones = phones.iter().map(|phone| phone.tone()).collect::<Vec<_>>();
        tones.sort_unstable();
        let what = format!("only {tones:?} Hz");
        let mut since = self.hears_that(&what, |heard| heard.tones == tones).await.windows;
        loop {
            let next = self.hears_that("more", |heard| heard.windows > since).await;
            if next.tones == tones {
                return;
            }
            since = self.hears_that(&what, |heard| heard.windows > next.windows && heard.tones == tones).await.windows;
        }
    }

    /// Waits until a tone is heard, such as one in an announcement.
    pub async fn hears_tone(&self, tone: u32) {
        self.hears_that(&format!("{tone} Hz"), |heard| heard.tones.contains(&tone)).await;
    }

    /// Waits until something is heard that is no phone: an announcement, a tone, music.
    pub async fn hears_something(&self) {
        self.hears_that("something", |heard| heard.loudness > 300.0 && heard.tones.is_empty()).await;
    }

    /// Whether no sound of this phone comes for half a second. Silence counts, also without packets.
    pub async fn does_not_hear(&self, phone: &Phone) {
        let mut heard = self.leg.media.heard.subscribe();
        heard.mark_unchanged();
        let since = tokio::time::Instant::now();
        let until = since + Duration::from_millis(700);
        while tokio::time::timeout_at(until, heard.changed()).await.is_ok() {
            // The first window may have begun before.
            let late = since.elapsed() > Duration::from_millis(200);
            assert!(!late || !heard.borrow().tones.contains(&phone.tone()), "hears {} Hz", phone.tone());
        }
    }

    async fn hears_that(&self, what: &str, holds: impl Fn(&Heard) -> bool) -> Heard {
        let mut heard = self.leg.media.heard.subscribe();
        let found = tokio::time::timeout(PATIENCE, heard.wait_for(|heard| holds(heard))).await;
        if let Ok(found) = found {
            return found.unwrap().clone();
        }
        let now = self.leg.media.heard.borrow().clone();
        panic!(
            "does not hear {what} but {:?}, {} loud, {} windows: {}",
            now.tones,
            now.loudness,
            now.windows,
            self.story()
        );
    }

    /// What the phone hears at the moment.
    pub fn heard(&self) -> Heard {
        self.leg.media.heard.borrow().clone()
    }

    async fn until(&self, what: &str, holds: impl Fn(&State) -> bool) {
        let mut state = self.leg.state.subscribe();
        let found = tokio::time::timeout(PATIENCE, state.wait_for(holds)).await.is_ok();
        assert!(found, "{} waits until it {what}: {}", self.agent.user, self.story());
    }

    /// What came, for a failed test's message.
    pub fn story(&self) -> String {
        let state = self.leg.state.borrow();
        let heads = state.received.iter().map(|message| {
            let shown = message.shows().map(|party| format!(" shows {party}")).unwrap_or_default();
            format!("{} ({}){shown} {}", message.first, message.header("CSeq"), message.header("Reason"))
        });
        format!("{:?} {:?}\n  {}", state.phase, state.end, heads.collect::<Vec<_>>().join("\n  "))
    }
}

/// Whether an entry of an SDP (`opus/48000/2`) is of this codec.
fn is_of(entry: &str, codec: &str) -> bool {
    entry.to_uppercase().starts_with(codec)
}

fn shown(state: &State) -> Party {
    let told = state.received.iter().rev().find_map(Message::shows);
    let caller = || state.received.first().filter(|first| first.status().is_none()).map(Message::from);
    told.or_else(caller).unwrap_or_default()
}

async fn hang_up(agent: &Arc<Agent>, leg: &Leg) {
    let phase = leg.state.borrow().phase;
    match (phase, &leg.invite) {
        (Phase::Over, _) => {}
        (Phase::Up, _) => {
            leg.ends(None, None);
            leg.asks(agent, "BYE", "").await;
        }
        (_, Some((invite, source))) => {
            agent.answers(invite, *source, "486 Busy Here", &leg.own_tag, "").await;
            leg.ends(Some(486), None);
        }
        (_, None) => {
            let (branch, uri, count) = leg.sent.lock().unwrap().clone();
            let other = leg.other.lock().unwrap().clone();
            let head = Head { uri: &uri, from: &leg.own, to: &other, call: &leg.id, route: None };
            let cancel = agent.request("CANCEL", &head, count, &branch, "");
            agent.send(&cancel).await;
            let mut state = leg.state.subscribe();
            let over = state.wait_for(|state| state.phase >= Phase::Up);
            let _ = tokio::time::timeout(PATIENCE, over).await;
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let (agent, leg) = (self.agent.clone(), self.leg.clone());
        if leg.state.borrow().phase != Phase::Over {
            phones().spawn(async move { hang_up(&agent, &leg).await });
        }
    }
}
