//! The SQL of calls: what was dialled, who has a phone number, and what a call that leaves the platform needs. As in
//! `store`, each statement reads data and generation in one snapshot. If the known plan is older, the new one comes along.

use sqlx::{PgExecutor, types::Json};
use uuid::Uuid;

use super::store::{TenantRow, tenant_of};
use crate::{
    model::{call_handling::CallHandling, destination::Target, number::Choice},
    node::generations::Former,
    routing::{
        self, Found, Pickup, Strategy,
        carried::{Carrier, Offer},
        on_net::OnNet,
        outbound::{Caller, HeldNumber},
    },
    text::{Domain, E164, ExtensionNumber, SipUsername},
};

/// What can be rung under a name, as columns.
struct FoundRow {
    extension_id: Option<Uuid>,
    number: Option<ExtensionNumber>,
    alias: Option<ExtensionNumber>,
    sip_username: Option<SipUsername>,
    active: Option<bool>,
    ring_seconds: Option<i16>,
    voicemail: Option<bool>,
    calls: Option<Json<CallHandling>>,
    group_id: Option<Uuid>,
    strategy: Option<Strategy>,
    confirm: Option<bool>,
    otherwise: Option<Json<Target>>,
    pickup: Option<bool>,
    members: Option<Json<Vec<routing::Member>>>,
    destination_id: Option<Uuid>,
}

/// Builds what can be rung from a statement's row. Two statements have the same columns.
macro_rules! found_in {
    ($row:ident) => {
        found(FoundRow {
            extension_id: $row.extension_id,
            number: $row.number,
            alias: $row.alias,
            sip_username: $row.sip_username,
            active: $row.active,
            ring_seconds: $row.ring_seconds,
            voicemail: $row.voicemail,
            calls: $row.calls,
            group_id: $row.group_id,
            strategy: $row.strategy,
            confirm: $row.confirm,
            otherwise: $row.otherwise,
            pickup: $row.pickup,
            members: $row.members,
            destination_id: $row.destination_id,
        })
    };
}

fn found(row: FoundRow) -> Option<Found> {
    let ring_seconds = row.ring_seconds.and_then(|seconds| u16::try_from(seconds).ok()).unwrap_or(25);
    if let (Some(id), Some(number), Some(sip_username)) = (row.extension_id, row.number, row.sip_username) {
        return Some(Found::Extension(routing::Extension {
            id,
            number,
            alias: row.alias,
            sip_username,
            active: row.active == Some(true),
            ring_seconds,
            voicemail: row.voicemail == Some(true),
            calls: row.calls.map(|calls| calls.0).unwrap_or_default(),
        }));
    }
    if let Some(id) = row.group_id {
        return Some(Found::Group(routing::Group {
            members: row.members.map(|members| members.0).unwrap_or_default(),
            ring_seconds,
            strategy: row.strategy.unwrap_or_default(),
            confirm: row.confirm == Some(true),
            otherwise: row.otherwise.map(|otherwise| otherwise.0),
            pickup: (row.pickup == Some(true)).then_some(id),
        }));
    }
    row.destination_id.map(Found::Destination)
}

/// A tenant with what it has under a name, and its plan if the known one is of another generation.
pub struct DialledRow {
    pub tenant: TenantRow,
    /// As the database wrote it.
    pub plan: Option<String>,
    pub found: Option<Found>,
}

