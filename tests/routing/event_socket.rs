//! A simulated event socket of a switch.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::broadcast,
};
use uuid::Uuid;

/// What its clock says.
const NOW: i64 = 1_790_000_000;

pub const PASSWORD: &str = "of-the-event-socket";

/// The state of the simulated switch, and the commands that it got.
#[derive(Default)]
pub struct Played {
    /// By carrier: state and status.
    pub gateways: BTreeMap<Uuid, (String, String)>,
    pub queues: BTreeSet<String>,
    /// Queue and agent.
    pub tiers: BTreeSet<(String, String)>,
    /// How many callers wait in each queue.
    pub waiting: u32,
    /// Whether reading the addresses fails.
    pub distrusts: bool,
    /// The agents that it reads on command.
    pub agents: Vec<String>,
    /// Commands that begin with this fail.
    pub refuses: Option<&'static str>,
    /// Its channels: what marks each, whether it is answered, and for how many seconds.
    pub channels: Vec<(Uuid, String, Option<i64>)>,
    /// Variables of channels that it says when it is asked.
    pub variables: BTreeMap<(Uuid, &'static str), String>,
    /// What else it lists: the last word of `show …` or mod_callcenter's list, and the rows.
    pub lists: BTreeMap<&'static str, Vec<serde_json::Value>>,
    /// What its profile says of its phones.
    pub described: String,
    /// Every command that changes something.
    pub told: Vec<String>,
    /// The events that it was told to fire, each with its headers.
    pub fired: Vec<String>,
    /// The legs of which more packets come whenever it is asked, and how often it was.
    pub talks: BTreeSet<Uuid>,
    pub stats: usize,
    /// The messages of every mailbox, and whether each was heard.
    pub messages: Vec<(Uuid, bool)>,
    /// Whether a queue's agents are available.
    pub serves: bool,
    /// The jobs of the calls that it was told to make.
    pub jobs: Vec<Uuid>,
    since: Option<Instant>,
    /// How often a client has signed in.
    pub sign_ins: usize,
    /// Whether it closes connections as soon as somebody has signed in.
    pub hangs_up: bool,
}

/// Serves its event socket to clients that know the password.
pub struct EventSocket {
    pub address: String,
    played: Arc<Mutex<Played>>,
    /// Events for all who have subscribed.
    events: broadcast::Sender<String>,
    serves: actix_web::rt::task::JoinHandle<()>,
}

impl Drop for EventSocket {
    fn drop(&mut self) {
        self.serves.abort();
    }
}

impl EventSocket {
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let played = Arc::new(Mutex::new(Played { since: Some(Instant::now()), ..Played::default() }));
        let kept = Arc::clone(&played);
        let (events, _) = broadcast::channel(1000);
        let all = events.clone();
        let serves = actix_web::rt::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (played, events) = (Arc::clone(&kept), all.clone());
                actix_web::rt::spawn(async move { serve(stream, &played, &events).await });
            }
        });
        Self { address, played, events, serves }
    }

    /// Fires an event.
    pub fn fires(&self, event: &serde_json::Value) {
        // Perhaps nobody listens.
        let _ = self.events.send(event.to_string());
    }

    pub fn has(&self) -> MutexGuard<'_, Played> {
        self.played.lock().unwrap()
    }

    /// Sets the state of its gateways. It has no others.
    pub fn says(&self, gateways: &[(Uuid, &str, &str)]) {
        let gateways = gateways.iter().map(|(carrier, state, up)| (*carrier, ((*state).into(), (*up).into())));
        self.has().gateways = gateways.collect();
    }

    /// Waits until it was told to fire an event with all these headers, such as `answer-state: confirmed`. Returns the event.
    pub async fn fired(&self, headers: &[&str]) -> String {
        let since = Instant::now();
        loop {
            let all = self.has().fired.clone();
            let found = all.iter().rfind(|event| {
                headers.iter().all(|header| event.lines().any(|line| line.eq_ignore_ascii_case(header)))
            });
            if let Some(found) = found {
                return found.clone();
            }
            assert!(since.elapsed() < std::time::Duration::from_mins(1), "{headers:?}: {all:#?}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// The commands since the last call.
    pub fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.has().told)
    }
}

