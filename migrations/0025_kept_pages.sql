-- What a page still has to show after a form was sent and the browser went on to another page: secrets, for five minutes; what somebody
-- typed when their session had ended; what an import would do. Sealed, and gone with the session. No generation for kept_pages: no
-- switch sees them.
create table kept_pages (
    id         uuid primary key,
    session_id uuid not null references sessions on delete cascade,
    sealed     bytea not null,
    expires_at timestamptz not null
);
create index kept_pages_session on kept_pages (session_id);
create index kept_pages_expiry on kept_pages (expires_at);

alter table kept_pages enable row level security;
create policy own_tenant on kept_pages to dialplane_tenant
    using (exists (select 1 from sessions s where s.id = session_id))
    with check (exists (select 1 from sessions s where s.id = session_id));
grant select, insert, delete on kept_pages to dialplane_tenant;
