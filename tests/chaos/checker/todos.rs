//! Every acknowledged todo is there as it was returned last; its events were published once, and it
//! was deleted once.

use std::collections::{BTreeMap, BTreeSet};

use super::results::Results;
use super::{count, count_of};
use crate::cluster::Cluster;
use crate::effect_log;
use crate::model::{Deletion, Todo, TodoState, User};
use crate::stores::Stores;
use quartet_tests::subscriber::hex_id;

pub(super) async fn check(cluster: &Cluster, users: &[User], results: &mut Results) -> Result<(), sqlx::Error> {
    check_api(cluster, users, results).await;
    check_store(&cluster.stores, users, results).await
}

/// Checks the todos of active users through the API.
async fn check_api(cluster: &Cluster, users: &[User], results: &mut Results) {
    let (mut read, mut wrong) = (0, Vec::new());
    for user in users.iter().filter(|user| user.deletion == Deletion::NotInvoked) {
        let rest = cluster.rest.with_token(&user.access_token);
        for todo in &user.todos {
            let Some(id) = todo.state.id() else { continue };
            read += 1;
            let reply = rest.get(&format!("/api/v1/todos/{id}")).await;
            let body = reply.json();
            let right = match &todo.state {
                TodoState::CreationUnknown => true,
                TodoState::Known(known) => reply.status == 200 && body == *known,
                TodoState::UpdateUnknown(before, title) => {
                    reply.status == 200 && (body["title"] == before["title"] || body["title"] == title.as_str())
                }
                TodoState::DeletionUnknown(before) => reply.status == 404 || (reply.status == 200 && body == *before),
                TodoState::Deleted(_) => reply.status == 404,
            };
            if !right {
                wrong.push(format!("{} {}: {}", describe(todo), reply.status, reply.text()));
            }
        }
    }
    results.add(
        "todos of active users read as they were acknowledged last",
        read,
        &wrong,
    );
}

/// Checks the todos in the store.
async fn check_store(stores: &Stores, users: &[User], results: &mut Results) -> Result<(), sqlx::Error> {
    let columns = [
        stores.id("id"),
        stores.id("user_id"),
        Stores::flag("deleted_at is not null"),
        Stores::flag("deleted_with_user"),
    ];
    let rows = stores
        .query("todos", &format!("select {}, title from todos", columns.join(", ")))
        .await?;
    let stored: BTreeSet<&str> = rows.iter().map(|row| row[0].as_str()).collect();

    // Every title is unique, also where a request was repeated with its key until it was answered.
    let mut titles: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows {
        *titles.entry(row[4].as_str()).or_default() += 1;
    }
    let twice = titles.iter().filter(|(_, count)| **count > 1);
    let twice: Vec<String> = twice.map(|(title, count)| format!("`{title}` {count} times")).collect();
    results.add("creations took effect once, those with a key too", titles.len(), &twice);

    let acknowledged = || {
        users
            .iter()
            .flat_map(|user| &user.todos)
            .filter(|todo| todo.state.id().is_some())
    };
    let id_of = |todo: &Todo| todo.state.id().map(hex_id).unwrap_or_default();
    let lost = acknowledged()
        .filter(|todo| !stored.contains(id_of(todo).as_str()))
        .map(describe);
    results.add(
        "acknowledged todos are in the store",
        acknowledged().count(),
        &lost.collect::<Vec<_>>(),
    );

    // A todo whose creation completed as `info` may be there, once.
    let unknown: BTreeSet<&str> = users
        .iter()
        .flat_map(|user| &user.todos)
        .filter(|todo| todo.state.id().is_none())
        .map(|todo| todo.title.as_str())
        .collect();
    let known: BTreeSet<String> = acknowledged().map(id_of).collect();
    let others = rows.iter().filter(|row| !known.contains(&row[0]));
    let times = count(others.map(|row| row[4].clone()));
    let wrong = times
        .iter()
        .filter(|(title, times)| **times != 1 || !unknown.contains(title.as_str()));
    results.add(
        "other todos are of unacknowledged creations, once each",
        times.len(),
        &wrong.map(|wrong| format!("{wrong:?}")).collect::<Vec<_>>(),
    );

    check_owners(stores, users, &rows, results).await?;
    check_events(stores, users, &rows, results).await
}

