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

-- Do all switches of a cluster that were heard of lately say that their gateway to a carrier is down?
create function gateway_is_down(carrier uuid, cluster uuid) returns boolean language sql stable as $$
    select coalesce(bool_and(not g.up), false)
      from gateway_states g
      join switches w on w.id = g.switch_id
     where g.carrier_id = carrier and w.cluster_id = cluster and g.seen_at > now() - interval '1 minute'
$$;
