//! A phone for tests: a small SIP user agent over UDP or TCP that keeps whatever it is sent, sends a tone of its own and measures what it hears.
//!
//! A phone does what its methods say and nothing else by itself, except what SIP asks for: it rings, repeats what was lost, answers
//! BYE, CANCEL, NOTIFY, UPDATE and re-INVITE. Nothing waits for a fixed time: every method waits for an event, for [`PATIENCE`] at most.
//! Then it fails with all the messages of the call.
//!
//! Why not a crate: rsip only parses, and has not changed since 2022; rsipstack is kept well, but it is a whole stack with its own
//! resolver and TLS, and it hides what these tests must see (retransmissions, every header as it came, late answers).
//!
//! ```ignore
//! let (ada, ben) = (Phone::new(server, "1000", "acme.test", &password), …);
//! ada.registers().await;
//! let call = ada.calls("1001");
//! let rings = ben.rings().await;
//! assert_eq!(rings.invite().from().to_string(), "Ada <1000>");
//! let rings = rings.answers().await;
//! call.answered().await;
//! call.hears_only(&[&ben]).await;
//! call.hangs_up().await;
//! assert_eq!(rings.ended().await.cause, Some(16));
//! ```

mod call;
pub mod media;
mod message;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream, UdpSocket,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime::{Handle, Runtime},
    sync::{mpsc, watch},
};
use uuid::Uuid;

use call::Leg;
pub use call::{Call, End};
pub use message::Message;

/// How long to wait for something that must happen. Long, because other tests may keep the machine busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Phones run apart from the tests, so that their sound is even while a test does something else.
fn phones() -> &'static Handle {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME
        .get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());
    runtime.handle()
}

/// A phone, or a carrier's end of a trunk.
#[derive(Clone)]
pub struct Phone {
    agent: Arc<Agent>,
    arriving: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Call>>>,
}

struct Agent {
    /// Where its requests go.
    server: Mutex<SocketAddr>,
    user: String,
    domain: String,
    password: String,
    wire: Wire,
    port: u16,
    /// The address in its contact, if that is not its real one: an address behind NAT.
    says_at: Mutex<Option<String>>,
    /// The Call-ID of its REGISTERs, and how many it sent.
    registration: (String, AtomicU32),
    tone: u32,
    is_silent: AtomicBool,
    codecs: Mutex<Vec<&'static str>>,
    /// Headers that every INVITE carries.
    headers: Mutex<Vec<String>>,
    /// Who waits for a response, by branch and method.
    waiting: Mutex<HashMap<String, mpsc::UnboundedSender<Message>>>,
    legs: Mutex<HashMap<String, Arc<Leg>>>,
    /// What was answered to requests, by branch and method: it is sent again when the request comes again.
    answered: Mutex<HashMap<String, Vec<u8>>>,
    arrived: mpsc::UnboundedSender<Call>,
    notified: watch::Sender<Vec<Message>>,
}

/// What a phone is connected by.
enum Wire {
    Udp(UdpSocket),
    Tcp(tokio::sync::Mutex<OwnedWriteHalf>),
}

/// Reads the messages of a connection, each with the length that its head says.
async fn reads(mut stream: OwnedReadHalf, messages: mpsc::UnboundedSender<Message>) -> Option<()> {
    let (mut text, mut packet) = (Vec::new(), vec![0; 65_536]);
    loop {
        let length = stream.read(&mut packet).await.ok().filter(|length| *length > 0)?;
        text.extend_from_slice(&packet[..length]);
        loop {
            // Empty lines keep a connection open.
            let skipped = text.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            text.drain(..skipped);
            let Some(head) = text.windows(4).position(|end| end == b"\r\n\r\n") else { break };
            let length = Message::parse(&text[..head + 4])?.header("Content-Length").parse::<usize>().ok()?;
            if text.len() < head + 4 + length {
                break;
            }
            let message = Message::parse(&text[..head + 4 + length])?;
            text.drain(..head + 4 + length);
            messages.send(message).ok()?;
        }
    }
}

