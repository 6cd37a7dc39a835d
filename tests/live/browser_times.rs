//! How long the phone in the browser takes, at a real switch: prints medians for docs/performance.md. What they are is not asserted, as machines differ.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    browser_phone::{Office, Person},
    chromium::Chromium,
    harness::Database,
};

const ROUNDS: usize = 9;

/// Waits in the page until something is so, and returns when that was, in milliseconds since 1970.
const UNTIL: &str = "const until = (is) => new Promise((done) => {
        const look = async () => { if (await is()) done(performance.timeOrigin + performance.now()); else setTimeout(look, 2); }; look(); });
    const now = () => performance.timeOrigin + performance.now();
    const heard = async () => { for (const one of window.connections.filter((one) => one.connectionState !== 'closed'))
        for (const part of (await one.getStats()).values()) if (part.type === 'inbound-rtp' && part.packetsReceived > 0) return true; return false; };
    const state = (wanted) => () => document.getElementById('phone')?.dataset.state === wanted;
    const card = (kind) => () => document.querySelector(`article.call.${kind}`);
    const click = (act) => document.querySelector(act).click();
    const answer = arguments[arguments.length - 1];";

impl Person {
    async fn measures(&self, script: &str) -> f64 {
        let whole = format!("{UNTIL} (async () => {{ {script} }})().then(answer, (error) => answer(String(error)))");
        let told = self.browser.page.execute_async(&whole, vec![]).await.unwrap();
        told.as_f64().unwrap_or_else(|| panic!("{script}: {told}"))
    }

    /// Begins to wait for something, which is asked for later.
    async fn notes(&self, name: &str, is: &str) {
        let script = format!("{UNTIL} window['{name}'] = until({is}); answer(0)");
        self.browser.page.execute_async(&script, vec![]).await.unwrap();
    }

    async fn noted(&self, name: &str) -> f64 {
        self.measures(&format!("return window['{name}']")).await
    }
}

fn median(mut all: Vec<f64>) -> String {
    all.sort_by(f64::total_cmp);
    format!("{:.0} ms ({:.0} to {:.0})", all[all.len() / 2], all[0], all[all.len() - 1])
}

#[actix_web::test]
async fn the_times_of_the_phone_in_the_browser_are_written_down() {
    let database = Database::new().await;
    let Some(office) = Office::open(&database).await else { return };
    office.listens().await;
    let Some(grace) = office.person("Grace").await else { return };
    let joan = office.person("Joan").await.unwrap();

    // The page is opened, and goes online by itself; and with a click.
    let (mut opened, mut clicked) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        grace.browser.page.refresh().await.unwrap();
        opened.push(grace.measures("return await until(state('registered')) - performance.timeOrigin").await);
        grace.browser.click("Go offline").await;
        let script =
            "const began = now(); click('[data-part=buttons] .first'); return await until(state('registered')) - began";
        clicked.push(grace.measures(script).await);
    }
    let (mut rings, mut sound, mut back) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for one in [&grace, &joan] {
            one.listens().await;
        }
        joan.notes("rang", "card('ringing')").await;
        grace.types(&joan.number).await;
        let script = "const began = now(); click('[data-part=call]'); return began";
        let began = grace.measures(script).await;
        rings.push(joan.noted("rang").await - began);
        // From the answer until packets come, at both.
        grace.notes("heard", "heard").await;
        let script = "const began = now(); click('[data-act=answer]'); window.heardAt = until(heard); return began";
        let answered = joan.measures(script).await;
        sound.push(joan.measures("return window.heardAt").await - answered);
        sound.push(grace.noted("heard").await - answered);
        joan.sees("Talking").await;
        joan.is_kept().await;
        grace.is_kept().await;
        back.push(joan.reloads().await);
        joan.hears().await;
        grace.click("Hang up").await;
        grace.has_no_call().await;
        joan.has_no_call().await;
    }
    println!("page opened to registered: {}", median(opened));
    println!("click on Go online to registered: {}", median(clicked));
    println!("click on Call to the other's ring: {}", median(rings));
    println!("answer to sound: {}", median(sound));
    println!("reload in a call to the call being back: {}", median(back));
    office.has_no_calls().await;
    office.close(vec![grace, joan]).await;
}

/// What a page holds after its garbage is collected: bytes of the heap, nodes of the document, and connections for sound that are not closed.
async fn holds(person: &Person) -> (f64, f64, f64) {
    for command in ["HeapProfiler.enable", "HeapProfiler.collectGarbage"] {
        person.browser.devtools(command, json!({})).await;
    }
    let heap = person.browser.devtools("Runtime.getHeapUsage", json!({})).await;
    let used = heap["usedSize"].as_f64().unwrap_or_else(|| panic!("{heap}"));
    let nodes = person.measures("return document.getElementsByTagName('*').length").await;
    (used, nodes, person.measures("return window.opened").await)
}

