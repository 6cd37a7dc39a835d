-- Every version of a template that there was: a tenant names the one it was set up from.
create table tenant_template_versions (
    name       text not null,
    version    integer not null,
    body       jsonb not null,
    created_at timestamptz not null default now(),
    primary key (name, version)
);
insert into tenant_template_versions (name, version, body, created_at)
select name, version, body, updated_at from tenant_templates;
grant select on tenant_template_versions to dialplane_tenant;

create function keep_template_version() returns trigger language plpgsql as $$
begin
    insert into tenant_template_versions (name, version, body) values (new.name, new.version, new.body);
    return null;
end
$$;
create trigger template_versions after insert or update on tenant_templates
    for each row execute function keep_template_version();
