-- Messages of extensions' mailboxes. A switch keeps them (mod_voicemail), and what it says of them counts: here is what it said last, and a sealed
-- copy of their sound, which the switch sends.
-- No generation for voicemail_messages: no switch sees them.
create table voicemail_messages (
    tenant_id     uuid not null references tenants on delete cascade,
    id            uuid not null,
    extension_id  uuid not null,
    -- The switch that has it.
    switch_id     uuid not null references switches on delete cascade,
    -- Its UUID at mod_voicemail: usually that of the leg that left it.
    message       uuid not null,
    -- The name of its file on the switch.
    file          text not null,
    caller_number text not null,
    caller_name   text not null,
    received_at   timestamptz not null,
    seconds       integer not null check (seconds >= 0),
    is_urgent     boolean not null,
    -- When it was heard; null if it is unread.
    read_at       timestamptz,
    -- The number of the extension that somebody forwarded it from.
    forwarded_by  text,
    -- Its sound, once the switch has sent it: what it is called in the store, and the key with which it is sealed, sealed itself.
    content_id    uuid,
    store         text check (store in ('folder')),
    key           bytea,
    bytes         bigint check (bytes > 0),
    sha256        bytea check (octet_length(sha256) = 32),
    stored_at     timestamptz,
    version       bigint not null default 1,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now(),
    primary key (tenant_id, id),
    foreign key (tenant_id, extension_id) references extensions (tenant_id, id) on delete cascade,
    check (num_nulls(content_id, store, key, bytes, sha256, stored_at) in (0, 6))
);
create unique index voicemail_messages_of_switch on voicemail_messages (tenant_id, extension_id, switch_id, message);
create index voicemail_messages_received on voicemail_messages (tenant_id, extension_id, received_at desc, id desc);
create index voicemail_messages_file on voicemail_messages (switch_id, file);
alter table voicemail_messages enable row level security;
create policy own_tenant on voicemail_messages to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, insert, update, delete on voicemail_messages to dialplane_tenant;

-- A key that seals must be one in use (0028).
create trigger sealed_insert_key after insert on voicemail_messages referencing new table as added
    for each statement execute function check_sealed_inserts('key');
create trigger sealed_update_key after update of key on voicemail_messages for each row
    when (new.key is distinct from old.key) execute function check_sealed_update('key');

-- Mailboxes that a switch is to be asked about, because something may have changed there. Who asks puts it off by a minute, so that it is asked again if
-- nothing comes of it.
-- No generation for voicemail_boxes: no switch sees them.
create table voicemail_boxes (
    tenant_id    uuid not null,
    extension_id uuid not null,
    switch_id    uuid not null references switches on delete cascade,
    due_at       timestamptz not null default now(),
    primary key (tenant_id, extension_id, switch_id),
    foreign key (tenant_id, extension_id) references extensions (tenant_id, id) on delete cascade
);
create index voicemail_boxes_due on voicemail_boxes (due_at);
create index voicemail_boxes_switch on voicemail_boxes (switch_id);
alter table voicemail_boxes enable row level security;
create policy own_tenant on voicemail_boxes to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, insert, update, delete on voicemail_boxes to dialplane_tenant;

-- What is in the store of recordings and is no message: an upload under way, and the sound of messages that are gone. A table of its own, as nodes of
-- the version before would remove what stands among those of recordings.
-- No generation for voicemail_objects: no switch sees them.
create table voicemail_objects (
    id        uuid primary key,
    tenant_id uuid not null,
    store     text not null,
    due_at    timestamptz not null
);
create index voicemail_objects_due on voicemail_objects (due_at);
alter table voicemail_objects enable row level security;
create policy own_tenant on voicemail_objects to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());

-- Whatever deletes a message, its sound goes too.
create function drop_voicemail_content() returns trigger language plpgsql security definer set search_path = public as $$
begin
    insert into voicemail_objects (id, tenant_id, store, due_at)
    select content_id, tenant_id, store, now() from gone where content_id is not null on conflict (id) do nothing;
    return null;
end
$$;
create trigger drop_content after delete on voicemail_messages referencing old table as gone
    for each statement execute function drop_voicemail_content();

-- A mailbox goes with its extension, and with the name that it has on switches: switches delete its messages then (0035), and nobody who gets the
-- extension later hears them here.
create function drop_voicemail_of_extension() returns trigger language plpgsql security definer set search_path = public as $$
begin
    delete from voicemail_messages m using inserted i, deleted d
     where d.tenant_id = i.tenant_id and d.id = i.id and (i.status = 'deleted' or i.sip_username <> d.sip_username)
       and m.tenant_id = i.tenant_id and m.extension_id = i.id;
    return null;
end
$$;
create trigger drop_voicemail after update on extensions referencing old table as deleted new table as inserted
    for each statement execute function drop_voicemail_of_extension();
