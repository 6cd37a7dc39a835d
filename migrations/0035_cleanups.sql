-- What switches keep of those who are gone. An order for each switch of the cluster, written by triggers so that no way of deleting forgets
-- it. It stays until the switch has done it, also while nobody knows the switch's event socket.
-- No row-level security: it belongs to the platform. No generation: nodes read it when they visit a switch.
create table cleanups (
    id        bigint generated always as identity unique,
    switch_id uuid not null references switches on delete cascade,
    mailbox   text not null,
    domain    text not null,
    -- The mailbox is gone, and so are its messages to be. Otherwise, only the PIN that somebody chose by phone.
    whole     boolean not null,
    since     timestamptz not null default now(),
    -- When to try it next.
    due_at    timestamptz not null default now(),
    -- What the switch answered the last time.
    error     text,
    primary key (switch_id, mailbox, domain)
);

create function order_cleanups(p_mailboxes text[], p_domain text, p_cluster uuid, p_whole boolean) returns void
language sql security definer set search_path = public as $$
    insert into cleanups (switch_id, mailbox, domain, whole, due_at)
    -- A PIN is saved here a moment before the switch saves it.
    select w.id, m, p_domain, p_whole, now() + case when p_whole then interval '0' else interval '5 seconds' end
      from unnest(p_mailboxes) m join switches w on w.cluster_id = p_cluster
     order by w.id, m
        on conflict (switch_id, mailbox, domain) do update
       set whole = cleanups.whole or excluded.whole, since = now(), due_at = excluded.due_at, error = null;
$$;

-- An extension's mailbox on a switch is its SIP username. A change by a person raises the version; sealing it anew does not.
create function clean_up_extensions() returns trigger language plpgsql security definer set search_path = public as $$
begin
    if tg_op = 'DELETE' then
        perform order_cleanups(array_agg(d.sip_username), t.domain, t.cluster_id, true)
           from deleted d join tenants t on t.id = d.tenant_id where d.status <> 'deleted' group by t.id;
        return null;
    end if;
    perform order_cleanups(array_agg(x.sip_username), t.domain, t.cluster_id, x.gone)
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
create trigger clean_up_delete after delete on extensions referencing old table as deleted
    for each statement execute function clean_up_extensions();
create trigger clean_up_update after update on extensions referencing old table as deleted new table as inserted
    for each statement execute function clean_up_extensions();

-- A mailbox that is a destination is its id on a switch.
create function clean_up_destinations() returns trigger language plpgsql security definer set search_path = public as $$
begin
    if tg_op = 'DELETE' then
        perform order_cleanups(array_agg(replace(d.id::text, '-', '')), t.domain, t.cluster_id, true)
           from deleted d join tenants t on t.id = d.tenant_id where d.kind = 'mailbox' group by t.id;
        return null;
    end if;
    perform order_cleanups(array_agg(replace(d.id::text, '-', '')), t.domain, t.cluster_id, false)
       from deleted d join inserted i on i.tenant_id = d.tenant_id and i.id = d.id join tenants t on t.id = d.tenant_id
      where d.kind = 'mailbox' and i.pin is distinct from d.pin and i.version > d.version
      group by t.id;
    return null;
end
$$;
create trigger clean_up_delete after delete on destinations referencing old table as deleted
    for each statement execute function clean_up_destinations();
create trigger clean_up_update after update on destinations referencing old table as deleted new table as inserted
    for each statement execute function clean_up_destinations();

revoke execute on function order_cleanups(text[], text, uuid, boolean) from public;

-- A domain that a tenant gave up, by renaming or by its end, rests: phones, links and letters still mean that tenant. Only a digest is kept.
-- No row-level security and no generation: only the platform creates and renames tenants, and no switch sees it.
create table resting_domains (
    digest bytea primary key check (octet_length(digest) = 32),
    -- The tenant that gave it up may have it back.
    had_by uuid not null,
    until  timestamptz not null
);

create function rest_domain() returns trigger language plpgsql security definer set search_path = public as $$
begin
    delete from resting_domains where until < now();
    insert into resting_domains (digest, had_by, until)
    values (sha256(convert_to(old.domain, 'UTF8')), old.id, now() + interval '30 days')
        on conflict (digest) do update set had_by = excluded.had_by, until = excluded.until;
    return null;
end
$$;
create trigger rest_deleted after delete on tenants for each row execute function rest_domain();
create trigger rest_renamed after update on tenants for each row
    when (new.domain is distinct from old.domain) execute function rest_domain();
