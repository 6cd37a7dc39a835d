-- A tenant's key does no more than who made it may do, and is good no longer than they are: people who leave take their keys along.
alter table api_keys add role text not null default 'owner' check (role in ('owner', 'admin'));
alter table api_keys drop constraint api_keys_created_by_fkey,
    add foreign key (created_by) references users on delete cascade;
