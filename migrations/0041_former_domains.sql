-- A tenant that gets another domain may keep the former one for a while: phones that still use it register and call as before. A tenant
-- that moves to another cluster is remembered there: its phones are refused there, but may still call for help.

-- The domains that a tenant had and still keeps.
-- No generation for former_domains: a trigger writes them into the tenant's row, which raises it.
create table former_domains (
    domain    text primary key check (domain = lower(domain)),
    tenant_id uuid not null references tenants on delete cascade,
    since     timestamptz not null default now(),
    until     timestamptz not null
);
create index former_domains_tenant on former_domains (tenant_id);
alter table former_domains enable row level security;
create policy own_tenant on former_domains to dialplane_tenant using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, delete on former_domains to dialplane_tenant;

-- The phones that registered there lately, as far as nodes know. No generation for former_domain_phones: no switch sees it.
create table former_domain_phones (
    domain       text not null references former_domains on delete cascade,
    extension_id uuid not null,
    tenant_id    uuid not null,
    last_seen_at timestamptz not null default now(),
    primary key (domain, extension_id),
    foreign key (tenant_id, extension_id) references extensions on delete cascade
);
create index former_domain_phones_extension on former_domain_phones (tenant_id, extension_id);
alter table former_domain_phones enable row level security;
create policy own_tenant on former_domain_phones to dialplane_tenant using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, delete on former_domain_phones to dialplane_tenant;

-- Fetches read both with the tenant's row. Triggers write them.
alter table tenants add column former_domains text[] not null default '{}', add column former_clusters uuid[] not null default '{}';

create function keep_former_domains() returns trigger language plpgsql security definer set search_path = public as $$
declare
    tenant constant uuid := case tg_op when 'DELETE' then old.tenant_id else new.tenant_id end;
begin
    update tenants
       set former_domains = array(select f.domain from former_domains f where f.tenant_id = tenant order by f.since, f.domain)
     where id = tenant;
    return null;
end
$$;
create trigger keep_former_domains after insert or delete on former_domains for each row execute function keep_former_domains();

create function keep_former_cluster() returns trigger language plpgsql set search_path = public as $$
begin
    new.former_clusters := array_append(array_remove(array_remove(old.former_clusters, new.cluster_id), old.cluster_id), old.cluster_id);
    return new;
end
$$;
create trigger keep_former_cluster before update of cluster_id on tenants for each row
    when (new.cluster_id <> old.cluster_id) execute function keep_former_cluster();

-- A domain is one tenant's, present or former, or a cluster's. What checks it waits for whoever takes the same domain.
create function take_domain() returns trigger language plpgsql security definer set search_path = public as $$
begin
    if tg_op = 'UPDATE' and new.domain = old.domain then
        return null;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('domain ' || new.domain, 0));
    if exists (select from former_domains f where f.domain = new.domain and f.tenant_id <> new.id) then
        raise unique_violation using constraint = 'tenants_domain_key', table = 'tenants', message = 'another tenant keeps this domain';
    end if;
    if exists (select from clusters c where new.domain = any (c.sip_domains)) then
        raise unique_violation using constraint = 'domain_of_cluster', table = 'tenants', message = 'a cluster has this domain';
    end if;
    return null;
end
$$;
create trigger take_domain after insert or update of domain on tenants for each row execute function take_domain();

create function take_sip_domains() returns trigger language plpgsql security definer set search_path = public as $$
declare
    taken text;
begin
    for taken in
        select d from unnest(new.sip_domains) d
         where tg_op = 'INSERT' or d <> all (old.sip_domains) order by d
    loop
        perform pg_advisory_xact_lock(hashtextextended('domain ' || taken, 0));
        if exists (select from tenants t where t.domain = taken or taken = any (t.former_domains)) then
            raise unique_violation using constraint = 'sip_domain_of_tenant', table = 'clusters', message = 'a tenant has the domain ' || taken;
        end if;
    end loop;
    return null;
end
$$;
create trigger take_sip_domains after insert or update of sip_domains on clusters for each row execute function take_sip_domains();

create or replace function raise_tenant() returns trigger language plpgsql security definer set search_path = public as $$
declare
    platform constant uuid := '00000000-0000-0000-0000-000000000000';
begin
    if tg_op = 'INSERT' then
        insert into generation (scope) values (new.id);
        perform raise_generation(array[platform]);
    elsif tg_op = 'UPDATE' then
        if new.id <> old.id then
            raise exception 'the id of a tenant does not change';
        end if;
        perform raise_generation(
            case when (new.domain, new.cluster_id, new.former_domains) is distinct from (old.domain, old.cluster_id, old.former_domains)
                 then array[platform, new.id] else array[new.id] end);
    else
        perform raise_generation(array[platform, old.id]);
        update generation set gone = true where scope = old.id;
    end if;
    return null;
end
$$;

