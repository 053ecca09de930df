-- Everything belongs to the user who made it; `user_id` is an account of the auth service, known here by its id alone.
create table todos (
    id           uuid primary key,
    user_id      uuid not null,
    title        text not null,
    description  text,
    completed_at timestamptz,
    due_at       timestamptz,
    priority     smallint not null,
    -- Title in lower case, for an order that does not depend on the database's locale.
    title_key    text collate "C" not null,
    -- Title and description in lower case, for searches without regard to case in any script.
    search       text not null,
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    deleted_at   timestamptz
);

-- The order that lists have by default. The other orders sort one user's todos, which are few.
create index todos_user_created_idx on todos (user_id, created_at, id) where deleted_at is null;
create index todos_user_due_idx on todos (user_id, due_at, id) where deleted_at is null;

create table tags (
    id         uuid primary key,
    user_id    uuid not null,
    name       text collate "C" not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint tags_user_name_key unique (user_id, name)
);

create table todo_tags (
    todo_id uuid not null references todos (id) on delete cascade,
    tag_id  uuid not null references tags (id) on delete cascade,
    primary key (todo_id, tag_id)
);

create index todo_tags_tag_idx on todo_tags (tag_id, todo_id);
