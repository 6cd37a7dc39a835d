//! A call survives at the phone in the browser, at a real switch: a reload, a lost connection, a computer that sleeps. Times are written down,
//! not asserted.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use fantoccini::Locator;
use serde_json::{Value, json};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{
    browser_phone::{Office, Person},
    chromium::Chromium,
    harness::Database,
    switch::write_sound,
};

/// What leads from the browser to the switch's WebSocket, and may break.
struct Wire {
    port: u16,
    is_cut: watch::Sender<bool>,
}

impl Wire {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let (is_cut, cut) = watch::channel(false);
        actix_web::rt::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut cut = cut.clone();
                actix_web::rt::spawn(async move {
                    if *cut.borrow() {
                        return;
                    }
                    let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.wait_for(|is_cut| *is_cut) => {}
                    }
                });
            }
        });
        Self { port: own, is_cut }
    }

    fn cut(&self, is_cut: bool) {
        self.is_cut.send_replace(is_cut);
    }
}

impl Office {
    /// The node listens to the switch, and holds its link. There is music that can be heard.
    pub async fn listens(&self) {
        // Long, as there are prompts without sound beside it.
        let music = (0..2_400_000).map(|at| if at / 4 % 2 == 0 { 8000 } else { -8000 }).collect::<Vec<i16>>();
        write_sound(&self.switch.folder.join("sounds/voicemail/music.wav"), &music);
        let node = &self.site.node;
        let switch = node.api("GET", "/v1/switches", Value::Null).await.json()["items"][0]["id"].clone();
        let (address, password) = self.switch.event_socket();
        let path = format!("/v1/switches/{}/event-socket", switch.as_str().unwrap());
        assert_eq!(node.api("PUT", &path, json!({ "address": address, "password": password })).await.status, 200);
        let began = Instant::now();
        loop {
            let live = node.api("GET", &format!("/v1/live/calls?tenant_id={}", self.tenant), Value::Null).await.json();
            let switch = node.api("GET", &path, Value::Null).await.json();
            if live["unknown"].as_array().is_some_and(Vec::is_empty) && switch["linked_since"].is_string() {
                return;
            }
            assert!(began.elapsed() < Duration::from_mins(1), "the node does not hear the switch: {live} {switch}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The browser's way to the switch leads over a wire.
    async fn wire(&self) -> Wire {
        let wire = Wire::to(self.switch.internal + 6).await;
        let clusters = self.site.node.api("GET", "/v1/clusters", Value::Null).await.json();
        let path = format!("/v1/clusters/{}", clusters["items"][0]["id"].as_str().unwrap());
        let url = json!({ "websocket_url": format!("ws://127.0.0.1:{}", wire.port) });
        assert_eq!(self.site.node.api("PATCH", &path, url).await.status, 200);
        wire
    }

    async fn sets(&self, settings: Value) {
        let path = format!("/v1/tenants/{}/settings", self.tenant);
        let set = self.site.node.api("PATCH", &path, settings).await;
        assert_eq!(set.status, 200, "{}", set.text());
    }

    pub async fn live_calls(&self) -> Vec<Value> {
        let path = format!("/v1/live/calls?tenant_id={}", self.tenant);
        self.site.node.api("GET", &path, Value::Null).await.json()["items"].as_array().unwrap().clone()
    }

    pub async fn has_no_calls(&self) {
        let began = Instant::now();
        while !self.live_calls().await.is_empty() {
            assert!(began.elapsed() < Duration::from_secs(30), "{:?}", self.live_calls().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the other side is put aside.
    async fn puts_aside(&self) {
        let began = Instant::now();
        while !self.channels().contains(",playback,") {
            assert!(began.elapsed() < Duration::from_mins(1), "{}\n{}", self.channels(), self.switch.log());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    fn channels(&self) -> String {
        self.switch.api("show channels")
    }
}

impl Person {
    /// Milliseconds from the beginning of the page until its call stands again.
    async fn is_back(&self) -> f64 {
        let script = "const done = arguments[arguments.length - 1]; const began = performance.now();
            const look = () => {
              const card = document.querySelector('article.call');
              if (card?.matches('.talking') && !card.matches('.returning')) done(performance.now());
              else if (performance.now() - began > 60000) done(-1);
              else setTimeout(look, 5);
            }; look();";
        let at = self.browser.page.execute_async(script, vec![]).await.unwrap().as_f64().unwrap();
        assert!(at > 0.0, "the call is not back: {}", self.browser.text().await);
        at
    }

    /// Loads the page anew, and returns after how many milliseconds the call stood again.
    pub async fn reloads(&self) -> f64 {
        self.browser.page.refresh().await.unwrap();
        self.listens().await;
        self.is_back().await
    }

    /// Waits until the page says that the call is back.
    async fn comes_back(&self, name: &str, office: &Office) {
        let words = format!("{name} is back on the line.");
        let began = Instant::now();
        let mut said = Vec::new();
        loop {
            let now =
                self.browser.page.execute("return document.querySelector('[data-part=said]').textContent", vec![]);
            let now = now.await.unwrap().as_str().unwrap_or_default().to_owned();
            if now == words {
                return;
            }
            if said.last() != Some(&now) {
                said.push(now);
            }
            let live = office.live_calls().await;
            assert!(began.elapsed() < Duration::from_secs(40), "{said:?} {live:?}\n{}", office.switch.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Calls, without a look at what is suggested.
    async fn dials(&self, number: &str) {
        self.types(number).await;
        let script = "document.querySelector('[data-part=call]').click()";
        self.browser.page.execute(script, vec![]).await.unwrap();
    }

    /// Until the control plane knows the call, it would end with the page.
    pub async fn is_kept(&self) {
        kept(self, 1).await;
    }
}

fn written(what: &str, milliseconds: f64) {
    println!("{what}: {:.2} s", milliseconds / 1000.0);
}

/// All processes that the browser's driver has started, and whether they run.
fn freezes(browser: &Chromium, is_frozen: bool) {
    let mut all = HashSet::from([browser.id()]);
    loop {
        let before = all.len();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(id) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
            if parent.and_then(|parent| parent.parse::<u32>().ok()).is_some_and(|parent| all.contains(&parent)) {
                all.insert(id);
            }
        }
        if all.len() == before {
            break;
        }
    }
    all.remove(&browser.id());
    let signal = if is_frozen { nix::sys::signal::Signal::SIGSTOP } else { nix::sys::signal::Signal::SIGCONT };
    for id in all {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(id).unwrap()), signal);
    }
}

#[actix_web::test]
async fn a_call_is_there_again_after_a_reload_whoever_called() {
    let database = Database::new().await;
    let Some(office) = Office::open(&database).await else { return };
    office.listens().await;
    let Some(grace) = office.person("Grace").await else { return };
    let desk = office.desk_phone("1500").await;

    // Called, with something noted, and muted.
    let call = desk.calls(&grace.number);
    grace.sees("Desk 1500 is calling.").await;
    grace.click("Answer").await;
    call.answered().await;
    call.hears_something().await;
    grace.hears().await;
    grace.is_kept().await;
    let notes = grace.browser.page.find(Locator::Id("phone-notes")).await.unwrap();
    notes.send_keys("Wants a desk lamp.").await.unwrap();
    written("reloaded as callee", grace.reloads().await);
    call.hears_something().await;
    grace.hears().await;
    grace.sees("Desk 1500").await;
    assert!(call.is_up());
    let notes = grace.browser.page.find(Locator::Id("phone-notes")).await.unwrap();
    assert_eq!(notes.prop("value").await.unwrap().unwrap(), "Wants a desk lamp.");
    // Again, muted: nobody hears her, and still nobody does after it.
    grace.is_kept().await;
    grace.click("Mute").await;
    grace.sees("Nobody hears you.").await;
    written("reloaded again", grace.reloads().await);
    grace.sees("Nobody hears you.").await;
    grace.hears().await;
    grace.click("Mute").await;
    call.hears_something().await;
    // On hold it is on hold.
    grace.is_kept().await;
    grace.click("Hold").await;
    grace.sees("On hold").await;
    written("reloaded on hold", grace.reloads().await);
    grace.sees("On hold").await;
    grace.click("Hold").await;
    grace.sees("Talking").await;
    grace.hears().await;
    call.hears_something().await;
    assert_eq!(office.live_calls().await.len(), 1, "{:?}", office.live_calls().await);
    // The other side hangs up, and she sees it.
    call.hangs_up().await;
    grace.has_no_call().await;
    grace.sees("The call with Desk 1500 has ended.").await;
    // All of it is one call in the records, and what she noted is saved with it.
    grace.browser.page.wait().for_element(Locator::Css("[data-part=save]:not([disabled])")).await.unwrap();
    grace.click("Save").await;
    grace.sees("Saved.").await;
    office.has_no_calls().await;
    let kept = office.site.node.api("GET", &format!("/v1/calls?tenant_id={}", office.tenant), Value::Null).await.json();
    let kept = kept["items"].as_array().unwrap();
    assert_eq!((kept.len(), &kept[0]["notes"]), (1, &json!("Wants a desk lamp.")), "{kept:?}");

    // She called. She hangs up.
    grace.dials("1500").await;
    let call = desk.rings().await.answers().await;
    grace.sees("Talking").await;
    call.hears_something().await;
    grace.is_kept().await;
    written("reloaded as caller", grace.reloads().await);
    call.hears_something().await;
    grace.hears().await;
    grace.click("Hang up").await;
    call.ended().await;
    grace.has_no_call().await;
    office.has_no_calls().await;
    // Another leg's record may come while the notes are saved: then the page reads it and saves them again.
    let complaints = grace.browser.complaints().await;
    let others = complaints.iter().filter(|said| !(said.contains("/v1/calls/") && said.contains("status of 412")));
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&String>::new());
    office.close(vec![grace]).await;
}

/// Nobody is interrupted while the page's connection to the switch is cut for so long.
async fn cut(seconds: u64) {
    let database = Database::new().await;
    let Some(office) = Office::open(&database).await else { return };
    office.listens().await;
    let wire = office.wire().await;
    let Some(grace) = office.person("Grace").await else { return };
    let desk = office.desk_phone("1500").await;
    let call = desk.calls(&grace.number);
    grace.sees("Desk 1500 is calling.").await;
    grace.click("Answer").await;
    call.answered().await;
    grace.hears().await;
    grace.is_kept().await;
    wire.cut(true);
    grace.sees("Connection lost").await;
    let began = Instant::now();
    // Both hear each other all the time: sound takes another way.
    while began.elapsed() < Duration::from_secs(seconds) {
        grace.hears_packets(20.0).await;
        call.hears_something().await;
        assert!(!office.channels().contains(",playback,"), "nobody hears music");
    }
    wire.cut(false);
    let began = Instant::now();
    grace.comes_back("Desk 1500", &office).await;
    written(&format!("back after a cut of {seconds} s"), began.elapsed().as_secs_f64() * 1000.0);
    grace.hears().await;
    call.hears_something().await;
    call.hangs_up().await;
    grace.has_no_call().await;
    office.has_no_calls().await;
    office.close(vec![grace]).await;
}

#[actix_web::test]
async fn a_cut_of_five_seconds_interrupts_nobody_and_the_end_is_seen_after_it() {
    cut(5).await;
}

#[actix_web::test]
async fn a_cut_of_a_minute_interrupts_nobody_either() {
    cut(60).await;
}

#[actix_web::test]
async fn whoever_talks_to_a_computer_that_falls_asleep_hears_music_until_it_wakes() {
    let database = Database::new().await;
    let Some(office) = Office::open(&database).await else { return };
    office.listens().await;
    let Some(grace) = office.person("Grace").await else { return };
    let desk = office.desk_phone("1500").await;
    let call = desk.calls(&grace.number);
    grace.sees("Desk 1500 is calling.").await;
    grace.click("Answer").await;
    call.answered().await;
    grace.hears().await;
    grace.is_kept().await;
    freezes(&grace.browser, true);
    let began = Instant::now();
    office.puts_aside().await;
    call.hears_something().await;
    println!("music after {:.1} s", began.elapsed().as_secs_f64());
    assert!(began.elapsed() >= Duration::from_secs(9), "nobody is put aside before");
    freezes(&grace.browser, false);
    let began = Instant::now();
    grace.comes_back("Desk 1500", &office).await;
    written("back after sleep", began.elapsed().as_secs_f64() * 1000.0);
    grace.hears().await;
    call.hears_something().await;
    call.hangs_up().await;
    grace.has_no_call().await;
    office.has_no_calls().await;
    office.close(vec![grace]).await;
}

#[actix_web::test]
async fn who_is_not_back_in_time_loses_the_call_to_the_mailbox_or_the_queue() {
    let database = Database::new().await;
    let Some(office) = Office::open(&database).await else { return };
    office.listens().await;
    office.sets(json!({ "calling": { "return_seconds": 10 } })).await;
    let Some(grace) = office.person("Grace").await else { return };
    let desk = office.desk_phone("1500").await;
    let call = desk.calls(&grace.number);
    grace.sees("Desk 1500 is calling.").await;
    grace.click("Answer").await;
    call.answered().await;
    grace.hears().await;
    grace.is_kept().await;
    // The page is gone for longer than the ten seconds, and back within the others.
    grace.browser.page.goto("about:blank").await.unwrap();
    office.puts_aside().await;
    assert!(office.channels().contains(",park,"), "her leg waits: {}", office.channels());
    grace.browser.page.back().await.unwrap();
    grace.listens().await;
    written("back after ten seconds", grace.is_back().await);
    grace.hears().await;
    call.hears_something().await;
    grace.is_kept().await;
    // This time it does not come back.
    grace.browser.page.goto("about:blank").await.unwrap();
    office.puts_aside().await;
    let began = Instant::now();
    while !office.channels().contains("voicemail") {
        assert!(began.elapsed() < Duration::from_mins(1), "{}\n{}", office.channels(), office.switch.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("in the mailbox {:.1} s after the music began", began.elapsed().as_secs_f64());
    // Her old leg waits a few seconds longer: until then, she would get the call back out of the mailbox.
    let began = Instant::now();
    while office.channels().contains(",park,") {
        assert!(began.elapsed() < Duration::from_mins(1), "{}", office.channels());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // Back too late, the page says so.
    grace.browser.page.back().await.unwrap();
    grace.sees("The call with Desk 1500 ended while this page was away.").await;
    call.hangs_up().await;
    office.has_no_calls().await;
    office.close(vec![grace]).await;
}

#[actix_web::test]
async fn a_caller_of_a_queue_waits_there_again_if_the_agent_is_not_back_in_time() {
    let database = Database::new().await;
    let Some(office) = Office::open(&database).await else { return };
    office.listens().await;
    office.sets(json!({ "calling": { "return_seconds": 10 } })).await;
    let Some(grace) = office.person("Grace").await else { return };
    let desk = office.desk_phone("1500").await;
    let node = &office.site.node;
    let tiers = json!([{ "extension_id": grace.extension["id"] }]);
    let queue = json!({ "name": "Sales", "number": "500", "kind": "queue", "config": { "tiers": tiers, "ring_seconds": 20, "max_wait_seconds": 120 } });
    let made = node.api("POST", &format!("/v1/tenants/{}/destinations", office.tenant), queue).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let queue = made.id();
    let status = format!("/v1/agents/{}/status?tenant_id={}", grace.id, office.tenant);
    let set = node.api("PUT", &status, json!({ "status": "available" })).await;
    assert_eq!(set.status, 200, "{}", set.text());
    let began = Instant::now();
    while !office.switch.api("callcenter_config agent list").contains("|Available|") {
        assert!(began.elapsed() < Duration::from_mins(1), "{}", office.switch.api("callcenter_config agent list"));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let call = desk.calls("500");
    grace.sees("is calling.").await;
    grace.click("Answer").await;
    grace.hears().await;
    grace.is_kept().await;
    written("reloaded with a caller of a queue", grace.reloads().await);
    grace.hears().await;
    call.hears_something().await;
    grace.is_kept().await;
    grace.browser.page.goto("about:blank").await.unwrap();
    let began = Instant::now();
    let waits = format!("callcenter_config queue list members {}.acme.test", queue.simple());
    while !office.switch.api(&waits).contains("|Waiting|") && !office.switch.api(&waits).contains("|Trying|") {
        assert!(began.elapsed() < Duration::from_mins(1), "{}\n{}", office.switch.api(&waits), office.channels());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("in the queue again after {:.1} s", began.elapsed().as_secs_f64());
    call.hangs_up().await;
    office.has_no_calls().await;
    office.close(vec![grace]).await;
}

#[actix_web::test]
async fn two_calls_and_a_room_come_back_and_another_tab_takes_them_along() {
    let database = Database::new().await;
    let Some(office) = Office::open(&database).await else { return };
    office.listens().await;
    let Some(grace) = office.person("Grace").await else { return };
    let (one, other) = (office.desk_phone("1500").await, office.desk_phone("1501").await);
    grace.dials("1500").await;
    let first = one.rings().await.answers().await;
    grace.sees("Talking").await;
    grace.dials("1501").await;
    let second = other.rings().await.answers().await;
    grace.sees("Three-way").await;
    kept(&grace, 2).await;
    // The first one is on hold, and is after it.
    grace.reloads().await;
    grace.sees("On hold").await;
    grace.sees("Three-way").await;
    second.hears_something().await;
    second.does_not_hear(&one).await;
    grace.click("Three-way").await;
    first.hears(&other).await;
    second.hears(&one).await;
    // Three in one conversation, after it as well.
    kept(&grace, 2).await;
    grace.reloads().await;
    grace.sees("End three-way").await;
    first.hears(&other).await;
    second.hears(&one).await;
    grace.click("Hang up").await;
    grace.click("Hang up").await;
    first.ended().await;
    second.ended().await;
    grace.has_no_call().await;

    // A room is entered again.
    let room = json!({ "name": "Room", "number": "502", "kind": "conference", "config": {} });
    let made = office.site.node.api("POST", &format!("/v1/tenants/{}/destinations", office.tenant), room).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let in_room = other.calls("502");
    in_room.answered().await;
    grace.dials("502").await;
    grace.sees("Talking").await;
    in_room.hears_something().await;
    grace.is_kept().await;
    written("reloaded in a room", grace.reloads().await);
    in_room.hears_something().await;
    grace.hears().await;
    grace.click("Hang up").await;
    grace.has_no_call().await;
    in_room.hangs_up().await;
    office.has_no_calls().await;

    // Another tab takes the phone, and the call with it.
    let call = one.calls(&grace.number);
    grace.sees("Desk 1500 is calling.").await;
    grace.click("Answer").await;
    call.answered().await;
    grace.is_kept().await;
    let tab = grace.browser.page.new_window(true).await.unwrap();
    grace.browser.page.switch_to_window(tab.handle).await.unwrap();
    grace.browser.page.goto(&format!("{}/app/phone", office.site.url)).await.unwrap();
    grace.listens().await;
    grace.sees("Calls don’t ring here.").await;
    grace.click("Go online").await;
    grace.sees("Another tab of this browser has the phone.").await;
    grace.click("Use it here").await;
    grace.is_back().await;
    grace.hears().await;
    call.hears_something().await;
    assert!(call.is_up());
    call.hangs_up().await;
    grace.has_no_call().await;
    office.close(vec![grace]).await;
}

async fn kept(person: &Person, calls: usize) {
    let script = "return JSON.parse(sessionStorage.getItem('dialplane-phone') ?? '{}').calls?.length ?? 0";
    let began = Instant::now();
    while person.browser.page.execute(script, vec![]).await.unwrap() != json!(calls) {
        assert!(began.elapsed() < Duration::from_secs(30), "the page does not keep its calls");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What the button "Take over" of the live page asks for.
#[actix_web::test]
async fn a_supervisor_takes_a_call_over_and_the_agents_leg_ends() {
    let database = Database::new().await;
    let Some(office) = Office::open(&database).await else { return };
    office.listens().await;
    let Some(grace) = office.person("Grace").await else { return };
    let joan = office.person("Joan").await.unwrap();
    let desk = office.desk_phone("1500").await;
    let call = desk.calls(&grace.number);
    grace.sees("Desk 1500 is calling.").await;
    grace.click("Answer").await;
    call.answered().await;
    grace.hears().await;
    grace.is_kept().await;
    let live = office.live_calls().await;
    let leg = live[0]["legs"].as_array().unwrap().iter().find(|leg| leg["agent_id"] == grace.id.as_str()).unwrap();
    let path = format!("/v1/live/calls/{}/actions?tenant_id={}", live[0]["id"].as_str().unwrap(), office.tenant);
    let taken = json!({ "action": "transfer", "leg_id": leg["id"], "to": joan.number });
    let taken = office.site.node.api("POST", &path, taken).await;
    assert_eq!(taken.status, 200, "{}", taken.text());
    grace.has_no_call().await;
    joan.sees("Desk 1500 is calling.").await;
    assert!(call.is_up(), "the caller waits");
    joan.click("Answer").await;
    joan.sees("Talking").await;
    joan.hears().await;
    call.hears_something().await;
    call.hangs_up().await;
    joan.has_no_call().await;
    office.has_no_calls().await;
    office.close(vec![grace, joan]).await;
}
