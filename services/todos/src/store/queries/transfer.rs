//! The queries of the suite's own work: imports, reminders and purges.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;
use quartet_store::page::{Page, PageResult};
use quartet_store::{Context, Timestamp};
use sqlx::{FromRow, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

use super::dialect::skip_locked;
use super::feed::forget;
use super::unit::Unit;
use super::{Db, Queries};
use crate::domain::{Change, ChangeKind, DueKey, DueTodo, ImportedTodo, Limits, TagRef};
use crate::store::entries::Counts;
use crate::store::{Transfer, search_key};
use crate::{Error, events};

#[derive(FromRow)]
struct DueRow {
    id: Uuid,
    user_id: Uuid,
    title: String,
    due_at: Timestamp,
}

#[async_trait]
impl Transfer for Queries {
    async fn import_todos(
        &self,
        owner: Uuid,
        todos: &[ImportedTodo],
        limits: Limits,
        cx: &Context,
    ) -> Result<(), Error> {
        let mut unit = self.begin(cx);
        unit.journal().limit_todos(owner, limits.todos);
        let (tags, has_new_tags) = tags_named(&mut unit, owner, todos).await?;
        let new = insert_missing(&mut unit, owner, todos).await?;
        if new.is_empty() {
            // Every row was there: a batch that was sent before a crash. Its tags were, too.
            return Ok(());
        }
        let mut pairs = Vec::new();
        for ImportedTodo { todo, tags: names } in todos.iter().filter(|row| new.contains(&row.todo.id)) {
            let mut on_it: Vec<TagRef> = names
                .iter()
                .filter_map(|name| {
                    let (id, name) = tags.get(&name.key())?.clone();
                    Some(TagRef { id, name })
                })
                .collect();
            on_it.sort_by(|one, other| one.name.cmp(&other.name));
            on_it.dedup();
            pairs.extend(on_it.iter().map(|tag| (todo.id, tag.id)));
            let todo = todo.made(owner, cx.now, on_it);
            unit.publish(todo.id, &events::created(&todo));
            let counts = Counts::more(todo.completed_at.is_some());
            unit.journal()
                .record(owner, Change::of(ChangeKind::Created, &todo), counts);
        }
        if !pairs.is_empty() {
            let mut insert = QueryBuilder::<Db>::new("insert into todo_tags (todo_id, tag_id) ");
            insert.push_values(pairs, |mut row, (todo, tag)| {
                row.push_bind(todo).push_bind(tag);
            });
            insert.build().execute(unit.connection().await?).await?;
        }
        unit.flush().await?;
        // A file may be read long after its owner was deleted. Under the lock of the feed, so that
        // the deletion cannot pass unseen between this query and the commit.
        let (is_deleted, tags): (bool, i64) = sqlx::query_as(
            "select exists (select 1 from deleted_users where user_id = $1),
                    (select count(*) from tags where user_id = $1)",
        )
        .bind(owner)
        .fetch_one(unit.connection().await?)
        .await?;
        if is_deleted {
            return Err(Error::OwnerDeleted { id: owner });
        }
        if let Some(limit) = limits.tags.filter(|limit| has_new_tags && tags > *limit) {
            return Err(Error::QuotaExceeded { quota: "tags", limit });
        }
        unit.commit().await
    }

    async fn list_due(
        &self,
        after: OffsetDateTime,
        before: OffsetDateTime,
        page: &Page<DueKey>,
        cx: &Context,
    ) -> Result<PageResult<DueTodo>, Error> {
        let key = page.after();
        let from = key
            .and_then(|key| Timestamp::from_micros(key.due_at))
            .unwrap_or(Timestamp(after));
        // Without a key, an id that is greater than every other keeps out what is due at `after`
        // itself.
        let after_id = key.map_or(Uuid::max(), |key| key.id);
        let rows: Vec<DueRow> = sqlx::query_as(
            "select id, user_id, title, due_at from todos
              where deleted_at is null and completed_at is null and due_at is not null
                and (due_at, id) > ($1, $2) and due_at < $3
           order by due_at, id
              limit $4",
        )
        .bind(from)
        .bind(after_id)
        .bind(Timestamp(before))
        .bind(page.fetch())
        .fetch_all(&mut *self.database.read(cx.deadline).await?)
        .await?;
        let due = rows.into_iter().map(|row| DueTodo {
            id: row.id,
            user_id: row.user_id,
            title: row.title,
            due_at: row.due_at.into(),
        });
        Ok(page.cut(due.collect(), 0))
    }

    async fn purge_deleted(&self, before: OffsetDateTime, limit: i64, cx: &Context) -> Result<u64, Error> {
        let mut unit = self.begin(cx);
        let purged: Vec<(Uuid, Uuid)> = sqlx::query_as(concat!(
            "delete from todos
              where id in (select id from todos where deleted_at < $1 order by deleted_at limit $2",
            skip_locked!(),
            ")
          returning user_id, id"
        ))
        .bind(Timestamp(before))
        .bind(limit)
        .fetch_all(unit.connection().await?)
        .await?;
        let mut by_owner: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
        for (owner, id) in &purged {
            by_owner.entry(*owner).or_default().push(*id);
            unit.journal().record(*owner, Change::purged(*id), Counts::default());
        }
        unit.flush().await?;
        // Under the locks of the feeds, which were taken in the order of their owners.
        for (owner, ids) in &by_owner {
            forget(unit.connection().await?, *owner, ids).await?;
        }
        unit.commit().await?;
        Ok(purged.len() as u64)
    }
}

/// The owner's tags by the keys of the names that the rows have; those that are missing are made. The flag
/// is true if there were any.
async fn tags_named(
    unit: &mut Unit,
    owner: Uuid,
    todos: &[ImportedTodo],
) -> Result<(HashMap<String, (Uuid, String)>, bool), Error> {
    // In one order, so that two imports of one owner cannot wait for each other. Of names that differ by
    // case alone, the first one is kept.
    let mut names = BTreeMap::new();
    for tag in todos.iter().flat_map(|row| &row.tags) {
        names.entry(tag.key()).or_insert(tag.as_str());
    }
    if names.is_empty() {
        return Ok((HashMap::new(), false));
    }
    let now = unit.cx().now;
    let new: Vec<Uuid> = names.iter().map(|_| unit.clock().new_id()).collect();
    let mut insert = QueryBuilder::<Db>::new("insert into tags (id, user_id, name, created_at, updated_at, name_key) ");
    insert.push_values(names.iter().zip(&new), |mut row, ((key, name), id)| {
        row.push_bind(*id)
            .push_bind(owner)
            .push_bind((*name).to_owned())
            .push_bind(Timestamp(now))
            .push_bind(Timestamp(now))
            .push_bind(key.clone());
    });
    // The update that changes nothing returns the id of the tag that is there.
    insert.push(
        " on conflict (user_id, name_key) do update set name_key = excluded.name_key returning id, name, name_key",
    );
    let rows: Vec<(Uuid, String, String)> = insert.build_query_as().fetch_all(unit.connection().await?).await?;
    let has_new = rows.iter().any(|(id, ..)| new.contains(id));
    let found = rows.into_iter().map(|(id, name, key)| (key, (id, name)));
    Ok((found.collect(), has_new))
}

/// Inserts those of the todos that are not there; their ids.
async fn insert_missing(unit: &mut Unit, owner: Uuid, todos: &[ImportedTodo]) -> Result<HashSet<Uuid>, Error> {
    if todos.is_empty() {
        return Ok(HashSet::new());
    }
    let now = unit.cx().now;
    let mut insert = QueryBuilder::<Db>::new(
        "insert into todos
            (id, user_id, title, description, completed_at, due_at, priority, title_key, description_key,
             created_at, updated_at) ",
    );
    insert.push_values(todos, |mut row, ImportedTodo { todo, .. }| {
        let description = todo.description.as_ref().map(|text| text.as_str());
        row.push_bind(todo.id)
            .push_bind(owner)
            .push_bind(todo.title.as_str().to_owned())
            .push_bind(description.map(str::to_owned))
            .push_bind(todo.completed.then_some(Timestamp(now)))
            .push_bind(todo.due_at.map(Timestamp))
            .push_bind(todo.priority.number())
            .push_bind(search_key(Some(todo.title.as_str())))
            .push_bind(search_key(description))
            .push_bind(Timestamp(now))
            .push_bind(Timestamp(now));
    });
    insert.push(" on conflict (id) do nothing returning id");
    let ids: Vec<Uuid> = insert.build_query_scalar().fetch_all(unit.connection().await?).await?;
    Ok(ids.into_iter().collect())
}
