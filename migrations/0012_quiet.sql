-- `quiet`: extensions that something leads to and that are not to be disturbed. A page, which a phone takes by itself, leaves them out.
create or replace function tenant_plan(tenant uuid) returns jsonb language sql stable as $$
    with led_to as (
        select distinct e.id, e.sip_username, coalesce((e.calls->>'do_not_disturb')::bool, false) as quiet
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
        'quiet', coalesce((select jsonb_agg(id) from led_to where quiet), '[]'),
        'entries', coalesce((
            select jsonb_agg(jsonb_build_object('name', n.name, 'body', n.body) order by n.position, n.id)
              from dialplan_entries n where n.tenant_id = t.id and n.enabled), '[]'))
      from tenants t where t.id = tenant
$$;
