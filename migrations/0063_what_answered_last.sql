-- A call over several carriers is shown with the one whose leg was answered last. Its records come in any order, so that time is kept.
alter table admissions add column answered_at timestamptz;

-- The name of a group as people write it, if it is not the one in `name`: that one stays what a switch asks for and what is dialled.
-- The triggers on groups raise their generation, as with every change of them.
alter table groups add column shown_name text;
-- A tenant has some tens of groups, and none has a shown name yet: this takes no time.
-- squawk-ignore require-concurrent-index-creation
create unique index groups_shown_name on groups (tenant_id, lower(shown_name collate "C")) where shown_name is not null;
