-- What agents have chosen: whether they take calls of queues, and why not. Whoever has no row is available.
-- No generation for agent_statuses: no answer to a fetch is kept that depends on it. Switches are told by commands.
create table agent_statuses (
    tenant_id    uuid not null references tenants on delete cascade,
    user_id      uuid not null references users on delete cascade,
    status       text not null default 'available' check (status in ('available', 'busy', 'away', 'offline')),
    -- One of the tenant's, as it was called then.
    reason       text check (char_length(reason) between 1 and 200),
    -- Null if somebody chose it.
    cause        text check (cause in ('did_not_answer')),
    since        timestamptz not null default clock_timestamp(),
    -- Who chose it, if not the agent.
    set_by       text,
    -- Since when no phone of theirs is registered, if that is longer than the tenant allows.
    gone_at      timestamptz,
    -- The time after a call that somebody changed: of the call that ended at this microsecond of its switch, and when it ends.
    wrap_up_of   bigint,
    wrap_up_ends timestamptz,
    -- When any of this changed.
    changed_at   timestamptz not null default clock_timestamp(),
    primary key (tenant_id, user_id)
);
create index agent_statuses_changed on agent_statuses (changed_at);
create index agent_statuses_user on agent_statuses (user_id);
alter table agent_statuses enable row level security;
create policy own_tenant on agent_statuses to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, insert, update, delete on agent_statuses to dialplane_tenant;
