-- The web origins whose pages may use a key from a browser. No generation for api_keys: switches never see them.
alter table api_keys add origins text[] not null default '{}';
