-- Test mode: a tenant that is a sandbox dials and mails nobody outside, and its calls may be played.
alter table tenants add column sandbox boolean not null default false;

-- Whoever tests must be sure of it, and whoever pays, too.
create function sandbox_stays() returns trigger language plpgsql as $$
begin
    raise exception 'whether a tenant is a sandbox never changes' using errcode = 'check_violation', constraint = 'sandbox_stays';
end $$;
create trigger sandbox_stays before update of sandbox on tenants
    for each row when (old.sandbox is distinct from new.sandbox) execute function sandbox_stays();

alter table mail_outbox add column sandbox boolean not null default false;

-- By a trigger, so that no code path can forget it, nor a node of the previous release.
create function keep_mails_of_sandboxes() returns trigger language plpgsql security definer set search_path = public as $$
begin
    if new.sandbox or exists (select from tenants t where t.id = new.tenant_id and t.sandbox) then
        new.sandbox := true;
        new.status := 'failed';
        new.last_error := 'not sent: sandbox';
    end if;
    return new;
end $$;
create trigger keep_mails_of_sandboxes before insert or update of status, tenant_id, sandbox on mail_outbox
    for each row when (new.tenant_id is not null) execute function keep_mails_of_sandboxes();
revoke execute on function keep_mails_of_sandboxes() from public;

-- Whoever tests reads what would have been sent. Other mails are read by nobody.
create policy of_sandbox on mail_outbox for select to dialplane_tenant using (tenant_id = current_tenant() and sandbox);
grant select on mail_outbox to dialplane_tenant;

-- Calls that are played: what happens, as every node plays it, and when it is over.
-- No generation for sandbox_calls: no switch sees them.
create table sandbox_calls (
    tenant_id   uuid not null references tenants on delete cascade,
    id          uuid not null,
    play        jsonb not null,
    created_at  timestamptz not null default now(),
    ends_at     timestamptz not null,
    -- When its records were written, as a switch writes them at the end of a call.
    recorded_at timestamptz,
    primary key (tenant_id, id)
);
create index sandbox_calls_up on sandbox_calls (ends_at) where recorded_at is null;
create index sandbox_calls_lately on sandbox_calls (tenant_id, created_at);
alter table sandbox_calls enable row level security;
create policy own_tenant on sandbox_calls to dialplane_tenant using (tenant_id = current_tenant());
grant select, insert on sandbox_calls to dialplane_tenant;
