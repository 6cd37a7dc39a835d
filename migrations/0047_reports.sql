-- Figures of calls by quarters of an hour, from which reports are made: the zones of the world differ by quarters. A quarter is computed anew
-- from its calls whenever one of them changes, so the figures are right after late records too.
-- `kind`, `key`: what the figures are about: all calls; those of an agent, queue, number, carrier, country or disposition. `peak` has the most
-- calls that were up at once in `calls`.
-- No generation for call_rollups: no switch sees them.
create table call_rollups (
    tenant_id      uuid not null,
    slot           timestamptz not null,
    kind           text not null,
    key            text not null,
    direction      text not null,
    calls          integer not null,
    answered       integer not null default 0,
    voicemail      integer not null default 0,
    abandoned      integer not null default 0,
    missed         integer not null default 0,
    busy           integer not null default 0,
    failed         integer not null default 0,
    refused        integer not null default 0,
    -- How long those waited that were answered; the longest of all; and how many were answered within 5, 10, 15, 20, 30, 45, 60, 90, 120 seconds.
    wait_ms        bigint not null default 0,
    longest_ms     bigint not null default 0,
    within         integer[] not null default '{0,0,0,0,0,0,0,0,0}',
    talk_ms        bigint not null default 0,
    billed_seconds bigint not null default 0,
    cost           bigint not null default 0,
    -- How many rang at a carrier's, and after how long together.
    rang           integer not null default 0,
    ringing_ms     bigint not null default 0,
    primary key (tenant_id, kind, slot, key, direction)
);
create index call_rollups_slot on call_rollups (slot);
alter table call_rollups enable row level security;
create policy own_tenant on call_rollups to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select on call_rollups to dialplane_tenant;

-- Quarters of an hour whose figures are to be computed anew.
-- No generation for call_slots_due: no switch sees them.
create table call_slots_due (
    tenant_id uuid not null,
    slot      timestamptz not null,
    primary key (tenant_id, slot)
);
alter table call_slots_due enable row level security;
create policy own_tenant on call_slots_due to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, insert on call_slots_due to dialplane_tenant;
