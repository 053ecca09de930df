//! The replies to requests with a key, in the store and the transaction of their effects.
//!
//! A request with a key runs in a [`Scope`]: its units of work suspend their transaction there.
//! [`Replies`] adds the row of the key with the reply and commits. Of two requests with one key, the
//! second waits at the primary key of the table until the first has ended, and is then rolled back
//! or goes on.

use std::time::Duration;

use async_trait::async_trait;
use quartet_clock::Clock;
use quartet_kernel::idempotency::Keeping;
use quartet_kernel::{Deadline, Fault, KeptReplies, KeptReply, KeyedRequest, Scope};
use quartet_store::{Backend, Database, Error};
use sqlx::{PgConnection, SqliteConnection};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::store::{postgres, sqlite};

/// The kept replies of one service.
#[derive(Clone)]
pub struct Replies {
    database: Database,
    clock: Clock,
}

impl Replies {
    /// The replies in `database`, whose migrations make the table `idempotency_keys`.
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }
}

#[async_trait]
impl KeptReplies for Replies {
    async fn find(&self, request: &KeyedRequest, deadline: Deadline) -> Result<Option<KeptReply>, Fault> {
        let found = match &self.database {
            Database::Postgres(database) => find(database, request, deadline).await,
            Database::Sqlite(database) => find(database, request, deadline).await,
        };
        found.map_err(Error::into_fault)
    }

    async fn keep(
        &self,
        request: &KeyedRequest,
        reply: &[u8],
        scope: &Scope,
        deadline: Deadline,
    ) -> Result<Keeping, Fault> {
        let now = self.clock.now();
        match &self.database {
            Database::Postgres(database) => keep(database, request, reply, scope, now, deadline).await,
            Database::Sqlite(database) => keep(database, request, reply, scope, now, deadline).await,
        }
    }
}

/// How often replies are pruned.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);
/// Replies that one statement prunes; locks are held briefly.
const PRUNE_BATCH: i64 = 1_000;
/// Bound on one such statement.
const PRUNE_TIMEOUT: Duration = Duration::from_secs(10);

impl Replies {
    /// Deletes replies that were kept for longer than `retention`, until `stop`. Several instances
    /// may do so at once.
    pub async fn prune(self, retention: Duration, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let before = self.clock.now() - retention;
            match self.prune_once(before).await {
                Ok(pruned) if pruned == PRUNE_BATCH.unsigned_abs() => continue,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "old replies could not be deleted; trying again later"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PRUNE_INTERVAL) => {}
            }
        }
    }

    /// Deletes some of the replies that were kept before `before`; how many there were.
    pub async fn prune_once(&self, before: OffsetDateTime) -> Result<u64, Error> {
        let deadline = Deadline::after(PRUNE_TIMEOUT);
        match &self.database {
            Database::Postgres(database) => prune(database, before, deadline).await,
            Database::Sqlite(database) => prune(database, before, deadline).await,
        }
    }
}

async fn prune<B>(database: &B, before: OffsetDateTime, deadline: Deadline) -> Result<u64, Error>
where
    B: Backend,
    B::Connection: IdempotencyKeys,
{
    let mut single = database.single(deadline).await?;
    let pruned = single.prune_replies(before, PRUNE_BATCH).await?;
    B::finish(single).await?;
    Ok(pruned)
}

async fn find<B>(database: &B, request: &KeyedRequest, deadline: Deadline) -> Result<Option<KeptReply>, Error>
where
    B: Backend,
    B::Connection: IdempotencyKeys,
{
    Ok(database.reader(deadline).await?.find_reply(request).await?)
}

async fn keep<B>(
    database: &B,
    request: &KeyedRequest,
    reply: &[u8],
    scope: &Scope,
    now: OffsetDateTime,
    deadline: Deadline,
) -> Result<Keeping, Fault>
where
    B: Backend,
    B::Connection: IdempotencyKeys,
{
    let ended = scope.end::<B::Transaction>().map_err(|broken| {
        tracing::error!(%broken, method = &*request.method, "a request with a key is rolled back");
        Fault::Internal
    })?;
    let mut transaction = match ended.transaction {
        Some(transaction) => transaction,
        // Nothing was written. The reply is kept all the same, so that a repeat gets it, whatever has
        // changed since.
        None => database.begin(deadline, &[]).await.map_err(Error::into_fault)?,
    };
    match transaction.insert_reply(request, reply, now).await.map_err(Error::from) {
        Ok(true) => {}
        Ok(false) => return Ok(Keeping::Taken),
        // What the statement waited for was the end of another request with the key.
        Err(Error::Deadline) => return Ok(Keeping::InUse),
        Err(error) => return Err(error.into_fault()),
    }
    B::commit(transaction).await.map_err(Error::into_fault)?;
    for act in ended.after {
        act().await;
    }
    Ok(Keeping::Committed)
}

/// A connection to a database with a table `idempotency_keys`, of either kind.
#[async_trait]
trait IdempotencyKeys: Send {
    async fn find_reply(&mut self, request: &KeyedRequest) -> Result<Option<KeptReply>, sqlx::Error>;

    /// Whether the key was free.
    async fn insert_reply(
        &mut self,
        request: &KeyedRequest,
        reply: &[u8],
        now: OffsetDateTime,
    ) -> Result<bool, sqlx::Error>;

    async fn prune_replies(&mut self, before: OffsetDateTime, limit: i64) -> Result<u64, sqlx::Error>;
}

/// The queries of one database, which are compiled once for each.
macro_rules! keys_in {
    ($connection:ty, $queries:ident) => {
        #[async_trait]
        impl IdempotencyKeys for $connection {
            async fn find_reply(&mut self, request: &KeyedRequest) -> Result<Option<KeptReply>, sqlx::Error> {
                $queries::find_reply(self, request).await
            }

            async fn insert_reply(
                &mut self,
                request: &KeyedRequest,
                reply: &[u8],
                now: OffsetDateTime,
            ) -> Result<bool, sqlx::Error> {
                $queries::insert_reply(self, request, reply, now).await
            }

            async fn prune_replies(&mut self, before: OffsetDateTime, limit: i64) -> Result<u64, sqlx::Error> {
                $queries::prune_replies(self, before, limit).await
            }
        }
    };
}

keys_in!(PgConnection, postgres);
keys_in!(SqliteConnection, sqlite);
