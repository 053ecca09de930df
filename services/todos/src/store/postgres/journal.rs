//! What a unit of work has collected, in one statement.

use quartet_messaging::Message;
use quartet_messaging::outbox::Outbox as _;
use quartet_store::{Context, Timestamp};
use sqlx::QueryBuilder;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Connection, Db};
use crate::Error;
use crate::store::entries::{Entries, Entry, Limit, NewTodos};
use crate::store::{search_key, snapshot};

/// Writes new todos, feeds, their changes and the outbox. Returns the positions that feeds have
/// come to. Nothing is written when the tags of new todos are not what they were, or when the owner
/// would have more todos than the limit.
pub(super) async fn write(
    connection: &mut Connection,
    entries: &Entries,
    messages: &[Message],
    cx: &Context,
) -> Result<Vec<(Uuid, i64)>, Error> {
    let is_conditional = !entries.new.todos.is_empty() || entries.limit.is_some();
    let mut statement = QueryBuilder::<Db>::new("with ");
    push_held(&mut statement, &entries.new);
    push_feeds(&mut statement, entries);
    if !entries.new.todos.is_empty() {
        push_todos(&mut statement, &entries.new, cx.now);
    }
    push_changes(&mut statement, entries, cx.now)?;
    if !messages.is_empty() {
        statement.push(", message as (");
        let condition = if is_conditional {
            "where exists (select from feed)"
        } else {
            ""
        };
        Connection::push_insert(&mut statement, messages, condition);
        statement.push(")");
    }
    statement.push(
        " select feed.user_id, feed.head, held.tags
            from (select count(*) as tags from held) as held
            left join feed on true",
    );
    let rows: Vec<(Option<Uuid>, Option<i64>, i64)> = statement.build_query_as().fetch_all(connection).await?;
    let held = rows.first().map_or(0, |(_, _, held)| *held);
    if held != entries.new.tags.len() as i64 {
        return Err(Error::TagsChanged);
    }
    Ok(rows
        .into_iter()
        .filter_map(|(owner, head, _)| Some((owner?, head?)))
        .collect())
}

/// `held` has a row for each tag of the new todos; fewer when one of them was renamed or deleted
/// since it was read. The lock keeps tags from that until the commit.
fn push_held(statement: &mut QueryBuilder<Db>, new: &NewTodos) {
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
        .push(" order by tags.id for key share of tags), ");
}

/// Makes the new todos, with the tags on them, if the owner's feed has moved on.
fn push_todos(statement: &mut QueryBuilder<Db>, new: &NewTodos, now: OffsetDateTime) {
    let todos = &new.todos;
    statement
        .push(
            ", made as (
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
                 where exists (select from feed)
             returning id
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
             )",
        );
}

fn push_feeds(statement: &mut QueryBuilder<Db>, entries: &Entries) {
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
        .push("::int8[]) as entry (user_id, length, live, completed) where (select count(*) from held) = ")
        .push_bind(entries.new.tags.len() as i64);
    if let Some(Limit { owner, todos }) = entries.limit {
        statement
            .push(" and (entry.user_id <> ")
            .push_bind(owner)
            .push(" or entry.live <= ")
            .push_bind(todos)
            .push(")");
    }
    statement.push(
        " on conflict (user_id) do update
              set head = feeds.head + excluded.head,
                  live = feeds.live + excluded.live,
                  completed = feeds.completed + excluded.completed",
    );
    if let Some(Limit { owner, todos }) = entries.limit {
        statement
            .push(" where feeds.user_id <> ")
            .push_bind(owner)
            .push(" or feeds.live + excluded.live <= ")
            .push_bind(todos);
    }
    statement.push(" returning user_id, head)");
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