/// A tenant and what it has under `name`; without a name, the tenant alone. Returns `None` if there is no such tenant.
pub async fn dialled(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    name: Option<&str>,
    known: i64,
) -> sqlx::Result<Option<DialledRow>> {
    let row = sqlx::query!(
        r#"
        select g.generation, t.domain as "domain: Domain", t.cluster_id, t.former_domains, t.former_clusters, t.sandbox,
               t.status = 'active' as "tenant_active!",
               case when g.generation <> $3 then tenant_plan(t.id)::text end as plan,
               e.id as "extension_id?", e.number as "number?: ExtensionNumber", e.alias as "alias?: ExtensionNumber",
               e.sip_username as "sip_username?: SipUsername", e.status = 'active' as active,
               coalesce(e.ring_seconds, r.ring_seconds) as ring_seconds, e.voicemail_enabled as "voicemail?",
               e.calls as "calls?: Json<CallHandling>", r.id as "group_id?", r.strategy as "strategy?: Strategy",
               r.confirm as "confirm?", r.otherwise as "otherwise?: Json<Target>", r.pickup as "pickup?",
               (select jsonb_agg(jsonb_build_object('extension', m.sip_username, 'forward',
                                                    case when r.follow_forwards then m.calls->>'forward_always' end,
                                                    'busy_on_busy', coalesce((m.calls->>'busy_on_busy')::bool, false))
                                 order by gm.position)
                  from group_members gm
                  join extensions m on m.tenant_id = gm.tenant_id and m.id = gm.extension_id
                 where gm.tenant_id = r.tenant_id and gm.group_id = r.id and m.status = 'active'
                   and not coalesce((m.calls->>'do_not_disturb')::bool, false)) as "members?: Json<Vec<routing::Member>>",
               n.destination_id as "destination_id?"
          from generation g
          join tenants t on t.id = g.scope
          left join names n on n.tenant_id = g.scope and n.name = $2
          left join extensions e on e.tenant_id = n.tenant_id and e.id = n.extension_id
          left join groups r on r.tenant_id = n.tenant_id and r.id = n.group_id
         where g.scope = $1
        "#,
        tenant,
        name,
        known
    )
    .fetch_optional(db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let found = found_in!(row);
    let tenant = tenant_of!(tenant, row);
    Ok(Some(DialledRow { tenant, plan: row.plan, found }))
}

/// Where an extension may pick up calls: those of its groups that allow it first, then those of colleagues in any of its groups. With the
/// tenant's generation.
pub async fn pickups(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    extension: Uuid,
) -> sqlx::Result<Option<(i64, Vec<Pickup>)>> {
    let row = sqlx::query!(
        r#"
        select g.generation,
               array(select r.id from group_members o
                       join groups r on r.tenant_id = o.tenant_id and r.id = o.group_id
                      where o.tenant_id = g.scope and o.extension_id = $2 and r.pickup
                      order by r.id limit 50) as "groups!",
               array(select distinct m.sip_username from group_members o
                       join group_members c on c.tenant_id = o.tenant_id and c.group_id = o.group_id
                       join extensions m on m.tenant_id = c.tenant_id and m.id = c.extension_id
                      where o.tenant_id = g.scope and o.extension_id = $2 and m.id <> $2 and m.status = 'active'
                        and coalesce((m.calls->>'pickup')::bool, false)
                      order by m.sip_username limit 200) as "colleagues!"
          from generation g
         where g.scope = $1
        "#,
        tenant,
        extension
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| {
        let colleagues = row.colleagues.iter().filter_map(|name| SipUsername::parse(name).ok());
        let from = row.groups.into_iter().map(Pickup::Group).chain(colleagues.map(Pickup::Extension));
        (row.generation, from.collect())
    }))
}

/// A phone number as one statement saw it.
pub struct NumberRow {
    pub platform_generation: i64,
    pub owner: Option<(TenantRow, String, Option<Found>)>,
    /// Whether calls to it are recorded.
    pub record: bool,
    /// The phone that called for help with this number.
    pub help: Option<Help>,
}

/// A phone that called for help, and gets calls back.
pub struct Help {
    pub extension: SipUsername,
    pub ring_seconds: u16,
    pub until: chrono::DateTime<chrono::Utc>,
}

