-- no-transaction
-- Tokens that were used, the oldest first: they are of use for a while only, to notice that somebody uses one a second time.
create index concurrently if not exists refresh_tokens_used on refresh_tokens (used_at) where used_at is not null;
