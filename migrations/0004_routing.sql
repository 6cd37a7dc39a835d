-- Numbers, routing and carriers: where calls go, who may make them, over whom, and what was decided.

-- Everything a call can lead to beside extensions and groups. `config` is typed by its kind in the code, which checks it before
-- it is stored; PINs are sealed apart from it.
create table destinations (
    tenant_id  uuid not null references tenants,
    id         uuid not null,
    kind       text not null check (kind in ('queue', 'ivr', 'conference', 'mailbox', 'schedule', 'announcement', 'external', 'page')),
    name       text not null,
    number     text,
    config     jsonb not null check (jsonb_typeof(config) = 'object'),
    pin        bytea,
    version    bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, id)
);

-- What leads where: kept beside the configurations, so that the database refuses to delete what is in use.
-- `from_id` is a destination, group, extension, number or dialplan entry.
create table destination_refs (
    tenant_id      uuid not null references tenants,
    from_kind      text not null,
    from_id        uuid not null,
    extension_id   uuid,
    group_id       uuid,
    destination_id uuid,
    foreign key (tenant_id, extension_id) references extensions,
    foreign key (tenant_id, group_id) references groups,
    foreign key (tenant_id, destination_id) references destinations,
    check (num_nonnulls(extension_id, group_id, destination_id) = 1)
);
create index destination_refs_from on destination_refs (tenant_id, from_id);
create index destination_refs_extension on destination_refs (tenant_id, extension_id) where extension_id is not null;
create index destination_refs_group on destination_refs (tenant_id, group_id) where group_id is not null;
create index destination_refs_destination on destination_refs (tenant_id, destination_id) where destination_id is not null;

alter table names
    add destination_id uuid,
    drop constraint names_check,
    add foreign key (tenant_id, destination_id) references destinations on delete cascade deferrable initially deferred,
    add check (num_nonnulls(extension_id, group_id, destination_id) = 1);
create index names_destination on names (tenant_id, destination_id) where destination_id is not null;

-- A destination answers to its number and to its id, by which routes lead to it.
create function destination_names(id uuid, number text) returns setof text language sql immutable as $$
    select distinct n from unnest(array[replace(id::text, '-', ''), number]) as n where n is not null
$$;
create function name_new_destinations() returns trigger language plpgsql as $$
begin
    insert into names (tenant_id, name, destination_id)
    select d.tenant_id, n, d.id from inserted d, destination_names(d.id, d.number) n;
    return null;
end
$$;
create function rename_destinations() returns trigger language plpgsql as $$
begin
    delete from names
     using inserted d
     where names.tenant_id = d.tenant_id and names.destination_id = d.id
       and names.name not in (select destination_names(d.id, d.number));
    insert into names (tenant_id, name, destination_id)
    select i.tenant_id, n, i.id
      from inserted i join deleted d on d.tenant_id = i.tenant_id and d.id = i.id,
           destination_names(i.id, i.number) n
     where n not in (select destination_names(d.id, d.number));
    return null;
end
$$;
create trigger names_insert after insert on destinations referencing new table as inserted
    for each statement execute function name_new_destinations();
create trigger names_update after update on destinations referencing old table as deleted new table as inserted
    for each statement execute function rename_destinations();

-- Groups ring in more than one way, and lead on when nobody answers.
alter table groups
    add strategy text not null default 'all' check (strategy in ('all', 'in_order', 'random', 'round_robin')),
    add confirm  boolean not null default false,
    add otherwise jsonb;

-- What an extension does with calls: forwards, do not disturb, follow-me, recording, blocked callers.
alter table extensions add calls jsonb not null default '{}' check (jsonb_typeof(calls) = 'object');

