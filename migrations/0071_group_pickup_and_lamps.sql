-- Whether members may pick up a call that rings in their group. Programs that don't know the column leave it alone.
alter table groups add column pickup boolean not null default false;

-- Lamps on phones' keys show whether an extension is on do not disturb or forwards all calls. A switch does not know that, so it is told of each
-- change. Without an event socket, it can't be.
-- No generation for lamp_news: no switch reads it.
create table lamp_news (
    switch_id    uuid not null references event_sockets on delete cascade,
    -- No foreign key: whoever is gone is left out when the switch is told.
    extension_id uuid not null,
    since        timestamptz not null default clock_timestamp(),
    primary key (switch_id, extension_id)
);

create function note_lamp_news() returns trigger language plpgsql security definer set search_path = public as $$
begin
    if not exists (select from event_sockets) then
        return null;
    end if;
    insert into lamp_news (switch_id, extension_id)
    select s.switch_id, i.id
      from inserted i
      join deleted d on d.tenant_id = i.tenant_id and d.id = i.id
      join tenants t on t.id = i.tenant_id
      join switches w on w.cluster_id = t.cluster_id
      join event_sockets s on s.switch_id = w.id
     where i.calls->'do_not_disturb' is distinct from d.calls->'do_not_disturb'
        or i.calls->'forward_always' is distinct from d.calls->'forward_always'
        or i.number <> d.number
     order by s.switch_id, i.id
        on conflict (switch_id, extension_id) do update set since = clock_timestamp();
    return null;
end
$$;
create trigger note_lamp_news after update on extensions referencing old table as deleted new table as inserted
    for each statement execute function note_lamp_news();
