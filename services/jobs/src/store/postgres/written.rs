//! Jobs that are written, and the messages about them, in one statement.

use quartet_messaging::Message;
use quartet_messaging::outbox::Outbox as _;
use sqlx::QueryBuilder;

use super::job_rows::JobRow;
use super::{Connection, Db};
use crate::Error;

/// The beginning of a statement that writes jobs and returns their columns.
pub(super) fn begin() -> QueryBuilder<Db> {
    QueryBuilder::new("with written as (")
}

/// Executes the statement and publishes those of `messages` whose subjects are among what it wrote.
pub(super) async fn with_messages(
    connection: &mut Connection,
    mut statement: QueryBuilder<Db>,
    messages: &[Message],
) -> Result<Vec<JobRow>, Error> {
    statement.push(")");
    if !messages.is_empty() {
        statement.push(", message as (");
        Connection::push_insert(
            &mut statement,
            messages,
            "where subject in (select written.id::text from written)",
        );
        statement.push(")");
    }
    statement.push(" select * from written");
    Ok(statement.build_query_as().fetch_all(connection).await?)
}
