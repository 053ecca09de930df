// The queries on users, compiled once per database by `postgres.rs` and `sqlite.rs`.

use async_trait::async_trait;
use quartet_kernel::{Deadline, Role};
use quartet_store::Timestamp;
use quartet_store::page::{Page, Rows};
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Connection, Queries};
use crate::events;
use crate::Error;
use crate::domain::{Account, Key, TierName, User, UserEdit};
use crate::store::{OpenChange, Users};

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
            // The column holds only what `Role::name` gives; anything else must not make a superuser.
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

/// The transaction as a change that waits, and that is told of once it lasts.
macro_rules! open_change {
    ($self:ident, $transaction:ident) => {{
        let outgoing = $self.outgoing.clone();
        OpenChange::new(async move {
            $transaction.commit().await?;
            outgoing.said();
            Ok(())
        })
    }};
}

#[async_trait]
impl Users for Queries {
    async fn ensure_user(
        &self,
        account: &Account,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<String>, Error> {
        // Every login and refresh comes here, and hardly any has news.
        let found = copies(&mut *self.pool.read(deadline).await?, account.id).await?;
        if let Some(found) = found
            && found.need_nothing_of(account)
        {
            return Ok(found.tier);
        }
        let mut transaction = self.pool.write(deadline).await?;
        let before = copies(&mut transaction, account.id).await?;
        let news = before.is_none_or(|before| !before.are_those_of(account));
        // Two calls for a new account may both have found nothing: the second one changes what the first one has made.
        let done = sqlx::query(
            "insert into users (id, name, username, username_at, email, role, account_at, created_at, updated_at)
             values ($1, $2, $3, $6, $4, $5, $7, $6, $6)
        on conflict (id) do update
                set username_at = case when users.username = excluded.username then users.username_at else excluded.username_at end,
                    username = excluded.username,
                    email = excluded.email,
                    role = excluded.role,
                    account_at = coalesce(excluded.account_at, users.account_at),
                    updated_at = case when $8 then excluded.updated_at else users.updated_at end
              where excluded.account_at is null or users.account_at is null or users.account_at <= excluded.account_at",
        )
        .bind(account.id)
        .bind(account.first_name())
        .bind(account.username.as_str())
        .bind(account.email.as_str())
        .bind(account.role.name())
        .bind(Timestamp(now))
        .bind(account.updated_at.map(Timestamp))
        .bind(news)
        .execute(&mut *transaction)
        .await?;
        let tier = copies(&mut transaction, account.id).await?.and_then(|found| found.tier);
        if news
            && done.rows_affected() > 0
            && let Some(user) = user(&mut transaction, account.id).await? {
            self.outgoing.say(&mut *transaction, now, account.id, &events::updated(&user)).await?;
        }
        transaction.commit().await?;
        self.outgoing.said();
        Ok(tier)
    }

    async fn find_user(&self, id: Uuid, deadline: Deadline) -> Result<Option<User>, Error> {
        user(&mut *self.pool.read(deadline).await?, id).await
    }

    async fn find_user_by_username(&self, username: &str, deadline: Deadline) -> Result<Option<User>, Error> {
        let row: Option<UserRow> = sqlx::query_as(select_user!(
            "where users.username = $1 and users.deleted_at is null order by users.username_at desc limit 1"
        ))
        .bind(username)
        .fetch_optional(&mut *self.pool.read(deadline).await?)
        .await?;
        Ok(row.map(User::from))
    }

    async fn list_users(&self, deleted: bool, page: &Page<Key>, deadline: Deadline) -> Result<Rows<User>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let total = match page.known_total() {
            Some(total) => i64::from(total),
            None => {
                let count = match deleted {
                    true => "select count(*) from users where deleted_at is not null",
                    false => "select count(*) from users where deleted_at is null",
                };
                sqlx::query_scalar(count).fetch_one(&mut *connection).await?
            }
        };
        let select = match (deleted, page.after()) {
            (false, None) => select_user!(
                "where deleted_at is null order by users.created_at desc, users.id desc limit $1 offset $2"
            ),
            (true, None) => select_user!(
                "where deleted_at is not null order by users.created_at desc, users.id desc limit $1 offset $2"
            ),
            (false, Some(_)) => select_user!(
                "where deleted_at is null and (users.created_at, users.id) < ($3, $4)
              order by users.created_at desc, users.id desc limit $1 offset $2"
            ),
            (true, Some(_)) => select_user!(
                "where deleted_at is not null and (users.created_at, users.id) < ($3, $4)
              order by users.created_at desc, users.id desc limit $1 offset $2"
            ),
        };
        let mut query = sqlx::query_as(select).bind(page.fetch()).bind(page.offset());
        if let Some(key) = page.after() {
            // A number that is no moment stands in no token of this list; nobody was made before the epoch.
            let created_at = Timestamp::from_micros(key.created_at).unwrap_or(Timestamp(OffsetDateTime::UNIX_EPOCH));
            query = query.bind(created_at).bind(key.id);
        }
        let rows: Vec<UserRow> = query.fetch_all(&mut *connection).await?;
        Ok(page.cut(rows.into_iter().map(User::from).collect(), total))
    }

