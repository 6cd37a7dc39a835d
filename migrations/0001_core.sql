-- The core: tenants, what a switch can ask about them, and the generations that keep every cache honest.

-- A generation counts the changes to what a switch can see of one scope. Scopes are tenants (by id) and two
-- well-known ones: 'platform' (which domains and numbers exist) and 'switches' (who may ask).
-- Triggers raise it in the transaction of the change, so neither a code path nor a psql session can forget it.
-- The row lock makes the generations of one scope commit in order. `changed_xid` lets a node ask for what changed
-- since a snapshot without gaps: whatever a snapshot could not see has a transaction id not below its xmin.
-- A deleted tenant's row stays, marked gone, so that a node which was away learns of it.
create table generation (
    scope       uuid primary key,
    generation  bigint  not null default 1,
    gone        boolean not null default false,
    changed_xid xid8    not null default pg_current_xact_id()
);
create index generation_changed on generation (changed_xid);

insert into generation (scope) values
    ('00000000-0000-0000-0000-000000000000'),  -- platform
    ('00000000-0000-0000-0000-000000000001');  -- switches

create function raise_generation(scopes uuid[]) returns void language plpgsql as $$
begin
    perform 1 from generation where scope = any (scopes) order by scope for update;
    update generation
       set generation = generation + 1, changed_xid = pg_current_xact_id()
     where scope = any (scopes);
    perform pg_notify('dialplane_generation', '');
end
$$;

