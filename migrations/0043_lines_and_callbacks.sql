-- A call holds its line as long as it is up, also after whoever made it has transferred it; and calls back to a number that called for help
-- reach the phone that did.

-- The leg of a call's called party, if the caller's leg is over and the other is not. When that ends, the call does.
create table held_lines (
    leg     uuid not null,
    call_id uuid not null,
    since   timestamptz not null default now(),
    primary key (leg, call_id)
);
create index held_lines_since on held_lines (since);

-- A leg is over, as its record says. `p_partner`: whom it was connected with last. What ends here is every call that held its line for this
-- leg, and the leg's own call, unless the partner is still up. Records come in any order, so whoever looks for the other's record holds a
-- lock for both.
create function end_leg(p_leg uuid, p_unanswered boolean, p_partner uuid) returns void language plpgsql as $$
declare
    held uuid;
begin
    perform set_config('synchronous_commit', 'off', true);
    perform pg_advisory_xact_lock(hashtextextended(least(p_leg, p_partner)::text, 1));
    perform pg_advisory_xact_lock(hashtextextended(greatest(p_leg, p_partner)::text, 1));
    for held in delete from held_lines h where h.leg = p_leg returning h.call_id loop
        perform end_call(held, false);
    end loop;
    if p_partner is not null and not p_unanswered
       and exists (select from admissions a where a.call_id = p_leg and a.admitted and a.ended_at is null and not a.emergency)
       and not exists (select from cdr_inbox c where c.leg = p_partner::text) then
        insert into held_lines (leg, call_id) values (p_partner, p_leg) on conflict do nothing;
    else
        perform end_call(p_leg, p_unanswered);
    end if;
end
$$;

-- Numbers that were shown in a call for help, and the phone that made it.
create table help_callbacks (
    tenant_id    uuid not null references tenants on delete cascade,
    number       text not null,
    extension_id uuid not null,
    until        timestamptz not null,
    primary key (tenant_id, number),
    foreign key (tenant_id, extension_id) references extensions on delete cascade
);
create index help_callbacks_extension on help_callbacks (tenant_id, extension_id);
create trigger raise_insert after insert on help_callbacks referencing new table as inserted
    for each statement execute function raise_inserted();
create trigger raise_delete after delete on help_callbacks referencing old table as deleted
    for each statement execute function raise_deleted();
create trigger raise_update after update on help_callbacks referencing old table as deleted new table as inserted
    for each statement execute function raise_updated();
create trigger refuse_truncate before truncate on help_callbacks for each statement execute function refuse_truncate();
alter table help_callbacks enable row level security;
create policy own_tenant on help_callbacks to dialplane_tenant using (tenant_id = current_tenant()) with check (tenant_id = current_tenant());
grant select on help_callbacks to dialplane_tenant;