/// Where a phone number leads, and the platform's generation, which an answer needs if nobody has the number.
pub async fn number(db: impl PgExecutor<'_>, number: &E164) -> sqlx::Result<NumberRow> {
    let row = sqlx::query!(
        r#"
        select p.generation as platform, g.generation as "generation?", t.id as "tenant_id?",
               t.domain as "domain?: Domain", t.cluster_id as "cluster_id?", t.former_domains as "former_domains?",
               t.former_clusters as "former_clusters?", t.sandbox as "sandbox?", t.status = 'active' as tenant_active,
               case when t.id is not null then tenant_plan(t.id)::text end as plan,
               e.id as "extension_id?", e.number as "number?: ExtensionNumber", e.alias as "alias?: ExtensionNumber",
               e.sip_username as "sip_username?: SipUsername", e.status = 'active' as active,
               coalesce(e.ring_seconds, r.ring_seconds) as ring_seconds, e.voicemail_enabled as "voicemail?",
               e.calls as "calls?: Json<CallHandling>", r.id as "group_id?", r.strategy as "strategy?: Strategy",
               r.confirm as "confirm?", r.otherwise as "otherwise?: Json<Target>", r.pickup as "pickup?",
               (select jsonb_agg(jsonb_build_object('extension', m.sip_username, 'forward',
                                                    case when r.follow_forwards then m.calls->>'forward_always' end,
                                                    'busy_on_busy', coalesce((m.calls->>'busy_on_busy')::bool, false))
                                 order by gm.position)
                  from group_members gm
                  join extensions m on m.tenant_id = gm.tenant_id and m.id = gm.extension_id
                 where gm.tenant_id = r.tenant_id and gm.group_id = r.id and m.status = 'active'
                   and not coalesce((m.calls->>'do_not_disturb')::bool, false)) as "members?: Json<Vec<routing::Member>>",
               d.destination_id as "destination_id?", d.record as "record?",
               he.sip_username as "help_extension?: SipUsername", he.ring_seconds as "help_seconds?", h.until as "help_until?"
          from generation p
          left join numbers d on d.number = $1 and d.status = 'active'
          left join tenants t on t.id = d.tenant_id
          left join generation g on g.scope = d.tenant_id
          left join extensions e on e.tenant_id = d.tenant_id and e.id = d.extension_id
          left join groups r on r.tenant_id = d.tenant_id and r.id = d.group_id
          left join help_callbacks h on h.tenant_id = d.tenant_id and h.number = d.number and h.until > now()
          left join extensions he on he.tenant_id = h.tenant_id and he.id = h.extension_id and he.status = 'active'
         where p.scope = '00000000-0000-0000-0000-000000000000'
        "#,
        number.as_str()
    )
    .fetch_one(db)
    .await?;
    let help = match (row.help_extension, row.help_seconds, row.help_until) {
        (Some(extension), Some(seconds), Some(until)) => {
            Some(Help { extension, ring_seconds: u16::try_from(seconds).unwrap_or(25), until })
        }
        _ => None,
    };
    let found = found_in!(row);
    let owner = match (row.tenant_id, row.generation, row.domain, row.cluster_id, row.plan) {
        (Some(id), Some(generation), Some(domain), Some(cluster), Some(plan)) => {
            let former = Former::read(&row.former_domains.unwrap_or_default(), row.former_clusters.unwrap_or_default());
            let (active, sandbox) = (row.tenant_active == Some(true), row.sandbox == Some(true));
            let tenant = TenantRow { id, generation, domain, cluster, former, active, sandbox };
            Some((tenant, plan, found))
        }
        _ => None,
    };
    Ok(NumberRow { platform_generation: row.platform, owner, record: row.record == Some(true), help })
}

/// The active carriers with their generation.
pub async fn carriers(db: impl PgExecutor<'_>) -> sqlx::Result<(i64, Vec<Carrier>)> {
    let row = sqlx::query!(
        r#"
        select g.generation, coalesce((
                    select jsonb_agg(jsonb_build_object('id', c.id, 'tenant_id', c.tenant_id, 'name', c.name,
                                                        'priority', c.priority, 'config', c.config,
                            'addresses', coalesce((select to_jsonb(h.addresses) from resolved_hosts h
                                where h.host = lower(split_part(c.config ->> 'host', ':', 1))), '[]')))
                      from carriers c where c.status = 'active'), '[]') as "carriers!: Json<Vec<Carrier>>"
          from generation g where g.scope = '00000000-0000-0000-0000-000000000003'
        "#
    )
    .fetch_one(db)
    .await?;
    Ok((row.generation, row.carriers.0))
}