    async fn update_user(
        &self,
        id: Uuid,
        edit: &UserEdit,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<User>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let name = edit.name.as_ref().map(|name| name.as_str());
        let username = edit.username.as_ref().map(|username| username.as_str());
        let email = edit.email.as_ref().map(|email| email.as_str());
        let image = edit
            .profile_image_url
            .as_ref()
            .map(|url| url.as_ref().map(|url| url.as_str()));
        sqlx::query(
            "update users
                set name = coalesce($2, name),
                    username = case when $8 is null or account_at is null or account_at <= $8 then coalesce($3, username) else username end,
                    username_at = case
                        when $3 is not null and ($8 is null or account_at is null or account_at <= $8) then $7
                        else username_at end,
                    email = case when $8 is null or account_at is null or account_at <= $8 then coalesce($4, email) else email end,
                    account_at = case when account_at is null or account_at <= $8 then coalesce($8, account_at) else account_at end,
                    profile_image_url = case when $5 then $6 else profile_image_url end,
                    updated_at = $7
              where id = $1 and deleted_at is null",
        )
        .bind(id)
        .bind(name)
        .bind(username)
        .bind(email)
        .bind(image.is_some())
        .bind(image.flatten())
        .bind(Timestamp(now))
        .bind(edit.account_at.map(Timestamp))
        .execute(&mut *transaction)
        .await?;
        let user = user(&mut transaction, id).await?;
        if let Some(user) = &user {
            self.outgoing.say(&mut *transaction, now, id, &events::updated(user)).await?;
        }
        transaction.commit().await?;
        self.outgoing.said();
        Ok(user)
    }

    async fn set_tier(
        &self,
        id: Uuid,
        tier: Option<&TierName>,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<User>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let tier_id: Option<Uuid> = match tier {
            Some(tier) => Some(super::tiers::id_of(&mut transaction, tier).await?),
            None => None,
        };
        sqlx::query("update users set tier_id = $2, updated_at = $3 where id = $1 and deleted_at is null")
            .bind(id)
            .bind(tier_id)
            .bind(Timestamp(now))
            .execute(&mut *transaction)
            .await?;
        let user = user(&mut transaction, id).await?;
        if let Some(user) = &user {
            let news = events::tier_changed(id, user.tier.as_deref());
            self.outgoing.say(&mut *transaction, now, id, &news).await?;
        }
        transaction.commit().await?;
        self.outgoing.said();
        Ok(user)
    }

    async fn open_delete(
        &self,
        id: Uuid,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<OpenChange>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let done =
            sqlx::query("update users set deleted_at = $2, updated_at = $2 where id = $1 and deleted_at is null")
                .bind(id)
                .bind(Timestamp(now))
                .execute(&mut *transaction)
                .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        self.outgoing.say(&mut *transaction, now, id, &events::deleted(id)).await?;
        Ok(Some(open_change!(self, transaction)))
    }

    async fn open_restore(
        &self,
        id: Uuid,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<(User, OpenChange)>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let done =
            sqlx::query("update users set deleted_at = null, updated_at = $2 where id = $1 and deleted_at is not null")
                .bind(id)
                .bind(Timestamp(now))
                .execute(&mut *transaction)
                .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let Some(user) = user(&mut transaction, id).await? else {
            return Ok(None);
        };
        self.outgoing.say(&mut *transaction, now, id, &events::restored(id)).await?;
        Ok(Some((user, open_change!(self, transaction))))
    }

    async fn open_purge(&self, id: Uuid, deadline: Deadline) -> Result<Option<OpenChange>, Error> {
        self.open_purge_where(id, None, deadline).await
    }

    async fn open_purge_of_deleted(&self, id: Uuid, before: OffsetDateTime, deadline: Deadline) -> Result<Option<OpenChange>, Error> {
        self.open_purge_where(id, Some(before), deadline).await
    }

    async fn list_deleted(&self, before: OffsetDateTime, limit: i64, deadline: Deadline) -> Result<Vec<Uuid>, Error> {
        let mut connection = self.pool.read(deadline).await?;
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
    async fn open_purge_where(&self, id: Uuid, deleted_before: Option<OffsetDateTime>, deadline: Deadline) -> Result<Option<OpenChange>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let done = match deleted_before {
            None => sqlx::query("delete from users where id = $1").bind(id),
            Some(before) => sqlx::query("delete from users where id = $1 and deleted_at < $2").bind(id).bind(Timestamp(before)),
        };
        let done = done.execute(&mut *transaction).await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let now = self.outgoing.now();
        sqlx::query("insert into purged_users (id, purged_at) values ($1, $2) on conflict (id) do nothing")
            .bind(id)
            .bind(Timestamp(now))
            .execute(&mut *transaction)
            .await?;
        self.outgoing.say(&mut *transaction, now, id, &events::purged(id)).await?;
        Ok(Some(open_change!(self, transaction)))
    }
}

/// What a row knows of its account, and the name of its tier.
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
            (Some(Timestamp(known)), Some(told)) => known > told || known == told && self.are_those_of(account),
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

/// Of a deleted user as well.
async fn copies(connection: &mut Connection, id: Uuid) -> Result<Option<Copies>, Error> {
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

async fn user(connection: &mut Connection, id: Uuid) -> Result<Option<User>, Error> {
    let row: Option<UserRow> = sqlx::query_as(select_user!("where users.id = $1 and users.deleted_at is null"))
        .bind(id)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(User::from))
}

/// Whether the user is there.
pub(super) async fn exists(connection: &mut Connection, id: Uuid) -> Result<(), Error> {
    let found: Option<Uuid> = sqlx::query_scalar("select id from users where id = $1 and deleted_at is null")
        .bind(id)
        .fetch_optional(connection)
        .await?;
    found.map(|_| ()).ok_or(Error::UserNotFound { id })
}
