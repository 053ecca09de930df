// The queries on which tags are on which todo, compiled once per database by `postgres.rs` and `sqlite.rs`.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Connection, bind_ids};
use crate::Error;
use crate::domain::TagRef;

/// Puts tags on a todo, if all of them are the owner's.
pub(super) async fn put_tags(connection: &mut Connection, owner: Uuid, todo_id: Uuid, tag_ids: &[Uuid]) -> Result<(), Error> {
    let put: Vec<Uuid> = sqlx::query_scalar(concat!(
        "insert into todo_tags (todo_id, tag_id) select $1, id from tags where user_id = $2 and id",
        among!("$3"),
        " returning tag_id"
    ))
    .bind(todo_id)
    .bind(owner)
    .bind(bind_ids(tag_ids))
    .fetch_all(connection)
    .await?;
    match tag_ids.iter().find(|id| !put.contains(id)) {
        Some(missing) => Err(Error::TagNotFound { id: *missing }),
        None => Ok(()),
    }
}

/// The tags on each of the todos, by name, in one query.
pub(super) async fn tags_of(connection: &mut Connection, todo_ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<TagRef>>, Error> {
    let mut tags: HashMap<Uuid, Vec<TagRef>> = HashMap::new();
    if todo_ids.is_empty() {
        return Ok(tags);
    }
    let rows: Vec<(Uuid, Uuid, String)> = sqlx::query_as(concat!(
        "select todo_tags.todo_id, tags.id, tags.name
           from todo_tags join tags on tags.id = todo_tags.tag_id
          where todo_tags.todo_id",
        among!("$1"),
        " order by tags.name"
    ))
    .bind(bind_ids(todo_ids))
    .fetch_all(connection)
    .await?;
    for (todo_id, id, name) in rows {
        tags.entry(todo_id).or_default().push(TagRef { id, name });
    }
    Ok(tags)
}

/// The ids of the tags of these names; `None` when the owner lacks one of them.
pub(super) async fn filter_tags(connection: &mut Connection, owner: Uuid, names: &[String]) -> Result<Option<Vec<Uuid>>, Error> {
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        let id: Option<Uuid> = sqlx::query_scalar("select id from tags where user_id = $1 and name = $2")
            .bind(owner)
            .bind(name)
            .fetch_optional(&mut *connection)
            .await?;
        match id {
            Some(id) => ids.push(id),
            None => return Ok(None),
        }
    }
    Ok(Some(ids))
}
