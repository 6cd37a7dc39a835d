//! An event socket that follows a script, as no real one would on request.

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

use super::*;

const QUICK: Pace =
    Pace { silence: Duration::from_mins(1), probe_every: Duration::from_mins(1), latest: Duration::from_secs(1) };

/// A client's connection, after it has signed in and subscribed.
struct Client(BufReader<TcpStream>);

impl Client {
    async fn command(&mut self) -> Option<String> {
        let mut command = String::new();
        while self.0.read_line(&mut command).await.ok()? > 0 {
            if command.ends_with("\n\n") {
                return Some(command.trim().to_owned());
            }
        }
        None
    }

    /// Sends bytes. `false` if the client is gone.
    async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).await.is_ok()
    }

    async fn reply(&mut self, text: &str) {
        assert!(self.send(format!("Content-Type: command/reply\nReply-Text: {text}\n\n")).await);
    }
}

fn frame(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut frame = format!("Content-Length: {}\nContent-Type: text/event-json\n\n", body.len()).into_bytes();
    frame.extend_from_slice(body);
    frame
}

/// Listens to an event socket that signs the client in and then follows the script. Returns the events, and why it ended.
async fn heard(pace: Pace, script: impl AsyncFnOnce(&mut Client)) -> (Vec<String>, Unanswered) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut client = Client(BufReader::new(stream));
        assert!(client.send("Content-Type: auth/request\n\n").await);
        assert_eq!(client.command().await.unwrap(), "auth secret");
        client.reply("+OK accepted").await;
        let subscribed = client.command().await.unwrap();
        assert!(subscribed.starts_with("event json BACKGROUND_JOB "), "{subscribed}");
        client.reply("+OK event listener enabled json").await;
        script(&mut client).await;
        client
    };
    let mut events = Vec::new();
    let listen = async {
        let ear = Ear::open(&address, "secret", OF_LINKS, pace).await.unwrap();
        ear.listen(|event| events.push(event.get("text").unwrap_or("?").to_owned())).await
    };
    // The connection stays open until the client is done with it.
    let (_client, ended) =
        tokio::time::timeout(Duration::from_secs(30), async { tokio::join!(serve, listen) }).await.unwrap();
    (events, ended)
}

const GOODBYE: &str = "{\"Event-Name\":\"SHUTDOWN\"}";

#[tokio::test]
async fn frames_may_come_in_pieces_and_together_and_be_large_and_no_utf8() {
    let large = "x".repeat(1 << 20);
    let sent = large.clone();
    let (events, ended) = heard(QUICK, async |client| {
        for byte in frame("{\"Event-Name\":\"HEARTBEAT\",\"TEXT\":\"in pieces\"}").chunks(1) {
            client.send(byte).await;
            tokio::task::yield_now().await;
        }
        let mut together = frame("{\"Event-Name\":\"HEARTBEAT\",\"text\":\"one\"}");
        together.extend(frame("{\"Event-Name\":\"HEARTBEAT\",\"text\":\"two\"}"));
        client.send(together).await;
        client.send(frame(b"{\"Event-Name\":\"HEARTBEAT\",\"text\":\"caf\xe9\"}")).await;
        client.send(frame(format!("{{\"Event-Name\":\"HEARTBEAT\",\"text\":\"{sent}\"}}"))).await;
        client.send(frame(GOODBYE)).await;
    })
    .await;
    assert_eq!(events, ["in pieces", "one", "two", "caf\u{fffd}", &large]);
    assert!(matches!(ended, Unanswered::Leaving), "{ended}");
}

#[tokio::test]
async fn a_wrong_password_and_a_closed_door_are_told_apart() {
    for (said, refused) in [
        ("Content-Type: command/reply\nReply-Text: -ERR invalid\n\n", true),
        ("Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n\n", false),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serve = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut client = Client(BufReader::new(stream));
            if refused {
                client.send("Content-Type: auth/request\n\n").await;
                client.command().await.unwrap();
            }
            client.send(said).await;
            client
        };
        let (_client, opened) = tokio::join!(serve, Ear::open(&address, "secret", OF_LINKS, QUICK));
        let error = opened.err().unwrap();
        assert!(matches!((&error, refused), (Unanswered::Refused, true) | (Unanswered::Barred, false)), "{error}");
    }
}

