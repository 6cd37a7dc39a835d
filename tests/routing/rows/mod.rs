//! Rows of the table of calls (`tests/live/table`) that need no switch: who would be rung, where a call goes out, and how it ends.
//!
//! A row here has the name of the row there that plays the same call with phones. What a switch gets is followed as a switch follows it:
//! it runs applications in order, fetches again after a transfer, and goes on after a bridge that failed if it is told so.

mod cases;

use std::{collections::BTreeMap, rc::Rc};

use futures_util::{FutureExt as _, future::LocalBoxFuture};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harness::{call_form, send},
    stage::Stage,
};

const LIVE: &str = concat!(
    include_str!("../../live/table/basics.rs"),
    include_str!("../../live/table/call_backs.rs"),
    include_str!("../../live/table/clicks.rs"),
    include_str!("../../live/table/codecs.rs"),
    include_str!("../../live/table/connected.rs"),
    include_str!("../../live/table/dialled.rs"),
    include_str!("../../live/table/forged.rs"),
    include_str!("../../live/table/groups.rs"),
    include_str!("../../live/table/help.rs"),
    include_str!("../../live/table/lamps.rs"),
    include_str!("../../live/table/menus.rs"),
    include_str!("../../live/table/mixed.rs"),
    include_str!("../../live/table/outside.rs"),
    include_str!("../../live/table/parking.rs"),
    include_str!("../../live/table/queues.rs"),
    include_str!("../../live/table/transfers.rs"),
    include_str!("../../live/table/voicemail.rs"),
    include_str!("../../live/table/withheld.rs"),
);

/// The phones, agents and carriers that a row has. Phones have the numbers 1000, 1001 …, agents are the first of them.
#[derive(Clone, Copy)]
struct Needs(usize, usize, usize);

type Play = Box<dyn Fn(Row) -> LocalBoxFuture<'static, ()>>;

struct Case {
    name: &'static str,
    needs: Needs,
    play: Play,
}

fn row<F: AsyncFn(Row) + Copy + 'static>(name: &'static str, needs: Needs, play: F) -> Case {
    Case { name, needs, play: Box::new(move |row| async move { play(row).await }.boxed_local()) }
}

/// What phones and carriers do with a call, by number or by `carrier N`. All others answer.
type States<'a> = &'a [(&'a str, &'a str)];

struct Row {
    stage: Rc<Stage>,
    place: usize,
    tenant: Uuid,
    domain: String,
    extensions: Vec<Value>,
    numbers: Vec<String>,
    carriers: Vec<Uuid>,
}

