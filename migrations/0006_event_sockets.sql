-- The event sockets of switches: how to reach them, and how that went. No trigger: nothing of it is cached.
create table event_sockets (
    switch_id   uuid primary key references switches on delete cascade,
    address     text not null,
    password    bytea not null,
    asked_at    timestamptz,
    answered_at timestamptz,
    -- Why the last question was not answered.
    error       text
);

-- What a switch says about its gateways.
create table gateway_states (
    carrier_id uuid not null references carriers on delete cascade,
    switch_id  uuid not null references event_sockets on delete cascade,
    up         boolean not null,
    state      text not null,
    seen_at    timestamptz not null default now(),
    primary key (carrier_id, switch_id)
);
