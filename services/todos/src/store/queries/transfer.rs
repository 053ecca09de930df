// The queries of the suite's own work, compiled once per database by `postgres.rs` and `sqlite.rs`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use quartet_messaging::outbox;
use quartet_kernel::Deadline;
use quartet_store::Timestamp;
use quartet_store::page::{Page, Rows};
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::changes::{append, forget};
use super::departures::has_departed;
use super::todo_tags::{put_tags, tags_of};
use super::todos::made;
use super::{Connection, Queries};
use crate::Error;
use crate::domain::{Change, ChangeKind, DueKey, DueTodo, ImportedTodo, Todo};
use crate::events;
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
        let mut tags = HashMap::new();
        for name in names {
            tags.insert(name, tag_named(&mut transaction, owner, name, tag_ids(), now).await?);
        }
        let mut new = Vec::new();
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
            let ids: Vec<Uuid> = names.iter().filter_map(|name| tags.get(name.as_str()).copied()).collect();
            if !ids.is_empty() {
                put_tags(&mut transaction, owner, todo.id, &ids).await?;
            }
            new.push(todo);
        }
        if new.is_empty() {
            // Every row was there: a batch that was sent before a crash. Its tags were, too.
            return Ok(());
        }
        let ids: Vec<Uuid> = new.iter().map(|todo| todo.id).collect();
        let mut tags = tags_of(&mut transaction, &ids).await?;
        let new: Vec<Todo> = new.into_iter().map(|todo| made(owner, todo, now, tags.remove(&todo.id).unwrap_or_default())).collect();
        let news: Vec<_> = new.iter().map(|todo| self.outgoing.news(now, todo.id, &events::created(todo))).collect();
        outbox::append_all(&mut *transaction, &news).await?;
        let changes: Vec<Change> = new.iter().map(|todo| Change::of(ChangeKind::Created, todo)).collect();
        let head = append(&mut transaction, owner, &changes, now).await?;
        // A file may be read long after its owner has gone. Under the lock of the feed, so that nobody departs between this look and the commit unseen.
        if has_departed(&mut transaction, owner).await? {
            return Err(Error::OwnerDeparted { id: owner });
        }
        transaction.commit().await?;
        self.said(owner, head);
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

    async fn purge_deleted(&self, before: OffsetDateTime, limit: i64, now: OffsetDateTime, deadline: Deadline) -> Result<u64, Error> {
        let mut transaction = self.pool.write(deadline).await?;
        let purged: Vec<(Uuid, Uuid)> = sqlx::query_as(concat!(
            "delete from todos
              where id in (select id from todos where deleted_at < $1 order by deleted_at limit $2",
            skip_locked!(),
            ")
          returning user_id, id"
        ))
        .bind(Timestamp(before))
        .bind(limit)
        .fetch_all(&mut *transaction)
        .await?;
        let mut by_owner: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
        for (owner, id) in &purged {
            by_owner.entry(*owner).or_default().push(*id);
        }
        let mut heads = Vec::with_capacity(by_owner.len());
        // Feeds are locked in the order of their owners, so that two purges cannot wait for each other.
        for (owner, ids) in &by_owner {
            let changes: Vec<Change> = ids.iter().map(|id| Change::purged(*id)).collect();
            heads.push((*owner, append(&mut transaction, *owner, &changes, now).await?));
            forget(&mut transaction, *owner, ids).await?;
        }
        transaction.commit().await?;
        for (owner, head) in heads {
            self.heads.tell(owner, head);
        }
        Ok(purged.len() as u64)
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
