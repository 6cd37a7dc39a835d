-- A switch that came after a tenant's last call has no mailbox of that tenant: nobody has to wait until it has removed one. Without an event
-- socket, it would be waited for until somebody removes the switch.

-- Whether a switch may have a mailbox of a tenant. Records tell that only while they are kept, which is seven days at least; a switch that
-- can be asked is asked.
create function may_have_mailboxes(p_tenant uuid, p_switch uuid, p_since timestamptz) returns boolean
language sql stable security definer set search_path = public as $$
    select p_since < now() - interval '6 days'
        or exists (select from event_sockets s where s.switch_id = p_switch)
        or exists (select from ended_legs l where l.received_at >= p_since and coalesce(l.tenant_id, p_tenant) = p_tenant)
        or exists (select from cdr_inbox i where i.received_at >= p_since and i.noted_at is null);
$$;
revoke execute on function may_have_mailboxes(uuid, uuid, timestamptz) from public;

create or replace function order_cleanups(p_tenant uuid, p_mailboxes text[], p_domains text[], p_clusters uuid[], p_whole boolean) returns void
language sql security definer set search_path = public as $$
    insert into cleanups (switch_id, mailbox, domain, whole, due_at, tenant)
    -- A PIN is saved here a moment before the switch saves it.
    select w.id, m, d, p_whole, now() + case when p_whole then interval '0' else interval '5 seconds' end, p_tenant
      from (select s.id from switches s
             where s.cluster_id = any (p_clusters) and may_have_mailboxes(p_tenant, s.id, s.created_at)) w
     cross join unnest(p_mailboxes) m cross join unnest(p_domains) d
     order by w.id, m, d
        on conflict (switch_id, mailbox, domain) do update
       set whole = cleanups.whole or excluded.whole, since = now(), due_at = excluded.due_at, error = null, tenant = excluded.tenant;
$$;
