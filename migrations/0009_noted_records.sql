-- A record that was kept, but could not be read into limits and costs at once, is read later.
alter table cdr_inbox add noted_at timestamptz;
update cdr_inbox set noted_at = received_at;
create index cdr_inbox_unread on cdr_inbox (received_at) where noted_at is null;
