-- Days of limits, by the clock of the database and in a zone that may be unknown here or change.
--
-- A zone's name comes from the table that is part of the program. Postgres has another, which may be older: a call must not fail for
-- that, so days are UTC's then. `dialplane doctor` says which zones differ.
create function is_zone(zone text) returns boolean language plpgsql stable as $$
begin
    perform now() at time zone zone;
    return true;
exception when invalid_parameter_value then
    return false;
end
$$;
create function local_day(moment timestamptz, zone text) returns date language plpgsql stable as $$
begin
    return (moment at time zone zone)::date;
exception when invalid_parameter_value then
    return (moment at time zone 'UTC')::date;
end
$$;
create function day_begins(day date, zone text) returns timestamptz language plpgsql stable as $$
begin
    return day::timestamp at time zone zone;
exception when invalid_parameter_value then
    return day::timestamp at time zone 'UTC';
end
$$;

-- Whoever changes their zone gets no second day. The day that runs when the zone changes goes on until a later one begins in the new zone,
-- and for 24 hours at least. `limit_day`: the day that ran at the last change, null if there was none; no other begins before
-- `limit_day_until`.
alter table tenants
    add limit_day date,
    add limit_day_until timestamptz;
create function limit_day(moment timestamptz, zone text, ran date, until timestamptz) returns date language plpgsql stable as $$
declare
    today date := local_day(moment, coalesce(zone, 'UTC'));
begin
    if ran is null or (today > ran and day_begins(today, coalesce(zone, 'UTC')) >= until) then
        return today;
    end if;
    return ran;
end
$$;
create function keep_limit_day() returns trigger language plpgsql as $$
declare
    today date := limit_day(now(), old.settings ->> 'time_zone', old.limit_day, old.limit_day_until);
begin
    new.limit_day := today;
    new.limit_day_until := greatest(now(), case when today = old.limit_day then old.limit_day_until
        else day_begins(today, coalesce(old.settings ->> 'time_zone', 'UTC')) + interval '24 hours' end);
    return new;
end
$$;
create trigger keep_limit_day before update of settings on tenants for each row
    when (old.settings ->> 'time_zone' is distinct from new.settings ->> 'time_zone') execute function keep_limit_day();

-- The function as it is, with that day.
do $$
begin
    execute replace(pg_get_functiondef('admit_call'::regproc), '(p_at at time zone p_zone)::date',
        '(select limit_day(p_at, p_zone, t.limit_day, t.limit_day_until) from (select) x left join tenants t on t.id = p_tenant)');
end
$$;

-- `Etc/Unknown` was taken as the name of a zone, and is none to Postgres and the switches.
create or replace function pg_temp.known(value jsonb) returns jsonb language plpgsql as $$
begin
    return case jsonb_typeof(value)
        when 'object' then coalesce((
            select jsonb_object_agg(f.key, pg_temp.known(f.value)) from jsonb_each(value) f
             where not (f.key in ('time_zone', 'timezone') and lower(f.value #>> '{}') = 'etc/unknown')), '{}')
        when 'array' then coalesce((
            select jsonb_agg(pg_temp.known(e.value) order by e.n) from jsonb_array_elements(value) with ordinality e (value, n)), '[]')
        else value end;
end
$$;
create or replace function pg_temp.note(tenant uuid, about text, old jsonb, new jsonb) returns void language sql as $$
    insert into audit_log (id, actor, tenant_id, action, resource, before, after)
    values ((lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7' || substr(md5(random()::text), 1, 3)
             || '8' || substr(md5(random()::text), 1, 15))::uuid, 'upgrade', tenant, 'update', about, old, new)
$$;
do $$
declare row record;
begin
    for row in select id, settings ->> 'time_zone' as zone from tenants where lower(settings ->> 'time_zone') = 'etc/unknown' loop
        update tenants set settings = jsonb_set(settings, '{time_zone}', '"UTC"'), version = version + 1 where id = row.id;
        perform pg_temp.note(row.id, 'tenants/' || row.id || '/settings', jsonb_build_object('time_zone', row.zone),
                             '{"time_zone": "UTC"}');
    end loop;
    update tenant_templates set body = jsonb_set(body, '{settings,time_zone}', '"UTC"')
     where lower(body #>> '{settings,time_zone}') = 'etc/unknown';
    update tenant_template_versions set body = jsonb_set(body, '{settings,time_zone}', '"UTC"')
     where lower(body #>> '{settings,time_zone}') = 'etc/unknown';
    for row in select tenant_id, id, config from destinations where lower(config ->> 'time_zone') = 'etc/unknown' loop
        update destinations set config = pg_temp.known(config), version = version + 1 where tenant_id = row.tenant_id and id = row.id;
        perform pg_temp.note(row.tenant_id, 'destinations/' || row.id, row.config, pg_temp.known(row.config));
    end loop;
    for row in select tenant_id, id, body from dialplan_entries where body ? 'conditions' and lower(body::text) like '%etc/unknown%' loop
        update dialplan_entries set body = pg_temp.known(body), version = version + 1 where tenant_id = row.tenant_id and id = row.id;
        perform pg_temp.note(row.tenant_id, 'dialplan-entries/' || row.id, row.body, pg_temp.known(row.body));
    end loop;
    for row in select tenant_id, id, variables from extensions where lower(variables ->> 'timezone') = 'etc/unknown' loop
        update extensions set variables = pg_temp.known(variables), version = version + 1 where tenant_id = row.tenant_id and id = row.id;
        perform pg_temp.note(row.tenant_id, 'extensions/' || row.id, jsonb_build_object('variables', row.variables),
                             jsonb_build_object('variables', pg_temp.known(row.variables)));
    end loop;
end
$$;
