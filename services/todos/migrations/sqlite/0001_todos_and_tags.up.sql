-- Everything belongs to the user who made it; `user_id` is an account of the auth service, known here by its id alone.
-- Ids are blobs of 16 bytes, moments integers of microseconds since the epoch.
create table todos (
    id           blob primary key not null,
    user_id      blob not null,
    title        text not null,
    description  text,
    completed_at integer,
    due_at       integer,
    priority     integer not null,
    -- Title in lower case, for an order without regard to case in any script.
    title_key    text not null,
    -- Title and description in lower case, for searches without regard to case in any script.
    search       text not null,
    created_at   integer not null,
    updated_at   integer not null,
    deleted_at   integer
) strict;

-- The order that lists have by default. The other orders sort one user's todos, which are few.
create index todos_user_created_idx on todos (user_id, created_at, id) where deleted_at is null;
create index todos_user_due_idx on todos (user_id, due_at, id) where deleted_at is null;

create table tags (
    id         blob primary key not null,
    user_id    blob not null,
    name       text not null,
    created_at integer not null,
    updated_at integer not null,
    constraint tags_user_name_key unique (user_id, name)
) strict;

create table todo_tags (
    todo_id blob not null references todos (id) on delete cascade,
    tag_id  blob not null references tags (id) on delete cascade,
    primary key (todo_id, tag_id)
) strict, without rowid;

create index todo_tags_tag_idx on todo_tags (tag_id, todo_id);
