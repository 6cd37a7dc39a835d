//! Row-level security without the code's own checks: the tests use the database directly, as the role that works for a tenant.

use serde_json::json;
use sqlx::{Connection as _, Executor as _, Row as _};
use uuid::Uuid;

use crate::harness::{Database, Node};

#[actix_web::test]
async fn the_database_shows_a_tenant_its_own_rows_and_changes_no_others() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let mut tenants = Vec::new();
    for (domain, number) in [("a.test", "+12025550100"), ("b.test", "+12025550101")] {
        let tenant = node.tenant(domain).await;
        let extension = node.extension(tenant, json!({ "number": "77" })).await["id"].clone();
        let group = json!({ "name": "sales", "members": [extension], "external_id": "crm-1" });
        node.api("POST", &format!("/v1/tenants/{tenant}/groups"), group).await;
        node.api("POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), json!({ "number": number })).await;
        node.api("POST", &format!("/v1/tenants/{tenant}/reserved-numbers"), json!({ "number": "99", "reason": "x" }))
            .await;
        let agent = json!({ "first_name": "A", "last_name": "B", "email": format!("agent@{domain}") });
        let agent = node.api("POST", &format!("/v1/admin/agents?tenant_id={tenant}"), agent).await.id();
        let status = format!("/v1/agents/{agent}/status?tenant_id={tenant}");
        assert_eq!(node.api("PUT", &status, json!({ "status": "away" })).await.status, 200);
        node.api("POST", "/v1/keys", json!({ "name": "key", "tenant_id": tenant })).await;
        let call = node.call(tenant).await;
        node.recording(call).await;
        tenants.push(tenant);
    }
    let (own, other) = (tenants[0], tenants[1]);
    let mut db = database.connect().await;
    // Every table with a tenant_id, including those of future migrations.
    let tables = sqlx::query_scalar::<_, String>(
        "select table_name::text from information_schema.columns
          where table_schema = 'public' and column_name = 'tenant_id'
            and not (select relispartition from pg_class where oid = ('public.' || table_name)::regclass) order by 1",
    );
    let tables = tables.fetch_all(&mut db).await.unwrap();
    assert!(tables.len() >= 12, "{tables:?}");
    let mut seen = 0;
    for table in &tables {
        let mut tx = db.begin().await.unwrap();
        let all = sqlx::query(sqlx::AssertSqlSafe(format!("select count(*) from {table} where tenant_id = $1")));
        let theirs = all.bind(other).fetch_one(&mut *tx).await.unwrap().get::<i64, _>(0);
        become_tenant(&mut tx, own).await;
        let visible = sqlx::query(sqlx::AssertSqlSafe(format!("select distinct tenant_id from {table}")));
        let Ok(visible) = visible.fetch_all(&mut *tx).await else {
            assert!(
                ["cdr_inbox", "past_records", "ended_legs", "call_channels", "recording_objects", "voicemail_objects"]
                    .contains(&table.as_str()),
                "{table}: not to be read at all"
            );
            tx.rollback().await.unwrap();
            continue;
        };
        let visible = visible.iter().map(|row| row.get::<Option<Uuid>, _>(0)).collect::<Vec<_>>();
        assert!(visible.iter().all(|tenant| *tenant == Some(own)), "{table}: {visible:?}");
        seen += usize::from(theirs > 0 && !visible.is_empty());
        // Tables that only the platform writes.
        if ![
            "audit_log",
            "admissions",
            "call_legs",
            "calls",
            "call_backs",
            "chat_messages",
            "call_rollups",
            "call_slots_due",
            "erasures",
            "usage_limits",
            "report_mails",
            "help_callbacks",
            "past_calls",
            "mail_outbox",
            "sandbox_calls",
            "retention_periods",
            "number_days",
            "spend_days",
        ]
        .contains(&table.as_str())
        {
            let gone =
                sqlx::query(sqlx::AssertSqlSafe(format!("delete from {table} where tenant_id = $1"))).bind(other);
            assert_eq!(gone.execute(&mut *tx).await.unwrap().rows_affected(), 0, "{table}");
        }
        tx.rollback().await.unwrap();
    }
    assert!(seen >= 9, "both tenants had rows in {seen} tables");

    // Nothing can be inserted into another tenant or moved there, and the platform's tables can't be used at all.
    for attempt in [
        format!("insert into held_numbers (tenant_id, number, reason) values ('{other}', '98', 'x')"),
        format!("update extensions set tenant_id = '{other}'"),
        format!("update users set tenant_id = null, role = 'platform_admin' where tenant_id = '{own}'"),
        format!(
            "insert into audit_log (id, actor, tenant_id, action, resource) values (gen_random_uuid(), 'x', '{other}', 'x', 'x')"
        ),
        "update audit_log set actor = 'x'".into(),
        "delete from audit_log".into(),
        "select * from switches".into(),
        "select * from signing_keys".into(),
        "select * from generation".into(),
        "insert into tenants (id, name, domain) values (gen_random_uuid(), 'x', 'x.test')".into(),
        "delete from tenants".into(),
        "update clusters set max_tenants = 1".into(),
    ] {
        let mut tx = db.begin().await.unwrap();
        become_tenant(&mut tx, own).await;
        let refused = tx.execute(sqlx::AssertSqlSafe(attempt.clone())).await;
        assert!(refused.is_err(), "{attempt}: {refused:?}");
        tx.rollback().await.unwrap();
    }
    let mut tx = db.begin().await.unwrap();
    become_tenant(&mut tx, own).await;
    let renamed = tx.execute("update tenants set name = 'mine'").await.unwrap().rows_affected();
    assert_eq!(renamed, 1, "its own row alone");
    tx.rollback().await.unwrap();
    node.stop().await;
}

