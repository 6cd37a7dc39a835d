-- Calls that people have made by a click: a phone is called first, and then it calls. The id is also the call's.
-- No generation for call_jobs: no switch sees them.
create table call_jobs (
    id           uuid primary key,
    tenant_id    uuid not null references tenants on delete cascade,
    kind         text not null default 'call' check (kind in ('call', 'listen', 'whisper', 'barge')),
    switch_id    uuid not null,
    -- Whose phone is called first. It may be deleted since.
    extension_id uuid not null,
    user_id      uuid,
    number       text,
    -- The call that is supervised.
    call_id      uuid,
    state        text not null default 'queued' check (state in ('queued', 'ringing_agent', 'ringing', 'answered', 'ended')),
    cause        text,
    created_at   timestamptz not null default now(),
    changed_at   timestamptz not null default now(),
    answered_at  timestamptz,
    ended_at     timestamptz
);
create index call_jobs_tenant on call_jobs (tenant_id, created_at);
create index call_jobs_created on call_jobs (created_at);
alter table call_jobs enable row level security;
create policy own_tenant on call_jobs to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, insert, update, delete on call_jobs to dialplane_tenant;
