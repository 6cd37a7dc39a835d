//! A played switch: SIP over a WebSocket, as far as a phone in a browser needs it. No media flows: its descriptions name no address, so that
//! ICE never gives up.

use std::{
    collections::{HashMap, VecDeque},
    net::TcpListener,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, web};
use tokio::sync::mpsc;

const REALM: &str = "acme.test";

/// What is sent to a page.
enum Send {
    Text(String),
    /// The connection ends without a word.
    Cut,
}

#[derive(Default)]
struct State {
    /// The newest connection.
    page: Option<mpsc::UnboundedSender<Send>>,
    /// What the page's phone said its contact is.
    contact: String,
    /// Every request and final answer of pages, in order.
    heard: Vec<String>,
    /// The next answers to an authenticated REGISTER; then 200.
    registers: VecDeque<u16>,
    /// How calls of the page end, by number; calls to other numbers are answered.
    calls: HashMap<String, u16>,
    /// Answers nothing any more, but leaves the connections open.
    is_dumb: bool,
    /// Only this transport in Via is answered.
    via: Option<&'static str>,
    connections: usize,
    tag: u32,
}

/// The switch, until the test ends.
#[derive(Clone)]
pub struct Switch {
    state: Arc<Mutex<State>>,
    pub url: String,
    server: ServerHandle,
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let lines = message.lines().take_while(|line| !line.is_empty());
    let found = lines.filter_map(|line| line.split_once(':')).find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim()).unwrap_or_default()
}

/// The number or name in an address.
fn user(address: &str) -> &str {
    let rest = address.split_once("sip:").map_or(address, |(_, rest)| rest);
    rest.split(['@', ';', '>']).next().unwrap_or_default()
}

fn answer(request: &str, status: u16, tag: u32, more: &str, body: &str) -> String {
    let to = header(request, "To");
    let to = if to.contains(";tag=") { to.to_owned() } else { format!("{to};tag=played{tag}") };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "SIP/2.0 {status} Played\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}{kind}Content-Length: {}\r\n\r\n{body}",
        header(request, "Via"),
        header(request, "From"),
        header(request, "Call-ID"),
        header(request, "CSeq"),
        body.len()
    )
}

/// A description of media that goes nowhere. `setup` and `direction` say what role it plays.
fn description(setup: &str, direction: &str) -> String {
    let fingerprint = ["AB"; 32].join(":");
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 110\r\nc=IN IP4 127.0.0.1\r\n\
         a=rtpmap:111 opus/48000/2\r\na=rtpmap:110 telephone-event/48000\r\na=mid:0\r\na={direction}\r\na=rtcp-mux\r\na=setup:{setup}\r\n\
         a=fingerprint:sha-256 {fingerprint}\r\na=ice-ufrag:play\r\na=ice-pwd:playedplayedplayedplayed\r\n"
    )
}

impl Switch {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/sip", socket.local_addr().unwrap());
        let shared = web::Data::from(Arc::clone(&state));
        let server = HttpServer::new(move || App::new().app_data(shared.clone()).route("/sip", web::get().to(connect)))
            .workers(1)
            .disable_signals()
            .listen(socket)
            .unwrap()
            .run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { state, url, server: handle }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub async fn stop(&self) {
        self.cut();
        self.server.stop(false).await;
    }

    /// Cuts the newest connection.
    pub fn cut(&self) {
        if let Some(page) = self.state().page.take() {
            let _ = page.send(Send::Cut);
        }
    }

    /// From now on, connections stay open, but nothing is answered; or it is again.
    pub fn is_dumb(&self, is_dumb: bool) {
        self.state().is_dumb = is_dumb;
    }

    /// The next answers to REGISTERs with credentials.
    pub fn registers(&self, statuses: &[u16]) {
        self.state().registers.extend(statuses);
    }

    /// What becomes of calls to a number.
    pub fn calls(&self, number: &str, status: u16) {
        self.state().calls.insert(number.to_owned(), status);
    }

    pub fn connections(&self) -> usize {
        self.state().connections
    }

    /// How many messages that begin with this text were received.
    pub fn heard(&self, what: &str) -> usize {
        self.state().heard.iter().filter(|one| one.starts_with(what)).count()
    }

