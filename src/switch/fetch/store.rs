//! The SQL of a fetch. Each statement reads data and generation in one snapshot, so an answer's generation is certain.

use sqlx::PgExecutor;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::model::call_handling::CallHandling;
use crate::node::generations::{Former, Heard};
use crate::text::{
    CallerName, CallerNumber, Codecs, DisplayName, Domain, E164, Email, ExtensionNumber, SipUsername, Variables,
    keyring::{Keyring, KeyringError, Place},
};

/// A tenant as one statement saw it.
#[derive(Debug, Clone)]
pub struct TenantRow {
    pub id: Uuid,
    pub generation: i64,
    pub domain: Domain,
    pub cluster: Uuid,
    pub former: Former,
    pub active: bool,
    pub sandbox: bool,
}

impl TenantRow {
    /// What a poll would say about the tenant.
    pub fn heard(&self) -> Heard {
        Heard {
            scope: self.id,
            generation: u64::try_from(self.generation).unwrap_or_default(),
            domain: Some(self.domain.clone()),
            cluster: self.cluster,
            former: self.former.clone(),
            sandbox: self.sandbox,
        }
    }
}

/// Builds the tenant from a row with the columns `generation`, `domain`, `cluster_id`, `former_domains`, `former_clusters`, `sandbox` and
/// `tenant_active`.
macro_rules! tenant_of {
    ($id:expr, $row:expr) => {
        $crate::switch::fetch::store::TenantRow {
            id: $id,
            generation: $row.generation,
            domain: $row.domain.clone(),
            cluster: $row.cluster_id,
            former: $crate::node::generations::Former::read(&$row.former_domains, $row.former_clusters.clone()),
            active: $row.tenant_active,
            sandbox: $row.sandbox,
        }
    };
}
pub(super) use tenant_of;

/// What a switch may see of an extension; its secrets are sealed.
#[derive(Debug, Clone)]
pub struct ExtensionRow {
    pub tenant_id: Uuid,
    pub id: Uuid,
    pub number: ExtensionNumber,
    pub alias: Option<ExtensionNumber>,
    pub sip_username: SipUsername,
    pub sip_secret: Vec<u8>,
    pub display_name: DisplayName,
    pub caller_id_name: Option<CallerName>,
    pub caller_id_number: Option<CallerNumber>,
    pub voicemail_enabled: bool,
    pub voicemail_pin: Vec<u8>,
    /// `None` in a sandbox: a switch would mail the messages by itself.
    pub voicemail_email: Option<Email>,
    pub codecs: Option<Codecs>,
    pub max_registrations: i16,
    pub active: bool,
    /// The oldest of its agent's numbers, which its calls for help show.
    pub own_number: Option<E164>,
    pub calls: CallHandling,
    /// Whether queues ring it.
    pub is_agent: bool,
    pub variables: Variables,
}

impl ExtensionRow {
    pub fn open_secret(&self, keyring: &Keyring) -> Result<Zeroizing<String>, KeyringError> {
        keyring.open_sealed(Place { column: "sip_secret", tenant: self.tenant_id, row: self.id }, &self.sip_secret)
    }

    pub fn open_pin(&self, keyring: &Keyring) -> Result<Zeroizing<String>, KeyringError> {
        keyring
            .open_sealed(Place { column: "voicemail_pin", tenant: self.tenant_id, row: self.id }, &self.voicemail_pin)
    }
}

/// A member of a group or a domain, without secrets.
#[derive(Debug, Clone)]
pub struct MemberRow {
    pub number: ExtensionNumber,
    pub sip_username: SipUsername,
    pub display_name: DisplayName,
}

impl From<ExtensionRow> for MemberRow {
    fn from(row: ExtensionRow) -> Self {
        Self { number: row.number, sip_username: row.sip_username, display_name: row.display_name }
    }
}

/// An extension by any of its names, with its tenant. `None`: no such tenant.
pub async fn extension(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    name: &str,
) -> sqlx::Result<Option<(TenantRow, Option<ExtensionRow>)>> {
    Ok(extensions(db, &[tenant], &[name.to_owned()]).await?.pop().flatten())
}

