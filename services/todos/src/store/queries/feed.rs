//! The queries on the feed of changes. Units of work write it, see [`unit`](super::unit).

use async_trait::async_trait;
use quartet_store::{Backend as _, Context, Timestamp};
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::dialect::{among, bind_ids, skip_locked};
use super::{Connection, Database, Queries};
use crate::Error;
use crate::domain::{Change, ChangeKind, FeedPage, Recorded};
use crate::store::{Feed, FeedNotifier, snapshot};

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
        let subject = snapshot::read(kind, row.subject_id, row.payload.as_deref())
            .map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Self {
            position: row.position,
            at: row.changed_at.into(),
            change: Change {
                kind,
                subject_id: row.subject_id,
                subject,
            },
        })
    }
}

#[async_trait]
impl Feed for Queries {
    async fn read_feed(&self, owner: Uuid, position: i64, limit: u32, cx: &Context) -> Result<FeedPage, Error> {
        let mut connection = self.database.read(cx.deadline).await?;
        // The head comes first: whatever it counts, the second statement sees, unless it was
        // pruned.
        let head: Option<i64> = sqlx::query_scalar("select head from feeds where user_id = $1")
            .bind(owner)
            .fetch_optional(&mut *connection)
            .await?;
        let head = head.unwrap_or(0);
        if limit == 0 || head == position {
            return Ok(FeedPage {
                head,
                changes: Vec::new(),
            });
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
        Ok(FeedPage { head, changes })
    }

    async fn list_heads(&self, owners: &[Uuid], cx: &Context) -> Result<Vec<(Uuid, i64)>, Error> {
        Ok(
            sqlx::query_as(concat!("select user_id, head from feeds where user_id", among!("$1")))
                .bind(bind_ids(owners))
                .fetch_all(&mut *self.database.read(cx.deadline).await?)
                .await?,
        )
    }

    async fn prune_changes(&self, before: OffsetDateTime, limit: u32, cx: &Context) -> Result<u64, Error> {
        let mut single = self.database.single(cx.deadline).await?;
        // Several instances prune, each what the others leave.
        let done = sqlx::query(concat!(
            "delete from changes
              where (user_id, position) in (select user_id, position from changes where changed_at < $1 limit $2",
            skip_locked!(),
            ")"
        ))
        .bind(Timestamp(before))
        .bind(i64::from(limit))
        .execute(&mut *single)
        .await?;
        Database::finish(single).await?;
        Ok(done.rows_affected())
    }

    fn notifier(&self) -> &FeedNotifier {
        &self.notifier
    }
}

/// Forgets what the feed holds of todos that were deleted for good.
pub(super) async fn forget(connection: &mut Connection, owner: Uuid, todo_ids: &[Uuid]) -> Result<(), Error> {
    sqlx::query(concat!(
        "update changes set payload = null where user_id = $1 and subject_id",
        among!("$2")
    ))
    .bind(owner)
    .bind(bind_ids(todo_ids))
    .execute(connection)
    .await?;
    Ok(())
}

/// Counts the owner's todos anew, under the lock of the feed.
pub(super) async fn recount(connection: &mut Connection, owner: Uuid) -> Result<(), Error> {
    sqlx::query(
        "update feeds
            set live = (select count(*) from todos where user_id = $1 and deleted_at is null),
                completed = (select count(*) from todos
                              where user_id = $1 and deleted_at is null and completed_at is not null)
          where user_id = $1",
    )
    .bind(owner)
    .execute(connection)
    .await?;
    Ok(())
}