impl Phone {
    /// A phone of a user at a switch, on a free port. It is not registered yet.
    pub fn new(server: u16, user: &str, domain: &str, password: &str) -> Self {
        let _guard = phones().enter();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let port = socket.local_addr().unwrap().port();
        let wire = Wire::Udp(UdpSocket::from_std(socket).unwrap());
        let phone = Self::at(wire, port, server, user, domain, password);
        let listening = Arc::downgrade(&phone.agent);
        phones().spawn(async move {
            let mut packet = vec![0; 65_536];
            // It looks now and then whether the phone still exists.
            while let Some(agent) = listening.upgrade() {
                let Wire::Udp(socket) = &agent.wire else { return };
                let received = tokio::time::timeout(Duration::from_secs(1), socket.recv_from(&mut packet)).await;
                if let Ok(Ok((length, source))) = received
                    && let Some(message) = Message::parse(&packet[..length])
                {
                    agent.takes(message, source);
                }
            }
        });
        phone
    }

    /// The same over a TCP connection of its own, by which all its calls come.
    pub fn over_tcp(server: u16, user: &str, domain: &str, password: &str) -> Self {
        let _guard = phones().enter();
        let stream = std::net::TcpStream::connect(("127.0.0.1", server)).unwrap();
        stream.set_nonblocking(true).unwrap();
        let (port, source) = (stream.local_addr().unwrap().port(), stream.peer_addr().unwrap());
        let (reader, writer) = TcpStream::from_std(stream).unwrap().into_split();
        let wire = Wire::Tcp(tokio::sync::Mutex::new(writer));
        let phone = Self::at(wire, port, server, user, domain, password);
        let (messages, mut came) = mpsc::unbounded_channel();
        phones().spawn(reads(reader, messages));
        let listening = Arc::downgrade(&phone.agent);
        phones().spawn(async move {
            while let Some(message) = came.recv().await {
                let Some(agent) = listening.upgrade() else { return };
                agent.takes(message, source);
            }
        });
        phone
    }

    fn at(wire: Wire, port: u16, server: u16, user: &str, domain: &str, password: &str) -> Self {
        let (arrived, arriving) = mpsc::unbounded_channel();
        let agent = Arc::new(Agent {
            server: Mutex::new(SocketAddr::from(([127, 0, 0, 1], server))),
            user: user.to_owned(),
            domain: domain.to_owned(),
            password: password.to_owned(),
            wire,
            port,
            says_at: Mutex::default(),
            registration: (tag(), AtomicU32::new(0)),
            tone: media::next_tone(),
            is_silent: AtomicBool::new(false),
            codecs: Mutex::new(vec!["PCMU", "PCMA"]),
            headers: Mutex::default(),
            waiting: Mutex::default(),
            legs: Mutex::default(),
            answered: Mutex::default(),
            arrived,
            notified: watch::Sender::new(Vec::new()),
        });
        Self { agent, arriving: Arc::new(tokio::sync::Mutex::new(arriving)) }
    }

    /// The other end of a trunk: it takes calls at its port without registering. Calls that it makes go to `server`.
    pub fn carrier(server: u16) -> Self {
        Self::new(server, "carrier", "127.0.0.1", "")
    }

    /// Sends its requests to another port of the switch from now on.
    pub fn sends_to(&self, server: u16) {
        self.agent.server.lock().unwrap().set_port(server);
    }

    /// Answers nothing that comes from now on, as a carrier whose machine is gone.
    pub fn goes_silent(&self) {
        self.agent.is_silent.store(true, Ordering::Relaxed);
    }

    /// The port for SIP.
    pub fn port(&self) -> u16 {
        self.agent.port
    }

    /// The frequency of its tone.
    pub fn tone(&self) -> u32 {
        self.agent.tone
    }

