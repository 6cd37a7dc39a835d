-- Contacts: whom a tenant calls and is called by. A number belongs to one contact of a tenant.
-- No generation for contacts: no switch sees them.
create table contacts (
    tenant_id   uuid not null references tenants on delete cascade,
    id          uuid not null,
    name        text not null,
    company     text,
    email       text,
    tags        text[] not null default '{}',
    fields      jsonb not null default '{}' check (jsonb_typeof(fields) = 'object'),
    notes       text,
    -- Whether they may be called: who said so, and when. Null: nothing is known.
    do_not_call jsonb,
    consent     jsonb,
    -- Name, company, mail and numbers, as they are searched.
    sought      text not null,
    version     bigint not null default 1,
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    primary key (tenant_id, id)
);
create index contacts_name on contacts (tenant_id, lower(name) text_pattern_ops);
-- No generation for contact_numbers: no switch sees them.
create table contact_numbers (
    tenant_id  uuid not null,
    number     text not null check (number ~ '^\+[1-9][0-9]{6,14}$'),
    contact_id uuid not null,
    place      smallint not null,
    primary key (tenant_id, number),
    foreign key (tenant_id, contact_id) references contacts on delete cascade
);
create index contact_numbers_contact on contact_numbers (tenant_id, contact_id);
alter table contacts enable row level security;
create policy own_tenant on contacts to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, insert, update, delete on contacts to dialplane_tenant;
alter table contact_numbers enable row level security;
create policy own_tenant on contact_numbers to dialplane_tenant
    using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select, insert, update, delete on contact_numbers to dialplane_tenant;

do $$
begin
    create extension if not exists pg_trgm;
    create index contacts_sought on contacts using gin (sought gin_trgm_ops);
exception when others then
    raise notice 'contacts are searched by the beginnings of their names only: %', sqlerrm;
end
$$;
