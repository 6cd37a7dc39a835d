-- The oldest program that may still use these tables, by the newest migration it knows.
--
-- A program meets tables newer than itself while a fleet is upgraded node by node, and may restart on them as long as this number
-- is not above its own. Migrations that only add leave the number alone. One that takes away what an older program uses comes a
-- release later, and raises it in the same transaction to the first migration of the programs that do without:
--
--     update schema_floor set lowest = 42;
create table schema_floor (
    only_row boolean primary key default true check (only_row),
    lowest   bigint not null
);
insert into schema_floor (lowest) values (17);

create function schema_floor_only_rises() returns trigger language plpgsql as $$
begin
    if new.lowest < old.lowest then
        raise exception 'the schema floor only rises: it is %', old.lowest;
    end if;
    return new;
end
$$;
create trigger schema_floor_only_rises before update on schema_floor
    for each row execute function schema_floor_only_rises();
