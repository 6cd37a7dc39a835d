-- An administrator of Postgres runs this once, before the first `dialplane migrate` or the first node, so that the user of DATABASE_URL
-- needs no right to create roles: psql -f THIS_FILE, connected as a superuser, or as a role with CREATEROLE that owns the database. It
-- may be run again.
--
-- The user must exist (create role USER login password '…';), and the database too (create database NAME owner USER encoding 'UTF8'
-- template template0;).
\set ON_ERROR_STOP on
\connect :"dialplane_database"

-- The role for work for a tenant. Nobody signs in with it, and row-level security applies to it.
do $$
begin
    if not exists (select from pg_roles where rolname = 'dialplane_tenant') then
        create role dialplane_tenant nologin nosuperuser nobypassrls;
    end if;
end
$$;
grant dialplane_tenant to :"dialplane_user";
-- Since Postgres 15, not every user may create tables here.
grant usage, create on schema public to :"dialplane_user";
