-- Phones watch keys by their numbers. When a number leads elsewhere, or nowhere any more, a switch is told what its lamps show now.
-- No generation for number_lamps: no switch reads it.
create table number_lamps (
    switch_id uuid not null references event_sockets on delete cascade,
    domain    text not null,
    number    text not null,
    since     timestamptz not null default clock_timestamp(),
    primary key (switch_id, domain, number)
);

create function note_number_lamps(tenants uuid[], numbers text[]) returns void
    language sql security definer set search_path = public as $$
    insert into number_lamps (switch_id, domain, number)
    select distinct s.switch_id, at.domain, n.number
      from unnest(tenants, numbers) n (tenant_id, number)
      join tenants t on t.id = n.tenant_id and t.status = 'active'
      join switches w on w.cluster_id = t.cluster_id
      join event_sockets s on s.switch_id = w.id
     cross join unnest(t.domain || t.former_domains) at (domain)
     order by 1, 2, 3
        on conflict (switch_id, domain, number) do update set since = clock_timestamp()
$$;

-- The new number of an extension is told by lamp_news.
create function note_extension_numbers() returns trigger language plpgsql security definer set search_path = public as $$
declare
    tenants uuid[];
    numbers text[];
begin
    if not exists (select from event_sockets) then
        return null;
    end if;
    if tg_op = 'DELETE' then
        select array_agg(d.tenant_id), array_agg(d.number) into tenants, numbers from deleted d where d.status <> 'deleted';
    else
        select array_agg(d.tenant_id), array_agg(d.number) into tenants, numbers
          from deleted d join inserted i on i.tenant_id = d.tenant_id and i.id = d.id
         where i.number <> d.number or i.status = 'deleted' and d.status <> 'deleted';
    end if;
    if tenants is not null then
        perform note_number_lamps(tenants, numbers);
    end if;
    return null;
end
$$;
create trigger note_extension_numbers after update on extensions referencing old table as deleted new table as inserted
    for each statement execute function note_extension_numbers();
create trigger note_deleted_numbers after delete on extensions referencing old table as deleted
    for each statement execute function note_extension_numbers();

create function note_queue_numbers() returns trigger language plpgsql security definer set search_path = public as $$
declare
    tenants uuid[];
    numbers text[];
begin
    if not exists (select from event_sockets) then
        return null;
    end if;
    if tg_op = 'DELETE' then
        select array_agg(d.tenant_id), array_agg(d.number) into tenants, numbers
          from deleted d where d.kind = 'queue' and d.number is not null;
    else
        select array_agg(n.tenant_id), array_agg(n.number) into tenants, numbers
          from deleted d join inserted i on i.tenant_id = d.tenant_id and i.id = d.id
         cross join lateral (values (d.tenant_id, d.number), (i.tenant_id, i.number)) n (tenant_id, number)
         where i.kind = 'queue' and i.number is distinct from d.number and n.number is not null;
    end if;
    if tenants is not null then
        perform note_number_lamps(tenants, numbers);
    end if;
    return null;
end
$$;
create trigger note_queue_numbers after update on destinations referencing old table as deleted new table as inserted
    for each statement execute function note_queue_numbers();
create trigger note_deleted_queues after delete on destinations referencing old table as deleted
    for each statement execute function note_queue_numbers();
