//! Recordings in a bucket. The store is a stand-in that speaks as much of S3's protocol as contents need.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, web};
use dialplane::telephony::recordings::{
    bucket::{Bucket, Where},
    sealed::Whose,
    vault::{Store, Vault},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harness::{Database, Node, send},
    recordings::{basic, until, wav},
};

/// What the stand-in has.
#[derive(Default)]
struct Kept {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Uploads in parts: their objects, and what has come of them.
    uploads: Mutex<HashMap<String, BTreeMap<u32, Vec<u8>>>>,
    is_away: AtomicBool,
}

struct StandIn {
    address: SocketAddr,
    kept: web::Data<Kept>,
    handle: ServerHandle,
}

impl StandIn {
    fn start() -> Self {
        let kept = web::Data::new(Kept::default());
        let shared = kept.clone();
        let server = HttpServer::new(move || {
            let limit = web::PayloadConfig::new(64 << 20);
            App::new().app_data(shared.clone()).app_data(limit).default_service(web::to(answer))
        });
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { address, kept, handle }
    }

    fn place(&self, folder: &str) -> Where {
        Where {
            url: format!("s3://sound/{folder}"),
            endpoint: Some(format!("http://{}", self.address)),
            region: Some("eu-central-1".into()),
            key: Some(("AKIDEXAMPLE".into(), "kept/apart".into())),
        }
    }

    fn names(&self) -> Vec<String> {
        self.kept.objects.lock().unwrap().keys().cloned().collect()
    }
}

