-- The feed of changes: what happened to a user's todos, in the order of commit, without a gap.
--
-- A change gets its number from the user's row in `feeds`, which its transaction holds until it commits. So the changes of one user commit
-- in the order of their numbers, and whoever has read up to a number has missed nothing below it. A sequence would not do: its numbers are
-- drawn before the commit, and a reader would pass over a lower one that commits later.
create table feeds (
    user_id uuid primary key,
    -- Number of the newest change.
    head    bigint not null
);

create table changes (
    user_id    uuid not null,
    position   bigint not null,
    kind       smallint not null,
    -- The todo or the tag that changed.
    subject_id uuid not null,
    -- The todo or the tag right after the change, as JSON; nothing once it is deleted for good.
    payload    text,
    changed_at timestamptz not null,
    primary key (user_id, position)
);

-- For pruning. Changes come in about the order of their time, so that a small index of blocks finds the old ones.
create index changes_changed_idx on changes using brin (changed_at);
