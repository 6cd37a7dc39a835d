//! Requests that arrive whole are answered directly, and all others by the framework. Clients can't see a difference.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    answer_size, forms,
    harness::{Database, Node},
    panics,
    wire::{self, LONGEST, MARK, answers, exchange},
};

fn form() -> Vec<u8> {
    forms::sign_in("1000", "acme.test", "acme.test").into_bytes()
}

/// The answer's exact bytes, except for the date.
fn undated(bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let at = text.find("\r\ndate: ").unwrap_or_else(|| panic!("no date: {text}")) + 2;
    let end = at + text[at..].find("\r\n").unwrap();
    let date = text[at + "date: ".len()..end].to_owned();
    assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
    text[..at].to_owned() + &text[end + 2..]
}

/// Sends a request in pieces, with a pause after each so that it has most likely been read, and reads to the end.
async fn in_pieces(address: SocketAddr, pieces: &[&[u8]]) -> Vec<u8> {
    let talking = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for (number, piece) in pieces.iter().enumerate() {
            if number > 0 {
                // A sender can't know when the other side has read, so there is no event to wait for.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // After its answer, the server may close the connection.
            let _ = stream.write_all(piece).await;
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    };
    timeout(LONGEST, talking).await.expect("an end")
}

#[actix_web::test]
async fn a_request_split_at_any_byte_is_answered_like_a_whole_one() {
    let node = wire::node().await;
    let address = node.app.switch_address;
    let request = wire::post(&node, &form());
    let whole = undated(&exchange(address, &request).await);
    assert!(whole.contains("<user id=\"1000\""), "{whole}");
    let splits = (1..request.len()).collect::<Vec<_>>();
    for splits in splits.chunks(64) {
        let split = |at: &usize| {
            let (one, two) = request.split_at(*at);
            async move { in_pieces(address, &[one, two]).await }
        };
        for (at, answer) in splits.iter().zip(join_all(splits.iter().map(split)).await) {
            assert_eq!(undated(&answer), whole, "split at {at}");
        }
    }
    let bytes = request.chunks(1).collect::<Vec<_>>();
    assert_eq!(undated(&in_pieces(address, &bytes).await), whole, "byte by byte");
    wire::still_serves(node).await;
}

#[actix_web::test]
async fn both_ways_give_the_same_answers() {
    let node = wire::node().await;
    let address = node.app.switch_address;
    for form in [
        forms::sign_in("1000", "acme.test", "acme.test"),
        forms::sign_in("nobody", "acme.test", "acme.test"),
        forms::sign_in("1000", "other.test", "other.test"),
        forms::user("1001", "acme.test", "&action=user_call"),
        forms::group_call("sales", "acme.test"),
        forms::directory("acme.test"),
        forms::call("1001", "acme.test", ""),
        forms::call("9999999", "acme.test", ""),
        forms::call("1001", "public", ""),
        forms::change_pin("1000", "acme.test", "471147"),
        "section=configuration&key_value=acl.conf".into(),
        "section=languages".into(),
        MARK.into(),
        "x".into(),
    ] {
        let body = form.as_bytes();
        let framework = |more: &str| {
            let head = wire::head(&node, &format!("{more}Content-Length: {}\r\n", body.len()));
            [&head, body].concat()
        };
        // Twice: from the database, and from memory.
        for _ in 0..2 {
            let short = undated(&exchange(address, &wire::post(&node, body)).await);
            for more in ["Connection: close\r\n", "Transfer-Encoding: chunked\r\n"] {
                let request = if more.starts_with("Transfer") {
                    let chunks = format!("{:x}\r\n{form}\r\n0\r\n\r\n", form.len());
                    [&wire::head(&node, more), chunks.as_bytes()].concat()
                } else {
                    framework(more)
                };
                assert_eq!(undated(&exchange(address, &request).await), short, "{form}");
            }
        }
    }
    wire::still_serves(node).await;
}

/// Bytes after a request are not read as a part of it, and its answer arrives whatever happens to them.
#[actix_web::test]
async fn what_follows_a_request_costs_nobody_the_answer() {
    let node = wire::node().await;
    let address = node.app.switch_address;
    let request = wire::post(&node, &form());
    let second = wire::post(&node, forms::sign_in("1001", "acme.test", "acme.test").as_bytes());
    for behind in [&b"x"[..], b"&user=1001", b"\r\n\r\n", b"\0", &second, &second.repeat(100), &vec![b'x'; 100_000]] {
        let together = [&request[..], behind].concat();
        for answered in [exchange(address, &together).await, in_pieces(address, &[&request, behind]).await] {
            let answers = answers(&answered);
            assert!(answers[0].text().contains("<user id=\"1000\""), "{answers:?}");
            answers.iter().for_each(wire::assert_decent);
        }
        // Repeated without a pause, so that the rest arrives at different moments.
        let exchanges = (0..100).map(|_| async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (mut reading, mut writing) = stream.split();
            let mut answer = Vec::new();
            let sending = async {
                writing.write_all(&request).await.unwrap();
                let _ = writing.write_all(behind).await;
            };
            let ((), _) = tokio::join!(sending, reading.read_to_end(&mut answer));
            answer
        });
        for answered in timeout(LONGEST, join_all(exchanges)).await.expect("an end") {
            assert!(answers(&answered)[0].text().contains("<user id=\"1000\""), "{} bytes behind", behind.len());
        }
    }
    wire::still_serves(node).await;
}

