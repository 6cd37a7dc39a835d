-- Until which day each report that a tenant has mailed was mailed, so that every node's job sends it once.
-- No generation for report_mails: no switch sees them.
create table report_mails (
    tenant_id uuid not null references tenants on delete cascade,
    -- As it is called in the settings.
    name      text not null check (char_length(name) between 1 and 200),
    -- The day after the last one that was reported, in the tenant's zone.
    until     date not null,
    primary key (tenant_id, name)
);
alter table report_mails enable row level security;
create policy own_tenant on report_mails to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select on report_mails to dialplane_tenant;