    /// Offers and accepts these codecs only, in this order (`PCMU`, `PCMA`, `OPUS`). With Opus it has no tone of its own: it gives back what
    /// it gets, so that the other phone hears itself if the switch translates both ways.
    pub fn speaks(&self, codecs: &[&'static str]) -> &Self {
        *self.agent.codecs.lock().unwrap() = codecs.to_vec();
        self
    }

    /// Sends this header (`Privacy: id`) with each INVITE from now on.
    pub fn says(&self, header: &str) -> &Self {
        self.agent.headers.lock().unwrap().push(header.to_owned());
        self
    }

    /// Says in its contact that it is elsewhere, as a phone behind NAT does.
    pub fn says_it_is_at(&self, address: &str) -> &Self {
        *self.agent.says_at.lock().unwrap() = Some(address.to_owned());
        self
    }

    /// Registers for this many seconds (0: unregisters), and returns the status.
    pub async fn registers_for(&self, seconds: u32) -> u16 {
        let agent = &self.agent;
        let (uri, own) = (format!("sip:{}", agent.domain), format!("<sip:{}@{}>", agent.user, agent.domain));
        let (call, sent) = &agent.registration;
        let route = Some(sent.fetch_add(2, Ordering::Relaxed) + 1);
        let head = Head { uri: &uri, from: &format!("{own};tag={}", tag()), to: &own, call, route };
        let more = format!("Contact: {}\r\nExpires: {seconds}\r\n", agent.contact());
        agent.asks("REGISTER", &head, &more).await.status().unwrap()
    }

    pub async fn registers(&self) {
        assert_eq!(self.registers_for(300).await, 200, "{} registers", self.agent.user);
    }

    /// Calls a number. The call goes on by itself; the result says how far it is.
    pub fn calls(&self, number: &str) -> Call {
        self.calls_with(number, &[])
    }

    /// Calls with more headers. A `From:` among them replaces the usual one, without its tag.
    pub fn calls_with(&self, number: &str, headers: &[&str]) -> Call {
        let uri = format!("sip:{number}@{}", self.agent.domain);
        Call::make(&self.agent, &uri, headers)
    }

    /// Waits for the next call to this phone, which rings then.
    pub async fn rings(&self) -> Call {
        let next = async { self.arriving.lock().await.recv().await };
        let call = tokio::time::timeout(PATIENCE, next).await;
        call.unwrap_or_else(|_| panic!("{} does not ring", self.agent.user)).expect("the phone lives")
    }

    /// The call that arrived and was not taken with [`Phone::rings`], if any. To show that a phone did not ring, wait first for something
    /// that comes later.
    pub fn rang(&self) -> Option<Call> {
        self.arriving.try_lock().expect("nobody else waits for calls").try_recv().ok()
    }

    /// Subscribes to an event package (`dialog`, `presence`, `message-summary`) of a number. Returns the status and the watch.
    pub async fn subscribes(&self, event: &'static str, number: &str) -> (u16, Watch) {
        let agent = &self.agent;
        let uri = format!("sip:{number}@{}", agent.domain);
        let from = format!("<sip:{}@{}>;tag={}", agent.user, agent.domain, tag());
        let call = tag();
        let head = Head { uri: &uri, from: &from, to: &format!("<{uri}>"), call: &call, route: None };
        let accept = match event {
            "dialog" => "Accept: application/dialog-info+xml\r\n",
            "presence" => "Accept: application/pidf+xml\r\n",
            _ => "",
        };
        let more = format!("Contact: {}\r\nEvent: {event}\r\n{accept}Expires: 300\r\n", agent.contact());
        let status = agent.asks("SUBSCRIBE", &head, &more).await.status().unwrap();
        (status, Watch { call, notified: agent.notified.subscribe() })
    }

    /// Watches a colleague, as a lamp does.
    pub async fn watches(&self, number: &str) -> Watch {
        let (status, watch) = self.subscribes("dialog", number).await;
        assert!(matches!(status, 200 | 202), "{} may watch {number}: {status}", self.agent.user);
        watch
    }

    /// Waits for a NOTIFY outside of any call that holds, such as one about messages.
    pub async fn is_told(&self, what: &str, holds: impl Fn(&Message) -> bool) -> Message {
        let mut notified = self.agent.notified.subscribe();
        let found = notified.wait_for(|all| all.iter().any(&holds));
        let found = tokio::time::timeout(PATIENCE, found).await;
        let found = found.unwrap_or_else(|_| panic!("{} is not told: {what}", self.agent.user)).unwrap();
        found.iter().rfind(|message| holds(message)).unwrap().clone()
    }
}

/// What a subscription says.
pub struct Watch {
    call: String,
    notified: watch::Receiver<Vec<Message>>,
}

impl Watch {
    /// Waits until the newest NOTIFY contains this text, such as `<state>early</state>`.
    pub async fn says(&mut self, text: &str) {
        let call = self.call.clone();
        let newest = |all: &Vec<Message>| all.iter().rfind(|message| message.header("Call-ID") == call).cloned();
        let said = self.notified.wait_for(|all| newest(all).is_some_and(|message| message.body.contains(text)));
        let said = tokio::time::timeout(PATIENCE, said).await.map(drop);
        assert!(said.is_ok(), "not notified of {text}: {:#?}", newest(&self.notified.borrow()));
    }
}

impl Watch {
    /// Waits until the newest NOTIFY does not contain this text.
    pub async fn says_not(&mut self, text: &str) {
        let call = self.call.clone();
        let newest = |all: &Vec<Message>| all.iter().rfind(|message| message.header("Call-ID") == call).cloned();
        let said = self.notified.wait_for(|all| newest(all).is_some_and(|message| !message.body.contains(text)));
        let said = tokio::time::timeout(PATIENCE, said).await.map(drop);
        assert!(said.is_ok(), "still notified of {text}: {:#?}", newest(&self.notified.borrow()));
    }