/// Checks that every todo has an owner, and was deleted with its owner, once.
async fn check_owners(
    stores: &Stores,
    users: &[User],
    rows: &[Vec<String>],
    results: &mut Results,
) -> Result<(), sqlx::Error> {
    let owners = stores
        .query("users", &format!("select {} from users", stores.id("id")))
        .await?;
    let owners: BTreeSet<&str> = owners.iter().map(|row| row[0].as_str()).collect();
    let orphans: Vec<String> = rows
        .iter()
        .filter(|row| !owners.contains(row[1].as_str()))
        .map(|row| row.join(" "))
        .collect();
    results.add_none("todos without an owner", &orphans);

    let deleted_users = users
        .iter()
        .filter(|user| user.deletion != Deletion::NotInvoked)
        .filter_map(|user| user.id.as_deref())
        .map(hex_id);
    let deleted_users: BTreeSet<String> = deleted_users.collect();
    let log = effect_log::read(stores, "todos").await?;
    let deleted = effect_log::count(&log, "todo deleted");
    let restored: Vec<String> = effect_log::count(&log, "todo restored").into_keys().collect();
    results.add_none("todos that were restored without a request", &restored);
    let of_deleted = || rows.iter().filter(|row| deleted_users.contains(&row[1]));
    let kept = of_deleted()
        .filter(|row| row[2] != "1")
        .map(|row| format!("{} of {}", row[0], row[1]));
    results.add(
        "todos of deleted users are deleted",
        of_deleted().count(),
        &kept.collect::<Vec<_>>(),
    );
    let wrong = rows
        .iter()
        .filter(|row| count_of(&deleted, &row[0]) != usize::from(row[2] == "1"));
    let wrong: Vec<String> = wrong
        .map(|row| format!("{}: deleted {} times", row[0], count_of(&deleted, &row[0])))
        .collect();
    results.add("todos were deleted once or not at all", rows.len(), &wrong);
    let wrong = rows
        .iter()
        .filter(|row| row[3] == "1" && !deleted_users.contains(&row[1]))
        .map(|row| row.join(" "));
    results.add_none(
        "todos that were deleted with a user who was not",
        &wrong.collect::<Vec<_>>(),
    );
    Ok(())
}

/// Checks that every write was published, once.
async fn check_events(
    stores: &Stores,
    users: &[User],
    rows: &[Vec<String>],
    results: &mut Results,
) -> Result<(), sqlx::Error> {
    let events = stores
        .query("todos", "select kind, replace(subject, '-', '') from outbox")
        .await?;
    let of = |kind: &str| count(events.iter().filter(|row| row[0] == kind).map(|row| row[1].clone()));
    let (created, updated, deleted) = (
        of("todos.todo.created.v1"),
        of("todos.todo.updated.v1"),
        of("todos.todo.deleted.v1"),
    );

    let mut wrong: Vec<String> = rows
        .iter()
        .filter(|row| count_of(&created, &row[0]) != 1)
        .map(|row| format!("{}: {} times", row[0], count_of(&created, &row[0])))
        .collect();
    let stored: BTreeSet<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    wrong.extend(
        created
            .keys()
            .filter(|id| !stored.contains(id.as_str()))
            .map(|id| format!("{id} was published, and is not in the store")),
    );
    results.add("creations of todos were published once", rows.len(), &wrong);

    // The deletion of a user publishes no event for each of the user's todos.
    let one_by_one = |row: &&Vec<String>| row[2] == "1" && row[3] != "1";
    let wrong = rows
        .iter()
        .filter(|row| count_of(&deleted, &row[0]) != usize::from(one_by_one(row)));
    let wrong: Vec<String> = wrong
        .map(|row| format!("{}: {} times", row.join(" "), count_of(&deleted, &row[0])))
        .collect();
    results.add(
        "deletions of todos were published once",
        rows.iter().filter(one_by_one).count(),
        &wrong,
    );

    let written = effect_log::count(&effect_log::read(stores, "todos").await?, "todo updated");
    let ids: BTreeSet<&String> = written.keys().chain(updated.keys()).collect();
    let wrong = ids.into_iter().filter_map(|id| {
        let (written, published) = (count_of(&written, id), count_of(&updated, id));
        (written != published).then(|| format!("{id}: written {written} times, published {published} times"))
    });
    let wrong: Vec<String> = wrong.collect();
    results.add("updates of todos were published once", written.values().sum(), &wrong);

    let todos = || {
        users
            .iter()
            .flat_map(|user| &user.todos)
            .filter(|todo| todo.updates > 0)
    };
    let lost = todos().filter(|todo| {
        let id = hex_id(todo.state.id().unwrap_or_default());
        count_of(&written, &id) < todo.updates
    });
    let acknowledged = todos().map(|todo| todo.updates).sum();
    results.add(
        "acknowledged updates were written",
        acknowledged,
        &lost.map(describe).collect::<Vec<_>>(),
    );
    Ok(())
}

fn describe(todo: &Todo) -> String {
    let state = match &todo.state {
        TodoState::CreationUnknown => "creation unknown",
        TodoState::Known(todo) => &format!("known as {todo}"),
        TodoState::UpdateUnknown(todo, title) => &format!("known as {todo}, perhaps with the title {title}"),
        TodoState::DeletionUnknown(todo) => &format!("known as {todo}, perhaps deleted"),
        TodoState::Deleted(id) => &format!("deleted, {id}"),
    };
    format!("`{}` {state}", todo.title)
}