#[tokio::test]
async fn a_switch_that_says_nothing_any_more_is_left() {
    let pace = Pace { silence: Duration::from_secs(1), ..QUICK };
    let (_, ended) = heard(pace, async |_| {}).await;
    assert!(matches!(ended, Unanswered::Silent), "{ended}");
}

#[tokio::test]
async fn events_that_come_late_are_noticed_and_jobs_of_others_are_not_taken_for_own_ones() {
    let pace = Pace { probe_every: Duration::from_millis(50), ..QUICK };
    let job =
        |id: &str| frame(format!("{{\"Event-Name\":\"BACKGROUND_JOB\",\"Job-UUID\":\"{id}\",\"text\":\"{id}\"}}"));
    let (events, ended) = heard(pace, async |client| {
        for probe in ["first", "second"] {
            assert_eq!(client.command().await.unwrap(), "bgapi strepoch");
            // The first one ends before its id is known.
            if probe == "first" {
                client.send(job(probe)).await;
            }
            client
                .send(format!("Content-Type: command/reply\nReply-Text: +OK Job-UUID: {probe}\nJob-UUID: {probe}\n\n"))
                .await;
        }
        client.send(job("another's")).await;
    })
    .await;
    assert_eq!(events, ["first", "another's"]);
    assert!(matches!(ended, Unanswered::Lagging), "{ended}");
}

#[tokio::test]
async fn the_switch_never_waits_for_a_node_that_does_not_keep_up_and_lost_events_end_the_link() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut client = Client(BufReader::new(stream));
        client.send("Content-Type: auth/request\n\n").await;
        client.command().await.unwrap();
        client.reply("+OK accepted").await;
        client.command().await.unwrap();
        client.reply("+OK event listener enabled json").await;
        // All of it is read, although nobody takes it in.
        let large = frame(format!("{{\"Event-Name\":\"HEARTBEAT\",\"text\":\"{}\"}}", "x".repeat(1000)));
        for _ in 0..MOST_WAITING + 100 {
            assert!(client.send(&large).await);
        }
        client
    };
    let open = Ear::open(&address, "secret", OF_LINKS, QUICK);
    let (_client, opened) = tokio::join!(serve, open);
    let ear = opened.unwrap();
    while ear.client.dropped_event_count() == 0 {
        tokio::task::yield_now().await;
    }
    let mut events = 0;
    let ended = ear.listen(|_| events += 1).await;
    assert!(matches!(ended, Unanswered::Lost), "{ended}");
    assert_eq!(events, 0, "what came before may be older than what is read next");
}

#[tokio::test]
async fn a_switch_that_was_started_again_ends_the_link() {
    let (events, ended) = heard(QUICK, async |client| {
        for core in ["a", "a", "b"] {
            client.send(frame(format!("{{\"Event-Name\":\"HEARTBEAT\",\"Core-UUID\":\"{core}\"}}"))).await;
        }
    })
    .await;
    assert_eq!(events.len(), 2);
    assert!(matches!(ended, Unanswered::Restarted), "{ended}");
}

#[tokio::test]
async fn an_event_that_can_not_be_read_is_a_lost_one() {
    for strange in ["{\"Event-Name\":", "[]", "\"text\""] {
        let (_, ended) = heard(QUICK, async |client| assert!(client.send(frame(strange)).await)).await;
        assert!(matches!(ended, Unanswered::Strange(_)), "{strange}: {ended}");
    }
    let (_, ended) = heard(QUICK, async |client| assert!(client.send("Content-Length: x\n\n").await)).await;
    assert!(matches!(ended, Unanswered::Connection(_) | Unanswered::Strange(_)), "{ended}");
}