async fn serve(stream: TcpStream, played: &Mutex<Played>, events: &broadcast::Sender<String>) -> Option<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader).lines();
    writer.write_all(b"Content-Type: auth/request\n\n").await.ok()?;
    let (mut heard, mut subscribed) = (events.subscribe(), false);
    let mut command = String::new();
    loop {
        let line = tokio::select! {
            line = reader.next_line() => line.ok()??,
            event = heard.recv() => {
                let event = event.ok()?;
                if subscribed {
                    let frame = format!("Content-Length: {}\nContent-Type: text/event-json\n\n{event}", event.len());
                    writer.write_all(frame.as_bytes()).await.ok()?;
                }
                continue;
            }
        };
        if !line.is_empty() {
            command.push_str(&line);
            command.push('\n');
            continue;
        }
        let command = std::mem::take(&mut command);
        let command = command.trim_end();
        let reply = |text: &str| format!("Content-Type: command/reply\nReply-Text: {text}\n\n");
        let answer = if let Some(command) = command.strip_prefix("api ") {
            let said = played.lock().unwrap().does(command);
            // It says of each command that it was given one (`switch_api_execute` in switch_loadable_module.c).
            if let Some((name, argument)) = command.split_once(' ').filter(|(name, _)| *name == "callcenter_config") {
                let event =
                    serde_json::json!({ "Event-Name": "API", "API-Command": name, "API-Command-Argument": argument });
                let _ = events.send(event.to_string());
            }
            format!("Content-Type: api/response\nContent-Length: {}\n\n{said}", said.len())
        } else if let Some(command) = command.strip_prefix("bgapi ") {
            let job = Uuid::new_v4();
            played.lock().unwrap().begun(command, job);
            let _ = events.send(format!("{{\"Event-Name\":\"BACKGROUND_JOB\",\"Job-UUID\":\"{job}\"}}"));
            format!("Content-Type: command/reply\nReply-Text: +OK Job-UUID: {job}\nJob-UUID: {job}\n\n")
        } else if let Some(password) = command.strip_prefix("auth ") {
            let mut played = played.lock().unwrap();
            played.sign_ins += 1;
            if played.hangs_up {
                return None;
            }
            reply(if password == PASSWORD { "+OK accepted" } else { "-ERR invalid" })
        } else if let Some(event) = command.strip_prefix("sendevent ") {
            played.lock().unwrap().fired.push(event.to_owned());
            reply("+OK")
        } else if command.starts_with("event json ") {
            subscribed = true;
            reply("+OK event listener enabled json")
        } else {
            reply("+OK bye")
        };
        writer.write_all(answer.as_bytes()).await.ok()?;
    }
}

/// A list as mod_callcenter prints it.
fn list(head: &str, rows: impl Iterator<Item = String>) -> String {
    rows.fold(format!("{head}\n"), |list, row| list + &row + "\n") + "+OK\n"
}

/// A list as `show` prints it. Without any, there are no rows at all.
fn rows(rows: &[serde_json::Value]) -> String {
    if rows.is_empty() {
        "{\"row_count\":0}\n".into()
    } else {
        serde_json::json!({ "row_count": rows.len(), "rows": rows }).to_string()
    }
}

