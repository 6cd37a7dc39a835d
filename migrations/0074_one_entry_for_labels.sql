-- Labels are changed in the transaction of the rest of their thing. Both together are one version and one entry of the audit log.

-- As before, and also where the thing was changed in a part of this transaction (a savepoint): such rows have a transaction id of their own, but
-- the same time.
create or replace function raise_version(p_kind text, p_tenant uuid, p_id uuid, out version bigint, out updated_at timestamptz) returns setof record
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
        'update %I t set updated_at = now(), version = t.version
                       + case when t.xmin = pg_current_xact_id()::xid or t.updated_at = now() then 0 else 1 end
          where t.id = $1 returning t.version, t.updated_at', subject) using p_id;
    perform set_config('dialplane.raised', raised, true);
end
$$;

-- Adds fields to an entry that this transaction wrote. Whoever works for a tenant can't change entries otherwise, and nobody can with this once
-- the transaction has ended. False if there is no such entry, or none with fields.
create function add_to_audit(p_id uuid, p_before jsonb, p_after jsonb) returns boolean
language plpgsql security definer set search_path = public as $$
begin
    update audit_log a
       set before = case when jsonb_typeof(a.before) = 'object' then a.before || p_before else a.before end, after = a.after || p_after
     where a.id = p_id and a.at = now() and (current_tenant() is null or a.tenant_id = current_tenant()) and jsonb_typeof(a.after) = 'object';
    return found;
end
$$;
revoke execute on function add_to_audit(uuid, jsonb, jsonb) from public;
grant execute on function add_to_audit(uuid, jsonb, jsonb) to dialplane_tenant;