/// A client with the smallest possible kernel buffers on both sides.
fn narrow(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).unwrap();
    socket.set_tcp_mss(536).unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    TcpStream::from_std(socket.into()).unwrap()
}

/// A node whose answer to [`forms::directory`] is about a megabyte.
async fn large() -> Node {
    panics::watch();
    let node = Node::start(&Database::new().await).await;
    answer_size::tenant(&node, &"王".repeat(80), None).await;
    node
}

#[actix_web::test]
async fn an_answer_larger_than_what_the_kernel_holds_arrives_whole() {
    let node = large().await;
    let request = wire::post(&node, forms::directory("acme.test").as_bytes());
    let whole = undated(&exchange(node.app.switch_address, &request).await);
    assert!(whole.len() > 500_000, "{}", whole.len());
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = narrow(node.app.switch_address);
        stream.write_all(&request).await.unwrap();
        streams.push(stream);
    }
    // They don't read yet, and don't hold up others.
    let since = Instant::now();
    for _ in 0..20 {
        assert_eq!(wire::fetch(&node, forms::sign_in("100001", "acme.test", "acme.test")).await.status, 200);
    }
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    let reading = streams.into_iter().map(|mut stream| async move {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    });
    for answer in timeout(LONGEST, join_all(reading)).await.expect("an end") {
        assert!(undated(&answer) == whole, "{} bytes", answer.len());
    }
    node.stop().await;
    panics::assert_none();
}

/// The server gives up on a client that reads only a little now and then.
#[actix_web::test]
async fn an_answer_that_is_hardly_read_is_given_up() {
    let node = large().await;
    let request = wire::post(&node, forms::directory("acme.test").as_bytes());
    let length = exchange(node.app.switch_address, &request).await.len();
    let mut stream = narrow(node.app.switch_address);
    stream.write_all(&request).await.unwrap();
    let reading = async {
        let (mut some, mut read) = ([0; 512], 0);
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        while let Ok(more @ 1..) = stream.read(&mut some).await {
            read += more;
            pace.tick().await;
        }
        read
    };
    let read = timeout(4 * LONGEST, reading).await.expect("an end");
    assert!(read < length, "all of it was waited for");
    node.stop().await;
    panics::assert_none();
}

/// Requests that need the framework get their turn beside any number of requests that don't.
#[actix_web::test]
async fn a_flood_of_whole_requests_starves_no_other() {
    let node = wire::node().await;
    let address = node.app.switch_address;
    let (request, stop) = (Arc::new(wire::post(&node, &form())), Arc::new(AtomicBool::new(false)));
    let flood = (0..64).map(|_| {
        let (request, stop) = (Arc::clone(&request), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut answered = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                assert!(exchange(address, &request).await.starts_with(b"HTTP/1.1 200 OK\r\n"));
                answered += 1;
            }
            answered
        })
    });
    let flood = flood.collect::<Vec<_>>();
    let form = form();
    let chunks = [format!("{:x}\r\n", form.len()).as_bytes(), &form, b"\r\n0\r\n\r\n"].concat();
    for _ in 0..50 {
        let request = [&wire::head(&node, "Transfer-Encoding: chunked\r\n"), &chunks[..]].concat();
        let since = Instant::now();
        assert!(wire::answer(&node, &request).await.text().contains("<user id=\"1000\""));
        assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    }
    stop.store(true, Ordering::Relaxed);
    for answered in join_all(flood).await {
        assert!(answered.unwrap() > 0);
    }
    wire::still_serves(node).await;
}
