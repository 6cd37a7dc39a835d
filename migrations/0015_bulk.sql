-- Much in one transaction.

-- A generation is raised once in a transaction: nobody sees it before the commit, and every raise leaves another version of the row
-- that the next raise, and each poll, has to walk over. The setting is the transaction's own, so what a savepoint takes back it
-- forgets as well. (Not `changed_xid = pg_current_xact_id()`: a restored row may hold any transaction's id.)
create or replace function raise_generation(scopes uuid[]) returns void language plpgsql
    security definer set search_path = public as $$
declare
    raised constant text := coalesce(current_setting('dialplane.raised', true), '');
    news   constant uuid[] := array(select distinct s from unnest(scopes) s where strpos(raised, s::text) = 0);
begin
    if news = '{}' then
        return;
    end if;
    perform 1 from generation where scope = any (news) order by scope for update;
    update generation
       set generation = generation + 1, changed_xid = pg_current_xact_id()
     where scope = any (news);
    perform pg_notify('dialplane_generation', '');
    -- A change of very many tenants is not remembered: raising twice is no fault.
    if length(raised) + 37 * cardinality(news) < 4000 then
        perform set_config('dialplane.raised', raised || array_to_string(news, ' ') || ' ', true);
    end if;
end
$$;

-- Links that ran out are swept with each new one.
create index one_time_tokens_expiry on one_time_tokens (expires_at);