/// What to read for a call that leaves the platform.
#[derive(Debug, Clone)]
pub struct Leaving {
    pub tenant: Uuid,
    /// Who calls, or on whose behalf the call is made.
    pub caller: Option<String>,
    /// As it was dialled: the tenant may have something under that name after all.
    pub dialled: String,
    /// E.164; empty for an emergency.
    pub callee: String,
    pub prefixes: Vec<String>,
    pub known_plan: i64,
    pub known_carriers: i64,
    /// The switch that has the call.
    pub switch: Option<Uuid>,
    /// The call, if it shows a certain number: it may call somebody back who waited in a queue.
    pub showing: Option<Uuid>,
}

/// Everything needed to decide about a call that leaves the platform, read by one statement.
pub struct LeavingRow {
    pub tenant: TenantRow,
    /// As the database wrote it.
    pub plan: Option<String>,
    pub carriers_generation: i64,
    pub carriers: Option<Vec<Carrier>>,
    pub caller: Option<Caller>,
    pub offers: Vec<Offer>,
    /// Where to send the call on net, if the called number belongs to a tenant that can be reached without a carrier.
    pub on_net: Option<OnNet>,
    /// The number that the queue shows, for which somebody is called back.
    pub queue_shows: Option<E164>,
    /// Whether the tenant has something under the dialled name.
    pub is_name: bool,
    /// Whether the switch is visited.
    pub is_watched: bool,
}

