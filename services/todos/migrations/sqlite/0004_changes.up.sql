-- The feed of changes: what happened to a user's todos, in the order of commit, without a gap. A change gets its number from the user's row
-- in `feeds`, in its own transaction; see the same migration for PostgreSQL on why.
create table feeds (
    user_id blob primary key not null,
    -- Number of the newest change.
    head    integer not null
) strict, without rowid;

create table changes (
    user_id    blob not null,
    position   integer not null,
    kind       integer not null,
    -- The todo or the tag that changed.
    subject_id blob not null,
    -- The todo or the tag right after the change, as JSON; nothing once it is deleted for good.
    payload    text,
    changed_at integer not null,
    primary key (user_id, position)
) strict, without rowid;

create index changes_changed_idx on changes (changed_at);
