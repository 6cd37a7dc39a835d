//! The SQL of `usage`. It is not checked at compile time, because it contains computed table names.

use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::TableUsage;

/// The tables, largest first. Partitions count towards their table.
pub async fn tables(db: &mut PgConnection) -> sqlx::Result<Vec<TableUsage>> {
    sqlx::query_as(
        r#"select coalesce(p.relname, c.relname)::text as "table", sum(pg_total_relation_size(c.oid))::bigint as bytes,
                  sum(greatest(c.reltuples, 0))::bigint as rows
             from pg_class c
             left join pg_inherits i on i.inhrelid = c.oid
             left join pg_class p on p.oid = i.inhparent
            where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
            group by 1 order by bytes desc, 1"#,
    )
    .fetch_all(db)
    .await
}

/// The tables whose rows have a tenant.
pub async fn of_tenants(db: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select c.relname::text from pg_class c
           join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
          where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition order by 1",
    )
    .fetch_all(db)
    .await
}

/// The bytes of rows by tenant, from this percentage of the table's pages.
pub async fn shares(db: &mut PgConnection, table: &str, percent: i64) -> sqlx::Result<Vec<(Option<Uuid>, i64)>> {
    let sample = if percent < 100 { format!("tablesample system ({percent})") } else { String::new() };
    let table = table.replace('"', "\"\"");
    let shares = format!(
        "select tenant_id, sum(pg_column_size(t.*))::bigint from public.\"{table}\" t {sample} group by tenant_id"
    );
    sqlx::query_as(AssertSqlSafe(shares)).fetch_all(db).await
}

pub async fn domains(db: &mut PgConnection) -> sqlx::Result<Vec<(Uuid, String)>> {
    sqlx::query_as("select id, domain from tenants").fetch_all(db).await
}

pub async fn database_bytes(db: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("select pg_database_size(current_database())").fetch_one(db).await
}
