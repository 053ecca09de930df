//! The checks themselves: each loss that is made by hand is found, under its name.

use crate::findings::Findings;
use crate::ledger::{Person, State, bare};
use crate::stage::Stage;
use crate::{checks, run};

/// Something that is done to a store by hand.
struct Loss {
    service: &'static str,
    /// `{todo}` stands for the id of a todo of somebody who stays, another one for each loss; `{followed}` for that of somebody whose feed was followed.
    sql: &'static str,
    /// The statement that is contradicted once more.
    breaks: &'static str,
}

const LOSSES: [Loss; 14] = [
    // Before the feeds are spoilt in other ways, which who followed them contradicts as well.
    Loss {
        service: "todos",
        sql: "update changes set subject_id = x'00' where subject_id in (select subject_id from changes where user_id = {followed} limit 1)",
        breaks: "changes were heard, in order and once, by who followed a feed",
    },
    Loss {
        service: "todos",
        sql: "update todos set title = 'another' where id = {todo}",
        breaks: "todos of those who stay read as they were answered",
    },
    Loss {
        service: "todos",
        sql: "delete from todos where id = {todo}",
        breaks: "todos that were acknowledged are in the store",
    },
    Loss {
        service: "todos",
        sql: "delete from outbox where seq = (select max(seq) from outbox where kind = 'todos.todo.created.v1')",
        breaks: "todos were told to be made once",
    },
    Loss {
        service: "todos",
        sql: "delete from outbox where seq = (select max(seq) from outbox where kind = 'todos.todo.updated.v1')",
        breaks: "edits were told of once",
    },
    Loss {
        service: "todos",
        sql: "insert into chaos_effects select name, id from chaos_effects where name = 'todo deleted' limit 1",
        breaks: "todos were deleted once or not at all",
    },
    Loss {
        service: "todos",
        sql: "delete from changes where subject_id = {todo} and kind = 1",
        breaks: "feeds have no gap but for departures",
    },
    Loss {
        service: "todos",
        sql: "update changes set kind = 2 where subject_id = {todo} and kind = 1",
        breaks: "writes to todos are in their owner's feed once, and nothing else is",
    },
    Loss {
        service: "todos",
        sql: "update changes set payload = '{}' where subject_id = {todo}",
        breaks: "todos are as their feed told of them last",
    },
    Loss {
        service: "users",
        sql: "delete from inbox where message_id = (select min(message_id) from inbox)",
        breaks: "times an event was to be heard by a consumer, and was",
    },
    Loss {
        service: "users",
        sql: "insert into chaos_effects select name, id from chaos_effects where name = 'user made' limit 1",
        breaks: "accounts have a user, which was made once",
    },
    Loss {
        service: "users",
        sql: "insert into inbox select consumer, x'00', seen_at from inbox limit 1",
        breaks: "messages were heard that nobody said",
    },
    Loss {
        service: "auth",
        sql: "update accounts set closed = 1 where id = (select id from accounts where closed = 0 and role = 'user' limit 1)",
        breaks: "accounts are closed, and their users deleted, exactly if that was asked for",
    },
    Loss {
        service: "auth",
        sql: "insert into chaos_effects select 'session ended', lower(hex(id)) from sessions where ended_at is null limit 1",
        breaks: "sessions ended once with their person, or not at all",
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_loss_is_found() {
    let mut stage = Stage::embedded().await;
    // Enough rounds that the load has written some of everything.
    let people = run::run(&mut stage, 5, 3).await;
    let mut todos = known_todos(&people);
    let mut findings = Findings::default();
    for loss in LOSSES {
        let mut sql = loss.sql.to_owned();
        if sql.contains("{todo}") {
            sql = sql.replace(
                "{todo}",
                &literal(&todos.pop().expect("the load has left todos enough")),
            );
        }
        if sql.contains("{followed}") {
            sql = sql.replace("{followed}", &literal(&followed(&people)));
        }
        let written = stage.books.run(loss.service, &sql).await.expect(&sql);
        assert!(written > 0, "{sql}: there was nothing to lose");
        let before = findings.contradictions(loss.breaks);
        findings = Findings::default();
        let checked = checks::all(&stage, &people, &mut findings).await;
        checked.expect("the stores can be read");
        let after = findings.contradictions(loss.breaks);
        assert!(after > before, "{sql}: not found\n{}", findings.text());
    }
}

/// Ids of todos that stand as they were answered, of people who stay.
fn known_todos(people: &[Person]) -> Vec<String> {
    let staying = people.iter().filter(|person| person.stays());
    let known = staying
        .flat_map(|person| &person.todos)
        .filter_map(|todo| match &todo.state {
            State::Known(_) => todo.state.id().map(bare),
            _ => None,
        });
    known.collect()
}

/// Id of somebody who stays, and of whom a follower heard something.
fn followed(people: &[Person]) -> String {
    let heard = |person: &&Person| {
        let heard = person.follower.as_ref().map(|follower| follower.heard());
        person.stays() && heard.is_some_and(|heard| heard.iter().any(|heard| !heard.todo.is_empty()))
    };
    let person = people.iter().find(heard).expect("somebody was followed");
    bare(person.id.as_deref().unwrap_or_default())
}

/// An id as SQLite reads it.
fn literal(id: &str) -> String {
    format!("x'{id}'")
}
