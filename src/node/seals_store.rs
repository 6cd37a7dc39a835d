//! The SQL of keys that seal: what the database uses, which node has what, and sealing everything anew.

use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use crate::text::keyring::KeyId;

/// A key that the database knows.
pub struct Known {
    pub id: Vec<u8>,
    /// Is something sealed with it, or may be? Otherwise it is offered.
    pub is_used: bool,
}

/// Those in use.
#[must_use]
pub fn used(known: &[Known]) -> Vec<KeyId> {
    known.iter().filter(|key| key.is_used).filter_map(|key| key.id.as_slice().try_into().ok()).collect()
}

/// The keys, the one that seals first, those that are merely offered last.
pub async fn known(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Known>> {
    sqlx::query_as!(
        Known,
        r#"select id, seals_since is not null as "is_used!" from sealing_keys order by seals_since desc nulls last, added_at desc"#
    )
    .fetch_all(db)
    .await
}

/// Makes keys of a file known, but for those that have retired.
pub async fn offer(db: impl PgExecutor<'_>, ids: &[Vec<u8>]) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into sealing_keys (id)
         select id from unnest($1::bytea[]) as offered(id) where id not in (select id from retired_keys)
         on conflict (id) do nothing",
        ids
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// The first key of a database that has none in use.
pub async fn begin_with(db: impl PgExecutor<'_>, id: &[u8]) -> sqlx::Result<()> {
    sqlx::query!(
        "update sealing_keys set seals_since = clock_timestamp()
          where id = $1 and not exists (select 1 from sealing_keys where seals_since is not null)",
        id
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// What a node has, and seals with.
pub async fn say(db: impl PgExecutor<'_>, node: Uuid, has: &[Vec<u8>], seals_with: &[u8]) -> sqlx::Result<()> {
    sqlx::query!(
        "update nodes set sealing_keys = $2, seals_with = $3
          where id = $1 and (sealing_keys is distinct from $2 or seals_with is distinct from $3)",
        node,
        has,
        seals_with
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// How many nodes live, and how many of them have a key and seal with it.
pub struct Spread {
    pub live: i64,
    pub have: i64,
    pub seal: i64,
}

pub async fn spread(db: impl PgExecutor<'_>, id: &[u8]) -> sqlx::Result<Spread> {
    // Longer than a lease: a node that was slow for a moment is not taken for one that is gone.
    sqlx::query_as!(
        Spread,
        r#"select count(*) as "live!", count(*) filter (where $1 = any (sealing_keys)) as "have!",
                  count(*) filter (where seals_with = $1) as "seal!"
             from nodes where polled_at > clock_timestamp() - interval '10 seconds'"#,
        id
    )
    .fetch_one(db)
    .await
}

/// The live nodes that lack a key.
pub async fn lacking(db: impl PgExecutor<'_>, id: &[u8]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "select id from nodes
          where polled_at > clock_timestamp() - interval '10 seconds' and ($1 = any (sealing_keys)) is not true order by id",
        id
    )
    .fetch_all(db)
    .await
}

/// A key seals from now on, if every live node has it. Was it so?
pub async fn promote(db: impl PgExecutor<'_>, id: &[u8]) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "update sealing_keys set seals_since = clock_timestamp()
          where id = $1 and seals_since is null
            and not exists (select 1 from nodes where polled_at > clock_timestamp() - interval '10 seconds'
                                                  and ($1 = any (sealing_keys)) is not true)",
        id
    );
    Ok(done.execute(db).await?.rows_affected() == 1)
}

/// The keys that have retired.
pub async fn retired(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Vec<u8>>> {
    sqlx::query_scalar!("select id from retired_keys order by retired_at").fetch_all(db).await
}

/// One at a time seals anew. The lock is the session's: it ends with the connection.
pub async fn take_turn(db: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select pg_try_advisory_lock(4713001) as "taken!""#).fetch_one(db).await
}

/// A sealed value and the row it stands in.
pub struct Value {
    pub tenant: Uuid,
    pub row: Uuid,
    pub sealed: Vec<u8>,
}

/// Values in the place of others, column by column.
#[derive(Default)]
pub struct Anew {
    pub tenants: Vec<Uuid>,
    pub rows: Vec<Uuid>,
    pub before: Vec<Vec<u8>>,
    pub after: Vec<Vec<u8>>,
}

/// Everything that is sealed, one line a column: what its place is called, where it stands, and what names its row there. The migration
/// that made `retired_keys` has the same list; `tests/api/keys.rs` looks for columns that are in neither.
macro_rules! columns {
    ($($name:ident: $place:literal, $table:literal, $column:literal, $tenant:literal, $row:literal, $unique:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Column { $($name),* }

        impl Column {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What a [`Place`](crate::text::keyring::Place) calls it.
            #[must_use]
            pub fn place(self) -> &'static str {
                match self { $(Self::$name => $place),* }
            }

            /// Does a row have a name of its own?
            #[must_use]
            pub fn is_unique(self) -> bool {
                match self { $(Self::$name => $unique),* }
            }
        }

        /// The next values that another key than this one sealed, locked. Those that somebody else changes now come later.
        pub async fn batch(
            db: &mut PgConnection, column: Column, after: (Uuid, Uuid), key: &[u8], most: i64,
        ) -> sqlx::Result<Vec<Value>> {
            match column {
                $(Column::$name => sqlx::query_as!(
                    Value,
                    "select " + $tenant + " as \"tenant!\", " + $row + " as \"row!\", " + $column + " as \"sealed!\" from " + $table
                    + " where (" + $tenant + ", " + $row + ") > ($1, $2) and octet_length(" + $column + ") >= 48
                        and substring(" + $column + " for 8) <> $3
                      order by " + $tenant + ", " + $row + " limit $4 for update skip locked",
                    after.0, after.1, key, most
                ).fetch_all(db).await,)*
            }
        }

        /// Writes what was sealed anew, where nothing else was written meanwhile.
        pub async fn write(db: &mut PgConnection, column: Column, anew: &Anew) -> sqlx::Result<u64> {
            let done = match column {
                $(Column::$name => sqlx::query!(
                    "update " + $table + " set " + $column + " = anew.after_it
                       from unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[]) as anew (in_tenant, in_row, before_it, after_it)
                      where " + $tenant + " = in_tenant and " + $row + " = in_row and " + $column + " = before_it",
                    &anew.tenants, &anew.rows, &anew.before, &anew.after
                ).execute(db).await?,)*
            };
            Ok(done.rows_affected())
        }

        /// How many values other keys than this one sealed.
        pub async fn left(db: &mut PgConnection, key: &[u8]) -> sqlx::Result<i64> {
            let mut all = 0;
            $(all += sqlx::query_scalar!(
                "select count(*) as \"count!\" from " + $table
                + " where octet_length(" + $column + ") >= 48 and substring(" + $column + " for 8) <> $1",
                key
            ).fetch_one(&mut *db).await?;)*
            Ok(all)
        }

        /// Did this key seal something that is there?
        pub async fn is_used(db: &mut PgConnection, key: &[u8]) -> sqlx::Result<bool> {
            $(if sqlx::query_scalar!(
                "select exists (select 1 from " + $table
                + " where octet_length(" + $column + ") >= 48 and substring(" + $column + " for 8) = $1) as \"is!\"",
                key
            ).fetch_one(&mut *db).await? {
                return Ok(true);
            })*
            Ok(false)
        }
    };
}

columns! {
    SipSecret: "sip_secret", "extensions", "sip_secret", "tenant_id", "id", true;
    VoicemailPin: "voicemail_pin", "extensions", "voicemail_pin", "tenant_id", "id", true;
    DestinationPin: "destination_pin", "destinations", "pin", "tenant_id", "id", true;
    CarrierPassword: "carrier_password", "carriers", "password", "'00000000-0000-0000-0000-000000000000'::uuid", "id", true;
    SecondFactor: "users.totp_secret", "users", "totp_secret", "'00000000-0000-0000-0000-000000000000'::uuid", "id", true;
    SigningKey: "signing_keys.sealed", "signing_keys", "sealed", "'00000000-0000-0000-0000-000000000000'::uuid", "id", true;
    Mail: "mail_outbox.sealed", "mail_outbox", "sealed", "'00000000-0000-0000-0000-000000000000'::uuid", "id", true;
    KeptPage: "kept_pages.sealed", "kept_pages", "sealed", "session_id", "id", true;
    Answer: "idempotency_keys.body", "idempotency_keys", "body", "'00000000-0000-0000-0000-000000000000'::uuid", "actor", false;
    EventSocket: "event_socket_password", "event_sockets", "password", "'00000000-0000-0000-0000-000000000000'::uuid", "switch_id", true;
    Webhook: "webhooks.secret", "webhooks", "secret", "'00000000-0000-0000-0000-000000000000'::uuid", "id", true;
    WebhookBefore: "webhooks.secret", "webhooks", "previous_secret", "'00000000-0000-0000-0000-000000000000'::uuid", "id", true;
    Recording: "recordings.key", "recordings", "key", "tenant_id", "id", true;
    Voicemail: "voicemail_messages.key", "voicemail_messages", "key", "tenant_id", "id", true;
    NumberRequest: "number_requests.sip_secret", "number_requests", "sip_secret", "tenant_id", "id", true;
}

/// A key retires, unless something is sealed with it still. Waits for whoever seals with it right now; who comes later is refused.
pub async fn retire(pool: &PgPool, id: KeyId) -> sqlx::Result<bool> {
    let mut tx = pool.begin().await?;
    sqlx::query!("delete from sealing_keys where id = $1", &id[..]).execute(&mut *tx).await?;
    if is_used(&mut tx, &id).await? {
        tx.rollback().await?;
        return Ok(false);
    }
    sqlx::query!("insert into retired_keys (id) values ($1) on conflict (id) do nothing", &id[..])
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(true)
}