    /// The bodies of everything that was said.
    pub fn all(&self) -> Vec<String> {
        let all = self.notified.borrow();
        all.iter().filter(|one| one.header("Call-ID") == self.call).map(|one| one.body.clone()).collect()
    }
}

/// The head of a request.
struct Head<'a> {
    uri: &'a str,
    from: &'a str,
    to: &'a str,
    call: &'a str,
    /// The place in the dialog's count. Without one, the request begins its own.
    route: Option<u32>,
}

fn tag() -> String {
    Uuid::new_v4().simple().to_string()
}

impl Agent {
    fn contact(&self) -> String {
        let place = self.says_at.lock().unwrap().clone().unwrap_or_else(|| format!("127.0.0.1:{}", self.port));
        let transport = if matches!(self.wire, Wire::Tcp(_)) { ";transport=tcp" } else { "" };
        format!("<sip:{}@{place}{transport}>", self.user)
    }

    async fn delivers(&self, message: &[u8], to: SocketAddr) {
        match &self.wire {
            Wire::Udp(socket) => drop(socket.send_to(message, to).await),
            Wire::Tcp(stream) => drop(stream.lock().await.write_all(message).await),
        }
    }

    fn request(&self, method: &str, head: &Head<'_>, count: u32, branch: &str, more: &str) -> String {
        let Head { uri, from, to, call, .. } = head;
        let transport = if matches!(self.wire, Wire::Tcp(_)) { "TCP" } else { "UDP" };
        let via = format!("SIP/2.0/{transport} 127.0.0.1:{};rport;branch={branch}", self.port);
        let allow = "INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REFER, UPDATE, INFO, MESSAGE, SUBSCRIBE";
        let (headers, body) = more.split_once("\r\n\r\n").unwrap_or((more.trim_end(), ""));
        let headers = if headers.is_empty() { String::new() } else { format!("{headers}\r\n") };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call}\r\nCSeq: {count} {method}\r\n\
             Max-Forwards: 70\r\nUser-Agent: phone\r\nAllow: {allow}\r\nSupported: replaces\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    async fn send(&self, text: &str) {
        let server = *self.server.lock().unwrap();
        self.delivers(text.as_bytes(), server).await;
    }