-- A tenant's own rules, before the built-in ones: in the order of their position.
create table dialplan_entries (
    tenant_id  uuid not null references tenants,
    id         uuid not null,
    position   integer not null,
    name       text not null,
    enabled    boolean not null default true,
    body       jsonb not null check (jsonb_typeof(body) = 'object'),
    version    bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, id)
);
create index dialplan_entries_order on dialplan_entries (tenant_id, position, id);

-- Phone numbers.
alter table numbers
    add destination_id uuid,
    add country        text,
    add provider       text,
    add status         text not null default 'active' check (status in ('active', 'suspended')),
    add capabilities   text[] not null default '{voice}',
    add record         boolean not null default false,
    add foreign key (tenant_id, destination_id) references destinations,
    drop constraint numbers_check,
    add check (num_nonnulls(extension_id, group_id, destination_id) <= 1);
create index numbers_destination on numbers (tenant_id, destination_id) where destination_id is not null;

-- A number that an agent calls out with.
create table assignments (
    tenant_id         uuid not null,
    number_id         uuid not null,
    user_id           uuid not null,
    daily_limit       integer not null default 100 check (daily_limit between 0 and 1000000),
    -- Null: whatever the tenant allows.
    allowed_countries text[],
    created_at        timestamptz not null default now(),
    primary key (tenant_id, number_id),
    foreign key (tenant_id, number_id) references numbers,
    foreign key (tenant_id, user_id) references users (tenant_id, id) on delete cascade
);
create index assignments_user on assignments (tenant_id, user_id);
-- Which of their numbers an agent shows.
alter table users
    add outbound_choice text not null default 'fixed' check (outbound_choice in ('fixed', 'round_robin', 'match_country')),
    add outbound_number uuid;

-- Carriers: gateways, and what calls over them cost. Without tenant: for everybody.
create table carriers (
    id             uuid primary key,
    tenant_id      uuid references tenants,
    name           text not null unique,
    status         text not null default 'active' check (status in ('active', 'disabled')),
    config         jsonb not null check (jsonb_typeof(config) = 'object'),
    password       bytea,
    priority       integer not null default 10,
    -- The rates in force; a new sheet replaces the old at once.
    sheet_id       uuid,
    version        bigint not null default 1,
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now()
);
create index carriers_tenant on carriers (tenant_id) where tenant_id is not null;
create table rate_sheets (
    id          uuid primary key,
    carrier_id  uuid not null references carriers on delete cascade,
    rows        integer not null,
    uploaded_at timestamptz not null default now()
);
create index rate_sheets_carrier on rate_sheets (carrier_id);
create table rates (
    sheet_id     uuid not null references rate_sheets on delete cascade,
    prefix       text not null,
    effective_at timestamptz not null,
    -- Millionths of the carrier's currency for a minute.
    price        bigint not null check (price >= 0),
    -- Seconds: the first that is charged, and the steps after it.
    first_seconds smallint not null default 60,
    step_seconds  smallint not null default 60,
    primary key (sheet_id, prefix, effective_at)
);
alter table carriers add foreign key (sheet_id) references rate_sheets deferrable initially deferred;

-- What a cluster says about a module's configuration, instead of what its switches were installed with.
create table cluster_configs (
    cluster_id uuid not null references clusters on delete cascade,
    name       text not null check (name in ('sofia.conf', 'voicemail.conf', 'local_stream.conf', 'json_cdr.conf', 'post_load_modules.conf')),
    xml        text not null,
    updated_at timestamptz not null default now(),
    primary key (cluster_id, name)
);

-- How carriers are doing, written with their calls' records.
create table carrier_health (
    carrier_id uuid primary key references carriers on delete cascade,
    seized     bigint not null default 0,
    answered   bigint not null default 0,
    -- In a row; at five the carrier is sick, for longer each time.
    failures   integer not null default 0,
    sick_until timestamptz,
    updated_at timestamptz not null default now()
);

