//! The queues as rows.

use std::collections::BTreeSet;
use std::time::Duration;

use quartet_kernel::Deadline;
use quartet_store::{Error, Sqlite, Timestamp};
use sqlx::{FromRow, QueryBuilder, SqliteConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::broker::{DeadLetter, Published, QueueStats};
use crate::queue::matches;
use crate::store::{MessageRow, route_columns};
use crate::{Message, Queue, Subscription};

/// Bound on each of these statements.
fn bound() -> Deadline {
    Deadline::after(Duration::from_secs(5))
}

/// A message that was delivered.
#[derive(FromRow)]
struct DeliveryRow {
    seq: i64,
    handed_out: i64,
    retries: i64,
    reason: Option<String>,
    dead_at: Option<Timestamp>,
    #[sqlx(flatten)]
    message: MessageRow,
}

/// A message that was delivered.
pub(super) struct Delivery {
    pub(super) seq: i64,
    pub(super) handed_out: u32,
    pub(super) retries: u32,
    pub(super) message: Message,
}

/// What becomes of a message that was delivered.
pub(super) enum Settled {
    /// It leaves the queue.
    Done,
    /// It comes back at that time.
    Retry { due_at: OffsetDateTime, reason: String },
    /// It is a dead letter.
    Dead { at: OffsetDateTime, reason: String },
}

pub(super) async fn declare(pool: &Sqlite, queues: &[Queue]) -> Result<(), Error> {
    let mut transaction = pool.write(bound()).await?;
    for queue in queues {
        let bindings = serde_json::Value::from(queue.bindings.clone()).to_string();
        sqlx::query(
            "insert into queues (name, bindings) values ($1, $2)
             on conflict (name) do update set bindings = excluded.bindings where bindings <> excluded.bindings",
        )
        .bind(&queue.name)
        .bind(bindings)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Puts messages into the queues that accept them; what became of each, and the queues that were touched.
pub(super) async fn insert(
    pool: &Sqlite,
    batch: &[Message],
    now: OffsetDateTime,
) -> Result<(Vec<Published>, BTreeSet<String>), Error> {
    let mut transaction = pool.write(bound()).await?;
    let rows: Vec<(String, String)> = sqlx::query_as("select name, bindings from queues")
        .fetch_all(&mut *transaction)
        .await?;
    // The column holds only what `declare` wrote.
    let queues: Vec<(String, Vec<String>)> = rows
        .into_iter()
        .map(|(name, bindings)| (name, serde_json::from_str(&bindings).unwrap_or_default()))
        .collect();

    let mut touched = BTreeSet::new();
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut copies: Vec<(&str, &Message)> = Vec::with_capacity(batch.len());
    for message in batch {
        let accepting: Vec<&str> = match message.route.queue() {
            Some(work) => queues
                .iter()
                .filter(|(name, _)| *name == work)
                .map(|(name, _)| name.as_str())
                .collect(),
            None => queues
                .iter()
                .filter(|(_, bindings)| bindings.iter().any(|pattern| matches(pattern, &message.kind)))
                .map(|(name, _)| name.as_str())
                .collect(),
        };
        outcomes.push(match message.route.queue().is_some() && accepting.is_empty() {
            true => Published::Unroutable,
            false => Published::Confirmed,
        });
        for queue in accepting {
            touched.insert(queue.to_owned());
            copies.push((queue, message));
        }
    }
    // SQLite binds at most 32,766 values in a statement.
    for copies in copies.chunks(1_000) {
        insert_copies(&mut transaction, copies, now).await?;
    }
    transaction.commit().await?;
    Ok((outcomes, touched))
}

async fn insert_copies(
    connection: &mut SqliteConnection,
    copies: &[(&str, &Message)],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let mut insert = QueryBuilder::<sqlx::Sqlite>::new(
        "insert into deliveries
            (queue_name, id, kind, source, subject, ordered, time, content_type, payload, traceparent, tracestate,
             queue, priority, due_at) ",
    );
    insert.push_values(copies, |mut row, (queue_name, message)| {
        let (queue, priority) = route_columns(&message.route);
        row.push_bind((*queue_name).to_owned())
            .push_bind(message.id)
            .push_bind(message.kind.clone())
            .push_bind(message.source.clone())
            .push_bind(message.subject.clone())
            .push_bind(message.ordered)
            .push_bind(Timestamp(message.time))
            .push_bind(message.content_type.clone())
            .push_bind(message.payload.to_vec())
            .push_bind(message.traceparent.clone())
            .push_bind(message.tracestate.clone())
            .push_bind(queue)
            .push_bind(priority)
            .push_bind(Timestamp(now));
    });
    insert.push(" on conflict (queue_name, id) do nothing");
    insert.build().execute(connection).await?;
    Ok(())
}

/// Delivers due messages that are not `in_flight`, the oldest first; none while the queue is paused.
pub(super) async fn take(
    pool: &Sqlite,
    subscription: &Subscription,
    in_flight: &[i64],
    now: OffsetDateTime,
    limit: usize,
) -> Result<Vec<Delivery>, Error> {
    let in_flight = serde_json::Value::from(in_flight).to_string();
    // A poll costs no write: most polls of a quiet queue find nothing.
    let mut connection = pool.read(bound()).await?;
    let seqs: Vec<i64> = sqlx::query_scalar(
        "select seq
           from deliveries
          where queue_name = $1
            and dead_at is null
            and due_at <= $2
            and seq not in (select value from json_each($3))
            and not exists (select 1 from queues where name = $1 and paused)
            and not ($4 and exists (
                    select 1
                      from deliveries as earlier
                     where earlier.queue_name = $1
                       and earlier.source = deliveries.source
                       and earlier.subject = deliveries.subject
                       and earlier.seq < deliveries.seq
                       and earlier.dead_at is null))
       order by seq
          limit $5",
    )
    .bind(&subscription.queue.name)
    .bind(Timestamp(now))
    .bind(in_flight)
    .bind(subscription.queue.ordered)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(&mut *connection)
    .await?;
    drop(connection);
    if seqs.is_empty() {
        return Ok(Vec::new());
    }
    // Counted before it is delivered, so that a message that kills the process is recognized by its count.
    let mut transaction = pool.write(bound()).await?;
    let rows: Vec<DeliveryRow> = sqlx::query_as(
        "update deliveries set handed_out = handed_out + 1
          where seq in (select value from json_each($1)) and dead_at is null
      returning seq, handed_out, retries, reason, dead_at,
                id, kind, source, subject, ordered, time, content_type, payload, traceparent, tracestate,
                queue, priority",
    )
    .bind(serde_json::Value::from(seqs).to_string())
    .fetch_all(&mut *transaction)
    .await?;
    transaction.commit().await?;
    let mut deliveries: Vec<Delivery> = rows
        .into_iter()
        .map(|row| Delivery {
            seq: row.seq,
            handed_out: u32::try_from(row.handed_out).unwrap_or(u32::MAX),
            retries: u32::try_from(row.retries).unwrap_or(u32::MAX),
            message: row.message.into(),
        })
        .collect();
    deliveries.sort_by_key(|delivery| delivery.seq);
    Ok(deliveries)
}

/// When the next retry of a queue is due.
pub(super) async fn next_due(pool: &Sqlite, queue: &str, now: OffsetDateTime) -> Result<Option<OffsetDateTime>, Error> {
    let mut connection = pool.read(bound()).await?;
    let due: Option<Timestamp> = sqlx::query_scalar(
        "select min(due_at) from deliveries where queue_name = $1 and dead_at is null and due_at > $2",
    )
    .bind(queue)
    .bind(Timestamp(now))
    .fetch_one(&mut *connection)
    .await?;
    Ok(due.map(Into::into))
}

/// Writes what became of messages that were delivered.
pub(super) async fn settle(pool: &Sqlite, settled: &[(i64, Settled)]) -> Result<(), Error> {
    let mut transaction = pool.write(bound()).await?;
    let done = settled.iter().filter(|(_, settled)| matches!(settled, Settled::Done));
    let done: Vec<i64> = done.map(|(seq, _)| *seq).collect();
    if !done.is_empty() {
        sqlx::query("delete from deliveries where seq in (select value from json_each($1))")
            .bind(serde_json::Value::from(done).to_string())
            .execute(&mut *transaction)
            .await?;
    }
    for (seq, settled) in settled {
        let query = match settled {
            Settled::Done => continue,
            Settled::Retry { due_at, reason } => sqlx::query(
                "update deliveries set retries = retries + 1, handed_out = 0, due_at = $2, reason = $3 where seq = $1",
            )
            .bind(seq)
            .bind(Timestamp(*due_at))
            .bind(reason),
            Settled::Dead { at, reason } => {
                sqlx::query("update deliveries set dead_at = $2, reason = $3 where seq = $1")
                    .bind(seq)
                    .bind(Timestamp(*at))
                    .bind(reason)
            }
        };
        query.execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}

pub(super) async fn dead(pool: &Sqlite, queue: &str, limit: u32) -> Result<Vec<DeadLetter>, Error> {
    let mut connection = pool.read(bound()).await?;
    let rows: Vec<DeliveryRow> = sqlx::query_as(
        "select seq, handed_out, retries, reason, dead_at,
                id, kind, source, subject, ordered, time, content_type, payload, traceparent, tracestate,
                queue, priority
           from deliveries
          where queue_name = $1 and dead_at is not null
       order by seq
          limit $2",
    )
    .bind(queue)
    .bind(limit)
    .fetch_all(&mut *connection)
    .await?;
    let letter = |row: DeliveryRow| DeadLetter {
        message: row.message.into(),
        queue: queue.to_owned(),
        reason: row.reason.unwrap_or_default(),
        retries: u32::try_from(row.retries).unwrap_or(u32::MAX),
        dead_since: row.dead_at.map(Into::into),
    };
    Ok(rows.into_iter().map(letter).collect())
}

/// Makes a dead letter a message again; whether it was there.
pub(super) async fn revive(pool: &Sqlite, queue: &str, id: Uuid, now: OffsetDateTime) -> Result<bool, Error> {
    let mut transaction = pool.write(bound()).await?;
    let done = sqlx::query(
        "update deliveries set dead_at = null, reason = null, retries = 0, handed_out = 0, due_at = $3
          where queue_name = $1 and id = $2 and dead_at is not null",
    )
    .bind(queue)
    .bind(id)
    .bind(Timestamp(now))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn stats(
    pool: &Sqlite,
    queue: &str,
    consumers: u64,
    now: OffsetDateTime,
) -> Result<Option<QueueStats>, Error> {
    let mut connection = pool.read(bound()).await?;
    let row: Option<(bool, i64, i64, i64)> = sqlx::query_as(
        "select paused,
                (select count(*) from deliveries where queue_name = name and dead_at is null and due_at <= $2),
                (select count(*) from deliveries where queue_name = name and dead_at is null and due_at > $2),
                (select count(*) from deliveries where queue_name = name and dead_at is not null)
           from queues
          where name = $1",
    )
    .bind(queue)
    .bind(Timestamp(now))
    .fetch_optional(&mut *connection)
    .await?;
    let count = |number: i64| u64::try_from(number).unwrap_or_default();
    Ok(row.map(|(paused, ready, delayed, dead)| QueueStats {
        ready: count(ready),
        delayed: count(delayed),
        dead: count(dead),
        consumers,
        paused,
    }))
}

pub(super) async fn set_paused(pool: &Sqlite, queue: &str, paused: bool) -> Result<(), Error> {
    let mut transaction = pool.write(bound()).await?;
    sqlx::query("update queues set paused = $2 where name = $1")
        .bind(queue)
        .bind(paused)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}
