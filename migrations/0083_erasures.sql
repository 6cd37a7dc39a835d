-- Requests to erase what is kept of a person. A job works on them; `numbers` is the person's only while it does, so that what stays is that somebody
-- was erased, when and how much, and not who.
-- No generation for erasures: no switch sees them.
create table erasures (
    tenant_id   uuid not null references tenants on delete cascade,
    id          uuid not null,
    -- Null once everything is done.
    numbers     text[],
    counted     smallint not null check (counted > 0),
    state       text not null default 'waiting' check (state in ('waiting', 'looked', 'finished')),
    -- How many rows of what were erased; how many settings still name a number; how many things are left for the next look.
    erased      jsonb not null default '{}' check (jsonb_typeof(erased) = 'object'),
    settings    jsonb not null default '{}' check (jsonb_typeof(settings) = 'object'),
    remaining   integer not null default 0,
    next_at     timestamptz default now(),
    version     bigint not null default 1,
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    finished_at timestamptz,
    primary key (tenant_id, id),
    check ((state = 'finished') = (numbers is null) and (state = 'finished') = (next_at is null) and (state = 'finished') = (finished_at is not null))
);
create index erasures_due on erasures (next_at) where next_at is not null;
alter table erasures enable row level security;
create policy own_tenant on erasures to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, insert on erasures to dialplane_tenant;

-- A message whose caller was erased: its switch is to delete it, and nobody sees it here meanwhile.
alter table voicemail_messages add column erased boolean not null default false;
