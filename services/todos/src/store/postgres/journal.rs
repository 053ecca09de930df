//! What a unit of work has collected, in one statement.

use quartet_messaging::Message;
use quartet_messaging::outbox::Outbox as _;
use quartet_store::{Context, Timestamp};
use sqlx::QueryBuilder;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Connection, Db};
use crate::Error;
use crate::store::entries::{Entries, Entry, NewTodos};
use crate::store::{search_key, snapshot};

/// Writes new todos, feeds, their changes and the outbox. Returns the positions that feeds have
/// come to; none when the tags of new todos are not what they were, and then nothing is written.
pub(super) async fn write(
    connection: &mut Connection,
    entries: &Entries,
    messages: &[Message],
    cx: &Context,
) -> Result<Vec<(Uuid, i64)>, Error> {
    let mut statement = QueryBuilder::<Db>::new("with ");
    let (mut condition, mut message_condition) = ("", "");
    if !entries.new.todos.is_empty() {
        push_todos(&mut statement, &entries.new, cx.now);
        (condition, message_condition) = (" where exists (select from made)", "where exists (select from made)");
    }
    push_feeds(&mut statement, entries, condition);
    push_changes(&mut statement, entries, cx.now)?;
    if !messages.is_empty() {
        statement.push(", message as (");
        Connection::push_insert(&mut statement, messages, message_condition);
        statement.push(")");
    }
    statement.push(" select user_id, head from feed");
    Ok(statement.build_query_as().fetch_all(connection).await?)
}

/// `made` has a row for each new todo; none when one of their tags was renamed or deleted since it
/// was read. The lock keeps tags from that until the commit.
fn push_todos(statement: &mut QueryBuilder<Db>, new: &NewTodos, now: OffsetDateTime) {
    let todos = &new.todos;
    statement
        .push(
            "held as (
                select tags.id
                  from tags join unnest(",
        )
        .push_bind(new.tags.iter().map(|tag| tag.id).collect::<Vec<_>>())
        .push("::uuid[], ")
        .push_bind(new.tags.iter().map(|tag| tag.name.clone()).collect::<Vec<_>>())
        .push(
            "::text[]) as wanted (id, name) on tags.id = wanted.id and tags.name = wanted.name
                 where tags.user_id = ",
        )
        .push_bind(new.owner)
        .push(
            " order by tags.id for key share of tags
             ), made as (
                insert into todos
                    (id, user_id, title, description, completed_at, due_at, priority, title_key, description_key,
                     created_at, updated_at)
                select id, ",
        )
        .push_bind(new.owner)
        .push(", title, description, completed_at, due_at, priority, title_key, description_key, ")
        .push_bind(Timestamp(now))
        .push(", ")
        .push_bind(Timestamp(now))
        .push(" from unnest(")
        .push_bind(todos.iter().map(|todo| todo.id).collect::<Vec<_>>())
        .push("::uuid[], ")
        .push_bind(
            todos
                .iter()
                .map(|todo| todo.title.as_str().to_owned())
                .collect::<Vec<_>>(),
        )
        .push("::text[], ")
        .push_bind(
            todos
                .iter()
                .map(|todo| todo.description.as_ref().map(|text| text.as_str().to_owned()))
                .collect::<Vec<_>>(),
        )
        .push("::text[], ")
        .push_bind(
            todos
                .iter()
                .map(|todo| todo.completed.then_some(now))
                .collect::<Vec<_>>(),
        )
        .push("::timestamptz[], ")
        .push_bind(todos.iter().map(|todo| todo.due_at).collect::<Vec<_>>())
        .push("::timestamptz[], ")
        .push_bind(todos.iter().map(|todo| todo.priority.number()).collect::<Vec<_>>())
        .push("::int2[], ")
        .push_bind(
            todos
                .iter()
                .map(|todo| search_key(Some(todo.title.as_str())))
                .collect::<Vec<_>>(),
        )
        .push("::text[], ")
        .push_bind(
            todos
                .iter()
                .map(|todo| search_key(todo.description.as_ref().map(|text| text.as_str())))
                .collect::<Vec<_>>(),
        )
        .push(
            "::text[]) as todo (id, title, description, completed_at, due_at, priority, title_key, description_key)
                 where (select count(*) from held) = ",
        )
        .push_bind(new.tags.len() as i64)
        .push(
            " returning id
             ), tagged as (
                insert into todo_tags (todo_id, tag_id)
                select todo_id, tag_id from unnest(",
        );
    let pairs = todos
        .iter()
        .flat_map(|todo| todo.tag_ids.iter().map(|tag| (todo.id, *tag)));
    let (todo_ids, tag_ids): (Vec<Uuid>, Vec<Uuid>) = pairs.unzip();
    statement
        .push_bind(todo_ids)
        .push("::uuid[], ")
        .push_bind(tag_ids)
        .push(
            "::uuid[]) as pair (todo_id, tag_id)
                 where exists (select from made)
             ), ",
        );
}

fn push_feeds(statement: &mut QueryBuilder<Db>, entries: &Entries, condition: &str) {
    fn column<T>(entries: &Entries, of: impl Fn(&Entry) -> T) -> Vec<T> {
        entries.feeds.values().map(of).collect()
    }
    statement
        .push(
            "feed as (
                insert into feeds (user_id, head, live, completed)
                select * from unnest(",
        )
        .push_bind(entries.feeds.keys().copied().collect::<Vec<_>>())
        .push("::uuid[], ")
        .push_bind(column(entries, Entry::length))
        .push("::int8[], ")
        .push_bind(column(entries, |entry| entry.counts.live))
        .push("::int8[], ")
        .push_bind(column(entries, |entry| entry.counts.completed))
        .push("::int8[]) as entry (user_id, length, live, completed)")
        .push(condition)
        .push(
            " on conflict (user_id) do update
                  set head = feeds.head + excluded.head,
                      live = feeds.live + excluded.live,
                      completed = feeds.completed + excluded.completed
            returning user_id, head
             )",
        );
}

fn push_changes(statement: &mut QueryBuilder<Db>, entries: &Entries, now: OffsetDateTime) -> Result<(), Error> {
    let (mut owners, mut behind, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
    let (mut subjects, mut payloads) = (Vec::new(), Vec::new());
    for (owner, entry) in &entries.feeds {
        for (index, change) in entry.changes.iter().enumerate() {
            owners.push(*owner);
            behind.push((entry.changes.len() - 1 - index) as i64);
            kinds.push(change.kind.number());
            subjects.push(change.subject_id);
            payloads.push(snapshot::write(&change.subject).map_err(|error| sqlx::Error::Encode(error.into()))?);
        }
    }
    statement
        .push(
            ", change as (
                insert into changes (user_id, position, kind, subject_id, payload, changed_at)
                select user_id, feed.head - change.behind, change.kind, change.subject_id, change.payload, ",
        )
        .push_bind(Timestamp(now))
        .push(" from unnest(")
        .push_bind(owners)
        .push("::uuid[], ")
        .push_bind(behind)
        .push("::int8[], ")
        .push_bind(kinds)
        .push("::int2[], ")
        .push_bind(subjects)
        .push("::uuid[], ")
        .push_bind(payloads)
        .push("::text[]) as change (user_id, behind, kind, subject_id, payload) join feed using (user_id))");
    Ok(())
}
