//! The checks themselves: each loss that is made by hand is found, under its name.

mod losses;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::findings::Findings;
use crate::ledger::{Person, State, Task, Work, bare};
use crate::schedule::{Act, Deed, Round};
use crate::stage::Stage;
use crate::{checks, run};
use losses::LOSSES;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_loss_is_found() {
    let mut stage = Stage::embedded().await;
    // Long enough that the load has written some of everything. Nothing is killed, so that nothing waits for a lease to end.
    let people = run::run(&mut stage, 5, &[(); 3].map(|()| restart())).await;
    let mut left = Left::by(&people);
    let mut findings = Findings::default();
    for loss in LOSSES {
        let sql = left.name_in(loss.sql);
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

/// A round in which the one process is started anew.
fn restart() -> Round {
    let act = Act {
        after: Duration::from_millis(500),
        target: 0,
        deed: Deed::Restart,
        down: Duration::ZERO,
    };
    Round {
        acts: vec![act],
        impatient: false,
        peace: Duration::from_secs(1),
    }
}

/// What the load left, as SQLite reads it.
struct Left(BTreeMap<&'static str, Vec<String>>);

impl Left {
    fn by(people: &[Person]) -> Self {
        let staying = || people.iter().filter(|person| person.stays());
        let heard = |person: &&Person| {
            let heard = person.follower.as_ref().map(|follower| follower.heard());
            heard.is_some_and(|heard| heard.iter().any(|heard| !heard.todo.is_empty()))
        };
        // What is lost of somebody's feed is not lost once more as one of their todos.
        let followed = staying().find(heard).and_then(|person| person.id.as_deref());
        let others = staying().filter(|person| person.id.as_deref() != followed);
        let todos = others.flat_map(|person| &person.todos);
        let todos = todos.filter(|todo| matches!(todo.state, State::Known(_)));
        let todos = todos.filter_map(|todo| todo.state.id().map(literal));
        let undisturbed = |task: &&Task| !task.cancelled;
        let tasks = || staying().flat_map(|person| &person.tasks).filter(undisturbed);
        let exports = tasks().filter(|task| task.work == Work::Export);
        let exports = exports.filter_map(|task| task.id.as_deref().map(literal));
        let imported = tasks()
            .filter(|task| task.id.is_some())
            .filter_map(|task| match &task.work {
                Work::Import(titles) => Some(format!("'{}'", titles[0])),
                Work::Export => None,
            });
        let left = [
            ("{todo}", todos.collect()),
            ("{export}", exports.collect()),
            ("{imported}", imported.collect()),
            ("{followed}", followed.map(literal).into_iter().collect::<Vec<_>>()),
        ];
        Self(left.into())
    }

    /// A statement with what it asks for.
    fn name_in(&mut self, sql: &str) -> String {
        let mut named = sql.to_owned();
        for (asked, left) in &mut self.0 {
            if named.contains(asked) {
                let one = left
                    .pop()
                    .unwrap_or_else(|| panic!("the load has left too few for {sql}"));
                named = named.replace(asked, &one);
            }
        }
        named
    }
}

/// An id as SQLite reads it.
fn literal(id: &str) -> String {
    format!("x'{}'", bare(id))
}
