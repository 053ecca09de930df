//! What a unit of work has collected, as statements of one execution.

use quartet_messaging::Message;
use quartet_messaging::outbox::Outbox as _;
use quartet_store::{Context, Timestamp};
use sqlx::QueryBuilder;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Connection, Db};
use crate::Error;
use crate::domain::Change;
use crate::store::entries::{Entries, Limit, NewTodos};
use crate::store::{search_key, snapshot};

/// Writes new todos, feeds, their changes and the outbox. Returns the positions that feeds have
/// come to, that of an owner who has more todos than the limit aside. The tags of new todos are what
/// they were when they were read: the transaction has the one writer since before.
pub(super) async fn write(
    connection: &mut Connection,
    entries: &Entries,
    messages: &[Message],
    cx: &Context,
) -> Result<Vec<(Uuid, i64)>, Error> {
    let mut statement = QueryBuilder::<Db>::new("");
    if !entries.new.todos.is_empty() {
        push_todos(&mut statement, &entries.new, cx.now);
    }
    if !entries.feeds.is_empty() {
        push_feeds(&mut statement, entries);
        push_changes(&mut statement, entries, cx.now)?;
    }
    if !messages.is_empty() {
        Connection::push_insert(&mut statement, messages, "");
        statement.push("; ");
    }
    statement.push("select user_id, head, live from feeds where user_id in (");
    let mut owners = statement.separated(", ");
    for owner in entries.feeds.keys() {
        owners.push_bind(*owner);
    }
    statement.push(")");
    let feeds: Vec<(Uuid, i64, i64)> = statement.build_query_as().fetch_all(connection).await?;
    // The transaction, which nobody commits then, takes back what has been written.
    let is_over = |(owner, live)| {
        entries
            .limit
            .is_some_and(|limit: Limit| limit.owner == owner && live > limit.todos)
    };
    let within = feeds.into_iter().filter(|(owner, _, live)| !is_over((*owner, *live)));
    Ok(within.map(|(owner, head, _)| (owner, head)).collect())
}

fn push_todos(statement: &mut QueryBuilder<Db>, new: &NewTodos, now: OffsetDateTime) {
    statement.push(
        "insert into todos
            (id, user_id, title, description, completed_at, due_at, priority, title_key, description_key,
             created_at, updated_at) ",
    );
    statement.push_values(&new.todos, |mut row, todo| {
        let (title, description) = (todo.title.as_str(), todo.description.as_ref().map(|text| text.as_str()));
        row.push_bind(todo.id)
            .push_bind(new.owner)
            .push_bind(title.to_owned())
            .push_bind(description.map(str::to_owned))
            .push_bind(todo.completed.then_some(Timestamp(now)))
            .push_bind(todo.due_at.map(Timestamp))
            .push_bind(todo.priority.number())
            .push_bind(search_key(Some(title)))
            .push_bind(search_key(description))
            .push_bind(Timestamp(now))
            .push_bind(Timestamp(now));
    });
    statement.push("; ");
    let pairs: Vec<(Uuid, Uuid)> = new
        .todos
        .iter()
        .flat_map(|todo| todo.tag_ids.iter().map(|tag| (todo.id, *tag)))
        .collect();
    if !pairs.is_empty() {
        statement.push("insert into todo_tags (todo_id, tag_id) ");
        statement.push_values(pairs, |mut row, (todo, tag)| {
            row.push_bind(todo).push_bind(tag);
        });
        statement.push("; ");
    }
}

fn push_feeds(statement: &mut QueryBuilder<Db>, entries: &Entries) {
    statement.push("insert into feeds (user_id, head, live, completed) ");
    statement.push_values(&entries.feeds, |mut row, (owner, entry)| {
        row.push_bind(*owner)
            .push_bind(entry.length())
            .push_bind(entry.counts.live)
            .push_bind(entry.counts.completed);
    });
    statement.push(
        " on conflict (user_id) do update
             set head = feeds.head + excluded.head,
                 live = feeds.live + excluded.live,
                 completed = feeds.completed + excluded.completed; ",
    );
}

fn push_changes(statement: &mut QueryBuilder<Db>, entries: &Entries, now: OffsetDateTime) -> Result<(), Error> {
    let mut rows: Vec<(Uuid, i64, &Change, Option<String>)> = Vec::new();
    for (owner, entry) in &entries.feeds {
        for (index, change) in entry.changes.iter().enumerate() {
            let behind = (entry.changes.len() - 1 - index) as i64;
            let payload = snapshot::write(&change.subject).map_err(|error| sqlx::Error::Encode(error.into()))?;
            rows.push((*owner, behind, change, payload));
        }
    }
    // SQLite binds at most 32,766 values in a statement.
    for rows in rows.chunks(1_000) {
        statement.push("insert into changes (user_id, position, kind, subject_id, payload, changed_at) ");
        statement.push_values(rows, |mut row, (owner, behind, change, payload)| {
            row.push_bind(*owner)
                .push("(select head from feeds where user_id = ")
                .push_bind_unseparated(*owner)
                .push_unseparated(") - ")
                .push_bind_unseparated(*behind)
                .push_bind(change.kind.number())
                .push_bind(change.subject_id)
                .push_bind(payload.clone())
                .push_bind(Timestamp(now));
        });
        statement.push("; ");
    }
    Ok(())
}
