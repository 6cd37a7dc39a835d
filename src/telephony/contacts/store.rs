//! The SQL of contacts.

use serde_json::json;
use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use super::{Contact, Said, sought};
use crate::{
    model::{
        settings::{ContactSettings, Words},
        sorting::Sorted,
    },
    text::{E164, Email},
};

/// Which contacts are asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// In lower case.
    pub search: Option<String>,
    /// A part of the name.
    pub name: Option<String>,
    pub email: Option<String>,
    pub number: Option<String>,
    pub tag: Option<String>,
    pub do_not_call: Option<bool>,
}

macro_rules! contact {
    ($row:expr) => {
        Some(Contact {
            id: $row.id,
            tenant_id: $row.tenant_id,
            name: serde_json::from_value($row.name.into()).ok()?,
            company: $row.company.and_then(|company| serde_json::from_value(company.into()).ok()),
            email: $row.email.and_then(|email| Email::parse(&email).ok()),
            numbers: $row.numbers.iter().filter_map(|number| E164::parse(number).ok()).collect(),
            tags: $row.tags.into_iter().filter_map(|tag| serde_json::from_value::<Words>(tag.into()).ok()).collect(),
            fields: $row.fields.0,
            notes: $row.notes,
            do_not_call: $row.do_not_call.map(|said| said.0),
            consent: $row.consent.map(|said| said.0),
            version: $row.version,
            created_at: $row.created_at,
            updated_at: $row.updated_at,
        })
    };
}

