-- Whoever signs up is nowhere until the link in the mail was followed: no tenant, no user, no domain. After a day it is forgotten.
-- Neither a switch nor a tenant sees them.
create table sign_ups (
    token_hash    bytea primary key check (octet_length(token_hash) = 32),
    email         text not null,
    company       text not null,
    domain        text not null,
    first_name    text not null,
    last_name     text not null,
    password_hash text not null,
    language      text not null,
    region        text,
    created_at    timestamptz not null default now(),
    expires_at    timestamptz not null
);
create index sign_ups_email on sign_ups (lower(email), created_at);
create index sign_ups_expires_at on sign_ups (expires_at);

-- Browsers and scripts that somebody has signed in from: a lock by strangers' guesses does not hold for them.
create table known_devices (
    token_hash bytea primary key check (octet_length(token_hash) = 32),
    user_id    uuid not null references users on delete cascade,
    created_at timestamptz not null default now(),
    used_at    timestamptz not null default now()
);
create index known_devices_user on known_devices (user_id, used_at);
alter table known_devices enable row level security;
create policy own_tenant on known_devices to dialplane_tenant
    using (exists (select 1 from users u where u.id = user_id and u.tenant_id = current_tenant()))
    with check (exists (select 1 from users u where u.id = user_id and u.tenant_id = current_tenant()));
grant select, insert, update, delete on known_devices to dialplane_tenant;

-- The number of the newest tenant. Unlike an identity's, it goes back with a tenant that came to nothing. This table has one row.
create table tenant_count (
    only_row boolean primary key default true check (only_row),
    newest   bigint not null
);
insert into tenant_count (newest) select coalesce(max(ordinal), 0) from tenants;
create function number_tenant() returns trigger language plpgsql set search_path = public as $$
begin
    update tenant_count set newest = newest + 1 returning newest into new.ordinal;
    return new;
end
$$;
create trigger number_tenant before insert on tenants for each row execute function number_tenant();

-- A tenant that is being deleted takes nothing more in.
create function refuse_in_deleted() returns trigger language plpgsql set search_path = public as $$
begin
    if exists (select 1 from added a join tenants t on t.id = a.tenant_id where t.purge_at is not null) then
        raise exception using errcode = 'DPL01', message = 'the tenant is being deleted';
    end if;
    return null;
end
$$;
do $$
declare
    subject text;
begin
    foreach subject in array array['api_keys', 'users', 'extension_pools', 'extensions', 'groups', 'destinations',
                                   'dialplan_entries', 'numbers', 'assignments'] loop
        execute format('create trigger refuse_in_deleted after insert on %I referencing new table as added
                        for each statement execute function refuse_in_deleted()', subject);
    end loop;
end
$$;

-- Secrets of modules and of TURN servers stood in what was written down before. There are few such entries.
update audit_log set before = to_jsonb('(hidden)'::text) where resource like 'clusters/%/configuration/%' and before is not null;
update audit_log set after = to_jsonb('(hidden)'::text) where resource like 'clusters/%/configuration/%' and after is not null;
update audit_log set before = before - 'ice_servers', after = after - 'ice_servers'
 where resource like 'clusters/%' and (before ? 'ice_servers' or after ? 'ice_servers');