/// The same for many names: `names[i]` belongs to `tenants[i]`, and its answer is at `i` too.
pub async fn extensions(
    db: impl PgExecutor<'_>,
    tenants: &[Uuid],
    names: &[String],
) -> sqlx::Result<Vec<Option<(TenantRow, Option<ExtensionRow>)>>> {
    let rows = sqlx::query!(
        r#"
        select asked.place as "place!", g.scope as tenant_id, g.generation, t.domain as "domain: Domain", t.cluster_id,
               t.former_domains, t.former_clusters, t.sandbox, t.status = 'active' as "tenant_active!",
               e.id as "id?", e.number as "number?: ExtensionNumber", e.alias as "alias?: ExtensionNumber",
               e.sip_username as "sip_username?: SipUsername", e.sip_secret as "sip_secret?",
               e.display_name as "display_name?: DisplayName", e.caller_id_name as "caller_id_name?: CallerName",
               e.caller_id_number as "caller_id_number?: CallerNumber",
               e.voicemail_enabled and coalesce((t.settings #>> '{features,voicemail}')::boolean, true) as "voicemail_enabled?",
               e.voicemail_pin as "voicemail_pin?", e.voicemail_email as "voicemail_email?: Email",
               e.codecs as "codecs?: Codecs", e.max_registrations as "max_registrations?",
               (select h.number from assignments a join numbers h on h.tenant_id = a.tenant_id and h.id = a.number_id
                 where a.tenant_id = e.tenant_id and a.user_id = e.user_id and h.status = 'active'
                 order by a.created_at, h.id limit 1) as "own_number?: E164",
               e.status = 'active' as active, e.variables as "variables?: sqlx::types::Json<Variables>",
               e.calls as "calls?: sqlx::types::Json<CallHandling>",
               exists (select from destination_refs r join destinations d on d.tenant_id = r.tenant_id and d.id = r.from_id
                        where r.tenant_id = e.tenant_id and r.extension_id = e.id and d.kind = 'queue') as "is_agent!"
          from unnest($1::uuid[], $2::text[]) with ordinality asked (tenant, name, place)
          join generation g on g.scope = asked.tenant
          join tenants t on t.id = g.scope
          left join names n on n.tenant_id = g.scope and n.name = asked.name
          left join extensions e on e.tenant_id = n.tenant_id and e.id = n.extension_id
        "#,
        tenants,
        names
    )
    .fetch_all(db)
    .await?;
    let mut found = Vec::new();
    found.resize_with(tenants.len(), || None);
    for row in rows {
        let tenant = tenant_of!(row.tenant_id, row);
        let extension = (|| {
            Some(ExtensionRow {
                tenant_id: row.tenant_id,
                id: row.id?,
                number: row.number?,
                alias: row.alias,
                sip_username: row.sip_username?,
                sip_secret: row.sip_secret?,
                display_name: row.display_name?,
                caller_id_name: row.caller_id_name,
                caller_id_number: row.caller_id_number,
                voicemail_enabled: row.voicemail_enabled?,
                voicemail_pin: row.voicemail_pin?,
                voicemail_email: row.voicemail_email.filter(|_| !row.sandbox),
                codecs: row.codecs,
                max_registrations: row.max_registrations?,
                active: row.active?,
                own_number: row.own_number,
                calls: row.calls?.0,
                is_agent: row.is_agent,
                variables: row.variables?.0,
            })
        })();
        // Places are counted from one.
        let place = usize::try_from(row.place - 1).ok().and_then(|place| found.get_mut(place));
        if let Some(place) = place {
            *place = Some((tenant, extension));
        }
    }
    Ok(found)
}

/// A mailbox that belongs to no extension; its PIN is sealed.
pub struct MailboxRow {
    pub tenant_id: Uuid,
    pub id: Uuid,
    pub number: Option<ExtensionNumber>,
    pub pin: Option<Vec<u8>>,
    /// `None` in a sandbox.
    pub email: Option<Email>,
}

/// A mailbox by its id or number, with its tenant. `None`: no such tenant.
pub async fn mailbox(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    name: &str,
) -> sqlx::Result<Option<(TenantRow, Option<MailboxRow>)>> {
    let row = sqlx::query!(
        r#"
        select g.generation, t.domain as "domain: Domain", t.cluster_id, t.former_domains, t.former_clusters, t.sandbox,
               t.status = 'active' as "tenant_active!",
               d.id as "id?", d.number as "number?: ExtensionNumber", d.pin as "pin?", d.config->>'email' as "email?: Email"
          from generation g
          join tenants t on t.id = g.scope
          left join names n on n.tenant_id = g.scope and n.name = $2
          left join destinations d on d.tenant_id = n.tenant_id and d.id = n.destination_id and d.kind = 'mailbox'
         where g.scope = $1
        "#,
        tenant,
        name
    )
    .fetch_optional(db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let tenant_row = tenant_of!(tenant, row);
    let email = row.email.filter(|_| !row.sandbox);
    let mailbox = row.id.map(|id| MailboxRow { tenant_id: tenant, id, number: row.number, pin: row.pin, email });
    Ok(Some((tenant_row, mailbox)))
}

/// The members of a group by the group's name, with its tenant. The inner `None` means no such group.
pub async fn group(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    name: &str,
) -> sqlx::Result<Option<(TenantRow, Option<Vec<MemberRow>>)>> {
    let rows = sqlx::query!(
        r#"
        select g.generation, t.domain as "domain: Domain", t.cluster_id, t.former_domains, t.former_clusters, t.sandbox,
               t.status = 'active' as "tenant_active!", r.id as "group_id?",
               m.number as "number?: ExtensionNumber", m.sip_username as "sip_username?: SipUsername",
               m.display_name as "display_name?: DisplayName"
          from generation g
          join tenants t on t.id = g.scope
          left join names n on n.tenant_id = g.scope and n.name = $2
          left join groups r on r.tenant_id = n.tenant_id and r.id = n.group_id
          left join group_members gm on gm.tenant_id = r.tenant_id and gm.group_id = r.id
          left join extensions m on m.tenant_id = gm.tenant_id and m.id = gm.extension_id and m.status = 'active'
         where g.scope = $1
         order by gm.position
        "#,
        tenant,
        name
    )
    .fetch_all(db)
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let tenant_row = tenant_of!(tenant, first);
    let exists = first.group_id.is_some();
    let members = rows.into_iter().filter_map(|row| {
        Some(MemberRow { number: row.number?, sip_username: row.sip_username?, display_name: row.display_name? })
    });
    Ok(Some((tenant_row, exists.then(|| members.collect()))))
}

/// The most extensions that an answer about a whole domain has: a switch discards an answer of more than 1 MiB
/// (`XML_CURL_MAX_BYTES` in mod_xml_curl.c).
const EVERYONE: i64 = 2000;

/// The active extensions of a tenant, or of one group, ordered by number; at most `EVERYONE`.
pub async fn everyone(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    group: Option<&str>,
) -> sqlx::Result<Option<(TenantRow, Vec<ExtensionRow>)>> {
    let rows = sqlx::query!(
        r#"
        select g.generation, t.domain as "domain: Domain", t.cluster_id, t.former_domains, t.former_clusters, t.sandbox,
               t.status = 'active' as "tenant_active!",
               e.id as "id?", e.number as "number?: ExtensionNumber", e.sip_username as "sip_username?: SipUsername",
               e.display_name as "display_name?: DisplayName",
               e.voicemail_enabled and coalesce((t.settings #>> '{features,voicemail}')::boolean, true) as "voicemail_enabled?",
               e.voicemail_pin as "voicemail_pin?", e.voicemail_email as "voicemail_email?: Email"
          from generation g
          join tenants t on t.id = g.scope
          left join extensions e on e.tenant_id = g.scope and e.status = 'active' and ($2::text is null or exists (
                select 1
                  from names n
                  join group_members gm on gm.tenant_id = n.tenant_id and gm.group_id = n.group_id
                 where n.tenant_id = e.tenant_id and n.name = $2 and gm.extension_id = e.id))
         where g.scope = $1
         order by e.number
         limit $3
        "#,
        tenant,
        group,
        EVERYONE
    )
    .fetch_all(db)
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let tenant_row = tenant_of!(tenant, first);
    let extensions = rows.into_iter().filter_map(|row| {
        Some(ExtensionRow {
            tenant_id: tenant,
            id: row.id?,
            number: row.number?,
            alias: None,
            sip_username: row.sip_username?,
            sip_secret: Vec::new(),
            display_name: row.display_name?,
            caller_id_name: None,
            caller_id_number: None,
            voicemail_enabled: row.voicemail_enabled?,
            voicemail_pin: row.voicemail_pin?,
            voicemail_email: row.voicemail_email.filter(|_| !row.sandbox),
            codecs: None,
            max_registrations: 1,
            active: true,
            own_number: None,
            calls: CallHandling::default(),
            is_agent: false,
            variables: Variables::default(),
        })
    });
    Ok(Some((tenant_row, extensions.collect())))
}

/// All names of a scope as one statement saw them.
pub struct Names {
    pub generation: i64,
    pub active: bool,
    pub names: Vec<String>,
}

/// The names of a tenant with its generation, unless there are more than `limit`.
pub async fn names(db: impl PgExecutor<'_>, tenant: Uuid, limit: i32) -> sqlx::Result<Option<Names>> {
    let row = sqlx::query!(
        r#"
        select g.generation, exists (select 1 from tenants t where t.id = g.scope and t.status = 'active') as "active!",
               array(select n.name from names n where n.tenant_id = g.scope limit $2 + 1) as "names!"
          from generation g where g.scope = $1
        "#,
        tenant,
        limit
    )
    .fetch_optional(db)
    .await?;
    Ok(row.filter(|row| i32::try_from(row.names.len()).is_ok_and(|n| n <= limit)).map(|row| Names {
        generation: row.generation,
        active: row.active,
        names: row.names,
    }))
}

/// The platform's phone numbers with its generation, unless there are more than `limit`.
pub async fn phone_numbers(db: impl PgExecutor<'_>, limit: i32) -> sqlx::Result<Option<Names>> {
    let row = sqlx::query!(
        r#"
        select g.generation, array(select n.number from numbers n limit $1 + 1) as "numbers!"
          from generation g where g.scope = '00000000-0000-0000-0000-000000000000'
        "#,
        limit
    )
    .fetch_one(db)
    .await?;
    let names = Names { generation: row.generation, active: true, names: row.numbers };
    Ok(Some(names).filter(|read| i32::try_from(read.names.len()).is_ok_and(|n| n <= limit)))
}

/// A switch that may fetch.
pub struct SwitchRow {
    pub id: Uuid,
    pub name: String,
    pub token_hash: Vec<u8>,
    pub cluster_id: Uuid,
    pub is_leaving: bool,
}

/// The active switches.
pub async fn switches(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<SwitchRow>> {
    sqlx::query_as!(
        SwitchRow,
        r#"select id, name, token_hash, cluster_id, draining_since is not null as "is_leaving!" from switches where status = 'active'"#
    )
    .fetch_all(db)
    .await
}

/// Records that a switch asked with this token, if that is still its token.
pub async fn saw_switch(db: impl PgExecutor<'_>, switch: Uuid, token: &[u8]) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into switch_sightings (switch_id) select id from switches where id = $1 and token_hash = $2
         on conflict (switch_id) do update set last_seen_at = now()",
        switch,
        token
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Notes that a phone registers at a domain that its tenant had before.
pub async fn saw_at_former_domain(db: impl PgExecutor<'_>, domain: &Domain, name: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into former_domain_phones (domain, tenant_id, extension_id)
         select f.domain, e.tenant_id, e.id
           from former_domains f
           join names n on n.tenant_id = f.tenant_id and n.name = $2
           join extensions e on e.tenant_id = n.tenant_id and e.id = n.extension_id
          where f.domain = $1
         on conflict (domain, extension_id) do update set last_seen_at = now()",
        domain.as_str(),
        name
    )
    .execute(db)
    .await
    .map(|_| ())
}
