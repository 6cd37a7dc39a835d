//! Strangers who guess names, domains and numbers. A guess must not cost a statement or lasting memory, and must not slow down
//! others.

use std::{process::Command, sync::Arc, time::Instant};

use dialplane::switch::fetch::{Fetch, Reply, Source, request::Request};
use serde_json::json;

use crate::{
    forms,
    harness::{Database, Node},
};

const GUESSES: usize = 20_000;
/// Until the names of a scope are in memory, each guess costs a statement.
const A_FEW: u64 = 40;
/// Statements per second of a node and its tests besides fetches, mostly polls: some more than there are. A statement for each guess would be
/// thousands.
const BESIDE: u64 = 100;
const MORE_BYTES: u64 = 50 << 20;

/// Kinds of guesses, with their fetches.
type Kind = (&'static str, fn(usize) -> String);

/// This runs in a separate process, whose memory is measured.
#[test]
fn twenty_thousand_guesses_of_each_kind_cost_a_handful_of_statements() {
    if std::env::var_os("DIALPLANE_TEST_ALONE").is_some() {
        actix_web::rt::System::new().block_on(guess());
        return;
    }
    let name = "scanner::twenty_thousand_guesses_of_each_kind_cost_a_handful_of_statements";
    let mut alone = Command::new(std::env::current_exe().unwrap());
    let ran = alone.args(["--exact", name, "--nocapture"]).env("DIALPLANE_TEST_ALONE", "1").output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(ran.status.success(), "{}{}", said(&ran.stdout), said(&ran.stderr));
    assert!(said(&ran.stdout).contains("1 passed"), "{}", said(&ran.stdout));
}

async fn guess() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let id = node.extension(tenant, json!({ "number": "1000" })).await["id"].clone();
    let number = json!({ "number": "+12025550100", "destination": { "kind": "extension", "id": id } });
    assert_eq!(node.api("POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), number).await.status, 201);
    let known = [
        forms::sign_in("1000", "acme.test", "acme.test"),
        forms::user("1000", "acme.test", ""),
        forms::call("1000", "acme.test", ""),
    ];
    for form in &known {
        ask(&node.app.fetch, form).await;
    }
    // The allocator and the connections first take the memory that they need once.
    let kinds: [Kind; 6] = [
        ("user", |n| forms::sign_in(&format!("u{n}"), "acme.test", "acme.test")),
        ("profile", |n| forms::user(&format!("guess-{n}"), "ACME.test", "&action=user_call")),
        ("domain", |n| forms::sign_in("1000", &format!("d{n}.example"), &format!("d{n}.example"))),
        ("DID", |n| forms::call(&format!("+1303{n:07}"), "public", "")),
        ("number", |n| forms::call(&format!("5{n:06}"), "acme.test", "")),
        ("group", |n| forms::group_call(&format!("g{n}"), "acme.test")),
    ];
    for (_, form) in kinds {
        ask(&node.app.fetch, &form(GUESSES)).await;
    }
    let (memory, statements, began) = (resident(), statements(&database).await, Instant::now());
    for (kind, form) in kinds {
        let before = node.app.fetch.fills();
        guess_all(&node.app.fetch, form).await;
        let fills = node.app.fetch.fills() - before;
        assert!(fills <= A_FEW, "{fills} statements for guesses of a {kind}");
        for form in &known {
            assert_eq!(ask(&node.app.fetch, form).await.1, Source::Hit, "after guesses of a {kind}: {form}");
        }
    }
    let statements = self::statements(&database).await - statements;
    let most = BESIDE * (began.elapsed().as_secs() + 3);
    assert!(u64::try_from(statements).unwrap() < most, "{statements} statements, {most} at most");
    over_http(&node, &kinds).await;
    let grown = resident().saturating_sub(memory);
    assert!(grown < MORE_BYTES, "{grown} bytes more");
    node.app.fetch.cache.settle();
    let (kept, strays) = node.app.fetch.cache.len();
    assert!(kept <= 10 && strays <= 6 * A_FEW, "{kept} answers and {strays} strays are kept");

    let guessed = node.sign_in("u7", "acme.test").await;
    assert!(!guessed.text().contains("<user "), "{}", guessed.text());
    node.extension(tenant, json!({ "number": "5000007", "sip_username": "u7" })).await;
    let answer = node.sign_in("u7", "acme.test").await;
    assert!(answer.text().contains("<user id=\"u7\""), "{}", answer.text());
    assert!(node.fetch(&forms::call("5000007", "acme.test", "")).await.text().contains("user/u7@acme.test"));
    node.tenant("d7.example").await;
    assert!(node.sign_in("1000", "d7.example").await.text().contains("<domain name=\"d7.example\""));
    node.stop().await;
}

/// Sends many guesses at once, as scanners do.
async fn guess_all(fetch: &Arc<Fetch>, form: fn(usize) -> String) {
    const AT_ONCE: usize = 16;
    let guessers = (0..AT_ONCE).map(|first| {
        let fetch = Arc::clone(fetch);
        tokio::spawn(async move {
            for n in (first..GUESSES).step_by(AT_ONCE) {
                // The node's polls also run on this thread, and answers from memory never wait, so give the polls a turn.
                tokio::task::yield_now().await;
                let form = form(n);
                match ask(&fetch, &form).await.0 {
                    Reply::Document(document) => {
                        let document = String::from_utf8_lossy(&document);
                        assert!(!document.contains("<user ") && !document.contains("bridge"), "{form}: {document}");
                    }
                    Reply::NotFound => assert!(form.contains(".example"), "{form}"),
                    Reply::Unavailable => panic!("unavailable: {form}"),
                }
            }
        })
    });
    for guesser in guessers.collect::<Vec<_>>() {
        guesser.await.unwrap();
    }
}

/// The same over the listener, some hundred guesses of each kind.
async fn over_http(node: &Node, kinds: &[Kind]) {
    let before = node.app.fetch.fills();
    for n in GUESSES..GUESSES + 300 {
        for (kind, form) in kinds {
            let answer = node.fetch(&form(n)).await;
            assert_eq!(answer.status, 200, "{kind}: {}", answer.text());
        }
    }
    assert!(node.app.fetch.fills() - before <= A_FEW);
}

async fn ask(fetch: &Arc<Fetch>, form: &str) -> (Reply, Source) {
    fetch.answer(Request::read(form.as_bytes()).unwrap(), None).await
}

/// Memory of this process, in bytes.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// The number of this database's transactions. Each statement of a fetch is one. Backends report them at most a second late.
async fn statements(database: &Database) -> i64 {
    let sql = "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()";
    sqlx::query_scalar(sql).fetch_one(&mut database.connect().await).await.unwrap()
}

/// `*98` and a number asks for that mailbox. From the roster, the node knows that nobody has the number.
#[actix_web::test]
async fn mailboxes_that_nobody_has_cost_a_handful_of_statements() {
    let node = Node::start(&Database::new().await).await;
    let tenant = node.tenant("acme.test").await;
    node.extension(tenant, json!({ "number": "1000" })).await;
    for n in 0..300 {
        let answer = node.fetch(&forms::call(&format!("*98{n:05}"), "acme.test", "")).await;
        assert!(answer.text().contains("UNALLOCATED_NUMBER"), "{}", answer.text());
    }
    let fills = node.app.fetch.fills();
    node.stop().await;
    assert!(fills <= A_FEW, "{fills} statements for 300 mailboxes");
}

/// A voicemail for an unknown group is a guess like any other.
#[actix_web::test]
async fn mailboxes_of_groups_that_nobody_has_cost_a_handful_of_statements() {
    let node = Node::start(&Database::new().await).await;
    let tenant = node.tenant("acme.test").await;
    node.extension(tenant, json!({ "number": "1000" })).await;
    for n in 0..300 {
        let answer = node.fetch(&forms::publish(&format!("group=g{n}"), "acme.test")).await;
        assert!(!answer.text().contains("<user "), "{}", answer.text());
    }
    node.app.fetch.cache.settle();
    let (fills, (kept, _)) = (node.app.fetch.fills(), node.app.fetch.cache.len());
    node.stop().await;
    assert!(fills <= A_FEW, "{fills} statements for 300 groups");
    assert_eq!(kept, 0, "answers about nobody are strays");
}

/// No phone of a suspended tenant registers, but scanners continue.
#[actix_web::test]
async fn guesses_at_a_suspended_tenant_cost_a_handful_of_statements() {
    let node = Node::start(&Database::new().await).await;
    let tenant = node.tenant("acme.test").await;
    node.extension(tenant, json!({ "number": "1000" })).await;
    let suspended = node.api("PATCH", &format!("/v1/tenants/{tenant}"), json!({ "status": "suspended" })).await;
    assert_eq!(suspended.status, 200, "{}", suspended.text());
    for n in 0..300 {
        let answer = node.sign_in(&format!("u{n}"), "acme.test").await;
        assert!(!answer.text().contains("<user "), "{}", answer.text());
    }
    let fills = node.app.fetch.fills();
    node.stop().await;
    assert!(fills <= A_FEW, "{fills} statements for 300 guesses");
}

/// A call to a number that nobody has gets the same refusal, marked with its tenant, from the database and from memory.
#[actix_web::test]
async fn a_number_nobody_has_is_answered_alike_from_the_database_and_from_memory() {
    let node = Node::start(&Database::new().await).await;
    let tenant = node.tenant("acme.test").await;
    node.extension(tenant, json!({ "number": "1000" })).await;
    let asked = |n: usize| forms::call(&format!("7{n:05}"), "acme.test", "");
    let (first, source) = ask(&node.app.fetch, &asked(0)).await;
    assert_eq!(source, Source::Filled);
    let mut n = 1;
    let from_memory = loop {
        let (reply, source) = ask(&node.app.fetch, &asked(n)).await;
        if source == Source::Memory {
            break reply;
        }
        n += 1;
        tokio::task::yield_now().await;
    };
    node.stop().await;
    assert_eq!(shown(&first), shown(&from_memory));
}

/// The generations of the platform and of a tenant are independent.
#[actix_web::test]
async fn the_first_call_to_a_phone_number_finds_its_owner_however_many_tenants_came_before() {
    let node = Node::start(&Database::new().await).await;
    for n in 0..5 {
        node.tenant(&format!("t{n}.test")).await;
    }
    let tenant = node.tenant("acme.test").await;
    let id = node.extension(tenant, json!({ "number": "1000" })).await["id"].clone();
    let number = json!({ "number": "+12025550100", "destination": { "kind": "extension", "id": id } });
    assert_eq!(node.api("POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), number).await.status, 201);
    let answer = node.fetch(&forms::call("+12025550100", "public", "")).await;
    let fills = node.app.fetch.fills();
    node.stop().await;
    assert_eq!((answer.status, fills), (200, 1), "{}", answer.text());
    assert!(answer.text().contains("user/1000@acme.test"), "{}", answer.text());
}

fn shown(reply: &Reply) -> String {
    match reply {
        Reply::Document(document) => String::from_utf8_lossy(document).into_owned(),
        other => format!("{other:?}"),
    }
}
