// The queries of the suite's own work, compiled once per database by `postgres.rs` and `sqlite.rs`.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use quartet_messaging::outbox;
use quartet_proto::todos::v1 as pb;
use quartet_rpc::{Deadline, moment};
use quartet_store::Timestamp;
use quartet_store::page::{Page, Rows};
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::todo_tags::put_tags;
use super::{Connection, Queries};
use crate::Error;
use crate::domain::{DueKey, DueTodo, ImportedTodo};
use crate::store::Transfer;
use crate::store::list::search_text;

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
        tag_ids: &(dyn Fn() -> Uuid + Send + Sync),
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut transaction = self.pool.write(deadline).await?;
        // Tags in one order, so that two imports of one owner cannot wait for each other.
        let names: BTreeSet<&str> = todos.iter().flat_map(|row| row.tags.iter().map(|tag| tag.as_str())).collect();
        let mut news = Vec::new();
        let mut tags = HashMap::new();
        for name in names {
            tags.insert(name, tag_named(&mut transaction, owner, name, tag_ids(), now).await?);
        }
        for ImportedTodo { todo, tags: names } in todos {
            let (title, description) = (todo.title.as_str(), todo.description.as_ref().map(|text| text.as_str()));
            let made = sqlx::query(
                "insert into todos (id, user_id, title, description, completed_at, due_at, priority, title_key, search, created_at, updated_at)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
            on conflict (id) do nothing",
            )
            .bind(todo.id)
            .bind(owner)
            .bind(title)
            .bind(description)
            .bind(todo.completed.then_some(Timestamp(now)))
            .bind(todo.due_at.map(Timestamp))
            .bind(todo.priority.number())
            .bind(title.to_lowercase())
            .bind(search_text(title, description))
            .bind(Timestamp(now))
            .execute(&mut *transaction)
            .await?;
            if made.rows_affected() == 0 {
                continue;
            }
            let event = pb::TodoCreated {
                todo_id: todo.id.to_string(),
                user_id: owner.to_string(),
                title: title.to_owned(),
                due_at: todo.due_at.map(moment::to_proto),
                completed_at: todo.completed.then(|| moment::to_proto(now)),
            };
            news.push(self.outgoing.news(now, todo.id, &event));
            let ids: Vec<Uuid> = names.iter().filter_map(|name| tags.get(name.as_str()).copied()).collect();
            if !ids.is_empty() {
                put_tags(&mut transaction, owner, todo.id, &ids).await?;
            }
        }
        outbox::append_all(&mut *transaction, &news).await?;
        transaction.commit().await?;
        self.outgoing.said();
        Ok(())
    }

    async fn list_due(
        &self,
        after: OffsetDateTime,
        before: OffsetDateTime,
        page: &Page<DueKey>,
        deadline: Deadline,
    ) -> Result<Rows<DueTodo>, Error> {
        let mut connection = self.pool.read(deadline).await?;
        let key = page.after();
        let from = key.and_then(|key| Timestamp::from_micros(key.due_at)).unwrap_or(Timestamp(after));
        // Without a key, an id that is greater than every other keeps out what is due at `after` itself.
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
        .fetch_all(&mut *connection)
        .await?;
        let due = rows.into_iter().map(|row| DueTodo { id: row.id, user_id: row.user_id, title: row.title, due_at: row.due_at.into() });
        Ok(page.cut(due.collect(), 0))
    }

    async fn purge_deleted(&self, before: OffsetDateTime, limit: i64, deadline: Deadline) -> Result<u64, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let done = sqlx::query(
            "delete from todos where id in (select id from todos where deleted_at < $1 order by deleted_at limit $2)",
        )
        .bind(Timestamp(before))
        .bind(limit)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }
}

/// The owner's tag of that name, which is made under `id` when there is none.
async fn tag_named(connection: &mut Connection, owner: Uuid, name: &str, id: Uuid, now: OffsetDateTime) -> Result<Uuid, Error> {
    // The update that changes nothing brings the id of the tag that is there.
    let id = sqlx::query_scalar(
        "insert into tags (id, user_id, name, created_at, updated_at) values ($1, $2, $3, $4, $4)
    on conflict (user_id, name) do update set name = excluded.name
      returning id",
    )
    .bind(id)
    .bind(owner)
    .bind(name)
    .bind(Timestamp(now))
    .fetch_one(connection)
    .await?;
    Ok(id)
}
