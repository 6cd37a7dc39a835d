//! Checks before the first use of a database whether Dialplane can work with it: poolers, schema, roles, connections. If not, it refuses
//! with the reason, instead of failing at the first call.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::{
    fitness_store::{self as store, Place, Room},
    schema::rights::ROLE,
    servers::{Servers, Session},
};

#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error(
        "a pooler stands between this program and Postgres and changes the server's process between two statements (pgbouncer with \
         pool_mode = transaction or statement). Settings, locks and prepared statements would be lost: set pool_mode = session for this \
         database, or name Postgres itself in DATABASE_URL"
    )]
    Pooler,
    #[error(
        "tables would be made in {schema}, by the search_path {search_path}, and this program's are in the schema public: take the \
         search_path out of DATABASE_URL (or: alter role \"{user}\" reset search_path), and give each installation a database of its own"
    )]
    Schema { schema: String, search_path: String, user: String },
    #[error(
        "\"{0}\" may make no tables in the schema public: have an administrator of the database run what `dialplane migrate --print-roles` prints"
    )]
    NoCreate(String),
    #[error(
        "\"{user}\" may not make the role {ROLE}, or not become it: have an administrator of the database run what `dialplane migrate \
         --print-roles` prints"
    )]
    NoRole { user: String },
    #[error("{0}")]
    Connections(Balance),
}

/// The connections that are needed, and those that are available.
#[derive(Debug, Clone, Copy)]
pub struct Balance {
    pub own: i64,
    pub nodes: i64,
    pub theirs: i64,
    pub to_be_had: i64,
    pub max_connections: i64,
    pub reserved: i64,
    pub allowed: Option<i64>,
}

impl Balance {
    fn of(room: &Room, own: i64, nodes: i64, theirs: i64) -> Self {
        let Room { max_connections, reserved, allowed } = *room;
        let all = max_connections - reserved;
        let to_be_had = allowed.map_or(all, |allowed| allowed.min(all));
        Self { own, nodes, theirs, to_be_had, max_connections, reserved, allowed }
    }

    #[must_use]
    pub fn is_enough(&self) -> bool {
        self.own + self.theirs <= self.to_be_had
    }
}

impl std::fmt::Display for Balance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { own, nodes, theirs, to_be_had, max_connections, reserved, allowed } = self;
        if self.is_enough() {
            write!(f, "{} needed of {to_be_had}", own + theirs)?;
        } else {
            write!(f, "this node needs {own} connections and {nodes} others need {theirs}, and there are {to_be_had}")?;
        }
        write!(f, " (max_connections {max_connections}, of which {reserved} are reserved")?;
        if let Some(allowed) = allowed {
            write!(f, "; the database and the user are allowed {allowed}")?;
        }
        write!(f, ")")?;
        if !self.is_enough() {
            write!(f, ": raise max_connections, or lower api_connections and fill_connections")?;
        }
        Ok(())
    }
}

/// How many connections look for the named process.
const LOOKS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(2);

/// Checks that a connection always talks to the same process of the server.
///
/// One connection names its process with a setting. If another connection, inside a transaction, finds this name, the process was
/// given away although its owner is still connected. Each connection that looks keeps its own process, so that a pooler in rotation
/// finally gives out the named one. With a process per connection, or without a pooler, the name never appears.
pub async fn check_pooler(servers: &Servers) -> Result<(), CheckError> {
    let mut owner = servers.connect(&Session::default()).await?;
    let name = Uuid::now_v7().to_string();
    store::mark(&mut owner, &name).await.map_err(of_statement)?;
    let mut others = Vec::new();
    for _ in 0..LOOKS {
        let Ok(Ok(mut db)) = tokio::time::timeout(PATIENCE, servers.connect(&Session::default())).await else { break };
        let looked = tokio::time::timeout(PATIENCE, async {
            store::begin(&mut db).await?;
            store::marked(&mut db).await
        });
        match looked.await {
            Ok(Ok(found)) if found.as_deref() == Some(&name) => return Err(Unfit::Pooler.into()),
            Ok(Ok(_)) => others.push(db),
            Ok(Err(error)) => return Err(of_statement(error)),
            // No process is free, so this shows nothing.
            Err(_) => break,
        }
    }
    drop(others);
    let own = store::marked(&mut owner).await.map_err(of_statement)?;
    let _ = owner.close().await;
    if own.as_deref() == Some(&name) { Ok(()) } else { Err(Unfit::Pooler.into()) }
}

/// Recognises a pooler by its errors. If a prepared statement is missing (26000) or already exists (42P05), another process answered.
/// In statement mode, pgbouncer refuses a transaction with 08P01 (seen with 1.18), which Postgres itself never does for `begin`.
fn of_statement(error: sqlx::Error) -> CheckError {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    if matches!(code.as_deref(), Some("26000" | "42P05" | "08P01")) { Unfit::Pooler.into() } else { error.into() }
}

#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

/// Checks before the first migration that the schema is the right one, and that this user has the rights that migrations need.
pub async fn check_place(db: &mut PgConnection) -> Result<(), CheckError> {
    let Place { schema, search_path, user, may_create, is_made } = store::place(&mut *db).await?;
    if schema.as_deref().is_some_and(|schema| schema != "public")
        || (schema.is_none() && !search_path.contains("public"))
    {
        let schema = schema.map_or_else(|| "no schema at all".to_owned(), |schema| format!("the schema {schema}"));
        return Err(Unfit::Schema { schema, search_path, user }.into());
    }
    if is_made {
        return Ok(());
    }
    if !may_create {
        return Err(Unfit::NoCreate(user).into());
    }
    if !store::may_have_role(db, ROLE).await? {
        return Err(Unfit::NoRole { user }.into());
    }
    Ok(())
}

/// Checks before a node serves that there are enough connections for it besides the other nodes. Nodes that just ended still count, so
/// it repeats the check for some seconds.
pub async fn check_connections(db: &mut PgConnection, node: Uuid, own: u32) -> Result<(), CheckError> {
    let room = store::room(&mut *db).await?;
    let mut looks = 0;
    loop {
        let (nodes, theirs) = store::others(&mut *db, node, own.into()).await?;
        let balance = Balance::of(&room, own.into(), nodes, theirs);
        if balance.is_enough() {
            break;
        }
        looks += 1;
        if looks > 4 || nodes == 0 {
            return Err(Unfit::Connections(balance).into());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    store::note(db, node, i32::try_from(own).unwrap_or(i32::MAX)).await.map_err(Into::into)
}

/// For the doctor: the connections that all live nodes need together, and those that there are. Without nodes, those that one needs.
pub async fn balance(db: &mut PgConnection, own: u32) -> sqlx::Result<Balance> {
    let room = store::room(&mut *db).await?;
    let needed = store::needed(&mut *db).await?;
    let own = i64::from(own);
    if needed.is_empty() {
        return Ok(Balance::of(&room, own, 0, 0));
    }
    let theirs = needed.iter().skip(1).map(|needed| needed.map_or(own, i64::from)).sum();
    let first = needed.first().copied().flatten().map_or(own, i64::from);
    Ok(Balance::of(&room, first, i64::try_from(needed.len()).unwrap_or(i64::MAX) - 1, theirs))
}
