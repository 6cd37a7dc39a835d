-- Texts between two people of a tenant, and notices to a team.
-- No generation for chat_messages: only pages show them.
create table chat_messages (
    tenant_id    uuid not null references tenants on delete cascade,
    id           uuid not null,
    -- The person or the API key.
    author_id    uuid not null,
    -- Null for a key, and for somebody of the platform.
    sender_id    uuid references users on delete cascade,
    -- What they were called then.
    sender       text not null,
    -- Null for a notice.
    recipient_id uuid references users on delete cascade,
    -- Of a notice: the queue whose agents it is for. Null: everybody.
    queue_id     uuid,
    -- Of a notice: who gets it.
    people       uuid[],
    body         text not null check (char_length(body) between 1 and 2000),
    sent_at      timestamptz not null default clock_timestamp(),
    read_at      timestamptz,
    primary key (tenant_id, id),
    check ((recipient_id is null) = (people is not null))
);
create index chat_messages_between on chat_messages (sender_id, recipient_id, id);
create index chat_messages_unseen on chat_messages (recipient_id, sender_id) where read_at is null;
create index chat_messages_recipient on chat_messages (recipient_id);
create index chat_messages_author on chat_messages (tenant_id, author_id, sent_at);
create index chat_messages_notices on chat_messages (tenant_id, sent_at) where people is not null;
create index chat_messages_sent on chat_messages (sent_at);
alter table chat_messages enable row level security;
create policy own_tenant on chat_messages to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, insert, update on chat_messages to dialplane_tenant;