async fn become_tenant(tx: &mut sqlx::PgConnection, tenant: Uuid) {
    let scope =
        sqlx::query("select set_config('dialplane.tenant', $1, true), set_config('role', 'dialplane_tenant', true)");
    scope.bind(tenant.to_string()).execute(tx).await.unwrap();
}

/// Functions with their owner's rights: not everybody may call those that can act on any tenant.
#[actix_web::test]
async fn a_tenant_has_nobody_of_another_leave_a_switch() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (own, other) = (node.tenant("a.test").await, node.tenant("b.test").await);
    let extension = node.extension(other, json!({ "number": "77" })).await["id"].as_str().unwrap().to_owned();
    let mut db = database.connect().await;
    let socket = "insert into event_sockets (switch_id, address, password) select id, 'fs.test', '' from switches";
    db.execute(socket).await.unwrap();
    let password = format!("select expel_registrations('{other}', '{extension}')");
    let mut tx = db.begin().await.unwrap();
    become_tenant(&mut tx, own).await;
    tx.execute(sqlx::AssertSqlSafe(password.clone())).await.unwrap();
    let expel = format!("select expel('{{{extension}}}', '{{77}}', 'b.test', '{}', true)", Uuid::from_u128(2));
    let refused = tx.execute(sqlx::AssertSqlSafe(expel)).await.unwrap_err().to_string();
    assert!(refused.contains("permission denied"), "{refused}");
    tx.rollback().await.unwrap();
    let mut tx = db.begin().await.unwrap();
    become_tenant(&mut tx, own).await;
    tx.execute(sqlx::AssertSqlSafe(password.clone())).await.unwrap();
    tx.commit().await.unwrap();
    let mut db = database.connect().await;
    let leaving = sqlx::query("select count(*) from expulsions").fetch_one(&mut db).await.unwrap().get::<i64, _>(0);
    assert_eq!(leaving, 0, "not theirs");
    db.execute(sqlx::AssertSqlSafe(password)).await.unwrap();
    let leaving = sqlx::query("select count(*) from expulsions").fetch_one(&mut db).await.unwrap().get::<i64, _>(0);
    assert_eq!(leaving, 1, "the platform may");
    node.stop().await;
}
