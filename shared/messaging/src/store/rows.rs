//! The queries on outbox and inbox, compiled once per database.

use quartet_kernel::{KeptReply, KeyedRequest};
use quartet_store::{Error, Timestamp};
use sqlx::{FromRow, QueryBuilder};
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
    connection: &mut Connection,
    now: OffsetDateTime,
    until: OffsetDateTime,
    limit: i64,
) -> Result<Vec<(Row, Message)>, Error> {
    let mut rows: Vec<ClaimedRow> = sqlx::query_as(CLAIM)
        .bind(Timestamp(now))
        .bind(Timestamp(until))
        .bind(limit)
        .fetch_all(connection)
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

pub(crate) async fn mark_sent(connection: &mut Connection, seqs: &[i64], now: OffsetDateTime) -> Result<(), Error> {
    // Whoever has the claim by now: what the broker has confirmed is sent.
    sqlx::query(concat!(
        "update outbox set sent_at = $1, claimed_until = null, failure = null where sent_at is null and seq",
        among_numbers!("$2")
    ))
    .bind(Timestamp(now))
    .bind(bind_numbers(seqs))
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn release(
    connection: &mut Connection,
    seqs: &[i64],
    due_at: OffsetDateTime,
    failure: &str,
) -> Result<(), Error> {
    sqlx::query(concat!(
        "update outbox set claimed_until = null, due_at = $2, failures = failures + 1, failure = $3
          where sent_at is null and seq",
        among_numbers!("$1")
    ))
    .bind(bind_numbers(seqs))
    .bind(Timestamp(due_at))
    .bind(failure)
    .execute(connection)
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

pub(crate) async fn prune_outbox(
    connection: &mut Connection,
    before: OffsetDateTime,
    limit: i64,
) -> Result<u64, Error> {
    let done = sqlx::query(
        "delete from outbox
          where sent_at < $1 and seq in (select seq from outbox order by seq limit $2)",
    )
    .bind(Timestamp(before))
    .bind(limit)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

pub(crate) async fn prune_inbox(connection: &mut Connection, before: OffsetDateTime, limit: i64) -> Result<u64, Error> {
    let done = sqlx::query(
        "delete from inbox where (consumer, message_id) in
            (select consumer, message_id from inbox where seen_at < $1 order by seen_at limit $2)",
    )
    .bind(Timestamp(before))
    .bind(limit)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

pub(crate) async fn find_reply(
    connection: &mut Connection,
    request: &KeyedRequest,
) -> Result<Option<KeptReply>, sqlx::Error> {
    let row: Option<(Vec<u8>, Vec<u8>)> =
        sqlx::query_as("select fingerprint, reply from idempotency_keys where owner = $1 and key = $2")
            .bind(request.owner)
            .bind(request.key.as_str())
            .fetch_optional(connection)
            .await?;
    Ok(row.map(|(fingerprint, reply)| KeptReply { fingerprint, reply }))
}

/// Whether the key was free. Waits for a transaction that has inserted the key.
pub(crate) async fn insert_reply(
    connection: &mut Connection,
    request: &KeyedRequest,
    reply: &[u8],
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "insert into idempotency_keys (owner, key, method, fingerprint, reply, created_at)
         values ($1, $2, $3, $4, $5, $6)
    on conflict (owner, key) do nothing",
    )
    .bind(request.owner)
    .bind(request.key.as_str())
    .bind(&*request.method)
    .bind(request.fingerprint.as_slice())
    .bind(reply)
    .bind(Timestamp(now))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Deletes at most `limit` replies that were kept before `before`; how many there were.
pub(crate) async fn prune_replies(
    connection: &mut Connection,
    before: OffsetDateTime,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "delete from idempotency_keys where (owner, key) in
            (select owner, key from idempotency_keys where created_at < $1 order by created_at limit $2)",
    )
    .bind(Timestamp(before))
    .bind(limit)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