-- What a switch keeps of somebody is under each domain of the tenant, and on the switches of each cluster that it was in. `tenant`: whose
-- it was, for the report of a purge.
alter table cleanups add column tenant uuid;

create function order_cleanups(p_tenant uuid, p_mailboxes text[], p_domains text[], p_clusters uuid[], p_whole boolean) returns void
language sql security definer set search_path = public as $$
    insert into cleanups (switch_id, mailbox, domain, whole, due_at, tenant)
    -- A PIN is saved here a moment before the switch saves it.
    select w.id, m, d, p_whole, now() + case when p_whole then interval '0' else interval '5 seconds' end, p_tenant
      from unnest(p_mailboxes) m cross join unnest(p_domains) d join switches w on w.cluster_id = any (p_clusters)
     order by w.id, m, d
        on conflict (switch_id, mailbox, domain) do update
       set whole = cleanups.whole or excluded.whole, since = now(), due_at = excluded.due_at, error = null, tenant = excluded.tenant;
$$;
revoke execute on function order_cleanups(uuid, text[], text[], uuid[], boolean) from public;

create or replace function clean_up_extensions() returns trigger language plpgsql security definer set search_path = public as $$
begin
    if tg_op = 'DELETE' then
        perform order_cleanups(t.id, array_agg(d.sip_username), t.domain || t.former_domains, t.cluster_id || t.former_clusters, true)
           from deleted d join tenants t on t.id = d.tenant_id where d.status <> 'deleted' group by t.id;
        return null;
    end if;
    perform order_cleanups(t.id, array_agg(x.sip_username), t.domain || t.former_domains, t.cluster_id || t.former_clusters, x.gone)
       from (select d.tenant_id, d.sip_username, i.status = 'deleted' or i.sip_username <> d.sip_username as gone
               from deleted d join inserted i on i.tenant_id = d.tenant_id and i.id = d.id
              where d.status <> 'deleted'
                and (i.status = 'deleted' or i.sip_username <> d.sip_username
                     or i.voicemail_pin <> d.voicemail_pin and i.version > d.version)) x
       join tenants t on t.id = x.tenant_id
      group by t.id, x.gone;
    return null;
end
$$;

create or replace function clean_up_destinations() returns trigger language plpgsql security definer set search_path = public as $$
begin
    if tg_op = 'DELETE' then
        perform order_cleanups(t.id, array_agg(replace(d.id::text, '-', '')), t.domain || t.former_domains,
                               t.cluster_id || t.former_clusters, true)
           from deleted d join tenants t on t.id = d.tenant_id where d.kind = 'mailbox' group by t.id;
        return null;
    end if;
    perform order_cleanups(t.id, array_agg(replace(d.id::text, '-', '')), t.domain || t.former_domains,
                           t.cluster_id || t.former_clusters, false)
       from deleted d join inserted i on i.tenant_id = d.tenant_id and i.id = d.id join tenants t on t.id = d.tenant_id
      where d.kind = 'mailbox' and i.pin is distinct from d.pin and i.version > d.version
      group by t.id;
    return null;
end
$$;

-- SIP usernames are used up in each domain at which their phones may register.
create or replace function use_up_sip_usernames() returns trigger language plpgsql security definer set search_path = public as $$
begin
    if tg_op = 'DELETE' then
        insert into used_sip_usernames (digest, extension_id)
        select sip_username_digest(d.sip_username, at), d.id
          from deleted d join tenants t on t.id = d.tenant_id cross join unnest(t.domain || t.former_domains) at
         order by 1
            on conflict do nothing;
        return null;
    end if;
    insert into used_sip_usernames (digest, extension_id)
    select sip_username_digest(d.sip_username, at), d.id
      from deleted d join inserted i on i.tenant_id = d.tenant_id and i.id = d.id join tenants t on t.id = d.tenant_id
     cross join unnest(t.domain || t.former_domains) at
     where i.status = 'deleted' and d.status <> 'deleted' or i.sip_username <> d.sip_username
     order by 1
        on conflict do nothing;
    return null;
end
$$;

create or replace function sip_username_used(p_tenant uuid, p_names text[]) returns text
language sql stable security definer set search_path = public as $$
    select n from tenants t, unnest(p_names) n
     where t.id = p_tenant and coalesce(current_tenant(), p_tenant) = p_tenant
       and exists (select from unnest(t.domain || t.former_domains) at, used_sip_usernames u where u.digest = sip_username_digest(n, at))
     order by n limit 1;
$$;

-- Who has to leave, leaves at each domain of the tenant.
create or replace function expel_registrations(p_tenant uuid, p_extension uuid) returns void
language sql security definer set search_path = public as $$
    select expel(array[e.id], array[e.sip_username], at, t.cluster_id, false)
      from extensions e join tenants t on t.id = e.tenant_id cross join unnest(t.domain || t.former_domains) at
     where e.tenant_id = p_tenant and e.id = p_extension and coalesce(current_tenant(), p_tenant) = p_tenant;
