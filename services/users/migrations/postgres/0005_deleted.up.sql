-- For the purge. Few users are deleted at a time.
create index users_deleted_at_idx on users (deleted_at) where deleted_at is not null;
