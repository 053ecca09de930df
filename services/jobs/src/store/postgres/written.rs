//! Jobs that are written, what that changes in their lanes, and the messages about them, in one
//! statement.

use quartet_messaging::Message;
use quartet_messaging::outbox::Outbox as _;
use quartet_store::Context;
use sqlx::QueryBuilder;

use super::job_rows::{JobRow, job_columns};
use super::unit::{LaneChange, Write};
use super::{Connection, Db};
use crate::Error;

/// Executes the write, and publishes as many of `messages` as it leaves jobs that a worker may
/// claim.
pub(super) async fn execute(
    connection: &mut Connection,
    write: &Write,
    messages: &[Message],
    cx: &Context,
) -> Result<Vec<JobRow>, Error> {
    let mut statement = QueryBuilder::new("with ");
    if let Some(entry) = write.entry(cx) {
        // The row of the lane is locked from here on, so that jobs come in one after the other.
        statement.push("place as (");
        entry.push(&mut statement);
        statement.push("), ");
    }
    if let Write::Admit(queue, key) = write {
        let at_once = i32::try_from(messages.len()).unwrap_or(i32::MAX);
        statement
            .push("place as (select greatest(0, least(width - admitted, waiting, ")
            .push_bind(at_once)
            .push(")) as granted from lanes where queue = ")
            .push_bind(queue.name())
            .push(" and key = ")
            .push_bind(key.as_str().to_owned())
            .push(" for update), ");
    }
    statement.push("written as (");
    write.push(&mut statement, cx, |statement| {
        statement.push("(select granted from place)");
    });
    statement.push(concat!(" returning ", job_columns!(), ")"));
    push_lanes(&mut statement, write);
    if !messages.is_empty() {
        statement.push(", message as (");
        Connection::push_insert(
            &mut statement,
            messages,
            "limit (select count(*) from written where status = 'queued' and admitted_at is not null)",
        );
        statement.push(")");
    }
    statement.push(match write {
        Write::Save(..) | Write::Finish(..) | Write::EnqueueDue(..) | Write::Admit(..) => {
            " select written.*, coalesce(has_room, false) as has_room
                from written
                left join lane on lane.queue = written.queue and lane.key = written.lane"
        }
        Write::Insert(_) | Write::Enter(..) | Write::RequestCancel(_) | Write::Redeliver(..) => {
            " select * from written"
        }
    });
    Ok(statement.build_query_as().fetch_all(connection).await?)
}

/// Appends what the write changes in the lanes of jobs that were in one already.
fn push_lanes(statement: &mut QueryBuilder<Db>, write: &Write) {
    match write {
        Write::Save(_, change) | Write::Finish(_, _, change) => {
            let LaneChange {
                pending,
                waiting,
                admitted,
            } = change;
            statement
                .push(", lane as (update lanes set pending = pending + ")
                .push_bind(*pending)
                .push(", waiting = waiting + ")
                .push_bind(*waiting)
                .push(", admitted = lanes.admitted + ")
                .push_bind(*admitted)
                .push(
                    " from written where lanes.queue = written.queue and lanes.key = written.lane
                      returning lanes.queue, lanes.key,
                                lanes.waiting > 0 and lanes.admitted < lanes.width as has_room)",
                );
        }
        Write::EnqueueDue(..) => {
            // In the order of keys, so that two such statements cannot wait for each other.
            statement.push(
                ", entered as (
                    select lanes.queue, lanes.key, due.jobs
                      from lanes
                      join (select queue, lane, count(*) as jobs
                              from written
                             where lane is not null and admitted_at is null
                          group by queue, lane) as due
                        on due.queue = lanes.queue and due.lane = lanes.key
                  order by lanes.queue, lanes.key
                       for update of lanes),
                  lane as (
                    update lanes set waiting = waiting + entered.jobs
                      from entered
                     where lanes.queue = entered.queue and lanes.key = entered.key
                 returning lanes.queue, lanes.key, lanes.waiting > 0 and lanes.admitted < lanes.width as has_room)",
            );
        }
        Write::Admit(queue, key) => {
            statement
                .push(
                    ", lane as (
                        update lanes
                           set waiting = waiting - (select count(*) from written),
                               admitted = admitted + (select count(*) from written)
                         where queue = ",
                )
                .push_bind(queue.name())
                .push(" and key = ")
                .push_bind(key.as_str().to_owned())
                .push(" returning queue, key, waiting > 0 and admitted < width as has_room)");
        }
        Write::Insert(_) | Write::Enter(..) | Write::RequestCancel(_) | Write::Redeliver(..) => {}
    }
}
