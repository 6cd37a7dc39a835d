-- Keys that seal secrets are replaced while nodes run. A key of sealing_keys is offered (no time), seals (the newest time), or has sealed
-- (an earlier time). One with which nothing is sealed any more stands in retired_keys alone.
alter table sealing_keys add column seals_since timestamptz;
-- A row or two.
update sealing_keys set seals_since = added_at;

-- No generation for retired_keys: no switch sees them.
create table retired_keys (
    id         bytea primary key check (octet_length(id) = 8),
    retired_at timestamptz not null default now()
);

-- What a node says of its key file, and which key it seals with; null: a program from before.
alter table nodes add column sealing_keys bytea[], add column seals_with bytea;

-- A value that is sealed with a key which has retired would be lost once the key is gone from the files. So whoever writes one holds the
-- key's row, as a foreign key would, and retiring waits for them. A sealed value is at least 48 bytes: key id, nonce, tag.
create function hold_sealing_keys(used bytea[]) returns void language plpgsql security definer set search_path = public as $$
declare
    known integer;
begin
    perform 1 from sealing_keys where id = any (used) for key share;
    get diagnostics known = row_count;
    if known < cardinality(used) then
        raise exception using errcode = 'DPL02', message = 'a secret was sealed with a key that this database does not use';
    end if;
end
$$;
revoke execute on function hold_sealing_keys(bytea[]) from public;

create function check_sealed_inserts() returns trigger language plpgsql security definer set search_path = public as $$
declare
    sealed text;
    used   bytea[];
begin
    foreach sealed in array tg_argv loop
        execute format('select array_agg(distinct substring(%1$I for 8)) from added where octet_length(%1$I) >= 48', sealed)
           into used;
        if used is not null then
            perform hold_sealing_keys(used);
        end if;
    end loop;
    return null;
end
$$;

create function check_sealed_update() returns trigger language plpgsql security definer set search_path = public as $$
declare
    used bytea;
begin
    execute format('select substring(($1).%1$I for 8) where octet_length(($1).%1$I) >= 48', tg_argv[0]) into used using new;
    if used is not null then
        perform hold_sealing_keys(array[used]);
    end if;
    return null;
end
$$;

do $$
declare
    place text[];
    place_of constant text[] := array[
        array['extensions', 'sip_secret'], array['extensions', 'voicemail_pin'], array['destinations', 'pin'],
        array['carriers', 'password'], array['users', 'totp_secret'], array['signing_keys', 'sealed'],
        array['mail_outbox', 'sealed'], array['kept_pages', 'sealed'], array['idempotency_keys', 'body'],
        array['event_sockets', 'password'], array['number_requests', 'sip_secret']];
begin
    foreach place slice 1 in array place_of loop
        execute format('create trigger sealed_insert_%2$s after insert on %1$I referencing new table as added
                        for each statement execute function check_sealed_inserts(%2$L)', place[1], place[2]);
        execute format('create trigger sealed_update_%2$s after update of %2$I on %1$I for each row
                        when (new.%2$I is distinct from old.%2$I) execute function check_sealed_update(%2$L)',
                       place[1], place[2]);
    end loop;
end
$$;
