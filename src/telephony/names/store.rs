//! The SQL of names.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::model::used::UsedKind;

/// What has a name.
pub struct NameOwner {
    pub name: String,
    pub kind: String,
    pub used: UsedKind,
    pub id: Uuid,
}

/// What has one of these names, other than `except`.
pub async fn owner_of_names(
    db: &mut PgConnection,
    tenant: Uuid,
    names: &[String],
    except: Uuid,
) -> sqlx::Result<Option<NameOwner>> {
    sqlx::query_as!(
        NameOwner,
        r#"select name, case when extension_id is not null then 'extension' when group_id is not null then 'group'
                       else 'destination' end as "kind!",
                  case when extension_id is not null then 'extension' when group_id is not null then 'group'
                       else (select d.kind from destinations d where d.tenant_id = $1 and d.id = names.destination_id) end as "used!: UsedKind",
                  coalesce(extension_id, group_id, destination_id) as "id!"
             from names
            where tenant_id = $1 and name = any ($2) and coalesce(extension_id, group_id, destination_id) <> $3
            order by name limit 1"#,
        tenant,
        names,
        except
    )
    .fetch_optional(db)
    .await
}

/// One of these that rests. What somebody reserved does not count: it was nobody's.
pub async fn resting_among(db: &mut PgConnection, tenant: Uuid, numbers: &[String]) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "select number from held_numbers where tenant_id = $1 and number = any ($2) and until > now() limit 1",
        tenant,
        numbers
    )
    .fetch_optional(db)
    .await
}

/// One of these that is reserved or resting.
pub async fn held_among(db: &mut PgConnection, tenant: Uuid, names: &[String]) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "select number from held_numbers where tenant_id = $1 and number = any ($2) and (until is null or until > now()) limit 1",
        tenant,
        names
    )
    .fetch_optional(db)
    .await
}

/// Lets numbers rest for some days. Reserved ones stay reserved.
pub async fn rest(db: &mut PgConnection, tenant: Uuid, numbers: &[String], days: i32) -> sqlx::Result<()> {
    sqlx::query!("delete from held_numbers where tenant_id = $1 and until < now()", tenant).execute(&mut *db).await?;
    sqlx::query!(
        "insert into held_numbers (tenant_id, number, reason, until)
         select $1, n, 'rests after it was given up', now() + make_interval(days => $3) from unnest($2::text[]) n
         on conflict (tenant_id, number) do update set until = excluded.until where held_numbers.until is not null",
        tenant,
        numbers,
        days
    )
    .execute(db)
    .await
    .map(|_| ())
}
