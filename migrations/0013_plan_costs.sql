-- What trying an entry costs a call, as `routing::entries` counts it: a tenant's entries have a bound together. Entries that are older
-- have none noted until they are saved again; a plan with more than the bound leaves out what is beyond it.
alter table dialplan_entries add column cost integer not null default 0 check (cost >= 0);
