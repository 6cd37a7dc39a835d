-- Recordings of calls: which files switches have sent, whose they are, and the keys with which their content is sealed in the store.
-- No generation for recordings: no switch sees them.
create table recordings (
    tenant_id   uuid not null references tenants on delete cascade,
    id          uuid not null,
    -- The file's name on the switch, LEG.wav or LEG-MORE.wav: the same file is kept once.
    name        text not null,
    leg         uuid not null,
    -- The call that the leg belongs to, once its records have come.
    call_id     uuid,
    switch_id   uuid not null,
    began_at    timestamptz not null,
    duration_ms bigint not null check (duration_ms >= 0),
    channels    integer not null,
    sample_rate integer not null,
    -- Stretches in which nothing at all was recorded, as milliseconds from and to.
    silences    jsonb not null default '[]',
    bytes       bigint not null check (bytes > 0),
    sha256      bytea not null check (octet_length(sha256) = 32),
    -- Which store has its content.
    store       text not null check (store in ('folder')),
    -- The key of its content, sealed.
    key         bytea not null,
    -- Why it must not be deleted, and since when; null if it may be.
    legal_hold  text,
    held_since  timestamptz,
    version     bigint not null default 1,
    stored_at   timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    primary key (tenant_id, id),
    check ((legal_hold is null) = (held_since is null))
);
create unique index recordings_name on recordings (tenant_id, name);
create index recordings_began on recordings (tenant_id, began_at desc, id desc);
create index recordings_age on recordings (began_at) where held_since is null;
create index recordings_call on recordings (tenant_id, call_id);
create index recordings_leg on recordings (leg);
create index recordings_stored on recordings (stored_at);
alter table recordings enable row level security;
create policy own_tenant on recordings to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, update, delete on recordings to dialplane_tenant;

-- A key that seals must be one in use (0028).
create trigger sealed_insert_key after insert on recordings referencing new table as added
    for each statement execute function check_sealed_inserts('key');
create trigger sealed_update_key after update of key on recordings for each row
    when (new.key is distinct from old.key) execute function check_sealed_update('key');

-- What is in the store and is no recording: an upload under way, until it is one, and what was deleted. A job removes it when it is due.
-- It stays when its tenant is gone, because its content has to go as well.
-- No generation for recording_objects: no switch sees them.
create table recording_objects (
    id        uuid primary key,
    tenant_id uuid not null,
    store     text not null,
    due_at    timestamptz not null
);
create index recording_objects_due on recording_objects (due_at);
alter table recording_objects enable row level security;
create policy own_tenant on recording_objects to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());

-- Whatever deletes a recording, its content goes too: a person, its tenant's deletion, or its period.
create function drop_recording_content() returns trigger language plpgsql security definer set search_path = public as $$
begin
    insert into recording_objects (id, tenant_id, store, due_at)
    select id, tenant_id, store, now() from gone on conflict (id) do nothing;
    return null;
end
$$;
create trigger drop_content after delete on recordings referencing old table as gone
    for each statement execute function drop_recording_content();