async fn answer(kept: web::Data<Kept>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    if kept.is_away.load(Ordering::Acquire) {
        return HttpResponse::ServiceUnavailable().finish();
    }
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Each request is signed with the key that the settings name, for their region.
    let scope = header("authorization");
    let signed = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/";
    if !scope.starts_with(signed) || !scope.contains("/eu-central-1/s3/aws4_request") || scope.contains("kept/apart") {
        return HttpResponse::Forbidden().finish();
    }
    let name = request.path().strip_prefix("/sound/").unwrap_or_default().to_owned();
    let query = web::Query::<HashMap<String, String>>::from_query(request.query_string()).unwrap();
    let xml = |text: String| HttpResponse::Ok().content_type("application/xml").body(text);
    match (request.method().as_str(), query.get("uploadId"), query.get("partNumber")) {
        ("POST", None, None) if query.contains_key("uploads") => {
            let id = Uuid::now_v7().simple().to_string();
            kept.uploads.lock().unwrap().insert(id.clone(), BTreeMap::new());
            xml(format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"))
        }
        ("PUT", Some(id), Some(part)) => {
            let number = part.parse().unwrap();
            kept.uploads.lock().unwrap().get_mut(id).unwrap().insert(number, body.to_vec());
            HttpResponse::Ok().insert_header(("ETag", format!("\"{number}\""))).finish()
        }
        ("POST", Some(id), None) => {
            let parts = kept.uploads.lock().unwrap().remove(id).unwrap();
            // S3 refuses parts that are smaller than 5 MiB, but for the last.
            let last = parts.keys().copied().max().unwrap_or_default();
            assert!(parts.iter().all(|(number, part)| *number == last || part.len() >= 5 << 20));
            kept.objects.lock().unwrap().insert(name, parts.into_values().flatten().collect());
            xml("<CompleteMultipartUploadResult><ETag>\"whole\"</ETag></CompleteMultipartUploadResult>".into())
        }
        ("PUT", None, None) => {
            kept.objects.lock().unwrap().insert(name, body.to_vec());
            HttpResponse::Ok().insert_header(("ETag", "\"whole\"")).finish()
        }
        ("GET", None, None) => {
            let objects = kept.objects.lock().unwrap();
            let Some(object) = objects.get(&name) else { return HttpResponse::NotFound().finish() };
            let range = header("range").strip_prefix("bytes=").and_then(|range| range.split_once('-')).unwrap();
            let (from, to) = (range.0.parse::<usize>().unwrap(), range.1.parse::<usize>().unwrap() + 1);
            let to = to.min(object.len());
            HttpResponse::PartialContent()
                .insert_header(("ETag", "\"whole\""))
                .insert_header(("Last-Modified", "Sat, 28 Nov 2026 12:00:00 GMT"))
                .insert_header(("Content-Range", format!("bytes {from}-{}/{}", to - 1, object.len())))
                .body(object[from..to].to_vec())
        }
        ("DELETE", None, None) => {
            kept.objects.lock().unwrap().remove(&name);
            HttpResponse::NoContent().finish()
        }
        _ => HttpResponse::NotImplemented().finish(),
    }
}

fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("dialplane-bucket-{}", Uuid::now_v7().simple()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[actix_web::test]
async fn recordings_go_to_a_bucket_and_come_from_there_and_those_in_the_folder_stay_readable() {
    let stand_in = StandIn::start();
    let database = Database::new().await;
    let folder = folder();
    let keys = folder.join("bucket.key");
    std::fs::write(&keys, "AKIDEXAMPLE:kept/apart\n").unwrap();
    let (dir, secret) = (folder.join("recordings"), folder.join("secret.key"));

    // One that is older than the bucket.
    let node = Node::with(&database, |settings| {
        settings.recordings_dir = Some(dir.clone());
        settings.key_file = Some(secret.clone());
    })
    .await;
    let tenant = node.tenant("acme.test").await;
    let (old, new) = (node.call(tenant).await, node.call(tenant).await);
    let puts = async |node: &Node, leg: Uuid, file: &[u8]| {
        let basic = basic(&node.switch);
        let path = format!("/fs/recordings/{leg}.wav");
        send(node.app.switch_address, "PUT", &path, &[("Authorization", basic.as_str())], file).await
    };
    let (small, large) = (wav(1, 50_000), wav(2, 1_400_000));
    assert_eq!(puts(&node, old, &small).await.status, 201);
    let credentials = (node.switch.clone(), node.key.clone());
    node.stop().await;

    let mut node = Node::with(&database, |settings| {
        settings.recordings_dir = Some(dir.clone());
        settings.key_file = Some(secret.clone());
        let place = stand_in.place("calls");
        settings.recordings_bucket = Some(place.url);
        settings.recordings_bucket_endpoint = place.endpoint;
        settings.recordings_bucket_region = place.region;
        settings.recordings_bucket_key_file = Some(keys.clone());
    })
    .await;
    (node.switch, node.key) = credentials;
    // Larger than one part of an upload.
    assert!(large.len() > 5 << 20);
    assert_eq!(puts(&node, new, &large).await.status, 201);
    let names = stand_in.names();
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(names[0].starts_with(&format!("calls/{}/", tenant.simple())) && names[0].ends_with(".sealed"), "{names:?}");
    assert!(stand_in.kept.uploads.lock().unwrap().is_empty());
    let sealed = stand_in.kept.objects.lock().unwrap()[&names[0]].clone();
    assert!(sealed.len() > large.len() && memchr::memmem::find(&sealed, b"RIFF").is_none(), "it is sealed");

    let list = node.api("GET", &format!("/v1/recordings?tenant_id={tenant}"), Value::Null).await.items();
    let id_of = |leg: Uuid| {
        let one = list.as_array().unwrap().iter().find(|one| one["leg"] == json!(leg)).unwrap();
        one["id"].as_str().unwrap().to_owned()
    };
    let hears = async |id: &str, range: &str| {
        let path = format!("/v1/recordings/{id}/audio?tenant_id={tenant}");
        node.api_with("GET", &path, &[("X-API-Key", node.key.as_str()), ("Range", range)], Value::Null).await
    };
    assert!(hears(&id_of(old), "bytes=0-").await.body == small, "from the folder");
    assert!(hears(&id_of(new), "bytes=0-").await.body == large, "from the bucket");
    let part = hears(&id_of(new), "bytes=5000000-5000099").await;
    assert!(part.status == 206 && part.body == large[5_000_000..=5_000_099]);

    // A store that is away: nothing is lost, and listeners are told.
    let third = node.call(tenant).await;
    stand_in.kept.is_away.store(true, Ordering::Release);
    assert_eq!(puts(&node, third, &small).await.status, 503);
    let away = hears(&id_of(new), "bytes=0-99").await;
    assert_eq!((away.status, &away.json()["code"]), (503, &json!("recordings_away")));
    stand_in.kept.is_away.store(false, Ordering::Release);
    assert_eq!(puts(&node, third, &small).await.status, 201);
    assert_eq!(stand_in.names().len(), 2);

    // What is deleted goes from either store.
    for leg in [old, new] {
        let path = format!("/v1/recordings/{}?tenant_id={tenant}", id_of(leg));
        assert_eq!(node.api("DELETE", &path, Value::Null).await.status, 204);
    }
    until("the contents are removed", async || stand_in.names().len() == 1).await;
    // What could not be removed while the store was away is looked at again when no upload can be under way any more.
    database.execute("update recording_objects set due_at = now()").await;
    until("nothing is left to do", async || database.count("select count(*) from recording_objects").await == 0).await;
    node.stop().await;
    stand_in.handle.stop(false).await;
    let _ = std::fs::remove_dir_all(&folder);
}

#[actix_web::test]
async fn contents_of_a_bucket_that_is_not_set_any_more_are_not_forgotten() {
    // As a node does at its start.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let stand_in = StandIn::start();
    let folder = folder();
    let whose = Whose { tenant: Uuid::from_u128(1), id: Uuid::from_u128(2) };
    let with = Vault::new(folder.clone(), Some(Bucket::open(&stand_in.place("")).unwrap()));
    assert_eq!(with.store(), Store::Bucket);
    let writing = with.begin(whose).await.unwrap().write(vec![7; 1000]).await.unwrap();
    assert_eq!(stand_in.names(), Vec::<String>::new(), "nobody sees it before it is whole");
    writing.finish().await.unwrap();
    assert_eq!(stand_in.names(), [format!("{}/{}.sealed", whose.tenant.simple(), whose.id.simple())]);
    assert_eq!(with.read(Store::Bucket, whose, 10..20).await.unwrap(), [7; 10]);
    // It is shorter than it is said to be.
    assert!(with.read(Store::Bucket, whose, 990..1010).await.is_err());

    let without = Vault::new(folder.clone(), None);
    assert!(without.read(Store::Bucket, whose, 0..1).await.is_err());
    assert!(without.remove(Store::Bucket, whose).await.is_err(), "its note stays until it is removed");
    for _ in 0..2 {
        with.remove(Store::Bucket, whose).await.unwrap();
        assert_eq!(stand_in.names(), Vec::<String>::new());
    }
    stand_in.handle.stop(false).await;
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn what_is_no_bucket_is_refused_at_the_start() {
    for url in ["", "sound", "s3://", "https://s3.test/sound", "s3:///folder"] {
        let place = Where { url: url.into(), ..Where::default() };
        assert!(Bucket::open(&place).is_err(), "{url}");
    }
}
