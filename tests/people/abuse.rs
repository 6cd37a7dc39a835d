//! Abuse by strangers: how often they may try, what the answers reveal, and input that is not valid at all.

use dialplane::tenancy::auth::rules::Role;
use serde_json::{Value, json};

use crate::{
    attacks::browser,
    harness::{Answer, Database, Node, send},
    people::{PASSWORD, company, person, post},
    sign_in::login,
};

/// Sends a form, as a browser does.
async fn form(node: &Node, path: &str, cookie: &str, body: &str) -> Answer {
    let cookie = format!("dialplane_session={cookie}");
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Cookie", cookie.as_str()),
    ];
    send(node.app.app_address, "POST", path, &headers, body.as_bytes()).await
}

fn waits(answer: &Answer) -> bool {
    answer.status == 429 && answer.header("Retry-After").is_some_and(|after| after.parse::<u32>().is_ok())
}

#[actix_web::test]
async fn a_sign_up_is_answered_the_same_whatever_the_address() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    person(&node, Some(tenant), Role::Owner, "known@acme.test").await;
    let answers = async |change: fn(&mut Value)| {
        let mut seen = Vec::new();
        for email in ["known@acme.test", "unknown@acme.test"] {
            let mut new = company(email, "new.test");
            change(&mut new);
            let answer = post(&node, "/v1/auth/register", new).await;
            seen.push((answer.status, answer.text()));
        }
        assert_eq!(seen[0], seen[1]);
        seen.remove(0)
    };
    let (status, text) = answers(|new| new["region"] = json!("moon")).await;
    assert!(status == 422 && text.contains("region"), "{text}");
    let (status, text) = answers(|new| new["domain"] = json!("acme.test")).await;
    assert!(status == 409 && text.contains("acme.test"), "{text}");
    database.execute("update clusters set max_tenants = 1").await;
    let (status, text) = answers(|_| {}).await;
    assert!(status == 409 && text.contains("room"), "{text}");
    assert_eq!(database.count("select count(*) from mail_outbox").await, 0);
    database.execute("update clusters set max_tenants = 100").await;
    assert_eq!(answers(|_| {}).await.0, 202);
    let waiting = database.count("select count(*) from sign_ups where domain = 'new.test'").await;
    let tenants = database.count("select count(*) from tenants where domain = 'new.test'").await;
    let mails = database.count("select count(*) from mail_outbox where template = 'address_taken'").await;
    assert_eq!((waiting, tenants, mails), (1, 0, 1), "one of the two is asked to confirm, the other was told");
    node.stop().await;
}

#[actix_web::test]
async fn only_the_right_password_reveals_that_the_address_is_not_confirmed() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    assert_eq!(post(&node, "/v1/auth/register", company("ada@acme.test", "acme.test")).await.status, 202);
    let right = login(&node, "ada@acme.test", PASSWORD).await;
    assert!(right.status == 409 && right.text().contains("Confirm your e-mail address first"), "{}", right.text());
    assert_eq!(database.count("select count(*) from sign_in_failures where who like 'account%'").await, 0);
    let page =
        form(&node, "/sign-in", "", &format!("email=ada%40acme.test&password={}", PASSWORD.replace(' ', "+"))).await;
    assert!(page.status == 422 && page.text().contains("Confirm your e-mail address first"), "{}", page.text());
    let wrong = login(&node, "ada@acme.test", "a wrong password").await;
    let unknown = login(&node, "nobody@acme.test", "a wrong password").await;
    assert_eq!((wrong.status, wrong.text()), (401, unknown.text()));
    // Somebody who was invited has no password yet.
    let tenant = node.tenant("acme.test").await;
    person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let agent = json!({ "first_name": "A", "last_name": "B", "email": "agent@acme.test" });
    assert_eq!(node.api("POST", &format!("/v1/admin/agents?tenant_id={tenant}"), agent).await.status, 201);
    assert_eq!(login(&node, "agent@acme.test", PASSWORD).await.status, 401);
    // Users of a suspended tenant are told nothing, either.
    node.api("PATCH", &format!("/v1/tenants/{tenant}"), json!({ "status": "suspended" })).await;
    assert_eq!(login(&node, "owner@acme.test", PASSWORD).await.status, 401);
    node.stop().await;
}

