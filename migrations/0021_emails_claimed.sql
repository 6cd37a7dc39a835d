-- no-transaction
-- An address is somebody's account once they have shown that it is theirs. Until then it is only written down.
create unique index concurrently if not exists users_email_claimed on users (lower(email)) where email_verified_at is not null;
