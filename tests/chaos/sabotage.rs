//! The checks themselves: each loss that is made by hand is found, under its name.

use crate::findings::Findings;
use crate::stage::Stage;
use crate::{checks, run};

/// Where something is done to a store, what, and the statement that must break.
const LOSSES: [(&str, &str, &str); 9] = [
    (
        "todos",
        "update todos set title = 'another' where id = (select id from todos where deleted_at is null limit 1)",
        "todos of those who stay read as they were answered",
    ),
    (
        "todos",
        "delete from todos where id = (select id from todos where deleted_at is null limit 1)",
        "todos that were acknowledged are in the store",
    ),
    (
        "todos",
        "delete from outbox where seq = (select min(seq) from outbox where kind = 'todos.todo.created.v1')",
        "todos were told to be made once",
    ),
    (
        "todos",
        "insert into chaos_effects select name, id from chaos_effects where name = 'todo deleted' limit 1",
        "todos were deleted once or not at all",
    ),
    (
        "users",
        "delete from inbox where message_id = (select min(message_id) from inbox)",
        "times an event was to be heard by a consumer, and was",
    ),
    (
        "users",
        "insert into chaos_effects select name, id from chaos_effects where name = 'user made' limit 1",
        "accounts have a user, which was made once",
    ),
    (
        "users",
        "insert into inbox select consumer, x'00', seen_at from inbox limit 1",
        "messages were heard that nobody said",
    ),
    (
        "auth",
        "update accounts set closed = 1 where id = (select id from accounts where closed = 0 and role = 'user' limit 1)",
        "accounts are closed, and their users deleted, exactly if that was asked for",
    ),
    (
        "auth",
        "insert into chaos_effects select 'session ended', lower(hex(id)) from sessions where ended_at is null limit 1",
        "sessions ended once with their person, or not at all",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_loss_is_found() {
    let mut stage = Stage::embedded().await;
    // Enough rounds that the load has written some of everything.
    let people = run::run(&mut stage, 5, 3).await;
    let mut broken_before = 0;
    for (service, sql, statement) in LOSSES {
        stage.books.run(service, sql).await.expect(sql);
        let mut findings = Findings::default();
        checks::all(&stage, &people, &mut findings)
            .await
            .expect("the stores can be read");
        let broken = findings.broken();
        assert!(
            broken.iter().any(|broken| broken == statement),
            "{sql}\n{}",
            findings.text()
        );
        assert!(
            broken.len() > broken_before,
            "{sql} breaks nothing more\n{}",
            findings.text()
        );
        broken_before = broken.len();
    }
}
