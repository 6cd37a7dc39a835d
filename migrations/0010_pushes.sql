-- What each switch was given of that which it reads only when it loads: gateways, addresses, queues. No trigger: nothing of it is
-- cached. Since it started it may have read more.
create table switch_things (
    switch_id   uuid not null references event_sockets on delete cascade,
    -- gateway/ID, acl, queue/ID.DOMAIN
    thing       text not null,
    -- Of what was given; null: it is being replaced, or was not taken.
    fingerprint bytea check (octet_length(fingerprint) = 32),
    since       timestamptz not null default now(),
    -- Why the switch did not take it.
    error       text,
    primary key (switch_id, thing)
);

alter table event_sockets
    -- When the switch started, as it says itself.
    add booted_at  timestamptz,
    -- How much it had not been given when it was last looked at.
    add pending    integer not null default 0,
    -- A node is with it, until then at most.
    add busy_until timestamptz;
