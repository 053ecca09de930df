//! Jobs that are written, and the messages about them. The transaction has the one writer.

use quartet_messaging::{Message, outbox};
use sqlx::QueryBuilder;

use super::job_rows::JobRow;
use super::{Connection, Db};
use crate::Error;

/// The beginning of a statement that writes jobs and returns their columns.
pub(super) fn begin() -> QueryBuilder<Db> {
    QueryBuilder::new("")
}

/// Executes the statement and publishes those of `messages` whose subjects are among what it wrote.
pub(super) async fn with_messages(
    connection: &mut Connection,
    mut statement: QueryBuilder<Db>,
    messages: &[Message],
) -> Result<Vec<JobRow>, Error> {
    let rows: Vec<JobRow> = statement.build_query_as().fetch_all(&mut *connection).await?;
    let is_written = |message: &&Message| rows.iter().any(|row| row.id.to_string() == message.subject);
    let messages: Vec<Message> = messages.iter().filter(is_written).cloned().collect();
    outbox::append_all(connection, &messages).await?;
    Ok(rows)
}
