// The queries on users who go and come back, compiled once per database by `postgres.rs` and `sqlite.rs`.

use async_trait::async_trait;
use quartet_messaging::inbox;
use quartet_kernel::Deadline;
use quartet_store::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use super::changes::skip;
use super::{Connection, Queries};
use crate::Error;
use crate::events::CONSUMER;
use crate::store::{Departures, UserNews};

#[async_trait]
impl Departures for Queries {
    async fn user_deleted(&self, news: UserNews, now: OffsetDateTime, deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        if !inbox::first_time(&mut *transaction, CONSUMER, news.message_id, now).await? {
            return Ok(());
        }
        sqlx::query(
            "insert into departed_users (user_id, departed_at) values ($1, $2)
             on conflict (user_id) do update set departed_at = excluded.departed_at",
        )
        .bind(news.user_id)
        .bind(Timestamp(news.at))
        .execute(&mut *transaction)
        .await?;
        take_along(&mut transaction, news).await?;
        let head = skip(&mut transaction, news.user_id).await?;
        // What was written until the feed was locked; who makes todos from here on finds that their owner has departed.
        take_along(&mut transaction, news).await?;
        transaction.commit().await?;
        self.heads.tell(news.user_id, head);
        Ok(())
    }

    async fn user_restored(&self, news: UserNews, now: OffsetDateTime, deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        if !inbox::first_time(&mut *transaction, CONSUMER, news.message_id, now).await? {
            return Ok(());
        }
        sqlx::query("delete from departed_users where user_id = $1").bind(news.user_id).execute(&mut *transaction).await?;
        sqlx::query("update todos set deleted_at = null, updated_at = $2, departed = false where user_id = $1 and departed")
            .bind(news.user_id)
            .bind(Timestamp(news.at))
            .execute(&mut *transaction)
            .await?;
        let head = skip(&mut transaction, news.user_id).await?;
        transaction.commit().await?;
        self.heads.tell(news.user_id, head);
        Ok(())
    }

    async fn user_purged(&self, news: UserNews, now: OffsetDateTime, deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        if !inbox::first_time(&mut *transaction, CONSUMER, news.message_id, now).await? {
            return Ok(());
        }
        purge(&mut transaction, news.user_id).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn purge_departed(&self, before: OffsetDateTime, deadline: Deadline) -> Result<Option<Uuid>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        // The row is taken first: a user who is brought back at this moment either takes it away before, or comes back to nothing.
        let departed: Option<Uuid> = sqlx::query_scalar(
            "delete from departed_users
              where user_id = (select user_id from departed_users where departed_at < $1 order by departed_at limit 1)
                and departed_at < $1
          returning user_id",
        )
        .bind(Timestamp(before))
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(user_id) = departed {
            purge(&mut transaction, user_id).await?;
        }
        transaction.commit().await?;
        Ok(departed)
    }
}

/// Deletes the todos of a user who departs.
async fn take_along(connection: &mut Connection, news: UserNews) -> Result<(), Error> {
    sqlx::query("update todos set deleted_at = $2, updated_at = $2, departed = true where user_id = $1 and deleted_at is null")
        .bind(news.user_id)
        .bind(Timestamp(news.at))
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether a user has departed, as far as this service has heard.
pub(super) async fn has_departed(connection: &mut Connection, user_id: Uuid) -> Result<bool, Error> {
    let found: Option<Uuid> = sqlx::query_scalar("select user_id from departed_users where user_id = $1")
        .bind(user_id)
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

/// Deletes all that a user owns.
async fn purge(connection: &mut Connection, user_id: Uuid) -> Result<(), Error> {
    for sql in [
        "delete from todos where user_id = $1",
        "delete from tags where user_id = $1",
        "delete from departed_users where user_id = $1",
    ] {
        sqlx::query(sql).bind(user_id).execute(&mut *connection).await?;
    }
    skip(connection, user_id).await?;
    // Under the lock of the feed, so that no change can be on its way into it.
    sqlx::query("delete from changes where user_id = $1").bind(user_id).execute(connection).await?;
    Ok(())
}
