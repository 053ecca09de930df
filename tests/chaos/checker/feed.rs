//! The feed of changes: every write to a todo is in its owner's feed once, feeds have no gaps, and
//! subscribers received exactly what is in the feed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use quartet_tests::subscriber::{Event, hex_id};
use serde_json::Value;

use super::results::Results;
use super::{count, count_of};
use crate::cluster::Cluster;
use crate::effect_log;
use crate::model::{Deletion, User};
use crate::stores::Stores;

/// How long subscribers may take to receive the last change once all nodes are up: a silent stream
/// reconnects after some seconds.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(60);

/// A change in the feed.
struct Change {
    position: u64,
    kind: &'static str,
    todo: String,
    payload: Value,
}

/// The feeds, by owner.
struct Feeds {
    changes: BTreeMap<String, Vec<Change>>,
    heads: BTreeMap<String, u64>,
}

impl Feeds {
    async fn read(stores: &Stores) -> Result<Self, sqlx::Error> {
        let (owner, todo) = (stores.id("user_id"), stores.id("subject_id"));
        let sql = format!(
            "select {owner}, cast(position as text), cast(kind as text), {todo}, coalesce(cast(payload as text), 'null')
               from changes order by changes.user_id, changes.position"
        );
        let mut changes: BTreeMap<String, Vec<Change>> = BTreeMap::new();
        for row in stores.query("todos", &sql).await? {
            changes.entry(row[0].clone()).or_default().push(Change {
                position: number(&row[1]),
                kind: kind(&row[2]),
                todo: row[3].clone(),
                payload: serde_json::from_str(&row[4]).unwrap_or_default(),
            });
        }
        let heads = stores
            .query("todos", &format!("select {owner}, cast(head as text) from feeds"))
            .await?;
        let heads = heads.iter().map(|row| (row[0].clone(), number(&row[1]))).collect();
        Ok(Self { changes, heads })
    }

    fn of(&self, owner: &str) -> &[Change] {
        self.changes.get(owner).map(Vec::as_slice).unwrap_or_default()
    }

    fn head(&self, owner: &str) -> u64 {
        self.heads.get(owner).copied().unwrap_or_default()
    }
}

