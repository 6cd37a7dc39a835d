-- How long a call may last, by what its tenant may spend of a day: reserved when it is admitted, and further while it lasts.
alter table admissions
    -- The switch that asked: it has the call.
    add switch_id uuid,
    -- How many seconds after the answer each of `carriers` ends the call; null for one without a limit, and for calls of tenants without
    -- a cap.
    add allowed integer[],
    -- Of all amounts in this row.
    add currency text;
alter table past_calls add currency text;

-- Legs over carriers that are answered, as a switch says over its event socket. A row is deleted when the leg's record comes.
-- No generation for call_legs: no switch sees them.
create table call_legs (
    leg         uuid primary key,
    tenant_id   uuid not null references tenants on delete cascade,
    call_id     uuid not null,
    callee      text not null,
    carrier_id  uuid not null,
    switch_id   uuid not null references switches on delete cascade,
    answered_at timestamptz not null,
    seen_at     timestamptz not null default now(),
    -- How many seconds after the answer the switch ends it; null: it was given no limit.
    allowed     integer,
    gone_at     timestamptz,
    -- What it was taken to cost, since no record came; null: it was not.
    guessed     bigint,
    guessed_seconds integer
);
create index call_legs_switch on call_legs (switch_id) where gone_at is null;
create index call_legs_tenant on call_legs (tenant_id);
create index call_legs_call on call_legs (call_id);
create index call_legs_gone on call_legs (gone_at) where guessed is null;
alter table call_legs enable row level security;
create policy own_tenant on call_legs to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select on call_legs to dialplane_tenant;

-- The cost of a call, as `routing::carried::cost` computes it.
create function call_cost(price bigint, first_seconds bigint, step_seconds bigint, seconds bigint) returns bigint language sql immutable as $$
    select case when seconds <= 0 then 0 else
        least(div(price::numeric * case when seconds <= first then first else first + (seconds - first + step - 1) / step * step end + 59, 60),
              9223372036854775807)::bigint end
      from (select greatest(first_seconds, 0) as first, greatest(step_seconds, 1) as step) r
$$;

-- For how many seconds an amount lasts; null: for ever. Two seconds before the next step is charged for, a call is to end: clocks of seconds
-- are read at its answer and at its end, and ending it takes a moment.
create function paid_seconds(amount bigint, price bigint, first_seconds bigint, step_seconds bigint) returns bigint language sql immutable as $$
    select case when price <= 0 then null
                when paid < first then 0
                else least(first + (paid - first) / step * step, 2678400) end
      from (select greatest(first_seconds, 0) as first, greatest(step_seconds, 1) as step,
                   least(div(greatest(amount, 0)::numeric * 60, greatest(price, 1)), 10000000)::bigint as paid) r
$$;
create function call_seconds(amount bigint, price bigint, first_seconds bigint, step_seconds bigint) returns bigint language sql immutable as $$
    select case when paid is not null then greatest(paid - 2, 0) end
      from (select paid_seconds(amount, price, first_seconds, step_seconds) as paid) p
$$;

-- Admits one call, or says why not, as the function of this name with fewer arguments does, and says how long it may last: `seconds` after
-- the answer, for each of `carriers`. Of what is left of a day's cap, a call is given what it needs for `p_slice` seconds, but no more than
-- half, so that calls at the same time share it; and at least the first charge of a carrier, if that is left.
create function admit_call(
    p_tenant uuid, p_call uuid, p_callee text, p_extension uuid, p_user uuid, p_emergency boolean, p_refusal text,
    p_numbers uuid[], p_limits integer[], p_caller_ids text[], p_carriers uuid[], p_prices bigint[], p_live integer[],
    p_rates integer[], p_tenant_live integer, p_tenant_rate integer, p_spend_cap bigint, p_zone text, p_at timestamptz,
    p_firsts integer[], p_steps integer[], p_slice integer, p_switch uuid, p_currency text)
returns table (admitted boolean, reason text, number_id uuid, caller_id text, carriers uuid[], seconds integer[])
language plpgsql as $$
declare
    today    date := (select limit_day(p_at, p_zone, t.limit_day, t.limit_day_until) from (select) x left join tenants t on t.id = p_tenant);
    moment   bigint := extract(epoch from p_at)::bigint;
    known    record;
    is_again boolean := false;
    chosen   uuid;
    shown    text;
    at_places integer[] := '{}';
    fit      uuid[] := '{}';
    lasting  integer[];
    amount   bigint := 0;
    left_of_day bigint;
    most     bigint;
    lasts    bigint;
    why      text := p_refusal;
    meter    record;
    place    integer;
