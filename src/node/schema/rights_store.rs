//! The SQL of roles, policies and grants. It is not checked at compile time, because the database may have any version.

use sqlx::PgConnection;

pub async fn rights(db: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select line from (
            select format('row security on %s', c.relname) as line
              from pg_class c where c.relnamespace = 'public'::regnamespace and c.relrowsecurity
            union all
            select format('policy %s on %s for %s', policyname, tablename, lower(cmd))
              from pg_policies where schemaname = 'public' and 'dialplane_tenant' = any (roles)
            union all
            select format('%s on %s', lower(a.privilege_type), c.relname)
              from pg_class c, aclexplode(c.relacl) a join pg_roles r on r.oid = a.grantee
             where c.relnamespace = 'public'::regnamespace and r.rolname = 'dialplane_tenant'
            union all
            select format('%s on %s.%s', lower(a.privilege_type), c.relname, t.attname)
              from pg_class c join pg_attribute t on t.attrelid = c.oid, aclexplode(t.attacl) a join pg_roles r on r.oid = a.grantee
             where c.relnamespace = 'public'::regnamespace and r.rolname = 'dialplane_tenant'
            union all
            select format('%s on %s', lower(a.privilege_type), p.oid::regprocedure)
              from pg_proc p, aclexplode(p.proacl) a join pg_roles r on r.oid = a.grantee
             where p.pronamespace = 'public'::regnamespace and r.rolname = 'dialplane_tenant'
         ) rights order by line collate \"C\"",
    )
    .fetch_all(db)
    .await
}

pub async fn has_role(db: &mut PgConnection, role: &str) -> sqlx::Result<bool> {
    let has =
        "select coalesce((select pg_has_role(current_user, oid, 'member') from pg_roles where rolname = $1), false)";
    sqlx::query_scalar(has).bind(role).fetch_one(db).await
}

pub async fn is_unbound(db: &mut PgConnection, role: &str) -> sqlx::Result<bool> {
    let is = "select coalesce((select rolsuper or rolbypassrls from pg_roles where rolname = $1), false)";
    sqlx::query_scalar(is).bind(role).fetch_one(db).await
}

/// Does the same as migration 0002.
pub async fn make_role(db: &mut PgConnection) -> sqlx::Result<()> {
    let make = "
        do $$
        begin
            create role dialplane_tenant nologin;
        exception when duplicate_object or unique_violation or insufficient_privilege then null;
        end
        $$";
    sqlx::raw_sql(make).execute(&mut *db).await?;
    let join = "
        do $$
        begin
            if not pg_has_role(current_user, 'dialplane_tenant', 'member') then
                execute format('grant dialplane_tenant to %I', current_user);
            end if;
        exception when others then null; -- the user may not, or the role is missing
        end
        $$";
    sqlx::raw_sql(join).execute(db).await.map(|_| ())
}