/// Waits until the subscribers of active users have received all of their feeds, or until the
/// timeout.
pub async fn catch_up(stores: &Stores, users: &[User]) -> Result<(), sqlx::Error> {
    let feeds = Feeds::read(stores).await?;
    let begun = Instant::now();
    let lags = |user: &User| {
        let received = user.subscriber.as_ref().map(|subscriber| subscriber.received());
        let head = feeds.head(&hex_id(user.id.as_deref().unwrap_or_default()));
        received.is_some_and(|events| events.last().is_none_or(|last| last.position < head))
    };
    while begun.elapsed() < CATCH_UP_TIMEOUT && users.iter().any(|user| user.is_active() && lags(user)) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

pub(super) async fn check(cluster: &Cluster, users: &[User], results: &mut Results) -> Result<(), sqlx::Error> {
    let stores = &cluster.stores;
    let feeds = Feeds::read(stores).await?;
    let log = effect_log::read(stores, "todos").await?;
    check_positions(&feeds, &log, results);
    let id = stores.id("id");
    let (with_owner, deleted) = (
        Stores::flag("deleted_with_user"),
        Stores::flag("deleted_at is not null"),
    );
    let sql = format!("select {id}, {with_owner}, {deleted}, title from todos");
    let rows = stores.query("todos", &sql).await?;
    check_writes(&feeds, &log, &rows, results);
    check_last_changes(&feeds, &rows, results);
    check_subscribers(&feeds, users, results);
    Ok(())
}

/// Checks the positions of each feed. The deletion of the owner uses a position that no change has:
/// subscribers find the gap, and list everything anew.
fn check_positions(feeds: &Feeds, log: &[(String, String)], results: &mut Results) {
    let deletions = effect_log::count(log, "user deletion");
    let owners: BTreeSet<&String> = feeds.heads.keys().chain(feeds.changes.keys()).collect();
    let wrong = owners.iter().filter_map(|owner| {
        let (head, changes) = (feeds.head(owner), feeds.of(owner));
        let expected = head.saturating_sub(count_of(&deletions, owner) as u64);
        let last = changes.last().map_or(0, |change| change.position);
        (changes.len() as u64 != expected || last > head).then(|| {
            format!(
                "{owner}: {} changes up to {last}, {expected} of {head} expected",
                changes.len()
            )
        })
    });
    results.add(
        "feeds have no gap except for deletions of users",
        owners.len(),
        &wrong.collect::<Vec<_>>(),
    );
}

/// Checks that each write in the effect log is in the feed.
fn check_writes(feeds: &Feeds, log: &[(String, String)], rows: &[Vec<String>], results: &mut Results) {
    let with_owner: BTreeSet<&str> = rows
        .iter()
        .filter(|row| row[1] == "1")
        .map(|row| row[0].as_str())
        .collect();
    let written = log.iter().filter_map(|(name, id)| match name.as_str() {
        "todo created" => Some(format!("created {id}")),
        "todo updated" => Some(format!("updated {id}")),
        // The deletion of the owner stands for all todos that it deletes.
        "todo deleted" if !with_owner.contains(id.as_str()) => Some(format!("deleted {id}")),
        _ => None,
    });
    let written = count(written);
    let in_feed = feeds.changes.values().flatten().map(|change| {
        let write = match change.kind {
            "KIND_CREATED" => "created",
            "KIND_UPDATED" | "KIND_COMPLETED" => "updated",
            "KIND_DELETED" => "deleted",
            other => other,
        };
        format!("{write} {}", change.todo)
    });
    let in_feed = count(in_feed);
    let writes: BTreeSet<&String> = written.keys().chain(in_feed.keys()).collect();
    let wrong = writes.iter().filter_map(|write| {
        let (written, in_feed) = (count_of(&written, write), count_of(&in_feed, write));
        (written != in_feed).then(|| format!("{write}: {written} times, in the feed {in_feed} times"))
    });
    results.add(
        "writes to todos are in their owner's feed once, and nothing else is",
        written.values().sum(),
        &wrong.collect::<Vec<_>>(),
    );
}

/// Checks that a subscriber who has read a feed to its end has every todo as it is.
fn check_last_changes(feeds: &Feeds, rows: &[Vec<String>], results: &mut Results) {
    let mut last: BTreeMap<&str, &Change> = BTreeMap::new();
    for change in feeds.changes.values().flatten() {
        last.insert(&change.todo, change);
    }
    let of_active: Vec<_> = rows.iter().filter(|row| row[1] != "1").collect();
    let wrong = of_active.iter().filter_map(|row| {
        let Some(change) = last.get(row[0].as_str()) else {
            return Some(format!("{} is in no feed", row[0]));
        };
        let right = change.payload["title"] == row[3].as_str() && (change.kind == "KIND_DELETED") == (row[2] == "1");
        (!right).then(|| {
            format!(
                "{}: the last change is {} {}",
                row.join(" "),
                change.kind,
                change.payload
            )
        })
    });
    results.add(
        "todos are as the last change in their feed",
        of_active.len(),
        &wrong.collect::<Vec<_>>(),
    );
}

/// Checks that a subscriber received every change from the position at which its stream began,
/// which its first event has. The stream of a deleted user may end anywhere.
fn check_subscribers(feeds: &Feeds, users: &[User], results: &mut Results) {
    let (mut total, mut wrong) = (0, Vec::new());
    for user in users {
        let Some(subscriber) = &user.subscriber else { continue };
        let id = hex_id(user.id.as_deref().unwrap_or_default());
        let received = subscriber.received();
        let active = user.deletion == Deletion::NotInvoked;
        let Some(first) = received.first() else {
            if active {
                wrong.push(format!("the subscriber of {id} received nothing"));
            }
            continue;
        };
        // A first event that is a change is the first one after the start; any other event has the
        // position of the start.
        let start = first.position - u64::from(!first.todo.is_empty());
        let changes: Vec<&Event> = received.iter().filter(|event| !event.todo.is_empty()).collect();
        let expected: Vec<&Change> = feeds.of(&id).iter().filter(|change| change.position > start).collect();
        total += changes.len();
        let matches = |(event, change): &(&&Event, &&Change)| {
            event.position == change.position && event.kind == change.kind && event.todo == change.todo
        };
        let in_order = changes.iter().zip(&expected).take_while(matches).count();
        let reset = received.iter().any(|event| event.kind == "KIND_RESET");
        if in_order < changes.len() || (active && (in_order < expected.len() || reset)) {
            let next = (
                changes.get(in_order),
                expected.get(in_order).map(|change| change.position),
            );
            wrong.push(format!(
                "the subscriber of {id} received {in_order} of {} in order, then {next:?}",
                expected.len()
            ));
        }
    }
    results.add("subscribers received every change once, in order", total, &wrong);
}

/// The kind of change that a number in the store stands for, as streams name it.
fn kind(number: &str) -> &'static str {
    match number {
        "1" => "KIND_CREATED",
        "2" => "KIND_UPDATED",
        "3" => "KIND_COMPLETED",
        "5" => "KIND_DELETED",
        _ => "a kind that the workload does not cause",
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}
