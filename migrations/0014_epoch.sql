-- Which database this is, and which line of its history. A restored database goes back in time; nodes that knew its future
-- must not take what they know for what is.

create table epoch (
    is_only   boolean primary key default true check (is_only),
    epoch     uuid not null default gen_random_uuid(),
    -- What database_identity() was when the epoch began; null: nobody has looked yet. A dump carries it along, and what it
    -- is restored into has another.
    identity  text,
    -- When it was last noticed that the database was restored: for a lease from then on, a node may still believe the future.
    since     timestamptz not null default clock_timestamp(),
    -- How many triggers there are since which migration. A restore makes them last: with fewer the tables are not whole.
    guards    bigint not null default 0,
    migration bigint not null default 0
);
insert into epoch default values;

-- What a restore can't bring back: another cluster has another system identifier, a recovery to a point in time another
-- timeline, a new database another oid, and tables that were dropped and made again have others as well.
create function database_identity() returns text language sql stable as $$
    select concat_ws('/', s.system_identifier, c.timeline_id,
                     (select oid from pg_database where datname = current_database()),
                     to_regclass('generation')::oid, to_regclass('tenants')::oid,
                     to_regclass('extensions')::oid, to_regclass('names')::oid)
      from pg_control_system() s, pg_control_checkpoint() c
$$;

create function guards() returns bigint language sql stable as $$
    select count(*)
      from pg_trigger t join pg_class c on c.oid = t.tgrelid
     where c.relnamespace = (select relnamespace from pg_class where oid = to_regclass('generation'))
       and not t.tgisinternal and t.tgparentid = 0
$$;

-- The epoch that `applied` belongs to: transaction ids of another say nothing.
alter table nodes add column epoch uuid;

-- Generations are times (microseconds, and ten bits of chance) rather than counts, so that two lines of history that part at a
-- restore never reach the same one: whatever was read in the one is older or newer than anything in the other.
create function next_generation(before bigint) returns bigint language sql volatile as $$
    select greatest(before + 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint * 1024) + (random() * 1023)::bigint
$$;

alter table generation alter column generation set default next_generation(0);

create or replace function raise_generation(scopes uuid[]) returns void
language plpgsql security definer set search_path = public as $$
begin
    perform 1 from generation where scope = any (scopes) order by scope for update;
    update generation
       set generation = next_generation(generation), changed_xid = pg_current_xact_id()
     where scope = any (scopes);
    perform pg_notify('dialplane_generation', '');
end
$$;
