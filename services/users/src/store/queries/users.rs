//! The queries on users.

use async_trait::async_trait;
use quartet_kernel::Role;
use quartet_store::page::{Page, PageResult};
use quartet_store::{Context, Timestamp};
use sqlx::{FromRow, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

use super::dialect::for_update;
use super::statements::{self, PURGE_USER};
use super::unit::Unit;
use super::{Connection, Db, Queries};
use crate::Error;
use crate::domain::{Account, Key, TierName, User, UserEdit, UserFilter};
use crate::events;
use crate::store::{PendingChange, Users};

#[derive(FromRow)]
struct UserRow {
    id: Uuid,
    name: String,
    username: String,
    email: String,
    role: String,
    profile_image_url: Option<String>,
    tier: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    deleted_at: Option<Timestamp>,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            username: row.username,
            email: row.email,
            // The column holds only what `Role::name` gives; anything else must not make a
            // superuser.
            role: Role::from_name(&row.role).unwrap_or(Role::User),
            profile_image_url: row.profile_image_url,
            tier: row.tier,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
            deleted_at: row.deleted_at.map(Into::into),
        }
    }
}

/// The columns of a [`UserRow`], with what follows them.
macro_rules! select_user {
    ($rest:literal) => {
        concat!(
            "select users.id, users.name, users.username, users.email, users.role, users.profile_image_url,
                    tiers.name as tier, users.created_at, users.updated_at, users.deleted_at
               from users left join tiers on tiers.id = users.tier_id ",
            $rest
        )
    };
}

/// A statement that writes one user, and returns the [`UserRow`].
macro_rules! returning_user {
    ($statement:literal) => {
        concat!(
            $statement,
            " returning id, name, username, email, role, profile_image_url,
                        (select tiers.name from tiers where tiers.id = tier_id) as tier,
                        created_at, updated_at, deleted_at"
        )
    };
}

#[async_trait]
impl Users for Queries {
    async fn ensure_user(&self, account: &Account, cx: &Context) -> Result<Option<String>, Error> {
        // Every login and refresh comes here, and hardly any changes something.
        let found = find_copies(&mut *self.database.read(cx.deadline).await?, account.id).await?;
        if let Some(found) = found
            && found.need_nothing_of(account)
        {
            return Ok(found.tier);
        }
        let mut unit = self.begin(cx);
        let written = match write_copies(&mut unit, account).await? {
            Some(user) => {
                // Nobody is shown a deleted user.
                if user.deleted_at.is_none() {
                    unit.publish(user.id, &events::updated(&user));
                }
                Some(user.tier)
            }
            None => write_account_at(&mut unit, account).await?,
        };
        let tier = match written {
            Some(tier) => tier,
            None => find_copies(unit.connection().await?, account.id)
                .await?
                .and_then(|found| found.tier),
        };
        unit.commit().await?;
        Ok(tier)
    }

    async fn find_user(&self, id: Uuid, cx: &Context) -> Result<Option<User>, Error> {
        let row: Option<UserRow> = sqlx::query_as(select_user!("where users.id = $1 and users.deleted_at is null"))
            .bind(id)
            .fetch_optional(&mut *self.database.read(cx.deadline).await?)
            .await?;
        Ok(row.map(User::from))
    }

    async fn find_user_by_username(&self, username: &str, cx: &Context) -> Result<Option<User>, Error> {
        let row: Option<UserRow> = sqlx::query_as(select_user!(
            "where users.username = $1 and users.deleted_at is null order by users.username_at desc limit 1"
        ))
        .bind(username)
        .fetch_optional(&mut *self.database.read(cx.deadline).await?)
        .await?;
        Ok(row.map(User::from))
    }

