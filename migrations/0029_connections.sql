-- How many connections a node opens at most, so that one that starts can tell whether there are enough for it as well. Null: a node of a
-- release that did not say.
alter table nodes add column connections integer;
