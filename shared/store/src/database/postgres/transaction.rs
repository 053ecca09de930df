//! A transaction on PostgreSQL.

use std::ops::{Deref, DerefMut};

use sqlx::{AssertSqlSafe, PgConnection};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::connections::{ABANDONED, Connection};
use crate::Error;

/// A transaction. It rolls back unless it is committed.
pub struct Transaction(
    /// It is there until the transaction has ended.
    Option<Connection>,
);

impl Transaction {
    /// Begins one by `begin`, which may be several statements: they are one round trip. Whoever gives
    /// up while they are on their way leaves nothing open.
    pub(super) async fn begin(connection: Connection, begin: String) -> Result<Self, Error> {
        let mut transaction = Self(Some(connection));
        sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut *transaction).await?;
        Ok(transaction)
    }

    /// Makes what was written last.
    ///
    /// # Errors
    /// What the server says; nothing has been written then, unless it went away.
    pub async fn commit(mut self) -> Result<(), Error> {
        sqlx::raw_sql("commit").execute(&mut *self).await?;
        self.0 = None;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    #[expect(
        clippy::expect_used,
        reason = "the connection is there until the transaction has ended"
    )]
    fn deref(&self) -> &PgConnection {
        self.0.as_ref().expect("a connection")
    }
}

impl DerefMut for Transaction {
    #[expect(
        clippy::expect_used,
        reason = "the connection is there until the transaction has ended"
    )]
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("a connection")
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(mut connection) = self.0.take() else {
            return;
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                let rollback = sqlx::raw_sql("rollback").execute(&mut *connection);
                if !matches!(timeout(ABANDONED, rollback).await, Ok(Ok(_))) {
                    connection.discard();
                }
            })),
            // The server rolls back what its client leaves.
            Err(_) => connection.discard(),
        }
    }
}
