-- What was read can be named when it is changed, as everywhere: If-Match. Nodes of the previous release don't count, and compare nothing.
alter table cluster_configs add column version bigint not null default 1;
alter table event_sockets add column version bigint not null default 1;
