-- Who is to leave a switch now: a registration outlives the right to it by minutes, a call for as long as it is held. Written by
-- triggers, so that no way of suspending somebody forgets it; a row goes when the switch has done it.
create table expulsions (
    id           bigint generated always as identity unique,
    switch_id    uuid not null references event_sockets on delete cascade,
    -- No foreign key: who was deleted has to leave as well.
    extension_id uuid not null,
    sip_username text not null,
    domain       text not null,
    -- Their calls end, too.
    calls        boolean not null,
    since        timestamptz not null default clock_timestamp(),
    primary key (switch_id, extension_id, sip_username, domain)
);
create index expulsions_extension on expulsions (extension_id);

create function expel(p_extensions uuid[], p_usernames text[], p_domain text, p_cluster uuid, p_calls boolean)
returns void language sql security definer set search_path = public as $$
    insert into expulsions (switch_id, extension_id, sip_username, domain, calls)
    select s.switch_id, e.id, e.sip_username, p_domain, p_calls
      from unnest(p_extensions, p_usernames) e (id, sip_username)
      join switches w on w.cluster_id = p_cluster
      join event_sockets s on s.switch_id = w.id
     order by s.switch_id, e.id
        on conflict (switch_id, extension_id, sip_username, domain) do update
       set calls = expulsions.calls or excluded.calls, since = clock_timestamp();
$$;

-- With another SIP password: who registered by the one before leaves, calls go on.
create function expel_registrations(p_tenant uuid, p_extension uuid) returns void
language sql security definer set search_path = public as $$
    select expel(array[e.id], array[e.sip_username], t.domain, t.cluster_id, false)
      from extensions e join tenants t on t.id = e.tenant_id
     where e.tenant_id = p_tenant and e.id = p_extension and coalesce(current_tenant(), p_tenant) = p_tenant;
$$;
revoke execute on function expel(uuid[], text[], text, uuid, boolean), expel_registrations(uuid, uuid) from public;
grant execute on function expel_registrations(uuid, uuid) to dialplane_tenant;

create function expel_extensions() returns trigger language plpgsql security definer set search_path = public as $$
begin
    if not exists (select from event_sockets) then
        return null;
    end if;
    if tg_op = 'DELETE' then
        perform expel(array_agg(d.id), array_agg(d.sip_username), t.domain, t.cluster_id, true)
           from deleted d join tenants t on t.id = d.tenant_id
          where d.status = 'active' group by t.id;
        return null;
    end if;
    perform expel(array_agg(d.id), array_agg(d.sip_username), t.domain, t.cluster_id, i.status <> 'active')
       from deleted d join inserted i on i.tenant_id = d.tenant_id and i.id = d.id join tenants t on t.id = d.tenant_id
      where d.status = 'active' and (i.status <> 'active' or i.sip_username <> d.sip_username)
      group by t.id, i.status <> 'active';
    -- Who may stay again before they have left, stays.
    delete from expulsions x using inserted i, deleted d, tenants t
     where x.extension_id = i.id and d.tenant_id = i.tenant_id and d.id = i.id and i.status = 'active' and d.status <> 'active'
       and t.id = i.tenant_id and t.status = 'active';
    return null;
end
$$;
create trigger expel_delete after delete on extensions referencing old table as deleted
    for each statement execute function expel_extensions();
create trigger expel_update after update on extensions referencing old table as deleted new table as inserted
    for each statement execute function expel_extensions();

create function expel_tenant() returns trigger language plpgsql security definer set search_path = public as $$
begin
    if new.status = 'active' and old.status <> 'active' then
        delete from expulsions x using extensions e
         where e.tenant_id = new.id and e.status = 'active' and x.extension_id = e.id;
    end if;
    if old.status = 'active' then
        perform expel(array_agg(e.id), array_agg(e.sip_username), old.domain, old.cluster_id, new.status <> 'active')
           from extensions e
          where e.tenant_id = new.id and e.status = 'active'
         having count(*) > 0;
    end if;
    return null;
end
$$;
create trigger expel_tenant after update on tenants for each row
    when (old.status = 'active' and new.status <> 'active' or new.status = 'active' and old.status <> 'active'
          or (new.domain, new.cluster_id) is distinct from (old.domain, old.cluster_id))
    execute function expel_tenant();