#[actix_web::test]
async fn failures_of_an_address_fade_and_an_accounts_slowly() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let wrong = async |email: &str| login(&node, email, "a wrong password").await.status;
    let failures = async |who: &str| {
        let row = sqlx::query_scalar::<_, i32>("select failures from sign_in_failures where who = $1").bind(who);
        row.fetch_one(&mut database.connect().await).await.unwrap()
    };
    for n in 1..=3 {
        assert_eq!(wrong(&format!("somebody{n}@acme.test")).await, 401);
        assert_eq!(failures("address 127.0.0.1").await, n);
    }
    // Single mistakes over weeks: 29 in all, the last two hours ago.
    database
        .execute(
            "update sign_in_failures set failures = 29, last_at = now() - interval '130 minutes'
              where who = 'address 127.0.0.1'",
        )
        .await;
    assert_eq!(wrong("one@acme.test").await, 401);
    assert_eq!(failures("address 127.0.0.1").await, 29 / 4 + 1);
    assert_eq!(wrong("two@acme.test").await, 401);
    assert_eq!(failures("address 127.0.0.1").await, 29 / 4 + 2, "what has faded fades once");
    // The part of an hour that has passed counts towards the next.
    database
        .execute(
            "update sign_in_failures set last_at = last_at - interval '51 minutes'
              where who = 'address 127.0.0.1'",
        )
        .await;
    assert_eq!(wrong("three@acme.test").await, 401);
    assert_eq!(failures("address 127.0.0.1").await, 9 / 2 + 1);
    // Many at once still lock the account, and for longer each time.
    database.execute("update sign_in_failures set failures = 29 where who = 'address 127.0.0.1'").await;
    assert_eq!((wrong("four@acme.test").await, wrong("five@acme.test").await), (401, 429));

    database.execute("delete from sign_in_failures").await;
    assert_eq!(wrong("slow@acme.test").await, 401);
    database.execute("update sign_in_failures set failures = 4, last_at = now() - interval '3 hours'").await;
    assert_eq!((wrong("slow@acme.test").await, wrong("slow@acme.test").await), (401, 429), "guessed at slowly");
    database
        .execute(
            "update sign_in_failures set failures = 4, last_at = now() - interval '25 hours',
              locked_until = now()",
        )
        .await;
    assert_eq!((wrong("slow@acme.test").await, wrong("slow@acme.test").await), (401, 401));
    node.stop().await;
}

#[actix_web::test]
async fn sign_ups_from_one_address_are_limited_per_hour() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let mut weak = company("ada@acme.test", "acme.test");
    weak["password"] = json!("password1234");
    for _ in 0..30 {
        assert_eq!(post(&node, "/v1/auth/register", weak.clone()).await.status, 422, "it counts as well");
    }
    let refused = post(&node, "/v1/auth/register", company("ada@acme.test", "acme.test")).await;
    assert!(waits(&refused), "{}: {}", refused.status, refused.text());
    let sent = "company=Acme&domain=acme.test&first_name=Ada&last_name=L&email=ada%40acme.test&password=password1234";
    let page = form(&node, "/sign-up", "", sent).await;
    assert!(waits(&page) && page.text().contains("Too many attempts"), "{}: {}", page.status, page.text());
    // This does not affect sign-ins, and it does not last.
    assert_eq!(login(&node, "ada@acme.test", PASSWORD).await.status, 401);
    database.execute("update sign_in_failures set locked_until = now() where who like 'sign-ups %'").await;
    assert_eq!(post(&node, "/v1/auth/register", company("ada@acme.test", "acme.test")).await.status, 202);
    node.stop().await;
}

