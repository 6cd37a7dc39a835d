-- Switches that are taken out of service: no call is made there that another can make.
-- The triggers on switches raise their generation, as with every change of them.
alter table switches add column draining_since timestamptz;
