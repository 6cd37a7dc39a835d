-- Calls that were made with a number on the day that it was assigned, before: they are not the new agent's. Read by nodes of this
-- release; older ones count them.
alter table assignments add column made_before integer not null default 0;
alter table assignments add column made_before_on date;
