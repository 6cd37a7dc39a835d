-- What grows with calls, by the month. Calls and records are written where they always were, by every release; once a call is long over,
-- a job moves it here, into the partition of its month, and a month that is older than it has to be kept is dropped as a whole. So
-- the tables that calls write to stay small, and nothing large is ever locked, rewritten or deleted row by row. The job makes the
-- partitions, ahead and for what it moves.
--
-- No generation for past_calls: no switch sees them. No generation for past_records: none either.

create table past_calls (
    tenant_id    uuid not null,
    call_id      uuid not null,
    callee       text not null,
    extension_id uuid,
    user_id      uuid,
    number_id    uuid,
    caller_id    text,
    carrier_id   uuid,
    carriers     uuid[] not null,
    emergency    boolean not null,
    admitted     boolean not null,
    reason       text,
    price        bigint not null,
    reserved     bigint not null,
    day          date not null,
    at           timestamptz not null,
    ended_at     timestamptz,
    seconds      integer,
    cost         bigint,
    primary key (tenant_id, at, call_id, callee)
) partition by range (at);
alter table past_calls enable row level security;
create policy own_tenant on past_calls to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select on past_calls to dialplane_tenant;

-- Records as the switches posted them. Of some it is not known whose they are.
create table past_records (
    leg         text not null,
    tenant_id   uuid,
    switch_id   uuid not null,
    received_at timestamptz not null,
    noted_at    timestamptz,
    body        bytea not null,
    primary key (received_at, leg)
) partition by range (received_at);
create index past_records_tenant on past_records (tenant_id, received_at) where tenant_id is not null;
alter table past_records enable row level security;
create policy own_tenant on past_records to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());

-- Whose it is, as far as the record says. Nodes of the release before write none.
alter table cdr_inbox add column tenant_id uuid;

-- For how many days a tenant's things are kept, where that is not what the platform does with everybody's.
-- No generation for retention_periods: no switch sees them.
create table retention_periods (
    tenant_id    uuid primary key references tenants on delete cascade,
    audit_days   integer check (audit_days > 0),
    calls_days   integer check (calls_days > 0),
    records_days integer check (records_days > 0),
    mails_days   integer check (mails_days > 0),
    version      bigint not null default 1,
    updated_at   timestamptz not null default now()
);
alter table retention_periods enable row level security;
create policy own_tenant on retention_periods to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, insert, update on retention_periods to dialplane_tenant;