impl Played {
    fn does(&mut self, command: &str) -> String {
        if let Some(answer) = self.variable(command) {
            return answer;
        }
        match command {
            "sofia xmlstatus gateway" => return self.status(),
            // It started half a minute before its socket was opened.
            "uptime s" => {
                let since = *self.since.get_or_insert_with(Instant::now);
                return format!("{}\n", 30 + since.elapsed().as_secs());
            }
            // It closes unused connections to its databases already.
            "show tasks" => return "dialplane_handles\n".into(),
            "show channels as json" => return self.channels(),
            "show bridged_calls as json" | "show registrations as json" => {
                let name = command.split(' ').nth(1).unwrap_or_default();
                return rows(self.lists.get(name).map_or(&[], Vec::as_slice));
            }
            _ if command.starts_with("json ") => {
                let asked = serde_json::from_str::<serde_json::Value>(&command[5..]).unwrap();
                if asked["command"] == "mediaStats" {
                    self.stats += 1;
                    let leg = asked["data"]["uuid"].as_str().and_then(|leg| leg.parse::<Uuid>().ok());
                    let comes = leg.is_some_and(|leg| self.talks.contains(&leg));
                    let packets = if comes { self.stats } else { 0 };
                    return serde_json::json!({ "response": { "audio": { "in_packet_count": packets } } }).to_string();
                }
                let list = asked["data"]["arguments"].as_str().unwrap();
                let list = self.lists.get(list).cloned().unwrap_or_else(|| self.of_callcenter(list));
                return serde_json::json!({ "command": "callcenter_config", "response": list }).to_string();
            }
            "sofia status profile internal reg" => return self.described.clone(),
            "conference json_list" => return "-OK No active conferences.\n".into(),
            "valet_info" => return "<lots>\n</lots>\n".into(),
            _ if command.starts_with("uuid_getvar ") && command.ends_with(" dialplane_tenant") => {
                return "_undef_".into();
            }
            "strepoch" => return format!("{NOW}\n"),
            _ if command.starts_with("uuid_exists ") => {
                return self.channels.iter().any(|(channel, ..)| command.ends_with(&channel.to_string())).to_string();
            }
            _ if command.starts_with("uuid_getvar ") => {
                let channel = self.channels.iter().find(|(channel, ..)| command.contains(&channel.to_string()));
                let answered = channel.and_then(|(.., answered)| *answered).map_or(0, |ago| (NOW - ago) * 1_000_000);
                return answered.to_string();
            }
            _ if command.starts_with("acl ") => return (!self.distrusts).to_string(),
            _ if command.starts_with("callcenter_config queue count members ") => return format!("{}\n", self.waiting),
            _ if command.starts_with("callcenter_config queue list members ") => {
                let row = |n| format!("{}|Waiting|{n}", Uuid::from_u128(u128::from(n)));
                return list("session_uuid|state|score", (0..self.waiting).map(row));
            }
            _ if command.starts_with("callcenter_config queue list agents ") => {
                let status = if self.serves { "Available" } else { "Logged Out" };
                return list("status|calls_answered|talk_time", std::iter::once(format!("{status}|0|0")));
            }
            "callcenter_config queue list" => {
                return list("name|strategy", self.queues.iter().map(|name| format!("{name}|ring-all")));
            }
            "callcenter_config tier list" => {
                let row = |(queue, agent): &(String, String)| format!("{queue}|{agent}|Ready|1|1");
                return list("queue|agent|state|level|position", self.tiers.iter().map(row));
            }
            // `vm_fsdb_msg_list json PROFILE DOMAIN USER FOLDER read|not-read`, as mod_voicemail answers it.
            _ if command.starts_with("vm_fsdb_msg_list json ") => {
                let wants_read = command.ends_with(" read");
                let wanted = self.messages.iter().filter(|(_, read)| *read == wants_read).enumerate();
                let mut fields = wanted
                    .map(|(n, (message, _))| (format!("VM-List-Message-{}-UUID", n + 1), message.to_string().into()))
                    .collect::<serde_json::Map<_, _>>();
                fields.insert("VM-List-Count".into(), fields.len().to_string().into());
                return serde_json::Value::from(fields).to_string();
            }
            _ => self.told.push(command.to_owned()),
        }
        if self.refuses.is_some_and(|refused| command.starts_with(refused)) {
            return "-ERR not today\n".into();
        }
        match *command.split(' ').collect::<Vec<_>>() {
            ["sofia", "profile", "external", "killgw", name] => {
                self.gateways.remove(&name[1..].parse::<Uuid>().unwrap());
            }
            ["sofia", "profile", "external", "startgw", name] => {
                self.gateways.insert(name[1..].parse().unwrap(), ("NOREG".into(), "UP".into()));
            }
            ["callcenter_config", "queue", "load", queue] => {
                self.queues.insert(queue.into());
                self.tiers.extend(self.agents.iter().map(|agent| (queue.into(), agent.clone())));
            }
            ["callcenter_config", "queue", "unload", queue] => {
                self.queues.remove(queue);
            }
            ["callcenter_config", "tier", "del", queue, agent] => {
                self.tiers.remove(&(queue.into(), agent.into()));
            }
            ["callcenter_config", "agent", "set", ..]
            | [
                "uuid_kill" | "uuid_hold" | "uuid_transfer" | "uuid_setvar_multi" | "uuid_bridge" | "uuid_audio"
                | "uuid_send_dtmf" | "uuid_dual_transfer" | "uuid_record" | "uuid_broadcast" | "originate",
                ..,
            ]
            | ["sched_del" | "vm_delete", _]
            | ["sched_hangup", _, _, "ALLOTTED_TIMEOUT"]
            | ["sched_broadcast", _, _, _, "bleg"]
            | ["reloadacl"]
            | ["sofia", "profile", "internal", "flush_inbound_reg", _]
            | ["hupall", "CALL_REJECTED", "dialplane_extension", _]
            | ["hupall", "CALL_REJECTED", "dialed_user", _, "dialed_domain", _, "direction", "outbound"] => {}
            // As mod_voicemail says that all is well.
            ["vm_fsdb_pref_password_set", "default", _, _, "-"] => return "-OK\n".into(),
            _ => return format!("-ERR {command} Command not found!\n"),
        }
        "+OK\n".into()
    }