#[actix_web::test]
async fn nobody_is_flooded_with_mails_that_strangers_ask_for() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    person(&node, Some(tenant), Role::Owner, "known@acme.test").await;
    let forgot = async |email: &str| post(&node, "/v1/auth/forgot-password", json!({ "email": email })).await;
    for n in 1..=12 {
        let (known, unknown) = (forgot(" Known@acme.test").await, forgot("unknown@acme.test").await);
        assert_eq!((known.status, known.text()), (202, unknown.text()));
        // Mails are queued after the answer.
        let began = std::time::Instant::now();
        while database.count("select coalesce(sum(failures), 0) from sign_in_failures where who like 'mails %'").await
            < n
        {
            assert!(began.elapsed().as_secs() < 10);
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
    assert_eq!(database.count("select count(*) from mail_outbox where template = 'reset_password'").await, 10);
    assert_eq!(post(&node, "/v1/auth/register", company("known@acme.test", "new.test")).await.status, 202);
    assert_eq!(database.count("select count(*) from mail_outbox where template = 'address_taken'").await, 0);
    // One client address can't ask for everybody's links, either.
    database.execute("update sign_in_failures set failures = 100 where who like 'forgotten %'").await;
    assert_eq!(database.count("select count(*) from sign_in_failures where failures = 100").await, 1);
    assert!(waits(&forgot("known@acme.test").await) && waits(&forgot("unknown@acme.test").await));
    let page = form(&node, "/forgot", "", "email=known%40acme.test").await;
    assert!(waits(&page) && page.text().contains("Too many attempts"), "{}: {}", page.status, page.text());
    node.stop().await;
}

#[actix_web::test]
async fn wrong_passwords_of_ones_own_count_like_failed_sign_ins() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let owner = person(&node, Some(tenant), Role::Owner, "owner@acme.test").await;
    let cookie = browser(&node, &owner).await;
    let csrf = dialplane::tenancy::auth::session::csrf_token(&cookie);
    let change = async |old: &str| {
        let body = json!({ "old_password": old, "password": "seven copper kettles sing" });
        owner.ask(&node, "POST", "/v1/auth/change-password", body).await
    };
    let disable = async |password: &str| {
        owner.ask(&node, "POST", "/v1/auth/two-factor/disable", json!({ "password": password })).await
    };
    let change_page = async |old: &str| {
        let sent = format!("old_password={old}&password=seven+copper+kettles+sing&csrf={csrf}");
        form(&node, "/account/password", &cookie, &sent).await
    };
    let disable_page = async |password: &str| {
        form(&node, "/account/two-factor/disable", &cookie, &format!("current_password={password}&csrf={csrf}")).await
    };
    assert_eq!((change("wrong").await.status, disable("wrong").await.status), (422, 422));
    let page = change_page("wrong").await;
    assert!(page.status == 422 && page.text().contains("is wrong"), "{}", page.text());
    assert_eq!(disable_page("wrong").await.status, 422);
    assert_eq!(login(&node, "owner@acme.test", "wrong").await.status, 401);
    assert_eq!(database.count("select count(*) from mail_outbox where template = 'sign_in_locked'").await, 1);
    // The right password does not help while the account is locked.
    assert!(waits(&change(PASSWORD).await) && waits(&disable(PASSWORD).await));
    let right = PASSWORD.replace(' ', "+");
    assert!(waits(&change_page(&right).await) && waits(&disable_page(&right).await));
    assert!(waits(&login(&node, "owner@acme.test", PASSWORD).await));
    database.execute("update sign_in_failures set locked_until = now()").await;
    assert_eq!(disable(PASSWORD).await.status, 204);
    assert_eq!(change(PASSWORD).await.status, 204);
    assert_eq!(login(&node, "owner@acme.test", "seven copper kettles sing").await.status, 200);
    node.stop().await;
}

#[actix_web::test]
async fn what_the_database_cannot_hold_is_the_senders_mistake() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let long = format!("{}@acme.test", "a".repeat(50_000));
    let unknown = login(&node, "unknown@acme.test", "a wrong password").await;
    for email in ["\u{0}", "owner@acme.test\u{0}", "a\u{0}@acme.test", "no address", long.as_str()] {
        let answer = login(&node, email, "a wrong password").await;
        assert_eq!((answer.status, answer.text()), (401, unknown.text()), "{email:.30}");
        let reset = post(&node, "/v1/auth/forgot-password", json!({ "email": email })).await;
        assert_eq!(reset.status, 202);
    }
    for email in ["%00", &long] {
        let page = form(&node, "/sign-in", "", &format!("email={email}&password=wrong")).await;
        assert!(page.status == 422 && page.text().contains("is wrong."), "{}: {}", page.status, page.text());
    }
    // Such accounts are locked like any other, by a key of limited length.
    let mut last = 0;
    for _ in 0..5 {
        last = login(&node, &long, "a wrong password").await.status;
    }
    assert_eq!(last, 429);
    assert!(database.count("select max(octet_length(who))::bigint from sign_in_failures").await < 400);

    for path in [format!("/v1/admin/agents?tenant_id={tenant}&search=%00"), "/v1/audit?actor=a%00b".into()] {
        let refused = node.api("GET", &path, Value::Null).await;
        assert_eq!(refused.status, 422, "{path}: {}", refused.text());
        assert!(refused.text().contains("control characters"), "{}", refused.text());
    }
    let region = node.api("POST", "/v1/tenants", json!({ "domain": "x.test", "region": "a\u{0}" })).await;
    assert_eq!(region.status, 422, "{}", region.text());
    node.stop().await;
}
