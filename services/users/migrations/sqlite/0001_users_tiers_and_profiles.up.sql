-- Ids are blobs of 16 bytes, moments integers of microseconds since the epoch.
create table tiers (
    id         blob primary key not null,
    name       text not null,
    created_at integer not null,
    updated_at integer not null,
    constraint tiers_name_key unique (name)
) strict;

-- How often the users of a tier may call a path.
create table rate_limits (
    id         blob primary key not null,
    tier_id    blob not null references tiers (id) on delete cascade,
    name       text not null,
    path       text not null,
    -- Requests allowed in a period.
    amount     integer not null,
    -- Length of the period in seconds.
    period     integer not null,
    created_at integer not null,
    updated_at integer not null,
    constraint rate_limits_tier_path_key unique (tier_id, path),
    constraint rate_limits_tier_name_key unique (tier_id, name)
) strict;

-- `id` is an account of the auth service. User name, address and role are the account's; they stand here as copies, for display and lookup.
--
-- The copies are not unique on purpose. The auth service has decided on uniqueness before a copy gets here, and copies arrive one by one: when two people
-- swap names, or a name is given up and taken by somebody else, one row holds the old name until its account signs in again. A
-- unique constraint would refuse the copy that is right because of the one that is stale.
create table users (
    id                blob primary key not null,
    name              text not null,
    username          text not null,
    -- When the copy of the user name was taken. Of two rows with one name, the later one is right.
    username_at       integer not null,
    email             text not null,
    role              text not null,
    profile_image_url text,
    tier_id           blob references tiers (id) on delete set null,
    created_at        integer not null,
    updated_at        integer not null,
    deleted_at        integer
) strict;

create index users_created_idx on users (created_at, id) where deleted_at is null;
create index users_deleted_created_idx on users (created_at, id) where deleted_at is not null;
create index users_username_idx on users (username, username_at) where deleted_at is null;
-- Deleting a tier looks for its users.
create index users_tier_idx on users (tier_id) where tier_id is not null;

create table profiles (
    user_id    blob primary key not null references users (id) on delete cascade,
    bio        text,
    avatar_url text,
    created_at integer not null,
    updated_at integer not null
) strict;
