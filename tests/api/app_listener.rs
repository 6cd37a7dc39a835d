//! The app listener's limits: connections that begin a request and then stall are closed.

use std::{
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::harness::{Database, Node, send};

/// How many connections are still open after this time, if each of these texts was written to one.
async fn open_after(node: &Node, written: &str, count: usize, patience: Duration) -> usize {
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(node.app.app_address).await.unwrap();
        stream.write_all(written.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    let until = Instant::now() + patience;
    let mut open = 0;
    for mut stream in streams {
        let mut bytes = Vec::new();
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        open += usize::from(tokio::time::timeout(left, stream.read_to_end(&mut bytes)).await.is_err());
    }
    open
}

#[actix_web::test]
async fn requests_that_are_half_sent_do_not_stay() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let key = format!("X-API-Key: {}\r\n", node.key);
    let half = |path: &str, headers: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n{headers}\r\n{{\"a\":"
        )
    };
    let form = "Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin\r\n";
    let cases = [
        ("a body that anybody may send", half("/v1/auth/login", "")),
        ("a body with a key", half("/v1/tenants", &key)),
        ("a body that is refused by its head", half("/v1/tenants", "")),
        ("a body where there is nothing", half("/nothing", "")),
        ("a form", half("/sign-in", form).replace("application/json", "x/y")),
        ("chunks", half("/v1/auth/login", "Transfer-Encoding: chunked\r\n").replace("Content-Length: 4000\r\n", "")),
        ("a head", "POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-".to_owned()),
        ("nothing", String::new()),
    ];
    let left =
        cases.iter().map(async |(what, written)| (what, open_after(&node, written, 20, Duration::from_secs(25)).await));
    let left = futures_util::future::join_all(left).await;
    let left = left.into_iter().filter(|(_, open)| *open > 0).collect::<Vec<_>>();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(send(node.app.app_address, "GET", "/healthz", &[], b"").await.status, 200);
    node.stop().await;
}

#[actix_web::test]
async fn a_body_that_drips_ends_and_says_why() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let mut stream = TcpStream::connect(node.app.app_address).await.unwrap();
    let head =
        "POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 400000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let drip = tokio::spawn(async move {
        while write.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let mut bytes = Vec::new();
    let began = Instant::now();
    let ended = tokio::time::timeout(Duration::from_secs(40), read.read_to_end(&mut bytes)).await;
    assert!(ended.is_ok(), "it goes on for ever");
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.starts_with("HTTP/1.1 408") && text.contains("body_too_slow"), "{:?}: {text}", began.elapsed());
    drip.abort();
    node.stop().await;
}

#[actix_web::test]
async fn an_upload_that_keeps_coming_has_its_time() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let mut stream = TcpStream::connect(node.app.app_address).await.unwrap();
    let body = format!("{{\"agents\": [\"{}\"]}}", "x".repeat(2 << 20));
    let tenant = node.tenant("acme.test").await;
    let head = format!(
        "POST /v1/admin/agents/bulk?tenant_id={tenant} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-API-Key: {}\r\nContent-Length: {}\r\n\r\n",
        node.key,
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // Two megabytes in twelve seconds is longer than a small body may take, but not slow.
    for part in body.as_bytes().chunks(body.len() / 24 + 1) {
        stream.write_all(part).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    assert!(bytes.starts_with(b"HTTP/1.1 422"), "{}", String::from_utf8_lossy(&bytes));
    node.stop().await;
}

#[actix_web::test]
async fn what_anybody_may_send_is_small_and_lists_are_not() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    for (path, bytes, status, code) in [
        ("/v1/auth/login", 70 << 10, 413, "body_too_large_here"),
        ("/v1/auth/login", 50 << 10, 401, "wrong_password"),
        (&format!("/v1/tenants/{tenant}/extensions"), (1 << 20) + 1, 413, "body_too_large"),
        (&format!("/v1/admin/agents/bulk?tenant_id={tenant}"), 3 << 20, 422, "refused"),
        (&format!("/v1/admin/agents/bulk?tenant_id={tenant}"), (4 << 20) + 1, 413, "body_too_large"),
    ] {
        let body = match path {
            "/v1/auth/login" => serde_json::json!({ "email": "a@b.test", "password": "x".repeat(bytes - 60) }),
            _ => serde_json::json!({ "agents": ["x".repeat(bytes - 15)] }),
        };
        let answer = node.api("POST", path, body).await;
        assert!(answer.status == status && answer.text().contains(code), "{path} {bytes}: {}", answer.text());
    }
    node.stop().await;
}

#[actix_web::test]
async fn metrics_are_shown_only_with_the_token() {
    let database = Database::new().await;
    let mut folder = None;
    let node = Node::with(&database, |settings| folder = Some(settings.data_dir.clone())).await;
    let tenants = node.tenant("acme.test").await;
    let ask = async |headers: &[(&str, &str)]| send(node.app.app_address, "GET", "/metrics", headers, b"").await;
    let forwarded = [("X-Forwarded-For", "127.0.0.1"), ("Authorization", "Bearer x")];
    for headers in
        [&[][..], &forwarded[..], &[("Authorization", "Bearer ")][..], &[("Authorization", "Basic eDp4")][..]]
    {
        let refused = ask(headers).await;
        assert_eq!(refused.status, 401, "{headers:?}: {}", refused.text());
        assert!(refused.header("WWW-Authenticate").is_some());
    }
    let key = node.key.clone();
    assert_eq!(ask(&[("X-API-Key", &key)]).await.status, 401, "a scrape asks no database");
    let file = folder.unwrap().join("metrics.token");
    let token = std::fs::read_to_string(&file).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let bearer = format!("Bearer {}", token.trim());
    let shown = ask(&[("Authorization", &bearer)]).await;
    assert!(shown.status == 200 && shown.text().contains("dialplane_fresh"), "{}", shown.text());
    // The answers to balancers don't reveal how many customers there are, either.
    let ready = send(node.app.app_address, "GET", "/readyz", &[], b"").await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &serde_json::json!("fresh")));
    assert!(["tenants", "cached"].iter().all(|told| !ready.text().contains(told)), "{}", ready.text());
    assert_eq!(node.api("GET", &format!("/v1/tenants/{tenants}"), Value::Null).await.status, 200);
    node.stop().await;
}
