-- A tenant that is being deleted gets no carrier and no reserved number either. (A number that rests is no addition: it is held because
-- something was deleted, and has an end.)
create trigger refuse_in_deleted after insert on carriers referencing new table as added
    for each statement execute function refuse_in_deleted();

create function refuse_reserved_in_deleted() returns trigger language plpgsql set search_path = public as $$
begin
    if exists (select 1 from tenants t where t.id = new.tenant_id and t.purge_at is not null) then
        raise exception using errcode = 'DPL01', message = 'the tenant is being deleted';
    end if;
    return null;
end
$$;
create trigger refuse_reserved_in_deleted after insert on held_numbers for each row when (new.until is null)
    execute function refuse_reserved_in_deleted();
