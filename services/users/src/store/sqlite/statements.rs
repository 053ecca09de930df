//! The statements that differ from those of PostgreSQL. The text of one may be several statements,
//! which share their parameters and run in one call.

/// Deletes the user `$1` and records that they were purged at `$2`. Returns the id of a user who
/// was there; with a `$3`, only of one who was deleted before.
pub(in crate::store) const PURGE_USER: &str = "
    insert into purged_users (id, purged_at)
    select id, $2 from users where id = $1 and ($3 is null or deleted_at < $3)
    on conflict (id) do nothing;
    delete from users where id = $1 and ($3 is null or deleted_at < $3) returning id";

/// Deletes the tier of the name `$1`. Returns the ids of its users, one row with null if there are
/// none, and no row when there is no such tier.
pub(in crate::store) const DELETE_TIER: &str = "
    select users.id from tiers left join users on users.tier_id = tiers.id where tiers.name = $1;
    delete from tiers where name = $1";

/// The name of a user with its ASCII letters in lower case.
pub(in crate::store) const FOLDED_NAME: &str = "lower(users.name)";

/// The address of a user with its ASCII letters in lower case.
pub(in crate::store) const FOLDED_EMAIL: &str = "lower(users.email)";
