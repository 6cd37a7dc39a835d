//! The SQL of event sockets and of what switches say over them.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::{Cleanup, EventSocket, GatewayState, Push, gateways::Gateway, pushes::Fingerprint};
use crate::text::{Domain, SipUsername};

pub async fn get(db: impl PgExecutor<'_>, switch: Uuid) -> sqlx::Result<Option<EventSocket>> {
    sqlx::query_as!(
        EventSocket,
        "select address, version, asked_at, answered_at, error, booted_at, pending,
                case when held_until > now() then linked_since end as linked_since,
                case when held_until > now() and linked_since is not null then null else coalesce(unknown_since, held_until) end as unknown_since
           from event_sockets where switch_id = $1",
        switch
    )
    .fetch_optional(db)
    .await
}

/// The password, sealed.
pub async fn password(db: impl PgExecutor<'_>, switch: Uuid) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar!("select password from event_sockets where switch_id = $1", switch).fetch_optional(db).await
}

/// Sets address and password, and forgets what was heard before: it may have come from another switch.
pub async fn put(db: &mut PgConnection, switch: Uuid, address: &str, password: &[u8]) -> sqlx::Result<()> {
    sqlx::query!("delete from gateway_states where switch_id = $1", switch).execute(&mut *db).await?;
    sqlx::query!("delete from switch_things where switch_id = $1", switch).execute(&mut *db).await?;
    sqlx::query!(
        "insert into event_sockets (switch_id, address, password) values ($1, $2, $3)
         on conflict (switch_id) do update
            set address = excluded.address, password = excluded.password, version = event_sockets.version + 1, asked_at = null, answered_at = null, error = null,
                booted_at = null, pending = 0, linked_since = null, unknown_since = null, looked = null",
        switch,
        address,
        password
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn delete(db: &mut PgConnection, switch: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from event_sockets where switch_id = $1", switch).execute(db).await.map(|_| ())
}

/// A switch whose link this node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub switch: Uuid,
    pub cluster: Uuid,
    pub address: String,
    pub password: Vec<u8>,
}

/// Renews this node's hold on its links for so many seconds, and takes those that nobody holds any more. Returns all that it holds.
/// One node at a time holds the link to a switch: two that start the same gateway would make two of it (`sofia_reg_add_gateway` in
/// sofia_reg.c). Nodes of versions without links visit switches that are not busy (`busy_until`).
pub async fn hold(db: &PgPool, node: Uuid, seconds: f64) -> sqlx::Result<Vec<Due>> {
    sqlx::query_as!(
        Due,
        r#"update event_sockets e
              set holder = $1, held_until = now() + make_interval(secs => $2), busy_until = now() + make_interval(secs => $2),
                  linked_since = case when e.holder = $1 then e.linked_since end,
                  unknown_since = case when e.holder = $1 then e.unknown_since else coalesce(e.unknown_since, e.held_until, now()) end
             from switches w
            where w.id = e.switch_id and w.status = 'active' and (e.holder = $1 or (e.held_until is null or e.held_until < now()) and (e.busy_until is null or e.busy_until < now()))
           returning e.switch_id as switch, w.cluster_id as cluster, e.address, e.password"#,
        node,
        seconds
    )
    .fetch_all(db)
    .await
}

/// Notes that the link is up, and has the switch visited at once.
pub async fn linked(db: &PgPool, node: Uuid, due: &Due) -> sqlx::Result<()> {
    sqlx::query!(
        "update event_sockets set linked_since = now(), unknown_since = null, asked_at = null, error = null
          where switch_id = $2 and holder = $1 and password = $3",
        node,
        due.switch,
        due.password
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Notes why the link is down, unless it leads elsewhere by now: each password is sealed anew.
pub async fn unlinked(db: &PgPool, node: Uuid, due: &Due, error: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "update event_sockets set linked_since = null, unknown_since = coalesce(unknown_since, now()), asked_at = now(), error = $3
          where switch_id = $2 and holder = $1 and password = $4",
        node,
        due.switch,
        error,
        due.password
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Begins a visit of a switch whose link this node holds, if one is due: if something of what it should have may have changed, ten
/// seconds after the last one, two if something is still to be given, one if a call may need more money, and at once if somebody is to
/// be expelled or the switch had news. Generations are only added up if `moved` says that some rose since the last time.
pub async fn begin_visit(db: &PgPool, node: Uuid, due: &Due, moved: bool, news: bool) -> sqlx::Result<bool> {
    let begun = sqlx::query_scalar!(
        r#"with now_is as (
                select case when $4 then (
                    select sum(g.generation)::text from generation g
                     where g.scope = '00000000-0000-0000-0000-000000000003'
                        or exists (select from tenants t join destinations d on d.tenant_id = t.id and d.kind = 'queue'
                                    where t.id = g.scope and t.cluster_id = $3)) end as looked)
           update event_sockets e
              set asked_at = now(), looked = coalesce(n.looked, e.looked)
             from now_is n
            where e.switch_id = $2 and e.holder = $1 and e.password = $5 and e.held_until > now()
              and (e.asked_at is null
                   or e.error is null and $6 and e.asked_at < now() - interval '500 milliseconds'
                   or e.error is null and n.looked is distinct from coalesce(e.looked, '') and n.looked is not null
                   or e.asked_at < now() - case when e.error is not null then interval '10 seconds'
                                            when exists (select from expulsions x where x.switch_id = e.switch_id and x.since <= now())
                                              or exists (select from lamp_news l where l.switch_id = e.switch_id)
                                              or exists (select from number_lamps l where l.switch_id = e.switch_id) then interval '0'
                                            -- A call of a capped tenant that was just made, or is soon to end.
                                            when exists (select from admissions a where a.switch_id = e.switch_id and a.admitted
                                                            and a.ended_at is null and not a.emergency and a.allowed is not null
                                                            and a.at > now() - interval '1 minute')
                                              or exists (select from call_legs l where l.switch_id = e.switch_id and l.gone_at is null
                                                            and l.answered_at + make_interval(secs => l.allowed) < now() + interval '30 seconds')
                                            then interval '1 second'
                                            when e.pending > 0 then interval '2 seconds'
                                            else interval '10 seconds' end)
           returning true as "begun!""#,
        node,
        due.switch,
        due.cluster,
        moved,
        due.password,
        news
    )
    .fetch_optional(db)
    .await?;
    Ok(begun.is_some())
}

/// Saves what a switch said about its gateways, and forgets those that it no longer has.
pub async fn heard(db: &PgPool, switch: Uuid, gateways: &[Gateway]) -> sqlx::Result<()> {
    let carriers = gateways.iter().map(|gateway| gateway.carrier).collect::<Vec<_>>();
    let ups = gateways.iter().map(|gateway| gateway.up).collect::<Vec<_>>();
    let states = gateways.iter().map(|gateway| gateway.state.clone()).collect::<Vec<_>>();
    sqlx::query!(
        "with answered as (update event_sockets set answered_at = now(), error = null where switch_id = $1 returning switch_id),
              gone as (delete from gateway_states where switch_id = $1 and not carrier_id = any ($2))
         insert into gateway_states (carrier_id, switch_id, up, state)
         select c.id, a.switch_id, g.up, g.state
           from unnest($2::uuid[], $3::bool[], $4::text[]) g (carrier_id, up, state)
           join carriers c on c.id = g.carrier_id cross join answered a
             on conflict (carrier_id, switch_id) do update set up = excluded.up, state = excluded.state, seen_at = now()",
        switch,
        &carriers,
        &ups,
        &states
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn not_heard(db: &PgPool, switch: Uuid, error: &str) -> sqlx::Result<()> {
    sqlx::query!("update event_sockets set error = $2 where switch_id = $1", switch, error)
        .execute(db)
        .await
        .map(|_| ())
}

/// What switches say about a carrier's gateways.
pub async fn of_carrier(db: impl PgExecutor<'_>, carrier: Uuid) -> sqlx::Result<Vec<GatewayState>> {
    sqlx::query_as!(
        GatewayState,
        "select g.carrier_id, g.switch_id, w.name as switch, g.up, g.state, g.seen_at
           from gateway_states g join switches w on w.id = g.switch_id where g.carrier_id = $1 order by w.name",
        carrier
    )
    .fetch_all(db)
    .await
}

/// What a switch says about its gateways.
pub async fn of_switch(db: impl PgExecutor<'_>, switch: Uuid) -> sqlx::Result<Vec<GatewayState>> {
    sqlx::query_as!(
        GatewayState,
        "select g.carrier_id, g.switch_id, w.name as switch, g.up, g.state, g.seen_at
           from gateway_states g join switches w on w.id = g.switch_id where g.switch_id = $1 order by g.carrier_id",
        switch
    )
    .fetch_all(db)
    .await
}

/// Saves when a switch started, computed from its uptime in seconds, and returns that with the present time. `None` if its
/// event socket was deleted meanwhile.
pub async fn booted(db: &PgPool, switch: Uuid, up: i32) -> sqlx::Result<Option<(DateTime<Utc>, DateTime<Utc>)>> {
    let row = sqlx::query!(
        r#"update event_sockets set booted_at = now() - make_interval(secs => $2) where switch_id = $1
           returning booted_at as "booted_at!", now() as "now!""#,
        switch,
        f64::from(up)
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| (row.booted_at, row.now)))
}

/// A note on what a switch was given.
pub struct Noted {
    pub thing: String,
    pub fingerprint: Option<Vec<u8>>,
    pub since: DateTime<Utc>,
    pub refused: bool,
}

/// Returns what a switch was given of the things it should have, and forgets what it was given of others.
pub async fn given(db: &PgPool, switch: Uuid, wanted: &[String]) -> sqlx::Result<Vec<Noted>> {
    sqlx::query!("delete from switch_things where switch_id = $1 and thing <> all ($2)", switch, wanted)
        .execute(db)
        .await?;
    sqlx::query_as!(
        Noted,
        r#"select thing, fingerprint, since, error is not null as "refused!" from switch_things where switch_id = $1"#,
        switch
    )
    .fetch_all(db)
    .await
}

/// Notes which versions of these things a switch has now, or why it refused them.
pub async fn note(
    db: &PgPool,
    switch: Uuid,
    things: &[(String, Option<Fingerprint>)],
    error: Option<&str>,
) -> sqlx::Result<()> {
    let (names, fingerprints): (Vec<_>, Vec<_>) =
        things.iter().map(|(thing, print)| (thing.clone(), print.map(Vec::from))).unzip();
    sqlx::query!(
        "insert into switch_things (switch_id, thing, fingerprint, error)
         select e.switch_id, t.thing, t.fingerprint, $4
           from unnest($2::text[], $3::bytea[]) t (thing, fingerprint) join event_sockets e on e.switch_id = $1
             on conflict (switch_id, thing) do update
            set fingerprint = excluded.fingerprint, error = excluded.error, since = now()",
        switch,
        &names,
        &fingerprints as &[Option<Vec<u8>>],
        error
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn pending(db: &PgPool, switch: Uuid, pending: i32) -> sqlx::Result<()> {
    sqlx::query!("update event_sockets set pending = $2 where switch_id = $1", switch, pending)
        .execute(db)
        .await
        .map(|_| ())
}

/// What a switch was given, and what it refused.
pub async fn pushes(db: impl PgExecutor<'_>, switch: Uuid) -> sqlx::Result<Vec<Push>> {
    sqlx::query_as!(
        Push,
        r#"select thing, case when fingerprint is not null then since end as given_at, error
             from switch_things where switch_id = $1 order by thing"#,
        switch
    )
    .fetch_all(db)
    .await
}

/// An extension to expel from a switch.
pub struct Leaving {
    pub id: i64,
    pub extension: Uuid,
    pub sip_username: SipUsername,
    pub domain: Domain,
    /// Whether its calls end too.
    pub calls: bool,
    pub since: DateTime<Utc>,
}

/// The extensions to expel from a switch, oldest first. An expulsion after a change of password is dropped after ten
/// seconds: by then, the registration probably uses the new password.
pub async fn leaving(db: &PgPool, switch: Uuid, most: i64) -> sqlx::Result<Vec<Leaving>> {
    sqlx::query!(
        "delete from expulsions where switch_id = $1 and not calls and since < now() - interval '10 seconds'",
        switch
    )
    .execute(db)
    .await?;
    sqlx::query_as!(
        Leaving,
        r#"select id, extension_id as extension, sip_username as "sip_username: _", domain as "domain: _", calls, since
             from expulsions where switch_id = $1 and since <= now() order by since limit $2"#,
        switch,
        most
    )
    .fetch_all(db)
    .await
}

/// The switch did not do it: tried again in half a minute.
pub async fn not_left(db: &PgPool, leaving: &Leaving) -> sqlx::Result<()> {
    let Leaving { id, since, .. } = leaving;
    sqlx::query!("update expulsions set since = now() + interval '30 seconds' where id = $1 and since = $2", id, since)
        .execute(db)
        .await
        .map(|_| ())
}

/// Deletes an expulsion that is done, unless the same extension is to be expelled again since.
pub async fn left(db: &PgPool, leaving: &Leaving) -> sqlx::Result<()> {
    let Leaving { id, since, .. } = leaving;
    sqlx::query!("delete from expulsions where id = $1 and since = $2", id, since).execute(db).await.map(|_| ())
}

/// What a switch is to remove of a mailbox.
pub struct Order {
    pub id: i64,
    pub mailbox: SipUsername,
    pub domain: Domain,
    /// Whether the mailbox is gone. Otherwise, only the PIN that was chosen by phone goes.
    pub whole: bool,
    pub since: DateTime<Utc>,
}

/// What a switch is to clean up now, oldest first. Messages of a mailbox that somebody has are never deleted, whoever wrote the order.
pub async fn orders(db: &PgPool, switch: Uuid, most: i64) -> sqlx::Result<Vec<Order>> {
    sqlx::query_as!(
        Order,
        r#"select c.id, c.mailbox as "mailbox: _", c.domain as "domain: _", c.since,
                  c.whole and not exists (
                        select from tenants t
                          join names n on n.tenant_id = t.id and n.name = c.mailbox
                          left join extensions e on e.tenant_id = n.tenant_id and e.id = n.extension_id
                         where t.id = coalesce((select id from tenants where domain = c.domain),
                                               (select tenant_id from former_domains where domain = c.domain))
                           and (e.sip_username = c.mailbox or replace(n.destination_id::text, '-', '') = c.mailbox)) as "whole!"
             from cleanups c where c.switch_id = $1 and c.due_at <= now() order by c.since limit $2"#,
        switch,
        most
    )
    .fetch_all(db)
    .await
}

/// Deletes an order that is done, unless it was given again since.
pub async fn cleaned_up(db: &PgPool, order: &Order) -> sqlx::Result<()> {
    let Order { id, since, .. } = order;
    sqlx::query!("delete from cleanups where id = $1 and since = $2", id, since).execute(db).await.map(|_| ())
}

/// The switch did not do it: tried again in half a minute.
pub async fn not_cleaned_up(db: &PgPool, order: &Order, error: &str) -> sqlx::Result<()> {
    let Order { id, since, .. } = order;
    sqlx::query!(
        "update cleanups set due_at = now() + interval '30 seconds', error = $3 where id = $1 and since = $2",
        id,
        since,
        error
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// The oldest orders that a switch has not carried out yet.
pub async fn cleanups(db: impl PgExecutor<'_>, switch: Uuid) -> sqlx::Result<Vec<Cleanup>> {
    sqlx::query_as!(
        Cleanup,
        "select mailbox, domain, whole, since, error from cleanups where switch_id = $1 order by since, id limit 1000",
        switch
    )
    .fetch_all(db)
    .await
}

/// How many mailboxes that are gone a switch may still have.
pub async fn mailboxes_left(db: impl PgExecutor<'_>, switch: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from cleanups where switch_id = $1 and whole"#, switch)
        .fetch_one(db)
        .await
}

/// How a switch's event socket is.
pub struct LinkState {
    pub switch: String,
    /// It answered when it was asked last, and that is not long ago.
    pub is_up: bool,
    /// What it was not given yet.
    pub pending: i32,
}

pub async fn link_states(pool: &PgPool) -> sqlx::Result<Vec<LinkState>> {
    sqlx::query_as!(
        LinkState,
        r#"select s.name as switch, e.pending,
                  e.error is null and coalesce(e.answered_at > now() - interval '1 minute', false) as "is_up!"
             from event_sockets e join switches s on s.id = e.switch_id order by s.name"#
    )
    .fetch_all(pool)
    .await
}
