-- How agents were, from when to when, as it was shown.
-- No generation for agent_activity: no switch sees it.
create table agent_activity (
    id         uuid primary key,
    tenant_id  uuid not null references tenants on delete cascade,
    user_id    uuid not null references users on delete cascade,
    state      text not null,
    reason     text,
    cause      text,
    set_by     text,
    started_at timestamptz not null,
    -- Null for how they are now.
    ended_at   timestamptz
);
-- Two nodes that both believe to be the one that writes can't write the same twice.
create unique index agent_activity_now on agent_activity (tenant_id, user_id) where ended_at is null;
create index agent_activity_user on agent_activity (tenant_id, user_id, started_at desc, id);
create index agent_activity_of on agent_activity (user_id);
create index agent_activity_ended on agent_activity (ended_at);
alter table agent_activity enable row level security;
create policy own_tenant on agent_activity to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, insert, update, delete on agent_activity to dialplane_tenant;
