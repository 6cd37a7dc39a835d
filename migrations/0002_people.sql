-- People and tenants: clusters, signing in, pools and agents, templates, and row-level security.

-- Clusters: FreeSWITCHes that serve the same tenants. A tenant lives on one; a switch is answered about its own cluster's only.
create table clusters (
    id            uuid primary key,
    name          text not null unique,
    region        text not null,
    -- What browsers' phones connect to, and what phones are told to register at when it is not the tenant's domain.
    websocket_url text,
    sip_domains   text[] not null default '{}',
    ice_servers   jsonb not null default '[]' check (jsonb_typeof(ice_servers) = 'array'),
    max_tenants   integer not null check (max_tenants > 0),
    status        text not null default 'active' check (status in ('active', 'draining', 'disabled')),
    version       bigint not null default 1,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now()
);
insert into clusters (id, name, region, max_tenants) values
    ('00000000-0000-0000-0000-000000000002', 'default', 'default', 100000);

alter table switches add cluster_id uuid not null default '00000000-0000-0000-0000-000000000002' references clusters;
create index switches_cluster on switches (cluster_id);

-- When a switch asked, written now and then; no trigger: seeing a switch changes nothing that is cached.
create table switch_sightings (
    switch_id     uuid primary key references switches on delete cascade,
    first_seen_at timestamptz not null default now(),
    last_seen_at  timestamptz not null default now()
);

-- Templates that tenants are set up from, and what a tenant was set up with.
create table tenant_templates (
    name       text primary key,
    version    integer not null,
    body       jsonb not null,
    updated_at timestamptz not null default now()
);

alter table tenants
    add cluster_id       uuid not null default '00000000-0000-0000-0000-000000000002' references clusters,
    add template         text,
    add template_version integer,
    add settings         jsonb not null default '{}',
    -- Set: it is being deleted, and gone with all it has after this.
    add purge_at         timestamptz;
create index tenants_cluster on tenants (cluster_id);
create index tenants_purge on tenants (purge_at) where purge_at is not null;

-- People.
alter table users
    alter password_hash drop not null,
    add first_name        text not null default '',
    add last_name         text not null default '',
    add status            text not null default 'active' check (status in ('invited', 'active', 'suspended')),
    add language          text check (language in ('en', 'de')),
    add email_verified_at timestamptz,
    add totp_secret       bytea,
    add totp_enabled_at   timestamptz,
    -- A code is taken once: the newest time step that was used.
    add totp_last_step    bigint not null default 0,
    add last_sign_in_at   timestamptz,
    add version           bigint not null default 1,
    add updated_at        timestamptz not null default now(),
    -- Platform administrators may require a second factor of somebody, or of everybody in a tenant (tenants.settings).
    add totp_required     boolean not null default false;
create unique index users_tenant on users (tenant_id, id);
create index users_search on users (tenant_id, lower(last_name), lower(first_name));

alter table extensions
    add user_id uuid,
    add foreign key (tenant_id, user_id) references users (tenant_id, id);
create index extensions_user on extensions (tenant_id, user_id) where user_id is not null;

create table recovery_codes (
    user_id uuid not null references users on delete cascade,
    hash    bytea not null check (octet_length(hash) = 32),
    primary key (user_id, hash)
);

-- One row a sign-in; its refresh tokens are a family that ends when one is used twice.
create table sessions (
    id          uuid primary key,
    user_id     uuid not null references users on delete cascade,
    -- Browsers: what the cookie holds.
    cookie_hash bytea unique check (octet_length(cookie_hash) = 32),
    source      inet,
    user_agent  text,
    created_at  timestamptz not null default now(),
    used_at     timestamptz not null default now(),
    expires_at  timestamptz not null
);
create index sessions_user on sessions (user_id);
create index sessions_expiry on sessions (expires_at);
create table refresh_tokens (
    hash       bytea primary key check (octet_length(hash) = 32),
    session_id uuid not null references sessions on delete cascade,
    used_at    timestamptz
);
create index refresh_tokens_session on refresh_tokens (session_id);

-- Links in mails: each works once.
create table one_time_tokens (
    hash       bytea primary key check (octet_length(hash) = 32),
    user_id    uuid not null references users on delete cascade,
    purpose    text not null check (purpose in ('verify', 'reset', 'welcome')),
    expires_at timestamptz not null
);
create index one_time_tokens_user on one_time_tokens (user_id, purpose);

-- Failed sign-ins, by account (also of accounts there are not) and by address.
create table sign_in_failures (
    who       text primary key,
    failures  integer not null,
    locked_until timestamptz not null,
    last_at   timestamptz not null
);

-- Keys that sign access tokens; sealed. Older ones check what they signed until it has run out.
create table signing_keys (
    id         uuid primary key,
    sealed     bytea not null,
    created_at timestamptz not null default now(),
    retired_at timestamptz
);

alter table api_keys
    add scopes              text[] not null default '{*}',
    add last_used_at        timestamptz,
    -- The token before the last rotation, for as long as the two overlap.
    add previous_hash       bytea unique check (octet_length(previous_hash) = 32),
    add previous_expires_at timestamptz,
    add created_by          uuid references users on delete set null;

