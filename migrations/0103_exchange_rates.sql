-- Rates of exchange by day, and what the calls of a quarter of an hour cost by currency: a tenant's currency may change, so figures over a longer time
-- can have amounts in several.
-- No generation for exchange_rates: no switch sees them.
create table exchange_rates (
    id            uuid primary key,
    from_currency text not null check (from_currency ~ '^[A-Z]{3}$'),
    to_currency   text not null check (to_currency ~ '^[A-Z]{3}$'),
    -- In force from this day on, until that of the next one.
    day           date not null,
    -- How much of the second currency one unit of the first is, in millionths of a millionth.
    rate          bigint not null check (rate between 1 and 1000000000000000000),
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now(),
    check (from_currency <> to_currency),
    unique (from_currency, to_currency, day)
);
grant select on exchange_rates to dialplane_tenant;

-- The amounts of `cost` by currency, such as {"EUR": 1200000}; the empty name where a call has none. Null: nothing was paid, or the quarter was computed
-- by an earlier version; then `cost` is in the tenant's currency.
alter table call_rollups add column costs jsonb;
