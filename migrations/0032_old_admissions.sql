-- no-transaction
-- The oldest calls, whosever they are: they are moved to past_calls.
create index concurrently if not exists admissions_age on admissions (at);
