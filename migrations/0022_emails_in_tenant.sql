-- no-transaction
-- Within a tenant, and among the platform's administrators, an address is written down once.
create unique index concurrently if not exists users_email_in_tenant
    on users (coalesce(tenant_id, '00000000-0000-0000-0000-000000000000'), lower(email));
