-- Callers who pressed a key in a queue, to be called back instead of waiting. A wish keeps the caller's place.
-- No generation for call_backs: no answer to a switch depends on them.
create table call_backs (
    tenant_id    uuid not null references tenants on delete cascade,
    id           uuid not null,
    queue_id     uuid not null,
    -- What is dialled: E.164, or the number of an extension.
    number       text not null check (number ~ '^\+?[0-9]{1,20}$'),
    -- Since when the caller waited, and by how many seconds they came before others.
    joined_at    timestamptz not null,
    ahead        integer not null default 0 check (ahead >= 0),
    state        text not null default 'waiting' check (state in ('waiting', 'calling', 'done', 'failed', 'cancelled')),
    attempts     smallint not null default 0,
    -- Before this time nobody is called.
    next_at      timestamptz not null default now(),
    expires_at   timestamptz not null,
    -- Where the caller waited, or where the place is held now.
    switch_id    uuid,
    -- The leg that holds the place in the queue.
    place_leg    uuid,
    -- The call of the last attempt, which has the id of the agent's leg, and whose phone that is.
    call_id      uuid,
    extension_id uuid,
    -- Why the last attempt reached nobody.
    cause        text,
    created_at   timestamptz not null default now(),
    changed_at   timestamptz not null default now(),
    ended_at     timestamptz,
    primary key (tenant_id, id),
    foreign key (tenant_id, queue_id) references destinations (tenant_id, id) on delete cascade
);
create unique index call_backs_once on call_backs (tenant_id, queue_id, number) where state in ('waiting', 'calling');
create index call_backs_open on call_backs (tenant_id, state) where state in ('waiting', 'calling');
create index call_backs_call on call_backs (call_id) where call_id is not null;
create index call_backs_ended on call_backs (ended_at) where ended_at is not null;
alter table call_backs enable row level security;
create policy own_tenant on call_backs to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, update on call_backs to dialplane_tenant;