/// Contacts in the order of their ids. Without trigrams, a search finds the beginnings of names.
pub async fn list(db: &mut PgConnection, tenant: Uuid, wanted: &Wanted, sorted: &Sorted) -> sqlx::Result<Vec<Contact>> {
    let has_trigrams =
        sqlx::query_scalar!(r#"select exists (select from pg_extension where extname = 'pg_trgm') as "has!""#);
    let has_trigrams = has_trigrams.fetch_one(&mut *db).await?;
    let escaped = wanted.search.as_ref().map(|text| text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
    let (part, begins) = match escaped {
        Some(text) if has_trigrams && text.chars().count() >= 3 => (Some(format!("%{text}%")), None),
        Some(text) => (None, Some(format!("{text}%"))),
        None => (None, None),
    };
    macro_rules! rows {
        ($order:tt) => {{
    let rows = sqlx::query!(
        r#"select c.tenant_id, c.id, c.name, c.company, c.email, c.tags, c.fields as "fields: Json<std::collections::BTreeMap<String, Words>>",
                  c.notes, c.do_not_call as "do_not_call: Json<Said>", c.consent as "consent: Json<Said>", c.version, c.created_at, c.updated_at,
                  array(select n.number from contact_numbers n where n.tenant_id = c.tenant_id and n.contact_id = c.id order by n.place) as "numbers!"
             from contacts c
            where c.tenant_id = $1 and ($3::text is null or c.sought like $3) and ($4::text is null or lower(c.name) like $4)
              and ($5::text is null or $5 = any (c.tags)) and ($6::bool is null or (c.do_not_call is not null) = $6)
              and ($8::text is null or true) and ($9::text is null or strpos(lower(c.name), lower($9)) > 0)
              and ($10::text is null or lower(c.email) = lower($10))
              and ($11::text is null or exists (select from contact_numbers n
                                                 where n.tenant_id = c.tenant_id and n.contact_id = c.id and n.number = $11))
              and "# + $order + " limit $7",
        tenant,
        sorted.window.after,
        part,
        begins,
        wanted.tag,
        wanted.do_not_call,
        sorted.window.fetch(),
        sorted.key,
        wanted.name,
        wanted.email,
        wanted.number
    );
    rows.fetch_all(db).await?.into_iter().filter_map(|row| contact!(row)).collect()
        }};
    }
    // Each order is a statement of its own, for which there is an index.
    Ok(match (sorted.by, sorted.is_down) {
        ("name", false) => rows!(
            "lower(c.name) ~>=~ coalesce(lower($8), '') and (lower(c.name) ~>~ coalesce(lower($8), '') or c.id > $2)
             order by lower(c.name) using ~<~, c.id"
        ),
        ("name", true) => rows!(
            "($8 is null or lower(c.name) ~<=~ lower($8) and (lower(c.name) ~<~ lower($8) or c.id < $2))
             order by lower(c.name) using ~>~, c.id desc"
        ),
        (_, false) => rows!("c.id > $2 order by c.id"),
        (_, true) => rows!("c.id < $2 order by c.id desc"),
    })
}

pub async fn get(db: impl PgExecutor<'_>, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Contact>> {
    let row = sqlx::query!(
        r#"select c.tenant_id, c.id, c.name, c.company, c.email, c.tags, c.fields as "fields: Json<std::collections::BTreeMap<String, Words>>",
                  c.notes, c.do_not_call as "do_not_call: Json<Said>", c.consent as "consent: Json<Said>", c.version, c.created_at, c.updated_at,
                  array(select n.number from contact_numbers n where n.tenant_id = c.tenant_id and n.contact_id = c.id order by n.place) as "numbers!"
             from contacts c where c.tenant_id = $1 and c.id = $2"#,
        tenant,
        id
    );
    Ok(row.fetch_optional(db).await?.and_then(|row| contact!(row)))
}

/// What a tenant keeps of its contacts.
pub async fn settings(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<ContactSettings> {
    let kept = sqlx::query_scalar!(
        r#"select coalesce(settings -> 'contacts', '{}') as "kept!: Json<ContactSettings>" from tenants where id = $1"#,
        tenant
    );
    Ok(kept.fetch_optional(db).await?.map(|kept| kept.0).unwrap_or_default())
}

/// Whose a number is.
pub async fn of_number(db: impl PgExecutor<'_>, tenant: Uuid, number: &str) -> sqlx::Result<Option<Uuid>> {
    let id = sqlx::query_scalar!(
        "select contact_id from contact_numbers where tenant_id = $1 and number = $2",
        tenant,
        number
    );
    id.fetch_optional(db).await
}

/// Whose numbers are: number, contact.
pub async fn owners(db: impl PgExecutor<'_>, tenant: Uuid, numbers: &[String]) -> sqlx::Result<Vec<(String, Uuid)>> {
    let rows = sqlx::query!(
        "select number, contact_id from contact_numbers where tenant_id = $1 and number = any ($2) order by number",
        tenant,
        numbers
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| (row.number, row.contact_id)).collect())
}

/// Adds contacts.
pub async fn insert(db: &mut PgConnection, contacts: &[Contact]) -> sqlx::Result<()> {
    let rows = contacts.iter().map(|contact| {
        json!({ "tenant_id": contact.tenant_id, "id": contact.id, "name": contact.name, "company": contact.company, "email": contact.email,
                "tags": contact.tags, "fields": contact.fields, "notes": contact.notes, "do_not_call": contact.do_not_call,
                "consent": contact.consent, "sought": sought(contact), "created_at": contact.created_at })
    });
    let rows = serde_json::Value::Array(rows.collect());
    sqlx::query!(
        "insert into contacts (tenant_id, id, name, company, email, tags, fields, notes, do_not_call, consent, sought, created_at, updated_at)
         select tenant_id, id, name, company, email, tags, fields, notes, do_not_call, consent, sought, created_at, created_at
           from jsonb_to_recordset($1) as x (tenant_id uuid, id uuid, name text, company text, email text, tags text[], fields jsonb, notes text,
                                             do_not_call jsonb, consent jsonb, sought text, created_at timestamptz)",
        rows
    )
    .execute(&mut *db)
    .await?;
    numbers(db, contacts).await
}

/// Saves a contact.
pub async fn update(db: &mut PgConnection, contact: &Contact) -> sqlx::Result<()> {
    let tags = contact.tags.iter().map(ToString::to_string).collect::<Vec<_>>();
    sqlx::query!(
        "update contacts set name = $3, company = $4, email = $5, tags = $6, fields = $7, notes = $8, do_not_call = $9, consent = $10,
                sought = $11, version = $12, updated_at = $13
          where tenant_id = $1 and id = $2",
        contact.tenant_id,
        contact.id,
        contact.name.to_string(),
        contact.company.as_ref().map(ToString::to_string),
        contact.email.as_ref().map(ToString::to_string),
        &tags,
        Json(&contact.fields) as _,
        contact.notes,
        contact.do_not_call.as_ref().map(Json) as _,
        contact.consent.as_ref().map(Json) as _,
        sought(contact),
        contact.version,
        contact.updated_at
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!("delete from contact_numbers where tenant_id = $1 and contact_id = $2", contact.tenant_id, contact.id)
        .execute(&mut *db)
        .await?;
    numbers(db, std::slice::from_ref(contact)).await
}

async fn numbers(db: &mut PgConnection, contacts: &[Contact]) -> sqlx::Result<()> {
    let (mut tenants, mut ids, mut numbers, mut places) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for contact in contacts {
        for (place, number) in contact.numbers.iter().enumerate() {
            tenants.push(contact.tenant_id);
            ids.push(contact.id);
            numbers.push(number.to_string());
            places.push(i16::try_from(place).unwrap_or(i16::MAX));
        }
    }
    sqlx::query!(
        "insert into contact_numbers (tenant_id, contact_id, number, place)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::smallint[])",
        &tenants,
        &ids,
        &numbers,
        &places
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn delete(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from contacts where tenant_id = $1 and id = $2", tenant, id).execute(db).await.map(|_| ())
}
