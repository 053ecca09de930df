//! The effects of events of accounts.

use async_trait::async_trait;
use quartet_kernel::Role;
use quartet_messaging::{Consumer, Failure, Message};
use quartet_store::{Context, Timestamp};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Queries;
use super::unit::{Unit, cached};
use crate::domain::{Account, AccountEvent};
use crate::events::{self, CONSUMER};

#[async_trait]
impl Consumer for Queries {
    async fn consume(&self, messages: &[&Message], cx: &Context) -> Result<(), Failure> {
        let mut unit = self.begin(cx);
        for message in unit.first_times(CONSUMER, messages).await? {
            match events::account_event(message)? {
                AccountEvent::Registered(account) => make_user(&mut unit, &account).await?,
                AccountEvent::RoleChanged { id, role } => set_role(&mut unit, id, role).await?,
                AccountEvent::StatusChanged { id, closed, at } => set_deleted(&mut unit, id, closed, at).await?,
                AccountEvent::Deleted { id } => purge(&mut unit, id).await?,
            }
        }
        Ok(unit.commit().await?)
    }
}

/// Makes the user of a new account, unless a call has made it before, which has newer fields of the
/// account, or the user was purged meanwhile.
async fn make_user(unit: &mut Unit, account: &Account) -> Result<(), quartet_store::Error> {
    let now = Timestamp(unit.cx().now);
    let connection = unit.connection().await?;
    // A user who is being purged right now is waited for, so that the next statement sees the
    // outcome.
    sqlx::query("update users set id = id where id = $1")
        .bind(account.id)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "insert into users (id, name, username, username_at, email, role, created_at, updated_at)
         select $1, $2, $3, $6, $4, $5, $6, $6
          where not exists (select 1 from purged_users where id = $1)
    on conflict (id) do nothing",
    )
    .bind(account.id)
    .bind(account.first_name())
    .bind(account.username.as_str())
    .bind(account.email.as_str())
    .bind(account.role.name())
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Copies the role of an account.
async fn set_role(unit: &mut Unit, id: Uuid, role: Role) -> Result<(), quartet_store::Error> {
    let now = Timestamp(unit.cx().now);
    sqlx::query("update users set role = $2, updated_at = $3 where id = $1 and role <> $2")
        .bind(id)
        .bind(role.name())
        .bind(now)
        .execute(unit.connection().await?)
        .await?;
    unit.outdate(cached(id));
    Ok(())
}

/// Deletes the user of an account that is closed, or brings them back with one that is open again,
/// if a call that should have done so was broken off between the two. What has happened to the user
/// since `changed_at` stays.
async fn set_deleted(
    unit: &mut Unit,
    id: Uuid,
    deleted: bool,
    changed_at: OffsetDateTime,
) -> Result<(), quartet_store::Error> {
    let now = Timestamp(unit.cx().now);
    // A call that is between the two right now holds the row, and is waited for.
    let sql = match deleted {
        true => {
            "update users set deleted_at = $2, updated_at = $2
              where id = $1 and deleted_at is null and updated_at <= $3"
        }
        false => {
            "update users set deleted_at = null, updated_at = $2
              where id = $1 and deleted_at is not null and updated_at <= $3"
        }
    };
    let done = sqlx::query(sql)
        .bind(id)
        .bind(now)
        .bind(Timestamp(changed_at))
        .execute(unit.connection().await?)
        .await?;
    if done.rows_affected() > 0 {
        match deleted {
            true => unit.publish(id, &events::deleted(id)),
            false => unit.publish(id, &events::restored(id)),
        }
    }
    Ok(())
}

/// Deletes the user of an account that was deleted for good. It is the last event of the account,
/// so nothing can make the user again.
async fn purge(unit: &mut Unit, id: Uuid) -> Result<(), quartet_store::Error> {
    let connection = unit.connection().await?;
    let done = sqlx::query("delete from users where id = $1")
        .bind(id)
        .execute(&mut *connection)
        .await?;
    sqlx::query("delete from purged_users where id = $1")
        .bind(id)
        .execute(connection)
        .await?;
    if done.rows_affected() > 0 {
        unit.publish(id, &events::purged(id));
    }
    Ok(())
}
