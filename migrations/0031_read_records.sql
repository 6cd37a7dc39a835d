-- no-transaction
-- Which records have been read, the oldest first: those are moved to past_records.
create index concurrently if not exists cdr_inbox_noted on cdr_inbox (received_at) where noted_at is not null;
