//! The SQL of a backup: what a database contains, and the scripts before and after its dump.
//!
//! These statements are not checked at compile time: they also run on empty databases and those of other versions.

use std::fmt::Write as _;

use chrono::Utc;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::{FORMAT, Manifest};
use crate::{
    node::schema::rights::{self, ROLE},
    text::keyring::hex,
};

/// The major version.
pub async fn server_version(db: &mut PgConnection) -> sqlx::Result<u32> {
    let number: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int").fetch_one(db).await?;
    Ok(u32::try_from(number / 10_000).unwrap_or_default())
}

/// Makes what this transaction sees visible to `pg_dump`.
pub async fn export_snapshot(db: &mut PgConnection) -> sqlx::Result<String> {
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *db).await?;
    sqlx::query_scalar("select pg_export_snapshot()").fetch_one(db).await
}

/// Describes the database's content, except for the size of the dump.
pub async fn manifest(db: &mut PgConnection) -> sqlx::Result<Manifest> {
    let names: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class
          where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition order by 1",
    )
    .fetch_all(&mut *db)
    .await?;
    let mut tables = std::collections::BTreeMap::new();
    for name in names {
        let count = format!("select count(*) from public.{}", quoted(&name));
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut *db).await?;
        tables.insert(name, rows);
    }
    let row = sqlx::query(AssertSqlSafe(format!(
        "select version() as server, (select max(version) from _sqlx_migrations where success) as schema,
                (select epoch from epoch) as epoch, {COUNTS}"
    )))
    .fetch_one(&mut *db)
    .await?;
    let keys: Vec<Vec<u8>> = sqlx::query_scalar("select id from sealing_keys order by id").fetch_all(&mut *db).await?;
    Ok(Manifest {
        format: FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        schema: row.try_get("schema")?,
        made_at: Utc::now(),
        server: row.try_get("server")?,
        epoch: row.try_get("epoch")?,
        keys: keys.iter().map(|id| hex(id)).collect(),
        roles: vec![ROLE.to_owned()],
        tables,
        policies: row.try_get("policies")?,
        triggers: row.try_get("triggers")?,
        grants: row.try_get("grants")?,
        bytes: 0,
        sha256: String::new(),
    })
}

/// What must be restored besides the rows.
const COUNTS: &str = "
    (select count(*) from pg_policy p join pg_class c on c.oid = p.polrelid
      where c.relnamespace = 'public'::regnamespace) as policies,
    (select count(*) from pg_trigger t join pg_class c on c.oid = t.tgrelid
      where c.relnamespace = 'public'::regnamespace and not t.tgisinternal and t.tgparentid = 0) as triggers,
    (select count(*) from pg_class c, aclexplode(c.relacl) a join pg_roles r on r.oid = a.grantee
      where c.relnamespace = 'public'::regnamespace and r.rolname = 'dialplane_tenant') as grants";

pub async fn encoding(db: &mut PgConnection) -> sqlx::Result<String> {
    let encoding = "select pg_encoding_to_char(encoding)::text from pg_database where datname = current_database()";
    sqlx::query_scalar(encoding).fetch_one(db).await
}

pub async fn user(db: &mut PgConnection) -> sqlx::Result<String> {
    sqlx::query_scalar("select current_user::text").fetch_one(db).await
}

/// What is in the database where a backup is to be restored.
pub enum Occupants {
    None,
    /// Dialplane's tables, with this many tenants.
    Dialplane(i64),
    /// Tables of something else.
    Foreign(Vec<String>),
}

pub async fn occupants(db: &mut PgConnection) -> sqlx::Result<Occupants> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c
          where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'f', 'm')
            and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
          order by 1",
    )
    .fetch_all(&mut *db)
    .await?;
    let has = |name: &str| tables.iter().any(|table| table == name);
    if tables.is_empty() {
        return Ok(Occupants::None);
    }
    if !has("_sqlx_migrations") || !has("generation") || !has("tenants") {
        return Ok(Occupants::Foreign(tables.into_iter().take(5).collect()));
    }
    Ok(Occupants::Dialplane(sqlx::query_scalar("select count(*) from public.tenants").fetch_one(db).await?))
}

/// Creates the role that work for tenants runs as, and lets this user become it. Returns `false` if the user may not.
pub async fn make_role(db: &mut PgConnection) -> sqlx::Result<bool> {
    rights::make_role(&mut *db).await?;
    rights::has_role(db).await
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Begins the transaction and empties the schema, except for what belongs to an extension.
pub fn before() -> String {
    "
begin;
set local lock_timeout = '60s';
set local client_min_messages = warning;
do $$
declare
    it record;
begin
    for it in
        select c.oid::regclass::text as name,
               case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
                              when 'f' then 'foreign table' else 'table' end as kind
          from pg_class c
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
           -- objsubid: the columns of a partition key depend on their own table.
           and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.objsubid = 0
                              and d.deptype in ('e', 'i', 'a'))
    loop
        execute format('drop %s if exists %s cascade', it.kind, it.name);
    end loop;
    for it in
        select p.oid::regprocedure::text as name
          from pg_proc p
         where p.pronamespace = 'public'::regnamespace
           and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
    loop
        execute format('drop routine if exists %s cascade', it.name);
    end loop;
    for it in
        select t.oid::regtype::text as name
          from pg_type t
         where t.typnamespace = 'public'::regnamespace and t.typtype in ('e', 'd')
           and not exists (select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e')
    loop
        execute format('drop type if exists %s cascade', it.name);
    end loop;
end
$$;
"
    .to_owned()
}

/// Counts what was restored, begins a new epoch, and commits.
pub fn after(manifest: &Manifest) -> String {
    let mut script = String::from(
        "
set local search_path = public;
do $check$
declare
    it record;
    there bigint;
begin
    for it in select * from (values (null::text, null::bigint)",
    );
    for (table, rows) in &manifest.tables {
        let _ = write!(script, ", ('{}', {rows})", table.replace('\'', "''"));
    }
    let (policies, triggers, grants) = (manifest.policies, manifest.triggers, manifest.grants);
    let _ = write!(
        script,
        ") as wanted(name, rows) where name is not null loop
        execute format('select count(*) from public.%I', it.name) into there;
        if there <> it.rows then
            raise exception 'the table % has % rows, and had % in the backup', it.name, there, it.rows;
        end if;
    end loop;
    select * into it from (select {COUNTS}) counted;
    if (it.policies, it.triggers, it.grants) is distinct from ({policies}::bigint, {triggers}::bigint, {grants}::bigint) then
        raise exception 'policies, triggers and grants are %, and were ({policies},{triggers},{grants}) in the backup', (it.policies, it.triggers, it.grants);
    end if;
    -- Backups from before there were epochs have none.
    if to_regclass('public.epoch') is not null then
        update public.epoch set epoch = gen_random_uuid(), identity = database_identity(), since = clock_timestamp(), guards = guards();
        perform pg_notify('dialplane_generation', '');
    end if;
end
$check$;
commit;
"
    );
    script
}
