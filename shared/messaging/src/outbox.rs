//! What a service says, kept in its own store until the broker has it.
//!
//! ```ignore
//! let mut transaction = self.pool.write(deadline).await?;
//! // … the write …
//! outbox::append(&mut *transaction, &message).await?;
//! transaction.commit().await?;
//! self.wake.wake();
//! ```

use async_trait::async_trait;
use sqlx::{PgConnection, SqliteConnection};

use crate::Message;
use crate::store::{postgres, sqlite};

/// A connection to a database with an `outbox` table, of either kind.
#[async_trait]
pub trait Outbox: Send {
    /// Appends messages, in this order, on the connection's transaction.
    async fn append_all(&mut self, messages: &[Message]) -> Result<(), sqlx::Error>;
}

#[async_trait]
impl Outbox for PgConnection {
    async fn append_all(&mut self, messages: &[Message]) -> Result<(), sqlx::Error> {
        postgres::append(self, messages).await
    }
}

#[async_trait]
impl Outbox for SqliteConnection {
    async fn append_all(&mut self, messages: &[Message]) -> Result<(), sqlx::Error> {
        sqlite::append(self, messages).await
    }
}

/// Appends a message on the caller's transaction: it is sent if, and once, that commits.
pub async fn append<C: Outbox>(connection: &mut C, message: &Message) -> Result<(), sqlx::Error> {
    connection.append_all(std::slice::from_ref(message)).await
}

/// As [`append`], for several messages in one statement.
pub async fn append_all<C: Outbox>(connection: &mut C, messages: &[Message]) -> Result<(), sqlx::Error> {
    match messages {
        [] => Ok(()),
        messages => connection.append_all(messages).await,
    }
}