/// `DIALPLANE_CALLS=200` makes as many as docs/performance.md has.
#[actix_web::test]
async fn calls_in_a_row_leave_the_page_as_it_was() {
    const FIRST: u32 = 5;
    let database = Database::new().await;
    let Some(office) = Office::open(&database).await else { return };
    let Some(grace) = office.person("Grace").await else { return };
    let joan = office.person("Joan").await.unwrap();
    for one in [&grace, &joan] {
        one.browser.page.refresh().await.unwrap();
        one.browser.sees(&format!("Calls for {} ring here.", one.number)).await;
        // Counts connections without keeping them.
        let script = "window.opened = 0; const Real = RTCPeerConnection;
            window.RTCPeerConnection = class extends Real {
              constructor(...all) { super(...all); window.opened += 1; }
              close() { if (this.signalingState !== 'closed') window.opened -= 1; super.close(); } };";
        one.browser.page.execute(script, vec![]).await.unwrap();
    }
    let calls = std::env::var("DIALPLANE_CALLS").ok().and_then(|calls| calls.parse().ok()).unwrap_or(15_u32);
    let mut before = [(0.0, 0.0, 0.0); 2];
    for call in 0..calls {
        // Lists of calls and whatever is loaded once are there after the first few.
        if call == FIRST {
            before = [holds(&grace).await, holds(&joan).await];
        }
        joan.notes("rang", "card('ringing')").await;
        grace.types(&joan.number).await;
        grace.measures("click('[data-part=call]'); return 0").await;
        joan.noted("rang").await;
        joan.measures("click('[data-act=answer]'); return 0").await;
        grace.sees("Talking").await;
        joan.sees("Talking").await;
        grace.click("Hang up").await;
        grace.has_no_call().await;
        joan.has_no_call().await;
    }
    let rounds = f64::from(calls - FIRST);
    for (who, (person, before)) in [&grace, &joan].into_iter().zip(before).enumerate() {
        let after = holds(person).await;
        let each = (after.0 - before.0) / rounds;
        println!(
            "page {who}, {calls} calls: {} kB of heap, {each:.0} bytes more for each call, {} nodes (before: {})",
            (after.0 / 1000.0).round(),
            after.1,
            before.1
        );
        // The page's list of calls grows by a line for each. A session with its sound would be more.
        assert!(each < 100_000.0, "{before:?} {after:?}");
        assert!(after.1 < before.1 + 200.0, "{before:?} {after:?}");
        assert!(after.2 < 1.0, "a connection is left open: {after:?}");
    }
    office.has_no_calls().await;
    office.close(vec![grace, joan]).await;
}

/// Seconds of processor time that a browser and all its processes have used.
fn processor(browser: &Chromium) -> f64 {
    let stats = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name may have blanks and brackets.
        let fields = stat[stat.rfind(')')? + 2..].split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
        let id = entry.file_name().to_str()?.parse::<u32>().ok()?;
        let ticks = fields[11].parse::<f64>().ok()? + fields[12].parse::<f64>().ok()?;
        Some((id, fields[1].parse::<u32>().ok()?, ticks / 100.0))
    });
    let all = stats.collect::<Vec<_>>();
    let (mut family, mut seconds) = (vec![browser.id()], 0.0);
    while let Some(id) = family.pop() {
        for (child, _, used) in all.iter().filter(|(_, parent, _)| *parent == id) {
            family.push(*child);
            seconds += used;
        }
    }
    seconds
}

/// A page with JsSIP and nothing else, served to one browser.
async fn bare_page() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/app/web/assets/jssip-3.13.8.min.js");
    let script = std::fs::read_to_string(file).unwrap();
    let page = format!("<!doctype html><title>Bare</title><audio autoplay></audio><script>{script}</script>");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    actix_web::rt::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                page.len()
            );
            let _ = stream.write_all((head + &page).as_bytes()).await;
        }
    });
    url
}

#[actix_web::test]
async fn what_the_page_costs_in_a_call_beside_jssip_alone_is_written_down() {
    let database = Database::new().await;
    let Some(office) = Office::open(&database).await else { return };
    let Some(grace) = office.person("Grace").await else { return };
    let joan = office.person("Joan").await.unwrap();
    let long = std::env::var("DIALPLANE_CALLS").map_or(Duration::from_secs(5), |_| Duration::from_secs(30));
    let used = async |browser: &Chromium| {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let before = processor(browser);
        tokio::time::sleep(long).await;
        (processor(browser) - before) / long.as_secs_f64()
    };
    let extension =
        office.site.node.extension(office.tenant, json!({ "number": "1077", "voicemail_enabled": false })).await;
    let bare = Chromium::start_with_microphone().await.unwrap();
    bare.page.goto(&bare_page().await).await.unwrap();
    let script = "const [url, user, password, to, done] = arguments;
        const socket = new JsSIP.WebSocketInterface(url);
        window.ua = new JsSIP.UA({ sockets: [socket], uri: `sip:${user}@acme.test`, password, session_timers: false });
        window.ua.on('registered', () => {
          window.call = window.ua.call(`sip:${to}@acme.test`, { mediaConstraints: { audio: true, video: false } });
          window.call.connection.addEventListener('track', ({ streams }) => { document.querySelector('audio').srcObject = streams[0]; });
          window.call.on('confirmed', () => done('talks'));
          window.call.on('failed', ({ cause }) => done(cause)); });
        window.ua.on('registrationFailed', ({ cause }) => done(cause));
        window.ua.start();";
    let text = |name: &str| extension[name].clone();
    let url = json!(format!("ws://127.0.0.1:{}", office.switch.internal + 6));
    let rings = async {
        joan.sees("Answer").await;
        joan.click("Answer").await;
    };
    let arguments = vec![url, text("sip_username"), text("sip_password"), json!(joan.number)];
    let (talks, ()) = tokio::join!(bare.page.execute_async(script, arguments), rings);
    assert_eq!(talks.unwrap(), Value::from("talks"));
    let alone = used(&bare).await;
    bare.page.execute("window.call.terminate(); window.ua.stop()", vec![]).await.unwrap();
    joan.has_no_call().await;
    bare.stop().await;

    grace.calls(&joan.number).await;
    joan.sees("Answer").await;
    joan.click("Answer").await;
    grace.sees("Talking").await;
    let page = used(&grace.browser).await;
    grace.click("Hang up").await;
    joan.has_no_call().await;
    println!("in a call: {page:.3} processors for the page, {alone:.3} for JsSIP alone: {:.2} times", page / alone);
    assert!(alone > 0.0 && page > 0.0, "both are measured");
    office.close(vec![grace, joan]).await;
}
