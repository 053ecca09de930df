//! What a consumer has done, kept in its own store beside the effect.

use async_trait::async_trait;
use sqlx::{PgConnection, SqliteConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::store::{postgres, sqlite};

/// A connection to a database with an `inbox` table, of either kind.
#[async_trait]
pub trait Inbox: Send {
    /// See [`first_time`].
    async fn first_time(&mut self, consumer: &str, message_id: Uuid, now: OffsetDateTime) -> Result<bool, sqlx::Error>;

    /// See [`first_times`].
    async fn first_times(
        &mut self,
        consumer: &str,
        message_ids: &[Uuid],
        now: OffsetDateTime,
    ) -> Result<Vec<Uuid>, sqlx::Error>;
}

#[async_trait]
impl Inbox for PgConnection {
    async fn first_time(&mut self, consumer: &str, message_id: Uuid, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
        postgres::first_time(self, consumer, message_id, now).await
    }

    async fn first_times(
        &mut self,
        consumer: &str,
        message_ids: &[Uuid],
        now: OffsetDateTime,
    ) -> Result<Vec<Uuid>, sqlx::Error> {
        postgres::first_times(self, consumer, message_ids, now).await
    }
}

#[async_trait]
impl Inbox for SqliteConnection {
    async fn first_time(&mut self, consumer: &str, message_id: Uuid, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
        sqlite::first_time(self, consumer, message_id, now).await
    }

    async fn first_times(
        &mut self,
        consumer: &str,
        message_ids: &[Uuid],
        now: OffsetDateTime,
    ) -> Result<Vec<Uuid>, sqlx::Error> {
        sqlite::first_times(self, consumer, message_ids, now).await
    }
}

/// Whether `consumer` sees this message for the first time. The note is made on the caller's transaction, so it lasts exactly if the effect does;
/// where two transactions ask at once, the second waits for the first to end.
pub async fn first_time<C: Inbox>(
    connection: &mut C,
    consumer: &str,
    message_id: Uuid,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let first = connection.first_time(consumer, message_id, now).await?;
    if !first {
        tracing::info!(consumer, %message_id, "a copy of a message that has taken effect is passed over");
    }
    Ok(first)
}

/// As [`first_time`], for several messages in one statement: those of them that `consumer` sees for the first time, each once, in any order.
pub async fn first_times<C: Inbox>(
    connection: &mut C,
    consumer: &str,
    message_ids: &[Uuid],
    now: OffsetDateTime,
) -> Result<Vec<Uuid>, sqlx::Error> {
    match message_ids {
        [] => Ok(Vec::new()),
        message_ids => connection.first_times(consumer, message_ids, now).await,
    }
}
