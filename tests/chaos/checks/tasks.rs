//! Every task that was accepted ended, once, with its effect there; none is under way, and there is none that nobody asked for.

use std::collections::{BTreeMap, BTreeSet};

use super::tally;
use crate::audit::effects;
use crate::books::Books;
use crate::findings::Findings;
use crate::ledger::{Person, Task, Work, bare};
use crate::stage::Stage;

/// How a task may end.
const ENDED: [&str; 4] = ["succeeded", "failed", "cancelled", "dead"];

/// What became of tasks.
#[derive(Default)]
pub struct Worked {
    /// Tasks by kind and status.
    pub tasks: BTreeMap<String, usize>,
    /// Attempts that were begun.
    pub attempts: usize,
}

/// A task, as the store has it.
struct Row {
    owner: String,
    kind: String,
    status: String,
    key: String,
}

/// Tasks that have not ended.
pub(super) async fn unfinished(books: &Books) -> Result<Vec<String>, sqlx::Error> {
    let ended = ENDED.map(|status| format!("'{status}'")).join(", ");
    let sql = format!(
        "select {}, kind, status, cast(attempts as text), coalesce(problem_reason, ''), coalesce(problem_message, '')
           from jobs where status not in ({ended})",
        books.id("id")
    );
    let rows = books.rows("jobs", &sql).await?;
    Ok(rows.into_iter().map(|row| row.join(" ")).collect())
}

pub(super) async fn check(stage: &Stage, people: &[Person], findings: &mut Findings) -> Result<Worked, sqlx::Error> {
    let books = &stage.books;
    let sql = format!(
        "select {}, {}, kind, status, coalesce(unique_key, '') from jobs",
        books.id("id"),
        books.id("owner")
    );
    let rows = books.rows("jobs", &sql).await?.into_iter().map(|row| {
        let [id, owner, kind, status, key] = row.try_into().expect("five columns");
        (
            id,
            Row {
                owner,
                kind,
                status,
                key,
            },
        )
    });
    let rows: BTreeMap<String, Row> = rows.collect();
    findings.none("tasks are still under way", &unfinished(books).await?);
    accepted(&rows, people, findings);
    unasked(&rows, people, findings);
    let attempts = endings(books, &rows, findings).await?;
    imports(books, &rows, people, findings).await?;
    exports(stage, people, findings).await;
    let mut worked = Worked {
        attempts,
        ..Worked::default()
    };
    for row in rows.values() {
        *worked.tasks.entry(format!("{} {}", row.kind, row.status)).or_default() += 1;
    }
    Ok(worked)
}

fn tasks_of(people: &[Person]) -> impl Iterator<Item = (&Person, &Task)> {
    people
        .iter()
        .flat_map(|person| person.tasks.iter().map(move |task| (person, task)))
}

/// An export has more attempts than a run can spoil; an import has five, and may use them up. Nothing is imported for somebody who has left.
fn accepted(rows: &BTreeMap<String, Row>, people: &[Person], findings: &mut Findings) {
    let (mut count, mut wrong) = (0, Vec::new());
    for (person, task) in tasks_of(people) {
        let Some(id) = &task.id else { continue };
        count += 1;
        let Some(row) = rows.get(&bare(id)) else {
            wrong.push(format!("{id} is gone"));
            continue;
        };
        let told = task
            .ended
            .as_deref()
            .and_then(|ended| ended.strip_prefix("TASK_STATUS_"));
        let right = match (row.status.as_str(), &task.work) {
            ("succeeded", _) => true,
            ("cancelled", _) => task.cancelled,
            ("dead", Work::Import(_)) => true,
            ("failed", Work::Import(_)) => !person.stays(),
            _ => false,
        };
        if !right || told.is_some_and(|told| !told.eq_ignore_ascii_case(&row.status)) {
            wrong.push(format!(
                "{id} {:?} {} {}, was told as {told:?}",
                task.work, row.kind, row.status
            ));
        }
    }
    findings.hold(
        "tasks that were accepted have ended well, and as it was told",
        count,
        &wrong,
    );
}