    /// A list of mod_callcenter, by what it was told.
    fn of_callcenter(&self, list: &str) -> Vec<serde_json::Value> {
        let tier = |(queue, agent): &(String, String)| serde_json::json!({ "queue": queue, "agent": agent });
        match list {
            "queue list" => self.queues.iter().map(|name| serde_json::json!({ "name": name })).collect(),
            "tier list" => self.tiers.iter().map(tier).collect(),
            _ => Vec::new(),
        }
    }

    /// Of these, a channel has what the test says.
    fn variable(&self, command: &str) -> Option<String> {
        let (leg, name) = command.strip_prefix("uuid_getvar ")?.split_once(' ')?;
        let names = ["dialplane_taken_by", "dialplane_extension", "user_name", "domain_name"];
        let name = names.into_iter().find(|known| *known == name)?;
        Some(self.variables.get(&(leg.parse().ok()?, name)).cloned().unwrap_or_else(|| "_undef_".into()))
    }

    fn begun(&mut self, command: &str, job: Uuid) {
        if command.starts_with("originate ") {
            self.told.push(command.to_owned());
            self.jobs.push(job);
        }
    }

    fn channels(&self) -> String {
        let row = |(uuid, mark, answered): &(Uuid, String, Option<i64>)| {
            let state = if answered.is_some() { "ACTIVE" } else { "EARLY" };
            serde_json::json!({ "uuid": uuid, "callstate": state, "presence_data": mark, "cid_name": "\u{fffd}|x" })
        };
        let others = self.lists.get("channels").cloned().unwrap_or_default();
        rows(&self.channels.iter().map(row).chain(others).collect::<Vec<_>>())
    }

    fn status(&self) -> String {
        let gateway = |(carrier, (state, status)): (&Uuid, &(String, String))| {
            let name = carrier.simple();
            format!("<gateway>\n<name>c{name}</name>\n<state>{state}</state>\n<status>{status}</status>\n</gateway>\n")
        };
        let gateways = self.gateways.iter().map(gateway).collect::<String>();
        format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<gateways>\n{gateways}</gateways>\n")
    }
}