begin
    -- The meters and counters are worth no wait for the disk: after a crash of the database, calls of its last half second
    -- may be missing in them.
    perform set_config('synchronous_commit', 'off', true);
    insert into admissions (tenant_id, call_id, callee, extension_id, user_id, emergency, admitted, reason, day, at, switch_id, currency)
    values (p_tenant, p_call, p_callee, p_extension, p_user, p_emergency, false, 'deciding', today, p_at, p_switch, p_currency)
    on conflict do nothing;
    if not found then
        select a.admitted, a.reason, a.number_id, a.caller_id, a.carriers, a.allowed, a.cost, a.day into known from admissions a
         where a.tenant_id = p_tenant and a.call_id = p_call and a.callee = p_callee for update;
        -- A call that has been there, and was charged for it, may not go there again for nothing.
        is_again := known.admitted and known.allowed is not null and known.cost is not null and p_spend_cap is not null;
        if not is_again then
            return query select known.admitted, known.reason, known.number_id, known.caller_id, known.carriers, known.allowed;
            return;
        end if;
        today := known.day;
        chosen := known.number_id;
        shown := known.caller_id;
    end if;
    if p_emergency then
        update admissions a set admitted = true, reason = null, number_id = p_numbers[1], caller_id = p_caller_ids[1],
               carriers = p_carriers, carrier_id = p_carriers[1]
         where a.tenant_id = p_tenant and a.call_id = p_call and a.callee = p_callee;
        return query select true, null::text, p_numbers[1], p_caller_ids[1], p_carriers, null::integer[];
        return;
    end if;
    if why is null and not is_again then
        -- Always in the order of their ids, so that no two admissions wait for each other.
        insert into call_meters (scope) select s from unnest(p_tenant || p_carriers) s on conflict do nothing;
        perform 1 from call_meters m where m.scope = any (p_tenant || p_carriers) order by m.scope for update;
        select * into meter from call_meters m where m.scope = p_tenant;
        if p_tenant_rate is not null and meter.second = moment and meter.in_second >= p_tenant_rate then
            why := 'calls_per_second';
        elsif meter.live >= p_tenant_live then
            why := 'concurrent_calls';
        end if;
    end if;
    if why is null then
        for i in 1 .. coalesce(array_length(p_carriers, 1), 0) loop
            if not is_again then
                select * into meter from call_meters m where m.scope = p_carriers[i];
                continue when p_rates[i] is not null and meter.second = moment and meter.in_second >= p_rates[i];
                continue when meter.live >= p_live[i];
            end if;
            at_places := at_places || i;
        end loop;
        if at_places = '{}' then
            why := 'carriers_busy';
        end if;
    end if;
    if why is null and p_spend_cap is null then
        amount := p_prices[at_places[1]];
        select array_agg(p_carriers[p.i] order by p.n) into fit from unnest(at_places) with ordinality p (i, n);
    elsif why is null then
        insert into spend_days (tenant_id, day) values (p_tenant, today) on conflict do nothing;
        select greatest(p_spend_cap - s.spent, 0) into left_of_day from spend_days s
         where s.tenant_id = p_tenant and s.day = today for update;
        select coalesce(max(call_cost(p_prices[i], p_firsts[i], p_steps[i], p_slice)), 0) into most from unnest(at_places) i;
        most := least(most, left_of_day / 2);
        -- The shortest call of the first that the rest pays for.
        select call_cost(p_prices[p.i], p_firsts[p.i], p_steps[p.i], 3) into lasts from unnest(at_places) with ordinality p (i, n)
         where call_cost(p_prices[p.i], p_firsts[p.i], p_steps[p.i], 3) <= left_of_day order by p.n limit 1;
        most := greatest(most, lasts);
        lasting := '{}';
        foreach place in array at_places loop
            lasts := call_seconds(most, p_prices[place], p_firsts[place], p_steps[place]);
            continue when lasts = 0;
            fit := fit || p_carriers[place];
            lasting := lasting || lasts::integer;
            amount := greatest(amount, call_cost(p_prices[place], p_firsts[place], p_steps[place],
                                                 paid_seconds(most, p_prices[place], p_firsts[place], p_steps[place])));
        end loop;
        if fit = '{}' then
            why := 'spend_cap';
        end if;
    end if;
    if why is null and not is_again then
        for i in 1 .. coalesce(array_length(p_numbers, 1), 0) loop
            insert into number_days as n (tenant_id, number_id, day, made)
            select p_tenant, p_numbers[i], today, 1 where p_limits[i] > 0
            on conflict on constraint number_days_pkey do update set made = n.made + 1 where n.made < p_limits[i];
            if found then
                chosen := p_numbers[i];
                shown := p_caller_ids[i];
                exit;
            end if;
        end loop;
        if chosen is null then
            why := 'daily_limit';
        end if;
    end if;
    if is_again then
        if why is not null then
            return query select false, why, chosen, shown, '{}'::uuid[], null::integer[];
            return;
        end if;
        update spend_days s set spent = s.spent + amount where s.tenant_id = p_tenant and s.day = today;
        update admissions a set reserved = a.reserved + amount, allowed = lasting, carriers = fit
         where a.tenant_id = p_tenant and a.call_id = p_call and a.callee = p_callee;
        return query select true, null::text, chosen, shown, fit, lasting;
        return;
    end if;
    if why is null then
        update call_meters m set in_second = case when m.second = moment then m.in_second + 1 else 1 end, second = moment,
                                 live = m.live + 1
         where m.scope = p_tenant or m.scope = fit[1];
        insert into spend_days as s (tenant_id, day, spent) values (p_tenant, today, amount)
        on conflict on constraint spend_days_pkey do update set spent = s.spent + amount;
    else
        amount := 0;
    end if;
    update admissions a set admitted = why is null, reason = why, number_id = chosen, caller_id = shown, carriers = coalesce(fit, '{}'),
           carrier_id = fit[1], price = coalesce(p_prices[array_position(p_carriers, fit[1])], 0), reserved = amount,
           allowed = case when why is null then lasting end, ended_at = case when why is null then null else p_at end
     where a.tenant_id = p_tenant and a.call_id = p_call and a.callee = p_callee;
    return query select why is null, why, chosen, shown, fit, lasting;
