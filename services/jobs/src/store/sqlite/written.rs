//! Jobs that are written, what that changes in their lanes, and the messages about them. The
//! transaction has the one writer, so that each is a statement of its own.

use quartet_messaging::{Message, outbox};
use quartet_store::Context;
use sqlx::QueryBuilder;

use super::Connection;
use super::job_rows::{JobRow, job_columns};
use super::unit::{LaneChange, Write};
use crate::Error;
use crate::domain::{LaneKey, Queue, Status};

/// Executes the write, and publishes as many of `messages` as it leaves jobs that a worker may
/// claim.
pub(super) async fn execute(
    connection: &mut Connection,
    write: &Write,
    messages: &[Message],
    cx: &Context,
) -> Result<Vec<JobRow>, Error> {
    let mut granted: Option<i32> = None;
    if let Some(entry) = write.entry(cx) {
        let mut statement = QueryBuilder::new("");
        entry.push(&mut statement);
        granted = statement.build_query_scalar().fetch_optional(&mut *connection).await?;
        if granted.is_none() {
            return Ok(Vec::new());
        }
    }
    if let Write::Admit(queue, key) = write {
        let free = "select min(width - admitted, waiting, $3) from lanes where queue = $1 and key = $2";
        granted = sqlx::query_scalar(free)
            .bind(queue.name())
            .bind(key.as_str())
            .bind(i32::try_from(messages.len()).unwrap_or(i32::MAX))
            .fetch_optional(&mut *connection)
            .await?;
        if granted.is_none_or(|places| places <= 0) {
            return Ok(Vec::new());
        }
    }
    let mut statement = QueryBuilder::new("");
    write.push(&mut statement, cx, |statement| {
        statement.push_bind(granted);
    });
    statement.push(concat!(" returning ", job_columns!()));
    let mut rows: Vec<JobRow> = statement.build_query_as().fetch_all(&mut *connection).await?;
    change_lanes(connection, write, &mut rows).await?;
    let ready = rows.iter().filter(|row| is_ready(row)).count();
    let published = &messages[..ready.min(messages.len())];
    outbox::append_all(connection, published).await?;
    Ok(rows)
}

/// Writes what the write has changed in the lanes of jobs that were in one already.
async fn change_lanes(connection: &mut Connection, write: &Write, rows: &mut [JobRow]) -> Result<(), Error> {
    match write {
        Write::Save(job, change) | Write::Finish(_, job, change) => {
            if let (Some(key), false) = (&job.lane, rows.is_empty()) {
                let has_room = change_lane(connection, job.queue, key, *change).await?;
                rows.iter_mut().for_each(|row| row.has_room = has_room);
            }
        }
        Write::EnqueueDue(queue, _) => {
            for row in rows.iter_mut().filter(|row| !is_ready(row)) {
                if let Some(key) = row.lane_key() {
                    let waits = LaneChange {
                        pending: 0,
                        waiting: 1,
                        admitted: 0,
                    };
                    row.has_room = change_lane(connection, *queue, &key, waits).await?;
                }
            }
        }
        Write::Admit(queue, key) => {
            let admitted = i32::try_from(rows.len()).unwrap_or(i32::MAX);
            let change = LaneChange {
                pending: 0,
                waiting: -admitted,
                admitted,
            };
            let has_room = change_lane(connection, *queue, key, change).await?;
            rows.iter_mut().for_each(|row| row.has_room = has_room);
        }
        Write::Insert(_) | Write::Enter(..) | Write::RequestCancel(_) | Write::Redeliver(..) => {}
    }
    Ok(())
}

/// Changes the counts of a lane; whether it has a free place and jobs that wait for one.
async fn change_lane(
    connection: &mut Connection,
    queue: Queue,
    key: &LaneKey,
    change: LaneChange,
) -> Result<bool, Error> {
    let has_room: Option<bool> = sqlx::query_scalar(
        "update lanes
            set pending = pending + $3, waiting = waiting + $4, admitted = admitted + $5
          where queue = $1 and key = $2
      returning waiting > 0 and admitted < width",
    )
    .bind(queue.name())
    .bind(key.as_str())
    .bind(change.pending)
    .bind(change.waiting)
    .bind(change.admitted)
    .fetch_optional(connection)
    .await?;
    Ok(has_room.unwrap_or_default())
}

/// Whether the job has a place, so that a worker may claim it.
fn is_ready(row: &JobRow) -> bool {
    row.status == Status::Queued.name() && row.admitted_at.is_some()
}
