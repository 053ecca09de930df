//! The update of a todo.

use quartet_store::Timestamp;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::dialect::bind_ids;
use super::todo_rows::TodoRow;
use super::{Connection, tags_of_todo};
use crate::Error;
use crate::domain::Edit;
use crate::store::search_key;

/// A todo that was updated.
#[derive(FromRow)]
pub(super) struct Edited {
    #[sqlx(flatten)]
    pub(super) row: TodoRow,
    /// Whether it was done before.
    pub(super) was_completed: bool,
}

/// The update in one statement, which locks the row first, so that what it was before is known.
/// `$tags` are statements that put tags on it, `$after` the tags that are on it then.
macro_rules! update {
    ($tags:literal, $after:expr) => {
        concat!(
            "with before as materialized (
                select id, completed_at is not null as was_completed
                  from todos
                 where id = $1 and user_id = $2 and deleted_at is null
                   for update
             )",
            $tags,
            "
             update todos
                set title = case when $3 then $4 else title end,
                    title_key = case when $3 then $5 else title_key end,
                    description = case when $6 then $7 else description end,
                    description_key = case when $6 then $8 else description_key end,
                    completed_at = case when $9 then coalesce(completed_at, $11)
                                        when $10 then null
                                        else completed_at end,
                    due_at = case when $12 then $13 else due_at end,
                    priority = case when $14 then $15 else priority end,
                    updated_at = case when $16 and (completed_at is not null) = $9 then updated_at else $11 end
               from before
              where todos.id = before.id
          returning todos.id, user_id, title, description, completed_at, due_at, priority, created_at, updated_at,
                    deleted_at, before.was_completed, ",
            $after,
            " as tags"
        )
    };
}

const PLAIN: &str = update!("", tags_of_todo!());
const TAGGED: &str = update!(
    ", held as (
        select id, name from tags where user_id = $2 and id = any($17) order by id for key share
     ), gone as (
        delete from todo_tags using before where todo_id = before.id and tag_id <> all($17)
     ), put as (
        insert into todo_tags (todo_id, tag_id) select before.id, held.id from before, held on conflict do nothing
     )",
    "(select json_agg(json_build_array(held.id, held.name) order by held.name) from held)"
);

/// Writes the fields of `edit`. `None` when there is no such todo.
///
/// Errors: [`Error::TagNotFound`] for the first tag that is not the owner's.
pub(super) async fn write(
    connection: &mut Connection,
    owner: Uuid,
    id: Uuid,
    edit: &Edit,
    now: OffsetDateTime,
) -> Result<Option<Edited>, Error> {
    let title = edit.title.as_ref().map(|title| title.as_str());
    let description = edit
        .description
        .as_ref()
        .map(|text| text.as_ref().map(|text| text.as_str()));
    let query = sqlx::query_as(match edit.tag_ids {
        Some(_) => TAGGED,
        None => PLAIN,
    })
    .bind(id)
    .bind(owner)
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
    .bind(edit.is_completion());
    let query = match &edit.tag_ids {
        Some(tag_ids) => query.bind(bind_ids(tag_ids)),
        None => query,
    };
    let edited: Option<Edited> = query.fetch_optional(connection).await?;
    match (&edited, &edit.tag_ids) {
        (Some(Edited { row, .. }), Some(tag_ids)) if row.tag_count() < tag_ids.len() => Err(row.missing_tag(tag_ids)),
        _ => Ok(edited),
    }
}