pub async fn leaving(db: impl PgExecutor<'_>, ask: &Leaving) -> sqlx::Result<Option<LeavingRow>> {
    let row = sqlx::query!(
        r#"
        select g.generation, t.domain as "domain: Domain", t.cluster_id, t.former_domains, t.former_clusters, t.sandbox,
               t.status = 'active' as "tenant_active!",
               case when g.generation <> $6 then tenant_plan(t.id)::text end as plan,
               cg.generation as carriers_generation,
               case when cg.generation <> $7 then coalesce((
                    select jsonb_agg(jsonb_build_object('id', c.id, 'tenant_id', c.tenant_id, 'name', c.name,
                                                        'priority', c.priority, 'config', c.config,
                            'addresses', coalesce((select to_jsonb(h.addresses) from resolved_hosts h
                                where h.host = lower(split_part(c.config ->> 'host', ':', 1))), '[]')))
                      from carriers c where c.status = 'active'), '[]') end as "carriers: Json<Vec<Carrier>>",
               e.id as "extension_id?", e.status = 'active' as extension_active, e.calls as "calls?: Json<CallHandling>",
               u.id as "user_id?", u.status <> 'suspended' as user_active, u.outbound_choice as "choice?: Choice",
               u.outbound_number as "outbound_number?",
               coalesce((
                    select jsonb_agg(jsonb_build_object('id', h.id, 'number', h.number, 'country', h.country,
                                'active', h.status = 'active', 'countries', a.allowed_countries,
                                -- What others made with it today, before it was assigned, is above the limit.
                                'limit', a.daily_limit + case when a.made_before_on = d.day then a.made_before else 0 end,
                                'made', coalesce(d.made, 0)) order by a.created_at, h.id)
                      from assignments a
                      join numbers h on h.tenant_id = a.tenant_id and h.id = a.number_id
                      left join number_days d on d.tenant_id = a.tenant_id and d.number_id = a.number_id
                            and d.day = limit_day(now(), t.settings->>'time_zone', t.limit_day, t.limit_day_until)
                     where a.tenant_id = t.id and a.user_id = u.id), '[]') as "numbers!: Json<Vec<HeldNumber>>",
               coalesce((
                    select jsonb_agg(jsonb_build_object('carrier', c.id, 'prefix', r.prefix, 'price', r.price,
                                'currency', c.config ->> 'currency',
                                'first_seconds', r.first_seconds, 'step_seconds', r.step_seconds,
                                'sick', coalesce(h.sick_until > now(), false) or coalesce(gw.down, false),
                                'answered', case when h.seized >= 20 then h.answered * 100 / h.seized end))
                      from carriers c
                     cross join lateral (
                            select r.prefix, r.price, r.first_seconds, r.step_seconds
                              from rates r
                             where r.sheet_id = c.sheet_id and r.prefix = any ($5) and r.effective_at <= now()
                             order by length(r.prefix) desc, r.effective_at desc limit 1) r
                      left join carrier_health h on h.carrier_id = c.id
                      -- All switches of the cluster that were heard of lately say that their gateway is down.
                      left join lateral (
                            select bool_and(not s.up) as down
                              from gateway_states s join switches w on w.id = s.switch_id
                             where s.carrier_id = c.id and w.cluster_id = t.cluster_id
                               and s.seen_at > now() - interval '1 minute') gw on true
                     where c.status = 'active' and (c.tenant_id is null or c.tenant_id = t.id)), '[]') as "offers!: Json<Vec<Offer>>",
               -- A sandbox calls no number of others.
               case when not t.sandbox or ot.id = t.id then ot.cluster_id end as "on_net?",
               (select k.sip_domains[1] from clusters k where k.id = ot.cluster_id) as "on_net_domain?: Domain",
               (select h.number from call_backs c
                  join destinations q on q.tenant_id = c.tenant_id and q.id = c.queue_id
                  join numbers h on h.tenant_id = c.tenant_id and h.number = q.config #>> '{call_back,show}' and h.status = 'active'
                 where c.tenant_id = t.id and c.call_id = $9 and c.state = 'calling' limit 1) as "queue_shows?: E164",
               exists (select 1 from names x where x.tenant_id = t.id and x.name = $3) as "is_name!",
               exists (select 1 from event_sockets s where s.switch_id = $8 and s.error is null
                          and s.answered_at > now() - interval '1 minute') as "is_watched!"
          from generation g
          join tenants t on t.id = g.scope
          join generation cg on cg.scope = '00000000-0000-0000-0000-000000000003'
          left join names n on n.tenant_id = g.scope and n.name = $2
          left join extensions e on e.tenant_id = n.tenant_id and e.id = n.extension_id
          left join users u on u.tenant_id = e.tenant_id and u.id = e.user_id
          left join numbers o on o.number = $4 and o.status = 'active'
          left join tenants ot on ot.id = o.tenant_id and ot.status = 'active'
         where g.scope = $1
        "#,
        ask.tenant,
        ask.caller,
        ask.dialled,
        ask.callee,
        &ask.prefixes,
        ask.known_plan,
        ask.known_carriers,
        ask.switch,
        ask.showing
    )
    .fetch_optional(db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let caller = row.extension_id.map(|extension| Caller {
        extension,
        active: row.extension_active == Some(true),
        user: row.user_id,
        agent_active: row.user_active == Some(true),
        choice: row.choice.unwrap_or_default(),
        fixed: row.outbound_number,
        numbers: row.numbers.0,
        record: row.calls.is_some_and(|calls| calls.record),
    });
    Ok(Some(LeavingRow {
        tenant: tenant_of!(ask.tenant, row),
        plan: row.plan,
        carriers_generation: row.carriers_generation,
        carriers: row.carriers.map(|carriers| carriers.0),
        caller,
        offers: row.offers.0,
        on_net: match row.on_net {
            Some(cluster) if cluster == row.cluster_id => Some(OnNet::Here),
            Some(_) => row.on_net_domain.map(OnNet::At),
            None => None,
        },
        queue_shows: row.queue_shows,
        is_name: row.is_name,
        is_watched: row.is_watched,
    }))
}
