-- How much a tenant means to use in a month, and which mails were sent because it came near that.
-- No generation for usage_limits: no switch sees them.
create table usage_limits (
    tenant_id     uuid primary key references tenants on delete cascade,
    minutes_in    bigint check (minutes_in > 0),
    minutes_out   bigint check (minutes_out > 0),
    calls         bigint check (calls > 0),
    peak_calls    bigint check (peak_calls > 0),
    extensions    bigint check (extensions > 0),
    numbers       bigint check (numbers > 0),
    storage_bytes bigint check (storage_bytes > 0),
    charge        bigint check (charge > 0),
    -- When what it used was compared with this the last time.
    compared_at   timestamptz,
    version       bigint not null default 1,
    updated_at    timestamptz not null default now()
);
alter table usage_limits enable row level security;
create policy own_tenant on usage_limits to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, insert, update on usage_limits to dialplane_tenant;

-- No generation for usage_alerts: no switch sees them.
create table usage_alerts (
    tenant_id uuid not null references tenants on delete cascade,
    -- Its first day, in the tenant's zone.
    month     date not null,
    measure   text not null,
    percent   smallint not null check (percent in (80, 100)),
    used      bigint not null,
    most      bigint not null,
    at        timestamptz not null default now(),
    primary key (tenant_id, month, measure, percent)
);
-- Those that are old are deleted.
create index usage_alerts_at on usage_alerts (at);
alter table usage_alerts enable row level security;
create policy own_tenant on usage_alerts to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, delete on usage_alerts to dialplane_tenant;