impl Row {
    async fn new(stage: Rc<Stage>, place: usize, Needs(phones, agents, carriers): Needs) -> Self {
        let node = &stage.node;
        let domain = format!("row{place}.test");
        let tenant = node.tenant(&domain).await;
        let settings = json!({ "country": "DE", "time_zone": "Europe/Berlin" });
        assert_eq!(node.api("PATCH", &format!("/v1/tenants/{tenant}/settings"), settings).await.status, 200);
        let mut row = Self {
            stage: Rc::clone(&stage),
            place,
            tenant,
            domain,
            extensions: Vec::new(),
            numbers: Vec::new(),
            carriers: Vec::new(),
        };
        for n in 0..phones {
            let number = (1000 + n).to_string();
            let extension = node.extension(tenant, json!({ "number": number, "voicemail_enabled": false })).await;
            if n < agents {
                let agent = json!({ "first_name": "Phone", "last_name": n.to_string(), "email": format!("p{n}@{}", row.domain), "numbers": [number] });
                let agent = row.make("POST", &format!("/v1/admin/agents?tenant_id={tenant}"), agent).await;
                let did = format!("+49{}{n}", row.area());
                let leads = json!({ "number": did, "destination": { "kind": "extension", "id": extension["id"] } });
                let did_id = row.make("POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), leads).await;
                let assign = format!("/v1/phone-numbers/{}/assign?tenant_id={tenant}", did_id["id"].as_str().unwrap());
                row.make("POST", &assign, json!({ "agent_id": agent["id"] })).await;
                row.numbers.push(did);
            }
            row.extensions.push(extension);
        }
        for n in 0..carriers {
            let host = format!("c{n}.row{place}.test");
            let config = json!({ "host": host, "number_format": "digits" });
            let new = json!({ "name": format!("row{place}-{n}"), "tenant_id": tenant, "config": config });
            let id = row.make("POST", "/v1/carriers", new).await["id"].as_str().unwrap().parse().unwrap();
            row.rates(id, &format!("49{},0.0{}\n", row.area(), n + 1)).await;
            row.carriers.push(id);
        }
        row
    }

    fn area(&self) -> String {
        format!("30{:06}", 330_000 + self.place)
    }

    /// A number that the row's carriers take.
    fn outside(&self) -> String {
        format!("+49{}5", self.area())
    }

    async fn make(&self, method: &str, path: &str, body: Value) -> Value {
        let made = self.stage.node.api(method, path, body).await;
        assert!(matches!(made.status, 200 | 201), "{path}: {}", made.text());
        made.json()
    }

    async fn rates(&self, carrier: Uuid, sheet: &str) {
        let headers = [("X-API-Key", self.stage.node.key.as_str()), ("Content-Type", "text/csv")];
        let path = format!("/v1/carriers/{carrier}/rates");
        let put = send(self.stage.node.app.app_address, "PUT", &path, &headers, sheet.as_bytes()).await;
        assert_eq!(put.status, 201, "{}", put.text());
    }

    fn id(&self, which: usize) -> &str {
        self.extensions[which]["id"].as_str().unwrap()
    }

    async fn patch(&self, which: usize, patch: Value) {
        self.make("PATCH", &format!("/v1/tenants/{}/extensions/{}", self.tenant, self.id(which)), patch).await;
    }

    async fn handle(&self, which: usize, calls: Value) {
        self.patch(which, json!({ "calls": calls })).await;
    }

    async fn settings(&self, settings: Value) {
        self.make("PATCH", &format!("/v1/tenants/{}/settings", self.tenant), settings).await;
    }

    async fn routing(&self, routing: Value) {
        self.settings(json!({ "routing": routing })).await;
    }

    async fn group(&self, number: &str, members: &[usize], more: Value) {
        let members = members.iter().map(|n| self.id(*n)).collect::<Vec<_>>();
        let mut new = json!({ "name": format!("g{number}"), "number": number, "members": members, "ring_seconds": 5 });
        new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.make("POST", &format!("/v1/tenants/{}/groups", self.tenant), new).await;
    }

    async fn destination(&self, number: &str, kind: &str, config: Value) -> Value {
        let new = json!({ "name": format!("{kind}-{number}"), "number": number, "kind": kind, "config": config });
        self.make("POST", &format!("/v1/tenants/{}/destinations", self.tenant), new).await
    }

    fn target(&self, which: usize) -> Value {
        json!({ "kind": "extension", "id": self.id(which) })
    }

    /// What becomes of a call of this phone.
    async fn dials(&self, who: usize, number: &str) -> Vec<String> {
        self.dials_while(who, number, &[]).await
    }

    async fn dials_while(&self, who: usize, number: &str, states: States<'_>) -> Vec<String> {
        let mut way = Vec::new();
        self.follow(self.channel(who).await, self.domain.clone(), number.to_owned(), states, &mut way).await;
        way
    }

    /// What becomes of a call of this phone that another one took, and transfers.
    async fn transferred(&self, who: usize, by: usize, number: &str, states: States<'_>) -> Vec<String> {
        self.sent(self.channel(who).await, ("taken_by", by), number, states).await
    }

    /// What becomes of a call from outside that a phone took, and transfers.
    async fn transferred_from(&self, outside: &str, by: usize, number: &str, states: States<'_>) -> Vec<String> {
        let channel = BTreeMap::from([("caller".to_owned(), outside.to_owned())]);
        self.sent(channel, ("taken_by", by), number, states).await
    }

    /// What becomes of a phone that was called, if whoever called it transfers it. Its channel knows for which phone it was made.
    async fn transferred_callee(&self, who: usize, by: usize, number: &str, states: States<'_>) -> Vec<String> {
        let channel = BTreeMap::from([
            ("dialed_user".to_owned(), format!("{}", 1000 + who)),
            ("dialed_domain".to_owned(), self.domain.clone()),
            ("dialplane_extension".to_owned(), self.id(who).to_owned()),
            ("dialplane_taken_by".to_owned(), format!("{}@{}", 1000 + who, self.domain)),
        ]);
        self.sent(channel, ("made_by", by), number, states).await
    }

    async fn sent(
        &self,
        mut channel: BTreeMap<String, String>,
        (how, by): (&str, usize),
        number: &str,
        states: States<'_>,
    ) -> Vec<String> {
        channel.insert(format!("dialplane_{how}"), format!("{}@{}", 1000 + by, self.domain));
        let mut way = Vec::new();
        self.follow(channel, self.domain.clone(), number.to_owned(), states, &mut way).await;
        way
    }

    /// The channel of a phone that calls.
    async fn channel(&self, who: usize) -> BTreeMap<String, String> {
        let user = format!("{}", 1000 + who);
        let mut channel = BTreeMap::from([
            ("user_name".to_owned(), user.clone()),
            ("domain_name".to_owned(), self.domain.clone()),
            ("dialplane_number".to_owned(), user.clone()),
        ]);
        // The directory says whether the phone may call, and what its calls carry.
        let asks = format!(
            "hostname=fs&section=directory&tag_name=domain&key_name=name&key_value={0}&Event-Name=REQUEST_PARAMS&action=sip_auth&sip_auth_method=INVITE&sip_auth_realm={0}&key=id&user={user}&domain={0}",
            self.domain
        );
        let directory = unescaped(&self.stage.node.fetch(&asks).await.text());
        for line in directory.lines().filter(|line| line.contains("<variable name=\"dialplane_")) {
            let mut values = line.split('"').skip(1).step_by(2);
            if let (Some(name), Some(value)) = (values.next(), values.next()) {
                channel.insert(name.to_owned(), value.to_owned());
            }
        }
        channel
    }

    /// What becomes of a call from outside.
    async fn comes_in(&self, from: &str, number: &str) -> Vec<String> {
        let channel = BTreeMap::from([("caller".to_owned(), from.to_owned())]);
        let mut way = Vec::new();
        self.follow(channel, "public".into(), number.to_owned(), &[], &mut way).await;
        way
    }

    /// Follows a call as a switch does.
    fn follow<'a>(
        &'a self,
        mut channel: BTreeMap<String, String>,
        context: String,
        number: String,
        states: States<'a>,
        way: &'a mut Vec<String>,
    ) -> LocalBoxFuture<'a, ()> {
        async move {
            let call = Uuid::new_v4();
            let (mut context, mut number, mut last) = (context, number, "NORMAL_CLEARING".to_owned());
            for _ in 0..20 {
                let document = self.fetch(&channel, call, &context, &number).await;
                let mut led = None;
                for (application, data) in applications(&document) {
                    match application.as_str() {
                        "set" | "export" => {
                            let (name, value) = data.split_once('=').unwrap_or((&data, ""));
                            channel.insert(name.to_owned(), value.to_owned());
                        }
                        "unset" => _ = channel.remove(&data),
                        "set_profile_var" => {
                            if let Some(number) = data.strip_prefix("caller_id_number=") {
                                channel.insert("caller".to_owned(), number.to_owned());
                            }
                        }
                        "bridge" => {
                            let fails = self.bridge(&channel, &data, states, way).await;
                            let Some(cause) = fails else { return };
                            let goes_on = channel
                                .get("continue_on_fail")
                                .is_some_and(|on| on == "true" || on.split(',').any(|known| known == cause));
                            if !goes_on {
                                return way.push(format!("ends {cause}"));
                            }
                            channel.insert("originate_disposition".to_owned(), cause.clone());
                            last = cause;
                        }
                        "transfer" => {
                            let mut words = data.split(' ');
                            led = words.next().map(|to| (to.to_owned(), words.nth(1).unwrap_or(&context).to_owned()));
                            break;
                        }
                        "hangup" => return way.push(format!("ends {data}")),
                        "callcenter" => return way.push("waits in a queue".into()),
                        "ivr" => return way.push("hears a menu".into()),
                        "echo" => return way.push("hears itself".into()),
                        "conference" if channel.contains_key("conference_auto_outcall_prefix") => return,
                        "conference_set_auto_outcall" => {
                            let shown = ["name", "number"]
                                .map(|part| channel.get(&format!("conference_auto_outcall_caller_id_{part}")).cloned());
                            let [Some(name), Some(number)] = shown else { panic!("nobody pages: {channel:?}") };
                            let hidden = if number == "anonymous" {
                                " as nobody".to_owned()
                            } else {
                                format!(" as {name} <{number}>")
                            };
                            way.push(format!("pages {}{hidden}", extension(&data)));
                        }
                        "conference" => return way.push("is in a conference".into()),
                        "valet_park" => {
                            let slot = data.split_once(' ').map_or("", |(_, slot)| slot);
                            return way.push(format!("slot {slot}"));
                        }
                        "pickup" => way.push(format!("picks up {}", extension(&data))),
                        "playback" => way.push("hears something".into()),
                        "voicemail" => {
                            let words = data.split(' ').collect::<Vec<_>>();
                            return way.push(match words.first() {
                                Some(&"check") => format!("opens {}", words.get(3).unwrap_or(&"a mailbox")),
                                _ => format!("leaves a message for {}", words.last().unwrap()),
                            });
                        }
                        _ => {}
                    }
                }
                let Some(to) = led else { return way.push(format!("ends {last}")) };
                (number, context) = to;
            }
            panic!("the call goes on and on: {way:?}");
        }
        .boxed_local()
    }

    async fn fetch(&self, channel: &BTreeMap<String, String>, call: Uuid, context: &str, number: &str) -> String {
        let encoded = |text: &str| {
            percent_encoding::percent_encode(text.as_bytes(), percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let mut form = format!("{}&Unique-ID={call}", call_form(&encoded(number), context));
        for (name, value) in channel {
            let field = match name.as_str() {
                "caller" => "Caller-Caller-ID-Number".to_owned(),
                "user_name" | "domain_name" | "dialed_user" | "dialed_domain" | "originate_disposition" => {
                    format!("variable_{name}")
                }
                _ if name.starts_with("dialplane_") => format!("variable_{name}"),
                _ => continue,
            };
            form.extend(["&", &field, "=", &encoded(value)]);
        }
        let answer = self.stage.node.fetch(&form).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }

    /// Rings all legs of a bridge. Returns why it failed, if nobody answers.
    async fn bridge(
        &self,
        channel: &BTreeMap<String, String>,
        data: &str,
        states: States<'_>,
        way: &mut Vec<String>,
    ) -> Option<String> {
        let state = |who: &str| states.iter().find(|(name, _)| *name == who).map(|(_, state)| (*state).to_owned());
        let shown = channel.get("effective_caller_id_number").or_else(|| channel.get("caller"));
        let (mut rung, mut fails, mut taken) = (Vec::new(), None, false);
        for (variables, target) in legs(data) {
            if let Some(rest) = target.strip_prefix("user/") {
                let number = extension(rest).to_owned();
                match state(&number) {
                    Some(cause) => fails = Some(cause),
                    None => taken = true,
                }
                rung.push(number);
            } else if let Some(rest) = target.strip_prefix("sofia/gateway/c") {
                let (id, number) = rest.split_once('/').unwrap();
                let id = id.parse::<Uuid>().unwrap();
                let which = self.carriers.iter().position(|carrier| *carrier == id).expect("one of the row's carriers");
                let shows = shown.map_or("nobody", String::as_str);
                let anonymous = variables.iter().any(|variable| variable.contains("sip_from_display=Anonymous"));
                let shows = if anonymous { "anonymous" } else { shows };
                way.push(format!("calls {number} by carrier {which} as {shows}"));
                match state(&format!("carrier {which}")) {
                    Some(cause) => fails = Some(cause),
                    None => taken = true,
                }
            } else if let Some(rest) = target.strip_prefix("loopback/") {
                let (number, domain) = rest.split_once('/').unwrap();
                let mut other = BTreeMap::new();
                for variable in variables.iter().filter(|variable| variable.starts_with("dialplane_")) {
                    let (name, value) = variable.split_once('=').unwrap();
                    other.insert(name.to_owned(), value.to_owned());
                }
                let mut led = Vec::new();
                self.follow(other, domain.to_owned(), number.to_owned(), states, &mut led).await;
                taken |= led.last().is_none_or(|last| !last.starts_with("ends "));
                way.extend(led);
            } else if target.starts_with("sofia/") {
                // To a number of the platform.
                way.push(format!("calls {}", target.rsplit('/').next().unwrap()));
                taken = true;
            }
        }
        if !rung.is_empty() {
            let hidden = shown.is_some_and(|shown| shown == "anonymous");
            way.push(format!("rings {}{}", rung.join(" "), if hidden { " as nobody" } else { "" }));
        }
        if taken { None } else { Some(fails.unwrap_or_else(|| "NO_ANSWER".into())) }
    }
}

fn unescaped(document: &str) -> String {
    quick_xml::escape::unescape(document).unwrap().into_owned()
}

/// The applications of a document, with their arguments.
fn applications(document: &str) -> Vec<(String, String)> {
    let actions = document.lines().filter(|line| line.contains("<action "));
    let read = |line: &str| {
        let value = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| unescaped(value))
        };
        Some((value("application")?, value("data").unwrap_or_default()))
    };
    actions.filter_map(read).collect()
}

