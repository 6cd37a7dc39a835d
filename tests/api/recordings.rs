//! Recordings on their way from a switch into the store, and from there to listeners.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use dialplane::{
    app::retention::pass,
    model::retention::Retention,
    node::seals,
    switch::sender::{Report, Sender},
    telephony::recordings::{vault::Vault, work},
    text::keyring::{self, Keyring},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Database, Node, send};

/// A node with a tenant, and a call of the tenant that is over.
struct Stage {
    database: Database,
    node: Node,
    tenant: Uuid,
    leg: Uuid,
    /// The store.
    folder: PathBuf,
}

/// A sound that is never silent: 16 bits, 8 kHz.
pub fn wav(channels: u16, frames: usize) -> Vec<u8> {
    let samples = (0..frames * usize::from(channels)).map(|n| i16::try_from(n % 30_011).unwrap() + 1);
    of_samples(channels, &samples.collect::<Vec<_>>())
}

fn of_samples(channels: u16, samples: &[i16]) -> Vec<u8> {
    let (frame, length) = (channels * 2, u32::try_from(samples.len() * 2).unwrap());
    let mut file = [b"RIFF", &(36 + length).to_le_bytes()[..], b"WAVEfmt ", &16_u32.to_le_bytes()].concat();
    file.extend([1, channels].map(u16::to_le_bytes).concat());
    file.extend([8000, 8000 * u32::from(frame)].map(u32::to_le_bytes).concat());
    file.extend([frame, 16].map(u16::to_le_bytes).concat());
    file.extend(b"data");
    file.extend(length.to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}

pub fn basic((name, token): &(String, String)) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("Basic {}", STANDARD.encode(format!("{name}:{token}")))
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Waits until something is so.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < Duration::from_mins(1), "it did not come about: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Stage {
    async fn new() -> Self {
        Self::with_keys(None).await
    }

    async fn with_keys(keys: Option<PathBuf>) -> Self {
        let database = Database::new().await;
        let folder = std::env::temp_dir().join(format!("dialplane-recordings-{}", Uuid::now_v7().simple()));
        let store = folder.clone();
        let node = Node::with(&database, |settings| {
            settings.recordings_dir = Some(store);
            if let Some(keys) = keys {
                settings.key_file = Some(keys);
            }
        })
        .await;
        let tenant = node.tenant("acme.test").await;
        let leg = node.call(tenant).await;
        Self { database, node, tenant, leg, folder }
    }

    fn vault(&self) -> Vault {
        Vault::new(self.folder.clone(), None)
    }

    async fn asks(&self, method: &str, name: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let basic = basic(&self.node.switch);
        let mut all = vec![("Authorization", basic.as_str())];
        all.extend(headers);
        send(self.node.app.switch_address, method, &format!("/fs/recordings/{name}"), &all, body).await
    }

    async fn puts(&self, name: &str, file: &[u8]) -> u16 {
        self.asks("PUT", name, &[], file).await.status
    }

    /// Sends the call's recording, and returns what the API says of it.
    async fn recorded(&self, file: &[u8]) -> Value {
        let name = format!("{}.wav", self.leg);
        assert_eq!(self.puts(&name, file).await, 201);
        let listed = self.get("/v1/recordings", "").await.items();
        listed.as_array().unwrap().iter().find(|one| one["file"] == name).unwrap().clone()
    }

    async fn get(&self, path: &str, query: &str) -> Answer {
        let answer = self.node.api("GET", &format!("{path}?tenant_id={}{query}", self.tenant), Value::Null).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer
    }

    async fn hears(&self, id: &Value, headers: &[(&str, &str)]) -> Answer {
        let path = format!("/v1/recordings/{}/audio?tenant_id={}", id.as_str().unwrap(), self.tenant);
        let mut all = vec![("X-API-Key", self.node.key.as_str())];
        all.extend(headers);
        self.node.api_with("GET", &path, &all, Value::Null).await
    }

    fn path(&self, id: &Value) -> String {
        format!("/v1/recordings/{}?tenant_id={}", id.as_str().unwrap(), self.tenant)
    }

    async fn objects(&self) -> i64 {
        self.database.count("select count(*) from recording_objects").await
    }

    async fn stop(self) {
        self.node.stop().await;
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[actix_web::test]
async fn a_recording_is_kept_sealed_and_heard_again_byte_for_byte() {
    let stage = Stage::new().await;
    // Several chunks, the last of which is not full.
    let file = wav(2, 50_000);
    let recording = stage.recorded(&file).await;
    assert_eq!(
        (&recording["duration_ms"], &recording["channels"], &recording["bytes"], &recording["silences"]),
        (&json!(6250), &json!(2), &json!(file.len()), &json!([])),
        "{recording}"
    );
    let id = &recording["id"];
    let whole = stage.hears(id, &[]).await;
    assert_eq!((whole.status, whole.header("content-type"), whole.body.len()), (200, Some("audio/wav"), file.len()));
    assert!(whole.body == file, "every byte");
    let tag = whole.header("etag").unwrap().to_owned();
    assert_eq!(tag, format!("\"{}\"", recording["sha256"].as_str().unwrap()));
    let last = file.len() - 1;
    for (from, to) in [(0, 0), (0, 99), (65_535, 65_536), (65_536, 131_071), (100, 180_000), (last, last), (0, last)] {
        let part = stage.hears(id, &[("Range", &format!("bytes={from}-{to}"))]).await;
        assert_eq!((part.status, part.body.len()), (206, to + 1 - from), "{from}-{to}");
        assert!(part.body == file[from..=to], "{from}-{to}");
        assert_eq!(part.header("content-range").unwrap(), format!("bytes {from}-{to}/{}", file.len()));
    }
    let end = stage.hears(id, &[("Range", "bytes=-500")]).await;
    assert!(end.status == 206 && end.body == file[file.len() - 500..]);
    let none = stage.hears(id, &[("Range", "bytes=9999999-")]).await;
    assert_eq!((none.status, none.header("content-range").unwrap()), (416, format!("bytes */{}", file.len()).as_str()));
    let same = stage.hears(id, &[("Range", "bytes=0-9"), ("If-Range", &tag)]).await;
    let other = stage.hears(id, &[("Range", "bytes=0-9"), ("If-Range", "\"x\"")]).await;
    assert_eq!((same.status, other.status), (206, 200));

    // In the store, nothing of it can be read.
    let stored = files(&stage.folder);
    assert_eq!(stored.len(), 1, "{stored:?}");
    let sealed = std::fs::read(&stored[0]).unwrap();
    assert!(sealed.len() > file.len() && memchr::memmem::find(&sealed, &file[1000..1032]).is_none());
    assert!(memchr::memmem::find(&sealed, b"RIFF").is_none() && memchr::memmem::find(&sealed, b"WAVE").is_none());

    // The call names it.
    let call = stage.get(&format!("/v1/calls/{}", stage.leg), "").await.json();
    assert_eq!(call["recordings"][0]["id"], *id, "{call:#}");
    stage.stop().await;
}

#[actix_web::test]
async fn the_same_file_again_is_known_and_another_of_its_name_is_refused() {
    let stage = Stage::new().await;
    let (file, name) = (wav(1, 30_000), format!("{}.wav", stage.leg));
    assert_eq!(stage.asks("HEAD", &name, &[], b"").await.status, 204, "it is wanted");
    let recording = stage.recorded(&file).await;
    let known = stage.asks("HEAD", &name, &[], b"").await;
    assert_eq!((known.status, known.header("dialplane-sha256")), (200, recording["sha256"].as_str()));
    assert_eq!(stage.puts(&name, &file).await, 200);
    assert_eq!(stage.puts(&name, &wav(1, 30_001)).await, 409);
    assert_eq!(stage.puts(&format!("{}-17.wav", stage.leg), &wav(1, 30_001)).await, 201, "it has a name of its own");
    let both = stage.get("/v1/recordings", &format!("&call_id={}", stage.leg)).await.items();
    assert_eq!(both.as_array().unwrap().len(), 2, "{both}");
    // Uploads that came twice or were refused left nothing behind.
    assert_eq!((files(&stage.folder).len(), stage.objects().await), (2, 0));
    assert!(stage.hears(&recording["id"], &[]).await.body == file);

    // Two at once: one is stored, the other is known.
    let name = format!("{}-18.wav", stage.leg);
    let (one, other) = tokio::join!(stage.puts(&name, &file), stage.puts(&name, &file));
    let mut both = [one, other];
    both.sort_unstable();
    assert_eq!(both, [200, 201]);
    assert_eq!((files(&stage.folder).len(), stage.objects().await), (3, 0));
    stage.stop().await;
}

#[actix_web::test]
async fn whose_a_recording_is_is_decided_by_the_records_of_its_leg() {
    let stage = Stage::new().await;
    let (file, unknown) = (wav(1, 8000), Uuid::new_v4());
    let early = stage.asks("PUT", &format!("{unknown}.wav"), &[], &file).await;
    assert!(early.status == 404 && early.text().starts_with("unknown_call"), "{}", early.text());
    // What a request says counts only where there are no records, and never for another cluster's tenant.
    let away =
        stage.node.api("POST", "/v1/clusters", json!({ "name": "away", "region": "eu", "max_tenants": 9 })).await;
    let foreign = json!({ "domain": "foreign.test", "cluster_id": away.id() });
    let foreign = stage.node.api("POST", "/v1/tenants", foreign).await;
    assert_eq!(foreign.status, 201, "{}", foreign.text());
    for (domain, status) in [("foreign.test", 404), ("nobody.test", 404), ("ACME.test", 201)] {
        assert_eq!(stage.puts(&format!("{unknown}.wav?domain={domain}"), &file).await, status, "{domain}");
    }
    let other = stage.node.tenant("other.test").await;
    assert_eq!(stage.puts(&format!("{}.wav?domain=other.test", stage.leg), &file).await, 201);
    let theirs = stage.node.api("GET", &format!("/v1/recordings?tenant_id={other}"), Value::Null).await.items();
    assert_eq!(theirs, json!([]), "the leg's records say whose it is");
    let theirs = stage.node.call(foreign.id()).await;
    assert_eq!(stage.puts(&format!("{theirs}.wav"), &file).await, 404, "a call at another cluster's switch");

    for bad in ["x.wav", "", "..%2fx.wav", &format!("{}.mp3", stage.leg), &format!("{}/x.wav", stage.leg)] {
        assert_eq!(stage.puts(bad, &file).await, 400, "{bad}");
    }
    let name = format!("{}-1.wav", stage.leg);
    assert_eq!(stage.asks("POST", &name, &[], &file).await.status, 405);
    assert_eq!(stage.puts(&name, b"no sound at all").await, 415);
    assert_eq!(stage.puts(&name, b"").await, 415);
    let huge = [("Content-Length", "5000000000")];
    let huge = stage.asks("PUT", &name, &huge, b"").await.status;
    assert!(matches!(huge, 400 | 413), "{huge}");
    for credentials in [("fs".to_owned(), "wrong".to_owned()), (stage.node.switch.0.clone(), "dps_wrong".to_owned())] {
        let basic = basic(&credentials);
        let path = format!("/fs/recordings/{name}");
        let answer =
            send(stage.node.app.switch_address, "PUT", &path, &[("Authorization", basic.as_str())], &file).await;
        assert_eq!(answer.status, 401);
    }
    assert_eq!(stage.puts(&name, &file).await, 201, "nothing of that is in the way");
    stage.stop().await;
}

#[actix_web::test]
async fn an_upload_that_is_cut_off_leaves_nothing_and_is_finished_the_next_time() {
    use tokio::io::AsyncWriteExt as _;
    let stage = Stage::new().await;
    let (file, name) = (wav(2, 200_000), format!("{}.wav", stage.leg));
    let head = format!(
        "PUT /fs/recordings/{name} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Length: {}\r\n\r\n",
        basic(&stage.node.switch),
        file.len()
    );
    for part in [&file[..0], &file[..600_000]] {
        let mut stream = tokio::net::TcpStream::connect(stage.node.app.switch_address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(part).await.unwrap();
        until("it has begun", async || stage.objects().await == 1).await;
        drop(stream);
        until("it is forgotten", async || stage.objects().await == 0).await;
        assert_eq!(files(&stage.folder), Vec::<PathBuf>::new());
    }
    assert_eq!(stage.asks("HEAD", &name, &[], b"").await.status, 204, "it is still wanted");

    // A node that dies during an upload leaves a part of the file, and a row that says so.
    let dead = Uuid::now_v7();
    let part = stage.folder.join(stage.tenant.simple().to_string()).join(format!("{}.part", dead.simple()));
    std::fs::create_dir_all(part.parent().unwrap()).unwrap();
    std::fs::write(&part, b"half").unwrap();
    let pool = stage.node.app.changes.pool();
    let insert =
        "insert into recording_objects (id, tenant_id, store, due_at) values ($1, $2, 'folder', now() + $3::interval)";
    sqlx::query(insert).bind(dead).bind(stage.tenant).bind("2 hours").execute(pool).await.unwrap();
    work::remove_due(pool, &stage.vault()).await.unwrap();
    assert!(part.exists(), "it may still be under way");
    sqlx::query("update recording_objects set due_at = now()").execute(pool).await.unwrap();
    // The node's own job may be quicker.
    until("the part is removed", async || {
        work::remove_due(pool, &stage.vault()).await.unwrap();
        !part.exists() && stage.objects().await == 0
    })
    .await;

    assert_eq!(stage.puts(&name, &file).await, 201);
    let recording = stage.get("/v1/recordings", "").await.items()[0].clone();
    assert!(stage.hears(&recording["id"], &[]).await.body == file);
    stage.stop().await;
}

#[actix_web::test]
async fn a_pause_is_a_silence_and_lists_are_filtered() {
    let stage = Stage::new().await;
    let mut samples = vec![500_i16; 8000];
    samples.extend(vec![0; 24_000]);
    samples.extend(vec![500; 8000]);
    let recording = stage.recorded(&of_samples(1, &samples)).await;
    assert_eq!(recording["silences"], json!([{ "from": 1000, "to": 4000 }]));
    assert_eq!(stage.puts(&format!("{}-2.wav", stage.leg), &wav(1, 80_000)).await, 201);
    let count = async |query: &str| stage.get("/v1/recordings", query).await.items().as_array().unwrap().len();
    for (query, expected) in [
        ("", 2),
        ("&min_seconds=6", 1),
        ("&max_seconds=5", 1),
        ("&min_seconds=5&max_seconds=10", 2),
        ("&held=true", 0),
        ("&held=false", 2),
        (&format!("&call_id={}", stage.leg), 2),
        (&format!("&call_id={}", Uuid::new_v4()), 0),
        (&format!("&agent_id={}", Uuid::new_v4()), 0),
        ("&since=2030-01-01T00:00:00Z", 0),
        ("&until=2030-01-01T00:00:00Z", 2),
    ] {
        assert_eq!(count(query).await, expected, "{query}");
    }
    let first = stage.get("/v1/recordings", "&limit=1").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = stage.get("/v1/recordings", &format!("&limit=1&cursor={cursor}")).await.json();
    assert_ne!(first["items"][0]["id"], second["items"][0]["id"]);
    assert_eq!(second.get("next_cursor"), None, "{second}");
    for wrong in ["min_seconds=-1", "since=x", "cursor=x", "colour=red"] {
        let answer =
            stage.node.api("GET", &format!("/v1/recordings?tenant_id={}&{wrong}", stage.tenant), Value::Null).await;
        assert!(matches!(answer.status, 400 | 422), "{wrong}: {}", answer.text());
    }
    stage.stop().await;
}

#[actix_web::test]
async fn a_recording_that_is_held_is_deleted_by_nobody_and_by_no_period() {
    let stage = Stage::new().await;
    let recording = stage.recorded(&wav(1, 30_000)).await;
    let (id, pool) = (&recording["id"], stage.node.app.changes.pool());
    let held = stage.node.api("PATCH", &stage.path(id), json!({ "legal_hold": "Case 17" })).await;
    assert_eq!(held.status, 200, "{}", held.text());
    assert!(held.json()["held_since"].is_string() && held.json()["legal_hold"] == "Case 17", "{}", held.text());
    let refused = stage.node.api("DELETE", &stage.path(id), Value::Null).await;
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("recording_held")));
    assert!(refused.text().contains("Case 17"));
    // Its tenant can't be deleted, either.
    let tenant = stage.node.api("DELETE", &format!("/v1/tenants/{}?cascade=true", stage.tenant), Value::Null).await;
    assert_eq!((tenant.status, &tenant.json()["code"]), (409, &json!("recordings_held")), "{}", tenant.text());
    let later = Utc::now() + TimeDelta::days(Retention::default().recordings_days.into()) + TimeDelta::days(1);
    let passed = async || {
        while pass(pool, &Retention::default(), later).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    passed().await;
    assert_eq!(stage.hears(id, &[]).await.status, 200);

    let ended = stage.node.api("PATCH", &stage.path(id), json!({ "legal_hold": null })).await.json();
    assert_eq!((&ended["legal_hold"], &ended["held_since"]), (&Value::Null, &Value::Null));
    passed().await;
    assert_eq!(stage.hears(id, &[]).await.status, 404, "its time is over");
    until("its content is gone", async || {
        work::remove_due(pool, &stage.vault()).await.unwrap();
        files(&stage.folder).is_empty() && stage.objects().await == 0
    })
    .await;
    stage.stop().await;
}

#[actix_web::test]
async fn a_tenants_own_period_counts_and_a_deleted_tenants_recordings_go_with_it() {
    let stage = Stage::new().await;
    let recording = stage.recorded(&wav(1, 30_000)).await;
    let pool = stage.node.app.changes.pool();
    let path = format!("/v1/tenants/{}/retention", stage.tenant);
    let set = stage.node.api("PATCH", &path, json!({ "recordings_days": 10 })).await;
    assert_eq!((set.status, &set.json()["recordings_days"]), (200, &json!(10)), "{}", set.text());
    for (days, is_there) in [(9, true), (11, false)] {
        while pass(pool, &Retention::default(), Utc::now() + TimeDelta::days(days)).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let there = stage.node.api("GET", &stage.path(&recording["id"]), Value::Null).await.status == 200;
        assert_eq!(there, is_there, "after {days} days");
    }
    assert_eq!(stage.puts(&format!("{}-2.wav", stage.leg), &wav(1, 8000)).await, 201);
    let gone =
        stage.node.api("DELETE", &format!("/v1/tenants/{}?cascade=true&purge=now", stage.tenant), Value::Null).await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    until("its contents are gone", async || {
        work::remove_due(pool, &stage.vault()).await.unwrap();
        files(&stage.folder).is_empty() && stage.objects().await == 0
    })
    .await;
    stage.stop().await;
}

#[actix_web::test]
async fn when_keys_are_replaced_recordings_stay_audible_with_the_new_one_alone() {
    let keys = std::env::temp_dir().join(format!("dialplane-recordings-{}.key", Uuid::now_v7().simple()));
    let before = Keyring::open(&keys).unwrap().seals_with();
    let stage = Stage::with_keys(Some(keys.clone())).await;
    let file = wav(1, 100_000);
    let recording = stage.recorded(&file).await;
    let stored = files(&stage.folder);
    let content = std::fs::read(&stored[0]).unwrap();
    let new = keyring::add_key(&keys).unwrap();
    let pool = stage.node.app.changes.pool();
    let add = "insert into sealing_keys (id, seals_since) values ($1, clock_timestamp())
                   on conflict (id) do update set seals_since = clock_timestamp()";
    sqlx::query(add).bind(&new[..]).execute(pool).await.unwrap();
    until("the key is sealed with the new one", async || {
        let sealed = sqlx::query_scalar::<_, bool>("select bool_and(substring(key for 8) = $1) from recordings");
        sealed.bind(&new[..]).fetch_one(pool).await.unwrap()
    })
    .await;
    // The old one is not needed any more, and the content is as it was.
    until("the old key has retired", async || {
        let retired = sqlx::query_scalar::<_, i64>("select count(*) from retired_keys where id = $1");
        retired.bind(&before[..]).fetch_one(pool).await.unwrap() == 1
    })
    .await;
    keyring::remove_keys(&keys, &[before.to_vec()]).unwrap();
    let alone = Keyring::read(&keys).unwrap();
    assert_eq!(alone.ids(), [new]);
    assert!(std::fs::read(&stored[0]).unwrap() == content);
    let _ = seals::anew(pool, &alone, |_| {}).await.unwrap();
    assert!(stage.hears(&recording["id"], &[]).await.body == file);
    std::fs::remove_file(&keys).unwrap();
    stage.stop().await;
}

#[actix_web::test]
async fn a_content_that_is_damaged_or_missing_is_not_heard() {
    let stage = Stage::new().await;
    let recording = stage.recorded(&wav(1, 100_000)).await;
    let stored = files(&stage.folder).pop().unwrap();
    let whole = std::fs::read(&stored).unwrap();
    let mut damaged = whole.clone();
    damaged[70_000] ^= 1;
    std::fs::write(&stored, &damaged).unwrap();
    assert_eq!(stage.hears(&recording["id"], &[("Range", "bytes=0-99")]).await.status, 206, "another chunk");
    let answer = stage.hears(&recording["id"], &[("Range", "bytes=70000-70099")]).await;
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("recordings_away")));
    std::fs::remove_file(&stored).unwrap();
    assert_eq!(stage.hears(&recording["id"], &[]).await.status, 503);
    std::fs::write(&stored, &whole).unwrap();
    assert_eq!(stage.hears(&recording["id"], &[]).await.status, 200);
    stage.stop().await;
}

