-- no-transaction
-- A tenant's extensions in the order of their numbers.
create index concurrently if not exists extensions_by_number on extensions (tenant_id, length(number), number, id);
