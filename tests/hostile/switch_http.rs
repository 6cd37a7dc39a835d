//! Broken HTTP: wrong lengths, pipelined requests, other versions and methods, and bytes that are not HTTP at all.

use crate::{
    forms,
    harness::{Answer, Node},
    wire::{self, MARK, answers, assert_decent, exchange, is_not_found},
};

const LIMIT: usize = 256 * 1024;

fn form() -> Vec<u8> {
    forms::sign_in("1000", "acme.test", "acme.test").into_bytes()
}

/// The answers to bytes that need no answer. Each answer must be well-formed.
async fn whatever(node: &Node, request: &[u8]) -> Vec<Answer> {
    let answers = answers(&exchange(node.app.switch_address, request).await);
    answers.iter().for_each(assert_decent);
    answers
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let chunks = body.chunks(size).map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    chunks.chain([b"0\r\n\r\n".to_vec()]).collect::<Vec<_>>().concat()
}

fn padded(length: usize) -> Vec<u8> {
    let mut form = form();
    let padding = format!("&{MARK}={}", "x".repeat(length - form.len() - MARK.len() - 2));
    // The last user counts, so the padding comes first.
    form = [format!("a=b{padding}&").as_bytes(), &form].concat();
    form.truncate(length);
    form
}

#[actix_web::test]
async fn a_body_of_more_than_256_kb_is_refused() {
    let node = wire::node().await;
    for length in [LIMIT + 1, LIMIT * 4, 20_000_000] {
        let body = padded(length);
        let lengths = format!("Content-Length: {length}\r\n");
        let honest = [&wire::head(&node, &lengths), &body[..]].concat();
        let expecting = [&wire::head(&node, &format!("{lengths}Expect: 100-continue\r\n")), &body[..]].concat();
        let in_chunks = |size| [wire::head(&node, "Transfer-Encoding: chunked\r\n"), chunked(&body, size)].concat();
        for request in [honest, expecting, in_chunks(1000), in_chunks(100_000), in_chunks(length)] {
            let answer = wire::answer(&node, &request).await;
            assert_eq!(answer.status, 413, "{length} bytes");
        }
    }
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn a_body_of_256_kb_is_taken() {
    let node = wire::node().await;
    let mut body = format!("{}={}&", MARK, "x".repeat(LIMIT)).into_bytes();
    let form = form();
    body.drain(MARK.len() + 1..MARK.len() + 1 + form.len() + MARK.len() + 2);
    body.extend(form);
    assert_eq!(body.len(), LIMIT);
    let in_chunks = [wire::head(&node, "Transfer-Encoding: chunked\r\n"), chunked(&body, 777)].concat();
    for request in [wire::post(&node, &body), in_chunks] {
        let answer = wire::answer(&node, &request).await;
        assert!(answer.text().contains("<user id=\"1000\""), "{}: {}", answer.status, answer.text());
    }
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn a_length_that_lies_is_refused_or_cuts_the_body() {
    let node = wire::node().await;
    let form = form();
    for lengths in [
        "Content-Length: 0\r\n",
        "Content-Length: 10\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 0x10\r\n",
        "Content-Length: +10\r\n",
        "Content-Length: 10\r\nContent-Length: 11\r\n",
        "Content-Length: 10\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 10\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "",
    ] {
        let request = [&wire::head(&node, lengths), &form[..]].concat();
        for answer in whatever(&node, &request).await {
            assert!(!answer.text().contains("<user "), "{lengths}: {}", answer.text());
        }
    }
    for chunks in [
        "0\r\n\r\n",
        "fffffffffffffffff\r\nx\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "5;a=\"b\"\r\nhello\r\n0\r\nX: y\r\n\r\n",
        "zz\r\n",
        "5\r\nhelloworld\r\n0\r\n\r\n",
        "\r\n\r\n",
    ] {
        let request = [&wire::head(&node, "Transfer-Encoding: chunked\r\n"), chunks.as_bytes()].concat();
        let answers = whatever(&node, &request).await;
        assert!(answers.iter().all(|answer| is_not_found(answer) || answer.status >= 400), "{chunks}: {answers:?}");
    }
    wire::still_serves(node).await;
}

/// A switch sends one request per connection. A client that sends several at once gets the answers in order, then the end.
#[actix_web::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let node = wire::node().await;
    let users = ["1000", "1001"];
    let [one, two] = users.map(|user| wire::post(&node, forms::sign_in(user, "acme.test", "acme.test").as_bytes()));
    for request in
        [[&one[..], &two].concat(), [&one[..], &two].concat().repeat(20), [&one[..], b"\0\0garbage\r\n\r\n"].concat()]
    {
        let answers = whatever(&node, &request).await;
        assert!(!answers.is_empty() && answers.len() <= 40);
        for (answer, user) in answers.iter().zip(users.iter().cycle()) {
            assert!(answer.status == 400 || answer.text().contains(&format!("<user id=\"{user}\"")), "{answer:?}");
        }
    }
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn other_versions_of_http_are_answered_or_refused() {
    let node = wire::node().await;
    let request = |version: &str| replace_version(&wire::post(&node, &form()), version);
    for version in ["HTTP/1.0", "HTTP/1.1"] {
        let answer = wire::answer(&node, &request(version)).await;
        assert!(answer.text().contains("<user id=\"1000\""), "{version}: {}", answer.text());
    }
    for version in ["HTTP/0.9", "HTTP/2.0", "HTTP/3", "HTTP/1.2", "HTTP/9.9", "ICY", ""] {
        for answer in whatever(&node, &request(version)).await {
            assert!(answer.status >= 400 || answer.text().contains("<user id=\"1000\""), "{version}: {answer:?}");
        }
    }
    let upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    let form = form();
    let head = wire::head(&node, &format!("{upgrade}Content-Length: {}\r\n", form.len()));
    assert!(wire::answer(&node, &[&head, &form[..]].concat()).await.text().contains("<user id=\"1000\""));
    wire::still_serves(node).await;
}

fn replace_version(request: &[u8], version: &str) -> Vec<u8> {
    crate::switch_listener::replace(request, b"HTTP/1.1", version.as_bytes())
}

#[actix_web::test]
async fn a_client_that_expects_100_continue_gets_it() {
    let node = wire::node().await;
    let form = form();
    let head = wire::head(&node, &format!("Expect: 100-continue\r\nContent-Length: {}\r\n", form.len()));
    let bytes = exchange(node.app.switch_address, &[&head, &form[..]].concat()).await;
    assert!(bytes.starts_with(b"HTTP/1.1 100 Continue\r\n\r\n"), "{}", String::from_utf8_lossy(&bytes));
    assert!(answers(&bytes)[0].text().contains("<user id=\"1000\""));
    let head = wire::head(&node, &format!("Expect: {MARK}\r\nContent-Length: {}\r\n", form.len()));
    whatever(&node, &[&head, &form[..]].concat()).await;
    wire::still_serves(node).await;
}

/// With any `method` but POST in xml_curl.conf, a switch sends the fields in the query.
#[actix_web::test]
async fn other_methods_ask_by_their_query() {
    let node = wire::node().await;
    let form = String::from_utf8(form()).unwrap();
    let request = |method: &str, query: &str| {
        let head = wire::head(&node, "Content-Length: 0\r\n");
        crate::switch_listener::replace(&head, b"POST /fs/xml", format!("{method} /fs/xml?{query}").as_bytes())
    };
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", MARK] {
        let answer = wire::answer(&node, &request(method, &form)).await;
        assert!(answer.text().contains("<user id=\"1000\""), "{method}: {answer:?}");
    }
    let bytes = exchange(node.app.switch_address, &request("HEAD", &form)).await;
    assert!(
        bytes.starts_with(b"HTTP/1.1 200 OK\r\n") && bytes.ends_with(b"\r\n\r\n"),
        "{}",
        String::from_utf8_lossy(&bytes)
    );
    for query in ["", "%", "&&&", "section=%00", "a?b?c#d", MARK] {
        assert!(is_not_found(&wire::answer(&node, &request("GET", query)).await), "{query}");
    }
    for length in [10_000, 60_000, 100_000, 200_000] {
        let query = format!("{MARK}={}&{form}", "x".repeat(length));
        for answer in whatever(&node, &request("GET", &query)).await {
            let refused = (400..500).contains(&answer.status);
            assert!(refused || answer.text().contains("<user id=\"1000\""), "{length}: {answer:?}");
        }
    }
    let connect = [
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n".to_vec(),
        b"GET http://evil.test/ HTTP/1.1\r\n\r\n".to_vec(),
    ];
    for request in connect {
        assert!(whatever(&node, &request).await.iter().all(|answer| answer.status >= 400));
    }
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn bytes_that_are_not_http_are_refused_or_end_the_connection() {
    let node = wire::node().await;
    let mut garbage: Vec<Vec<u8>> = [
        &b"\r\n\r\n"[..],
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n: empty name\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03eChO7mArK\r\n\r\n",
        b"REGISTER sip:acme.test SIP/2.0\r\nVia: SIP/2.0/TCP eChO7mArK\r\n\r\n",
        b"\x05\x01\x00\r\n\r\n",
        b"<!DOCTYPE html><html>eChO7mArK</html>\r\n\r\n",
        b"GET eChO7mArK HTTP/1.1\r\n\r\n",
        b"GET /fs/xml eChO7mArK HTTP/1.1\r\n\r\n",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    let header = |name: &str, value: &str| format!("GET /fs/xml HTTP/1.1\r\n{name}: {value}\r\n\r\n").into_bytes();
    garbage.push(header(&MARK.repeat(3_000), "x"));
    garbage.push(header("x", &MARK.repeat(30_000)));
    garbage.push(format!("GET /fs/xml HTTP/1.1\r\n{}\r\n", format!("{MARK}: x\r\n").repeat(10_000)).into_bytes());
    garbage.push(format!("{} /fs/xml HTTP/1.1\r\n\r\n", "G".repeat(100_000)).into_bytes());
    for request in garbage {
        for answer in whatever(&node, &request).await {
            assert!((400..500).contains(&answer.status), "{answer:?}");
        }
    }
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn a_body_that_is_not_a_call_record_is_refused() {
    let node = wire::node().await;
    let record = |line: &str, body: &[u8]| {
        let head = wire::head(&node, &format!("Content-Length: {}\r\n", body.len()));
        [crate::switch_listener::replace(&head, b"POST /fs/xml", line.as_bytes()), body.to_vec()].concat()
    };
    for (line, status) in [
        ("GET /fs/cdr?uuid=1", 405),
        ("POST /fs/cdr", 400),
        ("POST /fs/cdr?uuid=", 400),
        ("POST /fs/cdr?uuid=<eChO7mArK", 400),
        ("POST /fs/cdr?uuid=../../eChO7mArK", 400),
        ("POST /fs/cdr?x=01a1fbfc-7a78-7021-bd32-7fce978b0e81", 400),
    ] {
        let answer = wire::answer(&node, &record(line, MARK.as_bytes())).await;
        assert_eq!(answer.status, status, "{line}");
    }
    let line = "POST /fs/cdr?uuid=01a1fbfc-7a78-7021-bd32-7fce978b0e81";
    assert_eq!(wire::answer(&node, &record(line, &vec![b'x'; 1024 * 1024 + 1])).await.status, 413);
    wire::still_serves(node).await;
}