end
$$;

-- Gives a call that goes on more time: `p_slice` seconds from now, but no more than half of what is left of its day's cap, as long as more
-- than a step is. Returns how many seconds after its answer it ends; null: it has no limit any more.
create function renew_call(
    p_tenant uuid, p_call uuid, p_callee text, p_elapsed bigint, p_slice integer, p_price bigint, p_first integer, p_step integer)
returns integer language plpgsql as $$
declare
    cap    bigint := (select (t.settings #>> '{routing,outbound,spend_per_day}')::bigint from tenants t where t.id = p_tenant);
    call   record;
    rest   bigint;
    amount bigint;
    next   bigint;
begin
    select a.day, a.reserved into call from admissions a
     where a.tenant_id = p_tenant and a.call_id = p_call and a.callee = p_callee for update;
    if cap is null or not found then
        return null;
    end if;
    insert into spend_days (tenant_id, day) values (p_tenant, call.day) on conflict do nothing;
    select greatest(cap - s.spent, 0) into rest from spend_days s where s.tenant_id = p_tenant and s.day = call.day for update;
    amount := greatest(call.reserved, least(call_cost(p_price, p_first, p_step, p_elapsed + p_slice), call.reserved + rest / 2));
    next := call_cost(p_price, p_first, p_step, paid_seconds(call.reserved, p_price, p_first, p_step) + 1);
    if next is null then
        return null;
    end if;
    if amount < next and next <= call.reserved + rest then
        amount := next;
    end if;
    -- Not more than whole steps need.
    amount := greatest(call.reserved, call_cost(p_price, p_first, p_step, paid_seconds(amount, p_price, p_first, p_step)));
    if amount > call.reserved then
        update spend_days s set spent = s.spent + amount - call.reserved where s.tenant_id = p_tenant and s.day = call.day;
        update admissions a set reserved = amount where a.tenant_id = p_tenant and a.call_id = p_call and a.callee = p_callee;
    end if;
    return call_seconds(amount, p_price, p_first, p_step)::integer;
end
$$;

-- Calls of which no record came for six hours are taken to be over, unless a switch says that they go on.
create or replace function mend_meters() returns void language plpgsql as $$
begin
    update admissions set ended_at = at + interval '6 hours'
     where admitted and ended_at is null and not emergency and at < now() - interval '6 hours'
       and not exists (select from call_legs l where l.call_id = admissions.call_id and l.gone_at is null
                                                and l.seen_at > now() - interval '5 minutes');
    perform 1 from call_meters order by scope for update;
    update call_meters m set live = coalesce(c.live, 0)
      from call_meters k
      left join (
            select scope, count(*) as live from (
                select tenant_id as scope from admissions where admitted and ended_at is null and not emergency
                union all
                select carriers[1] from admissions where admitted and ended_at is null and not emergency) x
             group by scope) c on c.scope = k.scope
     where m.scope = k.scope and m.live <> coalesce(c.live, 0);
end
$$;
