//! The feed of changes: every write to a todo is in its owner's feed, once; the numbers of a feed have no gap; who followed it heard just that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::tally;
use crate::audit::effects;
use crate::books::Books;
use crate::findings::Findings;
use crate::follower::Heard;
use crate::ledger::{Departure, Person, bare};
use crate::stage::Stage;

/// How long followers may take to hear the last of it once all is up: a silent stream is opened anew after some seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A change, as the feed keeps it.
struct Change {
    position: u64,
    kind: &'static str,
    todo: String,
    payload: Value,
}

/// What the feeds hold, by owner.
struct Feeds {
    changes: BTreeMap<String, Vec<Change>>,
    heads: BTreeMap<String, u64>,
}

impl Feeds {
    async fn read(books: &Books) -> Result<Self, sqlx::Error> {
        let (owner, todo) = (books.id("user_id"), books.id("subject_id"));
        let sql = format!(
            "select {owner}, cast(position as text), cast(kind as text), {todo}, coalesce(cast(payload as text), 'null')
               from changes order by changes.user_id, changes.position"
        );
        let mut changes: BTreeMap<String, Vec<Change>> = BTreeMap::new();
        for row in books.rows("todos", &sql).await? {
            changes.entry(row[0].clone()).or_default().push(Change {
                position: number(&row[1]),
                kind: kind(&row[2]),
                todo: row[3].clone(),
                payload: serde_json::from_str(&row[4]).unwrap_or_default(),
            });
        }
        let heads = books
            .rows("todos", &format!("select {owner}, cast(head as text) from feeds"))
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

/// Waits until whoever follows somebody who stays has heard all of their feed, or too long for it.
pub async fn catch_up(books: &Books, people: &[Person]) -> Result<(), sqlx::Error> {
    let feeds = Feeds::read(books).await?;
    let begun = Instant::now();
    let behind = |person: &&Person| {
        let heard = person.follower.as_ref().map(|follower| follower.heard());
        let head = feeds.head(&bare(person.id.as_deref().unwrap_or_default()));
        heard.is_some_and(|heard| heard.last().is_none_or(|last| last.position < head))
    };
    while begun.elapsed() < PATIENCE
        && people
            .iter()
            .filter(|person| person.stays())
            .any(|person| behind(&person))
    {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

pub(super) async fn check(stage: &Stage, people: &[Person], findings: &mut Findings) -> Result<(), sqlx::Error> {
    let feeds = Feeds::read(&stage.books).await?;
    let noted = effects(&stage.books, "todos").await?;
    numbers(&feeds, &noted, findings);
    let id = stage.books.id("id");
    let (departed, deleted) = (Books::flag("departed"), Books::flag("deleted_at is not null"));
    let sql = format!("select {id}, {departed}, {deleted}, title from todos");
    let rows = stage.books.rows("todos", &sql).await?;
    writes(&feeds, &noted, &rows, findings);
    last_words(&feeds, &rows, findings);
    followers(&feeds, people, findings);
    Ok(())
}

/// The departure of an owner takes a number that no change has: whoever follows the feed finds it missing, and reads everything anew.
fn numbers(feeds: &Feeds, noted: &[(String, String)], findings: &mut Findings) {
    let departures = tally(
        noted
            .iter()
            .filter(|(name, _)| name == "user departed")
            .map(|(_, id)| id.clone()),
    );
    let owners: BTreeSet<&String> = feeds.heads.keys().chain(feeds.changes.keys()).collect();
    let wrong = owners.iter().filter_map(|owner| {
        let (head, changes) = (feeds.head(owner), feeds.of(owner));
        let expected = head.saturating_sub(departures.get(*owner).copied().unwrap_or_default() as u64);
        let last = changes.last().map_or(0, |change| change.position);
        (changes.len() as u64 != expected || last > head).then(|| {
            format!(
                "{owner}: {} changes up to {last}, {expected} of {head} expected",
                changes.len()
            )
        })
    });
    findings.hold(
        "feeds have no gap but for departures",
        owners.len(),
        &wrong.collect::<Vec<_>>(),
    );
}

/// Each write that the witness noted is in the feed.
fn writes(feeds: &Feeds, noted: &[(String, String)], rows: &[Vec<String>], findings: &mut Findings) {
    let departed: BTreeSet<&str> = rows
        .iter()
        .filter(|row| row[1] == "1")
        .map(|row| row[0].as_str())
        .collect();
    let written = noted.iter().filter_map(|(name, id)| match name.as_str() {
        "todo made" => Some(format!("made {id}")),
        "todo written" => Some(format!("written {id}")),
        // What goes with its owner is told of as a whole.
        "todo deleted" if !departed.contains(id.as_str()) => Some(format!("deleted {id}")),
        _ => None,
    });
    let written = tally(written);
    let told = feeds.changes.values().flatten().map(|change| {
        let act = match change.kind {
            "KIND_CREATED" => "made",
            "KIND_UPDATED" | "KIND_COMPLETED" => "written",
            "KIND_DELETED" => "deleted",
            other => other,
        };
        format!("{act} {}", change.todo)
    });
    let told = tally(told);
    let times = |tally: &BTreeMap<String, usize>, act: &str| tally.get(act).copied().unwrap_or_default();
    let acts: BTreeSet<&String> = written.keys().chain(told.keys()).collect();
    let wrong = acts
        .iter()
        .filter(|act| times(&written, act) != times(&told, act))
        .map(|act| {
            format!(
                "{act}: {} times, told {} times",
                times(&written, act),
                times(&told, act)
            )
        });
    findings.hold(
        "writes to todos are in their owner's feed once, and nothing else is",
        written.values().sum(),
        &wrong.collect::<Vec<_>>(),
    );
}

/// Who has read a feed to its end knows every todo as it is.
fn last_words(feeds: &Feeds, rows: &[Vec<String>], findings: &mut Findings) {
    let mut last: BTreeMap<&str, &Change> = BTreeMap::new();
    for change in feeds.changes.values().flatten() {
        last.insert(&change.todo, change);
    }
    let staying: Vec<_> = rows.iter().filter(|row| row[1] != "1").collect();
    let wrong = staying.iter().filter_map(|row| {
        let Some(change) = last.get(row[0].as_str()) else {
            return Some(format!("{} is in no feed", row[0]));
        };
        let right = change.payload["title"] == row[3].as_str() && (change.kind == "KIND_DELETED") == (row[2] == "1");
        (!right).then(|| format!("{} was last told as {} {}", row.join(" "), change.kind, change.payload))
    });
    findings.hold(
        "todos are as their feed told of them last",
        staying.len(),
        &wrong.collect::<Vec<_>>(),
    );
}

/// A stream tells every change from where it began, which its first event shows. Of somebody who left, it may end anywhere.
fn followers(feeds: &Feeds, people: &[Person], findings: &mut Findings) {
    let (mut count, mut wrong) = (0, Vec::new());
    for person in people {
        let Some(follower) = &person.follower else { continue };
        let id = bare(person.id.as_deref().unwrap_or_default());
        let heard = follower.heard();
        let stays = person.departure == Departure::Stays;
        let Some(first) = heard.first() else {
            if stays {
                wrong.push(format!("who followed {id} heard nothing at all"));
            }
            continue;
        };
        // One that begins with a change has told all before it; else, the event says how far that is.
        let begun = first.position - u64::from(!first.todo.is_empty());
        let told: Vec<&Heard> = heard.iter().filter(|heard| !heard.todo.is_empty()).collect();
        let expected: Vec<&Change> = feeds.of(&id).iter().filter(|change| change.position > begun).collect();
        count += told.len();
        let same = |(told, change): (&&Heard, &&Change)| {
            told.position == change.position && told.kind == change.kind && told.todo == change.todo
        };
        let alike = told
            .iter()
            .zip(&expected)
            .take_while(|pair| same((pair.0, pair.1)))
            .count();
        let reset = heard.iter().any(|heard| heard.kind == "KIND_RESET");
        if alike < told.len() || (stays && (alike < expected.len() || reset)) {
            let next = (told.get(alike), expected.get(alike).map(|change| change.position));
            wrong.push(format!(
                "who followed {id} heard {alike} of {} in order, then {next:?}",
                expected.len()
            ));
        }
    }
    findings.hold(
        "changes were heard, in order and once, by who followed a feed",
        count,
        &wrong,
    );
}

/// What a stream calls the kind of that number.
fn kind(number: &str) -> &'static str {
    match number {
        "1" => "KIND_CREATED",
        "2" => "KIND_UPDATED",
        "3" => "KIND_COMPLETED",
        "5" => "KIND_DELETED",
        _ => "a kind that nobody asked for",
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}