#[actix_web::test]
async fn what_a_switch_left_behind_is_sent_and_removed_only_once_it_is_stored() {
    let stage = Stage::new().await;
    let left = std::env::temp_dir().join(format!("dialplane-left-{}", Uuid::now_v7().simple()));
    std::fs::create_dir(&left).unwrap();
    let (name, token) = stage.node.switch.clone();
    let url = format!("http://{}/fs/xml", stage.node.app.switch_address);
    let passes = async |url: &str| -> Report {
        let (url, credentials, left) = (url.to_owned(), format!("{name}:{token}\n"), left.clone());
        tokio::task::spawn_blocking(move || {
            Sender::new(&url, &credentials, None).unwrap().pass(&left, &|_| {}).unwrap()
        })
        .await
        .unwrap()
    };
    let file = wav(2, 60_000);
    let finished = left.join(format!("{}.wav", stage.leg));
    std::fs::write(&finished, &file).unwrap();
    // A file that is still being written has an empty header. The folder also has other files.
    let mut open = file.clone();
    open[40..44].fill(0);
    let being_written = left.join(format!("{}-5.wav", stage.leg));
    std::fs::write(&being_written, &open).unwrap();
    std::fs::write(left.join("notes.txt"), "x").unwrap();
    let unknown = Uuid::new_v4();
    std::fs::write(left.join(format!("{unknown}.wav")), &file).unwrap();

    // While no node answers, all files stay.
    let nobody = passes("http://127.0.0.1:1").await;
    assert_eq!((nobody.sent, nobody.under_way, nobody.failed.len()), (0, 1, 2), "{nobody:?}");
    assert_eq!(files(&left).len(), 4);
    let report = passes(&url).await;
    assert_eq!((report.sent, report.under_way, report.waiting, report.failed.len()), (1, 1, 1, 0), "{report:?}");
    assert_eq!(files(&left).len(), 3, "what is stored is gone");
    let recording = stage.get("/v1/recordings", "").await.items()[0].clone();
    assert!(stage.hears(&recording["id"], &[]).await.body == file);

    // The same again, because its removal did not happen; then another of the same name.
    std::fs::write(&finished, &file).unwrap();
    let report = passes(&url).await;
    assert_eq!((report.known, report.sent), (1, 0), "{report:?}");
    let another = wav(2, 70_000);
    std::fs::write(&finished, &another).unwrap();
    let report = passes(&url).await;
    assert_eq!((report.sent, report.failed.len()), (1, 0), "{report:?}");
    let all = stage.get("/v1/recordings", "").await.items();
    assert_eq!(all.as_array().unwrap().len(), 2, "{all}");
    assert!(!finished.exists());

    // One whose switch died is sent as it is, by a sender that does not wait for long.
    let (credentials, folder) = (format!("{name}:{token}"), left.clone());
    let report = tokio::task::spawn_blocking(move || {
        let sender = Sender::new(&url, &credentials, None).unwrap().abandoned_after(Duration::ZERO);
        sender.of_domain(Some("acme.test".into())).pass(&folder, &|_| {}).unwrap()
    });
    let report = report.await.unwrap();
    assert_eq!((report.sent, report.waiting, report.under_way), (2, 0, 0), "the domain is believed: {report:?}");
    assert_eq!(files(&left), [left.join("notes.txt")]);
    std::fs::remove_dir_all(&left).unwrap();
    stage.stop().await;
}