    async fn list_users(&self, filter: &UserFilter, page: &Page<Key>, cx: &Context) -> Result<PageResult<User>, Error> {
        let mut connection = self.database.read(cx.deadline).await?;
        let total = match page.known_total() {
            Some(total) => i64::from(total),
            None => {
                let mut count = QueryBuilder::<Db>::new("select count(*) from users where ");
                restrict(&mut count, filter);
                count.build_query_scalar().fetch_one(&mut *connection).await?
            }
        };
        let mut query = QueryBuilder::<Db>::new(select_user!("where "));
        restrict(&mut query, filter);
        if let Some(key) = page.after() {
            // A number that is no timestamp is in no token of this list; nobody was made before the
            // epoch.
            let created_at = Timestamp::from_micros(key.created_at).unwrap_or(Timestamp(OffsetDateTime::UNIX_EPOCH));
            query.push(" and (users.created_at, users.id) < (");
            query.push_bind(created_at).push(", ").push_bind(key.id).push(")");
        }
        query.push(" order by users.created_at desc, users.id desc");
        page.push_bounds(&mut query);
        let rows: Vec<UserRow> = query.build_query_as().fetch_all(&mut *connection).await?;
        Ok(page.cut(rows.into_iter().map(User::from).collect(), total))
    }

    async fn update_user(&self, id: Uuid, edit: &UserEdit, cx: &Context) -> Result<Option<User>, Error> {
        let mut unit = self.begin(cx);
        check_seen(&mut unit, id, Some(false)).await?;
        let image = edit
            .profile_image_url
            .as_ref()
            .map(|url| url.as_ref().map(|url| url.as_str()));
        // What auth decides on is copied unless the row has copied a newer account.
        let row: Option<UserRow> = sqlx::query_as(returning_user!(
            "update users
                set name = coalesce($2, name),
                    username = case
                        when $8 is null or account_at is null or account_at <= $8 then coalesce($3, username)
                        else username end,
                    username_at = case
                        when $3 is not null and ($8 is null or account_at is null or account_at <= $8) then $7
                        else username_at end,
                    email = case
                        when $8 is null or account_at is null or account_at <= $8 then coalesce($4, email)
                        else email end,
                    account_at = case
                        when account_at is null or account_at <= $8 then coalesce($8, account_at)
                        else account_at end,
                    profile_image_url = case when $5 then $6 else profile_image_url end,
                    updated_at = $7
              where id = $1 and deleted_at is null"
        ))
        .bind(id)
        .bind(edit.name.as_ref().map(|name| name.as_str()))
        .bind(edit.username.as_ref().map(|username| username.as_str()))
        .bind(edit.email.as_ref().map(|email| email.as_str()))
        .bind(image.is_some())
        .bind(image.flatten())
        .bind(Timestamp(cx.now))
        .bind(edit.account_at.map(Timestamp))
        .fetch_optional(unit.connection().await?)
        .await?;
        let user = row.map(User::from);
        if let Some(user) = &user {
            unit.publish(id, &events::updated(user));
        }
        unit.commit().await?;
        Ok(user)
    }

    async fn set_tier(&self, id: Uuid, tier: Option<&TierName>, cx: &Context) -> Result<Option<User>, Error> {
        let mut unit = self.begin(cx);
        check_seen(&mut unit, id, Some(false)).await?;
        let row: Option<UserRow> = sqlx::query_as(returning_user!(
            "update users
                set tier_id = (select tiers.id from tiers where tiers.name = $2), updated_at = $3
              where id = $1 and deleted_at is null
                and ($2 is null or exists (select 1 from tiers where tiers.name = $2))"
        ))
        .bind(id)
        .bind(tier.map(TierName::as_str))
        .bind(Timestamp(cx.now))
        .fetch_optional(unit.connection().await?)
        .await?;
        let Some(user) = row.map(User::from) else {
            return match tier {
                Some(tier) if !is_tier(unit.connection().await?, tier).await? => Err(Error::no_tier(tier)),
                _ => Ok(None),
            };
        };
        unit.publish(id, &events::tier_changed(id, user.tier.as_deref()));
        unit.commit().await?;
        Ok(Some(user))
    }

    async fn begin_delete(&self, id: Uuid, cx: &Context) -> Result<Option<PendingChange>, Error> {
        let mut unit = self.begin(cx);
        check_seen(&mut unit, id, Some(false)).await?;
        let done =
            sqlx::query("update users set deleted_at = $2, updated_at = $2 where id = $1 and deleted_at is null")
                .bind(id)
                .bind(Timestamp(cx.now))
                .execute(unit.connection().await?)
                .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        unit.publish(id, &events::deleted(id));
        Ok(Some(pending(unit).await?))
    }

