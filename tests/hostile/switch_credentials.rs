//! Only a switch with its own token may fetch.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    forms,
    wire::{self, MARK},
};

fn basic(text: impl AsRef<[u8]>) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

fn request(headers: &str, path: &str) -> Vec<u8> {
    let body = forms::sign_in("1000", "acme.test", "acme.test");
    format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len()).into_bytes()
}

#[actix_web::test]
async fn without_a_switchs_credentials_nothing_is_told() {
    let node = wire::node().await;
    let (name, token) = node.switch.clone();
    let right = STANDARD.encode(format!("{name}:{token}"));
    let wrong = [
        String::new(),
        "Authorization: \r\n".into(),
        "Authorization: Basic\r\n".into(),
        "Authorization: Basic \r\n".into(),
        "Authorization: Basic !!!\r\n".into(),
        format!("Authorization: Bearer {token}\r\n"),
        format!("Authorization: Basic{right}\r\n"),
        format!("Authorization: {right}\r\n"),
        format!("Authorization: Digest username=\"{name}\", realm=\"{MARK}\", response=\"{token}\"\r\n"),
        format!("Authorization: {}\r\n", basic(format!("{name}:{token}x"))),
        format!("Authorization: {}\r\n", basic(format!("{name}:{}", &token[..token.len() - 1]))),
        format!("Authorization: {}\r\n", basic(format!("{name}:{token}\0"))),
        format!("Authorization: {}\r\n", basic(format!("{}:{token}", name.to_uppercase()))),
        format!("Authorization: {}\r\n", basic(format!("{MARK}:{token}"))),
        format!("Authorization: {}\r\n", basic(format!(":{token}"))),
        format!("Authorization: {}\r\n", basic(format!("{name}:"))),
        format!("Authorization: {}\r\n", basic(&name)),
        format!("Authorization: {}\r\n", basic(format!("{name}:{}", node.key))),
        format!("Authorization: {}\r\n", basic(b"\xff\xfe:\xff")),
        format!("Authorization: {}\r\n", basic("x".repeat(257))),
        format!("Authorization: {}\r\n", basic(format!("{name}:{token}{}", "x".repeat(20_000)))),
        format!("Authorization: Basic {}\r\n", "=".repeat(10_000)),
        format!("X-API-Key: {}\r\n", node.key),
        format!("Proxy-Authorization: Basic {right}\r\n"),
    ];
    for headers in wrong {
        for path in ["/fs/xml", "/fs/xml?section=directory", "/fs/cdr?uuid=1"] {
            let answer = wire::answer(&node, &request(&headers, path)).await;
            assert_eq!(answer.status, 401, "{headers}");
            assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"dialplane\""));
        }
    }
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn credentials_larger_than_a_head_are_refused() {
    let node = wire::node().await;
    for length in [100_000, 300_000, 3_000_000] {
        let bytes = request(&format!("Authorization: Basic {}\r\n", "A".repeat(length)), "/fs/xml");
        // If a server closes while it is still being sent to, its last answer may be lost.
        let bytes = wire::exchange(node.app.switch_address, &bytes).await;
        for answer in wire::answers(&bytes) {
            wire::assert_decent(&answer);
            assert!((400..500).contains(&answer.status), "{answer:?}");
        }
    }
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn the_scheme_has_no_case_and_spaces_do_not_count() {
    let node = wire::node().await;
    let right = wire::credentials(&node)["Basic ".len()..].to_owned();
    for header in [format!("authorization: basic {right}"), format!("AUTHORIZATION:  BASIC   {right}  ")] {
        let answer = wire::answer(&node, &request(&format!("{header}\r\n"), "/fs/xml")).await;
        assert!(answer.text().contains("<user id=\"1000\""), "{header}: {}", answer.text());
    }
    wire::still_serves(node).await;
}

/// The server does not even read the body of somebody without credentials.
#[actix_web::test]
async fn a_large_body_of_a_stranger_is_not_read() {
    let node = wire::node().await;
    let bytes =
        [&b"POST /fs/xml HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n"[..], &vec![b'x'; 5_000_000]].concat();
    for answer in wire::answers(&wire::exchange(node.app.switch_address, &bytes).await) {
        assert_eq!(answer.status, 401);
        wire::assert_decent(&answer);
    }
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn other_paths_are_not_there() {
    let node = wire::node().await;
    for path in
        ["/", "/fs", "/fs/xml/", "/fs/xml/..", "//fs/xml", "/v1/tenants", "/metrics", "/healthz", &format!("/{MARK}")]
    {
        let answer =
            wire::answer(&node, &request(&format!("Authorization: {}\r\n", wire::credentials(&node)), path)).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    wire::still_serves(node).await;
}
