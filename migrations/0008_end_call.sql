-- A call is over: it holds no line any more, and what was reserved for one that nobody answered is given back. The rows are locked
-- before they are read: the record of the other leg may settle them at the same moment.
create or replace function end_call(p_call uuid) returns void language plpgsql as $$
declare
    over record;
begin
    perform set_config('synchronous_commit', 'off', true);
    perform 1 from admissions a where a.call_id = p_call order by a.tenant_id, a.callee for update;
    for over in
        update admissions a set ended_at = now(), reserved = case when a.cost is null then 0 else a.reserved end
          from admissions b
         where a.call_id = p_call and a.ended_at is null and a.tenant_id = b.tenant_id and a.call_id = b.call_id and a.callee = b.callee
        returning a.tenant_id, a.day, a.emergency, a.carriers[1] as carrier, case when b.cost is null then b.reserved else 0 end as unused
    loop
        if not over.emergency then
            perform 1 from call_meters m where m.scope in (over.tenant_id, over.carrier) order by m.scope for update;
            update call_meters m set live = greatest(m.live - 1, 0) where m.scope in (over.tenant_id, over.carrier);
        end if;
        update spend_days s set spent = s.spent - over.unused where s.tenant_id = over.tenant_id and s.day = over.day and over.unused > 0;
    end loop;
end
$$;