    async fn begin_restore(&self, id: Uuid, cx: &Context) -> Result<Option<(User, PendingChange)>, Error> {
        let mut unit = self.begin(cx);
        check_seen(&mut unit, id, Some(true)).await?;
        let row: Option<UserRow> = sqlx::query_as(returning_user!(
            "update users set deleted_at = null, updated_at = $2 where id = $1 and deleted_at is not null"
        ))
        .bind(id)
        .bind(Timestamp(cx.now))
        .fetch_optional(unit.connection().await?)
        .await?;
        let Some(user) = row.map(User::from) else {
            return Ok(None);
        };
        unit.publish(id, &events::restored(id));
        Ok(Some((user, pending(unit).await?)))
    }

    async fn begin_purge(&self, id: Uuid, cx: &Context) -> Result<Option<PendingChange>, Error> {
        self.begin_purge_where(id, None, cx).await
    }

    async fn begin_purge_of_deleted(
        &self,
        id: Uuid,
        before: OffsetDateTime,
        cx: &Context,
    ) -> Result<Option<PendingChange>, Error> {
        self.begin_purge_where(id, Some(before), cx).await
    }

    async fn list_deleted(&self, before: OffsetDateTime, limit: i64, cx: &Context) -> Result<Vec<Uuid>, Error> {
        let mut connection = self.database.read(cx.deadline).await?;
        let ids = sqlx::query_scalar("select id from users where deleted_at < $1 order by deleted_at limit $2")
            .bind(Timestamp(before))
            .bind(limit)
            .fetch_all(&mut *connection)
            .await?;
        Ok(ids)
    }
}

impl Queries {
    /// `deleted_before` spares users who are there, or are so again.
    async fn begin_purge_where(
        &self,
        id: Uuid,
        deleted_before: Option<OffsetDateTime>,
        cx: &Context,
    ) -> Result<Option<PendingChange>, Error> {
        let mut unit = self.begin(cx);
        check_seen(&mut unit, id, None).await?;
        let purged: Option<Uuid> = sqlx::query_scalar(PURGE_USER)
            .bind(id)
            .bind(Timestamp(cx.now))
            .bind(deleted_before.map(Timestamp))
            .fetch_optional(unit.connection().await?)
            .await?;
        if purged.is_none() {
            return Ok(None);
        }
        unit.publish(id, &events::purged(id));
        Ok(Some(pending(unit).await?))
    }
}

/// The unit as a change that waits for its commit. All of it is written now: a store that cannot
/// write fails before another service acts.
async fn pending(mut unit: Unit) -> Result<PendingChange, Error> {
    unit.flush().await?;
    Ok(PendingChange::new(unit.commit()))
}

/// A `like` pattern that finds the text anywhere, with its own wildcards taken literally.
fn containing(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    format!("%{escaped}%")
}

/// Adds the condition of the filter.
fn restrict(query: &mut QueryBuilder<Db>, filter: &UserFilter) {
    query.push(match filter.deleted {
        true => "users.deleted_at is not null",
        false => "users.deleted_at is null",
    });
    if let Some(name) = &filter.name {
        let pattern = containing(&name.to_ascii_lowercase());
        query
            .push(format_args!(" and ({} like ", statements::FOLDED_NAME))
            .push_bind(pattern.clone())
            .push(" escape '\\' or users.username like ")
            .push_bind(pattern)
            .push(" escape '\\')");
    }
    if let Some(email) = &filter.email {
        query
            .push(format_args!(" and {} like ", statements::FOLDED_EMAIL))
            .push_bind(containing(&email.to_ascii_lowercase()))
            .push(" escape '\\'");
    }
}

/// What a row has copied of its account, and the name of its tier.
#[derive(FromRow)]
struct Copies {
    username: String,
    email: String,
    role: String,
    tier: Option<String>,
    account_at: Option<Timestamp>,
}

impl Copies {
    /// Whether they are of a newer account than this, or of this one.
    fn need_nothing_of(&self, account: &Account) -> bool {
        match (self.account_at, account.updated_at) {
            (Some(Timestamp(copied)), Some(current)) => {
                copied > current || copied == current && self.are_those_of(account)
            }
            (_, None) => self.are_those_of(account),
            (None, Some(_)) => false,
        }
    }

