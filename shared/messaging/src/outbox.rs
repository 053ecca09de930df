//! What a service publishes, kept in its own store until the broker has it. Units of work write it:
//! see [`unit`](crate::unit).

use async_trait::async_trait;
use sqlx::{Database, PgConnection, QueryBuilder, SqliteConnection};

use quartet_store::Error;

use crate::Message;
use crate::store::{Rows, postgres, sqlite};

pub use crate::store::Lag;

/// A connection to a database with an `outbox` table, of either kind.
#[async_trait]
pub trait Outbox: Send {
    /// The database.
    type Db: Database;

    /// Appends to a statement the SQL that inserts these messages, in this order. `condition` is
    /// SQL such as `where exists (select from made)`, for a statement that inserts them only then;
    /// it has a meaning on PostgreSQL alone.
    fn push_insert(statement: &mut QueryBuilder<Self::Db>, messages: &[Message], condition: &str);

    /// Appends messages, in this order, on the connection's transaction.
    async fn append_all(&mut self, messages: &[Message]) -> Result<(), sqlx::Error>;
}

#[async_trait]
impl Outbox for PgConnection {
    type Db = sqlx::Postgres;

    fn push_insert(statement: &mut QueryBuilder<Self::Db>, messages: &[Message], condition: &str) {
        postgres::push_insert(statement, messages, condition);
    }

    async fn append_all(&mut self, messages: &[Message]) -> Result<(), sqlx::Error> {
        postgres::append(self, messages).await
    }
}

#[async_trait]
impl Outbox for SqliteConnection {
    type Db = sqlx::Sqlite;

    fn push_insert(statement: &mut QueryBuilder<Self::Db>, messages: &[Message], _: &str) {
        sqlite::push_insert(statement, messages);
    }

    async fn append_all(&mut self, messages: &[Message]) -> Result<(), sqlx::Error> {
        sqlite::append(self, messages).await
    }
}

/// Appends messages on the caller's transaction: they are sent if, and once, that commits.
pub async fn append_all<C: Outbox>(connection: &mut C, messages: &[Message]) -> Result<(), sqlx::Error> {
    match messages {
        [] => Ok(()),
        messages => connection.append_all(messages).await,
    }
}

/// How far behind the outbox in `database` is.
///
/// # Errors
/// When the store is away, or has no outbox yet.
pub async fn lag(database: &quartet_store::Database) -> Result<Lag, Error> {
    Rows::of(database, 1).lag().await
}
