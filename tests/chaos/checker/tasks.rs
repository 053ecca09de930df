//! Every accepted task finished once, with its effect; none is unfinished, and none exists that was
//! not created.

use std::collections::{BTreeMap, BTreeSet};

use super::results::Results;
use super::{count, count_of};
use crate::cluster::Cluster;
use crate::effect_log;
use crate::model::{Task, TaskKind, User};
use crate::stores::Stores;
use quartet_tests::subscriber::hex_id;

/// The kind that a schedule makes jobs of, also while the checkers read.
const SCHEDULED: &str = "remind_due";
/// The kind of deliveries to webhooks, which events make.
const DELIVERY: &str = "webhook";
/// The final statuses of a task.
const FINAL: [&str; 4] = ["succeeded", "failed", "cancelled", "dead"];

/// The tasks of a run.
#[derive(Default)]
pub struct TaskStats {
    /// Tasks by kind and status.
    pub tasks: BTreeMap<String, usize>,
    /// Attempts that were started.
    pub attempts: usize,
}

/// A task in the store.
struct Row {
    owner: String,
    kind: String,
    status: String,
    unique_key: String,
}

/// Tasks that have not finished.
pub(super) async fn unfinished(stores: &Stores) -> Result<Vec<String>, sqlx::Error> {
    let statuses = FINAL.map(|status| format!("'{status}'")).join(", ");
    let sql = format!(
        "select {}, kind, status, cast(attempts as text), coalesce(problem_reason, ''), coalesce(problem_message, '')
           from jobs where status not in ({statuses}) and kind <> '{SCHEDULED}'",
        stores.id("id")
    );
    let rows = stores.query("jobs", &sql).await?;
    Ok(rows.into_iter().map(|row| row.join(" ")).collect())
}

pub(super) async fn check(cluster: &Cluster, users: &[User], results: &mut Results) -> Result<TaskStats, sqlx::Error> {
    let stores = &cluster.stores;
    let sql = format!(
        "select {}, {}, kind, status, coalesce(unique_key, '') from jobs",
        stores.id("id"),
        stores.id("owner")
    );
    let rows = stores.query("jobs", &sql).await?.into_iter().map(|row| {
        let [id, owner, kind, status, unique_key] = row.try_into().expect("five columns");
        let row = Row {
            owner,
            kind,
            status,
            unique_key,
        };
        (id, row)
    });
    let rows: BTreeMap<String, Row> = rows.filter(|(_, row)| row.kind != SCHEDULED).collect();
    check_schedule(stores, results).await?;
    results.add_none("unfinished tasks", &unfinished(stores).await?);
    check_accepted(&rows, users, results);
    check_unknown(&rows, users, results);
    let attempts = check_effects(stores, &rows, results).await?;
    check_imports(stores, &rows, users, results).await?;
    check_exports(cluster, users, results).await;
    let mut stats = TaskStats {
        attempts,
        ..TaskStats::default()
    };
    for row in rows.values() {
        *stats.tasks.entry(format!("{} {}", row.kind, row.status)).or_default() += 1;
    }
    Ok(stats)
}

/// Checks that the jobs of the schedule were made and finished once, whichever workers there were.
async fn check_schedule(stores: &Stores, results: &mut Results) -> Result<(), sqlx::Error> {
    let ids = format!("select {} from jobs where kind = '{SCHEDULED}'", stores.id("id"));
    let ids: Vec<String> = stores.query("jobs", &ids).await?.into_iter().flatten().collect();
    let log = effect_log::read(stores, "jobs").await?;
    let [created, finished] = ["task created", "task finished"].map(|name| effect_log::count(&log, name));
    let wrong = ids.iter().filter_map(|id| {
        let (created, finished) = (count_of(&created, id), count_of(&finished, id));
        (created != 1 || finished > 1).then(|| format!("{id}: created {created}, finished {finished} times"))
    });
    let wrong: Vec<String> = wrong.collect();
    results.add("jobs of a schedule were made and finished once", ids.len(), &wrong);
    Ok(())
}

fn tasks_of(users: &[User]) -> impl Iterator<Item = (&User, &Task)> {
    users
        .iter()
        .flat_map(|user| user.tasks.iter().map(move |task| (user, task)))
}

/// Checks how accepted tasks finished. An export has more attempts than the faults of a run can use
/// up; an import has five, and may use them up. An import for a deleted user fails.
fn check_accepted(rows: &BTreeMap<String, Row>, users: &[User], results: &mut Results) {
    let (mut accepted, mut wrong) = (0, Vec::new());
    for (user, task) in tasks_of(users) {
        let Some(id) = &task.id else { continue };
        accepted += 1;
        let Some(row) = rows.get(&hex_id(id)) else {
            wrong.push(format!("{id} is lost"));
            continue;
        };
        let returned = task
            .final_status
            .as_deref()
            .and_then(|status| status.strip_prefix("TASK_STATUS_"));
        let right = match (row.status.as_str(), &task.kind) {
            ("succeeded", _) => true,
            ("cancelled", _) => task.cancelled,
            ("dead", TaskKind::Import(_)) => true,
            ("failed", TaskKind::Import(_)) => !user.is_active(),
            _ => false,
        };
        if !right || returned.is_some_and(|status| !status.eq_ignore_ascii_case(&row.status)) {
            wrong.push(format!(
                "{id} {:?} {} {}, was returned as {returned:?}",
                task.kind, row.kind, row.status
            ));
        }
    }
    results.add(
        "accepted tasks finished well, with the status that was returned",
        accepted,
        &wrong,
    );
}

