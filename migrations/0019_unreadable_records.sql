-- A call record that can't be read is kept, with the reason, and read again by a version that can.
--
-- `unreadable`: why not; null for one that can be read, or was kept before this column was there. `reader`: the version of the reading
-- that tried it last.
alter table cdr_inbox
    add unreadable text,
    add reader smallint;

-- A call is over: it holds no line any more. What was reserved for it is given back only when its record says that nobody answered,
-- whenever that record can be read. The rows are locked before they are read: the record of the other leg may settle them at the same
-- moment.
create function end_call(p_call uuid, p_unanswered boolean) returns void language plpgsql as $$
declare
    over record;
begin
    perform set_config('synchronous_commit', 'off', true);
    perform 1 from admissions a where a.call_id = p_call order by a.tenant_id, a.callee for update;
    for over in
        update admissions a set ended_at = now() where a.call_id = p_call and a.ended_at is null
        returning a.tenant_id, a.emergency, a.carriers[1] as carrier
    loop
        if not over.emergency then
            perform 1 from call_meters m where m.scope in (over.tenant_id, over.carrier) order by m.scope for update;
            update call_meters m set live = greatest(m.live - 1, 0) where m.scope in (over.tenant_id, over.carrier);
        end if;
    end loop;
    if p_unanswered then
        for over in
            update admissions a set reserved = 0 from admissions b
             where a.call_id = p_call and a.reserved > 0 and a.cost is null
               and a.tenant_id = b.tenant_id and a.call_id = b.call_id and a.callee = b.callee
            returning a.tenant_id, a.day, b.reserved as unused
        loop
            update spend_days s set spent = s.spent - over.unused where s.tenant_id = over.tenant_id and s.day = over.day;
        end loop;
    end if;
end
$$;