/// A task without an answer may be there: one of its key, or one for each time that it was asked for.
fn unasked(rows: &BTreeMap<String, Row>, people: &[Person], findings: &mut Findings) {
    let known: BTreeSet<String> = tasks_of(people)
        .filter_map(|(_, task)| task.id.as_deref().map(bare))
        .collect();
    let unanswered = tasks_of(people).filter(|(_, task)| task.id.is_none());
    let mut asked = tally(unanswered.map(|(person, task)| {
        let owner = bare(person.id.as_deref().unwrap_or_default());
        format!("{owner} {}", task.key.as_deref().unwrap_or_default())
    }));
    let suite = "0".repeat(32);
    let mut wrong = Vec::new();
    for (id, row) in rows
        .iter()
        .filter(|(id, row)| row.owner != suite && !known.contains(*id))
    {
        match asked.get_mut(&format!("{} {}", row.owner, row.key)) {
            Some(left) if *left > 0 => *left -= 1,
            _ => wrong.push(format!("{id} {} of {} with the key `{}`", row.kind, row.owner, row.key)),
        }
    }
    findings.none("tasks are there that nobody asked for", &wrong);
}

/// How often each task was made, begun and ended, as the witness has it; how often tasks were begun.
async fn endings(books: &Books, rows: &BTreeMap<String, Row>, findings: &mut Findings) -> Result<usize, sqlx::Error> {
    let noted = effects(books, "jobs").await?;
    let of = |wanted: &str| {
        tally(
            noted
                .iter()
                .filter(|(name, _)| name == wanted)
                .map(|(_, id)| id.clone()),
        )
    };
    let (made, begun, ended) = (of("task made"), of("task begun"), of("task ended"));
    let times = |tally: &BTreeMap<String, usize>, id: &str| tally.get(id).copied().unwrap_or_default();
    let wrong = rows.iter().filter_map(|(id, row)| {
        let (made, begun, ended) = (times(&made, id), times(&begun, id), times(&ended, id));
        let right = made == 1 && ended == 1 && (begun > 0 || row.status == "cancelled");
        (!right).then(|| {
            format!(
                "{id} {} {}: made {made}, begun {begun}, ended {ended} times",
                row.kind, row.status
            )
        })
    });
    findings.hold(
        "tasks were made once, begun, and ended once",
        rows.len(),
        &wrong.collect::<Vec<_>>(),
    );
    let undone = noted
        .iter()
        .filter(|(name, _)| name == "task revived" || name == "task gone");
    let undone: Vec<String> = undone.map(|(name, id)| format!("{name}: {id}")).collect();
    findings.none("tasks began again after their end, or are gone", &undone);
    Ok(begun.values().sum())
}

/// Each row of a file that was imported is a todo, once; of one whose task did not end well, at most once.
async fn imports(
    books: &Books,
    rows: &BTreeMap<String, Row>,
    people: &[Person],
    findings: &mut Findings,
) -> Result<(), sqlx::Error> {
    let titles = tally(
        books
            .rows("todos", "select title from todos")
            .await?
            .into_iter()
            .flatten(),
    );
    let (mut count, mut wrong) = (0, Vec::new());
    for (_, task) in tasks_of(people) {
        let (Work::Import(rows_of_file), Some(id)) = (&task.work, &task.id) else {
            continue;
        };
        let succeeded = rows.get(&bare(id)).is_some_and(|row| row.status == "succeeded");
        for title in rows_of_file {
            count += 1;
            let times = titles.get(title).copied().unwrap_or_default();
            if times > 1 || (succeeded && times == 0) {
                wrong.push(format!("`{title}` of {id} is there {times} times"));
            }
        }
    }
    findings.hold("rows of imported files are todos, once", count, &wrong);
    Ok(())
}

/// What the API says of the exports of those who stay: their files can be read, and hold what the results say.
async fn exports(stage: &Stage, people: &[Person], findings: &mut Findings) {
    let (mut count, mut wrong) = (0, Vec::new());
    for (person, task) in tasks_of(people).filter(|(person, task)| person.stays() && task.work == Work::Export) {
        let Some(id) = &task.id else { continue };
        let rest = stage.rest.bearing(&person.access);
        let told = rest.get(&format!("/api/v1/tasks/{id}")).await;
        if told.status == 200 && told.json()["status"] == "TASK_STATUS_CANCELLED" {
            continue;
        }
        count += 1;
        let file = rest.get(&format!("/api/v1/tasks/{id}/result")).await;
        let todos = serde_json::from_slice::<Vec<serde_json::Value>>(&file.body).map(|todos| todos.len());
        let whole = told.status == 200
            && file.status == 200
            && todos.is_ok_and(|todos| told.json()["export"]["todos"] == todos);
        if !whole {
            wrong.push(format!("{id}: {} / {} {}", told.text(), file.status, file.text()));
        }
    }
    findings.hold("exports of those who stay can be fetched whole", count, &wrong);
}
