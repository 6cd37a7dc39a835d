//! The SQL of switches.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Sighting, State, Switch, SwitchStatus};
use crate::{
    model::{
        paging::Window,
        sorting::{Sorted, in_order},
    },
    text::{SwitchName, token::TokenHash},
};

pub async fn insert(
    db: &mut PgConnection,
    id: Uuid,
    name: &SwitchName,
    cluster: Uuid,
    token: &TokenHash,
) -> sqlx::Result<Switch> {
    sqlx::query!(
        "insert into switches (id, name, token_hash, cluster_id) values ($1, $2, $3, $4)",
        id,
        name as _,
        &token.0[..],
        cluster
    )
    .execute(&mut *db)
    .await?;
    get(db, id).await?.ok_or(sqlx::Error::RowNotFound)
}

pub async fn get(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Switch>> {
    Ok(select(db, Some(id), None, &Filter::default(), &Window::FIRST.into()).await?.pop())
}

pub async fn by_name(db: impl PgExecutor<'_>, name: &SwitchName) -> sqlx::Result<Option<Switch>> {
    Ok(select(db, None, Some(name), &Filter::default(), &Window::FIRST.into()).await?.pop())
}

pub async fn lock(db: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Switch>> {
    sqlx::query!("select 1 as one from switches where id = $1 for update", id).fetch_optional(&mut *db).await?;
    get(db, id).await
}

/// Which switches to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Part of the name.
    pub name: Option<String>,
    pub status: Option<SwitchStatus>,
    pub cluster: Option<Uuid>,
}

pub async fn list(db: impl PgExecutor<'_>, filter: &Filter, sorted: &Sorted) -> sqlx::Result<Vec<Switch>> {
    select(db, None, None, filter, sorted).await
}

async fn select(
    db: impl PgExecutor<'_>,
    id: Option<Uuid>,
    name: Option<&SwitchName>,
    filter: &Filter,
    sorted: &Sorted,
) -> sqlx::Result<Vec<Switch>> {
    macro_rules! rows {
        ($($order:tt)+) => {
    sqlx::query_as!(
        Switch,
        r#"select id, name as "name: _", status as "status: SwitchStatus", cluster_id, draining_since, version, created_at, updated_at
             from switches, lateral (
                 select (case $8::text when 'name' then lower(name) else '' end) collate "C" as key,
                        (case $8::text when 'name' then lower($9::text) else '' end) collate "C" as after) k
            where ($2::uuid is null or id = $2) and ($3::text is null or name = $3)
              and ($5::text is null or strpos(lower(name), lower($5)) > 0) and ($6::text is null or status = $6)
              and ($7::uuid is null or cluster_id = $7)
              and "# $(+ $order)+ + " limit $4",
        sorted.window.after,
        id,
        name as _,
        sorted.window.fetch(),
        filter.name,
        filter.status as Option<SwitchStatus>,
        filter.cluster,
        sorted.by,
        sorted.key,
        sorted.is_down
    )
    .fetch_all(db)
    .await
        };
    }
    in_order!(sorted, rows, "id", "$1", "$9", "$10")
}

pub async fn update(
    db: &mut PgConnection,
    id: Uuid,
    status: SwitchStatus,
    cluster: Uuid,
    token: Option<&TokenHash>,
) -> sqlx::Result<Switch> {
    sqlx::query!(
        "update switches set status = $2, token_hash = coalesce($3, token_hash), cluster_id = $4, version = version + 1, updated_at = now()
          where id = $1",
        id,
        status as SwitchStatus,
        token.map(|token| &token.0[..]),
        cluster
    )
    .execute(&mut *db)
    .await?;
    get(db, id).await?.ok_or(sqlx::Error::RowNotFound)
}

pub async fn drain(db: &mut PgConnection, id: Uuid, is_wanted: bool) -> sqlx::Result<Switch> {
    sqlx::query!(
        "update switches set draining_since = case when $2 then now() end, version = version + 1, updated_at = now() where id = $1",
        id,
        is_wanted
    )
    .execute(&mut *db)
    .await?;
    get(db, id).await?.ok_or(sqlx::Error::RowNotFound)
}

/// The switches that are taken out of service.
pub async fn draining(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!("select id from switches where draining_since is not null").fetch_all(db).await
}

pub async fn delete(db: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from switches where id = $1", id).execute(db).await.map(|_| ())
}

/// Forgets when the switch asked, because it has not asked with its new token yet.
pub async fn forget_sighting(db: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from switch_sightings where switch_id = $1", id).execute(db).await.map(|_| ())
}

/// When a switch asked first and last with its token.
pub async fn sighting(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Sighting>> {
    sqlx::query_as!(Sighting, "select first_seen_at, last_seen_at from switch_sightings where switch_id = $1", id)
        .fetch_optional(db)
        .await
}

/// A switch and when it asked.
pub struct Seen {
    pub id: Uuid,
    pub name: String,
    pub status: SwitchStatus,
    pub is_draining: bool,
    pub first_seen_at: Option<DateTime<Utc>>,
    pub last_seen_at: Option<DateTime<Utc>>,
}

impl Seen {
    #[must_use]
    pub fn state(&self, now: DateTime<Utc>) -> State {
        let seen = self.first_seen_at.zip(self.last_seen_at);
        let seen = seen.map(|(first_seen_at, last_seen_at)| Sighting { first_seen_at, last_seen_at });
        State::of(self.status, self.is_draining, seen, now)
    }
}

/// The switches of a cluster.
pub async fn of_cluster(db: impl PgExecutor<'_>, cluster: Uuid) -> sqlx::Result<Vec<Seen>> {
    sqlx::query_as!(
        Seen,
        r#"select w.id, w.name, w.status as "status: SwitchStatus", w.draining_since is not null as "is_draining!",
                  s.first_seen_at as "first_seen_at?", s.last_seen_at as "last_seen_at?"
             from switches w left join switch_sightings s on s.switch_id = w.id
            where w.cluster_id = $1 order by w.name"#,
        cluster
    )
    .fetch_all(db)
    .await
}
