//! The SQL of the checks before a database is used. It is not checked at compile time, because there may be no tables yet, or old ones.

use sqlx::{PgConnection, Row as _};

/// Names the server's process behind a connection, with a setting that lasts as long as the process.
pub async fn mark(db: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    sqlx::query("select set_config('dialplane.session', $1, false)")
        .persistent(false)
        .bind(name)
        .execute(db)
        .await
        .map(|_| ())
}

/// The name of the process behind a connection.
pub async fn marked(db: &mut PgConnection) -> sqlx::Result<Option<String>> {
    let name = sqlx::query_scalar("select current_setting('dialplane.session', true)").persistent(false);
    name.fetch_one(db).await
}

pub struct Place {
    /// The schema where a table would be created.
    pub schema: Option<String>,
    pub search_path: String,
    pub user: String,
    pub may_create: bool,
    /// Whether the tables exist already.
    pub is_made: bool,
}

pub async fn place(db: &mut PgConnection) -> sqlx::Result<Place> {
    let row = sqlx::query(
        "select current_schema()::text, current_setting('search_path'), current_user::text,
                coalesce(has_schema_privilege(to_regnamespace('public')::oid, 'create'), false),
                to_regclass('public._sqlx_migrations') is not null",
    );
    let row = row.persistent(false).fetch_one(db).await?;
    Ok(Place {
        schema: row.try_get(0)?,
        search_path: row.try_get(1)?,
        user: row.try_get(2)?,
        may_create: row.try_get(3)?,
        is_made: row.try_get(4)?,
    })
}

/// Whether the role exists or this user may create it, and may become it.
pub async fn may_have_role(db: &mut PgConnection, role: &str) -> sqlx::Result<bool> {
    let may = sqlx::query_scalar(
        "select coalesce((select pg_has_role(current_user, oid, 'member') from pg_roles where rolname = $1), false)
             or u.rolsuper or (u.rolcreaterole and (current_setting('server_version_num')::int < 160000
                                                    or not exists (select from pg_roles where rolname = $1)))
           from pg_roles u where u.rolname = current_user",
    );
    may.persistent(false).bind(role).fetch_one(db).await
}

pub struct Room {
    pub max_connections: i64,
    /// Reserved for superusers and for roles with a right to them.
    pub reserved: i64,
    /// The limits of the database and the user. `None` if there is no limit.
    pub allowed: Option<i64>,
}

pub async fn room(db: &mut PgConnection) -> sqlx::Result<Room> {
    let row = sqlx::query(
        "select current_setting('max_connections')::bigint,
                case when (select rolsuper from pg_roles where rolname = current_user) then 0
                     else current_setting('superuser_reserved_connections')::bigint
                          + coalesce(current_setting('reserved_connections', true)::bigint, 0) end,
                (select least(nullif(d.datconnlimit, -1), nullif(r.rolconnlimit, -1))::bigint
                   from pg_database d, pg_roles r where d.datname = current_database() and r.rolname = current_user)",
    );
    let row = row.persistent(false).fetch_one(db).await?;
    Ok(Room { max_connections: row.try_get(0)?, reserved: row.try_get(1)?, allowed: row.try_get(2)? })
}

/// How many connections the other live nodes need, and how many nodes there are. Nodes of a release that does not say count like this
/// one.
pub async fn others(db: &mut PgConnection, node: uuid::Uuid, own: i64) -> sqlx::Result<(i64, i64)> {
    let row = sqlx::query(
        "select count(*), coalesce(sum(coalesce(connections, $2)), 0)::bigint
           from nodes where id <> $1 and polled_at > clock_timestamp() - interval '2 seconds'",
    );
    let row = row.bind(node).bind(own).fetch_one(db).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// How many connections each live node needs, for the doctor.
pub async fn needed(db: &mut PgConnection) -> sqlx::Result<Vec<Option<i32>>> {
    let needed = "select connections from nodes where polled_at > clock_timestamp() - interval '5 seconds'";
    sqlx::query_scalar(needed).fetch_all(db).await
}

pub async fn note(db: &mut PgConnection, node: uuid::Uuid, connections: i32) -> sqlx::Result<()> {
    let note = sqlx::query(
        "insert into nodes (id, polled_at, applied, connections) values ($1, clock_timestamp() - interval '1 hour', '1:1:', $2)
         on conflict (id) do update set connections = excluded.connections",
    );
    note.bind(node).bind(connections).execute(db).await.map(|_| ())
}

/// Begins a transaction, which only the end of the connection ends.
pub async fn begin(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql("begin").execute(db).await.map(|_| ())
}
