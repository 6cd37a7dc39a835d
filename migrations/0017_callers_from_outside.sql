-- Who may send calls to a cluster's profile `external`: its carriers and the other clusters' switches, or anyone.
alter table clusters
    add accepts_calls_from text not null default 'carriers' check (accepts_calls_from in ('carriers', 'anyone'));

-- The addresses behind names of carriers and clusters: a switch's access lists hold addresses alone.
create table resolved_hosts (
    host      text primary key check (host = lower(host)),
    addresses text[] not null default '{}',
    tried_at  timestamptz not null default now()
);
