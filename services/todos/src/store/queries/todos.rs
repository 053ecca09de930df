//! The queries on todos.

use async_trait::async_trait;
use quartet_store::page::{MAX_COUNTED, Page, PageResult};
use quartet_store::{Context, Timestamp};
use sqlx::QueryBuilder;
use uuid::Uuid;

use super::dialect::{among, bind_ids, for_update};
use super::feed::forget;
use super::todo_rows::{TodoRow, todo_columns};
use super::unit::Unit;
use super::{Db, Queries, edit, listed};
use crate::domain::{Change, ChangeKind, Edit, Filter, Key, NewTodo, Order, TagRef, Todo};
use crate::store::Todos;
use crate::store::entries::{Counts, NewTodos};
use crate::store::list::{Total, push_filter, push_key, push_order};
use crate::{Error, events};

/// How often todos are made anew because a tag on them was renamed or deleted meanwhile.
const ATTEMPTS: usize = 3;

#[async_trait]
impl Todos for Queries {
    async fn insert_todos(
        &self,
        owner: Uuid,
        todos: &[NewTodo],
        limit: Option<i64>,
        cx: &Context,
    ) -> Result<Vec<Todo>, Error> {
        for _ in 0..ATTEMPTS {
            match self.try_insert(owner, todos, limit, cx).await {
                Err(Error::TagsChanged) => {}
                outcome => return outcome,
            }
        }
        Err(Error::TagsChanged)
    }

    async fn find_todo(&self, owner: Uuid, id: Uuid, cx: &Context) -> Result<Option<Todo>, Error> {
        let row: Option<TodoRow> = sqlx::query_as(concat!(
            "select ",
            todo_columns!(),
            " from todos where id = $1 and user_id = $2 and deleted_at is null"
        ))
        .bind(id)
        .bind(owner)
        .fetch_optional(&mut *self.database.read(cx.deadline).await?)
        .await?;
        Ok(row.map(Todo::from))
    }

    async fn list_todos(
        &self,
        owner: Uuid,
        filter: &Filter,
        order: Order,
        page: &Page<Key>,
        cx: &Context,
    ) -> Result<PageResult<Todo>, Error> {
        let mut connection = self.database.read(cx.deadline).await?;
        let mut select = QueryBuilder::<Db>::new(concat!(listed::begin!(), "select ", todo_columns!(), ", "));
        match page.known_total() {
            // The token has carried it along.
            Some(_) => select.push("cast(null as bigint)"),
            None => push_total(&mut select, owner, filter),
        };
        select.push(" as total from todos where ");
        push_filter(&mut select, owner, filter);
        if let Some(key) = page.after() {
            push_key(&mut select, order, key);
        }
        push_order(&mut select, order);
        page.push_bounds(&mut select);
        let rows = listed::fetch(select, &mut connection).await?;

        let mut count = rows.first().and_then(|row| row.total);
        if rows.is_empty() && page.offset() > 0 {
            // A page past the last one has no row to carry the total.
            let mut select = QueryBuilder::<Db>::new("select ");
            push_total(&mut select, owner, filter);
            count = select.build_query_scalar().fetch_one(&mut *connection).await?;
        }
        let (total, total_is_exact) = match Total::of(filter) {
            Total::Counted => page.bounded_total(count),
            Total::Live | Total::Completed | Total::Open => {
                (page.known_total().map_or(count.unwrap_or_default(), i64::from), true)
            }
        };
        let todos = rows.into_iter().map(|row| Todo::from(row.todo)).collect();
        Ok(PageResult {
            total_is_exact,
            ..page.cut(todos, total)
        })
    }

    async fn update_todo(&self, owner: Uuid, id: Uuid, edit: &Edit, cx: &Context) -> Result<Option<Todo>, Error> {
        let mut unit = self.begin_on(owner, &[id], cx);
        check_seen(&mut unit, Some(owner), id, Some(false)).await?;
        let Some(edited) = edit::write(unit.connection().await?, owner, id, edit, cx.now).await? else {
            return Ok(None);
        };
        let (todo, was_completed) = (Todo::from(edited.row), edited.was_completed);
        if edit.is_completion() && todo.updated_at != cx.now {
            // It stood so already, and nothing was changed.
            return Ok(Some(todo));
        }
        unit.publish(id, &events::updated(&todo));
        if !was_completed && todo.completed_at.is_some() {
            unit.publish(id, &events::completed(&todo));
        }
        let counts = Counts::completed(was_completed, todo.completed_at.is_some());
        unit.journal().record(owner, Change::of(edit.kind(), &todo), counts);
        unit.commit().await?;
        Ok(Some(todo))
    }

    async fn delete_todos(&self, owner: Uuid, ids: &[Uuid], cx: &Context) -> Result<(), Error> {
        let mut unit = self.begin_on(owner, ids, cx);
        if let [id] = ids {
            check_seen(&mut unit, Some(owner), *id, Some(false)).await?;
        }
        let rows: Vec<TodoRow> = sqlx::query_as(concat!(
            "update todos set deleted_at = $2, updated_at = $2 where user_id = $1 and deleted_at is null and id",
            among!("$3"),
            " returning ",
            todo_columns!()
        ))
        .bind(owner)
        .bind(Timestamp(cx.now))
        .bind(bind_ids(ids))
        .fetch_all(unit.connection().await?)
        .await?;
        if let Some(missing) = ids.iter().find(|id| !rows.iter().any(|row| row.id == **id)) {
            return Err(Error::TodoNotFound { id: *missing });
        }
        for row in rows {
            unit.publish(row.id, &events::deleted(row.id, owner));
            let counts = Counts::less(row.completed_at.is_some());
            let change = Change::of(ChangeKind::Deleted, &row.into());
            unit.journal().record(owner, change, counts);
        }
        unit.commit().await
    }