/// Checks tasks whose creation was not acknowledged: there may be one for each unique key, or one
/// for each creation without a key.
fn check_unknown(rows: &BTreeMap<String, Row>, users: &[User], results: &mut Results) {
    let known: BTreeSet<String> = tasks_of(users)
        .filter_map(|(_, task)| task.id.as_deref().map(hex_id))
        .collect();
    let unacknowledged = tasks_of(users).filter(|(_, task)| task.id.is_none());
    let mut invoked = count(unacknowledged.map(|(user, task)| {
        let owner = hex_id(user.id.as_deref().unwrap_or_default());
        format!("{owner} {}", task.unique_key.as_deref().unwrap_or_default())
    }));
    let suite = "0".repeat(32);
    let mut wrong = Vec::new();
    for (id, row) in rows
        .iter()
        .filter(|(id, row)| row.owner != suite && row.kind != DELIVERY && !known.contains(*id))
    {
        match invoked.get_mut(&format!("{} {}", row.owner, row.unique_key)) {
            Some(left) if *left > 0 => *left -= 1,
            _ => wrong.push(format!(
                "{id} {} of {} with the key `{}`",
                row.kind, row.owner, row.unique_key
            )),
        }
    }
    results.add_none("tasks that were never created", &wrong);
}

/// Checks how often each task was created, started and finished, by the effect log; returns how
/// often tasks were started.
async fn check_effects(
    stores: &Stores,
    rows: &BTreeMap<String, Row>,
    results: &mut Results,
) -> Result<usize, sqlx::Error> {
    let log = effect_log::read(stores, "jobs").await?;
    let [created, started, finished] =
        ["task created", "task started", "task finished"].map(|name| effect_log::count(&log, name));
    let wrong = rows.iter().filter_map(|(id, row)| {
        let [created, started, finished] = [&created, &started, &finished].map(|counts| count_of(counts, id));
        let right = created == 1 && finished == 1 && (started > 0 || row.status == "cancelled");
        (!right).then(|| {
            format!(
                "{id} {} {}: created {created}, started {started}, finished {finished} times",
                row.kind, row.status
            )
        })
    });
    results.add(
        "tasks were created once, started, and finished once",
        rows.len(),
        &wrong.collect::<Vec<_>>(),
    );
    let undone = log
        .iter()
        .filter(|(name, _)| name == "task reopened" || name == "task deleted");
    let undone: Vec<String> = undone.map(|(name, id)| format!("{name}: {id}")).collect();
    results.add_none("tasks that were reopened or deleted after their end", &undone);
    Ok(started.values().sum())
}

/// Checks that each row of an imported file is a todo, once; at most once if the task did not
/// succeed.
async fn check_imports(
    stores: &Stores,
    rows: &BTreeMap<String, Row>,
    users: &[User],
    results: &mut Results,
) -> Result<(), sqlx::Error> {
    let titles = stores.query("todos", "select title from todos").await?;
    let titles = count(titles.into_iter().flatten());
    let (mut total, mut wrong) = (0, Vec::new());
    for (_, task) in tasks_of(users) {
        let (TaskKind::Import(rows_of_file), Some(id)) = (&task.kind, &task.id) else {
            continue;
        };
        let succeeded = rows.get(&hex_id(id)).is_some_and(|row| row.status == "succeeded");
        for title in rows_of_file {
            total += 1;
            let times = count_of(&titles, title);
            if times > 1 || (succeeded && times == 0) {
                wrong.push(format!("`{title}` of {id}: {times} todos"));
            }
        }
    }
    results.add("rows of imported files are todos, once", total, &wrong);
    Ok(())
}

/// Checks through the API that the files of active users' exports can be downloaded, and have as
/// many todos as the results.
async fn check_exports(cluster: &Cluster, users: &[User], results: &mut Results) {
    let (mut total, mut wrong) = (0, Vec::new());
    for (user, task) in tasks_of(users).filter(|(user, task)| user.is_active() && task.kind == TaskKind::Export) {
        let Some(id) = &task.id else { continue };
        let rest = cluster.rest.with_token(&user.access_token);
        let read = rest.get(&format!("/api/v1/tasks/{id}")).await;
        if read.status == 200 && read.json()["status"] == "TASK_STATUS_CANCELLED" {
            continue;
        }
        total += 1;
        let file = rest.get(&format!("/api/v1/tasks/{id}/result")).await;
        let todos = serde_json::from_slice::<Vec<serde_json::Value>>(&file.body).map(|todos| todos.len());
        let complete = read.status == 200
            && file.status == 200
            && todos.is_ok_and(|todos| read.json()["export"]["todos"] == todos);
        if !complete {
            wrong.push(format!("{id}: {} / {} {}", read.text(), file.status, file.text()));
        }
    }
    results.add("exports of active users can be downloaded in full", total, &wrong);
}
