-- Calls as people remember them: the legs that switches report, made into one call each with its story.

-- Legs that are over, as their records tell them. A worker makes calls of them; after a month they are deleted. A leg that is here has been
-- charged for: a second copy of its record changes nothing, even if the first has been moved to its month.
-- No generation for ended_legs: no switch sees them.
create table ended_legs (
    leg         uuid primary key,
    -- Whose it is, as Dialplane knows it; null while that is not known.
    tenant_id   uuid,
    cluster_id  uuid not null,
    -- The call that it belongs to, once it is known.
    call_id     uuid,
    received_at timestamptz not null default now(),
    folded_at   timestamptz,
    told        jsonb not null
);
create index ended_legs_due on ended_legs (received_at, leg) where folded_at is null;
create index ended_legs_age on ended_legs (received_at);
create index ended_legs_call on ended_legs (tenant_id, call_id) where call_id is not null;
alter table ended_legs enable row level security;
create policy own_tenant on ended_legs to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());

-- Which channels belong to which call: those whose legs have come, and those that were only named by others.
-- No generation for call_channels: no switch sees them.
create table call_channels (
    tenant_id  uuid not null,
    channel    uuid not null,
    call_id    uuid not null,
    since      timestamptz not null default now(),
    primary key (channel, tenant_id)
);
create index call_channels_call on call_channels (tenant_id, call_id);
create index call_channels_since on call_channels (since);
alter table call_channels enable row level security;
create policy own_tenant on call_channels to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());

-- Calls, by the month in which they began. A job makes the months in advance and drops those that are over.
-- `facets`: what a call is found by, as hashes (`telephony::history::facets`). `sought`: numbers and names, for searching.
-- No generation for calls: no switch sees them.
create table calls (
    tenant_id      uuid not null,
    id             uuid not null,
    started_at     timestamptz not null,
    ended_at       timestamptz not null,
    direction      text not null,
    state          text not null,
    wait_ms        bigint not null,
    talk_ms        bigint not null,
    ringing_after  bigint,
    billed_seconds integer not null,
    extension_id   uuid,
    agent_id       uuid,
    number_id      uuid,
    queue_id       uuid,
    carrier_id     uuid,
    country        text,
    cause          text,
    cost           bigint,
    currency       text,
    recorded       boolean not null,
    agents         uuid[] not null,
    facets         bigint[] not null,
    sought         text not null,
    summary        jsonb not null,
    story          jsonb not null,
    notes          text,
    tags           text[] not null default '{}',
    disposition    text,
    version        bigint not null default 1,
    updated_at     timestamptz not null default now(),
    primary key (tenant_id, started_at, id)
) partition by range (started_at);
create index calls_id on calls (id);
create index calls_facets on calls using gin (facets) with (fastupdate = off);
alter table calls enable row level security;
create policy own_tenant on calls to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, update on calls to dialplane_tenant;

-- Numbers and names are searched by trigrams where the server has them; elsewhere, a search reads the newest calls.
do $$
begin
    create extension if not exists pg_trgm;
    create index calls_sought on calls using gin (sought gin_trgm_ops) with (fastupdate = off);
exception when others then
    raise notice 'calls are searched without trigrams: %', sqlerrm;
end
$$;
