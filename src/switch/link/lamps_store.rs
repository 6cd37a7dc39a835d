//! The SQL of lamps.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::text::{Domain, ExtensionNumber, SipUsername};

/// An extension, as lamps show it.
#[derive(Debug)]
pub struct Extension {
    pub number: ExtensionNumber,
    /// The tenant's domain, and those that it had before.
    pub domains: Vec<Domain>,
    pub do_not_disturb: bool,
    pub forwards: bool,
}

/// That something about an extension has changed. `extension`: `None` if it is gone.
#[derive(Debug)]
pub struct News {
    pub id: Uuid,
    pub since: DateTime<Utc>,
    pub extension: Option<Extension>,
}

/// What a switch is to be told of extensions, oldest first.
pub async fn news(db: &PgPool, switch: Uuid, most: i64) -> sqlx::Result<Vec<News>> {
    let rows = sqlx::query!(
        r#"select l.extension_id, l.since, e.number as "number?: ExtensionNumber", t.domain || t.former_domains as domains,
                  coalesce((e.calls->>'do_not_disturb')::bool, false) as "do_not_disturb!",
                  e.calls->>'forward_always' is not null as "forwards!"
             from lamp_news l
             join switches w on w.id = l.switch_id
             left join (extensions e join tenants t on t.id = e.tenant_id and t.status = 'active')
                    on e.id = l.extension_id and e.status <> 'deleted' and t.cluster_id = w.cluster_id
            where l.switch_id = $1 order by l.since limit $2"#,
        switch,
        most
    )
    .fetch_all(db)
    .await?;
    let news = rows.into_iter().map(|row| News {
        id: row.extension_id,
        since: row.since,
        extension: row.number.map(|number| Extension {
            number,
            domains: parsed(&row.domains.unwrap_or_default()),
            do_not_disturb: row.do_not_disturb,
            forwards: row.forwards,
        }),
    });
    Ok(news.collect())
}

fn parsed(domains: &[String]) -> Vec<Domain> {
    domains.iter().filter_map(|domain| Domain::parse(domain).ok()).collect()
}

/// Deletes what a switch was told, unless it has changed again since.
pub async fn told(db: &PgPool, switch: Uuid, news: &News) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from lamp_news where switch_id = $1 and extension_id = $2 and since = $3",
        switch,
        news.id,
        news.since
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// A number that leads elsewhere than before, or nowhere, at one of its tenant's domains.
#[derive(Debug)]
pub struct Moved {
    pub domain: String,
    pub number: String,
    pub since: DateTime<Utc>,
}

/// The numbers whose lamps a switch is to be told of, oldest first.
pub async fn moved(db: &PgPool, switch: Uuid, most: i64) -> sqlx::Result<Vec<Moved>> {
    sqlx::query_as!(
        Moved,
        "select domain, number, since from number_lamps where switch_id = $1 order by since limit $2",
        switch,
        most
    )
    .fetch_all(db)
    .await
}

/// Deletes the numbers that a switch was told of, unless they have moved again since.
pub async fn told_numbers(db: &PgPool, switch: Uuid, moved: &[Moved]) -> sqlx::Result<()> {
    let domains = moved.iter().map(|moved| moved.domain.clone()).collect::<Vec<_>>();
    let numbers = moved.iter().map(|moved| moved.number.clone()).collect::<Vec<_>>();
    let since = moved.iter().map(|moved| moved.since).collect::<Vec<_>>();
    sqlx::query!(
        "delete from number_lamps l using unnest($2::text[], $3::text[], $4::timestamptz[]) m (domain, number, since)
          where l.switch_id = $1 and l.domain = m.domain and l.number = m.number and l.since = m.since",
        switch,
        &domains,
        &numbers,
        &since
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// What stands under a number that somebody watches.
#[derive(Debug)]
pub struct Watched {
    /// The tenant's domain. `None` if there is nothing.
    pub home: Option<Domain>,
    pub do_not_disturb: bool,
    pub forwards: bool,
    /// The SIP username of the extension that has this number.
    pub user: Option<SipUsername>,
    /// The queue that has this number.
    pub queue: Option<Uuid>,
}

/// What tenants of a cluster have under these names, each a domain and a number, in the same order.
pub async fn watched(db: &PgPool, cluster: Uuid, keys: &[(&str, &str)]) -> sqlx::Result<Vec<Watched>> {
    let (domains, numbers): (Vec<_>, Vec<_>) =
        keys.iter().map(|(domain, number)| ((*domain).to_owned(), (*number).to_owned())).unzip();
    sqlx::query_as!(
        Watched,
        r#"select t.domain as "home?: Domain", coalesce((e.calls->>'do_not_disturb')::bool, false) as "do_not_disturb!",
                  e.calls->>'forward_always' is not null as "forwards!", e.sip_username as "user?: SipUsername", d.id as "queue?"
             from unnest($1::text[], $2::text[]) with ordinality k (domain, number, place)
             left join tenants t on t.cluster_id = $3 and t.status = 'active'
                   and t.id = coalesce((select h.id from tenants h where h.domain = k.domain),
                                       (select f.tenant_id from former_domains f where f.domain = k.domain))
             left join names n on n.tenant_id = t.id and n.name = k.number
             left join extensions e on e.tenant_id = n.tenant_id and e.id = n.extension_id and e.status <> 'deleted'
                   -- A SIP username of digits may be a number that the extension had before.
                   and k.number in (e.number, e.alias)
             left join destinations d on d.tenant_id = n.tenant_id and d.id = n.destination_id and d.kind = 'queue'
            order by k.place"#,
        &domains,
        &numbers,
        cluster
    )
    .fetch_all(db)
    .await
}

/// A queue that has a number.
#[derive(Debug)]
pub struct Queue {
    pub number: ExtensionNumber,
    pub domains: Vec<Domain>,
}

pub async fn queue(db: &PgPool, cluster: Uuid, id: Uuid) -> sqlx::Result<Option<Queue>> {
    let row = sqlx::query!(
        r#"select d.number as "number!: ExtensionNumber", t.domain || t.former_domains as "domains!"
             from destinations d join tenants t on t.id = d.tenant_id
            where d.id = $1 and d.kind = 'queue' and d.number is not null and t.cluster_id = $2"#,
        id,
        cluster
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Queue { number: row.number, domains: parsed(&row.domains) }))
}