-- One row a node: when it last asked (the database's clock) and the snapshot whose changes it had applied by then.
create table nodes (
    id        uuid primary key,
    polled_at timestamptz not null,
    applied   pg_snapshot not null
);

-- The keys that sealed this database's secrets, by id, so that a node started with the wrong key says so.
create table sealing_keys (
    id       bytea primary key check (octet_length(id) = 8),
    added_at timestamptz not null default now()
);

create table tenants (
    id         uuid primary key,
    ordinal    bigint generated always as identity unique,
    name       text not null,
    domain     text not null unique check (domain = lower(domain)),
    status     text not null default 'active' check (status in ('active', 'suspended')),
    version    bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table extensions (
    tenant_id            uuid not null references tenants,
    id                   uuid not null,
    number               text not null,
    alias                text,
    sip_username         text not null check (sip_username = lower(sip_username)),
    sip_secret           bytea not null,
    display_name         text not null,
    caller_id_name       text,
    caller_id_number     text,
    ring_seconds         smallint not null default 25 check (ring_seconds between 5 and 300),
    voicemail_enabled    boolean not null default true,
    voicemail_pin        bytea not null,
    voicemail_email      text,
    codecs               text,
    max_registrations    smallint not null default 1 check (max_registrations between 1 and 20),
    status               text not null default 'active' check (status in ('active', 'suspended', 'deleted')),
    variables            jsonb not null default '{}' check (jsonb_typeof(variables) = 'object'),
    version              bigint not null default 1,
    created_at           timestamptz not null default now(),
    updated_at           timestamptz not null default now(),
    primary key (tenant_id, id)
);

create table groups (
    tenant_id    uuid not null references tenants,
    id           uuid not null,
    name         text not null check (name = lower(name)),
    number       text,
    ring_seconds smallint not null default 25 check (ring_seconds between 5 and 300),
    version      bigint not null default 1,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    primary key (tenant_id, id)
);

create table group_members (
    tenant_id    uuid not null,
    group_id     uuid not null,
    extension_id uuid not null,
    position     smallint not null,
    primary key (tenant_id, group_id, extension_id),
    foreign key (tenant_id, group_id) references groups on delete cascade,
    foreign key (tenant_id, extension_id) references extensions on delete cascade
);
create index group_members_extension on group_members (tenant_id, extension_id);

-- Everything that can be dialled or asked for by name in a tenant, in one namespace: extension numbers, aliases, SIP
-- usernames, group numbers and group names. One index answers a fetch, and two things can't share a name.
create table names (
    tenant_id    uuid not null references tenants,
    name         text not null,
    extension_id uuid,
    group_id     uuid,
    primary key (tenant_id, name),
    foreign key (tenant_id, extension_id) references extensions on delete cascade deferrable initially deferred,
    foreign key (tenant_id, group_id) references groups on delete cascade deferrable initially deferred,
    check (num_nonnulls(extension_id, group_id) = 1)
);
create index names_extension on names (tenant_id, extension_id) where extension_id is not null;
create index names_group on names (tenant_id, group_id) where group_id is not null;

-- Phone numbers: E.164, unique on the platform, each leading to a destination of its tenant.
create table numbers (
    tenant_id    uuid not null references tenants,
    id           uuid not null,
    number       text not null unique check (number ~ '^\+[1-9][0-9]{6,14}$'),
    extension_id uuid,
    group_id     uuid,
    version      bigint not null default 1,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    primary key (tenant_id, id),
    foreign key (tenant_id, extension_id) references extensions,
    foreign key (tenant_id, group_id) references groups,
    check (num_nonnulls(extension_id, group_id) <= 1)
);
create index numbers_extension on numbers (tenant_id, extension_id) where extension_id is not null;
create index numbers_group on numbers (tenant_id, group_id) where group_id is not null;

create table switches (
    id         uuid primary key,
    name       text not null unique,
    token_hash bytea not null check (octet_length(token_hash) = 32),
    status     text not null default 'active' check (status in ('active', 'disabled')),
    version    bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- People. Signing in is a matter of its own; the first administrator is made with the platform.
create table users (
    id            uuid primary key,
    tenant_id     uuid references tenants,
    email         text not null,
    password_hash text not null,
    role          text not null check (role in ('platform_admin', 'owner', 'admin', 'manager', 'agent')),
    created_at    timestamptz not null default now(),
    check ((role = 'platform_admin') = (tenant_id is null))
);
create unique index users_email on users (lower(email));

-- API keys. tenant_id null: a key of the platform; otherwise it sees that tenant and nothing else.
create table api_keys (
    id         uuid primary key,
    tenant_id  uuid references tenants,
    name       text not null,
    prefix     text not null,
    token_hash bytea not null unique check (octet_length(token_hash) = 32),
    expires_at timestamptz,
    version    bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table audit_log (
    id        uuid primary key,
    at        timestamptz not null default now(),
    actor     text not null,
    source    inet,
    tenant_id uuid,
    action    text not null,
    resource  text not null,
    before    jsonb,
    after     jsonb
);
create index audit_log_tenant on audit_log (tenant_id, id);

-- The answer a change was given, kept for a day so that a repeated request gets the same one.
create table idempotency_keys (
    actor       uuid not null,
    key         text not null,
    fingerprint bytea not null,
    status      smallint not null,
    version     bigint,
    location    text,
    body        bytea not null,
    created_at  timestamptz not null default now(),
    primary key (actor, key)
);
create index idempotency_keys_age on idempotency_keys (created_at);

-- Call records as the switches post them, once per leg, until they are read into calls.
create table cdr_inbox (
    leg         text primary key,
    switch_id   uuid not null,
    received_at timestamptz not null default now(),
    body        bytea not null
);

-- Names follow the extension or group they belong to; a deleted extension has none. Statement triggers with transition
-- tables throughout: an import of a million rows is one statement here too, and raises a tenant once.

create function extension_names(number text, alias text, sip_username text, status text)
returns setof text language sql immutable as $$
    select distinct n from unnest(array[number, alias, sip_username]) as n
     where n is not null and status <> 'deleted'
$$;

create function group_names(name text, number text) returns setof text language sql immutable as $$
    select distinct n from unnest(array[name, number]) as n where n is not null
$$;

create function name_new_extensions() returns trigger language plpgsql as $$
begin
    insert into names (tenant_id, name, extension_id)
    select e.tenant_id, n, e.id
      from inserted e, extension_names(e.number, e.alias, e.sip_username, e.status) n;
    return null;
end
$$;
create function rename_extensions() returns trigger language plpgsql as $$
begin
    delete from names
     using inserted e
     where names.tenant_id = e.tenant_id and names.extension_id = e.id
       and names.name not in (select extension_names(e.number, e.alias, e.sip_username, e.status));
    insert into names (tenant_id, name, extension_id)
    select e.tenant_id, n, e.id
      from inserted e join deleted d on d.tenant_id = e.tenant_id and d.id = e.id,
           extension_names(e.number, e.alias, e.sip_username, e.status) n
     where n not in (select extension_names(d.number, d.alias, d.sip_username, d.status));
    return null;
end
$$;
create trigger names_insert after insert on extensions referencing new table as inserted
    for each statement execute function name_new_extensions();
create trigger names_update after update on extensions referencing old table as deleted new table as inserted
    for each statement execute function rename_extensions();

create function name_new_groups() returns trigger language plpgsql as $$
begin
    insert into names (tenant_id, name, group_id)
    select g.tenant_id, n, g.id from inserted g, group_names(g.name, g.number) n;
    return null;
end
$$;
create function rename_groups() returns trigger language plpgsql as $$
begin
    delete from names
     using inserted g
     where names.tenant_id = g.tenant_id and names.group_id = g.id
       and names.name not in (select group_names(g.name, g.number));
    insert into names (tenant_id, name, group_id)
    select g.tenant_id, n, g.id
      from inserted g join deleted d on d.tenant_id = g.tenant_id and d.id = g.id,
           group_names(g.name, g.number) n
     where n not in (select group_names(d.name, d.number));
    return null;
end
$$;
create trigger names_insert after insert on groups referencing new table as inserted
    for each statement execute function name_new_groups();
create trigger names_update after update on groups referencing old table as deleted new table as inserted
    for each statement execute function rename_groups();

-- Generations.

create function raise_inserted() returns trigger language plpgsql as $$
begin
    perform raise_generation(array(select distinct tenant_id from inserted));
    return null;
end
$$;
create function raise_deleted() returns trigger language plpgsql as $$
begin
    perform raise_generation(array(select distinct tenant_id from deleted));
    return null;
end
$$;
create function raise_updated() returns trigger language plpgsql as $$
begin
    perform raise_generation(array(select tenant_id from deleted union select tenant_id from inserted));
    return null;
end
$$;

create trigger raise_insert after insert on extensions referencing new table as inserted
    for each statement execute function raise_inserted();
create trigger raise_delete after delete on extensions referencing old table as deleted
    for each statement execute function raise_deleted();
create trigger raise_update after update on extensions referencing old table as deleted new table as inserted
    for each statement execute function raise_updated();

create trigger raise_insert after insert on groups referencing new table as inserted
    for each statement execute function raise_inserted();
create trigger raise_delete after delete on groups referencing old table as deleted
    for each statement execute function raise_deleted();
create trigger raise_update after update on groups referencing old table as deleted new table as inserted
    for each statement execute function raise_updated();

create trigger raise_insert after insert on group_members referencing new table as inserted
    for each statement execute function raise_inserted();
create trigger raise_delete after delete on group_members referencing old table as deleted
    for each statement execute function raise_deleted();
create trigger raise_update after update on group_members referencing old table as deleted new table as inserted
    for each statement execute function raise_updated();

create trigger raise_insert after insert on names referencing new table as inserted
    for each statement execute function raise_inserted();
create trigger raise_delete after delete on names referencing old table as deleted
    for each statement execute function raise_deleted();
create trigger raise_update after update on names referencing old table as deleted new table as inserted
    for each statement execute function raise_updated();

-- A number that appears, goes or moves also changes which numbers the platform knows.
create function raise_numbers() returns trigger language plpgsql as $$
declare
    scopes uuid[] := '{00000000-0000-0000-0000-000000000000}';
begin
    if tg_op <> 'INSERT' then
        scopes := scopes || array(select distinct tenant_id from deleted);
    end if;
    if tg_op <> 'DELETE' then
        scopes := scopes || array(select distinct tenant_id from inserted);
    end if;
    perform raise_generation(scopes);
    return null;
end
$$;
create trigger raise_insert after insert on numbers referencing new table as inserted
    for each statement execute function raise_numbers();
create trigger raise_delete after delete on numbers referencing old table as deleted
    for each statement execute function raise_numbers();
create trigger raise_update after update on numbers referencing old table as deleted new table as inserted
    for each statement execute function raise_numbers();

-- A tenant's own row: its generation begins with it, and outlives it as "gone".
create function raise_tenant() returns trigger language plpgsql as $$
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
        perform raise_generation(case when new.domain <> old.domain then array[platform, new.id] else array[new.id] end);
    else
        perform raise_generation(array[platform, old.id]);
        update generation set gone = true where scope = old.id;
    end if;
    return null;
end
$$;
create trigger raise_tenant after insert or update or delete on tenants
    for each row execute function raise_tenant();

create function raise_switches() returns trigger language plpgsql as $$
begin
    perform raise_generation('{00000000-0000-0000-0000-000000000001}');
    return null;
end
$$;
create trigger raise_switches after insert or update or delete on switches
    for each statement execute function raise_switches();

-- TRUNCATE fires no row or transition-table trigger: what it would hide from the nodes is refused.
create function refuse_truncate() returns trigger language plpgsql as $$
begin
    raise exception 'use DELETE: TRUNCATE of % would not reach the nodes', tg_table_name;
end
$$;
create trigger refuse_truncate before truncate on tenants for each statement execute function refuse_truncate();
create trigger refuse_truncate before truncate on extensions for each statement execute function refuse_truncate();
create trigger refuse_truncate before truncate on groups for each statement execute function refuse_truncate();
create trigger refuse_truncate before truncate on group_members for each statement execute function refuse_truncate();
create trigger refuse_truncate before truncate on names for each statement execute function refuse_truncate();
create trigger refuse_truncate before truncate on numbers for each statement execute function refuse_truncate();
create trigger refuse_truncate before truncate on switches for each statement execute function refuse_truncate();
