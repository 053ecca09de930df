//! The rows of outbox and inbox: one file of queries, compiled once per database.

pub(crate) mod postgres;
pub(crate) mod sqlite;

use bytes::Bytes;
use quartet_kernel::Deadline;
use quartet_store::{Database, Error, PostgresConnections, Sqlite, Timestamp};
use sqlx::FromRow;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Message, Route};

/// Bound on a measurement of the lag.
const LAG_TIMEOUT: Duration = Duration::from_secs(5);

/// A claimed row of the outbox, beside the message in it.
pub(crate) struct Row {
    /// Its place in the outbox.
    pub(crate) seq: i64,
    /// How often sending it has failed.
    pub(crate) failures: i32,
}

/// How far behind an outbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// Rows that are not sent.
    pub unsent: u64,
    /// The time of the oldest of them.
    pub oldest: Option<OffsetDateTime>,
}

/// The rows that a relay works on.
pub(crate) enum Rows {
    /// In PostgreSQL, over connections of its own.
    Postgres(PostgresConnections),
    /// In SQLite, in turn with all others who write.
    Sqlite(Sqlite),
}

/// Calls a function of the queries of the database at hand. Each is one statement, under the pool's
/// bound on statements and without a transaction around it: a relay makes many.
macro_rules! on {
    ($self:ident . $function:ident ( $($argument:expr),* )) => {
        match $self {
            Self::Postgres(connections) => {
                let mut connection = connections.acquire().await?;
                postgres::$function(&mut connection, $($argument),*).await
            }
            Self::Sqlite(store) => {
                let mut connection = store.pool().acquire().await?;
                sqlite::$function(&mut connection, $($argument),*).await
            }
        }
    };
}

impl Rows {
    /// The rows in `database`, over so many connections.
    pub(crate) fn of(database: &Database, connections: usize) -> Self {
        match database {
            Database::Postgres(store) => Self::Postgres(postgres::relaying(store, connections)),
            Database::Sqlite(store) => Self::Sqlite(store.clone()),
        }
    }

    /// Claims due rows until `until`, the oldest first.
    pub(crate) async fn claim(
        &self,
        now: OffsetDateTime,
        until: OffsetDateTime,
        limit: i64,
    ) -> Result<Vec<(Row, Message)>, Error> {
        on!(self.claim(now, until, limit))
    }

    /// Marks rows that the broker has.
    pub(crate) async fn mark_sent(&self, seqs: &[i64], now: OffsetDateTime) -> Result<(), Error> {
        on!(self.mark_sent(seqs, now))
    }

    /// Releases rows that could not be sent, until they are due again.
    pub(crate) async fn release(&self, seqs: &[i64], due_at: OffsetDateTime, failure: &str) -> Result<(), Error> {
        on!(self.release(seqs, due_at, failure))
    }

    /// How far behind the outbox is.
    pub(crate) async fn lag(&self) -> Result<Lag, Error> {
        match self {
            Self::Postgres(connections) => postgres::lag(&mut *connections.acquire().await?).await,
            Self::Sqlite(store) => sqlite::lag(&mut *store.read(Deadline::after(LAG_TIMEOUT)).await?).await,
        }
    }

    /// Deletes at most `limit` rows sent before `before`; how many there were.
    pub(crate) async fn prune_outbox(&self, before: OffsetDateTime, limit: i64) -> Result<u64, Error> {
        on!(self.prune_outbox(before, limit))
    }

    /// Deletes at most `limit` rows of the inbox seen before `before`; how many there were.
    pub(crate) async fn prune_inbox(&self, before: OffsetDateTime, limit: i64) -> Result<u64, Error> {
        on!(self.prune_inbox(before, limit))
    }
}

/// The columns of a message, as they are in the outbox and in the local broker's queues.
#[derive(FromRow)]
pub(crate) struct MessageRow {
    id: Uuid,
    kind: String,
    source: String,
    subject: String,
    ordered: bool,
    time: Timestamp,
    content_type: String,
    payload: Vec<u8>,
    traceparent: Option<String>,
    tracestate: Option<String>,
    queue: Option<String>,
    priority: Option<String>,
}

impl From<MessageRow> for Message {
    fn from(row: MessageRow) -> Self {
        let route = match row.queue {
            None => Route::Event,
            Some(name) => Route::Queue {
                name,
                // The column holds only what `Priority` prints.
                priority: row.priority.and_then(|text| text.parse().ok()).unwrap_or_default(),
            },
        };
        Self {
            id: row.id,
            kind: row.kind,
            source: row.source,
            subject: row.subject,
            time: row.time.into(),
            content_type: row.content_type,
            payload: Bytes::from(row.payload),
            traceparent: row.traceparent,
            tracestate: row.tracestate,
            route,
            ordered: row.ordered,
        }
    }
}

/// The work queue and the priority of a message, as columns.
pub(crate) fn route_columns(route: &Route) -> (Option<String>, Option<String>) {
    match route {
        Route::Event => (None, None),
        Route::Queue { name, priority } => (Some(name.clone()), Some(priority.to_string())),
    }
}
