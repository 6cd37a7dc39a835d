//! The SQL of polls, and of waiting for them.

use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{
    generations::{Former, Heard},
    history::{Seen, Snapshot},
};
use crate::text::Domain;

/// What a node says about itself with each poll.
pub struct Here<'a> {
    pub node: Uuid,
    /// The epoch whose changes it has applied.
    pub epoch: Option<Uuid>,
    /// The snapshot that it has applied over this connection; empty for none.
    pub applied: &'a str,
}

/// How many nodes serve a change: those that confirmed it, of those that are live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visible {
    pub confirmed: i64,
    pub live: i64,
}

impl std::fmt::Display for Visible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.confirmed, self.live)
    }
}

/// Reports this node and what it has applied, and reads what changed since. It is one statement, so both succeed or neither.
/// `None` if the database has no epoch, because it is being restored.
pub async fn poll(db: &mut PgConnection, here: &Here<'_>, since: u64) -> sqlx::Result<Option<Seen>> {
    let applied = if here.applied.is_empty() { "1:1:" } else { here.applied };
    let rows = sqlx::query!(
        r#"
        with here as (
            insert into nodes (id, polled_at, applied, epoch) values ($1, clock_timestamp(), $2::text::pg_snapshot, $4)
            on conflict (id) do update
               set polled_at = clock_timestamp(), applied = excluded.applied, epoch = excluded.epoch
        ),
        now as materialized (
            select pg_current_snapshot()::text as snapshot, e.epoch,
                   e.identity is not distinct from database_identity() as is_same, e.guards <= guards() as is_whole
              from epoch e
        )
        select n.snapshot as "snapshot!", n.epoch, n.is_same as "is_same!", n.is_whole as "is_whole!",
               g.scope as "scope?", g.generation as "generation?", t.domain as "domain?: Domain",
               t.cluster_id as "cluster?", t.former_domains as "former_domains?", t.former_clusters as "former_clusters?",
               t.sandbox as "sandbox?"
          from now n
          left join generation g on g.changed_xid >= $3::text::xid8
          left join tenants t on t.id = g.scope and not g.gone
        "#,
        here.node,
        applied,
        since.to_string(),
        here.epoch
    )
    .fetch_all(db)
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let snapshot = Snapshot::parse(&first.snapshot);
    let snapshot = snapshot.ok_or_else(|| sqlx::Error::Decode("a poll's answer has no snapshot".into()))?;
    let (epoch, is_same, is_whole) = (first.epoch, first.is_same, first.is_whole);
    let heard = rows.into_iter().filter_map(|row| {
        Some(Heard {
            scope: row.scope?,
            generation: u64::try_from(row.generation?).ok()?,
            domain: row.domain,
            cluster: row.cluster.unwrap_or_default(),
            former: Former::read(&row.former_domains.unwrap_or_default(), row.former_clusters.unwrap_or_default()),
            sandbox: row.sandbox.unwrap_or_default(),
        })
    });
    Ok(Some(Seen { snapshot, epoch, is_same, is_whole, heard: heard.collect() }))
}

/// Removes this node, so that changes no longer wait for it.
pub async fn sign_off(db: impl PgExecutor<'_>, node: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from nodes where id = $1", node).execute(db).await.map(|_| ())
}

pub async fn forget_old_nodes(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("delete from nodes where polled_at < now() - interval '1 day'").execute(db).await.map(|_| ())
}

/// How many nodes have a change.
pub struct Outlook {
    pub visible: Visible,
    /// Whether the database was restored, or its server started, less than a lease ago. Then a node may still have a lease that
    /// this database does not know of.
    pub is_young: bool,
}

/// Asks how many nodes have a change. `own` has applied it already, even if its next poll hasn't said so yet.
pub async fn outlook(db: impl PgExecutor<'_>, own: Uuid, xid: u64) -> sqlx::Result<Outlook> {
    // Nodes of versions without epochs don't report one.
    let row = sqlx::query!(
        r#"
        select greatest(e.since, pg_postmaster_start_time()) > clock_timestamp() - interval '1 second' as "is_young!",
               count(n.id) as "live!",
               count(n.id) filter (where n.id = $1 or (coalesce(n.epoch = e.epoch, true)
                                   and pg_visible_in_snapshot($2::text::xid8, n.applied))) as "confirmed!"
          from epoch e
          left join nodes n on n.polled_at > clock_timestamp() - interval '1 second'
         group by e.is_only
        "#,
        own,
        xid.to_string()
    )
    .fetch_one(db)
    .await?;
    Ok(Outlook { visible: Visible { confirmed: row.confirmed, live: row.live }, is_young: row.is_young })
}
