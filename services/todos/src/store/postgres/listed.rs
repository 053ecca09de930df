//! The rows of a list.

use sqlx::QueryBuilder;

use super::todo_rows::ListRow;
use super::{Connection, Db};
use crate::Error;

/// What a list's query begins with.
macro_rules! begin {
    () => {
        ""
    };
}
pub(super) use begin;

/// Runs a list's query.
pub(super) async fn fetch(mut select: QueryBuilder<Db>, connection: &mut Connection) -> Result<Vec<ListRow>, Error> {
    Ok(select.build_query_as().fetch_all(connection).await?)
}
