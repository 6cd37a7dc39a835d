//! The SQL of the outbox.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use crate::model::language::Language;

/// Mails to queue, as columns.
#[derive(Default)]
pub struct NewMails {
    ids: Vec<Uuid>,
    recipients: Vec<String>,
    templates: Vec<String>,
    languages: Vec<String>,
    sealed: Vec<Vec<u8>>,
}

impl NewMails {
    pub fn push(&mut self, id: Uuid, recipient: &str, template: &str, language: Language, sealed: Vec<u8>) {
        self.ids.push(id);
        self.recipients.push(recipient.to_owned());
        self.templates.push(template.to_owned());
        self.languages.push(language.code().to_owned());
        self.sealed.push(sealed);
    }
}

pub async fn insert(db: &mut PgConnection, tenant: Option<Uuid>, new: &NewMails) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into mail_outbox (id, tenant_id, recipient, template, language, sealed)
         select m.id, $1, m.recipient, m.template, m.language, m.sealed
           from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::bytea[])
                as m (id, recipient, template, language, sealed)",
        tenant,
        &new.ids,
        &new.recipients,
        &new.templates,
        &new.languages,
        &new.sealed
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// A mail to send now.
pub struct Due {
    pub id: Uuid,
    pub recipient: String,
    pub sealed: Vec<u8>,
    pub attempts: i32,
    /// It has been tried for a day.
    pub is_old: bool,
}

/// Takes due mails, so that nobody else takes them for two minutes. Thus no transaction is open while they are sent, and those
/// that a node took before it died become due again.
pub async fn take(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Due>> {
    sqlx::query_as!(
        Due,
        r#"update mail_outbox set next_attempt_at = now() + interval '2 minutes', attempts = attempts + 1
          where id in (select id from mail_outbox where status = 'queued' and next_attempt_at <= now()
                        order by next_attempt_at limit 20 for update skip locked)
         returning id, recipient, sealed, attempts, created_at < now() - interval '1 day' as "is_old!""#
    )
    .fetch_all(db)
    .await
}

pub async fn sent(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "update mail_outbox set status = 'sent', sent_at = now(), sealed = '', last_error = null where id = $1",
        id
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// `again`: minutes until the next try; `None` for never.
pub async fn not_sent(db: impl PgExecutor<'_>, id: Uuid, error: &str, again: Option<i32>) -> sqlx::Result<()> {
    sqlx::query!(
        "update mail_outbox set last_error = $2, next_attempt_at = coalesce(now() + make_interval(mins => $3), next_attempt_at),
                status = case when $3::int is null then 'failed' else status end
          where id = $1",
        id,
        error,
        again
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// A mail in a list.
#[derive(Debug, Serialize)]
pub struct Listed {
    pub id: Uuid,
    pub tenant_id: Option<Uuid>,
    pub recipient: String,
    pub template: String,
    pub status: String,
    pub attempts: i32,
    pub created_at: DateTime<Utc>,
    pub sent_at: Option<DateTime<Utc>>,
    pub next_attempt_at: DateTime<Utc>,
    pub last_error: Option<String>,
}

pub async fn list(db: impl PgExecutor<'_>, status: Option<&str>) -> sqlx::Result<Vec<Listed>> {
    sqlx::query_as!(
        Listed,
        "select id, tenant_id, recipient, template, status, attempts, created_at, sent_at, next_attempt_at, last_error
           from mail_outbox where $1::text is null or status = $1 order by id desc limit 1000",
        status
    )
    .fetch_all(db)
    .await
}

/// A mail of a sandbox, which is not sent.
pub struct Unsent {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub recipient: String,
    pub template: String,
    pub language: String,
    pub status: String,
    pub sealed: Vec<u8>,
    pub created_at: DateTime<Utc>,
}

/// Which of a sandbox's mails. All that is given must hold.
#[derive(Debug, Default, Clone, Copy)]
pub struct Which<'a> {
    pub id: Option<Uuid>,
    pub to: Option<&'a str>,
    pub template: Option<&'a str>,
}

/// The mails of a sandbox. `after`: the last of the page before.
pub async fn unsent(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    which: Which<'_>,
    is_down: bool,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Unsent>> {
    macro_rules! rows {
        ($order:tt) => {
            sqlx::query_as!(
                Unsent,
                r#"select id, tenant_id as "tenant_id!", recipient, template, language, last_error as "status!", sealed, created_at
                     from mail_outbox
                    where tenant_id = $1 and sandbox and ($2::uuid is null or id = $2)
                      and ($5::text is null or lower(recipient) = lower($5)) and ($6::text is null or template = $6) and "#
                    + $order
                    + " limit $4",
                tenant,
                which.id,
                after.unwrap_or(if is_down { Uuid::max() } else { Uuid::nil() }),
                limit,
                which.to,
                which.template
            )
            .fetch_all(db)
            .await
        };
    }
    if is_down { rows!("id < $3 order by id desc") } else { rows!("id > $3 order by id") }
}

/// Makes unsent mails due again: this one, or all that failed. Returns how many.
pub async fn retry(db: impl PgExecutor<'_>, id: Option<Uuid>) -> sqlx::Result<u64> {
    let again = sqlx::query!(
        "update mail_outbox set status = 'queued', next_attempt_at = now(), created_at = now()
          where status <> 'sent' and not sandbox and (id = $1 or ($1 is null and status = 'failed'))",
        id
    );
    Ok(again.execute(db).await?.rows_affected())
}

/// Those of these mails that are no longer known, because their tenant was purged.
pub async fn gone(pool: &PgPool, ids: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"select asked.id as "id!" from unnest($1::uuid[]) as asked (id)
            where not exists (select 1 from mail_outbox m where m.id = asked.id)"#,
        ids
    )
    .fetch_all(pool)
    .await
}