    /// Waits until such a message was received this many times, and returns the newest.
    pub async fn hears(&self, what: &str, times: usize) -> String {
        let began = Instant::now();
        loop {
            let (found, all) = {
                let state = self.state();
                let found = state.heard.iter().filter(|one| one.starts_with(what)).cloned().collect::<Vec<_>>();
                let all = state.heard.iter().map(|one| one.lines().next().unwrap_or_default().to_owned());
                (found, all.collect::<Vec<_>>())
            };
            if found.len() >= times {
                return found.last().cloned().unwrap_or_default();
            }
            assert!(began.elapsed() < Duration::from_mins(1), "no {what} {times} times in {all:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn say(&self, text: String) {
        let page = self.state().page.clone();
        page.expect("a page is connected").send(Send::Text(text)).unwrap();
    }

    /// What the page's phone said its contact is.
    pub fn contact(&self) -> String {
        self.state().contact.clone()
    }

    /// Rings at the page. Returns the call's id.
    pub fn ring(&self, name: &str, number: &str) -> String {
        self.ring_with(name, number, "")
    }

    /// The same with more headers.
    pub fn ring_with(&self, name: &str, number: &str, more: &str) -> String {
        let (contact, call) = {
            let mut state = self.state();
            state.tag += 1;
            (state.contact.clone(), format!("call{}", state.tag))
        };
        let body = description("actpass", "sendrecv");
        self.say(format!(
            "INVITE {contact} SIP/2.0\r\nVia: SIP/2.0/WS 127.0.0.1;branch=z9hG4bK{call}\r\nMax-Forwards: 70\r\n\
             From: \"{name}\" <sip:{number}@{REALM}>;tag=from{call}\r\nTo: <{contact}>\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:played@127.0.0.1;transport=ws>\r\n{more}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        call
    }

    /// The caller gives up before anybody answered.
    pub fn gives_up(&self, call: &str) {
        let contact = self.state().contact.clone();
        self.say(format!(
            "CANCEL {contact} SIP/2.0\r\nVia: SIP/2.0/WS 127.0.0.1;branch=z9hG4bK{call}\r\nMax-Forwards: 70\r\n\
             From: <sip:x@{REALM}>;tag=from{call}\r\nTo: <{contact}>\r\nCall-ID: {call}\r\nCSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n"
        ));
    }
}

async fn connect(
    request: HttpRequest,
    body: web::Payload,
    state: web::Data<Mutex<State>>,
) -> actix_web::Result<HttpResponse> {
    let (mut response, mut session, mut messages) = actix_ws::handle(&request, body)?;
    response.headers_mut().insert(
        actix_web::http::header::SEC_WEBSOCKET_PROTOCOL,
        actix_web::http::header::HeaderValue::from_static("sip"),
    );
    let (sender, mut sent) = mpsc::unbounded_channel();
    let lock = |state: &web::Data<Mutex<State>>| {
        state.lock().unwrap_or_else(PoisonError::into_inner).page.replace(sender.clone())
    };
    lock(&state);
    state.lock().unwrap_or_else(PoisonError::into_inner).connections += 1;
    actix_web::rt::spawn(async move {
        loop {
            tokio::select! {
                said = sent.recv() => match said {
                    Some(Send::Text(text)) => { let _ = session.text(text).await; }
                    Some(Send::Cut) | None => break,
                },
                message = messages.recv() => {
                    let text = match message {
                        Some(Ok(actix_ws::Message::Text(text))) => text.to_string(),
                        Some(Ok(actix_ws::Message::Binary(bytes))) => String::from_utf8_lossy(&bytes).into_owned(),
                        Some(Ok(_)) => continue,
                        _ => break,
                    };
                    let answers = state.lock().unwrap_or_else(PoisonError::into_inner).take(&text);
                    for one in answers {
                        let _ = session.text(one).await;
                    }
                }
            }
        }
        let _ = session.close(None).await;
    });
    Ok(response)
}

impl State {
    /// What is answered to a message.
    fn take(&mut self, message: &str) -> Vec<String> {
        if message.trim().is_empty() {
            return Vec::new();
        }
        self.heard.push(message.to_owned());
        let method = message.split(' ').next().unwrap_or_default();
        if self.is_dumb || self.via.is_some_and(|via| !header(message, "Via").contains(via)) {
            return Vec::new();
        }
        self.tag += 1;
        let tag = self.tag;
        let is_known = !header(message, "Authorization").is_empty();
        match method {
            "REGISTER" if !is_known => {
                let challenge = format!(
                    "WWW-Authenticate: Digest realm=\"{REALM}\", nonce=\"n{tag}\", algorithm=MD5, qop=\"auth\"\r\n"
                );
                vec![answer(message, 401, tag, &challenge, "")]
            }
            "REGISTER" => {
                let contact = header(message, "Contact");
                let address = contact.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
                address.map_or("", |(address, _)| address).clone_into(&mut self.contact);
                match self.registers.pop_front() {
                    Some(status) => vec![answer(message, status, tag, "", "")],
                    None => vec![answer(message, 200, tag, &format!("Contact: {contact};expires=120\r\n"), "")],
                }
            }
            "INVITE" if header(message, "To").contains(";tag=") => {
                let held = message.contains("a=sendonly") || message.contains("a=inactive");
                // Roles of DTLS stay as they were.
                let setup = if header(message, "Call-ID").starts_with("call") { "passive" } else { "active" };
                let body = description(setup, if held { "recvonly" } else { "sendrecv" });
                vec![answer(message, 200, tag, "Contact: <sip:played@127.0.0.1;transport=ws>\r\n", &body)]
            }
            "INVITE" => {
                let target = message.split(' ').nth(1).unwrap_or_default();
                let contact = "Contact: <sip:played@127.0.0.1;transport=ws>\r\n";
                let trying = answer(message, 100, tag, "", "");
                let ringing = answer(message, 180, tag, contact, "");
                match self.calls.get(user(target)) {
                    Some(180) => vec![trying, ringing],
                    Some(status) => vec![trying, answer(message, *status, tag, "", "")],
                    None => {
                        vec![trying, ringing, answer(message, 200, tag, contact, &description("active", "sendrecv"))]
                    }
                }
            }
            // Our own INVITE was answered.
            "SIP/2.0" if message.starts_with("SIP/2.0 200") && header(message, "CSeq").ends_with("INVITE") => {
                let call = header(message, "Call-ID");
                vec![format!(
                    "ACK {} SIP/2.0\r\nVia: SIP/2.0/WS 127.0.0.1;branch=z9hG4bKack{tag}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\n\
                     Call-ID: {call}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
                    self.contact,
                    header(message, "From"),
                    header(message, "To"),
                )]
            }
            "REFER" => vec![answer(message, 202, tag, "", "")],
            "CANCEL" | "BYE" | "OPTIONS" | "NOTIFY" | "INFO" => vec![answer(message, 200, tag, "", "")],
            _ => Vec::new(),
        }
    }
}
