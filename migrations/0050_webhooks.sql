-- Webhooks: endpoints that are told of events.
-- No generation for webhooks: no switch sees them. No generation for webhook_events: none either. No generation for webhook_deliveries: nor these.
create table webhooks (
    id                uuid primary key,
    -- Null for the platform's, which are told of all tenants' events.
    tenant_id         uuid references tenants on delete cascade,
    url               text not null,
    description       text not null default '',
    topics            text[] not null,
    enabled           boolean not null default true,
    secret            bytea not null,
    -- Signs as well until it ends, so that receivers can change over.
    previous_secret   bytea,
    previous_ends_at  timestamptz,
    -- Since when every attempt failed.
    failing_since     timestamptz,
    version           bigint not null default 1,
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now()
);
create index webhooks_tenant on webhooks (tenant_id);
alter table webhooks enable row level security;
create policy own_tenant on webhooks to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());

-- What endpoints are told. An event is kept once, however many endpoints there are.
create table webhook_events (
    id         uuid primary key,
    tenant_id  uuid references tenants on delete cascade,
    topic      text not null,
    body       text not null,
    created_at timestamptz not null default now()
);
create index webhook_events_created on webhook_events (created_at);
create index webhook_events_tenant on webhook_events (tenant_id);
alter table webhook_events enable row level security;
create policy own_tenant on webhook_events to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());

-- An event for an endpoint: the outbox.
create table webhook_deliveries (
    webhook_id  uuid not null references webhooks on delete cascade,
    event_id    uuid not null references webhook_events on delete cascade,
    tenant_id   uuid references tenants on delete cascade,
    status      text not null default 'pending' check (status in ('pending', 'delivered', 'failed')),
    attempts    int not null default 0,
    -- When it is tried next; while a node tries it, until when nobody else does.
    next_at     timestamptz not null default now(),
    -- What came of the last attempt.
    last_at     timestamptz,
    last_status int,
    last_error  text,
    last_answer text,
    last_ms     int,
    created_at  timestamptz not null default now(),
    primary key (webhook_id, event_id)
);
create index webhook_deliveries_due on webhook_deliveries (webhook_id, next_at) where status = 'pending';
create index webhook_deliveries_event on webhook_deliveries (event_id);
create index webhook_deliveries_tenant on webhook_deliveries (tenant_id);
alter table webhook_deliveries enable row level security;
create policy own_tenant on webhook_deliveries to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());

-- A key that seals must be one in use (0028).
create trigger sealed_insert_secret after insert on webhooks referencing new table as added
    for each statement execute function check_sealed_inserts('secret');
create trigger sealed_update_secret after update of secret on webhooks for each row
    when (new.secret is distinct from old.secret) execute function check_sealed_update('secret');
create trigger sealed_update_previous_secret after update of previous_secret on webhooks for each row
    when (new.previous_secret is distinct from old.previous_secret) execute function check_sealed_update('previous_secret');

grant select, insert, update, delete on webhooks, webhook_events, webhook_deliveries to dialplane_tenant;
