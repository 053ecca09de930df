//! The queries on outbox and inbox, compiled once per database.

use quartet_store::{Error, Timestamp};
use sqlx::{FromRow, Pool, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

use super::dialect::{among_numbers, bind_numbers, skip_locked};
use super::{Connection, Db};
use crate::Message;
use crate::store::{Lag, MessageRow, Row};

#[derive(FromRow)]
struct ClaimedRow {
    seq: i64,
    failures: i32,
    #[sqlx(flatten)]
    message: MessageRow,
}

pub(crate) async fn first_times(
    connection: &mut Connection,
    consumer: &str,
    messages: &[Uuid],
    now: OffsetDateTime,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let mut first = Vec::with_capacity(messages.len());
    // SQLite binds at most 32,766 values in a statement.
    for messages in messages.chunks(10_000) {
        let mut insert = QueryBuilder::<Db>::new("insert into inbox (consumer, message_id, seen_at) ");
        insert.push_values(messages, |mut row, id| {
            row.push_bind(consumer).push_bind(*id).push_bind(Timestamp(now));
        });
        insert.push(" on conflict do nothing returning message_id");
        let inserted: Vec<(Uuid,)> = insert.build_query_as().fetch_all(&mut *connection).await?;
        first.extend(inserted.into_iter().map(|(id,)| id));
    }
    Ok(first)
}

/// Claims the oldest due rows, of an ordered subject only the oldest row.
pub(crate) const CLAIM: &str = concat!(
    "with claimable as (
            select seq
              from outbox
             where sent_at is null
               and due_at <= $1
               and (claimed_until is null or claimed_until <= $1)
               and not (ordered and exists (
                       select 1
                         from outbox as earlier
                        where earlier.source = outbox.source
                          and earlier.subject = outbox.subject
                          and earlier.seq < outbox.seq
                          and earlier.sent_at is null
                          and earlier.ordered))
          order by seq
             limit $3",
    skip_locked!(),
    ")
         update outbox
            set claimed_until = $2
          where seq ",
    these!("select seq from claimable"),
    "
      returning seq, failures, id, kind, source, subject, ordered, time, content_type, payload, traceparent, tracestate,
                queue, priority"
);

pub(crate) async fn claim(
    pool: &Pool<Db>,
    now: OffsetDateTime,
    until: OffsetDateTime,
    limit: i64,
) -> Result<Vec<(Row, Message)>, Error> {
    let mut rows: Vec<ClaimedRow> = sqlx::query_as(CLAIM)
        .bind(Timestamp(now))
        .bind(Timestamp(until))
        .bind(limit)
        .fetch_all(pool)
        .await?;
    rows.sort_by_key(|row| row.seq);
    let claimed = |row: ClaimedRow| {
        (
            Row {
                seq: row.seq,
                failures: row.failures,
            },
            row.message.into(),
        )
    };
    Ok(rows.into_iter().map(claimed).collect())
}

pub(crate) async fn mark_sent(pool: &Pool<Db>, seqs: &[i64], now: OffsetDateTime) -> Result<(), Error> {
    // Whoever has the claim by now: what the broker has confirmed is sent.
    sqlx::query(concat!(
        "update outbox set sent_at = $1, claimed_until = null, failure = null where sent_at is null and seq",
        among_numbers!("$2")
    ))
    .bind(Timestamp(now))
    .bind(bind_numbers(seqs))
    .execute(pool)
    .await?;
    Ok(())
}

pub(crate) async fn release(pool: &Pool<Db>, seqs: &[i64], due_at: OffsetDateTime, failure: &str) -> Result<(), Error> {
    sqlx::query(concat!(
        "update outbox set claimed_until = null, due_at = $2, failures = failures + 1, failure = $3
          where sent_at is null and seq",
        among_numbers!("$1")
    ))
    .bind(bind_numbers(seqs))
    .bind(Timestamp(due_at))
    .bind(failure)
    .execute(pool)
    .await?;
    Ok(())
}

pub(crate) async fn lag(connection: &mut Connection) -> Result<Lag, Error> {
    let (unsent, oldest): (i64, Option<Timestamp>) =
        sqlx::query_as("select count(*), min(time) from outbox where sent_at is null")
            .fetch_one(connection)
            .await?;
    Ok(Lag {
        unsent: u64::try_from(unsent).unwrap_or_default(),
        oldest: oldest.map(Into::into),
    })
}

pub(crate) async fn prune_outbox(pool: &Pool<Db>, before: OffsetDateTime, limit: i64) -> Result<u64, Error> {
    let done = sqlx::query(
        "delete from outbox
          where sent_at < $1 and seq in (select seq from outbox order by seq limit $2)",
    )
    .bind(Timestamp(before))
    .bind(limit)
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

pub(crate) async fn prune_inbox(pool: &Pool<Db>, before: OffsetDateTime, limit: i64) -> Result<u64, Error> {
    let done = sqlx::query(
        "delete from inbox where (consumer, message_id) in
            (select consumer, message_id from inbox where seen_at < $1 order by seen_at limit $2)",
    )
    .bind(Timestamp(before))
    .bind(limit)
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
