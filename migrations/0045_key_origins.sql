-- The web origins whose pages may use a key from a browser. No generation for api_keys: switches never see them.
alter table api_keys add origins text[] not null default '{}';

-- A browser asks before it sends a key, so all that is known then is the origin.
create index api_keys_origins on api_keys using gin (origins);