    fn are_those_of(&self, account: &Account) -> bool {
        self.username == account.username.as_str()
            && self.email == account.email.as_str()
            && self.role == account.role.name()
    }
}

/// Makes the user of the account, or copies the account's fields. Returns the user; `None` when
/// their copies are those of the account, or of a newer one. The row is locked either way.
async fn write_copies(unit: &mut Unit, account: &Account) -> Result<Option<User>, Error> {
    let now = Timestamp(unit.cx().now);
    // Two calls for a new account may both have found nothing: the second one changes what the
    // first has made.
    let row: Option<UserRow> = sqlx::query_as(returning_user!(
        "insert into users (id, name, username, username_at, email, role, account_at, created_at, updated_at)
         values ($1, $2, $3, $6, $4, $5, $7, $6, $6)
    on conflict (id) do update
            set username_at = case
                    when users.username = excluded.username then users.username_at
                    else excluded.username_at end,
                username = excluded.username,
                email = excluded.email,
                role = excluded.role,
                account_at = coalesce(excluded.account_at, users.account_at),
                updated_at = excluded.updated_at
          where (excluded.account_at is null or users.account_at is null or users.account_at <= excluded.account_at)
            and (users.username <> excluded.username or users.email <> excluded.email or users.role <> excluded.role)"
    ))
    .bind(account.id)
    .bind(account.first_name())
    .bind(account.username.as_str())
    .bind(account.email.as_str())
    .bind(account.role.name())
    .bind(now)
    .bind(account.updated_at.map(Timestamp))
    .fetch_optional(unit.connection().await?)
    .await?;
    Ok(row.map(User::from))
}

/// Records of which account the copies are, which [`write_copies`] has found up to date. Returns
/// the name of the user's tier; `None` when the copies are of a newer account, or it is unknown of
/// which.
async fn write_account_at(unit: &mut Unit, account: &Account) -> Result<Option<Option<String>>, Error> {
    let tier = sqlx::query_scalar(
        "update users set account_at = $2
          where id = $1 and (account_at is null or account_at <= $2) and $2 is not null
      returning (select tiers.name from tiers where tiers.id = tier_id)",
    )
    .bind(account.id)
    .bind(account.updated_at.map(Timestamp))
    .fetch_optional(unit.connection().await?)
    .await?;
    Ok(tier)
}

/// What the user has copied, a deleted one as well.
async fn find_copies(connection: &mut Connection, id: Uuid) -> Result<Option<Copies>, Error> {
    let copies = sqlx::query_as(
        "select users.username, users.email, users.role, tiers.name as tier, users.account_at
           from users left join tiers on tiers.id = users.tier_id
          where users.id = $1",
    )
    .bind(id)
    .fetch_optional(connection)
    .await?;
    Ok(copies)
}

async fn is_tier(connection: &mut Connection, name: &TierName) -> Result<bool, Error> {
    let found: Option<Uuid> = sqlx::query_scalar("select id from tiers where name = $1")
        .bind(name.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

/// Checks that the user, who is then locked, is as the caller has seen them. Whether they are there is
/// for the statement after it to find out. `is_deleted` is either when `None`.
async fn check_seen(unit: &mut Unit, id: Uuid, is_deleted: Option<bool>) -> Result<(), Error> {
    let Some(precondition) = unit.cx().precondition.clone() else {
        return Ok(());
    };
    let row: Option<UserRow> = sqlx::query_as(concat!(select_user!("where users.id = $1"), for_update!("users")))
        .bind(id)
        .fetch_optional(unit.connection().await?)
        .await?;
    let user = row.map(User::from);
    let user = user.filter(|user| is_deleted.is_none_or(|is_deleted| user.deleted_at.is_some() == is_deleted));
    Ok(user.map_or(Ok(()), |user| precondition.check(user.etag()))?)
}

/// Fails with [`Error::UserNotFound`] unless the user is there.
pub(super) async fn check_exists(connection: &mut Connection, id: Uuid) -> Result<(), Error> {
    let found: Option<Uuid> = sqlx::query_scalar("select id from users where id = $1 and deleted_at is null")
        .bind(id)
        .fetch_optional(connection)
        .await?;
    found.map(|_| ()).ok_or(Error::UserNotFound { id })
}
