//! Clients that are slow, silent, or gone half-way: the server closes their connections, and others don't notice.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    forms,
    harness::Node,
    wire::{self, LONGEST, MARK, answers, assert_decent},
};

fn form() -> Vec<u8> {
    forms::sign_in("1000", "acme.test", "acme.test").into_bytes()
}

async fn connect(node: &Node) -> TcpStream {
    TcpStream::connect(node.app.switch_address).await.unwrap()
}

/// Waits until the server has closed the connection, and returns what it sent.
async fn until_closed(stream: TcpStream) -> Vec<u8> {
    closed_within(LONGEST, stream).await
}

async fn closed_within(limit: Duration, mut stream: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    let closed = timeout(limit, stream.read_to_end(&mut said)).await;
    assert!(closed.is_ok(), "still open after {limit:?}, having said {:?}", String::from_utf8_lossy(&said));
    said
}

/// Checks that a phone registers as fast as without the other clients.
async fn others_are_served(node: &Node) {
    let since = Instant::now();
    let answer = wire::fetch(node, form()).await;
    assert!(answer.text().contains("<user id=\"1000\""));
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
}

#[actix_web::test]
async fn a_connection_that_says_nothing_is_closed() {
    let node = wire::node().await;
    let stream = connect(&node).await;
    others_are_served(&node).await;
    for answer in answers(&until_closed(stream).await) {
        assert_eq!(answer.status, 408);
    }
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn a_head_that_does_not_end_is_refused() {
    let node = wire::node().await;
    let mut stream = connect(&node).await;
    stream.write_all(format!("POST /fs/xml HTTP/1.1\r\nHost: {MARK}\r\nX-").as_bytes()).await.unwrap();
    others_are_served(&node).await;
    for answer in answers(&until_closed(stream).await) {
        assert_decent(&answer);
        assert_eq!(answer.status, 408);
    }
    wire::still_serves(node).await;
}

/// A byte now and then must not keep a connection open forever.
#[actix_web::test]
async fn a_head_that_comes_byte_by_byte_is_refused() {
    let node = wire::node().await;
    let (mut reading, mut writing) = connect(&node).await.into_split();
    let since = Instant::now();
    let drip = tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        for byte in b"POST /fs/xml HTTP/1.1\r\n".iter().chain(b"X: y\r\n".iter().cycle()) {
            pace.tick().await;
            if writing.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    });
    let mut said = Vec::new();
    let ended = timeout(LONGEST, reading.read_to_end(&mut said)).await;
    drip.abort();
    assert!(ended.is_ok(), "still open after {:?}", since.elapsed());
    others_are_served(&node).await;
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn a_body_that_does_not_come_is_refused() {
    let node = wire::node().await;
    let form = form();
    let head = |lengths: &str| wire::head(&node, lengths);
    let length = format!("Content-Length: {}\r\n", form.len() + 1);
    let starts = [
        head(&length),
        [&head(&length), &form[..]].concat(),
        head("Content-Length: 262144\r\n"),
        head("Expect: 100-continue\r\nContent-Length: 10\r\n"),
    ];
    let mut waiting = Vec::new();
    for start in starts {
        let mut stream = connect(&node).await;
        stream.write_all(&start).await.unwrap();
        waiting.push(tokio::spawn(until_closed(stream)));
    }
    others_are_served(&node).await;
    for waiting in waiting {
        let answers = answers(&waiting.await.unwrap());
        assert_eq!(answers.len(), 1);
        assert_decent(&answers[0]);
        assert_eq!(answers[0].status, 408);
    }
    wire::still_serves(node).await;
}

/// A client that has its answer must not hold its connection, since their number is limited. This is also true of strangers.
#[actix_web::test]
async fn a_chunked_body_that_does_not_end_keeps_no_connection_open() {
    let node = wire::node().await;
    let switch = wire::head(&node, "Transfer-Encoding: chunked\r\n");
    let stranger = b"POST /fs/xml HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut waiting = Vec::new();
    for (head, status) in [(&switch[..], 408), (&stranger[..], 401)] {
        for body in ["", "5\r\nhel", "5\r\nhello\r\n", "0\r\n"] {
            let mut stream = connect(&node).await;
            stream.write_all(&[head, body.as_bytes()].concat()).await.unwrap();
            waiting.push((status, tokio::spawn(closed_within(3 * LONGEST, stream))));
        }
    }
    others_are_served(&node).await;
    for (status, waiting) in waiting {
        let answers = answers(&waiting.await.unwrap());
        assert_eq!(answers.len(), 1);
        assert_decent(&answers[0]);
        assert_eq!(answers[0].status, status);
    }
    wire::still_serves(node).await;
}

/// The time limit is for the whole body. A byte now and then does not extend it.
#[actix_web::test]
async fn a_body_that_comes_byte_by_byte_is_refused() {
    let node = wire::node().await;
    let (mut reading, mut writing) = connect(&node).await.into_split();
    writing.write_all(&wire::head(&node, "Content-Length: 10000\r\n")).await.unwrap();
    let drip = tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        while writing.write_all(b"x").await.is_ok() {
            pace.tick().await;
        }
    });
    let mut said = Vec::new();
    let ended = timeout(LONGEST, reading.read_to_end(&mut said)).await;
    drip.abort();
    assert!(ended.is_ok(), "still open after {LONGEST:?}");
    assert_eq!(answers(&said)[0].status, 408);
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn connections_dropped_anywhere_hurt_nobody() {
    let node = wire::node().await;
    let request = wire::post(&node, &form());
    for end in (0..request.len()).step_by(7) {
        let mut stream = connect(&node).await;
        stream.write_all(&request[..end]).await.unwrap();
        if end % 2 == 0 {
            // Reset the connection instead of closing it.
            stream.set_zero_linger().unwrap();
        }
    }
    // Send the whole request, but don't wait for the answer.
    for _ in 0..200 {
        let mut stream = connect(&node).await;
        stream.write_all(&request).await.unwrap();
    }
    others_are_served(&node).await;
    wire::still_serves(node).await;
}

/// A client may close its half of the connection once it has sent the request.
#[actix_web::test]
async fn a_client_that_closed_its_half_is_answered() {
    let node = wire::node().await;
    let mut stream = connect(&node).await;
    stream.write_all(&wire::post(&node, &form())).await.unwrap();
    stream.shutdown().await.unwrap();
    let answers = answers(&until_closed(stream).await);
    assert!(answers[0].text().contains("<user id=\"1000\""), "{answers:?}");
    let mut stream = connect(&node).await;
    stream.write_all(&wire::head(&node, "Content-Length: 10000\r\n")).await.unwrap();
    stream.shutdown().await.unwrap();
    for answer in self::answers(&until_closed(stream).await) {
        assert_decent(&answer);
        assert!(answer.status >= 400);
    }
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn five_hundred_silent_connections_hinder_nobody() {
    let node = wire::node().await;
    let mut silent = Vec::new();
    for n in 0..500 {
        let mut stream = connect(&node).await;
        stream.write_all(&wire::head(&node, "Content-Length: 500\r\n")[..n % 60]).await.unwrap();
        silent.push(stream);
    }
    for _ in 0..20 {
        others_are_served(&node).await;
    }
    for stream in silent {
        until_closed(stream).await;
    }
    wire::still_serves(node).await;
}
