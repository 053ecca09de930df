//! The rows of a list, as one value: sqlx runs SQLite on a thread of its own, and each row that is handed
//! over from there costs more than to read it.

use sqlx::QueryBuilder;

use super::todo_rows::ListRow;
use super::{Connection, Db};
use crate::Error;

/// What a list's query begins with. The columns are those of `todo_columns`.
macro_rules! begin {
    () => {
        "select json_group_array(json_array(json_array(lower(hex(id)), lower(hex(user_id)), title, description,
            completed_at, due_at, priority, created_at, updated_at, deleted_at, json(tags)), total)) from ("
    };
}
pub(super) use begin;

/// Runs a list's query.
pub(super) async fn fetch(mut select: QueryBuilder<Db>, connection: &mut Connection) -> Result<Vec<ListRow>, Error> {
    select.push(")");
    let rows: String = select.build_query_scalar().fetch_one(connection).await?;
    serde_json::from_str(&rows).map_err(|error| sqlx::Error::Decode(error.into()).into())
}
