-- What a purge removed, so that somebody can be told; and where a switch still has something of the tenant's, by the digest of its domain.
-- No row-level security and no generation: it belongs to the platform, and no switch sees it. Nothing that the tenant wrote is in it.
create table purges (
    tenant    uuid primary key,
    domain    bytea not null check (octet_length(domain) = 32),
    removed   jsonb not null check (jsonb_typeof(removed) = 'object'),
    purged_at timestamptz not null default now()
);

-- Whose things a kept answer is about: the answer goes with the tenant, whoever asked.
alter table idempotency_keys add column tenants uuid[] not null default '{}';
