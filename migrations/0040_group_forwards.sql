-- Whether a group follows the unconditional forwards of its members. Programs that don't know the column leave it alone.
alter table groups add column follow_forwards boolean not null default false;
