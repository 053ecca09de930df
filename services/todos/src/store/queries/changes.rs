// The queries on the feed of changes, compiled once per database by `postgres.rs` and `sqlite.rs`.

use async_trait::async_trait;
use quartet_kernel::Deadline;
use quartet_store::Timestamp;
use sqlx::{FromRow, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Connection, Db, Queries, bind_ids};
use crate::Error;
use crate::domain::{Change, ChangeKind, Recorded, Stretch};
use crate::store::{Changes, Heads, snapshot};

#[derive(FromRow)]
struct ChangeRow {
    position: i64,
    kind: i16,
    subject_id: Uuid,
    payload: Option<String>,
    changed_at: Timestamp,
}

impl TryFrom<ChangeRow> for Recorded {
    type Error = Error;

    fn try_from(row: ChangeRow) -> Result<Self, Error> {
        let unknown = || sqlx::Error::Decode(format!("a change of kind {}", row.kind).into());
        let kind = ChangeKind::from_number(row.kind).ok_or_else(unknown)?;
        let subject = snapshot::read(kind, row.subject_id, row.payload.as_deref()).map_err(|error| sqlx::Error::Decode(error.into()))?;
        let change = Change { kind, subject_id: row.subject_id, subject };
        Ok(Self { position: row.position, at: row.changed_at.into(), change })
    }
}

/// Appends changes to the owner's feed; the number of the last one. It has to be the last thing that a transaction does: the owner's row in
/// `feeds` stays locked from here to the commit, which keeps the numbers in the order of the commits, and since nothing else is locked
/// after it, no two transactions can wait for one another over it.
pub(super) async fn append(connection: &mut Connection, owner: Uuid, changes: &[Change], now: OffsetDateTime) -> Result<i64, Error> {
    let head: i64 = sqlx::query_scalar(
        "insert into feeds (user_id, head) values ($1, $2)
         on conflict (user_id) do update set head = feeds.head + excluded.head
      returning head",
    )
    .bind(owner)
    .bind(changes.len() as i64)
    .fetch_one(&mut *connection)
    .await?;
    let first = head - changes.len() as i64 + 1;
    let mut payloads = Vec::with_capacity(changes.len());
    for change in changes {
        payloads.push(snapshot::write(&change.subject).map_err(|error| sqlx::Error::Encode(error.into()))?);
    }
    let mut insert = QueryBuilder::<Db>::new("insert into changes (user_id, position, kind, subject_id, payload, changed_at) ");
    insert.push_values((first..).zip(changes).zip(payloads), |mut row, ((position, change), payload)| {
        row.push_bind(owner)
            .push_bind(position)
            .push_bind(change.kind.number())
            .push_bind(change.subject_id)
            .push_bind(payload)
            .push_bind(Timestamp(now));
    });
    insert.build().execute(connection).await?;
    Ok(head)
}

/// Moves the owner's feed on by a number that no change has, for a write to so many todos that telling of each would be worth little: whoever
/// follows the feed finds the number missing, and reads everything anew. As with [`append`], it comes last in its transaction.
pub(super) async fn skip(connection: &mut Connection, owner: Uuid) -> Result<i64, Error> {
    let head = sqlx::query_scalar(
        "insert into feeds (user_id, head) values ($1, 1)
         on conflict (user_id) do update set head = feeds.head + 1
      returning head",
    )
    .bind(owner)
    .fetch_one(connection)
    .await?;
    Ok(head)
}

/// Forgets what the feed holds of todos that were deleted for good.
pub(super) async fn forget(connection: &mut Connection, owner: Uuid, todo_ids: &[Uuid]) -> Result<(), Error> {
    sqlx::query(concat!("update changes set payload = null where user_id = $1 and subject_id", among!("$2")))
        .bind(owner)
        .bind(bind_ids(todo_ids))
        .execute(connection)
        .await?;
    Ok(())
}

#[async_trait]
impl Changes for Queries {
    async fn read_feed(&self, owner: Uuid, position: i64, limit: u32, deadline: Deadline) -> Result<Stretch, Error> {
        let mut connection = self.pool.read(deadline).await?;
        // The head comes first: whatever it counts, the second statement sees, unless it was pruned.
        let head: Option<i64> = sqlx::query_scalar("select head from feeds where user_id = $1")
            .bind(owner)
            .fetch_optional(&mut *connection)
            .await?;
        let head = head.unwrap_or(0);
        if limit == 0 || head == position {
            return Ok(Stretch { head, changes: Vec::new() });
        }
        let rows: Vec<ChangeRow> = sqlx::query_as(
            "select position, kind, subject_id, payload, changed_at from changes
              where user_id = $1 and position > $2
           order by position
              limit $3",
        )
        .bind(owner)
        .bind(position)
        .bind(i64::from(limit))
        .fetch_all(&mut *connection)
        .await?;
        let changes = rows.into_iter().map(Recorded::try_from).collect::<Result<_, _>>()?;
        Ok(Stretch { head, changes })
    }

    async fn list_heads(&self, owners: &[Uuid], deadline: Deadline) -> Result<Vec<(Uuid, i64)>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        Ok(sqlx::query_as(concat!("select user_id, head from feeds where user_id", among!("$1")))
            .bind(bind_ids(owners))
            .fetch_all(&mut *connection)
            .await?)
    }

    async fn prune_changes(&self, before: OffsetDateTime, limit: u32, deadline: Deadline) -> Result<u64, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        // Several instances prune, each what the others leave.
        let done = sqlx::query(concat!(
            "delete from changes
              where (user_id, position) in (select user_id, position from changes where changed_at < $1 limit $2",
            skip_locked!(),
            ")"
        ))
        .bind(Timestamp(before))
        .bind(i64::from(limit))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }

    fn heads(&self) -> &Heads {
        &self.heads
    }
}
