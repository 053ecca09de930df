//! What a unit of work needs from a database, whichever it is.

use std::ops::DerefMut;

use quartet_kernel::Deadline;

use crate::{Error, Postgres, Sqlite};

/// A database that a unit of work writes to: [`Postgres`] or [`Sqlite`].
pub trait Backend: Clone + Send + Sync + 'static {
    /// A connection, as queries take it.
    type Connection: Send;
    /// A transaction. It rolls back unless it is committed.
    type Transaction: DerefMut<Target = Self::Connection> + Send;
    /// A connection for one statement that needs no transaction around it.
    type Single: DerefMut<Target = Self::Connection> + Send;

    /// Begins a transaction, bounded by `deadline`.
    fn begin(&self, deadline: Deadline) -> impl Future<Output = Result<Self::Transaction, Error>> + Send;

    /// Commits a transaction.
    fn commit(transaction: Self::Transaction) -> impl Future<Output = Result<(), Error>> + Send;

    /// A connection for one statement, bounded by `deadline`. What it writes lasts once
    /// [`Backend::finish`] has returned.
    fn single(&self, deadline: Deadline) -> impl Future<Output = Result<Self::Single, Error>> + Send;

    /// Makes the one statement last, where the database commits it only now.
    fn finish(single: Self::Single) -> impl Future<Output = Result<(), Error>> + Send;
}

impl Backend for Postgres {
    type Connection = sqlx::PgConnection;
    type Transaction = sqlx::Transaction<'static, sqlx::Postgres>;
    type Single = crate::database::PostgresRead;

    async fn begin(&self, deadline: Deadline) -> Result<Self::Transaction, Error> {
        self.write(deadline).await
    }

    async fn commit(transaction: Self::Transaction) -> Result<(), Error> {
        Ok(transaction.commit().await?)
    }

    async fn single(&self, deadline: Deadline) -> Result<Self::Single, Error> {
        // PostgreSQL commits a statement outside of a transaction by itself: one round trip in
        // place of three. A tight deadline needs the transaction that carries it.
        self.read(deadline).await
    }

    async fn finish(single: Self::Single) -> Result<(), Error> {
        match single {
            Self::Single::Plain(_) => Ok(()),
            Self::Single::Bounded(transaction) => Ok(transaction.commit().await?),
        }
    }
}

impl Backend for Sqlite {
    type Connection = sqlx::SqliteConnection;
    type Transaction = crate::database::SqliteWrite;
    type Single = crate::database::SqliteWrite;

    async fn begin(&self, deadline: Deadline) -> Result<Self::Transaction, Error> {
        self.write(deadline).await
    }

    async fn commit(transaction: Self::Transaction) -> Result<(), Error> {
        Ok(transaction.commit().await?)
    }

    async fn single(&self, deadline: Deadline) -> Result<Self::Single, Error> {
        // What is one statement elsewhere may be several here, and the deadline has to hold the
        // writer.
        self.write(deadline).await
    }

    async fn finish(single: Self::Single) -> Result<(), Error> {
        Ok(single.commit().await?)
    }
}