/// The extension in `NAME@DOMAIN`, without a device.
fn extension(address: &str) -> &str {
    let name = address.trim_start_matches("user/").split('@').next().unwrap_or_default();
    name.split('~').next().unwrap_or_default()
}

/// The legs of a dial string, each with its variables.
fn legs(data: &str) -> Vec<(Vec<String>, String)> {
    let mut all = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let mut variables = Vec::new();
        if let Some(inside) = rest.strip_prefix('[') {
            let (text, after) = inside.split_once(']').unwrap();
            variables = match text.strip_prefix("^^!") {
                Some(text) => text.split('!').map(str::to_owned).collect(),
                None => text.split(',').map(str::to_owned).collect(),
            };
            rest = after;
        }
        let (target, after) = rest.split_once(',').unwrap_or((rest, ""));
        all.push((variables, target.to_owned()));
        rest = after;
    }
    all
}

#[actix_web::test]
async fn calls_go_as_the_table_says_without_a_switch() {
    let stage = Rc::new(Stage::new().await);
    // Each row has its own.
    for carrier in &stage.carriers {
        let gone = stage.node.api("DELETE", &format!("/v1/carriers/{carrier}"), Value::Null).await;
        assert!(gone.status < 300, "{}", gone.text());
    }
    let rows = cases::rows();
    assert!(rows.len() >= 125, "{}", rows.len());
    for (place, case) in rows.iter().enumerate() {
        assert!(
            LIVE.contains(&format!("\"{}\"", case.name)),
            "the table of calls has no row of this name: {}",
            case.name
        );
        println!("{}", case.name);
        (case.play)(Row::new(Rc::clone(&stage), place, case.needs).await).await;
    }
    Rc::into_inner(stage).expect("all rows are over").stop().await;
}
