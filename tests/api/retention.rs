//! Nothing grows forever: older rows are deleted in batches, and newer ones stay. The tests move the clock instead of waiting.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use dialplane::{
    app::retention::{Kept, Month, delete_files, pass},
    model::retention::Retention,
};
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::{
    command_line::CommandLine,
    harness::{Database, Node},
};

const PERIODS: Retention = Retention {
    audit_days: 100,
    calls_days: 200,
    records_days: 60,
    mails_days: 30,
    recordings_days: 40,
    shortest_days: 7,
    longest_days: 1000,
};

async fn pool(database: &Database) -> PgPool {
    PgPoolOptions::new().max_connections(3).connect_with(database.options.clone()).await.unwrap()
}

async fn count(db: &mut PgConnection, what: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {what}"))).fetch_one(db).await.unwrap()
}

async fn run(db: &mut PgConnection, sql: &str) {
    db.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
}

/// Makes a pass. Another node may be doing one, which ends soon.
async fn passed(pool: &PgPool, now: DateTime<Utc>) -> u64 {
    loop {
        if let Some(rows) = pass(pool, &PERIODS, now).await.unwrap() {
            return rows;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A tenant for this test only.
async fn tenant(db: &mut PgConnection, domain: &str) -> Uuid {
    let id = Uuid::now_v7();
    let insert = sqlx::query("insert into tenants (id, name, domain) values ($1, $2, $2)").bind(id).bind(domain);
    insert.execute(db).await.unwrap();
    id
}

/// Adds entries that are this many days old, with ids of that time.
async fn entries(db: &mut PgConnection, tenant: Option<Uuid>, days: i32, number: i32) {
    let insert = sqlx::query(
        "insert into audit_log (id, at, actor, tenant_id, action, resource)
         select (lpad(to_hex((extract(epoch from moment) * 1000)::bigint), 12, '0') || '7000' || '8' || substr(md5(n::text || $1::text || coalesce($2::text, '')), 1, 15))::uuid,
                moment, 'x', $2, 'x', 'x'
           from generate_series(1, $3) n, lateral (select now() - make_interval(days => $1) - n * interval '1 ms' as moment) m",
    );
    insert.bind(days).bind(tenant).bind(number).execute(db).await.unwrap();
}

#[actix_web::test]
async fn entries_of_the_audit_log_go_after_the_platform_s_period_or_the_tenant_s_own() {
    let database = Database::new().await;
    let (mut db, pool) = (database.connect().await, pool(&database).await);
    let (plain, longer, shorter) =
        (tenant(&mut db, "a.test").await, tenant(&mut db, "b.test").await, tenant(&mut db, "c.test").await);
    run(
        &mut db,
        &format!("insert into retention_periods (tenant_id, audit_days) values ('{longer}', 300), ('{shorter}', 10)"),
    )
    .await;
    let gone = Uuid::now_v7();
    for whose in [Some(plain), Some(longer), Some(shorter), Some(gone), None] {
        for days in [5, 50, 150, 400] {
            entries(&mut db, whose, days, 2).await;
        }
    }
    passed(&pool, Utc::now()).await;
    for (whose, left) in [(Some(plain), 4), (Some(longer), 6), (Some(shorter), 2), (Some(gone), 4), (None, 4)] {
        let whose = whose.map_or("is null".into(), |id| format!("= '{id}'"));
        assert_eq!(count(&mut db, &format!("audit_log where tenant_id {whose}")).await, left, "{whose}");
    }
    // Two hundred days later, everything else is too old as well.
    passed(&pool, Utc::now() + TimeDelta::days(200)).await;
    assert_eq!(count(&mut db, "audit_log").await, 4, "of the tenant that keeps them longer: 5 and 50 days old");
    assert_eq!(count(&mut db, &format!("audit_log where tenant_id = '{longer}'")).await, 4);
}

#[actix_web::test]
async fn much_is_deleted_in_batches_and_a_pass_that_was_cut_off_goes_on() {
    let database = Database::new().await;
    let (mut db, pool) = (database.connect().await, pool(&database).await);
    entries(&mut db, None, 500, 3500).await;
    run(
        &mut db,
        "create table batches (rows bigint);
         create function count_batch() returns trigger language plpgsql as
         $$ begin insert into batches select count(*) from gone; return null; end $$;
         create trigger count_batch after delete on audit_log referencing old table as gone
            for each statement execute function count_batch()",
    )
    .await;
    let (other, now) = (pool.clone(), Utc::now());
    let cut_off = tokio::spawn(async move { pass(&other, &PERIODS, now).await });
    while count(&mut db, "audit_log").await == 3500 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    cut_off.abort();
    let _ = cut_off.await;
    let left = count(&mut db, "audit_log").await;
    assert!(left < 3500, "a batch is there to stay: {left}");
    passed(&pool, now).await;
    assert_eq!(count(&mut db, "audit_log").await, 0);
    let largest = sqlx::query_scalar::<_, i64>("select max(rows) from batches").fetch_one(&mut db).await.unwrap();
    assert_eq!(largest, 1000);
    assert!(count(&mut db, "batches where rows > 0").await >= 4);
}

/// Adds an outbound call and its record.
async fn call(db: &mut PgConnection, tenant: Uuid, days: i32) {
    let id = Uuid::now_v7();
    let insert = sqlx::query(
        "insert into admissions (tenant_id, call_id, callee, admitted, day, at, ended_at)
         select $1, $2, '+12025550100', true, moment::date, moment, moment from (select now() - make_interval(days => $3) as moment) m",
    );
    insert.bind(tenant).bind(id).bind(days).execute(&mut *db).await.unwrap();
    let insert = sqlx::query(
        "insert into cdr_inbox (leg, switch_id, received_at, noted_at, body)
         select $1, gen_random_uuid(), now() - make_interval(days => $2), now(), 'x'",
    );
    insert.bind(id.to_string()).bind(days).execute(db).await.unwrap();
}

#[actix_web::test]
async fn calls_and_records_go_into_their_months_and_months_are_dropped_when_they_are_old() {
    let database = Database::new().await;
    let (mut db, pool) = (database.connect().await, pool(&database).await);
    let (plain, longer, shorter) =
        (tenant(&mut db, "a.test").await, tenant(&mut db, "b.test").await, tenant(&mut db, "c.test").await);
    let own = "insert into retention_periods (tenant_id, calls_days, records_days)";
    run(&mut db, &format!("{own} values ('{longer}', 900, 900), ('{shorter}', 20, 20)")).await;
    for whose in [plain, longer, shorter] {
        for days in [1, 10, 25, 100, 240, 500] {
            call(&mut db, whose, days).await;
        }
    }
    let now = Utc::now();
    passed(&pool, now).await;
    assert_eq!(count(&mut db, "admissions").await, 6, "what is new stays where calls write");
    assert_eq!(count(&mut db, "cdr_inbox").await, 3);
    let calls = async |db: &mut PgConnection, whose: Uuid| {
        (
            count(&mut *db, &format!("past_calls where tenant_id = '{whose}'")).await,
            count(db, &format!("past_records where tenant_id = '{whose}'")).await,
        )
    };
    // 25 and 100 days for calls (200 are kept), 10 and 25 for records (60 are kept).
    assert_eq!(calls(&mut db, plain).await, (2, 2));
    assert_eq!(calls(&mut db, longer).await, (4, 5), "records of ten days and more, calls of 25 and more");
    assert_eq!(calls(&mut db, shorter).await, (0, 1), "to the day");
    assert_eq!(passed(&pool, now).await, 0, "all is done");

    // The next month already has its partition, and a month that is too old for everybody is gone.
    let months = "select relname::text from pg_class where relispartition and relkind = 'r' and relname ~ '^past_calls' order by 1";
    let there = sqlx::query_scalar::<_, String>(months).fetch_all(&mut db).await.unwrap();
    let named = |month: Month| format!("past_calls_{}", month.begins().format("%Y_%m"));
    let this = Month::of(now);
    assert!(there.contains(&named(this)) && there.contains(&named(this.next())), "{there:?}");
    assert!(there.contains(&named(Month::of(now - TimeDelta::days(500)))), "somebody keeps it: {there:?}");
    run(&mut db, "delete from retention_periods").await;
    passed(&pool, now).await;
    let there = sqlx::query_scalar::<_, String>(months).fetch_all(&mut db).await.unwrap();
    assert!(!there.contains(&named(Month::of(now - TimeDelta::days(500)))), "{there:?}");
    assert_eq!(calls(&mut db, longer).await.0, 2);

    // A year later, only the new months are left.
    passed(&pool, now + TimeDelta::days(400)).await;
    let there = sqlx::query_scalar::<_, String>(months).fetch_all(&mut db).await.unwrap();
    let then = Month::of(now + TimeDelta::days(400));
    assert_eq!(there, [named(then), named(then.next())]);
    assert_eq!(Kept::ALL.map(Kept::table), ["past_calls", "past_records", "calls"]);
    assert_eq!(count(&mut db, "admissions").await, 0);
}

#[actix_web::test]
async fn past_calls_are_shown_with_the_new_ones_and_a_tenant_sees_its_own_alone() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (own, other) = (node.tenant("a.test").await, node.tenant("b.test").await);
    let mut db = database.connect().await;
    for whose in [own, other] {
        for days in [1, 30] {
            call(&mut db, whose, days).await;
        }
    }
    passed(&pool(&database).await, Utc::now()).await;
    assert_eq!((count(&mut db, "admissions").await, count(&mut db, "past_calls").await), (2, 2));
    let listed = node.api("GET", &format!("/v1/tenants/{own}/outbound-calls"), json!(null)).await;
    assert_eq!(listed.status, 200, "{}", listed.text());
    let listed = listed.items();
    let items = listed.as_array().unwrap();
    assert_eq!(items.len(), 2, "{listed}");
    assert!(items[0]["at"].as_str() > items[1]["at"].as_str(), "the newest first");
    run(&mut db, &format!("set dialplane.tenant = '{own}'; set role dialplane_tenant")).await;
    assert_eq!(count(&mut db, "past_calls").await, 1);
    for hidden in [
        "past_records",
        &format!("past_calls_{}", Month::of(Utc::now() - TimeDelta::days(30)).begins().format("%Y_%m")),
    ] {
        let refused = db.execute(AssertSqlSafe(format!("select * from {hidden}"))).await.unwrap_err();
        assert!(refused.to_string().contains("permission denied"), "{refused}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn what_passes_by_itself_is_deleted_and_what_is_of_use_stays() {
    let database = Database::new().await;
    let (mut db, pool) = (database.connect().await, pool(&database).await);
    let user = Uuid::now_v7();
    run(
        &mut db,
        &format!(
            "insert into users (id, email, role) values ('{user}', 'a@a.test', 'platform_admin');
             insert into sessions (id, user_id, expires_at) values
                ('00000000-0000-0000-0000-000000000001', '{user}', now() + interval '3 days'), (gen_random_uuid(), '{user}', now() - interval '1 s');
             insert into refresh_tokens (hash, session_id, used_at)
             select decode(repeat(lpad(to_hex(n), 2, '0'), 32), 'hex'), '00000000-0000-0000-0000-000000000001', used
               from (values (1, now() - interval '3 days'), (2, now() - interval '1 day'), (3, null)) t (n, used);
             insert into one_time_tokens (hash, user_id, purpose, expires_at)
             select decode(repeat(lpad(to_hex(n), 2, '0'), 32), 'hex'), '{user}', 'reset', expires
               from (values (1, now() - interval '1 s'), (2, now() + interval '1 day')) t (n, expires);
             insert into idempotency_keys (actor, key, fingerprint, status, body, created_at) values
                ('{user}', 'old', '', 200, '', now() - interval '25 hours'), ('{user}', 'new', '', 200, '', now() - interval '23 hours');
             insert into sign_in_failures (who, failures, locked_until, last_at) values
                ('old', 1, now() - interval '3 days', now() - interval '3 days'), ('new', 1, now(), now()),
                ('locked', 9, now() + interval '1 hour', now() - interval '3 days');
             insert into known_devices (token_hash, user_id, used_at)
             select decode(repeat(lpad(to_hex(n), 2, '0'), 32), 'hex'), '{user}', used
               from (values (1, now() - interval '181 days'), (2, now() - interval '179 days')) t (n, used);
             insert into mail_outbox (id, recipient, template, language, sealed, status, created_at, sent_at)
             select gen_random_uuid(), 'x', 'x', 'en', '', status, now() - days * interval '1 day', now() - days * interval '1 day'
               from (values ('sent', 31), ('sent', 29), ('failed', 31), ('queued', 31)) t (status, days);
             insert into cdr_inbox (leg, switch_id, received_at, body) values
                ('a', gen_random_uuid(), now() - interval '61 days', ''), ('b', gen_random_uuid(), now() - interval '59 days', '');
             insert into number_days (tenant_id, number_id, day, made) values
                (gen_random_uuid(), gen_random_uuid(), current_date - 202, 1), (gen_random_uuid(), gen_random_uuid(), current_date - 198, 1);
             insert into spend_days (tenant_id, day) values (gen_random_uuid(), current_date - 202), (gen_random_uuid(), current_date)"
        ),
    )
    .await;
    let told = tenant(&mut db, "told.test").await;
    run(
        &mut db,
        &format!(
            "insert into usage_alerts (tenant_id, month, measure, percent, used, most, at)
             select '{told}', '2026-01-01', 'calls', percent, 1, 1, now() - days * interval '1 day' from (values (80, 401), (100, 399)) t (percent, days)"
        ),
    )
    .await;
    passed(&pool, Utc::now()).await;
    for (table, left) in [
        ("usage_alerts", 1),
        ("sessions", 1),
        ("refresh_tokens", 2),
        ("one_time_tokens", 1),
        ("idempotency_keys", 1),
        ("sign_in_failures", 2),
        ("known_devices", 1),
        ("mail_outbox", 2),
        ("cdr_inbox", 1),
        ("number_days", 1),
        ("spend_days", 1),
    ] {
        assert_eq!(count(&mut db, table).await, left, "{table}");
    }
}

#[test]
fn mails_in_files_go_with_the_others_and_other_files_stay() {
    let folder = std::env::temp_dir().join(format!("dialplane-mails-{}", Uuid::now_v7().simple()));
    assert_eq!(delete_files(&folder, SystemTime::now(), 30).unwrap(), 0, "there need not be such a folder");
    std::fs::create_dir(&folder).unwrap();
    for name in ["a.eml", "b.eml", "notes.txt"] {
        std::fs::write(folder.join(name), "").unwrap();
    }
    let days = |days: u64| SystemTime::now() + Duration::from_hours(24 * days);
    assert_eq!(delete_files(&folder, days(29), 30).unwrap(), 0);
    assert_eq!(delete_files(&folder, days(31), 30).unwrap(), 2);
    assert!(folder.join("notes.txt").exists());
    std::fs::remove_dir_all(folder).unwrap();
}

#[actix_web::test]
async fn a_tenant_s_own_periods_are_within_the_platform_s_bounds() {
    let database = Database::new().await;
    let node =
        Node::with(&database, |settings| (settings.keep_days_at_least, settings.keep_days_at_most) = (30, 800)).await;
    let path = format!("/v1/tenants/{}/retention", node.tenant("a.test").await);
    let shown = node.api("GET", &path, json!(null)).await.json();
    assert_eq!((&shown["audit_days"], &shown["platform"]["audit_days"]), (&json!(null), &json!(730)), "{shown}");
    let changed = node.api("PATCH", &path, json!({ "audit_days": 800, "mails_days": 30 })).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    for (field, days) in [("audit_days", 801), ("calls_days", 29), ("mails_days", -1), ("records_days", 0)] {
        let refused = node.api("PATCH", &path, json!({ field: days })).await;
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert!(refused.text().contains(field) && refused.text().contains("800"), "{}", refused.text());
    }
    let changed = node.api("PATCH", &path, json!({ "audit_days": null })).await.json();
    assert_eq!((&changed["audit_days"], &changed["mails_days"]), (&json!(null), &json!(30)), "{changed}");
    let audit = node.api("GET", "/v1/audit?resource=tenants/", json!(null)).await.text();
    assert!(audit.contains("/retention"), "{audit}");
    node.stop().await;
}

#[actix_web::test]
async fn usage_says_which_tables_and_whose_rows_are_how_large() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (small, large) = (node.tenant("small.test").await, node.tenant("large.test").await);
    let mut db = database.connect().await;
    entries(&mut db, Some(large), 1, 2000).await;
    call(&mut db, large, 30).await;
    passed(&pool(&database).await, Utc::now()).await;
    run(&mut db, "analyze").await;
    let cli = CommandLine::on(&database);
    std::fs::copy(crate::harness::key_file(), cli.folder.join("secret.key")).unwrap();
    let usage = cli.json(&["usage"]);
    let tables = usage["tables"].as_array().unwrap();
    assert!(tables.iter().any(|table| table["table"] == "past_calls" && table["bytes"].as_i64() > Some(0)), "{usage}");
    assert!(!tables.iter().any(|table| table["table"].as_str().unwrap().starts_with("past_calls_")), "{usage}");
    let of =
        |id: Uuid| usage["tenants"].as_array().unwrap().iter().find(|t| t["tenant_id"] == json!(id)).unwrap().clone();
    assert_eq!(of(large)["domain"], "large.test");
    assert!(
        of(large)["tables"]["audit_log"].as_i64().unwrap() > 100 * of(small)["tables"]["audit_log"].as_i64().unwrap()
    );
    let shown = String::from_utf8(cli.run(&["usage"]).stdout).unwrap();
    assert!(shown.starts_with("TABLE") && shown.contains("audit_log") && shown.contains("bytes in all"), "{shown}");
    let shown = String::from_utf8(cli.run(&["usage", "--tenants"]).stdout).unwrap();
    assert!(shown.lines().nth(1).unwrap().starts_with("large.test"), "{shown}");
    node.stop().await;
}
