-- Another tenant's addresses are nobody's business: that one is written down elsewhere must not be told by a conflict. The index stands
-- in the way of that alone: every program works with the two that are there since 0021 and 0022.
-- squawk-ignore require-concurrent-index-deletion
drop index if exists users_email;
