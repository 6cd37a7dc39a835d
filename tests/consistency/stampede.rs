//! However many ask for a cold key, the database is asked once.

use std::sync::Arc;

use dialplane::switch::fetch::{Reply, request::Request};
use serde_json::json;

use crate::harness::{Database, Node, sign_in_form};

#[actix_web::test]
async fn ten_thousand_fetches_of_one_cold_key_are_one_statement() {
    let database = Database::new().await;
    // The statement is held up for as long as this machine takes to start ten thousand askers.
    let node = Node::with(&database, |settings| settings.fill_timeout_ms = 60_000).await;
    let tenant = node.tenant("acme.test").await;
    node.extension(tenant, json!({ "number": "1000" })).await;

    // The statement waits here, so that all ten thousand come while it is under way.
    let mut blocker = database.connect().await;
    sqlx::query("begin").execute(&mut blocker).await.unwrap();
    sqlx::query("lock table extensions in access exclusive mode").execute(&mut blocker).await.unwrap();

    let form = sign_in_form("1000", "acme.test");
    let ask = |fetch: Arc<dialplane::switch::fetch::Fetch>, form: String| {
        tokio::spawn(async move {
            // All of them and the node's poll share one thread: a busy machine may cost the node its lease for a moment.
            while !fetch.generations.is_fresh() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            fetch.answer(Request::read(form.as_bytes()).unwrap(), None).await.0
        })
    };
    let before = waiting(&database).await;
    let first = ask(Arc::clone(&node.app.fetch), form.clone());
    while waiting(&database).await == before {
        tokio::task::yield_now().await;
    }
    // The first asker goes away; its fill does not.
    first.abort();
    let others = (0..10_000).map(|_| ask(Arc::clone(&node.app.fetch), form.clone())).collect::<Vec<_>>();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(waiting(&database).await, before + 1, "one statement waits, whoever asked");
    sqlx::query("commit").execute(&mut blocker).await.unwrap();
    for other in others {
        let Reply::Document(document) = other.await.unwrap() else { panic!("no document") };
        assert!(String::from_utf8_lossy(&document).contains("<user id=\"1000\""));
    }
    assert_eq!(filled(&node), 1, "one fill");
    node.stop().await;
}

/// Fills that were for somebody, by the node's own count: the first asker's, whom nobody waited for any more, has no reply.
fn filled(node: &Node) -> u64 {
    node.app.fetch.fills()
}

/// How many statements of fetches wait for a lock right now.
async fn waiting(database: &Database) -> i64 {
    let mut db = database.connect().await;
    sqlx::query_scalar::<_, i64>(
        "select count(*) from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock' and query like '%from generation g%'",
    )
    .fetch_one(&mut db)
    .await
    .unwrap()
}