-- What was decided about a call that leaves the platform: once for each call, however often it is asked.
create table admissions (
    tenant_id    uuid not null,
    call_id      uuid not null,
    callee       text not null,
    extension_id uuid,
    user_id      uuid,
    number_id    uuid,
    caller_id    text,
    carrier_id   uuid,
    carriers     uuid[] not null default '{}',
    emergency    boolean not null default false,
    admitted     boolean not null,
    reason       text,
    price        bigint not null default 0,
    -- What it is taken to cost until its record says.
    reserved     bigint not null default 0,
    day          date not null,
    at           timestamptz not null default now(),
    ended_at     timestamptz,
    seconds      integer,
    cost         bigint,
    primary key (tenant_id, call_id, callee)
);
create index admissions_live on admissions (at) where admitted and ended_at is null and not emergency;
create index admissions_call on admissions (call_id);
create index admissions_at on admissions (tenant_id, at desc);

-- Calls of a day in the tenant's time zone; a new day is a new row, and needs no job.
create table number_days (
    tenant_id uuid not null,
    number_id uuid not null,
    day       date not null,
    made      integer not null default 0,
    primary key (tenant_id, number_id, day)
);
create table spend_days (
    tenant_id uuid not null,
    day       date not null,
    spent     bigint not null default 0,
    primary key (tenant_id, day)
);
-- Calls of a second and calls that go on, of a tenant or a carrier; its row is what admissions queue for. Counting the calls
-- themselves would take longer with each that goes on. A job puts right what a record that never came left behind.
create table call_meters (
    scope     uuid primary key,
    second    bigint not null default 0,
    in_second integer not null default 0,
    live      integer not null default 0
) with (fillfactor = 50);

-- Carriers have a generation of their own: who they are is the same for all tenants.
insert into generation (scope) values ('00000000-0000-0000-0000-000000000003');
create function raise_carriers() returns trigger language plpgsql security definer set search_path = public as $$
begin
    perform raise_generation('{00000000-0000-0000-0000-000000000003}');
    return null;
end
$$;
create trigger raise_carriers after insert or update or delete on carriers
    for each statement execute function raise_carriers();
-- The profiles of a cluster are in the same documents.
create trigger raise_carriers after insert or update or delete on clusters
    for each statement execute function raise_carriers();

do $$
declare
    subject text;