-- Numbers that a tenant's extensions are taken from.
create table extension_pools (
    tenant_id    uuid not null references tenants on delete cascade,
    id           uuid not null,
    first_number bigint not null check (first_number >= 10),
    last_number  bigint not null check (last_number >= first_number and last_number - first_number < 100000),
    version      bigint not null default 1,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    primary key (tenant_id, id)
);
-- Numbers of a pool that are not given out: reserved for good, or resting after an agent left.
create table held_numbers (
    tenant_id  uuid not null references tenants on delete cascade,
    number     text not null,
    reason     text not null,
    -- Null: reserved until somebody takes it back.
    until      timestamptz,
    created_at timestamptz not null default now(),
    primary key (tenant_id, number)
);

-- What a new tenant begins with, not yet in use.
create table number_requests (
    tenant_id    uuid not null references tenants on delete cascade,
    id           uuid not null,
    country      text not null,
    status       text not null default 'pending' check (status in ('pending', 'fulfilled', 'cancelled')),
    sip_username text not null,
    sip_secret   bytea not null,
    created_at   timestamptz not null default now(),
    primary key (tenant_id, id)
);
create table channels (
    tenant_id  uuid not null references tenants on delete cascade,
    id         uuid not null,
    kind       text not null,
    status     text not null default 'inactive' check (status in ('inactive', 'active')),
    config     jsonb not null default '{}',
    created_at timestamptz not null default now(),
    primary key (tenant_id, id),
    unique (tenant_id, kind)
);
create table integrations (
    tenant_id  uuid not null references tenants on delete cascade,
    id         uuid not null,
    kind       text not null,
    name       text not null,
    status     text not null default 'inactive' check (status in ('inactive', 'active')),
    config     jsonb not null default '{}',
    created_at timestamptz not null default now(),
    primary key (tenant_id, id)
);

create index audit_log_at on audit_log (id desc);

-- A tenant that moves to another cluster changes which switches are answered about it: as with its domain, every node must know.
create or replace function raise_tenant() returns trigger language plpgsql as $$
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
        perform raise_generation(case when (new.domain, new.cluster_id) is distinct from (old.domain, old.cluster_id)
                                      then array[platform, new.id] else array[new.id] end);
    else
        perform raise_generation(array[platform, old.id]);
        update generation set gone = true where scope = old.id;
    end if;
    return null;
end
$$;

-- Row-level security: the second lock. What is done for a tenant is done as this role, which sees that tenant's rows only;
-- the first lock is in the code. Generations are raised by the owner's rights.
do $$
begin
    create role dialplane_tenant nologin;
exception when duplicate_object or unique_violation then null;
end
$$;
do $$
begin
    execute format('grant dialplane_tenant to %I', current_user);
exception when others then null; -- a superuser needs no grant, and may not grant to itself
end
$$;

create function current_tenant() returns uuid language sql stable as $$
    select nullif(current_setting('dialplane.tenant', true), '')::uuid
$$;

alter function raise_generation(uuid[]) security definer set search_path = public;
alter function raise_inserted() security definer set search_path = public;
alter function raise_deleted() security definer set search_path = public;
alter function raise_updated() security definer set search_path = public;
alter function raise_numbers() security definer set search_path = public;
alter function raise_tenant() security definer set search_path = public;

do $$
declare
    subject text;
begin
    foreach subject in array array['extensions', 'groups', 'group_members', 'names', 'numbers', 'users', 'api_keys',
                                   'audit_log', 'extension_pools', 'held_numbers', 'number_requests', 'channels',
                                   'integrations'] loop
        execute format('alter table %I enable row level security', subject);
        execute format('create policy own_tenant on %I to dialplane_tenant
                        using (tenant_id = current_tenant()) with check (tenant_id = current_tenant())', subject);
        execute format('grant select, insert, update, delete on %I to dialplane_tenant', subject);
    end loop;
    foreach subject in array array['sessions', 'recovery_codes', 'one_time_tokens'] loop
        execute format('alter table %I enable row level security', subject);
        execute format('create policy own_tenant on %I to dialplane_tenant
                        using (exists (select 1 from users u where u.id = user_id and u.tenant_id = current_tenant()))
                        with check (exists (select 1 from users u where u.id = user_id and u.tenant_id = current_tenant()))',
                       subject);
        execute format('grant select, insert, update, delete on %I to dialplane_tenant', subject);
    end loop;
end
$$;
-- Which addresses are taken is known across tenants, by whom is not.
create function taken_emails(wanted text[]) returns setof text language sql stable security definer set search_path = public as $$
    select lower(email) from users where lower(email) in (select lower(w) from unnest(wanted) w)
$$;
-- What is written down stays as it was written.
revoke update, delete on audit_log from dialplane_tenant;

alter table tenants enable row level security;
create policy own_tenant on tenants to dialplane_tenant using (id = current_tenant()) with check (id = current_tenant());
-- `insert` and `delete` of tenants are the platform's.
grant select, update on tenants to dialplane_tenant;
grant select on clusters, tenant_templates to dialplane_tenant;
grant select, insert, delete on idempotency_keys to dialplane_tenant;