    async fn restore_todo(
        &self,
        owner: Uuid,
        id: Uuid,
        limit: Option<i64>,
        cx: &Context,
    ) -> Result<Option<Todo>, Error> {
        let mut unit = self.begin_on(owner, &[id], cx);
        check_seen(&mut unit, Some(owner), id, Some(true)).await?;
        unit.journal().limit_todos(owner, limit);
        let row: Option<TodoRow> = sqlx::query_as(concat!(
            "update todos set deleted_at = null, updated_at = $3
              where id = $1 and user_id = $2 and deleted_at is not null
          returning ",
            todo_columns!()
        ))
        .bind(id)
        .bind(owner)
        .bind(Timestamp(cx.now))
        .fetch_optional(unit.connection().await?)
        .await?;
        let Some(todo) = row.map(Todo::from) else {
            return Ok(None);
        };
        unit.publish(id, &events::updated(&todo));
        let counts = Counts::more(todo.completed_at.is_some());
        unit.journal()
            .record(owner, Change::of(ChangeKind::Restored, &todo), counts);
        unit.commit().await?;
        Ok(Some(todo))
    }

    async fn purge_todo(&self, id: Uuid, cx: &Context) -> Result<bool, Error> {
        let mut unit = self.begin(cx);
        check_seen(&mut unit, None, id, None).await?;
        let row: Option<(Uuid, Option<Timestamp>, Option<Timestamp>)> =
            sqlx::query_as("delete from todos where id = $1 returning user_id, deleted_at, completed_at")
                .bind(id)
                .fetch_optional(unit.connection().await?)
                .await?;
        let Some((owner, deleted_at, completed_at)) = row else {
            return Ok(false);
        };
        let mut counts = Counts::default();
        // One that was deleted before has had its event.
        if deleted_at.is_none() {
            unit.publish(id, &events::deleted(id, owner));
            counts = Counts::less(completed_at.is_some());
        }
        unit.journal().record(owner, Change::purged(id), counts);
        unit.flush().await?;
        // Under the lock of the feed, so that no change of the todo can be on its way into it.
        forget(unit.connection().await?, owner, &[id]).await?;
        unit.commit().await?;
        Ok(true)
    }
}

impl Queries {
    /// Makes todos in one statement, unless one of the tags on them changes after it was read.
    async fn try_insert(
        &self,
        owner: Uuid,
        todos: &[NewTodo],
        limit: Option<i64>,
        cx: &Context,
    ) -> Result<Vec<Todo>, Error> {
        let mut unit = self.begin(cx);
        unit.journal().limit_todos(owner, limit);
        let mut wanted: Vec<Uuid> = todos.iter().flat_map(|todo| todo.tag_ids.iter().copied()).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let tags: Vec<TagRef> = match wanted.as_slice() {
            [] => Vec::new(),
            wanted => {
                let named = self.named_tags(&mut unit, owner, wanted).await?;
                named.into_iter().map(TagRef::from).collect()
            }
        };
        let mut made = Vec::with_capacity(todos.len());
        for todo in todos {
            if let Some(missing) = todo.tag_ids.iter().find(|id| !tags.iter().any(|tag| tag.id == **id)) {
                return Err(Error::TagNotFound { id: *missing });
            }
            // `tags` is in the order of names.
            let on_it = tags.iter().filter(|tag| todo.tag_ids.contains(&tag.id)).cloned();
            made.push(todo.made(owner, cx.now, on_it.collect()));
        }
        for todo in &made {
            unit.publish(todo.id, &events::created(todo));
            let counts = Counts::more(todo.completed_at.is_some());
            unit.journal()
                .record(owner, Change::of(ChangeKind::Created, todo), counts);
        }
        unit.journal().new = NewTodos {
            owner,
            todos: todos.to_vec(),
            tags,
        };
        unit.commit().await?;
        Ok(made)
    }
}

/// Checks that the todo, which is then locked, is as the caller has seen it. Whether it is there is
/// for the statement after it to find out. `owner` is anybody's todo when `None`, and `is_deleted`
/// one that is deleted or not.
async fn check_seen(unit: &mut Unit, owner: Option<Uuid>, id: Uuid, is_deleted: Option<bool>) -> Result<(), Error> {
    let Some(precondition) = unit.cx().precondition.clone() else {
        return Ok(());
    };
    let row: Option<TodoRow> = sqlx::query_as(concat!(
        "select ",
        todo_columns!(),
        " from todos where id = $1",
        for_update!("todos")
    ))
    .bind(id)
    .fetch_optional(unit.connection().await?)
    .await?;
    let todo = row.map(Todo::from).filter(|todo| {
        owner.is_none_or(|owner| todo.user_id == owner)
            && is_deleted.is_none_or(|is_deleted| todo.deleted_at.is_some() == is_deleted)
    });
    Ok(todo.map_or(Ok(()), |todo| precondition.check(todo.etag()))?)
}

/// The number of rows of a list: kept where nothing but `completed` filters it, else counted, up to
/// a bound.
fn push_total<'q>(query: &'q mut QueryBuilder<Db>, owner: Uuid, filter: &Filter) -> &'q mut QueryBuilder<Db> {
    let kept = match Total::of(filter) {
        Total::Live => "live",
        Total::Completed => "completed",
        Total::Open => "live - completed",
        Total::Counted => {
            query.push("(select count(*) from (select 1 as one from todos where ");
            push_filter(query, owner, filter);
            return query.push(" limit ").push(MAX_COUNTED + 1).push(") as counted)");
        }
    };
    query
        .push("(select ")
        .push(kept)
        .push(" from feeds where user_id = ")
        .push_bind(owner)
        .push(")")
}
