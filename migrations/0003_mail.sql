-- Mails that leave after the change that queued them is committed, and never before.
create table mail_outbox (
    id              uuid primary key,
    tenant_id       uuid references tenants on delete cascade,
    recipient       text not null,
    template        text not null,
    language        text not null check (language in ('en', 'de')),
    -- Subject, text and HTML as JSON, sealed: they hold one-time links. Emptied once sent.
    sealed          bytea not null,
    status          text not null default 'queued' check (status in ('queued', 'sent', 'failed')),
    attempts        integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    last_error      text,
    created_at      timestamptz not null default now(),
    sent_at         timestamptz
);
create index mail_outbox_due on mail_outbox (next_attempt_at) where status = 'queued';
create index mail_outbox_tenant on mail_outbox (tenant_id);

-- A tenant's work queues mails of that tenant, and reads none.
alter table mail_outbox enable row level security;
create policy own_tenant on mail_outbox for insert to dialplane_tenant with check (tenant_id = current_tenant());
grant insert on mail_outbox to dialplane_tenant;
