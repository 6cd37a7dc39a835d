-- What integrators note on things: an id of their own, and texts by key.

-- No generation for labels: no switch sees them.
create table labels (
    thing_id    uuid primary key,
    kind        text not null,
    -- Null for what is the platform's, and for tenants themselves: their external ids differ within the platform.
    tenant_id   uuid references tenants on delete cascade,
    external_id text check (length(external_id) between 1 and 128),
    metadata    jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object')
);
create unique index labels_external_id
    on labels (coalesce(tenant_id, '00000000-0000-0000-0000-000000000000'), kind, external_id) where external_id is not null;
-- For those who ask for one of any tenant, and for the end of a tenant.
create index labels_any_tenant on labels (external_id, kind) where external_id is not null;
create index labels_tenant on labels (tenant_id);
alter table labels enable row level security;
create policy own_tenant on labels to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
-- What the platform notes on a tenant is shown to the tenant, which can't change it.
create policy tenant_itself on labels for select to dialplane_tenant using (kind = 'tenant' and thing_id = current_tenant());
grant select, insert, update, delete on labels to dialplane_tenant;

-- They go with their thing.
create function drop_labels() returns trigger language plpgsql security definer set search_path = public as $$
begin
    delete from labels where thing_id in (select id from deleted);
    return null;
end
$$;
-- An extension stays for its past calls.
create function drop_labels_of_one() returns trigger language plpgsql security definer set search_path = public as $$
begin
    delete from labels where thing_id = new.id;
    return null;
end
$$;
revoke execute on function drop_labels(), drop_labels_of_one() from public;
do $$
declare
    subject text;
begin
    foreach subject in array array['tenants', 'clusters', 'switches', 'carriers', 'api_keys', 'webhooks', 'users', 'extensions', 'groups',
                                   'destinations', 'dialplan_entries', 'numbers', 'extension_pools', 'contacts'] loop
        execute format('create trigger drop_labels after delete on %I referencing old table as deleted
                        for each statement execute function drop_labels()', subject);
    end loop;
end
$$;
create trigger drop_labels_of_deleted after update of status on extensions
    for each row when (new.status = 'deleted' and old.status <> 'deleted') execute function drop_labels_of_one();

-- Gives a thing another version because its labels changed, if this transaction has not given it one. A switch sees the thing as before, so no
-- generation rises: raise_generation leaves out those that it has noted as raised (0015_bulk.sql).
create function raise_version(p_kind text, p_tenant uuid, p_id uuid, out version bigint, out updated_at timestamptz) returns setof record
language plpgsql set search_path = public as $$
declare
    subject constant text := case p_kind
        when 'tenant' then 'tenants' when 'cluster' then 'clusters' when 'switch' then 'switches' when 'carrier' then 'carriers'
        when 'key' then 'api_keys' when 'webhook' then 'webhooks' when 'agent' then 'users' when 'extension' then 'extensions'
        when 'group' then 'groups' when 'destination' then 'destinations' when 'dialplan_entry' then 'dialplan_entries'
        when 'number' then 'numbers' when 'pool' then 'extension_pools' when 'contact' then 'contacts' end;
    raised  constant text := coalesce(current_setting('dialplane.raised', true), '');
    -- The scopes of the platform, and the tenant's.
    scopes  constant text := (select string_agg(format('00000000-0000-0000-0000-%s', lpad(n::text, 12, '0')), ' ') from generate_series(0, 9) n);
begin
    perform set_config('dialplane.raised', concat_ws(' ', raised, scopes, p_tenant), true);
    return query execute format(
        'update %I t set version = t.version + case when t.xmin = pg_current_xact_id()::xid then 0 else 1 end, updated_at = now()
          where t.id = $1 returning t.version, t.updated_at', subject) using p_id;
    perform set_config('dialplane.raised', raised, true);
end
$$;
