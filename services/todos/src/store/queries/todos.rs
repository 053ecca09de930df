// The queries on todos, compiled once per database by `postgres.rs` and `sqlite.rs`.

use async_trait::async_trait;
use quartet_messaging::outbox;
use quartet_kernel::Deadline;
use quartet_store::Timestamp;
use quartet_store::page::{Page, Rows};
use sqlx::{FromRow, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

use super::changes::{append, forget};
use super::todo_tags::{filter_tags, put_tags, tags_of};
use super::{Connection, Db, Queries, bind_ids};
use crate::events;
use crate::Error;
use crate::domain::{Change, ChangeKind, Edit, Filter, Key, NewTodo, Order, Priority, TagRef, Todo};
use crate::store::Todos;
use crate::store::list::{push_filter, push_key, push_order, search_text};

#[derive(FromRow)]
struct TodoRow {
    id: Uuid,
    user_id: Uuid,
    title: String,
    description: Option<String>,
    completed_at: Option<Timestamp>,
    due_at: Option<Timestamp>,
    priority: i16,
    created_at: Timestamp,
    updated_at: Timestamp,
    deleted_at: Option<Timestamp>,
}

impl TodoRow {
    fn into_todo(self, tags: Vec<TagRef>) -> Todo {
        Todo {
            id: self.id,
            user_id: self.user_id,
            title: self.title,
            description: self.description,
            completed_at: self.completed_at.map(Into::into),
            due_at: self.due_at.map(Into::into),
            // The column holds only what `Priority::number` gives.
            priority: Priority::from_number(self.priority).unwrap_or_default(),
            tags,
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
            deleted_at: self.deleted_at.map(Into::into),
        }
    }
}

#[async_trait]
impl Todos for Queries {
    async fn insert_todos(&self, owner: Uuid, todos: &[NewTodo], now: OffsetDateTime, deadline: Deadline) -> Result<Vec<Todo>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let mut insert = QueryBuilder::<Db>::new(
            "insert into todos (id, user_id, title, description, completed_at, due_at, priority, title_key, search, created_at, updated_at) ",
        );
        insert.push_values(todos, |mut row, todo| {
            let (title, description) = (todo.title.as_str(), todo.description.as_ref().map(|text| text.as_str()));
            row.push_bind(todo.id)
                .push_bind(owner)
                .push_bind(title.to_owned())
                .push_bind(description.map(str::to_owned))
                .push_bind(todo.completed.then_some(Timestamp(now)))
                .push_bind(todo.due_at.map(Timestamp))
                .push_bind(todo.priority.number())
                .push_bind(title.to_lowercase())
                .push_bind(search_text(title, description))
                .push_bind(Timestamp(now))
                .push_bind(Timestamp(now));
        });
        insert.build().execute(&mut *transaction).await?;
        for todo in todos.iter().filter(|todo| !todo.tag_ids.is_empty()) {
            put_tags(&mut transaction, owner, todo.id, &todo.tag_ids).await?;
        }
        let tagged: Vec<Uuid> = todos.iter().filter(|todo| !todo.tag_ids.is_empty()).map(|todo| todo.id).collect();
        let mut tags = tags_of(&mut transaction, &tagged).await?;
        let made: Vec<Todo> = todos.iter().map(|todo| made(owner, todo, now, tags.remove(&todo.id).unwrap_or_default())).collect();
        let news: Vec<_> = made.iter().map(|todo| self.outgoing.news(now, todo.id, &events::created(todo))).collect();
        outbox::append_all(&mut *transaction, &news).await?;
        let changes: Vec<Change> = made.iter().map(|todo| Change::of(ChangeKind::Created, todo)).collect();
        let head = append(&mut transaction, owner, &changes, now).await?;
        transaction.commit().await?;
        self.said(owner, head);
        Ok(made)
    }

    async fn find_todo(&self, owner: Uuid, id: Uuid, deadline: Deadline) -> Result<Option<Todo>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let row: Option<TodoRow> = sqlx::query_as(
            "select id, user_id, title, description, completed_at, due_at, priority, created_at, updated_at, deleted_at
               from todos
              where id = $1 and user_id = $2 and deleted_at is null",
        )
        .bind(id)
        .bind(owner)
        .fetch_optional(&mut *connection)
        .await?;
        with_tags(&mut connection, row).await
    }

    async fn list_todos(&self, owner: Uuid, filter: &Filter, order: Order, page: &Page<Key>, deadline: Deadline) -> Result<Rows<Todo>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let Some(tag_ids) = filter_tags(&mut connection, owner, &filter.tags).await? else {
            // A tag that the owner does not have is on no todo.
            return Ok(page.cut(Vec::new(), 0));
        };
        let total = match page.known_total() {
            Some(total) => i64::from(total),
            None => {
                let mut count = QueryBuilder::<Db>::new("select count(*) from todos where ");
                push_filter(&mut count, owner, filter, &tag_ids);
                count.build_query_scalar().fetch_one(&mut *connection).await?
            }
        };
        let mut select = QueryBuilder::<Db>::new(
            "select id, user_id, title, description, completed_at, due_at, priority, created_at, updated_at, deleted_at from todos where ",
        );
        push_filter(&mut select, owner, filter, &tag_ids);
        if let Some(key) = page.after() {
            push_key(&mut select, order, key);
        }
        push_order(&mut select, order);
        select.push(" limit ").push_bind(page.fetch()).push(" offset ").push_bind(page.offset());
        let rows: Vec<TodoRow> = select.build_query_as().fetch_all(&mut *connection).await?;

        let rows = page.cut(rows, total);
        let ids: Vec<Uuid> = rows.rows.iter().map(|row| row.id).collect();
        let mut tags = tags_of(&mut connection, &ids).await?;
        let todos = rows.rows.into_iter().map(|row| {
            let tags = tags.remove(&row.id).unwrap_or_default();
            row.into_todo(tags)
        });
        Ok(Rows { rows: todos.collect(), total: rows.total, has_more: rows.has_more })
    }

    async fn update_todo(&self, owner: Uuid, id: Uuid, edit: &Edit, now: OffsetDateTime, deadline: Deadline) -> Result<Option<Todo>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let title = edit.title.as_ref().map(|title| title.as_str());
        let description = edit.description.as_ref().map(|text| text.as_ref().map(|text| text.as_str()));
        let row: Option<TodoRow> = sqlx::query_as(
            "update todos
                set title = case when $3 then $4 else title end,
                    title_key = case when $3 then $5 else title_key end,
                    description = case when $6 then $7 else description end,
                    completed_at = case when $8 then coalesce(completed_at, $9) when $10 then null else completed_at end,
                    due_at = case when $11 then $12 else due_at end,
                    priority = case when $13 then $14 else priority end,
                    updated_at = case when $16 and (completed_at is not null) = $8 then updated_at else $15 end
              where id = $1 and user_id = $2 and deleted_at is null
          returning id, user_id, title, description, completed_at, due_at, priority, created_at, updated_at, deleted_at",
        )
        .bind(id)
        .bind(owner)
        .bind(title.is_some())
        .bind(title)
        .bind(title.map(str::to_lowercase))
        .bind(description.is_some())
        .bind(description.flatten())
        .bind(edit.completed == Some(true))
        .bind(Timestamp(now))
        .bind(edit.completed == Some(false))
        .bind(edit.due_at.is_some())
        .bind(edit.due_at.flatten().map(Timestamp))
        .bind(edit.priority.is_some())
        .bind(edit.priority.unwrap_or_default().number())
        .bind(Timestamp(now))
        .bind(edit.is_completion())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        if title.is_some() || description.is_some() {
            sqlx::query("update todos set search = $2 where id = $1")
                .bind(id)
                .bind(search_text(&row.title, row.description.as_deref()))
                .execute(&mut *transaction)
                .await?;
        }
        if let Some(tag_ids) = &edit.tag_ids {
            sqlx::query("delete from todo_tags where todo_id = $1").bind(id).execute(&mut *transaction).await?;
            put_tags(&mut transaction, owner, id, tag_ids).await?;
        }
        let tags = tags_of(&mut transaction, &[id]).await?.remove(&id).unwrap_or_default();
        let todo = row.into_todo(tags);
        if edit.is_completion() && todo.updated_at != now {
            // It stood so already, and nothing was changed.
            return Ok(Some(todo));
        }
        self.outgoing.say(&mut *transaction, now, id, &events::updated(&todo)).await?;
        // A todo that was complete before keeps the time of that.
        if edit.completed == Some(true) && todo.completed_at == Some(now) {
            self.outgoing.say(&mut *transaction, now, id, &events::completed(&todo)).await?;
        }
        let head = append(&mut transaction, owner, &[Change::of(edit.kind(), &todo)], now).await?;
        transaction.commit().await?;
        self.said(owner, head);
        Ok(Some(todo))
    }

    async fn delete_todos(&self, owner: Uuid, ids: &[Uuid], now: OffsetDateTime, deadline: Deadline) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let rows: Vec<TodoRow> = sqlx::query_as(concat!(
            "update todos set deleted_at = $2, updated_at = $2 where user_id = $1 and deleted_at is null and id",
            among!("$3"),
            " returning id, user_id, title, description, completed_at, due_at, priority, created_at, updated_at, deleted_at"
        ))
        .bind(owner)
        .bind(Timestamp(now))
        .bind(bind_ids(ids))
        .fetch_all(&mut *transaction)
        .await?;
        if let Some(missing) = ids.iter().find(|id| !rows.iter().any(|row| row.id == **id)) {
            return Err(Error::TodoNotFound { id: *missing });
        }
        let news: Vec<_> = rows.iter().map(|row| self.outgoing.news(now, row.id, &events::deleted(row.id, owner))).collect();
        outbox::append_all(&mut *transaction, &news).await?;
        let mut tags = tags_of(&mut transaction, ids).await?;
        let changes = rows.into_iter().map(|row| {
            let tags = tags.remove(&row.id).unwrap_or_default();
            Change::of(ChangeKind::Deleted, &row.into_todo(tags))
        });
        let head = append(&mut transaction, owner, &changes.collect::<Vec<_>>(), now).await?;
        transaction.commit().await?;
        self.said(owner, head);
        Ok(())
    }

    async fn restore_todo(&self, owner: Uuid, id: Uuid, now: OffsetDateTime, deadline: Deadline) -> Result<Option<Todo>, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let row: Option<TodoRow> = sqlx::query_as(
            "update todos set deleted_at = null, updated_at = $3
              where id = $1 and user_id = $2 and deleted_at is not null
          returning id, user_id, title, description, completed_at, due_at, priority, created_at, updated_at, deleted_at",
        )
        .bind(id)
        .bind(owner)
        .bind(Timestamp(now))
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(todo) = with_tags(&mut transaction, row).await? else {
            return Ok(None);
        };
        self.outgoing.say(&mut *transaction, now, id, &events::updated(&todo)).await?;
        let head = append(&mut transaction, owner, &[Change::of(ChangeKind::Restored, &todo)], now).await?;
        transaction.commit().await?;
        self.said(owner, head);
        Ok(Some(todo))
    }

    async fn purge_todo(&self, id: Uuid, now: OffsetDateTime, deadline: Deadline) -> Result<bool, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let row: Option<(Uuid, Option<Timestamp>)> =
            sqlx::query_as("delete from todos where id = $1 returning user_id, deleted_at").bind(id).fetch_optional(&mut *transaction).await?;
        let Some((owner, deleted_at)) = row else {
            return Ok(false);
        };
        // One that was deleted before has been told of.
        if deleted_at.is_none() {
            self.outgoing.say(&mut *transaction, now, id, &events::deleted(id, owner)).await?;
        }
        let head = append(&mut transaction, owner, &[Change::purged(id)], now).await?;
        // Under the lock of the feed, so that no change of the todo can be on its way into it.
        forget(&mut transaction, owner, &[id]).await?;
        transaction.commit().await?;
        self.said(owner, head);
        Ok(true)
    }
}

impl Queries {
    /// Tells within the process of what a write has said, now that it is committed.
    pub(super) fn said(&self, owner: Uuid, head: i64) {
        self.outgoing.said();
        self.heads.tell(owner, head);
    }
}

async fn with_tags(connection: &mut Connection, row: Option<TodoRow>) -> Result<Option<Todo>, Error> {
    let Some(row) = row else {
        return Ok(None);
    };
    let mut tags = tags_of(connection, &[row.id]).await?;
    let tags = tags.remove(&row.id).unwrap_or_default();
    Ok(Some(row.into_todo(tags)))
}

/// A todo that was just made.
pub(super) fn made(owner: Uuid, todo: &NewTodo, now: OffsetDateTime, tags: Vec<TagRef>) -> Todo {
    Todo {
        id: todo.id,
        user_id: owner,
        title: todo.title.as_str().to_owned(),
        description: todo.description.as_ref().map(|text| text.as_str().to_owned()),
        completed_at: todo.completed.then_some(now),
        due_at: todo.due_at,
        priority: todo.priority,
        tags,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    }
}
