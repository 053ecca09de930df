//! Every todo that was acknowledged is there as it was answered, was told of once, and went once.

use std::collections::{BTreeMap, BTreeSet};

use super::tally;
use crate::audit::effects;
use crate::books::Books;
use crate::findings::Findings;
use crate::ledger::{Departure, Person, State, Todo, bare};
use crate::stage::Stage;

pub(super) async fn check(stage: &Stage, people: &[Person], findings: &mut Findings) -> Result<(), sqlx::Error> {
    answers(stage, people, findings).await;
    rows(&stage.books, people, findings).await
}

/// What the API says of the todos of those who stay.
async fn answers(stage: &Stage, people: &[Person], findings: &mut Findings) {
    let (mut read, mut wrong) = (0, Vec::new());
    for person in people.iter().filter(|person| person.departure == Departure::Stays) {
        let rest = stage.rest.bearing(&person.access);
        for todo in &person.todos {
            let Some(id) = todo.state.id() else { continue };
            read += 1;
            let reply = rest.get(&format!("/api/v1/todos/{id}")).await;
            let body = reply.json();
            let right = match &todo.state {
                State::Asked => true,
                State::Known(known) => reply.status == 200 && body == *known,
                State::Edited(before, title) => {
                    reply.status == 200 && (body["title"] == before["title"] || body["title"] == title.as_str())
                }
                State::Leaving(before) => reply.status == 404 || (reply.status == 200 && body == *before),
                State::Deleted(_) => reply.status == 404,
            };
            if !right {
                wrong.push(format!("{} {}: {}", describe(todo), reply.status, reply.text()));
            }
        }
    }
    findings.hold("todos of those who stay read as they were answered", read, &wrong);
}

/// What the store holds.
async fn rows(books: &Books, people: &[Person], findings: &mut Findings) -> Result<(), sqlx::Error> {
    let columns = [
        books.id("id"),
        books.id("user_id"),
        Books::flag("deleted_at is not null"),
        Books::flag("departed"),
    ];
    let rows = books
        .rows("todos", &format!("select {}, title from todos", columns.join(", ")))
        .await?;
    let there: BTreeSet<&str> = rows.iter().map(|row| row[0].as_str()).collect();

    let acknowledged = || {
        people
            .iter()
            .flat_map(|person| &person.todos)
            .filter(|todo| todo.state.id().is_some())
    };
    let id_of = |todo: &Todo| todo.state.id().map(bare).unwrap_or_default();
    let lost = acknowledged()
        .filter(|todo| !there.contains(id_of(todo).as_str()))
        .map(describe);
    findings.hold(
        "todos that were acknowledged are in the store",
        acknowledged().count(),
        &lost.collect::<Vec<_>>(),
    );

    // One that was asked for and not answered may be there, and once.
    let unanswered: BTreeSet<&str> = people
        .iter()
        .flat_map(|person| &person.todos)
        .filter(|todo| todo.state.id().is_none())
        .map(|todo| todo.title.as_str())
        .collect();
    let known: BTreeSet<String> = acknowledged().map(id_of).collect();
    let others = rows.iter().filter(|row| !known.contains(&row[0]));
    let times = tally(others.map(|row| row[4].clone()));
    let odd = times
        .iter()
        .filter(|(title, times)| **times != 1 || !unanswered.contains(title.as_str()));
    findings.hold(
        "todos are there that were asked for and not answered, each once",
        times.len(),
        &odd.map(|odd| format!("{odd:?}")).collect::<Vec<_>>(),
    );

    owners(books, people, &rows, findings).await?;
    news(books, people, &rows, findings).await
}

