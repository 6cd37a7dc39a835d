-- What people write about a call while it is up. It waits here for the call's record, and then belongs to that (`telephony::history::written`).
-- No generation for written_calls: no switch sees them.
create table written_calls (
    tenant_id   uuid not null references tenants on delete cascade,
    -- The call as live state names it: one of its channels.
    id          uuid not null,
    -- Whose phones were in it when somebody wrote.
    agents      uuid[] not null,
    notes       text,
    tags        text[] not null default '{}',
    disposition text,
    contact_id  uuid,
    version     bigint not null default 1,
    updated_at  timestamptz not null default now(),
    primary key (tenant_id, id)
);
-- Those whose record never came are deleted.
create index written_calls_updated on written_calls (updated_at);
alter table written_calls enable row level security;
create policy own_tenant on written_calls to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, insert, update, delete on written_calls to dialplane_tenant;

-- One of the tenant's contacts, chosen by people. A contact that is deleted takes itself out: calls with it are found by their facets.
alter table calls add column contact_id uuid;
