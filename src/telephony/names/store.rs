//! The SQL of names.

use sqlx::PgConnection;
use uuid::Uuid;

/// What has a name.
pub struct NameOwner {
    pub name: String,
    pub kind: String,
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
