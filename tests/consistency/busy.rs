//! Heavy load: uploads must not make nodes stale, and statements that nobody waits for any more must end at the server.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

use crate::harness::{Answer, Database, Node, send};

/// Lines with numbers that are not in use.
fn lines(from: u64, count: u64) -> String {
    (from..from + count).map(|n| format!("+4930{n:08},telnyx\n")).collect::<Vec<_>>().concat()
}

async fn upload(node: &Node, tenant: Uuid, text: &str) -> Answer {
    let headers = [("X-API-Key", node.key.as_str()), ("Content-Type", "text/csv")];
    let path = format!("/v1/phone-numbers/bulk?tenant_id={tenant}");
    send(node.app.app_address, "POST", &path, &headers, text.as_bytes()).await
}

/// The server's processes that wait for a lock in a statement with this text.
async fn waiting(db: &mut PgConnection, text: &str) -> Vec<i32> {
    let rows = sqlx::query(
        "select pid from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and wait_event_type = 'Lock' and query like $1",
    );
    let rows = rows.bind(format!("%{text}%")).fetch_all(db).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < Duration::from_secs(30), "not yet: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[actix_web::test]
async fn a_client_that_leaves_takes_its_upload_along() {
    let database = Database::new().await;
    // With four connections, only one upload is worked on at a time.
    let node = Arc::new(Node::start(&database).await);
    let tenant = node.tenant("acme.test").await;
    let (mut holder, mut watcher) = (database.connect().await, database.connect().await);
    // A lock on the generation keeps every insert of a number waiting.
    let mut held = holder.begin().await.unwrap();
    held.execute("select 1 from generation for update").await.unwrap();
    let body = lines(10_000_000, 2000);
    let head = format!(
        "POST /v1/phone-numbers/bulk?tenant_id={tenant} HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\nContent-Length: {}\r\n\r\n",
        node.key,
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(node.app.app_address).await.unwrap();
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    until("the upload waits", async || waiting(&mut watcher, "insert into numbers").await.len() == 1).await;
    let second = {
        let node = Arc::clone(&node);
        actix_web::rt::spawn(async move { upload(&node, tenant, &lines(20_000_000, 10)).await })
    };
    drop(stream);
    // The second upload gets its turn although the first one's statement still hangs and holds the tenant: its client has left.
    until("the next one has its turn", async || waiting(&mut watcher, "pg_advisory_xact_lock").await.len() == 1).await;
    held.rollback().await.unwrap();
    let second = second.await.unwrap();
    assert_eq!(second.status, 201, "{}", second.text());
    until("the first one's process is free", async || {
        let busy =
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
                       and state <> 'idle' and query like '%numbers%'";
        sqlx::query_scalar::<_, i64>(busy).fetch_one(&mut watcher).await.unwrap() == 0
    })
    .await;
    let kept = sqlx::query_scalar::<_, i64>("select count(*) from numbers").fetch_one(&mut watcher).await.unwrap();
    assert_eq!(kept, 10, "of the upload that nobody waited for nothing is left");
    Arc::into_inner(node).unwrap().stop().await;
}

#[actix_web::test]
async fn a_poll_or_a_fill_that_hangs_ends_at_the_server_too() {
    let database = Database::new().await;
    let node = Node::with(&database, |settings| settings.fill_timeout_ms = 300).await;
    let tenant = node.tenant("acme.test").await;
    node.extension(tenant, json!({ "number": "1000" })).await;
    let (mut holder, mut watcher) = (database.connect().await, database.connect().await);
    let mut held = holder.begin().await.unwrap();
    held.execute("lock table extensions in access exclusive mode").await.unwrap();
    assert_eq!(node.sign_in("1000", "acme.test").await.status, 503);
    until("the fill's process is free", async || waiting(&mut watcher, "left join extensions").await.is_empty()).await;
    held.execute("lock table nodes in access exclusive mode").await.unwrap();
    // A statement that was given up is tried again on another connection. Such statements must not pile up.
    let mut seen = HashSet::new();
    until("four polls have hung", async || {
        let now = waiting(&mut watcher, "nodes").await;
        assert!(now.len() <= 2, "{} polls hang at once", now.len());
        seen.extend(now);
        seen.len() >= 4
    })
    .await;
    assert!(!node.app.fetch.generations.is_fresh(), "a node that can't poll is detached");
    held.rollback().await.unwrap();
    until("the node is fresh again", async || node.app.fetch.generations.is_fresh()).await;
    assert!(node.sign_in("1000", "acme.test").await.text().contains("<user "));
    node.stop().await;
}

#[actix_web::test]
async fn nodes_stay_fresh_while_eight_uploads_run() {
    let database = Database::new().await;
    let nodes = [Arc::new(Node::start(&database).await), Arc::new(Node::start(&database).await)];
    let tenant = nodes[0].tenant("acme.test").await;
    nodes[0].extension(tenant, json!({ "number": "1000" })).await;
    let uploads = (0..8).map(|n| {
        let node = Arc::clone(&nodes[n % 2]);
        let text = lines(10_000_000 * (n as u64 + 1), 2000);
        actix_web::rt::spawn(async move { upload(&node, tenant, &text).await })
    });
    let mut uploads = futures_util::future::join_all(uploads);
    let mut worst = Duration::ZERO;
    let answers = loop {
        tokio::select! {
            answers = &mut uploads => break answers,
            () = tokio::time::sleep(Duration::from_millis(20)) => {
                for node in &nodes {
                    worst = worst.max(node.app.fetch.generations.detached_for());
                }
                // Fetches are answered during the uploads.
                assert_eq!(nodes[1].sign_in("1000", "acme.test").await.status, 200);
            }
        }
    };
    for answer in answers {
        let answer = answer.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    // On a machine that is busy with other tests, a poll may be late. When polls piled up, it was minutes.
    assert!(worst < Duration::from_secs(3), "detached for {worst:?}");
    for node in nodes {
        Arc::into_inner(node).unwrap().stop().await;
    }
}

#[actix_web::test]
async fn a_transaction_raises_a_generation_once_also_after_a_savepoint_was_undone() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    for number in 1000..1003 {
        node.extension(tenant, json!({ "number": number.to_string() })).await;
    }
    let mut db = database.connect().await;
    let generation = async |db: &mut PgConnection| {
        let now = sqlx::query_scalar::<_, i64>("select generation from generation where scope = $1").bind(tenant);
        now.fetch_one(db).await.unwrap()
    };
    let touch = "update extensions set display_name = display_name || 'x'";
    let before = generation(&mut db).await;
    for statements in [
        format!("{touch}; {touch}; {touch}"),
        // The savepoint's rollback undid the raise as well, so the next change raises the generation.
        format!("savepoint a; {touch}; rollback to savepoint a; {touch}"),
        format!("savepoint a; {touch}; release savepoint a; {touch}"),
    ] {
        let at = generation(&mut db).await;
        db.execute(sqlx::AssertSqlSafe(format!("begin; {statements}; commit"))).await.unwrap();
        assert_eq!(generation(&mut db).await, at + 1, "{statements}");
    }
    db.execute(sqlx::AssertSqlSafe(format!("begin; savepoint a; {touch}; rollback to savepoint a; commit")))
        .await
        .unwrap();
    assert_eq!(generation(&mut db).await, before + 3, "nothing came of it");
    node.stop().await;
}
