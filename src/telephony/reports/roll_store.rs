//! The SQL of figures by quarters of an hour.

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// How many quarters one transaction computes.
const BATCH: i64 = 50;

/// A call that lasts longer does not count for the peaks of later quarters.
const LONGEST: TimeDelta = TimeDelta::hours(6);

/// The quarters of an hour that a call's figures are in: that of its beginning, and those in which it was up.
#[must_use]
pub fn slots(started: DateTime<Utc>, ended: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let quarter = TimeDelta::minutes(15);
    let first = started.duration_trunc(quarter).unwrap_or(started);
    let last = ended.min(started + LONGEST);
    let mut slots = vec![first];
    while let Some(next) = slots.last().map(|slot| *slot + quarter).filter(|next| *next <= last) {
        slots.push(next);
    }
    slots
}

/// Has quarters computed anew.
pub async fn mark(db: &mut PgConnection, slots: &[(Uuid, DateTime<Utc>)]) -> sqlx::Result<()> {
    let (tenants, slots): (Vec<_>, Vec<_>) = slots.iter().copied().unzip();
    sqlx::query!(
        "insert into call_slots_due (tenant_id, slot)
         select distinct tenant, slot from unnest($1::uuid[], $2::timestamptz[]) as x (tenant, slot) order by tenant, slot
             on conflict do nothing",
        &tenants,
        &slots
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Computes all quarters that are due.
pub async fn roll(pool: &PgPool) -> sqlx::Result<()> {
    loop {
        let mut tx = pool.begin().await?;
        // Whoever deletes a tenant locks it first, too: no figures are left of one that is gone.
        let there = sqlx::query_scalar::<_, Uuid>(
            "select id from tenants where id in (select tenant_id from call_slots_due) order by id for key share",
        );
        let there = there.fetch_all(&mut *tx).await?;
        // Whoever changes a call of the same quarter meanwhile waits with its mark, and then it is due again.
        let due = sqlx::query!(
            "delete from call_slots_due d using
                (select tenant_id, slot from call_slots_due order by slot desc limit $1 for update skip locked) x
              where d.tenant_id = x.tenant_id and d.slot = x.slot returning d.tenant_id, d.slot",
            BATCH
        );
        let due = due.fetch_all(&mut *tx).await?;
        if due.is_empty() {
            return Ok(());
        }
        let due = due.into_iter().map(|row| (row.tenant_id, row.slot));
        let (due, others): (Vec<_>, Vec<_>) = due.partition(|(tenant, _)| there.contains(tenant));
        again(&mut tx, others).await?;
        let (tenants, slots): (Vec<_>, Vec<_>) = due.into_iter().unzip();
        compute(&mut tx, &tenants, &slots).await?;
        tx.commit().await?;
    }
}

/// Leaves quarters for the next turn that were marked since the tenants were locked.
async fn again(db: &mut PgConnection, mut slots: Vec<(Uuid, DateTime<Utc>)>) -> sqlx::Result<()> {
    let tenants = slots.iter().map(|(tenant, _)| *tenant).collect::<Vec<_>>();
    if !tenants.is_empty() {
        let there = sqlx::query_scalar::<_, Uuid>("select id from tenants where id = any ($1)").bind(tenants);
        let there = there.fetch_all(&mut *db).await?;
        slots.retain(|(tenant, _)| there.contains(tenant));
        mark(db, &slots).await?;
    }
    Ok(())
}

async fn compute(db: &mut PgConnection, tenants: &[Uuid], slots: &[DateTime<Utc>]) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from call_rollups r using unnest($1::uuid[], $2::timestamptz[]) as x (tenant, slot)
          where r.tenant_id = x.tenant and r.slot = x.slot",
        tenants,
        slots
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "insert into call_rollups (tenant_id, slot, kind, key, direction, calls, answered, voicemail, abandoned, missed, busy, failed, refused,
                                   wait_ms, longest_ms, within, talk_ms, billed_seconds, cost, costs)
         select c.tenant_id, x.slot, of.kind, of.key, c.direction, count(*),
                count(*) filter (where c.state = 'answered'), count(*) filter (where c.state = 'voicemail'),
                count(*) filter (where c.state = 'abandoned'), count(*) filter (where c.state = 'missed'),
                count(*) filter (where c.state = 'busy'), count(*) filter (where c.state = 'failed'),
                count(*) filter (where c.state = 'refused'),
                coalesce(sum(c.wait_ms) filter (where c.state = 'answered'), 0), max(c.wait_ms),
                array[count(*) filter (where c.state = 'answered' and c.wait_ms <= 5000), count(*) filter (where c.state = 'answered' and c.wait_ms <= 10000),
                      count(*) filter (where c.state = 'answered' and c.wait_ms <= 15000), count(*) filter (where c.state = 'answered' and c.wait_ms <= 20000),
                      count(*) filter (where c.state = 'answered' and c.wait_ms <= 30000), count(*) filter (where c.state = 'answered' and c.wait_ms <= 45000),
                      count(*) filter (where c.state = 'answered' and c.wait_ms <= 60000), count(*) filter (where c.state = 'answered' and c.wait_ms <= 90000),
                      count(*) filter (where c.state = 'answered' and c.wait_ms <= 120000)]::integer[],
                sum(c.talk_ms), sum(c.billed_seconds), coalesce(sum(c.cost), 0),
                -- By currency: a tenant's may have changed in this quarter.
                (select jsonb_object_agg(s.currency, s.amount)
                   from (select u.currency, sum(u.amount) as amount
                           from unnest(array_agg(coalesce(c.currency, '')) filter (where c.cost <> 0),
                                       array_agg(c.cost) filter (where c.cost <> 0)) as u (currency, amount) group by u.currency) s)
           from unnest($1::uuid[], $2::timestamptz[]) as x (tenant, slot)
           join calls c on c.tenant_id = x.tenant and c.started_at >= x.slot and c.started_at < x.slot + interval '15 minutes'
          cross join lateral (values ('all', ''), ('agent', c.agent_id::text), ('queue', c.queue_id::text), ('number', c.number_id::text),
                                     ('country', c.country), ('disposition', c.disposition)) of (kind, key)
          where of.key is not null
          group by c.tenant_id, x.slot, of.kind, of.key, c.direction",
        tenants,
        slots
    )
    .execute(&mut *db)
    .await?;
    // Each try over a carrier counts as one of its calls. Where nobody took it, refused it or was there, the carrier did its work (ITU-T E.425).
    sqlx::query!(
        "insert into call_rollups (tenant_id, slot, kind, key, direction, calls, answered, busy, missed, failed, talk_ms, billed_seconds, cost, rang,
                                   ringing_ms, costs)
         select c.tenant_id, x.slot, 'carrier', a.carrier_id, 'outbound', count(*), count(*) filter (where a.answered),
                count(*) filter (where not a.answered and a.cause = 'USER_BUSY'),
                count(*) filter (where not a.answered and a.cause in ('NO_ANSWER', 'NO_USER_RESPONSE', 'ORIGINATOR_CANCEL', 'CALL_REJECTED',
                                                                      'SUBSCRIBER_ABSENT')),
                count(*) filter (where not a.answered and a.cause is distinct from 'USER_BUSY'
                                   and (a.cause is null or a.cause not in ('NO_ANSWER', 'NO_USER_RESPONSE', 'ORIGINATOR_CANCEL', 'CALL_REJECTED',
                                                                           'SUBSCRIBER_ABSENT'))),
                coalesce(sum(a.seconds), 0) * 1000, coalesce(sum(a.seconds), 0), coalesce(sum(a.cost), 0),
                count(a.ringing_after), coalesce(sum(a.ringing_after), 0),
                (select jsonb_object_agg(s.currency, s.amount)
                   from (select u.currency, sum(u.amount) as amount
                           from unnest(array_agg(coalesce(c.currency, '')) filter (where a.cost <> 0),
                                       array_agg(a.cost) filter (where a.cost <> 0)) as u (currency, amount) group by u.currency) s)
           from unnest($1::uuid[], $2::timestamptz[]) as x (tenant, slot)
           join calls c on c.tenant_id = x.tenant and c.started_at >= x.slot and c.started_at < x.slot + interval '15 minutes'
           cross join lateral jsonb_to_recordset(c.story -> 'attempts')
                as a (carrier_id text, answered boolean, cause text, seconds bigint, cost bigint, ringing_after bigint)
          group by c.tenant_id, x.slot, a.carrier_id",
        tenants,
        slots
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "insert into call_rollups (tenant_id, slot, kind, key, direction, calls)
         select x.tenant, x.slot, 'peak', '', '', p.most
           from unnest($1::uuid[], $2::timestamptz[]) as x (tenant, slot)
          cross join lateral (
                select max(up) filter (where at < x.slot + interval '15 minutes')::integer as most from (
                    select greatest(e.at, x.slot) as at, sum(e.step) over (order by e.at, e.step, e.id) as up from (
                        select c.started_at as at, 1 as step, c.id from calls c
                         where c.tenant_id = x.tenant and c.started_at >= x.slot - interval '6 hours'
                           and c.started_at < x.slot + interval '15 minutes' and c.ended_at >= x.slot
                        union all
                        select c.ended_at, -1, c.id from calls c
                         where c.tenant_id = x.tenant and c.started_at >= x.slot - interval '6 hours'
                           and c.started_at < x.slot + interval '15 minutes' and c.ended_at >= x.slot) e) s) p
          where p.most > 0",
        tenants,
        slots
    )
    .execute(db)
    .await
    .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_in_the_quarters_in_which_it_was_up() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let slots_of =
            |from: &str, to: &str| slots(at(from), at(to)).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(slots_of("2026-11-26T10:14:59Z", "2026-11-26T10:14:59.9Z"), ["2026-11-26 10:00:00 UTC"]);
        assert_eq!(
            slots_of("2026-11-26T10:14:59Z", "2026-11-26T10:30:00Z"),
            ["2026-11-26 10:00:00 UTC", "2026-11-26 10:15:00 UTC", "2026-11-26 10:30:00 UTC"]
        );
        assert_eq!(slots_of("2026-11-26T10:00:00Z", "2026-12-26T10:30:00Z").len(), 25);
    }
}
