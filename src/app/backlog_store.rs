//! How much work waits in the database.

use sqlx::PgPool;

/// Work of one kind that waits to be done.
#[derive(Debug, Clone)]
pub struct Backlog {
    pub kind: String,
    pub waiting: i64,
    /// For how long the oldest has waited, in seconds.
    pub oldest: f64,
}

/// Each kind reads an index of what is not done yet; the two tables without one hold nothing else.
pub async fn backlogs(pool: &PgPool) -> sqlx::Result<Vec<Backlog>> {
    sqlx::query_as!(
        Backlog,
        r#"select kind as "kind!", waiting as "waiting!",
                  coalesce(greatest(extract(epoch from now() - since), 0), 0)::float8 as "oldest!"
             from (select 'mails' as kind, count(*) as waiting, min(created_at) as since from mail_outbox where status = 'queued'
                   union all
                   select 'webhooks', count(*), min(d.created_at)
                     from webhook_deliveries d join webhooks w on w.id = d.webhook_id and w.enabled where d.status = 'pending'
                   union all
                   select 'expulsions', count(*), min(since) from expulsions
                   union all
                   select 'cleanups', count(*), min(since) from cleanups
                   union all
                   select 'call_records', count(*), min(received_at) from cdr_inbox where noted_at is null and unreadable is null
                   union all
                   select 'call_jobs', count(*), min(created_at) from call_jobs
                    where created_at > now() - interval '1 day' and state <> 'ended') backlogs"#
    )
    .fetch_all(pool)
    .await
}
