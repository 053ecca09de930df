//! The statements that differ from those of SQLite.

/// Deletes the user `$1` and records that they were purged at `$2`. Returns the id of a user who
/// was there; with a `$3`, only of one who was deleted before.
pub(in crate::store) const PURGE_USER: &str = "
    with purged as (
        delete from users where id = $1 and ($3 is null or deleted_at < $3) returning id
    ), recorded as (
        insert into purged_users (id, purged_at) select id, $2 from purged on conflict (id) do nothing
    )
    select id from purged";

/// Deletes the tier of the name `$1`. Returns the ids of its users, one row with null if there are
/// none, and no row when there is no such tier.
pub(in crate::store) const DELETE_TIER: &str = "
    with deleted as (delete from tiers where name = $1 returning id)
    select users.id from deleted left join users on users.tier_id = deleted.id";

/// The name of a user with its ASCII letters in lower case.
pub(in crate::store) const FOLDED_NAME: &str = r#"lower(users.name collate "C")"#;

/// The address of a user with its ASCII letters in lower case.
pub(in crate::store) const FOLDED_EMAIL: &str = r#"lower(users.email collate "C")"#;
