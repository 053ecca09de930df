//! The queries over SQLite.

use quartet_store::Timestamp;
use quartet_store::dialect::sqlite as dialect;
use sqlx::{QueryBuilder, Sqlite as Db, SqliteConnection as Connection};

use super::route_columns;
use crate::Message;

/// SQL that is true of a number among those that a query returns.
macro_rules! these {
    ($query:literal) => {
        concat!(" in (", $query, ")")
    };
}

#[path = "rows.rs"]
mod rows;

pub(crate) use rows::*;

/// Messages in one statement: SQLite binds at most 32,766 values.
const CHUNK: usize = 1_000;

pub(crate) async fn append(connection: &mut Connection, messages: &[Message]) -> Result<(), sqlx::Error> {
    for messages in messages.chunks(CHUNK) {
        let mut statement = QueryBuilder::new("");
        push_insert(&mut statement, messages);
        statement.build().execute(&mut *connection).await?;
    }
    Ok(())
}

pub(crate) fn push_insert(statement: &mut QueryBuilder<Db>, messages: &[Message]) {
    statement.push(
        "insert into outbox
            (id, kind, source, subject, ordered, time, content_type, payload, traceparent, tracestate,
             queue, priority, due_at) ",
    );
    statement.push_values(messages, |mut row, message| {
        let (queue, priority) = route_columns(&message.route);
        row.push_bind(message.id)
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
            .push_bind(Timestamp(message.time));
    });
}
