-- Users who were deleted: what they own goes for good after a while, unless they are brought back.
create table departed_users (
    user_id     blob primary key not null,
    departed_at integer not null
) strict, without rowid;

create index departed_users_at_idx on departed_users (departed_at);

-- Whether the todo was deleted because its user was: it comes back with the user, while what the user had deleted does not.
alter table todos add column departed integer not null default 0;
