//! The update of a todo.

use quartet_store::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Connection;
use super::dialect::{among, bind_ids};
use super::todo_rows::{TodoRow, todo_columns};
use crate::Error;
use crate::domain::Edit;
use crate::store::search_key;

/// A todo that was updated.
pub(super) struct Edited {
    pub(super) row: TodoRow,
    /// Whether it was done before.
    pub(super) was_completed: bool,
}

/// Writes the fields of `edit`. `None` when there is no such todo. The transaction has the one
/// writer, so that nothing changes between the statements.
///
/// Errors: [`Error::TagNotFound`] for the first tag that is not the owner's.
pub(super) async fn write(
    connection: &mut Connection,
    owner: Uuid,
    id: Uuid,
    edit: &Edit,
    now: OffsetDateTime,
) -> Result<Option<Edited>, Error> {
    let before: Option<bool> = sqlx::query_scalar(
        "select completed_at is not null from todos where id = $1 and user_id = $2 and deleted_at is null",
    )
    .bind(id)
    .bind(owner)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(was_completed) = before else {
        return Ok(None);
    };
    if let Some(tag_ids) = &edit.tag_ids {
        sqlx::query(concat!(
            "delete from todo_tags where todo_id = $1;
             insert into todo_tags (todo_id, tag_id) select $1, id from tags where user_id = $2 and id",
            among!("$3")
        ))
        .bind(id)
        .bind(owner)
        .bind(bind_ids(tag_ids))
        .execute(&mut *connection)
        .await?;
    }
    let title = edit.title.as_ref().map(|title| title.as_str());
    let description = edit
        .description
        .as_ref()
        .map(|text| text.as_ref().map(|text| text.as_str()));
    let row: TodoRow = sqlx::query_as(concat!(
        "update todos
            set title = case when $2 then $3 else title end,
                title_key = case when $2 then $4 else title_key end,
                description = case when $5 then $6 else description end,
                description_key = case when $5 then $7 else description_key end,
                completed_at = case when $8 then coalesce(completed_at, $10)
                                    when $9 then null
                                    else completed_at end,
                due_at = case when $11 then $12 else due_at end,
                priority = case when $13 then $14 else priority end,
                updated_at = case when $15 and (completed_at is not null) = $8 then updated_at else $10 end
          where id = $1
      returning ",
        todo_columns!()
    ))
    .bind(id)
    .bind(title.is_some())
    .bind(title)
    .bind(search_key(title))
    .bind(description.is_some())
    .bind(description.flatten())
    .bind(search_key(description.flatten()))
    .bind(edit.completed == Some(true))
    .bind(edit.completed == Some(false))
    .bind(Timestamp(now))
    .bind(edit.due_at.is_some())
    .bind(edit.due_at.flatten().map(Timestamp))
    .bind(edit.priority.is_some())
    .bind(edit.priority.unwrap_or_default().number())
    .bind(edit.is_completion())
    .fetch_one(connection)
    .await?;
    match &edit.tag_ids {
        Some(tag_ids) if row.tag_count() < tag_ids.len() => Err(row.missing_tag(tag_ids)),
        _ => Ok(Some(Edited { row, was_completed })),
    }
}
