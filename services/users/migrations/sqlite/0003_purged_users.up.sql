-- Users who were deleted for good while their accounts may not be yet, or while news of them is still under way: they are not made again. The news
-- that the account is gone is the last there is of it, and takes the row away.
create table purged_users (
    id        blob primary key not null,
    purged_at integer not null
) strict, without rowid;
