-- Values of variables, codecs and spoken texts that were taken before each had the type of what a switch does with it. What fits is
-- kept as the switch is given it; what doesn't is taken out, and the audit log says of what.

-- A variable's value as it is kept now; null: it takes no such value. Never more than `text::Variable` takes.
create function pg_temp.kept(name text, value text) returns text language sql as $$
    select case
        when name in ('accountcode', 'callgroup') then
            case when value ~ '^[A-Za-z0-9][A-Za-z0-9._+@-]{0,63}$' and value not like '%..%' then value end
        when name = 'toll_allow' then
            case when value ~ '^[A-Za-z0-9][A-Za-z0-9._+@-]{0,63}(,[A-Za-z0-9][A-Za-z0-9._+@-]{0,63})*$' and value not like '%..%'
                  and length(value) <= 200 then value end
        when name = 'presence_data' then case when value not like '%::%' and value not like '%://%' then value end
        when name = 'default_language' then case when value ~ '^[a-z]{2,3}([-_][A-Za-z]{2,4})?$' then value end
        when name in ('fax_enable_t38', 'fax_enable_t38_request', 'record_consent', 'suppress_cng') then
            case when lower(value) in ('true', 'yes', 'on', '1') then 'true'
                 when lower(value) in ('false', 'no', 'off', '0') then 'false' end
        when name = 'hold_music' then 'local_stream://' || substring(value from '^(?:local_stream://)?([A-Za-z0-9][A-Za-z0-9_-]{0,39})$')
        when name = 'jitterbuffer_msec' then case when value ~ '^[0-9]{1,4}(:[0-9]{1,4}){0,2}$' then value end
        when name = 'limit_max' then case when value ~ '^0*[1-9][0-9]{0,3}$' and length(value) <= 9 then value::int::text end
        when name = 'rtp_secure_media' then
            case when lower(value) in ('mandatory', 'true') then 'mandatory' when lower(value) = 'optional' then 'optional'
                 when lower(value) in ('forbidden', 'false') then 'forbidden' end
        when name in ('sip-force-expires', 'sip-force-expires-max', 'sip-force-expires-min') then
            case when value ~ '^[0-9]{2,5}$' and value::int between 60 and 86400 then value::int::text end
        when name = 'sip-expires-max-deviation' then
            case when value ~ '^[0-9]{1,2}$' and value::int between 1 and 30 then value::int::text end
        when name = 'timezone' then
            case when value = 'UTC'
                   or (value ~ '^[A-Z][A-Za-z_]+/[A-Za-z_/-]+$' and exists (select from pg_timezone_names z where z.name = value))
                 then value end
    end
$$;

create function pg_temp.kept_all(variables jsonb) returns jsonb language sql as $$
    select coalesce(jsonb_object_agg(v.key, pg_temp.kept(v.key, v.value)), '{}')
      from jsonb_each_text(variables) v where pg_temp.kept(v.key, v.value) is not null
$$;

create function pg_temp.kept_steps(steps jsonb) returns jsonb language sql as $$
    select coalesce(jsonb_agg(case when s.step ->> 'application' = 'set'
                                   then jsonb_set(s.step, '{value}', to_jsonb(pg_temp.kept(s.step ->> 'name', s.step ->> 'value')))
                                   else s.step end order by s.n), '[]')
      from jsonb_array_elements(coalesce(steps, '[]')) with ordinality s (step, n)
     where s.step ->> 'application' <> 'set' or pg_temp.kept(s.step ->> 'name', s.step ->> 'value') is not null
$$;

create function pg_temp.kept_body(body jsonb) returns jsonb language sql as $$
    select jsonb_build_object('conditions', jsonb_agg(c.condition || jsonb_build_object(
               'actions', pg_temp.kept_steps(c.condition -> 'actions'),
               'anti_actions', pg_temp.kept_steps(c.condition -> 'anti_actions')) order by c.n))
      from jsonb_array_elements(body -> 'conditions') with ordinality c (condition, n)
$$;

create function pg_temp.codecs_fit(codecs text) returns boolean language sql as $$
    select codecs ~* ('^(' || audio || '|' || video || ')' || options || '(,(' || audio || '|' || video || ')' || options || ')*$')
           and codecs ~* ('(^|,)(' || audio || ')(@|,|$)')
      from (select 'OPUS|G722|PCMU|PCMA|G729|G723|GSM|iLBC|SPEEX|G7221|G726-16|G726-24|G726-32|G726-40|L16|AMR|AMR-WB|SILK|ISAC|BV16|BV32|CODEC2|SIREN' as audio,
                   'VP8|VP9|AV1|H261|H263|H263-1998|H263-2000|H264|H265' as video,
                   '(@(8000|16000|32000|48000)h|@[1-9]0i|@[12]c)*' as options) names
$$;

-- A spoken text must not begin with a colon, or hold two in a row.
create function pg_temp.spoken(config jsonb) returns jsonb language sql as $$
    select regexp_replace(regexp_replace(config::text, ':(?=:)', ': ', 'g'), '"text": "[: ]+', '"text": "', 'g')::jsonb
$$;

create function pg_temp.note(tenant uuid, about text, old jsonb, new jsonb) returns void language sql as $$
    insert into audit_log (id, actor, tenant_id, action, resource, before, after)
    values ((lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7' || substr(md5(random()::text), 1, 3)
             || '8' || substr(md5(random()::text), 1, 15))::uuid, 'upgrade', tenant, 'update', about, old, new)
$$;

do $$
declare row record;
begin
    for row in select tenant_id, id, variables as old, pg_temp.kept_all(variables) as new from extensions
                where variables <> '{}' and variables <> pg_temp.kept_all(variables) loop
        update extensions set variables = row.new, version = version + 1 where tenant_id = row.tenant_id and id = row.id;
        perform pg_temp.note(row.tenant_id, 'extensions/' || row.id, jsonb_build_object('variables', row.old),
                             jsonb_build_object('variables', row.new));
    end loop;
    for row in select tenant_id, id, codecs from extensions where not pg_temp.codecs_fit(codecs) loop
        update extensions set codecs = null, version = version + 1 where tenant_id = row.tenant_id and id = row.id;
        perform pg_temp.note(row.tenant_id, 'extensions/' || row.id, jsonb_build_object('codecs', row.codecs), '{"codecs": null}');
    end loop;
    for row in select tenant_id, id, body as old, pg_temp.kept_body(body) as new from dialplan_entries
                where body ? 'conditions' and body <> pg_temp.kept_body(body) loop
        update dialplan_entries set body = row.new, version = version + 1 where tenant_id = row.tenant_id and id = row.id;
        perform pg_temp.note(row.tenant_id, 'dialplan-entries/' || row.id, row.old, row.new);
    end loop;
    update dialplan_entries set body = pg_temp.spoken(body) where body ? 'conditions' and body::text ~ '::|"text": ":';
    update destinations set config = pg_temp.spoken(config) where config::text ~ '::|"text": ":';
    update tenants set settings = jsonb_set(settings, '{routing}', pg_temp.spoken(settings -> 'routing'))
     where settings #>> '{routing}' ~ '::|"text": ":';
    update tenants set settings = settings #- '{calling,codecs}' where not pg_temp.codecs_fit(settings #>> '{calling,codecs}');
    update tenant_templates set version = version + 1,
           body = jsonb_set(body #- '{settings,calling,codecs}', '{version}', to_jsonb(version + 1))
     where not pg_temp.codecs_fit(body #>> '{settings,calling,codecs}');
    update carriers set config = config - 'codecs' where not pg_temp.codecs_fit(config ->> 'codecs');
end
$$;