    /// Sends a request other than INVITE, with credentials if they are asked for, and waits for its answer.
    async fn asks(&self, method: &str, head: &Head<'_>, more: &str) -> Message {
        let mut credentials = String::new();
        let mut count = head.route.unwrap_or(1);
        loop {
            let branch = format!("z9hG4bK{}", tag());
            let text = self.request(method, head, count, &branch, &format!("{credentials}{more}"));
            let (sender, mut responses) = mpsc::unbounded_channel();
            self.waiting.lock().unwrap().insert(format!("{branch} {method}"), sender);
            let answer = async {
                self.send(&text).await;
                loop {
                    match tokio::time::timeout(Duration::from_millis(500), responses.recv()).await {
                        Ok(response) => {
                            let response = response.expect("the phone lives");
                            if response.status().is_some_and(|status| status >= 200) {
                                return response;
                            }
                        }
                        Err(_) => self.send(&text).await,
                    }
                }
            };
            let answer = tokio::time::timeout(PATIENCE, answer).await;
            self.waiting.lock().unwrap().remove(&format!("{branch} {method}"));
            let answer = answer.unwrap_or_else(|_| panic!("{} gets no answer to {method}:\n{text}", self.user));
            match self.answer_to(&answer, method, head.uri) {
                Some(header) if credentials.is_empty() => credentials = header,
                _ => return answer,
            }
            count += 1;
        }
    }

    /// The header that answers a challenge.
    fn answer_to(&self, response: &Message, method: &str, uri: &str) -> Option<String> {
        let (challenge, name) = match response.status()? {
            401 => (response.header("WWW-Authenticate"), "Authorization"),
            407 => (response.header("Proxy-Authenticate"), "Proxy-Authorization"),
            _ => return None,
        };
        let digest = message::digest(challenge, method, uri, &self.user, &self.password);
        Some(format!("{name}: {digest}\r\n"))
    }

    /// Answers a request, and again if it comes again.
    async fn answers(&self, request: &Message, source: SocketAddr, status: &str, tag: &str, more: &str) {
        let response = respond(request, status, tag, more);
        let key = format!("{} {}", request.branch(), request.method());
        self.answered.lock().unwrap().insert(key, response.clone());
        self.delivers(&response, source).await;
    }

    fn takes(self: &Arc<Self>, message: Message, source: SocketAddr) {
        if self.is_silent.load(Ordering::Relaxed) {
            return;
        }
        let leg = self.legs.lock().unwrap().get(message.header("Call-ID")).cloned();
        if message.status().is_some() {
            if let Some(leg) = &leg {
                leg.keeps(&message);
            }
            // A CANCEL has the branch of its INVITE.
            let key = format!("{} {}", message.branch(), message.method());
            let waiting = self.waiting.lock().unwrap().get(&key).cloned();
            match (waiting, leg) {
                (Some(waiting), _) => drop(waiting.send(message)),
                // An answer that comes again, because the ACK was lost.
                (None, Some(leg)) if message.method() == "INVITE" => leg.acknowledges_again(),
                _ => {}
            }
            return;
        }
        let key = format!("{} {}", message.branch(), message.method());
        let again = self.answered.lock().unwrap().get(&key).cloned();
        let agent = self.clone();
        if let Some(again) = again {
            phones().spawn(async move { agent.delivers(&again, source).await });
            return;
        }
        match (message.method(), leg) {
            (_, Some(leg)) => {
                leg.keeps(&message);
                leg.takes(message, source);
            }
            ("INVITE", None) => {
                let call = Call::arrives(self, message, source);
                let _ = self.arrived.send(call);
            }
            ("ACK", None) => {}
            (method, None) => {
                if method == "NOTIFY" {
                    self.notified.send_modify(|all| all.push(message.clone()));
                }
                phones().spawn(async move { agent.answers(&message, source, "200 OK", &tag(), "").await });
            }
        }
    }
}

fn respond(request: &Message, status: &str, tag: &str, more: &str) -> Vec<u8> {
    let copied = request.headers.iter().filter_map(|(name, value)| match name.as_str() {
        "To" if !value.contains("tag=") => Some(format!("To: {value};tag={tag}\r\n")),
        "Via" | "From" | "To" | "Call-ID" | "CSeq" | "Record-Route" => Some(format!("{name}: {value}\r\n")),
        _ => None,
    });
    let head = format!("SIP/2.0 {status}\r\n{}", copied.collect::<Vec<_>>().concat());
    let (headers, body) = more.split_once("\r\n\r\n").unwrap_or((more.trim_end(), ""));
    let headers = if headers.is_empty() { String::new() } else { format!("{headers}\r\n") };
    let allow = "INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REFER, UPDATE, INFO, MESSAGE, SUBSCRIBE";
    format!("{head}User-Agent: phone\r\nAllow: {allow}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}
