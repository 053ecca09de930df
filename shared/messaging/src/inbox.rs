//! What a consumer has done, kept in its own store beside the effect.

use async_trait::async_trait;
use sqlx::{PgConnection, SqliteConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::store::{postgres, sqlite};

/// A connection to a database with an `inbox` table, of either kind.
#[async_trait]
pub trait Inbox: Send {
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
    async fn first_times(
        &mut self,
        consumer: &str,
        message_ids: &[Uuid],
        now: OffsetDateTime,
    ) -> Result<Vec<Uuid>, sqlx::Error> {
        sqlite::first_times(self, consumer, message_ids, now).await
    }
}

/// Those of these messages that `consumer` sees for the first time, each once, in any order. The
/// rows are written on the caller's transaction, so they last exactly if the effects do; where two
/// transactions insert at once, the second waits for the first to end.
pub async fn first_times<C: Inbox>(
    connection: &mut C,
    consumer: &str,
    message_ids: &[Uuid],
    now: OffsetDateTime,
) -> Result<Vec<Uuid>, sqlx::Error> {
    if message_ids.is_empty() {
        return Ok(Vec::new());
    }
    let first = connection.first_times(consumer, message_ids, now).await?;
    let copies = message_ids.len() - first.len();
    if copies > 0 {
        tracing::info!(
            consumer,
            copies,
            "copies of messages that have taken effect are passed over"
        );
    }
    Ok(first)
}
