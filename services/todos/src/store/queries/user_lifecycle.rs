//! What happens to the todos of users who are deleted, restored and purged.

use async_trait::async_trait;
use quartet_messaging::{Consumer, Failure, Message};
use quartet_store::{Context, Timestamp};
use time::OffsetDateTime;
use uuid::Uuid;

use super::feed::recount;
use super::unit::Unit;
use super::{Connection, Queries};
use crate::Error;
use crate::domain::{UserEvent, UserEventKind};
use crate::events::{self, CONSUMER};
use crate::store::UserLifecycle;

#[async_trait]
impl Consumer for Queries {
    async fn consume(&self, messages: &[&Message], cx: &Context) -> Result<(), Failure> {
        let mut unit = self.begin(cx);
        for message in unit.first_times(CONSUMER, messages).await? {
            let event = events::user_event(message)?;
            match event.kind {
                UserEventKind::Deleted => delete(&mut unit, event).await?,
                UserEventKind::Restored => restore(&mut unit, event).await?,
                UserEventKind::Purged => purge(&mut unit, event.user_id).await?,
            }
        }
        Ok(unit.commit().await?)
    }
}

#[async_trait]
impl UserLifecycle for Queries {
    async fn purge_deleted_user(&self, before: OffsetDateTime, cx: &Context) -> Result<Option<Uuid>, Error> {
        let mut unit = self.begin(cx);
        // The row is deleted first: a user who is restored at the same time either deletes it before,
        // or comes back to nothing.
        let user_id: Option<Uuid> = sqlx::query_scalar(
            "delete from deleted_users
              where user_id = (select user_id from deleted_users where deleted_at < $1 order by deleted_at limit 1)
                and deleted_at < $1
          returning user_id",
        )
        .bind(Timestamp(before))
        .fetch_optional(unit.connection().await?)
        .await?;
        if let Some(user_id) = user_id {
            purge(&mut unit, user_id).await?;
        }
        unit.commit().await?;
        Ok(user_id)
    }
}

async fn delete(unit: &mut Unit, event: UserEvent) -> Result<(), Error> {
    sqlx::query(
        "insert into deleted_users (user_id, deleted_at) values ($1, $2)
         on conflict (user_id) do update set deleted_at = excluded.deleted_at",
    )
    .bind(event.user_id)
    .bind(Timestamp(event.at))
    .execute(unit.connection().await?)
    .await?;
    delete_todos(unit.connection().await?, event).await?;
    unit.journal().skip(event.user_id);
    unit.flush().await?;
    // What was written until the feed was locked. An import finds from here on that its owner is
    // deleted; the sessions of a deleted user end, so that no call makes todos for long.
    delete_todos(unit.connection().await?, event).await?;
    recount(unit.connection().await?, event.user_id).await
}

/// Restored are the todos that were deleted with the user; what the user had deleted stays so.
async fn restore(unit: &mut Unit, event: UserEvent) -> Result<(), Error> {
    sqlx::query("delete from deleted_users where user_id = $1")
        .bind(event.user_id)
        .execute(unit.connection().await?)
        .await?;
    sqlx::query(
        "update todos
            set deleted_at = null, updated_at = $2, deleted_with_user = false
          where user_id = $1 and deleted_with_user",
    )
    .bind(event.user_id)
    .bind(Timestamp(event.at))
    .execute(unit.connection().await?)
    .await?;
    unit.journal().skip(event.user_id);
    unit.flush().await?;
    recount(unit.connection().await?, event.user_id).await
}

async fn delete_todos(connection: &mut Connection, event: UserEvent) -> Result<(), Error> {
    sqlx::query(
        "update todos
            set deleted_at = $2, updated_at = $2, deleted_with_user = true
          where user_id = $1 and deleted_at is null",
    )
    .bind(event.user_id)
    .bind(Timestamp(event.at))
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes all that a user owns for good.
async fn purge(unit: &mut Unit, user_id: Uuid) -> Result<(), Error> {
    for sql in [
        "delete from todos where user_id = $1",
        "delete from tags where user_id = $1",
        "delete from deleted_users where user_id = $1",
    ] {
        sqlx::query(sql).bind(user_id).execute(unit.connection().await?).await?;
    }
    unit.journal().skip(user_id);
    unit.flush().await?;
    // Under the lock of the feed, so that no change can be on its way into it.
    sqlx::query("delete from changes where user_id = $1")
        .bind(user_id)
        .execute(unit.connection().await?)
        .await?;
    recount(unit.connection().await?, user_id).await
}
