//! What a unit of work needs from a database, whichever it is.

use std::fmt;
use std::ops::{Deref, DerefMut};

use quartet_kernel::{Deadline, Scope};
use uuid::Uuid;

use crate::{Context, Error, Postgres, Sqlite};

/// Rows to lock ahead of the first statement of a transaction. On PostgreSQL, all parts of a statement
/// see the snapshot from before it waited for a lock; what must see the outcome of the wait has to be
/// a later statement.
#[derive(Debug, Clone)]
pub struct RowLock {
    /// The table.
    pub table: &'static str,
    /// The column of the owner, and the owner.
    pub owner: (&'static str, Uuid),
    /// The rows.
    pub ids: Vec<Uuid>,
}

impl fmt::Display for RowLock {
    /// The statement. In the order of ids, so that two transactions cannot wait for each other.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (column, owner) = self.owner;
        let ids: Vec<String> = self.ids.iter().map(|id| format!("'{id}'")).collect();
        write!(
            f,
            "select 1 from {} where {column} = '{owner}' and id in ({}) order by id for update",
            self.table,
            ids.join(", ")
        )
    }
}

/// A database that a unit of work writes to: [`Postgres`] or [`Sqlite`].
pub trait Backend: Clone + Send + Sync + 'static {
    /// A connection, as queries take it.
    type Connection: Send;
    /// A transaction. It rolls back unless it is committed.
    type Transaction: DerefMut<Target = Self::Connection> + Send + 'static;
    /// A connection for reading.
    type Read: DerefMut<Target = Self::Connection> + Send;
    /// A connection for one statement that needs no transaction around it.
    type Single: DerefMut<Target = Self::Connection> + Send;

    /// Begins a transaction, bounded by `deadline`, that has these rows locked.
    fn begin(
        &self,
        deadline: Deadline,
        locks: &[RowLock],
    ) -> impl Future<Output = Result<Self::Transaction, Error>> + Send;

    /// Locks these rows in a transaction that has begun.
    fn lock(connection: &mut Self::Connection, locks: &[RowLock]) -> impl Future<Output = Result<(), Error>> + Send;

    /// A connection for reading, bounded by `deadline`.
    fn reader(&self, deadline: Deadline) -> impl Future<Output = Result<Self::Read, Error>> + Send;

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
    type Transaction = crate::database::PostgresTransaction;
    type Read = crate::database::PostgresRead;
    type Single = crate::database::PostgresRead;

    async fn begin(&self, deadline: Deadline, locks: &[RowLock]) -> Result<Self::Transaction, Error> {
        self.write_locking(deadline, locks).await
    }

    async fn lock(connection: &mut Self::Connection, locks: &[RowLock]) -> Result<(), Error> {
        for lock in locks {
            sqlx::raw_sql(sqlx::AssertSqlSafe(lock.to_string()))
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }

    async fn reader(&self, deadline: Deadline) -> Result<Self::Read, Error> {
        self.read(deadline).await
    }

    async fn commit(transaction: Self::Transaction) -> Result<(), Error> {
        transaction.commit().await
    }

    async fn single(&self, deadline: Deadline) -> Result<Self::Single, Error> {
        // PostgreSQL commits a statement outside of a transaction by itself: one round trip in
        // place of three. A tight deadline needs the transaction that carries it.
        self.read(deadline).await
    }

    async fn finish(single: Self::Single) -> Result<(), Error> {
        match single {
            Self::Single::Plain(_) => Ok(()),
            Self::Single::Bounded(transaction) => transaction.commit().await,
        }
    }
}

impl Backend for Sqlite {
    type Connection = sqlx::SqliteConnection;
    type Transaction = crate::database::SqliteWrite;
    type Read = crate::database::SqliteRead;
    type Single = crate::database::SqliteWrite;

    async fn begin(&self, deadline: Deadline, _: &[RowLock]) -> Result<Self::Transaction, Error> {
        // There is one writer: nobody else has a row.
        self.write(deadline).await
    }

    async fn lock(_: &mut Self::Connection, _: &[RowLock]) -> Result<(), Error> {
        Ok(())
    }

    async fn reader(&self, deadline: Deadline) -> Result<Self::Read, Error> {
        self.read(deadline).await
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

/// A connection for reading what the work of a [`Context`] has written, committed or not.
pub struct Reader<B: Backend>(Source<B>);

enum Source<B: Backend> {
    Read(B::Read),
    /// The transaction of a scope, which goes back into it.
    Scope(Option<B::Transaction>, Scope),
}

impl<B: Backend> Reader<B> {
    /// A connection to `database`, or the transaction of the scope that the work is a part of.
    pub async fn within(database: &B, cx: &Context) -> Result<Self, Error> {
        let resumed = cx.scope.as_ref().and_then(|scope| Some((scope.resume()?, scope)));
        Ok(Self(match resumed {
            Some((transaction, scope)) => Source::Scope(Some(transaction), scope.clone()),
            None => Source::Read(database.reader(cx.deadline).await?),
        }))
    }
}

impl<B: Backend> Deref for Reader<B> {
    type Target = B::Connection;

    #[expect(clippy::expect_used, reason = "the transaction is there until the reader is dropped")]
    fn deref(&self) -> &B::Connection {
        match &self.0 {
            Source::Read(connection) => connection,
            Source::Scope(transaction, _) => transaction.as_ref().expect("a transaction"),
        }
    }
}

impl<B: Backend> DerefMut for Reader<B> {
    #[expect(clippy::expect_used, reason = "the transaction is there until the reader is dropped")]
    fn deref_mut(&mut self) -> &mut B::Connection {
        match &mut self.0 {
            Source::Read(connection) => connection,
            Source::Scope(transaction, _) => transaction.as_mut().expect("a transaction"),
        }
    }
}

impl<B: Backend> Drop for Reader<B> {
    fn drop(&mut self) {
        if let Source::Scope(transaction, scope) = &mut self.0
            && let Some(transaction) = transaction.take()
        {
            scope.suspend(transaction);
        }
    }
}