/// Nothing belongs to nobody, and what belonged to somebody who left went with them, once.
async fn owners(
    books: &Books,
    people: &[Person],
    rows: &[Vec<String>],
    findings: &mut Findings,
) -> Result<(), sqlx::Error> {
    let users = books
        .rows("users", &format!("select {} from users", books.id("id")))
        .await?;
    let users: BTreeSet<&str> = users.iter().map(|row| row[0].as_str()).collect();
    let orphans: Vec<String> = rows
        .iter()
        .filter(|row| !users.contains(row[1].as_str()))
        .map(|row| row.join(" "))
        .collect();
    findings.none("todos have no owner", &orphans);

    let gone = people
        .iter()
        .filter(|person| person.departure != Departure::Stays)
        .filter_map(|person| person.id.as_deref())
        .map(bare);
    let gone: BTreeSet<String> = gone.collect();
    let noted = effects(books, "todos").await?;
    let deleted = tally(
        noted
            .iter()
            .filter(|(name, _)| name == "todo deleted")
            .map(|(_, id)| id.clone()),
    );
    let restored: Vec<String> = noted
        .iter()
        .filter(|(name, _)| name == "todo restored")
        .map(|(_, id)| id.clone())
        .collect();
    findings.none("todos came back that nobody brought back", &restored);
    let of_gone = || rows.iter().filter(|row| gone.contains(&row[1]));
    let stayed = of_gone()
        .filter(|row| row[2] != "1")
        .map(|row| format!("{} of {}", row[0], row[1]));
    findings.hold(
        "todos of those who left are deleted",
        of_gone().count(),
        &stayed.collect::<Vec<_>>(),
    );
    let twice = rows
        .iter()
        .filter(|row| deleted.get(&row[0]).copied().unwrap_or_default() != usize::from(row[2] == "1"));
    let twice: Vec<String> = twice
        .map(|row| format!("{}: deleted {:?} times", row[0], deleted.get(&row[0])))
        .collect();
    findings.hold("todos were deleted once or not at all", rows.len(), &twice);
    let taken = rows
        .iter()
        .filter(|row| row[3] == "1" && !gone.contains(&row[1]))
        .map(|row| row.join(" "));
    findings.none("todos went with somebody who did not leave", &taken.collect::<Vec<_>>());
    Ok(())
}

/// Every write was told of.
async fn news(
    books: &Books,
    people: &[Person],
    rows: &[Vec<String>],
    findings: &mut Findings,
) -> Result<(), sqlx::Error> {
    let told = books
        .rows("todos", "select kind, replace(subject, '-', '') from outbox")
        .await?;
    let of = |kind: &str| tally(told.iter().filter(|row| row[0] == kind).map(|row| row[1].clone()));
    let (created, updated, deleted) = (
        of("todos.todo.created.v1"),
        of("todos.todo.updated.v1"),
        of("todos.todo.deleted.v1"),
    );
    let times = |tally: &BTreeMap<String, usize>, id: &str| tally.get(id).copied().unwrap_or_default();

    let mut wrong: Vec<String> = rows
        .iter()
        .filter(|row| times(&created, &row[0]) != 1)
        .map(|row| format!("{}: {} times", row[0], times(&created, &row[0])))
        .collect();
    let there: BTreeSet<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    wrong.extend(
        created
            .keys()
            .filter(|id| !there.contains(id.as_str()))
            .map(|id| format!("{id} was told of, and is not there")),
    );
    findings.hold("todos were told to be made once", rows.len(), &wrong);

    // One that went with its owner is not told of.
    let by_owner = |row: &&Vec<String>| row[2] == "1" && row[3] != "1";
    let wrong = rows
        .iter()
        .filter(|row| times(&deleted, &row[0]) != usize::from(by_owner(row)));
    let wrong: Vec<String> = wrong
        .map(|row| format!("{}: {} times", row.join(" "), times(&deleted, &row[0])))
        .collect();
    findings.hold(
        "todos were told to be deleted once",
        rows.iter().filter(by_owner).count(),
        &wrong,
    );

    let noted = effects(books, "todos").await?.into_iter();
    let written = tally(noted.filter(|(name, _)| name == "todo written").map(|(_, id)| id));
    let edited: BTreeSet<&String> = written.keys().chain(updated.keys()).collect();
    let wrong = edited.into_iter().filter_map(|id| {
        let (written, told) = (times(&written, id), times(&updated, id));
        (written != told).then(|| format!("{id}: written {written} times, told {told} times"))
    });
    let wrong: Vec<String> = wrong.collect();
    findings.hold("edits were told of once", written.values().sum(), &wrong);

    let edits = || {
        people
            .iter()
            .flat_map(|person| &person.todos)
            .filter(|todo| todo.edits > 0)
    };
    let lost = edits().filter(|todo| times(&written, &bare(todo.state.id().unwrap_or_default())) < todo.edits);
    let count = edits().map(|todo| todo.edits).sum();
    findings.hold(
        "acknowledged edits were made",
        count,
        &lost.map(describe).collect::<Vec<_>>(),
    );
    Ok(())
}

fn describe(todo: &Todo) -> String {
    let state = match &todo.state {
        State::Asked => "not answered",
        State::Known(todo) => &format!("known as {todo}"),
        State::Edited(todo, title) => &format!("known as {todo}, perhaps with the title {title}"),
        State::Leaving(todo) => &format!("known as {todo}, perhaps deleted"),
        State::Deleted(id) => &format!("deleted, {id}"),
    };
    format!("`{}` {state}", todo.title)
}
