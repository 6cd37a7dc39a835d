//! However many clients ask for a cold key, the database is asked once.

use std::sync::Arc;

use dialplane::switch::fetch::{Reply, request::Request};
use serde_json::json;

use crate::harness::{Database, Node, sign_in_form};

#[actix_web::test]
async fn ten_thousand_fetches_of_one_cold_key_are_one_statement() {
    let database = Database::new().await;
    // The statement is held up until this machine has started ten thousand fetches.
    let node = Node::with(&database, |settings| settings.fill_timeout_ms = 60_000).await;
    let tenant = node.tenant("acme.test").await;
    node.extension(tenant, json!({ "number": "1000" })).await;

    // The statement waits here, so that all ten thousand fetches come while it is under way.
    let mut blocker = database.connect().await;
    sqlx::query("begin").execute(&mut blocker).await.unwrap();
    sqlx::query("lock table extensions in access exclusive mode").execute(&mut blocker).await.unwrap();

    let form = sign_in_form("1000", "acme.test");
    let ask = |fetch: Arc<dialplane::switch::fetch::Fetch>, form: String| {
        tokio::spawn(async move {
            // They share one thread with the node's poll, so on a busy machine the node may lose its lease for a moment.
            while !fetch.generations.is_fresh() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            fetch.answer(Request::read(form.as_bytes()).unwrap(), None).await.0
        })
    };
    let before = waiting(&database).await;
    let first = ask(Arc::clone(&node.app.fetch), form.clone());
    more_wait_than(before, &database).await;
    // The first client goes away, but its fill continues.
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

#[actix_web::test]
async fn those_who_ask_for_different_phones_at_once_share_statements_and_each_gets_their_own_answer() {
    const PHONES: u32 = 150;
    let database = Database::new().await;
    let node = Node::with(&database, |settings| settings.fill_timeout_ms = 60_000).await;
    for domain in ["acme.test", "beta.test"] {
        let tenant = node.tenant(domain).await;
        // Every third number is not in use.
        for number in (1000..1000 + PHONES).filter(|number| number % 3 != 0) {
            node.extension(tenant, json!({ "number": number.to_string() })).await;
        }
    }
    let mut blocker = database.connect().await;
    sqlx::query("begin").execute(&mut blocker).await.unwrap();
    sqlx::query("lock table extensions in access exclusive mode").execute(&mut blocker).await.unwrap();
    let before = waiting(&database).await;
    let mut asked = Vec::new();
    for number in 1000..1000 + PHONES {
        for domain in ["acme.test", "beta.test"] {
            let (fetch, form) = (Arc::clone(&node.app.fetch), sign_in_form(&number.to_string(), domain));
            let ask = tokio::spawn(async move {
                while !fetch.generations.is_fresh() {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
                fetch.answer(Request::read(form.as_bytes()).unwrap(), None).await.0
            });
            asked.push((number, domain, ask));
        }
    }
    more_wait_than(before, &database).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let under_way = waiting(&database).await - before;
    assert!((1..=2).contains(&under_way), "{under_way} statements are under way for {} askers", asked.len());
    sqlx::query("commit").execute(&mut blocker).await.unwrap();
    for (number, domain, ask) in asked {
        let Reply::Document(document) = ask.await.unwrap() else { panic!("no document for {number}@{domain}") };
        let document = String::from_utf8_lossy(&document).into_owned();
        assert!(document.contains(&format!("<domain name=\"{domain}\"")), "{number}@{domain}: {document}");
        let is_there = document.contains(&format!("<user id=\"{number}\""));
        assert_eq!(is_there, number % 3 != 0, "{number}@{domain}: {document}");
        assert_eq!(document.matches("<user ").count(), usize::from(number % 3 != 0), "{document}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn a_shared_statement_that_fails_is_503_for_all_who_wait_for_it_and_the_next_one_answers() {
    let database = Database::new().await;
    let node = Node::with(&database, |settings| settings.fill_timeout_ms = 300).await;
    let tenant = node.tenant("acme.test").await;
    for number in 1000..1040 {
        node.extension(tenant, json!({ "number": number.to_string() })).await;
    }
    let mut blocker = database.connect().await;
    sqlx::query("begin").execute(&mut blocker).await.unwrap();
    sqlx::query("lock table extensions in access exclusive mode").execute(&mut blocker).await.unwrap();
    let ask = |number: i32| {
        let (fetch, form) = (Arc::clone(&node.app.fetch), sign_in_form(&number.to_string(), "acme.test"));
        tokio::spawn(async move { fetch.answer(Request::read(form.as_bytes()).unwrap(), None).await.0 })
    };
    let asked = (1000..1040).map(ask).collect::<Vec<_>>();
    for asked in asked {
        assert_eq!(asked.await.unwrap(), Reply::Unavailable);
    }
    sqlx::query("commit").execute(&mut blocker).await.unwrap();
    for number in 1000..1040 {
        // The node may have lost its lease meanwhile. So fetch again, as a switch would.
        while !matches!(ask(number).await.unwrap(), Reply::Document(_)) {
            tokio::task::yield_now().await;
        }
    }
    node.stop().await;
}

/// The node's count of fills with a waiting client. The first client has left, so its fill is not counted.
fn filled(node: &Node) -> u64 {
    node.app.fetch.fills()
}

/// Waits until one more statement waits for a lock. It must come; a minute is for a busy machine.
async fn more_wait_than(before: i64, database: &Database) {
    let since = std::time::Instant::now();
    while waiting(database).await == before {
        assert!(since.elapsed() < std::time::Duration::from_mins(1), "no statement of a fetch waits");
        tokio::task::yield_now().await;
    }
}

/// How many fetch statements wait for a lock now.
async fn waiting(database: &Database) -> i64 {
    let mut db = database.connect().await;
    sqlx::query_scalar::<_, i64>(
        "select count(*) from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock' and query like '%join generation g %'",
    )
    .fetch_one(&mut db)
    .await
    .unwrap()
}
