-- A restore makes triggers, then foreign keys, then policies last. Triggers alone do not say that it is done: a node that took the database
-- for whole could delete a row whose dependents stay, for want of their foreign key, and the restore would fail at that key.
--
-- With a plan per session (plpgsql), since each poll asks.
create or replace function guards() returns bigint language plpgsql stable as $$
begin
    return (select count(*) from pg_trigger t join pg_class c on c.oid = t.tgrelid
             where c.relnamespace = n.id and not t.tgisinternal and t.tgparentid = 0)
         + (select count(*) from pg_constraint k where k.connamespace = n.id and k.contype = 'f' and k.conparentid = 0)
         + (select count(*) from pg_policy p join pg_class c on c.oid = p.polrelid where c.relnamespace = n.id)
      from (select (select relnamespace from pg_class where oid = to_regclass('generation')) as id) n;
end
$$;