begin
    foreach subject in array array['destinations', 'destination_refs', 'dialplan_entries', 'assignments'] loop
        execute format('create trigger raise_insert after insert on %I referencing new table as inserted
                        for each statement execute function raise_inserted()', subject);
        execute format('create trigger raise_delete after delete on %I referencing old table as deleted
                        for each statement execute function raise_deleted()', subject);
        execute format('create trigger raise_update after update on %I referencing old table as deleted new table as inserted
                        for each statement execute function raise_updated()', subject);
        execute format('create trigger refuse_truncate before truncate on %I
                        for each statement execute function refuse_truncate()', subject);
    end loop;
    foreach subject in array array['destinations', 'destination_refs', 'dialplan_entries', 'assignments', 'carriers',
                                   'admissions', 'number_days', 'spend_days'] loop
        execute format('alter table %I enable row level security', subject);
        execute format('create policy own_tenant on %I to dialplane_tenant
                        using (tenant_id = current_tenant()) with check (tenant_id = current_tenant())', subject);
        execute format('grant select, insert, update, delete on %I to dialplane_tenant', subject);
    end loop;
end
$$;
create trigger refuse_truncate before truncate on carriers for each statement execute function refuse_truncate();
-- What was decided stays as it was decided.
revoke insert, update, delete on admissions, number_days, spend_days from dialplane_tenant;

-- A tenant's routing data in one piece, without what is one row a person. Extensions and groups that something leads to are in
-- `targets`, with a name they are dialled by.
create function tenant_plan(tenant uuid) returns jsonb language sql stable as $$
    select jsonb_build_object(
        'domain', t.domain,
        'settings', t.settings,
        'destinations', coalesce((
            select jsonb_object_agg(d.id, jsonb_build_object('kind', d.kind, 'name', d.name, 'config', d.config))
              from destinations d where d.tenant_id = t.id), '{}'),
        'targets', coalesce((
            select jsonb_object_agg(x.id, x.number) from (
                select e.id, e.sip_username as number from destination_refs r
                  join extensions e on e.tenant_id = r.tenant_id and e.id = r.extension_id where r.tenant_id = t.id
                union
                select g.id, coalesce(g.number, g.name) from destination_refs r
                  join groups g on g.tenant_id = r.tenant_id and g.id = r.group_id where r.tenant_id = t.id) x), '{}'),
        'entries', coalesce((
            select jsonb_agg(jsonb_build_object('name', n.name, 'body', n.body) order by n.position, n.id)
              from dialplan_entries n where n.tenant_id = t.id and n.enabled), '[]'))
      from tenants t where t.id = tenant
$$;

-- Admits one call, or says why not. Once for each call and number called: a second question, also one at the same moment, is
-- answered as the first was. All that needs no count was decided before and comes in as `refusal`.
create function admit_call(
    p_tenant uuid, p_call uuid, p_callee text, p_extension uuid, p_user uuid, p_emergency boolean, p_refusal text,
    p_numbers uuid[], p_limits integer[], p_caller_ids text[], p_carriers uuid[], p_prices bigint[], p_live integer[],
    p_rates integer[], p_tenant_live integer, p_tenant_rate integer, p_spend_cap bigint, p_zone text, p_at timestamptz)
returns table (admitted boolean, reason text, number_id uuid, caller_id text, carriers uuid[])
language plpgsql as $$
declare
    today   date := (p_at at time zone p_zone)::date;
    moment  bigint := extract(epoch from p_at)::bigint;
    chosen  uuid;
    shown   text;
    fit     uuid[] := '{}';
    cheapest bigint := 0;
    why     text := p_refusal;
    meter   record;
    used    bigint;
begin
    -- The meters and counters are worth no wait for the disk: after a crash of the database, calls of its last half second
    -- may be missing in them.
    perform set_config('synchronous_commit', 'off', true);
    insert into admissions (tenant_id, call_id, callee, extension_id, user_id, emergency, admitted, reason, day, at)
    values (p_tenant, p_call, p_callee, p_extension, p_user, p_emergency, false, 'deciding', today, p_at)
    on conflict do nothing;
    if not found then
        return query select a.admitted, a.reason, a.number_id, a.caller_id, a.carriers from admissions a
                      where a.tenant_id = p_tenant and a.call_id = p_call and a.callee = p_callee;
        return;
    end if;
    if p_emergency then
        update admissions a set admitted = true, reason = null, number_id = p_numbers[1], caller_id = p_caller_ids[1],
               carriers = p_carriers, carrier_id = p_carriers[1]
         where a.tenant_id = p_tenant and a.call_id = p_call and a.callee = p_callee;
        return query select true, null::text, p_numbers[1], p_caller_ids[1], p_carriers;
        return;
    end if;
    if why is null then
        -- Always in the order of their ids, so that no two admissions wait for each other.
        insert into call_meters (scope) select s from unnest(p_tenant || p_carriers) s on conflict do nothing;
        perform 1 from call_meters m where m.scope = any (p_tenant || p_carriers) order by m.scope for update;
        select * into meter from call_meters m where m.scope = p_tenant;
        if p_tenant_rate is not null and meter.second = moment and meter.in_second >= p_tenant_rate then
            why := 'calls_per_second';
        elsif meter.live >= p_tenant_live then
            why := 'concurrent_calls';
        end if;
    end if;
    if why is null then
        for i in 1 .. coalesce(array_length(p_carriers, 1), 0) loop
            select * into meter from call_meters m where m.scope = p_carriers[i];
            if p_rates[i] is not null and meter.second = moment and meter.in_second >= p_rates[i] then
                continue;
            end if;
            if meter.live >= p_live[i] then
                continue;
            end if;
            if fit = '{}' then
                cheapest := p_prices[i];
            end if;
            fit := fit || p_carriers[i];
        end loop;
        if fit = '{}' then
            why := 'carriers_busy';
        end if;
    end if;
    if why is null and p_spend_cap is not null then
        insert into spend_days (tenant_id, day) values (p_tenant, today) on conflict do nothing;
        select spent into used from spend_days s where s.tenant_id = p_tenant and s.day = today for update;
        if used + cheapest > p_spend_cap then
            why := 'spend_cap';
        end if;
    end if;
    if why is null then
        for i in 1 .. coalesce(array_length(p_numbers, 1), 0) loop
            insert into number_days as n (tenant_id, number_id, day, made)
            select p_tenant, p_numbers[i], today, 1 where p_limits[i] > 0
            on conflict on constraint number_days_pkey do update set made = n.made + 1 where n.made < p_limits[i];
            if found then
                chosen := p_numbers[i];
                shown := p_caller_ids[i];
                exit;
            end if;
        end loop;
        if chosen is null then
            why := 'daily_limit';
        end if;
    end if;
    if why is null then
        update call_meters m set in_second = case when m.second = moment then m.in_second + 1 else 1 end, second = moment,
                                 live = m.live + 1
         where m.scope = p_tenant or m.scope = fit[1];
        insert into spend_days as s (tenant_id, day, spent) values (p_tenant, today, cheapest)
        on conflict on constraint spend_days_pkey do update set spent = s.spent + cheapest;
    end if;
    update admissions a set admitted = why is null, reason = why, number_id = chosen, caller_id = shown, carriers = fit,
           carrier_id = fit[1], price = cheapest, reserved = case when why is null then cheapest else 0 end,
           ended_at = case when why is null then null else p_at end
     where a.tenant_id = p_tenant and a.call_id = p_call and a.callee = p_callee;
    return query select why is null, why, chosen, shown, fit;
end
$$;

-- A call is over: it holds no line any more, and what was reserved for one that nobody answered is given back.
create function end_call(p_call uuid) returns void language plpgsql as $$
declare
    over record;
begin
    perform set_config('synchronous_commit', 'off', true);
    for over in
        update admissions a set ended_at = now(), reserved = case when a.cost is null then 0 else a.reserved end
          from admissions b
         where a.call_id = p_call and a.ended_at is null and a.tenant_id = b.tenant_id and a.call_id = b.call_id and a.callee = b.callee
        returning a.tenant_id, a.day, a.emergency, a.carriers[1] as carrier, case when b.cost is null then b.reserved else 0 end as unused
    loop
        if not over.emergency then
            perform 1 from call_meters m where m.scope in (over.tenant_id, over.carrier) order by m.scope for update;
            update call_meters m set live = greatest(m.live - 1, 0) where m.scope in (over.tenant_id, over.carrier);
        end if;
        update spend_days s set spent = s.spent - over.unused where s.tenant_id = over.tenant_id and s.day = over.day and over.unused > 0;
    end loop;
end
$$;

-- Calls of which no record came for six hours are taken to be over, and the meters show what goes on.
create function mend_meters() returns void language plpgsql as $$
begin
    update admissions set ended_at = at + interval '6 hours'
     where admitted and ended_at is null and not emergency and at < now() - interval '6 hours';
    perform 1 from call_meters order by scope for update;
    update call_meters m set live = coalesce(c.live, 0)
      from call_meters k
      left join (
            select scope, count(*) as live from (
                select tenant_id as scope from admissions where admitted and ended_at is null and not emergency
                union all
                select carriers[1] from admissions where admitted and ended_at is null and not emergency) x
             group by scope) c on c.scope = k.scope
     where m.scope = k.scope and m.live <> coalesce(c.live, 0);
end
$$;
