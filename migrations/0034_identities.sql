-- A switch keeps registrations and mailboxes by SIP username and domain, also after the extension is gone. So a SIP username is given out
-- once in a domain, also if the extension is deleted, the tenant purged, or the domain taken by another tenant.

-- The SIP usernames of domains that no extension has any more. Only a digest is kept, so that a purged tenant leaves no name behind.
-- No row-level security: a row belongs to no tenant, and work for a tenant only asks about its own domain, by `sip_usernames_used`.
-- No generation: no switch sees it.
create table used_sip_usernames (
    digest       bytea primary key check (octet_length(digest) = 32),
    -- Whose it was. The same extension may have it again: a tenant whose domain is changed back keeps its phones.
    extension_id uuid not null
);

create function sip_username_digest(sip_username text, domain text) returns bytea language sql immutable parallel safe
return sha256(convert_to(sip_username || '@' || domain, 'UTF8'));

-- The extensions that were deleted before: some of the rows of a table that is read once.
insert into used_sip_usernames (digest, extension_id)
select sip_username_digest(e.sip_username, t.domain), e.id
  from extensions e join tenants t on t.id = e.tenant_id where e.status = 'deleted'
    on conflict do nothing;

-- Triggers, so that no way of deleting or renaming forgets it.
create function use_up_sip_usernames() returns trigger language plpgsql security definer set search_path = public as $$
begin
    if tg_op = 'DELETE' then
        insert into used_sip_usernames (digest, extension_id)
        select sip_username_digest(d.sip_username, t.domain), d.id from deleted d join tenants t on t.id = d.tenant_id
         order by 1
            on conflict do nothing;
        return null;
    end if;
    insert into used_sip_usernames (digest, extension_id)
    select sip_username_digest(d.sip_username, t.domain), d.id
      from deleted d join inserted i on i.tenant_id = d.tenant_id and i.id = d.id join tenants t on t.id = d.tenant_id
     where i.status = 'deleted' and d.status <> 'deleted' or i.sip_username <> d.sip_username
     order by 1
        on conflict do nothing;
    return null;
end
$$;
create trigger use_up_delete after delete on extensions referencing old table as deleted
    for each statement execute function use_up_sip_usernames();
create trigger use_up_update after update on extensions referencing old table as deleted new table as inserted
    for each statement execute function use_up_sip_usernames();

create function use_up_domain() returns trigger language plpgsql security definer set search_path = public as $$
begin
    insert into used_sip_usernames (digest, extension_id)
    select sip_username_digest(e.sip_username, old.domain), e.id from extensions e where e.tenant_id = new.id
     order by 1
        on conflict do nothing;
    return null;
end
$$;
create trigger use_up_domain after update on tenants for each row
    when (new.domain is distinct from old.domain) execute function use_up_domain();

-- One of these SIP usernames that another extension had in the tenant's domain, or null. Work for a tenant learns nothing of other domains.
create function sip_username_used(p_tenant uuid, p_names text[]) returns text
language sql stable security definer set search_path = public as $$
    select n from tenants t, unnest(p_names) n
     where t.id = p_tenant and coalesce(current_tenant(), p_tenant) = p_tenant
       and exists (select from used_sip_usernames u where u.digest = sip_username_digest(n, t.domain))
     order by n limit 1;
$$;
revoke execute on function sip_username_used(uuid, text[]), use_up_sip_usernames(), use_up_domain() from public;
grant execute on function sip_username_used(uuid, text[]) to dialplane_tenant;

-- `numbers`: the numbers of the extensions among `targets`, which holds their SIP usernames. What leads to an extension dials its number.
create or replace function tenant_plan(tenant uuid) returns jsonb language sql stable as $$
    with led_to as (
        select distinct e.id, e.number, e.sip_username, coalesce((e.calls->>'do_not_disturb')::bool, false) as quiet
          from destination_refs r join extensions e on e.tenant_id = r.tenant_id and e.id = r.extension_id
         where r.tenant_id = tenant)
    select jsonb_build_object(
        'domain', t.domain,
        'settings', t.settings,
        'destinations', coalesce((
            select jsonb_object_agg(d.id, jsonb_build_object('kind', d.kind, 'name', d.name, 'config', d.config))
              from destinations d where d.tenant_id = t.id), '{}'),
        'targets', coalesce((
            select jsonb_object_agg(x.id, x.number) from (
                select id, sip_username as number from led_to
                union
                select g.id, coalesce(g.number, g.name) from destination_refs r
                  join groups g on g.tenant_id = r.tenant_id and g.id = r.group_id where r.tenant_id = t.id) x), '{}'),
        'numbers', coalesce((
            select jsonb_object_agg(id, number) from led_to), '{}'),
        'quiet', coalesce((select jsonb_agg(id) from led_to where quiet), '[]'),
        'entries', coalesce((
            select jsonb_agg(jsonb_build_object('name', n.name, 'body', n.body) order by n.position, n.id)
              from dialplan_entries n where n.tenant_id = t.id and n.enabled), '[]'))
      from tenants t where t.id = tenant
$$;
