//! Sends bytes to the switch listener, as strangers do, and checks every answer.

use std::{net::SocketAddr, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    forms,
    harness::{Answer, Database, Node},
    model::Switch,
    panics, second_reader,
};

/// A marker in everything that is sent. No answer may contain it.
pub const MARK: &str = "eChO7mArK";
/// The time limit for everything.
pub const LONGEST: Duration = Duration::from_secs(10);

/// A node with the tenant acme.test and its extensions 1000 and 1001, as in the recorded requests.
pub async fn node() -> Node {
    panics::watch();
    let node = Node::start(&Database::new().await).await;
    let tenant = node.tenant("acme.test").await;
    let mut members = Vec::new();
    for number in ["1000", "1001"] {
        members.push(node.extension(tenant, json!({ "number": number })).await["id"].clone());
    }
    let group = json!({ "name": "sales", "number": "2000", "members": members });
    assert_eq!(node.api("POST", &format!("/v1/tenants/{tenant}/groups"), group).await.status, 201);
    node
}

/// Checks at the end that a phone registers, a call is routed, and nothing has panicked.
pub async fn still_serves(node: Node) {
    let answer = node.fetch(&forms::sign_in("1000", "acme.test", "acme.test")).await;
    assert!(answer.text().contains("<user id=\"1000\""), "{}", answer.text());
    let answer = node.fetch(&forms::call("1001", "acme.test", "")).await;
    assert!(answer.text().contains("user/1001@acme.test"), "{}", answer.text());
    node.stop().await;
    panics::assert_none();
}

pub fn credentials(node: &Node) -> String {
    let (name, token) = &node.switch;
    format!("Basic {}", STANDARD.encode(format!("{name}:{token}")))
}

/// The head of a fetch, up to its content length.
pub fn head(node: &Node, rest: &str) -> Vec<u8> {
    format!("POST /fs/xml HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\n{rest}\r\n", credentials(node))
        .into_bytes()
}

/// A fetch with the right content length.
pub fn post(node: &Node, body: &[u8]) -> Vec<u8> {
    [&head(node, &format!("Content-Length: {}\r\n", body.len())), body].concat()
}

/// Sends bytes and reads until the server closes the connection.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let talking = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let (mut reading, mut writing) = stream.split();
        let mut answer = Vec::new();
        // Read while writing, because a server that refuses early closes before everything was sent. An error on either side ends this too.
        let (_, _) = tokio::join!(writing.write_all(request), reading.read_to_end(&mut answer));
        answer
    };
    let answered = timeout(LONGEST, talking).await;
    answered.unwrap_or_else(|_| panic!("no end after {LONGEST:?}: {}", beginning(request)))
}

/// The beginning of a request, enough to recognise it.
fn beginning(request: &[u8]) -> String {
    String::from_utf8_lossy(&request[..request.len().min(2000)]).into_owned()
}

/// Sends a request that must get exactly one well-formed answer.
pub async fn answer(node: &Node, request: &[u8]) -> Answer {
    let bytes = exchange(node.app.switch_address, request).await;
    let mut answers = answers(&bytes);
    assert_eq!(answers.len(), 1, "{}\n=>\n{}", beginning(request), String::from_utf8_lossy(&bytes));
    let answer = answers.remove(0);
    assert_decent(&answer);
    answer
}

/// Sends a fetch with this body, which must get a well-formed answer.
pub async fn fetch(node: &Node, body: impl AsRef<[u8]>) -> Answer {
    answer(node, &post(node, body.as_ref())).await
}

/// The answers that came back, without "100 Continue".
pub fn answers(mut bytes: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let gap = memchr::memmem::find(bytes, b"\r\n\r\n");
        let gap = gap.unwrap_or_else(|| panic!("no HTTP answer: {:?}", String::from_utf8_lossy(bytes)));
        let head = std::str::from_utf8(&bytes[..gap]).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse::<u16>().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect::<Vec<_>>();
        let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, n)| n.parse().unwrap());
        let body = bytes[gap + 4..gap + 4 + length].to_vec();
        bytes = &bytes[gap + 4 + length..];
        if status != 100 {
            answers.push(Answer { status, headers, body });
        }
    }
    answers
}

/// Checks that an answer is XML that a switch reads as it is, or a plain refusal, without the marker.
pub fn assert_decent(answer: &Answer) {
    let shown = format!("{answer:?}\n{}", answer.text());
    assert!(!shown.contains(MARK), "an echo: {shown}");
    let kind = answer.header("content-type");
    match answer.status {
        200 => {
            assert_eq!(kind, Some("text/xml"), "{shown}");
            let reading = Switch::new().read(&answer.body);
            // Profiles use the switch's own variables on purpose, but only those of the stock configuration.
            if answer.text().contains("<configuration name=\"sofia.conf\">") {
                return;
            }
            assert!(reading.is_untouched(), "{reading:?}");
            assert_eq!(*reading.tree(), second_reader::read(&answer.body), "{shown}");
        }
        400..=499 | 501 | 503 | 505 => {
            assert!(answer.body.is_empty() || kind.is_some_and(|kind| kind.starts_with("text/plain")), "{shown}");
            assert!(!answer.text().contains('<'), "{shown}");
        }
        _ => panic!("{shown}"),
    }
}

/// Whether it is the document that makes a switch ask its other sources.
pub fn is_not_found(answer: &Answer) -> bool {
    answer.status == 200 && answer.text().contains("<result status=\"not found\"/>")
}

/// Whether it is the domain without a user.
pub fn is_nobody(answer: &Answer, domain: &str) -> bool {
    let text = answer.text();
    text.contains(&format!("<domain name=\"{domain}\">")) && !text.contains("<user ")
}
