// The queries on news of accounts, compiled once per database by `postgres.rs` and `sqlite.rs`.

use async_trait::async_trait;
use quartet_messaging::inbox;
use quartet_kernel::{Deadline, Role};
use quartet_store::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Queries;
use crate::Error;
use crate::domain::Account;
use crate::events::{self, CONSUMER};
use crate::store::AccountNews;

#[async_trait]
impl AccountNews for Queries {
    async fn account_registered(
        &self,
        message_id: Uuid,
        account: &Account,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        if !inbox::first_time(&mut *transaction, CONSUMER, message_id, now).await? {
            return Ok(());
        }
        // A user who is being purged right now is waited for, so that the next statement sees what came of it.
        sqlx::query("update users set id = id where id = $1").bind(account.id).execute(&mut *transaction).await?;
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
        .bind(Timestamp(now))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn account_role_changed(
        &self,
        message_id: Uuid,
        id: Uuid,
        role: Role,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        if !inbox::first_time(&mut *transaction, CONSUMER, message_id, now).await? {
            return Ok(());
        }
        sqlx::query("update users set role = $2, updated_at = $3 where id = $1 and role <> $2")
            .bind(id)
            .bind(role.name())
            .bind(Timestamp(now))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn account_status_changed(
        &self,
        message_id: Uuid,
        id: Uuid,
        closed: bool,
        told_at: OffsetDateTime,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        if !inbox::first_time(&mut *transaction, CONSUMER, message_id, now).await? {
            return Ok(());
        }
        // A call that is between the two right now holds the row, and is waited for.
        let sql = if closed {
            "update users set deleted_at = $2, updated_at = $2 where id = $1 and deleted_at is null and updated_at <= $3"
        } else {
            "update users set deleted_at = null, updated_at = $2 where id = $1 and deleted_at is not null and updated_at <= $3"
        };
        let done = sqlx::query(sql)
            .bind(id)
            .bind(Timestamp(now))
            .bind(Timestamp(told_at))
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() > 0 {
            let (deleted, restored) = (events::deleted(id), events::restored(id));
            match closed {
                true => self.outgoing.say(&mut *transaction, now, id, &deleted).await?,
                false => self.outgoing.say(&mut *transaction, now, id, &restored).await?,
            }
        }
        transaction.commit().await?;
        self.outgoing.said();
        Ok(())
    }

    async fn account_deleted(
        &self,
        message_id: Uuid,
        id: Uuid,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        if !inbox::first_time(&mut *transaction, CONSUMER, message_id, now).await? {
            return Ok(());
        }
        let done = sqlx::query("delete from users where id = $1").bind(id).execute(&mut *transaction).await?;
        if done.rows_affected() > 0 {
            self.outgoing.say(&mut *transaction, now, id, &events::purged(id)).await?;
        }
        sqlx::query("delete from purged_users where id = $1").bind(id).execute(&mut *transaction).await?;
        transaction.commit().await?;
        self.outgoing.said();
        Ok(())
    }
}
