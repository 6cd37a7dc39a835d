//! The SQL of rates of exchange.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{ExchangeFactor, ExchangeRate, NewExchangeRate};

/// A rate as it is stored.
struct Stored {
    id: Uuid,
    from_currency: String,
    to_currency: String,
    day: NaiveDate,
    rate: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl Stored {
    fn read(self) -> sqlx::Result<ExchangeRate> {
        let Self { id, from_currency, to_currency, day, rate, created_at, updated_at } = self;
        let rate = factor(rate)?;
        Ok(ExchangeRate { id, from_currency, to_currency, day, rate, created_at, updated_at })
    }
}

fn factor(steps: i64) -> sqlx::Result<ExchangeFactor> {
    ExchangeFactor::from_steps(steps).ok_or_else(|| sqlx::Error::Decode("a rate of exchange is out of range".into()))
}

pub async fn set(db: impl PgExecutor<'_>, new: &NewExchangeRate) -> sqlx::Result<ExchangeRate> {
    let set = sqlx::query_as!(
        Stored,
        "insert into exchange_rates (id, from_currency, to_currency, day, rate) values ($1, $2, $3, $4, $5)
             on conflict (from_currency, to_currency, day) do update set rate = excluded.rate, updated_at = now()
         returning id, from_currency, to_currency, day, rate, created_at, updated_at",
        Uuid::now_v7(),
        new.from_currency.as_str(),
        new.to_currency.as_str(),
        new.day,
        new.rate.steps()
    );
    set.fetch_one(db).await?.read()
}

/// The rate of exactly this day; nobody else changes it meanwhile.
pub async fn lock_of_day(
    db: impl PgExecutor<'_>,
    from: &str,
    to: &str,
    day: NaiveDate,
) -> sqlx::Result<Option<ExchangeRate>> {
    let found = sqlx::query_as!(
        Stored,
        "select id, from_currency, to_currency, day, rate, created_at, updated_at from exchange_rates
          where from_currency = $1 and to_currency = $2 and day = $3 for update",
        from,
        to,
        day
    );
    found.fetch_optional(db).await?.map(Stored::read).transpose()
}

pub async fn get(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<ExchangeRate>> {
    let found = sqlx::query_as!(
        Stored,
        "select id, from_currency, to_currency, day, rate, created_at, updated_at from exchange_rates where id = $1",
        id
    );
    found.fetch_optional(db).await?.map(Stored::read).transpose()
}

/// Deletes one, and says what it was.
pub async fn take(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<ExchangeRate>> {
    let gone = sqlx::query_as!(
        Stored,
        "delete from exchange_rates where id = $1 returning id, from_currency, to_currency, day, rate, created_at, updated_at",
        id
    );
    gone.fetch_optional(db).await?.map(Stored::read).transpose()
}

/// The list in the order of days. `after`: the key of the last one of the page before (`key`).
pub async fn list(
    db: impl PgExecutor<'_>,
    from: Option<&str>,
    to: Option<&str>,
    is_down: bool,
    after: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<ExchangeRate>> {
    macro_rules! rows {
        ($order:tt) => {
            sqlx::query_as!(
                Stored,
                "select id, from_currency, to_currency, day, rate, created_at, updated_at from exchange_rates
                  where ($1::text is null or from_currency = $1) and ($2::text is null or to_currency = $2)
                    and "
                    + $order
                    + " limit $4",
                from,
                to,
                after,
                limit
            )
            .fetch_all(db)
            .await?
        };
    }
    let rows = if is_down {
        rows!(
            "($3::text is null or to_char(day, 'YYYY-MM-DD-') || from_currency || to_currency < $3)
                 order by to_char(day, 'YYYY-MM-DD-') || from_currency || to_currency desc"
        )
    } else {
        rows!(
            "($3::text is null or to_char(day, 'YYYY-MM-DD-') || from_currency || to_currency > $3)
                 order by to_char(day, 'YYYY-MM-DD-') || from_currency || to_currency"
        )
    };
    rows.into_iter().map(Stored::read).collect()
}

/// What the list is ordered by.
#[must_use]
pub fn key(rate: &ExchangeRate) -> String {
    format!("{}-{}{}", rate.day, rate.from_currency, rate.to_currency)
}

/// The rates into a currency that are in force on days: of each currency and day for which there is one.
pub async fn in_force(
    db: impl PgExecutor<'_>,
    to: &str,
    asked: &[(String, NaiveDate)],
) -> sqlx::Result<Vec<(String, NaiveDate, ExchangeFactor)>> {
    let (currencies, days): (Vec<_>, Vec<_>) = asked.iter().cloned().unzip();
    let rows = sqlx::query!(
        r#"select x.currency as "currency!", x.day as "day!", r.rate as "rate!"
             from (select distinct currency, day from unnest($1::text[], $2::date[]) as a (currency, day)) x
            cross join lateral (select rate from exchange_rates
                                 where from_currency = x.currency and to_currency = $3 and day <= x.day order by day desc limit 1) r"#,
        &currencies,
        &days,
        to
    );
    rows.fetch_all(db).await?.into_iter().map(|row| Ok((row.currency, row.day, factor(row.rate)?))).collect()
}