$$;

create or replace function expel_extensions() returns trigger language plpgsql security definer set search_path = public as $$
begin
    if not exists (select from event_sockets) then
        return null;
    end if;
    if tg_op = 'DELETE' then
        perform expel(x.ids, x.usernames, at, t.cluster_id, true)
           from (select tenant_id, array_agg(d.id) as ids, array_agg(d.sip_username) as usernames
                   from deleted d where d.status = 'active' group by tenant_id) x
           join tenants t on t.id = x.tenant_id cross join unnest(t.domain || t.former_domains) at;
        return null;
    end if;
    perform expel(x.ids, x.usernames, at, t.cluster_id, x.calls)
       from (select d.tenant_id, i.status <> 'active' as calls, array_agg(d.id) as ids, array_agg(d.sip_username) as usernames
               from deleted d join inserted i on i.tenant_id = d.tenant_id and i.id = d.id
              where d.status = 'active' and (i.status <> 'active' or i.sip_username <> d.sip_username)
              group by d.tenant_id, i.status <> 'active') x
       join tenants t on t.id = x.tenant_id cross join unnest(t.domain || t.former_domains) at;
    -- Who may stay again before they have left, stays where the tenant is now.
    delete from expulsions x using inserted i, deleted d, tenants t, switches w
     where x.extension_id = i.id and d.tenant_id = i.tenant_id and d.id = i.id and i.status = 'active' and d.status <> 'active'
       and t.id = i.tenant_id and t.status = 'active' and w.id = x.switch_id and w.cluster_id = t.cluster_id
       and x.domain = any (t.domain || t.former_domains);
    return null;
end
$$;

create or replace function expel_tenant() returns trigger language plpgsql security definer set search_path = public as $$
begin
    if new.status = 'active' and old.status <> 'active' then
        delete from expulsions x using extensions e, switches w
         where e.tenant_id = new.id and e.status = 'active' and x.extension_id = e.id
           and w.id = x.switch_id and w.cluster_id = new.cluster_id and x.domain = any (new.domain || new.former_domains);
    end if;
    -- A domain that was given up is the matter of `give_up_domains`.
    if old.status = 'active' and (new.status <> 'active' or new.cluster_id <> old.cluster_id) then
        perform expel(x.ids, x.usernames, at, old.cluster_id, new.status <> 'active')
           from (select array_agg(e.id) as ids, array_agg(e.sip_username) as usernames
                   from extensions e where e.tenant_id = new.id and e.status = 'active' having count(*) > 0) x
          cross join unnest(old.domain || old.former_domains) at;
    end if;
    return null;
end
$$;

-- Domains that a tenant no longer has at all: they rest, SIP usernames are used up there, registrations end, and mailboxes are removed.
create function give_up_domains() returns trigger language plpgsql security definer set search_path = public as $$
declare
    given_up text;
begin
    for given_up in
        select unnest(old.domain || old.former_domains) except select unnest(new.domain || new.former_domains) order by 1
    loop
        insert into resting_domains (digest, had_by, until)
        values (sha256(convert_to(given_up, 'UTF8')), old.id, now() + interval '30 days')
            on conflict (digest) do update set had_by = excluded.had_by, until = excluded.until;
        insert into used_sip_usernames (digest, extension_id)
        select sip_username_digest(e.sip_username, given_up), e.id from extensions e where e.tenant_id = new.id
         order by 1
            on conflict do nothing;
        perform expel(array_agg(e.id), array_agg(e.sip_username), given_up, old.cluster_id, false)
           from extensions e where e.tenant_id = new.id and e.status = 'active' and old.status = 'active' having count(*) > 0;
        perform order_cleanups(new.id, array_agg(x.mailbox), array[given_up], new.cluster_id || new.former_clusters, true)
           from (select e.sip_username as mailbox from extensions e where e.tenant_id = new.id and e.status <> 'deleted'
                 union all
                 select replace(d.id::text, '-', '') from destinations d where d.tenant_id = new.id and d.kind = 'mailbox') x
         having count(*) > 0;
    end loop;
    return null;
end
$$;
create trigger give_up_domains after update on tenants for each row
    when ((new.domain, new.former_domains) is distinct from (old.domain, old.former_domains)) execute function give_up_domains();
drop trigger use_up_domain on tenants;
drop trigger rest_renamed on tenants;
revoke execute on function give_up_domains(), keep_former_domains(), take_domain(), take_sip_domains() from public;

create or replace function rest_domain() returns trigger language plpgsql security definer set search_path = public as $$
begin
    delete from resting_domains where until < now();
    insert into resting_domains (digest, had_by, until)
    select sha256(convert_to(d, 'UTF8')), old.id, now() + interval '30 days' from unnest(old.domain || old.former_domains) d
        on conflict (digest) do update set had_by = excluded.had_by, until = excluded.until;
    return null;
end
$$;
